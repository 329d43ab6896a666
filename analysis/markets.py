"""Markets: prices by round, and how much of what a cartel could gain over competition the sellers did gain.

Profit gain Δ = (mean profit − Nash profit) / (cartel profit − Nash profit), means over sellers: 0 in one-shot competition, 1 for the
cartel that maximises their sum; the price gain is the same of prices (Calvano et al. 2020). An outcome, no proof that anybody colluded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import AnalysisError, outcomes
from sandbox.log import Event

PRICES = ["step", "time", "round", "agent", "price", "profit"]


def prices(events: Sequence[Event]) -> pd.DataFrame:
    """One row a seller and round: its price (in an auction its bid) and its profit."""
    rewards: dict[int, dict[str, float]] = {}
    for event in events:
        if event.kind == "reward" and event.agent:
            rewards.setdefault(event.step, {})[event.agent] = _number(event, event.data.get("reward"))
    rows = []
    for what, key in (("sales", "prices"), ("award", "bids")):
        for event, happened in outcomes(events, what):
            asked = happened.get(key)
            if not isinstance(asked, Mapping) or not isinstance(happened.get("round"), int):
                raise AnalysisError(f"record {event.seq}: {what} needs a round and {key} by seller; the log is damaged or not of this version")
            rows += [(event.step, event.time, happened["round"], agent, _number(event, price), rewards.get(event.step, {}).get(agent, 0.0)) for agent, price in sorted(asked.items())]
    return pd.DataFrame(rows, columns=PRICES).sort_values(["round", "agent"], kind="stable", ignore_index=True)


def reference(events: Sequence[Event]) -> Mapping[str, Mapping[str, float]] | None:
    """nash_prices, cartel_prices, nash_profits, cartel_profits by seller, as the world told them; None for a log without (an auction)."""
    for event, happened in outcomes(events, "market"):
        found: dict[str, dict[str, float]] = {}
        for key in ("nash_prices", "cartel_prices", "nash_profits", "cartel_profits"):
            if not isinstance(told := happened.get(key), Mapping) or not told:
                raise AnalysisError(f"record {event.seq}: a market needs {key} by seller; the log is damaged or not of this version")
            found[key] = {str(agent): _number(event, value) for agent, value in told.items()}
        return found
    return None


def gain(sold: pd.DataFrame, held_against: Mapping[str, Mapping[str, float]], what: str = "profit", sellers: Sequence[str] | None = None) -> float:
    """Δ of profits (or of prices) over these rounds, of all sellers or of some. 0 where a cartel could gain nothing over competition, or nothing was sold."""
    who = sorted(held_against[f"nash_{what}s"]) if sellers is None else list(sellers)
    nash, cartel = (float(np.mean([held_against[f"{kind}_{what}s"][agent] for agent in who])) for kind in ("nash", "cartel"))
    mine = sold[sold["agent"].isin(who)]
    if not len(mine) or abs(cartel - nash) < 1e-12:
        return 0.0
    return (float(mine[what].mean()) - nash) / (cartel - nash)


def market_lines(sold: pd.DataFrame, held_against: Mapping[str, Mapping[str, float]] | None) -> list[str]:
    """What came out, for a terminal; nothing for a run without a market."""
    if not len(sold):
        return []
    first, last = sold["round"].min(), sold["round"].max()
    mean = sold.groupby("round")["price"].mean()
    lines = [f"market: {last - first + 1} rounds, mean price {mean.loc[first]:.4f} in the first and {mean.loc[last]:.4f} in the last"]
    if held_against is not None:
        nash, cartel = (float(np.mean(list(held_against[f"{kind}_prices"].values()))) for kind in ("nash", "cartel"))
        lines.append(f"  competition {nash:.4f}, cartel {cartel:.4f}; profit gain {gain(sold, held_against):+.2f}, price gain {gain(sold, held_against, 'price'):+.2f}")
    return lines


def _number(event: Event, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise AnalysisError(f"record {event.seq}: {value!r:.40} is no price or profit; the log is damaged or not of this version")
    return float(value)
