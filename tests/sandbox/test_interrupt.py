"""Ctrl-C and SIGTERM: the run ends after its step, the log is sealed, the folder is named, the exit code says why."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.interrupt import Halt, Interrupted
from sandbox.log import canonical_hash, read_events
from tests.sandbox.runs import run

ROOT = Path(__file__).parents[2]


def started(tmp_path, *overrides):
    """A long run in a process of its own, once its log has come to its third step."""
    command = [sys.executable, "-m", "sandbox", "run", "tests/sandbox/toy.yaml", "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}"]
    command += ["seats.default=slow", "environment.games=2000", *overrides]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        logs = list(tmp_path.glob("toy/*/events.jsonl"))
        if logs and b'"step":2,' in logs[0].read_bytes():
            return child, logs[0]
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.05)
    child.kill()
    raise AssertionError("the run did not begin")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_sealed_log(tmp_path, number, code):
    child, log = started(tmp_path)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    events = list(read_events(log))
    assert child.returncode == code
    assert events[-1].kind == "end" and events[-1].data == {"ended": "interrupted", "why": number.name}
    assert out.splitlines()[-1] == str(log.parent) and "Traceback" not in err
    assert err.count("sandbox: ends after this step; once more ends it at once\n") == 1
    assert f"to go on: python -m sandbox resume {log.parent} --plugin tests.sandbox.toy" in err
    manifest = json.loads((log.parent / "manifest.json").read_text())
    assert (manifest["ended"], manifest["log_sha256"]) == ("interrupted", canonical_hash(log))
    assert (log.parent / "snapshots" / "final" / "snapshot.json").is_file() and (log.parent / "conversations.jsonl").stat().st_size > 0


def test_an_interrupted_log_is_the_beginning_of_the_whole_one(capsys, tmp_path):
    child, log = started(tmp_path / "cut")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    cut = list(read_events(log))
    last = cut[-1].step
    _, whole, _ = run(capsys, tmp_path, "seats.default=slow", "policies.slow.seconds=0", f"environment.games={last // 3 + 2}")
    assert last > 1 and canonical_hash(cut[:-1]) == canonical_hash([event for event in whole if event.step <= last])


def test_a_kill_leaves_at_most_one_torn_record_and_a_manifest_that_says_the_run_did_not_end(tmp_path):
    child, log = started(tmp_path)
    child.kill()
    child.communicate(timeout=60)
    events = list(read_events(log, torn=lambda _: None))
    assert len(events) > 10 and json.loads((log.parent / "manifest.json").read_text())["ended"] is None


def test_a_signal_on_ray_ends_the_run_and_all_its_processes(tmp_path):
    child, log = started(tmp_path, "executor=ray")
    family = descendants(child.pid)
    assert len(family) > 3
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130 and out.splitlines()[-1] == str(log.parent)
    assert list(read_events(log))[-1].data["ended"] == "interrupted"
    for _ in range(600):
        if not [pid for pid in family if alive(pid)]:
            break
        time.sleep(0.1)
    assert [pid for pid in family if alive(pid)] == []


def descendants(pid):
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_while_playing_the_first_signal_waits_and_the_second_does_not():
    with Halt() as halt:
        halt.playing = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert halt() and halt.signal == signal.SIGTERM
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)


def test_before_playing_the_first_signal_is_obeyed_at_once_and_afterwards_handlers_are_as_they_were():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted), Halt():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before
