"""Sweeps: Hydra's grammar for the values, a run a cell, a line and a row for each."""

import csv
import json
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.config import ConfigError, cells
from tests.sandbox.runs import TOY, run

PLUGIN = ["--plugin", "tests.sandbox.toy"]


def test_the_cells_are_every_combination_in_hydras_grammar():
    assert cells(["seed=1,2", "a.b=choice(x,y)", "c=5"]) == [
        ("seed=1", "a.b=x", "c=5"), ("seed=1", "a.b=y", "c=5"), ("seed=2", "a.b=x", "c=5"), ("seed=2", "a.b=y", "c=5"),
    ]  # fmt: skip
    assert cells(["seed=range(0,3)"]) == [("seed=0",), ("seed=1",), ("seed=2",)]
    assert cells(["list=[1,2]", "seed=7"]) == [("list=[1,2]", "seed=7")] and cells([]) == [()]
    with pytest.raises(ConfigError, match="at most 10000"):
        cells(["seed=range(0,101)", "hosts=range(0,100)"])


@pytest.mark.parametrize("tasks", ["1", "2"])
def test_every_cell_is_the_run_it_would_be_alone(capsys, tmp_path, tasks):
    words = ["run", TOY, *PLUGIN, f"run_dir={tmp_path}/swept", "seed=3,4", "environment.players=3,4", "--tasks", tasks]
    assert main(words) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    with open(lines[-1], newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["environment.players"], row["ended"]) for row in rows] == [(s, p, "done") for s in "34" for p in "34"]
    assert sum(line.startswith("seed=") for line in lines) == 4 and len({row["folder"] for row in rows}) == 4
    folder, _, _ = run(capsys, tmp_path, "seed=4", "environment.players=3")
    alone = json.loads((folder / "manifest.json").read_text())["log_sha256"]
    assert rows[2]["log_sha256"] == alone == json.loads((Path(rows[2]["folder"]) / "manifest.json").read_text())["log_sha256"]


def test_a_cell_that_is_wrong_is_told_before_any_runs(capsys, tmp_path):
    assert main(["run", TOY, *PLUGIN, f"run_dir={tmp_path}", "environment.players=3,four"]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "environment.players=four" in said.err and list(tmp_path.iterdir()) == []


def test_a_cell_that_breaks_does_not_stop_the_others(capsys, tmp_path):
    assert main(["run", TOY, *PLUGIN, f"run_dir={tmp_path}", "seats.P2=crashing,guesser"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("seats.P2=")] == ["seats.P2=crashing", "seats.P2=guesser"]
    assert [line.split("ended=")[1].split()[0] for line in lines if "ended=" in line] == ["fault", "done"]
