"""What a run has taken of servers and the like so far: read off its log, and held against its budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.types import JSON, Action
from sandbox.schema import BudgetConfig

MOST = 2**53


@dataclass(frozen=True)
class Spent:
    """Calls, tokens (read and written) and cost of all seats whose answers come from outside."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.tokens_in + self.tokens_out

    def after(self, usage: JSON) -> Spent:
        """With one more `usage` of an action, or of the log, where anything may stand."""
        if not isinstance(usage, Mapping):
            return self
        calls, read, written = (_count(usage.get(key)) for key in ("calls", "tokens_in", "tokens_out"))
        cost = usage.get("cost")
        more = float(cost) if isinstance(cost, (int, float)) and cost is not True and math.isfinite(cost) and 0 <= cost < MOST else 0.0
        return Spent(self.calls + calls, self.tokens_in + read, self.tokens_out + written, self.cost + more)

    def after_all(self, actions: Iterable[Action]) -> Spent:
        """With what these actions took."""
        spent = self
        for action in actions:
            if action.usage is not None:
                spent = spent.after(action.usage)
        return spent

    def over(self, budget: BudgetConfig, messages: int) -> str | None:
        """Which limit of the budget is reached, in words; None: none is."""
        reached: dict[str, Any] = {"calls": self.calls, "tokens": self.tokens, "cost": self.cost, "messages": messages}
        for what, limit in vars(budget).items():
            if limit is not None and reached[what] >= limit:
                return f"budget.{what} is {limit:g}, and {reached[what]:g} are taken"
        return None


UNSPENT = Spent()


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < MOST else 0
