"""Imports of real files: saved games of people with their orders and positions, corpora, chat; each then exported and imported again."""

import json
import os
from pathlib import Path

import pytest

from sandbox.importing.formats import guess
from sandbox.importing.wish import ImportRefused
from sandbox.log import read_events
from sociallm.corpora import load
from tests.sandbox.exports import runs
from tests.sandbox.imports import exported, imported, said

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the public data at {DATA}; set SOCIALLM_DATA")
GAME = DATA / "cicero_games" / "game_433761_ENGLAND_AG.json"


def outcomes(run: Path):
    return [told for e in read_events(run / "events.jsonl") if e.kind == "outcome" for told in e.data["events"]]


@needs_data
def test_a_recorded_game_is_a_run_of_diplomacy_whose_positions_are_those_of_the_file(tmp_path):
    counts = imported(tmp_path / "runs", GAME)
    (name,) = counts.runs
    value, run = json.loads(GAME.read_text()), tmp_path / "runs" / name
    adjudicated = [told for told in outcomes(run) if told["what"] == "adjudication"]
    assert [told["phase"] for told in adjudicated] == [phase["name"] for phase in value["phases"][:-1]]
    for told, after in zip(adjudicated, value["phases"][1:], strict=True):
        assert told["centers"] == {power: sorted(own) for power, own in after["state"]["centers"].items()} | {p: [] for p in set(told["centers"]) - set(after["state"]["centers"])}
        assert {p: sorted(own) for p, own in told["units"].items()} == {p: sorted(u for u in after["state"]["units"].get(p, ()) if u[0] != "*") for p in told["units"]}
    moves = [e for e in read_events(run / "events.jsonl") if e.kind == "move"]
    assert len(moves) == sum(bool(orders) for phase in value["phases"][:-1] for orders in phase["orders"].values())
    assert counts.messages == sum(len(phase["messages"]) for phase in value["phases"])


@needs_data
def test_a_saved_game_comes_back_from_its_export(tmp_path):
    first = imported(tmp_path / "first", GAME)
    again = imported(tmp_path / "again", exported(tmp_path / "first", tmp_path / "out", "diplomacy", validation=0.0))
    assert set(first.runs.values()) == set(again.runs.values())


def test_a_game_that_was_played_here_has_the_same_orders_positions_and_words_when_it_is_imported(tmp_path):
    counts = imported(tmp_path / "first", exported(runs() / "personas", tmp_path / "out", "diplomacy", validation=0.0))
    (name,) = counts.runs
    ours, theirs = (([t for t in outcomes(run) if t["what"] == "adjudication"]) for run in (runs() / "personas/1", tmp_path / "first" / name))
    assert ours == theirs and len(ours) >= 3
    talk = [row for row in said(runs() / "personas/1") if len(row[2]) > 1]
    assert sorted(said(tmp_path / "first" / name)) == sorted(talk)
    assert guess(tmp_path / "out") == "diplomacy"
    again = imported(tmp_path / "again", exported(tmp_path / "first", tmp_path / "more", "diplomacy", validation=0.0))
    assert set(counts.runs.values()) == set(again.runs.values())


def test_a_game_whose_positions_do_not_follow_is_refused_and_its_words_can_be_had(tmp_path):
    (path,) = exported(runs() / "personas", tmp_path / "out", "diplomacy", validation=0.0).glob("train/*.json")
    value = json.loads(path.read_text())
    value["phases"][0]["orders"]["FRANCE"] = ["A PAR - PIC", "A MAR H", "F BRE - GAS"]
    value["phases"][1]["state"]["units"]["FRANCE"] = ["A PAR", "A MAR", "F BRE"]
    path.write_text(json.dumps(value))
    with pytest.raises(ImportRefused, match="the orders of S1901M lead elsewhere than the file says.*--words"):
        imported(tmp_path / "no", path)
    value["phases"] = value["phases"][1:]
    path.write_text(json.dumps(value))
    with pytest.raises(ImportRefused, match="does not begin as S1901M"):
        imported(tmp_path / "no", path)
    assert imported(tmp_path / "yes", path, words=True).messages == sum(len(phase["messages"]) for phase in value["phases"])


@needs_data
@pytest.mark.parametrize("name", ["llmafia", "hidden_profile_teams"])
def test_a_public_set_says_what_its_own_reader_reads(tmp_path, name):
    counts = imported(tmp_path / "runs", DATA / name)
    found = load(name, DATA)
    assert len(counts.runs) == len(found) and counts.messages == sum(len(c.messages) for c in found)
    assert sorted(said(tmp_path / "runs" / run)[0] for run in counts.runs) == sorted(
        (m.author, m.channel.name, tuple(sorted(m.channel.readers)), m.time, m.text) for c in found for m in c.messages[:1])


@needs_data
def test_chat_lines_as_they_were_published_are_read_with_the_fields_that_are_named(tmp_path):
    path = DATA / "llmafia" / "events.jsonl.gz"
    counts = imported(tmp_path / "runs", path, fields={"conversation": "game"})
    assert (len(counts.runs), counts.messages) == (18, 2638) and guess(path) == "jsonl"
    assert {row[1] for row in said(tmp_path / "runs" / "0001")} == {"manager", "day", "night"}
