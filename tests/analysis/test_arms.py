"""Arms side by side: what the figures are, and no interval where seeds are few or alike."""

import numpy as np
import pandas as pd
import pytest

from analysis.arms import against_first, as_text
from analysis.stats import Interval, reach


def table(first, second):
    rows = [("silent", n, v) for n, v in enumerate(first, 1)] + [("talking", n, v) for n, v in enumerate(second, 1)]
    return pd.DataFrame(rows, columns=["arm", "seed", "profit_gain"])


def text(first, second):
    runs = table(first, second)
    return as_text(runs, against_first(runs, np.random.default_rng(0)))


def test_few_seeds_have_a_word_in_place_of_an_interval():
    said = text([0.0, 0.0, 0.0], [0.5, 0.25, 0.75])
    assert said.startswith("3 seeds at most in an arm: fewer than 5 give no interval") and "+0.5000  3 seeds: too few for an interval  (3 seeds)" in said and "[" not in said
    assert "profit_gain: mean profit, mean over rounds and sellers: 0 competition, 1 a cartel of all" in said and "difference from arm `silent`" in said


def test_seeds_that_are_alike_have_none_and_others_have_one():
    assert "+0.9999  no spread over 6 seeds: no interval  (6 seeds)" in text([0.0] * 6, [0.9999] * 6)
    said = text([0.0] * 6, [0.0, 1.0] * 3)
    assert "+0.5000  [+0." in said and "give no interval" not in said


@pytest.mark.parametrize(("found", "word"), [
    (Interval(0.5, 0.25, 0.75, 4), "4 seeds: too few for an interval"), (Interval(0.5, 0.25, 0.75, 5), "[+0.2500, +0.7500]"), (Interval(0.5, 0.50001, 0.50002, 5), "no spread over 5 seeds: no interval"),
    (Interval(0.5, float("nan"), float("nan"), 9), "no interval over 9 seeds"), (Interval(0.5, float("nan"), float("nan"), 1), "1 seed: too few for an interval"),
])  # fmt: skip
def test_an_interval_is_told_with_its_ends_or_why_it_has_none(found, word):
    assert reach(found) == word
