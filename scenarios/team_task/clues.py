"""Who did it, and what witnesses say: clues with a known likelihood given the culprit, so that what they say together is computed exactly.

One suspect is the culprit, each with the same chance. A clue is one witness's word about one suspect: strong or maybe, yes or no. Which suspects are
spoken about, and how strongly, has nothing to do with the culprit; whether it is yes or no has: a strong word is right with chance r (the
reliability), a maybe with chance (1/2 + r) / 2. So, with g = 1 for the culprit and 0 for the others,

    P(c | clues)  ∝  P(c) · Π_k L[g_k(c), e_k],    g_k(c) = 1 if clue k is about c, else 0

and a factor differs between suspects only at the one that the clue is about. A witness counts once, however often it is quoted.

Letters in shapes: S suspects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from scenarios.team_task.mind import MAYBE_NO, MAYBE_YES, STRONG_NO, STRONG_YES, Codes, Floats

EVIDENCE = {"strong no": STRONG_NO, "maybe no": MAYBE_NO, "maybe yes": MAYBE_YES, "strong yes": STRONG_YES}
STRONG = 0.5  # how often a witness speaks strongly


@dataclass(frozen=True)
class Clue:
    """What one witness says about one suspect, both by number; `evidence` is a code of mind.py."""

    witness: int
    suspect: int
    evidence: int

    def line(self, suspects: int) -> Codes:
        """[S]: the clue as what one message says about all suspects."""
        codes = np.zeros(suspects, dtype=np.int8)
        codes[self.suspect] = self.evidence
        return codes


@dataclass(frozen=True)
class Case:
    """One culprit, the clue that all know (or none), and those that each member alone knows, in order of the members."""

    culprit: int
    public: tuple[Clue, ...]
    private: tuple[tuple[Clue, ...], ...]

    def known_to(self, member: int) -> tuple[Clue, ...]:
        """The public clue and the member's own."""
        return self.public + self.private[member]

    @property
    def clues(self) -> tuple[Clue, ...]:
        """All of them."""
        return self.public + tuple(clue for own in self.private for clue in own)


def likelihood(reliability: float) -> dict[int, tuple[float, float]]:
    """Code → (chance of this word about an innocent, about the culprit). Raises ValueError for a world in which clues say nothing, or all."""
    if not 0.5 < reliability < 1:
        raise ValueError(f"reliability is {reliability!r}; expected a number above 0.5, where a clue says nothing, and below 1")
    found = {}
    for codes, how_often, right in (((STRONG_NO, STRONG_YES), STRONG, reliability), ((MAYBE_NO, MAYBE_YES), 1 - STRONG, (0.5 + reliability) / 2)):
        no, yes = codes
        found[no] = (how_often * right, how_often * (1 - right))
        found[yes] = (how_often * (1 - right), how_often * right)
    return found


def draw(rng: np.random.Generator, suspects: int, members: int, each: int, public: int, reliability: float) -> Case:
    """A culprit and its witnesses: as far as the clues go round, every suspect is spoken about equally often."""
    chances = likelihood(reliability)
    codes = sorted(chances)
    total = public + members * each
    culprit = int(rng.integers(suspects))
    rounds = -(-total // suspects)
    about = np.concatenate([rng.permutation(suspects) for _ in range(rounds)])[:total] if total else np.zeros(0, int)
    about = rng.permutation(about)
    words = [int(rng.choice(codes, p=[chances[code][int(s == culprit)] for code in codes])) for s in about]
    clues = [Clue(i, int(s), e) for i, (s, e) in enumerate(zip(about, words, strict=True))]
    own = [tuple(clues[public + m * each : public + (m + 1) * each]) for m in range(members)]
    return Case(culprit, tuple(clues[:public]), tuple(own))


def log_odds(lines: Codes, reliability: float) -> Floats:
    """[…, S]: by how much each word about a suspect raises the log odds that it is the culprit; 0 for nothing. Words of different witnesses add up."""
    chances = likelihood(reliability)
    by_code = np.array([np.log(chances[code][1] / chances[code][0]) if code in chances else 0.0 for code in range(STRONG_NO, STRONG_YES + 1)])
    return np.asarray(by_code[np.asarray(lines, dtype=int) - STRONG_NO])


def log_belief(odds: Floats) -> Floats:
    """[…, S]: the log posterior from log odds of each suspect, all equally likely before; finite where the posterior itself would be too small a number."""
    return np.asarray(odds - logsumexp(odds, axis=-1, keepdims=True))


def belief(odds: Floats) -> Floats:
    """[…, S]: the posterior from log odds of each suspect."""
    return np.asarray(np.exp(log_belief(odds)))


def gap(logs: Floats, other: Floats) -> Floats:
    """[…]: Kullback–Leibler divergence in nats of one log posterior from another."""
    return np.asarray((np.exp(logs) * (logs - other)).sum(-1))


def posterior(clues: Iterable[Clue], suspects: int, reliability: float) -> Floats:
    """[S]: the chance of each suspect given these clues, uniform without any."""
    return np.asarray(np.exp(log_posterior(clues, suspects, reliability)))


def log_posterior(clues: Iterable[Clue], suspects: int, reliability: float) -> Floats:
    """[S]: its log. Of a witness quoted twice, the first word counts."""
    first: dict[int, Clue] = {}
    for clue in clues:
        first.setdefault(clue.witness, clue)
    lines = np.array([clue.line(suspects) for clue in first.values()], dtype=np.int8).reshape(-1, suspects)
    return log_belief(log_odds(lines, reliability).sum(0))
