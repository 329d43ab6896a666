"""Going on after a kill: whatever was on disk, the run ends with the log of one that was never stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.folder import held
from sandbox.log import canonical_hash, read_events
from tests.sandbox.runs import run

ROOT = Path(__file__).parents[2]
PLUGIN = ["--plugin", "tests.sandbox.toy"]
GIVEN = ("environment.narrator=w", "snapshots.every=2")


def left(folder: Path, where: Path, events: int, tail: bytes = b"", snapshots: int | None = None) -> Path:
    """A copy of a run as a kill would have left it: so many events and the beginning of one more; the snapshots up to then."""
    copy = where / f"left-{events}-{len(tail)}-{snapshots}"
    shutil.copytree(folder, copy)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "events.jsonl").write_bytes(b"".join(lines[:events]) + tail)
    (copy / "events.parquet").unlink()
    shutil.rmtree(copy / "snapshots" / "final")
    kept = sorted((copy / "snapshots").iterdir())
    for path in kept[snapshots:] if snapshots is not None else []:
        shutil.rmtree(path)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"ended": None}))
    return copy


def test_every_beginning_of_a_log_goes_on_to_the_same_end(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    for count in (0, 1, 7, 30, 61, 62, 63, 90, len(lines) - 1):
        copy = left(folder, tmp_path, count, lines[count][: len(lines[count]) // 2])
        assert main(["resume", str(copy), *PLUGIN]) == 0
        assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
        again = (copy / "events.jsonl").read_bytes().splitlines(keepends=True)
        assert again[:count] == lines[:count]  # what was written stands as it was written, wall time and all
        manifest = json.loads((copy / "manifest.json").read_text())
        assert (manifest["ended"], manifest["log_sha256"], len(manifest["resumed"])) == ("done", canonical_hash(events), 1)
        assert manifest["resumed"][0]["bytes_cut"] == len(lines[count]) // 2
    assert capsys.readouterr().err == ""


def test_without_snapshots_a_run_goes_over_all_that_is_logged(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100, snapshots=0)
    assert main(["resume", str(copy), *PLUGIN]) == 0
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)


@pytest.mark.parametrize("part", ["final.part", "final.old.part"])
def test_a_last_snapshot_without_its_name_is_taken_again(capsys, tmp_path, part):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, len(events) - 1)
    shutil.copytree(folder / "snapshots" / "final", copy / "snapshots" / part)
    assert main(["resume", str(copy), *PLUGIN]) == 0
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
    assert {path.name for path in (copy / "snapshots").iterdir()} == {path.name for path in (folder / "snapshots").iterdir()}


@pytest.mark.parametrize("damage", ["flipped", "missing", "of another log", "half written"])
def test_a_snapshot_that_is_not_whole_is_passed_over(capsys, tmp_path, damage):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100)
    last = copy / "snapshots" / "00000003"
    memories, stated = last / "memories.json", last / "snapshot.json"
    if damage == "flipped":
        memories.write_bytes(memories.read_bytes().replace(b'"heard": ', b'"heard": 9'))
    elif damage == "missing":
        memories.unlink()
    elif damage == "half written":
        stated.write_bytes(stated.read_bytes()[:100])
    else:
        stated.write_text(json.dumps(json.loads(stated.read_text()) | {"log_sha256": "0" * 64}))
    assert main(["resume", str(copy), *PLUGIN]) == 0
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
    manifest = json.loads((copy / "manifest.json").read_text())
    assert manifest["resumed"][0]["step"] == 1


def test_an_interrupted_run_goes_on_and_its_marks_are_gone(tmp_path, capsys):
    import signal

    from tests.sandbox.test_interrupt import started

    child, log = started(tmp_path / "cut", "policies.slow.seconds=0.01", "environment.games=20", "snapshots.every=4")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert list(read_events(log))[-1].data["ended"] == "interrupted"
    assert main(["resume", str(log.parent), *PLUGIN]) == 0
    _, whole, _ = run(capsys, tmp_path, "seats.default=slow", "policies.slow.seconds=0", "environment.games=20")
    assert canonical_hash(log) == canonical_hash(whole)
    assert json.loads((log.parent / "manifest.json").read_text())["resumed"][0]["was"] == ["SIGINT"]


def test_a_policy_that_broke_breaks_again_and_the_log_is_the_same(capsys, tmp_path):
    folder, events, said = run(capsys, tmp_path, "seats.P2=crashing", "snapshots.every=2", code=1)
    assert main(["resume", str(folder), *PLUGIN]) == 1
    assert canonical_hash(folder / "events.jsonl") == canonical_hash(events)
    assert capsys.readouterr().err.splitlines() == said.err.splitlines()


def test_a_run_that_is_done_says_so(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["resume", str(folder), *PLUGIN]) == 0
    assert "the run is done" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def changed_config(copy):
    path = copy / "config.yaml"
    path.write_text(path.read_text().replace("seed: 3", "seed: 4"))


def changed_manifest(key, value):
    def change(copy):
        path = copy / "manifest.json"
        manifest = json.loads(path.read_text())
        part = manifest
        for name in key[:-1]:
            part = part[name]
        part[key[-1]] = value
        path.write_text(json.dumps(manifest))

    return change


def flip(copy):
    path = copy / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"I say", b"I lie", 1))


REFUSED = {
    "config": (changed_config, "config.yaml: changed since the run began"),
    "torch": (changed_manifest(["versions", "torch"], "1.0"), "begun with torch 1.0"),
    "python": (changed_manifest(["python"], "3.9.0"), "begun with Python 3.9.0"),
    "decoding": (changed_manifest(["decoding"], "c++"), "worded by c++ code"),
    "checkpoint": (changed_manifest(["checkpoint"], {"name": "x", "sha256": "0" * 64}), "is not the one the run began with"),
    "plug-in": (changed_manifest(["plugin_sha256", "tests.sandbox.guesser"], "0" * 64), "plug-in module tests.sandbox.guesser was changed"),
    "no manifest": (lambda copy: (copy / "manifest.json").unlink(), "manifest.json: missing"),
    "half a manifest": (lambda copy: (copy / "manifest.json").write_text('{"v": 2, '), "not the manifest of a run"),
    "damaged log": (flip, "events.jsonl:"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_as_it_was_is_refused_in_one_line_and_nothing_is_written(capsys, tmp_path, name):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100)
    change, told = REFUSED[name]
    change(copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert main(["resume", str(copy), *PLUGIN]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("sandbox: ") and told in said.err and said.err.count("\n") == 1 and said.out == ""
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("words", "told"), [(["nowhere", *PLUGIN], "no such folder"), (["FOLDER"], "made with --plugin tests.sandbox.toy")])
def test_a_folder_that_is_not_there_or_a_plug_in_not_named_is_told_in_one_line(capsys, tmp_path, words, told):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100)
    assert main(["resume", *(str(copy) if word == "FOLDER" else word for word in words)]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_code_that_acts_otherwise_is_found_out_and_nothing_is_written(capsys, tmp_path, monkeypatch):
    from tests.sandbox.toy import Talker

    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100)
    before = (copy / "events.jsonl").read_bytes()
    real = Talker.one

    def other(self, turn):
        turn.rng.integers(2)
        return real(self, turn)

    monkeypatch.setattr(Talker, "one", other)
    assert main(["resume", str(copy), *PLUGIN]) == 1
    said = capsys.readouterr().err
    assert "the run did not repeat itself" in said and said.count("\n") == 1
    assert (copy / "events.jsonl").read_bytes() == before


def test_two_cannot_run_in_one_folder(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    copy = left(folder, tmp_path, 100)
    with held(copy):
        words = [sys.executable, "-m", "sandbox", "resume", str(copy), *PLUGIN]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "another process is running in it" in done.stderr and done.stderr.count("\n") == 1


def test_a_full_disk_at_a_snapshot_ends_the_run_in_one_line_and_it_can_go_on(capsys, tmp_path, monkeypatch):
    import sandbox.snapshot as snapshot

    real = snapshot._write
    monkeypatch.setattr(snapshot, "_write", lambda path, content: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    folder, events, said = run(capsys, tmp_path, *GIVEN, code=1)
    assert said.err.count("\n") == 1 and "No space left" in said.err and events[-1].data["ended"] == "fault"
    assert not [path for path in (folder / "snapshots").iterdir() if not path.name.endswith(".part")]
    monkeypatch.setattr(snapshot, "_write", real)
    assert main(["resume", str(folder), *PLUGIN]) == 0
    _, whole, _ = run(capsys, tmp_path, *GIVEN)
    assert canonical_hash(folder / "events.jsonl") == canonical_hash(whole)
    assert not list((folder / "snapshots").glob("*.part"))


def test_a_torn_write_of_a_full_disk_is_taken_off(capsys, tmp_path, monkeypatch):
    real, room = os.write, [9000]

    def write(file, line):
        if len(line) > 100:
            line = line[: max(0, room[0])]
            room[0] -= len(line)
        return real(file, line)

    monkeypatch.setattr(os, "write", write)
    assert main(["run", str(ROOT / "tests/sandbox/toy.yaml"), *PLUGIN, f"run_dir={tmp_path}", *GIVEN]) == 1
    monkeypatch.undo()
    (folder,) = (tmp_path / "toy").iterdir()
    assert main(["resume", str(folder), *PLUGIN]) == 0
    _, whole, _ = run(capsys, tmp_path, *GIVEN)
    assert canonical_hash(folder / "events.jsonl") == canonical_hash(whole)


def test_only_the_newest_snapshots_are_kept_and_the_last(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, "environment.games=5", "snapshots.every=2")
    names = sorted(path.name for path in (folder / "snapshots").iterdir())
    assert names == ["00000009", "00000011", "00000013", "final"]


def test_notes_that_json_would_change_are_refused_rather_than_restored_otherwise(capsys, tmp_path, monkeypatch):
    import dataclasses

    from tests.sandbox.toy import Talker

    real = Talker.one

    def one(self, turn):
        action, memory = real(self, turn)
        return action, dataclasses.replace(memory, notes=memory.notes | {"pair": (1, 2)})

    monkeypatch.setattr(Talker, "one", one)
    _, _, said = run(capsys, tmp_path, *GIVEN, code=1)
    assert "the notes of P0 (policy 'guesser') cannot be kept in a snapshot" in said.err and said.err.count("\n") == 1
