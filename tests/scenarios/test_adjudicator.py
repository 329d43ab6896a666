"""The adjudicator beyond the DATC: what must hold on any position, and what agents send in place of orders."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.board import Board, Dislodged, board_to_json, initial_board
from scenarios.diplomacy.map import POWERS, reach
from scenarios.diplomacy.orders import occupants
from tests.scenarios.random_positions import positions

# ---- random positions ----------------------------------------------------------------------------------------------


def owners(units: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
    return Counter((power, unit[0]) for power, own in units.items() for unit in own)


def test_units_are_conserved_and_stand_alone() -> None:
    for board, orders in positions():
        found = adjudicate(board, orders)
        assert owners(found.board.units) + Counter((d.power, d.unit[0]) for d in found.dislodged) == owners(board.units)
        provinces = Counter(unit[2:5] for own in found.board.units.values() for unit in own)
        assert max(provinces.values(), default=1) == 1


def test_offered_orders_are_legal() -> None:
    assert all(adjudicate(board, orders).illegal == () for board, orders in positions())


def test_the_order_of_powers_and_of_orders_does_not_matter() -> None:
    for seed, (board, orders) in enumerate(positions()):
        rng = random.Random(seed)
        shuffled = {power: rng.sample(orders[power], len(orders[power])) for power in rng.sample(POWERS, 7)}
        assert adjudicate(board, shuffled) == adjudicate(board, orders) == adjudicate(replace(board), dict(orders))


def test_retreats_are_open_empty_and_not_where_the_attacker_came_from_by_land() -> None:
    dislodged = 0
    for board, orders in positions():
        found = adjudicate(board, orders)
        occupied = set(occupants(found.board))
        for unit in found.dislodged:
            dislodged += 1
            provinces = {place[:3] for place in unit.retreats}
            assert provinces <= reach(unit.unit[0], unit.unit[2:]) - occupied - set(found.contested)
            assert unit.unit[2:5] in occupied
            if unit.attacker_from in provinces:
                assert any(o.startswith(f"A {unit.attacker_from} - ") for own in orders.values() for o in own)
    assert dislodged > len(positions()) / 2


# ---- orders from agents --------------------------------------------------------------------------------------------

def test_a_bad_order_is_named_and_the_unit_holds() -> None:
    orders = {"FRANCE": ["A PAR - LON", "F BRE - MAO", "A BUD H", "A MAR - SPA", "A MAR - GAS", "nonsense"]}
    found = adjudicate(initial_board(), orders)
    assert found.board.units["FRANCE"] == ("A PAR", "A SPA", "F MAO")
    assert [text for _, text, _ in found.illegal] == ["nonsense", "A PAR - LON", "A BUD H", "A MAR - GAS"]
    assert found.results["FRANCE", "A MAR - SPA"] == "succeeds"
    assert {found.results["FRANCE", text] for _, text, _ in found.illegal} == {"void"}


@pytest.mark.parametrize("orders", [
    {"FRANCE": None}, {"FRANCE": "A PAR H"}, {"FRANCE": {"A PAR": "H"}}, {"FRANCE": [None, 3, [], {}, "\ud800", "x" * 5000]},
    {"SPAIN": ["A MAD H"]}, {3: ["A PAR H"], None: ["A PAR H"], "france": ["A PAR - BUR"]}, {"FRANCE": ["WAIVE", "A PAR B", "A PAR R GAS"]},
])  # fmt: skip
@pytest.mark.parametrize("phase", ["M", "R", "A"])
def test_nothing_an_agent_says_raises(orders: dict, phase: str) -> None:
    start = initial_board()
    board = {
        "M": start,
        "R": replace(start, phase="R", units={**start.units, "FRANCE": ()}, dislodged=(Dislodged("FRANCE", "A PAR", "BUR", ("PIC",)),)),
        "A": replace(start, season="W", phase="A", units={**start.units, "FRANCE": ("A MAR",)}),
    }[phase]
    found = adjudicate(board, orders)
    assert len(found.illegal) >= (0 if phase == "A" and "WAIVE" in str(orders) else 1)
    assert found.board.units["ENGLAND"] == start.units["ENGLAND"]
    json.dumps([found.illegal, board_to_json(found.board), list(found.results.items())])


def test_units_without_orders_hold() -> None:
    found = adjudicate(initial_board(), {})
    assert found.board == replace(initial_board(), season="F")
    assert (found.results, found.illegal) == ({}, ())


def test_a_dislodged_unit_without_a_legal_retreat_order_is_disbanded() -> None:
    board = Board(year=1905, season="S", phase="R", units={"ITALY": ("A BUR",)}, centers={},
                  dislodged=(Dislodged("FRANCE", "A BUR", "MUN", ("BEL", "GAS")),))
    for orders in ({}, {"FRANCE": ["A BUR R PAR"]}, {"FRANCE": ["A BUR H"]}, {"FRANCE": ["A BUR D"]}, {"GERMANY": ["A BUR R GAS"]}):
        found = adjudicate(board, orders)
        assert found.disbanded == (("FRANCE", "A BUR"),)
        assert (found.board.name, found.board.units["FRANCE"]) == ("F1905M", ())
    assert adjudicate(board, {"FRANCE": ["A BUR R GAS", "A BUR R BEL"]}).board.units["FRANCE"] == ("A GAS",)


def test_fleets_of_a_broken_route_fail_while_another_carries() -> None:
    board = Board(year=1901, season="S", phase="M", centers={}, units={
        "ENGLAND": ("A LVP", "F NAO", "F NWG", "F IRI", "F ENG", "F NTH"), "FRANCE": ("F BRE", "F MAO")})
    convoys = [f"F {sea} C A LVP - EDI" for sea in ("NAO", "NWG", "IRI", "ENG", "NTH")]
    found = adjudicate(board, {"ENGLAND": ["A LVP - EDI VIA", *convoys], "FRANCE": ["F BRE - ENG", "F MAO S F BRE - ENG"]})
    assert [found.results["ENGLAND", text] for text in convoys] == ["succeeds", "succeeds", "fails", "dislodged", "fails"]
    assert found.results["ENGLAND", "A LVP - EDI VIA"] == "succeeds"
