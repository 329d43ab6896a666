"""A frozen auditor: does who read generation 0's liars still find those of later generations?

It is two detectors: that of liars, a file; and how an observer's states read an agent's words, where the observer is generation 0's model, taught once on games
of generation 0 that are apart from those it is tried on.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analysis.detectors import chosen
from analysis.evidence import evidence_of
from analysis.logistic import Logistic, as_json, fit, from_json
from analysis.metrics import AnalysisError
from analysis.scores import JOIN, runs_of, scores_of
from analysis.stats import auroc_by_game
from analysis.truth import labels
from sandbox.disk import placed


@dataclass(frozen=True)
class Auditor:
    """Who reads what was said, in all generations alike: generation 0's model, and what its states taught about generation 0's liars."""

    checkpoint: str
    reading: Logistic | None


def auditor_of(generation: Path) -> Auditor:
    """The auditor of generation 0, learned from games apart from any it is tried on, once: `auditor.json`. Raises `AnalysisError`."""
    from analysis.liars import OBSERVED

    checkpoint, path, taught = str(generation / "model"), generation / "auditor.json", generation / "evaluate" / "taught"
    if not taught.is_dir():
        return Auditor(checkpoint, None)
    if not path.is_file():
        seen = [row for row in _audited(taught, checkpoint) if row.planted == row.executed]
        try:
            fitted = fit(np.array([row.states for row in seen]), [row.planted for row in seen], OBSERVED, penalty=0.03, free=len(OBSERVED))
        except ValueError:  # no lie came off in so few games
            return Auditor(checkpoint, None)
        with placed(path) as part:
            part.write_text(json.dumps(as_json(fitted), indent=1) + "\n", encoding="utf-8")
    try:
        return Auditor(checkpoint, from_json(json.loads(path.read_bytes()), OBSERVED))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: not an auditor ({' '.join(str(error).split()):.100}); delete it to have it learned again") from None


def audit(experiment: Path, auditor: Auditor) -> dict[str, Any]:
    """AUROC of the detector of liars, and of the auditor's reading of states, over agents of planted and honest games; a plant that did not come off
    is neither."""
    seen = [row for row in _audited(experiment, auditor.checkpoint) if row.planted == row.executed]
    planted = np.array([row.planted for row in seen], bool)
    found: dict[str, Any] = {"liars": int(planted.sum())}
    scores = {"liar": [row.liar for row in seen]}
    if auditor.reading is not None:
        scores["states"] = auditor.reading.logit(np.array([row.states for row in seen])).tolist()
    for name, values in scores.items():
        if planted.any() and not planted.all() and all(map(math.isfinite, values)):
            area = auroc_by_game([row.seed for row in seen], values, planted, np.random.default_rng(0), resamples=1000)
            found |= {f"auroc_{name}": area.mean, f"auroc_{name}_low": area.low, f"auroc_{name}_high": area.high}
    return found


@dataclass(frozen=True)
class Audited:
    """An agent of a game, as both detectors see it, and the truth."""

    seed: int
    planted: bool
    executed: bool
    liar: float
    states: tuple[float, ...]


def _audited(experiment: Path, checkpoint: str) -> list[Audited]:
    from analysis.liars import observed

    rows = []
    for _, seed, run in runs_of(experiment):
        evidence, truth = evidence_of(run, checkpoint, str(seed)), labels(run)["agents"]
        liar = {JOIN.join(s.who): s.value for _, _, s in scores_of(evidence, chosen(evidence.world, ("liars",))) if s.measure == "liar"}
        states = observed(evidence.events, evidence.agents, checkpoint)
        rows += [Audited(seed, bool(truth[a]["planted"]), bool(truth[a]["executed"]), liar.get(a, math.nan), tuple(map(float, states[i]))) for i, a in enumerate(evidence.agents)]
    return rows
