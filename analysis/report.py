"""The report of one run: metrics.csv, plots/*.png and report.md, written into the run's folder from its log alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.metrics import (
    STATES,
    AnalysisError,
    centres_by_year,
    messages,
    nats_per_token,
    outcomes,
    promises,
    read_run,
    surprises,
    tidy,
)
from analysis.plots import plot_centres, plot_messages, plot_surprise, save
from sandbox.log import Event, printable

# Everything that Markdown, or a viewer that links bare addresses, could read as more than text.
_MARKS = re.compile(r"[\\`*_{}\[\]#!~$:@^]|(?<=www)\.", re.IGNORECASE)
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})  # safe in a viewer that knows no backslashes too


def report(run: Path) -> Path:
    """Write the report into the folder and give the path of report.md. Raises `AnalysisError`, before anything is written, if the log is damaged."""
    torn: list[str] = []
    events = read_run(run, torn.append)
    table, figures = tidy(events), _figures(events)
    text = _markdown(run.name, events, [name for name, _ in figures], torn)
    try:
        table.to_csv(run / "metrics.csv", index=False)
        for name, figure in figures:
            save(figure, run / "plots" / name)
        (run / "report.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{run}: cannot write the report ({error.strerror}); is the folder writable?") from None
    return run / "report.md"


def _figures(events: Sequence[Event]) -> list[tuple[str, Figure]]:
    """(file name, figure) of every plot this run has something for."""
    years, sent, read = centres_by_year(events), messages(events), surprises(events)
    return ([("centres.png", plot_centres(years))] if len(years) else []) + ([("messages.png", plot_messages(sent))] if len(sent) else []) + (
        [("surprise.png", plot_surprise(read))] if len(read) else [])


def _markdown(name: str, events: Sequence[Event], plots: Sequence[str], torn: Sequence[str]) -> str:
    sent, read = messages(events), surprises(events)
    steps = len({e.step for e in events})
    lines = [f"# {markdown(name)}", "", f"{_ended(events)} {steps} steps, {len(sent)} messages, {sum(e.kind == 'fault' for e in events)} faults."]
    lines += [f"Recorded game: {markdown(str(game.get('game')))}." for _, game in outcomes(events, "game")]
    if torn:
        lines.append("The last record of the log is torn and was left out.")
    agents = by_agent(events)
    if len(agents):
        lines += ["", *table(agents)]
    measured = nats_per_token(read)
    if measured:
        with_states = measured["surprise"]
        lines += ["", f"The readers' surprise, a mean over the readers of each of {read['message'].nunique()} messages:", "",
                  *table(pd.DataFrame([(STATES[key], f"{value:.4f}", f"{with_states - value:+.4f}") for key, value in measured.items()],
                                      columns=["memory", "nats per token", "both states less this"]))]
    for plot in plots:
        lines += ["", f"![{plot.removesuffix('.png')}](plots/{plot})"]
    lines += ["", "All values: `metrics.csv`. What happened: `events.jsonl`."]
    return "\n".join(lines) + "\n"


def by_agent(events: Sequence[Event]) -> pd.DataFrame:
    """One row an agent: what it wrote, who worded it, centres, promises, reward; columns without a value in the run are left out."""
    sent, years, bound = messages(events), centres_by_year(events), promises(events)
    rewards = [(e.agent, float(e.data["reward"])) for e in events if e.kind == "reward" and e.agent]
    agents = sorted({name for readers in sent["readers"] for name in readers} | set(sent["author"]) | set(years.columns) | {a for a, _ in rewards})
    rows = []
    for agent in agents:
        mine, kept = sent[sent["author"] == agent], bound[bound["agent"] == agent]["kept"]
        rows.append({
            "agent": agent, "messages": len(mine), "characters": int(mine["characters"].sum()),
            "worded by the model": f"{(mine['by'] == 'model').mean():.0%}" if len(mine) and not sent["by"].isin(("", "world")).all() else None,
            "centres": int(years[agent].iloc[-1]) if agent in years else None,
            "promises kept": f"{int(kept.sum())} of {len(kept)}" if len(kept) else None,
            "reward": f"{sum(r for a, r in rewards if a == agent):g}" if rewards else None,
        })  # fmt: skip
    return pd.DataFrame(rows, dtype=object).dropna(axis="columns", how="all")


def _ended(events: Sequence[Event]) -> str:
    last = events[-1]
    return f"Ended: {markdown(str(last.data.get('ended')))}." if last.kind == "end" else "Not ended: the log has no end."


def table(frame: pd.DataFrame) -> list[str]:
    """A frame as lines of a Markdown table, every cell escaped."""
    head = "| " + " | ".join(markdown(str(column)) for column in frame.columns) + " |"
    rows = ["| " + " | ".join("–" if cell is None else markdown(str(cell)) for cell in row) + " |" for row in frame.itertuples(index=False)]
    return [head, "|" + " --- |" * len(frame.columns), *rows]


def markdown(text: str) -> str:
    """A text that Markdown shows as it is, on one line."""
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", printable(text)).translate(_ENTITIES)
