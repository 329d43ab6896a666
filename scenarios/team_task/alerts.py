"""Does it help to tell each teammate what one's model of it lacks? Theory-of-mind alerts against messages at random, on teams of this world.

Each team first talks at random, one private clue of one's own after another, then comes one more round of messages: at random again; in turn (a clue
not told yet); or targeted, that is, the clue that would bring one's models of the readers nearest to what one believes, and none if none would
(Westby & Riedl, AAAI 2023, who sent one such message each after the talk): by exact posteriors, or by their minds (as published). Same team, same
clues, same talk before: a paired comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.team_task.environment import Options, make
from scenarios.team_task.play import ceiling, ideal, play

ARMS = {"at random": "random", "in turn": "all", "as published": "published", "targeted": "targeted"}
NETWORKS = ("complete", "ring", "star")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """Teams of one network under each kind of last message; every array is by team."""

    network: str
    accuracy: Mapping[str, Floats]  # arm → share of the members that answered right
    ideal: Mapping[str, Floats]  # arm → the same if each had answered by the exact posterior of the clues that it then knew
    told: Mapping[str, Floats]  # arm → messages of the last round
    ceiling: Floats  # of one who knows all clues


def compare(network: str, teams: int, seed: int, talks: int = 2, clues: int = 4) -> Compared:
    """So many teams, from this seed on; `talks` counts the last round."""
    world = make(Options(network=network, talks=talks, clues=clues, tell="random", opinions=False))
    last = (len(world.turns) - len(world.turns) // talks) * world.options.window_ms
    found: dict[str, list[tuple[float, float, int]]] = {arm: [] for arm in ARMS}
    most = []
    for team in range(teams):
        for arm, tell in ARMS.items():
            played = play(world, seed * 1_000_003 + team, last=tell)
            found[arm].append((played.accuracy, ideal(world, played), sum(message.time >= last for message in played.messages)))
        most.append(ceiling(world, played.case))
    accuracy, exact, told = ({arm: np.array(rows, dtype=float)[:, k] for arm, rows in found.items()} for k in range(3))
    return Compared(network, accuracy, exact, told, np.array(most))
