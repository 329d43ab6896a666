"""The published theory-of-mind model: beliefs, answers and alerts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.team_task.mind import Weights, alert, answer, blank, divergence, likeliest, normal, read, read_all

W = Weights()


def line(*codes: int) -> np.ndarray:
    return np.array(codes, dtype=np.int8)


def test_evidence_weighs_by_its_surprise() -> None:
    """From 0.2: a strong yes 0.2 · 2^(-ln 0.2), a maybe no 0.2 · 0.85^(-ln 0.8); what is not spoken of stays."""
    found = read(blank(5), line(2, -1, 0, 1, -2), W)
    ln = np.log
    assert found == pytest.approx([0.2 * 2 ** -ln(0.2), 0.2 * 0.85 ** -ln(0.8), 0.2, 0.2 * 1.95 ** -ln(0.2), 0.2 * 0.35 ** -ln(0.8)], abs=1e-14)


def test_without_surprise_the_weights_just_multiply() -> None:
    assert read_all(blank(5), [line(2, 0, 0, 0, -2)] * 2, Weights(0.1, 0.2, 1.8, 2.0), surprise=False) == pytest.approx([0.8, 0.2, 0.2, 0.2, 0.002], abs=1e-14)


def test_a_yes_again_and_again_has_a_closed_form() -> None:
    """b · w^(-ln b) is b^(1 - ln w): after n strong yes, 0.2^((1 - ln 2)^n), which nears 1 and never passes it."""
    b = blank(2) * 0.4
    for n in range(1, 60):
        b = read(b, line(2, 0), W)
        assert b[0] == pytest.approx(0.2 ** ((1 - np.log(2)) ** n), abs=1e-11) and b[0] < 1
    assert b[1] == 0.2


def test_normalised_after_each_line_is_another_mind() -> None:
    lines = [line(2, 0, 0, 0, 0), line(0, -2, 0, 0, 0)]
    published, steady = (read_all(blank(5), lines, W, normalised=n) for n in (False, True))
    assert steady.sum() == pytest.approx(1, abs=1e-12) and not np.allclose(normal(published), steady)
    assert normal(read_all(blank(5), lines[:1], W)) == pytest.approx(read_all(blank(5), lines[:1], W, normalised=True), abs=1e-14)


def test_no_belief_is_ever_lost_or_sure() -> None:
    b = read_all(blank(3), [line(-2, 2, 0)] * 5_000, Weights(0.05, 0.1, 1.5, 2.0), normalised=True)
    assert np.isfinite(b).all() and (b > 0).all() and likeliest(b).tolist() == [False, True, False]


def test_answers_weigh_the_minds_of_others() -> None:
    ego, alters = np.array([0.5, 0.3, 0.2]), np.array([[0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    assert answer(ego, alters, 0.0) == pytest.approx(ego) and answer(ego, alters, 1.0) == pytest.approx(normal(ego * alters[0] * alters[1]))
    assert answer(ego, alters, 0.5) == pytest.approx(normal(ego * np.sqrt(alters[0] * alters[1])))
    assert answer(ego, np.vstack([alters, blank(3)]), 0.95) == pytest.approx(answer(ego, alters, 0.95), abs=1e-15)
    assert answer(ego, np.zeros((0, 3)), 0.95) == pytest.approx(ego)


def test_an_alert_is_the_fact_that_brings_the_other_nearest() -> None:
    facts = [line(0, 0, 0), line(1, 0, 0), line(2, 0, 0), line(0, 0, -2)]
    ego = read_all(blank(3), facts, W)
    distances = [divergence(ego, read(blank(3), fact, W)) for fact in facts]
    assert alert(ego, blank(3), facts, W) == int(np.argmin(distances)) and min(distances) < divergence(ego, blank(3))


def test_nobody_is_told_what_would_lead_away_or_changes_nothing() -> None:
    ego = normal(np.array([0.8, 0.1, 0.1]))
    assert alert(ego, ego, [line(2, 0, 0), line(0, -2, 0)], W) is None  # it believes so already
    assert alert(ego, blank(3), [line(0, 0, 0), line(-2, 0, 0)], W) is None and alert(ego, blank(3), [], W) is None


def test_divergence() -> None:
    assert divergence(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3), abs=1e-15)
    assert divergence(np.array([2.0, 2.0]), np.array([0.1, 0.1])) == 0


@pytest.mark.parametrize("weights", [(0.0, 1, 1, 1), (0.3, 0.8, 1.9, 2.8), (-1, 1, 1, 1), (float("nan"), 1, 1, 1)], ids=str)
def test_weights_that_make_no_belief_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected numbers above 0 and below e"):
        Weights(*weights)
