"""Plain chat: a message a line of JSON or a row of CSV, or a line of JSON that holds a list of messages.

Which field is what, `--fields` says (author=nick); of the rest the first that the message has of GUESSES. Without a field for conversations
a file is one. A line with a list of messages (LISTS) is a conversation of its own, called by its field for conversations, else by
one of NAMED, else by its number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from sandbox.importing.files import BROKEN, MAX_LINE, broken, opened
from sandbox.importing.gathering import talk_of
from sandbox.importing.source import Reading, Source
from sandbox.importing.spill import Spill, line_of
from sandbox.importing.talk import Line, Talk, name, names, text_of
from sandbox.importing.times import Numbers, stamp
from sandbox.importing.wish import NONE, ImportRefused

GUESSES: Mapping[str, tuple[str, ...]] = {  # role → names of fields, the likeliest first
    "conversation": ("conversation", "conversation_id", "dialogue_id", "dialog_id", "group_id", "game_id", "thread_id", "session_id", "game", "thread"),
    "channel": ("channel", "room", "channel_name"),
    "author": ("author", "speaker", "user", "from", "sender", "nick", "username", "name", "role"),
    "text": ("text", "content", "message", "body", "value", "msg", "utterance"),
    "time": ("time", "timestamp", "ts", "date", "datetime", "created_at", "sent_at"),
    "to": ("to", "addressees", "addressee", "recipient", "recipients", "receiver"),
    "reply_to": ("reply_to", "reply-to", "replyto", "in_reply_to", "parent_id"),
    "id": ("id", "message_id", "msg_id"),
    "readers": ("readers", "members"),
}
LISTS = ("messages", "turns", "utterances", "units", "chat", "chat_logs", "dialogue", "dialog", "conversation")
NAMED = (*GUESSES["conversation"], "id")
MOST_SHAPES = 1_000  # sets of fields that are remembered
EVERYBODY = ("all", "everybody", "everyone", "global", "public", "*")  # in a field for addressees: nobody in particular
HALF = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, as it is read here
Record = Mapping[str, Any]
Fields = Mapping[str, str | None]  # role → field


def jsonl(reading: Reading) -> Iterator[Talk]:
    """The conversations of files of JSON lines."""
    return _read(reading, reading.objects)


def table(reading: Reading) -> Iterator[Talk]:
    """The conversations of files of CSV."""
    return _read(reading, partial(_rows, reading))


def _read(reading: Reading, records: Callable[[Source], Iterator[tuple[int, Record]]]) -> Iterator[Talk]:
    spill, numbers = Spill(reading.stage / "lines.db"), Numbers()
    unseen = set(reading.wish.fields.values()) - {NONE}  # a word that is spelt wrong would leave a column out in silence
    try:
        for at, source in enumerate(reading.sources):
            known: dict[tuple[str, ...], Fields] = {}
            for number, record in records(source):
                where = f"{source.path}:{number}"
                inner = next((record[key] for key in LISTS if isinstance(record.get(key), list)), None)
                whole = source.name if inner is None else _named(record, reading) or f"{source.name}:{number}"
                for row in [record] if inner is None else inner:
                    if unseen:
                        unseen -= record.keys() | (row.keys() if isinstance(row, Mapping) else set())
                    found = reading.kept(_line, row, known, whole, (at, number), where, reading)
                    if found is not None:
                        numbers.see(found[1].time)
                        spill.add(*found)
        if wrong := next((role for role, field in sorted(reading.wish.fields.items()) if field in unseen), None):
            raise ImportRefused(f"{reading.sources[0].path}: --fields {wrong}={reading.wish.fields[wrong]:.60}: no message has such a field; name one that is there, or {wrong}={NONE}")
        unit = numbers.unit(reading.wish)
        for of, some in spill.groups():
            if (talk := reading.kept(talk_of, of, map(line_of, some), reading, unit)) is not None:
                yield talk
    finally:
        spill.close()


def _rows(reading: Reading, source: Source) -> Iterator[tuple[int, Record]]:
    csv.field_size_limit(MAX_LINE)
    try:
        with opened(source.path) as raw, io.TextIOWrapper(io.BufferedReader(_Lines(raw, source)), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            head = file.readline()
            file_rows = csv.reader(_with(head, file), delimiter=_between(head))
            names_of = next(file_rows, None)
            if not names_of or len(set(names_of)) < len(names_of) or len(names_of) < 2:
                raise ImportRefused(f"{source.path}:1: the header is {', '.join(names_of or ())!r:.60}, expected the names of two columns at least, each once")
            for row in file_rows:
                if any(row):
                    if len(row) != len(names_of):
                        reading.refuse(ImportRefused(f"{source.path}:{file_rows.line_num}: {len(row)} cells, the header has {len(names_of)}; quote texts that hold a comma or a new line", "rows of another length"))
                        continue
                    if HALF.search("".join(row)):
                        reading.refuse(ImportRefused(f"{source.path}:{file_rows.line_num}: not UTF-8; save the file as UTF-8 text, or say --skip to leave such rows out", "rows that are not UTF-8"))
                        continue
                    yield file_rows.line_num, dict(zip(names_of, row))
    except csv.Error as error:
        raise ImportRefused(f"{source.path}: not CSV ({error}); save it as UTF-8 text with a header") from None
    except BROKEN as error:
        raise broken(str(source.path), error) from None


def _with(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _between(head: str) -> str:
    """The mark between cells: the one that the header has most of."""
    return max((",", "\t", ";", "|"), key=lambda mark: (head.count(mark), mark == ","))


class _Lines(io.RawIOBase):
    """A file without endless lines and without NUL, which csv will not have."""

    def __init__(self, file: Any, source: Source):
        super().__init__()
        self._file, self._source, self._since, self._number = file, source, 0, 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raw = self._file.read(len(buffer))
        ends = raw.count(b"\n")
        self._number += ends
        self._since = len(raw) - 1 - raw.rfind(b"\n") if ends else self._since + len(raw)
        if self._since > MAX_LINE:
            raise ImportRefused(f"{self._source.path}:{self._number}: a line of more than {MAX_LINE // 2**20} MiB; split it")
        buffer[: len(raw)] = raw.replace(b"\x00", b" ")
        return len(raw)


def _named(record: Record, reading: Reading) -> str:
    """What a line with a list of messages calls itself."""
    wanted = reading.wish.fields.get("conversation")
    found = next((record[key] for key in ((wanted,) if wanted else NAMED) if isinstance(record.get(key), (str, int))), "")
    return "" if isinstance(found, bool) else str(found)


def _known(row: Record, known: dict[tuple[str, ...], Fields], where: str, reading: Reading) -> Fields:
    """The same, looked up where a message with these fields was there before."""
    keys = tuple(row)
    if keys not in known:
        if len(known) >= MOST_SHAPES:
            known.clear()
        known[keys] = _fields(row, where, reading)
    return known[keys]


def _fields(row: Record, where: str, reading: Reading) -> Fields:
    """Role → field of messages with these fields. Raises `ImportRefused` where nobody can tell who says what."""
    known = {str(key).casefold(): str(key) for key in reversed(list(row))}
    found: dict[str, str | None] = {}
    for role, guesses in GUESSES.items():
        given = reading.wish.fields.get(role)
        found[role] = None if given == NONE else given or next((known[guess] for guess in guesses if guess in known and known[guess] not in found.values()), None)
    there = ", ".join(map(str, row))
    for role in ("author", "text"):  # the others a message may do without
        given = reading.wish.fields.get(role)
        if given is not None and given not in row:
            raise ImportRefused(f"{where}: no field {given!r:.40} for {role}; there are {there:.200}", f"without a field for {role}")
        if found[role] is None:
            raise ImportRefused(f"{where}: no field for {role} among {there:.200}; say which it is: --fields {role}=FIELD", f"without a field for {role}")
    return found


def _line(row: Any, known: dict[tuple[str, ...], Fields], whole: str, place: tuple[int, int], where: str, reading: Reading) -> tuple[str, Line] | None:
    """(conversation, line) of a message; None where its text is empty."""
    if not isinstance(row, Mapping):
        raise ImportRefused(f"{where}: a message is {row!r:.40}, expected an object", "no objects")
    fields = _known(row, known, where, reading)

    def of(role: str) -> Any:
        key = fields[role]
        return None if key is None else row.get(key)

    text = text_of(of("text"), where, reading.wish, reading.cleaned)
    inside = of("conversation")
    group = whole if inside is None or inside == "" or isinstance(inside, (list, dict, bool)) else name(inside, where, "a conversation", reading.cleaned)
    if not text:
        reading.left_out["without a text"] += 1
        return None
    to = tuple(one for one in names(of("to"), where, "an addressee", reading.cleaned) if one.casefold() not in EVERYBODY)
    channel, answers, own = of("channel"), of("reply_to"), of("id")
    return group, Line(
        place=place, author=name(of("author"), where, "an author", reading.cleaned), text=text, to=to, time=stamp(of("time"), where),
        channel="" if channel in (None, "") else name(channel, where, "a channel", reading.cleaned),
        readers=names(of("readers"), where, "a reader", reading.cleaned), id="" if own in (None, "") else name(own, where, "an id", reading.cleaned),
        reply_to=None if answers in (None, "") else name(answers, where, "an id", reading.cleaned),
    )  # fmt: skip
