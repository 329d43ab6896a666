"""A sweep: `seed=1,2,3 environment.last_year=1902,1903` is a run for every combination, one after another or as Ray tasks.

Every cell's settings are checked before the first begins. Each tells one line when it has ended; at the end stands a table, and a
sweep.csv beside the runs. A cell that breaks does not stop the others.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.config import load
from sandbox.disk import placed, refused
from sandbox.doors import ONE_AT_A_TIME, Opening
from sandbox.guard import ConfigError
from sandbox.hosts import in_tasks
from sandbox.spreadsheet import row as cells_of

COLUMNS = ("ended", "steps", "messages", "faults", "log_sha256", "folder")


def sweep(path: str, cells: Sequence[tuple[str, ...]], plugins: Sequence[str], tasks: int, one: Callable[..., tuple[int, Path | None]], opening: Opening) -> int:
    """Run every cell by `one`; the exit code is the worst of them. Raises `ConfigError` before anything runs."""
    settings = [load(path, cell, plugins) for cell in cells]
    if tasks > 1 and any(setting.cast.outside for setting in settings):
        raise ConfigError(ONE_AT_A_TIME)
    for setting, cell in zip(settings, cells, strict=True):
        opening.doors(setting, cell, Path(path))
    varied = [i for i in range(len(cells[0])) if len({cell[i] for cell in cells}) > 1]
    names = [cell[i].split("=")[0].lstrip("+") for i in varied for cell in cells[:1]]
    place = Path(settings[0].config.run_dir)
    calls = [(_tried, (one, path, cell, tuple(plugins))) for cell in cells]
    rows: list[dict[str, Any]] = []
    results = in_tasks(calls, tasks) if tasks > 1 else (call(*given) for call, given in calls)
    code = 0
    for cell, (cell_code, folder) in zip(cells, results, strict=True):
        row = dict(zip(names, (cell[i].partition("=")[2] for i in varied), strict=True)) | _summary(folder)
        print("  ".join(f"{key}={value:.12}" if key == "log_sha256" else f"{key}={value}" for key, value in row.items()), flush=True)
        rows.append(row)
        code = max(code, cell_code)
        if cell_code >= 128:  # asked to stop: the cells that have not begun do not begin
            print(f"sandbox: {len(rows)} of {len(cells)} runs of the sweep were begun", file=sys.stderr)
            break
    _table(place, names, rows)
    return code


def _tried(one: Callable[..., tuple[int, Path | None]], path: str, cell: Sequence[str], plugins: Sequence[str]) -> tuple[int, Path | None]:
    """A cell; where the file system has no place for it, a line says so."""
    try:
        return one(path, cell, plugins)
    except OSError as error:
        print(f"sandbox: {' '.join(cell)}: {refused(error)}", file=sys.stderr, flush=True)
        return 1, None


def _summary(folder: Path | None) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8")) if folder else {}
    return {key: str(folder) if key == "folder" else manifest.get(key, "-") for key in COLUMNS}


def _table(place: Path, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """The cells side by side: on the screen, and in a file."""
    shown = [[*names, *COLUMNS[:4]], *([str(row[key]) for key in (*names, *COLUMNS[:4])] for row in rows)]
    widths = [max(len(line[i]) for line in shown) for i in range(len(shown[0]))]
    print()
    for line in shown:
        print("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)))
    path = place / f"sweep-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.csv"
    with placed(path) as part, open(part, "x", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*names, *COLUMNS])
        writer.writeheader()
        writer.writerows(map(cells_of, rows))
    print(path)
