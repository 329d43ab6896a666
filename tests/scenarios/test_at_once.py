"""What the adjudicator takes without asking the full rules: plain orders, and answers that wait for no other. Each beside the slow way."""

from __future__ import annotations

from scenarios.diplomacy.adjudicator import situation
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.movement import _answer, _at_once, settle
from scenarios.diplomacy.orders import check_movement, fleets_at_sea, legal_orders, occupants, parse_order
from tests.scenarios.random_positions import positions


def test_a_plain_order_is_legal_wherever_the_units_it_names_stand() -> None:
    """Every order that is legal on one board is given on the next, where most of its units are elsewhere."""
    texts: set[str] = set()
    plain_and_legal = 0
    for board, _ in positions()[:40]:
        units, fleets = occupants(board), fleets_at_sea(occupants(board))
        there = {unit: power for power, own in board.units.items() for unit in own}
        for order in map(parse_order, sorted(texts)):
            if order.plain and order.unit in there and (order.other is None or order.other in there):
                assert check_movement(order, there[order.unit], units, fleets) == (order, "")
                plain_and_legal += 1
        texts |= {text for power in POWERS for options in legal_orders(board, power).values() for text in options}
    assert plain_and_legal > 1000


def test_what_needs_a_convoy_or_a_coast_is_not_plain() -> None:
    plain = ["A PAR H", "A PAR - BUR", "F MAO - SPA/NC", "A PAR S A MAR - BUR", "F MAO S A GAS - SPA", "F LYO S F MAO - SPA/NC"]
    other = ["A PAR - BUR VIA", "A BRE - LON", "F MAO - SPA", "A SPA - STP/NC", "A PAR S A LON - BRE", "A PAR S A PAR", "F ENG C A LON - BRE", "A PAR D"]
    assert [parse_order(text).plain for text in plain + other] == [True] * len(plain) + [False] * len(other)


def test_what_is_answered_at_once_is_what_asking_one_by_one_says() -> None:
    answered = 0
    for board, orders in positions():
        s = situation(board, orders)
        known = settle(s)
        at_once = _at_once(s)
        assert {decision: _answer(s, known, decision) for decision in at_once} == at_once
        assert at_once.items() <= known.items()
        answered += len(at_once)
    assert answered > 1000
