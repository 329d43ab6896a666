"""Imports run one way: sociallm ← agents ← scenarios ← sandbox ← analysis; and one dependency comes in by one door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("sociallm", "agents", "scenarios", "sandbox", "analysis")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
DOORS = {
    "ray": {"sandbox/hosts.py", "sociallm/workers.py"},
    "mesa": {"sandbox/schedule.py"},
    "hydra": {"sandbox/config.py", "sociallm/config.py"},
    "omegaconf": {"sandbox/config.py", "sociallm/config.py"},
    "transformers": {"agents/policies/hf.py", "sociallm/bench.py"},
}
# torch's home is sociallm. Elsewhere: a host sets its threads, and the policy and the reader of agents may hold its tensors.
# The policy hf makes tensors for models that are none of ours.
TORCH = {"sandbox/host.py", "agents/reading.py", "agents/policies/social.py", "agents/policies/hf.py"}
UNSAFE = {"eval", "exec", "__import__", "compile"}


def imports(path):
    """Every module that a file imports, wherever in the file it does, those for type checking left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room is meant; write the module's whole name"
            yield node.module


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_arrow_runs_back(path):
    room = ROOMS.index(path.relative_to(ROOT).parts[0])
    later = {module for module in imports(path) if module.split(".")[0] in ROOMS[room + 1 :] or module.split(".")[0] == "tests"}
    assert not later, f"{name(path)} imports {sorted(later)}, a room further on: {' ← '.join(ROOMS)}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_each_dependency_comes_in_by_its_own_door(path):
    tops = {module.split(".")[0] for module in imports(path)}
    for dependency, doors in DOORS.items():
        assert dependency not in tops or name(path) in doors, f"{name(path)} imports {dependency}, whose door is {sorted(doors)}"
    assert "torch" not in tops or path.is_relative_to(ROOT / "sociallm") or name(path) in TORCH


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_that_can_run_what_it_reads_is_used(path):
    modules = set(imports(path))
    assert not modules & {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            unsafe = called in UNSAFE or called.endswith(("torch.load", "yaml.load", "torch.export.load", "jit.load"))
            unsafe = unsafe or any(keyword.arg == "allow_pickle" for keyword in node.keywords)
            assert not unsafe, f"{name(path)}:{node.lineno}: {called}"


def test_the_doors_are_used():
    for dependency, doors in DOORS.items():
        for door in doors:
            assert dependency in {module.split(".")[0] for module in imports(ROOT / door)}, f"{door} no longer imports {dependency}"


def test_importing_every_module_writes_and_prints_nothing(tmp_path):
    modules = sorted(name(path)[:-3].replace("/", ".") for path in FILES if path.name not in ("__main__.py",))
    program = "import importlib, sys\n" + "\n".join(f"importlib.import_module({m.removesuffix('.__init__')!r})" for m in modules)
    program += "\nassert 'ray' not in sys.modules, 'ray was imported'"
    env = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "mpl"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir() if path.name != "mpl"] == []
