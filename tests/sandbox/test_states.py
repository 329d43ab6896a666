"""Runs whose agents carry states: a small untrained model, read by the real reader, here and on Ray."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sandbox.__main__ import main
from sandbox.log import canonical_hash
from sandbox.snapshot import load_snapshot
from sociallm.checkpoint import SHIPPED, TOKENIZER, save
from sociallm.layout import SociaLLMConfig
from sociallm.model import build
from sociallm.tokenizer import Tokenizer
from tests.sandbox.runs import run
from tests.sandbox.test_fork import PLUGIN, forked
from tests.sandbox.test_resume import left

SMALL = SociaLLMConfig(
    width=32, layers=2, local_heads=2, local_head_width=16, local_state=8, social_heads=2, social_head_width=8, social_state=8
)
PLAY = ("environment.players=3", "environment.games=1", "seats.default=remembering")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    model = build(SMALL, torch.Generator().manual_seed(0))
    save(folder, model, Tokenizer.load(SHIPPED / "base" / TOKENIZER), {"what": "untrained, for tests"})
    return folder


def states(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "snapshots" / "final").iterdir()) if path.suffix == ".safetensors"}


def test_every_reader_of_every_message_leaves_a_memory_event_and_its_state_in_the_snapshot(capsys, tmp_path, checkpoint):
    folder, events, _ = run(capsys, tmp_path, *PLAY, f"policies.remembering.checkpoint={checkpoint}", "measure.surprise=true")
    read = {(e.data["message"], e.agent) for e in events if e.kind == "memory"}
    assert read == {(e.data["id"], reader) for e in events if e.kind == "message" for reader in e.data["readers"]} and len(read) > 10
    for event in events:
        if event.kind == "memory" and event.data["role"] == "read":
            assert event.data["tokens"] > 0 and min(event.data["surprise"], event.data["surprise_no_states"]) > 0
    assert sorted(states(folder)) == ["P0.safetensors", "P1.safetensors", "P2.safetensors"]
    assert json.loads((folder / "manifest.json").read_text())["checkpoint"]["name"] == str(checkpoint)


def test_states_on_two_ray_hosts_are_those_of_one_process_bit_for_bit(capsys, tmp_path, checkpoint):
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}", "measure.surprise=true", "environment.narrator=w")
    local, here, _ = run(capsys, tmp_path, *given)
    ray, there, _ = run(capsys, tmp_path, *given, "executor=ray", "hosts=2")
    assert canonical_hash(here) == canonical_hash(there)
    assert states(local) == states(ray)


def test_measuring_changes_no_state(capsys, tmp_path, checkpoint):
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}")
    assert states(run(capsys, tmp_path, *given)[0]) == states(run(capsys, tmp_path, *given, "measure.surprise=true")[0])


def test_a_run_with_states_goes_on_after_a_kill_bit_for_bit(capsys, tmp_path, checkpoint):
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}", "measure.surprise=true", "snapshots.every=1", "environment.narrator=w")
    folder, events, _ = run(capsys, tmp_path, *given)
    assert any(name.startswith("channels/") for name in load_snapshot(folder / "snapshots" / "final").files)
    copy = left(folder, tmp_path, next(e.seq for e in events if e.step == 2) + 3, snapshots=1)  # from step 0 over step 1 into step 2
    assert main(["resume", str(copy), *PLUGIN]) == 0
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
    assert load_snapshot(copy / "snapshots" / "final").files == load_snapshot(folder / "snapshots" / "final").files
    _, again = forked(capsys, folder, "--at", "2", "executor=ray", "hosts=2")
    assert canonical_hash(again) == canonical_hash(events)


def test_an_erased_relationship_is_a_memory_made_without_it_and_leaves_the_others(capsys, tmp_path, checkpoint):
    from sociallm.checkpoint import load
    from sociallm.state_files import load_states

    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}", "environment.games=2", "snapshots.every=3")
    folder, events, _ = run(capsys, tmp_path, *given)
    new, again = forked(capsys, folder, "--at", "3", "--erase", "P1:P0")
    (told,) = [e for e in again if e.kind == "intervention"]
    assert (told.agent, told.data) == ("P1", {"what": "erase", "other": "P0", "parts": ["own", "int", "notes"]})
    kept = load(str(checkpoint))

    def of(place, agent):
        return load_states(place / "snapshots" / "00000002" / f"{agent}.safetensors", kept.model, kept.sha256)

    before, after = of(folder, "P1"), of(new, "P1")
    assert before.keys() - after.keys() == {"of P0"} and after["own"].key != before["own"].key
    assert all(after[name].key == before[name].key for name in after.keys() - {"own"})
    assert all(of(folder, agent)[name].key == state.key for agent in ("P0", "P2") for name, state in of(new, agent).items())
    # as if P1 had read nothing where these two are the only readers: the same run with that channel's messages left out of its own state
    from agents.memory import AgentMemory
    from agents.reading import Reader
    from sandbox.record import logged_message

    reader = Reader(str(checkpoint), ("P0", "P1", "P2"))
    locals_, memory = {}, AgentMemory()
    for message in (logged_message(e) for e in events if e.kind == "message" and e.step < 3 and "P1" in e.data["readers"]):
        if message.channel.name != "P0-P1":
            locals_[message.channel.name], (encoded,) = reader.encode(locals_.get(message.channel.name), [message])
            memory = reader.absorb({"P1": memory}, encoded, False)[0]["P1"]
    assert memory.own.key == after["own"].key and torch.equal(memory.own.S_LHPN, after["own"].S_LHPN)


def test_a_checkpoint_that_is_not_there_or_was_changed_is_told_before_anything_is_written(capsys, tmp_path, checkpoint):
    from tests.sandbox.runs import TOY

    changed = tmp_path / "changed"
    shutil.copytree(checkpoint, changed)
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    for path in (tmp_path / "nowhere", changed):
        words = ["run", TOY, "--plugin", "tests.sandbox.toy", *PLAY, f"run_dir={tmp_path}/runs", f"policies.remembering.checkpoint={path}"]
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(path) in said
        assert not (tmp_path / "runs").exists()
