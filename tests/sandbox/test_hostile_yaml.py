"""Scenario files, overrides, plug-ins and places that are wrong in every way there is: one line, and nothing is written."""

import os
from pathlib import Path

import pytest

from sandbox.__main__ import main
from sandbox.config import ConfigError, load

pytestmark = pytest.mark.security(line="S1")

TOY = ("tests.sandbox.toy",)
PLAIN = "name: x\nenvironment: {name: toy, players: 2, rounds: 0, games: 1}\nseats: {default: guesser}\nexecutor: local\nplots: false\n"
# what each key refuses, whatever else it takes
TYPES = {
    "a mapping": "{a: 1}", "a list": "[1]", "nan": ".nan", "inf": "-.inf", "negative": "-1", "huge": "9" * 30, "float": "1.5", "bool": "true",
    "null": "null", "text": '"x y"', "escape": '"\\e[2J"', "half a character": '"\\uD800"', "empty": '""',
}  # fmt: skip
REFUSED = {
    "seed: {}": {*TYPES}, "hosts: {}": {*TYPES}, "threads: {}": {*TYPES}, "executor: {}": {*TYPES}, "snapshots: {{every: {}}}": {*TYPES},
    "log: {{fsync: {}}}": {*TYPES}, "plots: {}": {*TYPES} - {"bool", "negative", "huge", "float"}, "snapshots: {}": {*TYPES}, "measure: {}": {*TYPES},
    "environment: {{name: {}}}": {*TYPES}, "environment: {{name: toy, players: {}}}": {*TYPES} - {"negative", "huge"},
    "environment: {{name: toy, rounds: {}}}": {*TYPES} - {"negative", "huge"}, "seats: {{default: {}}}": {*TYPES}, "seats: {{P0: {}}}": {*TYPES},
    "seats: {{default: guesser, P9: {}}}": {*TYPES}, "policies: {{guesser: {}}}": {*TYPES} - {"null"}, "policies: {{crashing: {{at: {}}}}}": {"a mapping", "a list", "text", "float"},
    "policies: {{nobody: {}}}": {*TYPES}, "run_dir: {}": {"a mapping", "a list", "escape", "half a character"}, "game: {}": {"a mapping", "a list"},
    "unknown: {}": {*TYPES}, "environment: {{name: toy, unknown: {}}}": {*TYPES},
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_a_value_of_the_wrong_type_is_refused_with_its_line(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    key = line.partition(":")[0]
    rest = "".join(f"{kept}\n" for kept in PLAIN.splitlines() if not kept.startswith(f"{key}:"))
    for name in sorted(REFUSED[line])[len(line) % 4 :: 4]:  # a quarter of them each: a file takes a third of a second
        Path("x.yaml").write_text(rest + line.format(TYPES[name]) + "\n")
        with pytest.raises(ConfigError) as caught:
            load("x.yaml", plugins=TOY)
        said = str(caught.value)
        assert said.startswith(f"x.yaml:{rest.count(chr(10)) + 1}: ") and len(said) < 700 and "\n" not in said, (name, said)
        assert said.isprintable(), (name, said)
    assert os.listdir() == ["x.yaml"]


FILES = {
    "a key of a mebibyte": "k" * 2**20 + ": 1\n", "a key of half the largest file": f"? {'k' * 2**17}\n: 1\n", "a key with a zero byte": '"a\\0b": 1\n',
    "half a character as a key": '"\\uD800": 1\n', "a seat twice": PLAIN.replace("default: guesser", "P0: guesser, 'P0': rogue"),
    "a seat with an escape": PLAIN.replace("default: guesser", 'default: guesser, "\\e[2J": guesser'), "a zero byte": PLAIN + "game: \0\n",
    "a seat that is a number": PLAIN.replace("default: guesser", "default: guesser, 1: guesser"), "a list as key": PLAIN + "? [a]\n: 1\n",
    "a world without agents": PLAIN.replace("players: 2", "players: 0"), "a merge below": PLAIN + "ray: {<<: {address: x}}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_name_that_is_none_is_refused_in_one_line(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(FILES[name])
    one_line(capsys, ["run", "x.yaml", "--plugin", *TOY])
    assert os.listdir() == ["x.yaml"]


def one_line(capsys, words):
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("sandbox: ") and said.err.count("\n") == 1 and len(said.err) < 900, said.err
    assert said.err[:-1].isprintable(), said.err
    return said.err


PLUGINS = {
    "raises": "raise RuntimeError('two\\nlines')", "exits": "raise SystemExit(3)", "is no Python": "def", "never ends": "def f(): f()\nf()", "has a number": "WORLDS = 3",
    "names a number": "WORLDS = {'toy': 5}", "names nothing": "WORLDS = {'toy': 'no.such'}", "names an empty module": "POLICIES = {'guesser': 'json'}",
}  # fmt: skip


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plug_in_that_breaks_is_named_in_one_line(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"hostile_{name.replace(' ', '_')}"
    (tmp_path / f"{module}.py").write_text(PLUGINS[name])
    Path("x.yaml").write_text(PLAIN)
    said = one_line(capsys, ["run", "x.yaml", "--plugin", *TOY, "--plugin", module])
    assert module in said or "'toy'" in said or "'guesser'" in said
    assert not list(tmp_path.glob("runs*"))


@pytest.mark.parametrize("module", ["", "..", "a.b", "./x", "x.py", "/etc/passwd", "nul\0", "\ud800", "x" * 300])
def test_a_plug_in_that_is_no_module_is_one_line(module, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(PLAIN)
    assert "--plugin" in one_line(capsys, ["run", "x.yaml", "--plugin", module])


@pytest.mark.parametrize("place", ["file", "file/below", "dangling", "/dev/null", "/proc"])
def test_a_place_where_no_folder_can_be_is_one_line(place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(PLAIN)
    Path("file").touch()
    Path("dangling").symlink_to("nowhere/at/all")
    one_line(capsys, ["run", "x.yaml", "--plugin", *TOY, f"run_dir={place}"])
    assert sorted(os.listdir()) == ["dangling", "file", "x.yaml"]


def test_a_cell_of_a_sweep_that_has_no_place_stops_none_of_the_others(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text(PLAIN)
    Path("runs").mkdir()
    Path("runs/b").touch()
    assert main(["run", "x.yaml", "--plugin", *TOY, "environment.rounds=1", "name=a,b,c"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and "name=b" in said.err and "runs/b" in said.err
    (table,) = Path("runs").glob("sweep-*.csv")
    rows = table.read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [["a", "done"], ["b", "-"], ["c", "done"]]
