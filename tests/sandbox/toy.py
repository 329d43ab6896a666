"""A small real world and small real policies, for the tests of the machinery: a plug-in module (`--plugin tests.sandbox.toy`).

The world: agents P0 … Pn-1 talk in pairs and in one room for `rounds` rounds, then each puts in a number; the one nearest to
half the mean wins a point. All of it is decided by the streams it is handed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.memory import AgentMemory
from agents.types import Action, Turn
from scenarios.environment import Outcome, Window
from sociallm.conversation import AgentID, Channel, Message

WORLDS = {"toy": "tests.sandbox.toy"}
POLICIES = {name: f"tests.sandbox.{name}" for name in ("guesser", "rogue", "crashing", "slow", "remembering", "leaving")}


@dataclass(frozen=True)
class Options:
    players: int = 3
    rounds: int = 2
    games: int = 2
    narrator: str | None = None


class Toy:
    language = None

    def __init__(self, options: Options):
        self.options = options
        self.agents: tuple[AgentID, ...] = tuple(f"P{i}" for i in range(options.players))
        pairs = [Channel(name=f"{a}-{b}", readers=frozenset((a, b))) for a, b in itertools.combinations(self.agents, 2)]
        self.channels = (*pairs, Channel(name="ALL", readers=frozenset(self.agents)))

    def start(self, rng: np.random.Generator) -> tuple[int, int]:
        return int(rng.integers(100)), 0  # the number of the world, the step

    def window(self, state: tuple[int, int]) -> Window:
        step = state[1]
        due = step % (self.options.rounds + 1) == self.options.rounds
        return Window(agents=self.agents, start=step * 1000, end=step * 1000 + 1000, channels=() if due else self.channels, move_due=due)

    def observe(self, state: tuple[int, int], agent: AgentID) -> Mapping[str, object]:
        return {"step": state[1]}

    def step(self, state: tuple[int, int], moves: Mapping[AgentID, object], rng: np.random.Generator) -> Outcome:
        world, step = state
        done = step + 1 == self.options.games * (self.options.rounds + 1)
        nxt = (world + int(rng.integers(10)), step + 1)
        if not self.window(state).move_due:
            return Outcome(state=nxt, done=done)
        guesses = {agent: moves[agent] if isinstance(moves.get(agent), int) else 0 for agent in self.agents}
        aim = sum(guesses.values()) / len(guesses) / 2
        best = min(guesses, key=lambda agent: (abs(guesses[agent] - aim), agent))
        told = Message(id=f"w{step}", author="P0", channel=self.channels[-1], time=step * 1000 + 999, text=f"aim {aim}")
        return Outcome(
            state=nxt, messages=(told,) if self.options.narrator else (), rewards={best: 1.0},
            events=({"what": "guesses", "guesses": guesses, "aim": aim},), done=done,
        )  # fmt: skip

    def to_json(self, state: tuple[int, int]) -> object:
        return list(state)

    def from_json(self, value) -> tuple[int, int]:
        return tuple(value)


def make(options: Options) -> Toy:
    return Toy(options)


class Talker:
    """Says a number in every channel it may write in, remembers how much it heard, and moves when it is asked to."""

    def step(self, turns: Sequence[Turn]) -> list[tuple[Action, AgentMemory]]:
        return [self.one(turn) for turn in turns]

    def one(self, turn: Turn) -> tuple[Action, AgentMemory]:
        seen, number = turn.observation, int(turn.rng.integers(101))
        heard = (turn.memory.notes or {"heard": 0})["heard"] + len(seen.heard)
        text = f"I heard {heard}, I say {number}"
        said = tuple(
            Message(id=f"{seen.step}:{seen.agent}:{i}", author=seen.agent, channel=c, time=seen.time, text=text)
            for i, c in enumerate(seen.may_write)
        )
        wording, move = tuple({"by": "toy"} for _ in said), number if seen.move_due else None
        action = Action(intent={str(number): 1.0}, messages=said, wording=wording, move=move)
        return action, dataclasses.replace(turn.memory, notes={"heard": heard})
