"""A detector of lies in human press as data: three linear members, how they are mixed, a threshold; fitted, applied (`lie_saved`: as JSON).

Members: `shown` reads what `lie_features` tells, `words` TF-IDF of words and pairs of words (sublinear, unit rows), `states` what `lie_states`
reads from a model. Each is a regularised linear classifier in which every game weighs the same and lies weigh as much as honest messages; its
log odds are in units of their spread among the messages fitted on. Of those from states, what the sender's earlier messages of the dialogue
came to on the average is taken off: states tell games and players apart, which is no lie. A score is the mixture of the members, and a share
of what the same sender's earlier scores in the same dialogue come to (they fade by FADE a message), for lies come in runs. An arm says what is
mixed and from which score on a message is called a lie: chosen on games left out, by AUROC and by macro-F1. A model with states has an arm
without.

A message's score takes from the table its own row and earlier rows of its thread, summed in one order: later rows change no bit of it.

Letters in shapes: R rows (messages), F features, V n-grams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis import lie_features
from analysis.lie_files import PressGame
from analysis.metrics import AnalysisError
from analysis.stats import auroc

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
CLIP = 4.0  # standard deviations
PENALTY = {"shown": 1e-3, "words": 0.1}  # inverse
RIDGE = 10.0  # of the states' member, a message
RAREST = 3  # messages with an n-gram
FADE, SHARES = 0.7, (0.0, 0.3, 0.6)
USUAL = 5  # messages by which the mean of a thread so far is drawn towards 0
MIXES = {"words": (0.25, 0.5, 1.0), "states": (0.0, 0.25, 0.5)}  # weights tried; that of what is shown is 1
ARMS = ("with states", "without states")
FOLDS = 3  # of training games, by which an arm is chosen
FEWEST = 4  # games to fit on


@dataclass(frozen=True, eq=False)
class Table:
    """Messages, a row each, in order within their games."""

    names: tuple[str, ...]  # of games
    game_R: Rows
    thread_R: Rows  # one number for each sender and dialogue
    lie_R: NDArray[np.bool_]  # false where there is no label
    shown_RF: Floats
    counts_RV: Any  # sparse
    vocabulary: tuple[str, ...]
    states_RF: Floats | None = None

    def of(self, games: Sequence[int]) -> Rows:
        """The rows of these games."""
        return np.flatnonzero(np.isin(self.game_R, games))


@dataclass(frozen=True)
class Linear:
    """Σ weights · clip((feature − mean) / spread) + bias."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def of(self, x_RF: Floats) -> Floats:
        """[R]; each row summed by itself."""
        z = np.clip((x_RF - np.array(self.mean)) / np.array(self.spread), -CLIP, CLIP)
        return np.asarray((z * np.array(self.weights)).sum(1) + self.bias)


@dataclass(frozen=True)
class Words:
    """A linear classifier of TF-IDF rows."""

    vocabulary: tuple[str, ...]
    idf: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def of(self, counts_RV: Any, vocabulary: Sequence[str]) -> Floats:
        """[R], of counts of the n-grams of `vocabulary`."""
        place = {gram: i for i, gram in enumerate(vocabulary)}
        columns = np.array([place[gram] for gram in self.vocabulary], dtype=np.intp)
        return np.asarray(_tfidf(counts_RV[:, columns], np.array(self.idf)) @ np.array(self.weights) + self.bias)


@dataclass(frozen=True)
class Arm:
    """What is mixed, the share of earlier scores, and the score from which on a message is called a lie."""

    mix: Mapping[str, float]
    share: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Model:
    """A detector: members, and arms that mix them."""

    shown: Linear
    words: Words
    states: Linear | None
    checkpoint: str | None  # SHA-256 of the weights whose states are read
    features: tuple[str, ...] = lie_features.NAMES
    arms: Mapping[str, Arm] = field(default_factory=dict)
    games: Mapping[str, str] = field(default_factory=dict)  # fitted on: fingerprint → name


# ---- tables ------------------------------------------------------------------------------------------------------------


def table_of(games: Sequence[PressGame], states: Floats | None = None, vocabulary: Sequence[str] | None = None) -> Table:
    """All messages of some games; n-grams are those of `vocabulary`, or all that occur."""
    from sklearn.feature_extraction.text import CountVectorizer

    texts = [m.text for game in games for m in game.messages]
    count = CountVectorizer(ngram_range=(1, 2), vocabulary=None if vocabulary is None else list(vocabulary), dtype=np.float64)
    try:
        counts = count.transform(texts) if vocabulary is not None else count.fit_transform(texts)
    except ValueError:  # no word in any of them
        counts = sparse.csr_matrix((len(texts), 0))
    grams = tuple(vocabulary) if vocabulary is not None else tuple(map(str, count.get_feature_names_out())) if counts.shape[1] else ()
    threads: dict[tuple[int, str, str], int] = {}
    said = [(g, m.sender, m.receiver) for g, game in enumerate(games) for m in game.messages]
    return Table(
        names=tuple(game.name for game in games),
        game_R=np.array([g for g, game in enumerate(games) for _ in game.messages], dtype=np.intp),
        thread_R=np.array([threads.setdefault(of, len(threads)) for of in said], dtype=np.intp),
        lie_R=np.array([bool(m.lie) for game in games for m in game.messages]),
        shown_RF=np.concatenate([lie_features.features(game.messages) for game in games]),
        counts_RV=counts.tocsr(), vocabulary=grams, states_RF=states,
    )  # fmt: skip


def _tfidf(counts_RV: Any, idf: Floats) -> Any:
    from sklearn.preprocessing import normalize

    found = counts_RV.tocsr().copy()
    found.sort_indices()
    found.data = (1 + np.log(found.data)) * idf[found.indices]
    return normalize(found)


# ---- members -----------------------------------------------------------------------------------------------------------


def _weights(table: Table, rows: Rows) -> Floats:
    """Of every row: games weigh the same, and so do lies and honest messages; their mean is 1."""
    game, lie = table.game_R[rows], table.lie_R[rows]
    each = 1 / np.bincount(game, minlength=len(table.names))[game]
    return np.asarray(each * np.where(lie, 1 / each[lie].sum(), 1 / each[~lie].sum()) * len(rows) / 2)


def _in_units(odds_R: Floats) -> tuple[float, float]:
    return float(odds_R.mean()), max(float(odds_R.std()), 1e-9)


def fit_shown(table: Table, rows: Rows) -> Linear:
    """Logistic regression on what messages show."""
    from sklearn.linear_model import LogisticRegression

    x = table.shown_RF[rows]
    mean, spread = x.mean(0), np.where(x.std(0) > 1e-9, x.std(0), 1.0)
    z = np.clip((x - mean) / spread, -CLIP, CLIP)
    head = LogisticRegression(C=PENALTY["shown"], max_iter=200, tol=1e-3).fit(z, table.lie_R[rows], sample_weight=_weights(table, rows))
    middle, unit = _in_units(z @ head.coef_[0])
    return Linear(numbers(mean), numbers(spread), numbers(head.coef_[0] / unit), -middle / unit)


def fit_words(table: Table, rows: Rows) -> Words:
    """Logistic regression on the n-grams that at least RAREST of the rows have."""
    from sklearn.linear_model import LogisticRegression

    counts = table.counts_RV[rows]
    often = np.asarray((counts > 0).sum(0)).ravel()
    kept = np.flatnonzero(often >= RAREST)
    if not len(kept):
        raise AnalysisError(f"no word in {RAREST} of the messages to fit on; give more games")
    idf = np.log((1 + len(rows)) / (1 + often[kept])) + 1
    x = _tfidf(counts[:, kept], idf)
    head = LogisticRegression(C=PENALTY["words"], max_iter=100, tol=1e-3).fit(x, table.lie_R[rows], sample_weight=_weights(table, rows))
    middle, unit = _in_units(x @ head.coef_[0])
    return Words(tuple(table.vocabulary[i] for i in kept), numbers(idf), numbers(head.coef_[0] / unit), -middle / unit)


def fit_states(table: Table, rows: Rows) -> Linear | None:
    """Ridge regression on the states: as many features as these make a logistic regression slow and no better."""
    if table.states_RF is None:
        return None
    x, weights = table.states_RF[rows], _weights(table, rows)
    mean, spread = x.mean(0), np.where(x.std(0) > 1e-9, x.std(0), 1.0)
    z = np.clip((x - mean) / spread, -CLIP, CLIP)
    target = np.where(table.lie_R[rows], 1.0, -1.0)
    weighed = z * weights[:, None]
    square = weighed.T @ z
    square[np.diag_indices_from(square)] += RIDGE * len(rows)
    found = np.linalg.solve(square, weighed.T @ target)
    middle, unit = _in_units(z @ found)
    return Linear(numbers(mean), numbers(spread), numbers(found / unit), -middle / unit)


def numbers(values: Floats) -> tuple[float, ...]:
    """As plain numbers, which JSON can write."""
    return tuple(float(v) for v in values)


# ---- scores ------------------------------------------------------------------------------------------------------------


def members_of(model: Model, table: Table, rows: Rows) -> dict[str, Floats]:
    """Each member's scores [R] of these rows."""
    found = {"shown": model.shown.of(table.shown_RF[rows]), "words": model.words.of(table.counts_RV[rows], table.vocabulary)}
    if model.states is not None:
        if table.states_RF is None:
            raise ValueError("the model reads states and the table has none; give them to table_of")
        found["states"] = above_usual(model.states.of(table.states_RF[rows]), table.thread_R[rows])
    return found


def above_usual(scores_R: Floats, thread_R: Rows) -> Floats:
    """[R]: by how much each exceeds the mean of the earlier scores of its thread, which is drawn towards 0."""
    sums: dict[int, tuple[float, int]] = {}
    found = np.zeros(len(scores_R))
    for i, (score, thread) in enumerate(zip(scores_R.tolist(), thread_R.tolist(), strict=True)):
        total, count = sums.get(thread, (0.0, 0))
        found[i] = score - total / (count + USUAL)
        sums[thread] = total + score, count + 1
    return found


def earlier(scores_R: Floats, thread_R: Rows) -> Floats:
    """[R]: what the earlier scores of the same thread come to, 0 before the first."""
    held: dict[int, float] = {}
    found = np.zeros(len(scores_R))
    for i, (score, thread) in enumerate(zip(scores_R.tolist(), thread_R.tolist(), strict=True)):
        found[i] = held.get(thread, 0.0)
        held[thread] = FADE * found[i] + (1 - FADE) * score
    return found


def mixed(arm: Arm, members: Mapping[str, Floats], thread_R: Rows) -> Floats:
    """[R]: the scores of an arm."""
    plain = np.sum([weight * members[name] for name, weight in arm.mix.items() if weight], axis=0)
    return np.asarray(plain + arm.share * earlier(plain, thread_R))


# ---- fitting -----------------------------------------------------------------------------------------------------------


def fit_members(table: Table, rows: Rows, checkpoint: str | None) -> Model:
    """The members, no arm yet."""
    return Model(shown=fit_shown(table, rows), words=fit_words(table, rows), states=fit_states(table, rows), checkpoint=checkpoint)


def fit(table: Table, games: Sequence[int], checkpoint: str | None, rng: np.random.Generator, members: Model | None = None) -> Model:
    """A model of these games, its arms chosen on parts of them left out in turn (dealt by `rng`). `members` if they are fitted already.

    Raises `AnalysisError` where there is nothing to learn from.
    """
    rows = table.of(games)
    check(table, games)
    parts = dealt(table, games, rng)
    found: list[dict[str, Floats]] = []
    for part in parts:
        head = fit_members(table, table.of([g for g in games if g not in part]), checkpoint)
        found.append(members_of(head, table, table.of(part)))
    at = np.concatenate([table.of(part) for part in parts])
    left_out = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    arms = {ARMS[1]: choose({n: v for n, v in left_out.items() if n != "states"}, table, at)}
    if "states" in left_out:
        arms = {ARMS[0]: choose(left_out, table, at), **arms}
    return replace(members or fit_members(table, rows, checkpoint), arms=arms)


def check(table: Table, games: Sequence[int]) -> None:
    """Raises `AnalysisError` for games from which nothing can be learned."""
    if len(games) < FEWEST:
        raise AnalysisError(f"{len(games)} games; a detector needs {FEWEST} or more, to choose its threshold on some that it was not fitted on")
    lies = [g for g in games if table.lie_R[table.game_R == g].any()]
    honest = [g for g in games if not table.lie_R[table.game_R == g].all()]
    if len(lies) < FOLDS or len(honest) < FOLDS:
        kind, few = ("a lie", lies) if len(lies) < FOLDS else ("an honest message", honest)
        raise AnalysisError(f"{len(few)} of {len(games)} games have {kind}; a detector needs both kinds in {FOLDS} games or more")


def dealt(table: Table, games: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """The games in FOLDS parts: dealt in turn, those with lies first, so that each part has some."""
    order = [int(g) for g in rng.permutation(list(games))]
    order.sort(key=lambda g: not table.lie_R[table.game_R == g].any())
    return [sorted(order[i::FOLDS]) for i in range(FOLDS)]


def choose(members: Mapping[str, Floats], table: Table, rows: Rows) -> Arm:
    """The mixture of these scores of games left out with the highest AUROC (the mean of that over all of them and that within games), and its
    threshold with the highest macro-F1."""
    thread, lie = table.thread_R[rows], table.lie_R[rows]
    games = [np.flatnonzero(table.game_R[rows] == g) for g in np.unique(table.game_R[rows])]
    games = [part for part in games if 0 < lie[part].sum() < len(part)]
    held = {name: earlier(scores, thread) for name, scores in members.items()}
    best, most = Arm({"shown": 1.0}, 0.0, 0.0), -1.0
    for words in MIXES["words"]:
        for states in MIXES["states"] if "states" in members else (0.0,):
            mix = {"shown": 1.0, "words": words} | ({"states": states} if "states" in members else {})
            plain, before = (np.sum([weight * part[name] for name, weight in mix.items()], axis=0) for part in (members, held))
            for share in SHARES:
                scores = plain + share * before
                found = auroc(scores, lie) + float(np.mean([auroc(scores[part], lie[part]) for part in games]) if games else 0.0)
                if found > most + 1e-9:
                    best, most = Arm(mix, share, 0.0), found
    return replace(best, threshold=threshold_of(mixed(best, members, thread), lie))


def threshold_of(scores_R: Floats, lie_R: NDArray[np.bool_]) -> float:
    """The score from which on to call a message a lie, for the highest macro-F1: half-way between two scores."""
    order = np.argsort(-scores_R, kind="stable")
    score, lie = scores_R[order], lie_R[order]
    called = np.arange(1, len(score) + 1)
    hits, lies, n = np.cumsum(lie), int(lie.sum()), len(score)
    of_lies = 2 * hits / (called + lies)
    honest_right = (n - lies) - (called - hits)
    of_honest = 2 * honest_right / np.maximum(1, (n - called) + (n - lies))
    apart = np.append(score[:-1] > score[1:], True)  # no threshold goes between equal scores
    at = int(np.argmax(np.where(apart, of_lies + of_honest, -1.0)))
    return float((score[at] + score[at + 1]) / 2) if at + 1 < n else float(score[at])


def f1(called_R: NDArray[np.bool_], lie_R: NDArray[np.bool_]) -> tuple[float, float]:
    """(macro-F1, F1 of lies); a kind that is neither there nor named counts 0."""
    def one(named: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
        both = int(named.sum() + true.sum())
        return 2 * int((named & true).sum()) / both if both else 0.0

    lies = one(called_R, lie_R)
    return (lies + one(~called_R, ~lie_R)) / 2, lies
