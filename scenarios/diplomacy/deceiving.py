"""When a lie pays: what a power gains if its word is believed and it keeps its hands free.

A word believed changes what the other does, so the world's evaluation is asked three times: as things stand, with the word believed and
broken, with the word believed and kept. A lie's worth is what believed-and-broken gains over the better of the other two. Whether it is
told is a question of price: `price(honesty)` points of the evaluation (a free centre is worth about seven in spring).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.evaluation import Stance, scores
from scenarios.diplomacy.map import reach
from sociallm.conversation import AgentID

PRICE = 2.0  # of a lie at honesty 0.5


def price(honesty: float) -> float:
    """What a lie must be worth to be told: 0 at honesty 0, PRICE at 0.5, infinite at 1."""
    return math.inf if honesty >= 1 else PRICE * honesty / (1 - honesty)


def worth(board: Board, me: AgentID, stance: Stance) -> float:
    """What the best order of each unit is worth, together. Deals of one's own are left out: the hands are free."""
    free = replace(stance, mine={}, closed={})
    return sum(max(found.values()) for found in scores(board, me, free).values() if found)


def gain(board: Board, me: AgentID, other: AgentID, about: Mapping[str, Any], stance: Stance) -> float:
    """What it is worth to give `other` this word, be believed, and break it; at most 0 where keeping it, or silence, does as well."""
    after, trusting = believed(board, me, other, about, stance)
    broken = worth(after, me, trusting)
    kept = worth_kept(after, me, about, trusting)
    return broken - max(kept, worth(board, me, stance))


def believed(board: Board, me: AgentID, other: AgentID, about: Mapping[str, Any], stance: Stance) -> tuple[Board, Stance]:
    """The board and the stance as they will be if `other` takes the word and acts on it."""
    if about["kind"] == "support":
        helped = press.split_order(about["order"])
        if helped.target and helped.other in board.units[other]:  # it goes where it hopes to be supported to
            units = {**board.units, other: tuple(u for u in board.units[other] if u != helped.other)}
            return replace(board, units=units), stance
        return board, stance
    if about["kind"] == "dmz":
        empty = set(about["provinces"])
    elif about["kind"] == "alliance":
        empty = {p for unit in board.units[me] for p in (*reach(unit[0], unit[2:]), unit[2:5])}
    else:
        return board, stance
    stands = {unit[2:5] for unit in board.units[other]}
    vacated = {**stance.vacated, **{p: {**stance.vacated.get(p, {}), other: 1.0} for p in empty - stands}}
    return board, replace(stance, vacated=vacated)


def worth_kept(board: Board, me: AgentID, about: Mapping[str, Any], stance: Stance) -> float:
    """The same as `worth` where the word is kept: the unit it binds does that, the zone is not entered, the ally not attacked."""
    free = scores(board, me, replace(stance, mine={}, closed={}))
    total = 0.0
    for unit, found in free.items():
        if about["kind"] in ("order", "support"):
            bound = unit == " ".join(about["order"].split()[:2])
            total += found.get(f"{unit} H", 0.0) if bound else max(found.values())
            continue
        shut = set(about.get("provinces", ()))
        if about["kind"] == "alliance":
            partners = set(about["powers"]) - {me}
            shut = {p for q in partners for p in (*board.centers[q], *(u[2:5] for u in board.units[q]))}
        total += max((v for order, v in found.items() if order.split()[2] != "-" or order.split()[3][:3] not in shut), default=0.0)
    return total
