"""SIGKILL at random instants, or at every file operation, then resume: is the log that of a run that was never stopped?

    python -m tests.benchmarks.kills --count 200            the driver, at random instants of a run and of its resumptions
    python -m tests.benchmarks.kills --operations 1         the driver, before each of its writes, syncs and renames (N: each Nth)
    python -m tests.benchmarks.kills --hosts --count 20     host actors of a run on Ray, which goes on
    python -m tests.benchmarks.kills --full 1               nobody, but the disk is full from the nth file made, written or synced on

Prints one JSON object. Anything after `--` goes to the run as overrides. The runs are of the toy world in tests/sandbox: what is tried
is the machinery, not what the agents think. Children are forked from one process that has everything imported, so that the kills
fall into the run and not into the start of Python.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
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


def child(words: Sequence[str], first: Callable[[], None] = lambda: None, aloud: int | None = None) -> int:
    """The process id of a command of the sandbox, forked and silent, but for what it says to stderr if that is to go somewhere."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.alarm(LONGEST)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        if aloud is not None or not os.environ.get("KILLS_ALOUD"):
            os.dup2(silence if aloud is None else aloud, 2)
        first()
        code = sandbox([*words, *PLUGIN])
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code of a child, negative for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_words(where: Path, overrides: Sequence[str]) -> list[str]:
    return ["run", TOY, f"run_dir={where}", *overrides]


def folder_of(where: Path) -> Path | None:
    """The folder of the run in `where`, if it began."""
    return next((path.parent for path in where.glob("toy/*/manifest.json") if path.parent.suffix != ".part"), None)


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
SIZES = (0, 100, 1000, 3000, 6000, 20000)  # bytes: of the settings, the manifest, the log, what is sealed, the plots


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


def full_from(operation: int, where: Path) -> Callable[[], None]:
    """Makes the disk full for this process from the nth time on that it makes, writes or syncs a file in `where`: a write half done."""

    def arm() -> None:
        left = [operation]

        def full(path: object) -> bool:
            here = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
            left[0] -= here.startswith(str(where))
            return left[0] <= 0 and here.startswith(str(where))

        def refuse(event: str, given: tuple[object, ...]) -> None:
            makes = event == "os.mkdir" or (event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR))
            if makes and full(given[0]):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), given[0])

        def limited(name: str) -> Callable[..., object]:
            real = getattr(os, name)

            def call(file: int, *given: bytes) -> object:
                if not full(file):
                    return real(file, *given)
                if left[0] == 0 and given and len(given[0]) > 1:
                    return real(file, given[0][: len(given[0]) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            return call

        os.write, os.fsync = limited("write"), limited("fsync")  # type: ignore[assignment]
        sys.addaudithook(refuse)

    return arm


def with_room(size: int) -> Callable[[], None]:
    """No file of this process, nor of those it starts, can hold more than so many bytes: the kernel takes what fits and refuses the rest."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def told_of(words: Sequence[str], first: Callable[[], None]) -> tuple[int, list[str]]:
    """(exit code, lines on stderr) of a command."""
    reading, writing = os.pipe()
    pid = child(words, first, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as said:
        lines = said.read().splitlines()
    return ended(pid), lines


def on_full_disks(stride: int, where: Path, overrides: Sequence[str]) -> dict[str, object]:
    """A run, and then its resumption and its fork, for which the disk is full from their nth file operation on, or no file may grow beyond
    a size. Each is to say so in one line, to exit with 1, to leave nothing half-made; and to go on from there once there is room."""
    expected, events, _ = reference(where / "whole", overrides)
    source = folder_of(where / "whole")
    problems, n, tried = list[str](), 1, 0

    def again(name: str, words: list[str], first: Callable[[], None], here: Path) -> bool:
        """Whether the disk was too full for these words."""
        nonlocal tried
        code, lines = told_of(words, first)
        tried += code != 0
        parts = [str(path) for path in here.rglob("*.part")]
        if parts or (code, len(lines)) not in ((0, 0), (1, 1)) or (code and not ("full" in lines[0] or "report" in lines[0])):
            problems.append(f"{name}: exit code {code}, left {parts}, said {lines}")
        return code != 0

    def mended(name: str, here: Path) -> None:
        folder = folder_of(here)
        code = ended(child(["resume", str(folder)] if folder else run_words(here, overrides)))
        folder = folder_of(here)
        problems.extend(wrong(folder, expected) if code == 0 and folder else [f"{name}: exit code {code} with room again"])

    going = True
    while going:
        here = where / f"operation-{n}"
        going = again(f"run at operation {n}", run_words(here, overrides), full_from(n, here), here)
        if going and (folder := folder_of(here)):
            again(f"resume at operation {n}", ["resume", str(folder)], full_from(n, here), here)
        mended(f"operation {n}", here)
        there = where / f"fork-{n}"
        if again(f"fork at operation {n}", ["fork", str(source), "--at", "3", f"run_dir={there}"], full_from(n, there), there) and folder_of(there):
            mended(f"fork at operation {n}", there)
        n += stride
    for size in SIZES:
        here = where / f"size-{size}"
        again(f"run with {size} bytes a file", run_words(here, [*overrides, "plots=true"]), with_room(size), here)
        mended(f"{size} bytes a file", here)
    return {"full_disks": tried, "operations": n - stride, "events_each": events, "wrong": problems}


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
    """Run one of the four; exit code 1 if anything was lost, doubled or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.kills", description="SIGKILL, then resume.")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--operations", type=int, metavar="STRIDE")
    parser.add_argument("--full", type=int, metavar="STRIDE")
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
        elif given.full:
            told = on_full_disks(given.full, Path(where), [*SHORT, *given.overrides])
        elif given.hosts:
            told = host_actors(given.count, Path(where), [*RUN, "policies.slow.seconds=0.1", *given.overrides], rng)
        else:
            told = at_random(given.count, Path(where), [*RUN, *given.overrides], rng)
    print(json.dumps(told))
    return 1 if told["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
