"""The command line: what it prints, what it refuses, and what it does not import to say so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.log import HEADS, describe
from scenarios.table import WORLDS
from tests.sandbox.runs import TOY, run

ROOT = Path(__file__).parents[2]


def test_help_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from sandbox.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'mesa', 'numpy', 'hydra', 'omegaconf', 'pandas', 'rich', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "run a scenario" in done.stdout and "print the log" in done.stdout


@pytest.mark.parametrize("order", ["FILE --plugin MODULE seed=5", "--plugin MODULE FILE seed=5", "FILE seed=5 --plugin MODULE"])
def test_overrides_may_stand_before_or_behind_the_options(capsys, tmp_path, order):
    words = order.replace("MODULE", "tests.sandbox.toy").replace("FILE", TOY).split()
    assert main(["run", *words, f"run_dir={tmp_path}"]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((folder / "manifest.json").read_text())["seed"] == 5


def test_an_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", TOY, "--sede=5"])
    assert "--sede=5" in capsys.readouterr().err


def shown(capsys, *arguments, code=0):
    assert main(["log", *map(str, arguments)]) == code
    return capsys.readouterr()


def test_the_log_is_printed_one_event_a_line(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    assert shown(capsys, folder).out.splitlines() == [HEADS, *(describe(event) for event in events)]
    assert shown(capsys, folder / "events.jsonl").out.splitlines() == [HEADS, *(describe(event) for event in events)]


def test_as_json_the_log_is_printed_as_it_stands(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    assert shown(capsys, folder, "--json").out == (folder / "events.jsonl").read_text()


def test_events_are_chosen_by_kind_agent_step_and_channel(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)

    def chosen(*arguments):
        return [json.loads(line)["seq"] for line in shown(capsys, folder, "--json", *arguments).out.splitlines()]

    assert chosen("--kind", "move") == [e.seq for e in events if e.kind == "move"]
    assert chosen("--kind", "move", "--kind", "end") == [e.seq for e in events if e.kind in ("move", "end")]
    assert chosen("--agent", "P1", "--step", "2") == [e.seq for e in events if e.agent == "P1" and e.step == 2]
    here = [e for e in events if e.data.get("channel") == "P0-P1"]
    ids = {e.data["id"] for e in here}
    assert ids and chosen("--channel", "P0-P1") == [e.seq for e in events if e in here or e.data.get("message") in ids]


def test_a_pair_is_what_one_wrote_and_the_other_read(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    said = [e for e in events if e.kind == "message" and e.agent in ("P0", "P2") and {"P0", "P2"} <= set(e.data["readers"])]
    ids = {e.data["id"] for e in said}
    assert {e.data["channel"] for e in said} == {"P0-P2", "ALL"} and {e.agent for e in said} <= {"P0", "P2"}
    lines = shown(capsys, folder, "--json", "--pair", "P2", "P0").out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [e.seq for e in events if e in said or e.data.get("message") in ids]


def test_a_damaged_log_is_told_in_one_line(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    log = folder / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"I say", b"I lie", 1))
    said = shown(capsys, folder, code=2)
    assert said.err.startswith(f"sandbox: {log}:") and "checksum" in said.err and said.err.count("\n") == 1


def test_a_torn_log_is_printed_up_to_the_tear(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    log = folder / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-2])
    said = shown(capsys, folder, code=2)  # sealed when it was whole
    assert len(said.out.splitlines()) == 1 + len(events) - 1 and "torn" in said.err and "manifest.json" in said.err
    manifest = json.loads((folder / "manifest.json").read_text()) | {"ended": None}  # as a kill leaves it
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = shown(capsys, folder)
    assert len(said.out.splitlines()) == 1 + len(events) - 1 and "torn" in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize(("arguments", "part"), [(["nowhere"], "nowhere"), ([".", "--kind", "gossip"], "gossip")])
def test_what_cannot_be_printed_is_told_in_one_line(capsys, tmp_path, monkeypatch, arguments, part):
    monkeypatch.chdir(tmp_path)
    said = shown(capsys, *arguments, code=2)
    assert said.err.startswith("sandbox: ") and part in said.err and said.err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, "environment.games=100")
    command = f"{sys.executable} -m sandbox log {folder} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1


def told_lines(steps, share=None):
    import io

    from sandbox.progress import EVERY, Progress

    now = iter([0.0, 1.0, EVERY, EVERY + 1, 2 * EVERY])
    out = io.StringIO()
    with Progress(out, lambda: next(now), share) as told:
        for given in steps:
            told.tell(*given)
    return out.getvalue().splitlines()


def test_progress_is_plain_lines_where_there_is_no_terminal():
    lines = told_lines([(step, step * 10, "S1901M\x1b[2J") for step in range(4)])
    assert lines == ["step 2  S1901M\\x1b[2J  10 messages  2.0/s", "step 4  S1901M\\x1b[2J  30 messages  3.0/s"]


def test_progress_tells_the_time_left_by_the_share_behind_since_this_session_took_over():
    lines = told_lines([(step, 0, "", 0.5 + step / 40) for step in range(4)])
    # after 5 s a fortieth more than at the first step, 0.475 left: 95 s; after 10 s three fortieths, 0.425 left: 56.7 s
    assert [line.split("  ")[-1] for line in lines] == ["1:35 left", "0:57 left"]


NOT_THERE = {
    "agent": (["--agent", "p1"], "--agent 'p1': no such agent in this log; there are P0, P1, P2, P3; did you mean P1?"),
    "pair": (["--pair", "P0", "P9"], "--pair 'P9': no such agent in this log; there are P0, P1, P2, P3"),
    "one twice": (["--pair", "P0", "P0", "--kind", "end"], "--pair P0 P0: one agent named twice; expected two"),
    "channel": (["--channel", "P1-P0"], "there are ALL, P0-P1, P0-P2, P0-P3, P1-P2, P1-P3, P2-P3; did you mean P0-P1?"),
    "step": (["--agent", "P1", "--step", "99"], "--step 99: no such step in this log; expected 0 to 5"),
    "kind": (["--kind", "memroy"], "--kind memroy: unknown; did you mean memory? Expected one of intervention, step,"),
    "two kinds": (["--kind", "message", "delivery"], "'delivery' stands alone; give --kind once for each kind: --kind message --kind delivery"),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_a_log_does_not_have_is_told_with_what_it_has(capsys, tmp_path, name):
    folder, _, _ = run(capsys, tmp_path)
    words, told = NOT_THERE[name]
    said = shown(capsys, folder, *words, code=2)
    assert said.err.startswith("sandbox: ") and told in said.err and said.err.count("\n") == 1 and not said.out


def test_what_did_not_happen_in_a_run_is_told_and_no_error(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    assert not {"memory", "fault"} & {event.kind for event in events}
    assert shown(capsys, folder, "--kind", "memory").err == "sandbox: no memory events: no seat of this run has a model\n"
    assert shown(capsys, folder, "--kind", "fault", "--step", "1").err.startswith("sandbox: no fault events: ")
    said = shown(capsys, folder, "--kind", "end", "--agent", "P1")  # all of it is there, not all at once
    assert said.err == "sandbox: no event is all of what was asked for; leave one of the options out\n" and not said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run seed=3 scenarios/liars.yaml", "'scenarios/liars.yaml' is no key=value; the scenario comes first: run scenarios/liars.yaml seed=3"),
        ("run seed=3 hosts=1", "'seed=3' is a setting; the scenario comes first: run scenarios/liars.yaml seed=3 hosts=1"),
        ("run scenarios/liars.yaml seed=2 scenarios/market.yaml", "'scenarios/market.yaml' is no key=value; a run has one scenario, and settings: run scenarios/liars.yaml seed=2"),
        ("run scenarios/liars.yaml --plugin os seed", "'seed' is no key=value; a run has one scenario, and settings: run scenarios/liars.yaml seed=3"),
        ("run liars", "did you mean scenarios/liars.yaml?"),
        ("run scenarios/lairs.yaml", "no such file; did you mean scenarios/liars.yaml?"),
        ("run scenarios/liars.yaml --plugin my/beauty.py", "--plugin my/beauty.py: this names a file; name the module: --plugin my.beauty"),
        ("run scenarios/liars.yaml environment.name=beauty", f"unknown world 'beauty'; expected one of {', '.join(sorted(WORLDS))}; one of your own comes with --plugin MODULE"),
        ("fork RUN --at 2 --policy FRANCE scripted", "--policy 'FRANCE': expected --policy SEAT=POLICY, as in --policy FRANCE=scripted"),
        ("fork RUN OTHER --at 2", "'OTHER' is no key=value; a fork takes one run, and settings such as seed=7"),
        ("resume RUN seed=3", "resume: a run goes on with its own settings; fork changes them from a step on: python -m sandbox fork RUN --at STEP seed=3"),
        ("log --kind message delivery RUN", "give --kind once for each kind: --kind message --kind delivery"),
    ],
)
def test_words_in_the_wrong_place_are_put_right_in_one_line(capsys, monkeypatch, words, told):
    monkeypatch.chdir(ROOT)
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert said.err.startswith("sandbox: ") and told in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(("words", "needed"), [("run", "file"), ("fork", "run")])
def test_settings_are_not_said_to_be_required(capsys, words, needed):
    with pytest.raises(SystemExit, match="2"):
        main([words])
    assert capsys.readouterr().err.endswith(f"the following arguments are required: {needed}\n")


def test_an_option_is_not_taken_for_another_that_begins_alike(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["log", str(folder), "--chan", "ALL"])
    assert "--chan" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["resume", "replay", "fork", "log"])
def test_what_is_no_runs_folder_is_told_with_the_one_to_name(capsys, tmp_path, command):
    folder, _, _ = run(capsys, tmp_path)
    found = {
        folder.parent: f"{folder.parent}: a folder of 1 run, itself none; name one of them, such as {folder}",
        tmp_path: f"{tmp_path}: a folder of 1 run, itself none; name one of them, such as {folder}",
        folder / "snapshots": f"a folder in that of a run; give the run's own: {folder}",
        tmp_path / "nowhere": "no such folder",
    }
    if command != "log":  # which reads a log by itself too
        found[folder / "events.jsonl"] = f"this is a file; give the run's folder: {folder}"
    for place, told in found.items():
        assert main([command, str(place)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith("sandbox: ") and told in said.err and said.err.count("\n") == 1
