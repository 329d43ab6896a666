"""Training: the losses are what they say, a few steps lower them, the same seed gives the same weights, and the way back exists."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sociallm import checkpoint
from sociallm.batches import Encoded, batch_of, emptied, encode_conversation, windows_of
from sociallm.conversation import Channel, Conversation, Message, read_conversations, write_conversations
from sociallm.losses import _CrossEntropy, by_read, loss_of, token_nll
from sociallm.model import SociaLLM, SociaLLMConfig
from sociallm.tokenizer import Tokenizer
from sociallm.train import TrainConfig, endless, parameter_groups, rate, shifted, train, train_step, validate
from tests.sociallm.small import conversation, model_of, one_batch, tokenizer_of

CONFIG = TrainConfig(minutes=1e9, steps=3, warmup=1, report_every=1, batch_tokens=400, window_tokens=400, listen_share=1.0, threads=1)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizer_of()


@pytest.fixture(scope="module")
def sizes(tokenizer: Tokenizer) -> SociaLLMConfig:
    return replace(model_of().config, vocabulary=tokenizer.vocabulary)


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Training lets denormal numbers be zero in this process; the tests after it shall not."""
    yield
    torch.set_flush_denormal(False)


def encoded_of(tokenizer: Tokenizer, *seeds: int) -> list[Encoded]:
    return [encode_conversation(conversation(seed), tokenizer) for seed in seeds]


def run(folder: Path, tokenizer: Tokenizer, sizes: SociaLLMConfig, encoded: Sequence[Encoded], **how: float) -> tuple[SociaLLM, list[str]]:
    said: list[str] = []
    model = train(folder, [(encoded, 1.0)], {"held": encoded[:1]}, tokenizer, sizes, replace(CONFIG, **how), say=said.append)
    return model, said


# ---- losses ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_mean_of_speech_and_of_listening_weighted(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    nll = token_nll(model, batch).detach()
    speaks = torch.from_numpy(batch.speaks_R)[batch.read_Y]
    for weight in (0.0, 0.5, 2.0):
        loss = loss_of(model, batch, batch.streams, weight)
        assert loss.speak == pytest.approx(float(nll[speaks].mean())) and loss.listen == pytest.approx(float(nll[~speaks].mean()))
        assert loss.total.item() == pytest.approx(loss.speak + weight * loss.listen) and loss.tokens == int(speaks.sum())


def test_the_likelihood_is_the_cross_entropy_and_so_is_its_gradient(tokenizer: Tokenizer) -> None:
    logits = torch.randn(7, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    target, weight = torch.arange(7), torch.arange(7).double()
    values = [_CrossEntropy.apply(logits, target), torch.nn.functional.cross_entropy(logits, target, reduction="none")]
    gradients = [torch.autograd.grad((v * weight).sum(), logits)[0] for v in values]
    assert torch.allclose(*values, rtol=0, atol=1e-12) and torch.allclose(*gradients, rtol=0, atol=1e-12)


def test_a_message_without_readers_has_no_listening_term(tokenizer: Tokenizer) -> None:
    """Notes to oneself between the messages: spoken, never listened to; and alone they give a listening loss of nothing."""
    model, notes, c = model_of(), Channel(name="notes", readers=frozenset({"ann"})), conversation(count=6)
    mixed = [m for k, m in enumerate(c.messages) for m in (m, Message(id=f"n{k}", author="ann", channel=notes, time=m.time, text="the lazy fox"))]
    _, batch = one_batch(replace(c, messages=tuple(mixed)), tokenizer, model.config)
    assert batch.message_R[batch.speaks_R].tolist() == list(range(12)) and batch.message_R[~batch.speaks_R].tolist() == [0, 2, 4, 6, 8, 10]
    loss = loss_of(model, batch, batch.streams, 1.0)
    nats = by_read(token_nll(model, batch).detach(), batch)
    tokens = np.bincount(batch.read_Y.numpy())
    heard = ~batch.speaks_R
    assert loss.listen == pytest.approx(nats[heard].sum() / tokens[heard].sum())
    _, alone = one_batch(replace(c, messages=tuple(mixed[1::2])), tokenizer, model.config)
    silent = loss_of(model, alone, alone.streams, 1.0)
    assert silent.listen == 0 and silent.total.item() == silent.speak > 0


def test_nats_by_read_add_up(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    nll = token_nll(model, batch).detach()
    assert by_read(nll, batch) == pytest.approx([float(nll[batch.read_Y == r].sum()) for r in range(len(batch.speaks_R))])


# ---- steps -------------------------------------------------------------------------------------------------------------


def test_a_few_steps_on_one_conversation_lower_both_losses(tokenizer: Tokenizer) -> None:
    model, config = model_of(dtype=torch.float32), replace(CONFIG, learning_rate=1e-2)
    optimizer, rng = torch.optim.AdamW(parameter_groups(model, 0.0), lr=1e-2), np.random.default_rng(0)
    windows = windows_of(encoded_of(tokenizer, 0)[0], 10_000, 100)
    losses = [train_step(model, optimizer, windows, tokenizer, config, rng) for _ in range(12)]
    first, last = np.mean(losses[:2], 0), np.mean(losses[-2:], 0)
    assert last[0] < 0.7 * first[0] and last[1] < 0.7 * first[1]
    assert losses[0][2] == sum(len(w) + 1 for w in windows[0].encoded.words)


def test_every_parameter_learns(tokenizer: Tokenizer) -> None:
    model = model_of()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    loss_of(model, batch, batch.streams, 0.5).total.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0 and p.grad.isfinite().all(), name
    grouped = [p for group in parameter_groups(model, 0.1) for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()} and len(grouped) == len(list(model.parameters()))


def test_the_learning_rate_warms_up_and_falls_to_a_twentieth() -> None:
    config = TrainConfig(learning_rate=1.0, warmup=10)
    assert [rate(0.0, step, config) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1, 1])
    assert [rate(p, 99, config) for p in (0.5, 1.0, 2.0)] == pytest.approx([0.05 + 0.95 / 2, 0.05, 0.05])


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


def test_validation_is_bits_per_byte_with_and_without_states(tokenizer: Tokenizer) -> None:
    """Of speech alone, computed again from the batch; a window that holds all, so nothing is sampled but the slots."""
    model, encoded = model_of(), encoded_of(tokenizer, 3)
    found = validate(model, encoded, tokenizer, CONFIG)
    batch = batch_of(windows_of(encoded[0], 400, 160), tokenizer, model.config, np.random.default_rng(0), listen=0.0)
    size = sum(len(m.text.encode()) for m in encoded[0].conversation.messages)
    with torch.no_grad():
        for name, own, other in (("on", False, False), ("no_own", True, False), ("no_interlocutor", False, True), ("off", True, True)):
            nats = float(token_nll(model, batch, emptied(batch.streams, own, other)).sum())
            assert found[name] == pytest.approx(nats / size / math.log(2))
    assert found.keys() == {"on", "no_own", "no_interlocutor", "off"} and len(set(found.values())) == 4
    assert validate(model, encoded, tokenizer, CONFIG) == found


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
    model = model_of(dtype=torch.float32)
    optimizer, rng = torch.optim.AdamW(parameter_groups(model, 0.0), lr=1e-2), np.random.default_rng(0)
    for _ in range(45):
        train_step(model, optimizer, windows[:5], tokenizer, CONFIG, rng)
    found = validate(model, [windows[5].encoded], tokenizer, replace(CONFIG, window_tokens=10_000))
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


def test_windows_of_one_message_are_left_out_and_weights_are_shares(tokenizer: Tokenizer) -> None:
    sets = [(encoded_of(tokenizer, 0), 2.0), (encoded_of(tokenizer, 1), 0.5)]
    epochs: dict[int, list[Encoded]] = {}
    for epoch, windows in endless(sets, replace(CONFIG, window_tokens=10_000), np.random.default_rng(0)):
        if epoch == 200:
            break
        assert all(w.last - w.first > 1 for w in windows)
        epochs.setdefault(epoch, []).extend(w.encoded for w in windows)
    twice = [sum(e is sets[0][0][0] for e in epoch) for epoch in epochs.values()]
    half = [sum(e is sets[1][0][0] for e in epoch) for epoch in epochs.values()]
    assert set(twice) == {2} and 0.35 < np.mean(half) < 0.65


def test_every_message_is_trained_on_wherever_a_conversation_is_cut(tokenizer: Tokenizer) -> None:
    (encoded,) = encoded_of(tokenizer, 0)
    config = replace(CONFIG, window_tokens=40)
    firsts = set()
    for seed in range(20):
        cut = shifted(encoded, config, np.random.default_rng(seed))
        assert [k for w in cut for k in range(w.first, w.last)] == list(range(len(encoded.words))) and len(cut) > 2
        firsts.add(cut[0].last)
    assert len(firsts) > 2


@pytest.mark.parametrize("count", [0, 1])
def test_conversations_of_no_or_one_message_are_refused(count: int, tokenizer: Tokenizer, sizes: SociaLLMConfig, tmp_path: Path) -> None:
    short = encode_conversation(replace(conversation(), messages=conversation().messages[:count]), tokenizer)
    with pytest.raises(ValueError, match="no conversation of two messages or more") as error:
        run(tmp_path / "new", tokenizer, sizes, [short])
    assert "\n" not in str(error.value) and not (tmp_path / "new").exists()
    run(tmp_path / "more", tokenizer, sizes, [*encoded_of(tokenizer, 0), short], steps=1)  # beside others they do no harm
