"""The replay policy: a log is played again, and what does not fit is left out and said so."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from agents.logged import LoggedError, read_logged
from agents.policies.replay import Options, make
from agents.types import Channel, Observation, Turn
from sandbox.__main__ import main
from sandbox.log import Event, canonical, encode, read_events
from tests.sandbox.runs import run

AGENTS = ("P0", "P1", "P2", "P3")


def log_of(tmp_path, *events):
    """A log of these (kind, step, agent, data)."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(encode(Event(kind, step, 10 * step, agent, data, seq, 0.0)) for seq, (kind, step, agent, data) in enumerate(events)))
    return path


def said(step, agent, channel, readers, text, to=(), number=0):
    data = {"id": f"{step}:{agent}:{number}", "channel": channel, "readers": sorted(readers), "text": text, "to": sorted(to), "reply_to": None}
    return ("message", step, agent, data)


def asked(step, agent):
    return ("observation", step, agent, {"heard": [], "may_write": [], "view": ""})


def turn(agent, step, *channels, due=False):
    return Turn(observation=Observation(agent=agent, step=step, time=7, may_write=channels, move_due=due), memory=None, rng=None)


def channel(*readers, name=None):
    return Channel(name=name or "-".join(readers), readers=frozenset(readers))


def done(policy, *args, **kwargs):
    return policy.step([turn(*args, **kwargs)])[0][0]


def plain(events):
    """What happened, without whose words they were and how they came about."""
    wording = {"by", "act", "candidates"}
    return [e._replace(data={k: v for k, v in e.data.items() if k not in wording} if e.kind == "message" else e.data, wall=0.0) for e in events]


def test_a_run_replayed_by_all_its_agents_is_the_run_again(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    again = run(capsys, tmp_path, "seats.default=replay", f"policies.replay.run={folder}", "seed=3")[1]
    assert [canonical(e) for e in plain(again)] == [canonical(e) for e in plain(events)]
    assert {e.data["by"] for e in again if e.kind == "message"} == {"replay"}


def test_a_game_of_diplomacy_replayed_is_the_game_again_on_two_ray_hosts(capsys, tmp_path):
    given = ["run", "scenarios/diplomacy.yaml", "environment.last_year=1901", "environment.press_rounds=1", "plots=false", f"run_dir={tmp_path}"]
    folders = []
    for more in (["seats.default=scripted", "executor=local"], None):
        more = more or ["seats.default=replay", f"policies.replay.run={folders[0]}", "hosts=2"]
        assert main([*given, *more]) == 0
        folders.append(Path(capsys.readouterr().out.strip().splitlines()[-1]))
    first, second = ([canonical(e) for e in plain(read_events(f / "events.jsonl"))] for f in folders)
    assert first == second and len(first) > 100


def test_after_the_end_of_the_log_there_is_silence_and_a_fault_says_so(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, "environment.games=1")
    last = max(e.step for e in events)
    longer = run(capsys, tmp_path, "environment.games=2", "seats.P1=replay", f"policies.replay.run={folder}")[1]
    faults = [e for e in longer if e.kind == "fault"]
    assert faults and all(e.agent == "P1" and e.step > last and e.data["what"] == "replay" and f"ends with step {last}" in e.data["why"] for e in faults)
    assert not [e for e in longer if e.kind in ("message", "move") and e.agent == "P1" and e.step > last]
    assert [e.data["text"] for e in longer if e.kind == "message" and e.agent == "P1"] == [e.data["text"] for e in events if e.kind == "message" and e.agent == "P1"]


def test_an_agent_can_play_the_part_of_another(tmp_path):
    log = log_of(tmp_path, asked(0, "P0"), said(0, "P0", "P0-P1", ("P0", "P1"), "hello", to=("P1",)), ("move", 1, "P0", {"move": 7}), ("outcome", 1, None, {"events": [], "done": True}))
    policy = make(None, Options(run=str(log), names={"P2": "P0", "P0": "P2"}), AGENTS)
    first = done(policy, "P2", 0, channel("P1", "P2"), channel("P0", "P2"))
    assert [(m.author, m.channel.name, m.text, m.addressees, m.time, m.id) for m in first.messages] == [("P2", "P1-P2", "hello", {"P1"}, 7, "0:P2:0")]
    assert done(policy, "P2", 1, due=True).move == 7 and first.faults == ()
    assert "nobody is called 'P2' there" in done(policy, "P0", 0).faults[0][1]


def test_of_two_channels_with_the_same_readers_the_one_of_the_same_name_is_meant(tmp_path):
    log = log_of(tmp_path, said(0, "P0", "b", ("P0", "P1"), "hello"))
    policy = make(None, Options(run=str(log)), AGENTS)
    found = done(policy, "P0", 0, channel("P0", "P1", name="a"), channel("P0", "P1", name="b"))
    assert [m.channel.name for m in found.messages] == ["b"]


def test_what_does_not_fit_is_left_out_and_each_thing_is_said(tmp_path):
    log = log_of(
        tmp_path, said(0, "P0", "P0-P1", ("P0", "P1"), "hello"), ("intent", 0, "P0", {"intent": {"3": 1.0}}), ("move", 0, "P0", {"move": 7}), asked(1, "P0"),
        ("outcome", 2, None, {"events": [], "done": False}),
    )  # fmt: skip
    policy = make(None, Options(run=str(log)), AGENTS)
    shut = done(policy, "P0", 0, channel("P0", "P2"))
    assert shut.messages == () and shut.move is None and shut.intent == {"3": 1.0}
    assert ["no open channel" in shut.faults[0][1], "none is due" in shut.faults[1][1]] == [True, True]
    assert "made no move" in done(policy, "P0", 1, due=True).faults[0][1] and done(policy, "P0", 1).faults == ()
    assert "was not asked in step 2" in done(policy, "P0", 2).faults[0][1] and "ends with step 2" in done(policy, "P0", 3).faults[0][1]


def test_what_the_world_said_in_an_agents_name_is_not_said_again(tmp_path):
    _, step, agent, data = said(0, "P0", "P0-SELF", ("P0",), "I am P0.")
    log = log_of(tmp_path, ("message", step, agent, {**data, "id": "persona-P0"}), asked(0, "P0"))
    assert done(make(None, Options(run=str(log)), AGENTS), "P0", 0, channel("P0", name="P0-SELF")).messages == ()


def test_the_log_is_a_part_of_what_the_run_is(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    copy = tmp_path / "copy.jsonl"
    shutil.copy(folder / "events.jsonl", copy)
    again, _, _ = run(capsys, tmp_path, "seats.P1=replay", f"policies.replay.run={copy}", "snapshots.every=1")
    assert list(json.loads((again / "manifest.json").read_text())["file_sha256"]) == ["policies.replay.run"]
    manifest = json.loads((again / "manifest.json").read_text()) | {"ended": None}
    (again / "manifest.json").write_text(json.dumps(manifest))
    copy.write_bytes(copy.read_bytes()[:-100])
    assert main(["resume", str(again), "--plugin", "tests.sandbox.toy"]) == 2 and "policies.replay.run names was changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "run is missing"), ({"run": "no-such-run"}, "no events.jsonl there"), ({"run": "/dev/zero"}, "no events.jsonl there"),
        ({"run": "LOG", "names": {"P9": "P0"}}, "names.P9: no such agent here"), ({"run": "LOG", "names": {"P0": "P1", "P2": "P1"}}, "is played by two"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused_in_one_line(tmp_path, options, says):
    log = str(log_of(tmp_path, asked(0, "P0")))
    with pytest.raises(ValueError) as error:
        make(None, Options(**{key: log if value == "LOG" else value for key, value in options.items()}), AGENTS)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_log_of_which_any_byte_was_changed_is_refused_and_a_torn_one_is_read_to_its_last_whole_line(tmp_path):
    path = log_of(tmp_path, asked(0, "P0"), said(0, "P0", "P0-P1", ("P0", "P1"), "hello"), ("move", 1, "P0", {"move": 7}))
    whole = path.read_bytes()
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read_logged(path)
        except LoggedError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert whole.rfind(b"\n", 0, -1) < place, place  # only in the end of the last line, which then is a torn one
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        assert len(read_logged(path).deeds) == (0, 1, 1, 2)[lines]


@pytest.mark.parametrize("record", [b"[]", b"{}", b'{"v":1}', b"\xff" * 40, b"[" * 10_000, b'{"v":1,"seq":0,"kind":"move","step":"0","agent":"P0","data":{}}'])
def test_lines_that_are_no_records_are_refused_though_their_checksum_is_right(tmp_path, record):
    from zlib import crc32

    body = record.rstrip(b"}")
    path = tmp_path / "events.jsonl"
    path.write_bytes(body + f',"crc":"{crc32(body):08x}"}}\n'.encode())
    with pytest.raises(LoggedError, match="events.jsonl:1: "):
        read_logged(path)


def test_a_message_without_readers_and_a_record_without_end_are_refused(tmp_path):
    _, step, agent, data = said(0, "P0", "P0-P1", ("P0", "P1"), "hello")
    with pytest.raises(LoggedError, match="its message has no channel, readers or text"):
        read_logged(log_of(tmp_path, ("message", step, agent, {**data, "readers": "P0"})))
    (tmp_path / "long.jsonl").write_bytes(b"x" * (5 * 2**20))
    with pytest.raises(LoggedError, match="a record of more than 4 MiB"):
        read_logged(tmp_path / "long.jsonl")


def test_only_what_is_asked_for_is_kept(tmp_path):
    path = log_of(tmp_path, asked(0, "P0"), asked(0, "P1"), ("move", 0, "P1", {"move": 1}))
    found = read_logged(path, {"P1"})
    assert set(found.deeds) == {("P1", 0)} and found.agents == {"P0", "P1"} and dataclasses.asdict(found.deeds["P1", 0])["move"] == 1
