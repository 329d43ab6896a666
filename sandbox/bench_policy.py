"""The policy of the bench: counts what it hears, says so where it may write, puts in a number by rule.

`work` stands for a model's: so many rounds of a hash, on the core where the agent lives. It computes and does not sleep, as the shipped
model does on a machine without another device: beside agents that sleep, an engine's own work would cost nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agents.memory import AgentMemory
from agents.types import Action, AgentID, Language, Turn

needs_model = False
WORDING = {"by": "bench"}


@dataclass(frozen=True)
class Options:
    """What a configuration may say of this policy."""

    work: int = 0  # rounds of a hash in each turn


@dataclass(frozen=True)
class Counting:
    """The policy; holds its options."""

    options: Options

    def step(self, turns: Sequence[Turn]) -> list[tuple[Action, AgentMemory]]:
        """One turn after another."""
        return [self._one(turn) for turn in turns]

    def _one(self, turn: Turn) -> tuple[Action, AgentMemory]:
        if self.options.work:
            work(self.options.work)
        seen, memory = turn.observation, turn.memory
        heard = memory.notes or 0
        if seen.heard:
            heard += len(seen.heard)
            memory = dataclasses.replace(memory, notes=heard)
        move = (seen.step + heard) % 100
        if not seen.may_write:
            return Action(move=move), memory
        said = tuple(seen.say(i, channel, f"so far I have heard {heard} of you") for i, channel in enumerate(seen.may_write))
        return Action(messages=said, wording=(WORDING,) * len(said), move=move), memory


def work(rounds: int) -> None:
    """Keep a core busy for a time that `rounds` is proportional to."""
    hashlib.pbkdf2_hmac("sha256", b"", b"", rounds)


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> Counting:
    """The policy that options describe."""
    return Counting(options)
