"""Why a fallback moved, read off a log, and how it is told."""

import pytest

from sandbox.log import Event
from sandbox.used import fallback_lines, used


def asked(step):
    return Event(kind="intent", step=step, time=0, agent="A", data={"intent": None, "usage": {"calls": 1, "model": "m"}})


def fault(step, what, why, agent="A"):
    return Event(kind="fault", step=step, time=0, agent=agent, data={"what": what, "why": why})


@pytest.mark.parametrize(("events", "why"), [
    ([asked(0), fault(0, "timeout", "too slow"), fault(0, "fallback", "negotiator")], "too slow"),
    ([asked(0), fault(0, "timeout", "too slow"), asked(1), fault(1, "fallback", "out of calls")], "out of calls"),  # what went wrong in a step before is not why
    ([asked(0), fault(0, "fallback", "first"), fault(0, "fallback", "second")], "second"),
    ([asked(0), fault(0, "timeout", "of another", "B"), fault(0, "fallback", "its own")], "its own"),
    ([asked(0), fault(0, "timeout", "too slow")], None),
])  # fmt: skip
def test_a_fallback_is_due_to_what_went_wrong_just_before_it_in_its_step(events, why):
    assert used(events)["A"]["fell_back"] == why


def test_of_turns_that_the_fallback_played_in_part_the_others_are_the_models():
    events = [asked(0), fault(0, "timeout", "slow"), fault(0, "fallback", "x"), asked(1)]
    assert fallback_lines(used(events)) == ["A: 1 of 2 turns were played by the fallback (slow): those are not the model's"]
    assert fallback_lines(used(events[:3])) == ["A: 1 of 1 turns were played by the fallback (slow): nothing of them is the model's"]
    assert fallback_lines(used([asked(0)])) == []
