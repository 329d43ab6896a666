"""A policy that says something hostile in every field of its action, or raises it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.memory import AgentMemory
from agents.types import Action, Turn
from tests.security.hostile import AGENTS, BAD

needs_model = False


@dataclass(frozen=True)
class Options:
    raises_at: int = -1  # the step in which it raises


class Speaking:
    def __init__(self, options: Options):
        self.options = options

    def step(self, turns: Sequence[Turn]) -> list[tuple[Action, AgentMemory]]:
        return [self.one(turn) for turn in turns]

    def one(self, turn: Turn) -> tuple[Action, AgentMemory]:
        seen = turn.observation
        if seen.step == self.options.raises_at:
            raise RuntimeError(BAD)
        said = tuple(seen.say(i, channel, f"=cmd {BAD}", AGENTS) for i, channel in enumerate(seen.may_write))
        wording = tuple({"by": BAD, "act": {"act": BAD}, BAD: BAD, "tokens": 10**400} for _ in said)
        usage = {"calls": BAD, "cost": BAD, BAD: [BAD]}
        faults = ((BAD, BAD), ("slow", BAD))
        return Action(intent={BAD: BAD}, messages=said, wording=wording, move=BAD, usage=usage, faults=faults), AgentMemory(notes={BAD: BAD})


def make(language: object, options: Options, agents: Sequence[str]) -> Speaking:
    return Speaking(options)
