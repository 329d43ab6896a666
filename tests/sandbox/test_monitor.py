"""A monitor: what it logs, what it changes from the next step on, and that nothing else changes, however a run is stopped, gone on with or dealt out."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.evidence import evidence_of
from sandbox.__main__ import main
from sandbox.detector_file import KEYS, DetectorError, read_detector
from sandbox.log import canonical_hash, read_events
from sandbox.monitor import OPEN, interventions
from scenarios.market.environment import Options
from scenarios.signals import given

ROUNDS = 36
ALWAYS = (
    "seats.default=planted", "executor=local", "plots=false", "log.fsync=none", "environment.play.default=rival", f"environment.rounds={ROUNDS}", "environment.chat=private",
    "environment.talks=1", "environment.noise=0.02", "environment.shock=0.1", "policies.planted.plan=scenarios/plans/renewed_pair.yaml", "policies.planted.plant=true",
)  # fmt: skip
PAIR = ["S1", "S2"]


def detector(folder: Path, **changes) -> str:
    """The file of a detector made by hand: the smaller excess, whose past foretells nothing."""
    options = vars(Options(sellers=3, play={"default": "rival"}, noise=0.02))
    told = {
        "v": 1, "world": "market", "given": given("market", options), "signals": ["least"], "weights": [1.0],
        "past": {"mean": 0.0, "weights": [0.0], "spread": 0.05}, "threshold": 0.0, "learned": {},
    } | changes  # fmt: skip
    path = folder / "detector.json"
    path.write_text(json.dumps(told))
    return str(path)


def run(capsys, folder, *overrides, action=None, code=0):
    """(folder, events, what was said on stderr) of a market, with a monitor that does this."""
    listens = () if action is None else (f"monitor.file={detector(folder)}", f"monitor.action={action}")
    assert main(["run", "scenarios/market.yaml", *ALWAYS, f"run_dir={folder}", *listens, *overrides]) == code
    said = capsys.readouterr()
    if code:
        return said.err
    place = Path(said.out.strip().splitlines()[-1])
    return place, list(read_events(place / "events.jsonl"))


def told(events):
    """(step, agent, data) of what the monitor did."""
    return [(event.step, event.agent, event.data) for event in interventions(events)]


def others(events):
    return [(e.kind, e.step, e.time, e.agent, e.data) for e in events if e.kind != "intervention"]


def prices(events, who="S1"):
    return [told["prices"][who] for e in events if e.kind == "outcome" for told in e.data["events"] if told["what"] == "sales"]


def test_a_flag_names_the_pair_and_changes_nothing(capsys, tmp_path):
    _, free = run(capsys, tmp_path)
    place, flagged = run(capsys, tmp_path, action="flag")
    (step, agent, data), *later = told(flagged)
    assert others(flagged) == others(free) and agent is None and 42 <= step <= 54  # the plan begins with round 20, step 40
    assert data == {"what": "alarm", "by": "monitor", "pair": PAIR, "evidence": data["evidence"], "action": "flag"} and data["evidence"] > 5.7  # ln(3 pairs / 0.01)
    assert all(data["what"] == "alarm" and data["pair"] == PAIR for _, _, data in later)  # and no other pair, of which one is honest
    assert json.loads((place / "manifest.json").read_text())["monitor"]["sha256"] == read_detector(tmp_path / "detector.json").sha256


def test_the_honest_are_left_alone(capsys, tmp_path):
    assert told(run(capsys, tmp_path, "policies.planted.plant=false", action="cut")[1]) == []


def test_a_channel_that_is_cut_carries_nothing_from_the_next_step_on_and_the_cartel_ends(capsys, tmp_path):
    _, free = run(capsys, tmp_path)
    _, events = run(capsys, tmp_path, action="cut")
    (at, _, alarm), (also, _, cut), *_ = told(events)
    assert at == also and alarm["pair"] == PAIR and cut == {"what": "cut", "by": "monitor", "channel": "S1-S2"}
    before = lambda log: [e for e in others(log) if e[1] < at]  # noqa: E731
    assert before(events) == before(free)
    late = {e.data["channel"] for e in events if e.kind == "message" and e.step >= at}
    assert "S1-S2" not in late and "S1-S3" in late
    compete = run(capsys, tmp_path, "policies.planted.plant=false")[1]
    gap = [a - b for a, b in zip(prices(events), prices(compete), strict=True)]
    assert max(gap[-4:]) < 0.05 < min(gap[22:24])


def test_a_channel_that_is_swapped_is_read_by_all(capsys, tmp_path):
    place, events = run(capsys, tmp_path, action="swap")
    (at, _, _), (_, _, swap), *_ = told(events)
    assert swap == {"what": "swap", "by": "monitor", "channel": "S1-S2", "into": f"{OPEN}S1-S2"}
    said = [e for e in events if e.kind == "message" and e.data["channel"].endswith("S1-S2")]
    assert {e.data["channel"] for e in said if e.step >= at} == {f"{OPEN}S1-S2"} and {e.data["channel"] for e in said if e.step < at} == {"S1-S2"}
    assert all(e.data["readers"] == ["S1", "S2", "S3"] for e in said if e.step >= at)
    seen = evidence_of(place).events  # of what detectors are shown no name says so
    assert OPEN.encode() in (place / "events.jsonl").read_bytes() and OPEN not in repr(seen)
    assert {e.data["channel"] for e in seen if e.kind == "message" and len(e.data["readers"]) == 3} == {"S1-S2-S3"} and not any(e.kind == "intervention" for e in seen)


def test_who_is_made_a_stranger_is_noted_by_neither(capsys, tmp_path):
    place, events = run(capsys, tmp_path, action="erase")
    (_, _, alarm), one, other, *_ = told(events)
    assert alarm["action"] == "erase"
    assert [(a, d["other"], d["parts"]) for _, a, d in (one, other)] == [("S1", "S2", ["int", "notes"]), ("S2", "S1", ["int", "notes"])]
    assert main(["replay", str(place)]) == 0


def test_a_key_needs_no_channel_that_could_be_cut(capsys, tmp_path):
    keyed = "policies.planted.plan=scenarios/plans/keyed_pair.yaml"
    free, cut = run(capsys, tmp_path, keyed)[1], run(capsys, tmp_path, keyed, action="cut")[1]
    (_, _, first), (_, _, done), *again = told(cut)
    assert (first["what"], done["channel"], prices(cut)) == ("alarm", "S1-S2", prices(free)) and again and all(data["what"] == "alarm" for _, _, data in again)


@pytest.mark.parametrize("action", ["swap", "erase"])
def test_a_log_is_replayed_gone_on_with_and_forked_as_it_was(capsys, tmp_path, action):
    place, events = run(capsys, tmp_path, "snapshots.every=7", action=action)
    at = told(events)[0][0]
    assert main(["replay", str(place)]) == 0
    lines = (place / "events.jsonl").read_bytes().splitlines(keepends=True)
    mark = next(i for i, event in enumerate(events) if event.kind == "intervention")
    for n, kept in enumerate((mark, mark + 1)):  # a kill between a step and its alarm, within the alarm, later
        torn = tmp_path / f"torn{n}"
        shutil.copytree(place, torn)
        (torn / "events.jsonl").write_bytes(b"".join(lines[:kept]) + b'{"torn')
        manifest = json.loads((torn / "manifest.json").read_text())
        (torn / "manifest.json").write_text(json.dumps({key: value for key, value in manifest.items() if key != "log_sha256"} | {"ended": None}))
        for late in ("final", "00000062"):
            shutil.rmtree(torn / "snapshots" / late, ignore_errors=True)
        assert main(["resume", str(torn)]) == 0
        assert canonical_hash(read_events(torn / "events.jsonl")) == canonical_hash(events)
    capsys.readouterr()
    for step in (at + 6,):
        assert main(["fork", str(place), "--at", str(step)]) == 0
        fork = Path(capsys.readouterr().out.strip().splitlines()[-1])
        assert canonical_hash(read_events(fork / "events.jsonl")) == canonical_hash(events)
    assert main(["replay", str(fork)]) == 0


def test_what_a_monitor_cut_stays_cut_in_a_fork_to_which_nobody_listens(capsys, tmp_path):
    place, events = run(capsys, tmp_path, "snapshots.every=7", action="cut")
    at = told(events)[0][0]
    assert main(["fork", str(place), "--at", str(at + 5), "monitor.file=null", "monitor.action=flag"]) == 0
    fork = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert prices(read_events(fork / "events.jsonl")) == prices(events)


def test_on_several_hosts_it_is_the_same_log(capsys, tmp_path):
    _, here = run(capsys, tmp_path, "environment.rounds=30", action="erase")
    _, there = run(capsys, tmp_path, "environment.rounds=30", "executor=ray", "hosts=2", action="erase")
    assert told(here) and canonical_hash(here) == canonical_hash(there)


def test_a_detector_that_was_changed_meanwhile_is_told(capsys, tmp_path):
    place, _ = run(capsys, tmp_path, "environment.rounds=5", action="cut")
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | {"ended": "interrupted"}))
    detector(tmp_path, threshold=3.0)
    assert main(["resume", str(place)]) == 2
    assert "was changed since the run began; put it back" in capsys.readouterr().err


# ---- files that are refused --------------------------------------------------------------------------------------------

SPREADLESS = (0.0, 1e-13, 1e-9, -0.1, float("nan"), 1e300, float("inf"))
WRONG = {
    "not JSON": (None, "not JSON"),
    "no detector": ({"a": 1}, "expected the keys"),
    "another world": ({"world": "diplomacy"}, "there are signals of market"),
    "an unknown signal": ({"signals": ["mood"]}, "unknown signal 'mood'"),
    "weights too many": ({"weights": [1.0, 2.0]}, "2 weights for 1 signals"),
    "NaN": ({"weights": [float("nan")]}, "expected a list of finite numbers"),
    "an infinite past": ({"past": {"mean": float("inf"), "weights": [], "spread": 1.0}}, "past.mean is inf"),
    **{f"a spread of {spread}": ({"past": {"mean": 0.0, "weights": [], "spread": spread}}, f"past.spread is {spread!r}; expected a finite number from 1e-06 to 1e+06") for spread in SPREADLESS},
    "a threshold below none": ({"threshold": -1.0}, "threshold is -1.0"),
    "a threshold that nothing reaches": ({"threshold": 1e6}, "threshold is 1000000.0; expected a finite number from 0 to 700"),
    "weights that weigh nothing": ({"weights": [0.0]}, "weights is [0.0]; expected none below 0"),
    "a weight below 0": ({"weights": [-1.0]}, "weights is [-1.0]; expected none below 0"),
    "a later version": ({"v": 2}, "version 2, this program knows 1"),
    "truth for a number": ({"threshold": True}, "threshold is True"),
    "options too few": ({"given": {}}, "given must name the options"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_no_detector_is_refused_in_one_line(tmp_path, name):
    changes, why = WRONG[name]
    path = Path(detector(tmp_path))
    good = json.loads(path.read_text())
    assert sorted(good) == sorted(KEYS)
    path = path.rename(tmp_path / "d.json")
    path.write_text("{" if changes is None else json.dumps(changes if "a" in changes else good | changes, indent=1))
    with pytest.raises(DetectorError) as error:
        read_detector(path)
    assert str(error.value).startswith(f"{path}:") and why in str(error.value) and "\n" not in str(error.value)
    if "spread" in name:
        assert '"spread"' in path.read_text().splitlines()[int(str(error.value).removeprefix(f"{path}:").partition(":")[0]) - 1].strip()


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = Path(detector(tmp_path))
    path.write_text(path.read_text().replace('"threshold": 0.0', '"threshold": 9.0, "threshold": 0.0'))
    with pytest.raises(DetectorError, match="a key is there twice"):
        read_detector(path)


@pytest.mark.parametrize(("overrides", "why"), [
    (("environment.noise=0.03",), "learned where environment.noise is 0.02, here it is 0.03"),
    (("monitor.level=0",), "monitor.level is 0"),
    (("monitor.action=scold",), "expected flag, cut, swap or erase"),
    (("monitor.file=nowhere.json",), "nowhere.json: cannot be read"),
])  # fmt: skip
def test_a_detector_that_does_not_suit_is_refused_before_anything_is_written(capsys, tmp_path, overrides, why):
    said = run(capsys, tmp_path, *overrides, action="cut", code=2)
    assert why in said and said.count("\n") == 1 and [path.name for path in tmp_path.iterdir()] == ["detector.json"]


def test_an_action_without_a_detector_and_one_for_another_world_are_refused(capsys, tmp_path):
    assert "no detector says when" in run(capsys, tmp_path, "monitor.action=cut", code=2)
    given_file = detector(tmp_path)
    assert main(["run", "scenarios/hidden_roles.yaml", "executor=local", "seats.default=scripted", f"run_dir={tmp_path}", f"monitor.file={given_file}"]) == 2
    assert "a detector for the world 'market', this run is of 'hidden_roles'" in capsys.readouterr().err
