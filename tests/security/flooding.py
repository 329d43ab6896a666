"""A policy of P0 that hands over more than anybody could read: each of KINDS for two steps, in turn. A plug-in for tests.

What it hands over is made when the module is imported, so that its own memory is no part of what a run takes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from agents.memory import AgentMemory
from agents.types import Action, Channel
from tests.sandbox.toy import Talker

WORLDS: dict = {}
POLICIES = {"flooding": "tests.security.flooding"}
needs_model = False
TEXT = "x" * (100 * 2**20)
NAME = "N" * (10 * 2**20)
CROWD = frozenset(map(str, range(10**5)))
KINDS = ("text", "messages", "recipients", "id", "author", "channel", "addressee", "reply", "faults", "fault", "intent", "move", "usage", "wording", "keys", "deep", "wide")


@dataclass(frozen=True)
class Options:
    fair: bool = False  # it keeps the rules


class Flooding(Talker):
    def __init__(self, options: Options):
        self.options = options

    def one(self, turn):
        seen = turn.observation
        if seen.agent != "P0" or self.options.fair:
            return super().one(turn)
        kind = KINDS[seen.step // 2]
        own = Channel(name="ALL", readers=frozenset({"P0", "P1", "P2", "P3"}))
        fair = seen.say(0, seen.may_write[0] if seen.may_write else own, "hello")
        messages = {
            "text": lambda: (dataclasses.replace(fair, text=TEXT),), "messages": lambda: (fair,) * 10**6, "recipients": lambda: (dataclasses.replace(fair, addressees=CROWD),) * 1000,
            "id": lambda: (dataclasses.replace(fair, id=NAME),) * 1000, "author": lambda: (dataclasses.replace(fair, author=NAME),) * 1000,
            "channel": lambda: (dataclasses.replace(fair, channel=Channel(name=NAME, readers=CROWD)),) * 1000,
            "addressee": lambda: (dataclasses.replace(fair, addressees=frozenset({NAME})),) * 1000, "reply": lambda: (dataclasses.replace(fair, reply_to=NAME),) * 1000,
        }.get(kind, lambda: (fair,))()  # fmt: skip
        deep: object = 0
        for _ in range(10**5 if kind == "deep" else 0):
            deep = [deep]
        beside = {
            "faults": {"faults": (("slow", "x"),) * 10**6}, "fault": {"faults": ((NAME, NAME),) * 1000}, "intent": {"intent": {"a": TEXT}}, "move": {"move": [NAME] * 1000}, "usage": {"usage": {"calls": TEXT}},
            "wording": {"wording": ({"act": TEXT},)}, "keys": {"intent": {NAME: {NAME: 1}}}, "deep": {"intent": deep}, "wide": {"intent": [[["x" * 1000] * 1000] * 1000] * 1000},
        }.get(kind, {})  # fmt: skip
        return Action(messages=messages, **beside), AgentMemory()


def make(language, options, agents):
    return Flooding(options)
