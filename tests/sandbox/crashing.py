"""A policy that raises at step 3."""

from dataclasses import dataclass

from tests.sandbox.toy import Talker

needs_model = False


@dataclass(frozen=True)
class Options:
    at: int = 3


class Crashing(Talker):
    def __init__(self, at):
        self.at = at

    def one(self, turn):
        if turn.observation.step == self.at:
            raise KeyError("a plan\nof two lines")
        return super().one(turn)


def make(language, options, agents):
    return Crashing(options.at)
