"""What an agent that is asked in words remembers: the last messages it read or wrote, and the older ones that say most. Bounded, plain, exact.

Notes are a JSON value: {"world": the world's own notes, "alone": what was told to the agent alone, in its own name (persona, clues), "window": the last
messages, oldest first, "ranked": the older ones that rank highest, oldest first, "seat": what the policy keeps for itself, or null}. A message is {"id",
"from", "channel", "to", "text", "time", "rank"}; its rank is a list that is compared from the left, higher is kept:

with a model    [nats that the reader's states saved (`surprise_no_states` less `surprise`, of `Turn.read`)]: what was about what this reader and the
                author have between them. Surprise itself would keep gibberish (SCIENCE 3.3: AUROC of gibberish 0.0 by surprisal).
without         [1 if it was meant for this agent, the mean rarity of its words among the messages kept]

A text that stands in the notes already is not kept a second time among the ranked ones: what is said again says nothing new.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.types import JSON, Message, Turn

MOST_TEXT = 2000  # characters that are remembered of one message
KEYS = frozenset(("world", "alone", "window", "ranked", "seat"))
MOST_ALONE = 32  # messages that are remembered of those to oneself
WORD = re.compile(r"\w+")
Kept = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is remembered, and how much of it is shown: messages of the conversation, older ones, characters of a whole prompt."""

    window: int = 24
    ranked: int = 8
    context: int = 24_000

    def __post_init__(self) -> None:
        if not 1 <= self.window <= 1000 or not 0 <= self.ranked <= 1000 or not 4000 <= self.context <= 2_000_000:
            raise ValueError("expected window in 1–1000, ranked in 0–1000 and context in 4000–2000000 characters")


def fresh(notes: JSON) -> Kept:
    """Notes, or those of an agent that has read nothing yet. Notes of another policy, of whom this one takes the seat over, are the world's own."""
    if isinstance(notes, dict) and notes.keys() == KEYS:
        return notes
    return {"world": notes, "alone": [], "window": [], "ranked": [], "seat": None}


def of_world(notes: JSON) -> JSON:
    """The world's own notes: for a policy that knows no others and takes over the seat of one that was asked in words."""
    return notes["world"] if isinstance(notes, dict) and notes.keys() == KEYS else notes


def after_hearing(notes: JSON, turn: Turn, bounds: Bounds) -> Kept:
    """Notes after the messages of this turn. The world's own are left as they are."""
    seen, found = turn.observation, fresh(notes)
    to_self = [m for m in seen.heard if m.author == seen.agent]
    alone = [*found["alone"], *(kept(m) for m in to_self)][-MOST_ALONE:]
    heard = [kept(m, turn.read.get(m.id)) for m in seen.heard if m.author != seen.agent]
    return _moved({**found, "alone": alone}, heard, seen.agent, bounds)


def after_speaking(notes: Kept, said: Sequence[Message], agent: str, bounds: Bounds) -> Kept:
    """Notes after what the agent itself has said."""
    return _moved(notes, [kept(m) for m in said], agent, bounds)


def kept(message: Message, read: Mapping[str, JSON] | None = None) -> Kept:
    """A message as it is remembered."""
    return {
        "id": message.id, "from": message.author, "channel": message.channel.name, "to": sorted(message.addressees), "text": message.text[:MOST_TEXT],
        "time": message.time, "rank": _saved(read),
    }  # fmt: skip


def _saved(read: Mapping[str, JSON] | None) -> list[float] | None:
    """[nats that the states saved]; None where nothing was measured."""
    values = [read.get(key) if read else None for key in ("surprise_no_states", "surprise")]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        return None
    return [round(float(values[0]) - float(values[1]), 6)]  # type: ignore[arg-type]


def _moved(notes: Kept, new: Sequence[Kept], agent: str, bounds: Bounds) -> Kept:
    """The window moved on over these messages; what falls out of it is ranked, and the best are kept in the order in which they were said."""
    window = [*notes["window"], *new]
    out, window = window[: -bounds.window], window[-bounds.window :]
    if not out or not bounds.ranked:
        return {**notes, "window": window, "ranked": notes["ranked"][: bounds.ranked]}
    standing = {message["text"] for message in window}
    older: dict[str, Kept] = {}  # by text: the last of those who say the same
    for message in (*notes["ranked"], *out):
        if message["text"] not in standing:
            older.pop(message["text"], None)
            older[message["text"]] = message
    counts = Counter(word for message in (*older.values(), *window) for word in words(message["text"]))
    ranked = [m if m["rank"] is not None and len(m["rank"]) == 1 else {**m, "rank": [float(agent in m["to"]), _rarity(m["text"], counts)]} for m in older.values()]
    # measured ones first: what was measured is known, and one's own messages, which nobody measures for oneself, are the least
    order = sorted(range(len(ranked)), key=lambda i: (ranked[i]["from"] != agent, len(ranked[i]["rank"]) == 1, ranked[i]["rank"], i), reverse=True)
    return {**notes, "window": window, "ranked": [ranked[i] for i in sorted(order[: bounds.ranked])]}


def words(text: str) -> frozenset[str]:
    """The different words of a text."""
    return frozenset(WORD.findall(text.casefold()))


def _rarity(text: str, counts: Mapping[str, int]) -> float:
    found = words(text)
    return round(sum(1 / counts[word] for word in found) / len(found), 6) if found else 0.0
