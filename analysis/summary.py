"""What came out of a run, as a few lines for a terminal: centres by year, alliances, promises, words. Everything shown is made printable."""

from __future__ import annotations

import pandas as pd

from analysis.promises import by_pair
from sandbox.log import printable
from scenarios.diplomacy.map import POWERS

LINES = 12  # of a list; the rest is in the tables
WORDERS = {"model": "SociaLLM", "grammar": "the grammar", "llm": "a server's model", "hf": "a local model", "human": "a person", "replay": "an earlier run"}
UNTOLD = ("", "world", "imported")  # recorded words: the log does not say whose
COLUMNS = 11  # years, evenly spread; so many fit a terminal


def summary(sent: pd.DataFrame, years: pd.DataFrame, bound: pd.DataFrame, made: pd.DataFrame) -> list[str]:
    """The lines, from the tables of `metrics.messages`, `metrics.centres_by_year`, `promises.promises` and `promises.alliances`."""
    lines = []
    if len(years):
        places = sorted({round(i * (len(years) - 1) / (COLUMNS - 1)) for i in range(COLUMNS)}) if len(years) > COLUMNS else range(len(years))
        heads = ["start" if i == 0 and len(years) > 1 else str(years.index[i]) for i in places]
        rows = [("centres", *heads), *((_name(power), *(str(years[power].iloc[i]) for i in places)) for power in years.columns)]
        lines += ["".join([f"{row[0]:<12}", *(f"{cell:>6}" for cell in row[1:])]) for row in rows[: LINES * 2]] + _more(len(rows) - LINES * 2)
        lines += alliance_lines(made) + promise_lines(bound) if len(sent) else []
    return [*lines, message_line(sent)]


def alliance_lines(made: pd.DataFrame) -> list[str]:
    """How many alliances were made, and each with its end."""
    broken = int((made["ended"] == "broken").sum())
    lines = [f"alliances: {len(made)} made, {broken} broken"]
    for one in made.iloc[:LINES].itertuples():
        against = f" against {one.against}" if one.against else ""
        end = {"broken": f"broken in {one.ended_phase} by {one.broken_by}, moving to {one.where}", "eliminated": "ended, a partner was eliminated"}
        lines.append(printable(f"  {one.first} + {one.second}{against}, made in {one.phase}: {end.get(one.ended, 'held')}"))
    return lines + _more(len(made) - LINES)


def promise_lines(bound: pd.DataFrame) -> list[str]:
    """How many promises were made and kept, and who broke one to whom."""
    whom = bound.assign(to=bound["to"].map(lambda to: to if len(to) < 2 else ("EVERYBODY" if len(to) == len(POWERS) - 1 else "+".join(to),)))
    pairs = by_pair(whom)
    faithless = pairs[pairs["broken"] > 0].sort_values(["broken", "not meant"], ascending=False, kind="stable")
    lines = [f"promises: {len(bound)} about the next orders, {int(bound['kept'].sum())} kept, {int((~bound['kept'].astype(bool)).sum())} broken"]
    for agent, to, made, kept, broken, unmeant in faithless.iloc[:LINES].itertuples(index=False):
        lies = f", {unmeant} of them not meant when said" if unmeant else ""
        lines.append(printable(f"  {agent} to {to}: {made} made, {kept} kept, {broken} broken{lies}"))
    return lines + _more(len(faithless) - LINES)


def message_line(sent: pd.DataFrame) -> str:
    """How many messages, and who worded them."""
    by, own = worded_by(sent), int((sent["by"] == "world").sum())
    told = f", {own} of them the world's own" if own else ""
    words = f", {'the others ' if own else ''}worded by {by}" if by else ""
    return f"messages: {len(sent)}{told}{words}"


def worded_by(sent: pd.DataFrame) -> str | None:
    """Who worded these messages, the most first, with shares where there are several; None where the log tells of nobody."""
    counts = sent["by"][~sent["by"].isin(UNTOLD)].value_counts()
    named = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [(WORDERS.get(by, printable(by)[:40]), n / counts.sum()) for by, n in named[:LINES]]
    return ", ".join(who if len(named) == 1 else f"{who} ({share:.0%})" for who, share in shown) or None


def _name(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= 11 else shown[:10] + "…"


def _more(left: int) -> list[str]:
    return [f"  … and {left} more"] if left > 0 else []
