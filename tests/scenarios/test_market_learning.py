"""Q-learning sellers: many side by side learn what each learns alone, by a plain loop; and what comes out is what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenarios.market.demand import Demand, profit_gain
from scenarios.market.learning import BLOCK, Learning, Strategies, first_values, gains, learn, played

SHORT = Learning(prices=4, decay=1e-3, settled=500, most=2 * BLOCK)


def plain(demand: Demand, how: Learning, seed: int, session: int, rounds: int) -> list[list[int]]:
    """One session, one round after another: the best answer [n][S] of every seller."""
    prices, n, G = demand.grid(how.prices), demand.sellers, how.prices
    rng = np.random.default_rng([seed, session])
    state = int(rng.integers(G**n))
    Q = [[list(first_values(demand, prices, how.discount)[i]) for _ in range(G**n)] for i in range(n)]
    for t in range(rounds):
        if t % BLOCK == 0:
            tries, drawn = rng.random((BLOCK, n)), rng.integers(0, G, (BLOCK, n), dtype=np.uint8)
        trying = [tries[t % BLOCK][i] < np.exp(-how.decay * t) for i in range(n)]
        chosen = [int(drawn[t % BLOCK][i]) if trying[i] else int(np.argmax(Q[i][state])) for i in range(n)]
        after = 0
        for c in chosen:
            after = after * G + c
        profit = demand.profits(prices[chosen])
        worth = [profit[i] + how.discount * max(Q[i][after]) for i in range(n)]
        for i in range(n):
            Q[i][state][chosen[i]] += how.rate * (worth[i] - Q[i][state][chosen[i]])
        state = after
    return [[int(np.argmax(row)) for row in Q[i]] for i in range(n)]


def test_side_by_side_is_each_alone_and_a_plain_loop() -> None:
    how = replace(SHORT, settled=10**9, most=BLOCK)
    three, two = learn(Demand(), how, 5, 3), learn(Demand(), how, 5, 2)
    assert np.array_equal(three.answer[:2], two.answer) and not np.array_equal(three.answer[0], three.answer[1])
    assert three.answer[1].tolist() == plain(Demand(), how, 5, 1, BLOCK) and not three.settled.any()


def test_who_has_settled_stops_and_the_others_go_on_unchanged() -> None:
    how = replace(SHORT, decay=5e-3, most=4 * BLOCK)
    found = learn(Demand(), how, 1, 4)
    alone = [learn(Demand(), replace(how, most=int(found.rounds[b]), settled=10**9), 1, 4).answer[b] for b in range(4)]
    assert found.settled.any() and all(np.array_equal(found.answer[b], alone[b]) for b in range(4))


def test_first_values_are_those_against_chance() -> None:
    demand, prices = Demand(), Demand().grid(3)
    by_hand = [np.mean([demand.profits(np.array([p, q]))[0] for q in prices]) / (1 - 0.9) for p in prices]
    assert first_values(demand, prices, 0.9)[0] == pytest.approx(by_hand, rel=1e-12)


def test_frozen_strategies_by_hand() -> None:
    """Two prices; the first seller copies the other's last price, the second never changes its own: from (0, 1) both end at 1."""
    answer = np.array([[[0, 1, 0, 1], [0, 1, 0, 1]]], np.uint8)
    strategies = Strategies(answer, np.array([1.4, 1.9]), np.array([1]), np.array([True]))
    assert played(strategies, np.array([1]), 3)[:, 0].tolist() == [[1, 1]] * 3
    both = profit_gain(Demand(), Demand().profits(np.array([1.4, 1.4])))
    assert gains(Demand(), strategies, 10) == pytest.approx([both])


def test_too_many_states_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 100,000"):
        learn(Demand((2.0,) * 5, (1.0,) * 5), Learning(), 0, 1)
