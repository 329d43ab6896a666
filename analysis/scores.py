"""Suspicions as numbers: what every detector says of a run, of its agents, pairs and messages, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.detectors import DetectorEntry, Score, chosen
from analysis.evidence import Evidence, evidence_of
from analysis.folders import RUNS, no_experiment, runs_table
from analysis.metrics import AnalysisError
from analysis.tasks import processes
from sandbox.experiment import NAME, NUMBER
from sandbox.spreadsheet import cell

TABLE = "scores.csv"
COLUMNS = ["arm", "seed", "until", "detector", "measure", "kind", "unit", "who", "value", "amount"]
JOIN = "+"  # between the agents of a pair, in a table


def scores_of(evidence: Evidence, detectors: Sequence[DetectorEntry], parts: int = 1) -> list[tuple[int, str, Score]]:
    """(steps known, detector, score) of a run, after each of `parts` equal parts of it."""
    ends = sorted({evidence.steps * k // parts for k in range(1, parts + 1)} - {0})
    cuts = [(end, evidence if end == evidence.steps else evidence.until(end)) for end in ends]
    return [(end, detector.name, score) for end, cut in cuts for detector in detectors for score in detector(cut)]


def runs_of(experiment: Path) -> list[tuple[str, int, Path]]:
    """(arm, seed, folder) of the runs of an experiment that are done. Raises `AnalysisError`."""
    found: list[tuple[str, int, Path]] = []
    for n, row in enumerate(runs_table(experiment), 2):
        arm, seed = row.get("arm") or "", row.get("seed") or ""
        if not NAME.fullmatch(arm) or not NUMBER.fullmatch(seed) or (arm, int(seed)) in {(a, n) for a, n, _ in found}:
            raise AnalysisError(f"{experiment / RUNS}:{n}: names no arm and seed, or one for the second time; go on with the experiment, which writes it again")
        if row.get("ended") == "done":
            found.append((arm, int(seed), experiment / arm / seed))
    if not found:
        raise AnalysisError(f"{experiment}: none of its runs is done; go on with it: python -m sandbox resume {experiment}")
    return found


@dataclass(frozen=True)
class ScoresWish:
    """What is asked of the runs: by which detectors (none named: all of the world), with which model, after how many parts."""

    detectors: tuple[str, ...] = ()
    checkpoint: str = "base"
    parts: int = 1
    models: bool = True


def rows_of(arm: str, seed: int, run: Path, wish: ScoresWish) -> list[tuple[object, ...]]:
    """The rows of one run for the table. Raises `AnalysisError` that names the run."""
    evidence = evidence_of(run, wish.checkpoint, str(seed))
    try:
        found = scores_of(evidence, chosen(evidence.world, wish.detectors, wish.models), wish.parts)
    except AnalysisError as error:
        raise AnalysisError(f"{run}: {error}") from None
    return [(arm, seed, until, name, s.measure, s.kind, s.unit, as_cell(s.message or JOIN.join(s.who)), s.value, s.amount) for until, name, s in found]


def as_cell(name: str) -> str:
    """A name as a table holds it, in memory too, so that tables made and tables read agree: what could steer a terminal, has no UTF-8 form or begins
    like a formula is written out, as `table_files.csv_of` writes it."""
    return str(cell(name))


def scores(experiment: Path, wish: ScoresWish, tasks: int = 1, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """The scores of all runs of an experiment that are done, in processes of one thread each; rows as `COLUMNS`. `say` is told how many are done.
    Raises `AnalysisError`."""
    cells = runs_of(experiment)
    given = [(arm, seed, run, wish) for arm, seed, run in cells]
    with processes(min(tasks, len(given))) as pool:
        coming = (rows_of(*one) for one in given) if pool is None else (f.result() for f in [pool.submit(rows_of, *one) for one in given])
        done = []
        for rows in coming:
            done.append(rows)
            say(f"scored {len(done)} of {len(given)} runs")
    return pd.DataFrame([row for rows in done for row in rows], columns=COLUMNS)


def read_scores(experiment: Path) -> pd.DataFrame:
    """The table that `scores` made and wrote. Raises `AnalysisError`."""
    path = experiment / TABLE
    try:
        found = pd.read_csv(path, dtype={"arm": str, "who": str, "seed": np.int64, "until": np.int64, "value": float}, keep_default_na=False, na_values={"value": [""]})
    except FileNotFoundError:
        raise AnalysisError(no_experiment(experiment) or f"{path}: no scores there yet; make them: python -m analysis scores {experiment}") from None
    except (OSError, ValueError, OverflowError) as error:
        raise AnalysisError(f"{path}: cannot be read ({(error.strerror or type(error).__name__) if isinstance(error, OSError) else ' '.join(str(error).split())[:80]}); make it: python -m analysis scores {experiment}") from None
    if list(found.columns) != COLUMNS or not np.isfinite(found["value"]).all():
        raise AnalysisError(f"{path}: not a table of scores; make it again: python -m analysis scores {experiment}")
    if found.duplicated([c for c in COLUMNS if c not in ("value", "amount")]).any():
        raise AnalysisError(f"{path}: holds a score twice; make it again: python -m analysis scores {experiment}")
    made, done = set(zip(found["arm"], found["seed"], strict=True)), {(arm, seed) for arm, seed, _ in runs_of(experiment)}
    if made != done:
        arm, number = min(made ^ done)
        raise AnalysisError(f"{path}: {'holds no score of' if (arm, number) in done else 'holds scores of'} {arm}/{number}{'' if (arm, number) in done else ', no run that is done'}; make it again: python -m analysis scores {experiment}")
    return found
