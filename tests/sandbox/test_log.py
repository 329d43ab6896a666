"""The event log: what was written is read again, what was changed is noticed, what was cut is only the last record."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import zlib

import pytest

from sandbox import log as logs
from sandbox.log import Event, EventLog, LogError, canonical_hash, describe, encode, printable, read_events, value_of

pytestmark = pytest.mark.security(line="S5")

HOSTILE = "line\nfeed \u2028 \u2029 \x00 \x1b]0;title\x07 \x1b[2J \x9b31m \u202egnirts\u202c \ud800 \U000e0041 [red]markup[/red] é 漢"


def write(path, events, fsync="none", wall=1.5):
    log = EventLog(path, fsync=fsync, clock=lambda: wall)
    log.commit(events)
    log.close()
    return path


def some(n=5):
    return [Event(kind="message", step=i // 2, time=i * 10, agent=f"P{i}", data={"id": f"m{i}", "text": f"text {i} é"}) for i in range(n)]


def test_what_was_written_is_read_again_numbered(tmp_path):
    events = list(read_events(write(tmp_path / "e.jsonl", some())))
    assert [(e.kind, e.step, e.time, e.agent, e.data) for e in events] == [(e.kind, e.step, e.time, e.agent, e.data) for e in some()]
    assert [e.seq for e in events] == [0, 1, 2, 3, 4] and {e.wall for e in events} == {1.5}


def test_a_record_is_plain_json_and_carries_the_crc_of_what_stands_before_it():
    line = encode(Event(kind="end", step=1, time=2, data={"ended": "done", "why": None}, seq=7, wall=0.25))
    body = '{"agent":null,"data":{"ended":"done","why":null},"kind":"end","seq":7,"step":1,"time":2,"v":1,"wall":0.25'
    assert line.decode() == f'{body},"crc":"{zlib.crc32(body.encode()):08x}"}}\n'
    assert json.loads(line)["crc"] == f"{zlib.crc32(body.encode()):08x}"


def test_every_truncation_opens_and_loses_at_most_the_torn_record(tmp_path):
    whole = write(tmp_path / "e.jsonl", some()).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    cut = tmp_path / "cut.jsonl"
    for length in range(len(whole) + 1):
        cut.write_bytes(whole[:length])
        told = []
        events = list(read_events(cut, torn=told.append))
        assert len(events) == sum(end <= length for end in ends)
        assert len(told) == (length not in (0, *ends))


def test_a_torn_record_is_reported_even_to_those_who_do_not_ask(tmp_path):
    path = write(tmp_path / "e.jsonl", some())
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match=r"e\.jsonl:5: the last record is torn"):
        assert len(list(read_events(path))) == 4


@pytest.mark.parametrize("text", ['{\n "v": 1,\n "counts": {}\n}\n', '{"v": 1}', "user,text\nann,hi\n", "x", "\n", '{"agent_of": 1}\n', '{"messages": []}\n'])
def test_a_file_that_never_was_a_log_is_told_as_such_and_not_as_a_damaged_one(tmp_path, text):
    path = tmp_path / "import.json"
    path.write_text(text)
    with pytest.raises(LogError, match=r"import\.json:1: not a record of an event log, so this is no log; give the folder of a run"):
        list(read_events(path, torn=lambda _: None))


def test_a_line_longer_than_any_record_is_refused_before_it_is_taken_in_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "e.jsonl", some())
    longest = max(map(len, path.read_bytes().splitlines(keepends=True)))
    monkeypatch.setattr(logs, "LONGEST", longest)
    assert len(list(read_events(path))) == 5
    monkeypatch.setattr(logs, "LONGEST", longest - 1)
    with pytest.raises(LogError, match=rf"e\.jsonl:\d: a line of more than {longest - 1} bytes, longer than any record"):
        list(read_events(path))


@pytest.mark.parametrize("left", [b"\0" * 99, b'{"ag', b"{"])
def test_a_log_whose_first_record_did_not_come_to_disk_whole_is_a_torn_one(tmp_path, left):
    (tmp_path / "events.jsonl").write_bytes(left)
    told: list[str] = []
    assert not list(read_events(tmp_path / "events.jsonl", torn=told.append)) and "the last record is torn" in told[0]


def test_every_flipped_bit_is_noticed_with_its_line(tmp_path):
    whole = write(tmp_path / "e.jsonl", some(3)).read_bytes()
    flipped = tmp_path / "flipped.jsonl"
    for position in range(len(whole)):
        for bit in range(8):
            raw = bytearray(whole)
            raw[position] ^= 1 << bit
            flipped.write_bytes(raw)
            told = []
            line = whole[:position].count(b"\n") + 1
            try:
                list(read_events(flipped, torn=told.append))
            except LogError as error:
                assert str(error).startswith(f"{flipped}:{line}: ") and "this is no log" not in str(error)
            else:  # the last line's own end: it reads as a record cut short
                assert position == len(whole) - 1 and told[0].startswith(f"{flipped}:{line}: ")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:1] + lines[2:], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: lines[:2] + lines[1:], 3),
    ],
    ids=["one lost", "first lost", "two swapped", "one twice"],
)
def test_lost_moved_and_repeated_records_are_noticed(tmp_path, change, line):
    path = write(tmp_path / "e.jsonl", some())
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(LogError, match=rf":{line}: "):
        list(read_events(path))


def test_a_record_of_another_version_is_refused(tmp_path):
    body = b'{"agent":null,"data":{},"kind":"end","seq":0,"step":0,"time":0,"v":99,"wall":0'
    path = tmp_path / "e.jsonl"
    path.write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    with pytest.raises(LogError, match="version 99, this reader knows 1"):
        list(read_events(path))


def test_the_canonical_hash_leaves_out_the_wall_time_and_nothing_else(tmp_path):
    one = canonical_hash(write(tmp_path / "a.jsonl", some(), wall=1.0))
    assert one == canonical_hash(write(tmp_path / "b.jsonl", some(), wall=2.0, fsync="turn"))
    assert one != canonical_hash(write(tmp_path / "c.jsonl", some(4)))
    assert one != canonical_hash(write(tmp_path / "d.jsonl", list(reversed(some()))))


def test_the_canonical_form_is_the_sorted_record_without_wall_and_crc(tmp_path):
    path = write(tmp_path / "a.jsonl", [Event(kind="end", step=1, time=2, agent="A", data={"b": 1, "a": "é"})])
    line = '{"agent":"A","data":{"a":"\\u00e9","b":1},"kind":"end","seq":0,"step":1,"time":2,"v":1}\n'
    assert canonical_hash(path) == hashlib.sha256(line.encode()).hexdigest()


def test_hostile_text_stays_one_line_and_comes_back_as_it_was(tmp_path):
    path = write(tmp_path / "e.jsonl", [Event(kind="message", step=0, time=0, agent=HOSTILE, data={"text": HOSTILE, HOSTILE: 1})])
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1 and all(32 <= byte < 127 for byte in raw[:-1])
    (event,) = read_events(path)
    assert event.agent == HOSTILE and event.data == {"text": HOSTILE, HOSTILE: 1}


def test_nothing_printed_can_steer_a_terminal():
    for text in (HOSTILE, "".join(map(chr, range(0x300))) + "".join(map(chr, range(0x2000, 0x2100))) + "\ufeff\ufff9"):
        for said in (printable(text), describe(Event(kind="message", step=0, time=0, agent=text, data={"text": text, "channel": text}))):
            said.encode("utf-8")  # no lone surrogates
            bad = [*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
            assert not set(map(ord, said)) & set(bad)
    assert printable("plain é 漢 [red]") == "plain é 漢 [red]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object()])
def test_what_has_no_json_form_is_refused_and_nothing_is_written(tmp_path, value):
    log = EventLog(tmp_path / "e.jsonl", fsync="none", clock=lambda: 0.0)
    with pytest.raises(LogError, match="has no JSON form"):
        log.append(Event(kind="move", step=0, time=0, data={"move": value}))
    log.append(Event(kind="end", step=0, time=0))
    log.close()
    assert [e.kind for e in read_events(tmp_path / "e.jsonl")] == ["end"]


def test_a_step_with_an_event_that_cannot_be_written_is_left_out_whole(tmp_path):
    log = EventLog(tmp_path / "e.jsonl", fsync="none", clock=lambda: 0.0)
    with pytest.raises(LogError, match="move event of step 1"):
        log.commit([*some(), Event(kind="move", step=1, time=0, data={"move": float("nan")})])
    log.close()
    assert (tmp_path / "e.jsonl").read_bytes() == b""


def test_an_unknown_kind_is_refused():
    with pytest.raises(LogError, match="'gossip' is unknown"):
        encode(Event(kind="gossip", step=0, time=0))


def test_a_log_is_never_written_over(tmp_path):
    write(tmp_path / "e.jsonl", some())
    with pytest.raises(FileExistsError):
        EventLog(tmp_path / "e.jsonl", fsync="none", clock=lambda: 0.0)


@pytest.mark.parametrize(("fsync", "expected"), [("turn", 1 + 5 + 1), ("step", 1 + 1 + 1), ("none", 1)])
def test_the_log_is_synced_as_often_as_its_policy_says_after_its_folder_and_once_when_it_is_sealed(tmp_path, monkeypatch, fsync, expected):
    calls = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(file), real(file)))
    write(tmp_path / "e.jsonl", some(), fsync=fsync)
    assert len(calls) == expected


@pytest.mark.parametrize("fsync", ["turn", "step", "none"])
@pytest.mark.parametrize("room", [0, 10, 400])  # bytes: none at all, part of a record, some records and a part
def test_what_a_full_disk_does_not_hold_whole_is_taken_back_and_the_log_goes_on_when_there_is_room(tmp_path, monkeypatch, fsync, room):
    log, left = EventLog(tmp_path / "e.jsonl", fsync=fsync, clock=lambda: 0.0), [room]
    log.append(some()[0])
    real = os.write

    def write(file, content):
        if not left[0]:
            raise OSError(28, "No space left on device")
        done = real(file, content[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(LogError, match=r"e.jsonl: record \d cannot be written \(.*is the disk full"):
        log.commit(some())
    monkeypatch.undo()
    kept = 3 if fsync == "turn" and room == 400 else 1  # a record takes 150 to 200 bytes
    assert log.count == kept == len(list(read_events(tmp_path / "e.jsonl")))
    log.commit(some())
    log.close()
    assert [e.seq for e in read_events(tmp_path / "e.jsonl")] == list(range(kept + 5))


WRITER = """
import itertools, sys
from pathlib import Path
from sandbox.log import Event, EventLog
log = EventLog(Path(sys.argv[1]), fsync="none", clock=lambda: 0.0)
for i in itertools.count():
    log.append(Event(kind="message", step=i, time=i, data={"text": "x" * (i % 700)}))
    print(i, flush=True)
"""


def test_no_record_that_was_told_is_lost_when_the_writer_is_killed(tmp_path):
    for attempt in range(3):
        path = tmp_path / f"{attempt}.jsonl"
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        told = [int(child.stdout.readline()) for _ in range(200 + 137 * attempt)][-1]
        os.kill(child.pid, signal.SIGKILL)
        told = max([told, *map(int, child.stdout.read().split(b"\n")[:-1])])
        child.wait()
        assert len(list(read_events(path, torn=lambda _: None))) >= told + 1


def test_a_signal_between_a_write_and_its_count_leaves_the_numbers_whole(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "e.jsonl", fsync="none", clock=lambda: 0.0)
    log.append(some()[0])
    real = os.write

    def interrupted(file, line):
        real(file, line)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        log.append(some()[1])
    monkeypatch.undo()
    log.append(Event(kind="end", step=0, time=0))
    log.close()
    assert [e.seq for e in read_events(tmp_path / "e.jsonl")] == [0, 1, 2]


@pytest.mark.parametrize("change", [{"step": "0"}, {"time": None}, {"agent": ["P0"]}, {"data": []}, {"kind": "gossip"}, {"kind": []}])
def test_a_record_of_the_wrong_types_is_refused_though_its_checksum_is_right(tmp_path, change):
    record = json.loads(encode(Event(kind="end", step=0, time=0, seq=0)))
    del record["crc"]
    body = json.dumps(record | change, sort_keys=True, separators=(",", ":")).encode()[:-1]
    (tmp_path / "e.jsonl").write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    with pytest.raises(LogError, match="e.jsonl:1"):
        list(read_events(tmp_path / "e.jsonl"))


@pytest.mark.parametrize("event", [
    Event(kind="end", step=0, time=-5), Event(kind="move", step=3, time=2**60, agent=HOSTILE, data={"move": HOSTILE}, seq=9, wall=1e9 / 3),
    Event(kind="message", step=1, time=0, agent="", data={"b": [1.5, None], "a": {"é": True}}, seq=10**12, wall=0.0),
    *(Event(kind="move", step=1, time=2, agent="A", data=data) for data in ({"move": 7}, {"move": True}, {"move": -(10**30)}, {"move": 1, "a": 2}, {})),
    *(Event(kind="observation", step=1, time=2, agent="A", data={"heard": heard, "may_write": may, "view": view} | more)
      for heard in ([], ["m"]) for may in ([], ["A-B"], 0) for view in ("f" * 64, 'a"é', None) for more in ({}, {"b": 1})),
])  # fmt: skip
def test_a_record_is_the_text_that_json_would_give_for_all_of_it(event):
    whole = {
        "v": 1, "seq": event.seq, "kind": event.kind, "step": event.step, "time": event.time, "agent": event.agent, "data": event.data,
        "wall": event.wall,
    }  # fmt: skip
    body = json.dumps(whole, sort_keys=True, separators=(",", ":"))[:-1].encode()
    assert encode(event) == body + b',"crc":"%08x"}\n' % zlib.crc32(body)


@pytest.mark.parametrize("wrong", [{"step": 1.0}, {"time": None}, {"step": True}, {"time": "5"}])
def test_a_step_or_time_that_is_no_whole_number_is_refused(wrong):
    with pytest.raises(LogError, match="whole numbers"):
        encode(Event(**{"kind": "end", "step": 0, "time": 0} | wrong))


@pytest.mark.parametrize(("fsync", "writes"), [("turn", 5), ("step", 1), ("none", 1)])
def test_the_records_of_a_step_are_one_write_or_one_each_if_each_is_to_be_synced(tmp_path, monkeypatch, fsync, writes):
    written = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, line: (written.append(line), real(file, line))[1])
    path = write(tmp_path / "e.jsonl", some(), fsync=fsync)
    assert b"".join(written) == path.read_bytes() and len(written) == writes and all(part.endswith(b"\n") for part in written)


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("before", [True, False])
def test_a_signal_in_the_midst_of_a_step_leaves_count_place_and_numbers_whole(tmp_path, monkeypatch, at, before):
    log = EventLog(path := tmp_path / "e.jsonl", fsync="turn", clock=lambda: 0.0)  # where a step is five writes
    log.append(Event(kind="end", step=0, time=0))
    real, calls = os.write, iter(range(5))

    def interrupted(file, line):
        if (now := next(calls) == at) and before:
            raise KeyboardInterrupt
        done = real(file, line)
        if now:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        log.commit(some())
    monkeypatch.undo()
    log.append(Event(kind="end", step=9, time=9))
    log.close()
    content = path.read_bytes()
    records = 1 + at + (not before) + 1
    assert [e.seq for e in read_events(path)] == list(range(records)) == list(range(log.count))
    assert log.place == (records, len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("text", ["", " ", "nul", "1 2", "{} {}", '{"a": 1', "NaN", "[-Infinity]", "[1e999]", "\ufeff1", b"\xff"])
def test_what_is_no_json_has_no_value(text):
    with pytest.raises(ValueError):
        value_of(text)


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, "b"]}', ' {"a": [1, 2.5, "b"]}\n', b'\t{"a":[1,2.5,"b"]} '])
def test_a_json_text_has_its_value_with_and_without_space_around_it(text):
    assert value_of(text) == {"a": [1, 2.5, "b"]}
