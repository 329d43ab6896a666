"""Personas of a run: any world, in the log and out of it again; own states that agents begin with."""

import json
import shutil
import sys

import pytest
import torch

from sandbox.__main__ import main
from sandbox.exporting.texts import CONTROL
from sandbox.log import canonical_hash, read_events
from scenarios.briefing import persona_of
from sociallm.checkpoint import load
from sociallm.state_files import load_states
from tests.sandbox.runs import TOY, run
from tests.sandbox.test_fork import PLUGIN, forked
from tests.sandbox.test_resume import left
from tests.sandbox.test_states import PLAY, checkpoint  # noqa: F401 (a fixture is used by being here)

TELL = ("personas.P1.text='I am patient.'", "environment.players=3")


def of_kind(events, kind, **where):
    return [e for e in events if e.kind == kind and all(e.data.get(k) == v for k, v in where.items())]


def test_a_persona_is_said_first_and_delivered_to_its_own_agent_alone(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *TELL)
    first = of_kind(events, "message")[0]
    assert (first.step, first.agent, first.data["id"], first.data["text"]) == (0, "P1", "persona-P1", "I am patient.")
    assert of_kind(events, "delivery", message="persona-P1")[0].data["readers"] == ["P1"]
    assert all("persona-P1" not in e.data["heard"] for e in of_kind(events, "observation"))
    assert main(["replay", str(folder), *PLUGIN]) == 0


def test_a_worlds_own_personas_and_the_runs_are_one_thing(capsys, tmp_path):
    hashes = []
    for key in ("environment.personas.FRANCE", "personas.FRANCE.text"):
        words = ["run", "scenarios/diplomacy.yaml", f"{key}='I am kind.'", "seats.default=scripted", "environment.last_year=1901", "executor=local", "plots=false"]
        assert main([*words, "name=one", "environment.press_rounds=1", f"run_dir={tmp_path}"]) == 0
        folder = capsys.readouterr().out.strip().splitlines()[-1]
        hashes.append(canonical_hash(f"{folder}/events.jsonl"))
    assert hashes[0] == hashes[1]


def test_a_run_with_personas_goes_on_after_a_kill(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *TELL, "snapshots.every=1")
    for step in (0, 2):
        copy = left(folder, tmp_path, next(e.seq for e in events if e.step == step) + 2, snapshots=step)
        assert main(["resume", str(copy), *PLUGIN]) == 0
        assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
        shutil.rmtree(copy)


def test_a_fork_can_give_an_agent_a_persona_or_another_one_and_says_so_in_the_log(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, *TELL)
    new, after = forked(capsys, folder, "--at", "3", "personas.P1.text='I am in a hurry.'", "personas.P0.text='I listen.'")
    assert [e.data for e in of_kind(after, "intervention")] == [
        {"what": "setting", "key": "personas.P0.own", "from": None, "to": None} | {"key": "personas.P0.text", "to": "I listen."},
        {"what": "setting", "key": "personas.P1.text", "from": "I am patient.", "to": "I am in a hurry."},
    ]
    assert [(e.step, e.data["id"]) for e in of_kind(after, "message") if e.data["id"].startswith("persona")] == [(0, "persona-P1"), (3, "persona-P0"), (3, "persona-P1-2")]
    assert main(["replay", str(new), *PLUGIN]) == 0
    _, same = forked(capsys, folder, "--at", "3")
    assert canonical_hash(same) == canonical_hash(events)


def test_a_persona_loses_what_an_export_takes_out_of_any_text():
    """Tags, and what has no width, nobody sees in a scenario, and a model reads all the same."""
    odd = [c for c in map(chr, range(sys.maxunicode + 1)) if CONTROL.fullmatch(c)]
    assert [c for c in odd if persona_of("P0", f"a{c}b") not in ("ab", "a\nb")] == [] and len(odd) > 200


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("personas.P9.text=x", "no agent 'P9' here"), ("personas.P1=x", "personas.P1 is 'x'; expected under it text"), ("personas.P1={}", "expected under it text"),
        ("personas.P1.age=7", "unknown key 'personas.P1.age'"), ("personas.P1.text=' '", "got 0 characters"),
        ("personas.P1.own=x.safetensors", "no seat has a model"), (f"personas.P1.text={'x' * 2001}", "got 2001 characters"),
    ],
)  # fmt: skip
def test_a_persona_that_cannot_be_told_is_refused_before_anything_is_written(capsys, tmp_path, given, says):
    code = main(["run", TOY, *PLUGIN, f"run_dir={tmp_path}", given])
    told = capsys.readouterr().err
    assert (code, says in told, told.count("\n"), list(tmp_path.iterdir())) == (2, True, 1, []), told


def test_an_agent_begins_with_the_own_state_of_an_earlier_run(capsys, tmp_path, checkpoint):  # noqa: F811
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}")
    earlier, plain, _ = run(capsys, tmp_path, *given)
    file = earlier / "snapshots" / "final" / "P0.safetensors"
    folder, events, _ = run(capsys, tmp_path, *given, f"personas.P0.own={file}")
    first = {agent: next(e.data["own"] for e in of_kind(log, "memory") if e.agent == agent) for log in (plain, events) for agent in ("P1", "P2")}
    assert first == {agent: next(e.data["own"] for e in of_kind(plain, "memory") if e.agent == agent) for agent in ("P1", "P2")}
    assert next(e.data["own"] for e in of_kind(events, "memory") if e.agent == "P0") != next(e.data["own"] for e in of_kind(plain, "memory") if e.agent == "P0")
    kept = load(str(checkpoint))
    one, other = (load_states(place / "snapshots" / "final" / "P0.safetensors", kept.model, kept.sha256)["own"] for place in (earlier, folder))
    assert not torch.equal(one.S_LHPN, other.S_LHPN)
    _, again = forked(capsys, folder, "--at", "2")
    assert canonical_hash(again) == canonical_hash(events)
    erased, _ = forked(capsys, folder, "--at", "2", "--erase", "P0:P1")
    assert (erased / "snapshots" / "final").is_dir()
    assert main(["fork", str(earlier), "--at", "2", f"personas.P0.own={file}", *PLUGIN]) == 2
    assert "fork --at 0" in capsys.readouterr().err


def test_hosts_on_ray_begin_with_the_same_own_states(capsys, tmp_path, checkpoint):  # noqa: F811
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}")
    earlier, _, _ = run(capsys, tmp_path, *given)
    given = (*given, f"personas.P0.own={earlier / 'snapshots' / 'final' / 'P0.safetensors'}", "personas.P1.text='I am patient.'")
    local, ray = run(capsys, tmp_path, *given)[1], run(capsys, tmp_path, *given, "executor=ray", "hosts=2")[1]
    assert canonical_hash(ray) == canonical_hash(local)


def test_a_prior_state_is_read_undecayed_and_named_as_of_another_run(capsys, tmp_path, checkpoint):  # noqa: F811
    from agents.reading import prior

    folder, _, _ = run(capsys, tmp_path, *PLAY, f"policies.remembering.checkpoint={checkpoint}")
    kept, file = load(str(checkpoint)), folder / "snapshots" / "final" / "P0.safetensors"
    was, found = load_states(file, kept.model, kept.sha256)["own"], prior(kept, str(file))
    assert torch.equal(found.S_LHPN, was.S_LHPN) and found.time is None and found.key != was.key and was.time > 0


def test_a_file_of_states_that_is_damaged_changed_or_of_another_model_is_refused(capsys, tmp_path, checkpoint):  # noqa: F811
    given = (*PLAY, f"policies.remembering.checkpoint={checkpoint}")
    earlier, _, _ = run(capsys, tmp_path, *given)
    file = tmp_path / "own.safetensors"
    shutil.copy(earlier / "snapshots" / "final" / "P0.safetensors", file)
    folder, events, _ = run(capsys, tmp_path, *given, f"personas.P1.own={file}", "snapshots.every=1")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["file_sha256"]) == ["personas.P1.own"]
    copy = left(folder, tmp_path, next(e.seq for e in events if e.step == 2), snapshots=1)
    shutil.copy(earlier / "snapshots" / "final" / "P2.safetensors", file)  # whole, and another
    assert main(["resume", str(copy), *PLUGIN]) == 2 and "the file that personas.P1.own names was changed" in capsys.readouterr().err
    for content, says in ((b"x" * 100, "not a file of states"), (None, "not a file of states")):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        assert main(["run", TOY, *PLUGIN, *given, f"run_dir={tmp_path}", f"personas.P1.own={file}"]) == 2
        told = capsys.readouterr().err
        assert "personas.P1.own" in told and says in told and told.count("\n") == 1


def test_the_log_of_a_briefed_run_is_read_as_a_persona_by_exports(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path, *TELL)
    assert main(["export", str(folder), "--format", "messages", "--out", str(tmp_path / "out")]) == 0
    rows = [json.loads(line) for path in (tmp_path / "out").rglob("*.jsonl") for line in path.read_text().splitlines()]
    systems = {row["agent"]: row["messages"][0]["content"] for row in rows}
    assert systems["P1"].endswith("I am patient.") and all("patient" not in text for agent, text in systems.items() if agent != "P1")
    assert len(list(read_events(folder / "events.jsonl"))) > 10
