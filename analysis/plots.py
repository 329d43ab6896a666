"""Figures of a run. Each function takes tables of `analysis.metrics` and gives a Figure; `save` writes it. No window is opened.

Agents differ in colour, in line and in marker, their initial where it is their own, so that a print in black and white can be read. The
colours are those of Okabe and Ito (2008), which the colour-blind tell apart, without the yellow, too pale for a line on white.
Names come from outside: `label` makes one harmless before it is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.metrics import STATES, by_message
from sandbox.log import printable

LEGEND_AT_MOST = 20  # names; more would cover the plot
WINDOW = 25  # messages in a running mean
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#000000", "#56B4E9")
APART = "lines drawn a little apart, so that equal ones can be seen"
LINES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 2)), (0, (1, 1)), (0, (6, 2, 1.5, 2, 1.5, 2)))
MARKERS = "osD^vP*Xh<>pd8"


def label(name: str) -> str:
    """A name as a figure may show it: no control characters, no mathematics, at most 24 characters."""
    shown = printable(name)
    shown = (shown if len(shown) <= 24 else shown[:23] + "…").replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown  # a leading underscore would hide it from the legend


def save(figure: Figure, path: Path) -> None:
    """Write a PNG, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script the font lacks is still a name
        FigureCanvasAgg(figure).print_png(path)


def plot_centres(years: pd.DataFrame) -> Figure:
    """Supply centres at the end of each year, one line a power (`metrics.centres_by_year`)."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    drawn = styles(list(years.columns))
    for offset, power in enumerate(years.columns):
        shift = offset - (len(years.columns) - 1) / 2  # equal lines would hide each other, and their letters too
        alive = years[power].where(years[power].shift(fill_value=1) > 0)  # up to the year in which the last one is lost
        axes.plot(years.index + shift * 0.55 / len(years.columns), alive + shift * 0.05, **drawn[power], label=f"{label(power)}  {int(years[power].iloc[-1])}")
    axes.set(title="Supply centres at the end of each year", xlabel=f"year ({APART})", ylabel="supply centres owned", ylim=(-0.5, max(8, int(years.to_numpy().max()) + 1)))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    shown = years.index[:: -(-len(years) // 12)]
    axes.set_xticks(shown, ["start" if year == years.index[0] and len(years) > 1 else str(year) for year in shown])
    axes.grid(axis="y", color="0.9")
    _legend(axes, len(years.columns))
    return figure


def plot_messages(sent: pd.DataFrame) -> Figure:
    """Who wrote to whom as a matrix, and how many messages each had written by when (`metrics.messages`)."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    matrix, over_time = figure.subplots(1, 2)
    agents, counts = who_to_whom(sent)
    shown = matrix.imshow(counts, cmap="Greys", vmin=0, vmax=max(1, counts.max()))
    figure.colorbar(shown, ax=matrix, label="messages", ticks=MaxNLocator(integer=True))
    name_axes(matrix, agents, [*agents, "several"])
    rule(matrix, len(agents), len(agents) + 1)
    order = f" ({len(agents)} agents, by name)" if len(agents) > LEGEND_AT_MOST else ""
    matrix.set(title="Who wrote to whom", xlabel=f"to{order}", ylabel=f"from{order}")
    if len(agents) <= LEGEND_AT_MOST:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                matrix.text(column, row, str(int(count)), ha="center", va="center", fontsize=8, color="white" if count > counts.max() / 2 else "black")
    _written(over_time, sent, agents)
    return figure


def _written(axes: Axes, sent: pd.DataFrame, agents: Sequence[str]) -> None:
    """Messages written by when: a line an agent in its own style, or, where there are too many to name, each in grey and their median in black."""
    unit, per = time_unit(float(sent["time"].max() - sent["time"].min()))
    times = (sent["time"] - sent["time"].min()) / per
    drawn, many = styles(agents), len(agents) > LEGEND_AT_MOST
    for agent in agents:
        mine = times[sent["author"] == agent]
        at, total = [0, *mine, times.max()], [0, *range(1, len(mine) + 1), len(mine)]
        style = {"color": "0.7", "linewidth": 0.5} if many else {**drawn[agent], "markevery": max(1, len(at) // 6)}
        axes.step(at, total, where="post", **style, label=f"{label(agent)}  {len(mine)}")
    if many:
        moments = np.unique(times)
        so_far = [np.searchsorted(np.sort(times[sent["author"] == agent]), moments, side="right") for agent in agents]
        axes.step(moments, np.median(so_far, axis=0), where="post", color="black", linewidth=1.6)
    axes.set(title=f"Messages written: {len(agents)} agents in grey, their median in black" if many else "Messages written",
             xlabel=f"simulated {unit} since the first message", ylabel="messages so far")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color="0.9")
    _legend(axes, len(agents))


def time_unit(span: float) -> tuple[str, int]:
    """(name, milliseconds) of the largest unit of which a span in ms holds two."""
    units = (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000))
    return next(((name, ms) for name, ms in units if span >= 2 * ms), ("seconds", 1_000))


def name_axes(matrix: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Agents' names beside and below a matrix; none where there are too many to read."""
    if len(columns) > LEGEND_AT_MOST + 1:
        matrix.set_xticks([])
        matrix.set_yticks([])
        return
    matrix.set_yticks(range(len(rows)), list(map(label, rows)))
    matrix.set_xticks(range(len(columns)), list(map(label, columns)), rotation=45, ha="right", rotation_mode="anchor")


def rule(matrix: Axes, rows: int, columns: int) -> None:
    """Thin lines between the cells of a matrix."""
    if columns <= LEGEND_AT_MOST + 1:
        matrix.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
        matrix.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
        matrix.grid(which="minor", color="0.85")
        matrix.tick_params(which="minor", length=0)


def who_to_whom(sent: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """(agents sorted, counts [author, reader]): the last column counts messages meant for, or read by, more than one other.

    What an agent writes to itself alone is told to nobody and counted nowhere.
    """
    agents = sorted(set(sent["author"]) | {name for readers in sent["readers"] for name in readers})
    place = {agent: i for i, agent in enumerate(agents)}
    counts = np.zeros((len(agents), len(agents) + 1))
    for author, readers, to in zip(sent["author"], sent["readers"], sent["to"], strict=True):
        others = sorted((set(to) & set(readers) or set(readers)) - {author})
        if others:
            counts[place[author], place[others[0]] if len(others) == 1 else len(agents)] += 1
    return agents, counts


def plot_surprise(surprise: pd.DataFrame) -> Figure:
    """The readers' surprise over the run, as a running mean over messages, for each state of memory (`metrics.surprises`)."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    table = by_message(surprise)
    rolling = table.rolling(WINDOW, min_periods=min(5, len(table))).sum()
    for line, key in zip(LINES, table.columns[1:], strict=False):
        axes.plot(range(1, len(table) + 1), rolling[key] / rolling["tokens"], label=STATES[key], linewidth=1.2, linestyle=line)
    axes.set(title="What a reader did not expect", xlabel="message, in the order in which they were read", ylabel=f"nats per token, last {WINDOW} messages")
    _legend(axes, len(table.columns) - 1)
    return figure


def plot_prices(sold: pd.DataFrame, reference: Mapping[str, Mapping[str, float]] | None) -> Figure:
    """Prices by round, one line a seller (`markets.prices`), between competition and cartel where the world told them."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    by_round = sold.pivot(index="round", columns="agent", values="price")
    drawn = styles(list(by_round.columns))
    for agent in by_round.columns:
        axes.plot(by_round.index + 1, by_round[agent], **(dict(drawn[agent]) | {"markersize": 4}), markevery=max(1, len(by_round) // 20), label=label(agent))
    for kind, name, line in (("nash", "competition", ":"), ("cartel", "cartel", "--")):
        if reference:
            axes.axhline(float(np.mean(list(reference[f"{kind}_prices"].values()))), color="0.4", linewidth=1, linestyle=line, label=name)
    axes.set(title="Prices", xlabel="round", ylabel="price")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, len(by_round.columns) + 2 * bool(reference))
    return figure


def styles(agents: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """How each agent's line is drawn: colour, line, marker (its initial, where no other agent has the same).

    Colour and line together are an agent's own among 49.
    """
    initials = [agent[:1] for agent in agents]
    lettered = len(set(initials)) == len(agents) and all(letter.isascii() and letter.isalpha() for letter in initials)
    return {
        agent: {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[(i + i // len(COLOURS)) % len(LINES)], "linewidth": 1.4, "markersize": 8,
                "marker": f"$\\mathrm{{{initials[i]}}}$" if lettered else MARKERS[i % len(MARKERS)]}
        for i, agent in enumerate(agents)
    }  # fmt: skip


def _legend(axes: Axes, entries: int) -> None:
    if 0 < entries <= LEGEND_AT_MOST:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handlelength=4)
