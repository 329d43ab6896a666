"""Runs that went wrong, are of another world, or were made to harm: a report of what there is, or one line."""

import csv
import subprocess
import sys

import pytest

from analysis.__main__ import main
from sandbox.__main__ import main as sandbox
from sandbox.log import Event
from scenarios.diplomacy.board import initial_board
from tests.analysis.runs import adjudication, end, message, write_run

pytestmark = [pytest.mark.security(line="S4"), pytest.mark.security(line="S5")]

BAD = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>=HYPERLINK(\"http://evil\")\u202e\x00"
UNITS, OWNED = ({power: list(own) for power, own in side.items()} for side in (initial_board().units, initial_board().centers))


def reported(run, capsys):
    assert main(["report", str(run)]) == 0
    return capsys.readouterr().out


def test_a_run_of_another_world_is_reported_without_diplomacy(tmp_path, capsys):
    assert sandbox(["run", "tests/sandbox/toy.yaml", "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}"]) == 0
    run = capsys.readouterr().out.splitlines()[-1]
    lines = reported(run, capsys).splitlines()
    assert len(lines) == 2 and lines[0].startswith("messages: ") and "model" not in lines[0] and lines[1].startswith("report: ")


@pytest.mark.parametrize("last", [end("interrupted"), end("fault"), Event(kind="fault", step=1, time=1, agent="ITALY", data={"what": BAD, "why": BAD})])
def test_a_game_that_was_stopped_is_reported_as_far_as_it_went(tmp_path, capsys, last):
    run = write_run(tmp_path / "run", [message("a", "ITALY", ["FRANCE", "ITALY"], text="I promise to hold my army in Rome."), last])
    assert reported(run, capsys).splitlines()[0] == "messages: 1"
    assert {p.name for p in (run / "plots").iterdir()} == {"messages.png", "messages.csv"}


def test_an_empty_folder_and_an_empty_log_are_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "events.jsonl").touch()
    for name in ("empty", "begun", "absent"):
        assert main(["report", str(tmp_path / name)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and str(tmp_path / name) in told.err
    assert list((tmp_path / "empty").iterdir()) == []


def test_hostile_texts_and_names_steer_neither_terminal_nor_page_nor_spreadsheet(tmp_path, capsys):
    names = [f"{mark}{BAD}" for mark in ("", "=", "@", "+", "-")]
    said = [message(str(i), name, [name, "FRANCE"], text=BAD * 2000, by="model") for i, name in enumerate(names)]
    said += [message("x", "FRANCE", ["FRANCE", "ITALY"], text="I promise to support you. " * 4000), message(BAD, "ITALY", ["FRANCE", "ITALY"], text=BAD)]
    run = write_run(tmp_path / "run", [*said, adjudication("S1901M", OWNED | {BAD: ["PAR"]}, {"FRANCE": [BAD, "", "A"], BAD: [BAD]}, units=UNITS), end(BAD)])
    told = reported(run, capsys)
    page = (run / "report.md").read_text()
    tables = [path.read_text() for path in run.rglob("*.csv")]
    for text in (told, page, *tables):
        assert not set("\x1b\x07\x00\u202e") & set(text)
    assert "<script" not in page
    for path in run.rglob("*.csv"):
        for row in csv.reader(path.open(newline="")):
            assert not any(cell[:1] in ("=", "+", "@") or (cell[:1] == "-" and not cell[1:2].isdigit()) for cell in row)


@pytest.mark.parametrize("change", [{"units": 5}, {"units": {"FRANCE": 5}}, {"orders": {"FRANCE": [5]}}, {"orders": 5}, {"phase": None}, {"centers": {"FRANCE": 5}}])
def test_an_adjudication_of_another_shape_is_one_line_that_names_its_record(tmp_path, capsys, change):
    event = adjudication("S1901M", OWNED, {"FRANCE": ["A PAR H"]}, units=UNITS)
    event.data["events"][0].update(change)
    run = write_run(tmp_path / "run", [event, end()])
    assert main(["report", str(run)]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "record 0" in told.err and not (run / "report.md").exists()


def test_very_many_agents_give_plots_that_can_be_read(tmp_path, capsys):
    agents = [f"agent {i}" for i in range(60)]
    run = write_run(tmp_path / "run", [*(message(str(i), a, agents, time=i * 1000) for i, a in enumerate(agents)), end()])
    assert "messages: 60" in reported(run, capsys)
    assert (run / "plots" / "messages.png").stat().st_size > 5_000


def test_help_answers_without_the_heavy_libraries():
    code = "import sys\nfrom analysis.__main__ import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    print({'pandas', 'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
