"""Diplomacy for the page: the position before the first orders and after each, the orders as arrows, centres by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.metrics import AnalysisError
from analysis.viewing.atlas import atlas
from analysis.viewing.moments import Moments, happened
from analysis.viewing.texts import name
from sandbox.log import Event
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.map import PLACES, POWERS

KNOWN = frozenset(PLACES)


def board(events: Sequence[Event], of: Moments) -> dict[str, Any] | None:
    """{"atlas", "powers", "positions": [{"at", "phase", "next", "units", "centres", "orders"}]}; None for a log without a game of Diplomacy.

    A position belongs to the moment in which its orders took effect: `units` and `centres` are those after them. `units`: [power, "A" or "F",
    place]; `centres`: [power, province]; an order: {"by", "kind", "unit", "place", "from", "to", "result", "text"}, places None where it has none.
    """
    found = []
    for event in events:
        for one in happened(event):
            if one.get("what") == "adjudication":
                found.append(_position(event, one, of))
    if not found:
        return None
    first = initial_board()
    begun = {"at": -1, "phase": "", "next": found[0]["phase"], "units": _units(first.units), "centres": _centres(first.centers), "orders": []}
    return {"atlas": atlas(), "powers": list(POWERS), "positions": [begun, *found]}


def _position(event: Event, one: Mapping[str, Any], of: Moments) -> dict[str, Any]:
    try:
        units = {power: tuple(own) for power, own in one["units"].items() if power in POWERS}
        return {
            "at": of.at[event.step], "phase": name(str(one["phase"])), "next": name(str(one.get("next") or "")), "units": _units(units),
            "centres": _centres({power: own for power, own in one["centers"].items() if power in POWERS}),
            "orders": [order for power, own in one["orders"].items() if power in POWERS for order in _orders(power, own, one.get("results", {}).get(power, {}), units)],
        }  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnalysisError(f"record {event.seq}: an adjudication: {type(error).__name__} {error!s:.60}; the log is damaged or not of this version") from None


def _units(of: Mapping[str, Sequence[str]]) -> list[tuple[int, str, str]]:
    return [(POWERS.index(power), unit[:1], unit[2:]) for power, own in of.items() for unit in own if unit[:2] in ("A ", "F ") and unit[2:] in KNOWN]


def _centres(of: Mapping[str, Sequence[str]]) -> list[tuple[int, str]]:
    return [(POWERS.index(power), place) for power, own in of.items() for place in own if place in KNOWN]


def _orders(power: str, own: Sequence[str], results: Mapping[str, str], after: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The orders of a power; who was driven out is told from where its units stand after them."""
    found = []
    for text in own:
        words = text.partition("#")[0].split()
        unit, place, kind, rest = (words[0], words[1], words[2], words[3:]) if len(words) > 2 else (None, None, "", [])
        result = str(results.get(text, ""))
        start = end = None
        if kind in ("-", "R"):
            end = rest[0] if rest else None
        elif kind in ("S", "C") and len(rest) > 1:
            start, end = rest[1], rest[3] if len(rest) > 3 else rest[1]
        stays = kind not in ("-", "R", "D", "B") or result != "succeeds"
        gone = stays and kind not in ("B", "D", "R") and place is not None and not any(u[2:5] == place[:3] for u in after.get(power, ()))
        found.append({
            "by": POWERS.index(power), "kind": "M" if kind == "-" else kind[:1], "unit": unit if unit in ("A", "F") else None, "place": _known(place), "from": _known(start),
            "to": _known(end), "result": name("dislodged" if gone else result or "not told"), "text": name(text),
        })  # fmt: skip
    return found


def _known(place: str | None) -> str | None:
    return place if place in KNOWN else None
