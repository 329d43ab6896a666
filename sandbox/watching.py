"""`run --watch`: what is said in a run, one line a message, as it is said.

Heard from the run itself, step by step: messages that somebody else will read stand in its mailboxes after the step that said them. Nobody but
their author reads what an agent is told alone, so such messages are not shown.
"""

from __future__ import annotations

from collections.abc import Callable

from sandbox.log import printable
from sandbox.run import Moment, Told
from scenarios.environment import Outcome
from sociallm.conversation import Message


class Watching:
    """Hears of every step, says each new message in a line, and passes the step on."""

    def __init__(self, say: Callable[[str], None], told: Told):
        self._say, self._told = say, told
        self._shown: set[str] = set()
        self._phase = ""

    def __call__(self, now: Moment, outcome: Outcome, tokens: int) -> None:
        waiting = {message.id: message for heard in now.mailboxes.values() for message in heard}
        phase = next((str(event["phase"]) for event in outcome.events if "phase" in event), self._phase)
        for message in sorted((m for m in waiting.values() if m.id not in self._shown), key=lambda m: (m.time, m.author, m.id)):
            self._say(line(now.step, phase, message))
        self._shown = set(waiting)
        self._phase = next((str(event["next"]) for event in reversed(outcome.events) if "next" in event), phase)
        self._told(now, outcome, tokens)


def line(step: int, phase: str, message: Message) -> str:
    """A message in a line that can steer no terminal."""
    others = message.channel.readers - {message.author}
    to = ", ".join(sorted(message.addressees & others or others))
    return printable(f"{step:5d} {phase:<8} [{message.channel.name}] {message.author} → {to}: {message.text}")
