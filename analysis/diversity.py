"""How varied texts are: distinct n-grams, self-BLEU, the entropy of the personas that a classifier hears in them.

    distinct-n        the share of n-grams that are new among so many, drawn from all (Li et al., NAACL 2016; by rarefaction, Hurlbert, Ecology 1971, so that
                      sets of different size compare)
    self-BLEU         how much each text is like the others: BLEU-4 of it against all of them (Papineni et al., ACL 2002; Zhu et al., SIGIR 2018)
    persona entropy   of the mean of what a classifier taught on people's own words makes of the texts, in bits: less where all sound like one
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import gammaln

WORD = re.compile(r"\w+|[^\w\s]")
MOST_N, TINY = 4, 0.1  # a precision of nothing counts as a tenth of a match (Chen & Cherry 2014, method 1)
Gram = tuple[str, ...]


def words(text: str) -> list[str]:
    """In small letters; signs stand alone."""
    return WORD.findall(text.lower())


def grams(texts: Sequence[str], n: int) -> Counter[Gram]:
    """How often each run of n words stands in the texts."""
    found: Counter[Gram] = Counter()
    for text in texts:
        said = words(text)
        found.update(tuple(said[i : i + n]) for i in range(len(said) - n + 1))
    return found


def distinct(texts: Sequence[str], n: int, of: int = 1000) -> float:
    """Expected number of different n-grams among `of` drawn without putting back, as a share of `of`; of all there are, where they are fewer.

    NaN without any.
    """
    counts = np.array(sorted(grams(texts, n).values()), dtype=float)
    total = counts.sum()
    if not total:
        return math.nan
    m = min(of, total)
    rest = total - counts
    with np.errstate(invalid="ignore"):
        missed = np.where(rest >= m, np.exp(gammaln(rest + 1) - gammaln(rest - m + 1) - gammaln(total + 1) + gammaln(total - m + 1)), 0.0)
    return float((1 - missed).sum() / m)


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU-4 of each text against all others, at most 1: all are the same. NaN for fewer than two texts with a word."""
    said = [w for text in texts if (w := words(text))]
    if len(said) < 2:
        return math.nan
    lengths = Counter(map(len, said))
    tables = [_top_two([Counter(tuple(w[i : i + n]) for i in range(len(w) - n + 1)) for w in said]) for n in range(1, MOST_N + 1)]
    return float(np.mean([_bleu(i, w, tables, lengths) for i, w in enumerate(said)]))


Top = tuple[list[Counter[Gram]], dict[Gram, tuple[int, int, int]]]  # counts of each text; n-gram → (most often, in which text, most often in another)


def _top_two(counts: list[Counter[Gram]]) -> Top:
    best: dict[Gram, tuple[int, int, int]] = {}
    for i, count in enumerate(counts):
        for gram, n in count.items():
            most, where, second = best.get(gram, (0, -1, 0))
            best[gram] = (n, i, most) if n > most else (most, where, max(second, n))
    return counts, best


def _bleu(i: int, said: Sequence[str], tables: Sequence[Top], lengths: Counter[int]) -> float:
    logs = []
    for counts, best in tables:
        mine = counts[i]
        if not mine:
            break
        matched = sum(min(n, best[gram][2] if best[gram][1] == i else best[gram][0]) for gram, n in mine.items())
        logs.append(math.log(max(matched, TINY) / mine.total()))
    others = lengths - Counter({len(said): 1})
    nearest = min(others, key=lambda length: (abs(length - len(said)), length))
    return min(1.0, math.exp(1 - nearest / len(said))) * math.exp(sum(logs) / len(logs))


def persona_entropy(taught: Mapping[str, Sequence[str]], texts: Sequence[str]) -> float:
    """Bits: the entropy of who said the texts, by a classifier taught on what each persona said. NaN for fewer than two personas, or no text."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    names = sorted(name for name, said in taught.items() if said)
    if len(names) < 2 or not texts:
        return math.nan
    model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=20_000, sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=500))
    model.fit([text for name in names for text in taught[name]], [name for name in names for _ in taught[name]])
    share = model.predict_proba(list(texts)).mean(0)
    return float(-(share * np.log2(np.maximum(share, 1e-12))).sum())
