"""A policy whose answers come from outside: from a counter in a file, so that asking twice gives another answer. A plug-in for tests."""

from dataclasses import dataclass, replace
from pathlib import Path

from agents.types import Action

WORLDS: dict = {}
POLICIES = {"asked": "tests.sandbox.asked"}
needs_model = False
outside = True


@dataclass(frozen=True)
class Options:
    """Where it counts how often it was asked."""

    counter: str = ""
    dies_at: int = -1  # the call that it ends its process at


class Asked:
    def __init__(self, options, doors):
        self.options, self.doors = options, doors

    def step(self, turns):
        return [self._act(turn) for turn in turns]

    def _act(self, turn):
        path = Path(self.options.counter)
        number = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(number))
        if number == self.options.dies_at:
            raise RuntimeError(f"call {number}")
        seen = turn.observation
        said = tuple(seen.say(i, channel, f"answer {number}") for i, channel in enumerate(seen.may_write))
        move = 1 + number % 5 if seen.move_due else None
        usage = {"calls": 1, "tokens_in": 10, "tokens_out": number, "cost": 0.5, "seconds": number / 7}
        action = Action(intent={"1": 1.0}, messages=said, wording=tuple({"by": "asked"} for _ in said), move=move, usage=usage, faults=(("slow", f"call {number}"),))
        return action, self.recall(turn, action)

    def recall(self, turn, action):
        return replace(turn.memory, notes=[*(turn.memory.notes or []), [[m.text for m in action.messages], action.move]])


def make(language, options, agents, doors):
    return Asked(options, doors)
