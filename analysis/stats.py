"""Intervals, tests and rates. The unit of inference is the game, never the message (a game's messages are not independent).

scipy computes what it has (ranks, false discovery rate); what stands here is what it has not: whole games drawn again, permutations inside
strata, power from scores. Alarms raised while a game goes on are in `alarms.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
RESAMPLES = 2000
FEWEST = 5  # units below which an interval by drawing them again is not shown: of four, a draw of one alone comes once in 64


@dataclass(frozen=True)
class Interval:
    """A figure and its confidence interval; `low` and `high` are NaN where fewer than two units leave nothing to resample."""

    mean: float
    low: float
    high: float
    units: int
    level: float = 0.95


def reach(found: Interval, per: str = "+.4f", of: str = "seed") -> str:
    """An interval for a terminal; or in words why there is none: units too few to be drawn again, or no spread over them in the digits shown."""
    if found.units < FEWEST:
        return f"{found.units} {of}{'s' * (found.units != 1)}: too few for an interval"
    if math.isnan(found.low):
        return f"no interval over {found.units} {of}s"
    low, high = f"{found.low:{per}}", f"{found.high:{per}}"
    return f"no spread over {found.units} {of}s: no interval" if low == high else f"[{low}, {high}]"


# ---- intervals by game -------------------------------------------------------------------------------------------------


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


def cluster_bootstrap(
    clusters: Sequence[Hashable], statistic: Callable[[Rows], float], rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """`statistic` of all rows, with the percentile interval from whole clusters drawn again (Davison & Hinkley 1997, 3.8).

    `clusters` names the game of each row; `statistic` takes indices of rows (a row of a game drawn twice stands twice) and may raise
    ValueError where it is not defined (a draw of one class only has no AUROC): such draws are left out. Raises ValueError if there
    are no rows, if the figure is not defined on all of them, or if it is not on more than half of the draws.
    """
    if not len(clusters):
        raise ValueError("no rows to resample; give at least one game")
    numbers: dict[Hashable, int] = {}
    of = np.array([numbers.setdefault(c, len(numbers)) for c in clusters])
    order = np.argsort(of, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(of))[:-1])
    whole = float(statistic(np.arange(len(clusters))))
    if len(members) < 2:
        return Interval(whole, float("nan"), float("nan"), len(members), level)
    found = []
    for _ in range(resamples):
        picked = rng.integers(len(members), size=len(members))
        try:
            found.append(float(statistic(np.concatenate([members[i] for i in picked]))))
        except ValueError:
            continue
    if 2 * len(found) <= resamples:
        raise ValueError(f"the figure is defined on {len(found)} of {resamples} draws of {len(members)} games only; it needs more games")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(whole, float(low), float(high), len(members), level)


# ---- how well scores tell two kinds apart ------------------------------------------------------------------------------


def _two_classes(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    s, y = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    if s.ndim != 1 or s.shape != y.shape:
        raise ValueError(f"a score and a label for each, got shapes {s.shape} and {y.shape}")
    if not np.isfinite(s).all():
        raise ValueError("scores must be finite; give what cannot be scored a defined value, or leave it out and say so")
    if not y.any() or y.all():
        raise ValueError(f"both classes are needed, got {int(y.sum())} positives among {len(y)}")
    return s, y


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """The chance that a positive scores higher than a negative, ties counted half (Mann–Whitney). Raises ValueError for one class or a value
    not finite. From ranks: a fiftieth of the time of scikit-learn's, which a bootstrap of 2,000 draws needs; a test holds it against that."""
    from scipy.stats import rankdata

    s, y = _two_classes(scores, positive)
    n = int(y.sum())
    return float((rankdata(s)[y].sum() - n * (n + 1) / 2) / (n * (len(y) - n)))


def auroc_by_game(
    clusters: Sequence[Hashable], scores: ArrayLike, positive: ArrayLike, rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """`auroc` with its interval from whole games drawn again: what `cluster_bootstrap` gives, for all draws at once. Raises ValueError as both do."""
    s, y = _two_classes(scores, positive)
    numbers: dict[Hashable, int] = {}
    of = np.array([numbers.setdefault(c, len(numbers)) for c in clusters])
    if len(of) != len(s):
        raise ValueError(f"a game for each score, got {len(of)} and {len(s)}")
    games, whole = len(numbers), auroc(s, y)
    if games < 2:
        return Interval(whole, float("nan"), float("nan"), games, level)
    group = np.unique(s, return_inverse=True)[1]  # equal scores together, in order
    at_GS, below_GS = np.zeros((games, group.max() + 1)), np.zeros((games, group.max() + 1))  # positives and negatives of each game at each score
    np.add.at(at_GS, (of[y], group[y]), 1.0)
    np.add.at(below_GS, (of[~y], group[~y]), 1.0)
    found = []
    for begin in range(0, resamples, 250):
        drawn_DG = rng.multinomial(games, np.full(games, 1 / games), size=min(250, resamples - begin)).astype(float)
        at_DS, below_DS = drawn_DG @ at_GS, drawn_DG @ below_GS
        pairs_D = at_DS.sum(axis=1) * below_DS.sum(axis=1)
        won_D = (at_DS * (np.cumsum(below_DS, axis=1) - below_DS / 2)).sum(axis=1)
        found.append((won_D / np.where(pairs_D > 0, pairs_D, 1.0))[pairs_D > 0])
    figures = np.concatenate(found)
    if 2 * len(figures) <= resamples:
        raise ValueError(f"the figure is defined on {len(figures)} of {resamples} draws of {games} games only; it needs more games")
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(whole, float(low), float(high), games, level)


def share_by_game(clusters: Sequence[Hashable], true: ArrayLike, rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = 0.95) -> Interval:
    """The share of rows that are true, with its interval from whole games drawn again, for all draws at once; where none or all are, the exact
    one of as many independent trials as there are games."""
    flags = np.asarray(true, dtype=float)
    numbers: dict[Hashable, int] = {}
    of = np.array([numbers.setdefault(c, len(numbers)) for c in clusters], dtype=np.intp)
    if not len(of) or len(of) != len(flags):
        raise ValueError(f"a game for each of at least one row, got {len(of)} and {len(flags)}")
    games, whole = len(numbers), float(flags.mean())
    if games < 2:
        return Interval(whole, float("nan"), float("nan"), games, level)
    drawn_DG = rng.multinomial(games, np.full(games, 1 / games), size=resamples)
    if whole in (0.0, 1.0):  # every draw gives the same, which says nothing of how far off it may be
        return Interval(whole, *clopper(games if whole else 0, games, level), games, level)
    figures = (drawn_DG @ np.bincount(of, flags, games)) / (drawn_DG @ np.bincount(of, minlength=games))
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return Interval(whole, float(low), float(high), games, level)


def clopper(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of independent trials (Clopper & Pearson 1934)."""
    from scipy.stats import beta

    tail = (1 - level) / 2
    return (float(beta.ppf(tail, hits, of - hits + 1)) if hits else 0.0, float(beta.ppf(1 - tail, hits + 1, of - hits)) if hits < of else 1.0)


def recall_at(scores: ArrayLike, positive: ArrayLike, false_alarms: float = 0.01) -> float:
    """The share of positives above the lowest threshold at which at most this share of the negatives alarm."""
    s, y = _two_classes(scores, positive)
    negatives = np.sort(s[~y])[::-1]
    allowed = math.floor(false_alarms * len(negatives) + 1e-9)
    threshold = negatives[allowed] if allowed < len(negatives) else -math.inf
    return float((s[y] > threshold).mean())


def ppv(true_positive_rate: float, false_positive_rate: float, base_rate: float) -> float:
    """Of those a detector points at, the share that is right, where `base_rate` of all are positive (Bayes). 0 where it points at nobody."""
    hits, misses = true_positive_rate * base_rate, false_positive_rate * (1 - base_rate)
    return hits / (hits + misses) if hits + misses else 0.0


# ---- tests -------------------------------------------------------------------------------------------------------------


def permutation_test(
    labels: Sequence[Hashable], strata: Sequence[Hashable], statistic: Callable[[NDArray[np.int64]], float], rng: np.random.Generator, *, draws: int = 999
) -> float:
    """One-sided p-value (large is extreme) of a statistic of labels, permuted only within strata (topic, phase, game): what differs
    between strata is no evidence. `statistic` takes a number for each row, its label's place in order of first appearance. Valid at
    any number of draws: (1 + as extreme) / (1 + draws), Phipson & Smyth 2010."""
    if len(labels) != len(strata) or not len(labels):
        raise ValueError(f"a label and a stratum for each row, got {len(labels)} and {len(strata)}")
    numbers: dict[Hashable, int] = {}
    label = np.array([numbers.setdefault(v, len(numbers)) for v in labels], dtype=np.int64)
    groups: dict[Hashable, list[int]] = {}
    for i, stratum in enumerate(strata):
        groups.setdefault(stratum, []).append(i)
    within = [np.array(rows) for rows in groups.values()]
    observed, extreme = statistic(label), 0
    for _ in range(draws):
        shuffled = label.copy()
        for rows in within:
            shuffled[rows] = label[rng.permutation(rows)]
        extreme += statistic(shuffled) >= observed - 1e-12
    return (1 + extreme) / (1 + draws)


def discoveries(p_values: Sequence[float], level: float = 0.05) -> NDArray[np.bool_]:
    """Which of a family of hypotheses to reject at this false discovery rate (Benjamini & Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    p = np.asarray(p_values, dtype=float)
    return np.zeros(0, bool) if not len(p) else np.asarray(false_discovery_control(p) <= level)


# ---- how many games ----------------------------------------------------------------------------------------------------


def games_needed(effect: float, level: float, power: float = 0.9) -> int:
    """Games for a one-sided z-test of a mean that lies `effect` standard deviations (of a game) above the null. Raises ValueError for no effect."""
    if effect <= 0:
        raise ValueError(f"an effect of {effect:g} is never found; expected one above 0")
    normal = NormalDist()
    return math.ceil(((normal.inv_cdf(1 - level) + normal.inv_cdf(power)) / effect) ** 2)


def power_curve(
    null: Sequence[float], planted: Sequence[float], sizes: Sequence[int], rng: np.random.Generator, *, level: float = 0.05, draws: int = 4000
) -> list[float]:
    """For each number of games: how often the mean score of so many planted games lies above all but `level` of the means of as many null ones.

    Both are drawn with replacement from the scores measured, so a size far above the number of games measured says more than is known.
    """
    honest, found = np.asarray(null, dtype=float), np.asarray(planted, dtype=float)
    if not len(honest) or not len(found) or not (np.isfinite(honest).all() and np.isfinite(found).all()):
        raise ValueError("a power curve needs finite scores of null and of planted games")
    out = []
    for size in sizes:
        threshold = np.quantile(honest[rng.integers(len(honest), size=(draws, size))].mean(1), 1 - level, method="higher")
        out.append(float((found[rng.integers(len(found), size=(draws, size))].mean(1) > threshold).mean()))
    return out
