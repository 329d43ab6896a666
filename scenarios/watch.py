"""A recorded game as a world: every step says the next recorded message, at the time it was sent. Nobody speaks or moves.

The seven powers are seated and read what their power read; what their states make of it is the point of such a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agents.types import JSON
from scenarios.diplomacy.map import POWERS
from scenarios.environment import Outcome, Window
from scenarios.recorded import RecordedGame, RecordedGameError, read_game
from sociallm.conversation import AgentID


@dataclass(frozen=True, kw_only=True)
class Options:
    """What YAML says under `environment`: the JSON file of one recorded game."""

    game: str


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The world. Its state is the number of messages said so far."""

    game: RecordedGame
    agents: tuple[AgentID, ...] = POWERS
    language: None = None

    def start(self, rng: np.random.Generator) -> int:
        return 0

    def window(self, state: int) -> Window:
        """Nobody is asked; the moment is that of the next message."""
        time = self.game.messages[min(state, len(self.game.messages) - 1)].time
        return Window(agents=(), start=time, end=time)

    def observe(self, state: int, agent: AgentID) -> Mapping[str, JSON]:
        return {"game": self.game.name, "phase": self.game.phases[min(state, len(self.game.phases) - 1)]}

    def step(self, state: int, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """The next message; an event names the game before the first, and the phase when it changes."""
        message, phase = self.game.messages[state], self.game.phases[state]
        events: tuple[Mapping[str, JSON], ...] = ()
        if state == 0:
            events += ({"what": "game", "game": self.game.name, "messages": len(self.game.messages)},)
        if state == 0 or phase != self.game.phases[state - 1]:
            events += ({"what": "phase", "phase": phase},)
        return Outcome(state=state + 1, messages=(message,), events=events, done=state + 1 == len(self.game.messages))

    def to_json(self, state: int) -> JSON:
        return {"said": state}

    def from_json(self, value: JSON) -> int:
        return value["said"]


def make(options: Options) -> Watch:
    """The world of one game. Raises `RecordedGameError` if the file cannot be taken."""
    try:
        return Watch(game=read_game(options.game))
    except RecordedGameError as error:
        raise RecordedGameError(f"game: {error}") from None
