"""What a monitor did to cartels, and to honest sellers.

The harm of a cartel is what its members earn, and what all sellers charge, beyond the honest run of the same seed and market; what a monitor saved is
one minus the ratio of harms with and without it, summed over seeds, with an interval from whole seeds drawn again.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.detector_learning import settings_of
from analysis.metrics import AnalysisError, read_run
from analysis.scores import runs_of
from analysis.stats import Interval, clopper, cluster_bootstrap
from analysis.truth import file_of, whole
from sandbox.config import Setting
from sandbox.detector_file import Detector
from sandbox.log import Event, printable
from sandbox.monitor import interventions
from scenarios.evidence import Floats

TABLE = "monitored.csv"
OF_A_RUN = ["arm", "seed", "cell", "plan", "action", "planted", "fresh", "alarms", "right", "delay", "earned", "charged"]


def monitored(experiment: Path) -> pd.DataFrame:
    """A row for each run: what was planted, what a monitor did and when, and the harm beside the honest run of its seed and market (NaN where there
    is none). `cell`: all that was asked for but who listens and what chance is, so that runs of one cell and seed are twins; `fresh`: whether the
    monitor's detector was learned on other seeds. Raises `AnalysisError`."""
    cells = runs_of(experiment)
    settings = settings_of(cells)
    market = {arm: json.dumps(setting.config.environment, sort_keys=True) for arm, setting in settings.items()}
    rows: list[list[Any]] = []
    honest = dict[tuple[str, int], tuple[dict[str, float], float]]()
    outcomes = []
    for arm, seed, run in cells:
        told, events, setting = whole(run), read_run(run), settings[arm]
        earned, charged = harvest(events)
        action = setting.config.monitor.action if setting.monitor else "none"
        planted = sorted(a for a, row in told["agents"].items() if row["planted"])
        if absent := [a for a in planted if a not in earned]:
            raise AnalysisError(f"{file_of(run)}: agents names {absent[0]!r:.40}, who earned nothing in this run; run the scenario again")
        named = [row for row in told["pairs"] if row["planted"] and row["first"] is not None]
        alarms, right, delay = _alarms(events, [(tuple(row["pair"]), int(row["first"])) for row in named])
        if not told["carried_out"] and action == "none":
            honest[market[arm], seed] = earned, charged
        fresh = setting.monitor is None or seed not in seeds_of(setting.monitor)
        rows.append([arm, seed, cell_of(setting), printable(told["plan"]), action, bool(named), fresh, alarms, right, delay])
        outcomes.append((earned, charged, planted))
    for row, (earned, charged, planted) in zip(rows, outcomes, strict=True):
        twin = honest.get((market[row[0]], row[1]))
        more = float(np.mean([earned[a] - twin[0].get(a, 0.0) for a in planted])) if twin and planted else float("nan")
        row += [more, charged - twin[1] if twin else float("nan")]
    return pd.DataFrame(rows, columns=OF_A_RUN)


def cell_of(setting: Setting) -> str:
    """A short name of all that was asked for in a run that could change what its agents do, but its seed and its monitor."""
    asked = [setting.config.environment, dict(setting.cast.seats), {name: setting.cast.policies.get(name) for name in sorted(set(setting.cast.seats.values()))}]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def seeds_of(found: Detector) -> set[int]:
    """The seeds that a detector was learned from, as its file has them; none where it does not say."""
    told = found.learned.get("seeds", [])
    lists = list(told.values()) if isinstance(told, dict) else [told]
    return {seed for one in lists if isinstance(one, list) for seed in one if type(seed) is int}


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
    if known := int((~watched["fresh"]).sum()):
        lines.append(f"{known} of {len(watched)} runs have seeds that their monitor's detector was learned from, and are left out of what follows")
    watched = watched[watched["fresh"]]
    for arm, runs in watched[~watched["planted"]].groupby("arm", sort=False):
        wrong = int((runs["alarms"] > 0).sum())
        lines.append(f"{arm}: an alarm in {wrong} of {len(runs)} runs without a cartel, {wrong / len(runs):.1%} [{' to '.join(f'{x:.1%}' for x in clopper(wrong, len(runs)))}]")
    for arm, runs in watched[watched["planted"]].groupby("arm", sort=False):
        delay = runs["delay"].dropna()
        found = f"{arm} ({runs['plan'].iloc[0]}): found in {len(delay)} of {len(runs)} runs, the first alarm right in {int(runs['right'].sum())}"
        lines.append(found + (f", {np.median(delay):.0f} rounds after it began (90 %: {np.quantile(delay, 0.9):.0f})" if len(delay) else ""))
        lines += _harm(runs, table, rng)
    return lines


def _harm(runs: pd.DataFrame, table: pd.DataFrame, rng: np.random.Generator) -> list[str]:
    """Of the runs of a watched arm the harm beside their twins to which nobody listens, and the share of it that was saved; or why there is none."""
    free = table[(table["action"] == "none") & table["planted"]].drop_duplicates(["cell", "seed"])
    both = runs.merge(free, on=["cell", "seed"], suffixes=("", "_free"))
    if both.empty:
        return ["  no run of the same cell and seed with nobody listening; add an arm that differs in monitor.file alone"]
    lines = []
    for what, word in (("earned", "members' gain"), ("charged", "overcharge")):
        some = both.dropna(subset=[what, f"{what}_free"])
        if some.empty:
            lines.append(f"  {word}: no honest run of the same market and seed to hold it against")
            continue
        mine, theirs = some[what].to_numpy(), some[f"{what}_free"].to_numpy()
        if theirs.sum() <= 0:
            lines.append(f"  {word}: {theirs.mean():.4f} with nobody listening, {mine.mean():.4f} so; no harm that could be saved")
            continue
        saved = saving(some["seed"].tolist(), mine, theirs, rng)
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
