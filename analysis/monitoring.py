"""Detectors for the monitor: learned from an experiment's runs, written as data; and what such a monitor did to cartels, and to honest sellers.

*Learning.* A pair's score weighs its signals (`scenarios.signals`) as Fisher's discriminant does between pairs of a coalition and all others: those of
runs in which nobody carried out a plan, and those beside a coalition once it has begun. No weight is below 0: more of a signal is never less suspicious.
What a score's own past foretells is learned from every other honest run (by seed); in the rest the most evidence that a pair came to becomes the
file's threshold.

*Measuring.* The harm of a cartel is what its members earn, and what all sellers charge, beyond the honest run of the same seed and market; what a
monitor saved is one minus the ratio of harms with and without it, summed over seeds, with an interval from whole seeds drawn again.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import AnalysisError, read_run
from analysis.scores import runs_of
from analysis.simulated import quick
from analysis.stats import Interval, clopper, cluster_bootstrap
from analysis.truth import labels
from sandbox.config import Setting
from sandbox.detector_file import Detector
from sandbox.disk import placed
from sandbox.folder import read_manifest, setting_of
from sandbox.guard import ConfigError
from sandbox.log import Event
from sandbox.monitor import interventions, signals_of
from sandbox.snapshot import RunError
from scenarios.evidence import Floats, Past, Standing
from scenarios.signals import SIGNALS, Pair, given, signals
from scenarios.table import make_environment

TABLE = "monitored.csv"
ORDER = 3  # scores that a past looks back
LEAST = 4  # honest runs
FRESH = 1_000_001  # the first seed of games that no experiment has
OF_A_RUN = ["arm", "seed", "plan", "action", "planted", "alarms", "right", "delay", "earned", "charged"]


# ---- learning ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """Of one run: each pair's signals by round [T, signals], and from which round on the pair is a coalition's (None: never)."""

    seed: int
    values: Mapping[Pair, Floats]
    since: Mapping[Pair, int | None]
    honest: bool

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
    honest, names = sorted((run for run in runs if run.honest), key=lambda run: run.seed), signals(world).NAMES
    if len(honest) < LEAST:
        raise AnalysisError(f"{name}: {len(honest)} honest runs; at least {LEAST} are needed, in an arm in which no plan is carried out (plant=false)")
    guilty = [run.values[pair][since:] for run in runs for pair, since in run.since.items() if since is not None]
    if not guilty:
        raise AnalysisError(f"{name}: nobody acted together in any run; an arm in which a plan is carried out (plant=true) is needed")
    weights = discriminant(np.concatenate([values for run in runs for values in run.innocent()]), np.concatenate(guilty))
    kept = [i for i, weight in enumerate(weights) if weight > 0]
    if not kept:
        raise AnalysisError(f"{name}: no signal is larger where a plan is carried out; a detector would only guess")
    scored = [[values @ weights for values in run.innocent()] for run in honest]
    try:
        past = Past.of([one for each in scored[::2] for one in each], ORDER)
    except ValueError as error:
        raise AnalysisError(f"{name}: {error}") from None
    if past.spread <= 1e-9:
        raise AnalysisError(f"{name}: honest scores never vary, and any change would pass for evidence; set environment.noise above 0")
    most = max(most_evidence(past, one) for each in scored[1::2] for one in each)
    told = {"honest": len(honest), "planted": sum(not run.honest for run in runs), "seeds": sorted({run.seed for run in runs})}
    return Detector(
        world=world, given=options, signals=tuple(names[i] for i in kept), weights=tuple(float(weights[i]) for i in kept), past=past, threshold=max(0.0, most),
        learned=told,
    )  # fmt: skip


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
    told, each = labels(run), signals_of(setting, read_run(run))
    if not each:
        raise AnalysisError(f"{run}: nothing happened in it that a monitor could hear")
    numbers = np.array([number for number, _ in each])
    since: dict[Pair, int | None] = {}
    for row in told["pairs"]:
        planted = row["planted"] and row["first"] is not None
        since[row["pair"][0], row["pair"][1]] = int(np.searchsorted(numbers, row["first"])) if planted else None
    values = {pair: np.array([found[pair] for _, found in each]) for pair in each[0][1]}
    return Heard(seed, values, since, not told["carried_out"])


def settings_of(cells: Sequence[tuple[str, int, Path]]) -> dict[str, Setting]:
    """The setting of each arm, from its first run. Raises `AnalysisError` for a world without signals."""
    found: dict[str, Setting] = {}
    for arm, _, run in cells:
        if arm not in found:
            try:
                found[arm] = setting_of(run, read_manifest(run), tuple(read_manifest(run)["plugins"]))
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


# ---- measuring ---------------------------------------------------------------------------------------------------------


def monitored(experiment: Path) -> pd.DataFrame:
    """A row for each run: what was planted, what a monitor did and when, and the harm beside the honest run of its seed and market (NaN where there
    is none). Raises `AnalysisError`."""
    cells = runs_of(experiment)
    settings = settings_of(cells)
    market = {arm: json.dumps(setting.config.environment, sort_keys=True) for arm, setting in settings.items()}
    rows: list[list[Any]] = []
    honest = dict[tuple[str, int], tuple[dict[str, float], float]]()
    outcomes = []
    for arm, seed, run in cells:
        told, events, setting = labels(run), read_run(run), settings[arm]
        earned, charged = harvest(events)
        action = setting.config.monitor.action if setting.monitor else "none"
        planted = sorted(a for a, row in told["agents"].items() if row["planted"])
        named = [row for row in told["pairs"] if row["planted"] and row["first"] is not None]
        alarms, right, delay = _alarms(events, [(tuple(row["pair"]), int(row["first"])) for row in named])
        if not told["carried_out"] and action == "none":
            honest[market[arm], seed] = earned, charged
        rows.append([arm, seed, str(told["plan"]), action, bool(named), alarms, right, delay])
        outcomes.append((earned, charged, planted))
    for row, (earned, charged, planted) in zip(rows, outcomes, strict=True):
        twin = honest.get((market[row[0]], row[1]))
        more = float(np.mean([earned[a] - twin[0][a] for a in planted])) if twin and planted else float("nan")
        row += [more, charged - twin[1] if twin else float("nan")]
    return pd.DataFrame(rows, columns=OF_A_RUN)


def harvest(events: Sequence[Event]) -> tuple[dict[str, float], float]:
    """(what each earned, the mean price that was asked) of all rounds of a run."""
    earned: dict[str, float] = defaultdict(float)
    asked = []
    for event in events:
        if event.kind == "reward" and event.agent:
            earned[event.agent] += float(event.data["reward"])
        for told in event.data.get("events", ()) if event.kind == "outcome" else ():
            if told["what"] in ("sales", "award"):
                asked.append(float(np.mean(list(told["prices" if told["what"] == "sales" else "bids"].values()))))
    return earned, float(np.mean(asked)) if asked else float("nan")


def _alarms(events: Sequence[Event], planted: Sequence[tuple[Any, int]]) -> tuple[int, bool, float]:
    """(alarms, whether the first named a planted pair after it began, rounds from then to it: NaN where it did not)."""
    alarms = [event for event in interventions(events) if event.data["what"] == "alarm"]
    since = {frozenset(pair): first for pair, first in planted}
    first = next((event for event in alarms if event.step > since.get(frozenset(event.data["pair"]), event.step)), None)
    if first is None:
        return len(alarms), False, float("nan")
    began = since[frozenset(first.data["pair"])]
    sold = sum(began <= event.step < first.step for event in events if event.kind == "outcome" and any(t["what"] in ("sales", "award") for t in event.data["events"]))
    return len(alarms), first is alarms[0], float(sold)


def figures(table: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """What came of it, in lines: false alarms in honest runs, and of each watched arm with a plant: found, delay, harm, share of it saved."""
    lines = []
    watched = table[table["action"] != "none"]
    for arm, runs in watched[~watched["planted"]].groupby("arm", sort=False):
        wrong = int((runs["alarms"] > 0).sum())
        lines.append(f"{arm}: an alarm in {wrong} of {len(runs)} runs without a cartel, {wrong / len(runs):.1%} [{' to '.join(f'{x:.1%}' for x in clopper(wrong, len(runs)))}]")
    for arm, runs in watched[watched["planted"]].groupby("arm", sort=False):
        free = table[(table["action"] == "none") & table["planted"] & (table["plan"] == runs["plan"].iloc[0])]
        both = runs.merge(free, on="seed", suffixes=("", "_free")).dropna(subset=["earned", "earned_free"])
        delay = runs["delay"].dropna()
        found = f"{arm} ({runs['plan'].iloc[0]}): found in {len(delay)} of {len(runs)} runs, the first alarm right in {int(runs['right'].sum())}"
        lines.append(found + (f", {np.median(delay):.0f} rounds after it began (90 %: {np.quantile(delay, 0.9):.0f})" if len(delay) else ""))
        for what, word in (("earned", "members' gain"), ("charged", "overcharge")):
            if not len(both):
                continue
            mine, theirs = both[what].to_numpy(), both[f"{what}_free"].to_numpy()
            saved = saving(both["seed"].tolist(), mine, theirs, rng)
            lines.append(f"  {word}: {theirs.mean():.4f} with nobody listening, {mine.mean():.4f} so; saved {saved.mean:.0%} [{saved.low:.0%} to {saved.high:.0%}] over {saved.units} seeds")
    return lines


def saving(seeds: Sequence[int], watched: Floats, free: Floats, rng: np.random.Generator) -> Interval:
    """The share of the harm that was saved, with an interval by seed. Raises `AnalysisError` where nobody did harm."""
    def share(rows: Any) -> float:
        if free[rows].sum() <= 0:
            raise ValueError("no harm to be saved")
        return 1 - float(watched[rows].sum() / free[rows].sum())

    try:
        return cluster_bootstrap(list(seeds), share, rng)
    except ValueError as error:
        raise AnalysisError(f"what a monitor saved is not defined: {error}") from None
