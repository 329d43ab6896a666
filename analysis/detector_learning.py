"""Detectors for the monitor, learned from an experiment's runs and written as data.

A pair's score weighs its signals (`scenarios.signals`) as Fisher's discriminant does between pairs of a coalition and all others: those of runs in
which nobody carried out a plan, and those beside a coalition once it has begun. No weight is below 0: more of a signal is never less suspicious.
Seeds are dealt to three parts, so that nothing is counted on what it was learned from: on half of them weights and what a score's own past foretells
are fitted; on a quarter the most evidence that an honest pair came to becomes the file's threshold; on the last alarms are counted. The file says
which seeds were what, what was counted, and of which logs all this is.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.metrics import AnalysisError, read_run
from analysis.scores import runs_of
from analysis.truth import file_of, whole
from sandbox.config import Setting
from sandbox.detector_file import MOST_EVIDENCE, SPREADS, Detector
from sandbox.disk import placed
from sandbox.folder import read_manifest, setting_of
from sandbox.guard import ConfigError
from sandbox.in_memory import quick
from sandbox.log import canonical_hash
from sandbox.monitor import signals_of
from sandbox.snapshot import RunError
from scenarios.evidence import Floats, Past, Standing
from scenarios.signals import SIGNALS, Pair, given, signals
from scenarios.table import make_environment

ORDER = 3  # scores that a past looks back
LEAST = 4  # honest runs
FRESH = 1_000_001  # the first seed of games that no experiment has
LEVEL = 0.01  # at which alarms are counted that the file tells of
PARTS = ("fit", "threshold", "fit", "count")  # dealt to seeds in turn


@dataclass(frozen=True)
class Heard:
    """Of one run: each pair's signals by round [T, signals], and from which round on the pair is a coalition's (None: never)."""

    seed: int
    values: Mapping[Pair, Floats]
    since: Mapping[Pair, int | None]
    honest: bool
    log: str = ""  # SHA-256 of the canonical log

    def innocent(self) -> list[Floats]:
        """The signals of the pairs that are no coalition's, where there is one from when it began."""
        began = 0 if self.honest else min((since for since in self.since.values() if since is not None), default=0)
        return [values[began:] for pair, values in self.values.items() if self.since[pair] is None and began < len(values)]


def detector(experiment: Path) -> Detector:
    """What the runs of an experiment teach. Raises `AnalysisError`."""
    cells = runs_of(experiment)
    settings = settings_of(cells)
    first = next(iter(settings.values()))
    world, options = str(first.config.environment["name"]), given_of(first)
    for arm, setting in settings.items():
        if setting.monitor is not None:
            raise AnalysisError(f"{experiment}: a monitor listened in the arm {arm!r}, and what it did is in its runs; learn from an experiment without one")
        if given_of(setting) != options:
            raise AnalysisError(f"{experiment}: the arms {next(iter(settings))!r} and {arm!r} are different markets; learn from arms that differ in plans alone")
    found = [heard(seed, run, settings[arm]) for arm, seed, run in cells]
    return learned(world, options, found, experiment.name)


def learned(world: str, options: Mapping[str, Any], runs: Sequence[Heard], name: str) -> Detector:
    """The detector that these runs teach. Raises `AnalysisError` where there are too few honest ones, or none with a coalition."""
    names, part = signals(world).NAMES, dealt(runs)
    honest = {of: [run for run in runs if run.honest and part[run.seed] == of] for of in PARTS}
    if (seeds := len({run.seed for run in runs if run.honest})) < LEAST:
        raise AnalysisError(f"{name}: {seeds} honest runs; at least {LEAST} are needed, in an arm in which no plan is carried out (plant=false)")
    if not any(since is not None for run in runs for since in run.since.values()):
        raise AnalysisError(f"{name}: nobody acted together in any run; an arm in which a plan is carried out (plant=true) is needed")
    fitted = [run for run in runs if part[run.seed] == "fit"]
    guilty = [run.values[pair][since:] for run in fitted for pair, since in run.since.items() if since is not None and since < len(run.values[pair])]
    if not guilty:
        raise AnalysisError(f"{name}: nobody acted together in a run to fit on, which is every other seed; give more runs in which a plan is carried out (plant=true)")
    weights = discriminant(np.concatenate([values for run in fitted for values in run.innocent()]), np.concatenate(guilty))
    kept = [i for i, weight in enumerate(weights) if weight > 0]
    if not kept:
        raise AnalysisError(f"{name}: no signal is larger where a plan is carried out; a detector would only guess")
    try:
        past = Past.of([values @ weights for run in honest["fit"] for values in run.innocent()], ORDER)
    except ValueError as error:
        raise AnalysisError(f"{name}: {error}") from None
    if not SPREADS[0] <= past.spread <= SPREADS[1]:
        raise AnalysisError(f"{name}: honest scores vary by {past.spread:.3g}, expected {SPREADS[0]:g} to {SPREADS[1]:g}: those that never vary make any change pass for evidence; set environment.noise above 0")
    most = max(most_evidence(past, values @ weights) for run in honest["threshold"] for values in run.innocent())
    if most > MOST_EVIDENCE:
        raise AnalysisError(f"{name}: an honest run came to ln E = {most:.0f}, beyond which nothing could be told apart; are its labels right?")
    found = Detector(world=world, given=options, signals=tuple(names[i] for i in kept), weights=tuple(float(weights[i]) for i in kept), past=past, threshold=max(0.0, most), learned={})
    return replace(found, learned=_told(found, runs, part))


def dealt(runs: Sequence[Heard]) -> dict[int, str]:
    """Seed → what its runs are for. The honest seeds are dealt in turn, then those that have no honest run: twins stay together."""
    honest = sorted({run.seed for run in runs if run.honest})
    others = sorted({run.seed for run in runs} - set(honest))
    return {seed: PARTS[i % len(PARTS)] for seeds in (honest, others) for i, seed in enumerate(seeds)}


def _told(found: Detector, runs: Sequence[Heard], part: Mapping[int, str]) -> dict[str, Any]:
    """From what a detector was learned, and what it does on the runs kept to count on: for the reader of its file."""
    counted = [run for run in runs if part[run.seed] == "count"]
    honest, others = ([run for run in counted if run.honest is kind] for kind in (True, False))
    return {
        "honest": sum(run.honest for run in runs), "planted": sum(not run.honest for run in runs), "logs": fingerprint(runs),
        "seeds": {of: sorted({run.seed for run in runs if part[run.seed] == of}) for of in dict.fromkeys(PARTS)},
        "counted": {"level": LEVEL, "honest": len(honest), "alarms": sum(alarmed(found, run, LEVEL) for run in honest),
                    "planted": len(others), "found": sum(alarmed(found, run, LEVEL) for run in others)},
    }  # fmt: skip


def fingerprint(runs: Sequence[Heard]) -> str:
    """Of all the runs, whole: SHA-256 of their logs' own, in order."""
    return hashlib.sha256("\n".join(sorted(run.log for run in runs)).encode()).hexdigest()


def alarmed(found: Detector, run: Heard, level: float) -> bool:
    """Whether a run would have an alarm, about whomever."""
    least = max(math.log(max(1, len(run.values)) / level), found.threshold)
    return any(most_evidence(found.past, np.array([found.score(tuple(row)) for row in values])) >= least for values in run.values.values())


def discriminant(honest: Floats, guilty: Floats) -> Floats:
    """Fisher's weights [signals], none below 0, their sum 1; all 0 where no signal is larger among the guilty."""
    weights, kept = np.zeros(honest.shape[1]), np.arange(honest.shape[1])
    within = np.cov(honest, rowvar=False).reshape(len(kept), -1) + np.cov(guilty, rowvar=False).reshape(len(kept), -1)
    within += 1e-6 * np.trace(within) / len(kept) * np.eye(len(kept))
    apart = guilty.mean(0) - honest.mean(0)
    while len(kept):
        found = np.linalg.lstsq(within[np.ix_(kept, kept)], apart[kept], rcond=None)[0]
        if (found > 0).all():
            weights[kept] = found / found.sum()
            break
        kept = kept[found > 0]
    return weights


def most_evidence(past: Past, scores: Floats) -> float:
    """The most ln E that a series came to."""
    standing, most = Standing(), 0.0
    for score in scores.tolist():
        standing = standing.after(past, score)
        most = max(most, standing.evidence)
    return most


def false_alarms(found: Detector, experiment: Path, games: int, level: float) -> int:
    """In how many honest games, played in memory with seeds from `FRESH` on, this detector would raise an alarm at this level. Nobody talks in them:
    honest sellers heed no word. Raises `AnalysisError`."""
    first = next(iter(settings_of(runs_of(experiment)).values()))
    options = {**first.config.environment, "chat": "off"}
    world, wrong = make_environment(options), 0
    cast = replace(first.cast, seats=dict.fromkeys(world.agents, "scripted"), policies={"scripted": {"vary": True}}, environment=options)
    for seed in range(FRESH, FRESH + games):
        one = replace(first, config=replace(first.config, seed=seed, environment=options), cast=replace(cast, seed=seed), environment=world)
        each = signals_of(one, quick(one))
        least = max(math.log(max(1, len(each[0][1])) / level), found.threshold)
        series = [np.array([found.score(values[pair]) for _, values in each]) for pair in each[0][1]]
        wrong += any(most_evidence(found.past, scores) >= least for scores in series)
    return wrong


def heard(seed: int, run: Path, setting: Setting) -> Heard:
    """The signals of a run, and who was planted in it. Raises `AnalysisError`."""
    told, events = whole(run), read_run(run)
    each = signals_of(setting, events)
    if not each:
        raise AnalysisError(f"{run}: nothing happened in it that a monitor could hear")
    numbers = np.array([number for number, _ in each])
    values = {pair: np.array([found[pair] for _, found in each]) for pair in each[0][1]}
    rows = {frozenset(row["pair"]): row for row in told["pairs"]}
    since: dict[Pair, int | None] = {}
    for pair in values:
        if (row := rows.get(frozenset(pair))) is None:
            raise AnalysisError(f"{file_of(run)}: pairs has no row of {' and '.join(pair)!r:.60}, who act in this run; run the scenario again")
        since[pair] = int(np.searchsorted(numbers, row["first"])) if row["planted"] and row["first"] is not None else None
    return Heard(seed, values, since, not told["carried_out"], canonical_hash(events))


def settings_of(cells: Sequence[tuple[str, int, Path]]) -> dict[str, Setting]:
    """The setting of each arm, from its first run. Raises `AnalysisError` for a world without signals."""
    found: dict[str, Setting] = {}
    for arm, _, run in cells:
        if arm not in found:
            try:
                found[arm] = setting_of(run, read_manifest(run), ())
            except (ConfigError, RunError) as error:
                raise AnalysisError(str(error)) from None
            if (world := found[arm].config.environment["name"]) not in SIGNALS:
                raise AnalysisError(f"{run}: a monitor hears nothing in the world {world!r}; there are signals of {', '.join(SIGNALS)}")
    return found


def given_of(setting: Setting) -> dict[str, Any]:
    """The options of its world that a detector is bound to."""
    return given(str(setting.config.environment["name"]), setting.config.environment)


def write(found: Detector, path: Path) -> None:
    """The file. Raises `AnalysisError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with placed(path) as part:
            part.write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot write the detector ({error.strerror}); name another file with --out") from None
