"""What every talking policy does before any wording: hear, intend, choose acts, draw the move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.conversed import of_world
from agents.types import JSON, Channel, Head, Language, Turn


@dataclass(frozen=True)
class Decision:
    """What to say and do now, before any wording: intent, acts with their channels, the move where one is due, new notes."""

    intent: JSON
    acts: tuple[tuple[Channel, JSON], ...]
    move: JSON
    notes: JSON


def decide(turn: Turn, language: Language, head: Head | None = None) -> Decision:
    """Hear, intend, choose acts, draw the move; the turn's random stream is used in this order. `head` adds the policy's own points."""
    seen, notes = turn.observation, of_world(turn.memory.notes)
    notes = language.hear(seen, notes)
    intent, notes = language.intend(seen, notes, turn.rng) if head is None else language.intend(seen, notes, turn.rng, head)
    acts: Sequence[tuple[Channel, JSON]] = ()
    if seen.may_write:
        acts, notes = language.speak(seen, notes, intent, turn.rng) if head is None else language.speak(seen, notes, intent, turn.rng, head)
    move = None
    if seen.move_due:
        move, notes = language.move(seen, notes, intent, turn.rng)
    return Decision(intent, tuple(acts), move, notes)
