"""Figures of Diplomacy's talk and deeds: trust over time, promises kept and broken, alliances. Each gives a Figure, as in `plots.py`.

Readable in black and white: shades and hatches, not hues, tell kept from broken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plots import APART, label, name_axes, rule, styles
from analysis.promises import by_pair, verdicts
from scenarios.diplomacy.map import POWERS

BARS_AT_MOST = 30  # alliances in one figure; all are in the table
TICKS = 12  # phases named below an axis


def plot_trust(trust: pd.DataFrame) -> Figure:
    """How far each power is trusted by each of the others, after each movement phase (`trust.trust`): one panel a trusted power."""
    figure = Figure(figsize=(14, 6.5), layout="constrained")
    panels = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    drawn, phases = styles(POWERS), list(dict.fromkeys(trust["phase"]))
    for axes, trusted in zip(panels, POWERS, strict=False):
        for offset, power in enumerate(POWERS):
            mine = trust[(trust["agent"] == power) & (trust["other"] == trusted)]
            if len(mine):
                shift = (offset - 3) * 0.012  # equal lines would hide each other
                line = {**drawn[power], "markevery": (offset % 3, 3) if len(phases) > 6 else 1}
                axes.plot([phases.index(phase) for phase in mine["phase"]], mine["trust"] + shift, **line)
        axes.axhline(0.5, color="0.8", linewidth=0.8, zorder=0)
        axes.set(title=f"trust in {label(trusted)}", ylim=(-0.08, 1.08))
        name_phases(axes, phases)
        axes.tick_params(labelbottom=True)
    for axes in panels[::4]:
        axes.set_ylabel("trust (0 none, 0.5 unknown, 1 full)")
    panels[7].axis("off")
    for power in POWERS:
        panels[7].plot([], [], **drawn[power], label=label(power))
    panels[7].legend(title="trusted by", loc="center", frameon=False, handlelength=5)
    figure.suptitle("Trust after the orders of each movement phase")
    figure.supxlabel(f"movement phase (S01: spring of 1901, F01: its fall); {APART}", fontsize=10)
    return figure


def plot_promises(bound: pd.DataFrame) -> Figure:
    """Who promised whom how much, and what became of it (`promises.promises`): a matrix by pair, and bars by power."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    matrix, bars = figure.subplots(1, 2)
    place = {power: i for i, power in enumerate(POWERS)}
    share = np.full((len(POWERS), len(POWERS)), np.nan)
    for row in by_pair(bound).itertuples():
        if row.agent in place and row.to in place:
            share[place[row.agent], place[row.to]] = broken = 1 - row.kept / row.promises
            matrix.text(place[row.to], place[row.agent], f"{row.kept}/{row.promises}", ha="center", va="center", fontsize=9,
                        color="white" if broken > 0.5 else "black")  # fmt: skip
    shown = matrix.imshow(np.ma.masked_invalid(share), cmap="Greys", vmin=0, vmax=1)
    figure.colorbar(shown, ax=matrix, label="share broken")
    name_axes(matrix, POWERS, POWERS)
    rule(matrix, len(POWERS), len(POWERS))
    matrix.set(title="Promises kept / made", xlabel="promised to", ylabel="promised by")
    _bars(bars, verdicts(bound))
    return figure


def _bars(axes: Axes, judged: pd.DataFrame) -> None:
    left = np.zeros(len(POWERS))
    kinds = (("kept", "kept", "0.85", ""), ("broken", "broken, but meant when said", "0.55", "//"), ("lie", "broken, and not meant when said", "0.1", ""))
    for verdict, name, shade, hatch in kinds:
        count = np.array([((judged["agent"] == power) & (judged["verdict"] == verdict)).sum() for power in POWERS], dtype=float)
        axes.barh(range(len(POWERS)), count, left=left, color=shade, hatch=hatch, edgecolor="black", linewidth=0.6, label=f"{name}  {int(count.sum())}")
        left += count
    axes.set_yticks(range(len(POWERS)), list(map(label, POWERS)))
    axes.invert_yaxis()
    axes.set(title="What became of each power's promises", xlabel="promises", xlim=(0, max(1, left.max()) * 1.05))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False)


def plot_alliances(made: pd.DataFrame, phases: Sequence[str]) -> Figure:
    """When each alliance was made and how it ended (`promises.alliances`); `phases`: the movement phases of the game, in order."""
    drawn = made.iloc[:BARS_AT_MOST]
    figure = Figure(figsize=(11, 1.6 + 0.32 * len(drawn)), layout="constrained")
    axes = figure.subplots()
    end = len(phases)
    for row, one in enumerate(drawn.itertuples()):
        begin = phases.index(one.phase) if one.phase in phases else end
        stop = phases.index(one.ended_phase) + 0.7 if one.ended_phase in phases else end
        axes.barh(row, max(stop - begin, 0.15), left=begin, height=0.55, color="0.3" if one.ended == "held" else "0.8", edgecolor="black", linewidth=0.6)
        if one.ended == "broken":
            axes.plot(stop, row, marker="X", color="black", markersize=9)
        told = {"broken": f"broken by {one.broken_by} in {one.where}", "eliminated": "a partner was eliminated"}.get(one.ended, "held")
        axes.annotate(told, (stop, row), xytext=(9, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(drawn)), [f"{one.first} + {one.second}" + (f" against {one.against}" if one.against else "") for one in drawn.itertuples()], fontsize=8)
    axes.invert_yaxis()
    name_phases(axes, phases)
    more = f" (the first {BARS_AT_MOST} of {len(made)})" if len(made) > len(drawn) else ""
    axes.set(title=f"Alliances{more}: dark, held to the end; ×, one moved against the other", xlabel="movement phase (S01: spring of 1901, F01: its fall)", xlim=(-0.1, end + max(1.5, 0.3 * end)))
    return figure


def name_phases(axes: Axes, phases: Sequence[str]) -> None:
    """Movement phases below an axis: S01 is the spring of 1901; not more of them than can be read."""
    apart = -(-len(phases) // TICKS) or 1
    shown = range(0, len(phases), apart + apart % 2 if apart > 1 else 1)  # whole years, where not every phase is named
    axes.set_xticks(list(shown), [label(phases[i][:1] + phases[i][3:5]) for i in shown], fontsize=8)
