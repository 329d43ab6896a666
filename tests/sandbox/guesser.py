"""A policy that keeps the rules."""

from dataclasses import dataclass

from tests.sandbox.toy import Talker

needs_model = False


@dataclass(frozen=True)
class Options:
    pass


def make(language, options, agents):
    return Talker()
