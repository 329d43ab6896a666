"""The export of real runs: what it holds, that it is the same whoever asks in whatever order, and what it refuses."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from sandbox.__main__ import main
from sandbox.exporting.export import export
from sandbox.exporting.source import side
from sandbox.exporting.wish import FORMATS, ExportError, Wish
from sandbox.log import canonical_hash, encode, read_events
from scenarios.diplomacy.saved import read as read_game
from sociallm.checkpoint import resolve
from sociallm.conversation import read_conversations
from sociallm.corpora import own
from tests.sandbox.exports import content, runs


def rows(folder: Path, pattern: str = "*/*.jsonl"):
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text(encoding="ascii").splitlines()]


def made(tmp_path, format="messages", of=("",), name="out", **options):
    """(folder, counts) of an export of some arms."""
    counts = export([runs() / arm for arm in of], Wish(format=format, out=tmp_path / name, **options))
    return tmp_path / name, counts


def refused(tmp_path, *words, capsys):
    """The one line in which it is."""
    assert main(["export", *map(str, words), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("sandbox: ") and not any("Traceback" in line for line in said)
    return said[-1]


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "diplomacy"])
def test_the_same_runs_give_the_same_bytes_wherever_they_lie_and_in_whatever_order_they_are_named(tmp_path, format):
    moved = shutil.copytree(runs(), tmp_path / "elsewhere" / "deep" / "er")
    arms = sorted(path for path in moved.iterdir())
    export([runs()], Wish(format=format, out=tmp_path / "one"))
    export([*reversed(arms), moved], Wish(format=format, out=tmp_path / "other"))
    assert content(tmp_path / "one") == content(tmp_path / "other") and len(content(tmp_path / "one")) >= 3


def test_an_export_that_is_done_is_left_as_it_is_and_gives_its_counts_again(tmp_path):
    out, counts = made(tmp_path, of=["ring"])
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert made(tmp_path, of=["ring"])[1] == counts
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times
    next(out.glob("train/*")).write_text("changed")
    with pytest.raises(ExportError, match="changed or lost"):
        made(tmp_path, of=["ring"])


def test_a_row_is_what_one_agent_read_and_said_with_its_persona_as_system(tmp_path):
    out, counts = made(tmp_path, of=["personas"])
    found = {row["agent"]: row for row in rows(out)}
    log = [json.loads(line) for line in (runs() / "personas/1/events.jsonl").read_text().splitlines()]
    said = [event for event in log if event["kind"] == "message" and event["data"]["by"] != "world"]
    for agent, row in found.items():
        system, *turns = row["messages"]
        heard = [e for e in said if agent in e["data"]["readers"]]
        assert system["role"] == "system" and system["content"].startswith(f"You are {agent}.")
        assert len(turns) == len(heard) == len(row["authors"]) == len(row["intents"]) == len(row["times"])
        assert sorted(row["times"]) == sorted(e["time"] for e in heard)
        for turn, author, to in zip(turns, row["authors"], row["to"], strict=True):
            mine = author == agent
            assert turn["role"] == ("assistant" if mine else "user")
            assert turn["content"].startswith(f"to {', '.join(to)}: " if mine else f"{author} to {', '.join(to)}: ")
    assert "cheerful player" in found["FRANCE"]["messages"][0]["content"]
    assert not any("cheerful player" in json.dumps(row) for agent, row in found.items() if agent != "FRANCE")
    assert counts.messages == len(said) + 2 and counts.turns["train"] + counts.turns["validation"] == sum(len(row["authors"]) for row in found.values())


def test_what_an_agent_planned_stands_beside_its_first_words_of_a_step_and_can_be_left_out_with_labels(tmp_path):
    log = [json.loads(line) for line in (runs() / "ring/1/events.jsonl").read_text().splitlines()]
    meant = {(e["step"], e["agent"]): e["data"]["intent"] for e in log if e["kind"] == "intent"}
    spoke = {(e["step"], e["agent"]) for e in log if e["kind"] == "message" and e["data"]["by"] != "world"}
    out, _ = made(tmp_path, of=["ring/1"])
    found = [json.loads(text) for row in rows(out) for text in row["intents"] if text]
    assert sorted(map(json.dumps, found)) == sorted(json.dumps(meant[key]) for key in spoke if key in meant) and found
    bare, _ = made(tmp_path, of=["ring/1"], name="bare", without=frozenset({"intents", "labels"}))
    assert not any({"intents", "planted", "labelled"} & set(row) for row in rows(bare))


def test_all_runs_of_a_game_stand_on_one_side(tmp_path):
    out, counts = made(tmp_path, validation=0.5)
    sides = {which: {row["game"] for path in (out / which).glob("*") for row in map(json.loads, path.read_text().splitlines())} for which in ("train", "validation")}
    assert not sides["train"] & sides["validation"] and all(sides.values())
    assert {game: which for which, games in sides.items() for game in games} == {game: side(game, 0.5) for games in sides.values() for game in games}
    of = {(row["run"], row["game"]) for row in rows(out)}
    assert sorted(game for _, game in of).count("team_task 1") == 2 and counts.games == {which: len(games) for which, games in sides.items()}


def test_a_fork_with_another_seed_is_of_the_game_it_was_forked_from(tmp_path, capsys):
    assert main(["fork", str(runs() / "ring" / "1"), "--at", "1", "seed=99", f"run_dir={tmp_path / 'forks'}"]) == 0
    fork = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert json.loads((fork / "manifest.json").read_text())["seed"] == 99
    export([fork, runs() / "ring" / "1"], Wish(format="messages", out=tmp_path / "out"))
    assert {(row["game"], row["seed"]) for row in rows(tmp_path / "out")} == {("team_task 1", 1), ("team_task 1", 99)}


def test_planted_rows_are_tagged_or_left_out_and_never_go_without_their_tag(tmp_path):
    out, _ = made(tmp_path, of=["cartel", "twin"])
    labels = json.loads((runs() / "cartel/1/labels.json").read_text())["agents"]
    liars = {agent for agent, row in labels.items() if row["planted"]}
    assert len(liars) == 2
    tagged = [row for row in rows(out) if row["planted"]]
    assert {row["agent"] for row in tagged} == liars and len({row["run"] for row in tagged}) == 2 and all(row["labelled"] for row in rows(out))
    without, counts = made(tmp_path, of=["cartel", "twin"], name="without", planted="exclude")
    assert not any(row["planted"] for row in rows(without)) and counts.left_out["planted"] == 4
    assert {row["id"] for row in rows(without)} == {row["id"] for row in rows(out)} - {row["id"] for row in tagged}
    whole, counts = made(tmp_path, "conversations", of=["cartel", "twin"], name="whole", planted="exclude")
    assert counts.left_out == {"planted": 2} and len(rows(whole, "*/*/*.jsonl")) == 2
    with pytest.raises(ExportError, match="was planted, and without labels"):
        made(tmp_path, of=["cartel"], name="untagged", without=frozenset({"labels"}))


def test_conversations_are_what_training_reads(tmp_path):
    out, counts = made(tmp_path, "conversations", of=["ring", "personas"], validation=0.0)
    found = own(out / "train")
    said = [c for run in ("ring/1", "ring/2", "ring/3", "personas/1") for c in read_conversations(runs() / run / "conversations.jsonl")]
    assert counts.rows == {"train": 4, "validation": 0}
    assert sorted(tuple((m.author, m.text, m.time, m.channel, m.addressees) for m in c.messages) for c in found) == sorted(
        tuple((m.author, m.text, m.time, m.channel, m.addressees) for m in c.messages) for c in said)


def test_parquet_holds_the_rows_of_messages(tmp_path):
    lines, _ = made(tmp_path, "messages", name="lines")
    columns, _ = made(tmp_path, "parquet", name="columns")
    assert [row for path in sorted(columns.glob("*/*.parquet")) for row in parquet.read_table(path).to_pylist()] == rows(lines)


def test_a_saved_game_can_be_read_and_games_of_other_worlds_are_refused(tmp_path, capsys):
    out, counts = made(tmp_path, "diplomacy", of=["personas"], validation=0.0)
    (path,) = out.glob("train/*.json")
    game = read_game(path)
    manifest = json.loads((runs() / "personas/1/manifest.json").read_text())
    assert game.id == manifest["log_sha256"][:16] == path.stem
    assert sum(len(phase.messages) for phase in game.phases) == counts.turns["train"] == manifest["messages"] - 2
    assert "which no saved game of Diplomacy can hold" in refused(tmp_path / "b", runs() / "ring", "--format", "diplomacy", capsys=capsys)
    assert not (tmp_path / "b").exists()


def test_a_corpus_answers_within_its_channel(tmp_path):
    out, _ = made(tmp_path, "convokit", of=["personas"], validation=0.0)
    said = [json.loads(line) for line in (out / "train/utterances.jsonl").read_text().splitlines()]
    talks, speakers = (json.loads((out / f"train/{name}.json").read_text()) for name in ("conversations", "speakers"))
    by = {one["id"]: one for one in said}
    assert len(by) == len(said) and {one["conversation_id"] for one in said} == set(talks) and {one["speaker"] for one in said} == set(speakers)
    for one in said:
        assert (one["id"] == one["conversation_id"]) == (one["reply-to"] is None)
        assert one["reply-to"] is None or by[one["reply-to"]]["conversation_id"] == one["conversation_id"]
        assert one["speaker"].partition("/")[2] in talks[one["conversation_id"]]["meta"]["readers"]
    assert len(talks) == len({talk["meta"]["channel"] for talk in talks.values()})


# ---- what is refused -----------------------------------------------------------------------------------------------------


@pytest.fixture
def one(tmp_path):
    """A copy of a run, to be changed."""
    return shutil.copytree(runs() / "ring" / "1", tmp_path / "runs" / "1")


def changed(run, **values):
    path = run / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(("values", "what"), [
    ({"ended": None}, "is going on, or was killed; first python -m sandbox resume"), ({"ended": "fault"}, "ended otherwise (fault)"),
    ({"log_version": 2}, "its log is of version 2"), ({"v": 9}, "version 9, this program knows"), ({"messages": 0}, "nobody said anything"),
    ({"messages": 7}, "manifest.json says 7"), ({"log_sha256": None}, "does not say which log was sealed"),
    ({"log_sha256": "0" * 64, "files": {}}, "one of them was changed"), ({"seed": True}, "its seed is True"), ({"seed": 2**63}, "its seed is 9223372036854775808"),
])  # fmt: skip
def test_a_run_that_is_not_whole_is_refused_in_one_line(one, tmp_path, capsys, values, what):
    changed(one, **values)
    assert what in refused(tmp_path, one, "--format", "messages", capsys=capsys)
    assert not (tmp_path / "out" / "export.json").exists()


def test_a_log_that_was_cut_short_or_changed_is_refused_and_one_of_its_two_forms_is_enough(one, tmp_path, capsys):
    whole, _ = made(tmp_path, of=["ring/1"], name="whole")
    text = (one / "events.jsonl").read_bytes()
    (one / "events.jsonl").write_bytes(text[: len(text) // 2])
    export([one], Wish(format="messages", out=tmp_path / "columns"))  # the columns are whole
    assert content(tmp_path / "columns") == content(whole)
    (one / "events.parquet").unlink()
    assert "is torn" in refused(tmp_path / "a", one, "--format", "messages", capsys=capsys)
    (one / "events.jsonl").write_bytes(b"".join(text.splitlines(keepends=True)[:-9]))
    assert "one of them was changed" in refused(tmp_path / "b", one, "--format", "messages", capsys=capsys)
    (one / "events.jsonl").write_bytes(text)
    export([one], Wish(format="messages", out=tmp_path / "lines"))
    assert content(tmp_path / "lines") == content(whole)


@pytest.mark.parametrize("text", ["", "[]", '{"agents": {"M1": {"planted": 1, "as": [], "executed": false}}}', '{"agents": {"M1": {"planted": true}}}', '{"agents": {"M1": {"planted": true, "as": [3], "executed": false}}}', '{"agents": {"M1": {"planted": true, "as": "lie", "executed": false}}}', "[" * 100_000])
def test_labels_that_no_run_writes_are_refused(one, tmp_path, capsys, text):
    (one / "labels.json").write_text(text)
    assert "labels.json: " in refused(tmp_path, one, "--format", "messages", capsys=capsys)


def test_hostile_names_in_labels_and_manifest_become_plain(one, tmp_path):
    changed(one, name="x\ud800\n| # y")
    (one / "labels.json").write_text(json.dumps({"agents": {"M1": {"planted": True, "as": ["lie\ud800\x1b"], "executed": False}}}))
    for format in ("messages", "parquet", "convokit"):
        export([one], Wish(format=format, out=tmp_path / format))
        assert b"\\u001b" not in b"".join(content(tmp_path / format).values())
    assert {row["scenario"] for row in rows(tmp_path / "messages")} == {"x\\ud800 | # y"}
    assert "| x_ud800_____y | team_task | none | yes | 1 |" in (tmp_path / "messages/README.md").read_text()


def test_with_skip_what_cannot_be_exported_is_counted_and_told(one, tmp_path, capsys):
    changed(one, ended=None)
    other = runs() / "ring" / "2"
    assert main(["export", str(one), str(other), "--format", "messages", "--skip", "--out", str(tmp_path / "out")]) == 0
    assert "runs skipped: 1 the run is going on, or was killed" in capsys.readouterr().out
    assert {row["seed"] for row in rows(tmp_path / "out")} == {2}
    assert "nothing to export (1 the run is going on" in refused(tmp_path / "b", one, "--format", "messages", "--skip", capsys=capsys)


def test_an_experiment_with_runs_that_were_not_begun_is_refused(tmp_path, capsys):
    folder = tmp_path / "experiment"
    shutil.copytree(runs() / "ring" / "1", folder / "ring" / "1")
    shutil.copy(runs() / "ring/1/config.yaml", folder / "scenario.yaml")
    (folder / "experiment.yaml").write_text("experiment: e\nscenario: scenario.yaml\nseeds: [1, 2]\narms: {ring: []}\n")
    assert "1 runs of this experiment were not begun, such as ring/2" in refused(tmp_path, folder, "--format", "messages", capsys=capsys)
    shutil.copytree(runs() / "ring" / "2", folder / "ring" / "2")
    assert main(["export", str(folder), "--format", "messages", "--out", str(tmp_path / "out")]) == 0


def test_a_copy_of_a_game_under_another_name_is_refused_where_it_would_stand_on_the_other_side(one, tmp_path):
    """A fork of game 1 that says it is of another: its log differs at the end, and begins as the other does."""
    events = [event._replace(time=event.time + 1) if event.kind == "end" else event for event in read_events(one / "events.jsonl")]
    (one / "events.jsonl").write_bytes(b"".join(map(encode, events)))
    (one / "events.parquet").unlink()
    share, seed = next((s / 100, n) for n in range(2, 50) for s in range(1, 100) if side(f"team_task {n}", s / 100) != side("team_task 1", s / 100))
    changed(one, seed=seed, log_sha256=canonical_hash(events))
    with pytest.raises(ExportError, match="would stand on the other side of the split"):
        export([one, runs() / "ring" / "1"], Wish(format="messages", out=tmp_path / "out", validation=share))
    assert not (tmp_path / "out/export.json").exists()


def test_a_folder_that_is_no_export_or_another_one_is_left_alone(tmp_path, capsys):
    ring = runs() / "ring"
    (tmp_path / "a/out").mkdir(parents=True)
    (tmp_path / "a/out/letters.txt").write_text("mine")
    assert "is no export; nothing there was touched" in refused(tmp_path / "a", ring, "--format", "messages", capsys=capsys)
    assert content(tmp_path / "a") == {"out/letters.txt": b"mine"}
    out, _ = made(tmp_path, of=["ring"])
    before = content(out)
    assert "with other options (format 'messages', now 'parquet'" in refused(tmp_path, ring, "--format", "parquet", capsys=capsys)
    assert "of other runs" in refused(tmp_path, ring / "1", "--format", "messages", capsys=capsys)
    assert content(out) == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b/out").symlink_to(out)
    assert "a link" in refused(tmp_path / "b", ring, "--format", "messages", capsys=capsys)
    assert main(["export", str(ring), "--format", "messages", "--out", str(ring / "1" / "snapshots" / "x")]) == 2
    assert "lies in the run" in capsys.readouterr().err and not (ring / "1/snapshots/x").exists()
    assert main(["export", str(ring / "1"), "--format", "messages", "--out", str(runs() / "pairs" / "1" / "x")]) == 2  # of a run that is not exported
    assert "lies in the run" in capsys.readouterr().err and not (runs() / "pairs/1/x").exists()


@pytest.mark.parametrize(("words", "what"), [
    (("--format", "csv"), "expected one of messages, sharegpt"), (("--format", "messages", "--without", "names"), "expected one or both of intents, labels"),
    (("--format", "messages", "--planted", "maybe"), "expected one of tag, exclude"), (("--format", "messages", "--validation", "nan"), "expected a share"),
    (("--format", "messages", "--length", "9..3"), "expected FROM..TO in words"), (("--format", "messages", "--energy", "0.9..0.1"), "expected two quantiles"),
    (("--format", "messages", "--length", "some"), "expected FROM..TO"), (("--format", "messages", "--of", "5"), "that --cap is a share of"),
    (("--format", "messages", "--checkpoint", "base"), "is for the energy filter"), (("--format", "messages", "--energy", "0..1"), "has no observed.parquet"),
])  # fmt: skip
def test_a_wish_that_cannot_be_had_is_refused_in_one_line(tmp_path, capsys, words, what):
    assert what in refused(tmp_path, runs() / "ring", *words, capsys=capsys)
    assert not list(tmp_path.iterdir())  # so that the remedy can be followed


# ---- what was changed while an export stood still, or after it was done ----------------------------------------------------


class Stopped(Exception):
    pass


def begun(out, **options):
    """An export that stopped when its first piece was written, and what finishes it."""
    of = [runs() / "ring", runs() / "pairs"]

    def stop(line):
        if "written" in line:
            raise Stopped

    with pytest.raises(Stopped):
        export(of, Wish(format="messages", out=out, **options), stop, messages=20)
    return lambda: export(of, Wish(format="messages", out=out, **options), messages=20)


def of_a_piece(out):
    return next(path for path in sorted(out.glob("*/*.jsonl")) if path.parent.name != "stage")


@pytest.mark.parametrize(("change", "what"), [
    (lambda out: of_a_piece(out).unlink(), "changed or lost since it was written"),
    (lambda out: of_a_piece(out).write_bytes(of_a_piece(out).read_bytes()[:50]), "changed or lost since it was written"),
    (lambda out: (out / "stage/written.jsonl").write_text("{}\n"), "line 1 was changed"),
    (lambda out: (out / "stage/written.jsonl").write_bytes((out / "stage/written.jsonl").read_bytes() * 2), "line 2 was changed"),
    (lambda out: (out / "stage/looked.jsonl").write_text('{"rows":[]}\n'), "line 1 was changed"),
    (lambda out: (of_a_piece(out).parent / "99999.jsonl").write_text("{}\n"), "not of this export, and would be loaded"),
    (lambda out: ((out / "stage/written.jsonl").unlink(), (out / "stage/written.jsonl").mkdir()), "no file, as an export keeps there"),
], ids=["lost", "short", "garbage", "doubled", "looked", "stray", "folder"])  # fmt: skip
def test_an_export_of_which_something_was_changed_while_it_stood_still_is_refused(tmp_path, change, what):
    """It never ends with fewer rows than it says, or with others."""
    finish = begun(tmp_path / "out", length=(0, 10**6))
    change(tmp_path / "out")
    with pytest.raises(ExportError, match=what) as refusal:
        finish()
    assert "\n" not in str(refusal.value) and not (tmp_path / "out/export.json").exists()


@pytest.mark.parametrize(("value", "what"), [
    ({"counts": None}, "not what an export writes"), ({"counts": {"x": 1}}, "not what an export writes"), ({"files": [1]}, "not what an export writes"),
    ({"files": {}}, "not of this export"),
])  # fmt: skip
def test_an_export_that_says_otherwise_of_itself_than_it_did_is_refused(tmp_path, capsys, value, what):
    out, _ = made(tmp_path, of=["ring"])
    (out / "export.json").write_text(json.dumps(json.loads((out / "export.json").read_text()) | value))
    assert what in refused(tmp_path, runs() / "ring", "--format", "messages", capsys=capsys)


def test_what_a_file_says_of_an_export_that_is_done_steers_no_terminal(tmp_path, capsys):
    out, _ = made(tmp_path, of=["ring"])
    told = json.loads((out / "export.json").read_text())
    (out / "export.json").write_text(json.dumps(told | {"counts": told["counts"] | {"left_out": {"\x1b[2J\n\u202e": 1}}}))
    assert main(["export", str(runs() / "ring"), "--format", "messages", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "left out: 1 \\x1b[2J\\n\\u202e\n" in said and "\x1b" not in said


def test_an_export_by_another_version_is_refused_and_both_are_named(tmp_path, capsys):
    out, _ = made(tmp_path, of=["ring"])
    told = json.loads((out / "export.json").read_text())
    (out / "export.json").write_text(json.dumps(told | {"generator": "social-sandbox 0.0.9, pieces of 50000"}))
    assert f"by another version (social-sandbox 0.0.9, pieces of 50000, now {told['generator']})" in refused(tmp_path, runs() / "ring", "--format", "messages", capsys=capsys)
    (out / "export.json").write_text(json.dumps(told | {"v": 1}))
    assert f"in another form (1, now {told['v']})" in refused(tmp_path, runs() / "ring", "--format", "messages", capsys=capsys)


def test_of_the_folder_of_a_checkpoint_nothing_stands_in_an_export_but_the_hash_of_its_weights(tmp_path):
    """So wherever it lies the bytes are the same, and another one in its place is another wish."""
    copy = shutil.copytree(resolve("base"), tmp_path / "mine")
    of = [runs() / "ring" / "1"]
    for name, checkpoint in (("a", "base"), ("b", str(copy))):
        export(of, Wish(format="messages", out=tmp_path / name, energy=(0.0, 1.0), checkpoint=checkpoint))
    assert content(tmp_path / "a") == content(tmp_path / "b")
    config = json.loads((copy / "config.json").read_text())
    config["sha256"]["model.safetensors"] = "0" * 64
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ExportError, match="with other options"):
        export(of, Wish(format="messages", out=tmp_path / "b", energy=(0.0, 1.0), checkpoint=str(copy)))
