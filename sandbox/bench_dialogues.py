"""How fast dialogues are made and exported: `python -m sandbox bench dialogues [--json] [--small]`. One JSON object is printed last.

    scripted, model     by world: messages a second of two processes side by side, scripted seats or the shipped model's; whole runs, from the first
                        step to the sealed folder. Settings are composed, and code and weights are there, before the clock starts
    export              messages of the logs a second, by format, filters off; rows: messages in rows a second; filtered: with all filters that need no
                        model. One process, processor time, its code there already; the best of some: what else is done on the machine slows them
What is measured is written where the command is given, on a disk, and removed.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox.command import play_in
from sandbox.config import load, reseeded
from sandbox.exporting.export import export
from sandbox.exporting.wish import FORMATS, Wish

SCENARIOS = Path(__file__).parents[1] / "scenarios"
USUAL = ("executor=local", "plots=false", "snapshots.every=0", "log.fsync=none", "threads=1")
PROCESSES = 2
TOO_LONG = 600  # seconds that one process waits for the other
WORLDS: dict[str, tuple[str, tuple[str, ...]]] = {  # world → scenario and what is said of it
    "team_task": ("team_task.yaml", ("environment.network=complete", "environment.reach=pairs", "environment.tell=all", "environment.talks=8")),
    "market": ("market.yaml", ("environment.sellers=6", "environment.rounds=100")),
    "hidden_roles": ("hidden_roles.yaml", ("environment.players=7", "environment.whispers=true")),
    "diplomacy": ("diplomacy.yaml", ("environment.last_year=1902",)),
}
_ready: Barrier | None = None  # of a process of the pool
SHORTER = {"team_task": "environment.talks=4", "market": "environment.rounds=5", "diplomacy": "environment.last_year=1901"}  # with the model


@dataclass(frozen=True)
class Size:
    """How much is measured: runs of each process by world, without and with the model."""

    scripted: dict[str, int]
    model: dict[str, int]
    repeats: int = 3


FULL = Size({"team_task": 20, "market": 2, "hidden_roles": 5, "diplomacy": 3}, {"team_task": 4, "market": 2, "hidden_roles": 3, "diplomacy": 2})
SMALL = Size({"team_task": 1}, {}, 1)


@dataclass(frozen=True)
class Played:
    """What one process played: messages, and when by the system's clock."""

    messages: int
    began: float
    ended: float
    cpu: float


def main(small: bool, as_json: bool) -> int:
    """Measure, and print: with `as_json` the object alone."""

    def tell(what: str) -> None:
        if not as_json:
            print(what, flush=True)

    print(json.dumps(figures(SMALL if small else FULL, tell)))
    return 0


def figures(size: Size, tell: Callable[[str], None]) -> dict[str, object]:
    """All figures by name."""
    with TemporaryDirectory(prefix="bench-", dir=Path.cwd()) as top:
        made = {
            kind: {world: generated(world, f"seats.default={seats}", runs, Path(top, kind), tell) for world, runs in of.items()}
            for kind, seats, of in (("scripted", "scripted", size.scripted), ("model", "social", size.model))
        }
        return {**made, "export": exported(Path(top, "scripted"), size.repeats, tell)}


# ---- making them -------------------------------------------------------------------------------------------------------


def generated(world: str, seats: str, runs: int, folder: Path, tell: Callable[[str], None]) -> dict[str, float]:
    """Messages a second of all processes together, and of a second of one processor."""
    seeds = [range(1 + n * (runs + 1), 1 + (n + 1) * (runs + 1)) for n in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_alone, initargs=(context.Barrier(PROCESSES),)) as pool:
        for done in [pool.submit(played, world, seats, [], folder) for _ in seeds]:
            done.result()
        found = [done.result() for done in [pool.submit(played, world, seats, list(own), folder) for own in seeds]]
    messages = sum(one.messages for one in found)
    seconds = max(one.ended for one in found) - min(one.began for one in found)
    figure = {"messages_per_s": round(messages / seconds, 1), "per_cpu_s": round(messages / sum(one.cpu for one in found), 1), "messages": messages}
    tell(f"{world}, {seats}: {figure}")
    return figure


def _alone(ready: Barrier) -> None:
    """Of two processes on two cores, each has one thread, and begins to count when the other does."""
    from sociallm.observing import one_thread

    global _ready  # what a pool can hand to a process is handed to its beginning
    _ready = ready
    one_thread()


def played(world: str, seats: str, seeds: Sequence[int], folder: Path) -> Played:
    """Play runs, the first of them to have everything there, which does not count."""
    scenario, overrides = WORLDS[world]
    shorter = (SHORTER[world],) if seats.endswith("social") and world in SHORTER else ()
    first = load(SCENARIOS / scenario, (*USUAL, *overrides, *shorter, seats), ())
    messages, began, cpu = 0, time.time(), time.process_time()
    for n, seed in enumerate(seeds):
        if n == 1:
            if _ready is not None:
                _ready.wait(TOO_LONG)
            messages, began, cpu = 0, time.time(), time.process_time()
        place = folder / world / str(seed)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if play_in(lambda seed=seed: reseeded(first, seed), place, ()):  # type: ignore[misc]
                raise RuntimeError(f"{place}: the run was not done; run the bench again")
        messages += json.loads((place / "manifest.json").read_bytes())["messages"]
    return Played(messages, began, time.time(), time.process_time() - cpu)


# ---- exporting them ----------------------------------------------------------------------------------------------------


def exported(runs: Path, repeats: int, tell: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """By format, and `messages` with filters."""
    wishes: dict[str, dict[str, Any]] = {form: {"format": form} for form in FORMATS if form != "diplomacy"}
    filters: dict[str, Any] = {"format": "messages", "length": (20, 20_000), "cap": 0.5} | ({"alike": 0.8} if find_spec("datasketch") else {})
    found = dict[str, dict[str, float]]()
    for name, options in {**wishes, "filtered": filters}.items():
        timed = [_once(runs, options, runs.parent / "export" / f"{name}{n}") for n in range(repeats + 1)][1:]
        found[name] = {what: round(max(one[what] for one in timed)) for what in ("messages_per_s", "in_rows_per_s")}
        tell(f"export as {name}: {found[name]}")
    return found


def _once(runs: Path, options: dict[str, Any], out: Path) -> dict[str, float]:
    began = time.process_time()
    counts = export([runs], Wish(out=out, **options))
    seconds = time.process_time() - began
    return {"messages_per_s": counts.messages / seconds, "in_rows_per_s": sum(counts.turns.values()) / seconds}
