"""A sealed-bid procurement auction: the lowest bid at or below the reserve wins and is paid what it bid.

Each round every seller draws a cost, U[0, 1] times the reserve, that it alone knows. Competing sellers bid as in equilibrium, a ring sends
one to bid near the reserve while the rest bid above it, or not at all. Money is in the model's unit.
"""

from __future__ import annotations

import numpy as np

from scenarios.market.demand import Floats


def costs(rng: np.random.Generator, sellers: int, reserve: float) -> Floats:
    """Of one round [n], to the fourth decimal, so that the text of a number is the number."""
    return np.round(rng.random(sellers) * reserve, 4)


def equilibrium_bid(cost: float, sellers: int, reserve: float) -> float:
    """Of a seller that competes with others whose costs are U[0, reserve]: c + (reserve - c) / n, the mirror of v (n - 1) / n for buyers."""
    return cost + (reserve - cost) / sellers


def award(bids: dict[str, float | None], reserve: float, rng: np.random.Generator) -> tuple[str | None, float]:
    """(winner, price): the lowest bid, one of the lowest at random where several are equal; (None, 0) without a bid up to the reserve."""
    valid = {agent: bid for agent, bid in sorted(bids.items()) if bid is not None and 0 <= bid <= reserve}
    if not valid:
        return None, 0.0
    low = min(valid.values())
    lowest = [agent for agent, bid in valid.items() if bid == low]
    return lowest[int(rng.integers(len(lowest)))] if len(lowest) > 1 else lowest[0], low
