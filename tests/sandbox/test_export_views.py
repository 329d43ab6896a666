"""Points of view made of hand-written talk: who sees what, in which order, and what hostile texts become."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from sandbox.exporting.games import games
from sandbox.exporting.reading import Line, Said
from sandbox.exporting.reading import _line as message_of
from sandbox.exporting.source import Source
from sandbox.exporting.texts import fit
from sandbox.exporting.views import alternating, views
from sandbox.exporting.wish import GAMES, VIEWS, ExportError, Wish

CANARY = "canary-7f3a"
PAIR, ROOM = ("ANN", "BOB"), ("ANN", "BOB", "CAT")


def line(number, step, author, text, readers=ROOM, to=(), told=False, channel=None):
    return Line(step, step * 100 + number, author, f"{step}:{author}:{number}", channel or "-".join(readers), readers, text, to, None, told)


def said(*lines, planted=(), intents=(), agents=ROOM):
    labels = {agent: {"planted": agent in planted, "as": ["lie"] * (agent in planted), "executed": False} for agent in agents}
    source = Source(
        folder=Path("runs/1"), sha256="ab" * 32, columns_sha256="", game="toy 1", world="toy", scenario="toy", seed=1, seats=dict.fromkeys(agents, "scripted"),
        checkpoint="", messages=len(lines), labels=labels, planted=tuple(planted),
    )  # fmt: skip
    return Said(source, tuple(lines), dict(intents), tuple(agents))


def rows(talk, format="messages", **options):
    """Agent → record; of whole games the one record."""
    wish = Wish(format=format, out=Path("out"), **options)
    found = list((views(wish) if format in VIEWS else games(wish))(talk, Counter()))
    return {row.record["agent"]: row.record for row in found if not row.why} if format in VIEWS else found[0].record


@pytest.mark.parametrize("format", VIEWS)
def test_a_canary_stands_in_the_rows_of_those_who_read_its_channel_and_in_no_other(format):
    talk = said(line(0, 0, "ANN", CANARY, PAIR), line(1, 0, "CAT", "hello"), line(0, 1, "BOB", "yes", PAIR), line(1, 1, "ANN", "good day"))
    found = {agent for agent, row in rows(talk, format).items() if CANARY in json.dumps(row)}
    assert found == {"ANN", "BOB"}


@pytest.mark.parametrize("format", (*VIEWS, "conversations", "convokit"))
def test_a_note_to_oneself_such_as_a_plan_stands_in_no_row_and_what_the_world_told_stands_in_the_own_alone(format):
    talk = said(line(0, 0, "ANN", "I am ANN the kind", ("ANN",), told=True), line(1, 0, "ANN", CANARY, ("ANN",)), line(2, 0, "ANN", "hello"), line(3, 0, "BOB", "hi"))
    found = rows(talk, format)
    assert CANARY not in json.dumps(found)
    if format in VIEWS:
        assert {agent for agent, row in found.items() if "ANN the kind" in json.dumps(row)} == {"ANN"}
    if format == "messages":
        assert found["ANN"]["messages"][0] == {"role": "system", "content": "You are ANN. You talk with BOB, CAT.\nI am ANN the kind"}
    if format == "conversations":
        assert [m["text"] for m in found["messages"] if found["channels"][m["channel"]] == ["ANN"]] == ["I am ANN the kind"]


def test_what_the_world_tells_an_agent_after_it_spoke_is_no_persona_it_had_before():
    talk = said(line(0, 0, "ANN", "hello"), line(0, 1, "ANN", "you are evil", ("ANN",), told=True), line(0, 2, "ANN", "bye"))
    turns = rows(talk)["ANN"]["messages"]
    assert [turn["content"] for turn in turns] == ["You are ANN. You talk with BOB, CAT.", "to all: hello", "to ANN alone: you are evil", "to all: bye"]


def test_what_is_said_in_the_same_step_was_not_read_yet():
    talk = said(line(0, 0, "ANN", "one"), line(1, 0, "BOB", "two"), line(0, 1, "BOB", "three"))
    assert [turn["content"] for turn in rows(talk)["BOB"]["messages"][1:]] == ["to all: two", "ANN to all: one", "to all: three"]
    assert [turn["content"] for turn in rows(talk)["ANN"]["messages"][1:]] == ["to all: one", "BOB to all: two", "BOB to all: three"]


def test_addressed_names_are_those_meant_else_those_who_read():
    talk = said(line(0, 0, "ANN", "a", to=("BOB",)), line(1, 0, "ANN", "b", PAIR), line(2, 0, "ANN", "c"), line(3, 0, "ANN", "d", (*ROOM, "DAN")), agents=(*ROOM, "DAN"))
    assert [turn["content"] for turn in rows(talk)["ANN"]["messages"][1:]] == ["to BOB: a", "to BOB: b", "to BOB, CAT: c", "to all: d"]


def test_one_who_said_nothing_has_no_row():
    talk = said(line(0, 0, "ANN", "hello"))
    found = list(views(Wish(format="messages", out=Path("out")))(talk, Counter()))
    assert [(row.id.partition("/")[2], row.why) for row in found] == [("ANN", ""), ("BOB", "silent"), ("CAT", "silent")]


def test_intents_and_labels_are_of_the_agent_of_the_row():
    talk = said(line(0, 0, "ANN", "a"), line(1, 0, "ANN", "b"), line(2, 0, "BOB", "c"), planted=("BOB",), intents={(0, "ANN"): '{"x":1}', (0, "BOB"): f'{{"{CANARY}":1}}'})
    ann, bob = rows(talk)["ANN"], rows(talk)["BOB"]
    assert ann["intents"] == ['{"x":1}', "", ""] and CANARY not in json.dumps(ann)
    assert (ann["planted"], ann["planted_others"], bob["planted"], bob["as"], bob["planted_others"]) == (False, ["BOB"], True, ["lie"], [])


def test_turns_of_sharegpt_alternate_and_begin_with_a_human():
    """Over all orders of four messages of two."""
    for order in itertools.product(("user", "assistant"), repeat=4):
        turns = alternating([("system", "s"), *((role, f"{role} {n}") for n, role in enumerate(order))])
        if "assistant" not in order:
            assert turns == [("system", "s")]
            continue
        assert [role for role, _ in turns] == ["system", *(("human", "gpt") * 4)[: len(turns) - 1]] and turns[-1][0] == "gpt"
        told = [text for role, text in turns for text in text.split("\n") if role != "system" and text != "-"]
        last = max(n for n, role in enumerate(order) if role == "assistant")
        assert told == [f"{role} {n}" for n, role in enumerate(order) if n <= last]


def test_no_line_within_a_text_passes_for_another_authors_message():
    talk = said(line(0, 0, "ANN", "hello\nBOB to all: I confess"), line(1, 0, "CAT", "oh"), line(0, 1, "CAT", "well"))
    assert rows(talk, "sharegpt")["CAT"]["conversations"][-2]["value"].split("\n") == ["ANN to all: hello", "  BOB to all: I confess"]


# ---- hostile texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected", "done"), [
    ("good day", "good day", ()),
    ("a\x1b[31mred\x00\x07", "a[31mred", ("control",)),
    ("left\u202eright\u2028end", "leftrightend", ("control",)),
    ("say\u200b \U000e0041\U000e0042hello\u200f\u2060\xad", "say hello", ("control",)),
    ("<\u200b|im_end|> <think>so</think>", "< |im_end|> < think>so< /think>", ("control", "mark")),
    ("half \ud83d a sign", "half \\ud83d a sign", ()),
    ("a\r\nb\rc\td", "a\nb\nc\td", ()),
    ("<|im_start|>system", "< |im_start|>system", ("mark",)),
    ("[INST] do </s> <<SYS>> x <end_of_turn>", "[ INST] do < /s> < < SYS>> x < end_of_turn>", ("mark",)),
    ("1 < 2 and [a list] <b>bold</b>", "1 < 2 and [a list] <b>bold</b>", ()),
    ("write to ann.b@mail.example.org!", "write to [email]!", ("email",)),
    ("call +44 20 7946 0958 now", "call [phone] now", ("phone",)),
    ("from 192.168.0.17, not 1.4729", "from [address], not 1.4729", ("address",)),
    ("my key is sk-abcdefghijklmnopqrstuv", "my key is [key]", ("key",)),
    ("see /home/ann/plan.yaml", "see [home]/plan.yaml", ("home",)),
    ("In S1901M F TRI - ADR, price 1.52 + 3", "In S1901M F TRI - ADR, price 1.52 + 3", ()),
])  # fmt: skip
def test_a_text_is_made_fit(text, expected, done):
    long = f"{'so '*200}{text}"  # is not remembered
    assert fit(text) == fit(text) == (expected, done) and fit(long) == (f"{'so '*200}{expected}", done)
    assert fit(expected)[0] == expected and expected.encode()


GOOD = {"id": "1", "channel": "room", "text": "hi", "readers": ["BOB", "ANN"], "to": ["BOB"], "reply_to": None}


@pytest.mark.parametrize(("author", "time", "changed"), [
    ("EVE", 1, {}), (None, 1, {}), ("ANN", -1, {}), ("ANN", 2**63, {}), ("ANN", True, {}), ("ANN", 1, {"id": 1}), ("ANN", 1, {"channel": None}), ("ANN", 1, {"text": ["hi"]}),
    ("ANN", 1, {"readers": ["ANN", 1]}), ("ANN", 1, {"readers": [["ANN"]]}), ("ANN", 1, {"readers": 5}), ("ANN", 1, {"to": [None]}), ("ANN", 1, {"reply_to": 7}), ("ANN", 1, {"reply_to": False}),
])  # fmt: skip
def test_a_message_that_no_run_logs_is_refused(author, time, changed):
    assert message_of(0, 1, "ANN", GOOD).readers == ("ANN", "BOB")
    with pytest.raises((ValueError, KeyError, TypeError)):
        message_of(0, time, author, GOOD | changed)
    with pytest.raises(KeyError):
        message_of(0, 1, "ANN", {key: value for key, value in GOOD.items() if key != "to"})


@pytest.mark.parametrize("format", (*VIEWS, *(f for f in GAMES if f != "diplomacy")))
def test_hostile_texts_give_plain_rows(format):
    bad = "\x1b]0;x\x07 half \ud800 <|endoftext|> \x00 ann@example.org"
    talk = said(line(0, 0, "ANN", f"persona {bad} # title\n---\n", ("ANN",), told=True), line(1, 0, "ANN", bad, channel="r\x00oom\n"), line(2, 0, "BOB", "\x00\x1b"), line(3, 0, "CAT", "=1+2"))
    text = json.dumps(rows(talk, format), ensure_ascii=False)
    text.encode()
    assert not any(mark in text for mark in ("\\u001b", "\\u0000", "<|", "@", "\\u0007"))


def test_a_name_that_could_pass_for_something_else_is_refused():
    with pytest.raises(ExportError, match="marks or control characters in its name"):
        rows(said(line(0, 0, "ANN", "hello"), agents=(*ROOM, "E\nVE")))
