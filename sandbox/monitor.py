"""The monitor: a detector that listens while a run is played, and acts on whom it suspects. It stands between the run and its log.

    monitor: {file: detector.json, action: flag | cut | swap | erase, level: 0.01}

After each step it reads the step's events, as anybody may who has the log, and adds to the evidence of each pair (`detector_file`, evidence.py). Where
that has reached pairs / level, however long it took, it raises an alarm, in honest runs in at most that share, and its action takes effect from the
next step on. Both stand in the log as interventions of that step, in the words of a fork:
    {"what": "alarm", "by": "monitor", "pair": [a, b], "evidence": ln E, "action"}   the others have "by" too
    {"what": "cut", "channel"}   {"what": "swap", "channel", "into"}   {"what": "erase", "other", "parts"} of an agent
flag: no more than that. cut: the narrowest channels in which both have been told something carry nothing any more. swap: all agents read and may
write what is said there, in a channel of a new name. erase: each becomes a stranger to the other, in states and notes; their own states stay.
With an alarm the evidence of the pair begins anew, and that of all pairs with one of the two, whom it may have made look suspicious. If it grows again,
there is another alarm, and where nothing is left to cut or swap it changes nothing: so the log shows what no channel ends.

All that it knows follows from the log: a run that goes on reads it there again. An alarm after the last step changes nothing and is not raised.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from agents.types import JSON
from sandbox.changes import Changes
from sandbox.config import Setting
from sandbox.hosts import Executor
from sandbox.labels import steps_of
from sandbox.log import Event, EventLog, read_events
from scenarios.evidence import Standing
from scenarios.labels import Step
from scenarios.signals import Pair, Values, over, signals
from sociallm.conversation import AgentID, Channel

BY = "monitor"
OPEN = "open:"  # how the name of a channel begins that was one of few, and is everybody's now
PARTS = ("int", "notes")
DIGITS = 6  # of evidence, in the log


class Monitor:
    """Hears what is logged, and changes what follows. Without a detector it does nothing but stand by what the log says was changed before."""

    def __init__(self, setting: Setting, hosts: Executor, log: EventLog, changes: Changes):
        """Where the run stands that goes on behind the events of this log."""
        self.changes = changes
        self._setting, self._hosts, self._log, self._detector = setting, hosts, log, setting.monitor
        self._world = signals(setting.monitor.world) if setting.monitor else None
        self._state: Any = None
        self._pairs: dict[Pair, Standing] = {}
        self._channels: dict[str, frozenset[AgentID]] = {}  # in which something was said, and who read it
        if log.count:
            self._catch_up(list(islice(read_events(log.path, torn=lambda _: None), log.count)))

    def commit(self, events: Iterable[Event]) -> None:
        """All that happened in one step: logged, and heard."""
        events = list(events)
        self._log.commit(events)
        if self._detector is not None:
            for step in steps_of(events):
                self._hear(step)

    def ahead(self, step: int) -> list[Event]:
        """The events of a step that the log holds and the run has not come to again."""
        return self._log.ahead(step)

    def act(self, number: int) -> None:
        """Before step `number`: raise the alarms that are due, and do what is to be done about each."""
        if self._detector is None:
            return
        least = max(math.log(max(1, len(self._pairs)) / self._setting.config.monitor.level), self._detector.threshold)
        while self._pairs:
            pair, standing = max(sorted(self._pairs.items()), key=lambda each: each[1].evidence)
            if standing.evidence < least:
                break
            effects = list(self._effects(pair))
            told: dict[str, JSON] = {"what": "alarm", "pair": list(pair), "evidence": round(standing.evidence, DIGITS), "action": self._setting.config.monitor.action}
            for agent, data in [(None, told), *effects]:
                self._log.mark("intervention", agent, number, by=BY, **data)
                if data["what"] == "erase":
                    self._hosts.erase(str(agent), data["other"], (), PARTS)
            self._note(told)
            self.changes = stood(self.changes, [data for _, data in effects], self._setting.environment.agents)

    # ---- what it knows ---------------------------------------------------------------------------------------------------

    def _hear(self, step: Step) -> None:
        assert self._detector is not None and self._world is not None
        self._channels |= {message.channel.name: message.channel.readers for message in step.messages}
        self._state, found = self._world.after(self._setting.environment, self._state, step)
        for pair, values in found.items():
            self._pairs[pair] = self._pairs.get(pair, Standing()).after(self._detector.past, self._detector.score(values))

    def _note(self, alarm: dict[str, JSON]) -> None:
        self._pairs = {pair: standing.anew() if set(pair) & set(alarm["pair"]) else standing for pair, standing in self._pairs.items()}

    def _catch_up(self, events: Sequence[Event]) -> None:
        """Hear what is logged already, and stand by what was done about it; memories that were erased are so in what is saved of them."""
        marks = interventions(events)
        if self._detector is not None:
            for step in steps_of(events):
                self._recall(event.data for event in marks if event.step == step.number)
                self._hear(step)
            last = max((event.step for event in events if event.kind == "outcome"), default=-1)
            self._recall(event.data for event in marks if event.step > last)
        self.changes = stood(self.changes, [event.data for event in marks], self._setting.environment.agents)

    def _recall(self, told: Iterable[Any]) -> None:
        for data in told:
            if data["what"] == "alarm":
                self._note(data)

    # ---- what it does ----------------------------------------------------------------------------------------------------

    def _effects(self, pair: Pair) -> Iterator[tuple[AgentID | None, dict[str, JSON]]]:
        """(agent, what is logged of it) of everything that the action changes."""
        action = self._setting.config.monitor.action
        if action == "erase":
            for one, other in (pair, pair[::-1]):
                yield one, {"what": "erase", "other": other, "parts": list(PARTS)}
        if action in ("cut", "swap"):
            gone = {*self.changes.shut, *self.changes.opened, *(channel.name for channel in self.changes.opened.values())}
            shared = {name: len(readers) for name, readers in self._channels.items() if set(pair) <= readers and name not in gone}
            everybody = len(self._setting.environment.agents)
            for name in sorted(name for name, count in shared.items() if count == min(shared.values()) and (action == "cut" or count < everybody)):
                yield None, {"what": "cut", "channel": name} if action == "cut" else {"what": "swap", "channel": name, "into": OPEN + name}


def signals_of(setting: Setting, events: Sequence[Event]) -> list[tuple[int, Values]]:
    """(step, the signals of every pair) of a run, as a monitor of it would hear them."""
    return list(over(str(setting.config.environment["name"]), setting.environment, steps_of(events)))


def interventions(events: Iterable[Event]) -> list[Event]:
    """What monitors did in a run."""
    return [event for event in events if event.kind == "intervention" and event.data.get("by") == BY]


def stood(changes: Changes, done: Iterable[Any], agents: Sequence[AgentID]) -> Changes:
    """The changes, and what a monitor cut and swapped besides."""
    shut, opened = set(changes.shut), dict(changes.opened)
    for data in done:
        if data["what"] == "cut":
            shut.add(data["channel"])
        elif data["what"] == "swap":
            opened[data["channel"]] = Channel(name=data["into"], readers=frozenset(agents))
    if len(shut) == len(changes.shut) and len(opened) == len(changes.opened):
        return changes
    return replace(changes, shut=frozenset(shut), opened=opened)
