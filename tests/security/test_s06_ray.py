"""S6: Ray as a run starts it: no dashboard, no address but those that are known, and nothing done for one who has no token."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.hosts import RayExecutor
from tests.sandbox.test_hosts import cast, observations

pytestmark = pytest.mark.security(line="S6")
DASHBOARD = 8265
TOKEN = Path.home() / ".ray" / "auth_token"
# Ray's own services and workers listen for each other: by gRPC, each call with the token. None of them is a page, or takes jobs over HTTP.
KNOWN = ("gcs_server", "raylet", "ray::", "python", "MainThread")
STRANGER = """
import os, sys
os.environ["RAY_AUTH_MODE"] = sys.argv[2]
os.environ["HOME"] = sys.argv[3]
if sys.argv[4]:
    os.environ["RAY_AUTH_TOKEN"] = sys.argv[4]
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
try:
    client.internal_kv_put(sys.argv[5].encode(), b"canary", True, b"canary", timeout=10)
except Exception as error:
    print("refused", type(error).__name__, str(error).splitlines()[0][:200])
else:
    print("taken")
"""


@pytest.fixture(scope="module")
def ray_session():
    with RayExecutor(cast(), 1, None) as hosts:
        hosts.act(observations()[:1])
        yield hosts._ray


def below(process: int) -> set[int]:
    """All processes that this one started, and those that these started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def listeners(processes: set[int]) -> set[tuple[str, str, int]]:
    """(name of the process, address in hexadecimal, port) of every TCP socket that they listen on."""
    waiting = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                address, _, port = words[1].partition(":")
                waiting[f"socket:[{words[9]}]"] = (address, int(port, 16))
    found = set()
    for process in processes:
        try:
            name = Path(f"/proc/{process}/comm").read_text().strip()
            links = {os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()}
        except OSError:
            continue
        found |= {(name, *waiting[link]) for link in links & waiting.keys()}
    return found


def test_no_dashboard_listens_and_who_listens_is_known(ray_session):
    there = below(os.getpid())
    found = listeners(there)
    assert any(name == "gcs_server" for name, _, _ in found)  # else nothing was looked at
    assert all(name.startswith(KNOWN) for name, _, _ in found), found
    assert DASHBOARD not in {port for _, _, port in found}  # a process of that name runs for Ray's own counts, without pages


def put(ray_session, home: Path, mode: str, token: str, key: str) -> tuple[subprocess.CompletedProcess[str], bytes | None]:
    """(another process that puts a value into Ray's own store, what then stands there)."""
    address = ray_session.get_runtime_context().gcs_address
    done = subprocess.run([sys.executable, "-c", STRANGER, address, mode, str(home), token, key], capture_output=True, text=True, check=False, timeout=120)
    return done, ray_session.experimental.internal_kv._internal_kv_get(key.encode(), namespace=b"canary")


@pytest.mark.parametrize(("mode", "token"), [("disabled", ""), ("token", "0" * 64)], ids=["none", "another"])
def test_who_has_no_token_or_another_is_refused(ray_session, mode, token, tmp_path):
    done, stands = put(ray_session, tmp_path, mode, token, "canary")
    assert "taken" not in done.stdout and ("refused" in done.stdout or done.returncode), (done.stdout, done.stderr[-500:])
    assert stands is None


def test_who_has_the_token_is_served(ray_session, tmp_path):
    """Else what is above would show nothing."""
    done, stands = put(ray_session, tmp_path, "token", TOKEN.read_text().strip(), "known")
    assert (done.stdout.strip(), stands) == ("taken", b"canary"), done.stderr[-500:]


def test_the_token_is_this_users_alone(ray_session):
    assert stat.S_IMODE(TOKEN.stat().st_mode) == 0o600 and len(TOKEN.read_text().strip()) >= 32
