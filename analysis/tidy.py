"""All measures of a run as one tidy table, one value a row: step, time, metric, agent, value (metrics.csv)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.metrics import STATES, centres, messages, need, surprises
from sandbox.log import Event

TIDY = ["step", "time", "metric", "agent", "value"]


def tidy(events: Sequence[Event], promises: pd.DataFrame, trust: pd.DataFrame) -> pd.DataFrame:
    """The measures of these events, with the tables of `promises.promises` and `trust.trust`; trust as each agent's mean over the others."""
    sent, owned, read = messages(events), centres(events), surprises(events)
    mean = trust.groupby(["step", "time", "agent"], as_index=False, sort=False)["trust"].mean() if len(trust) else trust
    parts = [
        _long(sent.assign(messages=1, worded_by_model=(sent["by"] == "model").astype(int)), "author", ["messages", "characters", "worded_by_model"]),
        _long(owned, "agent", ["centres"]),
        _long(promises.rename(columns={"kept": "promise_kept"}), "agent", ["promise_kept"]),
        _long(mean, "agent", ["trust"]),
        _long(read, "reader", [key for key in ("tokens", *STATES) if key in read]),
    ]
    scalar = [(e.step, e.time, e.kind, e.agent, float(need(e, "reward", (int, float))) if e.kind == "reward" else 1.0)
              for e in events if e.kind in ("reward", "fault")]
    table = pd.concat([part for part in (*parts, pd.DataFrame(scalar, columns=TIDY)) if len(part)] or [pd.DataFrame(columns=TIDY)])
    return table.sort_values("step", kind="stable", ignore_index=True)


def _long(table: pd.DataFrame, agent: str, metrics: Sequence[str]) -> pd.DataFrame:
    long = table.melt(id_vars=["step", "time", agent], value_vars=list(metrics), var_name="metric", value_name="value")
    return long.rename(columns={agent: "agent"}).astype({"value": float})[TIDY]
