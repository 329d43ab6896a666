"""What was planted in the runs of an experiment, and what came of it: the labels, for those who score detectors and nobody else.

`planted` is what the plan asked for and a seat carried out; `executed` that it came off by the rules of the world. A plant that did not come
off is no positive and no honest run either: it is kept apart as a hard negative.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.metrics import AnalysisError
from analysis.scores import JOIN
from sandbox.labels import FILE
from scenarios.labels import VERSION

COLUMNS = ["arm", "seed", "unit", "who", "planted", "executed", "first", "as"]


def truth(runs: Sequence[tuple[str, int, Path]]) -> pd.DataFrame:
    """One row for each run, agent and pair: planted, executed, the first planted step (-1: none), what it is labelled as.

    Raises `AnalysisError` for a run without labels.
    """
    return pd.DataFrame([row for arm, seed, run in runs for row in _rows(arm, seed, labels(run))], columns=COLUMNS)


def labels(run: Path) -> Mapping[str, Any]:
    """The labels of one run, checked. Raises `AnalysisError`."""
    path = run / FILE
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise AnalysisError(f"{path}: there is none, so nothing is known to be planted or honest here; seat the agents on `planted` with a plan (README), and run again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: cannot be read ({' '.join(str(error).split()):.80}); run the scenario again") from None
    if not isinstance(found, dict) or found.get("v") != VERSION or not isinstance(found.get("agents"), dict) or not found["agents"] or not isinstance(found.get("pairs"), list):
        raise AnalysisError(f"{path}: not labels of version {VERSION}; run the scenario again")
    return found


def _rows(arm: str, seed: int, told: Mapping[str, Any]) -> list[tuple[object, ...]]:
    try:
        each = [("agent", name, row) for name, row in told["agents"].items()] + [("pair", JOIN.join(sorted(row["pair"])), row) for row in told["pairs"]]
        if not all(isinstance(row[key], bool) for _, _, row in each for key in ("planted", "executed")) or not all(isinstance(row["as"], list) for _, _, row in each):
            raise ValueError("planted and executed are yes or no, and as is a list")
        rows: list[tuple[object, ...]] = [(arm, seed, unit, who, bool(r["planted"]), bool(r["executed"]), -1 if r["first"] is None else int(r["first"]), " ".join(r["as"])) for unit, who, r in each]
        agents = [row for unit, _, row in each if unit == "agent"]
        first = min((int(r["first"]) for r in agents if r["planted"] and r["first"] is not None), default=-1)
        kinds = sorted({kind for r in agents for kind in r["as"]})
        whole = (arm, seed, "run", "", any(r["planted"] for r in agents), any(r["executed"] for r in agents), first, " ".join(kinds))
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise AnalysisError(f"{arm}/{seed}/{FILE}: {type(error).__name__}: {error!s:.60}; run the scenario again") from None
    return [whole, *rows]
