"""The command `log`: the events of a run, one a line; and where none is printed, why: what was asked for is not there, or nothing of it happened."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.log import HEADS, KINDS, Event, LogError, describe, encode
from sandbox.record import logged_message, opened
from sandbox.sealed import events_of
from sandbox.source import listed, nearest, one_of
from sociallm.conversation import Message

WHY_NONE = {  # of a kind, why a run may have none of it
    "intervention": "nothing was changed from outside", "step": "no step was begun", "observation": "nobody was asked to act",
    "fault": "nobody tried what it may not, and nothing broke", "intent": "no seat that was asked plans before it speaks",
    "message": "nobody said anything", "delivery": "nobody said anything", "move": "no move was made", "outcome": "no step came to its end",
    "reward": "the world gave none", "memory": "no seat of this run has a model", "end": "the run has not ended",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which events of a log are asked for; what is left empty asks for all."""

    kinds: frozenset[str] = frozenset()
    agent: str | None = None
    pair: tuple[str, ...] = ()  # two, one of whom wrote what the other read
    channel: str | None = None
    step: int | None = None

    def message(self, message: Message) -> bool:
        """Whether a message is of the channel, and between the two, that are asked for."""
        both = set(self.pair)
        between = not both or (message.author in both and both - {message.author} <= message.channel.readers)
        return between and self.channel in (None, message.channel.name)

    def event(self, event: Event) -> bool:
        """Whether an event is of the kind, the agent and the step that are asked for."""
        return (not self.kinds or event.kind in self.kinds) and self.agent in (None, event.agent) and self.step in (None, event.step)


def show(run: Path, asked: Asked, as_json: bool) -> None:
    """Print the events that are asked for. Raises `LogError`, also where what is asked for is not in this log."""
    if unknown := asked.kinds - set(KINDS):
        name = min(unknown)
        raise LogError(f"--kind {name}: unknown; {one_of(name, KINDS)}")
    shown = 0
    chosen: set[str] = set()  # ids of the messages of the channel or the pair asked for
    for event in events_of(run, torn=_tell):
        if asked.channel is not None or asked.pair:
            if event.kind == "message" and asked.message(logged_message(event)):
                chosen.add(event.data["id"])
            elif event.kind not in ("delivery", "memory") or event.data.get("message") not in chosen:
                continue
        if not asked.event(event):
            continue
        if not shown and not as_json:
            print(HEADS)
        print(encode(event).decode("ascii").rstrip() if as_json else describe(event))
        shown += 1
    if not shown:
        _tell(why_none(asked, there(run)))


@dataclass(kw_only=True)
class There:
    """What a log has: agents, channels, kinds and steps."""

    agents: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    steps: set[int] = field(default_factory=set)


def there(run: Path) -> There:
    """What the log of a run has."""
    found = There()
    for event in events_of(run, torn=lambda _: None):
        found.kinds.add(event.kind)
        found.steps.add(event.step)
        if event.agent is not None:
            found.agents.add(event.agent)
        if event.kind == "message":
            channel = logged_message(event).channel
            found.channels.add(channel.name)
            found.agents |= channel.readers
        if event.kind == "step":
            found.channels |= opened(event)
    return found


def why_none(asked: Asked, found: There) -> str:
    """Why a log has no event that was asked for. Raises `LogError` if it knows no such agent, channel or step."""
    agents = [("--pair", name) for name in asked.pair] + ([("--agent", asked.agent)] if asked.agent is not None else [])
    for option, name in agents:
        if name not in found.agents:
            raise LogError(f"{option} {name!r:.60}: no such agent in this log; there {listed(found.agents)}{nearest(name, found.agents)}")
    if asked.pair and asked.pair[0] == asked.pair[1]:
        raise LogError(f"--pair {' '.join(asked.pair)}: one agent named twice; expected two; for all of one's own events --agent {asked.pair[0]}")
    if asked.channel is not None and asked.channel not in found.channels:
        raise LogError(f"--channel {asked.channel!r:.60}: no such channel in this log; there {listed(found.channels)}{nearest(asked.channel, found.channels)}")
    if asked.step is not None and asked.step not in found.steps:
        range_ = f"expected {max(min(found.steps), 0)} to {max(found.steps)}" if found.steps else "the log is empty"
        raise LogError(f"--step {asked.step}: no such step in this log; {range_}")
    if missing := [kind for kind in KINDS if kind in asked.kinds - found.kinds]:
        silent = "memory" in missing and "message" not in found.kinds
        return "; ".join(f"no {kind} events: {WHY_NONE['message' if silent and kind == 'memory' else kind]}" for kind in missing)
    return "no event is all of what was asked for; leave one of the options out"


def _tell(what: str) -> None:
    print(f"sandbox: {what}", file=sys.stderr)
