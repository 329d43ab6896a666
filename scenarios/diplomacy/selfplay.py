"""A table of Diplomacy without machinery: negotiators, silent ones and random movers play one game in one loop.

For measuring many games fast and for tests; a run with a log, states and words of a model is `python -m sandbox run`. The loop is
that of `scenarios/playing.py`: each seat draws from streams named by (seed, seat, step), so two games of one seed differ only by what was changed between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.memory import AgentMemory
from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, Action, AgentID, Policy, Turn
from scenarios import playing
from scenarios.diplomacy.environment import Diplomacy
from scenarios.diplomacy.games import Game, Said, recorded_play
from scenarios.playing import Step


@dataclass(frozen=True)
class AtRandom:
    """A policy that says nothing and orders anything legal."""

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn."""
        return [(Action(move=anything(t.observation.view, t.rng) if t.observation.move_due else None), t.memory) for t in turns]


def play(world: Diplomacy, seed: int, random_seats: Collection[AgentID] = (), seats: Mapping[AgentID, Policy] | None = None) -> Iterator[Step]:
    """The steps of a game. Random seats are silent and order anything legal; those of `seats` have policies of their own; the others are the world's
    negotiator in the grammar's words."""
    policies: dict[AgentID, Policy] = dict.fromkeys(world.agents, ScriptedPolicy(world.language))
    policies |= {**(seats or {}), **dict.fromkeys(random_seats, AtRandom())}
    return playing.play(world, policies, playing.Named(seed))


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
