"""S5: tables in CSV and the live line of a terminal, where every text is hostile; and one event is one line of the log, whatever is said."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from analysis import generations
from analysis.__main__ import main as analysis
from sandbox.__main__ import main as sandbox
from sandbox.log import Event, EventLog, read_events
from sandbox.spreadsheet import cell
from tests.security.hostile import BAD, PLUGIN, SCENARIO
from tests.security.safe import told, unsafe

pytestmark = pytest.mark.security(line="S5")
ROOT = Path(__file__).parents[2]
ASKED = "experiment: hostile\nscenario: x.yaml\nseeds: [1, 2]\narms: {one: [], two: [policies.speaking.raises_at=1]}\nthen: []\n"
WHOLE = BAD.replace("\ud800", "")  # tables of pandas hold UTF-8 alone
NEGATIVE = re.compile(r"-?\d*\.?\d+(e[+-]?\d+)?")


def is_plain(path: Path) -> bool:
    """Whether a table in CSV holds nothing that a terminal obeys, and no cell that a spreadsheet would run."""
    with open(path, encoding="utf-8", newline="") as file:
        cells = [one for row in csv.reader(file) for one in row]
    assert cells
    return all(not unsafe(one) and "\n" not in one and (one[:1] not in ("=", "+", "-", "@") or NEGATIVE.fullmatch(one)) for one in cells)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    """Two arms of two seeds, one of which breaks in hostile words."""
    place = tmp_path_factory.mktemp("experiment")
    (place / "x.yaml").write_text(SCENARIO)
    (place / "e.yaml").write_text(ASKED)
    assert sandbox(["run", str(place / "e.yaml"), *PLUGIN, f"run_dir={place}"]) == 1
    (folder,) = (place / "hostile").iterdir()
    return folder


def test_all_tables_of_a_report_are_plain(experiment, capsys):
    code, _ = told(capsys, analysis, "report", experiment / "one" / "1")
    tables = list((experiment / "one" / "1").rglob("*.csv"))
    assert code == 0 and len(tables) >= 2 and all(map(is_plain, tables))


def test_what_an_experiment_tells_is_plain_and_so_are_its_tables(experiment, capsys):
    path = experiment / "one" / "2" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest | {"log_sha256": f"={BAD}"}))
    assert told(capsys, sandbox, "resume", experiment, *PLUGIN)[0] == 1
    path.write_text(json.dumps(manifest))
    assert told(capsys, analysis, "arms", experiment)[0] == 0
    for command in ("scores", "verdicts", "monitored", "report"):
        assert told(capsys, analysis, command, experiment, *(["--no-models"] if command == "scores" else []))[0] in (0, 2)
    tables = list(experiment.glob("*.csv"))
    assert {"runs.csv", "arms.csv"} <= {table.name for table in tables} and all(map(is_plain, tables))
    assert "'=" in (experiment / "runs.csv").read_text()


def test_a_sweep_and_a_table_of_generations_are_plain(capsys, tmp_path):
    (tmp_path / "x.yaml").write_text(SCENARIO)
    assert told(capsys, sandbox, "run", tmp_path / "x.yaml", *PLUGIN, f"run_dir={tmp_path}", "game='=1+1','@x'", "environment.breaks_at=-1")[0] == 0
    (table,) = tmp_path.glob("sweep-*.csv")
    generations.write(pd.DataFrame([{"generation": 0, f"={WHOLE}": -1.5, "stop": f"@{WHOLE}"}, {"generation": 1, f"={WHOLE}": float("nan"), "stop": ""}]), tmp_path / "generations.csv")
    assert is_plain(table) and is_plain(tmp_path / "generations.csv")
    assert pd.read_csv(tmp_path / "generations.csv").iloc[:, 1].tolist()[0] == -1.5


@pytest.mark.parametrize("text", ["=1", "+1+1", "-x", "@SUM(A1)", "-1+cmd|' /C calc'!A0", "=" + BAD, "\t=1", "\r=1"])
def test_a_formula_is_no_formula_as_a_cell(text):
    made = str(cell(text))
    assert made[0] in "'\\" and not unsafe(made) and "\n" not in made


@pytest.mark.parametrize("value", [-1, 2.5, None, True, "-1", "+2.5e-3", "words", ""])
def test_numbers_and_words_are_cells_as_they_are(value):
    assert cell(value) is value


def test_one_event_is_one_line_whatever_is_said(tmp_path):
    events = [Event(kind="message", step=i, time=i, agent=BAD[i:], data={"id": BAD, "channel": BAD, "readers": [BAD], "text": BAD[i:], "to": [], "reply_to": None, BAD: BAD}) for i in range(len(BAD))]
    log = EventLog(tmp_path / "events.jsonl", fsync="none", clock=lambda: 0.0)
    log.commit(events)
    log.close()
    raw = (tmp_path / "events.jsonl").read_bytes()
    assert raw.count(b"\n") == len(raw.splitlines()) == len(events) and raw.isascii()
    assert [(e.agent, e.data["text"]) for e in read_events(tmp_path / "events.jsonl")] == [(e.agent, e.data["text"]) for e in events]


OURS = re.compile(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A")  # what the live line itself asks of a terminal: cursor off and on, this line empty, one up


def test_on_a_terminal_there_are_no_controls_but_those_of_the_live_line(tmp_path):
    (tmp_path / "x.yaml").write_text(SCENARIO)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "sandbox", "run", str(tmp_path / "x.yaml"), *PLUGIN, f"run_dir={tmp_path}", "--watch", "policies.speaking.raises_at=1"]
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    child = subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    raw = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # the child has closed its side
            break
        if not more:
            break
        raw += more
    os.close(ours)
    assert child.wait() == 1
    shown = raw.decode("utf-8")
    assert "\x1b[?25l" in shown and "FORGED" in shown  # it was live, and hostile words were shown
    assert not {c for c in OURS.sub("", shown) if c not in "\r\n" and unicodedata.category(c)[0] == "C"}
    assert "\x1b[2J" not in shown and not any(line.lstrip().startswith("FORGED") for line in OURS.sub("", shown).split("\n"))
