"""The dataset card: whose words the rows are, under which licence, and how many of which world."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from sandbox.__main__ import main
from sandbox.exporting.export import export
from sandbox.exporting.source import source
from sandbox.exporting.wish import Wish
from sociallm.checkpoint import checkpoint_hash
from tests.sandbox.exports import played, runs
from tests.sandbox.imports import chat, imported

WISH = Wish(format="messages", out=Path("out"))


def carded(out, *folders, format="messages"):
    """(front matter, body, counts) of the card of an export."""
    counts = export(folders, Wish(format=format, out=out, validation=0.0))
    _, front, body = (out / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), body, counts


@pytest.fixture
def chats(tmp_path):
    """A folder of runs imported from a file."""
    imported(tmp_path / "chats", chat(tmp_path / "chat.csv"))
    return tmp_path / "chats"


def test_runs_that_were_played_here_are_this_programs_words(tmp_path):
    front, body, _ = carded(tmp_path / "out", runs() / "ring")
    assert front["license"] == "apache-2.0" and front["language"] == ["en"] and front["tags"][0] == "synthetic"
    assert "None of it was said by people." in body and "## Imported" not in body and "imported from files" not in body


def test_imported_runs_are_under_their_sources_licence_and_the_card_names_format_file_and_hash(tmp_path, chats):
    front, body, _ = carded(tmp_path / "out", chats)
    told = json.loads((chats / "a" / "manifest.json").read_text())["imported"]
    assert front["license"] == "unknown" and "language" not in front and "synthetic" not in front["tags"]
    assert f"| csv | chat.csv | {told['sha256']} | 2 |" in body and "2 imported from files (below): their words are not this program's" in body
    assert "None of it was said by people" not in body and "Apache" not in body and "What agents said to each other" not in body


def test_of_a_mixture_the_card_says_both_and_rows_are_counted_by_world(tmp_path, chats):
    front, body, counts = carded(tmp_path / "out", chats, runs() / "ring", runs() / "cartel")
    assert front["license"] == ["apache-2.0", "unknown"] and "language" not in front and "synthetic" not in front["tags"]
    assert "Of 7 runs 5 hold words of this program alone." in body and "- 2 imported from files" in body and "Apache-2.0, as the program" in body
    assert "None of it was said by people" not in body and "All else is under the source's licence" in body
    rows = [json.loads(line)["world"] for path in (tmp_path / "out" / "train").iterdir() for line in path.read_text().splitlines()]
    assert {world: n["train"] for world, n in counts.worlds.items()} == {world: rows.count(world) for world in ("imported", "market", "team_task")}
    assert all(f"| {world} | {rows.count(world)} | 0 |" in body and rows.count(world) for world in counts.worlds)


@pytest.mark.parametrize(("changes", "licence", "tags", "what"), [
    ({"environment": "watch"}, "unknown", False, "- 1 repeating recorded games"), ({"seats": {"M1": "human", "M2": "scripted"}}, "unknown", False, "- 1 with a person at the table"),
    ({"seats": {"M1": "llm", "M2": "scripted"}}, "unknown", True, "- 1 with seats played by models of others"),
    ({"seats": {"M1": "replay", "M2": "scripted"}}, "unknown", False, "- 1 with a seat that repeats another run"),
    ({"seats": {"M1": "mine", "M2": "llm"}}, "unknown", False, "- 1 with a seat that repeats another run"),
    ({"seats": {"M1": "social"}, "checkpoint": {"name": "my", "sha256": "0" * 64}}, "unknown", False, "a checkpoint that is not shipped"),
    ({"seats": {"M1": "social"}, "checkpoint": {"name": "base", "sha256": checkpoint_hash("base")}}, "apache-2.0", True, "None of it was said by people"),
])  # fmt: skip
def test_words_of_people_and_of_others_models_are_told_as_such(tmp_path, changes, licence, tags, what):
    run = shutil.copytree(runs() / "ring" / "1", tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | changes))
    (run / "config.yaml").write_text("environment: {game: some.json}\n")
    front, body, _ = carded(tmp_path / "out", run)
    assert front["license"] == licence and ("synthetic" in front["tags"]) == tags and what in body
    assert ("None of it was said by people" in body) == tags


def test_words_of_who_sat_there_before_a_fork_are_told(tmp_path, capsys):
    """M1 repeats another run up to step 1, and is the script from then on: what it said before stands in the rows."""
    seats = ("seats.default=scripted", "seats.M1=replay", f"policies.replay.run={runs() / 'ring' / '1'}", "environment.talks=2")
    (run,) = played(tmp_path / "runs", "team_task.yaml", (1,), seats)
    assert main(["fork", str(run), "--at", "1", "--policy", "M1=scripted", f"run_dir={tmp_path}", "name=forked"]) == 0
    (forked,) = (tmp_path / "forked").iterdir()
    front, body, _ = carded(tmp_path / "out", forked)
    assert set(json.loads((forked / "manifest.json").read_text())["seats"].values()) == {"scripted"} and source(forked, WISH).before == {"replay"}
    assert front["license"] == "unknown" and "- 1 with a seat that repeats another run" in body and "None of it was said by people" not in body


@pytest.mark.parametrize("told", [5, {}, {"format": "| x\n# y", "file": "[a](b)/<i>|\u202e\n", "sha256": ["z"]}])
def test_what_a_manifest_says_of_its_file_is_no_markup_in_the_card(tmp_path, told):
    run = shutil.copytree(runs() / "ring" / "1", tmp_path / "run")
    (run / "manifest.json").write_text(json.dumps(json.loads((run / "manifest.json").read_text()) | {"imported": told}))
    front, body, _ = carded(tmp_path / "out", run)
    (row,) = body.split("## Imported")[1].split("|---|---|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert front["license"] == "unknown" and row.count("|") == 5 and not set(row) & set("[]()<>#\u202e")


def test_the_card_says_what_is_known_of_plants_and_where_their_words_still_stand(tmp_path):
    _, body, _ = carded(tmp_path / "tagged", runs() / "cartel", runs() / "ring")
    assert "their rows are tagged in `planted`" in body and "| yes | 2 |" in body and "| not known | 3 |" in body
    export([runs() / "cartel"], Wish(format="messages", out=tmp_path / "left", validation=0.0, planted="exclude"))
    assert "what they said to others stands in the rows of those who read it (`planted_others`)" in (tmp_path / "left" / "README.md").read_text()


@pytest.mark.parametrize(("format", "without"), [("messages", ()), ("sharegpt", ("intents",)), ("messages", ("intents", "labels"))])
def test_the_columns_that_the_card_tells_are_those_of_every_row(tmp_path, format, without):
    export([runs() / "ring"], Wish(format=format, out=tmp_path / "out", validation=0.0, without=frozenset(without)))
    front = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n", 2)[1])
    told = [column["name"] for column in front["dataset_info"]["features"]]
    rows = [json.loads(line) for path in (tmp_path / "out" / "train").iterdir() for line in path.read_text().splitlines()]
    assert rows and all(list(row) == told for row in rows)
    body = (tmp_path / "out" / "README.md").read_text().split("## Columns")[1].split("## Who")[0]
    assert [line.split("`")[1] for line in body.splitlines() if line.startswith("| `")] == told
