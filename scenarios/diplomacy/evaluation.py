"""The world's evaluation of Diplomacy positions: what each order is worth to a power.

Cheap and legible, in the spirit of the value-diffusion players of DAIDE (DumbBot, D. Norman): every supply centre has a
weight for the power, a place is worth the weights near it, an attack is worth its target times the chance to carry it through.

    weights      centre → how much the power wants to be there (to take or to guard it)
    scores       unit → {order: score} over its legal orders

The numbers are set by hand and fitted to nothing; what they are worth at play, `python -m scenarios.diplomacy.bench play` measures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from scenarios.diplomacy.board import Board
from scenarios.diplomacy.map import FULL_NAMES, KINDS, PLACES, POWERS, SUPPLY_CENTERS, army_neighbours, fleet_neighbours, neighbours, reach
from scenarios.diplomacy.orders import Order, legal_orders, parse_order
from sociallm.conversation import AgentID

NEUTRAL, ENEMY, GUARD = 9.0, 7.0, 1.6  # weights of a centre nobody owns, of another's, and of an own one per unit that threatens it
DECAY, NEAR = 0.5, 0.6  # how fast a centre's pull fades with distance; how much pull counts beside an immediate gain
SPRING = 0.75  # a centre entered in spring is not yet taken
KEPT, CLOSED = 16.0, 12.0  # what an agreed order is worth to the one who agreed, at full trust, and what entering a closed province costs


@dataclass(frozen=True)
class Stance:
    """How a power stands to the others: trust in [0, 1] by power (0.5 unknown), what it agreed to do, what it may count on."""

    trust: Mapping[AgentID, float] = field(default_factory=dict)
    allies: frozenset[AgentID] = frozenset()
    foes: frozenset[AgentID] = frozenset()
    mine: Mapping[str, float] = field(default_factory=dict)  # order text → how firmly I agreed to it, 0 to 1
    theirs: Mapping[str, float] = field(default_factory=dict)  # order texts of others → how far I count on them
    closed: Mapping[str, float] = field(default_factory=dict)  # province → how firmly I agreed to stay out
    vacated: Mapping[str, Mapping[AgentID, float]] = field(default_factory=dict)  # province → who will stay out, and how far I count on it

    def hostility(self, power: AgentID) -> float:
        """How willing to attack: 0.1 for an ally one trusts, 0.85 for a stranger, 1.35 for a proven liar."""
        trust = self.trust.get(power, 0.5)
        return max(0.05, 1.35 - trust - 0.6 * (power in self.allies) + 0.3 * (power in self.foes))


# ---- distances -------------------------------------------------------------------------------------------------------

_INDEX = {place: i for i, place in enumerate(PLACES)}
_CENTER = {center: i for i, center in enumerate(SUPPLY_CENTERS)}


@lru_cache(maxsize=1)
def _pull() -> Mapping[str, np.ndarray]:
    """Kind → [place, centre] → DECAY ** steps. An army crosses one sea at the price of two steps, as if convoyed."""
    return {kind: np.stack([_pull_of(kind, place) for place in PLACES]) for kind in "AF"}


def _pull_of(kind: str, start: str) -> np.ndarray:
    steps, frontier, far = {start: 0}, [start], 0
    while frontier and far < 12:
        far += 1
        nexts = {n for place in frontier if steps[place] == far - 1 for n in neighbours(kind, place)} - steps.keys()
        if kind == "A":
            nexts |= {n for place in steps if steps[place] == far - 2 for n in _overseas(place)} - steps.keys()
        steps |= dict.fromkeys(nexts, far)
        frontier = list(steps)
    row = np.zeros(len(SUPPLY_CENTERS))
    for place, n in steps.items():
        if place[:3] in _CENTER:
            row[_CENTER[place[:3]]] = max(row[_CENTER[place[:3]]], DECAY**n)
    return row


@lru_cache(maxsize=128)
def _overseas(province: str) -> frozenset[str]:
    if KINDS[province[:3]] != "coast":
        return frozenset()
    seas = {sea for place in PLACES if place[:3] == province[:3] for sea in fleet_neighbours(place) if KINDS[sea[:3]] == "sea"}
    return frozenset(landing[:3] for sea in seas for landing in fleet_neighbours(sea) if army_neighbours(landing))


# ---- what the board holds for a power -------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """What a power makes of a board: centre weights, pull of every place, who could enter which province."""

    board: Board
    power: AgentID
    stance: Stance
    weight: Mapping[str, float]
    pull: Mapping[str, np.ndarray]
    reachers: Mapping[str, tuple[tuple[AgentID, str], ...]]  # province → (power, unit) that could go or support there
    occupant: Mapping[str, tuple[AgentID, str]]
    announced: Mapping[str, tuple[str, float]]  # another's unit → where it said it will go (or stay), and how far I count on it

    def worth(self, kind: str, place: str) -> float:
        """What standing at a place is worth for what lies near it."""
        return NEAR * float(self.pull[kind][_INDEX[place]])

    def opposition(self, province: str) -> float:
        """How much strength others are expected to show there."""
        against: dict[AgentID, float] = {}
        for power, unit in self.reachers.get(province, ()):
            if power != self.power:
                absent = self.stance.vacated.get(province, {}).get(power, 0.0)
                shown = 1.0 if unit[2:5] == province else 0.4 * (1.0 - absent)
                goal, sure = self.announced.get(unit, ("", 0.0))
                shown = (1.0 - sure) * shown + (sure if goal == province else 0.0)
                against[power] = against.get(power, 0.0) + shown * min(1.0, self.stance.hostility(power) + 0.3 + sure * (goal == province))
        return max(against.values(), default=0.0)

    def backing(self, unit: str, province: str) -> float:
        """Support the power could find for a move there: own units near, and what others promised."""
        own = sum(1 for power, other in self.reachers.get(province, ()) if power == self.power and other != unit and other[2:5] != province)
        promised = sum(p for order, p in self.stance.theirs.items() if _supports(order, unit, province))
        return 0.6 * min(own, 2) + promised

    def success(self, unit: str, province: str, more: float = 0.0) -> float:
        """The chance to carry a move through; `more` is support beyond what is expected."""
        against = self.opposition(province)
        strength = 1.0 + self.backing(unit, province) + more
        return 1.0 if against == 0 else 1.0 / (1.0 + math.exp(-2.0 * (strength - against - 0.5)))


@lru_cache(maxsize=4096)
def _parsed_support(order: str) -> tuple[str, str] | None:
    try:
        parsed = parse_order(order)
    except ValueError:
        return None  # '? ? S A SER - RUM': a promise that names no unit cannot be counted on
    return (parsed.other or "", (parsed.target or (parsed.other or "")[2:])[:3]) if parsed.kind == "support" else None


def _supports(order: str, unit: str, province: str) -> bool:
    support = _parsed_support(order)
    return support is not None and support[0][:5] == unit[:5] and support[1] == province


def view(board: Board, power: AgentID, stance: Stance) -> View:
    """What a power makes of a board."""
    reachers: dict[str, list[tuple[AgentID, str]]] = {}
    occupant: dict[str, tuple[AgentID, str]] = {}
    for owner, units in board.units.items():
        for unit in units:
            occupant[unit[2:5]] = (owner, unit)
            for province in {*reach(unit[0], unit[2:]), unit[2:5]}:
                reachers.setdefault(province, []).append((owner, unit))
    weight = weights(board, power, stance, reachers)
    own = board.centers[power]
    row = np.array([weight[c] * (0.3 if c in own else 1.0) for c in SUPPLY_CENTERS])  # what is one's own draws less than what is not
    pull = {kind: table @ row for kind, table in _pull().items()}
    announced = {unit: (goal, sure) for order, sure in stance.theirs.items() for unit, goal in _announced(order)}
    return View(board, power, stance, weight, pull, {p: tuple(r) for p, r in reachers.items()}, occupant, announced)


def _announced(order: str) -> list[tuple[str, str]]:
    """(unit, where it will be) of an order that another said it would give; nothing where the text left the unit open."""
    words = order.split()
    if "?" in words[:2] or len(words) < 3:
        return []
    return [(" ".join(words[:2]), words[3][:3] if words[2] == "-" else words[1][:3])]


def weights(board: Board, power: AgentID, stance: Stance, reachers: Mapping[str, Sequence[tuple[AgentID, str]]]) -> dict[str, float]:
    """Centre → how much the power wants to be there: to take it, or to guard it."""
    owner = {center: p for p, centers in board.centers.items() for center in centers}
    leader = max(len(c) for c in board.centers.values())
    weight = {}
    for center in SUPPLY_CENTERS:
        holder = owner.get(center)
        if holder == power:
            threats = sum(min(1.0, stance.hostility(p)) for p, _ in reachers.get(center, ()) if p != power)
            weight[center] = GUARD * min(threats, 3.0)
        elif holder is None:
            weight[center] = NEUTRAL
        else:
            ahead = 1.3 if leader > 7 and len(board.centers[holder]) == leader else 1.0
            weight[center] = ENEMY * stance.hostility(holder) * ahead
    return weight


def evaluate(board: Board, power: AgentID, stance: Stance | None = None) -> float:
    """How well a power stands: its centres, and the pull of centres within reach of its units."""
    seen = view(board, power, stance or Stance())
    return 10.0 * len(board.centers[power]) + sum(seen.worth(unit[0], unit[2:]) for unit in board.units[power])


# ---- scores of orders ------------------------------------------------------------------------------------------------


def scores(
    board: Board, power: AgentID, stance: Stance | None = None, legal: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, float]]:
    """Unit → {order: score} over its legal movement orders. Orders that only make sense for another's plan are scored if agreed."""
    seen = view(board, power, stance or Stance())
    legal = legal_orders(board, power) if legal is None else legal
    moves = {
        unit: {o: _move_score(seen, unit, parse_order(o)) for o in orders if parse_order(o).kind in ("move", "hold")}
        for unit, orders in legal.items()
    }
    ranked = {unit: sorted(found.values(), reverse=True)[:3] for unit, found in moves.items()}
    bound = {" ".join(text.split()[:2]): text for text, firm in seen.stance.mine.items() if firm >= 0.5}
    scored: dict[str, dict[str, float]] = {}
    for unit, orders in legal.items():
        found = dict(moves[unit])
        stay = found.get(f"{unit} H", 0.0)
        for text in orders:
            order = parse_order(text)
            if order.kind in ("support", "convoy"):
                value = _help_score(seen, order, stay, moves, ranked) if _still_free(order, bound) else None
                if value is not None or text in seen.stance.mine:
                    found[text] = stay if value is None else value
        scored[unit] = {text: value + KEPT * seen.stance.mine.get(text, 0.0) for text, value in found.items()}
    return scored


def _move_score(seen: View, unit: str, order: Order) -> float:
    kind, place = unit[0], order.target or unit[2:]
    province = place[:3]
    gain = seen.weight.get(province, 0.0)
    if order.kind == "hold":
        return 0.9 * gain + seen.worth(kind, place) - 0.3
    chance = seen.success(unit, province)
    if seen.board.season == "S":
        gain *= SPRING
    holder = seen.occupant.get(province)
    if holder and holder[0] == seen.power:
        chance *= 0.5  # it must move away first
    elif holder:
        gain -= 4.0 * (1.0 - min(1.0, seen.stance.hostility(holder[0])))
    left = seen.weight.get(unit[2:5], 0.0)
    at_home = unit[2:5] in seen.board.centers[seen.power] and left > 0
    stay = seen.worth(kind, unit[2:])
    value = chance * (gain + seen.worth(kind, place)) + (1 - chance) * stay - (0.35 * left if at_home else 0.0)
    value -= CLOSED * seen.stance.closed.get(province, 0.0) + (0.8 if order.via else 0.0)
    return value


def _still_free(order: Order, bound: Mapping[str, str]) -> bool:
    """Whether the unit helped may still do what the help is for: it has not promised something else."""
    promised = bound.get(order.other or "")
    if promised is None:
        return True
    return promised.removesuffix(" VIA") == f"{order.other} - {order.target}" if order.target else promised.split()[2] != "-"


def _help_score(
    seen: View, order: Order, stay: float, moves: Mapping[str, Mapping[str, float]], ranked: Mapping[str, Sequence[float]]
) -> float | None:
    """The score of a support or convoy of an own unit; None where the one helped is another's."""
    other = order.other or ""
    if other not in moves:
        return None
    if order.kind == "convoy":
        carried = moves[other].get(f"{other} - {order.target} VIA")
        return None if carried is None or carried < ranked[other][-1] else 0.5 * stay + 0.5 * carried
    if order.target is None:
        threats = seen.opposition(other[2:5])
        return 0.8 * stay + (0.35 * seen.weight.get(other[2:5], 0.0) if threats >= 0.7 else 0.0)
    province = order.target[:3]
    helped = moves[other].get(f"{other} - {order.target}", -math.inf)
    if helped < ranked[other][-1]:
        return None  # not what that unit would do
    gain = (seen.weight.get(province, 0.0) + seen.worth(other[0], order.target)) * (
        seen.success(other, province, 1.0) - seen.success(other, province, -0.6)
    )
    return 0.6 * stay + 1.2 * gain - CLOSED * seen.stance.closed.get(province, 0.0)


# ---- who is near whom ------------------------------------------------------------------------------------------------


def neighbours_of(board: Board, power: AgentID) -> list[AgentID]:
    """Living powers, nearest first: by how near their units are to this one's centres, and its units to theirs."""
    near = {other: _nearness(board, power, other) + _nearness(board, other, power) for other in POWERS if other != power and board.units[other]}
    return sorted(near, key=lambda other: (-near[other], other))


def _nearness(board: Board, one: AgentID, other: AgentID) -> float:
    """The pull of one's centres on the other's units."""
    held = [_CENTER[center] for center in board.centers[one]]
    return round(sum(float(_pull()[unit[0]][_INDEX[unit[2:]], held].sum()) for unit in board.units[other]), 6)


def border(board: Board, one: AgentID, other: AgentID) -> list[str]:
    """Empty provinces without a centre that units of both can enter: where a DMZ makes sense."""
    stands = {unit[2:5] for units in board.units.values() for unit in units}
    near = [{p for unit in board.units[power] for p in reach(unit[0], unit[2:])} for power in (one, other)]
    return sorted(p for p in near[0] & near[1] if p not in SUPPLY_CENTERS and p not in stands and p in FULL_NAMES)
