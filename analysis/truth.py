"""What was planted in the runs of an experiment, and what came of it: the labels, for those who score detectors and nobody else.

`planted` is what the plan asked for and a seat carried out; `executed` that it came off by the rules of the world. A plant that did not come
off is no positive and no honest run either: it is kept apart as a hard negative.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.metrics import AnalysisError
from analysis.scores import JOIN, as_cell
from sandbox.disk import plain_bytes
from sandbox.labels import FILE
from sandbox.log import printable
from scenarios.labels import VERSION

COLUMNS = ["arm", "seed", "unit", "who", "planted", "executed", "first", "as"]


def truth(runs: Sequence[tuple[str, int, Path]]) -> pd.DataFrame:
    """One row for each run, agent and pair: planted, executed, the first planted step (-1: none), what it is labelled as.

    Raises `AnalysisError` for a run without labels.
    """
    if why := unlabelled(runs):
        raise AnalysisError(why)
    return pd.DataFrame([row for arm, seed, run in runs for row in _rows(arm, seed, labels(run))], columns=COLUMNS)


def unlabelled(runs: Sequence[tuple[str, int, Path]]) -> str:
    """In a line that none of these runs has labels, so that nothing can be held against them; empty where one has."""
    if any((run / FILE).is_file() for _, _, run in runs):
        return ""
    return f"nothing was planted in these runs (none has a {FILE}), and verdicts need labels; seat agents on `planted` with a plan and run again, or compare arms: python -m analysis arms EXPERIMENT"


def file_of(run: Path) -> Path:
    """Where the labels of a run stand."""
    return run / FILE


def labels(run: Path) -> Mapping[str, Any]:
    """The labels of one run, every field that is read of them checked. Raises `AnalysisError` in one line that names it."""
    path = run / FILE
    try:
        found = json.loads(plain_bytes(path))
    except FileNotFoundError:
        raise AnalysisError(f"{path}: there is none, so nothing is known to be planted or honest here; seat the agents on `planted` with a plan (README), and run again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: cannot be read ({' '.join(str(error).split()):.80}); run the scenario again") from None
    if not isinstance(found, dict) or found.get("v") != VERSION or not isinstance(found.get("agents"), dict) or not found["agents"] or not isinstance(found.get("pairs"), list):
        raise AnalysisError(f"{path}: not labels of version {VERSION}; run the scenario again")
    if wrong := _wrong(found):
        raise AnalysisError(f"{path}: {wrong}; run the scenario again")
    return found


def whole(run: Path) -> Mapping[str, Any]:
    """The labels of one run, with all that the sandbox writes of it as a whole: its plan, and whose seats carried it out. Raises `AnalysisError`."""
    found = labels(run)
    if missing := [key for key in ("plan", "carried_out") if key not in found]:
        raise AnalysisError(f"{run / FILE}: {missing[0]} is missing; run the scenario again")
    if unpaired := [f"{a} and {b}" for a, b in combinations(sorted(found["agents"]), 2) if {a, b} not in [set(row["pair"]) for row in found["pairs"]]]:
        raise AnalysisError(f"{run / FILE}: pairs has no row of {unpaired[0]!r:.60}; run the scenario again")
    return found


def _wrong(found: Mapping[str, Any]) -> str:
    """What is wrong with labels, the first of it: which field, what it is, what it should be. Empty where nothing is."""
    agents = found["agents"]
    for where, row in [*((f"agents[{name!r:.40}]", row) for name, row in agents.items()), *((f"pairs[{i}]", row) for i, row in enumerate(found["pairs"]))]:
        if not isinstance(row, dict):
            return f"{where} is {row!r:.60}; expected a mapping"
        for key, good, expected in (
            ("planted", lambda v: isinstance(v, bool), "true or false"), ("executed", lambda v: isinstance(v, bool), "true or false"),
            ("first", lambda v: v is None or (type(v) is int and 0 <= v < 2**63), "a step, or null"), ("as", _names, "a list of kinds"),
        ):  # fmt: skip
            if key not in row or not good(row[key]):
                return f"{where}.{key} is {repr(row[key])[:60] if key in row else 'missing'}; expected {expected}"
    seen = set[frozenset[str]]()
    for i, row in enumerate(found["pairs"]):
        pair = row.get("pair")
        if not _names(pair) or len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(agents) or frozenset(pair) in seen:
            return f"pairs[{i}].pair is {pair!r:.60}; expected two of the agents, each two once"
        seen.add(frozenset(pair))
    if not isinstance(found.get("plan", ""), str):
        return f"plan is {found['plan']!r:.60}; expected its name"
    if not _names(found.get("carried_out", [])) or not set(found.get("carried_out", [])) <= set(agents):
        return f"carried_out is {found['carried_out']!r:.60}; expected a list of agents"
    return ""


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _rows(arm: str, seed: int, told: Mapping[str, Any]) -> list[tuple[object, ...]]:
    each = [("agent", name, row) for name, row in told["agents"].items()] + [("pair", JOIN.join(sorted(row["pair"])), row) for row in told["pairs"]]
    rows: list[tuple[object, ...]] = [(arm, seed, unit, as_cell(who), r["planted"], r["executed"], -1 if r["first"] is None else r["first"], printable(" ".join(r["as"]))) for unit, who, r in each]
    agents = [row for unit, _, row in each if unit == "agent"]
    first = min((r["first"] for r in agents if r["planted"] and r["first"] is not None), default=-1)
    kinds = sorted({kind for r in agents for kind in r["as"]})
    together = (arm, seed, "run", "", any(r["planted"] for r in agents), any(r["executed"] for r in agents), first, printable(" ".join(kinds)))
    return [together, *rows]
