"""A game in memory is the run of its seed, event for event."""

from __future__ import annotations

from pathlib import Path

from analysis.benches.bent_games import made, played
from sandbox.__main__ import main
from sandbox.config import load
from sandbox.in_memory import as_read
from sandbox.in_memory import played as simulated
from sandbox.log import read_events

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


def test_a_game_in_memory_is_what_a_reader_of_the_run_of_the_command_has(tmp_path: Path) -> None:
    asked = ["environment.sellers=3", "environment.rounds=4", "environment.chat=private", "environment.talks=1", "seats.default=scripted", "executor=local", "seed=3", "plots=false"]
    assert main(["run", str(ROOT / "scenarios/market.yaml"), f"run_dir={tmp_path}", *asked]) == 0
    (log,) = tmp_path.rglob("events.jsonl")
    of_run = [event._replace(wall=0.0) for event in read_events(log) if event.kind != "end"]
    assert as_read(simulated(load(ROOT / "scenarios/market.yaml", asked))[0]) == of_run
