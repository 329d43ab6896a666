"""A world played in memory, in the plainest loop: who acts sees, speaks and moves, what was said is delivered, the world goes on.

No rights are checked, nothing is logged, and what the world itself says to somebody is left out; a run with all of that is `python -m sandbox run`.
Where chance comes from, and who acts when, is an argument: two games of one chance differ only by what was changed between them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agents.memory import AgentMemory
from agents.types import JSON, Action, AgentID, Message, Observation, Policy, Turn
from scenarios.environment import Environment, Outcome, State, Window


class Chance(Protocol):
    """All that is drawn in a game, by name: nothing depends on what was drawn before."""

    def start(self) -> np.random.Generator:
        """For the world's first state."""
        ...

    def acting(self, window: Window, step: int) -> Iterable[tuple[AgentID, int]]:
        """Who acts in this window, and at what moment, in the order in which they do."""
        ...

    def agent(self, agent: AgentID, step: int) -> np.random.Generator:
        """For what an agent does in a step."""
        ...

    def world(self, step: int) -> np.random.Generator:
        """For what follows from a step."""
        ...


@dataclass(frozen=True)
class Named:
    """Chance by the SHA-256 of (seed, who, what for, step); all act as the window opens, in an order that is drawn."""

    seed: int

    def start(self) -> np.random.Generator:
        """For the world's first state."""
        return stream(self.seed, "start")

    def acting(self, window: Window, step: int) -> Iterable[tuple[AgentID, int]]:
        """All of the window, in an order drawn for it."""
        return [(agent, window.start) for agent in sorted(window.agents, key=lambda a: stream(self.seed, a, "schedule", step).random())]

    def agent(self, agent: AgentID, step: int) -> np.random.Generator:
        """For what an agent does in a step."""
        return stream(self.seed, agent, step)

    def world(self, step: int) -> np.random.Generator:
        """For what follows from a step."""
        return stream(self.seed, "world", step)


def stream(*name: object) -> np.random.Generator:
    """A random stream by name."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(name).encode()).digest()[:8], "big"))


@dataclass(frozen=True)
class Step:
    """One window played: who did what, in the order in which they acted, and what followed."""

    number: int
    state: State  # before it
    window: Window
    actions: Mapping[AgentID, Action]
    outcome: Outcome
    memories: Mapping[AgentID, AgentMemory]

    @property
    def messages(self) -> list[Message]:
        """What was said in it, agent by agent."""
        return [message for action in self.actions.values() for message in action.messages]


def play(world: Environment, policies: Mapping[AgentID, Policy], chance: Chance, show: Callable[[State, AgentID], Mapping[str, JSON]] | None = None) -> Iterator[Step]:
    """The steps of a game, to its end. `show`: what an agent is shown of a state, if another thing than the world's `observe` has it."""
    show, state = world.observe if show is None else show, world.start(chance.start())
    memories = dict.fromkeys(world.agents, AgentMemory())
    boxes: dict[AgentID, tuple[Message, ...]] = dict.fromkeys(world.agents, ())
    for number in itertools.count():
        window, actions = world.window(state), dict[AgentID, Action]()
        free = window.channels
        for agent, time in chance.acting(window, number):
            mine, free = tuple(c for c in free if agent in c.readers), tuple(c for c in free if agent not in c.readers)
            seen = Observation(agent=agent, step=number, time=time, heard=boxes[agent], may_write=mine, move_due=window.move_due, view=show(state, agent))
            boxes[agent] = ()
            ((actions[agent], memories[agent]),) = policies[agent].step([Turn(observation=seen, memory=memories[agent], rng=chance.agent(agent, number))])
        for message in (m for action in actions.values() for m in action.messages):
            for reader in message.channel.readers - {message.author}:
                boxes[reader] += (message,)
        outcome = world.step(state, {agent: action.move for agent, action in actions.items()}, chance.world(number))
        yield Step(number, state, window, actions, outcome, dict(memories))
        state = outcome.state
        if outcome.done:
            return
