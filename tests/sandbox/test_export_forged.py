"""Exports of runs that somebody changed, and hashed again: refused in a line, or exported as what they say, and never taken for something else."""

import json
import os
import shutil

import pyarrow
import pyarrow.parquet as parquet
import pytest

from sandbox.disk import file_sha256
from sandbox.exporting.export import export
from sandbox.exporting.wish import ExportError, Wish
from tests.sandbox.exports import runs
from tests.sandbox.imports import imported, lines, said


@pytest.fixture
def one(tmp_path):
    """A copy of a run, to be changed."""
    return shutil.copytree(runs() / "ring" / "1", tmp_path / "runs" / "1")


def sealed(run, **values):
    """Say in the manifest that the columns are as they are now."""
    path = run / "manifest.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"files": told["files"] | {"events.parquet": file_sha256(run / "events.parquet")}} | values))


def rewritten(run, change, types=None):
    """`change` each record of the columns, and say that they were sealed so."""
    table = parquet.read_table(run / "events.parquet")
    rows = [change(row) for row in table.to_pylist()]
    schema = pyarrow.schema([(name, (types or {}).get(name, table.schema.field(name).type)) for name in table.schema.names])
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), run / "events.parquet")
    sealed(run)


def with_data(kind, **values):
    """A change of what records of a kind hold."""
    return lambda row: row | {"data": json.dumps(json.loads(row["data"]) | values, sort_keys=True, separators=(",", ":"))} if row["kind"] == kind else row


def refused(run, tmp_path, format="messages") -> str:
    with pytest.raises(ExportError) as error:
        export([run], Wish(format=format, out=tmp_path / "out"))
    assert len(str(error.value).splitlines()) == 1 and not (tmp_path / "out/export.json").exists()
    return str(error.value)


@pytest.mark.parametrize(("column", "value", "kind"), [
    ("step", None, pyarrow.int64()), ("step", [1], pyarrow.list_(pyarrow.int64())), ("step", "1", pyarrow.string()), ("step", 0.5, pyarrow.float64()), ("step", True, pyarrow.bool_()),
    ("agent", 7, pyarrow.int64()), ("agent", b"M1", pyarrow.binary()), ("data", None, pyarrow.string()), ("data", 1, pyarrow.int64()), ("data", b"{}", pyarrow.binary()),
    ("time", None, pyarrow.int64()), ("kind", None, pyarrow.string()),
])  # fmt: skip
def test_columns_of_another_type_are_no_log(one, tmp_path, column, value, kind):
    rewritten(one, lambda row: row | {column: value}, {column: kind})
    assert f"its column {column} is none of a log" in refused(one, tmp_path)


@pytest.mark.parametrize("text", ["hello", "null", "7", "[]", "{}", "[" * 100_000, '{"intent":]]', '{"intent":NaN}'], ids=lambda text: text[:20])
def test_an_intent_that_is_none_is_refused(one, tmp_path, text):
    rewritten(one, lambda row: row | {"data": text} if row["kind"] == "intent" else row)
    assert "the intent of step 1 is none" in refused(one, tmp_path)


@pytest.mark.parametrize("text", ["short", "x" * 1000])
def test_what_an_answer_from_outside_used_up_is_no_part_of_an_intent(one, tmp_path, text):
    rewritten(one, with_data("intent", intent={"b": text, "a": 0.25}, usage={"calls": 1}, choices=[]))
    export([one], Wish(format="messages", out=tmp_path / "out"))
    rows = [json.loads(line) for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    intents = {intent for row in rows for intent in row["intents"] if intent}
    assert intents == {json.dumps({"a": 0.25, "b": text}, separators=(",", ":"))}


@pytest.mark.parametrize("values", [{"to": "Ada"}, {"to": {"M2": 1}}, {"readers": "M1"}, {"readers": [["M1"]]}, {"readers": [1]}, {"id": True}, {"text": ["x"]}, {"reply_to": 5}], ids=str)
def test_a_message_with_values_of_other_types_is_refused(one, tmp_path, values):
    rewritten(one, with_data("message", **values))
    assert "the message of step 0 is none" in refused(one, tmp_path)


@pytest.mark.parametrize("format", ["messages", "convokit", "conversations"])
def test_two_messages_of_one_id_are_refused(one, tmp_path, format):
    rewritten(one, with_data("message", id="0"))
    assert "two messages of the log have one id" in refused(one, tmp_path, format)


@pytest.mark.parametrize(("key", "what"), [("id", "two messages have one id"), ("channel", "two channels are called 'room'")])
def test_names_that_are_one_when_they_are_clean_are_refused(one, tmp_path, key, what):
    count = iter(range(100_000))
    rewritten(one, lambda row: with_data("message", **{key: "room" + "\x07" * next(count)})(row) if row["kind"] == "message" else row)
    assert what in refused(one, tmp_path, "convokit")


@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_columns_that_are_no_file_are_not_waited_for(one, tmp_path, kind):
    (one / "events.parquet").unlink()
    if kind == "pipe":
        os.mkfifo(one / "events.parquet")
    else:
        os.symlink("/dev/zero", one / "events.parquet")
    export([one], Wish(format="messages", out=tmp_path / "out"))  # of the lines, which are whole
    assert (tmp_path / "out/export.json").is_file()


@pytest.mark.parametrize("sha256", ["\ud800" * 64, "Z" * 64, "a" * 63, "A" * 64])
@pytest.mark.parametrize("format", ["messages", "parquet"])
def test_a_hash_that_is_none_is_refused(one, tmp_path, sha256, format):
    sealed(one, log_sha256=sha256)
    assert "does not say which log was sealed" in refused(one, tmp_path, format)


NAMES = ("Dan: yes", "Ben to all", "Smith, John", 'a "b" \\', "all", "alone")


@pytest.mark.parametrize("format", ["messages", "sharegpt"])
def test_a_name_that_could_pass_for_more_stands_in_quotes_and_comes_back(tmp_path, format):
    talk = [{"conversation": "c", "user": name, "text": f"hello from {n}", "ts": n} for n, name in enumerate(("Ann", *NAMES))]
    first, again = tmp_path / "first", tmp_path / "again"
    imported(first, lines(tmp_path / "chat.jsonl", *talk))
    export([first], Wish(format=format, out=tmp_path / "out"))
    text = "\n".join(path.read_text() for path in sorted((tmp_path / "out").rglob("*.jsonl")))
    rows = [json.loads(line) for line in text.splitlines()]
    said_in = [turn.get("content") or turn.get("value") for row in rows for turn in row.get("messages", row.get("conversations"))]
    parts = [part for content in said_in for part in content.split("\n")]
    assert any(part == '"Dan: yes" to all: hello from 1' for part in parts) and any(part == "Ann to all: hello from 0" for part in parts)
    assert not any(part.startswith(("Dan: yes", "Ben to all", "Smith, John", "all to")) for part in parts)
    imported(again, tmp_path / "out", format=format)
    (before,), (after,) = ([said(path.parent) for path in folder.glob("*/events.jsonl")] for folder in (first, again))
    assert [(row[0], row[2], row[4]) for row in after] == [(row[0], row[2], row[4]) for row in before]
