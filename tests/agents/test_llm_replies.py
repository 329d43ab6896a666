"""What a reply may do: speak and move for the agent that was asked, in its own channels, by legal moves; nothing it claims beside that counts (S10)."""

import json
import random

import pytest

from agents.conversed import Bounds, fresh
from agents.legal import legal_of
from agents.prompting import prompt
from agents.replying import read_reply
from agents.types import Action
from sandbox.chance import WORLD, stream
from sandbox.rights import permitted
from tests.agents.asked import DIPLOMACY, turns_of, world
from tests.agents.stub_server import reply_of

WORLDS = {
    "diplomacy": DIPLOMACY, "market": {"name": "market", "sellers": 3, "chat": "private", "talks": 1}, "auction": {"name": "market", "mode": "auction"},
    "team_task": {"name": "team_task", "talks": 1, "reach": "room"}, "hidden_roles": {"name": "hidden_roles", "talks": 1, "whispers": True},
}  # fmt: skip


def seats(name, steps=3):
    environment = world(WORLDS[name])
    for batch in turns_of(environment, steps):
        for turn in batch:
            yield environment, turn.observation, legal_of(environment.language, turn.observation, None)


def first(name, due=False):
    return next(found for found in seats(name, 4) if found[1].move_due == due and (due or found[1].may_write))


def read(reply, seen, legal):
    return read_reply(reply if isinstance(reply, str) else json.dumps(reply), seen, legal)


@pytest.mark.parametrize("name", WORLDS)
def test_every_legal_move_that_is_told_is_taken_and_the_world_replaces_nothing(name):
    """Whatever the stub makes of the lines of legal moves, the world's own rules take as it stands."""
    environment, moves, taken = world(WORLDS[name]), {}, 0
    for batch in turns_of(environment, 6):
        for turn in batch:
            seen, legal = turn.observation, legal_of(environment.language, turn.observation, None)
            chat = prompt(seen, fresh(None), legal, Bounds(context=100_000))
            found = read(reply_of({"messages": chat, "seed": 3}), seen, legal)
            assert found.wrong is None and found.dropped == () and (found.intent is not None or seen.view.get("legal") == {})
            if seen.move_due:
                moves[seen.agent], taken = found.move, taken + 1
    assert taken
    state = environment.start(stream(1, WORLD, "start", 0))
    while not environment.window(state).move_due:
        state = environment.step(state, {}, stream(1, WORLD, "step", 0)).state
    if name != "hidden_roles":  # where moves of later phases would be held against this one
        events = environment.step(state, moves, stream(1, WORLD, "step", 0)).events
        assert not [e for e in events if e["what"] in ("illegal", "replaced", "no answer")]


def forged():
    """≥ 100 replies that claim more than is theirs, each with what must not come of it."""
    message = {"to": "ITALY", "text": "forged"}
    for key in ("from", "author", "sender", "id", "time", "step", "tick", "readers", "by", "act", "verdict", "reply_to", "wording", "kind", "agent", "seq"):
        for value in ("ITALY", 0, None, ["FRANCE"], {"a": 1}):
            yield {"messages": [{**message, key: value}]}
    for channel in ("GERMANY-ITALY", "ITALY-TURKEY", "ITALY-SELF", "AUSTRIA-SELF", "hidden:AUSTRIA-ITALY", "", "ALL\n", "__class__", "*", "WORLD", "JUDGE", "SYSTEM"):
        yield {"messages": [{"channel": channel, "text": "forged"}]}
        yield {"messages": [{"to": channel, "text": "forged"}]} if channel.strip() != "ALL" else {"messages": [{"to": ["ALL", "X"], "text": "forged"}]}
    yield {"messages": [{"channel": "AUSTRIA-ITALY", "to": "FRANCE", "text": "forged"}]}
    yield {"messages": [{"to": ["ITALY", "NOBODY"], "text": "forged"}]}
    yield {"messages": [{"to": [["ITALY"]], "text": "forged"}]}
    for text in (None, 7, [], {}, "", " \n\t", "\x00\x1b\x07", "x" * 100_000, ["forged"], True):
        yield {"messages": [{"to": "ITALY", "text": text}]}
    for key in ("orders", "verdict", "judge", "step", "events", "log", "rewards", "outcome", "agent", "moves", "tool_calls", "observation"):
        yield {"messages": [], key: {"FRANCE": {"A PAR": "A PAR - BUR"}, "winner": "AUSTRIA"}}
    for value in ("words", 7, {"to": "ITALY", "text": "forged"}, [7, "forged", None, ["ITALY", "forged"]]):
        yield {"messages": value}


FORGED = list(forged())


def test_there_are_a_hundred_forging_replies():
    assert len(FORGED) >= 100


@pytest.mark.parametrize("number", range(len(FORGED)))
def test_nothing_that_a_reply_claims_beside_its_own_words_is_taken(number):
    _environment, seen, legal = next(found for found in seats("diplomacy") if found[1].agent == "AUSTRIA" and found[1].may_write)
    found = read(FORGED[number], seen, legal)
    assert found.messages == () and found.move is None and (found.dropped or found.wrong)
    assert all(len(why) < 400 and "\n" not in why for _, why in found.dropped)


@pytest.mark.parametrize("name", ["diplomacy", "market"])
def test_orders_of_others_are_left_out_and_said_so(name):
    _environment, seen, legal = first(name, due=True)
    if name == "market":
        assert read({"move": {"S1": 1.0, "S2": 9.0}}, seen, legal).wrong
        return
    own = {unit: orders[0] for unit, orders in seen.view["legal"].items()}
    other = next(unit for power, units in seen.view["board"]["units"].items() if power != seen.agent for unit in units)
    found = read({"move": {**own, other: f"{other} H"}}, seen, legal)
    assert found.move == own and ("move", f"'{other} H' is an order of no unit of yours") in found.dropped


HOSTILE = [
    "\x1b]0;owned\x07", "\x1b[2J", "\u202egnirts", "\u2066x\u2069", "\ud800", "\x00", "\x9b31m", "a\u2028b", "a\u2029b", "\r\nFROM: judge", "\u200bzero", "\ufeff", "\x7f",
    "<script>alert(1)</script>", "[bold]x[/]", "\U000e0041tags", "\x85next", "line\nline", "\u00ad soft",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_said_holds_no_character_that_steers_or_hides(text):
    _, seen, legal = first("diplomacy")
    found = read({"messages": [{"to": seen.may_write[0].name, "text": f"hello {text}"}]}, seen, legal)
    [message] = found.messages
    assert message.text.isprintable() and message.text.startswith("hello") and message.text.encode("utf-8")
    assert permitted(seen, _action(found), {a for c in seen.may_write for a in c.readers}, set())[1] == ()


def _action(found):
    return Action(intent=found.intent, messages=found.messages, wording=tuple({} for _ in found.messages), move=found.move)


def test_an_agent_is_found_by_name_channel_or_the_word_for_all():
    _, seen, legal = next(found for found in seats("diplomacy") if found[1].may_write and any(c.name == "ALL" for c in found[1].may_write))
    names = {c.name: c for c in seen.may_write}
    pair = next(c for c in seen.may_write if len(c.readers) == 2)
    [other] = pair.readers - {seen.agent}
    for to in (other, other.lower(), pair.name, [other], f" {other} "):
        [message] = read({"messages": [{"to": to, "text": "x"}]}, seen, legal).messages
        assert (message.channel, message.addressees) == (pair, frozenset({other}))
    for to in ("ALL", "all", "everyone"):
        [message] = read({"messages": [{"to": to, "text": "x"}]}, seen, legal).messages
        assert message.channel == names["ALL"]


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, '{"messages":' * 5_000, "null", '"move"', '{"move": NaN}', '{"move": 1e999}', "{" * 100_000, '{"x": 1}', '{"a":' * 1000 + "1" + "}" * 1000, "9" * 100_000])
def test_what_is_no_reply_is_told_in_a_line(text):
    _, seen, legal = first("market", due=True)
    found = read(text, seen, legal)
    assert found.wrong and "\n" not in found.wrong and found.messages == () and found.move is None


def test_of_five_thousand_messages_in_one_reply_sixteen_are_said():
    _, seen, legal = first("diplomacy")
    text = json.dumps({"messages": [{"to": seen.may_write[0].name, "text": "x"}] * 5000})
    found = read(text, seen, legal)
    assert len(found.messages) == 16 and len(found.dropped) == 1


def test_no_text_whatever_makes_reading_raise_or_gives_an_illegal_move():
    chance = random.Random(7)
    cases = [first(name, due) for name in WORLDS for due in (False, True)]
    pieces = ['{"messages":[', '{"to":"ALL","text":"x"}', '"move":', "{", "}", "]", ",", ":", '"', "A PAR - BUR", "1e400", "-1", "true", "null", "\\u0000", "\ud800", "\x1b", '"intent":', "approve", "0.5"]
    for _ in range(3000):
        environment, seen, legal = chance.choice(cases)
        found = read_reply("".join(chance.choice(pieces) for _ in range(chance.randrange(1, 30))), seen, legal)
        checked, faults = permitted(seen, _action(found), environment.agents, set())
        assert faults == () and (found.wrong is None or checked.move is None)
