"""A policy that tries what no agent may: P0 does, the others keep the rules."""

import dataclasses
from dataclasses import dataclass

from agents.memory import AgentMemory
from agents.types import Action, Channel, Message
from tests.sandbox.toy import Talker

needs_model = False


@dataclass(frozen=True)
class Options:
    pass


class Rogue(Talker):
    def one(self, turn):
        seen = turn.observation
        if seen.agent != "P0":
            return super().one(turn)
        room = Channel(name="ALL", readers=frozenset({"P0", "P1", "P2"}))
        mine = seen.may_write[0] if seen.may_write else room
        fair = Message(id=f"{seen.step}:P0:fair", author="P0", channel=mine, time=seen.time, text="hello")

        def change(name, **to):
            return dataclasses.replace(fair, **({"id": f"{seen.step}:P0:{name}"} | to))

        tried = [
            change("forged", author="P1"),
            change("foreign", channel=Channel(name="P1-P2", readers=frozenset({"P1", "P2"}))),
            change("widened", channel=Channel(name=mine.name, readers=mine.readers | {"P9"})),
            change("early", time=seen.time - 1),
            change("stolen", id=f"{seen.step}:P1:0"),
            change("long", text="x" * (32 * 1024 + 1)),
            change("empty", text=" \n"),
            change("nobody", addressees=frozenset({"P9"})),
            change("reply", reply_to="never sent"),
            "not a message",
            fair,
            fair,
        ]
        return Action(intent=float("nan"), messages=tuple(tried), wording=({"by": object()},) * len(tried), move={1, 2}), AgentMemory()


def make(language, options, agents):
    return Rogue()
