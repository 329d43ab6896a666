"""SIGKILL at random instants, or at every file operation, then resume: is the log that of a run that was never stopped?

    python -m tests.benchmarks.kills --count 200            the driver, at random instants of a run and of its resumptions
    python -m tests.benchmarks.kills --operations 1         the driver, before each of its writes, syncs and renames (N: each Nth)
    python -m tests.benchmarks.kills --hosts --count 20     host actors of a run on Ray, which goes on

Prints one JSON object. Anything after `--` goes to the run as overrides. The runs are of the toy world in tests/sandbox: what is tried
is the machinery, not what the agents think. Children are forked from one process that has everything imported, so that the kills
fall into the run and not into the start of Python.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from sandbox.__main__ import main as sandbox
from sandbox.log import canonical_hash, read_events

TOY = str(Path(__file__).parents[1] / "sandbox" / "toy.yaml")
LONGEST = 900  # seconds: a run that never ends is a failure, not a wait
PLUGIN = ("--plugin", "tests.sandbox.toy")
RUN = ("seats.default=slow", "policies.slow.seconds=0.003", "environment.games=12", "environment.narrator=w", "snapshots.every=4")
SHORT = ("environment.games=2", "environment.narrator=w", "snapshots.every=2")


def child(words: Sequence[str], first: Callable[[], None] = lambda: None) -> int:
    """The process id of a command of the sandbox, forked and silent."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.alarm(LONGEST)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        if not os.environ.get("KILLS_ALOUD"):
            os.dup2(silence, 2)
        first()
        code = sandbox([*words, *PLUGIN])
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code of a child, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_words(where: Path, overrides: Sequence[str]) -> list[str]:
    return ["run", TOY, f"run_dir={where}", *overrides]


def folder_of(where: Path) -> Path | None:
    """The folder of the run in `where`, if it began."""
    return next((path.parent for path in where.glob("toy/*/manifest.json")), None)


def reference(where: Path, overrides: Sequence[str]) -> tuple[str, int, float]:
    """(hash of the canonical log, events, seconds from its folder to its end) of the run that nobody stops."""
    pid = child(run_words(where, overrides))
    began = begun(pid, where)
    assert ended(pid) == 0
    folder = folder_of(where)
    assert folder is not None
    return canonical_hash(folder / "events.jsonl"), sum(1 for _ in read_events(folder / "events.jsonl")), time.monotonic() - began


def begun(pid: int, where: Path) -> float:
    """The moment at which a run has its folder (or has ended without)."""
    while folder_of(where) is None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)
    return time.monotonic()


def wrong(folder: Path, expected: str) -> list[str]:
    """What is not as it is after a run that nobody stopped."""
    found = canonical_hash(folder / "events.jsonl")
    manifest = json.loads((folder / "manifest.json").read_text())
    problems = [] if found == expected else [f"{folder}: canonical log {found:.12}, expected {expected:.12}"]
    problems += [] if (manifest["ended"], manifest["log_sha256"]) == ("done", expected) else [f"{folder}: manifest {manifest['ended']}"]
    return problems + [f"{folder}: no {name}" for name in ("events.parquet", "snapshots/final/snapshot.json") if not (folder / name).is_file()]


def at_random(count: int, where: Path, overrides: Sequence[str], rng: random.Random) -> dict[str, object]:
    """`count` kills, over as many runs as it takes; every run is resumed to its end."""
    expected, events, seconds = reference(where / "whole", overrides)
    kills = runs = resumed = 0
    problems: list[str] = []
    while kills < count:
        runs += 1
        here = where / str(runs)
        while True:
            folder = folder_of(here)
            pid = child(["resume", str(folder)] if folder else run_words(here, overrides))
            resumed += folder is not None
            if kills < count:
                if folder is None and rng.random() < 0.8:  # most of them while it plays, some while it is still getting ready
                    begun(pid, here)
                time.sleep(rng.uniform(0, seconds))
                os.kill(pid, signal.SIGKILL)  # unreaped until `ended`: the id is nobody else's
            code = ended(pid)
            kills += code == -signal.SIGKILL
            if code != -signal.SIGKILL:
                break
        folder = folder_of(here)
        problems += wrong(folder, expected) if code == 0 and folder else [f"{here}: exit code {code}"]
    return {"kills": kills, "runs": runs, "resumed": resumed, "events_each": events, "wrong": problems}


OPERATIONS = ("write", "fsync", "replace", "rename")


def dies_at(operation: int) -> Callable[[], None]:
    """Makes this process kill itself at its nth file operation: a write half done, anything else not begun."""

    def arm() -> None:
        left = [operation]

        def deadly(name: str) -> Callable[..., object]:
            real = getattr(os, name)

            def call(*given: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    if name == "write":
                        real(given[0], given[1][: len(given[1]) // 2])  # type: ignore[index, arg-type]
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given)

            return call

        for name in OPERATIONS:
            setattr(os, name, deadly(name))

    return arm


def at_operations(stride: int, where: Path, overrides: Sequence[str]) -> dict[str, object]:
    """A run killed at its nth file operation, its resumption at its own nth; then resumed to the end. n = 1, 1 + stride, …, all there are."""
    expected, events, _ = reference(where / "whole", overrides)
    kills, n, problems = 0, 1, list[str]()
    while True:
        here = where / str(n)
        code = ended(child(run_words(here, overrides), dies_at(n)))
        if code == 0:
            return {"kills": kills, "operations": n - 1, "events_each": events, "wrong": problems}
        for again in (dies_at(n), dies_at(n // 2 + 1), lambda: None):
            kills += code == -signal.SIGKILL
            folder = folder_of(here)
            code = ended(child(["resume", str(folder)] if folder else run_words(here, overrides), again))
            if code == 0:
                break
        folder = folder_of(here)
        problems += wrong(folder, expected) if code == 0 and folder else [f"operation {n}: exit code {code}"]
        n += stride


def hosts_of(pid: int) -> list[int]:
    """The host actors among the descendants of a process."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            continue
    found, todo = [], [pid]
    while todo:
        here = todo.pop()
        todo += parents.get(here, [])
        try:
            if b"ray::Host" in Path(f"/proc/{here}/cmdline").read_bytes():
                found.append(here)
        except OSError:  # it has ended meanwhile
            continue
    return found


def host_actors(count: int, where: Path, overrides: Sequence[str], rng: random.Random) -> dict[str, object]:
    """Kill host actors of runs on Ray until there were `count`, each once the run has gone on since the last (hosts that die three times
    of one call are taken to die of the call); each run goes on and is compared."""
    expected, events, _ = reference(where / "whole", overrides)
    kills = runs = 0
    problems: list[str] = []
    while kills < count:
        runs += 1
        here = where / str(runs)
        size = 0  # of the log when a host was last killed
        pid = child(run_words(here, [*overrides, "executor=ray", "hosts=2"]))
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            folder = folder_of(here)
            log = folder / "events.jsonl" if folder else None
            if log and log.is_file() and log.stat().st_size > size and kills < count and (hosts := hosts_of(pid)):
                time.sleep(rng.uniform(0.0, 0.5))
                size = log.stat().st_size
                with suppress(ProcessLookupError):  # the run has ended
                    os.kill(rng.choice(sorted(hosts)), signal.SIGKILL)
                    kills += 1
            time.sleep(0.05)
        folder = folder_of(here)
        problems += wrong(folder, expected) if folder else [f"{here}: nothing there"]
    return {"host_kills": kills, "runs": runs, "events_each": events, "wrong": problems}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the three; exit code 1 if anything was lost, doubled or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kills", description="SIGKILL, then resume.")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--operations", type=int, metavar="STRIDE")
    parser.add_argument("--hosts", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args(arguments)
    import sandbox.command  # noqa: F401  imported once, here; the children are copies of this process
    import sandbox.sealed  # noqa: F401

    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as where:
        if given.operations:
            told = at_operations(given.operations, Path(where), [*SHORT, *given.overrides])
        elif given.hosts:
            told = host_actors(given.count, Path(where), [*RUN, "policies.slow.seconds=0.1", *given.overrides], rng)
        else:
            told = at_random(given.count, Path(where), [*RUN, *given.overrides], rng)
    print(json.dumps(told))
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
