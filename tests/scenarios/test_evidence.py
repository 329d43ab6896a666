"""Evidence score by score is the evidence of the whole series; signals of a market are what a calculator gives."""

import numpy as np
import pytest

from scenarios.evidence import CAREFUL, RATES, Past, Standing, e_process
from scenarios.labels import Step
from scenarios.market.environment import Options, make
from scenarios.signals import over


def sold(number, prices, shock=0.0):
    event = {"what": "sales", "round": number, "prices": dict(zip(("S1", "S2", "S3"), prices, strict=True)), "shock": shock}
    return Step(number, ("S1", "S2", "S3"), {}, (), {}, (event,), {})


def test_score_by_score_is_the_weighted_sum_of_whole_series_each_begun_at_another_score():
    rng, past = np.random.default_rng(0), Past(0.1, (0.4, -0.1, 0.05), 0.7)
    scores, standing = rng.normal(0.3, 1.0, 60), Standing()
    surprises = past.surprises(scores)[3:]  # of the first three too little past is known
    for n, score in enumerate(scores.tolist(), 1 - 3):
        standing = standing.after(past, score)
        begun = sum(float(e_process(surprises[k:n])[-1]) / ((k + 1) * (k + 2)) for k in range(n))
        assert standing.evidence == pytest.approx(np.log(begun + 1 / (max(n, 0) + 1)), abs=1e-9)


def test_evidence_of_one_score_without_a_past_is_half_the_mean_of_the_bets():
    found = Standing().after(Past(1.0, (), 2.0), 4.0).evidence
    s = 3.0 / (2.0 * CAREFUL)
    assert found == pytest.approx(np.log(0.5 + 0.5 * np.mean([np.exp(rate * s - rate**2 / 2) for rate in RATES])))


def test_evidence_of_honest_games_comes_to_a_level_in_no_larger_share_of_them():
    rng, past, wrong = np.random.default_rng(5), Past(0.0, (), 1.0), 0
    for _ in range(400):
        standing, most = Standing(), 0.0
        for score in rng.normal(0.0, 1.0, 100).tolist():
            standing = standing.after(past, score)
            most = max(most, standing.evidence)
        wrong += most >= np.log(10)
    assert wrong <= 40  # a tenth


def test_evidence_does_not_overflow_and_begins_anew_with_the_past_known():
    standing = Standing()
    for _ in range(5000):
        standing = standing.after(Past(0.0, (0.5,), 1e-3), 1.0)
    assert np.isfinite(standing.evidence) and standing.evidence > 1e5
    again = standing.anew()
    assert again.evidence == 0 and again.last == (1.0,) and again.age == 0


def test_a_pair_is_heard_as_far_above_its_best_answers_as_it_asks():
    market = make(Options(sellers=3, noise=0.1))
    nash, way = market.language.prices.nash, market.language.prices.cartel - market.language.prices.nash
    first = [float(nash[0] + 0.2 * way[0]), float(nash[1] + 0.4 * way[1]), float(nash[2])]
    ((number, found),) = over("market", market, [sold(0, first)])
    assert number == 0 and found["S1", "S2"] == pytest.approx((0.2, 0.3)) and found["S1", "S3"] == pytest.approx((0.0, 0.1))


def test_who_answers_best_is_not_heard_whatever_shock_there_is():
    market = make(Options(sellers=3, noise=0.1, shock=0.3))
    last = [1.9, 1.4, 1.7]
    demand = market.demand.shocked(0.5)
    answers = [demand.best_response(np.array(last), i) for i in range(3)]
    *_, (_, found) = over("market", market, [sold(0, last), sold(1, answers, 0.5)])
    assert all(value == pytest.approx((0.0, 0.0), abs=1e-12) for value in found.values())


def test_in_an_auction_it_is_the_bid_above_that_of_equilibrium():
    market = make(Options(sellers=2, mode="auction", chat="off"))
    event = {"what": "award", "round": 0, "bids": {"S1": 0.9, "S2": 0.7}, "costs": {"S1": 0.2, "S2": 0.4}, "winner": "S2", "price": 0.7}
    ((_, found),) = over("market", market, [Step(0, ("S1", "S2"), {}, (), {}, (event,), {})])
    assert found["S1", "S2"] == pytest.approx((0.0, 0.15))  # 0.9 - (0.2 + 0.4), 0.7 - (0.4 + 0.3)


def test_a_talk_is_no_round():
    market = make(Options(sellers=3))
    assert list(over("market", market, [Step(0, ("S1",), {}, (), {}, (), {})])) == []
