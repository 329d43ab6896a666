"""The exact state of a run after a step, in a folder: the world, the clock, the mailboxes, every agent's memory, every channel's state.

    snapshot.json    step, clock, world, mailboxes (ids of messages), how far the log had come, SHA-256 of every other file
    memories.json    per agent its policy's notes and the keys of its channels
    AGENT.safetensors, channels/CHANNEL.safetensors    states, in a run whose agents carry them (sociallm/state_files.py)
Random streams and the schedule need no saving: they are made from (seed, owner, purpose, step). What was said stands in the log; the
snapshot names the place in it, and the SHA-256 of all before that place. A snapshot is written beside its place, synced, and renamed:
one that has its name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.types import JSON
from sandbox.disk import placed_folder, sync_folder
from sandbox.log import value_of
from sociallm.conversation import AgentID

VERSION = 2
FINAL = "final"
KEPT = 3  # the newest, besides the last of all
MOST = 2**63 - 1  # of what is counted


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _counts(least: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= MOST


GOOD: Mapping[str, Callable[[Any], bool]] = {  # whether a value can be what a snapshot says
    "step": _counts(-1), "time": _counts(-MOST), "done": lambda value: type(value) is bool, "seed": _counts(0),
    "checkpoint": lambda value: isinstance(value, (str, type(None))), "records": _counts(0), "log_bytes": _counts(0),
    "log_sha256": lambda value: isinstance(value, str), "seats": lambda value: isinstance(value, dict) and _names(list(value.values())),
    "mailboxes": lambda value: isinstance(value, dict) and all(_names(names) for names in value.values()),
}  # fmt: skip


class RunError(ValueError):
    """What is wrong with the folder of a run, and how to mend it: one line."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All of it. `files` are what the executor saved: memories and states."""

    step: int
    time: int
    done: bool  # the world was: nothing is played after it
    seed: int
    checkpoint: str | None  # SHA-256 of the weights that made the states
    seats: Mapping[AgentID, str]
    world: JSON
    mailboxes: Mapping[AgentID, Sequence[str]]
    records: int  # of the log, up to and with this step
    log_bytes: int
    log_sha256: str
    files: Mapping[str, bytes]


def save_snapshot(folder: Path, name: str, snapshot: Snapshot) -> None:
    """Write `folder/name`; an older one of that name gives way. Raises OSError, and leaves nothing half-written under the name."""
    with placed_folder(folder / name) as part:
        for file, content in snapshot.files.items():
            (part / file).parent.mkdir(exist_ok=True)
            _write(part / file, content)
        # keys keep their order: a world or a policy may go through its own mappings as they stand
        stated = {key: value for key, value in vars(snapshot).items() if key != "files"} | {
            "v": VERSION, "sha256": {file: hashlib.sha256(content).hexdigest() for file, content in sorted(snapshot.files.items())},
        }  # fmt: skip
        _write(part / "snapshot.json", (json.dumps(stated, allow_nan=False, indent=1) + "\n").encode())
        for inner in {part, *(path.parent for path in part.rglob("*"))}:
            sync_folder(inner)


def prune(folder: Path, but: str | None = None) -> None:
    """Leave the newest `KEPT` of a run's numbered snapshots, the one named `but`, and the final one; and nothing that a killed process left
    half written or half removed. For whoever holds the folder of the run."""
    numbered = sorted(path for path in folder.iterdir() if path.name.isdigit())
    for path in numbered[:-KEPT]:
        if path.name != but:
            gone = path.with_name(f"{path.name}.part")  # a folder half removed must not pass for a snapshot
            shutil.rmtree(gone, ignore_errors=True)
            os.rename(path, gone)
    for left in folder.glob("*.part"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def number(step: int) -> str:
    """The name of the snapshot after a step; -1: before the first."""
    return f"{step:08d}" if step >= 0 else "start"


def snapshots_of(run: Path) -> Iterator[Path]:
    """The folders of a run's snapshots, the latest step first."""
    found = []
    for path in (run / "snapshots").iterdir() if (run / "snapshots").is_dir() else ():
        if path.suffix == ".part":  # whole perhaps, but a kill came before its name: it will be written again
            continue
        try:
            found.append((int(json.loads((path / "snapshot.json").read_bytes())["step"]), path))
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):  # damaged: not one to go on from
            continue
    return iter([path for _, path in sorted(found, reverse=True)])


def load_snapshot(folder: Path) -> Snapshot:
    """A snapshot, every file held against its SHA-256. Raises `RunError`; nothing is half-loaded."""
    try:
        stated: dict[str, Any] = value_of((folder / "snapshot.json").read_bytes())
        if stated.pop("v") != VERSION:
            raise RunError(f"{folder}: a snapshot of another version; this program knows {VERSION}, read it with the one that wrote it")
        digests = stated.pop("sha256")
        files = {name: (folder / _plain(name, folder)).read_bytes() for name in digests}
        snapshot = Snapshot(**stated, files=files)
        if wrong := [key for key, is_good in GOOD.items() if not is_good(stated[key])]:
            raise RunError(f"{folder}/snapshot.json: its {wrong[0]!r} is {stated[wrong[0]]!r:.60}, which no run writes; remove this snapshot, or run again")
    except RunError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{folder}: not a whole snapshot ({' '.join(str(error).split())[:120]}); take an earlier one, or run again") from None
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise RunError(f"{folder / name}: SHA-256 differs from the one in snapshot.json; the file is damaged: remove {folder}")
    return snapshot


def _plain(name: str, folder: Path) -> str:
    """The name, if it stays in the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise RunError(f"{folder}: snapshot.json names the file {name!r:.80}, which lies elsewhere; remove this snapshot")
    return name


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
