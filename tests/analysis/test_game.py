"""A whole game, played by the negotiators: what analysis works out from the log equals what the agents held in mind, and what they logged."""

import json
from pathlib import Path

import pytest

from analysis.promises import BINDING, binds, phases
from analysis.report import report, tables
from analysis.trust import START, trust
from sandbox.command import run_cell
from sandbox.sealed import events_of
from scenarios.diplomacy.map import POWERS

SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    code, folder = run_cell(str(SCENARIOS / "liars.yaml"), [f"run_dir={tmp_path_factory.mktemp('runs')}", "environment.last_year=1902", "plots=false"], ())
    assert code == 0
    return folder, tuple(events_of(folder))


def test_trust_from_the_log_equals_the_trust_in_the_agents_notes(game):
    folder, events = game
    found, notes = trust(events), json.loads((folder / "snapshots" / "final" / "memories.json").read_text())
    before_last = list(dict.fromkeys(found["phase"]))[-2]  # agents judge the orders of a phase when the next begins
    worked_out = {(row.agent, row.other): row.trust for row in found[found["phase"] == before_last].itertuples()}
    held = {(power, other): value for power in POWERS for other, value in notes[power]["notes"]["trust"].items()}
    assert worked_out == held and len(held) == 42
    assert sum(value != START for value in held.values()) >= 5  # and they are not all what they began with


def test_the_texts_say_what_their_authors_meant_them_to_say(game):
    said = [one for phase in phases(game[1]) for one in phase.said]
    acts = {event.data["id"]: event.data["act"] for event in game[1] if event.kind == "message"}
    assert len(said) == len(acts) > 50
    assert [list(one.acts) for one in said] == [[acts[one.message.id]] for one in said]


def test_every_binding_act_before_orders_is_a_promise_once(game):
    bound, expected, heard = tables(game[1]).promises, set(), set()
    for event in game[1]:
        if event.kind == "message":
            act = event.data["act"]
            if act["act"] in BINDING and binds(act["about"], event.agent):
                heard.add((event.agent, tuple(event.data["to"]), json.dumps(act["about"], sort_keys=True)))
        elif event.kind == "outcome" and any(happened["phase"].endswith("M") for happened in event.data["events"] if happened["what"] == "adjudication"):
            expected |= {(event.step, *one) for one in heard}
            heard = set()
    assert len(bound) == len(expected) > 5
    assert bound["intended_before"].notna().all() and bound["intended_before"].between(0, 1).all()


def test_a_game_gives_every_plot_with_its_table_and_says_what_came_out(game):
    path, lines = report(game[0])
    names = {"centres", "alliances", "promises", "trust", "messages"}
    assert {p.name for p in (path.parent / "plots").iterdir()} == {f"{name}.{kind}" for name in names for kind in ("png", "csv")}
    assert lines[0].split() == ["centres", "start", "1901", "1902"]
    assert sum(int(line.split()[1]) for line in lines[1:8]) == 22 and lines[-1].startswith("messages: ") and lines[-1].endswith(", worded by the grammar")


def test_a_log_in_columns_alone_gives_the_same_report(game, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "events.parquet").write_bytes((game[0] / "events.parquet").read_bytes())
    assert report(tmp_path / "copy")[1] == report(game[0])[1]


def test_a_game_that_the_rules_do_not_repeat_has_no_trust_and_all_the_rest(game, tmp_path):
    changed = [event for event in game[1] if not (event.kind == "outcome" and event.data["events"] and event.data["events"][0]["phase"] == "W1901A")]
    found = tables(changed)
    assert len(found.trust) == 0 and len(found.promises) and len(found.missing) == 1 and "trust is left out" in found.missing[0]
