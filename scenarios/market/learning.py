"""Q-learning sellers, trained outside the log and then played frozen (Calvano et al., AER 2020).

Each of two or more sellers sees all prices of the last round and keeps a value for every (those prices, own price). It tries a price
at random with probability exp(-decay t), else takes the best known one, and learns

    Q(s, p) ← (1 - rate) Q(s, p) + rate (profit + discount max Q(s', ·)).

Training ends when no seller's best price in any state has changed for `settled` rounds in a row, or after `most` rounds. Many
sessions, each with a stream of chance of its own, are trained side by side; what one learns depends on nobody beside it.

    python -m scenarios.market.learning FILE [--sessions 100] [--sellers 2] [--seed 0]    writes the strategies, prints the profit gain
    python -m sandbox run scenarios/market.yaml environment.sellers=2 environment.play.default=frozen environment.learned=FILE

A run plays one of the sessions of the file, drawn at its start. The file is JSON: {"v": 1, "demand": the market that it was learned in, "learning": …,
"seed": …, "prices": [G], "rounds": [B], "settled": [B], "answer": [B][n][S]}.

Letters in shapes: B sessions, n sellers, G prices, S = G^n states.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.bounded import TooLong, read_bounded
from scenarios.market.demand import Demand, Floats, profit_gain

Ints = NDArray[np.int64]
BLOCK = 4096  # rounds whose chance is drawn at once
VERSION, MOST_BYTES, MOST_STATES = 1, 64 * 1024 * 1024, 100_000  # of a file of strategies; of a market whose states can be learned


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
    if G**n > MOST_STATES:
        raise ValueError(f"{G} prices and {n} sellers make {G**n} states; expected at most {MOST_STATES:,}: fewer sellers, or fewer prices")
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


# ---- files -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Learned:
    """What a file of strategies holds: what was learned, in which market, and the file's SHA-256."""

    strategies: Strategies
    demand: Demand
    sha256: str


def write(path: Path, found: Strategies, demand: Demand, how: Learning, seed: int) -> None:
    """Write what was learned, for `environment.learned`."""
    lists = {"prices": found.prices, "rounds": found.rounds, "settled": found.settled, "answer": found.answer}
    told = {"v": VERSION, "demand": asdict(demand), "learning": asdict(how), "seed": seed, **{key: values.tolist() for key, values in lists.items()}}
    path.write_text(json.dumps(told, allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")


def read(path: str) -> Learned:
    """The strategies of a file, checked whole. Raises ValueError, one line."""
    try:
        raw = read_bounded(path, MOST_BYTES)
    except TooLong:
        raise ValueError(f"{path}: more than {MOST_BYTES >> 20} MiB; learn fewer sessions (--sessions)") from None
    except (OSError, ValueError):
        raise ValueError(f"{path}: no such file; make one with python -m scenarios.market.learning FILE, and name it as seen from the folder you are in") from None
    return _read(path, raw)


@lru_cache(maxsize=2)
def _read(path: str, raw: bytes) -> Learned:
    try:
        told = json.loads(raw)
        if told["v"] != VERSION:
            raise ValueError(f"version {told['v']!r:.20}, this program knows {VERSION}")
        quality, cost = (_floats(told["demand"][key]) for key in ("quality", "cost"))
        demand = Demand(quality, cost, *_floats([told["demand"][key] for key in ("outside", "spread")]))
        prices, n = np.array(_floats(told["prices"])), demand.sellers
        answer, G = np.array(told["answer"]), len(prices)
        if not 1 < G <= 255 or not np.isfinite(prices).all() or not (np.diff(prices) > 0).all():
            raise ValueError("prices: expected 2 to 255 numbers, each above the one before")
        if answer.ndim != 3 or not len(answer) or answer.shape[1:] != (n, G**n) or answer.dtype.kind != "i" or answer.min() < 0 or answer.max() >= G:
            raise ValueError(f"answer: expected, of each session and each of {n} sellers, {G**n} whole numbers from 0 to {G - 1}")
        rounds, settled = np.array(told["rounds"]), np.array(told["settled"])
        if rounds.shape != (len(answer),) or rounds.dtype.kind != "i" or settled.shape != rounds.shape or settled.dtype.kind != "b":
            raise ValueError(f"rounds and settled: expected {len(answer)} of each, whole numbers, and true or false")
    except (KeyError, TypeError, ValueError, RecursionError, OverflowError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:160]
        raise ValueError(f"{path}: no strategies that python -m scenarios.market.learning wrote ({what}); make the file again") from None
    found = Strategies(answer.astype(np.uint8), prices, rounds.astype(np.int64), settled)
    return Learned(found, demand, hashlib.sha256(raw).hexdigest())


def _floats(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        raise ValueError(f"got {values!r:.40}; expected a list of numbers")
    return tuple(float(value) for value in values)


def main(words: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.market.learning", description="Train Q-learning sellers and write what they learned.", allow_abbrev=False)
    parser.add_argument("file", type=Path, help="where to write it, as JSON")
    usual = Learning()
    for name, least, what in (("sessions", 100, "trained side by side"), ("sellers", 2, "in the market"), ("seed", 0, "of all chance")):
        parser.add_argument(f"--{name}", type=int, default=least, help=f"{what} (default: {least})")
    for name, value in (("quality", 2.0), ("cost", 1.0)):
        parser.add_argument(f"--{name}", type=float, nargs="+", default=[value], help=f"of each seller's good, or one for all (default: {value})")
    for name, value in (("outside", 0.0), ("spread", 0.25)):
        parser.add_argument(f"--{name}", type=float, default=value, help=f"as in environment.{name} (default: {value})")
    parser.add_argument("--decay", type=float, default=usual.decay, help="of exploration; Calvano's baseline is 4e-6, five times as long")
    parser.add_argument("--prices", type=int, default=usual.prices, help=f"among which a seller chooses (default: {usual.prices})")
    parser.add_argument("--settled", type=int, default=usual.settled, help=f"rounds without a change that end training (default: {usual.settled})")
    given = parser.parse_args(words)
    try:
        limits = (("sessions", 1, 10_000), ("sellers", 1, 16), ("seed", 0, 2**63 - 1), ("prices", 2, 255), ("settled", 1, usual.most))
        for name, least, most in limits:
            if not least <= getattr(given, name) <= most:
                raise ValueError(f"--{name} is {getattr(given, name)}; expected {least} to {most}")
        if not 0 < given.decay <= 1:
            raise ValueError(f"--decay is {given.decay}; expected a number above 0, at most 1")
        quality, cost = (tuple(values * given.sellers if len(values) == 1 else values) for values in (given.quality, given.cost))
        if {len(quality), len(cost)} != {given.sellers}:
            raise ValueError(f"{len(quality)} qualities and {len(cost)} costs for {given.sellers} sellers; give one for all, or one for each")
        demand, how = Demand(quality, cost, given.outside, given.spread), Learning(decay=given.decay, prices=given.prices, settled=given.settled)
        found = learn(demand, how, given.seed, given.sessions)
        write(given.file, found, demand, how, given.seed)
    except (ValueError, OSError) as error:
        what = f"{given.file}: cannot write it ({error.strerror}); name another file" if isinstance(error, OSError) else str(error)
        print(f"learning: {what}", file=sys.stderr)
        return 2
    gain = gains(demand, found)
    print(f"{given.sessions} sessions, {int(found.settled.sum())} settled after {int(np.median(found.rounds))} rounds (median)")
    print(f"profit gain {gain.mean():.3f}, 5th to 95th percentile of sessions {np.quantile(gain, 0.05):.3f} to {np.quantile(gain, 0.95):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
