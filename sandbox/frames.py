"""A run as tables, for notebooks: `sandbox.load(run).messages`, and so on, each a pandas DataFrame in the order of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sandbox.log import Event, LogError, describe
from sandbox.record import whole
from sandbox.sealed import events_of

PLACE = ("seq", "step", "time")  # the first columns of every table


@dataclass(frozen=True)
class Run:
    """What happened. `time` is simulated ms; lists and mappings stand in cells as they are.

    messages   author, channel, readers, to, text, id, reply_to, and how the words came about (act, by, …)
    moves      agent, move                 intents   agent, intent
    memory     message, reader, role, keys of states, and what was measured of them (surprise, …)
    outcomes   what and the rest of each event of the world            rewards   agent, reward
    """

    path: Path
    messages: pd.DataFrame
    moves: pd.DataFrame
    intents: pd.DataFrame
    memory: pd.DataFrame
    outcomes: pd.DataFrame
    rewards: pd.DataFrame


def load(run: Path | str) -> Run:
    """The tables of a run's folder, or of its log in either form (events.jsonl, events.parquet). Raises `LogError`."""
    path = Path(run)
    by_kind: dict[str, list[Event]] = {}
    for event in events_of(path):
        by_kind.setdefault(event.kind, []).append(event)

    def of(kind: str) -> list[Event]:
        return by_kind.get(kind, [])

    outcomes = [(event, told) for event in of("outcome") for told in _told(event)]
    return Run(
        path=path,
        messages=_table(((e, {**e.data, "author": e.agent}) for e in of("message")), ("author", "channel", "readers", "to", "text", "id", "reply_to")),
        moves=_table(((e, {"agent": e.agent, **e.data}) for e in of("move")), ("agent", "move")),
        intents=_table(((e, {"agent": e.agent, **e.data}) for e in of("intent")), ("agent", "intent")),
        memory=_table(((e, e.data) for e in of("memory")), ("message", "reader", "role")),
        outcomes=_table(outcomes, ("what",)),
        rewards=_table(((e, {"agent": e.agent, **e.data}) for e in of("reward")), ("agent", "reward")),
    )


def _told(event: Event) -> list[dict[str, Any]]:
    """What a world said that followed. Raises `LogError` if that is no list of mappings."""
    told = event.data.get("events")
    if not isinstance(told, list) or not all(isinstance(entry, dict) for entry in told):
        raise LogError(f"record {event.seq} of the log is no outcome: {describe(event):.120}; it was changed after the run")
    return told


def _table(rows: Iterable[tuple[Event, Any]], first: Sequence[str]) -> pd.DataFrame:
    """One row an entry; what only some rows have comes after the columns that all have, and is empty elsewhere."""
    found = [{**data, **{name: getattr(event, name) for name in PLACE}} for event, data in rows]  # whatever a wording or a world calls its own keys
    rest = dict.fromkeys(key for row in found for key in row if key not in (*PLACE, *first))
    try:
        return pd.DataFrame(found, columns=[*PLACE, *first, *rest])
    except UnicodeEncodeError:  # half a character in a name or a text: the tables' own strings are UTF-8
        plain = [{whole(key): whole(value) if isinstance(value, str) else value for key, value in row.items()} for row in found]
        return pd.DataFrame(plain, columns=[*PLACE, *first, *map(whole, rest)])
