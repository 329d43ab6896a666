"""The year of Diplomacy: which phase follows, when centres change hands, who builds and who removes."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.board import Board, adjustment_count, board_from_json, board_to_json, initial_board
from scenarios.diplomacy.map import POWERS, SUPPLY_CENTERS
from scenarios.diplomacy.orders import legal_orders


def drawn(board: Board, rng: random.Random) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for power in POWERS:
        options = legal_orders(board, power)
        if board.phase == "A" and options:
            (choices,) = options.values()
            one_each = {choice[2:5]: choice for choice in rng.sample(choices, len(choices))}
            found[power] = list(one_each.values())[: abs(adjustment_count(board, power))]
        else:
            found[power] = [rng.choice(choices) for choices in options.values()]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_game_of_random_legal_orders_keeps_the_books(seed: int) -> None:
    rng, board, names = random.Random(f"game {seed}"), initial_board(), []
    for _ in range(40):
        names.append(board.name)
        assert board_from_json(json.loads(json.dumps(board_to_json(board)))) == board
        assert bool(board.dislodged) == (board.phase == "R")
        assert (board.phase != "A") or any(adjustment_count(board, power) for power in POWERS)
        owned = [center for centers in board.centers.values() for center in centers]
        assert len(owned) == len(set(owned)) and set(owned) <= set(SUPPLY_CENTERS)
        if board.season == "S" and board.phase == "M":
            for power in POWERS:
                assert len(board.units[power]) <= len(board.centers[power])
        found = adjudicate(board, drawn(board, rng))
        assert found.illegal == ()
        board = found.board
    assert names[0] == "S1901M"
    movements = [name for name in names if name[-1] == "M"]
    assert movements == [f"{season}{year}M" for year in range(1901, 1941) for season in "SF"][: len(movements)]


def test_centres_change_hands_after_the_fall_retreats_only() -> None:
    spring = adjudicate(initial_board(), {"GERMANY": ["F KIE - DEN", "A BER - KIE"]}).board
    assert "DEN" not in spring.centers["GERMANY"]
    assert legal_orders(spring, "GERMANY")["F DEN"][0] == "F DEN H"
    winter = adjudicate(spring, {}).board
    assert (winter.name, winter.centers["GERMANY"]) == ("W1901A", ("BER", "DEN", "KIE", "MUN"))
    assert legal_orders(winter, "GERMANY") == {"BUILD": ("A BER B", "F BER B", "WAIVE")}


def test_winter_is_skipped_when_nobody_builds_or_removes() -> None:
    fall = adjudicate(initial_board(), {}).board
    assert adjudicate(fall, {}).board == replace(initial_board(), year=1902)


def test_builds_waived_and_missing_are_the_same() -> None:
    board = Board(year=1902, season="W", phase="A", units={"FRANCE": ("A PIC",)}, centers={"FRANCE": ("BRE", "MAR", "PAR")})
    assert adjustment_count(board, "FRANCE") == 2
    assert adjudicate(board, {"FRANCE": ["WAIVE", "WAIVE"]}).board == adjudicate(board, {}).board
    one = adjudicate(board, {"FRANCE": ["WAIVE", "F BRE B", "A PAR B"]})
    assert one.board.units["FRANCE"] == ("A PIC", "F BRE")
    assert [text for _, text, _ in one.illegal] == ["A PAR B"]


def test_no_more_builds_than_open_homes() -> None:
    centers = {"FRANCE": ("BEL", "BRE", "MAR", "PAR", "SPA")}
    board = Board(year=1902, season="W", phase="A", units={"FRANCE": ("A PAR", "A MAR")}, centers=centers)
    assert adjustment_count(board, "FRANCE") == 1
    assert legal_orders(board, "FRANCE") == {"BUILD": ("A BRE B", "F BRE B", "WAIVE")}
    assert legal_orders(board, "ITALY") == {}


def test_among_equals_the_alphabet_of_full_names_decides_a_removal() -> None:
    """From London, Norway and the Norwegian Sea are two moves off; NWG comes before NWY, but Norway before Norwegian Sea."""
    board = Board(year=1902, season="W", phase="A", units={"ENGLAND": ("F NWG", "F NWY")}, centers={"ENGLAND": ("LON",)})
    assert adjudicate(board, {}).disbanded == (("ENGLAND", "F NWY"),)
