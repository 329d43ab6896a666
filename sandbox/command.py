"""The command `run`: setting → folder → hosts → play → sealed log → report. Everything that a run leaves behind is written here.

A policy, host or world that breaks ends the run: a `fault` event says what broke, an `end` event seals the log, and one line
tells the user. Going on without an agent would make another experiment of it.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sandbox.config import Setting, load
from sandbox.folder import make_folder, seal
from sandbox.hosts import AgentFault
from sandbox.interrupt import Halt, Interrupted
from sandbox.log import Event, EventLog, Fsync, LogError
from sandbox.progress import Progress
from sandbox.run import executor, play

CODES = {"done": 0, "fault": 1}


def run(path: str, overrides: Sequence[str], plugins: Sequence[str]) -> int:
    """Run a scenario from its file to its folder; the exit code. Raises `ConfigError` before anything is written."""
    with Halt() as halt:
        try:
            setting = load(path, overrides, plugins)
        except Interrupted:
            return 128 + (halt.signal or signal.SIGINT)
        began = datetime.now(UTC)
        folder = make_folder(setting, began, secrets.token_hex(3))
        fsync: Fsync = cast(Fsync, setting.config.log.fsync)  # one of the three: the configuration was held against them
        log = EventLog(folder / "events.jsonl", fsync=fsync, clock=time.time)
        ended = _played(setting, folder, log, halt)
        try:
            log.close()
            manifest = seal(folder, setting, began, datetime.now(UTC), ended)
        except OSError as error:  # a full disk
            print(f"sandbox: {folder}: not sealed ({error.strerror}); its log holds {log.count} records; free some room, run again", file=sys.stderr)
            return CODES["fault"]
    if setting.config.plots:
        _report(folder)
    counts = ", ".join(f"{manifest[what]} {what}" for what in ("steps", "messages", "faults"))
    print(f"{ended['ended']}: {counts}, log {manifest['log_sha256'][:12]}")
    print(folder)
    return CODES.get(ended["ended"], 128 + (halt.signal or signal.SIGINT))


def _played(setting: Setting, folder: Path, log: EventLog, halt: Halt) -> dict[str, Any]:
    """Play, and end the log with how it ended and why."""
    why: str | None = None
    try:
        with executor(setting) as hosts, Progress(sys.stderr, time.monotonic) as told:
            halt.playing = True
            done = play(setting, hosts, log, folder, told, halt)
            ended = "done" if done else "interrupted"
    except (Interrupted, KeyboardInterrupt):
        ended = "interrupted"
    except SystemExit:  # Ray's own answer to SIGTERM while it starts
        ended, halt.signal = "interrupted", halt.signal or signal.SIGTERM
    except (AgentFault, LogError) as error:
        ended, why = "fault", str(error)
    except Exception as error:  # the world or the sandbox itself broke: the log is sealed all the same, the trace kept
        ended, why = "fault", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}; the trace is in {folder / 'fault.txt'}"
        with suppress(OSError):  # a full disk
            (folder / "fault.txt").write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
    if ended == "interrupted":
        why = signal.Signals(halt.signal or signal.SIGINT).name
    try:
        if ended == "fault":
            print(f"sandbox: {why}", file=sys.stderr)
            log.append(Event(kind="fault", step=log.step, time=log.time, data={"what": "run", "why": why}))
        log.append(Event(kind="end", step=log.step, time=log.time, data={"ended": ended, "why": why}))
    except (LogError, OSError) as error:  # a full disk: what is in the log stays whole, its end stands in the manifest alone
        ended, why = "fault", why or str(error)
        print(f"sandbox: the log could not be ended ({error}); it holds {log.count} records", file=sys.stderr)
    return {"ended": ended, "why": why}


def _report(folder: Path) -> None:
    """Tables and plots, by a process of its own: analysis reads the sandbox, never the other way round."""
    child = subprocess.run([sys.executable, "-m", "analysis", "report", str(folder)], capture_output=True, text=True, check=False)
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"sandbox: the report could not be made ({last}); try python -m analysis report {folder}", file=sys.stderr)
