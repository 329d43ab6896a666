"""What a scenario file may not be: every hostile form ends in one line with file and line, and nothing has happened."""

import os
import tracemalloc

import pytest
import yaml

from sandbox import guard
from sandbox.config import ConfigError, load
from sandbox.guard import MAX_BYTES

pytestmark = [pytest.mark.security(line="S1"), pytest.mark.security(line="S2")]

TOY = ("tests.sandbox.toy",)
BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
CALL = "_target_: shutil.copy\n  src: scenarios/diplomacy.yaml\n  dst: CANARY"

# name: (text, the line that is at fault)
HOSTILE = {
    "target at the top": (f"name: x\n{CALL.replace('  ', '')}", 2),
    "target below": (f"name: x\nenvironment:\n  name: toy\n  {CALL}", 4),
    "target deep in a policy": ("policies:\n  guesser:\n    a: {b: {_target_: os.system}}", 3),
    "args": ("environment: {name: toy, _args_: [touch CANARY]}", 1),
    "partial": ("environment:\n  _partial_: true", 2),
    "hydra callbacks": (f"hydra:\n  callbacks:\n    x:\n      {CALL}", 1),
    "hydra search path": ("name: x\nhydra: {searchpath: ['file:///etc']}", 2),
    "hydra output folder": ("hydra: {run: {dir: CANARY}}", 1),
    "factory": ("environment:\n  '()': shutil.copy\n  dst: CANARY", 2),
    "environment variable": ("name: x\ngame: ${oc.env:SECRET}", 2),
    "environment variable in a text": ("game: 'x ${oc.env:SECRET} y'", 1),
    "nested resolver": ("game: ${oc.decode:${oc.env:SECRET}}", 1),
    "hydra resolver": ("game: ${hydra:runtime.cwd}", 1),
    "relative reference": ("name: x\nrun_dir: ${.name}", 2),
    "sum of references": ("name: x\ngame: ${name}${name}${name}", 2),
    "reference to a group": ("name: x\nenvironment: {name: toy, narrator: '${measure}'}", 2),
    "reference to itself": ("game: ${game}", 1),
    "reference to a reference": ("name: x\ngame: ${name}\nenvironment: {name: toy, narrator: '${game}'}", 3),
    "reference to nothing": ("name: x\ngame: ${nmae}", 2),
    "python tag": ("name: x\ngame: !!python/object/apply:os.system ['touch CANARY']", 2),
    "python name tag": ("game: !!python/name:os.system", 1),
    "own tag": ("name: x\nseed: !seed 3", 2),
    "alias bomb": (BOMB, 1),
    "alias of itself": ("name: x\na: &a [*a]", 2),
    "merge key": ("name: x\n<<: {seed: 3}", 2),
    "anchor alone": ("name: x\nseed: &s 3", 2),
    "deep list": ("name: x\ngame: " + "[" * 5000, 2),
    "deep mapping": ("name: x\ngame: " + "{a: " * 5000, 2),
    "many values": ("name: x\ngame: [" + "1," * 20_000 + "]", 2),
    "large file": ("#" * (MAX_BYTES + 1), 1),
    "long value": ("name: x\ngame: " + "x" * 9000, 2),
    "same key twice": ("name: x\nseed: 1\nseed: 2", 3),
    "same key twice below": ("name: x\nenvironment:\n  name: toy\n  name: watch", 4),
    "two documents": ("name: x\n---\nname: y", 2),
    "a list": ("- name: x", 1),
    "a word": ("name", 1),
    "nothing": ("", 1),
    "only a comment": ("# nothing\n", 1),
    "not YAML": ("name: x\nseed: [1,\n", 3),
    "a tab": ("name: x\n\tseed: 1", 2),
    "control characters": ("name: x\nseed: \x07", 1),
    "a list as key": ("name: x\n[1, 2]: 3", 2),
    "a key with dots": ("name: x\nlog.fsync: none", 2),
    "a key with an escape": ('name: x\n"\\e[2J": 3', 2),
    "other defaults": ("name: x\ndefaults: [/etc/passwd]", 2),
    "searched defaults": ("defaults:\n  - sandbox_schema\n  - override hydra/job_logging: none\n  - _self_", 1),
    "name with a path": ("environment: {name: toy}\nname: ../../x", 2),
    "run folder above": ("name: x\nenvironment: {name: toy}\nrun_dir: ../CANARY", 3),
    "run folder at the root": ("name: x\nenvironment: {name: toy}\nrun_dir: /CANARY", 3),
    "world by module": ("name: x\nenvironment:\n  name: os.path", 3),
    "policy by module": ("name: x\nenvironment: {name: toy}\nseats: {default: subprocess}", 3),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_scenario_is_refused_in_one_line_and_does_nothing(name, tmp_path, monkeypatch):
    text, line = HOSTILE[name]
    monkeypatch.setenv("SECRET", "canary-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as caught:
            load("x.yaml", plugins=TOY)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    assert said.startswith(f"x.yaml:{line}: ") and "\n" not in said and "\x1b" not in said and "canary-secret" not in said
    assert len(said) < 600
    assert peak < 50 * 2**20
    assert os.listdir(tmp_path) == ["x.yaml"]


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 40


HOSTILE_OVERRIDES = [
    "_target_=os.system", "environment._target_=os.system", "environment={name: toy, _target_: os.system}", "hydra.run.dir=CANARY",
    "hydra/job_logging=none", "+hydra.callbacks.x._target_=shutil.copy", "game=${oc.env:SECRET}", "game='${oc.env:SECRET}'",
    "name=${name}${name}", "seed=1,2", "seed=range(0,9)", "~seed", "seed@x=1", "--experimental-rerun=x", "seed", "=3", "a b=3",
    "environment={'()': shutil.copy}", "run_dir=${hydra:runtime.cwd}", "name=../x", "game=${game}",
]  # fmt: skip


@pytest.mark.parametrize("override", HOSTILE_OVERRIDES)
def test_a_hostile_override_is_named_and_does_nothing(override, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "canary-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("name: x\nenvironment: {name: toy}\nseats: {default: guesser}\n")
    with pytest.raises(ConfigError) as caught:
        load("x.yaml", [override], TOY)
    said = str(caught.value)
    assert said.startswith("override ") and "\n" not in said and "canary-secret" not in said
    assert os.listdir(tmp_path) == ["x.yaml"]


def test_lists_in_lists_are_looked_into_no_further_than_is_taken():
    opened = []
    with pytest.raises(yaml.MarkedYAMLError) as refused:
        opened.extend(token for token in yaml.scan("[" * 1000, Loader=guard._Shallow))
    assert len(opened) <= guard.MAX_DEPTH + 2 and refused.value.problem_mark.column == guard.MAX_DEPTH + 1


def test_a_file_that_is_not_text_is_refused_with_the_line(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"name: x\nseed: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not UTF-8"):
        load(path)


@pytest.mark.parametrize("name", ["missing.yaml", "folder.yaml", "/dev/zero", "x.py"])
def test_what_is_not_a_scenario_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=":1: "):
        load(name)
