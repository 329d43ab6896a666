"""A policy that keeps the rules, and whose agents carry the states of a model."""

from dataclasses import dataclass

from tests.sandbox.toy import Talker

needs_model = True


@dataclass(frozen=True)
class Options:
    checkpoint: str = "base"


def make(language, options, agents):
    return Talker()
