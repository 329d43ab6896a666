"""One thing said that can be held against its author, in a form that all worlds have in common, and what every reader of a log needs to find it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis.metrics import message_of
from sandbox.log import Event
from sociallm.conversation import AgentID, Message

PROMISE, STATEMENT = "promise", "statement"


@dataclass(frozen=True, kw_only=True)
class Word:
    """One thing that a message said, what its author meant, and what came of it.

    `meant`: the probability, before the words, that it would be kept (or, of a statement, that the author held it true); None if not on record.
    `off`: how far what came lies from what was said: prices as a share of the way from competition to the cartel's, else 0 to 1. `hurts`:
    whether who believed it stood the worse for it, by the rules; of a word that was not kept.
    """

    step: int
    message: str
    author: AgentID
    to: tuple[AgentID, ...]
    kind: str
    about: str  # two words about one thing can contradict each other
    said: str
    meant: float | None
    kept: bool
    off: float
    hurts: bool
    stands: bool = True
    opinion: bool = False  # of what the author cannot know yet


def standing(found: Sequence[Word]) -> list[Word]:
    """The same, each word that another one replaced marked so. `found` in order of time."""
    last = {(w.author, w.to, w.kind, w.about): i for i, w in enumerate(found)}
    return [w if last[w.author, w.to, w.kind, w.about] == i else replace(w, stands=False) for i, w in enumerate(found)]


def messages_of(events: Sequence[Event]) -> Iterator[tuple[Event, Message | None, Any]]:
    """Every event; of a message that somebody else reads also the message and its author's last intent."""
    intents: dict[AgentID, Any] = {}
    for event in events:
        if event.kind == "intent" and event.agent is not None:
            intents[event.agent] = event.data.get("intent")
        message = message_of(event) if event.kind == "message" else None
        yield event, message if message is not None and message.channel.readers - {message.author} else None, intents.get(event.agent or "")


def readers_of(message: Message) -> tuple[AgentID, ...]:
    """All who read it but its author, in order."""
    return tuple(sorted(message.channel.readers - {message.author}))


def mass(intent: Any, good: Callable[[str], bool]) -> float | None:
    """The probability that an intent gives to what is good; None for one that is missing or another policy's own."""
    if not isinstance(intent, dict) or not intent or not all(isinstance(p, (int, float)) for p in intent.values()):
        return None
    return float(min(1.0, sum(p for text, p in intent.items() if good(text))))


def word_of(event: Event, message: Message, kind: str, about: str, said: str, meant: float | None) -> Word:
    """What was said, before it is known what came of it."""
    return Word(
        step=event.step, message=message.id, author=message.author, to=readers_of(message), kind=kind, about=about, said=said, meant=meant, kept=True, off=0.0,
        hurts=False,
    )  # fmt: skip
