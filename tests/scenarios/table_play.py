"""The table of `scenarios.diplomacy.selfplay`, under the name that tests have for it."""

from scenarios.diplomacy.selfplay import play
from scenarios.playing import Step, stream

__all__ = ["Step", "play", "stream"]
