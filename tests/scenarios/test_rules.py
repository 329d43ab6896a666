"""The options of the rules: a position for each on which its choices part."""

from __future__ import annotations

import pytest

from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.rules import STANDARD, WEBDIPLOMACY, Rules


def moved(rules: Rules, units: dict[str, tuple[str, ...]], orders: dict[str, list[str]]) -> set[str]:
    board = Board(year=1901, season="S", phase="M", units=units, centers={})
    return {unit for own in adjudicate(board, orders, rules).board.units.values() for unit in own}


def test_an_army_that_says_via_walks_only_where_the_rules_let_it() -> None:
    units = {"FRANCE": ("A PIC",), "ENGLAND": ("F ENG",)}
    idle = {"FRANCE": ["A PIC - BRE VIA"], "ENGLAND": ["F ENG H"]}
    assert moved(STANDARD, units, idle) == {"A PIC", "F ENG"}
    assert moved(Rules(land_route="unordered"), units, idle) == {"A BRE", "F ENG"}


def test_a_fleet_of_the_same_power_shows_intent_only_where_the_rules_say_so() -> None:
    """DATC 6.G.1's swap: by convoy the two pass each other, on land they meet head-to-head."""
    units = {"FRANCE": ("A BRE", "F ENG"), "ENGLAND": ("A PIC",)}
    swap = {"FRANCE": ["A BRE - PIC", "F ENG C A BRE - PIC"], "ENGLAND": ["A PIC - BRE"]}
    with_army = Board(year=1901, season="S", phase="M", units=units, centers={})
    assert adjudicate(with_army, swap).board.units["ENGLAND"] == ("A BRE",)
    assert adjudicate(with_army, swap, Rules(convoy_intent="explicit")).board.units["ENGLAND"] == ("A PIC",)


def test_a_convoy_that_no_route_needs_is_illegal_or_without_effect() -> None:
    units = {"ENGLAND": ("A YOR", "F ENG", "F NTH")}
    orders = {"ENGLAND": ["A YOR - BEL VIA", "F ENG C A YOR - BEL", "F NTH C A YOR - BEL"]}
    board = Board(year=1901, season="S", phase="M", units=units, centers={})
    strict, lax = adjudicate(board, orders), adjudicate(board, orders, WEBDIPLOMACY)
    assert [text for _, text, _ in strict.illegal] == ["F ENG C A YOR - BEL"]
    assert not lax.illegal and lax.results["ENGLAND", "F ENG C A YOR - BEL"] == "fails"
    assert strict.board == lax.board


def test_who_goes_in_civil_disorder_depends_on_the_rules() -> None:
    """France owns Norway alone. F NWY is at 0 from it, A PAR at 4 (NTH, ENG, PIC, PAR); from home A PAR is at 0 and F NWY at 3 (NTH, ENG, BRE)."""
    board = Board(year=1901, season="W", phase="A", units={"FRANCE": ("A PAR", "F NWY")}, centers={"FRANCE": ("NWY",)})
    assert adjudicate(board, {}).disbanded == (("FRANCE", "A PAR"),)
    assert adjudicate(board, {}, Rules(removals="home centres")).disbanded == (("FRANCE", "F NWY"),)


def test_an_option_that_is_none_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"rules\.removals: got '1971', expected 'owned centres' or 'home centres'"):
        Rules(removals="1971")
