"""What stands on disk of an export that is not done: which work is finished, so that it goes on after a kill, to the same bytes.

    stage/wish.json     what was asked, and of which runs: another wish finds another export here, and is refused
    stage/looked.jsonl  a line for each piece whose rows were gone through by the filters     stage/written.jsonl  … that was written
    stage/parts/        of formats whose files are put together at the end

A line is appended when its work is on disk, and numbered; the last may be torn by a kill, and counts for nothing, but whole ones are as they were
written, or refused, and so are the files that they name, by their hashes. `export.json` stands last: with it an export is done. A folder with neither,
and anything in it, is no export, and is left alone (`sandbox/unfinished.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.disk import sync_folder
from sandbox.exporting.energy import known_by
from sandbox.exporting.source import Source
from sandbox.exporting.wish import ExportError, Wish
from sandbox.unfinished import STAGE, Making

VERSION = 2  # of its lines
DONE, LOOKED, WRITTEN, PARTS = "export.json", "looked.jsonl", "written.jsonl", "parts"
EXPORT = Making(
    what="export", done=DONE, refused=ExportError,
    differences={"v": "in another form", "generator": "by another version", "wish": "with other options", "runs_sha256": "of other runs"},
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """The folder of an export that is being made."""

    out: Path

    @property
    def folder(self) -> Path:
        return self.out / STAGE

    @property
    def parts(self) -> Path:
        return self.folder / PARTS

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The whole lines of one of its files, in order. Raises `ExportError` for one that is not as it was written."""
        path = self.folder / name
        if not path.exists():
            return
        with open(path, "rb") as file:
            for number, line in enumerate(whole for whole in file if whole.endswith(b"\n")):
                text, _, mark = line[:-1].rpartition(b" ")
                if mark != _mark(number, text):
                    raise ExportError(f"{path}: line {number + 1} was changed since it was written; remove {self.out}, and export again")
                yield json.loads(text)

    def mend(self, name: str) -> int:
        """Cut off a torn last line; how many whole ones there are."""
        path = self.folder / name
        if path.exists() and not path.is_file():
            raise ExportError(f"{path}: no file, as an export keeps there; remove {self.out}, and export again")
        if not path.exists():
            path.touch()
            sync_folder(self.folder)
        whole = count = 0
        with open(path, "r+b") as file:
            for line in file:
                whole, count = (whole + len(line), count + 1) if line.endswith(b"\n") else (whole, count)
            file.truncate(whole)
        return count

    def add(self, name: str, number: int, value: Mapping[str, Any]) -> None:
        """One line more, its number counted from 0, on disk when this returns."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
        with open(self.folder / name, "ab") as file:
            file.write(text + b" " + _mark(number, text) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """The export is done."""
        shutil.rmtree(self.folder)
        sync_folder(self.out)


def _mark(number: int, text: bytes) -> bytes:
    """What a line ends with: none can be changed, lost or doubled unseen."""
    return hashlib.sha256(b"%d " % number + text).hexdigest()[:16].encode()


def asked(wish: Wish, runs: Sequence[Source], generator: str) -> dict[str, Any]:
    """What an export is known by: what was asked, of which runs, by which version."""
    digest = hashlib.sha256()
    for run in runs:
        told = json.dumps([run.sha256, run.game, run.labels, dict(run.seats), run.checkpoint, run.scenario, known_by(run, wish)], sort_keys=True)
        digest.update(told.encode() + b"\n")
    return {"v": VERSION, "generator": generator, "wish": wish.to_json(), "runs": len(runs), "runs_sha256": digest.hexdigest()}
