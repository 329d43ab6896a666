"""Watching a recorded game: the file is checked, every message is said once, in its time, to its readers."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from scenarios.diplomacy.saved import MAX_BYTES
from scenarios.recorded import RecordedGameError, read_game
from scenarios.watch import Options, make
from sociallm.conversation import from_json, to_json
from sociallm.corpora import POWERS, load

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
needs_data = pytest.mark.skipif(not (DATA / "cicero_games").is_dir(), reason=f"no data sets in {DATA}; set SOCIALLM_DATA")
RNG = np.random.default_rng(0)
SECOND = 10_000  # of time_sent, as Cicero writes it
START = 16_609_579_180_000


def said(sender, recipient, text, seconds, phase="S1901M"):
    return {"sender": sender, "recipient": recipient, "message": text, "phase": phase, "time_sent": START + seconds * SECOND}


PHASES = [{"name": "S1901M", "messages": [said("ITALY", "AUSTRIA", "DMZ in Tyrolia?", 20), said("GERMANY", "ALL", "oh lord", 10), said("AUSTRIA", "ITALY", "yes~N~please", 20)]},
          {"name": "F1901M", "messages": [said("TURKEY", "RUSSIA", "\x00 ", 50, "F1901M"), said("RUSSIA", "TURKEY", "hi", 60, "F1901M")]},
          {"name": "W1901A", "messages": []}]


@pytest.fixture
def game(tmp_path):
    def written(phases=PHASES, name="game_1_FRANCE_AI.json"):
        (tmp_path / name).write_text(phases if isinstance(phases, str) else json.dumps({"id": "x", "phases": phases}))
        return tmp_path / name
    return written


def watched(world):
    """Every outcome from the first step to the last."""
    state, outcomes = world.start(RNG), []
    while not outcomes or not outcomes[-1].done:
        outcomes.append(world.step(state, {}, RNG))
        state = outcomes[-1].state
    return outcomes


def test_one_message_a_step_in_time_order_with_ids_of_the_step(game):
    outcomes = watched(make(Options(game=str(game()))))
    messages = [o.messages[0] for o in outcomes]
    assert [(m.id, m.author, m.channel.name, m.text) for m in messages] == [
        ("g0", "GERMANY", "ALL", "oh lord"), ("g1", "ITALY", "AUSTRIA-ITALY", "DMZ in Tyrolia?"),
        ("g2", "AUSTRIA", "AUSTRIA-ITALY", "yes\nplease"), ("g3", "RUSSIA", "RUSSIA-TURKEY", "hi")]
    assert [len(o.messages) for o in outcomes] == [1] * 4 and [o.done for o in outcomes] == [False] * 3 + [True]
    assert [m.time - START // 10 for m in messages] == [10_000, 20_000, 20_000, 60_000]


def test_all_seven_read_the_public_channel_and_a_pair_reads_its_own(game):
    public, pair, *_ = (o.messages[0] for o in watched(make(Options(game=str(game())))))
    assert public.channel.readers == POWERS and len(POWERS) == 7
    assert {p for p in POWERS if pair.read_by(p)} == {"AUSTRIA", "ITALY"}


def test_nobody_is_asked_and_the_window_is_the_moment_of_the_next_message(game):
    world = make(Options(game=str(game())))
    assert world.agents == tuple(sorted(POWERS)) and world.language is None
    for k, message in enumerate(world.game.messages):
        window = world.window(k)
        assert (window.agents, window.channels, window.move_due) == ((), (), False)
        assert window.start == window.end == message.time
    assert json.loads(json.dumps([world.to_json(2), world.observe(2, "ITALY")])) == [{"said": 2}, {"game": "game_1_FRANCE_AI.json", "phase": "S1901M"}]
    assert world.window(4) == world.window(3)  # asked once more after the last message


def test_events_name_the_game_once_and_the_phase_when_it_changes(game):
    events = [o.events for o in watched(make(Options(game=str(game()))))]
    assert events == [({"what": "game", "game": "game_1_FRANCE_AI.json", "messages": 4}, {"what": "phase", "phase": "S1901M"}), (), (),
                      ({"what": "phase", "phase": "F1901M"},)]


def test_stepping_twice_from_a_state_gives_the_same(game):
    world = make(Options(game=str(game())))
    assert world.step(1, {"ITALY": "anything"}, RNG) == world.step(1, {}, np.random.default_rng(9))


@pytest.mark.parametrize(("stamp", "ms"), [
    (16_656_885_110_000, 1_665_688_511_000),  # Cicero's games: seconds × 10,000
    (166_180_308_900, 1_661_803_089_000),  # Cicero's example: seconds × 100
    (1_661_803_089_123_456, 1_661_803_089_123),  # the diplomacy package: microseconds
    (1_661_803_089_123, 1_661_803_089_123), (1_661_803_089, 1_661_803_089_000), (90_000, 90_000), (0, 0)])
def test_the_unit_of_a_stamp_follows_from_its_size(game, stamp, ms):
    path = game([{"name": "S1901M", "messages": [said("ITALY", "AUSTRIA", "x", 0) | {"time_sent": stamp}]}])
    assert read_game(path).messages[0].time == ms


def test_global_is_all_and_lines_of_the_server_are_left_out(game):
    path = game([{"name": "S1901M", "messages": [said("SYSTEM", "GLOBAL", "phase 2", 0), said("ITALY", "OBSERVER", "x", 1), said("ITALY", "GLOBAL", "hello", 2)]}])
    assert [(m.channel.name, m.text) for m in read_game(path).messages] == [("ALL", "hello")]


def with_message(**changes):
    message = said("ITALY", "AUSTRIA", "x", 0) | changes
    return [{"name": "S1901M", "messages": [said("ITALY", "AUSTRIA", "fine", 0), {k: v for k, v in message.items() if v is not ...}]}]


@pytest.mark.parametrize(("content", "said_why"), [
    ("", "not JSON"), ("{\"phases\": [", "not JSON"), ("[]", "list \"phases\""), ("{}", "list \"phases\""), ("{\"phases\": {}}", "list \"phases\""),
    ("[" * 200_000, ""), ("{\"phases\": [3]}", "phase 0"), ([{"name": "S1901M", "messages": {}}], "phase 0"),
    ([], "nothing to watch"), ([{"name": "S1901M", "messages": []}], "nothing to watch"), ([{"name": "S1901M", "messages": ["hi"]}], "message 0: expected an object"),
    (with_message(sender="NARNIA"), "phase 0, message 1: sender 'NARNIA' is not a power"), (with_message(recipient="EVERYBODY"), "recipient 'EVERYBODY'"),
    (with_message(sender="ALL"), "sender 'ALL'"), (with_message(sender=["ITALY"]), "'sender' must be text"), (with_message(recipient="ITALY"), "writes to itself"),
    (with_message(message=None), "'message' must be text"), (with_message(message=...), "'message' must be text"),
    (with_message(time_sent="now"), "'time_sent' must be a whole number"), (with_message(time_sent=1.5), "whole number"), (with_message(time_sent=True), "whole number"),
    (with_message(time_sent=-1), "out of range"), (with_message(time_sent=10**30), "out of range"),
    (with_message(phase="../../etc"), "phase '../../etc'"), (with_message(phase=7), "phase 7"),
])
def test_a_file_that_is_not_a_game_is_refused_in_one_line(game, content, said_why):
    with pytest.raises(RecordedGameError) as refused:
        read_game(game(content))
    assert "game_1_FRANCE_AI.json" in str(refused.value) and said_why in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file_a_folder_a_pipe_and_a_huge_file_are_refused_unread(tmp_path):
    (tmp_path / "huge.json").touch()
    os.truncate(tmp_path / "huge.json", MAX_BYTES + 1)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "latin.json").write_bytes(b'{"phases": "\xe9"}')
    for name in ("missing.json", ".", "huge.json", "pipe.json", "latin.json"):
        with pytest.raises(RecordedGameError) as refused:
            read_game(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_hostile_text_is_cleaned_and_cut(game):
    path = game(with_message(message="\x1b[2J\x07gotcha\ud800\u0085 " + "x" * 10_000))
    text = read_game(path).messages[1].text
    assert text.startswith("[2Jgotcha? xxx") and len(text) == 2_000


@needs_data
def test_every_published_game_is_read_as_the_training_corpus_reads_it():
    corpus = {c.id: c for c in load("cicero_games", DATA)}
    assert len(corpus) == 36
    for name, conversation in corpus.items():
        recorded = read_game(DATA / "cicero_games" / name)
        assert [(m.author, m.channel, m.time, m.text) for m in recorded.messages] == [(m.author, m.channel, m.time, m.text) for m in conversation.messages]
        assert from_json(to_json(recorded.conversation())) == recorded.conversation()


@needs_data
def test_the_small_example_of_the_repository_is_read_too():
    example = read_game(DATA / "cicero_games" / "example_fullpress_game.json")
    assert len(example.messages) == 164 and example.messages[0].text.startswith("Hey Italy, any interest in keeping Tyrolia as a DMZ?")
