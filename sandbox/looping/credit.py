"""Which choices learners made, and what came of each: the lessons of a head.

What one chose to say is judged by how those fared who could read it there (said or not), a move by how one fared oneself. From that is taken what could
be expected of the case whatever anybody did, where the world's log says so (of a team task: the chance that all clues together give the culprit): it
depends on no choice, so it changes no expected gradient, and without it a few hard or easy cases outshout all choices (Greensmith, Bartlett & Baxter, JMLR 2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.choosing import choice_of
from agents.learning import Lesson
from sandbox.log import Event
from sandbox.looping.playing import given, rows_of
from sandbox.sealed import events_of
from sandbox.snapshot import RunError
from sociallm.conversation import AgentID

SAID = ("tell",)  # kinds of choice that serve those who read; of others, what came of it is one's own
LEARNED = (*SAID, "answer")  # of others (orders) the world's own points count too, and the log does not hold them: `analysis/benches/heads.py` learns those


def by_kind(runs: Mapping[int, Path]) -> dict[str, list[Lesson]]:
    """Kind of choice → the lessons of these generations' experiments. Raises `RunError` for a damaged log."""
    found: dict[str, list[Lesson]] = {}
    for generation, experiment in runs.items():
        for row in rows_of(experiment):
            for lesson in lessons(list(events_of(experiment / row["folder"])), generation, str(experiment / row["folder"])):
                found.setdefault(lesson.choice.kind, []).append(lesson)
    return found


def lessons(events: Sequence[Event], generation: int, where: str) -> list[Lesson]:
    """Those of one run: choices of agents who were given a reward."""
    rewards, expected, near = given(events), hoped(events), readers(events)
    found = []
    for event in events:
        agent = event.agent or ""
        for told in (event.data.get("choices") or []) if event.kind == "intent" and agent in rewards else []:
            try:
                choice = choice_of(told)
            except ValueError as error:
                raise RunError(f"{where}: {error}") from None
            if choice.kind not in LEARNED:
                continue
            whose = (near.get((event.step, agent)) or sorted(rewards)) if choice.kind in SAID else [agent]
            fared = [rewards[one] for one in whose if one in rewards] or [rewards[agent]]
            hope = expected if choice.likely < 1 else 0.0  # where nothing is drawn, what turned out well is imitated: whether it was right, and no more
            found.append(Lesson(choice, sum(fared) / len(fared) - hope, generation))
    return found


def hoped(events: Sequence[Event]) -> float:
    """What could be expected whatever anybody chose: 0 where the log does not say."""
    for event in events:
        for told in (event.data.get("events") or []) if event.kind == "outcome" else []:
            if isinstance(told, Mapping) and told.get("what") == "case" and isinstance(told.get("posterior"), Mapping):
                return float(told["posterior"][told["culprit"]])
    return 0.0


def readers(events: Sequence[Event]) -> dict[tuple[int, AgentID], list[AgentID]]:
    """(step, agent) → who, but for itself, reads the channels that it may write in then, as far as anybody ever wrote there."""
    of: dict[str, Any] = {e.data["channel"]: e.data["readers"] for e in events if e.kind == "message"}
    return {
        (e.step, e.agent): sorted({one for name in e.data.get("may_write") or [] for one in of.get(name, []) if one != e.agent})
        for e in events if e.kind == "observation" and e.agent
    }  # fmt: skip
