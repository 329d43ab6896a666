"""What every world's language bent to a plan leaves as it is: how acts are worded (in the speaker's manner), what texts mean, how moves are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.planting import Plan, PlanError, When, mannered, style
from agents.types import JSON, AgentID, Language, Observation


@dataclass(frozen=True, eq=False)
class Bent:
    """The part of `agents.types.Language` that is the honest one's. A world adds what its plans change: `hear`, `intend`, `speak`."""

    honest: Language
    plan: Plan

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, in the speaker's manner."""
        readers = frozenset((*act["to"], speaker))
        return mannered(self.honest.word(act, speaker), act, style(self.plan, speaker), lambda text: list(self.meaning(text, speaker, readers)) == [act])

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return self.honest.meaning(text, author, readers)

    def idle(self, text: str) -> bool:
        """Whether words added to a message say nothing of the world."""
        return self.honest.idle(text)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never' or the like in them."""
        return self.honest.denies(text)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """(a move drawn from the intent, notes)."""
        return self.honest.move(observation, notes, intent, rng)


def timed(plan: Plan, units: Sequence[str], told: str) -> None:
    """Raises `PlanError` if anything is due in units that a world lacks; `told`: what it has, in words."""
    entries: list[tuple[When, str]] = [*((c.when, c.where) for c in plan.coalitions), *((s.when, s.where) for s in plan.statements), *((m.when, m.where) for m in plan.manners)]
    for when, where in entries:
        if wrong := [span.unit for span in when.spans if span.unit not in units]:
            raise PlanError(f"{where}: when.{wrong[0]}: {told}; choose one of them")
