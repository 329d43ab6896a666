"""Interviews: agents answer as they were before a step, and asking changes nothing."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from sandbox import interview
from sandbox.__main__ import main
from sandbox.log import canonical_hash
from sandbox.sealed import events_of
from scenarios.table import WORLDS, world
from tests.agents.stub_server import serving
from tests.sandbox.runs import run
from tests.sandbox.test_fork import PLUGIN
from tests.sandbox.test_outside import PLUGINS as ASKED
from tests.sandbox.test_resume import left
from tests.sandbox.test_states import PLAY, checkpoint  # noqa: F401 (a fixture is used by being here)


def bytes_of(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def asked(capsys, folder, *words, code=0, plugins=PLUGIN):
    """(answers as JSON, what was said on stderr)."""
    assert main(["ask", str(folder), *words, "--json", *plugins]) == code
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def test_asking_changes_no_byte_of_the_run_and_the_same_question_has_the_same_answer(capsys, tmp_path, checkpoint):  # noqa: F811
    folder, _, _ = run(capsys, tmp_path, *PLAY, f"policies.remembering.checkpoint={checkpoint}", "snapshots.every=2")
    before, here = bytes_of(folder), sorted(tmp_path.rglob("*"))
    one, _ = asked(capsys, folder, "Whom do you trust?", "--at", "2", "--agent", "P0", "--agent", "P2")
    other, _ = asked(capsys, folder, "Whom do you trust?", "--at", "2", "--agent", "P2")
    assert bytes_of(folder) == before and sorted(tmp_path.rglob("*")) == here
    assert [a["agent"] for a in one] == ["P0", "P2"] and other == one[1:]  # nobody hears what another was asked
    assert one[0]["question"]["tokens"] > 3 and one[0]["question"]["nats"] != one[0]["question"]["nats_no_states"]
    assert one[0]["by"] == "model" and one[0]["step"] == 2


def test_a_run_that_was_asked_goes_on_to_the_same_log(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, "snapshots.every=1")
    copy = left(folder, tmp_path, next(e.seq for e in events if e.step == 3) + 2, snapshots=2)
    answers, _ = asked(capsys, copy, "What now?")
    assert [a["step"] for a in answers] == [3] * 4
    assert main(["resume", str(copy), *PLUGIN]) == 0
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)


def test_an_agent_asked_before_a_step_intends_what_it_intended_in_it(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path)
    for step in (0, 2, 5):
        answers, _ = asked(capsys, folder, "And you?", "--at", str(step))
        planned = {e.agent: e.data["intent"] for e in events if e.kind == "intent" and e.step == step}
        assert {a["agent"]: a["intent"] for a in answers} == planned


def test_who_answers_from_outside_is_asked_in_a_channel_that_only_it_and_the_interviewer_read(capsys, tmp_path):
    folder, events, _ = run(capsys, tmp_path, "seats.P1=asked", f"policies.asked.counter={tmp_path}/count", *ASKED[2:])
    calls, before = int((tmp_path / "count").read_text()), bytes_of(folder)
    (answer,), _ = asked(capsys, folder, "Hello?", "--at", "3", "--agent", "P1", plugins=ASKED)
    assert answer["said"] == [f"answer {calls + 1}"] and answer["by"] == "asked" and answer["usage"]["calls"] == 1
    assert int((tmp_path / "count").read_text()) == calls + 1 and bytes_of(folder) == before
    assert all("INTERVIEWER" not in json.dumps(e.data) for e in events)


def test_a_fork_is_asked_as_it_went_and_not_before_it_began(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    assert main(["fork", str(folder), "--at", "2", "seed=9", *PLUGIN]) == 0
    fork = capsys.readouterr().out.strip().splitlines()[-1]
    assert asked(capsys, fork, "So?", "--at", "4")[0] != asked(capsys, folder, "So?", "--at", "4")[0]
    assert "can be asked before steps 2 to" in asked(capsys, fork, "So?", "--at", "1", code=2)[1]


@pytest.mark.parametrize(("words", "says"), [
    (("So?", "--at", "99"), "can be asked before steps 0 to 5"), (("So?", "--at", "-1"), "can be asked before steps"), (("So?", "--agent", "P9"), "no such agent"),
    (("  ",), "0 characters"), (("x" * 2001,), "2001 characters"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told_in_one_line(capsys, tmp_path, words, says):
    folder, _, _ = run(capsys, tmp_path)
    told = asked(capsys, folder, *words, code=2)[1]
    assert says in told and told.count("\n") == 1


def test_a_folder_that_was_changed_is_not_asked(capsys, tmp_path):
    folder, _, _ = run(capsys, tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "events.jsonl").write_bytes((folder / "events.jsonl").read_bytes().replace(b"guess", b"guest"))
    assert asked(capsys, copy, "So?", code=2)[1].count("\n") == 1


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"watch"}))
def test_in_every_world_scripted_agents_say_what_they_intend_and_know(capsys, tmp_path, name):
    file = tmp_path / "one.yaml"
    short = {"diplomacy": "last_year: 1901", "market": "rounds: 3"}.get(name)
    file.write_text(f"name: one\nseed: 2\nenvironment:\n  name: {name}\n" + (f"  {short}\n" if short else "") + "seats: {default: scripted}\nexecutor: local\nplots: false\n")
    assert main(["run", str(file), f"run_dir={tmp_path}"]) == 0
    folder = capsys.readouterr().out.strip().splitlines()[-1]
    agent = world(name).make(world(name).Options(**({"last_year": 1901} if name == "diplomacy" else {"rounds": 3} if name == "market" else {}))).agents[0]
    assert main(["ask", folder, "What is your plan?", "--at", "2", "--agent", agent]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not any(mark in line for mark in '{}["' for line in lines), "no dump of what the world keeps"
    assert "has no words of its own" in lines[1]
    assert lines[0] == f"{agent} (scripted), before step 2" and len(lines) > 1 and any(line.startswith("  intends: ") for line in lines)


def test_everybody_can_be_asked_before_the_assassin_strikes(capsys, tmp_path):
    """Who does not know the evil has no victim in mind."""
    assert main(["run", "scenarios/hidden_roles.yaml", "seed=1", "seats.default=scripted", "executor=local", "plots=false", f"run_dir={tmp_path}"]) == 0
    folder = capsys.readouterr().out.strip().splitlines()[-1]
    strikes = [event for event in events_of(Path(folder)) if event.kind == "outcome" and any(one["what"] == "strike" for one in event.data["events"])]
    answers, _ = asked(capsys, folder, "Whom do you suspect?", "--at", str(strikes[0].step), plugins=[])
    victims = [answer["intent"] for answer in answers]
    assert None in victims and any(victims)


def test_what_agents_say_steers_no_terminal():
    one = interview.Answer(agent="A\x1b", policy="llm", step=1, said=("\x1b[2J\u202ehi\n> x",), by="llm", intent={"a\x07": 1.0}, notes={"k": "\x9b"}, faults=(("f\x1b", "w\n"),))
    assert all(line.isprintable() for line in interview.in_words([one])) and len(interview.in_words([one])) == 4


def test_trust_promises_and_open_proposals_are_told_in_words_and_what_is_no_concern_of_a_person_is_not():
    pact = {"kind": "alliance", "powers": ["A", "B"], "against": "C"}
    notes = {"v": 1, "phase": "S1901M", "trust": {"B": 0.25}, "pending": [{"from": "C", "act": "propose", "about": {"kind": "dmz", "provinces": ["GAL"]}}], "offers": [],
             "agreed": [{"by": "A", "with": "B", "about": pact, "since": "S1901M", "firm": True, "meant": False}], "ego": [0.2, 0.8]}  # fmt: skip
    lines = interview.in_words([interview.Answer(agent="A", policy="scripted", step=1, notes=notes, usage={"calls": 2, "tokens_in": 30, "cost": 0.0, "seat": {"v": 1}})])
    assert lines[2:] == ["  trusts: B 0.25", "  not yet answered: C propose dmz GAL", "  promised: A to B: alliance A and B against C (a lie)", "  took: 2 calls, 30 tokens in"]


def test_servers_are_asked_for_only_where_somebody_who_is_asked_needs_one(capsys, tmp_path):
    with serving() as stub:
        words = ["scenarios/market.yaml", "environment.sellers=3", "environment.rounds=1", "plots=false", "executor=local", f"run_dir={tmp_path}"]
        seats = ["seats.default=scripted", "seats.S1=llm", "policies.llm.checkpoint=null", f"policies.llm.base_url={stub.url}", "policies.llm.model=player"]
        assert main(["run", *words, *seats]) == 0
        folder = capsys.readouterr().out.strip().splitlines()[-1]
        assert [a["agent"] for a in asked(capsys, folder, "So?", "--agent", "S2", plugins=())[0]] == ["S2"]
        assert f"--allow-host {stub.origin}" in asked(capsys, folder, "So?", code=2, plugins=())[1]
