"""Conversations read through: bits per byte are those of the whole conversation at once, streams on and off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from sociallm.batches import Encoded, batch_of, drawn_slots, emptied, encode_conversation, windows_of
from sociallm.losses import by_read, token_nll
from sociallm.model import SociaLLM, build
from sociallm.through import VARIANTS, Reading, bits_per_byte, readings
from sociallm.tokenizer import Tokenizer
from tests.sociallm.small import conversation, model_of


@pytest.fixture(scope="module")
def encoded(tokenizer: Tokenizer) -> Encoded:
    return encode_conversation(conversation(3, 16), tokenizer)


def in_fives(model: SociaLLM, encoded: Encoded, tokenizer: Tokenizer) -> Iterator[Reading]:
    """The conversation read in windows of five messages."""
    return readings(model, encoded, tokenizer, windows_of(encoded, 2048, 5))


@torch.no_grad()
def test_read_through_in_windows_is_reading_at_once(encoded: Encoded, tokenizer: Tokenizer) -> None:
    """Every message once, as its author, whichever streams are emptied at the reads: what is carried stays whole."""
    model = model_of()
    slots = drawn_slots(encoded, np.random.default_rng(0))
    batch = batch_of(windows_of(encoded, 100_000, 1_000), tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=slots)
    parts = list(in_fives(model, encoded, tokenizer))
    nats = [p.nats(model) for p in parts]
    assert [(p.window.first, p.window.last) for p in parts] == [(0, 5), (5, 10), (10, 15), (15, 16)]
    for name, (own, other) in VARIANTS.items():
        whole = by_read(token_nll(model, batch, emptied(batch.streams, own, other)), batch)
        assert np.abs(np.concatenate([n[name] for n in nats]) - whole).max() <= 1e-9


@torch.no_grad()
def test_validation_is_bits_per_byte_with_and_without_states(encoded: Encoded, tokenizer: Tokenizer) -> None:
    model = model_of()
    found = bits_per_byte(model, [encoded], tokenizer)
    slots = drawn_slots(encoded, np.random.default_rng(0))
    batch = batch_of(windows_of(encoded, 100_000, 1_000), tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=slots)
    size = sum(len(m.text.encode()) for m in encoded.conversation.messages)
    for name, (own, other) in VARIANTS.items():
        nats = float(token_nll(model, batch, emptied(batch.streams, own, other)).sum())
        assert found[name] == pytest.approx(nats / size / math.log(2))
    assert found.keys() == {"on", "no_own", "no_interlocutor", "off"} and len(set(found.values())) == 4
    assert bits_per_byte(model, [encoded], tokenizer) == found


def test_of_many_conversations_so_many_tokens_are_read_in_a_fixed_order(tokenizer: Tokenizer) -> None:
    model, many = model_of(), [encode_conversation(conversation(s, 4), tokenizer) for s in range(6)]
    first = int(np.random.default_rng(1).permutation(6)[0])
    assert bits_per_byte(model, many, tokenizer, 1) == bits_per_byte(model, [many[first]], tokenizer)
    assert bits_per_byte(model, many, tokenizer) == bits_per_byte(model, many, tokenizer, 10**9) != bits_per_byte(model, many, tokenizer, 1)
    assert bits_per_byte(model, [], tokenizer) == {}


def test_a_model_without_social_blocks_has_one_figure(encoded: Encoded, tokenizer: Tokenizer) -> None:
    plain = build(replace(model_of().config, social_every=0), torch.Generator().manual_seed(0)).double()
    found = bits_per_byte(plain, [encoded], tokenizer)
    assert found.keys() == {"on"} and found["on"] > 0
    nats = [np.concatenate([r.nats(plain)["on"] for r in of]) for of in (in_fives(plain, encoded, tokenizer), readings(plain, encoded, tokenizer))]
    assert np.abs(nats[0] - nats[1]).max() <= 1e-9


def test_reading_leaves_the_gradients_of_the_caller_as_they_were(encoded: Encoded, tokenizer: Tokenizer) -> None:
    model = model_of()
    reading = next(in_fives(model, encoded, tokenizer))
    assert torch.is_grad_enabled()
    reading.nats(model)
    bits_per_byte(model, [encoded], tokenizer)
    assert torch.is_grad_enabled() and all(p.grad is None for p in model.parameters())
