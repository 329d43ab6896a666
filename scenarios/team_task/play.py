"""A team task without machinery: scripted members play one in one loop, in the plainest words.

For many teams fast; a run with a log, states and words of a model is `python -m sandbox run`. Each member draws from streams named by (seed,
member, step), so two plays of one seed differ only by what differs in their options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from agents.policies.scripted import Options as Scripted
from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, AgentID, Message
from scenarios import playing
from scenarios.environment import Window
from scenarios.team_task.clues import Case, Clue, posterior
from scenarios.team_task.environment import State, TeamTask
from scenarios.team_task.mind import Floats, likeliest

START, SCHEDULE, STEP = range(3)  # what a stream is for; members' own come after these


@dataclass(frozen=True)
class Played:
    """One task played to its end."""

    case: Case
    messages: tuple[Message, ...]
    notes: Mapping[AgentID, JSON]
    right: tuple[bool, ...]  # by member

    @property
    def accuracy(self) -> float:
        """Share of the members whose answer was right."""
        return sum(self.right) / len(self.right)


@dataclass(frozen=True)
class Chance:
    """`playing.Chance` by the numbers (seed, what for, step); members act one moment after another, in an order that is drawn."""

    seed: int
    members: tuple[AgentID, ...]

    def _stream(self, *name: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *name))

    def start(self) -> np.random.Generator:
        """For the case."""
        return self._stream(START)

    def acting(self, window: Window, step: int) -> Iterable[tuple[AgentID, int]]:
        """All of the window, in an order drawn for it."""
        order = self._stream(SCHEDULE, step).permutation(len(window.agents))
        return [(window.agents[int(i)], window.start + place) for place, i in enumerate(order)]

    def agent(self, agent: AgentID, step: int) -> np.random.Generator:
        """For what a member does in a step."""
        return self._stream(STEP + 1 + self.members.index(agent), step)

    def world(self, step: int) -> np.random.Generator:
        """For what follows from a step."""
        return self._stream(STEP, step)


def play(world: TeamTask, seed: int, last: str | None = None) -> Played:
    """One team's task; the same seed and world give the same play. `last`: how members choose what to tell in the last round, if otherwise."""
    then = len(world.turns) - len(world.turns) // max(world.options.talks, 1)

    def show(state: State, member: AgentID) -> Mapping[str, JSON]:
        return {**world.observe(state, member), **({"tell": last} if last is not None and state.window >= then else {})}

    policy = ScriptedPolicy(world.language, Scripted(vary=False))
    steps = list(playing.play(world, dict.fromkeys(world.agents, policy), Chance(seed, world.agents), show))
    end = steps[-1]
    right = tuple(end.outcome.rewards[agent] > 0 for agent in world.agents)
    return Played(end.outcome.state.case, tuple(m for step in steps for m in step.messages), {a: m.notes for a, m in end.memories.items()}, right)


def ideal(world: TeamTask, played: Played) -> float:
    """The accuracy if each member, with the clues it came to know, answered by their exact posterior (ties in equal parts)."""
    names = {name: i for i, name in enumerate(world.witnesses)}
    clues = {c.witness: c for c in played.case.clues}
    each = []
    for agent in world.agents:
        known: list[Clue] = [clues[names[fact["witness"]]] for fact in played.notes[agent]["facts"]]
        each.append(chance(posterior(known, world.options.suspects, world.options.reliability), played.case.culprit))
    return float(np.mean(each))


def ceiling(world: TeamTask, case: Case) -> float:
    """The chance of a right answer from all clues together."""
    return chance(posterior(case.clues, world.options.suspects, world.options.reliability), case.culprit)


def chance(belief: Floats, culprit: int) -> float:
    """That one who answers with what it believes in most, one at random of those that tie, is right."""
    top = likeliest(belief)
    return float(top[culprit] / top.sum())
