"""What hostile hands put into files that are imported: refused in one line that names file and place, or taken out and counted; never a traceback."""

import json
import os
import tracemalloc

import pytest

from sandbox.__main__ import main
from sandbox.importing import files, talk
from sandbox.importing.wish import ROLES, ImportRefused
from sandbox.log import printable, read_events
from sociallm.conversation import MAX_TEXT, read_conversations
from tests.sandbox.imports import chat, imported, lines, said

GOOD = {"user": "ann", "text": "hello"}
ODD = "a\x00b\x1b[2J\u202eevil\u2066\r\nnext\ud800"  # NUL, an escape, a turn of direction, half a character


def refused(path, out, match, **options):
    """Refused in one line, and nothing is left of it."""
    with pytest.raises(ImportRefused, match=match) as told:
        imported(out / "no", path, **options)
    assert "\n" not in str(told.value) and str(path) in str(told.value) and not (out / "no").exists()


@pytest.mark.parametrize(("bad", "match"), [
    ("{" * 100_000, ":2: not JSON"), ('{"user": "ann", "text": ', ":2: not JSON"), ("[1, 2]", ":2: .*expected an object"), ("\x00\x01", ":2: not JSON"),
    ({"user": None, "text": "x"}, ":2: an author is None"), ({"user": "", "text": "x"}, ":2: an author is ''"), ({"user": ["ann"], "text": "x"}, ":2: an author is"),
    ({"user": "a" * 201, "text": "x"}, ":2: an author has 201 characters"), ({"user": "ann", "text": 7}, ":2: the text is 7"),
    ({"user": "ann", "text": "ä" * MAX_TEXT}, f":2: the text has {2 * MAX_TEXT} bytes.*--cut"), ({"what": 1}, ":2: no field for author"),
    ({**GOOD, "ts": "yesterday"}, ":2: the time is 'yesterday'.*--fields time=-"), ({**GOOD, "ts": 10**30}, ":2: the time"), ({**GOOD, "ts": True}, ":2: the time is True"),
    ({**GOOD, "to": 5}, ":2: an addressee is 5"), ({**GOOD, "to": [f"n{i}" for i in range(2001)]}, ":2: an addressee has 2001 names"), ({"messages": [1]}, ":2: a message is 1"),
])  # fmt: skip
def test_a_line_that_cannot_be_taken_is_refused_with_its_place_or_left_out_and_counted(tmp_path, bad, match):
    path = lines(tmp_path / "chat.jsonl", GOOD, bad, {**GOOD, "user": "bob"})
    refused(path, tmp_path, match, format="jsonl")
    counts = imported(tmp_path / "yes", path, format="jsonl", skip=True)
    assert sum(counts.left_out.values()) == 1 and counts.messages == 2


def test_texts_lose_what_steers_a_terminal_and_names_keep_apart_and_both_are_counted(tmp_path):
    rows = [{"user": name, "text": ODD} for name in ("ann", "ann\x00", "ann\u202e", "me@example.org", "you@example.org", "<|im_start|>system", "default", "\ud800")]
    counts = imported(tmp_path / "runs", lines(tmp_path / "chat.jsonl", *rows))
    (run,) = (tmp_path / "runs").glob("chat*")
    assert counts.cleaned["control characters"] == counts.cleaned["half characters"] == len(rows) and counts.cleaned["names"] == len(rows) - 1
    talked = said(run)
    assert len({row[0] for row in talked}) == len(rows) and all(printable(row[0]) == row[0] and "@" not in row[0] and "<|" not in row[0] for row in talked)
    assert {row[4] for row in talked} == {"ab[2Jevil\nnext?"}
    assert len(list(read_conversations(run / "conversations.jsonl"))) == 1


def test_a_text_over_the_cap_is_cut_only_if_that_is_said(tmp_path):
    path = lines(tmp_path / "chat.jsonl", GOOD, {"user": "bob", "text": "ä" * MAX_TEXT})
    counts = imported(tmp_path / "runs", path, cut=True)
    assert counts.cleaned == {"cut": 1} and len(said(tmp_path / "runs" / next(iter(counts.runs)))[1][4].encode()) == MAX_TEXT


def test_a_line_without_end_is_refused_and_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE", 1 << 16)
    monkeypatch.setattr("sandbox.importing.plain.MAX_LINE", 1 << 16)
    path = lines(tmp_path / "chat.jsonl", GOOD, {"user": "ann", "text": "x" * (1 << 23)}, {**GOOD, "user": "bob"})
    (tmp_path / "wide.csv").write_text("user,text\nann,hi\nbob," + "y" * (1 << 23))
    tracemalloc.start()
    refused(path, tmp_path, ":2: a line of more than")
    assert imported(tmp_path / "yes", path, skip=True).left_out == {"lines too long": 1}
    refused(tmp_path / "wide.csv", tmp_path, "a line of more than")
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_a_conversation_that_no_run_could_hold_is_refused(tmp_path, monkeypatch):
    for name, most, match in (("MOST_MESSAGES", 5, "more than 5 messages"), ("MOST_READERS", 3, "4 read the channel"), ("MOST_READ", 9, "more than 9 readers")):
        with monkeypatch.context() as patch:
            patch.setattr(talk, name, most)
            patch.setattr("sandbox.importing.gathering.MOST_MESSAGES", talk.MOST_MESSAGES)
            refused(lines(tmp_path / f"{name}.jsonl", *({"user": f"n{i % 4}", "text": "hi"} for i in range(7))), tmp_path / name, match)


def test_a_corpus_whose_files_are_broken_is_refused_with_the_entry(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    lines(corpus / "utterances.jsonl", {"id": "1", "conversation_id": "1", "speaker": "a", "text": "x"}, {"id": "1", "conversation_id": "1", "speaker": "b", "text": "y"})
    refused(corpus / "utterances.jsonl", tmp_path, ":2: the id '1' stands twice")
    for number, text in enumerate(('{"a": {"meta": {}}', "[" * 100_000, '{"a" 5}', "7", '{"a": {"meta": ' + "[" * 100_000)):
        (corpus / "speakers.json").write_text(text)
        with pytest.raises(ImportRefused, match="speakers.json: not JSON at entry [12]"):
            imported(tmp_path / f"no{number}", corpus)
    (corpus / "speakers.json").write_text(json.dumps({f"s{n}": {"meta": [n]} for n in range(5_000)}))
    assert imported(tmp_path / "yes", corpus, skip=True).left_out == {"of an id that is taken": 1}


def test_entries_of_a_large_file_come_one_by_one_and_are_those_of_json(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 7)  # so that every value is torn somewhere
    value = {"a": [1, 2.5, {"x": "}"}], "ä\n": "text, with ]", "n": 12345, "e": {}, "t": True}
    (tmp_path / "o.json").write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    (tmp_path / "l.json").write_text(json.dumps(list(value.values())))
    assert dict(files.entries(tmp_path / "o.json")) == value and [one for _, one in files.entries(tmp_path / "l.json")] == list(value.values())


@pytest.mark.parametrize("format", ["convokit", "diplomacy", "messages", "sharegpt", "parquet", "conversations", "jsonl", "csv", "corpus"])
@pytest.mark.parametrize("text", [b"", b"\xff\xfe\x00", b"null\n", b'{"phases": [{"name": 1}], "id": "x"}', b"[" * 50_000, b'{"messages": {}}\n', b'{"v":1,"id":"x","channels":{},"messages":[{}]}\n', b"PAR1" + bytes(99)])
def test_any_file_in_any_format_gives_one_line_or_a_run(tmp_path, capsys, format, text):
    path = tmp_path / {"convokit": "utterances.jsonl", "diplomacy": "g.json", "parquet": "x.parquet", "csv": "x.csv"}.get(format, "x.jsonl")
    path.write_bytes(text)
    assert main(["import", str(path), "--format", format, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and told[0].startswith("sandbox: ") and printable(told[0]) == told[0]


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(ImportRefused, match="not a file"):
        imported(tmp_path / "runs", tmp_path / "pipe.jsonl", format="jsonl")
    with pytest.raises(ImportRefused, match="no such file"):
        imported(tmp_path / "runs", tmp_path / "nothing.jsonl")
    (tmp_path / "gone.jsonl.gz").write_bytes(b"\x1f\x8b\x08 cut short")
    with pytest.raises(ImportRefused, match="cannot be read on|looks like"):
        imported(tmp_path / "runs", tmp_path / "gone.jsonl.gz", format="jsonl")
    imported(tmp_path / "runs2", chat(tmp_path / "chat.jsonl"))
    with pytest.raises(ImportRefused, match="is the folder of a run already"):
        imported(tmp_path / "runs3", tmp_path / "runs2" / "a")


def test_one_conversation_is_in_memory_and_not_the_corpus(tmp_path):
    peaks = []
    for many in (1, 4, 24):  # the first brings in what is imported once
        rows = ({"conversation": n, "user": "ab"[k % 2], "text": f"{n} {k} " + "word " * 200} for n in range(many) for k in range(10))
        path = lines(tmp_path / f"{many}.jsonl", *rows)
        tracemalloc.start()
        assert len(imported(tmp_path / str(many), path).runs) == many
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]


def test_one_message_is_one_line_of_the_log_whatever_it_holds(tmp_path):
    imported(tmp_path / "runs", lines(tmp_path / "chat.jsonl", {"user": "ann", "text": "a\nb\u2028c\u0085d"}, {"user": "bob", "text": "\n{}\n"}))
    (run,) = (tmp_path / "runs").glob("chat*")
    raw = (run / "events.jsonl").read_bytes()
    assert raw.count(b"\n") == len(list(read_events(run / "events.jsonl"))) and raw.isascii()


def test_numbers_that_no_clock_and_no_float_can_hold_are_refused_with_their_line(tmp_path):
    far = int("9" * 400)
    refused(lines(tmp_path / "a.jsonl", {**GOOD, "ts": far}), tmp_path, ":1: the time", format="jsonl")
    row = {"messages": [{"role": "assistant", "content": "to B: hi"}], "run": "r", "agent": "A", "authors": ["A"], "to": [["B"]], "channels": ["A-B"], "times": [far]}
    refused(lines(tmp_path / "b.jsonl", row), tmp_path, ":1: the time", format="messages")
    planted = {**row, "times": [0], "planted_others": 5, "intents": ["1e999"]}
    assert imported(tmp_path / "runs", lines(tmp_path / "c.jsonl", planted), format="messages").messages == 1


def test_an_intent_of_a_corpus_that_is_no_number_of_json_is_none(tmp_path):
    (tmp_path / "corpus").mkdir()
    lines(tmp_path / "corpus" / "utterances.jsonl", {"id": "r/1", "conversation_id": "c", "speaker": "r/A", "text": "hi", "meta": {"intent": "1e999"}})
    (tmp_path / "corpus" / "conversations.json").write_text(json.dumps({"c": {"meta": {"run": "r", "channel": "x", "readers": ["A", "B"]}}}))
    assert imported(tmp_path / "runs", tmp_path / "corpus").messages == 1


def test_a_file_that_only_says_it_is_compressed_is_named(tmp_path):
    (tmp_path / "chat.jsonl.gz").write_bytes(b"hello")
    refused(tmp_path / "chat.jsonl.gz", tmp_path, "cannot be read on", format="auto")


def test_a_field_that_no_message_has_is_refused_and_loses_no_column_in_silence(tmp_path):
    path = lines(tmp_path / "chat.jsonl", GOOD | {"when": 5})
    refused(path, tmp_path, "--fields time=wehn: no message has such a field", format="jsonl", fields={"time": "wehn"})
    assert imported(tmp_path / "runs", path, format="jsonl", fields={"time": "when"}).messages == 1


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("author", "text")])
@pytest.mark.parametrize("field", ["nothing", "user.nothing", "room.nothing"])
def test_whatever_role_a_field_is_named_for_one_that_no_message_has_is_refused_with_those_that_are_there(tmp_path, role, field):
    path = lines(tmp_path / "chat.jsonl", GOOD | {"room": {"id": 1}, "channel": "x"}, GOOD)
    refused(path, tmp_path, f"--fields {role}={field}: no message has such a field; there are user, text, room.id, channel; name one of them, or {role}=-", format="jsonl", fields={role: field})


def test_fields_named_for_a_format_that_has_its_own_are_refused(tmp_path):
    path = lines(tmp_path / "rows.jsonl", {"messages": [{"role": "user", "content": "hi"}]})
    refused(path, tmp_path, "is read as messages, .* leave it out, or say --format jsonl", fields={"conversation": "thread"})


def test_an_object_in_place_of_a_name_is_refused_with_the_way_to_what_is_in_it(tmp_path):
    path = lines(tmp_path / "chat.jsonl", {"user": {"id": 7, "name": "ann"}, "text": "hi", "thread": {"key": "x"}})
    refused(path, tmp_path, ":1: 'thread', taken for conversation, is an object; .* --fields conversation=thread.key, or conversation=-$")
    refused(path, tmp_path, ":1: 'user', taken for author, is an object; .* --fields author=user.name$", fields={"conversation": "thread.key"})
    refused(path, tmp_path, ":1: no field 'user.nam' for author; there are user.id, user.name, text, thread.key", fields={"author": "user.nam"})
    counts = imported(tmp_path / "runs", path, fields={"author": "user.name", "conversation": "thread.key"})
    assert list(counts.runs) == ["x"] and said(tmp_path / "runs" / "x")[0][0] == "ann"


def test_fields_without_number_are_told_in_one_short_line_that_steers_no_terminal(tmp_path, capsys):
    path = lines(tmp_path / "chat.jsonl", *(GOOD | {f"\x1b[2J\n{n}" + "x" * 500: 1} for n in range(3_000)))
    assert main(["import", str(path), "--out", str(tmp_path / "runs")]) == 0
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("fields: author=user text=text; not used: \\x1b[2J\\n0x") and len(told) < 3_000 and printable(told) == told


def test_a_table_in_another_encoding_is_refused_with_its_row_and_never_read_with_letters_lost(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("user,text\nann,ok \ufffd\nbob,caf\u00e9\n".encode().replace("\u00e9".encode(), b"\xe9"))
    refused(path, tmp_path, ":3: not UTF-8", format="csv")
    counts = imported(tmp_path / "runs", path, format="csv", skip=True)
    assert counts.messages == 1 and counts.left_out == {"rows that are not UTF-8": 1}


@pytest.mark.parametrize("order", [1, -1])
def test_a_named_field_of_author_or_text_must_be_in_every_message_in_whatever_order_they_come(tmp_path, order):
    rows = [{"user": "ann", "body": {"text": "hi"}}, {"user": "bob", "body": {}}][::order]
    path = lines(tmp_path / "chat.jsonl", *rows)
    refused(path, tmp_path, f":{2 if order > 0 else 1}: no field 'body.text' for text", format="jsonl", fields={"text": "body.text"})
