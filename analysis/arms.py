"""An experiment's arms side by side: figures of every run, and each arm against the first, paired by seed.

The unit is the run. Runs of one seed in two arms draw from the same random streams, so differences are taken within a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.folders import RUNS, runs_table
from analysis.markets import gain, prices, reference
from analysis.metrics import AnalysisError, need, outcomes, read_run
from analysis.stats import FEWEST, Interval, paired_bootstrap, reach
from sandbox.log import Event, printable

TABLE = "arms.csv"
ROW = ["arm", "seed"]
MEANING = {  # of each figure of one run; the table has their means over runs
    "messages": "messages sent", "faults": "acts refused by the rules", "reward": "what an agent earned in the whole run, mean over agents", "price": "mean over rounds and sellers",
    "profit_gain": "mean profit, mean over rounds and sellers: 0 competition, 1 a cartel of all", "price_gain": "the same of prices", "right": "share of answers that are right",
}  # fmt: skip


def figures(events: Sequence[Event]) -> dict[str, float]:
    """Of one run: messages, reward (mean over agents of its sum), faults, and what its world is about."""
    rewards: dict[str, float] = {}
    for event in events:
        if event.kind == "reward" and event.agent:
            rewards[event.agent] = rewards.get(event.agent, 0.0) + float(need(event, "reward", (int, float)))
    found = {"messages": float(sum(e.kind == "message" for e in events)), "faults": float(sum(e.kind == "fault" for e in events))}
    if rewards:
        found["reward"] = float(np.mean(list(rewards.values())))
    return found | _of_a_market(events) | _of_a_team(events)


def _of_a_market(events: Sequence[Event]) -> dict[str, float]:
    sold, held_against = prices(events), reference(events)
    if not len(sold):
        return {}
    found = {"price": float(sold["price"].mean())}
    return found if held_against is None else found | {"profit_gain": gain(sold, held_against), "price_gain": gain(sold, held_against, "price")}


def _of_a_team(events: Sequence[Event]) -> dict[str, float]:
    """The share of right answers, where a world says of each agent's answer whether it was right."""
    right = [bool(v) for _, happened in outcomes(events, "answers") if isinstance(told := happened.get("right"), Mapping) for v in told.values()]
    return {"right": float(np.mean(right))} if right else {}


def table(folder: Path, read: Callable[[Path], Sequence[Event]] = read_run) -> pd.DataFrame:
    """One row a run that is done: arm, seed, figures. Raises `AnalysisError` for a folder that holds no experiment, or none of its runs."""
    rows: list[dict[str, object]] = []
    named: dict[str, None] = {}
    for n, run in enumerate(runs_table(folder), 2):
        arm, seed = run.get("arm"), run.get("seed")
        if not arm or not seed or not seed.isdecimal() or "/" in arm or arm.startswith("."):
            raise AnalysisError(f"{folder / RUNS}:{n}: names no arm and seed; go on with the experiment, which writes it again")
        named[arm] = None
        if run.get("ended") == "done":
            rows.append({"arm": arm, "seed": int(seed), **figures(read(folder / arm / seed))})
    if not rows:
        raise AnalysisError(f"{folder}: none of its runs is done; go on with it: python -m sandbox resume {folder}")
    first = next(iter(named))
    if all(row["arm"] != first for row in rows):  # nor may another take its place: every difference would be from something else
        raise AnalysisError(f"{folder}: no run of {first!r:.60} is done, which the other arms are held against; go on with it: python -m sandbox resume {folder}")
    return pd.DataFrame(sorted(rows, key=lambda row: list(named).index(str(row["arm"]))))


def against_first(runs: pd.DataFrame, rng: np.random.Generator) -> list[tuple[str, str, Interval]]:
    """(arm, figure, its difference from the first arm over the seeds that both have done, with its interval)."""
    first, *others = dict.fromkeys(runs["arm"])
    found = []
    for arm in others:
        one, other = (runs[runs["arm"] == name].set_index("seed") for name in (arm, first))
        both = one.index.intersection(other.index)
        for figure in [c for c in runs.columns if c not in ROW]:
            pairs = pd.DataFrame({"one": one.loc[both, figure], "other": other.loc[both, figure]}).dropna()
            if len(pairs):
                found.append((arm, figure, paired_bootstrap(pairs["one"].tolist(), pairs["other"].tolist(), rng)))
    return found


def as_text(runs: pd.DataFrame, found: Sequence[tuple[str, str, Interval]]) -> str:
    """Means by arm, then the differences."""
    columns = [c for c in runs.columns if c not in ROW]
    first, most = printable(str(runs["arm"].iloc[0])), int(runs.groupby("arm").size().max())
    warning = [f"{most} seed{'s' * (most > 1)} at most in an arm: fewer than {FEWEST} give no interval; ask for more with seeds=1..{FEWEST}", ""] if most < FEWEST else []
    means = runs.groupby("arm", sort=False)[columns].mean()
    means.insert(0, "runs", runs.groupby("arm", sort=False).size())
    lines = [*warning, "means over the runs of each arm; of a run: " + "; ".join(f"{c}: {MEANING[c]}" for c in columns if c in MEANING), ""]
    lines += [means.rename(index=printable).to_string(float_format=lambda v: f"{v:.4f}")]
    if found:
        lines += ["", f"difference from arm `{first}`, taken within each seed; mean, 95 % interval by paired bootstrap over seeds"]
        for arm, figure, interval in found:
            lines.append(f"{printable(arm):<14} {figure:<12} {interval.mean:+.4f}  {reach(interval)}  ({interval.units} seed{'s' * (interval.units > 1)})")
    return "\n".join(lines)
