"""Probe heads: what an agent's states tell of a next move, of an interlocutor's next act, of a fact, as calibrated probabilities.

A head is a multinomial logistic regression on what two states add, in a read-out at a few fixed beginnings (`observing.PROBES`), to the
model's residual (linear probes: Alain & Bengio 2017): the holder's own state, and its state of whom the question is about (the mean over
all others where it is about itself). Its temperature and class biases (Guo et al. 2017; Alexandari et al. 2020) are those that suit
answers of games left out of the fit, each in its turn; its figures are of games that took part in neither. Games are dealt out by the
hash of their logs, and a head refuses a run it has seen. A head is data: JSON, coefficients and all.

Questions, from any log:
    next_move   of every move: what will the agent do, by its own state and the mean of its others, before the step
    stance      of every message with a logged act, and each of its other readers: which kind of act comes next, just before it
    fact        of every outcome event WHAT with FIELD by agent (`--fact WHAT.FIELD`): its value, by that agent's states before the step
Answers that are numbers are put into intervals, cut half-way between few values and at quantiles of many.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.metrics import AnalysisError, need
from analysis.observe import DEFAULT
from analysis.stats import Interval, cluster_bootstrap
from analysis.texts import SAID, log_of, runs_of, text_of_run
from sandbox.disk import placed
from sandbox.log import Event
from sociallm.conversation import AgentID

Floats = NDArray[np.float64]
TARGETS = ("next_move", "stance", "fact")
VERSION = 1
FEWEST_RUNS = 10
SHARE = 2 / 3  # of the games: fitted and calibrated on; the rest is for the figures
MOST_CLASSES, FEW_VALUES, INTERVALS = 12, 8, 5
RAREST = 5  # answers to make a class
OTHER = "other"
PARTS = 64  # principal components that a head is fitted on; folded back into coefficients of the features
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)  # inverse; the best by likelihood of games left out
FOLDS = 5  # of games left out in turn
RARE = 1e-6  # the least that a head left out gives an answer
BINS, CHANCES = 15, 100  # CHANCES draws of answers by the probabilities themselves
MOST_READERS = 8  # of one message that are asked about it


@dataclass(frozen=True)
class Question:
    """What is asked of one moment of a game, and the answer that the log gives: a number or a text, None if it gives none."""

    step: int
    time: int
    after: int  # messages before it
    holder: AgentID
    about: AgentID
    others: tuple[AgentID, ...]  # whose states the holder is asked for
    answer: float | str | None
    message: str | None = None


@dataclass(frozen=True)
class Game:
    """The questions of one run, and what the holders' states say to each [questions, features]."""

    name: str
    log: str
    questions: tuple[Question, ...]
    features: NDArray[np.float32]


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


# ---- questions ---------------------------------------------------------------------------------------------------------


def questions_of(events: Sequence[Event], target: str, fact: str | None = None) -> tuple[Question, ...]:
    """All questions of a kind that a log answers, in order of time; of its records those of steps, messages, moves and outcomes matter."""
    before: dict[int, int] = {}  # step → messages before it
    count = 0
    for event in events:
        before.setdefault(event.step, count)
        count += event.kind == "message"
    agents = tuple(sorted({str(slot[0]) for e in events if e.kind == "step" for slot in need(e, "slots", list)}))
    if target == "stance":
        return _stances(events)
    found = []
    for event in events:
        if target == "next_move" and event.kind == "move" and event.agent is not None:
            found.append((event, event.agent, _answer(event.data.get("move"))))
        if target == "fact" and event.kind == "outcome":
            found += [(event, agent, answer) for agent, answer in _facts(event, str(fact), agents)]
    return tuple(
        Question(e.step, e.time, before[e.step], agent, agent, tuple(a for a in agents if a != agent), answer) for e, agent, answer in found
    )


def _stances(events: Sequence[Event]) -> tuple[Question, ...]:
    found = []
    said = [event for event in events if event.kind == "message"]
    for k, event in enumerate(said):
        act, author = event.data.get("act"), str(event.agent)
        kind = act.get("act") if isinstance(act, dict) else None
        if isinstance(kind, str):
            readers = sorted(set(need(event, "readers", list)) - {author})[:MOST_READERS]
            found += [Question(event.step, event.time, k, reader, author, (author,), kind, need(event, "id", str)) for reader in readers]
    return tuple(found)


def _facts(event: Event, fact: str, agents: Sequence[AgentID]) -> list[tuple[AgentID, float | str | None]]:
    what, _, name = fact.partition(".")
    found: list[tuple[AgentID, float | str | None]] = []
    for happened in need(event, "events", list):
        if isinstance(happened, dict) and happened.get("what") == what and name in happened:
            value = happened[name]
            if isinstance(value, dict):
                found += [(agent, _answer(value[agent])) for agent in agents if agent in value]
            elif value in agents:
                found += [(agent, "yes" if agent == value else "no") for agent in agents]
    return found


def _answer(value: Any) -> float | str | None:
    """A number or a text as it is; a truth as a text; anything larger is no answer."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return float(value) if np.isfinite(value) else None
    return value if isinstance(value, str) else None


def games_of(runs: Sequence[Path], target: str, fact: str | None, checkpoint: str) -> list[Game]:
    """Each run's questions and features, its messages read as an observer reads them. Raises `AnalysisError`."""
    from sociallm.checkpoint import CheckpointError, shared
    from sociallm.encode import slots_of
    from sociallm.observing import observe
    from sociallm.states import StateError
    from sociallm.trails import Asked, Moment, Source

    found, sources = [], []
    for run in runs:
        log = log_of(run, (*SAID, "step", "move", "outcome"))
        text = text_of_run(run, log)
        asked = sorted((q for q in questions_of(log.events, target, fact) if q.answer is not None), key=lambda q: q.after)
        moments = tuple(Moment(after=q.after, time=q.time, holder=q.holder, about=q.others, name=n) for n, q in enumerate(asked))
        found.append((text.name, log.sha256, tuple(asked)))
        sources.append(Source(conversation=text.conversation, slots=slots_of(text.agents), moments=moments))
    try:
        seen = list(observe(shared(checkpoint), sources, Asked(rows=False)))
    except (CheckpointError, StateError, ValueError) as error:
        raise AnalysisError(str(error)) from None
    return [Game(*known, one.features) for known, one in zip(found, seen, strict=True)]


# ---- classes -----------------------------------------------------------------------------------------------------------


def classes_of(answers: Sequence[float | str]) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """(edges of intervals, or None where answers are texts; names of the classes). Raises `AnalysisError` where there is nothing to tell apart."""
    numbers = [a for a in answers if isinstance(a, float)]
    edges: tuple[float, ...] | None = None
    if len(numbers) == len(answers) and numbers:
        values = np.unique(numbers)
        cuts = (values[1:] + values[:-1]) / 2 if len(values) <= FEW_VALUES else np.unique(np.quantile(numbers, np.arange(1, INTERVALS) / INTERVALS, method="higher"))
        edges = tuple(float(c) for c in cuts if values[0] < c <= values[-1])
        ends = [f"{e:g}" for e in edges]
        names = (f"below {ends[0]}", *(f"{a} to {b}" for a, b in zip(ends, ends[1:], strict=False)), f"{ends[-1]} or more") if edges else ("all",)
    else:
        counts = Counter(a if isinstance(a, str) else f"{a:g}" for a in answers)
        kept = sorted(name for name, n in counts.items() if n >= RAREST and name != OTHER)
        names = (*kept, *((OTHER,) if len(kept) < len(counts) else ()))
    if not 2 <= len(names) <= MOST_CLASSES:
        what = "one answer only" if len(names) < 2 else f"{len(names)} different answers, at most {MOST_CLASSES} make a head"
        raise AnalysisError(f"the runs give {what}; ask for another target, or give runs that differ more")
    return edges, names


def class_of(answer: float | str | None, edges: tuple[float, ...] | None, classes: Sequence[str]) -> int | None:
    """Which class an answer is; None for one that the head has no class for."""
    if answer is None:
        return None
    if edges is not None:
        return int(np.searchsorted(edges, answer, side="right")) if isinstance(answer, float) else None
    name = answer if isinstance(answer, str) else f"{answer:g}"
    return classes.index(name) if name in classes else classes.index(OTHER) if OTHER in classes else None


# ---- a head ------------------------------------------------------------------------------------------------------------


def train(runs: Sequence[Path], target: str, fact: str | None = None, checkpoint: str = DEFAULT) -> Probe:
    """A head from these runs, or those in these folders, with its figures. Raises `AnalysisError` where they are too few or say nothing."""
    from sociallm.checkpoint import checkpoint_hash
    from sociallm.observing import PROBES

    games = games_of(runs_of(runs), target, fact, checkpoint)
    return head_of(games, Probe(target=target, fact=fact, checkpoint=checkpoint_hash(checkpoint), beginnings=PROBES))


def head_of(given: Sequence[Game], empty: Probe) -> Probe:
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


def _rows(games: Sequence[Game], edges: tuple[float, ...] | None, classes: Sequence[str]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
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


def figures(probe: Probe, games: Sequence[Game], seed: int = 0) -> dict[str, Any]:
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


def apply(probe: Probe, runs: Sequence[Path], checkpoint: str = DEFAULT) -> list[tuple[Path, Game, Floats]]:
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


def table(probe: Probe, game: Game, p_RC: Floats) -> Any:
    """One row a question: who holds the belief about whom, when, the probability of each class, and the answer's class."""
    import pandas as pd

    rows = [(game.name, q.step, q.time, q.message, q.holder, q.about) for q in game.questions]
    frame = pd.DataFrame(rows, columns=["run", "step", "time", "message", "holder", "about"])
    for c, name in enumerate(probe.classes):
        frame[f"p {name}"] = p_RC[:, c] if len(rows) else np.zeros(0)
    numbers = [class_of(q.answer, probe.edges, probe.classes) for q in game.questions]
    return frame.assign(answer=[None if n is None else probe.classes[n] for n in numbers])
