"""Q-learning sellers, trained outside the log and then played frozen (Calvano et al., AER 2020).

Each of two or more sellers sees all prices of the last round and keeps a value for every (those prices, own price). It tries a price
at random with probability exp(-decay t), else takes the best known one, and learns

    Q(s, p) ← (1 - rate) Q(s, p) + rate (profit + discount max Q(s', ·)).

Training ends when no seller's best price in any state has changed for `settled` rounds in a row, or after `most` rounds. Many
sessions, each with a stream of chance of its own, are trained side by side; what one learns depends on nobody beside it.

    python -m scenarios.market.learning FILE [--sessions 100] [--sellers 2] [--seed 0]    writes the strategies, prints the profit gain

Letters in shapes: B sessions, n sellers, G prices, S = G^n states.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from scenarios.market.demand import Demand, Floats, profit_gain

Ints = NDArray[np.int64]
BLOCK = 4096  # rounds whose chance is drawn at once


@dataclass(frozen=True)
class Learning:
    """Calvano's baseline is rate 0.15 and decay 4e-6, in which a session takes about 850,000 rounds; a faster decay explores less."""

    rate: float = 0.15
    decay: float = 2e-5
    discount: float = 0.95
    prices: int = 15
    settled: int = 100_000
    most: int = 3_000_000


@dataclass(frozen=True)
class Strategies:
    """What was learned: the index of the price to set after each state [B, n, S] (states: last prices, the first seller's the leading
    digit), the prices [G], the rounds each session took [B], and whether it settled."""

    answer: NDArray[np.uint8]
    prices: Floats
    rounds: Ints
    settled: NDArray[np.bool_]


def first_values(demand: Demand, prices: Floats, discount: float) -> Floats:
    """Q at the start [n, G]: what a price earns on the average against rivals who set theirs at random, for ever."""
    n, G = demand.sellers, len(prices)
    grid = np.stack(np.meshgrid(*[prices] * n, indexing="ij"), -1).reshape(-1, n)
    profit = demand.profits(grid).reshape(*[G] * n, n)
    return np.stack([profit[..., i].mean(tuple(j for j in range(n) if j != i)) for i in range(n)]) / (1 - discount)


def learn(demand: Demand, how: Learning, seed: int, sessions: int) -> Strategies:
    """Train. Two calls with one seed agree session by session, however many there are."""
    prices = demand.grid(how.prices)
    n, G = demand.sellers, len(prices)
    if G**n > 100_000:
        raise ValueError(f"{G} prices and {n} sellers make {G**n} states; expected at most 100,000: fewer sellers, or fewer prices")
    S, digits = G**n, G ** np.arange(n - 1, -1, -1)
    profit_SN = demand.profits(np.stack(np.meshgrid(*[prices] * n, indexing="ij"), -1).reshape(-1, n))
    Q = np.broadcast_to(first_values(demand, prices, how.discount)[None, :, None, :], (sessions, n, S, G)).copy()
    answer = Q.argmax(-1).astype(np.uint8)
    streams = [np.random.default_rng([seed, b]) for b in range(sessions)]
    state = np.array([int(r.integers(S)) for r in streams])
    calm, rounds = np.zeros(sessions, np.int64), np.zeros(sessions, np.int64)  # calm: rounds since a best price changed
    live = np.arange(sessions)  # sessions that still learn
    out = answer.copy()
    t = 0
    while len(live) and t < how.most:
        explore_T = np.exp(-how.decay * np.arange(t, t + BLOCK))
        drawn = [(streams[b].random((BLOCK, n)), streams[b].integers(0, G, (BLOCK, n), dtype=np.uint8)) for b in live]
        tries_TBN = np.stack([d[0] for d in drawn], 1) < explore_T[:, None, None]
        random_TBN = np.stack([d[1] for d in drawn], 1)
        values = _Values(Q, answer, state, calm)
        for tries_BN, random_BN in zip(tries_TBN, random_TBN, strict=True):
            values.round(profit_SN, digits, tries_BN, random_BN, how)
        t += BLOCK
        rounds[live], out[live] = t, answer
        if (keep := calm < how.settled).sum() < len(live):
            live, Q, answer, state, calm = live[keep], Q[keep], answer[keep], state[keep], calm[keep]
    settled = np.ones(sessions, bool)
    settled[live] = False
    return Strategies(out, prices, rounds, settled)


@dataclass(frozen=True, eq=False)
class _Values:
    """Where the sessions that still learn stand; its arrays change with every round."""

    Q: Floats  # [B, n, S, G]
    answer: NDArray[np.uint8]  # [B, n, S], the best of Q
    state: Ints  # [B]
    calm: Ints  # [B]

    def round(self, profit_SN: Floats, digits: Ints, tries_BN: NDArray[np.bool_], random_BN: NDArray[np.uint8], how: Learning) -> None:
        """One round of all sessions."""
        B, n = random_BN.shape
        b, i, at = np.arange(B)[:, None], np.arange(n)[None, :], self.state[:, None].copy()
        best = self.answer[b, i, at]
        chosen = np.where(tries_BN, random_BN, best)
        self.state[:] = chosen @ digits
        after = self.state[:, None]
        worth = profit_SN[self.state] + how.discount * self.Q[b, i, after, self.answer[b, i, after]]
        self.Q[b, i, at, chosen] += how.rate * (worth - self.Q[b, i, at, chosen])
        new = self.Q[b, i, at].argmax(-1)
        self.answer[b, i, at] = new
        self.calm[:] += 1
        self.calm[(new != best).any(1)] = 0


# ---- what was learned, played ------------------------------------------------------------------------------------------


def played(strategies: Strategies, start: Ints, rounds: int) -> Ints:
    """Indices of the prices [rounds, B, n] that frozen strategies set, from the states `start` [B]."""
    B, n, _ = strategies.answer.shape
    digits = len(strategies.prices) ** np.arange(n - 1, -1, -1)
    state, out = np.array(start), np.zeros((rounds, B, n), np.int64)
    for t in range(rounds):
        out[t] = strategies.answer[np.arange(B)[:, None], np.arange(n)[None, :], state[:, None]]
        state = out[t] @ digits
    return out


def gains(demand: Demand, strategies: Strategies, rounds: int = 1000) -> Floats:
    """Profit gain of every session [B] in the cycle it ends in: the second half of `rounds`."""
    index = played(strategies, np.zeros(len(strategies.answer), np.int64), rounds)[rounds // 2 :]
    profit = demand.profits(strategies.prices[index])
    return np.array([profit_gain(demand, profit[:, b]) for b in range(profit.shape[1])])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.market.learning", description="Train Q-learning sellers and write what they learned.")
    parser.add_argument("file", type=Path)
    for name, usual in (("sessions", 100), ("sellers", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--decay", type=float, default=Learning.decay, help="of exploration; Calvano's baseline is 4e-6, five times as long")
    given = parser.parse_args()
    demand, how = Demand((2.0,) * given.sellers, (1.0,) * given.sellers), Learning(decay=given.decay)
    found = learn(demand, how, given.seed, given.sessions)
    what = {"learning": asdict(how), "demand": asdict(demand), "seed": given.seed}
    save_file({"answer": found.answer, "prices": found.prices, "rounds": found.rounds, "settled": found.settled}, given.file, {"made": json.dumps(what)})
    gain = gains(demand, found)
    print(f"{given.sessions} sessions, {int(found.settled.sum())} settled after {int(np.median(found.rounds))} rounds (median)")
    print(f"profit gain {gain.mean():.3f}, 5th to 95th percentile of sessions {np.quantile(gain, 0.05):.3f} to {np.quantile(gain, 0.95):.3f}")


if __name__ == "__main__":
    main()
