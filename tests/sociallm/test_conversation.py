"""Conversations: what is written comes back; what is malformed is refused in one line that says where."""

import copy
import json

import pytest

from sociallm.conversation import (
    MAX_TEXT,
    Channel,
    Conversation,
    ConversationError,
    Message,
    clean,
    from_json,
    read_conversations,
    to_json,
    write_conversations,
)

PUBLIC = Channel(name="public", readers=frozenset({"a", "b", "c"}))
WHISPER = Channel(name="a-b", readers=frozenset({"a", "b"}))
TALK = Conversation(id="talk", messages=(
    Message(id="0", author="c", channel=PUBLIC, time=-5, text="hi\nall \u2028 ☃"),
    Message(id="1", author="a", channel=WHISPER, time=-5, text="psst", addressees=frozenset({"b"})),
    Message(id="2", author="b", channel=WHISPER, time=7, text="what?", reply_to="1")))


def test_readers_are_the_channels_and_addressees_limit_nobody():
    whisper = TALK.messages[1]
    assert whisper.read_by("a") and whisper.read_by("b") and not whisper.read_by("c")
    assert Message(id="x", author="a", channel=PUBLIC, time=0, text="b!", addressees=frozenset("b")).read_by("c")


def test_participants_are_authors_and_readers_sorted():
    assert TALK.participants == ("a", "b", "c")
    assert TALK.channels == {"public": PUBLIC, "a-b": WHISPER}


def test_json_form_comes_back_unchanged():
    assert from_json(json.loads(json.dumps(to_json(TALK)))) == TALK


def test_a_file_of_conversations_comes_back_one_a_line(tmp_path):
    other = Conversation(id="empty", messages=())
    write_conversations(tmp_path / "c.jsonl", [TALK, other])
    assert (tmp_path / "c.jsonl").read_bytes().count(b"\n") == 2
    assert list(read_conversations(tmp_path / "c.jsonl")) == [TALK, other]


def test_blank_lines_are_nothing_and_a_cut_line_is_named(tmp_path):
    write_conversations(tmp_path / "c.jsonl", [TALK])
    line = (tmp_path / "c.jsonl").read_text()
    (tmp_path / "c.jsonl").write_text(f"\n{line}\n{line[:40]}")
    reader = read_conversations(tmp_path / "c.jsonl")
    assert next(reader) == TALK
    with pytest.raises(ConversationError, match=r"c\.jsonl:4: not JSON"):
        next(reader)


def test_a_lone_surrogate_is_replaced():
    assert clean("a\udcffb") == "a?b" and clean("é") == "é"
    value = to_json(TALK)
    value["messages"][0]["text"] = "x\ud800"
    assert from_json(value).messages[0].text == "x?"


def test_what_is_said_of_a_file_names_file_line_and_remedy(tmp_path):
    """Every kind of message that a file may not hold, on its second line."""
    mebibyte = "x" * 2**20
    cases = {
        "add it to the channel's readers": lambda m: m.update(author="nobody"), "leave the message out": lambda m: m.update(text=" \t\n"),
        "has 1048576 bytes, at most 32768 are taken; split it": lambda m: m.update(text=mebibyte), "sort messages by time": lambda m: m.update(time=-10),
        "is it in milliseconds?": lambda m: m.update(time=10**400), "the name '2\\ud800' has a lone surrogate; write it in UTF-8": lambda m: m.update(id="2\ud800"),
    }
    for said, change in cases.items():
        lines = [json.dumps(v) for v in (to_json(TALK), broken(lambda v, change=change: change(v["messages"][2])))]
        (tmp_path / "c.jsonl").write_text("\n".join(lines))
        reader = read_conversations(tmp_path / "c.jsonl")
        assert next(reader) == TALK
        with pytest.raises(ConversationError) as refused:
            next(reader)
        told = str(refused.value)
        assert told.startswith(f"{tmp_path}/c.jsonl:2: message 2: ") and said in told and "\n" not in told and len(told) < 300 + len(str(tmp_path))


def test_brackets_without_end_are_one_line_as_well(tmp_path):
    (tmp_path / "c.jsonl").write_text("[" * 1_000_000)
    with pytest.raises(ConversationError, match=r"c\.jsonl:1: not JSON .*; was the file cut short\?"):
        list(read_conversations(tmp_path / "c.jsonl"))


def test_the_longest_text_is_taken_and_a_byte_more_is_not():
    value = to_json(TALK)
    value["messages"][0]["text"] = "é" * (MAX_TEXT // 2)
    assert len(from_json(value).messages[0].text.encode()) == MAX_TEXT
    value["messages"][0]["text"] += "x"
    with pytest.raises(ConversationError, match=f"at most {MAX_TEXT}"):
        from_json(value)


def broken(change):
    value = copy.deepcopy(to_json(TALK))
    change(value)
    return value


@pytest.mark.parametrize(("change", "said"), [
    (lambda v: v.pop("v"), '"v": 1'),
    (lambda v: v.update(v=2), '"v": 1'),
    (lambda v: v.update(id=3), '"id"'),
    (lambda v: v.update(messages={}), '"messages"'),
    (lambda v: v["channels"].update(public=[]), "reader names"),
    (lambda v: v["channels"].update(public=["a", 1]), "reader names"),
    (lambda v: v["channels"].update({"a-b": ["b", "c"]}), "message 1: author 'a' does not read"),
    (lambda v: v["messages"].insert(0, "hi"), "message 0: expected an object"),
    (lambda v: v["messages"][1].update(channel="nowhere"), "message 1: channel 'nowhere'"),
    (lambda v: v["messages"][1].update(time=1.5), "message 1: 'time' must be int"),
    (lambda v: v["messages"][1].update(time=True), "message 1: 'time' must be int"),
    (lambda v: v["messages"][1].update(time=-6), "message 1: time -6 is before -5"),
    (lambda v: v["messages"][1].pop("author"), "message 1: 'author' must be str"),
    (lambda v: v["channels"].update({"\udc80": ["a"]}), "lone surrogate"),
    (lambda v: v["channels"].update(public=["a", "b", "c", "\udc80"]), "lone surrogate"),
    (lambda v: v.update(id="\udc80"), "lone surrogate"),
    (lambda v: v["messages"][1].update(to=["\udc80"]), "message 1: the name"),
    (lambda v: v["messages"][1].update(reply_to="\udc80"), "message 1: the name"),
    (lambda v: v["messages"][1].update(text=" \n"), "message 1: the text is empty"),
    (lambda v: v["messages"][1].update(to="b"), 'message 1: "to"'),
    (lambda v: v["messages"][1].update(reply_to=1), 'message 1: "reply_to"'),
])
def test_what_is_malformed_is_named_with_its_place(change, said):
    with pytest.raises(ConversationError) as refused:
        from_json(broken(change), "file.jsonl:3")
    assert str(refused.value).startswith("file.jsonl:3: ") and said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [None, [], "x", 3, {}, {"v": 1}, {"v": 1, "id": "x", "channels": [], "messages": []}])
def test_any_other_json_value_is_refused(value):
    with pytest.raises(ConversationError):
        from_json(value)
