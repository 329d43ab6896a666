"""A policy that ends its process: on a host of its own only that host."""

import os
import signal
from dataclasses import dataclass

from tests.sandbox.toy import Talker

needs_model = False


@dataclass(frozen=True)
class Options:
    pass


class Leaving(Talker):
    def one(self, turn):
        os.kill(os.getpid(), signal.SIGKILL)


def make(language, options, agents):
    return Leaving()
