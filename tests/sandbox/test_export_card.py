"""The dataset card: whose words the rows are, under which licence, and how many of which world."""

import json
import shutil

import pytest
import yaml

from sandbox.exporting.export import export
from sandbox.exporting.wish import Wish
from tests.sandbox.exports import runs
from tests.sandbox.imports import chat, imported


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
])  # fmt: skip
def test_words_of_people_and_of_others_models_are_told_as_such(tmp_path, changes, licence, tags, what):
    run = shutil.copytree(runs() / "ring" / "1", tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | changes))
    (run / "config.yaml").write_text("environment: {game: some.json}\n")
    front, body, _ = carded(tmp_path / "out", run)
    assert front["license"] == licence and ("synthetic" in front["tags"]) == tags and what in body
    assert ("None of it was said by people" in body) == tags


@pytest.mark.parametrize("told", [5, {}, {"format": "| x\n# y", "file": "[a](b)/<i>|\u202e\n", "sha256": ["z"]}])
def test_what_a_manifest_says_of_its_file_is_no_markup_in_the_card(tmp_path, told):
    run = shutil.copytree(runs() / "ring" / "1", tmp_path / "run")
    (run / "manifest.json").write_text(json.dumps(json.loads((run / "manifest.json").read_text()) | {"imported": told}))
    front, body, _ = carded(tmp_path / "out", run)
    (row,) = body.split("## Imported")[1].split("|---|---|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert front["license"] == "unknown" and row.count("|") == 5 and not set(row) & set("[]()<>#\u202e")


@pytest.mark.parametrize(("format", "without"), [("messages", ()), ("sharegpt", ("intents",)), ("messages", ("intents", "labels"))])
def test_the_columns_that_the_card_tells_are_those_of_every_row(tmp_path, format, without):
    export([runs() / "ring"], Wish(format=format, out=tmp_path / "out", validation=0.0, without=frozenset(without)))
    front = yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n", 2)[1])
    told = [column["name"] for column in front["dataset_info"]["features"]]
    rows = [json.loads(line) for path in (tmp_path / "out" / "train").iterdir() for line in path.read_text().splitlines()]
    assert rows and all(list(row) == told for row in rows)
