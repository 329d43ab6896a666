"""The `diplomacy` package (a development extra) as an independent second opinion: the same board and orders through its engine.

It is imported only when asked for, and never sees the user's home: it would unpickle a cache from there.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from scenarios.diplomacy.board import Board, adjustment_count, open_homes
from scenarios.diplomacy.map import HOME_CENTERS, POWERS


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The package's next position; `retreats`: (power, unit) → places it lists. `seconds`: CPU time of its `process`."""

    name: str
    units: Mapping[str, tuple[str, ...]]
    centers: Mapping[str, tuple[str, ...]]
    retreats: Mapping[tuple[str, str], tuple[str, ...]]
    seconds: float


def available() -> bool:
    """Whether the package is installed."""
    return find_spec("diplomacy") is not None


def package(module: str = "diplomacy") -> Any:
    """A module of the package, imported with an empty home. Raises ModuleNotFoundError where it is not installed."""
    before = os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["HOME"] = empty
        try:
            return import_module(module)
        finally:
            if before is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = before


def new_game() -> Any:
    """A game of the package that takes orders from anybody; one serves for any number of verdicts."""
    return package().Game(rules=["NO_DEADLINE", "CD_DUMMIES", "ALWAYS_WAIT", "SOLITAIRE", "POWER_CHOICE", "IGNORE_ERRORS"])


def verdict(game: Any, board: Board, orders: Mapping[str, Sequence[str]]) -> Verdict:
    """What the package makes of a phase."""
    game.popped, game.dislodged = [], {}  # what the game remembers of the phase before
    game.set_state(package_state(board))
    for power in POWERS:
        game.set_orders(power, list(orders.get(power, ())), expand=False)  # they are in its full form already
    began = time.thread_time()
    game.process()
    seconds = time.thread_time() - began
    state = game.get_state()
    return Verdict(
        name=state["name"],
        units={power: tuple(sorted(u for u in state["units"][power] if u[0] != "*")) for power in POWERS},
        centers={power: tuple(sorted(state["centers"][power])) for power in POWERS},
        retreats={(power, unit): tuple(sorted(set(places))) for power in POWERS for unit, places in state["retreats"][power].items()},
        seconds=seconds,
    )


def package_state(board: Board) -> dict[str, Any]:
    """The position in the package's own form; a dislodged unit is starred among the units."""
    retreats: dict[str, dict[str, list[str]]] = {power: {} for power in POWERS}
    for d in board.dislodged:
        retreats[d.power][d.unit] = list(d.retreats)
    adjusts = board.phase == "A"
    return {
        "name": board.name,
        "units": {power: [*board.units[power], *(f"*{unit}" for unit in retreats[power])] for power in POWERS},
        "retreats": retreats,
        "centers": {power: list(board.centers[power]) for power in POWERS},
        "homes": {power: list(HOME_CENTERS[power]) for power in POWERS},
        "influence": {power: [] for power in POWERS},
        "civil_disorder": dict.fromkeys(POWERS, 0),
        "builds": {
            power: {"count": adjustment_count(board, power) if adjusts else 0, "homes": list(open_homes(board, power)) if adjusts else []}
            for power in POWERS
        },
    }
