"""A run as it stood before one of its steps, made again in another folder: from the nearest earlier snapshot, by playing the logged steps once more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.doors import CLOSED, Doors
from sandbox.changes import Changes
from sandbox.config import Setting
from sandbox.hosts import LocalExecutor
from sandbox.log import Event, EventLog, Written, encode
from sandbox.monitor import Monitor
from sandbox.resume import Standing, stands
from sandbox.run import Moment, start, step
from sandbox.schedule import Schedule


@contextmanager
def rewound(
    run: Path, manifest: Mapping[str, Any], setting: Setting, before: Sequence[Event], at: int, changes: Changes, folder: Path, doors: Doors = CLOSED
) -> Iterator[tuple[Moment, LocalExecutor, EventLog]]:
    """(the moment before step `at`, its agents, a log in `folder` that holds `before`, which is all up to there). Of the run's own folder nothing but its
    snapshots is read; nobody whose answer is logged is asked again."""
    path = folder / "events.jsonl"
    path.write_bytes(b"".join(encode(event) for event in before))
    standing = stands(run, path, setting, manifest) if at else Standing(now=start(setting), saved=None, written=Written())
    log = EventLog(path, fsync="none", clock=lambda: 0.0, written=standing.written)
    with LocalExecutor(setting.cast, doors) as hosts:
        if standing.saved:
            hosts.load(standing.saved)
        now, schedule = standing.now, Schedule(setting.config.seed, setting.environment.agents)
        monitor = Monitor(setting, hosts, log, changes)
        while now.step < at - 1:
            now, _, _ = step(setting, schedule, hosts, monitor, now, monitor.changes)
            monitor.act(now.step + 1)
        yield now, hosts, log
