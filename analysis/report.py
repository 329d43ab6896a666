"""The report of one run: report.html, which needs nothing else, the same as report.md, metrics.csv, plots/*.png with their tables as CSV.

Written into the run's folder. What came out is from its log alone; scenario, seed and settings from manifest.json and config.yaml, where they stand.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis import run_facts
from analysis.cases import case_lines
from analysis.markets import market_lines, prices, reference
from analysis.metrics import STATES, AnalysisError, centres_by_year, messages, nats_per_token, outcomes, read_run, surprises
from analysis.pact_plots import plot_alliances, plot_promises, plot_trust
from analysis.page import Block, Head, Lines, Plot, Table, Text, as_html, as_markdown
from analysis.plots import plot_centres, plot_messages, plot_prices, plot_surprise, save
from analysis.promises import alliances, by_pair, phases, promises, verdicts
from analysis.roles import role_lines
from analysis.summary import summary, worded_by
from analysis.table_files import csv_of
from analysis.tidy import tidy
from analysis.trust import TRUST, trust
from sandbox.log import Event

SHOWS = {  # under each plot
    "centres": "Supply centres of each power at the end of each year; who has most of them is ahead.",
    "prices": "The price of each seller by round. The lines across, where there are any, mark competition, where nobody gains by another price of its own, and a cartel of all, where the sum of profits is highest.",
    "alliances": "When two agreed to ally, in their own words, and which of them moved against the other first.",
    "promises": "Who promised whom what about its next orders: kept, broken, or not even meant when it was said.",
    "trust": "How far each power trusts each other after each movement phase, by the negotiator's rule, worked out again from the log.",
    "messages": "Who wrote to whom, and when.",
    "surprise": "What readers did not expect, in nats a token (lower: better foreseen), with their states and without.",
}


@dataclass(frozen=True)
class Tables:
    """The tables of a run, each worked out once. `missing` says in a line what could not be worked out."""

    messages: pd.DataFrame
    years: pd.DataFrame
    phases: tuple[str, ...]
    promises: pd.DataFrame
    alliances: pd.DataFrame
    trust: pd.DataFrame
    surprises: pd.DataFrame
    prices: pd.DataFrame
    reference: Mapping[str, Mapping[str, float]] | None = None  # of a market
    missing: tuple[str, ...] = ()


def tables(events: Sequence[Event]) -> Tables:
    """All tables of these events. Raises `AnalysisError` if the log is damaged."""
    sent, years, game = messages(events), centres_by_year(events), phases(events)
    missing: tuple[str, ...] = ()
    try:
        trusted = trust(events)
    except AnalysisError as error:  # a game under other rules still has the rest
        trusted, missing = pd.DataFrame(columns=TRUST), (str(error),)
    return Tables(
        sent, years, tuple(phase.name for phase in game if phase.name), verdicts(promises(game)), alliances(game), trusted, surprises(events),
        prices(events), reference(events), missing,
    )  # fmt: skip


def report(run: Path) -> tuple[Path, list[str]]:
    """Write the report into the folder; the path of report.html, and what came out, in lines for a terminal.

    Raises `AnalysisError`, before anything is written, if the log is damaged.
    """
    torn: list[str] = []
    events = read_run(run, torn.append)
    found = tables(events)
    measures, figures = tidy(events, found.promises, found.trust), _figures(found)
    lines = [*market_lines(found.prices, found.reference), *case_lines(events), *role_lines(events), *summary(found.messages, found.years, found.promises, found.alliances)]
    blocks = _blocks([Head(run_facts.title(run), 1), *map(Text, run_facts.asked_for(run))], lines, events, found, figures, torn)
    part = run / "report.part"
    try:
        shutil.rmtree(part, ignore_errors=True)
        csv_of(measures, part / "metrics.csv")
        for name, figure in figures:
            save(figure, part / "plots" / f"{name}.png")
        for name, frame in _frames(found).items():
            csv_of(frame, part / "plots" / f"{name}.csv")
        (part / "report.md").write_text(as_markdown(blocks), encoding="utf-8")
        (part / "report.html").write_text(as_html(run_facts.title(run), blocks), encoding="utf-8")
        for path in [path for path in sorted(part.rglob("*")) if path.is_file()]:  # all of it is made before any of it takes its place
            (place := run / path.relative_to(part)).parent.mkdir(exist_ok=True)
            os.replace(path, place)
    except OSError as error:
        raise AnalysisError(f"{run}: cannot write the report ({error.strerror}); is there room, and is the folder writable?") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return run / "report.html", [*found.missing, *lines]


def _figures(found: Tables) -> list[tuple[str, Figure]]:
    """(name, figure) of every plot this run has something for."""
    drawn = [
        ("centres", len(found.years), lambda: plot_centres(found.years)),
        ("prices", len(found.prices), lambda: plot_prices(found.prices, found.reference)),
        ("alliances", len(found.alliances), lambda: plot_alliances(found.alliances, found.phases)),
        ("promises", len(found.promises), lambda: plot_promises(found.promises)),
        ("trust", len(found.trust), lambda: plot_trust(found.trust)),
        ("messages", len(found.messages), lambda: plot_messages(found.messages)),
        ("surprise", len(found.surprises), lambda: plot_surprise(found.surprises)),
    ]
    return [(name, draw()) for name, rows, draw in drawn if rows]


def _frames(found: Tables) -> Mapping[str, pd.DataFrame]:
    """The tables behind the plots, by name; those without rows are left out."""
    every = {"centres": found.years.reset_index(), "prices": found.prices, "alliances": found.alliances, "promises": found.promises, "trust": found.trust,
             "messages": found.messages, "surprise": found.surprises}  # fmt: skip
    return {name: frame for name, frame in every.items() if len(frame)}


def _blocks(
    begin: Sequence[Block], lines: Sequence[str], events: Sequence[Event], found: Tables, plots: Sequence[tuple[str, Figure]], torn: Sequence[str]
) -> list[Block]:
    sent, read = found.messages, found.surprises
    steps = len({e.step for e in events})
    blocks: list[Block] = [*begin, Text(f"{_ended(events)} {steps} steps, {len(sent)} messages, {sum(e.kind == 'fault' for e in events)} faults.")]
    blocks += [Text(f"Recorded game: {game.get('game')}.") for _, game in outcomes(events, "game")]
    if torn:
        blocks.append(Text("The last record of the log is torn and was left out."))
    blocks += [Text(f"{what}.") for what in found.missing]
    agents = by_agent(events, found)
    blocks += [Lines(tuple(lines))] if lines else []
    if len(agents):
        blocks.append(Table(agents))
    if "reward" in agents:
        blocks.append(Text(f"reward: {'profit, summed over the rounds' if len(found.prices) else 'centres won or lost since the start' if len(found.years) else 'all that the world gave an agent in the run, summed'}."))
    pairs = by_pair(found.promises)
    for title, frame in (("Promises about the next orders, by pair:", pairs), ("Alliances:", found.alliances.drop(columns=["step", "time"]))):
        blocks += [Text(title), Table(frame)] if len(frame) else []
    measured = nats_per_token(read)
    if measured:
        with_states = measured["surprise"]
        blocks += [Text(f"The readers' surprise, a mean over the readers of each of {read['message'].nunique()} messages:"),
                   Table(pd.DataFrame([(STATES[key], f"{value:.4f}", f"{with_states - value:+.4f}") for key, value in measured.items()],
                                      columns=["memory", "nats per token", "both states less this"]))]
    blocks += [Plot(plot, figure, SHOWS[plot]) for plot, figure in plots]
    return [*blocks, Text("The table of each plot lies beside it as CSV. All values: metrics.csv. What happened: events.jsonl.")]


def by_agent(events: Sequence[Event], found: Tables) -> pd.DataFrame:
    """One row an agent: what it wrote, who worded it, centres, promises, reward; columns without a value in the run are left out."""
    sent, years, bound = found.messages, found.years, found.promises
    rewards = [(e.agent, float(e.data["reward"])) for e in events if e.kind == "reward" and e.agent]
    agents = sorted({name for readers in sent["readers"] for name in readers} | set(sent["author"]) | set(years.columns) | {a for a, _ in rewards})
    rows = []
    for agent in agents:
        mine, kept = sent[sent["author"] == agent], bound[bound["agent"] == agent]["kept"]
        rows.append({
            "agent": agent, "messages": len(mine), "characters": int(mine["characters"].sum()),
            "worded by": worded_by(mine),
            "centres": int(years[agent].iloc[-1]) if agent in years else None,
            "promises kept": f"{int(kept.sum())} of {len(kept)}" if len(kept) else None,
            "reward": f"{sum(r for a, r in rewards if a == agent):g}" if rewards else None,
        })  # fmt: skip
    return pd.DataFrame(rows, dtype=object).dropna(axis="columns", how="all")


def _ended(events: Sequence[Event]) -> str:
    last = events[-1]
    return f"Ended: {last.data.get('ended')}." if last.kind == "end" else "Not ended: the log has no end."
