"""S9: who hands over more than can be read takes no more than its share: bounded memory, faults, and a run that goes on to its end, or to its budget."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sandbox.log import read_events
from sandbox.rights import MAX_FAULTS, MAX_MESSAGES
from sociallm.conversation import MAX_TEXT
from tests.sandbox.runs import TOY, run
from tests.security.flooding import KINDS

pytestmark = pytest.mark.security(line="S9")
ROOT = Path(__file__).parents[2]
MOST = 100 * 2**20  # bytes that a run may take beyond what it takes where nobody floods it, and beyond what the flooding policy itself holds
PROGRAM = f"""
import contextlib, io, json, sys
from pathlib import Path
from sandbox.__main__ import main
from tests.security.flooding import KINDS
def memory(what):  # VmRSS: now; VmHWM: the most since it was last reset (getrusage counts what the parent had before this program began)
    return next(1024 * int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
def played(fair):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["run", {TOY!r}, "--plugin", "tests.sandbox.toy", "--plugin", "tests.security.flooding", "run_dir=" + sys.argv[1],
                     "seats.P0=flooding", f"policies.flooding.fair={{fair}}", "environment.rounds=1", f"environment.games={{len(KINDS)}}", "log.fsync=none"])
    return code, out.getvalue().splitlines()[-1]
played("true")
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
print(json.dumps([*played("false"), memory("VmHWM") - before]))
"""


@pytest.fixture(scope="module")
def flood(tmp_path_factory):
    """(exit code, events, bytes that the process had at most beyond what it had before, bytes of the log) of a run with every kind of flood in it."""
    words = [sys.executable, "-c", PROGRAM, str(tmp_path_factory.mktemp("floods"))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    code, folder, more = json.loads(done.stdout.splitlines()[-1])
    log = Path(folder, "events.jsonl")
    return code, list(read_events(log)), more, log.stat().st_size


def test_a_flooded_run_goes_on_to_its_end_in_bounded_memory(flood):
    code, events, more, size = flood
    assert code == 0 and events[-1].data["ended"] == "done" and {event.step for event in events if event.kind == "outcome"} == set(range(2 * len(KINDS)))
    assert more <= MOST, f"{more / 2**20:.0f} MiB"
    assert size < 2**20


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_is_told_in_few_faults_of_its_author_and_the_others_go_on(kind, flood):
    own = [event for event in flood[1] if event.step // 2 == KINDS.index(kind)]
    faults = [event for event in own if event.kind == "fault"]
    assert 1 <= len(faults) <= 2 * MAX_FAULTS and {event.agent for event in faults} == {"P0"}
    assert {event.agent for event in own if event.kind == "move"} >= {"P1", "P2", "P3"}


def test_no_message_in_a_log_is_larger_than_the_largest_and_no_agent_says_more_than_it_may(flood):
    said = [event for event in flood[1] if event.kind == "message"]
    assert said and all(len(event.data["text"].encode()) <= MAX_TEXT for event in said)
    assert max(Counter((event.step, event.agent) for event in said).values()) <= MAX_MESSAGES


def test_a_run_ends_at_its_limit_of_messages_with_a_sealed_log(capsys, tmp_path):
    folder, events, said = run(capsys, tmp_path, "budget.messages=3", "environment.games=50", code=3)
    sent = sum(event.kind == "message" for event in events)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert events[-1].data["ended"] == manifest["ended"] == "limit" and "budget.messages is 3" in events[-1].data["why"]
    assert 3 <= sent <= 3 + 32 * 4 and (folder / "events.parquet").is_file() and said.err.count("\n") == 1
