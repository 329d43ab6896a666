"""Team tasks: who answered right, against what could have been known, and what each message was worth by the exact posterior.

From the events `case` and `answers` of the world and the texts of the messages; a log without a case gives empty tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import AnalysisError, message_of, outcomes
from sandbox.log import Event, printable
from scenarios.team_task.exact import KINDS, solver, worths

ANSWERS = ["agent", "answer", "right", "believed", "alone"]
WORTHS = ["message", "author", "reader", "kind", "value", "surprise", "gap"]


def case(events: Sequence[Event]) -> Mapping[str, Any] | None:
    """The culprit, the clues and what they say, as the world told them; None for a log of another world."""
    return next((happened for _, happened in outcomes(events, "case")), None)


def answers(events: Sequence[Event]) -> pd.DataFrame:
    """One row a member: its answer, whether it was right, how likely it held the culprit to be, and how likely its own clues alone make it."""
    told, rows = case(events), []
    for event, happened in outcomes(events, "answers"):
        try:
            culprit, beliefs = happened["culprit"], happened["beliefs"]
            alone = told["alone"] if told is not None else {}
            for agent, right in sorted(happened["right"].items()):
                belief = beliefs[agent][culprit] if beliefs[agent] is not None else 0.0
                rows.append((agent, happened["answers"][agent] or "", bool(right), float(belief), float(alone[agent][culprit]) if alone else np.nan))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise AnalysisError(f"record {event.seq}: answers: {type(error).__name__} {error!s:.60}; the log is damaged or not of this version") from None
    return pd.DataFrame(rows, columns=ANSWERS)


def worth(events: Sequence[Event]) -> pd.DataFrame:
    """One row a message and reader other than its author: exact value, Bayesian surprise and gain in common ground, in nats."""
    told = case(events)
    if told is None:
        return pd.DataFrame([], columns=WORTHS)
    try:
        exact = solver(told)
    except ValueError as error:
        raise AnalysisError(f"{error}") from None
    sent = [message_of(e) for e in events if e.kind == "message"]
    return pd.DataFrame([[getattr(w, name) for name in WORTHS] for w in worths(exact, sent)], columns=WORTHS)


def case_lines(events: Sequence[Event]) -> list[str]:
    """What came out, for a terminal; nothing for a run of another world or one cut short before the answers."""
    found, told = answers(events), case(events)
    if not len(found) or told is None:
        return []
    right, valued = int(found["right"].sum()), worth(events)
    top = max(told["posterior"], key=told["posterior"].get)
    lines = [f"case: {right} of {len(found)} right, it was {told['culprit']}; all clues together say {top}, with {told['posterior'][top]:.2f}"]
    counts = valued.groupby("kind")["value"].agg(["size", "sum"]).reindex([k for k in KINDS if k in set(valued["kind"])])
    parts = [f"{int(size)} {kind} ({total:+.2f} nats towards the culprit)" if kind == "new" else f"{int(size)} {kind}" for kind, size, total in counts.itertuples()]
    return [printable(line) for line in (*lines, *([f"  read: {', '.join(parts)}"] if parts else []))]
