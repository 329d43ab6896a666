"""A market as arrays: what each seller asked and earned round by round, and what all could see of it. Letters: T rounds, n sellers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from sandbox.log import Event
from sociallm.conversation import AgentID

Floats = NDArray[np.float64]
KEPT = "series"


@dataclass(frozen=True, eq=False)
class Series:
    """Rounds in order. `shares` and `costs` are None where the log has none (shares: in an auction; costs: where prices are set)."""

    agents: tuple[AgentID, ...]
    auction: bool
    asked: Floats  # [T, n] prices or bids
    profits: Floats  # [T, n]
    shock: Floats  # [T] what all qualities rise by, or of an auction the highest cost there can be; 0 where nothing moves
    shares: Floats | None = None  # [T, n]
    costs: Floats | None = None  # [T, n]
    winner: NDArray[np.int64] | None = None  # [T] its place in `agents`, -1: none

    @property
    def rounds(self) -> int:
        """How many."""
        return len(self.asked)


def series(evidence: Evidence) -> Series | None:
    """The market of a run; None where nothing was sold. Worked out once for all who ask. Raises `AnalysisError` for a damaged log."""
    if KEPT not in evidence.kept:
        evidence.kept[KEPT] = _series(evidence.events)
    found: Series | None = evidence.kept[KEPT]
    return found


def _series(events: Sequence[Event]) -> Series | None:
    sold, rewards = list(_sold(events)), {}
    for event in events:
        if event.kind == "reward" and event.agent:
            rewards[event.step, event.agent] = event.data.get("reward", 0.0)
    if not sold:
        return None
    auction = sold[0][1]["what"] == "award"
    key = "bids" if auction else "prices"
    try:
        agents = tuple(sorted(sold[0][1][key]))
        row = lambda of: [float(of[a]) for a in agents]  # noqa: E731
        asked = np.array([row(one[key]) for _, one in sold])
        profits = np.array([[float(rewards.get((step, a), 0.0)) for a in agents] for step, _ in sold])
        shock = np.array([float(one.get("top" if auction else "shock", 0.0)) for _, one in sold])
        shares = None if auction else np.array([row(one["demand"]) for _, one in sold])
        costs = np.array([row(one["costs"]) for _, one in sold]) if auction else None
        winner = np.array([agents.index(one["winner"]) if one["winner"] is not None else -1 for _, one in sold]) if auction else None
    except (KeyError, TypeError, ValueError) as error:
        raise AnalysisError(f"a round of the market lacks what every round has ({type(error).__name__}: {error!s:.60}); the log is damaged or not of this version") from None
    if not all(np.isfinite(x).all() for x in (asked, profits, shock)):
        raise AnalysisError("a price, profit or shock of the market is no finite number; the log is damaged or not of this version")
    return Series(agents, auction, asked, profits, shock, shares, costs, winner)


def _sold(events: Sequence[Event]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for event in events:
        if event.kind == "outcome" and isinstance(told := event.data.get("events"), list):
            yield from ((event.step, one) for one in told if isinstance(one, Mapping) and one.get("what") in ("sales", "award"))
