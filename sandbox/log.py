"""The event log: what happened in a run, one record a line, numbered and checksummed.

A record, version 1, is one line of ASCII JSON with sorted keys and its checksum (CRC-32 of all that stands before it) at the end:
    {"agent": …, "data": {…}, "kind": …, "seq": n, "step": n, "time": ms, "v": 1, "wall": seconds, "crc": "8 hex digits"}
Kinds, in the order in which one step writes them (DESIGN §10):
    step          a window opened: {"start", "end", "move_due", "slots": [[agent, time, [channel, …]], …]}
    observation   what an agent saw, by reference: {"heard": [message id, …], "may_write": [channel, …], "view": SHA-256}
    intent        what an agent planned before it spoke: {"intent": …}
    message       {"id", "channel", "readers", "text", "to", "reply_to", "act", "by", …}: the wording's own keys stand beside
    delivery      who has now read a message: {"message": id, "readers": [agent, …]}
    move          what an agent did: {"move": …}
    outcome       what followed: {"events": [{"what": …}, …], "done": bool}
    reward        {"reward": number}
    memory        scalars of a state after a message: {"message": id, "reader": agent, …}
    intervention  a change made from outside
    fault         what an agent tried and may not, or what broke: {"what", "why"}
    end           how the run ended: {"ended": "done" | "limit" | "interrupted" | "fault", "why"}
Live, a record is one unbuffered write; a kill at any instant leaves at most one torn line, the last. The canonical log is
the log without `wall` and `crc`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from agents.types import JSON
from sociallm.conversation import AgentID

VERSION = 1
KINDS = ("step", "observation", "intent", "message", "delivery", "move", "outcome", "reward", "memory", "intervention", "fault", "end")
Fsync = Literal["turn", "step", "none"]
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


class LogError(ValueError):
    """A log that cannot be written or trusted: file, line, what, remedy, in one line."""


class TornLog(UserWarning):
    """The last record of a log was cut short and has been left out."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. `agent` is None for what the world or the sandbox did; `wall` is outside the canonical log."""

    kind: str
    step: int
    time: int
    agent: AgentID | None = None
    data: Mapping[str, JSON] = field(default_factory=dict)
    seq: int = -1  # set by the log
    wall: float | None = None  # set by the log


def encode(event: Event) -> bytes:
    """The record of an event: one line, checksummed. Raises `LogError` if its data has no JSON form."""
    if event.kind not in KINDS:
        raise LogError(f"event kind {event.kind!r} is unknown; expected one of {', '.join(KINDS)}")
    record = _plain(event) | {"wall": event.wall}
    try:
        body = json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise LogError(f"{event.kind} event of step {event.step}: its data has no JSON form ({error})") from None
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body[:-1])


def _plain(event: Event) -> dict[str, Any]:
    return {
        "v": VERSION, "seq": event.seq, "kind": event.kind, "step": event.step, "time": event.time, "agent": event.agent,
        "data": dict(event.data),
    }  # fmt: skip


class EventLog:
    """The one writer of a run's log. `clock` gives the wall time of a record; `fsync` says when it must be on disk."""

    def __init__(self, path: Path, *, fsync: Fsync, clock: Callable[[], float]):
        self.path, self._fsync, self._clock, self._seq, self._size = path, fsync, clock, 0, 0
        self._torn = False
        self.step = self.time = 0  # of the last event
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)

    @property
    def count(self) -> int:
        """Records written so far."""
        return self._seq

    def append(self, event: Event) -> None:
        """One event, one write."""
        self.commit([event])

    def commit(self, events: Iterable[Event]) -> None:
        """All that happened in one step; on disk when this returns, unless fsync is "none". An event that cannot be written
        stops the step before any of it is."""
        if self._torn:
            raise LogError(f"{self.path}: record {self._seq} is torn; nothing can be written behind it")
        if (size := os.fstat(self._file).st_size) > self._size:  # a signal fell between the last write and its count
            self._seq, self._size = self._seq + 1, size
        wall = round(self._clock(), 6)
        numbered = [replace(event, seq=seq, wall=wall) for seq, event in enumerate(events, self._seq)]
        for event, line in [(event, encode(event)) for event in numbered]:
            written = os.write(self._file, line)
            if written != len(line):  # a full disk: what follows would hide the tear in the middle of the file
                self._torn = True
                raise LogError(f"{self.path}: only {written} of {len(line)} bytes could be written; is the disk full?")
            self._seq, self._size = self._seq + 1, self._size + written
            self.step, self.time = event.step, event.time
            if self._fsync == "turn":
                os.fsync(self._file)
        if self._fsync == "step":
            os.fsync(self._file)

    def close(self) -> None:
        """Seal: on disk, whatever the policy."""
        os.fsync(self._file)
        os.close(self._file)


def read_events(path: Path | str, torn: Callable[[str], None] | None = None) -> Iterator[Event]:
    """The events of a log, checked. A torn last line is left out and told to `torn` (by default a `TornLog` warning).

    Raises `LogError` naming file and line at the first record that was changed, lost or put in the wrong place.
    """
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            if not line.endswith(b"\n"):
                tell = torn or (lambda what: warnings.warn(what, TornLog, stacklevel=3))
                tell(f"{where}: the last record is torn ({len(line)} bytes, no end of line); it is left out, all before it is whole")
                return
            yield _decode(line[:-1], number - 1, where)


def _decode(line: bytes, seq: int, where: str) -> Event:
    found = _CRC.search(line)
    if not found or int(found[1], 16) != zlib.crc32(line[: found.start()]):
        raise LogError(f"{where}: the record does not match its checksum; the file was damaged or changed after the run")
    try:
        record = json.loads(line)
        if record["v"] != VERSION:
            raise LogError(f"{where}: record version {record['v']!r}, this reader knows {VERSION}; read it with the version that wrote it")
        event = Event(**{key: record[key] for key in ("kind", "step", "time", "agent", "data", "seq", "wall")})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{where}: not a record of an event log ({type(error).__name__}: {error})") from None
    whole = all(type(number) is int for number in (event.seq, event.step, event.time)) and event.kind in KINDS
    if not whole or not isinstance(event.agent, (str, type(None))) or not isinstance(event.data, dict):
        raise LogError(f"{where}: not a record of an event log (a value has the wrong type); it was not written by this program")
    if event.seq != seq:
        raise LogError(f"{where}: record {event.seq} stands where record {seq} should; lines were lost or moved")
    return event


def canonical_hash(events: Path | str | Iterable[Event]) -> str:
    """SHA-256 of the canonical log: equal for two runs exactly if the same things happened in them."""
    digest = hashlib.sha256()
    for event in read_events(events) if isinstance(events, (str, Path)) else events:
        digest.update(json.dumps(_plain(event), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n")
    return digest.hexdigest()


def printable(text: str) -> str:
    """The text with everything that could steer a terminal made visible: C0, C1, bidi, separators, surrogates, zero widths."""
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode("ascii") for c in text)


def describe(event: Event) -> str:
    """An event as one line for a terminal."""
    what = event.data.get("text") if event.kind == "message" else None
    if what is not None:
        body = f"[{event.data.get('channel')}] {what}"
    else:
        body = json.dumps(event.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return printable(f"{event.seq:6d} {event.step:5d} {event.time:>10d} {event.kind:<11} {event.agent or '-':<10} {body}")
