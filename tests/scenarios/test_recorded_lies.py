"""Ten games of Diplomacy lies (Peskov et al. 2020): every order's result, and every next position, as the site worked them out.

The file has the orders with their results, retreats, winters and who owns the centres, but no kinds of units and no positions: ours go on from
one season to the next, and each season must order just the units that we have. Its words differ from ours in supports and convoys; `site_result` is the
translation.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board, initial_board
from scenarios.diplomacy.map import POWERS, reach

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
MOVES = DATA / "diplomacy_lies" / "moves.jsonl"
pytestmark = pytest.mark.skipif(not MOVES.exists(), reason=f"needs the orders at {MOVES}; set SOCIALLM_DATA")

# Slips of the file: owners of centres that neither the fall before nor the winter after bears out (Italy 13, 21, 14); two orders more
# than the power had builds or removals, which the site refuses as we do.
WRONG_OWNERS = {(1, "W1908")}
SURPLUS_ORDERS = {(8, "W1910", "A PIE D"), (9, "W1903", "F LVP B")}


@dataclass(frozen=True)
class Season:
    """One record of the file, the board before it, the order texts with their entries, and what we make of them."""

    game: int
    name: str  # 'S1901'
    record: Mapping[str, Any]
    board: Board
    orders: Mapping[tuple[str, str], Mapping[str, Any]]  # (power, order text) → the entry of the file
    found: Resolution
    retreats: Resolution | None = None


@cache
def seasons() -> tuple[Season, ...]:
    records: dict[int, list[dict[str, Any]]] = {}
    for line in MOVES.read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["game_id"], []).append(record)
    return tuple(season for game, own in sorted(records.items()) for season in _played(game, own))


def _played(game: int, records: list[dict[str, Any]]) -> Iterator[Season]:
    board = initial_board()
    for record in records:
        name = record["season"][0].upper() + str(record["year"])
        if name[0] == "W" and board.phase == "M":  # a winter with nothing to do
            assert not any(record["orders"].values())
            yield Season(game, name, record, board, {}, Resolution(board=board, results={}))
            continue
        assert board.name == name + ("A" if name[0] == "W" else "M")
        standing = {unit[2:5]: unit for own in board.units.values() for unit in own}
        orders = {
            (power.upper(), _text(place, entry, standing)): {"at": place.upper(), **entry}
            for power, own in record["orders"].items() for place, entry in own.items()
        }
        found = adjudicate(board, _by_power(orders))
        retreats = None
        if found.board.phase == "R":
            driven_out = {unit.unit[2:5]: unit.unit for unit in found.board.dislodged}
            told = {(p, _retreat(driven_out[e["at"][:3]], e["retreat"])): e for (p, _), e in orders.items() if "retreat" in e}
            retreats = adjudicate(found.board, _by_power(told))
        yield Season(game, name, record, board, orders, found, retreats)
        board = (retreats or found).board


def _by_power(orders: Mapping[tuple[str, str], Any]) -> dict[str, list[str]]:
    return {power: [text for owner, text in orders if owner == power] for power in POWERS}


def _place(entry: Mapping[str, Any], key: str = "to", coast: str = "to_coast") -> str:
    return str(entry[key]).upper() + (f"/{entry[coast].upper()}" if entry.get(coast) else "")


def _text(place: str, entry: Mapping[str, Any], standing: Mapping[str, str]) -> str:
    province = place.upper()[:3]
    if entry["type"] == "BUILD":
        return f"{entry['unit_type']} {province}{'/' + entry['coast'].upper() if entry.get('coast') else ''} B"
    unit = standing[province]
    if entry["type"] in ("HOLD", "DISBAND"):
        return f"{unit} {entry['type'][0]}"
    target = f" - {_place(entry)}" if entry.get("to") else ""
    return unit + target if entry["type"] == "MOVE" else f"{unit} {entry['type'][0]} {standing[entry['from'].upper()[:3]]}{target}"


def _retreat(unit: str, entry: Mapping[str, Any]) -> str:
    return f"{unit} R {_place(entry)}" if entry["type"] == "MOVE" else f"{unit} D"


def site_result(season: Season, power: str, text: str, entry: Mapping[str, Any]) -> str:
    """The site's word for our result.

    It calls a support a success unless it is cut or impossible, and takes it as fitting whenever it is to a hold, or names the place that the
    other unit's order names, be that a move, a support or a convoy. It calls a convoy a success unless the fleet is driven out or stands on land.
    """
    word = season.found.results[power, text]
    if entry["type"] == "CONVOY":
        return "FAILS" if word in ("dislodged", "void") else "SUCCEEDS"
    if entry["type"] != "SUPPORT" or word in ("succeeds", "cut"):
        return "SUCCEEDS" if word == "succeeds" else "FAILS"
    other = next(e for e in season.orders.values() if e["at"] == entry["from"].upper()[:3])
    goal = str(entry.get("to") or entry["from"]).upper()[:3]
    fits = goal in reach(text[0], text.split()[1]) and (not entry.get("to") or (bool(other.get("to")) and _place(other) == _place(entry)))
    attacked = any(
        e["type"] == "MOVE" and e["to"].upper() == entry["at"] and owner != power and e["result_reason"] != "Invalid move path"
        and (e["at"] != goal or not entry.get("to"))
        for (owner, _), e in season.orders.items()
    )  # fmt: skip
    return "SUCCEEDS" if fits and not attacked else "FAILS"


def test_every_result_of_every_order_is_the_files() -> None:
    differ, counted = [], Counter[str]()
    for season in (s for s in seasons() if s.name[0] != "W"):
        for (power, text), entry in season.orders.items():
            counted[entry["type"]] += 1
            if site_result(season, power, text, entry) != entry["result"]:
                differ.append((season.game, season.name, power, text, season.found.results[power, text], entry["result_reason"]))
    assert not differ
    assert counted == {"MOVE": 3406, "HOLD": 954, "SUPPORT": 1735, "CONVOY": 123}


def test_each_season_orders_just_the_units_that_stand_and_retreats_just_those_driven_out() -> None:
    for season in (s for s in seasons() if s.name[0] != "W"):
        standing = {unit[2:5] for own in season.board.units.values() for unit in own}
        assert {entry["at"][:3] for entry in season.orders.values()} == standing
        gone = {unit.unit[2:5] for unit in season.found.dislodged}
        assert {entry["at"][:3] for entry in season.orders.values() if "retreat" in entry} == gone
        for (power, text), word in (season.retreats.results if season.retreats else {}).items():
            entry = next(e for (p, _), e in season.orders.items() if p == power and e["at"][:3] == text[2:5])
            assert (word == "succeeds") == (entry["retreat"]["result"] == "SUCCEEDS"), (season.game, season.name, text)


def test_winters_and_owners_are_the_files() -> None:
    wrong, refused = set(), set()
    for season in seasons():
        if season.name[0] == "W":
            refused |= {(season.game, season.name, text) for _, text, _ in season.found.illegal}
            for (power, text), entry in season.orders.items():
                assert (season.found.results[power, text] == "succeeds") == (entry["result"] == "SUCCEEDS")
        owners = {center.upper(): power.upper() for center, power in season.record.get("territories", {}).items()}
        ours = {center: power for power, own in season.board.centers.items() for center in own}
        if owners != ours:
            wrong.add((season.game, season.name))
    assert refused == SURPLUS_ORDERS
    assert wrong == WRONG_OWNERS


def test_all_ten_games_are_there() -> None:
    assert len({season.game for season in seasons()}) == 10
    assert Counter(season.name[0] for season in seasons())["F"] == 97
