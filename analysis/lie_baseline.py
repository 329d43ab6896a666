"""What a detector of lies in human press has to beat: a logistic regression on a bag of n-grams, the powers, the season, the message before.

TF-IDF of words and pairs of words, of n-grams of two to four characters within words, and of the words of the dialogue's message before; sender,
receiver, season and year as indicators; the sender's supply centres, and by how many they exceed the receiver's. Nothing is tuned: scikit-learn's
penalty, classes balanced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis.lie_files import POWERS, PressGame

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
RAREST = {"words": 2, "characters": 5, "before": 2}  # messages with an n-gram
PENALTY, STEPS = 1.0, 100
CENTRES = 5  # supply centres to a unit
YEARS = 10


@dataclass(frozen=True, eq=False)
class Bags:
    """Counts of n-grams and the other columns of some messages, a row each."""

    words: Any
    characters: Any
    before: Any
    rest: Any


def bags_of(games: Sequence[PressGame]) -> Bags:
    """All messages of some games."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts, before, rest = [], [], []
    for game in games:
        last: dict[frozenset[str], str] = {}
        for m in game.messages:
            pair = frozenset((m.sender, m.receiver))
            texts.append(m.text)
            before.append(last.get(pair, ""))
            last[pair] = m.text
            year, season = divmod(m.season, 3)
            rest.append([*(m.sender == p for p in POWERS), *(m.receiver == p for p in POWERS), *(season == s for s in range(3)),
                         *(min(year, YEARS - 1) == y for y in range(YEARS)), m.score / CENTRES, m.delta / CENTRES])  # fmt: skip

    def count(given: Sequence[str], **how: Any) -> Any:
        try:
            return CountVectorizer(dtype=np.float64, **how).fit_transform(given).tocsr()
        except ValueError:  # no n-gram in any of them
            return sparse.csr_matrix((len(given), 0))

    return Bags(count(texts, ngram_range=(1, 2)), count(texts, analyzer="char_wb", ngram_range=(2, 4)), count(before), sparse.csr_matrix(np.array(rest, dtype=float)))


def scores(bags: Bags, lie_R: NDArray[np.bool_], fitted: Rows, scored: Rows) -> Floats:
    """Log odds of some rows by a model fitted on others."""
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression

    parts: list[list[Any]] = [[], []]
    for name, rarest in RAREST.items():
        counts = getattr(bags, name)
        kept = np.flatnonzero(np.asarray((counts[fitted] > 0).sum(0)).ravel() >= rarest)
        if len(kept):
            weigh = TfidfTransformer(sublinear_tf=True).fit(counts[fitted][:, kept])
            for part, rows in zip(parts, (fitted, scored), strict=True):
                part.append(weigh.transform(counts[rows][:, kept]))
    x, left = (sparse.hstack([*part, bags.rest[rows]]).tocsr() for part, rows in zip(parts, (fitted, scored), strict=True))
    head = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=STEPS, tol=1e-3).fit(x, lie_R[fitted])
    return np.asarray(head.decision_function(left))
