"""The same seed, the same log: whatever Python's hash seed, in any process, on any number of hosts, on two machines that are joined."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.log import canonical_hash
from tests.sandbox.runs import run

ROOT = Path(__file__).parents[2]
GIVEN = ("environment.narrator=w", "environment.players=5", "seats.P1=rogue", "seed=11")

# A cluster of two raylets on this machine, and a run that is told its address only.
JOINED = """
import json, os, subprocess, sys
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20})
cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
try:
    words = [sys.executable, "-m", "sandbox", *sys.argv[1:], f"ray.address={cluster.address}"]
    code = subprocess.run(words, check=False).returncode
    alone = subprocess.run([word + "-alone" if word.startswith("run_dir=") else word for word in words[:-1]], check=False).returncode
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    nodes = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    print(json.dumps({"code": code, "alone": alone, "nodes": len(nodes)}))
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def hash_of(where: Path) -> str:
    (manifest,) = where.glob("toy/*/manifest.json")
    return json.loads(manifest.read_text())["log_sha256"]


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_a_process_of_its_own_with_any_hash_seed_writes_the_same_log(capsys, tmp_path, seed):
    _, events, _ = run(capsys, tmp_path / "here", *GIVEN)
    words = [sys.executable, "-m", "sandbox", "run", "tests/sandbox/toy.yaml", "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}/there", *GIVEN]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert hash_of(tmp_path / "there") == canonical_hash(events)


def test_two_machines_joined_by_an_address_write_the_same_log(capsys, tmp_path):
    """So does a run that is told no address, beside them: it has a Ray of its own, and does not join the one that happens to be there."""
    _, events, _ = run(capsys, tmp_path / "here", *GIVEN)
    words = ["run", "tests/sandbox/toy.yaml", "--plugin", "tests.sandbox.toy", f"run_dir={tmp_path}/there", *GIVEN, "executor=ray", "hosts=4"]
    done = subprocess.run([sys.executable, "-c", JOINED, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == {"code": 0, "alone": 0, "nodes": 2}
    assert hash_of(tmp_path / "there") == canonical_hash(events)
    assert hash_of(tmp_path / "there-alone") == canonical_hash(events)
