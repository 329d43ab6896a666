"""Forks: the same world again where nothing is changed, another one in exactly what is changed, and nothing shared."""

import json
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.log import canonical_hash, read_events
from sandbox.snapshot import load_snapshot
from tests.sandbox.runs import run

PLUGIN = ["--plugin", "tests.sandbox.toy"]
GIVEN = ("environment.narrator=w", "snapshots.every=2", "environment.games=3")


def forked(capsys, folder, *words, code=0):
    """(folder, events) of a fork."""
    assert main(["fork", str(folder), *PLUGIN, *words]) == code
    said = capsys.readouterr()
    if code:
        assert said.err.startswith("sandbox: ") and said.err.count("\n") == 1
        return said.err
    new = Path(said.out.strip().splitlines()[-1])
    return new, list(read_events(new / "events.jsonl"))


def without_place(event):
    return event.kind, event.step, event.time, event.agent, event.data


@pytest.mark.parametrize("at", [0, 1, 4, 5, 8])
def test_with_nothing_changed_a_fork_goes_on_as_the_run_did(capsys, tmp_path, at):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    new, again = forked(capsys, folder, "--at", str(at))
    assert new != folder and canonical_hash(again) == canonical_hash(events)
    assert load_snapshot(new / "snapshots" / "final").files == load_snapshot(folder / "snapshots" / "final").files
    assert json.loads((new / "manifest.json").read_text())["fork"]["of"] == folder.name


def test_a_fork_on_ray_is_the_fork_of_one_process(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    _, again = forked(capsys, folder, "--at", "4", "executor=ray", "hosts=2")
    assert canonical_hash(again) == canonical_hash(events)


def test_two_forks_share_no_memory_and_leave_the_run_as_it_was(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    one, first = forked(capsys, folder, "--at", "4", "seed=9")
    two, _ = forked(capsys, folder, "--at", "4", "--erase", "P0:P1:notes")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    inodes = [{path.stat().st_ino for path in place.rglob("*") if path.is_file()} for place in (folder, one, two)]
    assert not (inodes[0] & inodes[1] or inodes[0] & inodes[2] or inodes[1] & inodes[2])
    _, third = forked(capsys, folder, "--at", "4", "seed=9")
    assert canonical_hash(first) == canonical_hash(third) != canonical_hash(events)


def test_a_change_of_a_setting_is_an_intervention_and_changes_what_follows_alone(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    _, again = forked(capsys, folder, "--at", "4", "environment.games=2", "--policy", "P2=rogue", "executor=local")
    told = [e for e in again if e.kind == "intervention"]
    assert [without_place(e) for e in told] == [
        ("intervention", 4, 4000, None, {"what": "setting", "key": "environment.games", "from": 3, "to": 2}),
        ("intervention", 4, 4000, "P2", {"what": "policy", "from": "guesser", "to": "rogue"}),
    ]
    first = next(i for i, e in enumerate(events) if e.step == 4)
    assert [without_place(e) for e in again[:first]] == [without_place(e) for e in events[:first]] and again[first].kind == "intervention"
    assert again[-1].step == 5 and again[-1].data["ended"] == "done"
    assert [e.seq for e in again] == list(range(len(again)))


@pytest.mark.parametrize(
    ("words", "wished"),
    [
        (["--policy", "P1=guesser"], "--policy P1=guesser"),
        (["seed=3", "--policy", "P1=guesser", "plots=false"], "seed=3, --policy P1=guesser"),
        (["plots=false"], None),  # where it runs and what is drawn is no wish to change what happens
        (["seed=9", "--policy", "P1=guesser"], None),  # something is changed
        ([], None),
    ],
)
def test_a_wish_that_changes_nothing_is_told(capsys, tmp_path, words, wished):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    assert main(["fork", str(folder), *PLUGIN, "--at", "4", *words]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "nothing is changed" in line]
    assert told == ([f"sandbox: nothing is changed by {wished}: in {folder} it is so already; the fork goes on as the run did"] if wished else [])


def test_a_channel_that_is_cut_carries_nothing_more(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    _, again = forked(capsys, folder, "--at", "4", "--cut", "ALL", "--cut", "P0-P1")

    def channels(found):
        return {e.data["channel"] for e in found if e.kind == "message" and e.step >= 4}

    assert {"ALL", "P0-P1"} <= channels(events) and channels(again) == channels(events) - {"ALL", "P0-P1"}
    assert [e.data for e in again if e.kind == "intervention"] == [{"what": "cut", "channel": name} for name in ("ALL", "P0-P1")]


def test_a_message_that_is_withheld_is_never_sent_and_nobody_hears_it(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    message = next(e for e in events if e.kind == "message" and e.step == 3 and e.agent != "P0")
    name, hears = message.data["id"], set(message.data["readers"]) - {message.agent}
    new, again = forked(capsys, folder, "--withhold", name)
    assert json.loads((new / "manifest.json").read_text())["fork"]["at"] == 3
    assert name not in json.dumps([e.data for e in again if e.kind != "intervention"])
    here, there = ([without_place(e) for e in found if e.step == 3 and e.kind in ("step", "intent", "outcome")] for found in (events, again))
    assert here == there  # until it is not heard, all else is as it was
    counts = [{e.agent: len(e.data["heard"]) for e in found if e.kind == "observation" and e.step == 4} for found in (events, again)]
    assert {agent for agent in counts[0] if counts[0][agent] != counts[1][agent]} == hears


def test_a_fork_that_is_killed_goes_on_with_its_changes(capsys, tmp_path):
    from tests.sandbox.test_resume import left

    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    new, again = forked(capsys, folder, "--at", "4", "--cut", "ALL", "snapshots.every=3")
    at = next(i for i, e in enumerate(again) if e.step == 4)
    for count in (at + 3, at + 20, len(again) - 2):
        copy = left(new, tmp_path, count)
        assert main(["resume", str(copy), *PLUGIN]) == 0
        assert canonical_hash(copy / "events.jsonl") == canonical_hash(again)


def test_a_fork_of_a_fork_keeps_what_the_first_changed(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    new, again = forked(capsys, folder, "--at", "4", "--cut", "ALL")
    for at in ("4", "6"):
        _, once_more = forked(capsys, new, "--at", at)
        assert canonical_hash(once_more) == canonical_hash(again)
    assert "is itself a fork, made at step 4" in forked(capsys, new, "--at", "3", code=2)


def test_from_columns_alone_a_run_can_be_forked(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *GIVEN)
    (folder / "events.jsonl").unlink()
    _, again = forked(capsys, folder, "--at", "4")
    assert canonical_hash(again) == canonical_hash(events)


REFUSED = {
    "late": (["--at", "99"], "can be forked at steps 0 to 8"),
    "no step": ([], "--at is missing"),
    "stranger": (["--at", "4", "--erase", "P0:P9"], "--erase 'P0:P9'"),
    "no channel": (["--at", "4", "--cut", "P1-P0"], "no such channel; there are ALL, P0-P1, P0-P2, P0-P3, P1-P2, P1-P3, P2-P3; did you mean P0-P1?"),
    "no message": (["--withhold", "1:P0:77"], "no such message"),
    "said before": (["--at", "4", "--withhold", "w2"], "it was sent in step 2"),
    "no policy": (["--at", "4", "--policy", "P0"], "expected SEAT=POLICY"),
    "unknown policy": (["--at", "4", "--policy", "P0=guesserr"], "did you mean guesser?"),
    "unknown key": (["--at", "4", "sede=3"], "unknown key 'sede'"),
    "other agents": (["--at", "4", "environment.players=5"], "has the same agents"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_changed_is_told_in_one_line_and_no_folder_is_left(capsys, tmp_path, name):
    folder, _, _ = run(capsys, tmp_path, *GIVEN)
    words, told = REFUSED[name]
    assert told in forked(capsys, folder, *words, code=2)
    assert list(folder.parent.iterdir()) == [folder]
