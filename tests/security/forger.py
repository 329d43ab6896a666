"""P0 hands over forged messages, twenty at each of its turns, and forged wordings with a fair one; or, asked to be silent, nothing. A plug-in policy."""

from __future__ import annotations

from dataclasses import dataclass

from agents.memory import AgentMemory
from agents.types import Action
from tests.sandbox.toy import Talker
from tests.security.forging import FORGED, MESSAGES

WORLDS: dict = {}
POLICIES = {"forger": "tests.security.forger"}
needs_model = False
AT_ONCE = 20


@dataclass(frozen=True)
class Options:
    silent: bool = False


class Forger(Talker):
    def __init__(self, options: Options):
        self.options = options

    def one(self, turn):
        seen = turn.observation
        if self.options.silent or not seen.may_write:
            return Action(), AgentMemory()
        payloads = list(MESSAGES.values())
        first = seen.step * AT_ONCE % len(payloads)
        fair = seen.say(0, seen.may_write[seen.step % len(seen.may_write)], FORGED)
        return Action(messages=tuple(payload(seen, fair) for payload in payloads[first : first + AT_ONCE])), AgentMemory()


def make(language, options, agents):
    return Forger(options)
