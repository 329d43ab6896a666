"""Intervals, tests and rates: closed forms, symmetry, coverage, worked examples."""

import math

import numpy as np
import pytest

from analysis.stats import (
    auroc,
    cluster_bootstrap,
    discoveries,
    games_needed,
    paired_bootstrap,
    permutation_test,
    power_curve,
    ppv,
    recall_at,
)


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


# ---- whole games drawn again -------------------------------------------------------------------------------------------


def test_of_games_of_one_row_each_the_cluster_bootstrap_is_the_ordinary_one():
    values = rng(1).normal(0.3, 1.0, size=400)
    found = cluster_bootstrap(range(400), lambda rows: values[rows].mean(), rng(2))
    reach = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - reach, abs=0.01) and found.high == pytest.approx(values.mean() + reach, abs=0.01) and found.units == 400


def test_rows_of_a_game_that_are_all_alike_do_not_narrow_the_interval():
    games = rng(3).normal(size=40)
    once = cluster_bootstrap(range(40), lambda rows: games[rows].mean(), rng(4))
    copies, names = np.repeat(games, 25), np.repeat(np.arange(40), 25).tolist()
    often = cluster_bootstrap(names, lambda rows: copies[rows].mean(), rng(4))
    assert (often.low, often.high) == pytest.approx((once.low, once.high)) and often.units == 40


def test_the_order_of_rows_does_not_matter_to_the_cluster_bootstrap():
    values, names = rng(5).normal(size=60), np.repeat(np.arange(12), 5)
    order = rng(6).permutation(60)
    first = {name: i for i, name in enumerate(dict.fromkeys(names[order].tolist()))}
    back = np.array([first[n] for n in names])  # games numbered as they are first met, so that both draws name the same
    one = cluster_bootstrap(names[order].tolist(), lambda rows: values[order][rows].mean(), rng(7))
    other = cluster_bootstrap([back[i] for i in np.argsort(back, kind="stable")], lambda rows: values[np.argsort(back, kind="stable")][rows].mean(), rng(7))
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_draws_without_a_figure_are_left_out_and_too_many_of_them_refused():
    scores, labels = [0.1, 0.9, 0.4, 0.8], [False, True, False, True]
    found = cluster_bootstrap("abcd", lambda rows: auroc(np.array(scores)[rows], np.array(labels)[rows]), rng())
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)

    def seldom(rows):
        if len(set(rows.tolist())) < 4:
            raise ValueError("not defined")
        return 1.0

    with pytest.raises(ValueError, match="it needs more games"):
        cluster_bootstrap("abcd", seldom, rng())
    with pytest.raises(ValueError, match="no rows"):
        cluster_bootstrap([], lambda rows: 0.0, rng())
    assert math.isnan(cluster_bootstrap("aaa", lambda rows: 1.0, rng()).low)


# ---- telling two kinds apart -------------------------------------------------------------------------------------------


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    assert auroc([1, 2, 3, 2], [False, False, True, True]) == 0.875  # of four pairs three are right and one is a tie
    assert auroc([5, 5, 5], [True, False, True]) == 0.5  # a constant score tells nothing


def test_auroc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    for seed in range(20):
        scores, positive = np.round(rng(seed).normal(size=50), 1), rng(100 + seed).random(50) < 0.3
        assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_recall_at_a_false_alarm_rate_by_hand():
    scores = [*range(100), 98.5, 99.5, 50.5]
    positive = [False] * 100 + [True] * 3
    assert recall_at(scores, positive, 0.01) == pytest.approx(2 / 3)  # one honest score, 99, may alarm
    assert recall_at(scores, positive, 0.0) == pytest.approx(1 / 3)
    assert recall_at(scores, positive, 1.0) == 1.0


@pytest.mark.parametrize("broken", [([1.0, 2.0], [True, True]), ([1.0, float("nan")], [True, False]), ([1.0], [True, False]), ([], [])])
def test_scores_of_one_class_or_not_finite_are_refused(broken):
    for figure in (auroc, recall_at):
        with pytest.raises(ValueError):
            figure(*broken)


@pytest.mark.parametrize(("tpr", "fpr", "base", "expected"), [(0.8, 0.05, 0.05, 0.457), (0.95, 0.01, 0.05, 0.833), (0.8, 0.05, 0.01, 0.139), (0.95, 0.01, 0.01, 0.490), (0, 0, 0.5, 0)])
def test_ppv_at_base_rates(tpr, fpr, base, expected):
    assert ppv(tpr, fpr, base) == pytest.approx(expected, abs=5e-4)


# ---- tests -------------------------------------------------------------------------------------------------------------


def difference(scores):
    return lambda label: abs(scores[label == 0].mean() - scores[label == 1].mean())


def test_permuting_inside_strata_is_not_fooled_by_what_differs_between_them():
    """Scores that hang on the topic alone, topics that hang on the receiver: permuted freely they look like duplicity."""
    free = inside = 0
    for seed in range(120):
        draw = rng(seed)
        receiver = draw.integers(2, size=60)
        topic = np.where(draw.random(60) < 0.8, receiver, 1 - receiver)
        scores = topic + draw.normal(size=60)
        free += permutation_test(receiver.tolist(), [0] * 60, difference(scores), rng(1000 + seed), draws=99) <= 0.05
        inside += permutation_test(receiver.tolist(), topic.tolist(), difference(scores), rng(1000 + seed), draws=99) <= 0.05
    assert free > 40 and inside <= 14  # nominal 6 of 120; 14 is beyond 99.7 % of a binomial of 0.05


def test_the_smallest_p_value_is_that_of_all_draws():
    scores = np.array([0.0] * 10 + [5.0] * 10)
    assert permutation_test([0] * 10 + [1] * 10, ["a"] * 20, difference(scores), rng(1), draws=199) == 1 / 200
    assert permutation_test([0, 1], ["a", "b"], difference(np.array([0.0, 5.0])), rng(), draws=99) == 1.0  # nothing can be permuted
    with pytest.raises(ValueError, match="a label and a stratum"):
        permutation_test([0], [], difference(scores), rng())


def test_discoveries_are_those_of_benjamini_and_hochberg():
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]  # the worked example: i·0.05/10 is passed by the first two
    assert discoveries(p).tolist() == [True, True] + [False] * 8
    assert discoveries([]).tolist() == []


# ---- how many games ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "games"), [(1.0, 14), (0.5, 53), (0.25, 209)])
def test_games_needed_follow_the_closed_form(effect, games):
    assert games_needed(effect, 0.01) == games  # (2.3263 + 1.2816)² = 13.02, rounded up
    with pytest.raises(ValueError, match="expected one above 0"):
        games_needed(0.0, 0.05)


def test_the_power_curve_meets_the_closed_form_and_the_level():
    honest, planted = rng(1).normal(0, 1, 20_000), rng(2).normal(0.5, 1, 20_000)
    at = games_needed(0.5, 0.05)
    low, enough = power_curve(honest, planted, [3, at], rng(3))
    assert low < 0.5 and enough == pytest.approx(0.9, abs=0.03)
    assert power_curve(honest, honest, [10], rng(4))[0] == pytest.approx(0.05, abs=0.015)
    with pytest.raises(ValueError, match="finite scores"):
        power_curve([], [1.0], [3], rng())
