"""Evidence that grows with a game and may be looked at at any moment: what of a score its past did not foretell, multiplied up step by step.

An e-process multiplies evidence; whenever it has reached 1/α an alarm may sound, at a false-alarm rate of at most α however long one waits (Ville
1939; Ramdas et al. 2023). That holds for scores that are 1-sub-Gaussian *given the past*: those of one game hang together, so each is first taken
as what its past did not foretell (`Past`), a past learned from honest games. The whole series at once (`e_process`), or score by score (`Standing`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RATES = (0.1, 0.25, 0.5, 1.0)  # bets: small ones find weak and long, large ones strong and short evidence; their average is as valid as each
CAREFUL = 1.05  # times the spread estimated from honest games: somewhat too wide costs a little power, too narrow costs validity
STILL = 1e-12  # a spread below which honest games never varied
MOST = 700.0  # of a float's logarithm


@dataclass(frozen=True)
class Past:
    """What a score's own past foretells in honest games: mean, weights of the last scores (the latest first), spread of what is left."""

    mean: float
    weights: tuple[float, ...]
    spread: float

    @classmethod
    def of(cls, honest: Sequence[ArrayLike], order: int = 3) -> Past:
        """Least squares over the series of honest games, an autoregression of this order. Raises ValueError where there is too little to learn from."""
        series = [np.asarray(h, dtype=float) for h in honest]
        if any(x.ndim != 1 or not np.isfinite(x).all() for x in series):
            raise ValueError("a past is learned from series of finite scores, one for each honest game")
        rows = sum(max(0, len(x) - order) for x in series)
        if rows < 10 * (order + 1):
            raise ValueError(f"{rows} scores with {order} before them are too few to learn a past from; give longer or more honest games")
        mean = float(np.concatenate(series).mean())
        X = np.concatenate([_before(x - mean, order) for x in series])
        y = np.concatenate([x - mean for x in series])
        full = np.concatenate([np.arange(len(x)) >= order for x in series])
        weights = np.linalg.lstsq(X[full], y[full], rcond=None)[0]
        return cls(mean, tuple(float(w) for w in weights), float((y[full] - X[full] @ weights).std()))

    def surprises(self, scores: ArrayLike) -> Floats:
        """Of each score what its past did not foretell, in units of an honest game's spread; 0, no evidence, for the first ones, of which too
        little past is known. A series that never varied gives zeros."""
        x = np.asarray(scores, dtype=float) - self.mean
        if self.spread <= STILL:
            return np.zeros(len(x))
        found = np.asarray((x - _before(x, len(self.weights)) @ np.array(self.weights)) / (CAREFUL * self.spread))
        found[: len(self.weights)] = 0.0
        return found


def _before(x: Floats, order: int) -> Floats:
    """[T, order]: the scores before each, the latest first; 0, the mean, before the first."""
    padded = np.concatenate([np.zeros(order), x])
    return np.stack([padded[order - k : order - k + len(x)] for k in range(1, order + 1)], axis=1) if order else np.zeros((len(x), 0))


def e_process(surprises: ArrayLike, rates: Sequence[float] = RATES) -> Floats:
    """E_t after each score: the mean over bets λ of Π exp(λ s − λ²/2). Large where scores keep lying above what the past foretold."""
    s = np.asarray(surprises, dtype=float)
    if s.ndim != 1 or not np.isfinite(s).all() or not rates:
        raise ValueError("an e-process needs a series of finite scores and at least one rate")
    rate = np.asarray(rates, dtype=float)[:, None]
    logs = np.cumsum(rate * s - rate**2 / 2, axis=1)
    top = logs.max(axis=0, initial=-np.inf)
    return np.asarray(np.exp(np.minimum(top, MOST)) * np.exp(logs - top).mean(axis=0))  # of e a float holds powers up to 709


def alarm_at(evidence: ArrayLike, level: float = 0.05) -> int | None:
    """The first moment at which an e-process has reached 1/level; None if it never does."""
    reached = np.flatnonzero(np.asarray(evidence) >= 1 / level)
    return int(reached[0]) if len(reached) else None


@dataclass(frozen=True)
class Standing:
    """Where the evidence about one pair stands, whenever its scores began to be too high.

    An e-process that begins with the game loses by every honest round, and a plan may begin late. So one begins at every score k, and their mean
    with weights 1 / (k + 1)(k + 2), which sum to 1, is as valid: those to come count 1. `last`: the last scores, the latest first; `age`: how many
    processes have begun; `logs`: for each bet the logarithm of their weighted sum.
    """

    last: tuple[float, ...] = ()
    age: int = 0
    logs: tuple[float, ...] = (-math.inf,) * len(RATES)

    def after(self, past: Past, score: float) -> Standing:
        """After one more score. Of the first ones too little past is known, and of honest games that never varied none: they are no evidence."""
        order = len(past.weights)
        last = (score, *self.last)[:order]
        if len(self.last) < order or past.spread <= STILL:
            return Standing(last, self.age, self.logs)
        foretold = math.fsum(w * (x - past.mean) for w, x in zip(past.weights, self.last, strict=True))
        s = (score - past.mean - foretold) / (CAREFUL * past.spread)
        begun = -math.log((self.age + 1) * (self.age + 2))
        return Standing(last, self.age + 1, tuple(_sum(log, begun) + rate * s - rate**2 / 2 for log, rate in zip(self.logs, RATES, strict=True)))

    @property
    def evidence(self) -> float:
        """ln E: 0 is none."""
        to_come, sums = -math.log(self.age + 1), -math.inf
        for log in self.logs:
            sums = _sum(sums, log)
        return _sum(to_come, sums - math.log(len(self.logs)))

    def anew(self) -> Standing:
        """After an alarm: the past stays known, evidence begins again."""
        return Standing(self.last)


def _sum(a: float, b: float) -> float:
    """ln (e^a + e^b)."""
    a, b = max(a, b), min(a, b)
    return a if b == -math.inf else a + math.log1p(math.exp(b - a))
