"""Training: the losses are what they say, a few steps lower them, the same seed gives the same weights, and the way back exists."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sociallm import checkpoint
from sociallm.batches import Encoded, Window, batch_of, encode_conversation, windows_of
from sociallm.conversation import Channel, Conversation, Message, read_conversations, write_conversations
from sociallm.lanes import Piece, Showing
from sociallm.layout import SociaLLMConfig
from sociallm.losses import by_read, loss_of, token_nll
from sociallm.model import SociaLLM, build
from sociallm.through import bits_per_byte
from sociallm.tokenizer import Tokenizer
from sociallm.train import losses_of, train, train_step
from sociallm.training import TrainConfig, new_training, optimizers_of, rate, share_done
from tests.sociallm.small import conversation, model_of, one_batch

CONFIG = TrainConfig(tokens=10_000, steps=3, warmup=1, report_every=1, batch_tokens=400, lanes=1, listen_share=1.0, threads=1)


@pytest.fixture(scope="module")
def sizes(tokenizer: Tokenizer) -> SociaLLMConfig:
    return replace(model_of().config, vocabulary=tokenizer.vocabulary)


def encoded_of(tokenizer: Tokenizer, *seeds: int) -> list[Encoded]:
    return [encode_conversation(conversation(seed), tokenizer) for seed in seeds]


def run(folder: Path, tokenizer: Tokenizer, sizes: SociaLLMConfig, encoded: Sequence[Encoded], **how: Any) -> tuple[SociaLLM, list[str]]:
    said: list[str] = []
    model = train(folder, [(encoded, 1.0)], {"held": encoded[:1]}, tokenizer, sizes, replace(CONFIG, **how), say=said.append)
    return model, said


def pieces_of(*windows: Window, first: int = 0) -> list[Piece]:
    """Windows as a step meets them, each of a showing of its own (and so with slots of its own)."""
    return [Piece(Showing(i, 0, w.encoded), w) for i, w in enumerate(windows, first)]


# ---- losses ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_of_speech_and_of_listening_weighted(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    nll = token_nll(model, batch).detach()
    speaks = torch.from_numpy(batch.speaks_R)[batch.read_Y]
    for weight in (0.0, 0.5, 2.0):
        loss = loss_of(token_nll(model, batch), batch, weight)
        assert loss.speak == pytest.approx(float(nll[speaks].mean())) and loss.listen == pytest.approx(float(nll[~speaks].mean()))
        assert loss.total.item() == pytest.approx(loss.speak + weight * loss.listen) and loss.tokens == int(speaks.sum())


def test_a_message_without_readers_has_no_listening_term(tokenizer: Tokenizer) -> None:
    """Notes to oneself between the messages: spoken, never listened to; and alone they give a listening loss of nothing."""
    model, notes, c = model_of(), Channel(name="notes", readers=frozenset({"ann"})), conversation(count=6)
    mixed = [m for k, m in enumerate(c.messages) for m in (m, Message(id=f"n{k}", author="ann", channel=notes, time=m.time, text="the lazy fox"))]
    _, batch = one_batch(replace(c, messages=tuple(mixed)), tokenizer, model.config)
    assert batch.message_R[batch.speaks_R].tolist() == list(range(12)) and batch.message_R[~batch.speaks_R].tolist() == [0, 2, 4, 6, 8, 10]
    loss = loss_of(token_nll(model, batch), batch, 1.0)
    nats = by_read(token_nll(model, batch).detach(), batch)
    tokens = np.bincount(batch.read_Y.numpy())
    heard = ~batch.speaks_R
    assert loss.listen == pytest.approx(nats[heard].sum() / tokens[heard].sum())
    _, alone = one_batch(replace(c, messages=tuple(mixed[1::2])), tokenizer, model.config)
    silent = loss_of(token_nll(model, alone), alone, 1.0)
    assert silent.listen == 0 and silent.total.item() == silent.speak > 0


def test_nats_by_read_add_up(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    nll = token_nll(model, batch).detach()
    assert by_read(nll, batch) == pytest.approx([float(nll[batch.read_Y == r].sum()) for r in range(len(batch.speaks_R))])


# ---- steps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"social_every": 0}, {"social_every": 2}, {"formulation": "per_reader"}], ids=str)
def test_a_few_steps_on_one_conversation_lower_the_loss(how: dict[str, Any], tokenizer: Tokenizer) -> None:
    """Of the model, of a plain Mamba-2, of one with a social block in every other layer, and of every reader encoding for itself."""
    config = replace(CONFIG, steps=100, learning_rate=1e-2, weight_decay=0.0, formulation=how.get("formulation", "public"))
    sizes = replace(model_of().config, social_every=how.get("social_every", 1))
    state = new_training(build(sizes, torch.Generator().manual_seed(0)), config)
    (window,) = windows_of(encoded_of(tokenizer, 0)[0], 10_000, 100)
    for _ in range(14):
        train_step(state, pieces_of(window), tokenizer, config)
    speak, listen = np.array([losses[:2] for losses in state.recent]).T
    assert np.mean(speak[-2:]) < 0.7 * np.mean(speak[:2])
    assert listen.any() == bool(sizes.social_every) and np.mean(listen[-2:]) <= 0.7 * np.mean(listen[:2])
    assert state.step == 14 and state.tokens == 14 * sum(len(w) + 1 for w in window.encoded.words)


def test_a_step_begins_from_what_the_step_before_left(tokenizer: Tokenizer) -> None:
    """The loss of a conversation's second window is lower or higher than without its first; with `carry` off it is the same."""
    first, second = windows_of(encoded_of(tokenizer, 0)[0], 10_000, 7)
    showing = Showing(0, 0, first.encoded)
    speak: dict[tuple[bool, bool], float] = {}
    for carry in (True, False):
        for read_first in (True, False):
            state = new_training(model_of(), replace(CONFIG, carry=carry))
            if read_first:
                losses_of(state, [Piece(showing, first)], tokenizer, replace(CONFIG, carry=carry))
                assert list(state.carried) == ([0] if carry else [])
            speak[carry, read_first] = losses_of(state, [Piece(showing, second)], tokenizer, replace(CONFIG, carry=carry)).speak
            assert not state.carried  # the conversation is over
    assert speak[False, True] == speak[False, False] == speak[True, False] != speak[True, True]


def test_slots_stay_the_same_over_the_windows_of_a_conversation(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """And differ from one showing of it to the next."""
    from sociallm import train as training

    given: list[tuple[int, int, tuple[tuple[str, int], ...]]] = []

    def watched(windows: Sequence[Window], *args: Any, slots: Sequence[dict[str, int]], **how: Any) -> Any:
        given.extend((w.first, w.last, tuple(s.items())) for w, s in zip(windows, slots, strict=True))
        return batch_of(windows, *args, slots=slots, **how)

    monkeypatch.setattr(training, "batch_of", watched)
    state = new_training(model_of(), CONFIG)
    windows = windows_of(encoded_of(tokenizer, 0)[0], 10_000, 5)
    for number in (0, 1):
        for w in windows:
            state.step += 1
            losses_of(state, [Piece(Showing(number, 0, w.encoded), w)], tokenizer, CONFIG)
    one, two = {s for *_, s in given[:3]}, {s for *_, s in given[3:]}
    assert len(one) == len(two) == 1 and one != two


def test_every_parameter_learns(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    loss_of(token_nll(model, batch), batch, 0.5).total.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0 and p.grad.isfinite().all(), name
    grouped = [p for optimizer in optimizers_of(model, CONFIG) for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()} and len(grouped) == len(list(model.parameters()))


def test_the_learning_rate_warms_up_and_falls_to_a_twentieth() -> None:
    config = TrainConfig(learning_rate=1.0, warmup=10)
    assert [rate(0.0, step, config) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1, 1])
    assert [rate(p, 99, config) for p in (0.5, 1.0, 2.0)] == pytest.approx([0.05 + 0.95 / 2, 0.05, 0.05])


def test_a_training_is_done_by_tokens_or_by_steps() -> None:
    state = new_training(model_of(), CONFIG)
    state.tokens, state.step = 5_000, 1
    assert share_done(state, CONFIG) == 0.5 and share_done(state, replace(CONFIG, steps=1)) == 1


def test_the_same_seed_gives_the_same_weights(tokenizer: Tokenizer, sizes: SociaLLMConfig, tmp_path: Path) -> None:
    models = [run(tmp_path / str(i), tokenizer, sizes, encoded_of(tokenizer, 0, 1), seed=seed)[0].state_dict() for i, seed in enumerate((5, 5, 6))]
    assert all(torch.equal(v, models[1][k]) for k, v in models[0].items())
    assert not any(torch.equal(v, models[2][k]) for k, v in models[0].items() if k.endswith("proj.weight"))


# ---- a whole training --------------------------------------------------------------------------------------------------


def test_a_training_leaves_a_checkpoint_a_curve_and_its_validation(tokenizer: Tokenizer, sizes: SociaLLMConfig, tmp_path: Path) -> None:
    model, said = run(tmp_path, tokenizer, sizes, encoded_of(tokenizer, 0, 1), seed=5)
    with open(tmp_path / "curve.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [int(r["step"]) for r in rows] == [1, 2, 3] and len(said) == 3
    assert all(math.isfinite(float(r[k])) and float(r[k]) > 0 for r in rows for k in ("speak_nats", "listen_nats", "rate"))
    assert [int(r["tokens"]) for r in rows] == sorted(int(r["tokens"]) for r in rows)
    loaded = checkpoint.load(str(tmp_path))
    assert all(torch.equal(v, loaded.model.state_dict()[k]) for k, v in model.state_dict().items())
    notes = json.loads((tmp_path / "validation.json").read_text())
    assert notes["steps"] == 3 and notes["train"] == asdict(replace(CONFIG, seed=5)) and notes["bits_per_byte"]["held"].keys() == {"on", "no_own", "no_interlocutor", "off"}
    assert json.loads((tmp_path / "config.json").read_text())["notes"] == notes


def test_a_model_learns_to_use_its_own_memory(tokenizer: Tokenizer) -> None:
    """Each of four has one phrase, dealt out anew in each conversation, and says it again and again, every time in a new channel and to
    nobody in particular: with its own state it knows what it says, without it has to guess, and the interlocutor's has nothing to tell."""
    lines, rng = {"ann": "the quick fox", "bob": "over Munich", "cyd": "shall we go", "dan": "a lazy dog"}, np.random.default_rng(0)
    windows = []
    for c in range(6):
        own = dict(zip(lines, rng.permutation(list(lines.values())), strict=True))
        said = tuple(
            Message(id=str(k), author=str(a), channel=Channel(name=str(k), readers=frozenset(lines)), time=k * 1000, text=str(own[a]))
            for k, a in enumerate(rng.choice(list(lines), 16))
        )
        windows += windows_of(encode_conversation(Conversation(id=str(c), messages=said), tokenizer), 10_000, 100)
    config = replace(CONFIG, tokens=10**9, steps=10**6, learning_rate=1e-2, weight_decay=0.0)
    state = new_training(model_of(dtype=torch.float32), config)
    for step in range(45):
        train_step(state, pieces_of(*windows[:5], first=5 * step), tokenizer, config)
    found = bits_per_byte(state.model, [windows[5].encoded], tokenizer)
    assert found["on"] < 0.9 * found["no_own"]
    assert found["no_interlocutor"] == found["on"] and found["off"] == found["no_own"]


def test_conversations_written_by_a_run_train_the_model(tokenizer: Tokenizer, sizes: SociaLLMConfig, tmp_path: Path) -> None:
    """The way back: JSONL out, JSONL in, one step from an existing model."""
    path = tmp_path / "conversations.jsonl"
    write_conversations(path, [conversation(seed) for seed in (0, 1)])
    encoded = [encode_conversation(c, tokenizer) for c in read_conversations(path)]
    assert [e.conversation for e in encoded] == [conversation(0), conversation(1)]
    start = model_of(vocabulary=tokenizer.vocabulary, dtype=torch.float32)
    before = {k: v.clone() for k, v in start.state_dict().items()}
    model = train(tmp_path / "new", [(encoded, 1.0)], {"held": encoded}, tokenizer, sizes, replace(CONFIG, steps=1), say=lambda _: None, start=start)
    assert model is start and any(not torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert json.loads((tmp_path / "new" / "validation.json").read_text())["steps"] == 1


@pytest.mark.parametrize("count", [0, 1])
def test_conversations_of_no_or_one_message_are_refused(count: int, tokenizer: Tokenizer, sizes: SociaLLMConfig, tmp_path: Path) -> None:
    short = encode_conversation(replace(conversation(), messages=conversation().messages[:count]), tokenizer)
    with pytest.raises(ValueError, match="no conversation of two messages or more") as error:
        run(tmp_path / "new", tokenizer, sizes, [short])
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()
    run(tmp_path / "more", tokenizer, sizes, [*encoded_of(tokenizer, 0), short], steps=1)  # beside others they do no harm
