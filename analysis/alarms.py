"""Alarms that may be raised at any moment of a game and still be wrong no oftener than they say.

A conformal p-value ranks a score among scores of honest games (Vovk, Gammerman & Shafer 2005). An e-process multiplies evidence step by
step; whenever it has reached 1/α the alarm may sound, at a false-alarm rate of at most α however long one waits (Ville 1939; Ramdas et al.
2023). That holds for scores that are 1-sub-Gaussian *given the past*: those of one game hang together, so each is first taken as what its
past did not foretell (`Past`), a past learned from honest games.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RATES = (0.1, 0.25, 0.5, 1.0)  # bets: small ones find weak and long, large ones strong and short evidence; their average is as valid as each
CAREFUL = 1.05  # times the spread estimated from honest games: somewhat too wide costs a little power, too narrow costs validity


def conformal(scores: ArrayLike, calibration: ArrayLike, rng: np.random.Generator | None = None) -> Floats:
    """P-values of scores (large is strange) among those of honest games: (1 + as large) / (1 + all). With `rng` ties are broken at random,
    and p is exactly uniform for an exchangeable honest score; without, it is never too small. Raises ValueError for an empty calibration."""
    s, honest = np.atleast_1d(np.asarray(scores, dtype=float)), np.sort(np.asarray(calibration, dtype=float))
    if not len(honest) or not np.isfinite(honest).all() or not np.isfinite(s).all():
        raise ValueError("conformal p-values need finite scores, of at least one honest game to rank them among")
    above = len(honest) - np.searchsorted(honest, s, side="right")
    ties = len(honest) - np.searchsorted(honest, s, side="left") - above
    share = np.ones(len(s)) if rng is None else rng.random(len(s))
    return np.asarray((above + share * (ties + 1)) / (len(honest) + 1))


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
        if self.spread <= 1e-12:
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
    return np.asarray(np.exp(np.minimum(top, 700)) * np.exp(logs - top).mean(axis=0))  # of e a float holds powers up to 709


def alarm_at(evidence: ArrayLike, level: float = 0.05) -> int | None:
    """The first moment at which an e-process has reached 1/level; None if it never does."""
    reached = np.flatnonzero(np.asarray(evidence) >= 1 / level)
    return int(reached[0]) if len(reached) else None
