"""What stands on disk of an import: begun, done, something else.

    DIR/NAME/…          the folders of runs, each placed whole
    DIR/stage/wish.json what was asked, and of which files, while it goes on; beside it what does not fit in memory
    DIR/import.json     the same with counts and the hash of each run's log: there when all is done

An import that was killed has no import.json; asked for again it goes on (`sandbox/unfinished.py`): what stands is kept, for the same files give the
same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.disk import sync_folder
from sandbox.importing.wish import Counts, ImportRefused, ImportWish
from sandbox.unfinished import STAGE, Making, write_told

VERSION = 1
DONE = "import.json"
IMPORT = Making(
    what="import", done=DONE, refused=ImportRefused,
    differences={"program": "by another version", "wish": "with other options", "files_sha256": "of other files"},
)  # fmt: skip


def asked(wish: ImportWish, format: str, sources: Mapping[str, str], program: str) -> dict[str, Any]:
    """What an import is known by: what was asked, of which files (name → hash), by which version."""
    digest = hashlib.sha256(json.dumps(sorted(sources.items())).encode())
    return {"v": VERSION, "program": program, "wish": wish.to_json() | {"format": format}, "files": len(sources), "files_sha256": digest.hexdigest()}


def finish(out: Path, asking: Mapping[str, Any], counts: Counts) -> None:
    """Say that all is done, and clear up."""
    os.sync()  # the folders of runs, whose files were not synced one by one
    told = {"runs": counts.runs, "messages": counts.messages, "agents": counts.agents, "left_out": counts.left_out, "cleaned": counts.cleaned}
    write_told(out / DONE, {**asking, "counts": told})
    shutil.rmtree(out / STAGE)
    sync_folder(out)


def abandon(out: Path, runs: Iterable[str]) -> None:
    """Take away what an import made that was refused."""
    for name in (*runs, STAGE):
        shutil.rmtree(out / name, ignore_errors=True)
    with suppress(OSError):  # somebody put something there
        out.rmdir()


def again(out: Path) -> Counts:
    """The counts of an import that is done. Raises `ImportRefused` if a run is not as it left it, or its counts are none."""
    try:
        counts = Counts(out=out, **(IMPORT.told(out / DONE) or {})["counts"])
        runs, _ = dict(counts.runs), counts.lines()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ImportRefused(f"{out / DONE}: not what an import writes when it is done ({type(error).__name__}); remove {out}, and import again") from None
    for name, sha256 in runs.items():
        if log_of(out / name) != sha256:
            raise ImportRefused(f"{out / name}: changed or lost since the import was done; remove {out}, and import again")
    if (out / STAGE).exists():  # killed while it cleared up
        shutil.rmtree(out / STAGE)
    return counts


def log_of(run: Path) -> str | None:
    """The hash that a run's manifest has of its log; None without one."""
    try:
        found = json.loads((run / "manifest.json").read_bytes())["log_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None
