"""What was measured of each message in each reader's memory, in columns: surprise from the run itself, energy and information from
`observed.parquet`, in a team task the exact worth of what was told. What was not measured is not there, and the page says how it is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.cases import worth
from analysis.metrics import AnalysisError, surprises
from analysis.observe import TABLE
from analysis.viewing.moments import Moments
from sandbox.log import Event

MOST_ROWS = 300_000
TRUTH = "worth"  # held against what no agent is told
Measures = list[dict[str, Any]]
OBSERVED: Mapping[str, tuple[str, str]] = {  # column → what it is called, what it says; those in nats are told a token
    "nats": ("surprise", "nats a token of the message, foreseen with both states of this reader; lower: better foreseen"),
    "gain": ("information", "nats a token by which this reader's states help to foresee the message: without states less with them"),
    "e_rel": ("energy", "E_rel, a token: how much less likely the words are from this state of the author than from none; low: it is like this author"),
    "e_coh": ("cohort energy", "E_coh, a token: the same beside other authors' states"),
    "moved": ("moved", "how far the message moved this reader's state of its author, 0 to 1"),
}


def from_the_run(events: Sequence[Event], of: Moments, number: Mapping[str, int]) -> Measures:
    """What a run with `measure.surprise=true` has in its memory events."""
    frame = surprises(events)
    if not len(frame):
        return []
    rows = [(number[r.message], of.who[r.reader], float(r.surprise), float(getattr(r, "surprise_no_states", math.nan)), int(r.tokens)) for r in frame.itertuples() if r.message in number and r.reader in of.who and r.tokens]
    columns = [("surprise", OBSERVED["nats"][1], [_round(n / t) for _, _, n, _, t in rows])]
    if "surprise_no_states" in frame:
        columns.append(("information", OBSERVED["gain"][1], [_round((none - n) / t) for _, _, n, none, t in rows]))
    return [_table("the run, measure.surprise=true", [row[:2] for row in rows], columns)]


def from_observed(run: Path, of: Moments, number: Mapping[str, int]) -> Measures:
    """What `python -m analysis observe RUN` wrote beside the log. Raises `AnalysisError` if that is no such table."""
    if not (run / TABLE).is_file():
        return []
    import pandas as pd
    import pyarrow

    try:
        frame = pd.read_parquet(run / TABLE)
        frame = frame[(frame["tokens"] > 0) & (frame["author"] != frame["reader"]) & frame["message"].isin(number.keys()) & frame["reader"].isin(of.who.keys())]
        if len(frame) > MOST_ROWS:
            raise AnalysisError(f"{run / TABLE} is left out: {len(frame):,} rows, a page takes {MOST_ROWS:,}; observe with --authors, or a shorter run")
        tokens = frame["tokens"].astype(float)
        values = {"nats": frame["nats"] / tokens, "gain": (frame["nats_no_states"] - frame["nats"]) / tokens, **{key: frame[key] for key in ("e_rel", "e_coh", "moved")}}
        where = [(number[message], of.who[reader]) for message, reader in zip(frame["message"], frame["reader"], strict=True)]
    except AnalysisError:
        raise
    except (OSError, KeyError, ValueError, TypeError, AttributeError, pyarrow.ArrowException) as error:
        raise AnalysisError(f"{run / TABLE} is left out: {' '.join(str(error).split())[:100]}; make it again with python -m analysis observe {run}") from None
    columns = [(*OBSERVED[key], [_round(float(value)) for value in column]) for key, column in values.items() if column.notna().any()]
    return [_table(TABLE, where, columns)] if len(where) else []


def from_the_case(events: Sequence[Event], of: Moments, number: Mapping[str, int]) -> Measures:
    """A team task: what each message was worth to each reader, exactly."""
    frame = worth(events)
    if not len(frame):
        return []
    rows = [(number[r.message], of.who[r.reader], _round(float(r.value)), _round(float(r.surprise))) for r in frame.itertuples() if r.message in number and r.reader in of.who]
    columns = [
        (TRUTH, "nats towards who it was, by the exact posterior of all that this reader knew: what the message truly told it", [row[2] for row in rows]),
        ("news", "Bayesian surprise in nats: how far the message moves an ideal reader, towards the truth or away from it", [row[3] for row in rows]),
    ]
    return [_table("the case, exactly", [row[:2] for row in rows], columns)]


def _table(source: str, where: Sequence[tuple[int, int]], columns: Sequence[tuple[str, str, list[float | None]]]) -> dict[str, Any]:
    """Rows in the order of the messages: the page looks them up by halving."""
    order = sorted(range(len(where)), key=where.__getitem__)
    return {
        "source": source, "message": [where[i][0] for i in order], "reader": [where[i][1] for i in order],
        "columns": [{"name": name, "told": told, "open": name != TRUTH, "value": [values[i] for i in order]} for name, told, values in columns],
    }  # fmt: skip


def _round(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
