"""Tables as CSV files: whole or not at all, and safe to open, in a terminal as in a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.metrics import AnalysisError
from sandbox.disk import placed
from sandbox.spreadsheet import cell


def csv_of(frame: pd.DataFrame, path: Path) -> None:
    """A table as CSV. Text is made safe for a terminal and for a spreadsheet, which would run a cell that begins like a formula."""
    path.parent.mkdir(parents=True, exist_ok=True)
    safe = frame.rename(columns=cell)
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) for kind in safe.dtypes]]:
        safe[column] = safe[column].map(cell)
    safe.to_csv(path, index=False)


def write(frame: pd.DataFrame, path: Path, remedy: str = "is there room, and is the folder writable?") -> None:
    """The same, whole or not at all. Raises `AnalysisError` where it cannot be written."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe, or a terminal: nothing takes its place
            csv_of(frame, path)
            return
        if not path.parent.is_dir():
            raise FileNotFoundError(2, "no such folder")
        with placed(path) as part:
            csv_of(frame, part)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot write the table ({error.strerror}); {remedy}") from None
