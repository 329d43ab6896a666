"""What a run's log says, as tables: messages, supply centres, surprise. Promises and alliances are in `promises.py`, trust in `trust.py`.

Every function takes the events of a run (`read_run`) and gives a DataFrame; a log without such events gives an empty one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sandbox.log import Event, LogError
from sandbox.record import logged_message, whole
from sandbox.sealed import events_of
from sociallm.conversation import Message

# How much of the reader's memory was there when a message was read: the key in a memory record, and its name in a table.
STATES: Mapping[str, str] = {
    "surprise": "both states", "surprise_no_int": "interlocutor emptied", "surprise_no_own": "own emptied", "surprise_no_states": "both emptied",
}
_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class AnalysisError(ValueError):
    """What was wrong with a run, where, and what to do: one line."""


def read_run(run: Path, torn: Callable[[str], None] | None = None) -> tuple[Event, ...]:
    """The events of a run folder, checked. Raises `AnalysisError` in one line; a torn last record is told to `torn`."""
    try:
        events = tuple(map(_with_utf8_form, events_of(run, torn)))
    except (LogError, OSError) as error:
        raise AnalysisError(str(error)) from None
    if not events:
        raise AnalysisError(f"{run}: the log is empty; the run ended before its first step")
    return events


def _with_utf8_form(event: Event) -> Event:
    """The event; where a name or a text has half a character, which no table can hold, it is written out."""
    try:
        f"{event.agent}{_json(event.data)}".encode()
        return event
    except UnicodeEncodeError:
        return event._replace(agent=_written_out(event.agent), data=_written_out(event.data))


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(key): _written_out(one) for key, one in value.items()}
    return [_written_out(one) for one in value] if isinstance(value, list) else value


def messages(events: Sequence[Event]) -> pd.DataFrame:
    """One row a message: who wrote it, where, for whom, how long it is and how its words came about."""
    rows = [(e.step, e.time, need(e, "id", str), e.agent or "", need(e, "channel", str), names(e, "readers"), names(e, "to"),
             len(need(e, "text", str)), str(e.data.get("by") or "")) for e in events if e.kind == "message"]
    return pd.DataFrame(rows, columns=["step", "time", "message", "author", "channel", "readers", "to", "characters", "by"])


def centres(events: Sequence[Event]) -> pd.DataFrame:
    """One row a power and adjudication: how many supply centres it owns after it."""
    rows = []
    for event, happened in outcomes(events, "adjudication"):
        phase, owned = happened.get("phase"), happened.get("centers")
        if not isinstance(phase, str) or not phase[1:5].isdecimal() or not isinstance(owned, dict) or not all(isinstance(held, list) for held in owned.values()):
            raise AnalysisError(f"record {event.seq}: an adjudication needs \"phase\" like F1901M and \"centers\"; the log is not of this version")
        rows += [(event.step, event.time, phase, int(phase[1:5]), power, len(held)) for power, held in sorted(owned.items())]
    return pd.DataFrame(rows, columns=["step", "time", "phase", "year", "agent", "centres"])


def centres_by_year(events: Sequence[Event]) -> pd.DataFrame:
    """Supply centres at the end of each year: years down, powers across; a power no longer listed owns none.

    The year before the first is what a power began with; a year that was cut short before its fall is left out, centres change hands then.
    """
    table = centres(events)
    if table.empty:
        return table.pivot(index="year", columns="agent", values="centres")
    began = table[table["phase"] == table["phase"].iloc[0]].assign(year=int(table["year"].iloc[0]) - 1) if table["phase"].iloc[0].startswith("S") else table[:0]
    ended = table[~table["phase"].str.startswith("S")]
    return pd.concat([began, ended]).drop_duplicates(["year", "agent"], keep="last").pivot(index="year", columns="agent", values="centres").fillna(0).astype(int)


def surprises(events: Sequence[Event]) -> pd.DataFrame:
    """One row a message and reader other than its author: tokens and surprise in nats, one column per key of STATES in the log."""
    author = {e.data.get("id"): e.agent for e in events if e.kind == "message"}
    rows: list[dict[str, Any]] = []
    for event in events:
        if event.kind != "memory" or "surprise" not in event.data:
            continue
        message, reader = need(event, "message", str), need(event, "reader", str)
        if author.get(message) == reader:
            continue
        measured = {key: float(need(event, key, (int, float))) for key in STATES if key in event.data}
        rows.append({"step": event.step, "time": event.time, "message": message, "author": author.get(message) or "", "reader": reader,
                     "tokens": need(event, "tokens", int), **measured})
    columns = ["step", "time", "message", "author", "reader", "tokens", *(key for key in STATES if any(key in row for row in rows))]
    return pd.DataFrame(rows, columns=columns)


def by_message(surprise: pd.DataFrame) -> pd.DataFrame:
    """One row a message, in order: the mean over its readers, so that a message to all weighs no more than one to a friend."""
    keys = [key for key in STATES if key in surprise]
    return surprise.groupby("message", sort=False)[["tokens", *keys]].mean()


def nats_per_token(surprise: pd.DataFrame) -> dict[str, float]:
    """Mean surprise per token over the messages, per key of STATES; empty without measurements."""
    table = by_message(surprise)
    return {key: float(table[key].sum() / table["tokens"].sum()) for key in table.columns[1:]} if table["tokens"].sum() > 0 else {}


def outcomes(events: Sequence[Event], what: str) -> Iterator[tuple[Event, Mapping[str, Any]]]:
    """(event, what happened) for everything of one kind that the world said happened."""
    for event in events:
        if event.kind == "outcome":
            for happened in need(event, "events", list):
                if isinstance(happened, dict) and happened.get("what") == what:
                    yield event, happened


def message_of(event: Event) -> Message:
    """The message of a message event."""
    try:
        return logged_message(event)
    except (KeyError, TypeError, ValueError) as error:
        raise AnalysisError(f"record {event.seq} (message): {type(error).__name__}: {error!s:.60}; the log is damaged or not of this version") from None


def need(event: Event, key: str, kind: Any) -> Any:
    """`event.data[key]`, which must be of this kind."""
    value = event.data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise AnalysisError(f"record {event.seq} ({event.kind}): {key!r} is {value!r:.40}; the log is damaged or not of this version")
    return value


def names(event: Event, key: str) -> tuple[str, ...]:
    """`event.data[key]`: a list of agents, perhaps absent."""
    value = event.data.get(key) or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise AnalysisError(f"record {event.seq} ({event.kind}): {key!r} must be a list of agents; the log is damaged or not of this version")
    return tuple(value)
