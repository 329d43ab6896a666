"""A run as a saved game: what is written comes back, under the rules it was played by, and the package loads it."""

import json

import numpy as np
import pytest

from analysis.__main__ import main
from sandbox.log import Event
from scenarios.diplomacy import reference, saved
from scenarios.diplomacy.environment import Options, make
from scenarios.recorded import read_game
from tests.analysis.runs import end, message, write_run

SPRING = {"FRANCE": ["F BRE - ENG", "A PAR - PIC"], "ITALY": ["A VEN - TYR"]}
FALL = {"FRANCE": ["A PIC - BRE VIA"], "ITALY": ["A TYR - VEN"]}  # a fleet could carry it and is not told to


def played(rules):
    """The events of two movement phases: a message, then orders, twice."""
    world, events = make(Options(rules=rules, press_rounds=0)), []
    state = world.start(np.random.default_rng(0))
    for step, moves in enumerate((SPRING, FALL)):
        words = message(f"m{step}", "ITALY", ["FRANCE", "ITALY"], text="Hello, \N{SNOWMAN}!", step=step, time=state.time)
        outcome = world.step(state, moves, np.random.default_rng(0))
        events += [words, Event(kind="outcome", step=step, time=state.time, data={"done": False, "events": list(outcome.events)})]
        state = outcome.state
    return [*events, end()]


@pytest.mark.parametrize(("rules", "where"), [("standard", "A PIC"), ("package", "A BRE")])
def test_a_game_is_written_under_the_rules_it_was_played_by(tmp_path, capsys, rules, where):
    run, file = write_run(tmp_path / "run", played(rules)), tmp_path / "game.json"
    assert main(["export", str(run), str(file)]) == 0
    assert capsys.readouterr().out == f"3 phases, 2 messages: {file}\n"
    game = saved.read(file)
    assert game.id == "run" and [phase.name for phase in game.phases] == ["S1901M", "F1901M", "S1902M"]
    assert set(game.phases[2].units["FRANCE"]) == {"A MAR", "F ENG", where}
    assert game.phases[1].orders["FRANCE"] == ("A PIC - BRE VIA",)
    assert [(m.author, m.text, m.time) for m in read_game(file).messages] == [("ITALY", "Hello, \N{SNOWMAN}!", 0), ("ITALY", "Hello, \N{SNOWMAN}!", 600_000)]


@pytest.mark.skipif(not reference.available(), reason="needs the `diplomacy` package of the development extra")
def test_the_package_loads_the_file(tmp_path):
    run, file = write_run(tmp_path / "run", played("package")), tmp_path / "game.json"
    assert main(["export", str(run), str(file)]) == 0
    theirs = reference.package("diplomacy.utils.export").from_saved_game_format(json.loads(file.read_text()))
    assert [phase.name for phase in theirs.get_phase_history()] == ["S1901M", "F1901M"] and theirs.get_current_phase() == "S1902M"
    assert set(theirs.get_units("FRANCE")) == {"A MAR", "F ENG", "A BRE"}
    assert [m.message for phase in theirs.get_phase_history() for m in phase.messages.values()] == ["Hello, \N{SNOWMAN}!"] * 2


@pytest.mark.parametrize("spoil", ["silent", "changed", "group", "absent", "unwritable"])
def test_what_is_no_game_or_has_no_place_is_one_line_and_nothing_is_written(tmp_path, capsys, spoil):
    events, file = played("standard"), tmp_path / ("no/game.json" if spoil == "unwritable" else "game.json")
    if spoil == "silent":
        events = [events[0], end()]
    if spoil == "changed":
        events[1].data["events"][0]["orders"]["ITALY"] = []
    if spoil == "group":
        events[0] = message("m0", "ITALY", ["FRANCE", "GERMANY", "ITALY"])
    run = tmp_path / "run" if spoil == "absent" else write_run(tmp_path / "run", events)
    assert main(["export", str(run), str(file)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and str(file if spoil == "unwritable" else run) in told.err
    assert not file.exists() and {path.name for path in tmp_path.iterdir()} <= {"run"}
