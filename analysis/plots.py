"""Figures of a run. Each function takes tables of `analysis.metrics` and gives a Figure; `save` writes it. No window is opened.

Names come from outside: `label` makes one harmless before it is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.metrics import STATES, by_message
from sandbox.log import printable

LEGEND_AT_MOST = 20  # names; more would cover the plot
WINDOW = 25  # messages in a running mean


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
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    colours = _colours(list(years.columns))
    for offset, power in enumerate(years.columns):
        shift = (offset - (len(years.columns) - 1) / 2) * 0.04  # equal lines would hide each other
        axes.plot(years.index, years[power] + shift, marker="o", markersize=4, color=colours[power], label=label(power))
    axes.set(title="Supply centres at the end of each year", xlabel="year", ylabel="centres", ylim=(-0.5, max(8, int(years.to_numpy().max()) + 1)))
    axes.set_xticks(years.index, [str(year) for year in years.index])
    _legend(axes, len(years.columns))
    return figure


def plot_messages(sent: pd.DataFrame) -> Figure:
    """Who wrote to whom as a matrix, and how many messages each had written by when (`metrics.messages`)."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    matrix, over_time = figure.subplots(1, 2)
    agents, counts = who_to_whom(sent)
    shown = matrix.imshow(counts, cmap="Blues", vmin=0)
    figure.colorbar(shown, ax=matrix, label="messages")
    matrix.set_xticks(range(len(agents) + 1), [*map(label, agents), "several"], rotation=45, ha="right")
    matrix.set_yticks(range(len(agents)), list(map(label, agents)))
    matrix.set(title="Who wrote to whom", xlabel="to", ylabel="from")
    if len(agents) <= LEGEND_AT_MOST:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                matrix.text(column, row, str(int(count)), ha="center", va="center", fontsize=8, color="white" if count > counts.max() / 2 else "black")
    colours = _colours(agents)
    hours = (sent["time"] - sent["time"].min()) / 3_600_000
    for agent in agents:
        mine = hours[sent["author"] == agent]
        over_time.step([0, *mine, hours.max()], [0, *range(1, len(mine) + 1), len(mine)], where="post", color=colours[agent], label=label(agent))
    over_time.set(title="Messages written", xlabel="hours since the first message", ylabel="messages so far")
    _legend(over_time, len(agents))
    return figure


def who_to_whom(sent: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """(agents sorted, counts of author × reader): the last column counts messages meant for, or read by, more than one other."""
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
    for key in table.columns[1:]:
        axes.plot(range(1, len(table) + 1), rolling[key] / rolling["tokens"], label=STATES[key], linewidth=1.2)
    axes.set(title="What a reader did not expect", xlabel="message", ylabel=f"nats per token, last {WINDOW} messages")
    _legend(axes, len(table.columns) - 1)
    return figure


def _colours(agents: Sequence[str]) -> dict[str, tuple[float, float, float, float]]:
    palette = colormaps["tab10" if len(agents) <= 10 else "tab20"]
    return {agent: palette(i % palette.N) for i, agent in enumerate(agents)}


def _legend(axes: Axes, entries: int) -> None:
    if 0 < entries <= LEGEND_AT_MOST:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
