"""SIGKILL of the driver at random instants and at its file operations, and of host actors; full disks: tests/benchmarks/kills.py, small sizes."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def kills(*words):
    command = [sys.executable, "-m", "tests.benchmarks.kills", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert (done.returncode, told["wrong"]) == (0, []), done.stderr
    return told


def test_ten_kills_at_random_instants_lose_and_double_nothing():
    assert kills("--count", "10")["kills"] == 10


def test_kills_at_file_operations_lose_and_double_nothing():
    """At every 9th write, sync and rename of a short run; a whole round of them is `--operations 1`."""
    told = kills("--operations", "9")
    assert told["kills"] >= 6 and told["operations"] >= 45


def test_three_kills_of_host_actors_lose_and_double_no_turn():
    assert kills("--hosts", "--count", "3")["host_kills"] == 3


def test_on_full_disks_a_run_a_resumption_and_a_fork_say_so_in_one_line_and_go_on_when_there_is_room():
    """From every 20th file operation on, and with files that cannot grow beyond a size; a whole round is `--full 1`."""
    assert kills("--full", "20")["full_disks"] >= 12
