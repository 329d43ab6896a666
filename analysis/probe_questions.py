"""What probe heads are asked: moments of a game, the answer that its log gives to each, and what the holder's states say to it.

Questions, from any log:
    next_move   of every move: what will the agent do, by its own state and the mean of its others, before the step
    stance      of every message with a logged act, and each of its other readers: which kind of act comes next, just before it
    fact        of every outcome event WHAT with FIELD by agent (`--fact WHAT.FIELD`): its value, by that agent's states before the step
Answers that are numbers are put into intervals, cut half-way between few values and at quantiles of many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.metrics import AnalysisError, need
from analysis.texts import SAID, log_of, text_of_run
from sandbox.log import Event
from sociallm.conversation import AgentID

TARGETS = ("next_move", "stance", "fact")
MOST_CLASSES, FEW_VALUES, INTERVALS = 12, 8, 5
RAREST = 5  # answers to make a class
OTHER = "other"
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
class ProbedGame:
    """The questions of one run, and what the holders' states say to each [questions, features]."""

    name: str
    log: str
    questions: tuple[Question, ...]
    features: NDArray[np.float32]


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


def games_of(runs: Sequence[Path], target: str, fact: str | None, checkpoint: str) -> list[ProbedGame]:
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
    return [ProbedGame(*known, one.features) for known, one in zip(found, seen, strict=True)]


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
