"""Probe heads: what an agent's states tell of a next move, of an interlocutor's next act, of a fact, as calibrated probabilities.

A head is a multinomial logistic regression on what two states add, in a read-out at a few fixed beginnings (`observing.PROBES`), to the
model's residual (linear probes: Alain & Bengio 2017): the holder's own state, and its state of whom the question is about (the mean over
all others where it is about itself). Its temperature and class biases (Guo et al. 2017; Alexandari et al. 2020) are those that suit
answers of games left out of the fit, each in its turn; its figures are of games that took part in neither. Games are dealt out by the
hash of their logs, and a head refuses a run it has seen. A head is data: JSON, coefficients and all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.metrics import AnalysisError
from analysis.observe import DEFAULT
from analysis.probe_questions import TARGETS, ProbedGame, class_of, classes_of, games_of
from analysis.stats import Interval, cluster_bootstrap
from analysis.texts import runs_of
from sandbox.disk import placed

Floats = NDArray[np.float64]
VERSION = 1
FEWEST_RUNS = 10
SHARE = 2 / 3  # of the games: fitted and calibrated on; the rest is for the figures
PARTS = 64  # principal components that a head is fitted on; folded back into coefficients of the features
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # inverse; the best by likelihood of games left out
FOLDS = 5  # of games left out in turn
RARE = 1e-6  # the least that a head left out gives an answer
BINS, CHANCES = 15, 100  # CHANCES draws of answers by the probabilities themselves


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A head: softmax((weights · features + bias) / temperature + shift)."""

    target: str
    fact: str | None
    checkpoint: str
    beginnings: tuple[str, ...]
    edges: tuple[float, ...] | None = None  # of intervals, where answers are numbers
    classes: tuple[str, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    bias: tuple[float, ...] = ()
    temperature: float = 1.0
    shift: tuple[float, ...] = ()
    runs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # part → hash of the log → name
    figures: Mapping[str, Any] = field(default_factory=dict)


# ---- a head ------------------------------------------------------------------------------------------------------------


def train(runs: Sequence[Path], target: str, fact: str | None = None, checkpoint: str = DEFAULT) -> Probe:
    """A head from these runs, or those in these folders, with its figures. Raises `AnalysisError` where they are too few or say nothing."""
    from sociallm.checkpoint import checkpoint_hash
    from sociallm.observing import PROBES

    games = games_of(runs_of(runs), target, fact, checkpoint)
    return head_of(games, Probe(target=target, fact=fact, checkpoint=checkpoint_hash(checkpoint), beginnings=PROBES))


def head_of(given: Sequence[ProbedGame], empty: Probe) -> Probe:
    """The head that these games teach: `empty` says what it is about. Of games with one log one counts. Raises `AnalysisError` as `train` does."""
    games = sorted((game for game in {game.log: game for game in given}.values() if game.questions), key=lambda game: game.log)  # by hash: as good as drawn
    if len(games) < FEWEST_RUNS:
        asked = f"{empty.target!r}{f' ({empty.fact})' if empty.fact else ''}"
        raise AnalysisError(f"{len(games)} different runs answer {asked}; a head needs {FEWEST_RUNS}: two thirds to fit, a third for its figures")
    fitted = round(len(games) * SHARE)
    parts = {"fit": games[:fitted], "figures": games[fitted:]}
    edges, classes = classes_of([q.answer for game in parts["fit"] for q in game.questions if q.answer is not None])
    x, y, of = _rows(parts["fit"], edges, classes)
    weights, bias, left_out = _fitted(x, y, of, len(classes))
    temperature, shift = _calibrated(left_out, y)
    probe = replace(
        empty, edges=edges, classes=classes, weights=tuple(tuple(float(v) for v in row) for row in weights), bias=tuple(map(float, bias)),
        temperature=temperature, shift=shift, runs={part: {game.log: game.name for game in some} for part, some in parts.items()},
    )  # fmt: skip
    return replace(probe, figures=figures(probe, parts["figures"]))


def _rows(games: Sequence[ProbedGame], edges: tuple[float, ...] | None, classes: Sequence[str]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """(features, classes, numbers of the games) of every question whose answer has a class."""
    x, y, g = [], [], []
    for number, game in enumerate(games):
        for question, row in zip(game.questions, game.features, strict=True):
            if (c := class_of(question.answer, edges, classes)) is not None:
                x.append(row)
                y.append(c)
                g.append(number)
    return np.array(x, dtype=float), np.array(y, np.int64), np.array(g, np.int64)


def _fitted(x: Floats, y: NDArray[np.int64], games: NDArray[np.int64], classes: int) -> tuple[Floats, Floats, Floats]:
    """(weights [classes, features], bias, log-probabilities [questions, classes] by heads that have not seen the question's game) of a
    logistic regression on principal components; the penalty that makes the answers of games left out likeliest."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    mean, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
    pca = PCA(min(PARTS, len(x) - 1, x.shape[1]), svd_solver="full").fit((x - mean) / spread)
    z = pca.transform((x - mean) / spread)
    scale = max(float(z.std(0).max()), 1e-6)

    def fit(rows: NDArray[np.int64], penalty: float) -> Any:
        return LogisticRegression(C=penalty, max_iter=2000).fit(z[rows] / scale, y[rows])

    def left_out(penalty: float) -> Floats:
        p = np.full((len(y), classes), RARE)
        for some, left in GroupKFold(FOLDS).split(z, y, games):
            if len(np.unique(y[some])) < 2:
                raise AnalysisError("some games give one answer only; give more runs, or runs that differ more")
            head = fit(some, penalty)
            p[np.ix_(left, head.classes_)] = np.maximum(head.predict_proba(z[left] / scale), RARE)
        return np.log(p)

    tried = [left_out(penalty) for penalty in PENALTIES]
    best = max(range(len(tried)), key=lambda i: float(tried[i][np.arange(len(y)), y].sum()))
    head = fit(np.arange(len(y)), PENALTIES[best])
    coefficients, intercept = head.coef_, head.intercept_
    if classes == 2:  # scikit-learn gives the second class's alone
        coefficients, intercept = np.vstack([-coefficients / 2, coefficients / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    directions = coefficients / scale @ pca.components_  # of the features in units of their spread
    weights = directions / spread
    return weights, intercept - weights @ mean - directions @ pca.mean_, tried[best]


def _calibrated(logits: Floats, y: NDArray[np.int64]) -> tuple[float, tuple[float, ...]]:
    """(temperature, shift of each class) that make these answers likeliest; a weak pull towards 1 and 0."""
    from scipy.optimize import minimize

    def loss(v: Floats) -> float:
        log_p = log_softmax(logits * np.exp(-v[0]) + v[1:])
        return float(-log_p[np.arange(len(y)), y].sum() + 0.5 * (v**2).sum())

    best = minimize(loss, np.zeros(1 + logits.shape[1]), method="L-BFGS-B").x
    return float(np.exp(best[0])), tuple(float(v) for v in best[1:])


def log_softmax(logits: Floats) -> Floats:
    """Over the last dimension."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def beliefs(probe: Probe, features: NDArray[np.float32]) -> Floats:
    """[questions, classes]: probabilities."""
    logits = np.asarray(features, dtype=float) @ np.array(probe.weights).T + np.array(probe.bias)
    return np.exp(log_softmax(logits / probe.temperature + np.array(probe.shift)))


# ---- figures -----------------------------------------------------------------------------------------------------------


def ece(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error (Naeini et al. 2015): the mean distance, over bins of equal mass, of how sure and how often right.
    Equal confidences are in one bin."""
    if not len(confidence):
        raise ValueError("no answers, no calibration; give at least one")
    edges = np.unique(np.quantile(confidence, np.arange(1, bins) / bins))
    of = np.searchsorted(edges, confidence, side="right")
    gaps = np.bincount(of, confidence, len(edges) + 1) - np.bincount(of, right.astype(float), len(edges) + 1)
    return float(np.abs(gaps).sum() / len(confidence))


def figures(probe: Probe, games: Sequence[ProbedGame], seed: int = 0) -> dict[str, Any]:
    """How well a head does on games that it has not seen: ECE with its 95 % interval by game, and what it would be by chance were every
    probability true and the answers independent; accuracy and log loss beside those of the most frequent answer and of the frequencies."""
    p, y, of = [], [], []
    for game in games:
        for question, row in zip(game.questions, beliefs(probe, game.features) if len(game.questions) else (), strict=True):
            if (c := class_of(question.answer, probe.edges, probe.classes)) is not None:
                p.append(row)
                y.append(c)
                of.append(game.log)
    if not y:
        raise AnalysisError("the games give no answer that the head has a class for; give others")
    p_RC, y_R = np.array(p), np.array(y)
    sure, right = p_RC.max(1), p_RC.argmax(1) == y_R
    interval: Interval = cluster_bootstrap(of, lambda rows: ece(sure[rows], right[rows]), np.random.default_rng(seed), resamples=500)
    share = np.bincount(y_R, minlength=len(probe.classes)) / len(y_R)
    base = share[share > 0]
    # games drawn again are fewer different ones, whose error is larger by chance: an interval that lies above the figure begins at it
    ends = (None, None) if interval.units < 2 else (round(min(interval.low, interval.mean), 4), round(interval.high, 4))
    chance = np.random.default_rng(seed)
    by_chance = float(np.mean([ece(sure, chance.random(len(sure)) < sure) for _ in range(CHANCES)]))
    return {
        "games": len(set(of)), "answers": len(y), "ece": round(interval.mean, 4), "ece_low": ends[0], "ece_high": ends[1], "ece_by_chance": round(by_chance, 4), "accuracy": round(float(right.mean()), 4),
        "accuracy_of_most_frequent": round(float(share.max()), 4), "nats": round(float(-np.log(np.maximum(p_RC[np.arange(len(y_R)), y_R], 1e-12)).mean()), 4),
        "nats_of_frequencies": round(float(-(base * np.log(base)).sum()), 4),
    }  # fmt: skip


def as_text(found: Mapping[str, Any]) -> str:
    """Figures in a line."""
    reach = "one game, no interval" if found["ece_low"] is None else f"[{found['ece_low']:.3f}, {found['ece_high']:.3f}] by game"
    return (f"{found['answers']} answers of {found['games']} games: ECE {found['ece']:.3f} {reach} (by chance {found['ece_by_chance']:.3f}); accuracy {found['accuracy']:.3f} (most frequent answer "
            f"{found['accuracy_of_most_frequent']:.3f}); {found['nats']:.3f} nats (by frequencies {found['nats_of_frequencies']:.3f})")  # fmt: skip


# ---- files -------------------------------------------------------------------------------------------------------------


def write(probe: Probe, path: Path) -> None:
    """The head as JSON."""
    try:
        with placed(path) as part:
            part.write_text(json.dumps({"v": VERSION, **asdict(probe)}, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror or error}); name another file with --out") from None


def read(path: Path) -> Probe:
    """The head that `write` wrote. Raises `AnalysisError` for any other file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value.pop("v") != VERSION:
            raise ValueError(f"version is not {VERSION}")
        probe = Probe(**value)
        weights, bias, shift = np.array(probe.weights, float), np.array(probe.bias, float), np.array(probe.shift, float)
        n = len(probe.classes)
        if weights.ndim != 2 or not len(weights) == len(bias) == len(shift) == n or (probe.edges is not None and len(probe.edges) != n - 1):
            raise ValueError("its coefficients do not fit its classes")
        if probe.target not in TARGETS or not probe.temperature > 0 or not all(np.isfinite(v).all() for v in (weights, bias, shift)):
            raise ValueError("its target or its coefficients are none that a head has")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); name the file that `probes train` wrote") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AnalysisError(f"{path}: not a probe head ({' '.join(str(error).split()):.120}); name the file that `probes train` wrote") from None
    return replace(probe, edges=None if probe.edges is None else tuple(probe.edges), classes=tuple(probe.classes))


def apply(probe: Probe, runs: Sequence[Path], checkpoint: str = DEFAULT) -> list[tuple[Path, ProbedGame, Floats]]:
    """(run, its questions, the head's beliefs) of each of these runs, or of those in these folders. Raises `AnalysisError` for a run that the head has seen, and for another model."""
    from sociallm.checkpoint import CheckpointError, checkpoint_hash
    from sociallm.observing import PROBES

    try:
        sha256 = checkpoint_hash(checkpoint)
    except CheckpointError as error:
        raise AnalysisError(str(error)) from None
    if sha256 != probe.checkpoint or tuple(probe.beginnings) != PROBES:
        raise AnalysisError(f"the head was trained on states of the checkpoint {probe.checkpoint:.12}…, {checkpoint} is {sha256:.12}…; name that one with --checkpoint, or train again")
    paths = runs_of(runs)
    games = games_of(paths, probe.target, probe.fact, checkpoint)
    for path, game in zip(paths, games, strict=True):
        for part, logs in probe.runs.items():
            if game.log in logs:
                raise AnalysisError(f"{path}: the head has seen this game ({part}, as {logs[game.log]}); apply it to runs it was not trained on")
    return [(path, game, beliefs(probe, game.features)) for path, game in zip(paths, games, strict=True)]


def table(probe: Probe, game: ProbedGame, p_RC: Floats) -> Any:
    """One row a question: who holds the belief about whom, when, the probability of each class, and the answer's class."""
    import pandas as pd

    rows = [(game.name, q.step, q.time, q.message, q.holder, q.about) for q in game.questions]
    frame = pd.DataFrame(rows, columns=["run", "step", "time", "message", "holder", "about"])
    for c, name in enumerate(probe.classes):
        frame[f"p {name}"] = p_RC[:, c] if len(rows) else np.zeros(0)
    numbers = [class_of(q.answer, probe.edges, probe.classes) for q in game.questions]
    return frame.assign(answer=[None if n is None else probe.classes[n] for n in numbers])
