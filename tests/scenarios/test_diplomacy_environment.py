"""Diplomacy as a world: windows, who is asked, what is shown, what follows from any move, and how a game ends."""

from __future__ import annotations

import json

import pytest

from scenarios.diplomacy.board import Board, Dislodged, board_from_json, board_hash, initial_board
from scenarios.diplomacy.environment import EVERYONE, MAX_ORDERS, PAIRS, Options, State, make, read_move
from scenarios.diplomacy.map import HOME_CENTERS, POWERS
from tests.scenarios.table_play import play, stream

RNG = stream("world")
WORLD = make(Options(last_year=1901, press_rounds=2, phase_ms=9000))


def position(**changes) -> Board:
    start = initial_board()
    return Board(**{"year": 1901, "season": "S", "phase": "M", "units": start.units, "centers": start.centers} | changes)


def test_a_movement_phase_is_two_press_rounds_and_one_window_for_orders():
    state, seen = WORLD.start(RNG), []
    for _ in range(3):
        window = WORLD.window(state)
        seen.append((window.start, window.end, len(window.channels), window.move_due, window.agents))
        state = WORLD.step(state, {}, RNG).state
    assert seen == [(0, 3000, 22, False, POWERS), (3000, 6000, 22, False, POWERS), (6000, 9000, 0, True, POWERS)]
    assert state.board.name == "F1901M" and state.time == 9000 and state.round == 0


def test_there_is_a_channel_for_every_pair_by_sorted_names_and_a_public_one():
    assert len(PAIRS) == 21 and all(c.name == "-".join(sorted(c.readers)) for c in PAIRS)
    assert EVERYONE.readers == set(POWERS)


def test_no_press_round_means_orders_at_once():
    world = make(Options(press_rounds=0))
    assert world.window(world.start(RNG)).move_due


def test_an_agent_sees_the_public_position_and_only_its_own_legal_orders():
    state = WORLD.start(RNG)
    seen = WORLD.observe(state, "ITALY")
    assert board_from_json(seen["board"]) == state.board
    assert set(seen["legal"]) == {"A ROM", "A VEN", "F NAP"} and "A VEN - TYR" in seen["legal"]["A VEN"]
    others = {**WORLD.observe(state, "TURKEY"), "legal": None, "power": None}
    assert others == {**seen, "legal": None, "power": None}
    assert json.loads(json.dumps(seen)) == seen


def test_orders_given_by_unit_or_as_a_list_are_the_same_move():
    state = State(initial_board(), round=2)
    listed = WORLD.step(state, {"AUSTRIA": ["A VIE - GAL", "f tri  -  alb"]}, RNG)
    by_unit = WORLD.step(state, {"AUSTRIA": {"A VIE": "A VIE - GAL", "F TRI": "F TRI - ALB"}}, RNG)
    assert listed.state == by_unit.state
    assert listed.state.board.units["AUSTRIA"] == ("A BUD", "A GAL", "F ALB")


def test_an_adjudication_is_told_with_orders_results_units_and_centres():
    outcome = WORLD.step(State(initial_board(), round=2), {"AUSTRIA": ["A VIE - GAL"], "RUSSIA": ["A WAR - GAL"]}, RNG)
    (event,) = outcome.events
    assert event["what"] == "adjudication" and event["phase"] == "S1901M" and event["next"] == "F1901M"
    assert event["orders"] == {"AUSTRIA": ["A VIE - GAL"], "RUSSIA": ["A WAR - GAL"]}
    assert event["results"] == {"AUSTRIA": {"A VIE - GAL": "bounces"}, "RUSSIA": {"A WAR - GAL": "bounces"}}
    assert event["units"]["RUSSIA"] == ["A MOS", "A WAR", "F SEV", "F STP/SC"] and event["centers"]["TURKEY"] == list(
        HOME_CENTERS["TURKEY"]
    )
    assert event["board"] == board_hash(outcome.state.board)
    assert WORLD.observe(outcome.state, "ITALY")["recent"] == [{k: event[k] for k in ("phase", "orders", "results")}]


MOVES = (
    None, 7, "A VIE - GAL", [], {}, [None], [["A VIE - GAL"]], {"A VIE": {"to": "GAL"}}, ["A VIE - XXX"], ["A PAR - BUR"], ["F VIE - GAL"],
    ["A VIE - GAL"] * 100, ["x" * 10_000], {"BUILD": ["A VIE B"]}, [float("nan")],
)  # fmt: skip


@pytest.mark.parametrize("move", MOVES, ids=lambda move: repr(move)[:30])
def test_no_move_however_malformed_raises_and_what_is_wrong_is_named(move):
    outcome = WORLD.step(State(initial_board(), round=2), {"AUSTRIA": move}, RNG)
    assert outcome.state.board.name == "F1901M"
    faults = [e for e in outcome.events if e["what"] == "illegal"]
    fine = move is None or move in ([], {}, "A VIE - GAL")
    assert bool(faults) is not fine
    assert all(e["agent"] == "AUSTRIA" and e["reason"] and len(json.dumps(e)) < 500 for e in faults)


def test_only_so_many_orders_are_read():
    orders, refused = read_move(["A VIE H"] * (MAX_ORDERS + 5))
    assert len(orders) == MAX_ORDERS and "at most" in refused[-1][1]


def test_who_is_not_asked_cannot_order():
    board = position(phase="R", dislodged=(Dislodged("ITALY", "A APU", "ION", ("ROM",)),), units={**initial_board().units, "ITALY": ()})
    assert WORLD.window(State(board)).agents == ("ITALY",) and WORLD.window(State(board)).move_due
    outcome = WORLD.step(State(board), {"FRANCE": ["A PAR D"], "ITALY": {"A APU": "A APU R ROM"}}, RNG)
    assert outcome.state.board.units["ITALY"] == ("A ROM",)
    assert [e["agent"] for e in outcome.events if e["what"] == "illegal"] == ["FRANCE"]


def test_an_eliminated_power_is_not_asked_and_its_channels_are_closed():
    start = initial_board()
    board = position(units={**start.units, "TURKEY": ()}, centers={**start.centers, "TURKEY": ()})
    window = WORLD.window(State(board))
    assert "TURKEY" not in window.agents
    assert len(window.channels) == 15 + 1 and all("TURKEY" not in c.readers for c in window.channels if c != EVERYONE)


def test_builds_and_removals_are_asked_of_those_concerned_alone():
    start = initial_board()
    centers = {**start.centers, "FRANCE": (*HOME_CENTERS["FRANCE"], "POR"), "ITALY": ("NAP", "ROM")}
    board = position(season="W", phase="A", centers=centers, units={**start.units, "FRANCE": ("A BUR", "F POR", "A GAS")})
    state = State(board)
    assert WORLD.window(state).agents == ("FRANCE", "ITALY")
    assert (WORLD.observe(state, "FRANCE")["count"], WORLD.observe(state, "ITALY")["count"]) == (1, -1)
    outcome = WORLD.step(state, {"FRANCE": {"BUILD": ["F BRE B"]}, "ITALY": ["A VEN D"]}, RNG)
    units = outcome.state.board.units
    assert "F BRE" in units["FRANCE"] and units["ITALY"] == ("A ROM", "F NAP")
    assert outcome.done  # the last year's winter is over


def test_rewards_are_the_centres_won_and_lost_in_the_fall():
    start = initial_board()
    board = position(season="F", units={**start.units, "TURKEY": ("A BUL", "A SMY", "F ANK")})
    outcome = WORLD.step(State(board, round=2), {}, RNG)
    assert outcome.rewards == {p: float(p == "TURKEY") for p in POWERS}
    assert WORLD.step(State(position(), round=2), {}, RNG).rewards == {}


def test_eighteen_centres_end_the_game():
    won = ("BUL", *(c for p in ("TURKEY", "RUSSIA", "AUSTRIA", "ITALY", "GERMANY") for c in HOME_CENTERS[p]))
    board = position(season="F", centers={"TURKEY": won}, units={"TURKEY": ("A GRE",), "FRANCE": ("A PAR",)})
    outcome = make(Options(last_year=1950, press_rounds=2)).step(State(board, round=2), {}, RNG)
    assert len(outcome.state.board.centers["TURKEY"]) == 18 and outcome.done


def test_a_game_ends_after_the_last_years_winter_and_every_state_has_a_json_form():
    world = make(Options(last_year=1902))
    steps = list(play(world, seed=5))
    assert [s.outcome.done for s in steps].count(True) == 1 and steps[-1].outcome.done
    assert steps[-1].outcome.state.board.year == 1903
    for step in steps:
        form = world.to_json(step.outcome.state)
        assert json.loads(json.dumps(form)) == form
        assert board_from_json(form["board"]) == step.outcome.state.board


def test_the_same_seed_gives_the_same_game_and_another_seed_another():
    world = make(Options(last_year=1901))
    games = [[s.outcome.events for s in play(world, seed)] for seed in (1, 1, 2)]
    assert games[0] == games[1] != games[2]


def test_rules_rerun_on_the_told_moves_give_the_same_boards():
    world = make(Options(last_year=1902))
    for step in play(world, seed=8):
        moves = {a: action.move for a, action in step.actions.items()}
        assert world.step(step.state, moves, RNG) == step.outcome


@pytest.mark.parametrize(
    ("options", "name"), [({"last_year": 1899}, "last_year"), ({"press_rounds": -1}, "press_rounds"), ({"phase_ms": 0}, "phase_ms")]
)
def test_options_out_of_range_are_named(options, name):
    with pytest.raises(ValueError, match=f"environment.{name}: got .*, expected"):
        make(Options(**options))


def test_the_share_of_a_game_behind_grows_with_years_and_press_rounds():
    world = make(Options(last_year=1902, press_rounds=2))  # two years of two seasons of three windows
    spring, fall = position(), position(season="F")
    behind = [
        State(spring), State(spring, round=1), State(spring, round=2), State(position(phase="R")), State(fall),
        State(fall, round=2), State(position(season="W", phase="A")), State(position(year=1902)), State(position(year=1903)),
    ]  # fmt: skip
    assert [round(world.share(state) * 12, 9) for state in behind] == [0, 1, 2, 3, 3, 5, 6, 6, 12]
