"""Who acts, when, and who may write where: the only file that imports Mesa.

A world's window says who may act until when. Every seat draws its own moment in the window from its own stream; a channel
of the window then belongs to the earliest of its readers who act in it, so that each channel has one writer at a time.
The draw depends on (seed, agent, step) alone: a schedule is restored by making it again.
Mesa's event queue holds callbacks weakly (a lambda never runs) and is renamed in Mesa 4; it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mesa

from sandbox.chance import stream
from scenarios.environment import Window
from sociallm.conversation import AgentID, Channel


class ScheduleError(ValueError):
    """A window that cannot be shared out: a fault of the world, in one line."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One agent's moment in a window, and the channels that are its own to write in during it."""

    agent: AgentID
    time: int
    channels: tuple[Channel, ...]


class Seat(mesa.Agent):
    """An agent's place in the simulated time of a run."""

    def __init__(self, model: Schedule, name: AgentID):
        super().__init__(model)
        self.name = name

    def draw(self, window: Window, step: int) -> tuple[int, AgentID]:
        """A moment of [start, end), from this seat's own stream."""
        moment = stream(self.model.run_seed, self.name, "schedule", step).integers(window.start, window.end)
        return int(moment), self.name


class Schedule(mesa.Model):
    """One Mesa agent per seat."""

    def __init__(self, seed: int, agents: Sequence[AgentID]):
        super().__init__(rng=seed)
        self.run_seed = seed
        for name in agents:
            Seat(self, name)

    def next_agents(self, window: Window, step: int) -> tuple[Slot, ...]:
        """The acting agents in order of their moments (all different), each with the channels it may write in."""
        unknown = set(window.agents) - {seat.name for seat in self.agents}
        if unknown:
            raise ScheduleError(f"the window at {window.start} ms asks {sorted(unknown)}, who have no seat in this run")
        if window.agents and window.end - window.start < (asked := len(set(window.agents))):
            raise ScheduleError(f"the window [{window.start}, {window.end}) ms is too short for {asked} agents; make it longer")
        acting = self.agents.select(lambda seat: seat.name in window.agents)
        moments = distinct(sorted(acting.map("draw", window, step)), window.end)
        writer: dict[str, AgentID] = {}
        for _, name in moments:
            for channel in window.channels:
                if name in channel.readers:
                    writer.setdefault(channel.name, name)
        return tuple(
            Slot(agent=name, time=time, channels=tuple(c for c in window.channels if writer.get(c.name) == name)) for time, name in moments
        )


def distinct(moments: Sequence[tuple[int, AgentID]], end: int) -> list[tuple[int, AgentID]]:
    """The same moments in the same order, moved apart where they fall together: later where there is room, else earlier."""
    apart: list[tuple[int, AgentID]] = []
    for time, name in moments:
        apart.append((max(time, apart[-1][0] + 1) if apart else time, name))
    for i in range(len(apart) - 1, -1, -1):
        latest = end - 1 if i == len(apart) - 1 else apart[i + 1][0] - 1
        apart[i] = (min(apart[i][0], latest), apart[i][1])
    return apart
