"""Builds and removals in winter, and civil disorder (2023 rules unless `Rules` says otherwise; DATC 3.0, 4.D.4, 4.D.6, 4.D.8).

Surplus orders are taken in the order given. A power that removes too few loses, of all its units, those farthest from the centres it owns,
counted in moves over land and sea alike; among equals fleets before armies, then by the alphabet of the province's full name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from scenarios.diplomacy.board import Board, adjustment_count, open_homes
from scenarios.diplomacy.map import COASTS, FULL_NAMES, HOME_CENTERS, KINDS, fleet_neighbours, reach
from scenarios.diplomacy.orders import Order
from scenarios.diplomacy.rules import STANDARD, Rules

_BESIDE = {p: reach("A", p).union(*(reach("F", place) for place in COASTS.get(p, (p,)))) for p in KINDS}


def adjust(
    board: Board, power: str, orders: Sequence[Order], rules: Rules = STANDARD
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """(units after, units removed, why each order was not followed: '' if it was)."""
    count = adjustment_count(board, power)
    if count < 0:
        return _remove(board, power, orders, -count, rules)
    return _build(board, power, orders, count)


def _build(board: Board, power: str, orders: Sequence[Order], count: int) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    built: list[str] = []
    reasons: list[str] = []
    waived = 0
    free = set(open_homes(board, power))
    for order in orders:
        reason = _why_no_build(order, power, free, count - len(built) - waived)
        reasons.append(reason)
        if not reason and order.kind == "waive":
            waived += 1
        elif not reason:
            built.append(order.unit[:5] if order.unit[0] == "A" else order.unit)
            free.discard(order.province)
    return board.units[power] + tuple(built), (), reasons


def _why_no_build(order: Order, power: str, free: set[str], count: int) -> str:
    home, coasts = order.province, COASTS.get(order.province, ())
    if order.kind not in ("build", "waive"):
        return f"{power} has {count} units to build; order builds such as 'A {HOME_CENTERS[power][0]} B', or WAIVE"
    if count <= 0:
        return f"{power} has no build left"
    if order.kind == "waive":
        return ""
    if home not in HOME_CENTERS[power]:
        return f"{home} is no home centre of {power}; build in {', '.join(HOME_CENTERS[power])}"
    if home not in free:
        return f"{home} is not open (occupied, just built on or not owned); build in {', '.join(sorted(free)) or 'no place: waive'}"
    if order.unit[0] == "F" and KINDS[home] == "land":
        return f"{home} has no coast; build an army"
    if order.unit[0] == "F" and coasts and order.unit[2:] not in coasts:
        return f"name the coast of {home}: {' or '.join(coasts)}"
    return ""


def _remove(
    board: Board, power: str, orders: Sequence[Order], count: int, rules: Rules
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    left = list(board.units[power])
    removed: list[str] = []
    reasons: list[str] = []
    for order in orders:
        unit = next((u for u in left if u[:5] == order.unit[:5]), None)
        if order.kind != "remove":
            reasons.append(f"{power} has {count} units to remove; order removals such as '{board.units[power][0]} D'")
        elif len(removed) == count:
            reasons.append(f"{power} has no more units to remove")
        elif unit is None:
            reasons.append(f"{power} has no {order.unit} left to remove")
        else:
            reasons.append("")
            left.remove(unit)
            removed.append(unit)
    if len(removed) == count:
        return tuple(left), tuple(removed), reasons
    first_to_go = civil_disorder_key(board.centers[power]) if rules.removals == "owned centres" else older_civil_disorder_key(power)
    missing = sorted(left, key=first_to_go)[: count - len(removed)]
    return tuple(u for u in left if u not in missing), tuple(removed + missing), reasons


def civil_disorder_key(centers: Sequence[str]) -> Callable[[str], tuple[int, bool, str]]:
    """Sort key of units, given the centres their power owns: the first is the first to go."""
    distance = distances(tuple(centers))
    return lambda unit: (-distance.get(unit[2:5], len(KINDS)), unit[0] == "A", FULL_NAMES[unit[2:5]])


def older_civil_disorder_key(power: str) -> Callable[[str], tuple[int, bool, str]]:
    """The same before 2023: from the home centres, whoever owns them; a fleet counts what it would sail, on its own coast."""
    home = frozenset(HOME_CENTERS[power])
    by_land_and_sea = distances(HOME_CENTERS[power])

    def distance(unit: str) -> int:
        return _sailing_distance(unit[2:], home) if unit[0] == "F" else by_land_and_sea[unit[2:5]]

    return lambda unit: (-distance(unit), unit[0] == "A", FULL_NAMES[unit[2:5]])


@lru_cache(maxsize=4096)
def _sailing_distance(place: str, home: frozenset[str]) -> int:
    seen, edge, steps = {place}, {place}, 0
    while edge and not any(p[:3] in home for p in edge):
        edge = {beside for p in edge for beside in fleet_neighbours(p)} - seen
        seen, steps = seen | edge, steps + 1
    return steps


@lru_cache(maxsize=4096)
def distances(centers: tuple[str, ...]) -> Mapping[str, int]:
    """Moves from each province to the nearest of the centres, over land and sea; empty without centres."""
    distance = dict.fromkeys(centers, 0)
    edge = set(centers)
    for step in range(1, len(KINDS)):
        edge = {beside for province in edge for beside in _BESIDE[province]} - distance.keys()
        distance.update(dict.fromkeys(edge, step))
    return MappingProxyType(distance)
