"""The moments of a run, one a step, and what each is called: the phase, round or quest that it belongs to, by what the world said happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.log import Event

Columns = dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """`steps` in order; `agents` as the page lists them."""

    steps: tuple[int, ...]
    agents: tuple[str, ...]

    @cached_property
    def at(self) -> Mapping[int, int]:
        """Step → number of the moment."""
        return {step: i for i, step in enumerate(self.steps)}

    @cached_property
    def who(self) -> Mapping[str, int]:
        """Agent → number in the page."""
        return {agent: i for i, agent in enumerate(self.agents)}


def happened(event: Event) -> Iterator[Mapping[str, Any]]:
    """What the world said happened; what is not of the form is passed over."""
    told = event.data.get("events") if event.kind == "outcome" else None
    yield from (one for one in told if isinstance(one, dict)) if isinstance(told, list) else ()


def moments(events: Sequence[Event], seats: Sequence[str] = ()) -> Moments:
    """All steps of a log and everybody in it: seats first, in their order."""
    seen = {event.agent for event in events if event.agent is not None}
    for event in events:
        if event.kind in ("message", "delivery"):
            readers = event.data.get("readers")
            seen |= {reader for reader in readers if isinstance(reader, str)} if isinstance(readers, list) else set()
    return Moments(tuple(sorted({event.step for event in events})), (*dict.fromkeys(seats), *sorted(seen - set(seats))))


def called(events: Sequence[Event], of: Moments) -> list[str]:
    """The name of each moment; "" where the world has none.

    What names the phase that moves ended (an adjudication, sales, a vote on a quest's team) names the talk before it too; what tells that a
    phase begins names what follows.
    """
    ended: dict[int, str] = {}
    begun: dict[int, str] = {}
    for event in events:
        for one in happened(event):
            at, what = of.at[event.step], one.get("what")
            phase, number, quest = one.get("phase"), one.get("round"), one.get("quest")
            if isinstance(phase, str):
                (begun if what == "phase" else ended)[at] = phase
            elif type(number) is int:
                ended[at] = f"round {number + 1}"
            elif type(quest) is int:
                ended[at] = f"quest {quest + 1}"
            if isinstance(one.get("next"), str):
                begun[at + 1] = one["next"]
            if what in ("strike", "case", "answers"):
                ended[at] = str(what)
    names, name = [""] * len(of.steps), ""
    for at in range(len(names)):
        name = begun.get(at, name)
        names[at] = ended.get(at, name)
    later = ""
    for at in reversed(range(len(names))):
        later = ended.get(at, begun.get(at, later))
        if later and later not in ("strike", "case", "answers"):
            names[at] = names[at] or later
    return names


def table(events: Sequence[Event], of: Moments) -> Columns:
    """{"n", "start", "end"} of each moment: its step, and the times at which it begins and ends."""
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for event in events:
        at = of.at[event.step]
        starts[at], ends[at] = min(starts.get(at, event.time), event.time), max(ends.get(at, event.time), event.time)
    every = range(len(of.steps))
    return {"n": list(of.steps), "start": [starts[at] for at in every], "end": [ends[at] for at in every]}
