"""How a head is learned from choices: by imitation, then from outcomes. Pure functions; the same choices give the same weights.

| from | what |
|---|---|
| `imitate` | softmax regression: weights that make what was chosen likeliest |
| `filtered` | the same on the choices that turned out better than the mean, for kinds of choice of which nothing is drawn (the likeliest answer counts) |
| `improve` | one natural-gradient step (Kakade 2001) of the expected outcome, of a given length in nats of KL, on choices drawn by this head or an earlier one |

An outcome is whatever the caller rewards: the team's success, an agent's centres. Choices drawn by an earlier head count by how much likelier (at most
`MOST_RATIO` times) this one is to make them; each generation's outcomes are taken from its own mean, so that a generation that fared better as a whole is not
preferred for that. A choice that was not drawn (`likely` 1) says nothing about what another would have brought, and `improve` leaves it out.

Letters in shapes: C choices, O options of the longest, F traits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from agents.choosing import MOST_WEIGHT, Choice, Floats

PULL = 1e-3  # of weights towards 0 (or towards where they start), in nats a squared unit: choices that were always made alike stay finite
MOST_RATIO = 3.0
DAMPING = 1e-3  # of the Fisher matrix: traits that never differ between options have no gradient, and get no step
LEAST_CHOICES = 20
LEAST = 1e-12


@dataclass(frozen=True)
class Lesson:
    """A choice and what came of it; `generation`: by which head it was made."""

    choice: Choice
    outcome: float
    generation: int


def imitate(choices: Sequence[Choice], start: Mapping[str, float] | None = None) -> dict[str, float]:
    """Trait → weight, from what was chosen. Raises ValueError for too few choices, or for some whose traits differ."""
    names, X, open_CO, chosen = _stacked(choices)
    start_F = np.array([(start or {}).get(name, 0.0) for name in names])
    at = np.arange(len(chosen))

    def loss(w: Floats) -> tuple[float, Floats]:
        p = _shares(X, open_CO, w)
        nats = -np.log(np.maximum(p[at, chosen], LEAST)).mean()
        slope = (np.einsum("co,cof->cf", p, X) - X[at, chosen]).mean(0)
        return float(nats + PULL * ((w - start_F) ** 2).sum()), slope + 2 * PULL * (w - start_F)

    found = minimize(loss, start_F, jac=True, method="L-BFGS-B", bounds=[(-MOST_WEIGHT, MOST_WEIGHT)] * len(names))
    return _named(names, found.x)


def improve(weights: Mapping[str, float], lessons: Sequence[Lesson], nats: float = 0.1) -> dict[str, float]:
    """Trait → weight after a step of `nats` (KL of the old choices' shares from the new ones', to second order) up the expected outcome.

    Raises ValueError as `imitate` does. Where outcomes do not differ, the weights stay.
    """
    drawn = [lesson for lesson in lessons if lesson.choice.likely < 1]
    names, X, open_CO, chosen = _stacked([lesson.choice for lesson in drawn])
    w = np.array([weights.get(name, 0.0) for name in names])
    at, p = np.arange(len(chosen)), _shares(X, open_CO, w)
    ratio = np.minimum(p[at, chosen] / np.array([max(lesson.choice.likely, LEAST) for lesson in drawn]), MOST_RATIO)
    expected_CF = np.einsum("co,cof->cf", p, X)
    slope = (_advantages(drawn)[:, None] * ratio[:, None] * (X[at, chosen] - expected_CF)).mean(0)
    fisher = np.einsum("co,cof,cog->fg", p, X, X) / len(drawn) - expected_CF.T @ expected_CF / len(drawn)
    way = np.linalg.solve(fisher + DAMPING * np.eye(len(names)), slope)
    length = float(way @ fisher @ way)
    if length <= LEAST:
        return _named(names, w)
    return _named(names, np.clip(w + np.sqrt(2 * nats / length) * way, -MOST_WEIGHT, MOST_WEIGHT))


def learned(weights: Mapping[str, float], lessons: Sequence[Lesson], nats: float = 0.1) -> dict[str, float]:
    """Trait → weight after more of the agents' own games: `improve` where choices were drawn, `filtered` where the likeliest counts."""
    drawn = sum(lesson.choice.likely < 1 for lesson in lessons)
    return improve(weights, lessons, nats) if 2 * drawn > len(lessons) else filtered(weights, lessons)


def filtered(weights: Mapping[str, float], lessons: Sequence[Lesson]) -> dict[str, float]:
    """Trait → weight, from the choices with an outcome above the mean of all; where none differs, the weights stay. Raises ValueError as `imitate`."""
    mean = float(np.mean([lesson.outcome for lesson in lessons])) if lessons else 0.0
    good = [lesson.choice for lesson in lessons if lesson.outcome > mean]
    return imitate(good, weights) if good else dict(weights)


def _advantages(lessons: Sequence[Lesson]) -> Floats:
    """[C]: outcomes less their generation's mean."""
    outcome, generation = np.array([lesson.outcome for lesson in lessons], dtype=float), np.array([lesson.generation for lesson in lessons])
    if not np.isfinite(outcome).all():
        raise ValueError("an outcome is no number; a game that has none is left out of the lessons")
    return outcome - np.array([outcome[generation == g].mean() for g in generation])


def _stacked(choices: Sequence[Choice]) -> tuple[tuple[str, ...], Floats, Floats, np.ndarray]:
    """(names, traits [C, O, F], 0 for an option and -inf for none [C, O], what was chosen [C])."""
    if len(choices) < LEAST_CHOICES:
        raise ValueError(f"{len(choices)} choices to learn from; expected {LEAST_CHOICES} or more: play more games")
    names = choices[0].names
    if other := next((c for c in choices if c.names != names), None):
        raise ValueError(f"choices of kind {other.kind!r:.40} with traits {sorted(set(other.names) ^ set(names))[:4]} beside some without; learn from one world and version")
    most = max(len(c.rows) for c in choices)
    X, open_CO = np.zeros((len(choices), most, len(names))), np.full((len(choices), most), -np.inf)
    for i, c in enumerate(choices):
        X[i, : len(c.rows)], open_CO[i, : len(c.rows)] = c.rows, 0.0
    return names, X, open_CO, np.array([c.chosen for c in choices])


def _shares(X: Floats, open_CO: Floats, w: Floats) -> Floats:
    """[C, O]: how likely each option is."""
    points = X @ w + open_CO
    e = np.exp(points - points.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _named(names: Sequence[str], weights: Floats) -> dict[str, float]:
    return {name: round(float(w), 6) for name, w in zip(names, weights, strict=True)}
