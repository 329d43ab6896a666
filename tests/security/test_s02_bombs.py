"""S2: a file that would grow without bound is refused before it does: in a process that may take 50 MiB more, no traceback, one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.refusals import bombs

pytestmark = pytest.mark.security(line="S2")
ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, resource, sys
from agents.plan_file import PlanError, read_plan
from sandbox.config import ConfigError, load
from sandbox.detector_file import DetectorError, read_detector
from sandbox.experiment import read
load("scenarios/market.yaml", ["executor=local"])  # what is imported as it is needed is no part of what a file takes
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 50 * 2**20, now + 50 * 2**20))
told = []
for path in sys.argv[1:]:
    for name, read_it in (("scenario", load), ("experiment", lambda p: read(p, (), None)), ("plan", read_plan), ("detector", read_detector)):
        try:
            read_it(path)
        except (ConfigError, PlanError, DetectorError) as error:
            told.append([path, name, str(error)])
        else:
            told.append([path, name, None])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(file, what it was read as, what was said) of every bomb, each read in all four places where a file of settings is."""
    files = bombs(tmp_path_factory.mktemp("bombs"))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_every_bomb_is_refused_in_one_line_that_names_the_file(told):
    assert len(told) >= 4 * 10
    for path, name, said in told:
        assert said is not None and "\n" not in said and len(said) < 900 and str(path) in said, (path, name, said)


def test_of_a_scenario_the_line_is_named(told):
    for path, name, said in told:
        assert name == "detector" or said.startswith(f"{path}:"), (name, said)
