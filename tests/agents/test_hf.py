"""Seats on a model in a folder: two kinds of tiny random models, asked here, offline; what is refused; one copy; runs that go on."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from agents.memory import AgentMemory
from agents.policies import hf
from agents.types import Channel, Observation, Turn
from sandbox.__main__ import main
from sandbox.chance import stream
from sandbox.log import canonical_hash, read_events
from tests.agents.tiny_models import model_in
from tests.sandbox.runs import TOY, run
from tests.sandbox.test_fork import PLUGIN, forked
from tests.sandbox.test_resume import left

pytest.importorskip("transformers")
AB = Channel(name="A-B", readers=frozenset("AB"))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return {kind: model_in(tmp_path_factory.mktemp(kind), kind) for kind in ("llama", "mamba2")}


def turn(step=0, due=False):
    seen = Observation(agent="A", step=step, time=5, may_write=(AB,), move_due=due, view={"step": step})
    return Turn(observation=seen, memory=AgentMemory(), rng=stream(1, "A", "policy", step))


def policy(folder, **options):
    return hf.make(None, hf.Options(model=str(folder), **{"max_tokens": 24, "attempts": 2, **options}), ("A", "B"))


@pytest.mark.parametrize("kind", ["llama", "mamba2"])
def test_a_model_is_asked_and_what_it_took_is_counted(models, kind):
    ((action, memory),) = policy(models[kind]).step([turn()])
    usage = action.usage
    assert (usage["calls"], usage["attempts"], usage["model"]) == (2, 2, Path(models[kind]).name)
    assert usage["tokens_in"] > 200 and 2 <= usage["tokens_out"] <= 48 and usage["seconds"] > 0 and usage["cost"] == 0
    assert [what for what, _ in action.faults] == ["reply", "reply", "fallback"] and isinstance(memory, AgentMemory)  # a random model says nothing that could be taken


@pytest.mark.parametrize("kind", ["llama", "mamba2"])
def test_a_reply_that_can_be_taken_is_said_and_done(models, kind, monkeypatch):
    one = policy(models[kind])
    text = json.dumps({"messages": [{"to": "B", "text": "hello"}], "intent": None, "move": 7})
    monkeypatch.setattr(one, "_generated", lambda ids, seed: one._tokenizer(text)["input_ids"])
    ((action, after),) = one.step([turn(due=True)])
    assert [(m.text, m.channel) for m in action.messages] == [("hello", AB)] and action.move == 7 and action.faults == () and action.wording == ({"by": "hf"},)
    assert one.recall(turn(due=True), action) == after


@pytest.mark.parametrize("kind", ["llama", "mamba2"])
def test_the_same_seed_gives_the_same_tokens_whatever_was_drawn_before_and_another_seed_others(models, kind):
    import torch

    one = policy(models[kind])
    ids, _ = one._ids([{"role": "user", "content": "hello"}])
    before = torch.random.get_rng_state()
    first = one._generated(ids, 1)
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody else's chance is touched
    torch.rand(5)
    assert one._generated(ids, 1) == first != one._generated(ids, 2)
    greedy = policy(models[kind], temperature=0.0)
    assert greedy._generated(ids, 1) == greedy._generated(ids, 2)


def test_there_is_one_copy_of_the_weights(models):
    assert policy(models["llama"])._model is policy(models["llama"], temperature=0.0)._model


def test_a_prompt_longer_than_the_model_reads_loses_its_middle_and_a_fault_says_so(tmp_path):
    one = policy(model_in(tmp_path, positions=128))
    ids, cut = one._ids([{"role": "user", "content": "a" * 300}])
    whole, _ = policy_room_free(one)
    assert len(ids) == 128 - 24 and cut == len(whole) - len(ids) and ids[:20] == whole[:20] and ids[-20:] == whole[-20:]
    assert any(what == "context" for what, _ in one.step([turn()])[0][0].faults)


def policy_room_free(one):
    one._room, room = None, one._room
    whole = one._ids([{"role": "user", "content": "a" * 300}])
    one._room = room
    return whole


def test_without_a_chat_template_or_with_one_that_refuses_the_prompt_it_is_plain_text(tmp_path):
    bare = policy(model_in(tmp_path / "bare", template=False))
    given = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    assert bare._tokenizer.decode(bare._ids(given)[0]) == "S\n\nU\n\nJSON: "
    refusing = policy(model_in(tmp_path / "refusing"))
    refusing._tokenizer.chat_template = "{{ raise_exception('no system turn') }}"
    assert refusing._tokenizer.decode(refusing._ids(given)[0]) == "S\n\nU\n\nJSON: "


def damaged(folder, how):
    if how == "pickle":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    if how == "code":
        config = json.loads((folder / "config.json").read_text()) | {"model_type": "mine", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w').write('x')\n")
    if how == "torn":
        raw = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    if how == "tokens":
        (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("how", "says"), [("pickle", "not read, convert them first"), ("code", "cannot be loaded"), ("torn", "cannot be loaded"), ("tokens", "cannot be loaded")])
def test_a_folder_that_is_no_model_or_wants_to_run_code_is_refused_in_one_line(models, tmp_path, how, says):
    folder = damaged(Path(shutil.copytree(models["llama"], tmp_path / how)), how)
    with pytest.raises(ValueError) as error:
        policy(folder)
    assert says in str(error.value) and "\n" not in str(error.value) and not (folder / "ran").exists()


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.2-1B", "gpt2", "https://example.org/model"])
def test_the_name_of_a_model_on_a_hub_is_refused_and_nothing_is_fetched(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was made"))
    code = main(["run", TOY, *PLUGIN, f"run_dir={tmp_path}", "seats.P1=hf", f"policies.hf.model={name}"])
    told = capsys.readouterr().err
    assert (code, list(tmp_path.iterdir()), told.count("\n")) == (2, [], 1) and "nothing is downloaded" in told


def test_options_out_of_range_are_refused():
    for bad in ({"temperature": -1.0}, {"top_p": 0.0}, {"max_tokens": 0}, {"attempts": 9}, {"device": "cuda:x"}, {"dtype": "int8"}, {"seed": -1}, {"window": 0}):
        with pytest.raises(ValueError, match="expected"):
            hf.Options(**bad)
    assert dataclasses.asdict(hf.Options())["checkpoint"] == "base"


def test_a_run_with_a_model_goes_on_forks_and_replays_without_asking_again_what_is_logged(capsys, tmp_path, models, monkeypatch):
    given = ("seats.P1=hf", f"policies.hf.model={models['llama']}", "policies.hf.checkpoint=null", "policies.hf.max_tokens=8", "policies.hf.attempts=1", "snapshots.every=2")
    folder, events, _ = run(capsys, tmp_path, *given)
    asked = sum(e.kind == "intent" and e.agent == "P1" for e in events)
    assert asked == 6 and "model/model.safetensors" in json.dumps(json.loads((folder / "manifest.json").read_text())["file_sha256"])
    calls = []
    once = hf.LocalModelPolicy._generated
    monkeypatch.setattr(hf.LocalModelPolicy, "_generated", lambda self, ids, seed: calls.append(seed) or once(self, ids, seed))
    copy = left(folder, tmp_path, next(e.seq for e in events if e.step == 4), snapshots=1)
    assert main(["resume", str(copy), *PLUGIN]) == 0 and len(calls) == 2
    assert canonical_hash(copy / "events.jsonl") == canonical_hash(events)
    capsys.readouterr()
    _, again = forked(capsys, folder, "--at", "5")
    assert len(calls) == 3 and canonical_hash(again) == canonical_hash(events)
    assert main(["replay", str(folder), *PLUGIN]) == 0 and len(calls) == 3
    assert list(read_events(folder / "events.jsonl")) == events
