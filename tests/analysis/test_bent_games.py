"""A game in one loop is the run of its seed, event for event."""

from __future__ import annotations

from pathlib import Path

from analysis.benches.bent_games import made, played
from analysis.simulated import played as simulated
from sandbox.config import load

ROOT = Path(__file__).parents[2]


def test_a_bent_game_is_the_run_of_its_seed() -> None:
    environment = made("market", sellers=3, rounds=4, chat="private", talks=1, shock=0.1)
    setting = load(
        ROOT / "scenarios/market.yaml",
        ["environment.sellers=3", "environment.rounds=4", "environment.chat=private", "environment.talks=1", "environment.shock=0.1", "environment.play.default=rival",
         "seats.default=scripted", "seed=7", "executor=local"],
    )  # fmt: skip
    assert list(played(environment, "market", 7)) == simulated(setting)[0]
    assert played(environment, "market", 7) != played(environment, "market", 8)
