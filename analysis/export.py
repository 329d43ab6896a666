"""A played game of Diplomacy as a file: the JSON shape that the `diplomacy` package, Cicero and AI_Diplomacy share (`scenarios.diplomacy.saved`).

What is written can be read back with `saved.read`, watched (`python -m sandbox run scenarios/watch.yaml game=FILE`) and loaded by those programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.metrics import AnalysisError, outcomes, read_run
from sandbox.disk import placed
from sandbox.log import Event
from scenarios.diplomacy.history import saved_game
from scenarios.diplomacy.rules import NAMED
from scenarios.diplomacy.saved import SavedGame, SavedGameError, write


def export(run: Path, file: Path) -> SavedGame:
    """Write the game of a run folder to a file, whole or not at all. Raises `AnalysisError`, with nothing written, where there is none."""
    events = read_run(run)
    if next(outcomes(events, "adjudication"), None) is None:
        raise AnalysisError(f"{run}: no orders of Diplomacy were played; name the folder of a game that got past its first phase")
    try:
        game = game_of(events, run.resolve().name)
    except (SavedGameError, LookupError, TypeError, AttributeError) as error:  # a log that is not of this version
        raise AnalysisError(f"{run}: cannot be played again ({type(error).__name__}: {' '.join(str(error).split())[:160]})") from None
    try:
        with placed(file) as part:
            part.write_text(write(game), encoding="ascii")
    except OSError as error:
        raise AnalysisError(f"{file}: cannot write the game ({error.strerror}); name another file") from None
    return game


def game_of(events: Sequence[Event], name: str) -> SavedGame:
    """The saved game of these events, by those of the named rules under which every position hashes as the log says.

    Raises `SavedGameError` where there are none, in the words of the standard rules.
    """
    records = [{"kind": e.kind, "time": e.time, "agent": e.agent, "data": e.data} for e in events if e.kind in ("message", "outcome")]
    refused: SavedGameError | None = None
    for rules in NAMED.values():
        try:
            return saved_game(records, name, rules)
        except SavedGameError as error:
            refused = refused or error
    raise refused or SavedGameError(f"{name}: there are no rules to play it by")
