"""Imports of what our exports write and of plain chat: what becomes of them, that it is the same the second time, and that every command reads it."""

import json
import shutil
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import sandbox
from sandbox.__main__ import main
from sandbox.importing.folder import seed
from sandbox.importing.formats import guess
from sandbox.importing.wish import ImportRefused
from sandbox.log import canonical_hash, read_events
from sandbox.sealed import read_sealed
from sociallm.conversation import read_conversations
from tests.sandbox.exports import content, runs
from tests.sandbox.imports import CHAT, chat, exported, imported, lines, said

LOGS = ("conversations", "convokit", "messages", "sharegpt", "parquet")


def hashes(counts) -> list[str]:
    return sorted(counts.runs.values())


@lru_cache(maxsize=1)
def _made() -> TemporaryDirectory:
    return TemporaryDirectory(prefix="imports-")


@lru_cache
def export_of(arm: str, format: str) -> Path:
    """An export of an arm, made once; nobody may change it."""
    return exported(runs() / arm, Path(_made().name) / format / arm, format)


@lru_cache
def import_of(arm: str, format: str):
    """(folder, counts) of an import of it, made once."""
    out = Path(_made().name) / "runs" / format / arm
    return out, imported(out, export_of(arm, format))


@pytest.mark.parametrize("format", LOGS)
@pytest.mark.parametrize("arm", ["ring/1", "cartel/1", "personas/1"])
def test_import_export_import_gives_the_same_canonical_log_which_says_what_the_run_said_to_whom_and_when(tmp_path, format, arm):
    """Talk of teams and sellers is addressed to all who read it, so even views tell the readers."""
    first, counts = import_of(arm, format)
    again = imported(tmp_path / "again", exported(first, tmp_path / "two", format), format=format)
    assert hashes(counts) == hashes(again) and len(counts.runs) == 1 and counts.messages == again.messages > 1
    talk = [row for row in said(runs() / arm) if len(row[2]) > 1]
    assert sorted(row for row in said(first / next(iter(counts.runs))) if len(row[2]) > 1) == sorted(talk) and talk


@pytest.mark.parametrize("format", LOGS)
def test_personas_intents_and_labels_come_back(format):
    of = {arm: import_of(arm, format) for arm in ("personas/1", "cartel/1")}
    told = {arm: folder / next(iter(counts.runs)) for arm, (folder, counts) in of.items()}
    persona = [e for e in read_events(told["personas/1"] / "events.jsonl") if e.kind == "message" and e.data["by"] == "world"]
    assert [e.agent for e in persona if "cheerful player" in e.data["text"]] == ["FRANCE"] and all(e.data["readers"] == [e.agent] for e in persona)
    assert any(e.kind == "intent" and e.data["intent"] for e in read_events(told["personas/1"] / "events.jsonl"))
    labels = [json.loads((run / "labels.json").read_text())["agents"] for run in (told["cartel/1"], runs() / "cartel/1")]
    planted = [{agent for agent, row in one.items() if row["planted"]} for one in labels]
    assert planted[0] == planted[1] and planted[0] and not (told["personas/1"] / "labels.json").exists()


def test_plain_chat_in_json_lines_and_in_csv_is_the_same(tmp_path):
    one, other = imported(tmp_path / "one", chat(tmp_path / "chat.jsonl")), imported(tmp_path / "other", chat(tmp_path / "chat.csv"))
    assert one.runs == other.runs and set(one.runs) == {"a", "b"}
    assert said(tmp_path / "one" / "a") == [(author, "ALL", ("ann", "bob"), time * 1000, text) for of, author, text, time in CHAT if of == "a"]


@pytest.mark.parametrize("format", LOGS)
def test_plain_chat_survives_every_format_of_export(tmp_path, format):
    first = imported(tmp_path / "first", chat(tmp_path / "chat.jsonl"))
    second = imported(tmp_path / "second", exported(tmp_path / "first", tmp_path / "two", format, validation=0.0))
    third = imported(tmp_path / "third", exported(tmp_path / "second", tmp_path / "three", format, validation=0.0))
    assert hashes(second) == hashes(third) and len(second.runs) == 2
    assert sorted(said(tmp_path / "second" / name) for name in second.runs) == sorted(said(tmp_path / "first" / name) for name in first.runs)
    if format == "conversations":  # which loses nothing
        assert hashes(first) == hashes(second)


def test_an_imported_run_is_read_by_every_command(tmp_path, capsys):
    imported(tmp_path / "runs", chat(tmp_path / "chat.jsonl"))
    run = tmp_path / "runs" / "a"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["imported"]["file"] == "chat.jsonl" and manifest["environment"] == "imported" and set(manifest["seats"].values()) == {"imported"}
    assert canonical_hash(run / "events.jsonl") == manifest["log_sha256"] == canonical_hash(read_sealed(run / "events.parquet"))
    (talk,) = read_conversations(run / "conversations.jsonl")
    assert talk.id == "a" and [m.text for m in talk.messages] == [row[2] for row in CHAT if row[0] == "a"]
    assert main(["log", str(run), "--kind", "message"]) == 0 and "Who is there?" in capsys.readouterr().out
    assert list(sandbox.load(run).messages["author"]) == ["ann", "bob", "ann"]


@pytest.mark.parametrize("command", [["fork", "--at", "1"], ["replay"]], ids=lambda words: words[0])
def test_what_would_need_rules_is_refused_in_a_line_and_resume_says_that_it_is_done(tmp_path, capsys, command):
    imported(tmp_path / "runs", chat(tmp_path / "chat.jsonl"))
    run, before = tmp_path / "runs" / "a", content(tmp_path / "runs")
    assert main([command[0], str(run), *command[1:]]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1 and "imported from a file" in told[0] and "python -m sandbox log" in told[0]
    assert main(["resume", str(run)]) == 0 and "nothing to resume" in capsys.readouterr().out and content(tmp_path / "runs") == before


def test_the_same_file_gives_the_same_bytes_wherever_it_lies(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    imported(tmp_path / "one", chat(tmp_path / "chat.jsonl"))
    imported(tmp_path / "elsewhere" / "other", Path(shutil.copy(tmp_path / "chat.jsonl", tmp_path / "elsewhere")))
    assert content(tmp_path / "one") == content(tmp_path / "elsewhere" / "other")


def test_an_import_that_is_done_is_left_and_another_into_the_same_folder_is_refused(tmp_path):
    counts = imported(tmp_path / "runs", chat(tmp_path / "chat.jsonl"))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    assert imported(tmp_path / "runs", tmp_path / "chat.jsonl") == counts
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == times
    with pytest.raises(ImportRefused, match="with other options .skip False, now True."):
        imported(tmp_path / "runs", tmp_path / "chat.jsonl", skip=True)
    with pytest.raises(ImportRefused, match="of other files"):
        imported(tmp_path / "runs", chat(tmp_path / "chat.csv"), format="jsonl")
    with pytest.raises(ImportRefused, match="which is to be imported"):
        imported(tmp_path / "runs" / "in", tmp_path)
    shutil.rmtree(tmp_path / "runs" / "a")
    with pytest.raises(ImportRefused, match="changed or lost"):
        imported(tmp_path / "runs", tmp_path / "chat.jsonl")


@pytest.mark.parametrize("counts", [None, 5, [], {}, {"x": 1}, {"runs": {}}, {"runs": 5, "messages": 1, "agents": 1}, {"runs": "a", "messages": 1, "agents": 1}])
def test_an_import_that_says_otherwise_of_itself_than_it_did_is_refused_in_one_line(tmp_path, capsys, counts):
    path, out = chat(tmp_path / "chat.jsonl"), tmp_path / "runs"
    imported(out, path)
    (out / "import.json").write_text(json.dumps(json.loads((out / "import.json").read_text()) | {"counts": counts}))
    assert main(["import", str(path), "--out", str(out)]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "import.json: not what an import writes when it is done" in told


def test_what_a_file_says_of_an_import_that_is_done_steers_no_terminal(tmp_path, capsys):
    path, out = chat(tmp_path / "chat.jsonl"), tmp_path / "runs"
    imported(out, path)
    told = json.loads((out / "import.json").read_text())
    (out / "import.json").write_text(json.dumps(told | {"counts": told["counts"] | {"left_out": {"\x1b[2J\n\u202e": 1}}}))
    assert main(["import", str(path), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["left out: 1 \\x1b[2J\\n\\u202e", str(out)]


def test_through_a_link_in_the_folder_of_an_import_nothing_is_written(tmp_path):
    """Somebody laid it there, where a file of the import would have come."""
    path, mine = chat(tmp_path / "chat.jsonl"), tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "runs" / "stage").mkdir(parents=True)
    (tmp_path / "runs" / "stage" / "wish.json.part").symlink_to(mine)
    with pytest.raises(ImportRefused, match=r"wish\.json\.part: a link in the folder of an import; take it away"):
        imported(tmp_path / "runs", path)
    assert mine.read_text() == "mine"


def test_names_of_folders_are_safe_and_no_two_are_the_same(tmp_path):
    ids = ["../../etc", "a/b", "a-b", "A-B", ".hidden", "stage", "import.json", "x" * 150, "…", "a b"]
    rows = [{"conversation": of, "user": user, "text": of} for of in ids for user in ("ann", "bob")]
    counts = imported(tmp_path / "out" / "runs", lines(tmp_path / "chat.jsonl", *rows))
    assert len({name.casefold() for name in counts.runs}) == len(ids) and not {"stage", "import.json"} & set(counts.runs)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["runs"]
    assert sorted(counts.runs) == sorted(path.name for path in (tmp_path / "out" / "runs").iterdir() if path.is_dir())
    assert {said(tmp_path / "out" / "runs" / name)[0][4] for name in counts.runs} == set(ids)


def test_a_message_a_line_has_its_channel_readers_addressees_and_reply(tmp_path):
    rows = [
        {"id": "1", "author": "ann", "text": "to all", "channel": "hall", "to": "all"}, {"id": "2", "author": "bob", "text": "psst", "channel": "den", "to": ["cleo"], "reply_to": "1"},
        {"id": "3", "author": "cleo", "text": "yes", "channel": "hall", "readers": ["cleo", "dan"]}, {"id": "4", "author": "bob", "text": "no", "channel": "hall", "reply_to": "9"},
    ]  # fmt: skip
    counts = imported(tmp_path / "runs", lines(tmp_path / "chat.jsonl", *rows))
    (name,) = counts.runs
    events = [e for e in read_events(tmp_path / "runs" / name / "events.jsonl") if e.kind == "message"]
    assert [(e.data["channel"], e.data["readers"], e.data["to"], e.data["reply_to"]) for e in events] == [
        ("hall", ["ann", "bob"], [], None), ("den", ["bob", "cleo"], ["cleo"], "1"), ("hall/2", ["cleo", "dan"], [], None), ("hall", ["ann", "bob"], [], None)]
    assert [e.time for e in events] == [0, 1000, 2000, 3000] and counts.cleaned == {"replies to nothing before them": 1}


@pytest.mark.parametrize(("stamps", "unit", "expected"), [
    (["2021-04-28 19:25:26.266539+00:00", "2021-04-28T19:25:27Z"], "auto", [1619637926266, 1619637927000]), ([1619637926, 1619637927], "auto", [1619637926000, 1619637927000]),
    ([1619637926266539, 1619637927000000], "auto", [1619637926266, 1619637927000]), ([0.5, 2], "auto", [500, 2000]), ([5, 2000], "auto", [5, 2000]),
    ([5, 7], "s", [5000, 7000]), (["7", "5"], "auto", [5, 7]), ([None, 9], "auto", [9, 9]), ([None, None], "auto", [0, 1000]),
])  # fmt: skip
def test_times_are_ms_in_order_whatever_the_source_counts_in(tmp_path, stamps, unit, expected):
    counts = imported(tmp_path / "runs", lines(tmp_path / "c.jsonl", *({"user": "ab"[n], "text": "hi", "ts": stamp} for n, stamp in enumerate(stamps))), unit=unit)
    assert [row[3] for row in said(tmp_path / "runs" / next(iter(counts.runs)))] == expected


def test_rows_of_other_chat_trainers_are_conversations_of_their_roles(tmp_path):
    turns = [("system", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", [{"type": "text", "text": "bye"}])]
    chat = {"messages": [{"role": role, "content": text} for role, text in turns]}
    share = {"conversations": [{"from": {"user": "human", "assistant": "gpt"}.get(role, role), "value": "bye" if isinstance(text, list) else text} for role, text in turns]}
    logs = set()
    for name, row in (("m.jsonl", chat), ("s.jsonl", share)):
        counts = imported(tmp_path / name[0], lines(tmp_path / name, row))
        (run,) = counts.runs
        assert [(row[0], row[4]) for row in said(tmp_path / name[0] / run)] == [("assistant", "Be kind."), ("user", "hi"), ("assistant", "hello"), ("user", "bye")]
        again = imported(tmp_path / f"{name[0]}2", exported(tmp_path / name[0], tmp_path / f"x{name[0]}", "messages", validation=0.0))
        logs |= {*counts.runs.values(), *again.runs.values()}
    assert len(logs) == 1


def test_a_corpus_of_the_older_form_is_the_corpus_of_the_newer_one(tmp_path):
    rows = [{"id": f"u{n}", "conversation_id": "u0", "speaker": "ab"[n % 2], "text": f"word {n}", "reply-to": f"u{n - 1}" if n else None, "timestamp": 1_500_000_000 + n} for n in range(4)]
    old = [{"id": r["id"], "root": r["conversation_id"], "user": r["speaker"], "text": r["text"], "reply_to": r["reply-to"], "timestamp": r["timestamp"]} for r in rows]
    for name, people in (("new", "speakers.json"), ("old", "users.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / people).write_text(json.dumps({"a": {"meta": {}}, "b": {}}))
        (tmp_path / name / "conversations.json").write_text(json.dumps({"u0": {"meta": {"rating": float("nan")}}}))
    lines(tmp_path / "new" / "utterances.jsonl", *rows)
    (tmp_path / "old" / "utterances.json").write_text(json.dumps(old))
    new, older = imported(tmp_path / "n", tmp_path / "new"), imported(tmp_path / "o", tmp_path / "old")
    assert hashes(new) == hashes(older) and said(tmp_path / "n" / "u0")[0] == ("a", "ALL", ("a", "b"), 1_500_000_000_000, "word 0")


def test_a_game_keeps_its_side_of_the_split_when_it_is_imported_again(tmp_path):
    counts = imported(tmp_path / "runs", exported(runs() / "ring", tmp_path / "out", "convokit"))
    seeds = {json.loads((tmp_path / "runs" / name / "manifest.json").read_text())["seed"] for name in counts.runs}
    again = imported(tmp_path / "again", exported(tmp_path / "runs", tmp_path / "more", "messages"))
    assert {json.loads((tmp_path / "again" / name / "manifest.json").read_text())["seed"] for name in again.runs} == seeds == {seed(f"team_task {n}") for n in (1, 2, 3)}


@pytest.mark.parametrize("format", LOGS)
def test_a_format_is_known_by_what_it_looks_like(tmp_path, format):
    assert guess(export_of("ring/1", format)) == format
    assert guess(chat(tmp_path / "chat.jsonl")) == "jsonl" and guess(chat(tmp_path / "chat.csv")) == "csv"


def test_names_of_fields_are_known_whatever_their_capitals_spaces_and_hyphens(tmp_path):
    rows = [{"Thread-ID": of, "Display Name": author, "Message": text, "Sent At": time} for of, author, text, time in CHAT]
    assert imported(tmp_path / "one", lines(tmp_path / "chat.jsonl", *rows)).runs == imported(tmp_path / "other", chat(tmp_path / "plain" / "chat.jsonl")).runs


@pytest.mark.parametrize(("fields", "told"), [
    ([], "fields: author=user.name text=Body time=sent conversation=thread id; not used: user.id, likes"),
    (["id=user.id"], "fields: author=user.name text=Body time=sent conversation=thread id id=user.id; not used: likes"),
    (["conversation=-", "channel=thread id"], "fields: author=user.name text=Body time=sent channel=thread id; not used: user.id, likes"),
])  # fmt: skip
def test_the_command_tells_which_field_was_taken_for_what_and_what_was_left(tmp_path, capsys, fields, told):
    rows = [{"user": {"name": who, "id": who * 2}, "Body": "hi", "sent": n, "thread id": "x", "likes": 3} for n, who in enumerate(("ann", "bob"))]
    path = lines(tmp_path / "chat.jsonl", *rows)
    assert main(["import", str(path), "--out", str(tmp_path / "runs"), "--fields", "author=user.name", "time=sent", *fields]) == 0
    assert capsys.readouterr().err.splitlines() == [told]
    (run,) = (path.parent for path in (tmp_path / "runs").glob("*/manifest.json"))
    assert [(row[0], row[3]) for row in said(run)] == [("ann", 0), ("bob", 1)]


def test_of_lines_that_hold_messages_the_field_that_names_the_conversation_is_told(tmp_path, capsys):
    path = lines(tmp_path / "chat.jsonl", {"Dialogue ID": "x", "stars": 5, "turns": [{"speaker": "ann", "text": "hi"}, {"name": "bob", "text": "ho"}]})
    assert main(["import", str(path), "--out", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().err.splitlines() == ["fields: author=speaker or name text=text conversation=Dialogue ID; not used: stars"]
    assert (tmp_path / "runs" / "x" / "manifest.json").is_file()


def test_the_command_says_what_came_of_it_and_names_the_folder_last(tmp_path, capsys):
    path = lines(tmp_path / "irc.jsonl", *({"nick": who, "line": text, "day": 1} for who, text in (("ann", "hi"), ("bob", "ho"), ("ann", ""))))
    assert main(["import", str(path), "--out", str(tmp_path / "runs"), "--fields", "text=line", "conversation=day"]) == 0
    assert capsys.readouterr().out.splitlines() == ["1 runs of 2 agents, 2 messages", "left out: 1 without a text", str(tmp_path / "runs")]
    assert main(["import", str(path), "--out", str(tmp_path / "more"), "--fields", "text=nothing"]) == 2
    assert "no field 'nothing' for text; there are nick, line, day" in capsys.readouterr().err
