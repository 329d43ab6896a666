"""What a run's log says, as tables: messages, supply centres, promises, surprise; and all of it as one tidy table.

Every function takes the events of a run (`read_run`) and gives a DataFrame; a log without such events gives an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sandbox.log import Event, LogError, read_events

TIDY = ["step", "time", "metric", "agent", "value"]
# How much of the reader's memory was there when a message was read: the key in a memory record, and its name in a table.
STATES: Mapping[str, str] = {
    "surprise": "both states", "surprise_no_int": "interlocutor emptied", "surprise_no_own": "own emptied", "surprise_no_states": "both emptied",
}
BINDING = frozenset({"promise", "accept"})  # acts that bind their author to an order


class AnalysisError(ValueError):
    """What was wrong with a run, where, and what to do: one line."""


def read_run(run: Path, torn: Callable[[str], None] | None = None) -> tuple[Event, ...]:
    """The events of a run folder, checked. Raises `AnalysisError` in one line; a torn last record is told to `torn`."""
    path = run / "events.jsonl"
    if not path.is_file():
        raise AnalysisError(f"{path}: no log there; name the folder of a run (the last line that `python -m sandbox run` printed)")
    try:
        events = tuple(read_events(path, torn))
    except (LogError, OSError) as error:
        raise AnalysisError(str(error)) from None
    if not events:
        raise AnalysisError(f"{path}: the log is empty; the run ended before its first step")
    return events


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
        if not isinstance(phase, str) or not phase[1:5].isdecimal() or not isinstance(owned, dict):
            raise AnalysisError(f"record {event.seq}: an adjudication needs \"phase\" like F1901M and \"centers\"; the log is not of this version")
        rows += [(event.step, event.time, phase, int(phase[1:5]), power, len(held)) for power, held in sorted(owned.items())]
    return pd.DataFrame(rows, columns=["step", "time", "phase", "year", "agent", "centres"])


def centres_by_year(events: Sequence[Event]) -> pd.DataFrame:
    """Supply centres at the end of each year: years down, powers across; a power no longer listed owns none."""
    table = centres(events).drop_duplicates(["year", "agent"], keep="last").pivot(index="year", columns="agent", values="centres")
    return table.fillna(0).astype(int)


def promises(events: Sequence[Event]) -> pd.DataFrame:
    """One row a binding act of Diplomacy press: was it kept in the author's next orders for movement?

    Binding is a promise or an acceptance, as its author meant it (the act in the log, not a reading of the text), of an order or a support
    of the author's own, or of a demilitarised zone the author stays out of. The same promise said twice in a phase counts once.
    """
    rows, open_acts = [], {}
    for event in events:
        act = event.data.get("act") if event.kind == "message" else None
        if isinstance(act, dict) and act.get("act") in tuple(BINDING) and isinstance(act.get("about"), dict):
            about = act["about"]
            if _binds(about, event.agent):
                open_acts[event.agent, repr(sorted(about.items()))] = (event, about)
        for _, happened in outcomes([event], "adjudication"):
            if str(happened.get("phase")).endswith("M") and isinstance(happened.get("orders"), dict):
                rows += [(e.step, e.time, e.agent, about["kind"], _kept(about, happened["orders"].get(e.agent) or [])) for e, about in open_acts.values()]
                open_acts = {}
    return pd.DataFrame(rows, columns=["step", "time", "agent", "kind", "kept"])


def _binds(about: Mapping[str, Any], author: str | None) -> bool:
    if about.get("kind") in ("order", "support"):
        return about.get("power") == author and isinstance(about.get("order"), str) and "?" not in about["order"]  # a unit left open could be any
    powers, provinces = about.get("powers"), about.get("provinces")
    return about.get("kind") == "dmz" and isinstance(powers, list) and author in powers and isinstance(provinces, list)


def _kept(about: Mapping[str, Any], orders: Sequence[str]) -> bool:
    if about["kind"] == "dmz":
        entered = {str(order).split(" - ")[1][:3] for order in orders if order.count(" ") >= 3 and order.split()[2] == "-"}
        return not any(province in entered for province in about["provinces"] if isinstance(province, str))
    return about["order"] in orders


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


def tidy(events: Sequence[Event]) -> pd.DataFrame:
    """All measures of a run, one value a row: step, time, metric, agent, value."""
    sent, owned, bound, read = messages(events), centres(events), promises(events), surprises(events)
    parts = [_long(sent.assign(messages=1, worded_by_model=(sent["by"] == "model").astype(int)), "author", ["messages", "characters", "worded_by_model"]),
             _long(owned, "agent", ["centres"]), _long(bound.rename(columns={"kept": "promise_kept"}), "agent", ["promise_kept"]),
             _long(read, "reader", [key for key in ("tokens", *STATES) if key in read])]
    scalar = [(e.step, e.time, e.kind, e.agent, float(need(e, "reward", (int, float))) if e.kind == "reward" else 1.0)
              for e in events if e.kind in ("reward", "fault")]
    table = pd.concat([part for part in (*parts, pd.DataFrame(scalar, columns=TIDY)) if len(part)] or [pd.DataFrame(columns=TIDY)])
    return table.sort_values("step", kind="stable", ignore_index=True)


def _long(table: pd.DataFrame, agent: str, metrics: Sequence[str]) -> pd.DataFrame:
    long = table.melt(id_vars=["step", "time", agent], value_vars=list(metrics), var_name="metric", value_name="value")
    return long.rename(columns={agent: "agent"}).astype({"value": float})[TIDY]


def outcomes(events: Sequence[Event], what: str) -> Iterator[tuple[Event, Mapping[str, Any]]]:
    """(event, what happened) for everything of one kind that the world said happened."""
    for event in events:
        if event.kind == "outcome":
            for happened in need(event, "events", list):
                if isinstance(happened, dict) and happened.get("what") == what:
                    yield event, happened


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
