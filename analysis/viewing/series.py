"""Figures over time for the page: prices by round, centres by phase, each agent's share of the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.cases import case
from analysis.markets import prices, reference
from analysis.metrics import centres, outcomes
from analysis.viewing.moments import Moments
from analysis.viewing.texts import name
from sandbox.log import Event


def series(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    """[{"name", "told", "open", "lines": [{"agent", "at", "value"}], "marks": [{"name", "value"}]}], those that this run has. What is not `open` no agent can see."""
    return [*_prices(events, of), *_centres(events, of), *_truth(events, of)]


def _prices(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    frame = prices(events)
    if not len(frame):
        return []
    held_against = reference(events)
    marks = [{"name": word, "value": round(float(np.mean(list(held_against[key].values()))), 4)} for word, key in (("competition", "nash_prices"), ("cartel", "cartel_prices"))] if held_against else []
    told = "each seller's price by round, between competition and a cartel of all" if marks else "each bidder's bid by round"
    open_ = next(outcomes(events, "sales"), None) is not None  # sealed bids are not
    return [_one("prices", told, frame, "price", of, marks, open_)]


def _centres(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    frame = centres(events)
    return [_one("centres", "supply centres of each power", frame, "centres", of, [], True)] if len(frame) else []


def _truth(events: Sequence[Event], of: Moments) -> list[dict[str, Any]]:
    """How much each member of a team gives to who it was, by its intents; the last of a moment."""
    told = case(events)
    if told is None:
        return []
    culprit, lines = told["culprit"], dict[str, dict[int, float]]()
    for event in events:
        intent, agent = event.data.get("intent") if event.kind == "intent" else None, event.agent
        if isinstance(intent, dict) and isinstance(p := intent.get(culprit), (int, float)) and agent is not None and agent in of.who:
            lines.setdefault(agent, {})[of.at[event.step]] = round(float(p), 4)
    marks = [{"name": "all clues", "value": round(float(told["posterior"][culprit]), 4)}] if isinstance(told.get("posterior"), Mapping) else []
    drawn = [{"agent": of.who[agent], "at": list(line), "value": list(line.values())} for agent, line in sorted(lines.items())]
    return [{"name": "belief in the truth", "told": f"how likely each holds {name(str(culprit))}, who it was", "open": False, "lines": drawn, "marks": marks}] if drawn else []


def _one(title: str, told: str, frame: Any, column: str, of: Moments, marks: list[dict[str, Any]], open_: bool) -> dict[str, Any]:
    lines = [
        {"agent": of.who[agent], "at": [of.at[int(step)] for step in own["step"]], "value": [round(float(value), 4) for value in own[column]]}
        for agent, own in frame.groupby("agent", sort=True) if agent in of.who
    ]
    return {"name": title, "told": told, "open": open_, "lines": lines, "marks": marks}
