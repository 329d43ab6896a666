"""How a member thinks of itself and of each teammate: a belief for oneself (ego) and one for each other (alter), after Westby & Riedl (AAAI 2023).

A *line* is what one message says about all suspects, one code each: -2 strong no, -1 maybe no, 0 nothing, 1 maybe yes, 2 strong yes.
Evidence e on a suspect multiplies the belief b in it by w(e)^kappa, where kappa is how surprising the evidence is: -ln b if it speaks for
the suspect, -ln(1 - b) if against. The answer is chosen from ego times the product of alter^alpha; alpha is theory-of-mind ability, 0 ignores
the others. As published, a belief is normalised when it is used, not between lines; `normalised=True` does it after each line.

Letters in shapes: S suspects; … any axes before (teams, members), over which everything broadcasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
STRONG_NO, MAYBE_NO, NOTHING, MAYBE_YES, STRONG_YES = -2, -1, 0, 1, 2
TINY = 1e-12  # beliefs stay this far from 0 and 1, where the surprise of evidence has no value


@dataclass(frozen=True)
class Weights:
    """What a piece of evidence multiplies a belief by at surprise 1. The default: those that answered best in the published grid search."""

    strong_no: float = 0.35
    maybe_no: float = 0.85
    maybe_yes: float = 1.95
    strong_yes: float = 2.0

    def __post_init__(self) -> None:
        if not all(0 < w < np.e for w in astuple(self)):
            raise ValueError(f"weights {astuple(self)}; expected numbers above 0 and below e, or a belief could pass 1")

    def of(self, line: Codes) -> Floats:
        """The weight of each code; 1 for nothing."""
        return np.array([self.strong_no, self.maybe_no, 1.0, self.maybe_yes, self.strong_yes])[np.asarray(line) + 2]


def blank(suspects: int) -> Floats:
    """[S]: the belief of one who knows nothing."""
    return np.full(suspects, 1 / suspects)


def normal(belief: ArrayLike) -> Floats:
    """[…, S] of sum 1."""
    b = np.asarray(belief, dtype=float)
    return b / b.sum(-1, keepdims=True)


def read(belief: Floats, line: Codes, weights: Weights, *, surprise: bool = True, normalised: bool = False) -> Floats:
    """[…, S]: the belief after one line. `surprise=False`: kappa is 1."""
    b = np.clip(belief, TINY, 1 - TINY)
    kappa = np.where(np.asarray(line) > 0, -np.log(b), -np.log1p(-b)) if surprise else 1.0
    after = b * weights.of(line) ** kappa
    return normal(after) if normalised else after


def read_all(belief: Floats, lines: Iterable[Codes], weights: Weights, *, surprise: bool = True, normalised: bool = False) -> Floats:
    """The belief after these lines in their order."""
    for line in lines:
        belief = read(belief, line, weights, surprise=surprise, normalised=normalised)
    return belief


def answer(ego: Floats, alters: Floats, alpha: float) -> Floats:
    """[…, S]: ego times the product over the teammates (next to last axis of `alters` […, members, S]) of alter^alpha, normalised.

    A teammate of whom nothing is known has a blank alter, which changes nothing.
    """
    logs = np.log(normal(ego)) + alpha * np.log(normal(alters)).sum(-2)
    return normal(np.exp(logs - logs.max(-1, keepdims=True)))


def divergence(p: Floats, q: Floats) -> Floats:
    """[…]: Kullback–Leibler divergence of p from q in nats, both […, S] and above 0, normalised here."""
    p, q = normal(p), normal(q)
    return (p * (np.log(p) - np.log(q))).sum(-1)


def alert(ego: Floats, alter: Floats, facts: Sequence[Codes], weights: Weights, *, normalised: bool = False) -> int | None:
    """Which of one's own facts to tell a teammate: the one that would bring the alter nearest to the ego; None if none would bring it nearer."""
    if not len(facts):
        return None
    told = read(np.broadcast_to(alter, (len(facts), len(alter))), np.asarray(facts, dtype=np.int8), weights, normalised=normalised)
    after = divergence(ego, told)
    best = int(after.argmin())
    return best if after[best] < divergence(ego, alter) else None


def likeliest(belief: Floats) -> NDArray[np.bool_]:
    """[…, S]: which suspects are believed in most; several where they tie."""
    b = np.asarray(belief)
    return b >= b.max(-1, keepdims=True) - TINY
