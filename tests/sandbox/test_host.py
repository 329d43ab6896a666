"""A host's turns: a view of their own, and a stream that is made when it is first looked at."""

import dataclasses

import pytest

from agents.memory import AgentMemory
from agents.types import Observation
from sandbox.chance import stream
from sandbox.host import OwnTurn, own_copy
from sandbox.made import made

SEEN = Observation(agent="A", step=3, time=7)


NAME = (1, "A", "policy", 3)


def turn():
    return made(OwnTurn, {"observation": SEEN, "memory": AgentMemory(notes=4), "channels": {}, "read": {}, "_chance": NAME})


def test_a_stream_is_made_when_it_is_looked_at_and_only_once():
    one = turn()
    assert (one.observation, one.memory.notes, one.channels, "rng" in vars(one)) == (SEEN, 4, {}, False)
    first = [int(one.rng.integers(2**62)), int(one.rng.integers(2**62))]
    assert first == stream(*NAME).integers(2**62, size=2).tolist() and one.rng is one.rng


def test_a_turn_with_another_memory_goes_on_with_the_same_stream():
    one = turn()
    other = dataclasses.replace(one, memory=AgentMemory(notes=5))
    assert other.rng is one.rng and other.memory.notes == 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.memory = one.memory


def test_what_is_made_at_once_is_what_the_class_would_have_made():
    again = made(Observation, vars(SEEN))
    assert again == SEEN and hash(again.heard) == hash(SEEN.heard) and vars(again) is not vars(SEEN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.step = 4


def test_a_copy_is_equal_and_shares_nothing_that_can_change():
    value = {"a": [1, 2.5, None, True, {"b": "c"}], "t": (1, [2])}
    copy = own_copy(value)
    assert copy == value
    copy["a"][4]["b"] = "d"
    copy["t"][1].append(3)
    assert value == {"a": [1, 2.5, None, True, {"b": "c"}], "t": (1, [2])}
