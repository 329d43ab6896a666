"""The outcome of a movement phase: who arrives, whose support is cut, whose convoy holds.

Strengths and the choices between them follow the DATC 3.0 (Lucas Kruijswijk), section 5, with its author's preferences.
Every question ("does this move succeed?", "is this support given?", "does this convoy carry?") is a decision, true or
false, that reads other decisions. First whatever follows from what is known is settled, each strength taken at its least
and its most, until nothing changes: so the result does not depend on the order of asking. Decisions left over wait for each
other in circles; one that waits for nothing outside itself is broken. With a convoy in it, it is a convoy paradox, and the armies
carried stay where they are (Szykman). Without, it is units that move round in a ring, and they move.

Why these are all the circles: an army cuts the support of one unit, that support concerns one province, the fleet there carries one
army. So a circle through a convoy is a single loop: its answers agree with each other in two ways or in none, never in one. And with the
convoys settled no support waits for a move, so that only moves are left, each waiting for others to leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from scenarios.diplomacy.orders import Occupants, Order

Known = dict[str, bool]  # decision → answer: 'PAR' the move or support of the unit in Paris, 'PAR~' the convoy of the army there
_NONE: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """Legal, matched orders, indexed by the province of the ordered unit."""

    units: Occupants
    moves: Mapping[str, str]  # mover → target province
    landings: Mapping[str, str]  # mover → target place
    arrivals: Mapping[str, Sequence[str]]  # target province → movers
    chains: Mapping[str, Sequence[frozenset[str]]]  # army that goes by convoy → minimal routes whose fleets all carry it
    opposite: Mapping[str, str]  # mover → the unit it meets head-to-head
    move_supports: Mapping[str, Sequence[str]]  # mover → its supporters
    hold_supports: Mapping[str, Sequence[str]]
    against: Mapping[str, str]  # supporter → province its support is directed to
    allowed: Mapping[str, Sequence[str]]  # mover to an occupied province → its supporters that may help to dislodge who is there
    defences: Mapping[str, Sequence[str]]  # mover that meets another head-to-head → its supporters that count against that one


def settle(situation: Situation, given: Mapping[str, bool] = MappingProxyType({})) -> Known:
    """Every decision of the situation, answered; those `given` are taken as they are."""
    known: Known = dict(given) if given else _at_once(situation)
    pending = [f"{army}~" for army in situation.chains] + list(situation.against) + list(situation.moves)
    while pending := _follow(situation, known, pending):
        core = _first_circle(situation, known, pending)
        convoys = [decision for decision in core if decision.endswith("~")]
        known.update(dict.fromkeys(convoys, False) if convoys else dict.fromkeys(core, True))
    return known


def _at_once(s: Situation) -> Known:
    """The answers that wait for no other, most of most phases: what `_answer` says of them, without asking it one by one."""
    known: Known = {}
    units, moves, arrivals, supports, chains = s.units, s.moves, s.arrivals, s.move_supports, s.chains
    for supporter in s.against:
        if supporter not in arrivals:
            known[supporter] = True  # nobody attacks it
    for target, movers in arrivals.items():
        first = movers[0]
        if len(movers) == 1 and target not in units:
            if first not in chains:
                known[first] = True  # nobody there and nobody else comes
            continue
        alone = [mover for mover in movers if mover not in supports and mover not in chains]
        stays = target in units and (target not in moves or (len(movers) == 1 and first in s.opposite))
        if stays or (len(alone) == len(movers) > 1 and s.opposite.get(target) not in movers):
            known.update(dict.fromkeys(alone, False))  # one against one that stays, or each as strong as the others
    return known


def _follow(situation: Situation, known: Known, pending: Sequence[str]) -> list[str]:
    """Answer what follows from what is known, into `known`; return what does not."""
    while True:
        left = []
        for decision in pending:
            if decision in known:
                continue
            answer = _answer(situation, known, decision)
            if answer is None:
                left.append(decision)
            else:
                known[decision] = answer
        if not left or len(left) == len(pending):
            return left
        pending = left


def _first_circle(situation: Situation, known: Known, pending: Sequence[str]) -> set[str]:
    """A set of decisions that wait for each other and for nothing else."""
    waits = {decision: _reads(situation, known, decision) for decision in sorted(pending)}
    assert all(waits.values()), "an open decision waits for nothing: _answer and _reads disagree"
    reachable: dict[str, set[str]] = {}
    for start in waits:
        seen, todo = set(), [start]
        while todo:
            for read in waits[todo.pop()]:
                if read not in seen:
                    seen.add(read)
                    todo.append(read)
        reachable[start] = seen
    return min(reachable.values(), key=lambda core: (len(core), sorted(core)))  # whatever lies in the smallest reaches all of it


# ---- answers: True, False, or None while unknown -------------------------------------------------------------------

def _answer(s: Situation, known: Known, decision: str) -> bool | None:
    if decision in s.moves:
        return _arrives(s, known, decision)
    return _given(s, known, decision) if decision in s.against else _carried(s, known, decision[:-1])


def _carried(s: Situation, known: Known, army: str) -> bool | None:
    """Whether some route has lost no fleet."""
    unknown = False
    for chain in s.chains[army]:
        losses = [known.get(attacker) for sea in chain for attacker in s.arrivals.get(sea, _NONE)]
        if True in losses:
            continue
        if None not in losses:
            return True
        unknown = True
    return None if unknown else False


def _under_way(s: Situation, known: Known, mover: str) -> bool | None:
    """Whether a mover gets as far as attacking its target: only a convoy can fail it."""
    return known.get(f"{mover}~") if mover in s.chains else True


def _given(s: Situation, known: Known, supporter: str) -> bool | None:
    """Whether a support is not cut: by a foreign attack from elsewhere, or by dislodgement from the province it is directed to."""
    power, against, unknown = s.units[supporter][0], s.against[supporter], False
    for attacker in s.arrivals.get(supporter, _NONE):
        if s.units[attacker][0] == power:
            continue
        cut = known.get(attacker) if attacker == against else _under_way(s, known, attacker)
        if cut:
            return False
        unknown = unknown or cut is None
    return None if unknown else True


def _strength(known: Known, supporters: Sequence[str]) -> tuple[int, int]:
    """(least, most) strength of a unit with these supporters."""
    least = most = 1
    for supporter in supporters:
        given = known.get(supporter)
        if given is not False:
            most += 1
            least += given is True
    return least, most


def _arrives(s: Situation, known: Known, mover: str) -> bool | None:
    """Whether attack strength exceeds the target's hold (or its defence head-to-head) and every rival's prevent strength."""
    under_way = _under_way(s, known, mover)
    if under_way is False:
        return False
    target = s.moves[mover]
    if under_way and target not in s.units and len(s.arrivals[target]) == 1:
        return True  # nobody there and nobody else comes: most moves
    supporters = s.move_supports.get(mover, _NONE)
    if under_way and not supporters and target in s.moves and len(s.arrivals[target]) == 1 and mover not in s.opposite:
        return known.get(target)  # units in a line: it arrives if the one before it leaves
    least, most = _strength(known, supporters) if supporters else (1, 1)
    bar, high_bar = 0, 0  # what must be exceeded: at least, at most
    occupant = s.units.get(target)
    if occupant is not None:
        leaves = known.get(target) if target in s.moves and mover not in s.opposite else False
        if leaves is not True:
            least, most_if_it_stays = _attack_on(s, known, mover, occupant[0])
            held, high_bar = _hold(s, known, target, mover)
            if leaves is False:
                most, bar = most_if_it_stays, held
    for rival in s.arrivals[target]:
        if rival != mover:
            low, high = _prevent(s, known, rival)
            bar, high_bar = (low if low > bar else bar), (high if high > high_bar else high_bar)
    if most <= bar:
        return False
    return True if least > high_bar and under_way else None


def _attack_on(s: Situation, known: Known, mover: str, owner: str) -> tuple[int, int]:
    """Attack strength against a unit that stays: no power dislodges its own unit or helps to."""
    return (0, 0) if s.units[mover][0] == owner else _strength(known, s.allowed.get(mover, _NONE))


def _hold(s: Situation, known: Known, province: str, attacker: str) -> tuple[int, int]:
    """Strength of a unit that stays: its defence if it meets the attacker head-to-head, else its hold strength (1 for a failed mover)."""
    supporters = (s.defences if attacker in s.opposite else s.hold_supports).get(province)
    return _strength(known, supporters) if supporters else (1, 1)


def _prevent(s: Situation, known: Known, rival: str) -> tuple[int, int]:
    """Strength with which a rival keeps others out: none without its convoy, or when it lost head-to-head."""
    under_way = _under_way(s, known, rival)
    lost = known.get(s.opposite[rival]) if rival in s.opposite else False
    if under_way is False or lost is True:
        return 0, 0
    supporters = s.move_supports.get(rival)
    least, most = _strength(known, supporters) if supporters else (1, 1)
    return (least if under_way and lost is False else 0), most


def prevents(s: Situation, known: Known, mover: str) -> bool:
    """Whether a mover that did not arrive nevertheless contested its target."""
    return _prevent(s, known, mover)[1] > 0


def _reads(s: Situation, known: Known, decision: str) -> list[str]:
    """The open decisions that an open decision waits for."""
    if decision.endswith("~"):
        routes = [[a for sea in chain for a in s.arrivals.get(sea, _NONE)] for chain in s.chains[decision[:-1]]]
        reads = [attacker for route in routes if not any(known.get(a) for a in route) for attacker in route]
    elif decision in s.against:
        attackers = [a for a in s.arrivals.get(decision, _NONE) if s.units[a][0] != s.units[decision][0]]
        reads = [a if a == s.against[decision] else f"{a}~" for a in attackers]
    else:
        target = s.moves[decision]
        reads = [f"{decision}~", *s.move_supports.get(decision, _NONE)]
        if target in s.units:
            reads += [target, *s.hold_supports.get(target, _NONE)]
        if decision in s.opposite:
            reads += s.move_supports.get(target, _NONE)
        for rival in s.arrivals[target]:
            reads += [f"{rival}~", *s.move_supports.get(rival, _NONE), *([s.opposite[rival]] if rival in s.opposite else [])]
    asked = [read for read in reads if read in s.moves or read in s.against or (read.endswith("~") and read[:-1] in s.chains)]
    return [read for read in asked if read not in known]


# ---- from orders to a situation ------------------------------------------------------------------------------------

def situation_of(units: Occupants, orders: Mapping[str, Order], routes: Mapping[str, Sequence[frozenset[str]]]) -> Situation:
    """Index legal orders (by province; a unit without one holds). `routes`: armies that go by convoy, with their open routes."""
    moves: dict[str, str] = {}
    landings: dict[str, str] = {}
    arrivals: dict[str, list[str]] = {}
    supports: list[tuple[str, Order]] = []
    for province, order in orders.items():
        if order.kind == "move" and order.target:
            moves[province], landings[province] = order.goal, order.target
            if order.goal in arrivals:
                arrivals[order.goal].append(province)
            else:
                arrivals[order.goal] = [province]
        elif order.kind == "support":
            supports.append((province, order))
    opposite = {m: t for m, t in moves.items() if t in moves and moves[t] == m and m not in routes and t not in routes}
    move_supports: dict[str, list[str]] = {}
    hold_supports: dict[str, list[str]] = {}
    against: dict[str, str] = {}
    for province, order in supports:
        if matches(order, orders.get(order.origin)):
            (move_supports if order.target else hold_supports).setdefault(order.origin, []).append(province)
            against[province] = order.goal or order.origin
    allowed = {
        mover: [supporter for supporter in supporters if units[supporter][0] != units[moves[mover]][0]]
        for mover, supporters in move_supports.items() if moves[mover] in units
    }
    return Situation(units, moves, landings, arrivals, routes, opposite, move_supports, hold_supports, against, allowed, move_supports)


def matches(order: Order, other: Order | None) -> bool:
    """Whether a support or convoy order fits what the other unit does (None: it holds). A coast, if named, must fit too."""
    if order.target is None:
        return other is None or other.kind != "move"
    if other is None or other.kind != "move" or other.target is None:
        return False
    return other.goal == order.goal and (len(order.target) == 3 or other.unit[0] == "A" or other.target == order.target)

