"""Orders as texts: read and written, and offered exactly where they are legal."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from scenarios.diplomacy.map import PLACES, POWERS, fleet_neighbours, reach
from scenarios.diplomacy.orders import Order, OrderError, check_movement, fleets_at_sea, format_order, legal_orders, occupants, parse_order
from scenarios.diplomacy.positions import random_board


def every_text(unit: str, units: Mapping[str, tuple[str, str]]) -> list[str]:
    others = [other for _, other in units.values()]
    texts = [f"{unit} H"] + [f"{unit} - {p}{via}" for p in PLACES for via in ("", " VIA")]
    texts += [f"{unit} S {other}" for other in others]
    return texts + [f"{unit} {letter} {other} - {p}" for letter in "SC" for other in others for p in PLACES]


@pytest.mark.parametrize("seed", range(2))
def test_offered_orders_are_all_the_legal_ones(seed: int) -> None:
    board = random_board(random.Random(f"legal {seed}"))
    units, fleets = occupants(board), fleets_at_sea(occupants(board))
    for power in POWERS:
        for unit, offered in legal_orders(board, power).items():
            legal = set()
            for text in every_text(unit, units):
                order, reason = check_movement(parse_order(text), power, units, fleets)
                if not reason:
                    legal.add(full_text(order, units))
            assert legal == set(offered)
            assert len(set(offered)) == len(offered)


def full_text(order: Order, units: Mapping[str, tuple[str, str]]) -> str:
    """One text for each meaning: coasts named where they count, nowhere else, and VIA on every move by convoy."""
    if order.kind == "move" and order.unit[0] == "A" and order.target not in reach("A", order.unit[2:]):
        order = replace(order, via=True)
    if order.target and order.kind in ("support", "convoy"):
        _, other = units[(order.other or "")[2:5]]
        kind, place = other[0], other[2:]
        goals = fleet_neighbours(place) if kind == "F" else ()
        if kind == "A":
            order = replace(order, target=order.target[:3])
        elif order.target not in goals:
            order = replace(order, target=next(goal for goal in goals if goal[:3] == order.target))
            if sum(goal[:3] == (order.target or "")[:3] for goal in goals) > 1:
                order = replace(order, target=order.target)
    return format_order(order)


@pytest.mark.parametrize("text", [
    "A PAR H", "A PAR - BUR", "A BEL - HOL VIA", "A PAR S A BUR", "A PAR S A BUR - MUN", "F NTH C A LON - BEL", "F STP/SC - BOT",
    "F MAR S F GAS - SPA/NC", "A PAR R GAS", "A PAR B", "F STP/NC B", "A PAR D", "WAIVE",
])  # fmt: skip
def test_an_order_survives_reading_and_writing(text: str) -> None:
    assert format_order(parse_order(text)) == text
    assert parse_order(f"  {text.lower()} ".replace(" ", "  ")) == parse_order(text)


@pytest.mark.parametrize(("text", "why"), [
    ("", "expected an order such as"), ("A PAR", "expected an order such as"), ("A PAR-BUR", "expected an order such as"),
    ("A XXX - BUR", "XXX is no place"), ("F SPA/EC H", "SPA/EC is no place"), ("A PAR R GAS VIA", "leave out VIA"),
    ("F NTH C A LON", "landing place"), ("A PAR H\nA BUR H", "expected an order such as"), ("А PAR H", "expected an order such as"),
    ("A" * 10_000, "short text"), (None, "short text"), (["A PAR H"], "short text"), ({"unit": "A PAR"}, "short text"), (7, "short text"),
])  # fmt: skip
def test_a_text_that_is_no_order_is_told_so_in_one_line(text: object, why: str) -> None:
    with pytest.raises(OrderError, match=why) as error:
        parse_order(text)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
