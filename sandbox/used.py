"""What a run took of servers and the like, by seat: read off its log, for the last lines and the manifest."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.log import Event
from sandbox.spent import Spent

MOST_WHY = 300  # characters of why a turn fell back


def used(events: Sequence[Event]) -> dict[str, dict[str, Any]]:
    """Agent → {"model", "turns", "calls", "attempts", "tokens_in", "tokens_out", "cost", "seconds_median", "seconds_p95", "fallbacks", "faults"} of those whose
    answers came from outside, and "fell_back": why it was asked in vain when a fallback last moved for it; None where none ever did."""
    usages: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event.kind == "intent" and event.agent is not None and isinstance(usage := event.data.get("usage"), dict):
            usages.setdefault(event.agent, []).append(usage)
    found: dict[str, dict[str, Any]] = {}
    for agent, own in sorted(usages.items()):
        spent = Spent()
        for usage in own:
            spent = spent.after(usage)
        seconds = [float(s) for usage in own if isinstance(s := usage.get("seconds"), (int, float)) and 0 <= s < 1e9]
        told = [str(event.data.get("what")) for event in events if event.kind == "fault" and event.agent == agent]
        found[agent] = {
            "model": next((str(usage["model"])[:200] for usage in own if usage.get("model") is not None), None), "turns": len(own), "calls": spent.calls,
            "attempts": sum(n for usage in own if type(n := usage.get("attempts")) is int and 0 <= n < 1000), "tokens_in": spent.tokens_in,
            "tokens_out": spent.tokens_out, "cost": round(spent.cost, 6), "seconds_median": _quantile(seconds, 0.5), "seconds_p95": _quantile(seconds, 0.95),
            "fallbacks": told.count("fallback"), "faults": len(told), "fell_back": _fell_back(agent, events),
        }  # fmt: skip
    return found


def _fell_back(agent: str, events: Sequence[Event]) -> str | None:
    """The last fault before the last fallback, in the same step; of one without another, its own words."""
    own = [event for event in events if event.kind == "fault" and event.agent == agent]
    last = next((i for i in reversed(range(len(own))) if own[i].data.get("what") == "fallback"), None)
    if last is None:
        return None
    before = own[last - 1] if last and own[last - 1].step == own[last].step and own[last - 1].data.get("what") != "fallback" else own[last]
    return str(before.data.get("why"))[:MOST_WHY]


def _quantile(values: Sequence[float], q: float) -> float | None:
    if len(values) < 2:
        return round(values[0], 3) if values else None
    return round(statistics.quantiles(values, n=100, method="inclusive")[round(q * 100) - 1], 3)


def in_lines(usage: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The same as a table of text lines; none where nobody was asked."""
    if not usage:
        return []
    columns = ("turns", "calls", "tokens_in", "tokens_out", "cost", "seconds_median", "seconds_p95", "fallbacks", "faults")
    heads = ("seat", "turns", "calls", "tokens in", "out", "cost", "median s", "p95 s", "fallbacks", "faults", "model")
    rows = [heads, *((agent, *("-" if own[key] is None else f"{own[key]:g}" if isinstance(own[key], float) else str(own[key]) for key in columns), str(own["model"])) for agent, own in usage.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) - 1)]
    return ["  ".join([*(word.ljust(w) if i == 0 else word.rjust(w) for i, (word, w) in enumerate(zip(row[:-1], widths, strict=True))), row[-1]]) for row in rows]


def fallback_lines(usage: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """For each seat that a fallback moved for: how often and why, in a line."""
    lines = []
    for agent, own in usage.items():
        if own["fallbacks"]:
            whose = "nothing of them is the model's" if own["fallbacks"] >= own["turns"] else "those are not the model's"
            lines.append(f"{agent}: {own['fallbacks']} of {own['turns']} turns were played by the fallback ({own['fell_back']}): {whose}")
    return lines
