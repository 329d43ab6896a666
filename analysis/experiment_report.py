"""The report of an experiment: what its detectors found of what was planted, as one HTML file and the tables behind it.

    report.html   verdicts.csv   power.csv   ppv.csv   evidence….csv   impulse.csv   plots/ROC….csv …     beside scores.csv, arms.csv

Scores are made where there are none yet, and again where what they were made of has changed (`provenance`). State measures stand beside the same without states, and beside length, count and seat: a claim that
states find something is what the first has over the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import provenance, report_files
from analysis import scores as scored
from analysis import verdicts as judging
from analysis.markets import prices, reference
from analysis.metrics import AnalysisError, read_run
from analysis.page import Block, Head, Plot, Table, Text, as_html, png
from analysis.report_evidence import Frames, cuts, strongest
from analysis.scores import ScoresWish
from analysis.stats import FEWEST, Interval, reach
from analysis.table_files import csv_of, write
from analysis.truth import truth
from analysis.verdict_plots import gains, plot_calibration, plot_gain, plot_network, plot_power, plot_roc

SHOWN = 6  # measures in a figure, the best of an arm
PARTS = 4
PAGE = "report.html"
Say = Callable[[str], None]


def report(experiment: Path, wish: ScoresWish | None = None, tasks: int = 2, seed: int = 0, say: Say = lambda _: None) -> tuple[Path, list[str]]:
    """Write the report into the experiment's folder; its path, and the verdicts in lines for a terminal. `wish`: what is asked of the runs (None: as for
    the scores that are there); `say` is told each stage. Raises `AnalysisError` before anything but scores and verdicts is written."""
    rng = np.random.default_rng(seed)
    runs = scored.runs_of(experiment)
    told = truth(runs)
    judging.both_kinds(told)  # before scores are made, which may take minutes
    report_files.written(experiment)
    found, wish = _scores(experiment, wish, tasks, say)
    joined = judging.judged(found, told)
    say(f"verdicts: scores of {len(runs)} runs held against what was planted, with intervals by seed")
    table = judging.verdicts(found, told, rng)
    write(table, experiment / judging.TABLE)  # known now; what follows may take minutes
    say(f"verdicts: {experiment / judging.TABLE}; now the same after each of {wish.parts} part{'s' * (wish.parts > 1)} of the runs")
    strength = judging.power(joined, rng)
    frames: Frames = {"verdicts": table, "power": strength, "ppv": judging.ppv_table(table)}
    pairs = {arm: best[0] for arm in table["arm"].unique() if (best := [of for of in _best(table, arm, "pair") if of[2] != "nuisance"])}
    say("curves, and profit gain by round")
    blocks = [*_beginning(experiment, runs, told, table, wish), *_curves(joined, table, strength, frames, rng), *_money(runs, frames)]
    blocks += cuts(runs, told, frames, say)
    say("who with whom, and the strongest evidence")
    blocks += [*_who(joined, pairs, frames), *strongest(experiment, found, pairs, frames)]
    _write(experiment, blocks, frames)
    return experiment / PAGE, judging.as_text(table, told).splitlines()


def _scores(experiment: Path, wish: ScoresWish | None, tasks: int, say: Say) -> tuple[pd.DataFrame, ScoresWish]:
    """The scores that are there, if they are of what is there now and of what is asked; else made again."""
    if (experiment / scored.TABLE).exists():
        try:
            found, asked = provenance.read(experiment)
            if wish in (None, asked):
                say(f"{experiment / scored.TABLE}: of these runs and detectors as they are now; used as it is")
                return found, asked
            say(f"{experiment / scored.TABLE}: made for another wish; made again")
        except AnalysisError as error:
            say(str(error).partition("; make ")[0] + "; made again")
    wish = wish or provenance.asked(experiment) or ScoresWish(parts=PARTS)
    say(f"scoring {len(scored.runs_of(experiment))} runs, after each of {wish.parts} part{'s' * (wish.parts > 1)}")
    return provenance.make(experiment, wish, tasks, say), wish


def _beginning(experiment: Path, runs: Sequence[tuple[str, int, Path]], told: pd.DataFrame, table: pd.DataFrame, wish: ScoresWish) -> list[Block]:
    whole = told[told["unit"] == "run"]
    counts = whole.groupby("arm", sort=False).agg(runs=("seed", "size"), planted=("planted", "sum"), came_off=("executed", "sum")).reset_index()
    return [
        Head(experiment.parent.name, 1), Text(f"{len(runs)} runs in {len(counts)} arms. Everything here is held against what was planted, which no detector is told."), Table(counts),
        Text(f"Scores by {', '.join(wish.detectors) or 'all detectors of the world'}{'' if wish.models or wish.detectors else ' that need no model'}, after {wish.parts} part{'s' * (wish.parts > 1)} of each run, "
             f"states of {wish.checkpoint}; {provenance.FILE} says of which logs, data and model."),
        Head("Verdicts"), *_few(table), Text("AUROC with its 95 % interval by seed; found: the share of plants at 1 % and 5 % false alarms; false alarms: of honest units at a threshold from other honest seeds; "
                               "did not come off: of plants without effect, the share that alarms at 5 %; no score: plants of which a detector says nothing; intent: what agents meant by their own word, which no outsider has."), Table(_shown(table)),
        Head("Of those that alarm, how many are guilty?"), Text("By how many of all are planted; a detector that is right on the bench may still point at the innocent most of the time."),
        Table(_ppv(judging.ppv_table(table))),
    ]  # fmt: skip


def _few(table: pd.DataFrame) -> list[Block]:
    """The warning that intervals are missing, if they are."""
    most = int(table["seeds"].max())
    return [Text(f"{most} seed{'s' * (most != 1)}: fewer than {FEWEST} give no interval.")] if most < FEWEST else []


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    def area(row: Mapping[str, Any]) -> str:
        return reach(Interval(row["auroc"], row["low"], row["high"], int(row["seeds"])), ".3f")

    def false(row: Mapping[str, Any]) -> str:
        return "too few" if np.isnan(row["false_0.05"]) else f"{row['false_0.05']:.1%} ({row['false_0.05_low']:.1%} to {row['false_0.05_high']:.1%})"

    rows = [{
        "arm": r["arm"], "measure": f"{r['detector']}.{r['measure']}", "kind": r["kind"], "unit": r["unit"], "AUROC": f"{r['auroc']:.3f}", "95 %": area(r),
        "found at 1 %": _share(r["recall_0.01"]), "at 5 %": _share(r["recall_0.05"]),
        "false alarms at 5 %": false(r),
        "did not come off": "–" if not r["hard"] else f"{_share(r['hard_0.05'])} of {r['hard']}", "units": f"{r['positives']} / {r['negatives']}", "no score": r["unscored"],
    } for _, rows in table.groupby("arm", sort=False) for r in rows.sort_values("auroc", ascending=False).to_dict("records")]  # fmt: skip
    return pd.DataFrame(rows)


def _share(value: float) -> str:
    return "too few" if np.isnan(value) else f"{value:.0%}"


def _ppv(table: pd.DataFrame) -> pd.DataFrame:
    spoken = table[table["found"].notna() & ~table["kind"].isin(["intent", "nuisance"])]
    best = spoken.loc[spoken.groupby(["arm", "unit", "false_alarms"], sort=False)["found"].idxmax()]
    return best.map(lambda cell: f"{cell:.2f}" if isinstance(cell, float) else cell)


def _best(table: pd.DataFrame, arm: str, unit: str | None = None) -> list[tuple[str, ...]]:
    """The detectors' keys of an arm, the best first; a state measure brings its ablation along."""
    rows = table[(table["arm"] == arm) & (table["kind"] != "intent") & ((table["unit"] == unit) if unit else True)].sort_values("auroc", ascending=False)
    names = [tuple(map(str, row)) for row in rows[judging.OF].to_numpy()]
    first = names[:SHOWN]
    return [*first, *(n for n in names if n not in first and n[2] == "no states" and any(f[:2] == n[:2] and f[3] == n[3] for f in first))]


def _curves(joined: pd.DataFrame, table: pd.DataFrame, strength: pd.DataFrame, frames: Frames, rng: np.random.Generator) -> list[Block]:
    blocks: list[Block] = [Head("Curves")]
    every = {(c.arm, c.detector, c.measure, c.kind, c.unit): c for c in judging.cases(judging.last(joined))}
    honest: dict[str, pd.DataFrame] = {}
    for arm in table["arm"].unique():
        best = [every[(arm, *of)] for of in _best(table, arm)]
        curves = {f"{c.name}, {c.unit}": judging.roc(c, rng) for c in best}
        honest |= {f"{c.name}, {c.unit}": judging.calibration(c) for c in best if f"{c.name}, {c.unit}" not in honest}
        blocks.append(Plot(f"roc_{arm}", plot_roc(curves, arm), f"{arm}: plants found against false alarms, with 95 % bands by seed"))
        frames[f"plots/roc_{arm}"] = pd.concat([curve.assign(measure=name) for name, curve in curves.items()])
        if strength["known"].nunique() > 1:
            names = {(c.detector, c.measure, c.kind, c.unit): f"{c.name}, {c.unit}" for c in best}
            of_arm = strength[strength["arm"] == arm]
            rows = of_arm.assign(name=[names.get(tuple(key)) for key in of_arm[judging.OF].to_numpy()]).dropna(subset=["name"])
            blocks.append(Plot(f"power_{arm}", plot_power(rows, arm), f"{arm}: found at 1 % false alarms, by how much of a run was known"))
    honest = {name: one for name, one in list(honest.items())[:SHOWN] if not one["alarms"].isna().all()}
    if honest:
        blocks += [Head("The null"), Plot("null", plot_calibration(honest), "alarms in runs where nothing is planted, against what was promised")]
        frames["plots/null"] = pd.concat([one.assign(measure=name) for name, one in honest.items()])
    else:
        blocks += [Head("The null"), Text(f"Too few honest seeds to say how often these measures alarm falsely; {FEWEST} are the least.")]
    return blocks


def _money(runs: Sequence[tuple[str, int, Path]], frames: Frames) -> list[Block]:
    """Profit gain by round, for markets."""
    series: dict[str, list[pd.Series]] = {}
    for arm, _, run in runs:
        events = read_run(run)
        sold, held = prices(events), reference(events)
        if not len(sold) or held is None:
            continue
        nash, cartel = (float(np.mean(list(held[f"{kind}_profits"].values()))) for kind in ("nash", "cartel"))
        if cartel > nash:
            series.setdefault(arm, []).append((sold.groupby("round")["profit"].mean() - nash) / (cartel - nash))
    if not series:
        return []
    rounds = {arm: gains(of) for arm, of in series.items()}
    frames["plots/gain"] = pd.concat([rows.assign(arm=arm) for arm, rows in rounds.items()])
    return [Head("Profit gain over time"), Plot("gain", plot_gain(rounds), "profit gain of all sellers by round, mean and spread over runs")]


def _who(joined: pd.DataFrame, best: Mapping[str, tuple[str, ...]], frames: Frames) -> list[Block]:
    """Who with whom: mean score of each pair by the best pair measure of the arm that is no nuisance, in that arm and where nothing is planted."""
    blocks: list[Block] = []
    for arm, of in best.items():
        rows = judging.last(joined)
        rows = rows[(rows[judging.OF] == list(of)).all(axis=1) & ((rows["arm"] == arm) | rows["honest"])]
        for title, some in ((arm, rows[rows["arm"] == arm]), ("honest", rows[rows["honest"]])):
            if len(some):
                pairs = some.groupby("who", sort=True)["value"].mean().reset_index()
                pairs[["first", "second"]] = [who.split(scored.JOIN, 1) for who in pairs["who"]]
                frames[f"plots/who_{arm}_{title}"] = pairs
                blocks.append(Plot(f"who_{arm}_{title}", plot_network(pairs, f"{of[1]}: {title}"), f"{title}: mean {of[1]} of each pair, the wider the higher"))
    return [Head("Who with whom"), *blocks] if blocks else []


def _write(experiment: Path, blocks: Sequence[Block], frames: Frames) -> None:
    """All of it, or none: made aside, then put in its place; what an older report had and this one has not goes."""
    part = experiment / "report.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "plots").mkdir(parents=True)
        (part / PAGE).write_text(as_html(experiment.parent.name, blocks), encoding="utf-8")
        for name, frame in frames.items():
            csv_of(frame, part / f"{name}.csv")
        for block in blocks:
            if isinstance(block, Plot):
                (part / "plots" / f"{block.name}.png").write_bytes(png(block.figure))
        report_files.place(part, experiment)
    except OSError as error:
        raise AnalysisError(f"{experiment}: cannot write the report ({error.strerror}); is there room, and is the folder writable?") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
