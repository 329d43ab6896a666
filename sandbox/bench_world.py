"""The world of the bench: agents in pairs, all of whom move in every step; a fifth of the pairs may talk, one of the two each.

So one turn in ten holds a message. The rules cost next to nothing: what is measured is the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.types import JSON, Language
from scenarios.environment import Outcome, Window
from sociallm.conversation import AgentID, Channel

WORLDS = {"bench": "sandbox.bench_world"}
POLICIES = {"bench": "sandbox.bench_policy"}
STEP_MS = 60_000
TALKING = 5  # one pair in so many


@dataclass(frozen=True)
class Options:
    """What a configuration may say of this world."""

    agents: int = 1000
    steps: int = 10


@dataclass(frozen=True)
class State:
    """How many steps are over, and the sum of the last one's moves."""

    step: int = 0
    total: int = 0


class Pairs:
    """The world; holds its configuration."""

    language: Language | None = None

    def __init__(self, options: Options):
        self.options = options
        self.agents: tuple[AgentID, ...] = tuple(f"A{i:05d}" for i in range(options.agents))
        pairs = zip(self.agents[::2], self.agents[1::2], strict=False)
        self._channels = tuple(Channel(name=f"{a}-{b}", readers=frozenset((a, b))) for a, b in pairs)

    def start(self, rng: np.random.Generator) -> State:
        """Nothing yet."""
        return State()

    def window(self, state: State) -> Window:
        """All act; the channels take turns."""
        start = state.step * STEP_MS
        return Window(
            agents=self.agents, start=start, end=start + STEP_MS, channels=self._channels[state.step % TALKING :: TALKING], move_due=True
        )  # fmt: skip

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """Two numbers that everyone knows."""
        return {"step": state.step, "total": state.total}

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """The sum of the numbers put in."""
        total = sum(move for move in moves.values() if isinstance(move, int))
        following = State(state.step + 1, total)
        return Outcome(state=following, events=({"what": "total", "total": total},), done=following.step >= self.options.steps)

    def to_json(self, state: State) -> JSON:
        """As a list."""
        return [state.step, state.total]

    def from_json(self, value: JSON) -> State:
        """What `to_json` gave."""
        return State(*value)


def make(options: Options) -> Pairs:
    """The world that options describe."""
    return Pairs(options)
