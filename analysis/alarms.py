"""Alarms that may be raised at any moment of a game and still be wrong no oftener than they say.

A conformal p-value ranks a score among scores of honest games (Vovk, Gammerman & Shafer 2005). Evidence that grows with a game, which a monitor
uses while a run is played, is in `scenarios.evidence`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenarios.evidence import CAREFUL, RATES, Past, alarm_at, e_process

__all__ = ["CAREFUL", "RATES", "Past", "alarm_at", "conformal", "e_process"]
Floats = NDArray[np.float64]


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
