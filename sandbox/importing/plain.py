"""Plain chat: a message a line of JSON or a row of CSV, or a line of JSON that holds a list of messages.

Which field is what, `sandbox/importing/roles.py` finds, and one line tells. Without a field for conversations a file is one. A line with a list of
messages (LISTS) is a conversation of its own, called by its field for conversations, else by its id, else by its number.
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
from sandbox.importing.roles import Record, Roles, value_of_role
from sandbox.importing.source import Reading, Source
from sandbox.importing.spill import Spill, line_of
from sandbox.importing.talk import Line, Talk, name, names, text_of
from sandbox.importing.times import Numbers, stamp
from sandbox.importing.wish import ImportRefused

LISTS = ("messages", "turns", "utterances", "units", "chat", "chat_logs", "dialogue", "dialog", "conversation")
EVERYBODY = ("all", "everybody", "everyone", "global", "public", "*")  # in a field for addressees: nobody in particular
HALF = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, as it is read here


def jsonl(reading: Reading) -> Iterator[Talk]:
    """The conversations of files of JSON lines."""
    return _read(reading, reading.objects)


def table(reading: Reading) -> Iterator[Talk]:
    """The conversations of files of CSV."""
    return _read(reading, partial(_rows, reading))


def _read(reading: Reading, records: Callable[[Source], Iterator[tuple[int, Record]]]) -> Iterator[Talk]:
    spill, numbers = Spill(reading.stage / "lines.db"), Numbers()
    roles = Roles(reading.wish)
    try:
        for at, source in enumerate(reading.sources):
            for number, record in records(source):
                where = f"{source.path}:{number}"
                inner = next((key for key in LISTS if isinstance(record.get(key), list)), None)
                whole = source.name if inner is None else roles.named(record, inner) or f"{source.name}:{number}"
                for row in [record] if inner is None else record[inner]:
                    found = reading.kept(_line, row, roles, whole, (at, number), where, reading)
                    if found is not None:
                        numbers.see(found[1].time)
                        spill.add(*found)
        roles.check(str(reading.sources[0].path))
        if told := roles.told():
            reading.tell(told)
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


def _line(row: Any, roles: Roles, whole: str, place: tuple[int, int], where: str, reading: Reading) -> tuple[str, Line] | None:
    """(conversation, line) of a message; None where its text is empty."""
    if not isinstance(row, Mapping):
        raise ImportRefused(f"{where}: a message is {row!r:.40}, expected an object", "no objects")
    fields = roles.of(row, where)

    def of(role: str) -> Any:
        return value_of_role(row, fields, role, where)

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
