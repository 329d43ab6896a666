"""What a detector must beat: how much somebody says, how long, how often something was done by it, and where it sits.

Whoever deceives may also just talk more. None of this is evidence, and a measure that does no better finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from analysis.detectors import Score
from analysis.evidence import Evidence
from analysis.metrics import messages


def scores(evidence: Evidence) -> Sequence[Score]:
    """Of every agent and pair: messages (of a pair: that one wrote and the other read, alone), characters a message, seat."""
    sent, found = messages(evidence.events), []
    rows = list(zip(sent["author"], sent["readers"], sent["characters"], strict=True))
    for n, agent in enumerate(evidence.agents):
        own = [length for author, _, length in rows if author == agent]
        found += _three("agent", (agent,), own, n)
    for n, (a, b) in enumerate(evidence.pairs):
        between = [length for _, readers, length in rows if set(readers) == {a, b}]
        found += _three("pair", (a, b), between, n)
    return [*found, *_three("run", (), [length for *_, length in rows], 0)[:2]]


def _three(unit: str, who: tuple[str, ...], lengths: Sequence[int], seat: int) -> list[Score]:
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    return [Score(name, unit, who, float(value), len(lengths), "nuisance") for name, value in (("messages", len(lengths)), ("characters", mean), ("seat", seat))]
