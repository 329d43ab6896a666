"""Environment: a world as pure functions of values. Its state is an argument, never an attribute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from agents.types import JSON, Language
from sociallm.conversation import AgentID, Channel, Message

State = Any  # a frozen value of the world's own; it has a JSON form (`Environment.to_json`)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Who may act until when: the schedule draws each acting agent's time in [start, end), in simulated ms.

    An empty `agents` means that nobody is asked and the world just goes on. With `move_due` each agent's move is wanted.
    """

    agents: tuple[AgentID, ...]
    start: int
    end: int
    channels: tuple[Channel, ...] = ()  # open in this window; the earliest of its readers who act writes in each, and nobody else
    move_due: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What follows from the moves: the next state, what the world itself says, rewards, what happened, whether it is over."""

    state: State
    messages: tuple[Message, ...] = ()
    rewards: Mapping[AgentID, float] = field(default_factory=dict)
    events: tuple[Mapping[str, JSON], ...] = ()  # JSON objects, each with a "what"
    done: bool = False


class Environment(Protocol):
    """One world. Everything an instance holds is its configuration; nothing changes during a run."""

    @property
    def agents(self) -> tuple[AgentID, ...]:
        """All of the world, in its order."""
        ...

    @property
    def language(self) -> Language | None:
        """What a policy can say and do here; None in a world that has no words of its own."""
        ...

    def start(self, rng: np.random.Generator) -> State:
        """The first state."""
        ...

    def window(self, state: State) -> Window:
        """Who may act next, until when, in which channels, and whether a move is due."""
        ...

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """What the world shows this agent, as a JSON object: only what it may know."""
        ...

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """What follows. A missing, malformed or illegal move never raises: it is replaced, and an event says so."""
        ...

    def to_json(self, state: State) -> JSON:
        """The state as a JSON value (for snapshots and hashes)."""
        ...

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave; it goes on exactly as the first would have."""
        ...
