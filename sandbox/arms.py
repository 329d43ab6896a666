"""The runs of an experiment: each in a folder of its own, those that are done left as they are, the others begun or gone on with."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.analysing import analysed
from sandbox.config import Setting, load, reseeded
from sandbox.disk import placed, placed_folder, refused
from sandbox.doors import CLOSED, ONE_AT_A_TIME, Opening
from sandbox.experiment import FILE, SCENARIO, Experiment, here, read
from sandbox.folder import held, read_manifest
from sandbox.guard import ConfigError
from sandbox.hosts import in_tasks
from sandbox.labels import FILE as LABELS
from sandbox.log import printable
from sandbox.progress import EVERY
from sandbox.snapshot import RunError
from sandbox.source import first_line
from sandbox.spreadsheet import row as cells_of

USUAL = ("executor=local", "plots=false")  # of every run of an experiment, unless it says otherwise: its runs stand beside each other in tasks
TABLE = "runs.csv"
COLUMNS = ("arm", "seed", "ended", "steps", "messages", "faults", "log_sha256", "folder")
TOLD = ("ConfigError", "LogError", "PlanError", "RunError", "StateError")  # errors that were written for the user
One = Callable[[Callable[[], Setting], Path, tuple[str, ...]], int]  # (its setting, folder, plugins) → exit code: plays a run there, or on


def begin(path: Path | str, overrides: Sequence[str], plugins: Sequence[str], tasks: int | None, opening: Opening = CLOSED) -> Path:
    """The folder of a new experiment. Every arm's settings are checked before anything is written. Raises `ConfigError`."""
    found = read(path, overrides, tasks)
    placed_by = [text for text in overrides if text.partition("=")[0].lstrip("+") == "run_dir"]
    settings = _whole(found, plugins, placed_by)
    _let_out(found, settings, opening)
    first = next(iter(settings.values()))
    folder = Path(first.config.run_dir) / found.name / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    with placed_folder(folder) as part:
        (part / SCENARIO).write_text(found.scenario.read_text(encoding="utf-8-sig"), encoding="utf-8")
        (part / FILE).write_text(found.as_yaml(), encoding="utf-8")
    return folder


def go_on(folder: Path, plugins: Sequence[str], one: One, opening: Opening = CLOSED) -> int:
    """Play what is not done yet, tell how it goes, write the table, analyse. The exit code: 0, 1 where a run or an analysis was not done, 130 if
    it was stopped. Raises `ConfigError`."""
    with held(folder):
        found = here(read(folder / FILE), folder)
        settings = _whole(found, plugins)  # before anything begins
        _let_out(found, settings, opening)
        there = {(arm, seed): _done(found, settings[arm], folder, arm, seed, tuple(plugins)) for arm, seed in found.cells}
        left = [at for at, row in there.items() if row is None]
        if len(left) < len(there):
            said = f"{len(left)} left to play" if left else "nothing left to play"
            print(f"{folder}: {len(there) - len(left)} of {len(there)} runs are done already, {said}", flush=True)
        played: list[dict[str, Any]] = []
        with contextlib.suppress(KeyboardInterrupt):
            for row in _told(_rows(found, settings, folder, tuple(plugins), one, left), len(left)):
                played.append(row)
        stopped = len(played) < len(left)
        now = there | {(row["arm"], row["seed"]): row for row in played}
        rows = [row for row in now.values() if row is not None]
        _table(folder, rows)
    again = f"python -m sandbox resume {folder}{''.join(f' --plugin {name}' for name in plugins)}"
    broken = sum(row["ended"] != "done" for row in rows)
    print(f"{len(rows) - broken} of {len(found.cells)} runs done{f', {broken} ended otherwise' if broken else ''}")
    if stopped:
        print(f"sandbox: to go on: {again}", file=sys.stderr)
        return 130
    if broken:
        print(f"sandbox: {TABLE} says which runs were not done; to try them again: {again}", file=sys.stderr)
    made = [analysed(word, folder) for word in found.then]
    whole = f"of all: python -m analysis report {folder}; " if any((folder / arm / str(seed) / LABELS).is_file() for arm, seed in found.cells) else ""
    print(f"for a report {whole}of one run, with plots: python -m analysis report {folder}/ARM/SEED")  # of all only where something can be detected
    return 0 if not broken and all(made) else 1


def _let_out(found: Experiment, settings: Mapping[str, Setting], opening: Opening) -> None:
    """Raises `ConfigError` if an arm's seats would call servers that are not open, or from a process that has no doors."""
    if found.tasks > 1 and any(setting.cast.outside for setting in settings.values()):
        raise ConfigError(ONE_AT_A_TIME)
    for setting in settings.values():
        opening.doors(setting, (), found.scenario)


def _rows(
    found: Experiment, settings: Mapping[str, Setting], folder: Path, plugins: tuple[str, ...], one: One, left: Sequence[tuple[str, int]]
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """A row for each run that is left, in the order of the cells."""
    if found.tasks == 1 or not left:  # to play nothing no tasks are begun
        return (cell(folder, arm, seed, plugins, one, (found, settings[arm])) for arm, seed in left)
    return in_tasks([(cell, (folder, arm, seed, plugins, one)) for arm, seed in left], found.tasks)


def cell(folder: Path, arm: str, seed: int, plugins: tuple[str, ...], one: One, made: tuple[Experiment, Setting] | None = None) -> dict[str, Any]:
    """The row of one run, which is played if it is not done. What is wrong with one is told, and does not keep others from being played. `made`: the
    experiment and the arm's setting with any seed, where they are at hand."""
    place, began = folder / arm / str(seed), time.time()
    try:
        found, first = made or _composed(folder, arm, plugins)
        setting = _setting(found, first, arm, seed, plugins)
        if why := _another(place, setting):
            raise RunError(f"{why}; move it away to have the run played")
        if not place.is_dir() or not any(place.iterdir()) or read_manifest(place)["ended"] != "done":
            with contextlib.redirect_stdout(io.StringIO()):  # what a run tells at its end stands in the table
                code = one(lambda: setting, place, plugins)
            if code >= 128:  # asked to stop
                raise KeyboardInterrupt
        told = read_manifest(place)
    except (ValueError, OSError) as error:
        if isinstance(error, ValueError) and type(error).__name__ not in TOLD:
            raise
        what = refused(error) if isinstance(error, OSError) else str(error)
        print(f"sandbox: {arm} {seed}: {printable(what)}", file=sys.stderr, flush=True)
        return _row(arm, seed, {"ended": "refused"}) | {"began": began}
    return _row(arm, seed, told) | {"began": began}


def _row(arm: str, seed: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a manifest says."""
    return {key: told.get(key, "-") for key in COLUMNS} | {"arm": arm, "seed": seed, "folder": f"{arm}/{seed}", "ended": told["ended"] or "not ended"}


def _done(found: Experiment, first: Setting, folder: Path, arm: str, seed: int, plugins: tuple[str, ...]) -> dict[str, Any] | None:
    """The row of a run that stands there and is done; None of one that is to be played, or told of."""
    place = folder / arm / str(seed)
    try:
        if not (place / "manifest.json").exists() or _another(place, _setting(found, first, arm, seed, plugins)):
            return None
        told = read_manifest(place)
    except (ValueError, OSError):  # which is told when it is played
        return None
    return _row(arm, seed, told) if told["ended"] == "done" else None


def _another(place: Path, setting: Setting) -> str | None:
    """Why what stands in a run's place is not that run, begun or done; None if nothing does, or it is."""
    if not os.path.lexists(place):
        return None
    if not place.is_dir() or place.is_symlink():
        return f"{place}: something else than a run's folder stands here"
    if not (place / "manifest.json").exists():
        return f"{place}: files that are no run" if any(place.iterdir()) else None
    manifest = read_manifest(place)
    if manifest["seed"] == setting.config.seed and manifest["config_sha256"] == hashlib.sha256(setting.unresolved.encode()).hexdigest():
        return None
    return f"{place}: a run of other settings than this experiment's"


def _whole(found: Experiment, plugins: Sequence[str], also: Sequence[str] = ()) -> dict[str, Setting]:
    """Arm → the setting of its first run, also with these changes. Raises `ConfigError` if any arm's runs cannot be made."""
    return {arm: _made(found, arm, found.seeds[0], plugins, also) for arm in found.arms}


def _made(found: Experiment, arm: str, seed: int, plugins: Sequence[str], also: Sequence[str] = ()) -> Setting:
    """The setting of one run, composed; that takes as long as playing a short game. Raises `ConfigError`, with the line of the arm that it is about."""
    try:
        return load(found.scenario, (*USUAL, *found.overrides(arm, seed), *also), plugins)
    except ConfigError as error:
        raise found.said(error, arm) from None
    except ValueError as error:  # a library's, of a value that it does not take
        raise ConfigError(f"arm {arm!r}, seed {seed}: {first_line(error)}; change what the arm sets") from None


def _setting(found: Experiment, first: Setting, arm: str, seed: int, plugins: tuple[str, ...]) -> Setting:
    """Of one run: the arm's first with another seed, or, where settings refer to the seed, one of its own. Raises `ConfigError`."""
    try:
        return reseeded(first, seed)
    except ValueError:
        return _made(found, arm, seed, plugins)


@lru_cache(maxsize=64)
def _composed(folder: Path, arm: str, plugins: tuple[str, ...]) -> tuple[Experiment, Setting]:
    """(the experiment, an arm's first setting) in a task's process, which lives as long as the experiment is played."""
    found = here(read(folder / FILE), folder)
    return found, _made(found, arm, found.seeds[0], plugins)


def _told(rows: Iterator[dict[str, Any]], count: int, clock: Callable[[], float] = time.time) -> Iterator[dict[str, Any]]:
    """The rows as they come; how far it is, on stderr, every few seconds. What is left is reckoned from when the first run began, so that what Ray takes
    to start counts for none, and from two runs on."""
    last, first, broken = clock(), float("inf"), 0
    for n, row in enumerate(rows, 1):
        yield row
        broken += row["ended"] != "done"
        now, first = clock(), min(first, row["began"])
        if now - last >= EVERY:
            last, left = now, round(max(now - first, 0.0) / n * (count - n))
            otherwise = f", {broken} ended otherwise" if broken else ""
            print(f"{n} of {count} runs{otherwise}{f', {left // 60}:{left % 60:02d} left' if n > 1 else ''}", file=sys.stderr, flush=True)


def _table(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    with placed(folder / TABLE) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")  # when a run began is no result
        writer.writeheader()
        writer.writerows(map(cells_of, rows))
