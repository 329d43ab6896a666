"""Intervals. The unit of inference is the game, never the message (a game's messages are not independent)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; `low` and `high` are NaN where fewer than two units leave nothing to resample."""

    mean: float
    low: float
    high: float
    units: int
    level: float = 0.95


def paired_bootstrap(first: Sequence[float], second: Sequence[float], rng: np.random.Generator, *, resamples: int = 10_000, level: float = 0.95) -> Interval:
    """Mean of first − second over paired units, with the percentile bootstrap interval (Efron 1979) from whole pairs resampled.

    Raises ValueError for lists of different length, none at all, or a value that is not finite.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(f"a paired comparison needs two lists of the same length, got {one.shape} and {other.shape}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a paired comparison needs finite values; leave out units that were not measured in both ways")
    differences = one - other
    if len(differences) == 1:
        return Interval(float(differences[0]), float("nan"), float("nan"), 1, level)
    means = differences[rng.integers(len(differences), size=(resamples, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(differences.mean()), float(low), float(high), len(differences), level)
