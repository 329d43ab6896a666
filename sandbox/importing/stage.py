"""What stands on disk of an import: begun, done, something else.

    DIR/NAME/…          the folders of runs, each placed whole
    DIR/stage/wish.json what was asked, and of which files, while it goes on; beside it what does not fit in memory
    DIR/import.json     the same with counts and the hash of each run's log: there when all is done

An import that was killed has no import.json; asked for again it goes on: what stands is kept, for the same files give the same bytes.
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

from sandbox.disk import made_folder, placed, sync_folder
from sandbox.importing.wish import Counts, ImportRefused, ImportWish

VERSION = 1
DONE, STAGE, ASKED = "import.json", "stage", "wish.json"


def asked(wish: ImportWish, format: str, sources: Mapping[str, str], program: str) -> dict[str, Any]:
    """What an import is known by: what was asked, of which files (name → hash), by which version."""
    digest = hashlib.sha256(json.dumps(sorted(sources.items())).encode())
    return {"v": VERSION, "program": program, "wish": wish.to_json() | {"format": format}, "files": len(sources), "files_sha256": digest.hexdigest()}


def stands(out: Path, asking: Mapping[str, Any]) -> str:
    """What stands at `out`: "nothing", "begun" or "done". Raises `ImportRefused` for anything else than this very import."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ImportRefused(f"{out}: {'a link' if out.is_symlink() else 'a file'}; name a folder with --out, new or empty")
    here = sorted(path.name for path in out.iterdir()) if out.exists() else []
    if not here or (here == [STAGE] and {path.name for path in (out / STAGE).iterdir()} <= {f"{ASKED}.part"}):
        return "nothing"
    told = _told(out / DONE) if DONE in here else _told(out / STAGE / ASKED)
    if told is None:
        raise ImportRefused(f"{out}: holds {here[0]!r:.60} and is no import; nothing there was touched: name a new folder with --out")
    for key, what in (("program", "by another version"), ("wish", "with other options"), ("files_sha256", "of other files")):
        if told.get(key) != asking[key]:
            raise ImportRefused(f"{out}: holds an import {what}; name another folder with --out, or remove this one")
    return "done" if DONE in here else "begun"


def begin(out: Path, asking: Mapping[str, Any]) -> Path:
    """The stage of an import, new or gone on with."""
    made_folder(out / STAGE)
    if not (out / STAGE / ASKED).exists():
        with placed(out / STAGE / ASKED) as part:
            part.write_text(json.dumps(asking, indent=1, sort_keys=True) + "\n", encoding="ascii")
    return out / STAGE


def finish(out: Path, asking: Mapping[str, Any], counts: Counts) -> None:
    """Say that all is done, and clear up."""
    os.sync()  # the folders of runs, whose files were not synced one by one
    told = {"runs": counts.runs, "messages": counts.messages, "agents": counts.agents, "left_out": counts.left_out, "cleaned": counts.cleaned}
    with placed(out / DONE) as part:
        part.write_text(json.dumps({**asking, "counts": told}, indent=1, sort_keys=True) + "\n", encoding="ascii")
    shutil.rmtree(out / STAGE)
    sync_folder(out)


def abandon(out: Path, runs: Iterable[str]) -> None:
    """Take away what an import made that was refused."""
    for name in (*runs, STAGE):
        shutil.rmtree(out / name, ignore_errors=True)
    with suppress(OSError):  # somebody put something there
        out.rmdir()


def again(out: Path) -> Counts:
    """The counts of an import that is done. Raises `ImportRefused` if a run is not as it left it."""
    told = _told(out / DONE) or {}
    counts = told.get("counts", {})
    for name, sha256 in counts.get("runs", {}).items():
        if log_of(out / name) != sha256:
            raise ImportRefused(f"{out / name}: changed or lost since the import was done; remove {out}, and import again")
    if (out / STAGE).exists():  # killed while it cleared up
        shutil.rmtree(out / STAGE)
    return Counts(out=out, **counts)


def log_of(run: Path) -> str | None:
    """The hash that a run's manifest has of its log; None without one."""
    try:
        found = json.loads((run / "manifest.json").read_bytes())["log_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def _told(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ImportRefused(f"{path}: cannot be read ({' '.join(str(error).split()):.80}); remove the folder of this import, and import again") from None
    return value if isinstance(value, dict) and "wish" in value else None
