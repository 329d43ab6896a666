"""What was planted in a run, for the page of one who asks for it: `labels.json` as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.truth import labels
from analysis.viewing.moments import Moments
from analysis.viewing.texts import in_short, name
from sandbox.record import whole


def planted(run: Path, of: Moments) -> dict[str, Any]:
    """{"plan", "agents": [[agent, as, what came of it]], "pairs": [[both, as, what came of it]]} of those that were planted.

    Raises `AnalysisError` if the run has no labels, or they cannot be read.
    """
    told = labels(run)
    return {
        "plan": name(str(told.get("plan", ""))),
        "agents": [[of.who[agent], *_row(row)] for agent, row in ((whole(agent), row) for agent, row in told["agents"].items()) if row["planted"] and agent in of.who],
        "pairs": [[name(" and ".join(row["pair"])), *_row(row)] for row in told["pairs"] if row["planted"]],
    }  # fmt: skip


def _row(row: Mapping[str, Any]) -> list[str]:
    first = "never carried out" if row["first"] is None else f"first in step {row['first']}"
    return [name(" ".join(row["as"])), in_short(f"{first}; {'came off' if row['executed'] else 'did not come off'}{'; ' + str(row['why']) if row.get('why') else ''}")]
