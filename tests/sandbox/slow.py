"""A policy that takes its time, so that a run can be interrupted."""

import time
from dataclasses import dataclass

from tests.sandbox.toy import Talker

needs_model = False


@dataclass(frozen=True)
class Options:
    seconds: float = 0.05


class Slow(Talker):
    def __init__(self, seconds):
        self.seconds = seconds

    def step(self, turns):
        time.sleep(self.seconds)
        return super().step(turns)


def make(language, options, agents):
    return Slow(options.seconds)
