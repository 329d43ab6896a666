"""`python -m analysis observe`: a log's own memory records come out again, any source is read, and what cannot be is refused in one line."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import sandbox
from analysis.__main__ import main
from analysis.metrics import AnalysisError, read_run
from analysis.observe import TABLE, ObserveWish, Summary, _rows, texts_of_file
from analysis.texts import log_of, runs_below
from sandbox.__main__ import main as sandbox_main
from sandbox.log import canonical_hash
from sociallm.checkpoint import SHIPPED, TOKENIZER, save, shared
from sociallm.conversation import Channel, Conversation, Message, write_conversations
from sociallm.model import SociaLLMConfig, build
from sociallm.tokenizer import Tokenizer
from tests.analysis.runs import message, write_run
from tests.sandbox.runs import run
from tests.sandbox.test_fork import forked

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "cicero_games").is_dir(), reason=f"no data sets in {DATA}; set SOCIALLM_DATA")
SMALL = SociaLLMConfig(width=32, layers=2, local_heads=2, local_head_width=16, local_state=16, social_heads=2, social_head_width=16, social_state=32)
PLAY = ("environment.players=3", "environment.games=2", "environment.narrator=w")
NATS = ("surprise", "surprise_no_int", "surprise_no_own", "surprise_no_states")


@pytest.fixture(scope="module")
def point(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small untrained checkpoint with the shipped tokenizer."""
    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    save(folder, build(SMALL, torch.Generator().manual_seed(0)), Tokenizer.load(SHIPPED / "base" / TOKENIZER), {"what": "untrained, for tests"})
    return str(folder)


def observed(capsys, *words, code=0):
    """(what was printed, or what was said on stderr)."""
    assert main(["observe", *map(str, words), "--tasks", "1"]) == code
    said = capsys.readouterr()
    assert code == 0 or said.err.count("\n") == 1
    return said.err if code else said.out


def spoken(folder: Path, name: str = "said.jsonl") -> Path:
    """Two conversations of two, as JSONL."""
    pair = Channel(name="a-b", readers=frozenset("ab"))
    said = tuple(Message(id=f"m{k}", author="ab"[k % 2], channel=pair, time=k * 1000, text=text) for k, text in enumerate(("Shall we?", "We shall.", "Good.")))
    write_conversations(folder / name, [Conversation(id=i, messages=said[:n]) for i, n in (("one", 3), ("two", 1))])
    return folder / name


def test_of_a_run_with_states_the_memory_records_come_out_again(capsys, tmp_path, point):
    """Keys for key, and the surprise of every reader that a live host measured, whatever the agents' policies."""
    folder, _, _ = run(capsys, tmp_path, *PLAY, "seats.default=remembering", f"policies.remembering.checkpoint={point}", "measure.surprise=true")
    said = observed(capsys, folder)
    memory, table = sandbox.load(folder).memory, pd.read_parquet(folder / TABLE)
    both = memory.merge(table, on=["message", "reader"], suffixes=("", "_seen"), validate="one_to_one")
    assert len(both) == len(memory) == len(table) > 10 and f"{len(table)} rows" in said
    assert (both["own"] == both["own_key"]).all() and (both["channel"] == both["channel_key"]).all() and (both["role"] == both["role_seen"]).all()
    read = both[both["role"] == "read"]
    assert (read["other"] == read["other_key"]).all() and both[both["role"] == "wrote"]["other_key"].isna().all()
    for logged, found in zip(NATS, ("nats", "nats_no_other", "nats_no_own", "nats_no_states"), strict=True):
        assert np.allclose(read[logged].astype(float), read[found], rtol=1e-4) and np.isfinite(table[found]).all()


def test_a_run_without_a_model_and_its_conversations_say_the_same(capsys, tmp_path, point):
    """A log, its file, its sealed form, and the conversation in it are one and the same to an observer."""
    folder, _, _ = run(capsys, tmp_path, *PLAY)
    out = tmp_path / "all.parquet"
    tables = []
    for source in (folder, folder / "events.jsonl", folder / "events.parquet", folder / "conversations.jsonl", tmp_path):
        observed(capsys, source, "--out", out, "--checkpoint", point)
        tables.append(pd.read_parquet(out))
    assert all(table.equals(tables[0]) for table in tables[1:]) and len(tables[0]) and set(tables[0]["run"]) == {folder.name}
    assert not (folder / TABLE).exists()


def test_many_sources_in_two_processes_are_those_of_one(capsys, tmp_path, point):
    files = [spoken(tmp_path, f"{name}.jsonl") for name in "xyz"]
    out = tmp_path / "one.parquet"
    observed(capsys, *files, "--out", out, "--checkpoint", point, "--measures")
    assert main(["observe", *map(str, files), "--out", str(tmp_path / "two.parquet"), "--checkpoint", point, "--measures", "--tasks", "2"]) == 0
    one, two = pd.read_parquet(out), pd.read_parquet(tmp_path / "two.parquet")
    assert one.equals(two) and list(one["run"]) == (["one"] * 6 + ["two"] * 2) * 3 and list(one["reader"][:6]) == list("abbaab")
    assert "8 rows" not in capsys.readouterr().err


def test_authors_alone_have_the_same_numbers(capsys, tmp_path, point):
    source = spoken(tmp_path)
    for name, words in (("all", []), ("authors", ["--authors"])):
        observed(capsys, source, "--out", tmp_path / name, "--checkpoint", point, *words)
    whole, authors = (pd.read_parquet(tmp_path / name) for name in ("all", "authors"))
    assert authors.to_csv(index=False) == whole[whole["role"] == "wrote"].to_csv(index=False) and len(authors) == 4


def test_a_run_in_which_nobody_speaks_has_an_empty_table(capsys, tmp_path, point):
    assert sandbox_main(["run", "scenarios/market.yaml", f"run_dir={tmp_path}", "seats.default=scripted", "executor=local", "environment.chat='off'", "environment.rounds=1", "plots=false"]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1].removeprefix("run: ").strip())
    said = observed(capsys, tmp_path, "--checkpoint", point)
    (table,) = tmp_path.rglob(TABLE)
    assert len(pd.read_parquet(table)) == 0 and "1 conversation, 0 messages, 0 rows" in said and "nan" not in said and folder.name


def test_runs_of_experiments_lie_below_a_folder_of_runs_too(tmp_path):
    places = [tmp_path / "runs" / name for name in ("market/one", "prices/e/silent/1", "prices/e/silent/2", "prices/e/talking/1")]
    for place in places:
        write_run(place, [message("m", "A", ["A", "B"])])
        (place / "manifest.json").write_text("{}")
    assert runs_below(tmp_path / "runs") == runs_below(tmp_path) == places and runs_below(tmp_path / "runs" / "prices" / "e" / "silent") == places[1:3]


def test_what_was_observed_is_told_world_by_world():
    """Of a market 10 tokens cost 20 nats with both states and 30 with none, of talk 30 cost 30 and 30: 1.25 and 1.5 in all."""
    market, talk = Summary(1, 2, 4, 10, (20.0, 22.0, 25.0, 30.0)), Summary(2, 3, 6, 30, (30.0,) * 4)
    lines = (replace(market, worlds={"market": market}) + replace(talk, worlds={"conversations": talk})).lines()
    assert lines[0] == "3 conversations, 5 messages, 10 rows" and "lower: better foreseen" in lines[1]
    assert [line.split() for line in lines[3:6]] == [["market", "1", "2", "2.000", "2.200", "2.500", "3.000"], ["conversations", "2", "3", *["1.000"] * 4], ["all", "3", "5", "1.250", "1.300", "1.375", "1.500"]]
    assert len(replace(market, worlds={"market": market}).lines()) == 5  # one world is all there is


def test_what_cannot_be_read_is_told_in_a_line_and_the_rest_is_observed(capsys, tmp_path, point):
    good, _, _ = run(capsys, tmp_path / "runs", *PLAY)
    bad, _, _ = run(capsys, tmp_path / "runs", *PLAY, "seed=2")
    (bad / "events.jsonl").write_text("no log\n")
    (bad / "events.parquet").unlink()
    assert str(bad) in observed(capsys, tmp_path / "runs", "--checkpoint", point, code=2)
    assert len(pd.read_parquet(good / TABLE)) and not (bad / TABLE).exists()


def test_a_memory_changed_from_outside_is_refused(capsys, tmp_path, point):
    folder, _, _ = run(capsys, tmp_path, *PLAY, "seats.default=remembering", f"policies.remembering.checkpoint={point}")
    erased, _ = forked(capsys, folder, "--at", "3", "--erase", "P0:P1")
    assert "erase" in observed(capsys, erased, code=2) and not (erased / TABLE).exists()
    notes, _ = forked(capsys, folder, "--at", "3", "--erase", "P0:P1:notes")
    observed(capsys, notes)


def test_a_log_in_the_folder_of_its_run_is_that_run(capsys, tmp_path, point):
    """Its checkpoint, its name, its place for the table; elsewhere it is a log and no more."""
    folder, _, _ = run(capsys, tmp_path, *PLAY, "seats.default=remembering", f"policies.remembering.checkpoint={point}")
    for name in ("events.jsonl", "events.parquet"):
        observed(capsys, folder / name)
        table = pd.read_parquet(folder / TABLE)
        assert set(table["own_key"]) == set(sandbox.load(folder).memory["own"]) and set(table["run"]) == {folder.name}
        (folder / TABLE).unlink()
    (tmp_path / "events.jsonl").write_bytes((folder / "events.jsonl").read_bytes())
    assert "--out FILE" in observed(capsys, tmp_path / "events.jsonl", code=2)


def test_of_a_sealed_log_what_is_needed_is_read_and_it_is_what_a_whole_reading_finds(capsys, tmp_path):
    """The hash stands for what is not parsed: a record more, a letter changed, a line torn, and the log is read in full, which says so."""
    folder, _, _ = run(capsys, tmp_path, *PLAY)
    log, whole = folder / "events.jsonl", read_run(folder)
    found = log_of(folder, ("message", "move"))
    assert found.events == tuple(e for e in whole if e.kind in ("message", "move")) and found.sha256 == canonical_hash(whole)
    lines = log.read_bytes().splitlines(keepends=True)
    k = next(n for n, line in enumerate(lines) if b'"kind":"observation"' in line)
    for changed in (lines[:k] + lines[k + 1 :], [*lines[:k], lines[k].replace(b'"view":"', b'"view":"x'), *lines[k + 1 :]], [*lines[:-1], lines[-1][:-9]]):
        log.write_bytes(b"".join(changed))
        with pytest.raises(AnalysisError, match=r"events\.jsonl"):
            log_of(folder, ("message",))
    log.unlink()
    assert log_of(folder, ("message",)).events == whole  # the sealed form, all of it


def test_a_checkpoint_that_is_gone_is_told_of_its_run_alone(capsys, tmp_path, point):
    gone = tmp_path / "gone"
    shutil.copytree(point, gone)
    bad, _, _ = run(capsys, tmp_path / "runs", *PLAY, "seats.default=remembering", f"policies.remembering.checkpoint={gone}")
    good, _, _ = run(capsys, tmp_path / "runs", *PLAY, "seats.default=remembering", f"policies.remembering.checkpoint={point}", "seed=2")
    shutil.rmtree(gone)
    shared.cache_clear()
    said = observed(capsys, tmp_path / "runs", code=2)
    assert said.startswith(f"{bad}: its checkpoint") and len(pd.read_parquet(good / TABLE)) and not (bad / TABLE).exists()
    assert f"{bad}: its" in observed(capsys, bad, "--out", tmp_path / "out", code=2) and not (tmp_path / "out").exists()


def test_a_conversation_that_cannot_be_read_is_named_and_the_others_are_observed(capsys, tmp_path, point):
    """A game whose messages go back in time: no loader lets one through, so it is made after loading."""
    c = texts_of_file(spoken(tmp_path))
    back = replace(c[0].conversation, id="back", messages=c[0].conversation.messages[::-1])
    texts = [c[0], replace(c[0], name="back", where="x.jsonl (conversation 'back')", conversation=back), c[1]]
    found = dict(_rows(texts, ObserveWish(checkpoint=point)))
    assert [len(found[n]) for n in (0, 2)] == [6, 2] and found[1].startswith("x.jsonl (conversation 'back'): a message of time 1000 cannot be absorbed after")


@pytest.mark.parametrize(("content", "name", "said"), [
    ("{", "said.jsonl", "said.jsonl:1: not JSON"), ("[]", "game.json", "game.json"), ("{}", "lines.jsonl.gz", "lies in a folder irc_disentanglement"),
])  # fmt: skip
def test_files_that_are_nothing_known_are_refused(capsys, tmp_path, point, content, name, said):
    (tmp_path / name).write_text(content)
    assert said in observed(capsys, tmp_path / name, "--out", tmp_path / "out", "--checkpoint", point, code=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "text"), [
    ("chat.csv", "user,text\nann,hi\n"), ("chat.jsonl", '{"user": "ann", "text": "hi"}\n'), ("rows.jsonl", '{"messages": [{"role": "user", "content": "hi"}]}\n'),
])  # fmt: skip
@pytest.mark.parametrize("out", [True, False])
def test_chat_of_another_program_is_to_be_imported_first(capsys, tmp_path, name, text, out):
    path = tmp_path / name
    path.write_text(text)
    said = observed(capsys, path, *(("--out", tmp_path / "out") if out else ()), code=2)
    assert f"{path}: plain chat, which is imported first: python -m sandbox import {path} --out DIR" in said and not (tmp_path / "out").exists()


def test_places_and_names_that_will_not_do_are_refused(capsys, tmp_path, point):
    source = spoken(tmp_path)
    assert "--out FILE" in observed(capsys, source, code=2)
    assert "no run there and no file" in observed(capsys, tmp_path / "nowhere", code=2)
    assert "no checkpoint folder" in observed(capsys, source, "--out", tmp_path / "x", "--checkpoint", "nobody", code=2)
    assert "cannot be written" in observed(capsys, source, "--out", tmp_path / "no" / "x", "--checkpoint", point, code=2)
    assert not (tmp_path / "x").exists()


def irc(folder: Path, name: str = "chat") -> Path:
    """Two excerpts as the corpus has them: one of three lines, one of twelve people."""
    (folder / "irc_disentanglement").mkdir()
    lines = [{"file": "a", "line": k, "kind": kind, "nick": nick, "ts": f"2005-01-01T10:0{k}:00", "text": text} for k, (kind, nick, text) in enumerate(
        [("msg", "ann", "hello"), ("system", "", "bob joined"), ("msg", "bob", "hi ann"), ("action", "ann", "waves")])]
    lines += [{"file": "b", "line": k, "kind": "msg", "nick": f"n{k % 12}", "ts": "2005-01-01T10:00:00", "text": f"line {k}"} for k in range(24)]
    path = folder / "irc_disentanglement" / f"{name}.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def test_irc_has_two_rows_a_message_in_a_large_room(capsys, tmp_path, point):
    path = irc(tmp_path)
    assert [len(text.conversation.messages) for text in texts_of_file(path)] == [3, 24]
    observed(capsys, path, "--out", tmp_path / "out", "--checkpoint", point)
    table = pd.read_parquet(tmp_path / "out")
    assert table.groupby("run").size().to_dict() == {"irc/a": 6, "irc/b": 48}
    room = table[(table["run"] == "irc/b") & table["reader"].isna()]
    assert len(room) == 24 and room["other_key"].notna().all() and room["own_key"].isna().all() and room["nats"].isna().all()
    assert np.isfinite(room["nats_no_own"]).all() and (room["moved"].iloc[:12] == 1).all()  # nothing was held of them: all is new


@needs_data
def test_a_recorded_game_is_read(capsys, tmp_path, point):
    game = min((DATA / "cicero_games").glob("game_*.json"), key=lambda path: path.stat().st_size)
    observed(capsys, game, "--out", tmp_path / "out", "--checkpoint", point)
    table, said = pd.read_parquet(tmp_path / "out"), texts_of_file(game)[0].conversation.messages
    assert len(table) == sum(len(m.channel.readers) for m in said) and set(table["author"]) <= {"AUSTRIA", "ENGLAND", "FRANCE", "GERMANY", "ITALY", "RUSSIA", "TURKEY"}


def test_a_log_whose_messages_go_back_in_time_is_refused(capsys, tmp_path, point):
    early, late = (message(name, "A", ["A", "B"], step=k, time=time) for k, (name, time) in enumerate((("m0", 5), ("m1", 4))))
    folder = write_run(tmp_path / "changed", [early, late])
    assert "'m1' is older than one that" in observed(capsys, folder, "--checkpoint", point, code=2) and not (folder / TABLE).exists()
