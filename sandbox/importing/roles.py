"""Which field of plain chat is what: the one that `--fields` names (author=nick; author=user.name of an object), else the first of GUESSES that a message has.

A guess is the same word whatever its capitals, spaces, - and _: "Thread-ID" is thread_id. What a user names is taken to the letter, is guessed for nothing
else, and must be there in some message: a word that is spelt wrong would leave a column out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.importing.wish import NONE, ImportRefused, ImportWish

GUESSES: Mapping[str, tuple[str, ...]] = {  # role → names of fields, the likeliest first
    "conversation": ("conversation", "conversation_id", "dialogue_id", "dialog_id", "group_id", "game_id", "thread_id", "session_id", "game", "thread"),
    "channel": ("channel", "room", "channel_name"),
    "author": ("author", "speaker", "user", "from", "sender", "nick", "username", "display_name", "author_name", "sender_name", "name", "role"),
    "text": ("text", "content", "message", "body", "value", "msg", "utterance"),
    "time": ("time", "timestamp", "ts", "date", "datetime", "created_at", "sent_at"),
    "to": ("to", "addressees", "addressee", "recipient", "recipients", "receiver"),
    "reply_to": ("reply_to", "in_reply_to", "parent_id"),
    "id": ("id", "message_id", "msg_id"),
    "readers": ("readers", "members"),
}
NAMED = (*GUESSES["conversation"], "id")  # of a line that holds a list of messages
NEEDED = ("author", "text")  # the others a message may do without
ORDER = ("author", "text", "time", "conversation", "channel", "to", "reply_to", "id", "readers")  # in which they are told
MOST_SHAPES = MOST_SEEN = 1_000  # sets of fields, and fields, that are remembered
MOST_TOLD = 20
_BETWEEN = re.compile(r"[\s_-]+")
Record = Mapping[str, Any]
Fields = Mapping[str, str | None]  # role → field


class Roles:
    """The fields of messages as they pass by: which is what in each, and what was used, and what not, of all."""

    def __init__(self, wish: ImportWish):
        self._given = wish.fields
        self._wanted = {role: field for role, field in sorted(wish.fields.items()) if field != NONE}
        self._missing = dict(self._wanted)
        self._known: dict[tuple[str, ...], Fields] = {}
        self._used: dict[str, dict[str, None]] = {role: {field: None} for role, field in self._wanted.items()}
        self._seen: dict[str, None] = {}

    def of(self, row: Record, where: str) -> Fields:
        """Role → field of a message. Raises `ImportRefused` where nobody can tell who says what."""
        self._met(row, self._missing)
        for role in NEEDED:  # of every message, whatever stood in the one before
            if (given := self._wanted.get(role)) is not None and not _is_in(row, given):
                raise ImportRefused(f"{where}: no field {given!r:.40} for {role}; there are {_listed(_paths(row))}", f"without a field for {role}")
        keys = tuple(row)
        if keys not in self._known:
            if len(self._known) >= MOST_SHAPES:
                self._known.clear()
            self._see(row)
            self._known[keys] = found = self._fields(row, where)
            for role, field in found.items():
                if field is not None and field in row:
                    self._used.setdefault(role, {})[field] = None
        return self._known[keys]

    def named(self, record: Record, messages: str) -> str:
        """What a line that has a list of messages in the field `messages` calls itself; "" where it does not say."""
        self._see({key: value for key, value in record.items() if key != messages})
        self._met(record, ("conversation",))
        wanted, spelt = self._given.get("conversation"), _spelt(record)
        for field in (wanted,) if wanted else (spelt.get(_plain(name)) for name in NAMED):
            found = None if field is None else value_at(record, field)
            if field is not None and isinstance(found, (str, int)) and not isinstance(found, bool):
                self._used.setdefault("conversation", {})[field] = None
                return str(found)
        return ""

    def check(self, where: str) -> None:
        """Raises `ImportRefused` for a field that a user named and no message has."""
        if self._missing and self._seen:  # nothing seen: no message at all, which is told otherwise
            role, field = next(iter(self._missing.items()))
            raise ImportRefused(f"{where}: --fields {role}={field:.60}: no message has such a field; there are {_listed(self._seen)}; name one of them, or {role}={NONE}")

    def told(self) -> str:
        """Which field was taken for what, in a line; "" where no message was."""
        used = [f"{role}={' or '.join(f'{field:.60}' for field in list(self._used[role])[:MOST_TOLD])}" for role in ORDER if self._used.get(role)]
        rest = [field for field in self._seen if not any(one == field or one.startswith(f"{field}.") for fields in self._used.values() for one in fields)]
        return f"fields: {' '.join(used)}{f'; not used: {_listed(rest)}' if rest else ''}" if used else ""

    def _met(self, row: Record, roles: Any) -> None:
        for role in [role for role in roles if role in self._missing]:
            if _is_in(row, self._missing[role]):
                del self._missing[role]

    def _see(self, row: Record) -> None:
        if len(self._seen) < MOST_SEEN:
            self._seen.update(dict.fromkeys(_paths(row)))

    def _fields(self, row: Record, where: str) -> Fields:
        known, found = _spelt(row), dict[str, str | None]()
        taken = set(self._wanted.values())
        for role, guesses in GUESSES.items():
            given = self._given.get(role)
            guess = (known[plain] for plain in map(_plain, guesses) if plain in known and known[plain] not in taken)
            found[role] = None if given == NONE else given or next(guess, None)
            taken |= {found[role] or ""}
        for role in NEEDED:
            if found[role] is None:
                raise ImportRefused(f"{where}: no field for {role} among {_listed(_paths(row))}; say which it is: --fields {role}=FIELD", f"without a field for {role}")
        return found


def value_of_role(row: Record, fields: Fields, role: str, where: str) -> Any:
    """What a message has in the field for a role; None where it has none. Raises `ImportRefused` for an object."""
    field = fields[role]
    found = None if field is None else value_at(row, field)
    if isinstance(found, Mapping):
        inner = next((key for key in ("name", "username", "display_name", "id", "text", *found) if key in found), "NAME")
        none = "" if role in NEEDED else f", or {role}={NONE}"
        raise ImportRefused(f"{where}: {field!r:.40}, taken for {role}, is an object; name what is in it: --fields {role}={field:.40}.{inner!s:.40}{none}", f"{role} is an object")
    return found


def value_at(row: Record, field: str) -> Any:
    """What stands in a field, or in one of an object in a field (user.name); None where there is none."""
    if field in row:
        return row[field]
    found: Any = row
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_in(row: Record, field: str) -> bool:
    """Whether a message has a field, though nothing may stand in it."""
    outer, _, last = field.rpartition(".")
    inside = value_at(row, outer) if outer else None
    return field in row or (isinstance(inside, Mapping) and last in inside)


def _plain(name: str) -> str:
    return _BETWEEN.sub("", name).casefold()


def _spelt(row: Record) -> dict[str, str]:
    """A field's name as a guess has it → as the message has it, the first of those that are alike."""
    return {_plain(str(key)): str(key) for key in reversed(list(row))}


def _paths(row: Record) -> Iterator[str]:
    """The fields of a message, and those of objects in them."""
    for key, value in row.items():
        yield from (f"{key}.{inner}" for inner in value) if isinstance(value, Mapping) and value else (str(key),)


def _listed(fields: Any) -> str:
    names = [f"{name:.60}" for name in fields]
    return ", ".join(names[:MOST_TOLD]) + (f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else "")
