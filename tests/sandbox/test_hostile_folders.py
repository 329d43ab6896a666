"""Folders of runs that were damaged or forged: every value of every record, manifest and snapshot put wrong, every file missing, torn or flipped.

Whatever is wrong, a command gives its normal result or one clear line; and a log that is not the one that was sealed is never taken for it.
"""

import hashlib
import json
import os
import random
import shutil
import zlib
from pathlib import Path

import pytest

import sandbox
import sandbox.folder
from sandbox.__main__ import main
from sandbox.log import Event, EventLog, LogError, canonical_hash, read_events
from sandbox.record import conversation
from sandbox.sealed import events_of, seal_log
from sandbox.snapshot import RunError, load_snapshot
from sociallm.conversation import read_conversations, write_conversations

pytestmark = pytest.mark.security(line="S5")

TOY = str(Path(__file__).parent / "toy.yaml")
PLUGIN = ["--plugin", "tests.sandbox.toy"]
SMALL = ("environment.players=3", "environment.rounds=1", "environment.narrator=w", "seats.P0=rogue", "snapshots.every=1")
HUGE, DEEP = 2**70, "@deep@"  # the second stands for lists in lists, deeper than Python reads
WRONG = (None, True, -1, HUGE, 1.5, float("nan"), float("inf"), "", "x", "\ud800", "\x1b[2J\n", [], {}, [["x"]], {"a": 1}, DEEP)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(run, fork of it): four steps of three agents, one of whom breaks the rules; the fork begins at the third, cut and erased."""
    place = tmp_path_factory.mktemp("made")
    assert main(["run", TOY, *PLUGIN, f"run_dir={place}", *SMALL]) == 0
    (run,) = (place / "toy").iterdir()
    assert main(["fork", str(run), *PLUGIN, "--at", "2", "--cut", "ALL", "--erase", "P0:P1"]) == 0
    (fork,) = set((place / "toy").iterdir()) - {run}
    return run, fork


@pytest.fixture(autouse=True)
def settings_once(monkeypatch, made):
    """A setting is a value of its file and words, and takes a third of a second to read: each is read once."""
    real = sandbox.folder.load

    def load(path, overrides=(), plugins=(), ours=False):
        key = (path.read_bytes() if path.is_file() else path, tuple(overrides), tuple(plugins), ours)
        if key not in READ:
            READ[key] = real(path, overrides, plugins, ours)
        return READ[key]

    monkeypatch.setattr(sandbox.folder, "load", load)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # no machine stops here


READ = {}


def text_of(value) -> bytes:
    """A value as JSON, sorted and compact, what has no JSON form included."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).replace("Infinity", "1e999")
    return text.replace(f'"{DEEP}"', "[" * 5000 + "]" * 5000).encode()


def mutants(value, at=()):
    """(place, value with one thing in it wrong), for every place in it."""
    yield from ((at, new) for new in WRONG if type(new) is not type(value) or new != value)
    if isinstance(value, dict):
        for key, inner in value.items():
            rest = {name: other for name, other in value.items() if name != key}
            yield (*at, key), rest
            yield from ((where, rest | {key: new}) for where, new in mutants(inner, (*at, key)))
    elif isinstance(value, list):
        if value:
            yield at, [*value, value[0]]
        for i, inner in enumerate(value):
            yield from ((where, [*value[:i], new, *value[i + 1 :]]) for where, new in mutants(inner, (*at, i)))
    elif isinstance(value, str):
        yield at, value + "0"
    elif type(value) in (int, float):
        yield at, value + 1


def some(found, count, seed):
    """So many of them: at every top key, then wherever chance falls."""
    found = list(found)
    random.Random(seed).shuffle(found)
    first = {(*at[:2], "")[:2]: (at, new) for at, new in found}
    return [*first.values(), *found][:count]


def record_of(value) -> bytes:
    body = text_of(value)[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def clear(capsys, words, also=()):
    """The exit code of a command that gives a result and no complaint, or one line and nothing else."""
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    assert said.err.count("\n") == bool(code) and len(said.err) < 900, (words, also, said.err)
    assert not code or said.err.startswith("sandbox: "), (words, also, said.err)
    assert "\x1b" not in said.err and "trace is in" not in said.err, (words, also, said.err)
    return code, said.out, said.err


def copied(folder, place):
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(folder, place))


def unfinished(folder, lines):
    """Make it a run that was killed behind these lines, with snapshots that were taken of them."""
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    (folder / "events.parquet").unlink(missing_ok=True)
    shutil.rmtree(folder / "snapshots" / "final")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"ended": None}))
    for path in (folder / "snapshots").glob("*/snapshot.json"):
        stated = json.loads(path.read_bytes())
        before = b"".join(lines[: stated["records"]])
        path.write_text(json.dumps(stated | {"log_bytes": len(before), "log_sha256": hashlib.sha256(before).hexdigest()}))
    return folder


def clear_or_fault(capsys, words, also):
    """As `clear`, but what a policy or a world does with junk that looks right is a fault of theirs, in one line too."""
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    assert said.err.count("\n") == bool(code) and said.err[:9] == ("sandbox: " if code else ""), (also, said.err)
    return code


FIRST = ("step", "observation", "fault", "intent", "message", "delivery", "move", "outcome", "reward", "intervention", "end")


@pytest.mark.parametrize("kind", FIRST)
def test_a_forged_value_in_a_record_gives_one_line_or_a_result_everywhere(made, capsys, tmp_path, kind):
    """With a right checksum, a right hash in the manifest, and snapshots to fit: only what it says can tell."""
    base = made[kind == "intervention"]
    lines = (base / "events.jsonl").read_bytes().splitlines(keepends=True)
    number, record = next((i, value) for i, line in enumerate(lines) if (value := json.loads(line))["kind"] == kind)
    for at, value in some(mutants({key: inner for key, inner in record.items() if key != "crc"}), 7, kind):
        if not isinstance(value, dict):
            continue
        forged, folder = [*lines[:number], record_of(value), *lines[number + 1 :]], copied(base, tmp_path / "forged")
        (folder / "events.jsonl").write_bytes(b"".join(forged))
        (folder / "events.parquet").unlink()
        manifest = json.loads((folder / "manifest.json").read_bytes())
        try:
            manifest["log_sha256"] = canonical_hash(folder / "events.jsonl")
            readable = True
        except LogError as error:
            assert f"events.jsonl:{number + 1}: " in str(error) and "\n" not in str(error)
            readable = False
        (folder / "manifest.json").write_text(json.dumps(manifest))
        code, _, told = clear(capsys, ["replay", folder, *PLUGIN], at)
        decided = kind in ("step", "observation", "message", "delivery", "outcome") and at[:1] not in (("wall",), ("v",))
        assert code == 2 or not decided or at[:2] == ("data", "by"), (at, value)  # what agents chose may differ; what follows from it may not
        assert readable or f"events.jsonl:{number + 1}: " in told
        pair = clear(capsys, ["log", folder, "--pair", "P0", "P1"], at)[0] if readable else 2
        assert clear(capsys, ["log", folder, "--json"], at)[0] == (0 if readable else 2) and pair in (0, 2)
        try:
            sandbox.load(folder)
        except LogError as error:
            assert "\n" not in str(error)
        clear(capsys, ["fork", folder, *PLUGIN, "--at", "3", f"run_dir={tmp_path}/forks"], at)
        clear(capsys, ["resume", unfinished(folder, forged[:-3]), *PLUGIN], at)


@pytest.mark.parametrize("which", ["run", "fork"])
def test_a_forged_value_in_a_manifest_gives_one_line_or_a_result(made, capsys, tmp_path, which):
    base = made[which == "fork"]
    lines = (base / "events.jsonl").read_bytes().splitlines(keepends=True)
    manifest = json.loads((base / "manifest.json").read_bytes())
    for at, value in some(mutants(manifest), 12, 1):
        folder = copied(base, tmp_path / "forged")
        (folder / "manifest.json").write_bytes(text_of(value))
        for command in (["replay"], ["fork", "--at", "3", f"run_dir={tmp_path}/forks"], ["log"]):
            code = clear(capsys, [command[0], folder, *(PLUGIN if command[0] != "log" else ()), *command[1:]], at)[0]
            assert at[:1] != ("log_sha256",) or code == 2, (at, command)
            assert code == 2 or command != ["replay"] or isinstance(value, dict)
        if isinstance(value, dict) and isinstance(value.get("ended"), str):
            value = value | {"ended": None}
        unfinished(copied(base, folder), lines[:-3])
        (folder / "manifest.json").write_bytes(text_of(value))
        clear(capsys, ["resume", folder, *PLUGIN], at)


@pytest.mark.parametrize("file", ["snapshot.json", "memories.json"])
def test_a_forged_value_in_a_snapshot_gives_one_line_or_the_same_log(made, capsys, tmp_path, file):
    """The snapshot that a fork began with, which nothing can stand in for, and one of a run, which an older one or the start can."""
    for base, place in ((made[1], "00000001"), (made[0], "00000002")):
        lines = (base / "events.jsonl").read_bytes().splitlines(keepends=True)
        value = json.loads((base / "snapshots" / place / file).read_bytes())
        for at, new in some(mutants(value), 7, 2):
            folder = copied(base, tmp_path / "forged")
            snapshot = folder / "snapshots" / place
            (snapshot / file).write_bytes(text_of(new))
            if file == "memories.json":
                stated = json.loads((snapshot / "snapshot.json").read_bytes())
                stated["sha256"][file] = hashlib.sha256(text_of(new)).hexdigest()
                (snapshot / "snapshot.json").write_text(json.dumps(stated))
            clear(capsys, ["replay", folder, *PLUGIN], at)
            clear_or_fault(capsys, ["fork", folder, *PLUGIN, "--at", "3", f"run_dir={tmp_path}/forks"], at)
            for other in (path for path in (folder / "snapshots").iterdir() if path.name > place):
                shutil.rmtree(other)
            (folder / "events.jsonl").write_bytes(b"".join(lines[:-3]))
            (folder / "events.parquet").unlink()
            manifest = json.loads((folder / "manifest.json").read_bytes())
            (folder / "manifest.json").write_text(json.dumps(manifest | {"ended": None}))
            code = clear_or_fault(capsys, ["resume", folder, *PLUGIN], at)
            if code == 0 and file == "snapshot.json" and at[:1] != ("world",):
                assert canonical_hash(folder / "events.jsonl") == canonical_hash(base / "events.jsonl")



DOORS = {
    "replay": lambda folder: main(["replay", str(folder), *PLUGIN]), "log": lambda folder: main(["log", str(folder)]),
    "fork": lambda folder: main(["fork", str(folder), *PLUGIN, "--at", "3"]), "resume": lambda folder: main(["resume", str(folder), *PLUGIN]),
    "load": sandbox.load,
}  # fmt: skip


@pytest.mark.parametrize("form", ["events.jsonl", "events.parquet"])
@pytest.mark.parametrize("door", DOORS)
def test_a_sealed_log_that_was_changed_is_refused_at_every_door(made, capsys, tmp_path, form, door):
    """With right checksums, in either form: its hash stands in the manifest."""
    folder = copied(made[0], tmp_path / "changed")
    events = list(read_events(folder / "events.jsonl"))
    changed = [e._replace(data={**e.data, "text": "I never said that"}) if e.kind == "message" and e.data.get("by") == "toy" else e for e in events]
    (folder / "events.jsonl").unlink()
    if form == "events.parquet":
        seal_log(folder / form, changed)
    else:
        (folder / form).write_bytes(b"".join(record_of({**e._asdict(), "v": 1}) for e in changed))
        (folder / "events.parquet").unlink()
    if door == "resume":
        manifest = json.loads((folder / "manifest.json").read_bytes())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"ended": "interrupted"}))
    try:
        code = DOORS[door](folder)
    except LogError as error:
        assert door == "load" and "manifest.json says" in str(error)
    else:
        told = capsys.readouterr().err
        assert code == 2 and told.count("\n") == 1
        assert ("manifest.json says" in told) or (door, form) == ("resume", "events.parquet")  # a run goes on from the JSON lines alone


def missing(path, rng):
    path.unlink()


def empty(path, rng):
    path.write_bytes(b"")


def torn(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def flipped(path, rng):
    content = bytearray(path.read_bytes())
    for _ in range(3):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def another(path, rng):
    path.write_bytes(rng.randbytes(300))


def a_folder(path, rng):
    path.unlink()
    path.mkdir()


def a_link_to_itself(path, rng):
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("damage", [missing, empty, torn, flipped, another, a_folder, a_link_to_itself], ids=lambda damage: damage.__name__)
def test_a_file_that_is_damaged_gives_one_line_or_the_true_result(made, capsys, tmp_path, damage):
    for turn, base in enumerate(made):
        expected, lines = canonical_hash(base / "events.jsonl"), (base / "events.jsonl").read_bytes().splitlines(keepends=True)
        names = sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())
        for name in (names[len(damage.__name__) % 2 :: 2] if turn else ("events.jsonl", "events.parquet", "manifest.json", "snapshots/00000002/memories.json")):
            rng = random.Random(f"{damage.__name__} {name}")
            folder = copied(base, tmp_path / "damaged")
            damage(folder / name, rng)
            for command in (["replay"], ["fork", "--at", "3", f"run_dir={tmp_path}/forks"], ["log", "--json"]):
                code, out, _ = clear_but_torn(capsys, [command[0], folder, *(PLUGIN if command[0] != "log" else ()), *command[1:]], name)
                if code == 0 and command[0] == "fork":
                    assert canonical_hash(Path(out.splitlines()[-1]) / "events.jsonl") == expected, name
            unfinished(copied(base, folder), lines[:-3])
            if (folder / name).is_file():
                damage(folder / name, rng)
                if clear_but_torn(capsys, ["resume", folder, *PLUGIN], name)[0] == 0:
                    assert canonical_hash(folder / "events.jsonl") == expected, name


def clear_but_torn(capsys, words, also):
    """As `clear`; that the last record is torn may be told beside the result."""
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    rest = [line for line in said.err.splitlines() if "the last record is torn" not in line]
    assert len(rest) == bool(code) and len(said.err) < 1500 and "trace is in" not in said.err, (words, also, said.err)
    return code, said.out, said.err


@pytest.mark.parametrize("path", ["", "nowhere", "file", "link", "../nowhere", "folder/..", "dangling", "nul\0byte"])
@pytest.mark.parametrize("command", ["replay", "resume", "fork", "log"])
def test_what_is_no_folder_of_a_run_is_one_line(capsys, tmp_path, monkeypatch, path, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x\n")
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert clear(capsys, [command, path, *(["--at", "1"] if command == "fork" else [])])[0] == 2
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "folder", "link"]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, HUGE])
def test_a_time_that_the_columns_cannot_hold_is_not_written(tmp_path, number):
    log = EventLog(tmp_path / "events.jsonl", fsync="none", clock=lambda: 0.0)
    for event in (Event("step", 0, number), Event("step", number, 0)):
        with pytest.raises(LogError, match="whole numbers of 64 bits"):
            log.append(event)
    log.append(Event("step", 0, 2**63 - 1))
    log.close()
    (event,) = read_events(tmp_path / "events.jsonl")
    seal_log(tmp_path / "events.parquet", [event])
    assert list(events_of(tmp_path / "events.parquet")) == [event]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1E+400", "9" * 400 + ".0"])
def test_a_number_that_json_does_not_know_is_no_record(tmp_path, number):
    body = b'{"agent":null,"data":{"reward":%s},"kind":"reward","seq":0,"step":0,"time":0,"v":1,"wall":0.0' % number.encode()
    (tmp_path / "events.jsonl").write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    with pytest.raises(LogError, match="events.jsonl:1: not a record .* is no number of JSON"):
        list(read_events(tmp_path / "events.jsonl"))


@pytest.mark.parametrize("text", ["1e5", "1e300", "9" * 400, "1e-400", '"1e999"'])
def test_a_number_that_json_knows_is_read_as_it_stands(tmp_path, text):
    body = b'{"agent":null,"data":{"reward":%s},"kind":"reward","seq":0,"step":0,"time":0,"v":1,"wall":0.0' % text.encode()
    (tmp_path / "events.jsonl").write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event.data["reward"] == json.loads(text)


def test_half_a_character_in_names_and_texts_reaches_the_conversations_and_the_tables_written_out(tmp_path):
    bad, log = "A\ud800", EventLog(tmp_path / "events.jsonl", fsync="none", clock=lambda: 0.0)
    data = {"id": bad, "channel": bad, "readers": ["B", bad], "text": bad, "to": [bad], "reply_to": None, bad: bad}
    log.append(Event("message", 0, 1, bad, data))
    log.close()
    events = list(read_events(tmp_path / "events.jsonl"))
    seal_log(tmp_path / "events.parquet", events)
    write_conversations(tmp_path / "conversations.jsonl", [conversation("x", events)])
    (message,) = next(read_conversations(tmp_path / "conversations.jsonl")).messages
    assert message.author == message.text == message.channel.name == "A\\ud800" and message.channel.readers == {"A\\ud800", "B"}
    for form in ("events.jsonl", "events.parquet"):
        table = sandbox.load(tmp_path / form).messages
        assert table["author"].tolist() == table["text"].tolist() == table["A\\ud800"].tolist() == ["A\\ud800"]


def test_a_snapshot_says_which_of_its_values_no_run_writes(made, tmp_path):
    folder = copied(made[0], tmp_path / "run") / "snapshots" / "final"
    stated = json.loads((folder / "snapshot.json").read_bytes())
    for key, value in {"step": HUGE, "time": 1.5, "done": 1, "seed": -1, "checkpoint": 3, "records": True, "mailboxes": {"P0": [1]}, "seats": {"P0": 1}}.items():
        (folder / "snapshot.json").write_text(json.dumps(stated | {key: value}))
        with pytest.raises(RunError, match=f"snapshot.json: its '{key}' is .* which no run writes"):
            load_snapshot(folder)


def test_a_message_that_its_author_might_not_send_is_found_though_all_that_follows_fits(made, capsys, tmp_path):
    """A message made to address somebody who is not there: its hash stands in the manifest, and who reads it is as the rules have it."""
    folder = copied(made[0], tmp_path / "forged")
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    number, record = next((i, r) for i, line in enumerate(lines) if (r := json.loads(line))["kind"] == "message" and r["data"].get("by") == "toy")
    del record["crc"]
    record["data"]["to"] = ["P9"]
    (folder / "events.jsonl").write_bytes(b"".join([*lines[:number], record_of(record), *lines[number + 1 :]]))
    (folder / "events.parquet").unlink()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"log_sha256": canonical_hash(folder / "events.jsonl")}))
    code, _, told = clear(capsys, ["replay", folder, *PLUGIN])
    assert code == 2 and "does what it may not: message: its addressees are not agents of this run" in told
