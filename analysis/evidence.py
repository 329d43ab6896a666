"""Evidence: what a detector may know of a run. A log as somebody sees it who was not told what was planted, and who may not open the labels.

Taken out are interventions, the names that a world gives its channels, and what a team task tells its log alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.metrics import AnalysisError, read_run
from sandbox.log import Event
from sociallm.conversation import AgentID


@dataclass(frozen=True)
class Evidence:
    """What a detector may know of a run: its log without what was changed from outside, its world, and a model that reads.

    `key` names what a detector draws at random by: never the place of a run, which would say its arm.
    """

    events: tuple[Event, ...]
    world: str
    checkpoint: str = "base"
    key: str = ""
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # what several detectors of one run work out once

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", without_case(self.events))

    @cached_property
    def agents(self) -> tuple[AgentID, ...]:
        """All who acted, by name."""
        return tuple(sorted({str(slot[0]) for e in self.events if e.kind == "step" for slot in _slots(e)}))

    @property
    def pairs(self) -> list[tuple[AgentID, AgentID]]:
        """Every two of them, by name."""
        return [(a, b) for i, a in enumerate(self.agents) for b in self.agents[i + 1 :]]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return 1 + max((e.step for e in self.events), default=-1)

    def until(self, step: int) -> Evidence:
        """The same before this step: what was known then."""
        return Evidence(tuple(e for e in self.events if e.step < step), self.world, self.checkpoint, self.key)


def evidence_of(run: Path, checkpoint: str = "base", key: str = "") -> Evidence:
    """The evidence of a run's folder. Raises `AnalysisError`."""
    try:
        world = json.loads((run / "manifest.json").read_bytes())["environment"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AnalysisError(f"{run / 'manifest.json'}: does not name the run's world ({type(error).__name__}); restore it, or run the scenario again") from None
    return Evidence(unnamed(read_run(run)), str(world), checkpoint, key)


def without_case(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events without what a team task tells its log alone: of the case no more than all members know (suspects, public clues, reliability, who
    reaches whom), no briefings, of the answers no beliefs. Whom it was stays where it came out, in the answers."""
    told = {i: [_public(one) for one in e.data["events"]] for i, e in enumerate(events) if e.kind == "outcome" and _of_a_team(e)}
    briefed = {events[i].step for i in told if any(one["what"] == "case" for one in told[i])}
    return tuple(
        e._replace(data={**e.data, "events": told[i]}) if i in told else e
        for i, e in enumerate(events) if not (e.step in briefed and e.kind == "message" and e.data.get("readers") == [e.agent])
    )  # fmt: skip


def _of_a_team(event: Event) -> bool:
    """Whether an outcome tells a case or answers. What is damaged is for its reader to refuse."""
    told = event.data.get("events")
    return isinstance(told, list) and all(isinstance(one, Mapping) and "what" in one for one in told) and any(one["what"] in ("case", "answers") for one in told)


def _public(told: Mapping[str, Any]) -> Mapping[str, Any]:
    if told["what"] == "case" and isinstance(told.get("posterior"), Mapping):
        return {"what": "case", "suspects": list(told["posterior"]), **{key: told[key] for key in ("network", "reliability", "public") if key in told}}
    return {key: value for key, value in told.items() if key != "beliefs"} if told["what"] == "answers" else told


def unnamed(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events without interventions, which may say what is planted, and with every channel named by its readers, a second one of the same
    readers by a number too: names are the world's, and a monitor gives a channel that it opens another, which would say that it acted."""
    readers: dict[str, tuple[str, ...]] = {}
    acting = sorted({str(slot[0]) for e in events if e.kind == "step" for slot in _slots(e)})
    for e in events:
        if e.kind == "message" and isinstance(e.data.get("channel"), str) and isinstance(e.data.get("readers"), list):
            readers.setdefault(e.data["channel"], tuple(sorted(map(str, e.data["readers"]))))
        elif e.kind == "intervention" and e.data.get("what") == "swap":
            readers.setdefault(str(e.data.get("into")), tuple(acting))
    named, count = dict[str, str](), dict[tuple[str, ...], int]()
    for name, of in readers.items():
        count[of] = count.get(of, 0) + 1
        named[name] = "-".join(of) + (f"#{count[of]}" if count[of] > 1 else "")
    return tuple(_renamed(e, named) for e in events if e.kind != "intervention")


def _slots(event: Event) -> list[Any]:
    slots = event.data.get("slots")
    return [slot for slot in slots if isinstance(slot, list) and slot] if isinstance(slots, list) else []


def _renamed(event: Event, named: Mapping[str, str]) -> Event:
    """An event with the names of its channels exchanged; what is not of the form that the log has stays as it is."""
    def all_of(names: Any) -> Any:
        return [named.get(name, name) if isinstance(name, str) else name for name in names] if isinstance(names, list) else names

    data = event.data
    if event.kind == "message" and isinstance(data.get("channel"), str):
        return event._replace(data={**data, "channel": named.get(data["channel"], data["channel"])})
    if event.kind == "step" and _slots(event):
        return event._replace(data={**data, "slots": [[*slot[:2], all_of(slot[2]), *slot[3:]] if isinstance(slot, list) and len(slot) > 2 else slot for slot in data["slots"]]})
    if event.kind == "observation" and data.get("may_write"):
        return event._replace(data={**data, "may_write": all_of(data["may_write"])})
    return event
