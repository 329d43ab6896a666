"""The figures of the rules' bench: the names that `sandbox bench` prints, measured, and consistent with each other. No limits: those are for a quiet machine."""

from __future__ import annotations

from pathlib import Path

from scenarios.diplomacy import reference, saved
from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.bench_rules import figures, recorded_phases
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.history import saved_phase
from scenarios.diplomacy.saved import SavedGame


def test_the_figures_have_their_names_and_hang_together() -> None:
    found = figures(phases=40)
    assert list(found) == ["adjudicate_p50_ms", "adjudicate_p99_ms", "fork_us", "package_p50_ms"]
    p50, p99, fork_us = found["adjudicate_p50_ms"], found["adjudicate_p99_ms"], found["fork_us"]
    assert p50 is not None and p99 is not None and fork_us is not None
    assert 0 < p50 <= p99 and fork_us > 0
    assert (found["package_p50_ms"] is not None) == reference.available()


def test_a_recorded_game_is_played_through(tmp_path: Path) -> None:
    orders = {"FRANCE": ["A PAR - BUR", "F BRE - MAO"]}
    after = adjudicate(initial_board(), orders).board
    path = tmp_path / "game.json"
    path.write_text(saved.write(SavedGame(id="x", phases=(saved_phase(initial_board(), orders), saved_phase(after)))))
    ((board, given),) = recorded_phases([path])
    assert board == initial_board()
    assert {power: own for power, own in given.items() if own} == orders
    assert figures([path], phases=5)["adjudicate_p50_ms"] is not None
