"""The schema of a run: every key that a scenario or the command line may set, its type, its default, its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Optional


@dataclass(frozen=True)
class RayConfig:
    address: Optional[str] = None  # noqa: UP045  OmegaConf reads this form. None: this machine; auto or HOST:PORT: a cluster


@dataclass(frozen=True)
class LogConfig:
    fsync: str = "step"  # turn: after each record; step: after each step; none: when the run ends


@dataclass(frozen=True)
class SnapshotsConfig:
    every: int = 25  # steps; 0: only when the run ends


@dataclass(frozen=True)
class MeasureConfig:
    surprise: bool = False  # per message and reader, the model's surprise with and without its states


@dataclass(frozen=True)
class MonitorConfig:
    file: Optional[str] = None  # noqa: UP045  of a detector; None: nobody listens
    action: str = "flag"  # flag, cut, swap or erase: what an alarm does
    level: float = 0.01  # the share of honest runs in which there may be an alarm


@dataclass(frozen=True)
class BudgetConfig:
    """What a run may take of what its seats ask of others; it ends cleanly after the step that has taken more. None: no limit."""

    calls: Optional[int] = None  # noqa: UP045  OmegaConf reads this form
    tokens: Optional[int] = None  # noqa: UP045  read and written, of all seats
    cost: Optional[float] = None  # noqa: UP045  in the unit in which the seats' prices are given
    messages: Optional[int] = None  # noqa: UP045  of the whole run, whoever says them


@dataclass(frozen=True)
class PersonaConfig:
    """Who an agent is: what it is told of itself, and the own state that it begins with, AGENT.safetensors of an earlier run's snapshot. One at least."""

    text: Optional[str] = None  # noqa: UP045  OmegaConf reads this form
    own: Optional[str] = None  # noqa: UP045


@dataclass(frozen=True)
class RunConfig:
    """Everything that YAML and the command line may say about a run."""

    name: str = "unnamed"
    seed: int = 0
    environment: dict[str, Any] = field(default_factory=dict)  # name: a world of the table; the rest: that world's Options
    seats: dict[str, str] = field(default_factory=dict)  # agent → policy; default: all the others
    policies: dict[str, Any] = field(default_factory=dict)  # policy → that policy's Options
    personas: dict[str, Any] = field(default_factory=dict)  # agent → its PersonaConfig
    executor: str = "ray"  # ray | local
    hosts: int = 2
    threads: int = 1  # of torch, on each host
    ray: RayConfig = field(default_factory=RayConfig)
    log: LogConfig = field(default_factory=LogConfig)
    snapshots: SnapshotsConfig = field(default_factory=SnapshotsConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    game: Optional[str] = None  # noqa: UP045  a file to read, for worlds that refer to it as ${game}
    run_dir: str = "runs"
    plots: bool = True


def limits(config: RunConfig, chosen_by_user: bool) -> list[tuple[tuple[str, ...], Any, bool, str]]:
    """(key, value, whether it is good, what is expected), where a type does not say it all.

    `chosen_by_user`: the run folder was named on the command line, so it may be anywhere; a file from elsewhere may not say so.
    """
    name = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", config.name) is not None
    run_dir = PurePosixPath(config.run_dir)
    below = config.run_dir.isprintable() and (chosen_by_user or not (run_dir.is_absolute() or ".." in run_dir.parts))
    return [
        (("name",), config.name, name, "letters, digits, - and _, 64 at most: it names a folder"),
        (("seed",), config.seed, 0 <= config.seed < 2**63, "a whole number from 0 to 2^63 - 1"),
        (("executor",), config.executor, config.executor in ("ray", "local"), "ray or local"),
        (("hosts",), config.hosts, 1 <= config.hosts <= 64, "a whole number from 1 to 64"),
        (("threads",), config.threads, 1 <= config.threads <= 256, "a whole number from 1 to 256"),
        (("log", "fsync"), config.log.fsync, config.log.fsync in ("turn", "step", "none"), "turn, step or none"),
        (("snapshots", "every"), config.snapshots.every, 0 <= config.snapshots.every < 2**31, "a whole number of steps, or 0: only at the end"),
        (("monitor", "action"), config.monitor.action, config.monitor.action in ("flag", "cut", "swap", "erase"), "flag, cut, swap or erase"),
        (("monitor", "level"), config.monitor.level, 0 < config.monitor.level <= 0.5, "a number above 0, at most 0.5: the share of honest runs with an alarm"),
        *(
            (("budget", what), value, value is None or 0 < value <= 2**53, "a number above 0, or null: no limit")
            for what, value in vars(config.budget).items()
        ),
        (("run_dir",), config.run_dir, below, "a folder below this one (on the command line: any), its name plain text"),
    ]
