"""A table of Diplomacy without machinery: negotiators, silent ones and random movers play one game in one loop.

For measuring many games fast and for tests; a run with a log, states and words of a model is `python -m sandbox run`. Each seat draws
from streams named by (seed, seat, step), so two games of one seed differ only by what was changed between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from agents.memory import AgentMemory
from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, Action, AgentID, Message, Observation, Policy, Turn
from scenarios.diplomacy.environment import Diplomacy, State
from scenarios.diplomacy.games import Game, Said, recorded_play
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
    notes: Mapping[AgentID, JSON]

    @property
    def messages(self) -> list[Message]:
        """What was said in it, agent by agent in the order of their moments."""
        return [message for action in self.actions.values() for message in action.messages]


def play(world: Diplomacy, seed: int, random_seats: Collection[AgentID] = (), seats: Mapping[AgentID, Policy] | None = None) -> Iterator[Step]:
    """The steps of a game. Random seats are silent and order anything legal; those of `seats` have policies of their own; the others are the world's
    negotiator in the grammar's words."""
    scripted, state = ScriptedPolicy(world.language), world.start(stream(seed, "start"))
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
                actions[agent] = Action(move=anything(view, rng) if window.move_due else None)
                continue
            seen = Observation(
                agent=agent, step=step, time=window.start, heard=boxes[agent], may_write=mine, move_due=window.move_due, view=view
            )
            boxes[agent] = ()
            policy = (seats or {}).get(agent, scripted)
            ((actions[agent], memories[agent]),) = policy.step([Turn(observation=seen, memory=memories[agent], rng=rng)])
        for message in (m for agent in order for m in actions[agent].messages):
            for reader in message.channel.readers - {message.author}:
                boxes[reader] += (message,)
        outcome = world.step(state, {a: action.move for a, action in actions.items()}, stream(seed, "world", step))
        yield Step(state, window, actions, outcome, {a: m.notes for a, m in memories.items()})
        state, done, step = outcome.state, outcome.done, step + 1


def anything(view: Mapping[str, JSON], rng: np.random.Generator) -> list[str]:
    """Legal orders, drawn evenly."""
    legal: Mapping[str, list[str]] = view.get("legal", {})
    count = abs(int(view.get("count", 1)))
    return [str(o) for options in legal.values() for o in rng.permutation(options)[:count]]


def centres(steps: Iterable[Step]) -> dict[AgentID, int]:
    """Supply centres by power at the end of a game."""
    *_, last = steps
    return {power: len(held) for power, held in last.outcome.state.board.centers.items()}


def game_of(name: str, steps: Iterable[Step]) -> Game:
    """What was said and ordered in a game, in the form that `behaviour` measures."""
    return recorded_play(name, _rows(steps))


def _rows(steps: Iterable[Step]) -> Iterator[tuple[str, object]]:
    for step in steps:
        for message in step.messages:
            others = message.channel.readers - {message.author}
            yield "said", Said(message.author, next(iter(others)) if len(others) == 1 else None, message.text)
        for event in step.outcome.events:
            if event["what"] == "adjudication":
                yield "orders", (event["phase"], event["orders"])
