"""Every case of the DATC 3.0 (Kruijswijk 2024), sections 6.A to 6.J, one test each. The facts are data: shared/data/datc/cases.jsonl."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board, Dislodged
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.rules import Rules

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
CASES_FILE = DATA / "datc" / "cases.jsonl"
SEASONS = {"movement": ("S", "M"), "retreat": ("S", "R"), "build": ("W", "A"), "remove": ("W", "A")}


def read_cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES_FILE.read_text().splitlines()] if CASES_FILE.exists() else []


def name(case: Mapping[str, Any]) -> str:
    return case["id"] + case.get("variant", "")


CASES = read_cases()
pytestmark = pytest.mark.skipif(not CASES, reason=f"needs the DATC cases at {CASES_FILE}; set SOCIALLM_DATA")


def board_of(step: Mapping[str, Any], start: Mapping[str, Any]) -> Board:
    season, phase = SEASONS[step["phase"]]
    dislodged = tuple(Dislodged(d["power"], d["unit"], d["attacker_from"], tuple(d["retreats"])) for d in start.get("dislodged", ()))
    return Board(year=1901, season=season, phase=phase, units=start["units"], centers=start.get("centers", {}),
                 dislodged=dislodged, contested=tuple(start.get("contested", ())))


def check(step: Mapping[str, Any], board: Board) -> Resolution:
    expect, found = step["expect"], adjudicate(board, step["orders"])
    assert found.board.units == {power: tuple(sorted(expect["units_after"].get(power, ()))) for power in POWERS}
    assert found.dislodged == tuple(sorted(
        Dislodged(d["power"], d["unit"], d["attacker_from"], tuple(d["retreats"])) for d in expect["dislodged"]
    ))
    if "contested" in expect:
        assert found.contested == tuple(sorted(expect["contested"]))
    leaves = expect.get("disbanded", []) + expect.get("removed", [])
    assert sorted(found.disbanded) == sorted((d["power"], d["unit"]) for d in leaves)
    words = {(power, text): word for (power, text), word in found.results.items()}
    assert {text for _, text in words} == set(expect["orders"])
    for (_, text), word in words.items():
        assert word in expect["orders"][text].split("|"), f"{text}: got {word}, expected {expect['orders'][text]}"
    assert {(power, text) for power, text, _ in found.illegal} == {key for key, word in words.items() if word == "void"}
    return found


@pytest.mark.parametrize("case", CASES, ids=name)
def test_case_comes_out_as_the_datc_says(case: dict[str, Any]) -> None:
    found = check(case, board_of(case, case))
    for step in case.get("steps", ())[1:]:
        board = board_of(step, step)
        assert (found.board.units, found.board.dislodged, found.board.contested) == (board.units, board.dislodged, board.contested)
        found = check(step, found.board)


OTHERWISE = {  # option → the cases that end in another position under it; all others are as under the author's preferences
    "land_route": ("unordered", {"6.G.8"}),
    "convoy_intent": ("explicit", {"6.G.1", "6.G.5", "6.G.6", "6.G.9", "6.G.11"}),
    "removals": ("home centres", {"6.J.6", "6.J.10", "6.J.11"}),
    "needless_convoys": ("taken", set()),
}


@pytest.mark.parametrize("option", OTHERWISE)
def test_an_option_changes_the_cases_about_it_and_no_other(option: str) -> None:
    choice, expected = OTHERWISE[option]
    rules = Rules(**{option: choice})
    changed = {name(c) for c in CASES if adjudicate(board_of(c, c), c["orders"], rules).board != adjudicate(board_of(c, c), c["orders"]).board}
    assert changed == expected


def test_all_164_cases_and_the_second_position_of_6_j_9_are_there() -> None:
    sections = {letter: len({c["id"] for c in CASES if c["id"][2] == letter}) for letter in "ABCDEFGHIJ"}
    assert sections == {"A": 12, "B": 15, "C": 9, "D": 34, "E": 15, "F": 25, "G": 20, "H": 16, "I": 7, "J": 11}
    assert len(CASES) == 165
