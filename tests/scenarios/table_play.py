"""A table of Diplomacy without machinery: scripted and random seats play a game in one loop. For tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from agents.memory import AgentMemory
from agents.policies.scripted import ScriptedPolicy
from agents.types import Action, AgentID, Message, Observation, Turn
from scenarios.diplomacy.environment import Diplomacy, State
from scenarios.environment import Outcome, Window


def stream(*name: object) -> np.random.Generator:
    """A random stream by name."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(repr(name).encode()).digest()[:8], "big"))


@dataclass(frozen=True)
class Step:
    """One window played: who did what, and what followed."""

    state: State
    window: Window
    actions: Mapping[AgentID, Action]
    outcome: Outcome
    notes: Mapping[AgentID, object]


def play(world: Diplomacy, seed: int, random_seats: frozenset[AgentID] = frozenset()) -> Iterator[Step]:
    """The steps of a game. Random seats are silent and order anything legal."""
    policy, state = ScriptedPolicy(world.language), world.start(stream(seed, "start"))
    memories = {agent: AgentMemory() for agent in world.agents}
    boxes: dict[AgentID, tuple[Message, ...]] = dict.fromkeys(world.agents, ())
    step, done = 0, False
    while not done:
        window, actions = world.window(state), {}
        order = sorted(window.agents, key=lambda a: stream(seed, a, "schedule", step).random())
        free = list(window.channels)
        for agent in order:
            mine = tuple(c for c in free if agent in c.readers)
            free = [c for c in free if agent not in c.readers]
            view, rng = world.observe(state, agent), stream(seed, agent, step)
            if agent in random_seats:
                actions[agent] = Action(move=_anything(view, rng) if window.move_due else None)
                continue
            seen = Observation(
                agent=agent, step=step, time=window.start, heard=boxes[agent], may_write=mine, move_due=window.move_due, view=view
            )
            boxes[agent] = ()
            ((actions[agent], memories[agent]),) = policy.step([Turn(observation=seen, memory=memories[agent], rng=rng)])
        for message in (m for agent in order for m in actions[agent].messages):
            for reader in message.channel.readers - {message.author}:
                boxes[reader] += (message,)
        outcome = world.step(state, {a: action.move for a, action in actions.items()}, stream(seed, "world", step))
        yield Step(state, window, actions, outcome, {a: m.notes for a, m in memories.items()})
        state, done, step = outcome.state, outcome.done, step + 1


def _anything(view: Mapping[str, object], rng: np.random.Generator) -> list[str]:
    legal: Mapping[str, list[str]] = view.get("legal", {})  # type: ignore[assignment]
    count = abs(int(view.get("count", 1)))  # type: ignore[call-overload]
    return [str(o) for options in legal.values() for o in rng.permutation(options)[:count]]
