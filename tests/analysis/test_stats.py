"""Intervals: closed forms, symmetry, coverage."""

import math

import numpy as np
import pytest

from analysis.stats import paired_bootstrap


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_constant_difference_has_an_interval_of_no_width():
    found = paired_bootstrap([1.0, 2.0, 5.0], [0.75, 1.75, 4.75], rng())
    assert (found.mean, found.low, found.high, found.units) == (0.25, 0.25, 0.25, 3)


def test_of_two_units_the_resampled_means_are_three_with_a_quarter_at_each_end():
    found = paired_bootstrap([0.0, 1.0], [0.0, 0.0], rng())
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)
    half = paired_bootstrap([0.0, 1.0], [0.0, 0.0], rng(), level=0.4)  # the middle 40 % of 1/4, 1/2, 1/4 is all at one half
    assert (half.low, half.high) == (0.5, 0.5)


def test_many_units_give_the_normal_interval():
    values = rng(1).normal(0.3, 1.0, size=400)
    found = paired_bootstrap(values, np.zeros(400), rng(2))
    reach = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - reach, abs=0.006) and found.high == pytest.approx(values.mean() + reach, abs=0.006)


def test_exchanging_the_lists_turns_the_interval_round():
    first, second = rng(3).normal(size=20), rng(4).normal(size=20)
    one, other = paired_bootstrap(first, second, rng(5)), paired_bootstrap(second, first, rng(5))
    assert one.mean == -other.mean and one.low == pytest.approx(-other.high) and one.high == pytest.approx(-other.low)


def test_pairing_removes_what_the_pairs_share():
    shared = rng(6).normal(0, 100, size=30)
    found = paired_bootstrap(shared - 0.1, shared + 0.1 * rng(7).random(30), rng(8))
    assert found.high < -0.1 and found.low > -0.2


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = sum(found.low <= 0 <= found.high for found in
                  (paired_bootstrap(rng(seed).normal(size=30), np.zeros(30), rng(10_000 + seed), resamples=500) for seed in range(300)))
    assert 0.89 <= covered / 300 <= 0.98  # the percentile interval is a little short at 30 units


def test_the_same_generator_gives_the_same_interval():
    assert paired_bootstrap([1, 2, 4], [0, 0, 0], rng(9)) == paired_bootstrap([1, 2, 4], [0, 0, 0], rng(9))


def test_one_unit_has_a_mean_and_no_interval():
    found = paired_bootstrap([3.0], [1.0], rng())
    assert found.mean == 2.0 and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0]), ([float("nan"), 1.0], [0.0, 0.0]), ([1.0, 2.0], [0.0, float("inf")]), ([[1.0]], [[1.0]])])
def test_what_is_not_paired_or_not_finite_is_refused(first, second):
    with pytest.raises(ValueError, match="a paired comparison needs"):
        paired_bootstrap(first, second, rng())
