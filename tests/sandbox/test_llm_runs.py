"""Whole runs with seats on a server: the same log whoever hosts it, nobody asked twice after a kill, no key anywhere (S7), an end where the budget is."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.log import canonical_hash, read_events
from tests.agents.stub_server import reply_of, serving

KEY = "sk-canary-0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]
MARKET = ["scenarios/market.yaml", "environment.sellers=3", "environment.rounds=3", "environment.chat=private", "environment.talks=1", "plots=false", "snapshots.every=2"]
SEATS = ["seats.default=llm", "seats.S2=scripted", "policies.llm.checkpoint=null", "policies.llm.timeout=30"]


@pytest.fixture
def stub():
    with serving() as server:
        yield server


def words(stub, folder, *more, model="player"):
    return [*MARKET, *SEATS, f"run_dir={folder}", f"policies.llm.base_url={stub.url}", f"policies.llm.model={model}", *more]


def run_of(folder):
    [found] = sorted(folder.glob("*/*/manifest.json"))
    return found.parent


def log_hash(run):
    return canonical_hash(run / "events.jsonl")


def prompts(stub):
    """What was asked, in order: (who, its whole prompt)."""
    return [json.dumps([body["messages"], body["seed"]]) for _, _, body in stub.asked]


def test_the_log_is_the_same_in_one_process_and_on_two_hosts_and_counts_what_was_taken(stub, tmp_path):
    assert main(["run", *words(stub, tmp_path / "a", "executor=local", "policies.llm.price_in=1000", "policies.llm.parallel=1")]) == 0
    asked = sorted(prompts(stub))
    stub.asked.clear()
    assert main(["run", *words(stub, tmp_path / "b", "executor=ray", "hosts=2", "policies.llm.price_in=1000", "policies.llm.parallel=3")]) == 0
    one, two = run_of(tmp_path / "a"), run_of(tmp_path / "b")
    assert sorted(prompts(stub)) == asked and len(set(asked)) == len(asked) == 12
    differing = [(a, b) for a, b in zip(read_events(one / "events.jsonl"), read_events(two / "events.jsonl"), strict=True) if a.data != b.data and a.kind != "intent"]
    assert differing == [] and log_hash(one) == log_hash(two)
    usage = json.loads((one / "manifest.json").read_text())["usage"]
    assert set(usage) == {"S1", "S3"} and usage["S1"] == usage["S1"] | {"turns": 6, "calls": 6, "tokens_in": 600, "tokens_out": 120, "cost": 0.6, "fallbacks": 0, "faults": 0, "model": "player"}
    assert main(["replay", str(one)]) == 0


def test_a_budget_ends_a_run_cleanly_after_the_step_that_reached_it(stub, tmp_path, capsys):
    assert main(["run", *words(stub, tmp_path, "executor=local", "budget.tokens=500")]) == 3
    said = capsys.readouterr().err
    assert "budget.tokens is 500" in said and len(stub.asked) == 6
    assert f"budget.…=… --allow-host {stub.origin}" in said, "the way on names what was let out"
    manifest = json.loads((run_of(tmp_path) / "manifest.json").read_text())
    assert manifest["ended"] == "limit" and manifest["steps"] == 3


def test_after_a_kill_nobody_is_asked_again_for_what_is_logged(stub, tmp_path):
    assert main(["run", *words(stub, tmp_path / "whole", "executor=local")]) == 0
    asked = prompts(stub)
    stub.asked.clear()

    def stopping(body):
        if len(stub.asked) > 7 and not stub.times.get("killed"):
            stub.times["killed"] = True
            os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.5)
        return json.dumps(reply_of(body))

    stub.replies["player"] = stopping
    command = [sys.executable, "-m", "sandbox", "run", *words(stub, tmp_path / "killed", "executor=local", "policies.llm.parallel=1")]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.wait(240) == -signal.SIGKILL
    run, before = run_of(tmp_path / "killed"), prompts(stub)
    logged = sum(e.kind == "intent" and e.data.get("usage") is not None for e in read_events(run / "events.jsonl", torn=lambda _: None))
    assert 0 < logged < 12
    stub.asked.clear()
    assert main(["resume", str(run)]) == 2 and stub.asked == [], "what was typed when it began opens nothing now"
    assert main(["resume", str(run), "--allow-host", stub.origin]) == 0
    after = prompts(stub)
    assert len(after) == 12 - logged and set(after) <= set(asked), "what is not logged is asked, with the very prompts of a run that was never killed"
    assert set(before[:logged]).isdisjoint(after)
    assert log_hash(run) == log_hash(run_of(tmp_path / "whole"))


def test_a_fork_asks_from_its_step_on_and_goes_on_as_the_run_did(stub, tmp_path):
    assert main(["run", *words(stub, tmp_path, "executor=local")]) == 0
    run, asked = run_of(tmp_path), prompts(stub)
    stub.asked.clear()
    assert main(["fork", str(run), "--at", "3"]) == 2 and stub.asked == [] and len(list(tmp_path.glob("*/*"))) == 1, "nothing called, nothing written"
    assert main(["fork", str(run), "--at", "3", "--allow-host", stub.origin]) == 0
    assert sorted(prompts(stub)) == sorted(asked[6:])
    [fork] = [path for path in tmp_path.glob("*/*") if path != run]
    assert log_hash(fork) == log_hash(run)
    assert main(["fork", str(run), "--at", "3", "--policy", "S1=scripted", "--policy", "S3=scripted"]) == 0, "who takes over a seat goes on with the world's own notes"
    assert main(["fork", str(run), "--at", "3", "--policy", "S2=llm", "--allow-host", stub.origin]) == 0


def test_turns_that_the_fallback_played_are_told_at_the_end_with_the_reason(tmp_path, capsys):
    with serving() as gone:
        pass  # nobody listens there any more
    assert main(["run", *words(gone, tmp_path, "executor=local", "policies.llm.attempts=1")]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "fallback" in line]
    assert [line.split(" turns were played by the fallback (")[0] for line in told] == ["sandbox: S1: 6 of 6", "sandbox: S3: 6 of 6"]
    usage = json.loads((run_of(tmp_path) / "manifest.json").read_text())["usage"]["S1"]
    assert gone.origin in usage["fell_back"] and told[0].endswith(f"({usage['fell_back']}): nothing of them is the model's")


def test_a_run_that_the_model_played_tells_of_no_fallback(stub, tmp_path, capsys):
    assert main(["run", *words(stub, tmp_path, "executor=local")]) == 0
    assert "fallback (" not in capsys.readouterr().err


def test_a_refusal_that_cannot_heal_ends_the_run_in_one_line(stub, tmp_path, capsys):
    assert main(["run", *words(stub, tmp_path, "executor=local", model="unauthorised")]) == 1
    said = capsys.readouterr().err
    assert f"{stub.origin} answered 401" in said and "Traceback" not in said
    assert json.loads((run_of(tmp_path) / "manifest.json").read_text())["ended"] == "fault"


@pytest.mark.security(line="S7")
@pytest.mark.parametrize("model, more", [("echo", []), ("unauthorised", []), ("broken", ["policies.llm.on_failure=fallback"]), ("slow", ["policies.llm.timeout=0.2", "policies.llm.attempts=1"])])
def test_a_key_is_in_no_file_no_output_and_no_other_process(stub, tmp_path, model, more):
    """The key in the environment under several names, said back by the server, in errors, in Ray's own directory and the environments of all workers."""
    ray = Path(tempfile.mkdtemp(prefix="canary-"))  # short: sockets stand in it
    command = ["run", *words(stub, tmp_path / "runs", "executor=ray", "hosts=2", "environment.rounds=1", "plots=true", *more, model=model), "--key", f"{stub.origin}=MY_KEY"]
    env = {**os.environ, "MY_KEY": KEY, "OPENAI_API_KEY": KEY, "SOME_COPY": KEY, "OTHER_API_KEY": KEY, "RAY_TMPDIR": str(ray), "OMP_NUM_THREADS": "1"}
    seen: dict[int, tuple[bool, int]] = {}  # process → whether it had the key when last seen, how often it had
    with open(tmp_path / "said.txt", "wb") as said:
        process = subprocess.Popen([sys.executable, "-m", "sandbox", *command], cwd=ROOT, env=env, stdout=said, stderr=said, start_new_session=True)
        while process.poll() is None:
            for place in Path("/proc").glob("[0-9]*/environ"):
                pid = int(place.parent.name)
                try:
                    if pid != process.pid and str(ray).encode() in place.read_bytes() and os.getsid(pid):
                        held = KEY.encode() in place.read_bytes()
                        seen[pid] = (held, seen.get(pid, (False, 0))[1] + held)
                except OSError:
                    continue
            time.sleep(0.2)
    assert any(headers.get("authorization") == f"Bearer {KEY}" for _, headers, _ in stub.asked), "it was sent where it belongs"
    # a child that has not yet become another program is still a copy of this process: that is gone at the next look
    assert len(seen) >= 3 and not any(held and often > 1 for held, often in seen.values()), "no worker has it"
    hits = [path for folder in (tmp_path, ray) for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and KEY.encode() in path.read_bytes()]
    assert hits == [] and sum(path.is_file() for path in ray.rglob("*")) > 5
    shutil.rmtree(ray, ignore_errors=True)


@pytest.mark.security(line="S7")
def test_a_key_in_the_wrong_place_is_not_said_again(tmp_path, capfd):
    for word in (f"policies.llm.api_key={KEY}", f"policies.llm.base_url=http://u:{KEY}@127.0.0.1/v1", f"+policies.llm.base_url=http://{KEY}@h/"):
        assert main(["run", *MARKET, *SEATS, "policies.llm.model=x", f"run_dir={tmp_path}", word]) == 2
    for option in (["--key", f"https://h.example={KEY}"], ["--allow-host", f"https://{KEY}@h.example"], ["--key", KEY]):
        assert main(["run", *MARKET, *SEATS, "policies.llm.model=x", "policies.llm.base_url=http://127.0.0.1:1/v1", *option]) == 2
    out, err = capfd.readouterr()
    assert KEY not in out + err and err.count("sandbox:") == 6
