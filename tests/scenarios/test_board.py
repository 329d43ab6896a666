"""The position as a value: equal where it is the same, checked where it comes from outside, forked without sharing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from scenarios.diplomacy.board import BoardError, board_from_json, board_hash, board_to_json, fork, initial_board
from scenarios.diplomacy.map import HOME_CENTERS, POWERS


def test_equal_positions_are_equal_values_with_equal_hashes() -> None:
    one = initial_board()
    other = replace(one, units={power: tuple(reversed(one.units[power])) for power in reversed(POWERS)})
    assert one == other and hash(one) == hash(other) and board_hash(one) == board_hash(other)
    assert board_hash(one) != board_hash(replace(one, year=1902))
    assert {one: 1}[other] == 1
    with pytest.raises(FrozenInstanceError):
        one.year = 1999  # type: ignore[misc]


@pytest.mark.parametrize(("change", "why"), [
    ({"name": "S19O1M"}, "phase name"), ({"name": "W1901M"}, "phase name"), ({"name": None}, "phase name"),
    ({"units": []}, "'units' must be an object"), ({"units": {"SPAIN": []}}, "'SPAIN'"), ({"units": {"FRANCE": "A PAR"}}, "lists of text"),
    ({"units": {"FRANCE": ["A NTH"]}}, "A NTH"), ({"units": {"FRANCE": ["F SPA"]}}, "F SPA"), ({"units": {"FRANCE": ["F PAR"]}}, "F PAR"),
    ({"units": {"FRANCE": ["A PAR"], "ITALY": ["A PAR"]}}, "PAR twice"), ({"centers": {"FRANCE": ["BUR"]}}, "no supply centre"),
    ({"centers": {"FRANCE": ["PAR"], "ITALY": ["PAR"]}}, "one owner"), ({"contested": ["ATL"]}, "no province"),
    ({"dislodged": [{"power": "FRANCE", "unit": "A PAR", "attacker_from": "BUR", "retreats": []}]}, "only a retreat phase"),
    ({"name": "S1901R", "dislodged": [{"power": "FRANCE", "unit": "A PAR", "attacker_from": "X", "retreats": []}]}, "attacker_from"),
    ({"name": "S1901R", "dislodged": ["A PAR"]}, "needs"), ({"dislodged": "A PAR"}, "must be a list"),
])  # fmt: skip
def test_a_position_from_outside_is_checked(change: dict, why: str) -> None:
    with pytest.raises(BoardError, match=why) as error:
        board_from_json({**board_to_json(initial_board()), **change})
    assert "\n" not in str(error.value)


def test_the_game_begins_with_everyone_at_home() -> None:
    assert initial_board().centers == dict(HOME_CENTERS)
    assert {p: len(units) for p, units in initial_board().units.items()} == {p: 4 if p == "RUSSIA" else 3 for p in POWERS}


def test_a_fork_is_equal_and_shares_nothing_mutable() -> None:
    board = initial_board()
    other = fork(board)
    assert other == board and hash(other) == hash(board)
    assert other.units is not board.units and other.centers is not board.centers
