"""The folder of an experiment: its table of runs, and what the user named in its place: one run, a folder of many, nothing at all."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from analysis.metrics import AnalysisError
from sandbox.experiment import FILE
from sandbox.named import OF_A_RUN

RUNS = "runs.csv"


def runs_table(experiment: Path) -> list[dict[str, str]]:
    """The rows of its table of runs, as they stand there. Raises `AnalysisError` for a folder that has none."""
    try:
        with open(experiment / RUNS, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnalysisError(no_experiment(experiment) or f"{experiment / RUNS}: cannot be read ({type(error).__name__}); go on with the experiment, which writes it again") from None


def no_experiment(folder: Path) -> str | None:
    """Why this is not the folder of an experiment that has runs, and what to do instead, in one line; None for one that may be."""
    if not os.path.exists(folder):
        return f"{folder}: no such folder; give the one that an experiment named in its last line"
    if not folder.is_dir():
        return f"{folder}: this is a file; give the folder that an experiment named in its last line"
    if (folder / RUNS).is_file():
        return None
    if (folder / FILE).is_file():
        return f"{folder}: an experiment that has no {RUNS} yet, none of its runs is done; go on with it: python -m sandbox resume {folder}"
    if any((folder / name).is_file() for name in OF_A_RUN):
        return f"{folder}: this is a single run, no experiment; use `python -m analysis report {folder}`, or `collusion` for a market"
    if found := next((above for above in list(folder.parents)[:2] if (above / RUNS).is_file()), None):
        return f"{folder}: a folder in that of an experiment; give the experiment's own: {found}"
    below = sorted(place.parent for depth in ("*", "*/*") for place in folder.glob(f"{depth}/{RUNS}"))
    if below:
        return f"{folder}: a folder of {len(below)} experiment{'s' * (len(below) > 1)}, itself none; name one of them, such as {below[-1]}"
    return f"{folder}: no experiment there (no {RUNS}); give the folder that an experiment named in its last line"
