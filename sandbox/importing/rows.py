"""Rows of chat trainers, from lines or columns: those of our own export go to `sandbox/importing/views.py`, by game; any other is a conversation.

Of such a row the authors are its roles (user, assistant; of sharegpt human and gpt are called so too), and what the system says was told to the
assistant. No row has a clock: a second a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sandbox.importing.gathering import talk_of
from sandbox.importing.source import Reading, Source
from sandbox.importing.spill import Spill
from sandbox.importing.talk import Line, Talk, name, text_of
from sandbox.importing.views import OWN, SYSTEM, Turn, game
from sandbox.importing.wish import ImportRefused

OURS = ("run", "agent", "authors", "to", "channels", "times")  # the columns of a row of our own export
ROLES = {"human": "user", "gpt": "assistant"}  # of sharegpt, in the words of the others
TURNS = ("messages", "conversations")  # the columns, of which a row has one


def rows_of_lines(reading: Reading) -> Iterator[Talk]:
    """Talks from rows that are lines of JSON."""
    return _talks(reading, reading.objects)


def rows_of_columns(reading: Reading) -> Iterator[Talk]:
    """Talks from rows of Parquet."""
    import pyarrow
    import pyarrow.parquet as parquet

    def rows(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            with parquet.ParquetFile(source.path) as file:
                if not set(TURNS) & set(file.schema_arrow.names):
                    raise ImportRefused(f"{source.path}: has the columns {', '.join(file.schema_arrow.names):.120}, expected messages or conversations, lists of turns")
                number = 0
                for batch in file.iter_batches(200, use_threads=False):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ImportRefused(f"{source.path}: not Parquet that can be read ({' '.join(str(error).split()):.80}); fetch the file again") from None

    return _talks(reading, rows)


def _talks(reading: Reading, rows: Callable[[Source], Iterator[tuple[int, dict[str, Any]]]]) -> Iterator[Talk]:
    spill = Spill(reading.stage / "rows.db")
    try:
        for at, source in enumerate(reading.sources):
            for number, row in rows(source):
                if (turns := reading.kept(_turns, row, f"{source.path}:{number}")) is not None:
                    ours = all(key in row for key in OURS) and isinstance(row["run"], str)
                    of = f"run {row['run']}" if ours else f"row {at} {number}"
                    spill.add(of, [[at, number], turns, TURNS[0] in row, {key: row[key] for key in row if key not in TURNS}])
        for of, found in spill.groups():
            if (talk := reading.kept(_talk, of, list(found), reading)) is not None:
                yield talk
    finally:
        spill.close()


def _talk(of: str, rows: list[Any], reading: Reading) -> Talk | None:
    """The talk of a group: the rows of a run of ours, or one row."""
    kind, _, name = of.partition(" ")
    return game(name, rows, reading) if kind == "run" else _row(rows[0], reading)


def _turns(value: Mapping[str, Any], where: str) -> list[Turn]:
    """(role, content) of each turn."""
    raw, keys = (value["messages"], ("role", "content")) if "messages" in value else (value.get("conversations"), ("from", "value"))
    if not isinstance(raw, list):
        raise ImportRefused(f"{where}: has no list of turns; expected \"messages\" of role and content, or \"conversations\" of from and value", "rows without turns")
    found = []
    for number, turn in enumerate(raw):
        role, content = (turn.get(key) for key in keys) if isinstance(turn, dict) else (None, None)
        if isinstance(content, list):  # parts, of which those that are text have one
            content = "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
        if not isinstance(role, str) or not isinstance(content, (str, type(None))):
            raise ImportRefused(f"{where}: turn {number} is {turn!r:.60}, expected {keys[0]} and {keys[1]}, both texts", "turns that are none")
        found.append((ROLES.get(role, role), content or ""))
    return found


# ---- a row of somebody else's ------------------------------------------------------------------------------------------


def _row(row: Sequence[Any], reading: Reading) -> Talk | None:
    """A row as a conversation of its roles."""
    (at, number), turns, _, beside = row
    source = reading.sources[at]
    where = f"{source.path}:{number}"
    told, said = list[str](), list[Line]()
    for role, content in turns:
        try:
            text = text_of(content, where, reading.wish, reading.cleaned)
            if not text:
                reading.left_out["without a text"] += 1
            elif role == SYSTEM:
                told.append(text)
            else:
                said.append(Line(place=(at, number), author=name(role, where, "an author", reading.cleaned), text=text))
        except ImportRefused as error:
            reading.refuse(error)
    called = next((beside[key] for key in ("id", "conversation_id", "conversation") if isinstance(beside.get(key), str) and beside[key]), f"{source.name}:{number}")
    return talk_of(called, said, reading, "ms", told={OWN: "\n".join(told)} if told else None)
