"""Where agents think: the same values from one host here as from several Ray actors. One Ray session serves all of these tests."""

import dataclasses
import hashlib
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from agents.memory import AgentMemory
from agents.types import Action, Observation
from sandbox.host import AgentFault, Cast
from sandbox.hosts import LocalExecutor, RayExecutor, deal, owner
from sandbox.log import canonical_hash
from sandbox.snapshot import load_snapshot
from tests.sandbox.runs import run
from tests.sandbox.toy import Options, Toy

TOY = Toy(Options())


def cast(policy="guesser", **changes):
    options = {"name": "toy", "players": 3, "rounds": 2, "games": 2, "narrator": None}
    seats = dict.fromkeys(TOY.agents, policy) | changes
    policies = {"guesser": {}, "crashing": {"at": 0}, "leaving": {}}
    return Cast(seed=1, seats=seats, policies=policies, environment=options, plugins=("tests.sandbox.toy",))


def observations(step=0):
    return [Observation(agent=a, step=step, time=i, may_write=TOY.channels[-1:] if i == 0 else ()) for i, a in enumerate(TOY.agents)]


@pytest.fixture(scope="module")
def ray_session():
    with RayExecutor(cast(), 1, None):  # starts Ray, as a run would; executors made meanwhile find it and leave it running
        yield


def test_agents_are_dealt_out_evenly_and_in_order():
    assert deal("ABCDEFG", 2) == [tuple("ACEG"), tuple("BDF")]
    assert deal("AB", 3) == [("A",), ("B",), ()]


def test_the_owner_of_a_channel_is_named_by_its_name_alone():
    assert [owner("ALL", n) for n in (1, 2)] == [0, int.from_bytes(hashlib.sha256(b"ALL").digest()[:8], "little") % 2]
    owners = [owner(f"P{i}-P{j}", 4) for i in range(20) for j in range(i)]
    assert min(map(owners.count, range(4))) > len(owners) / 4 / 2


def test_actions_come_ordered_by_agent_whatever_the_order_of_asking():
    with LocalExecutor(cast()) as hosts:
        forward = hosts.act(observations())
    with LocalExecutor(cast()) as hosts:
        backward = hosts.act(observations()[::-1])
    assert list(forward) == list(backward) == ["P0", "P1", "P2"] and forward == backward


def test_an_action_does_not_depend_on_who_else_is_asked():
    with LocalExecutor(cast()) as hosts:
        together = hosts.act(observations())
    with LocalExecutor(cast()) as hosts:
        alone = [hosts.act([seen]) for seen in observations()]
    assert {agent: action for one in alone for agent, action in one.items()} == together


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_a_run_on_ray_has_the_log_of_a_local_one(capsys, tmp_path, ray_session, hosts):
    _, local, _ = run(capsys, tmp_path, "environment.narrator=w", "seats.P1=rogue")
    _, ray, _ = run(capsys, tmp_path, "environment.narrator=w", "seats.P1=rogue", "executor=ray", f"hosts={hosts}")
    assert canonical_hash(ray) == canonical_hash(local)


def test_a_run_on_ray_saves_every_agent(capsys, tmp_path, ray_session):
    local, _, _ = run(capsys, tmp_path)
    ray, _, _ = run(capsys, tmp_path, "executor=ray", "hosts=3")
    assert load_snapshot(local / "snapshots" / "final").files == load_snapshot(ray / "snapshots" / "final").files


def test_a_policy_that_raises_on_ray_says_the_same_as_here(capsys, tmp_path, ray_session):
    said = []
    for executor in (LocalExecutor(cast("crashing")), RayExecutor(cast("crashing"), 1, None)):
        with executor as hosts, pytest.raises(AgentFault) as caught:
            hosts.act(observations()[:1])
        said.append(str(caught.value))
    assert said[0] == said[1] == "policy 'crashing' of P0 raised KeyError: 'a plan\\nof two lines' (crashing.py:21)"


def killed(hosts):
    """Send SIGKILL to the process of the last host, and wait until it is gone."""
    host = hosts._hosts[-1]
    process = hosts._ray.get(host.process.remote())
    os.kill(process, signal.SIGKILL)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.01)


def test_after_the_kill_of_a_host_all_goes_on_as_if_it_had_lived(ray_session):
    with LocalExecutor(cast()) as hosts:
        undisturbed = [hosts.act(observations(step)) for step in range(6)]
        notes = hosts.save()
    told = []
    with RayExecutor(cast(), 2, None, told.append) as hosts:
        acted = []
        for step in range(6):
            acted.append(hosts.act(observations(step)))
            if step == 2:
                hosts.save()
            if step in (1, 3, 4):
                killed(hosts)
        assert hosts.save() == notes and hosts.lost == len(told) == 3
    assert acted == undisturbed and [line.split("go over ")[1] for line in told] == ["2 calls", "1 calls", "2 calls"]


def test_a_policy_that_ends_its_process_ends_the_run_in_one_line(ray_session):
    with RayExecutor(cast("leaving"), 1, None) as hosts, pytest.raises(AgentFault, match="a host died 3 times in a row") as caught:
        hosts.act(observations()[:1])
    assert "\n" not in str(caught.value)


@pytest.mark.security(line="S6")
def test_rays_token_is_this_users_alone(ray_session):
    token = Path.home() / ".ray" / "auth_token"
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


@pytest.mark.security(line="S6")
def test_ray_without_a_token_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(AgentFault, match="RAY_AUTH_MODE=disabled"), RayExecutor(cast(), 1, None):
        pass


def test_a_local_run_needs_no_ray(tmp_path):
    import subprocess
    import sys

    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from sandbox.__main__ import main\n"
        f"code = main(['run', 'tests/sandbox/toy.yaml', '--plugin', 'tests.sandbox.toy', 'run_dir={tmp_path}'])\n"
        "assert code == 0 and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_policy_does_to_its_view_reaches_nobody_else():
    class Spoiler:
        def step(self, turns):
            for turn in turns:
                turn.observation.view["board"].clear()
            return [(Action(), AgentMemory()) for _ in turns]

    board = {"PAR": "FRANCE"}
    seen = dataclasses.replace(observations()[0], view={"board": board})
    with LocalExecutor(cast()) as hosts:
        hosts._host._policies["guesser"] = Spoiler()
        hosts.act([seen])
    assert board == {"PAR": "FRANCE"}


def test_a_policy_that_exits_is_a_fault():
    def leave(turns):
        raise SystemExit(0)

    with LocalExecutor(cast()) as hosts:
        hosts._host._policies["guesser"].step = leave
        with pytest.raises(AgentFault, match="raised SystemExit"):
            hosts.act(observations()[:1])
