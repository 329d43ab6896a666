"""The commands `run`, `resume`, `fork` and `replay`: setting → folder → hosts → play → sealed log → report.

A policy or a world that breaks ends the run: a `fault` event says what broke, an `end` event seals the log, and one line
tells the user. Going on without an agent would make another experiment of it.
"""

from __future__ import annotations

import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from agents.doors import Doors
from sandbox.analysing import analysed
from sandbox.arms import begin, go_on
from sandbox.changes import NOTHING, Changes
from sandbox.config import Setting, cells, load
from sandbox.disk import REMEDY, refused
from sandbox.doors import CLOSED, Opening, as_words
from sandbox.experiment import FILE as EXPERIMENT
from sandbox.experiment import is_experiment
from sandbox.folder import held, make_folder, read_manifest, seal
from sandbox.fork import ForkWish
from sandbox.fork import fork as make_fork
from sandbox.guard import ConfigError
from sandbox.host import AgentFault
from sandbox.hosts import Executor
from sandbox.interrupt import Halt, Interrupted
from sandbox.labels import in_words, write_labels
from sandbox.log import EventLog, Fsync, LogError, Written, printable
from sandbox.progress import Progress
from sandbox.replay import replay as replay_run
from sandbox.resume import Standing, reopened
from sandbox.run import Moment, executor, play, snapshot_of, start
from sandbox.snapshot import FINAL, RunError, number, prune, save_snapshot
from sandbox.sweep import sweep
from sandbox.terminal import with_terminal
from sandbox.used import fallback_lines, in_lines
from sandbox.watching import Watching

CODES = {"done": 0, "fault": 1, "limit": 3}


def run(
    path: str, overrides: Sequence[str], plugins: Sequence[str], tasks: int | None = None, watch: bool = False, opening: Opening = CLOSED
) -> int:  # fmt: skip
    """Run a scenario, every cell of a sweep, or an experiment; the exit code. Raises `ConfigError` before anything is written."""
    if watch and (is_experiment(path) or len(cells(overrides)) > 1):
        what = "an experiment" if is_experiment(path) else f"a sweep of {len(cells(overrides))} runs"
        raise ConfigError(f"--watch: expected one run, got {what}; leave --watch out, or name one scenario with one value for each key")
    if is_experiment(path):
        folder = begin(path, overrides, plugins, tasks, opening)
        code = go_on(folder, plugins, partial(play_in, opening=opening), opening)
        print(folder)
        return code
    swept = cells(overrides)
    if len(swept) > 1:
        return sweep(path, swept, plugins, tasks or 1, partial(run_cell, opening=opening), opening)
    code, made = run_cell(path, overrides, plugins, watch, opening)
    if made is not None:
        print(made)
    return code


def run_cell(
    path: str, overrides: Sequence[str], plugins: Sequence[str], watch: bool = False, opening: Opening = CLOSED
) -> tuple[int, Path | None]:  # fmt: skip
    """(exit code, folder) of one run; with `watch` each message is shown as it is said."""
    with Halt() as halt:
        try:
            setting, now = load(path, overrides, plugins), datetime.now(UTC)
            doors = opening.doors(setting, overrides, Path(path))
            folder = Path(setting.config.run_dir) / setting.config.name / f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
            make_folder(folder, setting, now)  # which may compile
        except Interrupted:
            return 128 + (halt.signal or signal.SIGINT), None
        with held(folder):
            return _conduct(setting, folder, None, NOTHING, halt, doors, watch), folder


def play_in(setting_of: Callable[[], Setting], folder: Path, plugins: Sequence[str], opening: Opening = CLOSED) -> int:
    """A run in this very folder, begun, or gone on with if it stands there; the exit code."""
    if (folder / "manifest.json").exists():
        return resume(folder, plugins, opening)
    with Halt() as halt:
        try:
            setting = setting_of()
            doors = opening.doors(setting, (), folder)
            make_folder(folder, setting, datetime.now(UTC))
        except Interrupted:
            return 128 + (halt.signal or signal.SIGINT)
        with held(folder):
            return _conduct(setting, folder, None, NOTHING, halt, doors)


def resume(folder: Path, plugins: Sequence[str], opening: Opening = CLOSED, typed: Sequence[str] = ()) -> int:
    """Go on with a run that was stopped, killed, or could not write; the exit code. `typed`: overrides of this command line that it was forked with.
    Raises `RunError`, `ConfigError`, `LogError`."""
    if (folder / EXPERIMENT).is_file():
        code = go_on(folder, plugins, partial(play_in, opening=opening), opening)
        print(folder)
        return code
    manifest = read_manifest(folder)
    if manifest["ended"] == "done":
        print(f"{folder}: the run is done; there is nothing to resume")
        return 0
    with Halt() as halt, held(folder):
        try:
            may = partial(opening.doors, typed=typed, file=folder / "config.yaml")
            setting, standing, manifest = reopened(folder, tuple(plugins), may)
        except Interrupted:
            return 128 + (halt.signal or signal.SIGINT)
        changes = Changes.of_json(manifest["fork"]) if "fork" in manifest else NOTHING
        code = _conduct(setting, folder, standing, changes, halt, may(setting))
    print(folder)
    return code


def fork(run: Path, plugins: Sequence[str], wish: ForkWish, opening: Opening = CLOSED) -> int:
    """Make a fork of a run and play it to its end; the exit code. Raises `RunError`, `ConfigError`, `LogError`, `StateError`."""
    at = "the first message withheld" if wish.at is None else f"step {wish.at}"
    print(f"forking {run} at {at}: its log is read, and what lies behind its last snapshot before that is played again", flush=True)
    may = partial(opening.doors, typed=wish.overrides, file=run / "config.yaml")
    folder = make_fork(run, tuple(plugins), wish, secrets.token_hex(3), _tell, may)
    print(f"{folder}: the fork; playing on", flush=True)
    return resume(folder, plugins, opening, wish.overrides)


def replay(run: Path, plugins: Sequence[str]) -> int:
    """Hold a run's log against the rules, and say so. Raises `LogError` at the first difference."""
    print(f"replaying {run}: schedule and rules again, on what is logged", flush=True)
    done = replay_run(run, tuple(plugins))
    before = f" (from step {done.since}, where this fork began)" if done.since else ""
    cut = "; the log ends within a step" if done.partial else ""
    counts = f"{done.steps} steps, {done.moves} moves and {done.messages} messages"
    print(f"{run}: {counts} replayed{before}: every record is as the rules have it{cut}")
    return 0


def _conduct(setting: Setting, folder: Path, standing: Standing | None, changes: Changes, halt: Halt, doors: Doors, watch: bool = False) -> int:
    """Play a run to its end, or on to it, seal it, and say what came of it; the exit code."""
    fsync: Fsync = cast(Fsync, setting.config.log.fsync)  # one of the three: the configuration was held against them
    written: Written | None = standing.written if standing else None
    begun = f"{''.join(f' --plugin {name}' for name in setting.cast.plugins)}{as_words(doors)}"  # the options that it was begun with
    again = f"python -m sandbox resume {folder}{begun}"
    try:
        log = EventLog(folder / "events.jsonl", fsync=fsync, clock=time.time, written=written)
    except OSError as error:
        _tell(f"{refused(error)}: {again}")
        return CODES["fault"]
    if standing and standing.finished:  # killed while it was sealed
        ended: dict[str, Any] = {"ended": "done", "why": None}
    else:
        ended = _played(setting, folder, log, standing, changes, halt, with_terminal(setting.cast, doors), watch)
    try:
        log.close()
        manifest = seal(folder, datetime.now(UTC), ended, partial(write_labels, folder, setting, _tell))
    except OSError as error:  # a full disk
        why = ended["why"] if ended["ended"] == "fault" else refused(error)
        _tell(f"{why.removesuffix(REMEDY)}; not sealed, the log holds {log.count} records{REMEDY}: {again}")
        return CODES["fault"]
    full = ended["ended"] == "fault" and ended["why"].endswith(REMEDY)
    if ended["ended"] == "fault":
        _tell(f"{ended['why']}: {again}" if full else ended["why"])
    reported = analysed("report", folder) if setting.config.plots and not full else True
    for line in (*in_words(folder), *in_lines(manifest.get("usage", {}))):
        print(printable(line))
    counts = ", ".join(f"{manifest[what]} {what}" for what in ("steps", "messages", "faults"))
    print(f"{ended['ended']}: {counts}, log {manifest['log_sha256'][:12]}")
    for line in fallback_lines(manifest.get("usage", {})):
        _tell(line)
    if ended["ended"] == "limit":
        _tell(f"{ended['why']}; to go on with more: python -m sandbox fork {folder} --at {manifest['steps']} budget.…=…{begun}")
    if ended["ended"] == "interrupted":
        _tell(f"to go on: {again}")
    return CODES.get(ended["ended"], 128 + (halt.signal or signal.SIGINT)) or (0 if reported else CODES["fault"])


def _played(
    setting: Setting, folder: Path, log: EventLog, standing: Standing | None, changes: Changes, halt: Halt, doors: Doors, watch: bool
) -> dict[str, Any]:  # fmt: skip
    """Play, and end the log with how it ended and why."""
    why: str | None = None
    try:
        person = doors.terminal is not None  # nothing is then shown but what is said to the person
        with executor(setting, _tell, doors) as hosts, Progress(None if person else sys.stderr, time.monotonic, getattr(setting.environment, "share", None)) as progress:
            if standing and standing.saved:
                hosts.load(standing.saved)
            halt.playing = not person  # who waits for a person does not wait for the end of the step
            told = Watching(progress.say, progress) if watch else progress
            keep = Keeper(setting, folder, log, hosts, changes)
            ended, why = play(setting, hosts, log, standing.now if standing else start(setting), told, halt, keep, changes)
    except (Interrupted, KeyboardInterrupt):
        ended = "interrupted"
    except SystemExit:  # Ray's own answer to SIGTERM while it starts
        ended, halt.signal = "interrupted", halt.signal or signal.SIGTERM
    except (AgentFault, LogError, RunError) as error:
        ended, why = "fault", str(error)
    except OSError as error:  # a full disk
        ended, why = "fault", refused(error)
    except Exception as error:  # the world or the sandbox itself broke: the log is sealed all the same, the trace kept
        ended, why = "fault", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; the trace is in {folder / 'fault.txt'}"
        with suppress(OSError):  # a full disk
            (folder / "fault.txt").write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
    if ended == "interrupted":
        why = signal.Signals(halt.signal or signal.SIGINT).name
    try:
        if not log.repeating:  # else the file holds more than this session came to, and its own end is not written in the midst of it
            if ended == "fault":
                log.mark("fault", what="run", why=why)
            log.mark("end", ended=ended, why=why)
    except (LogError, OSError) as error:  # a full disk: what is in the log stays whole, its end stands in the manifest alone
        ended, why = "fault", why if ended == "fault" else str(error)
    return {"ended": ended, "why": why}


class Keeper:
    """Takes the snapshots of a run: what is there of the moment, the log and the hosts."""

    def __init__(self, setting: Setting, folder: Path, log: EventLog, hosts: Executor, changes: Changes):
        self._setting, self._log, self._hosts = setting, log, hosts
        self._folder, self._base = folder / "snapshots", number(changes.since - 1)  # a fork's first one stands for what it began with

    def __call__(self, now: Moment, last: bool) -> None:
        save_snapshot(self._folder, FINAL if last else number(now.step), snapshot_of(self._setting, self._log, self._hosts, now))
        prune(self._folder, but=self._base)


def _tell(what: str) -> None:
    print(f"sandbox: {printable(what)}", file=sys.stderr, flush=True)  # what a policy or a world raised may stand in it
