"""36 recorded human games (Cicero, Science 2022), phase by phase: our rules on the recorded orders give the recorded position.

The site they were played on departs from the 2023 rulebook in three named options, `rules.WEBDIPLOMACY`; with them no phase is an exception.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board, Dislodged
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.rules import STANDARD, WEBDIPLOMACY, Rules

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
GAMES = sorted((DATA / "cicero_games").glob("game_*.json"))
pytestmark = pytest.mark.skipif(not GAMES, reason=f"needs the recorded games at {DATA / 'cicero_games'}; set SOCIALLM_DATA")

def recorded_board(phase: Mapping[str, Any]) -> Board:
    """The file's position. It does not say where an attacker came from; the open places it lists already leave that out."""
    name, state = phase["name"], phase["state"]
    units = {power: tuple(unit for unit in own if not unit.startswith("*")) for power, own in state["units"].items()}
    dislodged = tuple(
        Dislodged(power, unit, "", tuple(sorted(places))) for power, own in state["retreats"].items() for unit, places in own.items()
    )
    return Board(year=int(name[1:-1]), season=name[0], phase=name[-1], units=units, centers=state["centers"], dislodged=dislodged)


def orders_of(phase: Mapping[str, Any]) -> dict[str, list[str]]:
    return {power: list(orders or ()) for power, orders in phase["orders"].items()}


@cache
def steps(path: Path) -> list[tuple[str, Board, dict[str, list[str]], Resolution, Mapping[str, Any]]]:
    """(phase name, board, orders, what we make of them, the next recorded phase)."""
    found = []
    for phase, following in pairwise(json.loads(path.read_text())["phases"]):
        board, orders = recorded_board(phase), orders_of(phase)
        found.append((phase["name"], board, orders, adjudicate(board, orders, WEBDIPLOMACY), following))
    return found


def same(found: Board, recorded: Board) -> bool:
    places = [{(d.power, d.unit): d.retreats for d in board.dislodged} for board in (found, recorded)]
    return (found.name, found.units, found.centers, places[0]) == (recorded.name, recorded.units, recorded.centers, places[1])


@pytest.mark.parametrize("path", GAMES, ids=lambda path: path.stem)
def test_recorded_orders_lead_to_the_recorded_position(path: Path) -> None:
    for name, _, _, found, following in steps(path):
        assert not found.illegal, (name, found.illegal)
        if following["name"] == "COMPLETED":  # a won game: the file ends with no further phase
            assert max(len(own) for own in found.board.centers.values()) >= 18
        else:
            assert same(found.board, recorded_board(following)), name


def test_each_option_of_the_site_is_needed() -> None:
    """Without one of them the phases that differ are those it is about: the last winters, one swap, two orders to convoy."""
    positions: dict[str, Counter[str]] = {}
    illegal: dict[str, set[str]] = {}
    for option in fields(Rules):
        rules = replace(WEBDIPLOMACY, **{option.name: getattr(STANDARD, option.name)})
        positions[option.name], illegal[option.name] = Counter(), set()
        for path in GAMES:
            for name, board, orders, _, following in steps(path):
                found = adjudicate(board, orders, rules)
                illegal[option.name] |= {text for _, text, _ in found.illegal}
                if following["name"] != "COMPLETED" and not same(found.board, recorded_board(following)):
                    positions[option.name][name] += 1
    assert positions == {"removals": {"W1908A": 19}, "convoy_intent": {"F1907M": 1}, "land_route": {}, "needless_convoys": {}}
    assert illegal == {"removals": set(), "convoy_intent": set(), "land_route": set(), "needless_convoys": {"F ENG C A YOR - BEL"}}


def test_every_recorded_order_is_offered() -> None:
    """Supports without the coast, and convoy moves without VIA where there is no other way, are taken but offered in full."""
    for path in GAMES[::9]:
        for name, board, orders, _, _ in steps(path):
            for power, own in orders.items():
                offered = {order for options in legal_orders(board, power).values() for order in options}
                for order in own:
                    fuller = {order + " VIA", *(order + coast for coast in ("/NC", "/SC", "/EC"))}
                    assert order in offered or fuller & offered, f"{path.stem} {name} {power}: {order}"


def test_all_36_games_are_there() -> None:
    assert len(GAMES) == 36
    assert sum(len(steps(path)) for path in GAMES) == 1299
