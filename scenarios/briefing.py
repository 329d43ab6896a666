"""A briefing: what each agent is told of itself, its persona, reaches it as a message to itself that nobody else can read. Any world can have one.

It is told before anything else, in a window of its own in which nobody is asked; who is told something new later on, as in a fork, is told it before
the next step. From then on the persona also stands in what the agent is shown, as `persona`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agents.types import JSON, Language
from scenarios.environment import Environment, Outcome, State, Window
from sociallm.conversation import AgentID, Channel, Message, clean

MAX_PERSONA = 2000  # characters
STEERING = re.compile(  # what could steer a terminal, or hide words: from people, or, as tags do, from all but a model
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
LINES = re.compile("\r\n?|[\u2028\u2029]")
STATED = {"told", "world"}  # of a state's JSON form


@dataclass(frozen=True)
class Told:
    """Where a world stands, and what each agent was told of itself so far."""

    world: State
    told: Mapping[AgentID, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Briefed:
    """A world whose agents are told their personas; all else is the world's own, also by the names of its attributes."""

    world: Environment
    personas: Mapping[AgentID, str]

    @property
    def agents(self) -> tuple[AgentID, ...]:
        """The world's."""
        return self.world.agents

    @property
    def language(self) -> Language | None:
        """The world's."""
        return self.world.language

    def start(self, rng: np.random.Generator) -> Told:
        """The world's first state, nobody told anything yet."""
        return Told(self.world.start(rng))

    def window(self, state: Told) -> Window:
        """The world's next, or before it the briefing: of no length, and nobody is asked."""
        window = self.world.window(state.world)
        return Window(agents=(), start=window.start, end=window.start) if self._due(state) else window

    def observe(self, state: Told, agent: AgentID) -> Mapping[str, JSON]:
        """What the world shows the agent, and its persona."""
        seen = self.world.observe(state.world, agent)
        return {**seen, "persona": self.personas[agent]} if agent in self.personas else seen

    def step(self, state: Told, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """The briefing, where one is due; else what follows in the world."""
        if due := self._due(state):
            start = self.world.window(state.world).start
            messages = tuple(persona_message(agent, self.personas[agent], start, len(state.told.get(agent, ()))) for agent in due)
            return Outcome(state=replace(state, told={**state.told, **{agent: (*state.told.get(agent, ()), self.personas[agent]) for agent in due}}), messages=messages)
        outcome = self.world.step(state.world, moves, rng)
        return replace(outcome, state=replace(state, world=outcome.state))

    def to_json(self, state: Told) -> JSON:
        """The world's state, and what was told."""
        return {"told": {agent: list(texts) for agent, texts in sorted(state.told.items())}, "world": self.world.to_json(state.world)}

    def from_json(self, value: JSON) -> Told:
        """The state that `to_json` gave, or the world alone did: to its agents nothing was told yet. Raises what the world's does, or ValueError."""
        if not isinstance(value, dict) or set(value) != STATED:
            return Told(self.world.from_json(value))
        told = value["told"]
        if not isinstance(told, dict) or not all(isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in told.values()):
            raise ValueError("expected the texts that each agent was told")
        return Told(self.world.from_json(value["world"]), {agent: tuple(texts) for agent, texts in told.items()})

    def _due(self, state: Told) -> list[AgentID]:
        """Whom there is something to tell, in order of name."""
        return [agent for agent, text in sorted(self.personas.items()) if state.told.get(agent, ())[-1:] != (text,)]

    def __getattr__(self, name: str) -> Any:
        if name in ("world", "personas") or name.startswith("__"):  # not there yet: somebody is making a copy
            raise AttributeError(name)
        found = getattr(self.world, name)
        return (lambda state: found(state.world)) if name == "share" else found  # the one of them that is asked about a state


def briefed(world: Environment, personas: Mapping[AgentID, str]) -> Environment:
    """The world with these personas told, beside those that it tells already; as it is without any. Raises ValueError, one line, for one that
    cannot be told, naming its agent first."""
    if not personas:
        return world
    before = world.personas if isinstance(world, Briefed) else {}
    for agent in personas:
        if agent not in world.agents:
            raise ValueError(f"{agent:.40}: no such agent, expected one of {', '.join(world.agents)}")
        if agent in before:
            raise ValueError(f"{agent}: the world tells it another persona; keep one of the two")
    texts = {agent: persona_of(agent, text) for agent, text in personas.items()}
    return Briefed(world.world if isinstance(world, Briefed) else world, {**before, **texts})


def persona_of(agent: AgentID, text: str) -> str:
    """The text as it is told: without what could steer a terminal or hide words. Raises ValueError for one that is empty or too long."""
    plain = STEERING.sub("", LINES.sub("\n", clean(text))).strip()
    if not 0 < len(plain) <= MAX_PERSONA:
        raise ValueError(f"{agent}: got {len(plain)} characters, expected a text of 1 to {MAX_PERSONA}")
    return plain


def alone(agent: AgentID) -> Channel:
    """The channel in which an agent is told what only it knows: its own state reads it, and nobody else's."""
    return Channel(name=f"{agent}-SELF", readers=frozenset({agent}))


def persona_message(agent: AgentID, text: str, time: int, before: int = 0) -> Message:
    """A persona as it is told: by the agent to itself. `before`: how many it was told already."""
    return Message(id=f"persona-{agent}" + (f"-{before + 1}" if before else ""), author=agent, channel=alone(agent), time=time, text=text)
