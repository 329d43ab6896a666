"""What an agent may say and do, tried on single actions."""

import dataclasses

import pytest

from agents.types import Action, Observation
from sandbox.rights import MAX_MESSAGES, permitted
from sociallm.conversation import MAX_TEXT, Channel, Message

pytestmark = pytest.mark.security(line="S10")

AB = Channel(name="A-B", readers=frozenset("AB"))
BC = Channel(name="B-C", readers=frozenset("BC"))
SEEN = Observation(agent="A", step=2, time=50, may_write=(AB,), move_due=True)
FAIR = Message(id="2:A:0", author="A", channel=AB, time=50, text="hello")
AGENTS = ("A", "B", "C")


def tried(*messages, seen=SEEN, **rest):
    return permitted(seen, Action(messages=messages, **rest), AGENTS, {"1:B:0"})


def test_a_fair_action_passes_unchanged():
    said = dataclasses.replace(FAIR, addressees=frozenset("B"), reply_to="1:B:0")
    action = Action(intent={"x": 1.0}, messages=(said,), wording=({"by": "grammar"},), move=["x"])
    assert permitted(SEEN, action, AGENTS, {"1:B:0"}) == (action, ())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"author": "B"}, "names 'B' as its author"),
        ({"channel": BC}, "channel 'B-C' is not this agent's"),
        ({"channel": Channel(name="A-B", readers=frozenset("ABC"))}, "channel 'A-B' is not this agent's"),
        ({"channel": "A-B"}, "channel 'A-B' is not this agent's"),
        ({"time": 49}, "dated 49, the agent's moment is 50"),
        ({"id": "1:B:0"}, "does not begin with '2:A:'"),
        ({"id": "2:B:0"}, "does not begin with '2:A:'"),
        ({"id": "2:A:" + "x" * 200}, "too long"),
        ({"id": "2:A:\ud800"}, "not plain text"),
        ({"id": "2:A:\x1b\n"}, "not plain text"),
        ({"id": 7}, "expected a Message with a text and an id"),
        ({"text": "x" * (MAX_TEXT + 1)}, f"has {MAX_TEXT + 1} bytes"),
        ({"text": "é" * (MAX_TEXT // 2 + 1)}, f"has {MAX_TEXT + 2} bytes"),
        ({"text": ""}, "expected some words"),
        ({"text": " \n\t"}, "expected some words"),
        ({"text": b"bytes"}, "expected a Message"),
        ({"addressees": frozenset("Z")}, "not agents of this run"),
        ({"addressees": {"B"}}, "not agents of this run"),
        ({"reply_to": "9:B:0"}, "which nobody has sent"),
    ],
)
def test_a_message_that_may_not_be_sent_is_left_out_and_named(change, why):
    action, (fault,) = tried(dataclasses.replace(FAIR, **change))
    assert action.messages == action.wording == ()
    assert (fault.agent, fault.what) == ("A", "message") and why in fault.why


def test_a_message_of_exactly_the_largest_size_passes():
    action, faults = tried(dataclasses.replace(FAIR, text="x" * MAX_TEXT))
    assert len(action.messages) == 1 and faults == ()


def test_of_two_messages_with_one_id_the_first_is_sent():
    action, (fault,) = tried(FAIR, dataclasses.replace(FAIR, text="again"))
    assert [m.text for m in action.messages] == ["hello"] and "taken" in fault.why


def test_a_message_may_reply_to_one_of_the_same_turn():
    action, faults = tried(FAIR, dataclasses.replace(FAIR, id="2:A:1", reply_to="2:A:0"))
    assert len(action.messages) == 2 and faults == ()


def test_no_more_messages_than_the_limit_are_sent_and_the_rest_is_one_fault():
    flood = [dataclasses.replace(FAIR, id=f"2:A:{i}") for i in range(100_000)]
    action, faults = tried(*flood)
    assert len(action.messages) == MAX_MESSAGES and 1 <= len(faults) <= 2 and "more than" in faults[0].why


def test_wording_stays_with_its_message_when_another_is_left_out():
    wrong = dataclasses.replace(FAIR, author="B")
    action, _ = tried(wrong, FAIR, wording=({"act": 1}, {"act": 2}))
    assert action.wording == ({"act": 2},)


def test_a_missing_wording_is_empty():
    assert tried(FAIR)[0].wording == ({},)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", {(1, 2): 3}, ["x" * 300_000]])
def test_what_has_no_json_form_or_is_too_large_is_left_out(value):
    for what in ("intent", "move"):
        action, (fault,) = tried(**{what: value})
        assert getattr(action, what) is None and fault.what == what


def test_a_bottomless_value_is_left_out():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    loop: list = []
    loop.append(loop)
    for value in (deep, loop):
        action, (fault,) = tried(move=value)
        assert action.move is None and fault.what == "move"


def test_a_move_that_was_not_asked_for_is_left_out():
    action, (fault,) = tried(move=3, seen=dataclasses.replace(SEEN, move_due=False))
    assert action.move is None and fault.why == "no move was due"


def test_a_lone_surrogate_is_replaced():
    assert tried(dataclasses.replace(FAIR, text="a\ud800b"))[0].messages[0].text == "a?b"


@pytest.mark.parametrize("action", [None, "silence", {"messages": []}])
def test_what_is_no_action_is_silence_and_a_fault(action):
    assert permitted(SEEN, action, AGENTS, ())[0] == Action()
    assert permitted(SEEN, action, AGENTS, ())[1][0].what == "action"
