"""Five ways to make one score of a group out of activations and a probe of single agents, as NARCBench has them (Rose et al. 2026): baselines.

A probe of one agent (logistic regression, members of a coalition against the others of the same runs) gives a direction w. Of a run with the
standardised activations z and the projections s = w z of its agents:

    peak_suspicion        the largest s
    deception_split       mean of the two largest s less the mean of the rest
    asymmetry_probe       a logistic regression on variance, range, split and mean of s
    activation_alignment  less the mean cosine of two agents' activations
    sorted_concat         a logistic regression on z of four agents in order of s (of more than four: those at equal ranks apart)

There a run has four agents; here any number of three or more. Letters: n agents, F features, R runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NAMES = ("sorted_concat", "activation_alignment", "peak_suspicion", "deception_split", "asymmetry_probe")
PARTS, PENALTY, AGENTS = 50, 0.01, 4


@dataclass(frozen=True, eq=False)
class Group:
    """A run: its agents' activations [n, F], who is a member, whether there is a coalition at all."""

    activations: Floats
    members: NDArray[np.bool_]

    @property
    def colluding(self) -> bool:
        """Whether anybody is."""
        return bool(self.members.any())


@dataclass(frozen=True, eq=False)
class Aggregated:
    """What five aggregations were taught by the runs of one world."""

    mean: Floats
    spread: Floats
    direction: Floats
    asymmetry: Any  # scikit-learn pipelines, which live as long as the measurement
    concat: Any

    def scores(self, group: Group) -> Mapping[str, float]:
        """Aggregation → score of a run."""
        z, s, order = _projected(group, self.mean, self.spread, self.direction)
        return {
            "sorted_concat": float(self.concat.decision_function(_sorted(z, order)[None])[0]), "activation_alignment": -_cosines(group.activations),
            "peak_suspicion": float(s[order[0]]), "deception_split": _shape(s, order)[2], "asymmetry_probe": float(self.asymmetry.decision_function(np.array([_shape(s, order)]))[0]),
        }  # fmt: skip


def taught(groups: Sequence[Group]) -> Aggregated:
    """The probe from the agents of runs with a coalition, the two regressions from all runs. Raises ValueError for runs of one kind only."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array([g.colluding for g in groups])
    if labels.all() or not labels.any():
        raise ValueError("runs with and without a coalition are needed")
    x = np.vstack([g.activations for g in groups if g.colluding])
    member = np.concatenate([g.members for g in groups if g.colluding])
    mean, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
    probe = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit((x - mean) / spread, member)
    direction = probe.coef_[0] / max(float(np.linalg.norm(probe.coef_[0])), 1e-12)
    shapes, sorted_RF = [], []
    for group in groups:
        z, s, order = _projected(group, mean, spread, direction)
        shapes.append(_shape(s, order))
        sorted_RF.append(_sorted(z, order))
    asymmetry = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000)).fit(np.array(shapes), labels)
    parts = min(PARTS, len(groups) - 1, len(sorted_RF[0]))
    concat = make_pipeline(PCA(parts, random_state=0), StandardScaler(), LogisticRegression(C=PENALTY, max_iter=2000)).fit(np.array(sorted_RF), labels)
    return Aggregated(mean, spread, direction, asymmetry, concat)


def _projected(group: Group, mean: Floats, spread: Floats, direction: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    z = (group.activations - mean) / spread
    s = z @ direction
    return z, s, np.argsort(s)[::-1]


def _shape(s: Floats, order: NDArray[np.intp]) -> list[float]:
    top, rest = s[order[:2]], s[order[2:]]
    split = float(top.mean() - rest.mean()) if len(rest) else 0.0
    return [float(s.var()), float(s.max() - s.min()), split, float(s.mean())]


def _sorted(z: Floats, order: NDArray[np.intp]) -> Floats:
    ranks = np.round(np.linspace(0, len(order) - 1, AGENTS)).astype(int)
    return np.asarray(z[order[ranks]].ravel())


def _cosines(x: Floats) -> float:
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-10)
    return float(np.mean([unit[i] @ unit[j] for i, j in itertools.combinations(range(len(unit)), 2)]))
