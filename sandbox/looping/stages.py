"""A stage of a generation is a folder; `done.json` in it says that it is whole: what went in, what came out, what it cost.

A stage that was killed has no mark: it is begun again, or gone on with where its own files know how. One that is done is never made twice; if what
went in is not what it was, or what came out was changed since, the loop does not go on.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.disk import file_sha256, made_folder, placed
from sandbox.snapshot import RunError

MARK = "done.json"
TELLS = {"run": ("runs", "messages"), "export": ("dialogues",), "head": ("refused",)}  # what a stage is asked for when it is done


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a stage that is whole says of itself. `inputs` and `outputs`: names → hashes."""

    stage: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    told: Mapping[str, Any]  # counts, for people and reports
    seconds: float
    cpu_seconds: float


def stage(folder: Path, inputs: Mapping[str, str], make: Callable[[Path], Mapping[str, Any]], outputs: Callable[[Path], Mapping[str, str]]) -> Done:
    """The stage of this folder, made if it is not done. `make(folder)` returns what it has to tell; `outputs(folder)` hashes what came of it.

    Raises `RunError` where what is there follows from other inputs, or was changed.
    """
    if (folder / MARK).exists():
        done = read(folder)
        if done.inputs != dict(inputs):
            raise RunError(f"{folder}: made from other {_first(done.inputs, inputs)} than what is there now; restore that, or delete this folder and those after it")
        if (now := outputs(folder)) != done.outputs:
            raise RunError(f"{folder}: its {_first(done.outputs, now)} was changed since it was done; restore it, or delete this folder and those after it")
        return done
    made_folder(folder)
    wall, cpu = time.monotonic(), _cpu()
    told = make(folder)
    done = Done(
        stage=folder.name, inputs=dict(inputs), outputs=dict(outputs(folder)), told=dict(told),
        seconds=round(time.monotonic() - wall, 2), cpu_seconds=round(_cpu() - cpu, 2),
    )  # fmt: skip
    with placed(folder / MARK) as part:
        part.write_text(json.dumps(vars(done), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return done


def read(folder: Path) -> Done:
    """What a stage says of itself. Raises `RunError`."""
    path = folder / MARK
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if set(value) != set(Done.__dataclass_fields__) or not all(isinstance(value[key], dict) for key in ("inputs", "outputs", "told")):
            raise ValueError("it has other keys than a stage's mark has")
        if value["stage"] != folder.name or (absent := [key for key in TELLS.get(folder.name, ()) if key not in value["told"]]):
            raise ValueError(f"it is of the stage {value['stage']!r:.20}" if value["stage"] != folder.name else f"it does not tell its {absent[0]}")
        return Done(**value)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{path}: not the mark of a stage ({' '.join(str(error).split()):.100}); delete the folder to have the stage made again") from None


def hashes(folder: Path, *patterns: str) -> dict[str, str]:
    """Path below `folder` → SHA-256, of the files that fit."""
    return {str(path.relative_to(folder)): file_sha256(path) for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()}


def text_sha256(text: str) -> str:
    """Of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _cpu() -> float:
    """Seconds of this process and of children that have ended; those of Ray's workers are not among them."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _first(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    return next((key for key in sorted({*one, *other}) if one.get(key) != other.get(key)), "nothing")
