"""The adjudicator: a board and everybody's orders in, the next board and what became of each order out.

Pure, and total over whatever an agent may write: a bad order is named in `illegal` and replaced (movement: the unit holds; retreat: it
is disbanded; build: waived; removal: civil disorder). Rules: 2023 rulebook with the DATC 3.0 author's preferences, unless `rules` says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scenarios.diplomacy.adjustments import adjust
from scenarios.diplomacy.board import Board, Dislodged, adjustment_count
from scenarios.diplomacy.convoys import landings, routes
from scenarios.diplomacy.map import POWERS, SUPPLY_CENTERS, reach
from scenarios.diplomacy.movement import Known, Situation, matches, prevents, settle, situation_of
from scenarios.diplomacy.orders import NOBODY, Occupants, Order, OrderError, check_movement, fleets_at_sea, occupants, parse_order
from scenarios.diplomacy.retreats import collisions, open_places, why_no_retreat
from scenarios.diplomacy.rules import STANDARD, Rules

Given = tuple[str, str, Order]  # power, order as given, order
Illegal = tuple[str, str, str]  # power, order as given, why it is not followed
_CENTERS = frozenset(SUPPLY_CENTERS)
_NO_SEAS: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What followed. `board` is the next one that asks for orders.

    `results`: (power, order as given) → succeeds, bounces, no convoy, void, unmatched, cut, dislodged or fails, as the DATC data defines
    them; the second of two equal texts has '#2' behind it. `dislodged` and `contested` are of a movement phase; `disbanded` are the
    (power, unit) that left the board, in retreats or by removal.
    """

    board: Board
    results: Mapping[tuple[str, str], str]
    illegal: tuple[Illegal, ...] = ()
    dislodged: tuple[Dislodged, ...] = ()
    contested: tuple[str, ...] = field(default=())
    disbanded: tuple[tuple[str, str], ...] = ()


def adjudicate(board: Board, orders: Mapping[str, Sequence[str]], rules: Rules = STANDARD) -> Resolution:
    """The outcome of one phase. Never raises on what the orders say."""
    read, illegal = _parse(orders)
    phase = {"M": _movement, "R": _retreats, "A": _adjustments}[board.phase]
    return phase(board, read, illegal, rules)


def _parse(orders: Mapping[str, Sequence[str]]) -> tuple[list[Given], list[Illegal]]:
    """((power, text, order) for what can be read, (power, text, why) for what cannot), by power and then as given."""
    read, illegal = [], []
    for power in sorted(orders, key=str):
        texts = orders[power]
        if power not in POWERS or not isinstance(texts, (list, tuple)):
            illegal.append((str(power), str(texts)[:200], f"expected a list of orders of one of {', '.join(POWERS)}"))
            continue
        seen: dict[str, int] = {}
        for text in texts:
            label = str(text)[:200]
            if label in seen:
                seen[label] += 1
                label += f"#{seen[label]}"
            else:
                seen[label] = 1
            try:
                read.append((power, label, parse_order(text)))
            except OrderError as error:
                illegal.append((power, label, str(error)))
    return read, illegal


def _void(illegal: Sequence[Illegal]) -> dict[tuple[str, str], str]:
    return {(power, label): "void" for power, label, _ in illegal}


# ---- movement ------------------------------------------------------------------------------------------------------

def _movement(board: Board, read: list[Given], illegal: list[Illegal], rules: Rules) -> Resolution:
    followed, situation = _situation(board, read, illegal, rules)
    known = settle(situation)
    after, dislodged, contested = positions(situation, known)
    gone = {d.unit[2:5] for d in dislodged}
    orders = {order.province: order for _, _, order in followed}
    results = _void(illegal)
    for power, label, order in followed:
        arrives = order.kind == "move" and known[order.province]
        results[power, label] = "succeeds" if arrives else _result(order, situation, known, orders, gone)
    follow = after_movement(board, after, dislodged, contested)
    return Resolution(board=follow, results=results, illegal=tuple(illegal), dislodged=dislodged, contested=contested)


def _situation(board: Board, read: list[Given], illegal: list[Illegal], rules: Rules) -> tuple[list[Given], Situation]:
    """The legal orders, coasts settled, and what they amount to; what is not legal is added to `illegal`."""
    units = occupants(board)
    fleets = fleets_at_sea(units)
    legal: dict[str, Order] = {}
    followed: list[Given] = []
    for power, label, order in read:
        reason, other = "", order.other
        if not order.plain or units.get(order.province) != (power, order.unit) or (other and units.get(order.origin, NOBODY)[1] != other):
            order, reason = check_movement(order, power, units, fleets, rules)
        if not reason and order.province in legal:
            reason = f"{order.unit} already has an order; give each unit one"
        if reason:
            illegal.append((power, label, reason))
        else:
            legal[order.province] = order
            followed.append((power, label, order))
    by_convoy = _convoys(units, legal, rules) if not all(order.plain for order in legal.values()) else {}
    return followed, situation_of(units, legal, by_convoy)


def after_movement(
    board: Board, units: Mapping[str, tuple[str, ...]], dislodged: tuple[Dislodged, ...], contested: tuple[str, ...]
) -> Board:
    """The next board that asks for orders: retreats, if anybody was dislodged."""
    if not dislodged:
        return _after_retreats(board, units)
    return replace(board, phase="R", units=units, dislodged=dislodged, contested=contested)


def situation(board: Board, orders: Mapping[str, Sequence[str]], rules: Rules = STANDARD) -> Situation:
    """What the orders of a movement phase amount to, before anything is settled."""
    read, illegal = _parse(orders)
    return _situation(board, read, illegal, rules)[1]


def _convoys(units: Occupants, legal: Mapping[str, Order], rules: Rules) -> dict[str, tuple[frozenset[str], ...]]:
    """Armies that go by convoy, each with the minimal routes whose fleets are all ordered to carry it. Where all orders are plain, none.

    An army goes by convoy if it says so (VIA), if there is no other way, or if a fleet of its own power is ordered to carry it
    (DATC 4.A.3); it does not fall back to land. Two options of the rules say otherwise.
    """
    by_convoy: dict[str, tuple[frozenset[str], ...]] = {}
    carrying: dict[str, set[str]] = {}
    for sea, order in legal.items():
        if order.kind == "convoy" and matches(order, legal.get(order.origin)):
            carrying.setdefault(order.origin, set()).add(sea)
    for province, order in legal.items():
        if order.kind != "move" or (order.plain and province not in carrying) or order.unit[0] != "A" or order.target is None:
            continue
        seas = carrying.get(province, _NO_SEAS)
        walks = order.target in reach("A", province)
        if walks and not order.via and not (rules.convoy_intent == "own fleet" and _own_fleet(units, province, order.target, seas)):
            continue
        ordered = routes(province, frozenset(seas)).get(order.target, ())  # a route is as minimal among these fleets as among all
        if ordered or not walks or rules.land_route == "never":
            by_convoy[province] = ordered
    return by_convoy


def _own_fleet(units: Occupants, army: str, target: str, carrying: Collection[str]) -> bool:
    """Whether a fleet of the army's own power is ordered to carry it on a route that could need that fleet (DATC 6.G.7, 6.G.19)."""
    own = [sea for sea in carrying if units[sea][0] == units[army][0]]
    return bool(own) and any(target in landings(army, fleets_at_sea(units)).get(sea, ()) for sea in own)


def positions(s: Situation, known: Known) -> tuple[dict[str, tuple[str, ...]], tuple[Dislodged, ...], tuple[str, ...]]:
    """(units after the moves by power, the dislodged, the contested empty provinces)."""
    came_from = {target: mover for mover, target in s.moves.items() if known[mover]}
    gone = frozenset(came_from.values())
    after: dict[str, list[str]] = {power: [] for power in POWERS}
    for province, (power, unit) in s.units.items():
        if province in gone:
            after[power].append(f"{unit[0]} {s.landings[province]}")
        elif province not in came_from:
            after[power].append(unit)
    occupied = set(s.units)
    occupied -= gone
    driven_out = occupied.intersection(came_from)
    occupied.update(came_from)
    empty = [target for target in s.arrivals if target not in occupied]
    contested = tuple(sorted(target for target in empty if any(prevents(s, known, mover) for mover in s.arrivals[target])))
    dislodged = []
    for province in driven_out:
        power, unit = s.units[province]
        attacker = came_from[province]
        closed = occupied.union(contested, () if attacker in s.chains else (attacker,))
        dislodged.append(Dislodged(power, unit, attacker, open_places(unit, closed)))
    return {power: tuple(own) for power, own in after.items()}, tuple(sorted(dislodged)), contested


def _result(order: Order, s: Situation, known: Known, legal: Mapping[str, Order], gone: set[str]) -> str:
    province = order.province
    if order.kind == "hold":
        return "dislodged" if province in gone else "succeeds"
    if order.kind == "move":  # and does not arrive
        return "no convoy" if province in s.chains and not known[f"{province}~"] else "bounces"
    if order.kind == "support":
        return "unmatched" if province not in s.against else "succeeds" if known[province] else "cut"
    if province in gone:
        return "dislodged"
    army = order.origin
    if not matches(order, legal.get(army)):
        return "unmatched"
    carries = known.get(f"{army}~") and any(province in chain and not gone.intersection(chain) for chain in s.chains[army])
    return "succeeds" if carries else "fails"


# ---- retreats ------------------------------------------------------------------------------------------------------

def _retreats(board: Board, read: list[Given], illegal: list[Illegal], rules: Rules) -> Resolution:
    results: dict[tuple[str, str], str] = {}
    ordered: dict[str, tuple[str, str, str | None]] = {}  # province of the dislodged unit → (power, label, place or None to disband)
    for power, label, order in read:
        place, reason = why_no_retreat(board, power, order)
        if not reason and order.province in ordered:
            reason = f"{order.unit} already has an order; give each unit one"
        if reason:
            illegal.append((power, label, reason))
        else:
            ordered[order.province] = (power, label, place)
    crowded = collisions([place for _, _, place in ordered.values() if place])
    units = {power: list(own) for power, own in board.units.items()}
    disbanded = []
    for unit in board.dislodged:
        power, label, place = ordered.get(unit.unit[2:5], (unit.power, "", None))
        stays = place is not None and place[:3] not in crowded
        if place is not None and stays:
            units[power].append(f"{unit.unit[0]} {place}")
        else:
            disbanded.append((power, unit.unit))
        if label:
            results[power, label] = "succeeds" if stays or place is None else "bounces"
    follow = _after_retreats(board, {power: tuple(own) for power, own in units.items()})
    return Resolution(board=follow, results=results | _void(illegal), illegal=tuple(illegal), disbanded=tuple(disbanded))


# ---- adjustments and the calendar ----------------------------------------------------------------------------------

def _adjustments(board: Board, read: list[Given], illegal: list[Illegal], rules: Rules) -> Resolution:
    results: dict[tuple[str, str], str] = {}
    units: dict[str, tuple[str, ...]] = {}
    disbanded: list[tuple[str, str]] = []
    for power in POWERS:
        own = [(label, order) for owner, label, order in read if owner == power]
        units[power], removed, reasons = adjust(board, power, [order for _, order in own], rules)
        disbanded += [(power, unit) for unit in removed]
        for (label, _), reason in zip(own, reasons, strict=True):
            results[power, label] = "void" if reason else "succeeds"
            if reason:
                illegal.append((power, label, reason))
    follow = Board(year=board.year + 1, season="S", phase="M", units=units, centers=board.centers)
    return Resolution(board=follow, results=results | _void(illegal), illegal=tuple(illegal), disbanded=tuple(disbanded))


def _after_retreats(board: Board, units: Mapping[str, tuple[str, ...]]) -> Board:
    """The next board that asks for orders once everybody stands: fall, winter, or the next spring."""
    if board.season == "S":
        return Board(year=board.year, season="F", phase="M", units=units, centers=board.centers)
    taken = {unit[2:5]: power for power, own in units.items() for unit in own if unit[2:5] in _CENTERS}
    owner = {center: power for power, centers in board.centers.items() for center in centers} | taken
    held: dict[str, list[str]] = {power: [] for power in POWERS}
    for center, power in owner.items():
        held[power].append(center)
    centers = {power: tuple(own) for power, own in held.items()}
    winter = Board(year=board.year, season="W", phase="A", units=units, centers=centers)
    if any(adjustment_count(winter, power) for power in POWERS):
        return winter
    return replace(winter, year=board.year + 1, season="S", phase="M")
