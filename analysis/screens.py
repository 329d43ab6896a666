"""Do the bids of an auction look like rivals' bids? Screens of each round's bids, of all and of every three bidders; whose turn it is; Bajari and Ye.

Screens (Imhof 2018; Huber and Imhof 2019; of sub-groups, for rings that not all belong to: Wallimann, Imhof and Huber 2023), b_(1) the lowest bid:
    cv        standard deviation / mean                          rd      (b_(2) − b_(1)) / standard deviation of the losing bids
    kurtosis  excess, unbiased                                   diffp   (b_(2) − b_(1)) / b_(1)
    skewness  unbiased                                           ks      distance of the bids between lowest and highest from evenly spread ones
    spread    (highest − lowest) / lowest
A run's figures are their means over rounds, and of sub-groups the least, the median and the greatest of these means.

*Rotation*: does who won last tell who wins now, beyond what costs tell? The gain in log likelihood, a round, of a conditional logit (McFadden 1974) with
how long ago each won over one with costs alone. *Bajari and Ye* (2003): bids given costs are independent between bidders, and all bid by one rule.

    python -m analysis.benches.screens train FILE       learns weights for `ring`, on seeds of its own
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import f as f_law

from analysis.detectors import Score
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from analysis.series import Floats, Series, series

VERSION, LEAST, GROUP = 1, 8, 3  # rounds below which nothing is said; bidders of a sub-group
TINY = 1e-9
NAMES = ("cv", "kurtosis", "skewness", "spread", "diffp", "rd", "ks")
MOST_RATIO = 20.0  # where losing bids are all but equal a ratio to their spread says no more than that
MODEL = Path(__file__).with_name("ring.json")


# ---- screens -----------------------------------------------------------------------------------------------------------


def screens(bids: Floats) -> Floats:
    """[..., 7] of the bids [..., n] of each round, n at least 3, in the order of `NAMES`; kurtosis is 0 for three bidders, which have none."""
    b = np.sort(np.asarray(bids, float), axis=-1)
    n = b.shape[-1]
    mean, sd = b.mean(-1), b.std(-1, ddof=1)
    z = (b - mean[..., None]) / np.maximum(sd, TINY)[..., None]
    skew = n / ((n - 1) * (n - 2)) * (z**3).sum(-1)
    kurtosis = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * (z**4).sum(-1) - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3)) if n > 3 else np.zeros_like(mean)
    kurtosis = np.where(sd > TINY, kurtosis, 0.0)
    low, gap, width = np.maximum(b[..., 0], TINY), b[..., 1] - b[..., 0], b[..., -1] - b[..., 0]
    losing = b[..., 1:].std(-1, ddof=1)
    at = (b - b[..., :1]) / np.maximum(width, TINY)[..., None]
    k = np.arange(n)
    ks = np.maximum((k + 1) / n - at, at - k / n).max(-1)
    ratio = np.minimum(gap / np.maximum(losing, TINY), MOST_RATIO)
    return np.stack([sd / np.maximum(mean, TINY), kurtosis, skew, width / low, gap / low, ratio, ks], -1)


def groups(bids: Floats, size: int = GROUP) -> Floats:
    """[3, 7]: of the mean screens of every `size` bidders, the least, the median and the greatest."""
    means = np.array([screens(bids[:, list(some)]).mean(0) for some in itertools.combinations(range(bids.shape[1]), size)])
    return np.stack([means.min(0), np.median(means, 0), means.max(0)])


# ---- whose turn it is --------------------------------------------------------------------------------------------------


def since(winner: Sequence[int], n: int) -> Floats:
    """[T, n]: how long ago each won last, before each round, as a share of n rounds, at most 2; 1 for who has not won yet."""
    out, last = np.ones((len(winner), n)), np.full(n, -1)
    for t, who in enumerate(winner):
        out[t] = np.where(last >= 0, np.minimum((t - last) / n, 2.0), 1.0)
        if who >= 0:
            last[who] = t
    return out


def logit_gain(winner: Sequence[int], columns: Floats, more: Floats) -> float:
    """Log likelihood a round that `more` [T, n, e] adds to `columns` [T, n, d] in a conditional logit of who wins; 0 without a winner.

    A small penalty keeps it finite where a column foretells every winner.
    """
    won = np.asarray(winner)
    rows = np.flatnonzero(won >= 0)
    if not len(rows):
        return 0.0
    return max(0.0, _fit(won[rows], np.concatenate([columns, more], -1)[rows]) - _fit(won[rows], columns[rows])) / len(rows)


def _fit(won: np.ndarray, x: Floats) -> float:
    spread = x.std((0, 1))
    x = x[..., spread > TINY] / spread[spread > TINY]
    if not x.shape[-1]:
        return -len(won) * math.log(x.shape[1])
    t = np.arange(len(won))

    def loss(weight: Floats) -> tuple[float, Floats]:
        u = x @ weight
        u = u - u.max(1, keepdims=True)
        p = np.exp(u)
        p /= p.sum(1, keepdims=True)
        grad = (x[t, won] - np.einsum("tn,tnd->td", p, x)).sum(0)
        return float(-np.log(np.maximum(p[t, won], 1e-300)).sum() + 0.05 * weight @ weight), np.asarray(-grad + 0.1 * weight)

    found = minimize(loss, np.zeros(x.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    return -float(loss(found.x)[0])


# ---- Bajari and Ye -----------------------------------------------------------------------------------------------------


def independence(bids: Floats, costs: Floats, top: Floats) -> Floats:
    """[n, n] Fisher's z of the correlation of two bidders' bids given their own costs, the others' mean cost and what all know; 0 on the diagonal."""
    T, n = bids.shape
    left = np.empty_like(bids)
    for i in range(n):
        x = np.stack([np.ones(T), costs[:, i], np.delete(costs, i, 1).mean(1), top], 1)
        left[:, i] = bids[:, i] - x @ np.linalg.lstsq(x, bids[:, i], rcond=None)[0]
    sd = left.std(0)
    r = np.where(np.outer(sd, sd) > TINY**2, left.T @ left / T / np.maximum(np.outer(sd, sd), TINY**2), 0.0)
    np.fill_diagonal(r, 0.0)
    return np.asarray(np.arctanh(np.clip(r, -1 + 1e-9, 1 - 1e-9)) * math.sqrt(max(T - 6, 1)))


def exchangeability(bids: Floats, costs: Floats, top: Floats) -> float:
    """−log10 of the chance, by Chow's F test, that all bidders' bids follow one rule of own cost, others' mean cost and what all know."""
    T, n = bids.shape
    own = [np.stack([np.ones(T), costs[:, i], np.delete(costs, i, 1).mean(1), top], 1) for i in range(n)]
    k = int(np.linalg.matrix_rank(own[0]))
    if T <= 2 * k:
        return 0.0

    def left(x: Floats, y: Floats) -> float:
        return float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())

    apart = sum(left(own[i], bids[:, i]) for i in range(n))
    whole = left(np.concatenate(own), bids.T.ravel())
    freedom = ((n - 1) * k, n * (T - k))
    if apart <= TINY:
        return 0.0 if whole <= TINY else 300.0
    return min(300.0, -float(f_law.logsf(max(whole - apart, 0.0) / freedom[0] / (apart / freedom[1]), *freedom)) / math.log(10))


# ---- of a run ----------------------------------------------------------------------------------------------------------


def features(market: Series) -> dict[str, float]:
    """Figures of an auction by name, from bids, winners and what all know; no cost among them. Needs three bidders."""
    bids, n = market.asked, len(market.agents)
    each = screens(bids)
    found = {f"{name}": float(v) for name, v in zip(NAMES, each.mean(0))} | {f"{name} varies": float(v) for name, v in zip(NAMES, each.std(0))}
    for what, row in zip(("least", "median", "greatest"), groups(bids)):
        found |= {f"{name} {what} of three": float(v) for name, v in zip(NAMES, row)}
    won = market.winner if market.winner is not None else np.zeros(0, int)
    found["turns"] = logit_gain(won.tolist(), np.zeros((len(bids), n, 0)), since(won.tolist(), n)[..., None])
    top = np.maximum(market.shock if market.shock.std() > TINY else np.full(len(bids), bids.max()), TINY)
    level = bids / top[:, None]
    means = level.mean(0)
    found |= {"level": float(means.mean()), "level of the lowest": float(level.min(1).mean()), "levels apart": float(means.max() - means.min())}
    joint = np.corrcoef((level - level.mean(1, keepdims=True)).T) if (level.std(0) > TINY).all() else np.eye(n)
    apart = joint[~np.eye(n, dtype=bool)]
    found |= {"least like": float(np.nan_to_num(apart).min()), "most like": float(np.nan_to_num(apart).max())}
    return found


def rotation(market: Series) -> float:
    """Nats a round that turns tell of who wins beyond costs; 0 without costs or winners."""
    if market.costs is None or market.winner is None:
        return 0.0
    return logit_gain(market.winner.tolist(), market.costs[..., None], since(market.winner.tolist(), len(market.agents))[..., None])


@dataclass(frozen=True)
class Ring:
    """Weights learned on auctions of which it was known which were rigged: log odds, and the odds above which not more than 5 % of honest ones lay."""

    world: str
    mode: str
    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    offset: float
    threshold: float
    learned_from: str
    v: int = VERSION

    def odds(self, found: Mapping[str, float]) -> float:
        """Log odds of a ring."""
        x = (np.array([found[name] for name in self.names]) - self.mean) / self.scale
        return float(np.clip(x, -10, 10) @ np.array(self.weight) + self.offset)


def write(ring: Ring, path: Path) -> None:
    """As JSON. Raises `AnalysisError`."""
    try:
        path.write_text(json.dumps(asdict(ring), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror}); name another file") from None


@lru_cache(maxsize=8)
def read(path: Path) -> Ring:
    """Weights that `write` wrote. Raises `AnalysisError` in one line for what is none, or learned in another world."""
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: cannot be read ({' '.join(str(error).split()):.80}); make it: python -m analysis.benches.screens train {path}") from None
    try:
        if found["v"] != VERSION or (found["world"], found["mode"]) != ("market", "auction"):
            raise AnalysisError(f"{path}: weights of version {found['v']!r:.20}, learned in {found['world']!r:.40} ({found['mode']!r:.40}); expected version {VERSION}, market (auction): train there")
        lists = {key: tuple(found[key]) for key in ("names", "mean", "scale", "weight")}
        ring = Ring(**{**found, **lists})
        numbers = [*ring.mean, *ring.scale, *ring.weight, ring.offset, ring.threshold]
        if len({len(v) for v in lists.values()}) != 1 or not np.isfinite(np.array(numbers, float)).all() or min(ring.scale) <= 0:
            raise ValueError("lists of unlike length, or a number that is not finite")
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, AnalysisError):
            raise
        raise AnalysisError(f"{path}: no weights ({type(error).__name__}: {error!s:.60}); make them: python -m analysis.benches.screens train {path}") from None
    return ring


def scores(evidence: Evidence) -> list[Score]:
    """Of an auction: the learned odds of a ring, each screen (the smaller the more suspicious where rings make it so), rotation, Bajari and Ye."""
    market = series(evidence)
    if market is None or not market.auction or len(market.agents) < GROUP or market.rounds < LEAST:
        return []
    found, amount, agents = features(market), market.rounds, market.agents
    out = [Score("still bids", "run", (), -found["cv"], amount), Score("cover gap", "run", (), found["rd"], amount), Score("turns", "run", (), found["turns"], amount)]
    out.append(Score("rotation", "run", (), rotation(market), amount))
    if MODEL.is_file():
        ring = read(MODEL)
        if unknown := [name for name in ring.names if name not in found]:
            raise AnalysisError(f"{MODEL}: asks for {unknown[0]!r:.40}, which is no figure of an auction; train it again: python -m analysis.benches.screens train {MODEL}")
        out.append(Score("ring", "run", (), ring.odds(found), amount))
    out.append(Score("bid level", "run", (), found["level"], amount, "nuisance"))
    if market.costs is None or market.rounds <= 12:
        return out
    like = independence(market.asked, market.costs, market.shock)
    pairs = list(itertools.combinations(range(len(agents)), 2))
    out.append(Score("bajari-ye independence", "run", (), max(abs(float(like[pair])) for pair in pairs), amount))
    out.append(Score("bajari-ye exchangeability", "run", (), exchangeability(market.asked, market.costs, market.shock), amount))
    return out + [Score("bajari-ye independence", "pair", (agents[i], agents[j]), abs(float(like[i, j])), amount) for i, j in pairs]
