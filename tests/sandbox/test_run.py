"""A run from its file to its folder, in one process: what is logged, in which order, and what becomes of faults."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from agents.types import Action
from sandbox.__main__ import main
from sandbox.chance import stream
from sandbox.config import load
from sandbox.folder import make_folder
from sandbox.log import KINDS, canonical_hash
from sandbox.record import logged_message
from sociallm.conversation import read_conversations
from tests.sandbox.runs import TOY, run


def of(events, kind, **data):
    return [e for e in events if e.kind == kind and all(e.data.get(key) == value for key, value in data.items())]


def test_the_same_seed_gives_the_same_log_and_another_seed_another(capsys, tmp_path):
    first, second, other = (canonical_hash(run(capsys, tmp_path, seed)[1]) for seed in ("seed=3", "seed=3", "seed=4"))
    assert first == second != other


def test_the_folder_holds_all_that_the_run_was(capsys, tmp_path):
    folder, events, said = run(capsys, tmp_path, "seed=9")
    assert folder.parent == tmp_path / "toy"
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    whole = {"config.yaml", "overrides.yaml", "manifest.json", "events.jsonl", "events.parquet", "conversations.jsonl"}
    assert names == whole | {"snapshots/final/snapshot.json", "snapshots/final/memories.json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["ended"], manifest["seed"], manifest["steps"], manifest["events"]) == ("done", 9, 6, len(events))
    assert manifest["log_sha256"] == canonical_hash(folder / "events.jsonl")
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == 9
    assert yaml.safe_load((folder / "overrides.yaml").read_text()) == [f"run_dir={tmp_path}", "seed=9"]
    assert said.out.splitlines()[-1] == str(folder)


def test_what_a_run_begins_with_is_on_disk_before_its_folder_has_its_name(tmp_path, monkeypatch):
    synced, real, named = set(), os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: (synced.add(os.fstat(file).st_ino), real(file)))
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda part, folder: (named.append((folder, set(synced))), rename(part, folder)))
    setting = load(TOY, [f"run_dir={tmp_path}"], ("tests.sandbox.toy",))
    folder = Path(setting.config.run_dir) / "x"
    make_folder(folder, setting, datetime.now(UTC))
    ((placed, before),) = named
    assert placed == folder and {path.stat().st_ino for path in (folder, *folder.glob("*.*"))} <= before
    assert folder.parent.stat().st_ino in synced - before


def test_a_step_tells_intents_before_words_before_moves_before_outcomes(capsys, tmp_path):
    _, events, _ = run(capsys, tmp_path, "environment.narrator=w", "seats.P0=rogue")
    assert {e.kind for e in events} == set(KINDS) - {"intervention", "memory"}
    for step in range(6):
        places = [KINDS.index(e.kind) for e in events if e.step == step and e.kind != "end"]
        assert places == sorted(places)
    assert [e.seq for e in events] == list(range(len(events))) and events[-1].kind == "end"


def test_every_message_is_delivered_to_exactly_the_readers_of_its_channel(capsys, tmp_path):
    _, events, _ = run(capsys, tmp_path)
    sent = {e.data["id"]: e for e in of(events, "message")}
    assert len(sent) == 28  # 4 writing rounds, 6 pairs and a room: a writer for each
    assert {e.data["message"]: e.data["readers"] for e in of(events, "delivery")} == {
        key: ["P0", "P1", "P2", "P3"] if e.data["channel"] == "ALL" else e.data["channel"].split("-") for key, e in sent.items()
    }


def test_an_agent_hears_what_others_said_since_it_last_acted_and_nothing_else(capsys, tmp_path):
    _, events, _ = run(capsys, tmp_path)
    for agent in ("P0", "P1", "P2", "P3"):
        heard = {e.step: e.data["heard"] for e in of(events, "observation") if e.agent == agent}
        for step in range(1, 6):
            others = [e for e in of(events, "message") if e.step == step - 1 and agent in e.data["readers"] and e.agent != agent]
            assert heard[step] == [e.data["id"] for e in others]


def test_memory_is_handed_from_turn_to_turn(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    for agent in ("P0", "P1", "P2", "P3"):
        kept = json.loads((folder / "snapshots/final/memories.json").read_text())[agent]
        assert kept["channels"] == {} and kept["notes"] == {"heard": sum(len(e.data["heard"]) for e in of(events, "observation") if e.agent == agent)}


def test_the_conversation_of_a_run_is_what_was_said_in_it(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    (said,) = read_conversations(folder / "conversations.jsonl")
    assert sorted(said.messages, key=lambda m: m.id) == sorted(map(logged_message, of(events, "message")), key=lambda m: m.id)


def test_another_agent_leaves_the_streams_of_the_others(capsys, tmp_path):
    def numbers(players):
        _, events, _ = run(capsys, tmp_path, f"environment.players={players}")
        return {(e.step, e.agent): e.data["intent"] for e in of(events, "intent")}

    few, many = numbers(4), numbers(5)
    assert few == {key: value for key, value in many.items() if key[1] != "P4"} and len(many) == 30
    assert few[(2, "P1")] == {str(int(stream(3, "P1", "policy", 2).integers(101))): 1.0}


def test_what_an_agent_may_not_do_becomes_faults_and_the_run_goes_on(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, "environment.players=3", "seats.P0=rogue")
    faults = of(events, "fault")
    assert {e.agent for e in faults} == {"P0"} and {e.data["what"] for e in faults} == {"message", "intent", "move", "wording"}
    fair = [e for e in of(events, "message") if e.agent == "P0"]
    assert fair and all(e.data["text"] == "hello" and e.data["id"].endswith(":fair") for e in fair)
    assert all(e.agent in e.data["readers"] and set(e.data["readers"]) <= {"P0", "P1", "P2"} for e in of(events, "message"))
    assert of(events, "outcome")[-1].data["done"] and events[-1].data == {"ended": "done", "why": None}
    assert json.loads((folder / "manifest.json").read_text())["faults"] == len(faults)


def test_a_policy_that_raises_ends_the_run_in_one_line_with_a_sealed_log(capsys, tmp_path):
    folder, events, said = run(capsys, tmp_path, "seats.P2=crashing", code=1)
    why = "policy 'crashing' of P2 raised KeyError: 'a plan\\nof two lines' (crashing.py:21)"
    assert said.err.splitlines() == [f"sandbox: {why}"]
    assert [(e.kind, e.step) for e in events[-2:]] == [("fault", 2), ("end", 2)]  # step 3 is not in the log: nothing half-done
    assert events[-2].data == {"what": "run", "why": why} and events[-1].data == {"ended": "fault", "why": why}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["ended"], manifest["why"], manifest["steps"]) == ("fault", why, 3)
    assert len(list(read_conversations(folder / "conversations.jsonl"))[0].messages) == len(of(events, "message"))


@pytest.mark.parametrize("override", ["seed=abc", "environment.plyers=3", "environment._target_=os.system"])
def test_nothing_is_written_before_the_configuration_is_accepted(capsys, tmp_path, override):
    from tests.sandbox.runs import TOY

    assert main(["run", TOY, "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}/runs", override]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("sandbox: override ") and said.err.count("\n") == 1 and said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("results", [[], [Action()], [(Action(), None, None)], None], ids=["none", "no memory", "three", "nothing"])
def test_a_policy_that_hands_over_something_else_ends_the_run_in_one_line(results):
    from sandbox.host import AgentFault, Cast
    from sandbox.hosts import LocalExecutor
    from tests.sandbox.test_hosts import observations

    options = {"name": "toy", "players": 3, "rounds": 2, "games": 2, "narrator": None}
    cast = Cast(seed=1, seats={"P0": "guesser"}, policies={"guesser": {}}, environment=options, plugins=("tests.sandbox.toy",))
    with LocalExecutor(cast) as hosts:
        hosts._host._policies["guesser"].step = lambda turns: results
        with pytest.raises(AgentFault, match="policy 'guesser'"):
            hosts.act(observations()[:1])
