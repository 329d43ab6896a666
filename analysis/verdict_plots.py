"""Figures of how good detectors are: curves with their bands, what honest runs do at each level, power against rounds, who with whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plots import COLOURS, LINES, MARKERS, label

NETWORK_AT_MOST = 12  # agents of whom a network can be read
WIDE = 6.0  # points of the widest line of a network


def plot_roc(curves: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """One line a measure (`verdicts.roc`), its 95 % band by seed; the diagonal is a coin."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle=":")
    for i, (name, curve) in enumerate(curves.items()):
        axes.plot(curve["false_alarms"], curve["found"], color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], linewidth=1.4, label=label(name))
        axes.fill_between(curve["false_alarms"], curve["low"], curve["high"], color=COLOURS[i % len(COLOURS)], alpha=0.12, linewidth=0)
    axes.set(title=f"Found against false alarms: {label(title)}", xlabel="share of what is not planted that alarms", ylabel="share of plants found", xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=4)
    return figure


def plot_calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """How often honest runs alarm at each nominal level, thresholds from other seeds (`verdicts.calibration`)."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.005, 1], [0.005, 1], color="0.6", linewidth=0.8, linestyle=":", label="as promised")
    for i, (name, table) in enumerate(tables.items()):
        bars = [table["alarms"] - table["low"], table["high"] - table["alarms"]]
        axes.errorbar(table["nominal"] * (1 + 0.03 * (i - len(tables) / 2)), table["alarms"], yerr=[bar.clip(lower=0) for bar in bars], color=COLOURS[i % len(COLOURS)],
                      marker=MARKERS[i % len(MARKERS)], markersize=5, linewidth=1, label=label(name))  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=0.005)
    axes.set(title="Alarms where nothing is planted", xlabel="nominal rate of false alarms", ylabel="share of honest units that alarm")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def plot_power(table: pd.DataFrame, title: str) -> Figure:
    """Found at 1 % false alarms after so much of a run, one line a measure (`verdicts.power`)."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, (name, rows) in enumerate(table.groupby("name", sort=False)):
        rows = rows.sort_values("known")
        axes.plot(rows["known"], rows["recall_0.01"], color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], marker=MARKERS[i % len(MARKERS)], markersize=5, label=label(str(name)))
    axes.set(title=f"Found at 1 % false alarms: {label(title)}", xlabel="share of the run that was known", ylabel="share of plants found", ylim=(-0.02, 1.02))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=4)
    return figure


def plot_network(pairs: pd.DataFrame, title: str) -> Figure:
    """Who with whom: agents in a ring, a line a pair, the wider the higher its mean score among these (columns first, second, value)."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    agents = sorted(set(pairs["first"]) | set(pairs["second"]))[:NETWORK_AT_MOST]
    place = {agent: (math.cos(2 * math.pi * i / len(agents) + math.pi / 2), math.sin(2 * math.pi * i / len(agents) + math.pi / 2)) for i, agent in enumerate(agents)}
    low, high = float(pairs["value"].min()), float(pairs["value"].max())
    for row in pairs.to_dict("records"):
        if row["first"] in place and row["second"] in place:
            share = (float(row["value"]) - low) / (high - low) if high > low else 0.0
            (x0, y0), (x1, y1) = place[row["first"]], place[row["second"]]
            axes.plot([x0, x1], [y0, y1], color=COLOURS[3] if share > 0.5 else "0.6", linewidth=0.3 + WIDE * share, alpha=0.8, zorder=1)
    for agent, (x, y) in place.items():
        axes.scatter([x], [y], s=180, color="white", edgecolors="black", zorder=2)
        axes.annotate(label(agent), (x, y), (1.2 * x, 1.2 * y), ha="center", va="center", fontsize=9)
    axes.set(title=label(title), xlim=(-1.5, 1.5), ylim=(-1.4, 1.4), aspect="equal")
    axes.axis("off")
    return figure


def plot_gain(rounds: Mapping[str, pd.DataFrame]) -> Figure:
    """Profit gain by round, a line an arm: its mean over runs, the band from the 2.5th to the 97.5th percentile of runs (columns round, mean, low, high)."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, (arm, rows) in enumerate(rounds.items()):
        axes.plot(rows["round"] + 1, rows["mean"], color=COLOURS[i % len(COLOURS)], linestyle=LINES[i % len(LINES)], linewidth=1.3, label=label(arm))
        axes.fill_between(rows["round"] + 1, rows["low"], rows["high"], color=COLOURS[i % len(COLOURS)], alpha=0.12, linewidth=0)
    axes.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    axes.axhline(1, color="0.5", linewidth=0.8, linestyle="--")
    axes.set(title="Profit gain: 0 competition, 1 cartel of all", xlabel="round", ylabel="profit gain of all sellers")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=4)
    return figure


def plot_impulse(of_runs: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Figure:
    """A forced cut: what the seller's price (dotted) and its rivals' (whole lines) are off their path, from the round of the cut on, one colour a run."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for i, (name, (own, rivals)) in enumerate(of_runs.items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(range(len(own)), own, color=colour, linestyle=":", linewidth=1.0)
        axes.plot(range(len(rivals)), rivals, color=colour, linewidth=1.4, marker=MARKERS[i % len(MARKERS)], markersize=4, label=label(name))
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(title="After a forced price cut: rivals, and who cut (dotted)", xlabel="rounds since", ylabel="off its path, competition to cartel = 1")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def gains(of_runs: Sequence[pd.Series], smooth: int = 5) -> pd.DataFrame:
    """Mean and spread over runs of series by round, each a running mean over `smooth` rounds; rounds that every run has."""
    table = pd.concat([series.rolling(smooth, min_periods=1).mean() for series in of_runs], axis=1).dropna()
    return pd.DataFrame({"round": table.index, "mean": table.mean(axis=1), "low": table.quantile(0.025, axis=1), "high": table.quantile(0.975, axis=1)}).reset_index(drop=True)
