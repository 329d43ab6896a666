"""A team task without machinery: scripted members play one in one loop, in the plainest words.

For many teams fast; a run with a log, states and words of a model is `python -m sandbox run`. Each member draws from streams named by (seed,
member, step), so two plays of one seed differ only by what differs in their options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.memory import AgentMemory
from agents.policies.scripted import Options as Scripted
from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, AgentID, Message, Observation, Turn
from scenarios.team_task.clues import Case, Clue, posterior
from scenarios.team_task.environment import TeamTask
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


def play(world: TeamTask, seed: int, last: str | None = None) -> Played:
    """One team's task; the same seed and world give the same play. `last`: how members choose what to tell in the last round, if otherwise."""
    then = len(world.turns) - len(world.turns) // max(world.options.talks, 1)
    stream = lambda *name: np.random.default_rng((seed, *name))  # noqa: E731
    policy, state = ScriptedPolicy(world.language, Scripted(vary=False)), world.start(stream(START))
    memories = {agent: AgentMemory() for agent in world.agents}
    boxes: dict[AgentID, tuple[Message, ...]] = dict.fromkeys(world.agents, ())
    said: list[Message] = []
    for step in range(len(world.turns) + 2):
        window, moves = world.window(state), {}
        new: list[Message] = []
        order = stream(SCHEDULE, step).permutation(len(window.agents))
        free = list(window.channels)
        for place, i in enumerate(order):
            agent = window.agents[int(i)]
            mine = tuple(c for c in free if agent in c.readers)
            free = [c for c in free if agent not in c.readers]
            view = {**world.observe(state, agent), **({"tell": last} if last is not None and state.window >= then else {})}
            seen = Observation(
                agent=agent, step=step, time=window.start + place, heard=boxes[agent], may_write=mine, move_due=window.move_due, view=view
            )
            turn = Turn(observation=seen, memory=memories[agent], rng=stream(STEP + 1 + world.agents.index(agent), step))
            ((action, memories[agent]),) = policy.step([turn])
            boxes[agent], moves[agent] = (), action.move
            new += action.messages
        for message in new:
            for reader in message.channel.readers - {message.author}:
                boxes[reader] += (message,)
        said += new
        outcome = world.step(state, moves, stream(STEP, step))
        state = outcome.state
    right = tuple(outcome.rewards[agent] > 0 for agent in world.agents)
    return Played(state.case, tuple(said), {a: m.notes for a, m in memories.items()}, right)


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
