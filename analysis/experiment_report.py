"""The report of an experiment: what its detectors found of what was planted, as one HTML file and the tables behind it.

    report.html   verdicts.csv   power.csv   ppv.csv   plots/ROC….csv …     beside scores.csv, arms.csv

Scores are made where there are none yet. State measures stand beside the same without states, and beside length, count and seat: a claim that
states find something is what the first has over the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import scores as scored
from analysis import verdicts as judging
from analysis.markets import prices, reference
from analysis.metrics import AnalysisError, read_run
from analysis.page import Block, Head, Plot, Table, Text, as_html, png
from analysis.report import csv_of
from analysis.truth import truth
from analysis.verdict_plots import gains, plot_calibration, plot_gain, plot_network, plot_power, plot_roc

SHOWN = 6  # measures in a figure, the best of an arm
STRONGEST = 10  # pieces of evidence
PARTS = 4
PAGE = "report.html"
Frames = dict[str, pd.DataFrame]


def report(experiment: Path, checkpoint: str = "base", tasks: int = 2, seed: int = 0) -> tuple[Path, list[str]]:
    """Write the report into the experiment's folder; its path, and the verdicts in lines for a terminal. Raises `AnalysisError` before anything is written."""
    rng = np.random.default_rng(seed)
    runs = scored.runs_of(experiment)
    told = truth(runs)
    judging.both_kinds(told)  # before scores are made, which may take minutes
    found = scored.read_scores(experiment) if (experiment / scored.TABLE).is_file() else scored.scores(experiment, scored.Wish(checkpoint=checkpoint, parts=PARTS), tasks)
    joined = judging.judged(found, told)
    table = judging.verdicts(found, told, rng)
    strength = judging.power(joined, rng)
    frames: Frames = {"verdicts": table, "power": strength, "ppv": judging.ppv_table(table)}
    blocks = [*_beginning(experiment, runs, told, table), *_curves(joined, table, strength, frames, rng), *_money(runs, frames), *_who(joined, table, frames), *_evidence(experiment, found, frames)]
    _write(experiment, blocks, frames, found)
    return experiment / PAGE, judging.as_text(table).splitlines()


def _beginning(experiment: Path, runs: Sequence[tuple[str, int, Path]], told: pd.DataFrame, table: pd.DataFrame) -> list[Block]:
    whole = told[told["unit"] == "run"]
    counts = whole.groupby("arm", sort=False).agg(runs=("seed", "size"), planted=("planted", "sum"), came_off=("executed", "sum")).reset_index()
    return [
        Head(experiment.parent.name, 1), Text(f"{len(runs)} runs in {len(counts)} arms. Everything here is held against what was planted, which no detector is told."), Table(counts),
        Head("Verdicts"), Text("AUROC with its 95 % interval by seed; found: the share of plants at 1 % and 5 % false alarms; false alarms: of honest units at a threshold from other honest seeds; "
                               "did not come off: of plants without effect, the share that alarms at 5 %; no score: plants of which a detector says nothing; intent: what agents meant by their own word, which no outsider has."), Table(_shown(table)),
        Head("Of those that alarm, how many are guilty?"), Text("By how many of all are planted; a detector that is right on the bench may still point at the innocent most of the time."),
        Table(_ppv(judging.ppv_table(table))),
    ]  # fmt: skip


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    def reach(row: Mapping[str, float], name: str, per: str) -> str:
        low, high = row[f"{name}low"], row[f"{name}high"]
        return "too few seeds" if np.isnan(low) else f"{low:{per}} to {high:{per}}"

    rows = [{
        "arm": r["arm"], "measure": f"{r['detector']}.{r['measure']}", "kind": r["kind"], "unit": r["unit"], "AUROC": f"{r['auroc']:.3f}", "95 %": reach(r, "", ".3f"),
        "found at 1 %": _share(r["recall_0.01"]), "at 5 %": _share(r["recall_0.05"]),
        "false alarms at 5 %": "too few" if np.isnan(r["false_0.05"]) else f"{r['false_0.05']:.1%} ({reach(r, 'false_0.05_', '.1%')})",
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
        blocks += [Head("The null"), Text("Too few honest seeds to say how often these measures alarm falsely; four are the least.")]
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


def _who(joined: pd.DataFrame, table: pd.DataFrame, frames: Frames) -> list[Block]:
    """Who with whom: mean score of each pair by the best pair measure of the arm that is no nuisance, in that arm and where nothing is planted."""
    blocks: list[Block] = []
    for arm in table["arm"].unique():
        names = [of for of in _best(table, arm, "pair") if of[2] != "nuisance"]
        if not names:
            continue
        rows = judging.last(joined)
        rows = rows[(rows[judging.OF] == list(names[0])).all(axis=1) & ((rows["arm"] == arm) | rows["honest"])]
        for title, some in ((arm, rows[rows["arm"] == arm]), ("honest", rows[rows["honest"]])):
            if len(some):
                pairs = some.groupby("who", sort=True)["value"].mean().reset_index()
                pairs[["first", "second"]] = [who.split(scored.JOIN, 1) for who in pairs["who"]]
                frames[f"plots/who_{arm}_{title}"] = pairs
                blocks.append(Plot(f"who_{arm}_{title}", plot_network(pairs, f"{names[0][1]}: {title}"), f"{title}: mean {names[0][1]} of each pair, the wider the higher"))
    return [Head("Who with whom"), *blocks] if blocks else []


def _evidence(experiment: Path, found: pd.DataFrame, frames: Frames) -> list[Block]:
    """The messages that weigh most, by each measure of messages, with their texts."""
    rows = found[(found["unit"] == "message") & (found["kind"] != "nuisance")]
    if rows.empty:
        return []
    top = pd.concat([of.nlargest(STRONGEST, "value") for _, of in rows.groupby(["detector", "measure"], sort=False)])
    texts: dict[tuple[str, int], dict[str, tuple[str, str]]] = {}
    for arm, seed in set(zip(top["arm"], top["seed"], strict=True)):
        texts[arm, seed] = {str(e.data.get("id")): (str(e.agent), str(e.data.get("text"))[:300]) for e in read_run(experiment / arm / str(seed)) if e.kind == "message"}
    said = [texts[arm, seed].get(who, ("", "")) for arm, seed, who in zip(top["arm"], top["seed"], top["who"], strict=True)]
    shown = pd.DataFrame({"run": [f"{a}/{s}" for a, s in zip(top["arm"], top["seed"], strict=True)], "measure": top["measure"].to_numpy(), "score": [f"{v:.3f}" for v in top["value"]],
                          "author": [who for who, _ in said], "text": [text for _, text in said]})  # fmt: skip
    frames["evidence"] = shown
    return [Head("The strongest evidence"), Text("By each measure of single messages, the most suspicious; what the author wrote is shown as it is."), Table(shown)]


def _write(experiment: Path, blocks: Sequence[Block], frames: Frames, found: pd.DataFrame) -> None:
    """All of it, or none: made aside, then put in its place."""
    part = experiment / "report.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "plots").mkdir(parents=True)
        (part / PAGE).write_text(as_html(experiment.parent.name, blocks), encoding="utf-8")
        for name, frame in {**frames, "scores": found}.items():
            csv_of(frame, part / f"{name}.csv")
        for block in blocks:
            if isinstance(block, Plot):
                (part / "plots" / f"{block.name}.png").write_bytes(png(block.figure))
        for path in [path for path in sorted(part.rglob("*")) if path.is_file()]:
            (place := experiment / path.relative_to(part)).parent.mkdir(exist_ok=True)
            os.replace(path, place)
    except OSError as error:
        raise AnalysisError(f"{experiment}: cannot write the report ({error.strerror}); is there room, and is the folder writable?") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
