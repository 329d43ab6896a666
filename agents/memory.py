"""AgentMemory: what one agent carries from one moment to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sociallm.conversation import AgentID

if TYPE_CHECKING:
    from sociallm.states import SocialState

JSON = Any  # a JSON value: None, bool, int, float, str, list, dict with text keys


@dataclass(frozen=True, kw_only=True)
class AgentMemory:
    """One own state, one state per interlocutor met, the keys of its channels, the policy's notes.

    Frozen: a policy hands over a new one. `own` is None, `others` empty, in a run without a model.
    """

    own: SocialState | None = None
    others: Mapping[AgentID, SocialState] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)  # channel name → key of its local state
    notes: JSON = None


def without_notes(notes: JSON, other: AgentID) -> JSON:
    """Notes with all that is kept under another agent's name gone, and every entry of a list that names it as one of its plain values."""
    if isinstance(notes, Mapping):
        return {key: without_notes(value, other) for key, value in notes.items() if key != other}
    if isinstance(notes, (list, tuple)):
        return [without_notes(entry, other) for entry in notes if not _names(entry, other)]
    return notes


def _names(entry: JSON, other: AgentID) -> bool:
    return entry == other or (isinstance(entry, Mapping) and any(value == other for value in entry.values()))


def notes_json(notes: JSON) -> JSON:
    """The notes, if they come back from a file as they are. Raises ValueError: tuples, sets and keys that are no text do not."""
    back = json.loads(json.dumps(notes, allow_nan=False))
    if not _same(notes, back):
        raise ValueError("they hold something that JSON cannot: expected lists (no tuples), text keys, text, numbers, true, false, null")
    return back


def _same(given: JSON, back: JSON) -> bool:
    if isinstance(given, dict) and isinstance(back, dict):
        return list(given) == list(back) and all(_same(given[key], back[key]) for key in back)
    if isinstance(back, list):
        return isinstance(given, list) and len(given) == len(back) and all(map(_same, given, back))
    return isinstance(given, type(back)) and bool(given == back)


def file_name(agent: AgentID) -> str:
    """An agent's name as the stem of a file's: ASCII letters, digits, - and _ as they are, everything else as %code., so that no two collide."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):x}." for c in agent)
