"""Retreats: which places are open to a dislodged unit, and who ends where.

A unit may not go to an occupied or contested province, nor to where its attacker came from, unless that one came by convoy (DATC 4.A.5).
Two retreats to one province disband both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from scenarios.diplomacy.board import Board, Dislodged
from scenarios.diplomacy.map import neighbours
from scenarios.diplomacy.orders import Order, arrival_place


def open_places(unit: str, closed: Collection[str]) -> tuple[str, ...]:
    """Places the unit can go to without convoy whose province is not closed, sorted."""
    return tuple(sorted(place for place in neighbours(unit[0], unit[2:]) if place[:3] not in closed))


def why_no_retreat(board: Board, power: str, order: Order) -> tuple[str | None, str]:
    """(place to retreat to, '') if the order can stand, (None, '') for a disbanding, (None, why not) otherwise."""
    unit = _dislodged(board, power, order)
    if unit is None:
        return None, f"{power} has no dislodged {order.unit[:5]}; only dislodged units are ordered in a retreat phase"
    if order.kind == "remove":
        return None, ""
    if order.kind != "retreat" or order.target is None:
        return None, f"a {order.kind} order has no place in a retreat phase; order '{unit.unit} R PLACE' or '{unit.unit} D'"
    place = arrival_place(unit.unit[0], unit.unit[2:], order.target)
    if place not in unit.retreats:
        return None, f"{unit.unit} cannot retreat to {order.target}; open to it: {', '.join(unit.retreats) or 'nothing, it is disbanded'}"
    return place, ""


def _dislodged(board: Board, power: str, order: Order) -> Dislodged | None:
    return next((d for d in board.dislodged if d.power == power and d.unit[:5] == order.unit[:5]), None)


def collisions(places: Sequence[str]) -> frozenset[str]:
    """Provinces that more than one unit retreats to."""
    return frozenset(province for province, count in Counter(place[:3] for place in places).items() if count > 1)
