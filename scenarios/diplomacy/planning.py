"""From scores to plans: an intent per unit, and one joint move drawn from it.

intent       unit → {order: probability}, a softmax of the scores over the best orders
draw         one order per unit, in which own units do not bounce and supports and convoys find their partner
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from scenarios.diplomacy.board import Board
from scenarios.diplomacy.convoys import routes
from scenarios.diplomacy.evaluation import Stance, view
from scenarios.diplomacy.orders import Order, parse_order
from sociallm.conversation import AgentID

BEST = 6  # orders kept for each unit in an intent
TEMPERATURE = 1.0
LIKELY = 0.0002  # what a support or convoy may ask of its partner at least: more than a promised unit gives to breaking its word


def intent(scored: Mapping[str, Mapping[str, float]], temperature: float = TEMPERATURE) -> dict[str, dict[str, float]]:
    """Unit → {order: probability}: a softmax over its best orders, the hold always among them."""
    return {unit: _softmax(unit, found, temperature) for unit, found in scored.items()}


def _softmax(unit: str, found: Mapping[str, float], temperature: float) -> dict[str, float]:
    kept = sorted(found, key=lambda order: (-found[order], order))[:BEST]
    if f"{unit} H" in found and f"{unit} H" not in kept:
        kept.append(f"{unit} H")
    top = max(found[order] for order in kept)
    raw = {order: math.exp(max(-30.0, (found[order] - top) / temperature)) for order in kept}
    total = sum(raw.values())
    return {order: max(1e-4, round(p / total, 4)) for order, p in raw.items()}


# ---- a joint move ----------------------------------------------------------------------------------------------------


def draw(chances: Mapping[str, Mapping[str, float]], rng: np.random.Generator) -> dict[str, str]:
    """One order per unit, drawn from `chances`. Units that know best draw first; a support or convoy of an own unit fixes that unit's
    order too; two own units never go to, or swap, one place. Every order drawn has a positive chance."""
    units = sorted(chances, key=lambda unit: (-max(chances[unit].values()), unit))
    chosen: dict[str, str] = {}
    for unit in units:
        if unit in chosen:
            continue
        options = dict(chances[unit])
        while unit not in chosen:
            order = _pick(options, rng)
            together = _together(order, chances, chosen)
            if together is not None:
                chosen |= together
            elif order == f"{unit} H" or not options:
                chosen[unit] = f"{unit} H"
            else:
                del options[order]
                options = options or {f"{unit} H": 1.0}
    return _untangled(chosen)


def _pick(options: Mapping[str, float], rng: np.random.Generator) -> str:
    names = sorted(options)
    p = np.array([options[n] for n in names])
    return names[int(rng.choice(len(names), p=p / p.sum()))]


def _together(order: str, chances: Mapping[str, Mapping[str, float]], chosen: Mapping[str, str]) -> dict[str, str] | None:
    """The order with those of its partners, or None if it does not fit what is chosen already."""
    parsed = parse_order(order)
    found = {parsed.unit: order}
    other = parsed.other or ""
    if parsed.kind in ("support", "convoy") and other in chances:
        fitting = _fitting(parsed)
        if other not in chosen and chances[other].get(fitting[0], 0.0) >= LIKELY:
            found[other] = fitting[0]
        elif other not in chosen or not _matched(order, chosen):
            return None
    if parsed.via:
        wanted = f"C {parsed.unit} - {parsed.target}"
        able = [unit for unit, orders in chances.items() if orders.get(f"{unit} {wanted}", 0.0) >= LIKELY and _alone(unit, parsed)]
        if not any(chosen.get(unit) == f"{unit} {wanted}" for unit in able):
            free = [unit for unit in able if unit not in chosen]
            if not free:
                return None
            found |= {unit: f"{unit} {wanted}" for unit in free[:1]}
    elif parsed.kind == "convoy" and not _alone(parsed.unit, parse_order(f"{parsed.other} - {parsed.target} VIA")):
        return None  # chains of several fleets are left to better planners
    return found if all(_free(o, {**chosen, **found}) for o in found.values()) else None


def _alone(fleet: str, move: Order) -> bool:
    """Whether this fleet by itself can carry the army."""
    return (move.target or "")[:3] in routes(move.unit[2:5], frozenset({fleet[2:5]}))


def _free(order: str, others: Mapping[str, str]) -> bool:
    """Whether nobody else of ours goes to, stays at, or swaps with where this order ends."""
    unit, end = order[:5].strip(), _end(order)
    for other, text in others.items():
        if other[2:5] == unit[2:5]:
            continue
        if _end(text) == end:
            return False
        if _end(text) == unit[2:5] and end == other[2:5] and "VIA" not in order + text:
            return False
    return True


@lru_cache(maxsize=16384)
def _end(order: str) -> str:
    parsed = parse_order(order)
    return parsed.target[:3] if parsed.kind == "move" and parsed.target else parsed.unit[2:5]


def _untangled(chosen: dict[str, str]) -> dict[str, str]:
    """After the draw, units that would run into one that stays hold instead, and help without a partner holds."""
    for _ in range(len(chosen)):
        ends: dict[str, str] = {}
        for unit in sorted(chosen, key=lambda u: (parse_order(chosen[u]).kind == "move", u)):
            if _end(chosen[unit]) in ends or not _matched(chosen[unit], chosen):
                chosen = {**chosen, unit: f"{unit} H"}
                break
            ends[_end(chosen[unit])] = unit
        else:
            break
    return chosen


def _fitting(helps: Order) -> tuple[str, ...]:
    """The orders of the unit helped that a support or convoy fits, the plainest first."""
    if not helps.target:
        return (f"{helps.other} H",)
    move = f"{helps.other} - {helps.target}"
    return (f"{move} VIA",) if helps.kind == "convoy" else (move, f"{move} VIA")


def _matched(order: str, chosen: Mapping[str, str]) -> bool:
    """Whether an order's partners among our own, where they have one, do their part."""
    parsed = parse_order(order)
    if parsed.via:
        return any(text.endswith(f" C {parsed.unit} - {parsed.target}") for text in chosen.values())
    other = parsed.other or ""
    if parsed.kind not in ("support", "convoy") or other not in chosen:
        return True
    return chosen[other] in _fitting(parsed) if parsed.target else parse_order(chosen[other]).kind != "move"


# ---- retreats and adjustments ----------------------------------------------------------------------------------------

_FLEET_SHARE = {
    "AUSTRIA": 0.25,
    "ENGLAND": 0.65,
    "FRANCE": 0.45,
    "GERMANY": 0.35,
    "ITALY": 0.5,
    "RUSSIA": 0.35,
    "TURKEY": 0.5,
}  # as usually built


def other_phase_intent(board: Board, power: AgentID, legal: Mapping[str, Sequence[str]], stance: Stance) -> dict[str, dict[str, float]]:
    """Unit, 'BUILD' or 'REMOVE' → {order: probability} in a retreat or adjustment phase."""
    seen = view(board, power, stance)
    fleets = sum(unit[0] == "F" for unit in board.units[power])
    share = fleets / max(1, len(board.units[power]))
    found = {}
    for key, orders in legal.items():
        scored = {}
        for text in orders:
            order = parse_order(text)
            worth = seen.worth(text[0], order.target or order.unit[2:]) if order.kind != "waive" else -20.0
            if order.kind == "retreat":
                scored[text] = worth + seen.weight.get((order.target or "")[:3], 0.0)
            elif order.kind == "build":
                lacking = _FLEET_SHARE[power] - share
                scored[text] = worth + (6.0 * lacking if text[0] == "F" else -6.0 * lacking)
            elif order.kind == "remove" and key == "REMOVE":
                scored[text] = -worth - seen.weight.get(order.unit[2:5], 0.0)
            else:
                scored[text] = -20.0
        found[key] = _ranked(scored)
    return found


def _ranked(scored: Mapping[str, float]) -> dict[str, float]:
    top = max(scored.values())
    raw = {order: math.exp(max(-30.0, (value - top) / TEMPERATURE)) for order, value in scored.items()}
    total = sum(raw.values())
    return {order: max(1e-4, round(p / total, 4)) for order, p in raw.items()}


def draw_other(chances: Mapping[str, Mapping[str, float]], count: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Orders of a retreat or adjustment phase: `count` builds or removals, one retreat a unit; each province once."""
    taken: set[str] = set()
    found: dict[str, list[str]] = {}
    for key in sorted(chances):
        options = dict(chances[key])
        wanted = abs(count) if key in ("BUILD", "REMOVE") else 1
        found[key] = []
        while len(found[key]) < wanted and options:
            order = _pick(options, rng)
            del options[order]
            place = (parse_order(order).target or parse_order(order).unit[2:])[:3]
            if order != "WAIVE" and place in taken and not order.endswith(" D"):
                continue
            taken.add(place)
            found[key].append(order)
    return found
