"""What an agent may do now, told in words to whoever answers in words: a chat model, a person.

A world says it beside its language, by a method `legal(observation, notes)` that is free to be there (`agents.types.Language` does without);
where there is none, the view is told as it stands and any JSON value is taken for a move: the world itself replaces what it cannot use.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from agents.types import JSON, Language, Observation

__all__ = ["Legal", "Read", "legal_of"]


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a move in words came to. `move` is what the world takes, `intent` the distribution of who surely means to make it, in the world's own
    form; `wrong`, in one line, why it is no legal move (then `move` is None); `dropped` what was left out of it, such as orders of others."""

    move: JSON = None
    intent: JSON = None
    wrong: str | None = None
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Legal:
    """`seen`: what the world shows, line by line; `moves`: what a move is and which are legal, line by line, the first line how it is written;
    `schema`: the JSON schema of one; `read`: a move of any JSON value, checked; `lists`: what may be chosen by number, for a person."""

    seen: tuple[str, ...]
    moves: tuple[str, ...]
    schema: JSON
    read: Callable[[JSON], Read]
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()


def legal_of(language: Language | None, seen: Observation, notes: JSON) -> Legal:
    """What is legal now. `notes` are the world's own."""
    told = getattr(language, "legal", None)
    if told is not None:
        found: Legal = told(seen, notes)
        return found
    view = tuple(f"{key}: {json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)}" for key, value in seen.view.items() if key != "persona")
    return Legal(seen=view, moves=("A move is any JSON value that this world understands.",), schema={}, read=lambda value: Read(move=value, intent=value))
