"""Lines by conversation, on disk: a corpus has its conversations in any order, and is larger than memory.

A table of SQLite in a file that is removed when the import is done; it is never read again by another process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.importing.talk import Line
from sandbox.writing import writer

BATCH = 2_000  # lines put down at once
_text = writer(compact=True)


class Spill:
    """What was read so far, by group, in the order in which it was read; and values by key."""

    def __init__(self, path: Path):
        path.unlink(missing_ok=True)  # of an import that was killed
        self._base = sqlite3.connect(path, isolation_level=None)
        for order in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "CREATE TABLE lines (at INTEGER PRIMARY KEY, of TEXT, line TEXT)",
                      "CREATE TABLE told (what TEXT, key TEXT, value TEXT, PRIMARY KEY (what, key)) WITHOUT ROWID", "BEGIN"):  # fmt: skip
            self._base.execute(order)
        self._waiting: list[tuple[str, str]] = []

    def add(self, of: str, line: Any) -> None:
        """A line, or any value with a JSON form, of a group."""
        self._waiting.append((json.dumps(of), _text(line)))  # ASCII: a name may hold what has no UTF-8 form
        if len(self._waiting) >= BATCH:
            self._put()

    def put(self, what: str, key: str, value: Any) -> None:
        """A value by its key; the last one counts."""
        self._base.execute("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", (what, json.dumps(key), _text(value)))

    def get(self, what: str, key: str) -> Any:
        """What was put; None where nothing was."""
        row = self._base.execute("SELECT value FROM told WHERE what = ? AND key = ?", (what, json.dumps(key))).fetchone()
        return None if row is None else json.loads(row[0])

    def all(self, what: str) -> Iterator[tuple[str, Any]]:
        """(key, value) of all that was put under this, by key."""
        for key, value in self._base.execute("SELECT key, value FROM told WHERE what = ? ORDER BY key", (what,)):
            yield json.loads(key), json.loads(value)

    def groups(self) -> Iterator[tuple[str, Iterator[Any]]]:
        """(group, what was added to it), the one that began first first. After this nothing is added."""
        self._put()
        self._base.execute("CREATE INDEX by_group ON lines (of, at)")
        for of, _ in self._base.execute("SELECT of, MIN(at) FROM lines GROUP BY of ORDER BY 2"):
            yield json.loads(of), (json.loads(line) for (line,) in self._base.execute("SELECT line FROM lines WHERE of = ? ORDER BY at", (of,)))

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _put(self) -> None:
        self._base.executemany("INSERT INTO lines (of, line) VALUES (?, ?)", self._waiting)
        self._waiting.clear()


def line_of(value: list[Any]) -> Line:
    """A line as it was added."""
    place, author, text, channel, readers, to, time, name, reply_to, intent = value
    return Line((place[0], place[1]), author, text, channel, tuple(readers), tuple(to), None if time is None else (time[0], time[1]), name, reply_to, intent)
