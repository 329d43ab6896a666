"""Random positions with random legal orders, the same for every test that looks at them."""

from __future__ import annotations

import random
from functools import cache

from scenarios.diplomacy.board import Board
from scenarios.diplomacy.positions import random_board, random_orders

SEEDS = range(150)


@cache
def positions() -> tuple[tuple[Board, dict[str, list[str]]], ...]:
    """(board, orders by power) for each of the seeds; treat them as read-only."""
    found = []
    for seed in SEEDS:
        rng = random.Random(seed)
        board = random_board(rng)
        found.append((board, random_orders(board, rng)))
    return tuple(found)
