"""Orders: the written form, and which orders are legal on a board.

The forms are those of the DATC test data: 'A PAR H', 'A PAR - BUR', 'A BEL - HOL VIA' (by convoy, explicitly),
'A PAR S A BUR', 'A PAR S A BUR - MUN', 'F NTH C A LON - BEL', 'A PAR R GAS' (retreat), 'A PAR B', 'A PAR D', 'WAIVE'.
Legality follows DATC 3.0, 4.E.1: an order that could not be carried out on this board whatever the others do is illegal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from scenarios.diplomacy.board import Board, adjustment_count, open_homes
from scenarios.diplomacy.convoys import landings, routes
from scenarios.diplomacy.map import COASTS, KINDS, PLACES, fleet_neighbours, neighbours, reach
from scenarios.diplomacy.rules import STANDARD, Rules

Occupants = Mapping[str, tuple[str, str]]  # province → (power, unit) of the unit in it

_PLACE = r"[A-Z]{3}(?:/[A-Z]{2})?"
_FORM = re.compile(
    rf"([AF]) ({_PLACE}) (?:(H|B|D)|(-|R) ({_PLACE})(?: (VIA))?|(S|C) ([AF]) ({_PLACE})(?: - ({_PLACE}))?)", re.ASCII
)
_LONGEST = 60  # characters; 'F STP/NC S F NWY/NC - STP/NC' has 28
_PLACE_SET = frozenset(PLACES)
_SEAS = frozenset(province for province, kind in KINDS.items() if kind == "sea")
_NO_FLEETS: frozenset[str] = frozenset()
NOBODY = ("", "")  # who stands in an empty province
_KINDS = {"H": "hold", "B": "build", "D": "remove", "-": "move", "R": "retreat", "S": "support", "C": "convoy"}


class OrderError(ValueError):
    """What was wrong with the text of an order, and how to mend it: one line."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `unit`, `other`: 'A PAR'; `target`: the place moved, retreated or supported to, None for a hold or its support.

    `kind` is hold, move, support, convoy, retreat, build, remove (a removal, or a disbanding in a retreat) or waive.
    """

    kind: str
    unit: str = ""
    target: str | None = None
    other: str | None = None
    via: bool = False
    # what a phase asks of an order many times, worked out once: an order is read once, however often it is given
    province: str = field(init=False, compare=False, repr=False)  # of the ordered unit; '' for a waived build
    origin: str = field(init=False, compare=False, repr=False)  # province of `other`, or ''
    goal: str = field(init=False, compare=False, repr=False)  # province of `target`, or ''
    plain: bool = field(init=False, compare=False, repr=False)  # see `_is_plain`

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "province", self.unit[2:5])
        put(self, "origin", self.other[2:5] if self.other else "")
        put(self, "goal", self.target[:3] if self.target else "")
        put(self, "plain", _is_plain(self))


def _is_plain(order: Order) -> bool:
    """Whether a movement order is legal as it stands wherever the units that it names are on the board, each with its coast: nobody in it
    needs a convoy. So are most; the others ask `check_movement`, which says the same of these."""
    kind, place = order.unit[:1], order.unit[2:]
    if order.kind == "hold":
        return True
    if order.kind == "move" and order.target and not order.via:
        return order.target in neighbours(kind, place)
    if order.kind != "support" or not order.other or order.origin == order.province:
        return False
    in_reach = (order.goal or order.origin) in reach(kind, place)
    return in_reach and (order.target is None or can_go(order.other, order.target, _NO_FLEETS))


def parse_order(text: str) -> Order:
    """The order a text means. Case and surplus blanks do not matter. Raises `OrderError`."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise OrderError(f"got {text!r:.60}, expected an order as short text, such as 'A PAR - BUR'")
    return _parse(text)


@lru_cache(maxsize=65536)
def _parse(text: str) -> Order:
    plain = " ".join(text.upper().split())
    if plain == "WAIVE":
        return Order("waive")
    form = _FORM.fullmatch(plain)
    if form is None:
        examples = "'A PAR - BUR', 'A PAR S A BUR - MUN', 'F NTH C A LON - BEL' or 'A PAR H'"
        raise OrderError(f"got {text!r:.60}, expected an order such as {examples}")
    kind, place, single, motion, target, via, relation, other_kind, other_place, other_target = form.groups()
    for named in (place, target, other_place, other_target):
        if named is not None and named not in _PLACE_SET:
            raise OrderError(f"got {text!r:.60}, but {named} is no place of the map; use codes such as 'PAR' or 'SPA/SC'")
    if via and motion == "R":
        raise OrderError(f"got {text!r:.60}, but a retreat is not carried by convoy; leave out VIA")
    if relation == "C" and other_target is None:
        raise OrderError(f"got {text!r:.60}, but a convoy needs a landing place, as in 'F NTH C A LON - BEL'")
    other = f"{other_kind} {other_place}" if other_kind else None
    return Order(_KINDS[single or motion or relation], f"{kind} {place}", target or other_target, other, bool(via))


def format_order(order: Order) -> str:
    """The text of an order; `parse_order` takes it back unchanged."""
    letter = {kind: letter for letter, kind in _KINDS.items()}.get(order.kind)
    if order.kind == "waive":
        return "WAIVE"
    if order.kind in ("hold", "build", "remove"):
        return f"{order.unit} {letter}"
    if order.kind in ("move", "retreat"):
        return f"{order.unit} {letter} {order.target}" + (" VIA" if order.via else "")
    return f"{order.unit} {letter} {order.other}" + (f" - {order.target}" if order.target else "")


# ---- the board as orders see it -----------------------------------------------------------------------------------

def occupants(board: Board) -> dict[str, tuple[str, str]]:
    """Who stands where, dislodged units left out."""
    return {unit[2:5]: (power, unit) for power, units in board.units.items() for unit in units}


def fleets_at_sea(units: Occupants) -> frozenset[str]:
    """Seas with a fleet in them: the only ones that can carry an army."""
    return _SEAS.intersection(units)


def arrival_place(kind: str, place: str, target: str) -> str | None:
    """The place a unit arrives at when it goes to `target` without convoy; None if it cannot, or the coast stays open."""
    if kind == "A":
        return target[:3] if target[:3] in reach("A", place) else None  # a coast means nothing to an army (DATC 4.B.6)
    within = fleet_neighbours(place)
    if target in within:
        return target
    coasts = [coast for coast in COASTS.get(target, ()) if coast in within]
    return coasts[0] if len(coasts) == 1 else None  # the only coast in reach is taken (DATC 4.B.2)


def can_go(unit: str, target: str, fleets: frozenset[str], without: str = "") -> bool:
    """Whether a unit could move to a province or place, by itself or over `fleets` (less one); an open coast counts (DATC 4.B.4)."""
    kind, place = unit[0], unit[2:]
    if target[:3] == place[:3]:
        return False
    if kind == "A":
        return target[:3] in reach("A", place) or any(without not in chain for chain in routes(place, fleets).get(target[:3], ()))
    return target[:3] in reach("F", place) if len(target) == 3 else target in fleet_neighbours(place)


# ---- legality -----------------------------------------------------------------------------------------------------

def check_movement(
    order: Order, power: str, units: Occupants, fleets: frozenset[str], rules: Rules = STANDARD
) -> tuple[Order, str]:
    """(the order with coasts settled, '') if it is legal, otherwise (it as it was, why not)."""
    owner, unit = units.get(order.province, NOBODY)
    if not unit or unit[0] != order.unit[0]:
        return order, f"there is no {order.unit[:5]}; order a unit that is on the board"
    kind, place = unit[0], unit[2:]
    if owner != power:
        return order, f"{order.unit[:5]} belongs to {owner}; order your own units"
    if order.kind == "hold":
        return order, ""
    if order.kind == "move":
        return _check_move(order, kind, place, fleets)
    if order.kind == "support":
        return order, _why_no_support(order, unit, units, fleets)
    if order.kind == "convoy":
        return order, _why_no_convoy(order, unit, units, fleets, rules)
    return order, f"a {order.kind} order has no place in a movement phase; hold, move, support or convoy"


def _check_move(order: Order, kind: str, place: str, fleets: frozenset[str]) -> tuple[Order, str]:
    assert order.target is not None
    target = order.target[:3]
    if target == place[:3]:
        return order, "a unit cannot move to where it is; order it to hold"
    arrives = arrival_place(kind, place, order.target)
    if kind == "F":
        if order.via:
            return order, "a fleet is not carried by convoy; leave out VIA"
        if arrives is None:
            open_coast = target in reach("F", place) and len(order.target) == 3
            return order, f"name the coast of {target}" if open_coast else f"a fleet cannot go from {place} to {order.target}"
        return (order if arrives == order.target else replace(order, target=arrives)), ""
    if (order.via or arrives is None) and target not in routes(place[:3], fleets):
        return order, f"no chain of fleets could carry an army from {place} to {target}"
    return (order if target == order.target else replace(order, target=target)), ""


def _why_no_support(order: Order, unit: str, units: Occupants, fleets: frozenset[str]) -> str:
    assert order.other is not None
    kind, place = unit[0], unit[2:]
    _, other = units.get(order.origin, NOBODY)
    if other[:1] != order.other[0]:
        return f"there is no {order.other[:5]} to support"
    if order.origin == order.province:
        return "a unit cannot support itself"
    goal = order.goal or order.origin
    if goal not in reach(kind, place):
        return f"{order.unit} cannot go to {goal}, so it cannot support there"
    # a fleet cannot carry the army it supports, so a route over the supporter does not make the move possible (DATC 6.D.31)
    if order.target is not None and not can_go(other, order.target, fleets, without=place[:3]):
        return f"{order.other} cannot go to {order.target}"
    return ""


def _why_no_convoy(order: Order, unit: str, units: Occupants, fleets: frozenset[str], rules: Rules) -> str:
    assert order.other is not None and order.target is not None
    sea = order.province
    if unit[0] != "F" or sea not in fleets:
        return "only a fleet at sea can convoy"
    _, other = units.get(order.origin, NOBODY)
    if other[:1] != "A" or order.other[0] != "A":
        return f"there is no army {order.origin} to carry"
    if rules.needless_convoys == "taken" or order.goal in landings(order.origin, fleets).get(sea, ()):
        return ""
    return f"no route from {order.origin} to {order.goal} needs the fleet in {sea}"


# ---- all legal orders ---------------------------------------------------------------------------------------------

def legal_orders(board: Board, power: str) -> dict[str, tuple[str, ...]]:
    """Every legal order of a power, with coasts named.

    Movement: {unit: orders}, the first always the hold. Retreat: {dislodged unit: orders}, the last always its disbanding.
    Adjustment: {'BUILD': options} or {'REMOVE': options}; `board.adjustment_count` says how many to take (a build may be 'WAIVE').
    Empty if there is nothing to order.
    """
    if board.phase == "R":
        return {d.unit: (*(f"{d.unit} R {place}" for place in d.retreats), f"{d.unit} D") for d in board.dislodged if d.power == power}
    if board.phase == "A":
        return _legal_adjustments(board, power)
    units = occupants(board)
    fleets = fleets_at_sea(units)
    return {unit: tuple(_legal_movement(unit, units, fleets)) for unit in board.units.get(power, ())}


def _legal_adjustments(board: Board, power: str) -> dict[str, tuple[str, ...]]:
    count = adjustment_count(board, power)
    if count < 0:
        return {"REMOVE": tuple(f"{unit} D" for unit in board.units[power])}
    if count > 0:
        builds = (f"{kind} {place} B" for home in open_homes(board, power) for kind, place in _buildable(home))
        return {"BUILD": (*builds, "WAIVE")}
    return {}


def _buildable(home: str) -> Iterable[tuple[str, str]]:
    yield "A", home
    if KINDS[home] == "coast":
        yield from (("F", place) for place in COASTS.get(home, (home,)))


def _legal_movement(unit: str, units: Occupants, fleets: frozenset[str]) -> list[str]:
    kind, place = unit[0], unit[2:]
    province, in_reach = place[:3], reach(kind, place)
    orders = [f"{unit} H"]
    orders += [f"{unit} - {target}" for target in neighbours(kind, place)]
    if kind == "A":
        orders += [f"{unit} - {target} VIA" for target in routes(province, fleets)]
    for origin, (_, other) in units.items():
        if origin == province:
            continue
        if origin in in_reach:
            orders.append(f"{unit} S {other}")
        other_kind, other_place = other[0], other[2:]
        alone = reach(other_kind, other_place)
        if not in_reach.isdisjoint(alone):
            start = f"{unit} S {other} - "
            orders += [start + target for target in neighbours(other_kind, other_place) if target[:3] in in_reach]
        if other_kind == "A" and routes(origin, fleets):
            orders += _legal_around_convoy(unit, origin, in_reach, alone, fleets)
    return orders


def _legal_around_convoy(unit: str, origin: str, in_reach: frozenset[str], alone: frozenset[str], fleets: frozenset[str]) -> list[str]:
    """Supports and convoys for an army in `origin` that may go by sea."""
    sea, carried = unit[2:5], routes(origin, fleets)
    near = sorted(in_reach.intersection(carried) - alone)
    # a fleet cannot carry the army it supports (DATC 6.D.31)
    orders = [f"{unit} S A {origin} - {target}" for target in near if any(sea not in chain for chain in carried[target])]
    if sea in fleets:
        orders += [f"{unit} C A {origin} - {target}" for target in landings(origin, fleets).get(sea, ())]
    return orders
