"""What the user named where the folder of a run was expected: a file in one, a folder of many, nothing at all. One line, with the remedy."""

from __future__ import annotations

import os
from pathlib import Path

MANIFEST = "manifest.json"
OF_A_RUN = (MANIFEST, "events.jsonl", "events.parquet")  # any of them: of a run that lost its manifest others say what is missing
DEEP = ("*", "*/*", "*/*/*")  # runs/NAME/RUN, seen from NAME, from runs and from the folder that holds it


def no_run(path: Path) -> str | None:
    """Why this is not the folder of a run, and what to name instead; None for a folder that may be one."""
    if not os.path.exists(path):  # which takes any name
        return f"{path}: no such folder; give the one that a run named in its last line"
    if _is_run(path):
        return None
    run = next((folder for folder in list(path.parents)[:3] if _is_run(folder)), None)
    if not os.path.isdir(path):
        return f"{path}: this is a file; give the run's folder{f': {run}' if run else ', the one that a run named in its last line'}"
    if run:
        return f"{path}: a folder in that of a run; give the run's own: {run}"
    for pattern in DEEP:
        if runs := sorted((place.parent for place in path.glob(f"{pattern}/{MANIFEST}")), key=lambda run: run.name):
            return f"{path}: a folder of {len(runs)} run{'s' * (len(runs) > 1)}, itself none; name one of them, such as {runs[-1]}"
    return None


def _is_run(path: Path) -> bool:
    return any(os.path.isfile(path / name) for name in OF_A_RUN)
