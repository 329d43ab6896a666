"""One pass over all perspectives equals a naive pass per perspective (SCIENCE 1.4, theorem and T1–T3), in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sociallm.batches import batch_of, encode_conversation, windows_of
from sociallm.conversation import Channel, Conversation, Message
from sociallm.losses import stream_states, token_nll
from sociallm.model import SociaLLM, SociaLLMConfig, build
from sociallm.streams import delivered
from sociallm.tokenizer import Tokenizer
from tests.sociallm.naive import Heard, logits_of

AGENTS = ("ann", "bob", "cyd", "dan")
PUBLIC = Channel(name="ALL", readers=frozenset(AGENTS))


def pair(a: str, b: str) -> Channel:
    return Channel(name="-".join(sorted((a, b))), readers=frozenset((a, b)))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(["the quick brown fox jumps over the lazy dog", "shall we go to Munich together?"] * 3, vocabulary=420)


def model_of(fusion: str) -> SociaLLM:
    config = SociaLLMConfig(
        vocabulary=420, width=24, layers=3, local_heads=2, local_head_width=8, local_state=8,
        social_heads=3, social_head_width=4, social_state=8, fusion=fusion, local_chunk=8, social_chunk=4,
    )  # fmt: skip
    model = build(config, torch.Generator().manual_seed(3)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for block in model.social:
            block.role_log.copy_(torch.randn(block.role_log.shape, generator=generator) * 0.3)
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.1)
        model.embedding.weight.mul_(20)
    return model


def conversation(seed: int = 0, count: int = 22) -> Conversation:
    rng = np.random.default_rng(seed)
    words = "the quick brown fox jumps over a lazy dog shall we go to Munich together".split()
    messages, now = [], 0
    for k in range(count):
        author = str(rng.choice(AGENTS))
        other = str(rng.choice([a for a in AGENTS if a != author]))
        now += int(rng.integers(1, 3_000_000))
        channel = PUBLIC if rng.random() < 0.4 else pair(author, other)
        to = frozenset({other}) if channel is not PUBLIC or rng.random() < 0.3 else frozenset()
        text = " ".join(rng.choice(words, int(rng.integers(1, 9))))
        messages.append(Message(id=f"m{k}", author=author, channel=channel, time=now, text=text, addressees=to))
    return Conversation(id="c", messages=tuple(messages))


def one_batch(c: Conversation, tokenizer: Tokenizer, model: SociaLLM):
    encoded = encode_conversation(c, tokenizer)
    window = windows_of(encoded, 10_000, 1_000)[0]
    return encoded, batch_of([window], tokenizer, model.config, np.random.default_rng(7))


def naive_logits(c: Conversation, encoded, batch, tokenizer: Tokenizer, model: SociaLLM, read: int) -> torch.Tensor:
    """Logits of one read of the batch by the naive pass, from the messages its reader may see and nothing else."""
    at = int(batch.message_R[read])
    flat_start = [batch.sequence.starts_M[int(m)] for m in batch.flat_M]
    ids = [batch.sequence.tokens_T[s : s + batch.sequence.lengths_M[int(m)]].tolist() for s, m in zip(flat_start, batch.flat_M, strict=True)]
    message = c.messages[at]
    if batch.speaks_R[read]:
        reader, partners = message.author, [a for a in encoded.partners[at]]
    else:
        role = batch.streams.own_RM[read][:at].tolist()  # the batch drew the reader; its stream tells which
        readers = [a for a in sorted(message.channel.readers - {message.author}) if delivered(c.messages[:at], [a])[0].tolist() == role]
        reader, partners = readers[0], [message.author]
    visible = [k for k in range(at + 1) if c.messages[k].read_by(reader)]
    seen = [Heard(ids[k], c.messages[k].channel.name, c.messages[k].author, (c.messages[k].time - c.messages[0].time) / 3_600_000) for k in visible]
    return logits_of(model, seen, reader, partners)


@pytest.mark.parametrize("fusion", ["heads", "sum"])
def test_one_pass_equals_naive_passes(fusion: str, tokenizer: Tokenizer) -> None:
    model, c = model_of(fusion), conversation()
    encoded, batch = one_batch(c, tokenizer, model)
    public = model.public(batch.sequence)
    logits = model.logits(model.read(public, batch.reads, *stream_states(model, public, batch, batch.streams)))
    assert (~batch.speaks_R).sum() > 10 and batch.speaks_R.sum() == len(c.messages)
    for read in range(len(batch.speaks_R)):
        naive = naive_logits(c, encoded, batch, tokenizer, model, read)
        start = batch.reads.starts[read]
        assert (logits[start : start + len(naive)] - naive).abs().max() <= 1e-10
    assert logits.abs().max() > 1


def test_gradients_of_one_pass_equal_naive_gradients(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation(seed=5, count=9)
    encoded, batch = one_batch(c, tokenizer, model)
    token_nll(model, batch).sum().backward()
    fast = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for read in range(len(batch.speaks_R)):
        naive = naive_logits(c, encoded, batch, tokenizer, model, read)
        here = batch.read_Y == read
        total = total + torch.nn.functional.cross_entropy(naive[batch.place[here] - batch.reads.starts[read]], batch.target[here], reduction="sum")
    total.backward()
    for name, p in model.named_parameters():
        assert (p.grad - fast[name]).norm() <= 1e-8 * fast[name].norm() + 1e-12, name


@pytest.mark.parametrize("longer", [False, True])
def test_a_hidden_message_changes_nothing(longer: bool, tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    hidden = next(k for k, m in enumerate(c.messages) if m.channel.name == "ann-bob")
    text = c.messages[hidden].text[::-1] + (" dog dog dog dog dog dog" if longer else "")
    edited = replace(c, messages=tuple(replace(m, text=text) if k == hidden else m for k, m in enumerate(c.messages)))
    rows = []
    for version in (c, edited):
        _, batch = one_batch(version, tokenizer, model)
        nll = token_nll(model, batch)
        rows.append([nll[batch.read_Y == r] for r in range(len(batch.speaks_R))])
    blind = [r for r, m in enumerate(batch.message_R) if not batch.streams.own_RM[r][hidden] and m != hidden]
    touched = [r for r in range(len(rows[0])) if r not in blind and batch.message_R[r] > hidden]
    assert len(blind) > 15
    assert all(torch.equal(rows[0][r], rows[1][r]) for r in blind)
    assert any(not torch.equal(rows[0][r], rows[1][r]) for r in touched)


def test_no_token_hears_a_later_one(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    edited = replace(c, messages=(*c.messages[:15], replace(c.messages[15], text="dog"), *c.messages[16:]))
    before = []
    for version in (c, edited):
        _, batch = one_batch(version, tokenizer, model)
        nll = token_nll(model, batch)
        before.append(nll[torch.from_numpy(batch.message_R)[batch.read_Y] < 15])
    assert torch.equal(*before)


def test_sum_fusion_cannot_tell_own_from_interlocutor(tokenizer: Tokenizer) -> None:
    for fusion, same in (("sum", True), ("heads", False)):
        model = model_of(fusion)
        _, batch = one_batch(conversation(), tokenizer, model)
        public = model.public(batch.sequence)
        own, other = stream_states(model, public, batch, batch.streams)
        difference = (model.read(public, batch.reads, own, other) - model.read(public, batch.reads, other, own)).abs().max()
        assert (difference <= 1e-12) == same
