"""The files of a report in a folder that holds other things too: those that a report wrote are on its list, and go when a newer one has no such part.

    report_files.json   {"v": 1, "files": {"plots/roc_cartel.png": SHA-256, …}}
Nothing else is ever removed: no file that is not on the list, none that was changed since. While files take their places the list has old and new
ones, so that one killed in the midst still knows all that it wrote.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from agents.bounded import read_bounded
from analysis.metrics import AnalysisError
from sandbox.disk import file_sha256, placed

FILE, VERSION = "report_files.json", 1
NAME = re.compile(r"(plots/)?[A-Za-z0-9][A-Za-z0-9_-]*\.(csv|html|md|png)")
MOST_BYTES = 16 * 1024 * 1024


def place(part: Path, folder: Path) -> None:
    """All files of `part` take their places in the folder; those of an older report that has them no more go. Raises `AnalysisError`, OSError."""
    before = written(folder)
    new = {str(path.relative_to(part)): file_sha256(path) for path in sorted(part.rglob("*")) if path.is_file()}
    _list(folder, {**before, **new})
    for name in new:
        (path := folder / name).parent.mkdir(exist_ok=True)
        os.replace(part / name, path)
    for name in before.keys() - new.keys():
        path = folder / name
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink() and file_sha256(path) == before[name]:
            path.unlink()
    _list(folder, new)


def written(folder: Path) -> Mapping[str, str]:
    """What the last report wrote there, each file with its SHA-256; nothing where there was none. Raises `AnalysisError` for a list that is none."""
    path = folder / FILE
    try:
        told = json.loads(read_bounded(path, MOST_BYTES))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        told = None
    files = told.get("files") if isinstance(told, dict) and told.get("v") == VERSION else None
    if not isinstance(files, dict) or not all(NAME.fullmatch(name) and isinstance(print_, str) for name, print_ in files.items()):
        raise AnalysisError(f"{path}: not the list of an older report's files; remove it, and of plots/ what you want no more")
    return files


def _list(folder: Path, files: Mapping[str, str]) -> None:
    with placed(folder / FILE) as part:
        part.write_text(json.dumps({"v": VERSION, "files": dict(sorted(files.items()))}, indent=1) + "\n", encoding="utf-8")
