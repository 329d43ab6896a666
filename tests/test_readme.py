"""What the README shows is run: its programs and its fenced commands in order, in a folder of their own; the other runs are checked as settings."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.config import load
from sandbox.experiment import is_experiment, read

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*) ?(\S*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)  # (language, file, text)
COMMANDS = [line.partition("  #")[0].strip() for line in README.splitlines() if line.strip().startswith("python -m sandbox run")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a newcomer's: the scenarios are there, and the files that the README says to write."""
    here = tmp_path_factory.mktemp("readme")
    (here / "scenarios").symlink_to(ROOT / "scenarios")
    for _, name, text in BLOCKS:
        if name:
            (here / name).write_text(text, encoding="utf-8")
    return here


def ran(words, folder):
    """The lines that a command printed; it must succeed."""
    paths = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run([sys.executable, *words[1:]], cwd=folder, env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
                          timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-500:]}\n{done.stderr[-1500:]}"
    return done.stdout.splitlines()


def test_every_program_and_command_runs(folder):
    run, programs = "", 0
    for language, name, text in BLOCKS:
        if language == "python" and not name:
            printed = ran(["python", "-c", text.replace("RUN", run)], folder)
            assert any("FRANCE" in line for line in printed)
            programs += 1
        for line in text.splitlines() if language == "sh" else ():
            words = [run if word == "RUN" else word for word in shlex.split(line, comments=True)]
            assert words[:2] == ["python", "-m"]
            printed = ran(words, folder)
            assert printed, f"{line}: said nothing"
            if (words[3] == "run" and Path(folder, printed[-1]).is_dir() and "beauty" in line + printed[-1]) or not run:
                run = printed[-1]
    assert programs and "beauty" in run


def test_a_fork_is_another_run_and_a_sweep_has_its_table(folder):
    """After the commands above."""
    runs = folder / "runs"
    assert len(list((runs / "liars").iterdir())) == 1 + 1 + 3  # the run, its honest twin, three forks
    assert len(list((runs / "gunboat").iterdir())) == 2 and len(list(runs.glob("sweep-*.csv"))) == 1
    assert (next((runs / "liars").iterdir()) / "plots" / "trust.png").is_file()


def test_the_programs_keep_the_contracts(folder):
    paths = os.pathsep.join([str(folder), str(ROOT)])
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "tests" / "contracts"), "-k", "beauty or level_k"]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, "SANDBOX_PLUGINS": "beauty level_k"}, capture_output=True, text=True,
                          timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0 and re.search(r"[1-9]\d* passed", done.stdout), done.stdout[-2000:]


@pytest.mark.parametrize("command", [command for command in COMMANDS if not re.search("FILE|FOLDER|=RUN", command)])
def test_the_settings_of_every_run_are_good(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    words = shlex.split(command)[4:]
    plugins = tuple(words[words.index("--plugin") + 1 :][:1]) if "--plugin" in words else ()
    changes = [word for word in words[1:] if "=" in word and "," not in word and "outputs/mine" not in word]
    if is_experiment(words[0]):
        assert read(words[0], changes).cells
        return
    assert load(words[0], changes, plugins).config.name


def test_every_scenario_file_is_named_and_every_file_named_is_there():
    for path in (ROOT / "scenarios").glob("*.yaml"):
        assert path.name in README, f"README.md does not mention scenarios/{path.name}"
    for name in set(re.findall(r"`((?:sandbox|analysis|scenarios|agents|sociallm|tests)/[\w/.-]+)`", README)):
        assert (ROOT / name).exists(), f"README.md names {name}, which is not there"


def test_the_programs_are_short_and_of_this_python():
    for language, name, text in BLOCKS:
        if language == "python":
            ast.parse(text, filename=name or "README.md")
            assert len(text.splitlines()) <= 60
