"""Trust over time, from the log alone: each power's trust in each other by the negotiator's own rule (`scenarios.diplomacy.notes`).

What a power has read is worked through again in the order in which it read it: kept words and help raise trust (0 to 1, 0.5 where nothing
is known), broken words and attacks lower it. A negotiator's own trust, in its snapshots, is the same number (a test compares
them); for any other mind, such as a human seat, it is what a negotiator in that seat would have come to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from agents.types import Observation
from analysis.export import game_of
from analysis.metrics import AnalysisError, message_of, names, outcomes
from sandbox.log import Event
from scenarios.diplomacy.board import Board, board_to_json
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.negotiator import DiplomacyLanguage
from scenarios.diplomacy.notes import agree, fresh, judge
from scenarios.diplomacy.press import Act
from sociallm.conversation import AgentID, Message

TRUST = ["step", "time", "phase", "agent", "other", "trust"]
START = 0.5  # where nothing is known


@dataclass(frozen=True)
class Reading(DiplomacyLanguage):
    """The language with each text read once, however many hear it."""

    read: dict[tuple[str, AgentID, frozenset[AgentID]], Sequence[Act]] = field(default_factory=dict)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[Act]:
        """The acts a text performs."""
        key = text, author, readers
        if key not in self.read:
            self.read[key] = super().meaning(*key)
        return self.read[key]


def trust(events: Sequence[Event]) -> pd.DataFrame:
    """One row a power, another power and movement phase: trust after that phase's orders were known. Empty for another world.

    Raises `AnalysisError` for a game that the rules cannot play again.
    """
    if next(outcomes(events, "adjudication"), None) is None:
        return pd.DataFrame(columns=TRUST)
    try:
        return pd.DataFrame(list(_lived(events, _boards(events))), columns=TRUST)
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # a log whose orders or texts are of another program's
        raise AnalysisError(f"trust is left out ({type(error).__name__}: {' '.join(str(error).split())[:120]})") from None


def _boards(events: Sequence[Event]) -> list[Board]:
    """Every position of the game, played again by the rules and held against the log's hashes."""
    outcome = [event for event in events if event.kind == "outcome"]
    return [board for phase in game_of(outcome, "the game").phases if (board := phase.board())]


def _lived(events: Sequence[Event], boards: Sequence[Board]) -> Iterator[tuple[Any, ...]]:
    """The rows, as the powers come to hear, say and see what happened."""
    language, notes = Reading(), dict.fromkeys(POWERS, fresh(None))
    sent: dict[str, Message] = {}
    phases = iter(boards)
    board, recent = next(phases), list[Mapping[str, Any]]()
    for event in events:
        if event.kind == "message":
            sent[str(event.data.get("id"))] = message = message_of(event)
            if event.agent in POWERS:
                notes[event.agent] = _spoke(notes[event.agent], message, language, board)
        elif event.kind == "observation" and event.agent in POWERS:
            heard = tuple(sent[name] for name in names(event, "heard") if name in sent)
            seen = Observation(agent=event.agent, step=event.step, time=event.time, heard=heard, view={"board": board_to_json(board), "recent": recent})
            notes[event.agent] = fresh(language.hear(seen, notes[event.agent]))
        for _, happened in outcomes([event], "adjudication"):
            recent = [happened] if board.phase == "M" else [*recent, happened]
            if board.phase == "M":
                judged = {power: judge(notes[power], power, recent)["trust"] for power in POWERS if board.units[power]}
                yield from ((event.step, event.time, board.name, power, other, found.get(other, START))
                            for power, found in judged.items() for other in POWERS if other != power)
            board = next(phases)


def _spoke(notes: Mapping[str, Any], message: Message, language: Reading, board: Board) -> dict[str, Any]:
    """Notes after one's own words: what one has accepted of a pact binds both."""
    found, me = dict(notes), message.author
    for act in language.meaning(message.text, me, message.channel.readers):
        about = act["about"]
        for other in set(act["to"]) - {me} if act["act"] in ("accept", "promise") else ():
            found = agree(found, me, other, about, board.name)
            if act["act"] == "accept" and about["kind"] in ("dmz", "alliance") and len(about["powers"]) > 1:
                found = agree(found, other, me, about, board.name)
    return found
