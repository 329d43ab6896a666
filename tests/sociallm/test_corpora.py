"""The corpora: counts as their sources state them, readers as their rules say, nothing held out in training."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from sociallm.conversation import Channel, Conversation, ConversationError, Message, from_json, to_json, write_conversations
from sociallm.corpora import HELD_OUT, LOADERS, MAX_CHARACTERS, POWERS, TRAINING, VALIDATION, load, own, tidy

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "cicero_games").is_dir(), reason=f"no data sets in {DATA}; set SOCIALLM_DATA")

# (conversations, messages): from each SOURCE.md, less the messages with no text and, for the games, the manager's lines
COUNTS = {"diplomacy_lies": (9, 13_132), "diplomacy_lies_validation": (1, 1_416), "cicero_games": (36, 5_210), "avalon_nlu": (18, 2_273),
          "llmafia": (18, 1_987), "hidden_profile_teams": (25, 840), "casino": (900, 12_501 - 2_089), "casino_validation": (30, 338),
          "persuasion_for_good": (917, 18_864)}
SLOW = {"irc_disentanglement", "crd3"}  # hundreds of thousands of lines; their loaders are tested on the small split


def test_control_characters_and_irc_colours_go_and_newlines_stay():
    assert tidy("\x0304,01red\x03 \x02bold\x0f a\tb\r\nc\x00\x1b[0m") == "red bold a b\nc[0m"
    assert tidy(" \x00\n ") == ""
    assert len(tidy("x" * 5000)) == MAX_CHARACTERS == 2000


def test_an_unknown_set_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(ConversationError, match="no corpus 'reddit'.*cicero_games"):
        load("reddit", tmp_path)


@pytest.mark.parametrize("name", LOADERS)
def test_a_missing_folder_is_one_line(name, tmp_path):
    with pytest.raises(ConversationError) as refused:
        load(name, tmp_path)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("line", ["[1]", "{}", "{\"game_id\": 1", "3"])
def test_a_damaged_record_is_one_line(line, tmp_path):
    (tmp_path / "diplomacy_lies").mkdir()
    (tmp_path / "diplomacy_lies" / "train.jsonl").write_text(line)
    with pytest.raises(ConversationError) as refused:
        load("diplomacy_lies", tmp_path)
    assert "fetch the set again" in str(refused.value) and "\n" not in str(refused.value)


def test_a_cut_or_binary_archive_is_one_line(tmp_path):
    (tmp_path / "persuasion_for_good").mkdir()
    path = tmp_path / "persuasion_for_good" / "dialogues.jsonl.gz"
    for content in (b"not gzip", gzip.compress(b'{"a": "' + b"x" * 999)[:-9], gzip.compress(b"\xff\xfe{}")):
        path.write_bytes(content)
        with pytest.raises(ConversationError) as refused:
            load("persuasion_for_good", tmp_path)
        assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


def test_dialogues_of_a_lies_game_merge_in_absolute_order_with_an_hour_at_a_new_season(tmp_path):
    (tmp_path / "diplomacy_lies").mkdir()
    rows = [{"game_id": 1, "messages": ["a", "c"], "speakers": ["italy", "germany"], "receivers": ["germany", "italy"],
             "absolute_message_index": [0, 2], "seasons": ["Spring", "Fall"], "years": ["1901", "1901"]},
            {"game_id": 1, "messages": ["b"], "speakers": ["italy"], "receivers": ["austria"], "absolute_message_index": [1], "seasons": ["Spring"], "years": ["1901"]}]
    (tmp_path / "diplomacy_lies" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (game,) = load("diplomacy_lies", tmp_path)
    assert [(m.text, m.author, m.channel.name, m.time) for m in game.messages] == [
        ("a", "ITALY", "GERMANY-ITALY", 60_000), ("b", "ITALY", "AUSTRIA-ITALY", 120_000), ("c", "GERMANY", "GERMANY-ITALY", 3_780_000)]


def test_a_mafia_night_is_read_by_the_mafia_and_midnight_is_a_new_day(tmp_path):
    (tmp_path / "llmafia").mkdir()
    game = {"game": "1", "players": [{"name": n} for n in "ABC"], "mafia": ["B", "C"]}
    events = [("23:59:50", "day", "A", "hi"), ("00:00:10", "night", "B", "whom?"), ("00:00:09", "day", "manager", "X"), ("00:00:11", "night", "A", "leak")]
    (tmp_path / "llmafia" / "games.jsonl").write_text(json.dumps(game))
    with gzip.open(tmp_path / "llmafia" / "events.jsonl.gz", "wt") as out:
        for i, (t, channel, speaker, text) in enumerate(events):
            out.write(json.dumps({"game": "1", "i": i, "t": t, "channel": channel, "speaker": speaker, "text": text}) + "\n")
    (game,) = load("llmafia", tmp_path)
    assert [(m.text, set(m.channel.readers)) for m in game.messages] == [("hi", {"A", "B", "C"}), ("whom?", {"B", "C"})]
    assert game.messages[1].time - game.messages[0].time == 20_000


def run_of(folder, id, *texts):
    channel = Channel(name="A-B", readers=frozenset("AB"))
    folder.mkdir(parents=True)
    said = Conversation(id=id, messages=tuple(Message(id=f"{i}", author="AB"[i % 2], channel=channel, time=i, text=t) for i, t in enumerate(texts)))
    write_conversations(folder / "conversations.jsonl", [said] if texts else [])


def test_own_dialogues_are_named_by_what_was_said_and_not_by_their_runs(tmp_path):
    for folder, names in (("one", ("20260101", "20260102", "20260103")), ("two", ("z", "y", "x"))):
        for name, texts in zip(names, (("hello", "hi"), ("no",), ()), strict=True):
            run_of(tmp_path / folder / "runs" / name, name, *texts)
    run_of(tmp_path / "two" / "again", "again", "no")  # said twice alike: kept once
    one, two = own(tmp_path / "one"), own(tmp_path / "two")
    assert one == two and len({c.id for c in one}) == 2 and all(c.id.startswith("own/") for c in one)
    assert sorted(m.text for c in one for m in c.messages) == ["hello", "hi", "no"]


@pytest.mark.parametrize("content", [None, "", "{}\n", "not JSON\n"])
def test_a_folder_without_own_dialogues_is_one_line(content, tmp_path):
    if content is not None:
        (tmp_path / "conversations.jsonl").write_text(content)
    with pytest.raises(ConversationError) as refused:
        own(tmp_path)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)


@needs_data
@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_source(name):
    conversations = load(name, DATA)
    assert (len(conversations), sum(len(c.messages) for c in conversations)) == COUNTS[name]


@needs_data
@pytest.mark.parametrize("name", sorted(set(LOADERS) - SLOW))
def test_every_conversation_passes_the_reader_of_the_project_unchanged(name):
    for conversation in load(name, DATA):
        assert from_json(to_json(conversation)) == conversation
        assert len({m.id for m in conversation.messages}) == len(conversation.messages)


@needs_data
def test_the_held_out_games_are_twelve_and_any_other_has_a_larger_digest():
    held_out = HELD_OUT
    names = {path.name for path in (DATA / "cicero_games").glob("game_*.json")}
    assert len(held_out) == 12 and len(names) == 36

    def digest(name):
        return hashlib.sha256(name.encode()).hexdigest()

    assert max(map(digest, held_out)) < min(map(digest, names - held_out))
    assert "game_434170_TURKEY_FIR.json" in held_out and "game_437495_RUSSIA_IT.json" not in held_out


@needs_data
def test_the_training_games_are_the_24_others(monkeypatch):
    from sociallm import corpora
    monkeypatch.setattr(corpora, "TRAINING", ("cicero_games",))
    trained = {c.id for c in corpora.training(DATA)["cicero_games"]}
    assert len(trained) == 24 and not trained & HELD_OUT


def test_evaluation_sets_are_not_training_sets():
    assert not set(TRAINING) & set(VALIDATION)
    assert not {name for name in TRAINING if name.startswith("crd3") or name.endswith(("_dev", "_validation"))}


@needs_data
def test_a_cicero_message_is_read_by_its_pair_or_by_all_seven_in_true_time():
    for game in load("cicero_games", DATA):
        for m in game.messages:
            assert m.channel.readers == POWERS if m.channel.name == "ALL" else m.channel.name.split("-") == sorted(m.channel.readers)
            assert 1_500_000_000_000 < m.time < 1_700_000_000_000  # 2017 to 2023
            assert "~N~" not in m.text


@needs_data
def test_a_team_message_reaches_neighbours_only():
    network = {t["team"]: t["network"] for t in map(json.loads, (DATA / "hidden_profile_teams" / "teams.jsonl").read_text().splitlines())}
    for team in load("hidden_profile_teams", DATA):
        links = network[team.id.split("/")[1]]
        for m in team.messages:
            sender = int(m.author[-1]) - 1
            assert all(links[sender][int(r[-1]) - 1] for r in m.channel.readers - {m.author})
