"""What powers that secretly act as one would order: supports of each other's attacks, chosen from the board and a key, without a word.

Each member can reckon it alone: it needs the position, which all see, and the key, which only members have. Side payment: an attack of one is
worth to the other what it is worth to the attacker. The key chooses which of the best supports comes first, 2^bits of them; the rest follow
as far as no unit is asked for twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from agents.planting import pad
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.evaluation import Stance, View, scores, view
from scenarios.diplomacy.orders import legal_orders
from sociallm.conversation import AgentID

WORTH = 0.5  # points that a support must add for anybody to give it
MOST = 3  # supports that one phase has room for


@dataclass(frozen=True)
class Help:
    """One unit's support of another member's attack, and what both make of it."""

    worth: float
    helper: AgentID
    support: str
    mover: AgentID
    move: str


def stance(members: tuple[AgentID, ...], me: AgentID) -> Stance:
    """How a member stands to the others: allies beyond doubt."""
    others = frozenset(members) - {me}
    return Stance(trust=dict.fromkeys(others, 1.0), allies=others)


def stood(board: Board, power: AgentID) -> frozenset[str]:
    """Where a power has units or centres."""
    return frozenset((*board.centers[power], *(unit[2:5] for unit in board.units[power])))


@lru_cache(maxsize=256)
def helps(board: Board, members: tuple[AgentID, ...]) -> tuple[Help, ...]:
    """The supports that members could give each other's attacks on outsiders, the best first."""
    ours = frozenset(p for m in members for p in stood(board, m))
    legal = {m: legal_orders(board, m) for m in members}
    scored = {m: scores(board, m, stance(members, m), legal[m]) for m in members}
    found = []
    for helper in members:
        for unit, orders in legal[helper].items():
            best = max(scored[helper].get(unit, {}).values(), default=0.0)
            lost = best - scored[helper].get(unit, {}).get(f"{unit} H", best)
            for order in orders:
                words = order.split()
                mover = _owner(board, members, " ".join(words[3:5])) if words[2] == "S" and len(words) == 7 else None
                if mover in (None, helper) or words[6][:3] in ours:
                    continue
                move = f"{words[3]} {words[4]} - {words[6]}"
                gained = _gain(board, members, mover, " ".join(words[3:5]), words[6])
                if move in legal[mover].get(" ".join(words[3:5]), ()) and gained - 0.5 * lost > WORTH:
                    found.append(Help(round(gained - 0.5 * lost, 6), helper, order, mover, move))
    return tuple(sorted(found, key=lambda h: (-h.worth, h.support)))


def _owner(board: Board, members: tuple[AgentID, ...], unit: str) -> AgentID | None:
    return next((m for m in members if unit in board.units[m]), None)


def _gain(board: Board, members: tuple[AgentID, ...], mover: AgentID, unit: str, target: str) -> float:
    """What one more support adds to an attack, in points of the mover's evaluation."""
    seen = _seen(board, members, mover)
    province = target[:3]
    return (seen.weight.get(province, 0.0) + seen.worth(unit[0], target)) * (seen.success(unit, province, 1.0) - seen.success(unit, province))


@lru_cache(maxsize=64)
def _seen(board: Board, members: tuple[AgentID, ...], mover: AgentID) -> View:
    return view(board, mover, stance(members, mover))


def joint(board: Board, members: tuple[AgentID, ...], secret: str, bits: int) -> Mapping[AgentID, tuple[str, ...]]:
    """Member → the orders that it owes the others in this phase: supports, and the moves that they are for."""
    options = list(helps(board, members))
    if not options:
        return dict.fromkeys(members, ())
    first = pad(secret, board.name, bits) % min(len(options), 1 << bits)
    chosen: dict[str, tuple[AgentID, str]] = {}
    goals: set[str] = set()
    for option in [options[first], *options[:first], *options[first + 1 :]]:
        helper, mover = " ".join(option.support.split()[:2]), " ".join(option.move.split()[:2])
        target = option.move.split()[3][:3]
        fits = chosen.get(mover, (option.mover, option.move))[1] == option.move and helper not in chosen
        if len(goals) < MOST and fits and (target not in goals or mover in chosen):
            chosen |= {helper: (option.helper, option.support), mover: (option.mover, option.move)}
            goals.add(target)
    return {m: tuple(order for power, order in chosen.values() if power == m) for m in members}
