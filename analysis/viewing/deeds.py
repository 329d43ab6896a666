"""What was planned and done in a run, in columns: intents as distributions, and moves, faults, rewards, changes from outside, what the world said."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.viewing.moments import Columns, Moments, happened
from analysis.viewing.talk import NEVER
from analysis.viewing.texts import Interned, in_short
from sandbox.log import Event

KINDS = ("move", "fault", "reward", "intervention", "world", "usage", "end")
LIKELIEST = 5  # options of an intent that are shown
LEAST = 0.005
TOOK = (("calls", "calls"), ("attempts", "attempts"), ("tokens_in", "tokens in"), ("tokens_out", "tokens out"), ("cost", "cost"), ("seconds", "s"))
OPEN = frozenset({"adjudication", "phase", "game", "sales", "proposal", "vote", "quest", "strike", "roles", "alarm"})  # what all agents of a world are told


def deeds(events: Sequence[Event], of: Moments, words: Interned) -> Columns:
    """{"kind", "at", "time", "agent", "what", "open"}: `open` says that every agent is told; else an agent sees its own alone."""
    rows: list[tuple[int, int, int, int, int, int]] = []

    def put(kind: str, event: Event, what: str, open_: bool = False) -> None:
        rows.append((KINDS.index(kind), of.at[event.step], event.time, of.who.get(event.agent or "", NEVER), words(what), int(open_)))

    for event in events:
        if event.kind == "move":
            put("move", event, _move(event.data.get("move")))
        elif event.kind == "fault":
            put("fault", event, f"{in_short(event.data.get('what'))}: {in_short(event.data.get('why'))}")
        elif event.kind == "reward":
            put("reward", event, in_short(event.data.get("reward")))
        elif event.kind == "intervention":
            put("intervention", event, in_short(dict(event.data)))
        elif event.kind == "end":
            put("end", event, f"{in_short(event.data.get('ended'))}{': ' + in_short(event.data['why']) if event.data.get('why') else ''}")
        elif event.kind == "intent" and event.data.get("usage") is not None:
            put("usage", event, _usage(event.data["usage"]))
        for one in happened(event):
            put("world", event, _world(one), one.get("what") in OPEN)
    names = ("kind", "at", "time", "agent", "what", "open")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _move(move: Any) -> str:
    """A move in a line: the orders of units, one's answer, a price."""
    if isinstance(move, dict) and move and all(isinstance(value, str) for value in move.values()):
        return in_short(", ".join(value if value.startswith(key) else f"{key}: {value}" for key, value in move.items()))
    if isinstance(move, dict) and move and all(isinstance(value, (int, float)) for value in move.values()):
        return in_short(", ".join(f"{key} {value:.2f}" for key, value in sorted(move.items(), key=lambda item: -item[1])))
    return in_short(", ".join(map(str, move)) if isinstance(move, list) and all(isinstance(one, str) for one in move) else move)


def _usage(usage: Any) -> str:
    """What an answer took, in words; what is not told as a number is left out."""
    if not isinstance(usage, dict):
        return in_short(usage)
    took = [f"{usage[key]:g} {word}" for key, word in TOOK if type(usage.get(key)) in (int, float) and usage[key]]
    return in_short(", ".join([*took, *([f"by {usage['model']}"] if isinstance(usage.get("model"), str) else [])]) or "nothing")


def _world(one: Mapping[str, Any]) -> str:
    if one.get("what") == "adjudication":  # orders and position have a map of their own
        return in_short(f"{one.get('phase')} adjudicated; next {one.get('next')}")
    return in_short(f"{one.get('what')} " + ", ".join(f"{key}: {_plain(value)}" for key, value in one.items() if key != "what"))


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(map(_plain, value)) + "]" if isinstance(value, list) else str(value)


def intents(events: Sequence[Event], of: Moments, words: Interned) -> Columns:
    """{"at", "time", "agent", "what"}: `what` is a list of [of what, [option, thousandths, …]], the likeliest first; of another form, [text, []]."""
    rows = [(of.at[e.step], e.time, of.who.get(e.agent or "", NEVER), _intent(e.data["intent"], words)) for e in events if e.kind == "intent" and e.data.get("intent") is not None]
    return {name: [row[i] for row in rows] for i, name in enumerate(("at", "time", "agent", "what"))}


def _intent(intent: Any, words: Interned) -> list[Any]:
    if isinstance(intent, dict) and intent:
        if all(isinstance(p, (int, float)) for p in intent.values()):
            return [[NEVER, _options(intent, words)]]
        if all(isinstance(of, dict) and of and all(isinstance(p, (int, float)) for p in of.values()) for of in intent.values()):
            return [[words(str(unit)), _options(of, words)] for unit, of in intent.items()]
    return [[words(in_short(intent)), []]]


def _options(of: Mapping[str, float], words: Interned) -> list[int]:
    likeliest = heapq.nlargest(LIKELIEST, of.items(), key=lambda item: item[1])
    return [n for option, p in likeliest if p >= LEAST for n in (words(option), round(1000 * max(-1e6, min(1e6, p))))]
