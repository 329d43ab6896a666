"""`python -m analysis view RUN`: what a run's log says as one page, written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from analysis.metrics import AnalysisError
from analysis.viewing.gathered import gathered
from analysis.viewing.page import page
from sandbox.disk import placed

FILE = "view.html"
BEGINS = b"<!doctype html>"  # as each page does
LARGEST = 9_500_000  # characters of a page, as long as cutting the longest texts can do it
MOST = (40_000, 8_000, 2_000, 500)  # characters of a message: more than any agent may write, and shorter ones for a page that would be too large


def view(run: Path, out: Path | None = None, with_labels: bool = False) -> tuple[Path, list[str]]:
    """Write the page (RUN/view.html, if `out` does not say where); its path, and notes on what it does not show. Raises `AnalysisError`."""
    path = out or run / FILE
    _replaceable(path)
    for most in MOST:
        value = gathered(run, most, with_labels)
        text = page(value)
        if len(text) <= LARGEST:
            break
        longest = max(map(len, value["messages"]["text"]), default=0)
        if longest <= MOST[-1]:
            break
    notes = list(value["notes"])
    if most < MOST[0]:
        notes.append(f"texts longer than {most:,} characters are cut in the page, the log has them whole")
    try:
        with placed(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror or error}); is there room, and is the folder there and writable? or name another file with --out") from None
    return path, notes


def _replaceable(path: Path) -> None:
    """Raises `AnalysisError` where a page would take the place of something that is none: a log, a link, a device."""
    try:
        if not path.name:
            raise AnalysisError(f"{path}: no name of a file; give one with --out, such as page.html")
        if not os.path.lexists(path):
            return
        if not stat.S_ISREG(path.lstat().st_mode):
            raise AnalysisError(f"{path}: there, and no plain file; nothing there was touched: name another file with --out")
        with open(path, "rb") as file:
            if file.read(len(BEGINS)) not in (b"", BEGINS):
                raise AnalysisError(f"{path}: holds something that is no page; nothing there was touched: name another file with --out")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror}); name another file with --out") from None
