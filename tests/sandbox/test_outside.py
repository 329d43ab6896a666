"""Agents whose answers come from outside: asked once and never again, whatever is stopped, killed, forked or replayed; and what they take is counted."""

import json
import shutil
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.log import canonical_hash, read_events
from sandbox.schema import BudgetConfig
from sandbox.spent import Spent
from tests.sandbox.runs import TOY

PLUGINS = ["--plugin", "tests.sandbox.toy", "--plugin", "tests.sandbox.asked"]


def play(capsys, tmp_path, *words, code=0, command="run", file=TOY):
    given = [*words, f"run_dir={tmp_path}", f"policies.asked.counter={tmp_path}/count"] if command == "run" else list(words)
    assert main([command, str(file), *given, *PLUGINS]) == code
    return Path(capsys.readouterr().out.strip().splitlines()[-1])


def asked(tmp_path):
    return int((tmp_path / "count").read_text())


def events_of(folder):
    return list(read_events(folder / "events.jsonl"))


def test_what_an_answer_took_and_what_went_wrong_stand_in_the_log(capsys, tmp_path):
    events = events_of(play(capsys, tmp_path, "seats.P1=asked"))
    usage = [e.data["usage"] for e in events if e.kind == "intent" and e.agent == "P1"]
    faults = [e.data for e in events if e.kind == "fault"]
    assert [u["tokens_out"] for u in usage] == list(range(1, asked(tmp_path) + 1))
    assert faults == [{"what": "slow", "why": f"call {n}"} for n in range(1, asked(tmp_path) + 1)]


def test_how_long_an_answer_took_is_no_part_of_the_canonical_log(capsys, tmp_path):
    events = events_of(play(capsys, tmp_path, "seats.P1=asked"))
    slower = [e._replace(data={**e.data, "usage": {**e.data["usage"], "seconds": 99.0}}) if "usage" in e.data else e for e in events]
    dearer = [e._replace(data={**e.data, "usage": {**e.data["usage"], "cost": 99.0}}) if "usage" in e.data else e for e in events]
    assert canonical_hash(slower) == canonical_hash(events) != canonical_hash(dearer)


def test_cut_at_any_record_it_goes_on_and_asks_nobody_again_whose_answer_is_logged(capsys, tmp_path):
    whole = play(capsys, tmp_path, "seats.P1=asked", "snapshots.every=2")
    lines, calls = (whole / "events.jsonl").read_bytes().splitlines(keepends=True), asked(tmp_path)
    events = events_of(whole)
    for n in range(1, len(lines), 7):
        folder = tmp_path / f"cut{n}"
        shutil.copytree(whole, folder)
        (folder / "events.jsonl").write_bytes(b"".join(lines[:n]) + lines[n][:9])
        manifest = json.loads((folder / "manifest.json").read_text()) | {"ended": None}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        shutil.rmtree(folder / "snapshots" / "final")
        (tmp_path / "count").write_text(str(calls))
        play(capsys, tmp_path, command="resume", file=folder)
        after = events_of(folder)
        settled = max((e.seq for e in events[:n] if e.kind == "outcome"), default=-1)
        assert [e.data["usage"] for e in after if e.kind == "intent" and e.agent == "P1" and e.seq < settled] == [
            e.data["usage"] for e in events if e.kind == "intent" and e.agent == "P1" and e.seq < settled]  # fmt: skip
        known = sum(e.kind == "intent" and e.agent == "P1" for e in events if e.seq < settled)
        assert asked(tmp_path) - calls == calls - known, n  # each of the others once
        final = json.loads((folder / "snapshots" / "final" / "memories.json").read_text())
        assert len(final["P1"]["notes"]) == calls


def test_the_same_with_hosts_on_ray_where_the_asked_sit_in_this_process(capsys, tmp_path):
    local = events_of(play(capsys, tmp_path, "seats.P1=asked"))
    (tmp_path / "count").unlink()
    assert canonical_hash(events_of(play(capsys, tmp_path, "seats.P1=asked", "executor=ray", "hosts=2"))) == canonical_hash(local)


def test_a_run_of_which_all_sit_outside_needs_no_ray(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("sandbox.hosts._start_ray", lambda *_: pytest.fail("Ray was started"))
    play(capsys, tmp_path, "seats.default=asked", "executor=ray")


def test_replay_holds_what_was_asked_against_the_rules(capsys, tmp_path):
    folder = play(capsys, tmp_path, "seats.P1=asked")
    calls = asked(tmp_path)
    assert main(["replay", str(folder), *PLUGINS]) == 0 and asked(tmp_path) == calls


def test_a_fork_asks_from_its_step_on_and_no_earlier(capsys, tmp_path):
    folder = play(capsys, tmp_path, "seats.P1=asked")
    calls, before = asked(tmp_path), events_of(folder)
    forked = events_of(play(capsys, tmp_path, "--at", "4", command="fork", file=folder))
    assert asked(tmp_path) - calls == sum(e.kind == "intent" and e.agent == "P1" and e.step >= 4 for e in before)
    assert [e for e in forked if e.step < 4 and e.kind != "end"] == [e for e in before if e.step < 4]


@pytest.mark.parametrize(("limit", "steps"), [("budget.calls=3", 3), ("budget.tokens=36", 3), ("budget.cost=0.9", 2), ("budget.messages=1", 1)])
def test_a_budget_ends_a_run_after_the_step_that_reached_it(capsys, tmp_path, limit, steps):
    folder = play(capsys, tmp_path, "seats.P1=asked", limit, code=3)
    events, manifest = events_of(folder), json.loads((folder / "manifest.json").read_text())
    assert (events[-1].kind, events[-1].data["ended"], manifest["ended"]) == ("end", "limit", "limit")
    assert sum(e.kind == "step" for e in events) == steps and limit.split("=")[0] in manifest["why"]
    calls = asked(tmp_path)
    play(capsys, tmp_path, command="resume", file=folder, code=3)
    assert asked(tmp_path) == calls  # spent is spent


def test_what_is_spent_is_counted_and_anything_may_stand_in_a_log():
    spent = Spent().after({"calls": 2, "tokens_in": 3, "tokens_out": 4, "cost": 0.25})
    assert (spent.calls, spent.tokens, spent.cost) == (2, 7, 0.25)
    for hostile in (None, 5, "x", {}, {"calls": -1, "cost": float("nan")}, {"tokens_in": 2**70, "cost": "1"}, {"cost": True, "calls": True}, {"cost": float("inf")}):
        assert spent.after(hostile) == spent
    assert spent.over(BudgetConfig(), 9) is None and "budget.tokens is 7" in str(spent.over(BudgetConfig(tokens=7), 9))
