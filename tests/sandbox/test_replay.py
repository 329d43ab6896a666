"""Replay: a log that says what the rules have it, and the first record of one that does not. Both forms of a log; one of long ago."""

import json
import shutil
import zlib
from pathlib import Path

import pytest

import sandbox
from sandbox.__main__ import main
from sandbox.log import canonical_hash, describe, read_events
from sandbox.sealed import events_of, read_sealed
from tests.sandbox.runs import run

PLUGIN = ["--plugin", "tests.sandbox.toy"]
GOLDEN = Path(__file__).parent / "golden"
GIVEN = ("environment.narrator=w", "seats.P1=rogue")


def replayed(capsys, folder, code=0):
    assert main(["replay", str(folder), *PLUGIN]) == code
    said = capsys.readouterr()
    if code:
        assert said.err.startswith("sandbox: ") and said.err.count("\n") == 1
        return said.err
    return said.out


def test_a_run_is_as_the_rules_have_it(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    moves, messages = (sum(e.kind == kind for e in events) for kind in ("move", "message"))
    assert f"6 steps, {moves} moves and {messages} messages replayed: every record is as the rules have it" in replayed(capsys, folder)
    (folder / "events.jsonl").unlink()  # in columns alone too
    assert f"6 steps, {moves} moves" in replayed(capsys, folder)


def test_a_run_that_was_killed_is_as_the_rules_have_it_as_far_as_it_goes(capsys, tmp_path):
    from tests.sandbox.test_resume import left

    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    (outcome,) = [e for e in events if e.step == 5 and e.kind == "outcome"]
    for count, steps in ((outcome.seq, 5), (outcome.seq + 1, 6)):  # before the outcome of step 5, and before the reward that goes with it
        assert f"{steps} steps" in (said := replayed(capsys, left(folder, tmp_path, count))) and "the log ends within" in said


def test_a_fork_is_as_the_rules_have_it_from_where_it_began(capsys, tmp_path):
    from tests.sandbox.test_fork import forked

    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    new, _ = forked(capsys, folder, "--at", "3", "--cut", "ALL", "seed=8")
    assert "3 steps" in (said := replayed(capsys, new)) and "from step 3, where this fork began" in said


def forged(folder: Path, kind: str, change) -> int:
    """Change the first event of that kind, with a right checksum and a right hash in the manifest; its line."""
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines) if json.loads(line)["kind"] == kind)
    record = json.loads(lines[number])
    del record["crc"]
    change(record)
    body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()[:-1]
    lines[number] = body + b',"crc":"%08x"}\n' % zlib.crc32(body)
    log.write_bytes(b"".join(lines))
    (folder / "events.parquet").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"log_sha256": canonical_hash(log)}))
    return number + 1


CHANGES = {
    "step": lambda record: record["data"]["slots"][0].__setitem__(1, record["data"]["slots"][0][1] + 1),
    "observation": lambda record: record["data"].__setitem__("view", "0" * 64),
    "delivery": lambda record: record["data"]["readers"].pop(),
    "outcome": lambda record: record["data"].__setitem__("done", True),
    "reward": lambda record: record["data"].__setitem__("reward", 2.0),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_record_that_does_not_follow_is_named_by_file_and_line(capsys, tmp_path, kind):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    line = forged(folder, kind, CHANGES[kind])
    assert f"events.jsonl:{line}: logged" in replayed(capsys, folder, code=2)


def test_a_changed_move_is_found_by_what_it_would_have_led_to(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    forged(folder, "move", lambda record: record["data"].__setitem__("move", 100 if record["data"]["move"] != 100 else 0))
    outcome = next(e for e in events if e.kind == "outcome" and e.data["events"])
    assert f"events.jsonl:{outcome.seq + 1}: logged" in replayed(capsys, folder, code=2)


def test_a_log_that_is_not_the_one_of_the_manifest_or_of_its_columns_is_told(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    for number, (file, told) in enumerate({"manifest.json": "manifest.json says", "events.parquet": "not a sealed log"}.items()):
        copy = shutil.copytree(folder, tmp_path / str(number))
        path = copy / file
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"log_sha256": "', b'"log_sha256": "0') if file == "manifest.json" else content[:-8])
        assert told in replayed(capsys, copy, code=2)


def test_the_columns_are_the_log(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    assert list(read_sealed(folder / "events.parquet")) == events == list(events_of(folder))
    assert main(["log", str(folder / "events.parquet")]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [describe(event) for event in events]


def test_a_run_as_tables(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    live = sandbox.load(folder)
    (folder / "events.jsonl").unlink()
    sealed = sandbox.load(folder)
    for name, kind in {"messages": "message", "moves": "move", "intents": "intent", "memory": "memory", "rewards": "reward"}.items():
        table = getattr(live, name)
        assert table.equals(getattr(sealed, name)) and len(table) == sum(e.kind == kind for e in events)
    said = [e for e in events if e.kind == "message"]
    assert list(live.messages["text"]) == [e.data["text"] for e in said] and list(live.messages["author"]) == [e.agent for e in said]
    assert list(live.messages["step"]) == [e.step for e in said]
    assert list(live.outcomes["aim"]) == [told["aim"] for e in events if e.kind == "outcome" for told in e.data["events"]]
    assert list(live.rewards["reward"]) == [1.0, 1.0]


def test_a_log_of_version_1_is_read_as_it_was_written():
    """Its schedule was drawn by other streams than today's, so it is read and not replayed."""
    log = GOLDEN / "version_1.jsonl"
    assert canonical_hash(log) == (GOLDEN / "version_1.sha256").read_text().strip()
    events = list(read_events(log))
    assert len({event.step for event in events}) == 6 and events[-1].data["ended"] == "done"
