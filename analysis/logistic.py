"""A logistic regression that may be forbidden to hold more of a thing in an agent's favour, as a value and as JSON.

P(y) = 1 / (1 + exp(-(weights · (x - mean) / scale + bias))), by least mean log loss + penalty · |weights|² (Hastie, Tibshirani & Friedman 2009, 4.4.4
and 18.4). Bounds are what scikit-learn's own regression lacks, so the optimum is found by SciPy's L-BFGS-B (Byrd et al. 1995), which takes them;
without bounds the two agree. Letters: N rows, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
MOST = 1e6  # of any number of a model that is read: beyond it one feature would settle everything
NEVER = 1e-5  # a spread below which a feature never varied: it weighs nothing elsewhere


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """What was learned. `free`: so many of the last features may have had weights of any sign, the others none below 0."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    free: int = 0

    def logit(self, x: ArrayLike) -> Floats:
        """[…] log odds of features […, F]."""
        z = (np.asarray(x, dtype=float) - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(z @ np.array(self.weights) + self.bias)


def fit(
    x: Floats, y: Sequence[bool] | NDArray[np.bool_], names: Sequence[str], *, penalty: float, group: Sequence[str] | None = None, free: int = 0, standardise: bool = True,
) -> Logistic:  # fmt: skip
    """From rows [N, F] of both kinds, which count the same (within each `group` the same, and every group the same). `standardise`: features are
    taken in units of their own spread first; else they have units already. Raises ValueError for one kind only, or rows that are not finite."""
    from scipy.optimize import minimize

    of, is_one = np.array(["all"] * len(x) if group is None else list(group)), np.array(y, dtype=bool)
    if x.ndim != 2 or x.shape[1] != len(names) or not len(x) == len(is_one) == len(of) or not np.isfinite(x).all():
        raise ValueError(f"features of shape {x.shape} for {len(is_one)} rows; expected a finite row of {len(names)} for each")
    if is_one.all() or not is_one.any():
        raise ValueError(f"{int(is_one.sum())} positives among {len(is_one)} rows; a regression is learned from both kinds")
    share = np.array([1.0 / int(((of == g) & (is_one == v)).sum()) for g, v in zip(of, is_one, strict=True)])
    share /= share.sum()
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if standardise:
        mean = np.average(x, axis=0, weights=share)
        spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=share))
        scale = np.where(spread > NEVER, spread, 1.0)
    z, sign = (x - mean) / scale, np.where(is_one, 1.0, -1.0)

    def loss(b: Floats) -> tuple[float, Floats]:
        margin = sign * (z @ b[:-1] + b[-1])
        slope = -sign * share / (1 + np.exp(np.clip(margin, -500, 500)))
        return float(share @ np.logaddexp(0, -margin) + penalty * b[:-1] @ b[:-1]), np.append(slope @ z + 2 * penalty * b[:-1], slope.sum())

    bounds = [(0.0, None)] * (x.shape[1] - free) + [(None, None)] * (free + 1)
    best = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B").x
    rounded = [tuple(round(float(v), 6) for v in values) for values in (mean, scale, best[:-1])]
    return Logistic(names=tuple(names), mean=rounded[0], scale=rounded[1], weights=rounded[2], bias=round(float(best[-1]), 6), free=free)


def as_json(of: Logistic) -> dict[str, Any]:
    """Plain lists and numbers."""
    return {"names": list(of.names), "mean": list(of.mean), "scale": list(of.scale), "weights": list(of.weights), "bias": of.bias, "free": of.free}


def from_json(told: Mapping[str, Any], known: Sequence[str]) -> Logistic:
    """What `as_json` gave, if its features are among these, each once. Raises ValueError in words for anything else."""
    if not isinstance(told, Mapping):
        raise ValueError(f"a {type(told).__name__} where a regression should be")
    if missing := sorted({"names", "mean", "scale", "weights", "bias", "free"} - set(told)):
        raise ValueError(f"lacks {', '.join(missing)}")
    names, free = told["names"], told["free"]
    if not isinstance(names, list) or len(set(map(str, names))) != len(names) or not set(map(str, names)) <= set(known):
        raise ValueError("names features that this version does not have, or one twice")
    if not isinstance(free, int) or isinstance(free, bool) or not 0 <= free <= len(names):
        raise ValueError(f"free is {free!r:.20}; expected a number of its features")
    rows = {key: told[key] if isinstance(told[key], list) else [] for key in ("mean", "scale", "weights")}
    for key, row in (*rows.items(), ("bias", [told["bias"]])):
        if len(row) != (1 if key == "bias" else len(names)):
            raise ValueError(f"{key}: {len(row)} numbers for {len(names)} features")
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not abs(v) <= MOST for v in row):
            raise ValueError(f"{key}: expected numbers up to {MOST:g}")
    if any(v <= 0 for v in rows["scale"]):
        raise ValueError("scale: expected numbers above 0")
    if any(v < 0 for v in rows["weights"][: len(names) - free]):
        raise ValueError("weights: a weight below 0, which no fit gives")
    numbers = {key: tuple(float(v) for v in row) for key, row in rows.items()}
    return Logistic(names=tuple(map(str, names)), **numbers, bias=float(told["bias"]), free=free)
