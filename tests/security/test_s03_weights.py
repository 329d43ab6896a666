"""S3: no file that is loaded runs code: pickles in the place of weights, tampered headers, and nothing in the source that could unpickle.

10,000 tampered headers: python -m tests.benchmarks.refusals --headers 10000
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from sociallm.checkpoint import CheckpointError, digest, load
from sociallm.state_files import load_states, save_states
from sociallm.states import StateError
from tests.benchmarks.refusals import headers
from tests.security.weights import pickles, tampered
from tests.sociallm.small import saved, states_of

pytestmark = pytest.mark.security(line="S3")
ROOT = Path(__file__).parents[2]
ROOMS = ("sociallm", "agents", "scenarios", "sandbox", "analysis")
KINDS = tuple(pickles(Path("canary")))


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(saved(tmp_path / "model"))


def put(folder: Path, file: str, content: bytes) -> None:
    """A file of a checkpoint, with its hash in config.json, as somebody would who can write both."""
    (folder / file).write_bytes(content)
    config = json.loads((folder / "config.json").read_bytes())
    config["sha256"][file] = digest(folder / file)
    (folder / "config.json").write_text(json.dumps(config))


def refused(call, error) -> str:
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 900
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_in_the_place_of_weights_is_refused_and_runs_nothing(kind, folder, tmp_path):
    content = pickles(canary := tmp_path / "canary")[kind]
    put(folder, "model.safetensors", content)
    assert "not a safetensors file" in refused(lambda: load(str(folder)), CheckpointError)
    (tmp_path / "own.safetensors").write_bytes(content)
    assert "not a file of states" in refused(lambda: load_states(tmp_path / "own.safetensors", None, "0" * 64), StateError)
    put(folder, "tokenizer.json", content)
    (folder / "config.json").write_bytes(content)
    refused(lambda: load(str(folder)), CheckpointError)
    assert not canary.exists()


def test_the_pickles_do_run_code_where_they_are_unpickled(tmp_path):
    """Else what is above would show nothing."""
    import io
    import pickle

    pickle.load(io.BytesIO(pickles(canary := tmp_path / "canary")[".pkl"]))  # noqa: S301
    assert canary.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_with_another_ending_is_no_checkpoint(kind, tmp_path):
    path = tmp_path / f"model{kind.split()[0]}"
    path.write_bytes(pickles(canary := tmp_path / "canary")[kind])
    refused(lambda: load(str(path)), CheckpointError)
    assert not canary.exists()


def test_tampered_headers_are_refused_or_give_whole_finite_weights_and_never_break(folder):
    found = headers(folder, 150, 0)
    assert found["of the same hash, taken"] == found["broken"] == 0 and found["of a new hash, refused"] > 100


def test_a_tampered_file_of_states_is_refused(tmp_path):
    from tests.sociallm.small import model_of

    save_states(path := tmp_path / "own.safetensors", states_of(model_of("sum")), "0" * 64)
    content = path.read_bytes()
    changed = [found for seed in range(150) if (found := tampered(content, seed))[8:] != content[8:]]
    assert len(changed) > 100
    for found in changed:
        path.write_bytes(found)
        refused(lambda: load_states(path, None, "0" * 64), StateError)


def test_nothing_in_the_source_unpickles():
    """By what is imported and called, wherever in a file it stands (tests/test_imports.py holds every file against the same, with its line)."""
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        tree = ast.parse(text := path.read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names} | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not names & {"pickle", "cPickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}, path
        for word in ("torch.load", "torch.export.load", "jit.load", "read_pickle", "allow_pickle", "weights_only", "yaml.unsafe_load", "UnsafeLoader", "FullLoader"):
            assert word not in text, (path, word)
