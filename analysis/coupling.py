"""Do two agents act on something that nobody else sees? Conditional coupling, transfer entropy, and who goes with whom.

*Coupling* of a pair: each one's action is foretold from the public state and its own past (`residuals`: ridge regression, cross-fitted in blocks
of time, so that no round is foretold from itself), and the products of what is left over are summed: a generalised covariance measure (Shah and
Peters, 2020), 0 if the two are independent given what all see. So that it is not blind to a coupling that is no straight line, or whose sign goes
with the state, the products are of the first three Legendre polynomials of the residuals' ranks, and again times the sign of each state. With z
their sum and Σ its covariance under chance signs (a wild bootstrap), z' Σ⁻¹ z is chi-squared for long games; short ones are to be held against
honest games (`verdicts`), for regression errors of two agents in the same rounds are not quite independent. *Together* is the one-sided sum of the
products of like degrees: two who keep to one key move alike, and a test that asks for that alone finds it sooner.

What all can see of a market is its shock and, the demand being known, what each seller's best answer to the last prices is now.

*Transfer entropy* from i to j (Schreiber, 2000) is how much i's last action tells of j's next one beyond j's own last: of bins (exact for their
counts) or by least squares (exact for Gaussian series). An honest seller that answers its rivals shows it too: it says who follows whom, not why.

*Synchrony*: couplings that stand out of all pairs' at a false discovery rate are edges; what counts is the heaviest clique, its edges' weight beyond
what their ends' strengths would give at random (Newman's configuration model).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, rankdata

from analysis.collusion import demand_of
from analysis.detectors import Score
from analysis.evidence import Evidence
from analysis.series import Series, series
from analysis.stats import discoveries
from scenarios.market.demand import Demand

Floats = NDArray[np.float64]
BLOCKS = 5  # of time, each foretold from the others
RIDGE = 1e-3  # of the number of rounds: against columns that hardly differ
LONG = 200  # rounds from which curves can be fitted
LEAST = 24  # rounds below which nothing is said
STILL = 1e-9  # a spread below which a series stands still
MOST_Z = 37.0  # beyond it a chance is no number any more
BINS = 2  # of transfer entropy
FLIPS = 499
WIDEST = 300
ALIKE = (1.0, 0.7, 0.4)  # weights of the degrees in `together`: noise hides a key's finer marks first


@dataclass(frozen=True)
class Coupled:
    """`z`: standard normal in long games without coupling, large where there is one; `p`: by chance signs, or by the chi-squared law; `together`:
    the one-sided sum of the like degrees, large where two move alike."""

    z: float
    p: float
    together: float
    rounds: int


NONE = Coupled(0.0, 1.0, 0.0, 0)


# ---- what the public state does not foretell ---------------------------------------------------------------------------


def residuals(acts: Floats, public: Floats, curved: int = 1, blocks: int = BLOCKS) -> Floats:
    """[T, n]: of each agent's acts [T, n], what the public state [T, d] and then its own past do not foretell, in rounds of blocks not fitted on.

    In long games the first `curved` columns of the state enter with their squares and cubes too, and what is left is in units of how far they are
    usually off in such a state. In short ones that would cost more than it tells: each number fitted hides some of what is looked for."""
    T, n = acts.shape
    curved = curved if T >= LONG else 0
    folds = np.array_split(np.arange(T), min(blocks, T))
    left = _crossed(acts, _columns(public, curved), folds)
    before = np.vstack([np.zeros((1, n)), left[:-1]])
    out = np.empty_like(left)
    for fold in folds:  # own past: one number an agent, how much of what was left over lasts
        rest = np.setdiff1d(np.arange(T), fold)
        kept = (left[rest] * before[rest]).sum(0) / np.maximum((before[rest] ** 2).sum(0), STILL**2)
        out[fold] = left[fold] - np.clip(kept, -1, 1) * before[fold]
    if not curved:
        return out
    size = np.abs(out)
    usual = _crossed(size, _columns(public[:, :curved], curved), folds)
    return np.asarray(out / np.maximum(np.clip(usual, 0.4 * size.mean(0), 2.5 * size.mean(0)), STILL))


def _columns(public: Floats, curved: int) -> Floats:
    """Standardised columns of the state, powers of the first of them, and a constant; columns that stand still are left out."""
    spread = public.std(0)
    moving = np.flatnonzero(spread > STILL)
    x = (public[:, moving] - public[:, moving].mean(0)) / spread[moving]
    bent = np.clip(x[:, : int((moving < curved).sum())], -3, 3)
    return np.hstack([np.ones((len(public), 1)), x, bent**2 - 1, bent**3 - 3 * bent])


def _crossed(y: Floats, x: Floats, folds: Sequence[NDArray[np.intp]]) -> Floats:
    weight = np.diag([0.0, *[RIDGE * len(x)] * (x.shape[1] - 1)])
    out = np.empty_like(y)
    whole, with_y = x.T @ x, x.T @ y
    for fold in folds:
        gram, moment = whole - x[fold].T @ x[fold] + weight, with_y - x[fold].T @ y[fold]
        out[fold] = y[fold] - x[fold] @ np.linalg.lstsq(gram, moment, rcond=None)[0]
    return out


# ---- coupling ----------------------------------------------------------------------------------------------------------


def degrees(left: Floats) -> Floats:
    """[3, T]: Legendre polynomials of degree 1 to 3 of the ranks of a series, each of mean 0 and variance 1; zeros where it stands still."""
    u = (2 * rankdata(left) - 1) / len(left) - 1
    p = np.stack([u, (3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2])
    p -= p.mean(1, keepdims=True)
    spread = p.std(1, keepdims=True)
    return np.where(spread > STILL, p / np.maximum(spread, STILL), 0.0)


def coupled(one: Floats, other: Floats, state: Floats | None = None, rng: np.random.Generator | None = None) -> Coupled:
    """Two series of residuals [T]; `state` [T, k]: whose signs the products are also taken with. With `rng` p is from chance signs, and never 0."""
    T = len(one)
    if T < LEAST or one.std() <= STILL or other.std() <= STILL:
        return NONE
    like = degrees(one) * degrees(other)
    sums = np.array(ALIKE) @ like
    terms = like if state is None or not state.shape[1] else np.concatenate([like, *(like[:1] * np.sign(s - np.median(s)) for s in state.T)])
    z, cover = terms.sum(1), terms @ terms.T
    inverse = np.linalg.pinv(cover, rcond=1e-9)
    found, freedom = float(z @ inverse @ z), int(np.linalg.matrix_rank(cover, tol=1e-9 * np.trace(cover)))
    together = float(sums.sum() / math.sqrt(max((sums**2).sum(), STILL)))
    p = float(chi2.sf(found, freedom))
    standard = float(np.clip(norm.isf(p) if p > 1e-300 else MOST_Z, -MOST_Z, MOST_Z))
    if rng is not None:
        drawn = (2.0 * rng.integers(0, 2, (FLIPS, T)) - 1.0) @ terms.T
        p = (1 + int((np.einsum("bi,ij,bj->b", drawn, inverse, drawn) >= found).sum())) / (1 + FLIPS)
    return Coupled(standard, p, together, T)


# ---- transfer entropy --------------------------------------------------------------------------------------------------


def transfer_of(joint: Floats) -> float:
    """I(next; source | own) in nats of a table of counts or chances [own, source, next]."""
    p = joint / joint.sum()
    own, own_source, own_next = p.sum((1, 2), keepdims=True), p.sum(2, keepdims=True), p.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = p * np.log(p * own / (own_source * own_next))
    return max(0.0, float(np.where(p > 0, terms, 0.0).sum()))


def transfer_entropy(source: Floats, target: Floats, bins: int = BINS) -> float:
    """From `source` to `target`, in nats, of as many equally full bins; 0 for series too short or that stand still."""
    if len(target) < LEAST or source.std() <= STILL or target.std() <= STILL:
        return 0.0
    a, b = (np.minimum((rankdata(x) - 0.5) / len(x) * bins, bins - 1).astype(int) for x in (source, target))
    joint = np.zeros((bins, bins, bins))
    np.add.at(joint, (b[:-1], a[:-1], b[1:]), 1.0)
    return transfer_of(joint)


def gaussian_transfer(source: Floats, target: Floats) -> float:
    """The same by least squares: half the log ratio of what the target's own past leaves unexplained to what both pasts do; exact for a Gaussian VAR(1)."""
    if len(target) < LEAST or source.std() <= STILL or target.std() <= STILL:
        return 0.0
    one = np.ones(len(target) - 1)
    own, both = np.stack([one, target[:-1]], 1), np.stack([one, target[:-1], source[:-1]], 1)
    left = [float(((target[1:] - x @ np.linalg.lstsq(x, target[1:], rcond=None)[0]) ** 2).sum()) for x in (own, both)]
    return max(0.0, 0.5 * math.log(left[0] / left[1])) if left[1] > STILL**2 else 0.0


# ---- who goes with whom ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """Edges (pairs of places) that stand out; the heaviest clique, its weight beyond chance, and how often a random network has one as heavy (1: not asked)."""

    edges: tuple[tuple[int, int], ...]
    clique: tuple[int, ...]
    weight: float
    p: float


def network(z: Floats, p: Floats, rng: np.random.Generator | None = None, level: float = 0.05, draws: int = 199) -> Network:
    """Of the couplings z [n, n] and their chances p [n, n], symmetric. With `rng` the clique is held against networks in which the same weights are
    dealt out to pairs anew."""
    n = len(z)
    pairs = list(itertools.combinations(range(n), 2))
    out = discoveries([float(p[i, j]) for i, j in pairs], level)
    edges = tuple(pair for pair, yes in zip(pairs, out, strict=True) if yes)
    if not edges:
        return Network((), (), 0.0, 1.0)
    weights = np.maximum(z, 0.0)
    np.fill_diagonal(weights, 0.0)
    clique, weight = heaviest(weights, edges)
    if rng is None:
        return Network(edges, clique, weight, 1.0)
    linked, at_random = np.array([weights[i, j] for i, j in pairs]), 0
    for _ in range(draws):
        dealt = np.zeros((n, n))
        for (i, j), w in zip(pairs, linked[rng.permutation(len(pairs))], strict=True):
            dealt[i, j] = dealt[j, i] = w
        strong = tuple(pair for pair in pairs if dealt[pair] >= min(weights[e] for e in edges))
        at_random += heaviest(dealt, strong)[1] >= weight - 1e-12
    return Network(edges, clique, weight, (1 + at_random) / (1 + draws))


def heaviest(weights: Floats, edges: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], float]:
    """(members, weight) of the clique of these edges with most weight beyond s_i s_j / 2W, s the strength of each end and W of all; (), 0 for none.

    Exact up to ten agents, of which no more than `WIDEST` cliques are of one size; beyond, the heaviest of each size are grown."""
    strength = weights.sum(1)
    excess = weights - np.outer(strength, strength) / max(float(strength.sum()), STILL)
    joined = {frozenset(e) for e in edges}
    best: tuple[tuple[int, ...], float] = ((), 0.0)
    grown = [(tuple(e), float(excess[e])) for e in edges]
    while grown:  # cliques of one size from those of the size before, each with a later member
        best = max([best, *grown], key=lambda c: c[1])
        grown = [
            ((*members, k), value + float(excess[list(members), k].sum()))
            for members, value in sorted(grown, key=lambda c: -c[1])[:WIDEST] for k in range(members[-1] + 1, len(weights)) if all(frozenset((m, k)) in joined for m in members)
        ]  # fmt: skip
    return best


# ---- of a run ----------------------------------------------------------------------------------------------------------


def innovations(market: Series, demand: Demand | None) -> Floats:
    """[T - 1, n]: of each seller's prices or bids from the second round on, what it shares with nobody who knows what all know."""
    now, acts = market.shock[1:], market.asked[1:]
    if market.auction:
        paid = market.asked.min(1)[:-1]
        return residuals(acts, np.stack([now, paid], 1))
    if demand is None:
        return residuals(acts, np.stack([now, market.shock[:-1], market.asked[:-1].mean(1)], 1))
    shocked = [demand.shocked(float(s)) for s in now]
    answers = np.array([[d.best_response(last, i) for i in range(len(market.agents))] for d, last in zip(shocked, market.asked[:-1], strict=True)])
    return np.hstack([residuals(acts[:, [i]], np.stack([now, answers[:, i]], 1)) for i in range(len(market.agents))])


def scores(evidence: Evidence) -> list[Score]:
    """For each pair: coupling, moving together, transfer entropy (either way, the larger); for each agent: the weight of its edges; for the run: the
    strongest pair, and the heaviest clique."""
    market = series(evidence)
    if market is None or len(market.agents) < 2 or market.rounds < LEAST:
        return []
    left, n = innovations(market, demand_of(evidence.events, market)), len(market.agents)
    state = (market.shock[1:] - market.shock[1:].mean())[:, None] if market.shock.std() > STILL else None
    z, p = np.zeros((n, n)), np.ones((n, n))
    found = []
    for i, j in itertools.combinations(range(n), 2):
        who, amount = (market.agents[i], market.agents[j]), market.rounds
        pair = coupled(left[:, i], left[:, j], state)
        z[i, j] = z[j, i] = pair.z
        p[i, j] = p[j, i] = pair.p
        leads = max(transfer_entropy(market.asked[:, i], market.asked[:, j]), transfer_entropy(market.asked[:, j], market.asked[:, i]))
        found += [Score("coupling", "pair", who, pair.z, amount), Score("together", "pair", who, pair.together, amount), Score("transfer entropy", "pair", who, leads, amount)]
    net = network(z, p)
    strongest = [Score(f"strongest {m}", "run", (), max(s.value for s in found if s.measure == m), market.rounds) for m in ("coupling", "together")]
    ties = [Score("synchrony", "agent", (agent,), float(sum(max(z[e], 0.0) for e in net.edges if k in e)), market.rounds) for k, agent in enumerate(market.agents)]
    return [*found, *ties, *strongest, Score("synchrony", "run", (), net.weight, market.rounds)]
