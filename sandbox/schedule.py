"""Who acts, when, and who may write where: the only file that imports Mesa.

A world's window says who may act until when. Every seat draws its own moment in the window from its own stream; a channel
of the window then belongs to the earliest of its readers who act in it, so that each channel has one writer at a time.
The draw depends on (seed, agent, step) alone: a schedule is restored by making it again.
Mesa's event queue holds callbacks weakly (a lambda never runs) and is renamed in Mesa 4; it is not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import mesa

from sandbox.chance import draws
from scenarios.environment import Window
from sociallm.conversation import AgentID, Channel


class ScheduleError(ValueError):
    """A window that cannot be shared out: a fault of the world, in one line."""


class Slot(NamedTuple):  # one a turn: a tuple is made in a third of a frozen dataclass's time
    """One agent's moment in a window, and the channels that are its own to write in during it."""

    agent: AgentID
    time: int
    channels: tuple[Channel, ...]


_slot = partial(tuple.__new__, Slot)  # from a tuple of its fields: what a named tuple does itself, a Python function later


class Seat(mesa.Agent):
    """An agent's place in the simulated time of a run."""

    def __init__(self, model: Schedule, name: AgentID):
        super().__init__(model)
        self.name = name


class Schedule(mesa.Model):
    """One Mesa agent per seat."""

    def __init__(self, seed: int, agents: Sequence[AgentID]):
        super().__init__(rng=seed)
        self.run_seed = seed
        self.names = frozenset(agents)
        for name in agents:
            Seat(self, name)
        self._all = tuple(self.agents.get("name"))

    def next_agents(self, window: Window, step: int) -> tuple[Slot, ...]:
        """The acting agents in order of their moments (all different), each with the channels it may write in."""
        asked = frozenset(window.agents)
        if unknown := asked - self.names:
            raise ScheduleError(f"the window at {window.start} ms asks {sorted(unknown)}, who have no seat in this run")
        if window.end - window.start < len(asked):
            raise ScheduleError(f"the window [{window.start}, {window.end}) ms is too short for {len(asked)} agents; make it longer")
        names = self._all if asked == self.names else self.agents.select(lambda seat: seat.name in asked).get("name")
        drawn = draws(self.run_seed, names, "schedule", step, window.start, window.end)  # by each seat's own chance
        moments = distinct(sorted(zip(drawn, names, strict=True)), window.end)
        to_write: dict[AgentID, list[Channel]] = {}
        order = {name: i for i, (_, name) in enumerate(moments)}
        for channel in window.channels:
            if readers := channel.readers & asked:
                to_write.setdefault(min(readers, key=order.__getitem__), []).append(channel)
        return tuple([_slot((name, time, tuple(to_write[name]) if name in to_write else ())) for time, name in moments])


def distinct(moments: Sequence[tuple[int, AgentID]], end: int) -> list[tuple[int, AgentID]]:
    """The same moments in the same order, moved apart where they fall together: later where there is room, else earlier."""
    apart: list[tuple[int, AgentID]] = []
    free: float = -math.inf  # the first moment behind all so far
    for time, name in moments:
        apart.append((time, name) if time >= free else (int(free), name))
        free = apart[-1][0] + 1
    last = end - 1  # the last moment before all behind
    for i in range(len(apart) - 1, -1, -1):
        if apart[i][0] <= last:
            break  # and so are all before it
        apart[i], last = (last, apart[i][1]), last - 1
    return apart
