"""A host's turns: a view of their own, and a stream that is made when it is first looked at."""

import dataclasses

import pytest

from agents.memory import AgentMemory
from agents.types import Observation
from sandbox.chance import stream
from sandbox.host import OwnTurn, own_copy

SEEN = Observation(agent="A", step=3, time=7)


def turn(calls):
    def chance():
        calls.append(1)
        return stream(1, "A", "policy", 3)

    return OwnTurn(observation=SEEN, memory=AgentMemory(notes=4), rng=chance, channels={})


def test_a_stream_is_made_when_it_is_looked_at_and_only_once():
    calls = []
    one = turn(calls)
    assert (one.observation, one.memory.notes, one.channels, calls) == (SEEN, 4, {}, [])
    first = [int(one.rng.integers(2**62)), int(one.rng.integers(2**62))]
    assert first == stream(1, "A", "policy", 3).integers(2**62, size=2).tolist() and calls == [1]


def test_a_turn_with_another_memory_goes_on_with_the_same_stream():
    calls = []
    one = turn(calls)
    other = dataclasses.replace(one, memory=AgentMemory(notes=5))
    assert other.rng is one.rng and other.memory.notes == 5 and calls == [1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.memory = one.memory


def test_a_copy_is_equal_and_shares_nothing_that_can_change():
    value = {"a": [1, 2.5, None, True, {"b": "c"}], "t": (1, [2])}
    copy = own_copy(value)
    assert copy == value
    copy["a"][4]["b"] = "d"
    copy["t"][1].append(3)
    assert value == {"a": [1, 2.5, None, True, {"b": "c"}], "t": (1, [2])}
