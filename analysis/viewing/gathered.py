"""All that the page of a run shows, as one JSON value: from its log alone, names and settings from manifest.json beside it.

What cannot be worked out (a game under other rules, a table of another version) is left out, and `notes` says so in a line each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis import run_facts
from analysis.metrics import AnalysisError, read_run
from analysis.viewing import holds, measured
from analysis.viewing.board import board
from analysis.viewing.deeds import KINDS, deeds, intents
from analysis.viewing.given_words import given_words
from analysis.viewing.moments import Moments, called, moments, table
from analysis.viewing.planted import planted
from analysis.viewing.series import series
from analysis.viewing.talk import talk
from analysis.viewing.texts import Interned, name
from sandbox.folder import read_manifest
from sandbox.log import Event
from sandbox.record import whole
from sandbox.snapshot import RunError
from scenarios.diplomacy.map import POWERS

VERSION = 1
WORLDS = {"adjudication": "diplomacy", "market": "market", "sales": "market", "award": "market", "case": "team_task", "proposal": "hidden_roles", "roles": "hidden_roles"}


def gathered(run: Path, most: int, with_labels: bool = False) -> dict[str, Any]:
    """What the page holds; texts of messages longer than `most` are cut. Raises `AnalysisError` in one line, if the log is damaged or empty."""
    notes: list[str] = []
    events = read_run(run, notes.append)
    manifest = _manifest(run)
    seated = manifest.get("seats")
    seats = {whole(agent): policy for agent, policy in seated.items() if isinstance(policy, str)} if isinstance(seated, dict) else {}  # as `read_run` has names
    of, words = moments(events, tuple(seats)), Interned()
    world = _world(events, manifest.get("environment"))
    phases = [words(phase) for phase in called(events, of)]
    said = talk(events, of, words, most)

    def part(make: Callable[[], Any], none: Any) -> Any:
        """A part of the page, or a note that it is left out: what a log of another program's holds may be of any form."""
        try:
            return make()
        except AnalysisError as error:
            notes.append(str(error))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:  # the last two: 10**400, nests
            notes.append(f"a part is left out ({type(error).__name__}: {' '.join(str(error).split())[:120]})")
        return none

    found = {
        "v": VERSION, "title": name(run_facts.title(run)), "run": name(run.name), "world": name(world or "unknown"), "ended": _ended(events), "agents": [name(agent) for agent in of.agents],
        "seats": _seats(of, seats, with_labels), "powers": list(POWERS) if world == "diplomacy" else [], "kinds": list(KINDS), "messages": said.messages, "channels": said.channels,
        "steps": {**table(events, of), "phase": phases},
        "deeds": part(lambda: deeds(events, of, words), {}), "intents": part(lambda: intents(events, of, words), {}),
        "words": part(lambda: given_words(events, world, of, words, said.number), {}),
        "board": part(lambda: board(events, of), None), "series": part(lambda: series(events, of), []),
        "holds": [one for make in (holds.trusted, holds.suspected, holds.charged) for one in part(partial(make, events, of), [])],
        "measures": [*part(lambda: measured.from_the_case(events, of, said.number), []), *_of_states(run, events, of, said.number, part)],
        "labels": planted(run, of) if with_labels else None,
    }  # fmt: skip
    return {**found, "words_of": words.texts, "notes": [name(note) for note in notes]}


def _manifest(run: Path) -> Mapping[str, Any]:
    """What the run says of itself; a log may stand without it."""
    try:
        return read_manifest(run)
    except (RunError, OSError, ValueError, RecursionError):
        return {}


def _of_states(run: Path, events: Sequence[Event], of: Moments, number: Mapping[str, int], part: Callable[[Callable[[], Any], Any], Any]) -> list[Any]:
    """Energies and information: from `observed.parquet`, which says more, else from the run itself."""
    found: list[Any] = part(lambda: measured.from_observed(run, of, number), [])
    return found or part(lambda: measured.from_the_run(events, of, number), [])


def _seats(of: Moments, seats: dict[str, str], with_labels: bool) -> list[str]:
    """Each agent's policy; of a run in which a seat could be planted none, unless labels are asked for: it would say who."""
    if not with_labels and any(policy.startswith("planted") for policy in seats.values()):
        return [""] * len(of.agents)
    return [name(seats[agent]) if agent in seats else "" for agent in of.agents]


def _world(events: Sequence[Event], told: object) -> str:
    """The world that the manifest names; of a log alone, and of one imported, the one whose events it has."""
    if isinstance(told, str) and told in WORLDS.values():
        return told
    whats = {str(one.get("what")) for event in events if event.kind == "outcome" and isinstance(event.data.get("events"), list) for one in event.data["events"] if isinstance(one, dict)}
    return next((world for what, world in WORLDS.items() if what in whats), told if isinstance(told, str) else "")


def _ended(events: Sequence[Event]) -> str:
    last = events[-1]
    return name(str(last.data.get("ended"))) if last.kind == "end" else ""
