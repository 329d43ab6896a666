"""The event log: what happened in a run, one record a line, numbered and checksummed.

A record, version 1, is one line of ASCII JSON with sorted keys and its checksum (CRC-32 of all that stands before it) at the end:
    {"agent": …, "data": {…}, "kind": …, "seq": n, "step": n, "time": ms, "v": 1, "wall": seconds, "crc": "8 hex digits"}
Kinds, in the order in which one step writes them:
    intervention  a change made from outside: of a fork (sandbox/fork.py) or a monitor (sandbox/monitor.py)
    step          a window opened: {"start", "end", "move_due", "slots": [[agent, time, [channel, …]], …]}
    observation   what an agent saw, by reference: {"heard": [message id, …], "may_write": [channel, …], "view": SHA-256}
    fault         what an agent tried and may not; before the end, what broke: {"what", "why"}
    intent        what an agent planned before it spoke: {"intent": …}, where a learned head was there also {"choices": [{"kind", "traits", "options",
                  "chosen", "p"}, …]} (agents/choosing.py); where the answer came from outside also {"usage": {"calls", "tokens_in", "tokens_out",
                  "cost", "seconds", …}}, of which "seconds" are no part of the canonical log
    message       {"id", "channel", "readers", "text", "to", "reply_to"} and the wording's own keys: of `scripted` and `social` {"act", "by", "candidates"},
                  of `social` also {"meant", "own", "others", "channel_state"} (candidates that mean the act, of those looked at: once one will do,
                  less likely ones are given up; keys of the states it was worded from) and, where the model's words were taken,
                  {"sampled", "tokens", "nats"}
    delivery      who has now read a message: {"message": id, "readers": [agent, …]}
    move          what an agent did: {"move": …}
    outcome       what followed: {"events": [{"what": …}, …], "done": bool}
    reward        {"reward": number}
    memory        keys of an agent's states after a message: {"message", "role", "own", "other", "channel", "tokens"}, with measure.surprise also {"surprise"}
    end           how the run ended: {"ended": "done" | "interrupted" | "limit" | "fault", "why"}
Live, the records of a step are one unbuffered write (with fsync: turn, each is one); a kill at any instant leaves at most one torn line,
the last. The canonical log is the log without `wall`, `crc` and the seconds of `usage`.

A run that goes on after a kill plays the steps since its snapshot again, and hands the log the same events again: those that stand in
the file already are compared, record by record, and not written a second time. So nothing that was written is taken back, and a
step of which only a part was written is made whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

from agents.types import JSON
from sandbox.disk import REMEDY, sync_folder
from sandbox.writing import writer
from sociallm.conversation import AgentID, printable

VERSION = 1
KINDS = ("intervention", "step", "observation", "fault", "intent", "message", "delivery", "move", "outcome", "reward", "memory", "end")
Fsync = Literal["turn", "step", "none"]
_KINDS = frozenset(KINDS)
_text = writer(compact=True)
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')
_BEGIN = b'{"agent":'
_LEAST, _MOST = -(2**63), 2**63  # two comparisons take a third of `in _I64`
LONGEST = 256 * 2**20  # bytes of a record that is read: a file without an end of line is not taken into memory whole
_I64 = range(_LEAST, _MOST)  # what the columns hold


class LogError(ValueError):
    """A log that cannot be written or trusted: file, line, what, remedy, in one line."""


class TornLog(UserWarning):
    """The last record of a log was cut short and has been left out."""


class Event(NamedTuple):  # two a turn: a tuple is made in a third of a frozen dataclass's time
    """Something that happened. `agent` is None for what the world or the sandbox did; `wall` is outside the canonical log."""

    kind: str
    step: int
    time: int
    agent: AgentID | None = None
    data: Mapping[str, JSON] = {}
    seq: int = -1  # set by the log
    wall: float | None = None  # set by the log


an_event = partial(tuple.__new__, Event)  # from a tuple of all its fields: what `Event(…)` does after a Python function of its own


def encode(event: Event) -> bytes:
    """The record of an event: one line, checksummed. Raises `LogError` if its data has no JSON form."""
    return _records([event], event.seq, event.wall)[0].encode("ascii")


def _records(events: Sequence[Event], first: int, wall: float | None) -> list[str]:
    """The records of events, numbered from `first`: what json.dumps(…, sort_keys=True) gives, put together here around the data of each."""
    always, lines = f',"v":{VERSION},"wall":{_text(wall)}', []
    before: Mapping[str, JSON] | None = None  # the last data that was put into words, and those: many see the same in a step
    what = middle = behind = ""
    last: tuple[Any, Any] = (None, None)  # kind and step of the record before: what both stand for is put into words once
    for seq, (kind, step, time, agent, data, _, _) in enumerate(events, first):
        if not middle or kind is not last[0] or step is not last[1]:
            if kind not in _KINDS:
                raise LogError(f"event kind {kind!r} is unknown; expected one of {', '.join(KINDS)}")
            _whole(kind, step, time)
            last, middle, behind = (kind, step), f',"kind":"{kind}","seq":', f',"step":{step},"time":'
        if type(time) is not int or not _LEAST <= time < _MOST:
            _whole(kind, step, time)
        try:
            who = "null" if agent is None else _quoted(agent)
            if data is not before:
                # a number put in, as most moves of most runs, takes the encoder thrice as long
                number = kind == "move" and len(data) == 1 and type(data.get("move")) is int
                before, what = data, f'{{"move":{data["move"]}}}' if number else _text(data)
        except (TypeError, ValueError, RecursionError) as error:
            raise LogError(f"{kind} event of step {step}: its data has no JSON form ({error})") from None
        body = f'{{"agent":{who},"data":{what}{middle}{seq}{behind}{time}{always}'
        lines.append(f'{body},"crc":"{crc32(body.encode("ascii")):08x}"}}\n')
    return lines


def _whole(kind: str, step: object, time: object) -> None:
    if not type(step) is type(time) is int or step not in _I64 or time not in _I64:
        raise LogError(f"{kind} event: its step {step!r:.40} and time {time!r:.40} must be whole numbers of 64 bits")


def _plain(event: Event) -> dict[str, Any]:
    return {
        "v": VERSION, "seq": event.seq, "kind": event.kind, "step": event.step, "time": event.time, "agent": event.agent,
        "data": _unhurried(event.kind, event.data),
    }  # fmt: skip


def _unhurried(kind: str, data: Mapping[str, JSON]) -> dict[str, JSON]:
    """The data without how long a server or a person took."""
    usage = data.get("usage") if kind == "intent" else None
    return {**data, "usage": {key: value for key, value in usage.items() if key != "seconds"}} if isinstance(usage, dict) else dict(data)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a log holds already when it is opened again: all up to a place, and the lines behind it, which the run is to repeat."""

    records: int = 0
    content: Any = field(default_factory=hashlib.sha256)  # of the bytes up to there
    size: int = 0
    step: int = 0
    time: int = 0
    again: Sequence[bytes] = ()


class EventLog:
    """The one writer of a run's log. `clock` gives the wall time of a record; `fsync` says when it must be on disk."""

    def __init__(self, path: Path, *, fsync: Fsync, clock: Callable[[], float], written: Written | None = None):
        """A new log, or with `written` one that goes on. Raises FileExistsError rather than write over one."""
        self.path, self._fsync, self._clock = path, fsync, clock
        before = written or Written()
        self._seq, self._size, self._content, self._again = before.records, before.size, before.content.copy(), deque(before.again)
        self.step, self.time = before.step, before.time  # of the last event
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | (0 if written else os.O_CREAT | os.O_EXCL), 0o644)
        if not written and fsync != "none":
            sync_folder(path.parent)  # else a record could be on disk, and the name of its file not

    @property
    def count(self) -> int:
        """Records written so far, or gone over again."""
        return self._seq

    @property
    def place(self) -> tuple[int, int, str]:
        """(records, bytes, SHA-256 of these bytes): all that happened so far."""
        return self._seq, self._size, self._content.hexdigest()

    @property
    def repeating(self) -> bool:
        """Whether the file still holds events that the run has not come to again."""
        return bool(self._again)

    def ahead(self, step: int) -> list[Event]:
        """The events of a step that the run has not come to again."""
        found: list[Event] = []
        for line in self._again:
            event = _decode(line[:-1], None, f"{self.path}")
            if event.step > step:
                break
            if event.step == step:
                found.append(event)
        return found

    def append(self, event: Event) -> None:
        """One event, one write."""
        self.commit([event])

    def mark(self, kind: str, agent: AgentID | None = None, step: int | None = None, **data: JSON) -> None:
        """An event that no step has, at the time of the last one that is logged."""
        self._catch_up()
        self.append(Event(kind, self.step if step is None else step, self.time, agent, data))

    def commit(self, events: Iterable[Event]) -> None:
        """All that happened in one step. An event that has no form on disk, or is not the one logged before, stops the step before any of
        it is written.

        fsync "step", "none": one write; a full disk leaves none of it. "turn": a write for each event, on disk before the next one is
        written; a full disk leaves the events before the one that did not fit. A kill leaves a step whole, not at all or in part, its
        last line torn perhaps: `resume` makes it whole. All is on disk when this returns, but with "none", where the system says when.
        """
        self._catch_up()
        events = list(events)
        lines = _records(events, self._seq, round(self._clock(), 6))
        known: list[bytes] = []
        try:
            for event, line in zip(events, lines, strict=True):
                if not self._again:
                    break
                known.append(self._repeated(event, line))
        finally:
            if known:
                self._count(b"".join(known), len(known), events[len(known) - 1])
        if self._fsync == "turn":
            for event, line in zip(events[len(known) :], lines[len(known) :], strict=True):
                self._write(line.encode("ascii"), 1, event)
        elif new := lines[len(known) :]:
            self._write("".join(new).encode("ascii"), len(new), events[-1])

    def _write(self, whole: bytes, records: int, last: Event) -> None:
        """Put records behind those that stand in the file: all of them, or none."""
        try:
            written = os.write(self._file, whole)
            if written != len(whole):
                raise OSError(errno.ENOSPC, f"only {written} of {len(whole)} bytes were taken")
            if self._fsync != "none":
                os.fsync(self._file)
        except OSError as error:  # a full disk
            os.ftruncate(self._file, self._size)  # else what is written next would hide a tear in the midst of the file
            raise LogError(f"{self.path}: record {self._seq} cannot be written ({error.strerror}){REMEDY}") from None
        self._count(whole, records, last)

    def _count(self, whole: bytes, records: int, last: Event) -> None:
        """Count what now stands in the file, all of it or, when a signal comes, none."""
        content = self._content.copy()
        content.update(whole)
        self._seq, self._size, self._content, self.step, self.time = self._seq + records, self._size + len(whole), content, last.step, last.time

    def _catch_up(self) -> None:
        """Count what a signal cut off from its count: it fell between a write and the lines behind it."""
        if self._again or not (more := os.fstat(self._file).st_size - self._size):
            return
        missed = os.pread(self._file, more, self._size)
        lines = missed.splitlines(keepends=True)
        self._count(missed, len(lines), _decode(lines[-1][:-1], self._seq + len(lines) - 1, f"{self.path}"))

    def _repeated(self, event: Event, line: str) -> bytes:
        """The line that stands in the file for this event. Raises `LogError` if another event stands there."""
        logged = self._again[0]
        if _timeless(logged) != _timeless(line):
            had, seq = _decode(logged[:-1], None, f"{self.path}"), json.loads(line)["seq"]
            raise LogError(
                f"{self.path}:{seq + 1}: the run did not repeat itself: logged {describe(had):.120} now {describe(event._replace(seq=seq)):.120}; "
                f"has the code, a plug-in or the machine changed? nothing was written"
            )
        return self._again.popleft()

    def close(self) -> None:
        """Seal: on disk, whatever the policy."""
        os.fsync(self._file)
        os.close(self._file)


def _timeless(line: bytes | str) -> Any:
    return {key: value for key, value in json.loads(line).items() if key not in ("wall", "crc")}


def read_events(path: Path | str, torn: Callable[[str], None] | None = None) -> Iterator[Event]:
    """The events of a log, checked. A torn last line is left out and told to `torn` (by default a `TornLog` warning).

    Raises `LogError` naming file and line at the first record that was changed, lost or put in the wrong place.
    """
    with open(path, "rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LONGEST + 1), b""), 1):
            where = f"{path}:{number}"
            if len(line) > LONGEST:
                raise LogError(f"{where}: a line of more than {LONGEST} bytes, longer than any record; it was not written by this program")
            if number == 1 and _is_none(line):
                raise LogError(f"{where}: not a record of an event log, so this is no log; give the folder of a run, or its events.jsonl")
            if not line.endswith(b"\n"):
                tell = torn or (lambda what: warnings.warn(what, TornLog, stacklevel=3))
                tell(f"{where}: the last record is torn ({len(line)} bytes, no end of line); it is left out, all before it is whole")
                return
            yield _decode(line[:-1], number - 1, where)


def _is_none(line: bytes) -> bool:
    """Whether a line was never a record, however it was damaged or cut short: it neither begins as one nor has a mark of one."""
    blank = not line.strip(b"\0")  # what a machine that stopped may leave of a record
    return not blank and not line.startswith(_BEGIN[: len(line)]) and not any(mark in line for mark in (b'"kind":"', b'"seq":', b'"crc":"'))


def _decode(line: bytes, seq: int | None, where: str) -> Event:
    """The event of a record. Raises `LogError` unless it is whole, and has this number if one is expected."""
    found = _CRC.search(line)
    if not found or int(found[1], 16) != crc32(line[: found.start()]):
        raise LogError(f"{where}: the record does not match its checksum; the file was damaged or changed after the run; restore it, or run the scenario again")
    try:
        record = value_of(line)
        if record["v"] != VERSION:
            raise LogError(f"{where}: record version {record['v']!r:.20}, this reader knows {VERSION}; read it with the version that wrote it")
        event = Event(**{key: record[key] for key in ("kind", "step", "time", "agent", "data", "seq", "wall")})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{where}: not a record of an event log ({type(error).__name__}: {error!s:.100}); it was not written by this program") from None
    checked(event, where)
    if seq is not None and event.seq != seq:
        raise LogError(f"{where}: record {event.seq} stands where record {seq} should; lines were lost or moved")
    return event


def checked(event: Event, where: str) -> Event:
    """The event, if each of its values is of its type. Raises `LogError`."""
    kind, step, time, agent, data, seq, wall = event
    if (
        type(seq) is type(step) is type(time) is int and type(kind) is str and kind in _KINDS and step in _I64 and time in _I64
        and (agent is None or type(agent) is str) and type(data) is dict and type(wall) is float and abs(wall) < 2**53
        and (kind not in ("delivery", "memory") or type(data.get("message", "")) is str)
    ):  # fmt: skip
        return event  # as all that this program writes; what follows says what is wrong
    named = data.get("message", "") if isinstance(data, dict) else None
    good = {
        "seq": type(event.seq) is int, "kind": isinstance(event.kind, str) and event.kind in _KINDS, "step": type(event.step) is int and event.step in _I64,
        "time": type(event.time) is int and event.time in _I64, "agent": isinstance(event.agent, (str, type(None))),
        "data": isinstance(event.data, dict), "wall": wall is None or (type(wall) in (int, float) and abs(wall) < 2**53),
        "message": isinstance(named, str) or event.kind not in ("delivery", "memory"),
    }  # fmt: skip
    if wrong := [key for key, is_good in good.items() if not is_good]:
        got = named if wrong[0] == "message" else getattr(event, wrong[0])
        raise LogError(f"{where}: not a record of an event log ({wrong[0]!r} has the wrong type: {got!r:.60}); it was not written by this program")
    return event


def value_of(text: bytes | str) -> Any:
    """The value of a JSON text. Raises ValueError for what is not JSON: NaN and infinity, which Python's own reader takes, among them."""
    text = text if isinstance(text, str) else text.decode("utf-8")
    try:
        value, end = _decoder.raw_decode(text)
    except json.JSONDecodeError:
        end = -1
    return value if end == len(text) else _decoder.decode(text)  # which takes white space around it, and says what is wrong with the rest


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _finite(digits: str) -> float:
    return number if math.isfinite(number := float(digits)) else _refuse(f"{digits:.20}")


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)


def canonical_hash(events: Path | str | Iterable[Event]) -> str:
    """SHA-256 of the canonical log: equal for two runs exactly if the same things happened in them."""
    digest = hashlib.sha256()
    for event in read_events(events) if isinstance(events, (str, Path)) else events:
        digest.update(canonical(event))
    return digest.hexdigest()


def canonical(event: Event) -> bytes:
    """The event's line in the canonical log."""
    return json.dumps(_plain(event), sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


HEADS = f"{'record':>6} {'step':>5} {'time/ms':>10} {'kind':<11} {'agent':<10} what"


def describe(event: Event) -> str:
    """An event as one line for a terminal, its columns under `HEADS`."""
    what = event.data.get("text") if event.kind == "message" else None
    if what is not None:
        body = f"[{event.data.get('channel')}] {what}"
    else:
        body = json.dumps(event.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return printable(f"{event.seq:6d} {event.step:5d} {event.time:>10d} {event.kind:<11} {event.agent or '-':<10} {body}")
