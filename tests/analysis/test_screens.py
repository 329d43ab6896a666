"""Screens of bids by hand, turns that are taken, Bajari and Ye's tests on bids by rule, and weights that are learned, kept and refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kurtosis, skew

from analysis import screens
from analysis.benches import screens as screen_bench
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from sandbox.in_memory import arranged, quick

PLAIN = {"name": "market", "mode": "auction", "sellers": 4, "rounds": 30, "chat": "off", "noise": 0.01, "alike": 0.7, "hide": 0.1}


def auction(plan="scenarios/plans/ring.yaml", plant=False, seed=1, **more):
    return Evidence(tuple(quick(arranged({**PLAIN, **more}, plan, plant, seed))), "market", key=str(seed))


# ---- screens -----------------------------------------------------------------------------------------------------------


def test_screens_of_four_bids_by_hand():
    """10, 11, 12, 15: mean 12, squares 4 + 1 + 0 + 9 = 14, so sd √(14/3); losing bids 11, 12, 15 with sd √(13/3)."""
    found = dict(zip(screens.NAMES, screens.screens(np.array([15.0, 10.0, 12.0, 11.0]))))
    assert found["cv"] == pytest.approx(math.sqrt(14 / 3) / 12) and found["spread"] == 0.5 and found["diffp"] == pytest.approx(0.1)
    assert found["rd"] == pytest.approx(1 / math.sqrt(13 / 3))
    assert found["ks"] == pytest.approx(0.75 - 0.4)  # of (0, 0.2, 0.4, 1) the third: three quarters of the bids lie up to it, evenly spread there would be 0.4
    b = [10.0, 11.0, 12.0, 15.0]
    assert found["skewness"] == pytest.approx(skew(b, bias=False)) and found["kurtosis"] == pytest.approx(kurtosis(b, bias=False))


def test_screens_are_of_each_round_and_know_no_unit():
    bids = np.random.default_rng(0).random((7, 5)) + 1
    assert screens.screens(bids) == pytest.approx(np.array([screens.screens(b) for b in bids]))
    assert screens.screens(bids * 1000) == pytest.approx(screens.screens(bids))


def test_equal_bids_and_three_bidders_are_defined():
    assert screens.screens(np.ones(4)).tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert np.isfinite(screens.screens(np.array([[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]]))).all()


def test_the_closest_three_are_a_sub_group():
    rng = np.random.default_rng(1)
    bids = np.hstack([1 + 0.001 * rng.random((20, 3)), 1 + rng.random((20, 2))])
    least, _, greatest = screens.groups(bids)
    assert least[0] < 0.001 and greatest[0] > 0.1


# ---- turns -------------------------------------------------------------------------------------------------------------


def test_how_long_ago_each_won():
    assert screens.since([1, 0, -1, 1], 2).tolist() == [[1, 1], [1, 0.5], [0.5, 1], [1, 1.5]]


def test_who_takes_turns_is_foretold_and_chance_is_not():
    rng = np.random.default_rng(2)
    turns, chance = [t % 3 for t in range(60)], rng.integers(0, 3, 60).tolist()
    none = np.zeros((60, 3, 0))
    assert screens.logit_gain(turns, none, screens.since(turns, 3)[..., None]) > 0.8 * math.log(3)
    assert screens.logit_gain(chance, none, screens.since(chance, 3)[..., None]) < 0.06
    assert screens.logit_gain([-1, -1], none[:2], none[:2]) == 0


def test_the_logit_of_two_is_the_logistic_regression_of_their_difference():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4000, 2, 1))
    won = (rng.random(4000) < 1 / (1 + np.exp(-(x[:, 1, 0] - x[:, 0, 0])))).astype(int)
    d = x[:, 1, 0] - x[:, 0, 0]
    best = max(-np.log1p(np.exp(-np.where(won == 1, 1, -1) * w * d)).mean() for w in np.linspace(0.8, 1.2, 81))
    assert screens.logit_gain(won.tolist(), np.zeros((4000, 2, 0)), x) == pytest.approx(best + math.log(2), abs=2e-4)


# ---- Bajari and Ye -----------------------------------------------------------------------------------------------------


def test_bids_by_rule_are_independent_and_exchangeable_and_a_ring_s_are_not():
    rng = np.random.default_rng(4)
    costs, top = rng.random((200, 4)), np.ones(200)
    bids = costs + (1 - costs) / 4 + 0.02 * rng.standard_normal((200, 4))
    z = screens.independence(bids, costs, top)
    assert np.abs(z).max() < 3.5 and screens.exchangeability(bids, costs, top) < 2
    ring = bids.copy()
    ring[:, :2] = 0.97 + 0.02 * rng.standard_normal((200, 1)) + 0.005 * rng.standard_normal((200, 2))
    assert screens.independence(ring, costs, top)[0, 1] > 10 and screens.exchangeability(ring, costs, top) > 10
    assert not np.isnan(screens.independence(np.ones((30, 3)), costs[:30, :3], top[:30])).any()


# ---- learned weights ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def games():
    return screen_bench.games(("honest", "ring"), 500_000, 12)


def test_rings_are_told_from_honest_auctions_of_other_seeds(games):
    train, test = [g for g in games if g[1] < 500_008], [g for g in games if g[1] >= 500_008]
    ring = screen_bench.learned(train, "a test")
    odds = {(kind, seed): ring.odds(screens.features(market)) for kind, seed, market in test}
    assert min(v for (kind, _), v in odds.items() if kind == "ring") > max(v for (kind, _), v in odds.items() if kind == "honest")
    with pytest.raises(AnalysisError, match="of one kind"):
        screen_bench.learned([g for g in train if g[0] == "ring"], "")


def test_weights_are_kept_as_they_are_and_others_are_refused(games, tmp_path):
    ring = screen_bench.learned(games, "a test")
    path = tmp_path / "ring.json"
    screens.write(ring, path)
    assert screens.read(path) == ring
    for change, why in (({"world": "diplomacy"}, "learned in 'diplomacy'"), ({"v": 9}, "version 9"), ({"weight": [1.0]}, "unlike length"), ({"scale": None}, "no weights"), ({"threshold": "NaN"}, "no weights")):
        other = tmp_path / f"{next(iter(change))}.json"
        other.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(AnalysisError, match=why):
            screens.read(other)
    with pytest.raises(AnalysisError, match="cannot be read"):
        screens.read(tmp_path / "none.json")
    assert replace(ring, offset=ring.offset + 1).odds(screens.features(games[0][2])) == pytest.approx(ring.odds(screens.features(games[0][2])) + 1)


# ---- of a run ----------------------------------------------------------------------------------------------------------


def test_a_ring_s_run_is_more_suspicious_than_its_honest_twin_by_how_still_its_bids_are():
    honest, ring = ({(s.measure, s.who): s.value for s in screens.scores(auction(plant=plant, sellers=3))} for plant in (False, True))
    assert ring["still bids", ()] > honest["still bids", ()]
    assert {"rotation", "turns", "bajari-ye independence", "bajari-ye exchangeability"} <= {measure for measure, _ in ring}
    assert not any(math.isnan(v) for v in (*honest.values(), *ring.values()))


def test_prices_two_bidders_and_a_short_auction_say_nothing():
    assert screens.scores(auction("", None, mode="prices", noise=0.0, alike=0.0, hide=0.0)) == []
    assert screens.scores(auction("", None, sellers=2)) == [] == screens.scores(auction("", None, rounds=4))


def test_the_ring_hides_as_far_as_it_is_told_and_nobody_in_it_bids_below_its_cost():
    from analysis.series import series

    found = series(auction(plant=True, sellers=3, noise=0.0, hide=0.3, rounds=60))
    first = 5  # the plan begins in the sixth round
    share = (found.asked / found.shock[:, None])[first:]
    assert (share.min(1) >= 0.97 * 0.7 - 1e-3).all() and share.max() <= 1.28 and share.min(1).std() > 0.05
    assert (found.asked >= found.costs - 1e-9)[first:].all()
