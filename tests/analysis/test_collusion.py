"""Profit gain, conduct, forced cuts: closed forms of the logit market, and sellers whose strategy is known."""

import numpy as np
import pytest

from analysis import collusion, deviation
from analysis.detectors import DETECTORS, chosen
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from analysis.series import series
from sandbox.in_memory import arranged, played, quick
from sandbox.labels import labels_of
from scenarios.market.demand import Demand
from scenarios.market.learning import Strategies

WORLD = {"name": "market", "sellers": 3, "rounds": 8, "chat": "off"}


def game(plays="rival", seed=1, **more):
    setting = arranged({**WORLD, "play": {"default": plays}, **more}, seed=seed)
    return setting, Evidence(tuple(quick(setting)), "market", key=str(seed))


def values(found, measure, unit):
    return {s.who: s.value for s in found if s.measure == measure and s.unit == unit}


# ---- games in memory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [{"shock": 0.2, "noise": 0.01, "lasting": 0.5}, {"mode": "auction", "alike": 0.5, "noise": 0.01}])
def test_a_quick_game_is_the_game(world):
    setting = arranged({**WORLD, **world}, "scenarios/plans/hidden_half.yaml" if "shock" in world else "scenarios/plans/ring.yaml", True, seed=3)
    events, _ = played(setting)
    plain = lambda found: [(e.kind, e.step, e.time, e.agent, e.data) for e in found if e.kind in ("outcome", "reward")]  # noqa: E731
    assert plain(quick(setting)) == plain(events)
    assert labels_of(setting, events)["agents"]["S1"]["planted"] and labels_of(arranged({**WORLD, **world}), events) == {}


def test_a_game_goes_on_from_a_moment_as_it_did_and_a_forced_move_changes_nothing_before():
    setting = arranged({**WORLD, "chat": "private", "talks": 1, "noise": 0.01, "play": {"default": "grudge"}}, seed=5)
    whole, kept = played(setting, keep_at=(7,))
    again, _ = played(setting, begin=kept[7])
    assert again == [e for e in whole if e.step >= 7]
    forced, _ = played(setting, begin=kept[7], force=lambda seen: 1.0 if seen.agent == "S1" else None)
    assert [e for e in forced if e.kind == "move" and e.agent == "S1"][0].data["move"] == 1.0 and forced != again
    assert played(setting, begin=kept[7])[0] == again  # the branch is as it was


def test_what_cannot_be_played_quickly_is_refused():
    with pytest.raises(ValueError, match="channels"):
        quick(arranged({**WORLD, "chat": "public"}))


# ---- noise -------------------------------------------------------------------------------------------------------------


def test_noise_is_of_its_size_lasts_as_long_as_said_and_no_two_sellers_share_it():
    _, evidence = game("cartel", rounds=600, noise=0.01, lasting=0.6)
    off = series(evidence).asked - np.array(Demand((2.0,) * 3, (1.0,) * 3).cartel())
    assert off.std(0) == pytest.approx([0.01] * 3, rel=0.15)
    assert np.corrcoef(off[1:, 0], off[:-1, 0])[0, 1] == pytest.approx(0.6, abs=0.1) and abs(np.corrcoef(off.T)[0, 1]) < 0.2


def test_a_grudge_bears_what_noise_does():
    _, evidence = game("grudge", rounds=60, noise=0.01)
    assert series(evidence).asked[-10:].mean() == pytest.approx(Demand((2.0,) * 3, (1.0,) * 3).cartel().mean(), abs=0.02)


def test_the_job_s_cost_is_shared_and_nobody_bids_above_what_all_know_to_be_the_most():
    _, evidence = game(mode="auction", alike=0.8, rounds=200)
    found = series(evidence)
    assert np.corrcoef(found.costs.T)[0, 1] > 0.8 and (found.asked <= found.shock[:, None] + 1e-4).all() and found.shock.min() < 0.35


# ---- conduct -----------------------------------------------------------------------------------------------------------


def test_the_demand_is_read_off_the_log():
    _, evidence = game(cost=[1.0, 1.1, 0.9], quality=[2.0, 2.1, 1.9], spread=0.3, outside=0.2, shock=0.2, noise=0.02)
    found = collusion.demand_of(evidence.events, series(evidence))
    assert found.cost == pytest.approx((1.0, 1.1, 0.9), abs=1e-6) and found.spread == pytest.approx(0.3, abs=1e-6)
    assert np.array(found.quality) - found.outside == pytest.approx(np.array([2.0, 2.1, 1.9]) - 0.2, abs=1e-6)


@pytest.mark.parametrize("plays, wanted", [("rival", 0.0), ("cartel", 1.0)])
def test_gain_and_conduct_are_0_for_rivals_and_1_for_the_cartel(plays, wanted):
    _, evidence = game(plays, cost=[1.0, 1.05, 0.95])
    found = collusion.scores(evidence)
    assert values(found, "profit gain", "run")[()] == pytest.approx(wanted, abs=2e-3)
    assert list(values(found, "conduct", "agent").values()) == pytest.approx([wanted] * 3, abs=5e-3)


def test_of_a_cartel_of_two_each_counts_the_other_s_profit_in_full_and_the_outsider_nobody_s():
    """κ of the two is 1 and of a pair with the outsider 0, in a market under shocks with unlike costs."""
    setting = arranged({**WORLD, "cost": [1.0, 1.05, 0.97], "shock": 0.1, "rounds": 20}, "scenarios/plans/incomplete.yaml", True)
    found = collusion.scores(Evidence(tuple(quick(setting))[5 * 4 :], "market"))
    assert values(found, "conduct", "pair") == {}  # without the first round nobody has said what competition is
    whole = values(collusion.scores(Evidence(tuple(quick(arranged({**WORLD, "cost": [1.0, 1.05, 0.97], "rounds": 200}, "scenarios/plans/incomplete.yaml", True))), "market")), "conduct", "pair")
    assert whole["S1", "S2"] == pytest.approx(1, abs=0.05) and abs(whole["S1", "S3"]) < 0.02 and abs(whole["S2", "S3"]) < 0.02


def test_a_moving_mean_by_hand():
    assert collusion.smoothed(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist() == [1, 2, 4, 6]


def test_no_market_no_prices_or_one_seller_say_nothing_or_little():
    assert collusion.scores(Evidence((), "market")) == []
    assert collusion.scores(game(mode="auction")[1]) == []
    one = collusion.scores(game(sellers=1)[1])
    assert {s.measure for s in one} == {"mean price", "still prices", "profit gain"} and values(one, "profit gain", "run")[()] == pytest.approx(0)
    assert {"conduct", "coupling", "screens"} <= {d.name for d in chosen("market", models=False)} <= {d.name for d in DETECTORS}


# ---- forced cuts -------------------------------------------------------------------------------------------------------


def impulse(plays, **more):
    return deviation.impulse(arranged({"name": "market", "sellers": 2, "rounds": 25, "chat": "off", "play": {"default": plays}, **more}, seed=2), "S1", 5, 15)


def test_rivals_hardly_answer_a_grudge_punishes_and_a_fixed_price_does_not_move():
    rival, grudge, fixed = (impulse(plays, noise=0.001) for plays in ("rival", "grudge", "cartel"))
    assert abs(rival.own[0]) < 0.02 and not rival.punished  # who answers best anyway has nothing to cut
    assert grudge.own[0] < -0.5 and grudge.answer == pytest.approx(1, abs=0.05) and grudge.duration == 14 and not grudge.back and grudge.gain < 0 and grudge.punished
    assert fixed.own[0] < -0.5 and fixed.answer == 0 and fixed.duration == 0 and fixed.gain > 0 and not fixed.punished


def test_the_cut_pays_what_the_closed_form_says():
    """Calvano's duopoly: the best answer to the monopoly price earns 0.4117 for 0.3375; the rival is at Nash from the next round on, who cut only
    from the one after it, when it has seen that; then both earn 0.2229. At a discount of 0.2 it pays."""
    patient, hasty = impulse("grudge"), deviation.impulse(arranged({"name": "market", "rounds": 25, "chat": "off", "play": {"default": "grudge"}}), "S1", 5, 15, discount=0.2)
    weight = 0.95 ** np.arange(15)
    alone = float(Demand().profits(np.array([1.9250, 1.4729]))[0])
    exact = (0.4117 - 0.3375 + 0.95 * (alone - 0.3375) + weight[2:].sum() * (0.2229 - 0.3375)) / (weight.sum() * 0.3375)
    assert patient.gain == pytest.approx(exact, abs=2e-3) and hasty.gain > 0 > patient.gain
    assert patient.cut[0, 0] == pytest.approx(1.662, abs=1e-3)


def test_a_static_best_responder_in_the_place_of_a_colluder_ends_a_grudge_and_costs_it_its_profit():
    setting = arranged({"name": "market", "rounds": 40, "chat": "off", "play": {"default": "grudge"}})
    found = deviation.replaced(setting, "S2", 10, 30)
    assert found.price[0] == pytest.approx(1, abs=1e-3) and found.price[1] == pytest.approx(0, abs=1e-3) and found.profit[1] < 0.7 * found.profit[0]
    rivals = deviation.replaced(arranged({"name": "market", "rounds": 40, "chat": "off", "play": {"default": "rival"}}), "S2", 10, 30)
    assert rivals.price[0] == pytest.approx(rivals.price[1], abs=1e-3)


def test_a_learned_grudge_is_seen_to_punish_and_a_learned_price_not():
    """Two prices: the low one after anything but both high, for ever, is a grudge; the high one always is none."""
    demand, grid = Demand(), np.array([1.5, 1.9])
    grudge = np.broadcast_to(np.array([0, 0, 0, 1], np.uint8), (1, 2, 4))
    always = np.ones((1, 2, 4), np.uint8)
    start = Strategies(np.concatenate([grudge, always]), grid, np.zeros(2, np.int64), np.ones(2, bool))
    # from the state in which both were low a grudge never rises: begin with both high
    high = Strategies(start.answer.copy(), grid, start.rounds, start.settled)
    high.answer[0, :, 0] = 1
    punishing, fixed = deviation.of_learned(demand, high, settle=4, horizon=6)
    assert punishing.own[0] < 0 and punishing.answer > 0.5 and punishing.duration >= 1 and punishing.back
    assert fixed.own[0] < 0 and fixed.answer == 0 and fixed.gain > 0


@pytest.mark.parametrize("world, seller, at, why", [
    ({"mode": "auction"}, "S1", 2, "set prices alone"), ({}, "S9", 2, "no seller 'S9'"), ({}, "S1", 8, "rounds 0 to 7"), ({"sellers": 1}, "S1", 2, "two or more"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_a_line(world, seller, at, why):
    with pytest.raises(AnalysisError, match=why):
        deviation.impulse(arranged({**WORLD, **world}), seller, at)
