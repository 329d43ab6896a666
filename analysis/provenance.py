"""What a table of scores was made of, in scores.json beside it, so that an old table never passes for one of what is there now.

    {"v": 1, "table": SHA-256 of scores.csv, "program": version, "wish": {…}, "checkpoint": SHA-256 or null,
     "runs": {ARM/SEED: {"log": SHA-256 of its file, "world"}}, "detectors": {name: {module or data file: SHA-256}}}

Held against it is what scores follow from: which runs are done, their logs byte for byte, the detectors' own modules and what they were taught,
the model whose states are asked. Labels are not among it, which no detector opens. The table is written first: one that a kill left without
its record, or beside an older one, is no table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from agents.bounded import read_bounded
from analysis.detectors import DetectorEntry, chosen
from analysis.metrics import AnalysisError
from analysis.scores import TABLE, ScoresWish, read_scores, runs_of, scores
from analysis.table_files import write
from sandbox.disk import file_sha256, placed
from sandbox.version import NAME, installed

FILE, VERSION = "scores.json", 1
LOGS = ("events.jsonl", "events.parquet")  # the first that a run's folder has is what is read
HERE = Path(__file__).parent
MOST_BYTES = 64 * 1024 * 1024


class Outdated(AnalysisError):
    """A table of scores that is there, and not of what is there now."""


def make(experiment: Path, wish: ScoresWish, tasks: int = 1, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """The scores of an experiment, made and written with their record. Raises `AnalysisError`."""
    record = made_of(experiment, wish)  # before they are made: what changes meanwhile makes them old
    found = scores(experiment, wish, tasks, say)
    write(found, experiment / TABLE)
    path = experiment / FILE
    try:
        with placed(path) as part:
            part.write_text(json.dumps({"v": VERSION, "table": _sha256(experiment / TABLE), **record}, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot write what the scores were made of ({error.strerror}); is there room, and is the folder writable?") from None
    return found


def read(experiment: Path) -> tuple[pd.DataFrame, ScoresWish]:
    """The scores that stand there and what was asked for. Raises `Outdated` for those of something else than is there now, `AnalysisError` for none."""
    found, record = read_scores(experiment), _record(experiment)
    wish = _wish(experiment, record)
    if why := _differs(record, {"table": _sha256(experiment / TABLE), **made_of(experiment, wish)}):
        raise Outdated(f"{experiment / TABLE}: {why}; make it again: python -m analysis scores {experiment}")
    return found, wish


def asked(experiment: Path) -> ScoresWish | None:
    """What was asked for when the scores were made, however old they are; None where nothing says so."""
    try:
        return _wish(experiment, _record(experiment))
    except AnalysisError:
        return None


def made_of(experiment: Path, wish: ScoresWish) -> dict[str, Any]:
    """All that the scores of an experiment follow from, as it is now. Raises `AnalysisError`."""
    runs = {f"{arm}/{seed}": _run(folder) for arm, seed, folder in runs_of(experiment)}
    detectors = {d.name: d for world in sorted({run["world"] for run in runs.values()}) for d in chosen(world, wish.detectors, wish.models)}
    model = _model(wish.checkpoint) if any(d.model for d in detectors.values()) else None
    return {"program": _program(), "wish": {**asdict(wish), "detectors": list(wish.detectors)}, "checkpoint": model, "runs": runs,
            "detectors": {name: _of_detector(one) for name, one in sorted(detectors.items())}}  # fmt: skip


def _run(folder: Path) -> dict[str, str]:
    log = next((folder / name for name in LOGS if (folder / name).is_file()), folder / LOGS[0])
    try:
        world = json.loads((folder / "manifest.json").read_bytes())["environment"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise AnalysisError(f"{folder / 'manifest.json'}: does not name the run's world ({type(error).__name__}); restore it, or run the scenario again") from None
    return {"log": _sha256(log), "world": str(world)}


def _of_detector(detector: DetectorEntry) -> dict[str, str]:
    """Of its module and its data each the SHA-256."""
    files = (f"{detector.place.partition(':')[0].removeprefix('analysis.')}.py", *detector.data)
    return {name: _sha256(HERE / name) for name in files}


def _model(name: str) -> str:
    from sociallm.checkpoint import CheckpointError, checkpoint_hash  # torch takes a second to import

    try:
        return checkpoint_hash(name)
    except CheckpointError as error:
        raise AnalysisError(str(error)) from None


def _program() -> str:
    """Its version; empty for code that was not installed."""
    return installed(NAME) or ""


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); restore it, or run the scenario again") from None


def _record(experiment: Path) -> dict[str, Any]:
    """The record beside the table. Raises `Outdated` where there is none."""
    path, remedy = experiment / FILE, f"make the scores again: python -m analysis scores {experiment}"
    try:
        told = json.loads(read_bounded(path, MOST_BYTES))
    except FileNotFoundError:
        raise Outdated(f"{path}: missing, so nothing says what {TABLE} was made of; {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Outdated(f"{path}: cannot be read ({' '.join(str(error).split()):.80}); {remedy}") from None
    if not isinstance(told, dict) or told.get("v") != VERSION:
        raise Outdated(f"{path}: no record of version {VERSION}; {remedy}")
    return told


def _wish(experiment: Path, record: Mapping[str, Any]) -> ScoresWish:
    told: Any = record.get("wish")
    good = isinstance(told, dict) and set(told) == {"detectors", "checkpoint", "parts", "models"} and isinstance(told["detectors"], list)
    if not good or not all(isinstance(name, str) for name in (*told["detectors"], told["checkpoint"])) or type(told["parts"]) is not int or type(told["models"]) is not bool:
        raise Outdated(f"{experiment / FILE}: wish is {told!r:.60}; expected detectors, checkpoint, parts and models; make the scores again: python -m analysis scores {experiment}")
    return ScoresWish(tuple(told["detectors"]), told["checkpoint"], told["parts"], told["models"])


def _differs(record: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is not as it was when the scores were made, the first of it; empty where all is."""
    for key, word in (("runs", "of the run"), ("detectors", "by the detector")):
        was, is_ = record.get(key), now[key]
        if not isinstance(was, dict):
            return f"its record {FILE} does not say of which {key}"
        for name in sorted({*was, *is_}):
            if name not in is_ or name not in was:
                return f"{'holds' if name in was else 'holds no'} scores {word} {name}, which {'is there no more' if name in was else 'is there now'}"
            if was[name] != is_[name]:
                what = next((part for part in sorted(is_[name]) if not isinstance(was[name], dict) or was[name].get(part) != is_[name][part]), "more")
                return f"made {word} {name} as it was before its {what} was changed"
    words = {"table": "was changed, or only partly written, after it was made", "checkpoint": "made with another model than stands there now", "program": "made by another version of this program"}
    return next((word for key, word in words.items() if record.get(key) != now[key]), "")
