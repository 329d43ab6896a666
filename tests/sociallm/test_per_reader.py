"""F1, every reader encoding for itself, equals an agent that lives through its messages token by token; float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sociallm.batches import Batch, Encoded, batch_of, emptied, encode_conversation, windows_of
from sociallm.blocks import LocalBlock, SocialBlock
from sociallm.conversation import Conversation
from sociallm.losses import token_nll
from sociallm.model import SociaLLM
from sociallm.per_reader import Copies, copies_of, forgetting_copies, token_nll_per_reader
from sociallm.streams import NEITHER
from sociallm.tokenizer import Tokenizer
from tests.sociallm.naive import convolved
from tests.sociallm.small import conversation, model_of, one_batch


@dataclass
class Memory:
    """What one agent holds in one layer."""

    local: dict[int, Tensor] = field(default_factory=dict)  # by channel
    inputs: dict[int, list[Tensor]] = field(default_factory=dict)  # to the local convolution, by channel
    own: list[tuple[int, float, int, Tensor, Tensor]] = field(default_factory=list)  # author, hours, role, alpha, U of its messages, by time


def local_step(block: LocalBlock, h: Tensor, memory: Memory, channel: int) -> Tensor:
    z, raw, dt = block.in_proj(block.norm_in(h)).split([block.inner, block.conv_width, block.heads])
    rows = memory.inputs.setdefault(channel, [])
    rows.append(raw)
    x, B, C = F.silu(convolved(rows, block.conv_weight, block.conv_bias)).split([block.inner, block.state, block.state])
    dt, x = F.softplus(dt + block.dt_bias), x.view(block.heads, block.head_width)
    S = memory.local.get(channel, torch.zeros(block.heads, block.head_width, block.state, dtype=h.dtype))
    S = (-dt * block.A_log.exp()).exp()[:, None, None] * S + dt[:, None, None] * x[:, :, None] * B
    memory.local[channel] = S
    return block.out_proj(block.norm((S @ C + block.D[:, None] * x).flatten() * F.silu(z)))


def remembered(block: SocialBlock, held: list[tuple[int, float, int, Tensor, Tensor]], now: float) -> Tensor:
    """A state by its recurrence, message after message, faded to the present."""
    S, clock = torch.zeros(block.heads, block.head_width, block.state, dtype=block.A_log.dtype), 0.0
    for _, hours, role, alpha, U in held:
        S = S * torch.exp(-block.rate_log.exp() * (hours - clock))[:, None, None]
        S, clock = alpha[:, None, None] * S + block.role_log[role].exp()[:, None, None] * U, hours
    return S * torch.exp(-block.rate_log.exp() * (now - clock))[:, None, None]


def lived(model: SociaLLM, batch: Batch, encoded: Encoded, reader: int, lost: Mapping[tuple[int, int], tuple[set[int], set[int]]] | None = None) -> dict[int, Tensor]:
    """Logits at every token of every message the agent writes or reads, as it lives through them. `lost[reader, message]`: the earlier
    messages that the own state, and those of interlocutors, have forgotten when that message comes."""
    layers = [Memory() for _ in model.local]
    out: dict[int, Tensor] = {}
    names = encoded.agents
    for m in np.flatnonzero(batch.role_AM[reader] != NEITHER).tolist():
        flat, now, author = int(batch.flat_M[m]), float(batch.hours_M[m]), int(batch.author_M[m])
        start = batch.sequence.starts_M[flat]
        channel, ids = int(batch.sequence.channel_T[start]), batch.sequence.tokens_T[start : start + batch.sequence.lengths_M[flat]].tolist()
        partners = [names.index(a) for a in encoded.partners[m]] if author == reader else [author]
        gone, gone_of = (lost or {}).get((reader, m), (set(), set()))
        states: list[list[Tensor]] = []
        for memory, block in zip(layers, model.social, strict=True):
            held = list(enumerate(memory.own))
            order = np.flatnonzero(batch.role_AM[reader] != NEITHER).tolist()
            own = remembered(block, [o for i, o in held if order[i] not in gone], now)
            other = torch.zeros_like(own)
            for v in partners:
                theirs = [o for i, o in held if o[0] == v and v != reader and order[i] not in gone_of]
                other = other + remembered(block, theirs, now) / len(partners)
            states.append([own, other, torch.zeros_like(own), torch.ones_like(own[:, 0, 0])])
        windows: list[list[Tensor]] = [[] for _ in layers]
        logits = []
        for i in ids:
            h = model.embedding.weight[i]
            for memory, block, local, state, rows in zip(layers, model.social, model.local, states, windows, strict=True):
                raw, dt = block.write_proj(block.norm_write(h)).split([block.inner + block.state, block.heads])
                rows.append(raw)
                dt = F.softplus(dt + block.dt_bias)
                x, B = F.silu(convolved(rows, block.conv_weight, block.conv_bias)).split([block.inner, block.state])
                a, U = (-dt * block.A_log.exp()).exp(), (x.view(block.heads, -1) * dt[:, None])[:, :, None] * B
                state[:3] = [a[:, None, None] * s + U for s in state[:3]]
                state[3] = state[3] * a
                own, other, written, _ = state
                C, z = block.read_proj(block.norm_read(h)).split([block.state, block.read_proj.out_features - block.state])
                C, z = C + block.query_bias, z + block.gate_bias
                seen = (own, other) if block.fusion == "heads" else (own + other - written,)
                social = block.out_proj(torch.cat([block.norm(s @ C) for s in seen]) * F.silu(z))
                h = h + local_step(local, h, memory, channel) + social
            logits.append(F.linear(model.norm(h), model.embedding.weight))
        for memory, state in zip(layers, states, strict=True):
            memory.own.append((author, now, 0 if author == reader else 1, state[3], state[2]))
        out[m] = torch.stack(logits)
    return out


def lived_nll(model: SociaLLM, batch: Batch, encoded: Encoded, lost: Mapping[tuple[int, int], tuple[set[int], set[int]]] | None = None) -> Tensor:
    """Nats of every predicted token of every read, each from its reader's life."""
    lives = {u: lived(model, batch, encoded, u, lost) for u in {who.reader for who in batch.who_R}}
    rows = []
    for r, who in enumerate(batch.who_R):
        here = batch.read_Y == r
        logits = lives[who.reader][who.message][batch.place[here] - batch.reads.starts[r]]
        rows.append(F.cross_entropy(logits, batch.target[here], reduction="none"))
    return torch.cat(rows)


@pytest.mark.parametrize("room", [None, 2])
@pytest.mark.parametrize("fusion", ["heads", "sum"])
@torch.no_grad()
def test_all_copies_at_once_equal_lives_token_by_token(fusion: str, room: int | None, tokenizer: Tokenizer) -> None:
    model, c = model_of(fusion), conversation()
    encoded = encode_conversation(c, tokenizer, room)
    batch = batch_of(windows_of(encoded, 100_000, 10_000), tokenizer, model.config, np.random.default_rng(7))
    fast = token_nll_per_reader(model, batch)
    assert (fast - lived_nll(model, batch, encoded)).abs().max() <= 1e-10
    assert (fast - token_nll(model, batch)).abs().max() > 1e-3  # F2 is another model


def test_gradients_equal_those_of_the_lives(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation(seed=5, count=7, longest=3)
    encoded, batch = one_batch(c, tokenizer, model.config)
    token_nll_per_reader(model, batch).sum().backward()
    fast = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    lived_nll(model, batch, encoded).sum().backward()
    assert len(fast) == len(list(model.parameters()))
    for name, p in model.named_parameters():
        assert p.grad is not None and (p.grad - fast[name]).norm() <= 1e-8 * fast[name].norm() + 1e-12, name


@torch.no_grad()
def test_forgetting_copies_equal_lives_that_forget(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    encoded, batch = one_batch(c, tokenizer, model.config)
    (whole,) = copies_of(batch, model.config)
    (copies,) = forgetting_copies([whole], np.random.default_rng(2))
    who_of = {copy: who for who, copy in whole.copy_of.items()}
    order = torch.argsort(whole.flat_C).tolist()  # the copy of each read
    lost = {}
    for r, copy in enumerate(order):
        gone = (whole.streams.own_RM[r] != 0) & (copies.streams.own_RM[r] == 0)
        rows = whole.streams.read_V == r
        gone_of = ((whole.streams.other_VM[rows] != 0) & (copies.streams.other_VM[rows] == 0)).any(0)
        lost[who_of[copy]] = ({who_of[k][1] for k in np.flatnonzero(gone)}, {who_of[k][1] for k in np.flatnonzero(gone_of)})
    assert sum(bool(a) for a, _ in lost.values()) >= 3 and sum(bool(b) for _, b in lost.values()) >= 3
    fast = token_nll_per_reader(model, batch, [copies])
    assert (fast - lived_nll(model, batch, encoded, lost)).abs().max() <= 1e-10
    assert (fast - token_nll_per_reader(model, batch)).abs().max() > 1e-3


@pytest.mark.parametrize("longer", [False, True])
@torch.no_grad()
def test_a_message_one_cannot_see_changes_nothing(longer: bool, tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    hidden = next(k for k, m in enumerate(c.messages) if m.channel.name == "ann-bob")
    text = c.messages[hidden].text[::-1] + (" dog dog dog dog dog dog" if longer else "")
    before, after = (rows_of(model, version, tokenizer) for version in (c, with_text(c, hidden, text)))
    blind = [key for key in before if key[0] not in c.messages[hidden].channel.readers]
    assert len(blind) > 8 and all(torch.equal(before[key], after[key]) for key in blind)
    later = [key for key in before if key[0] in c.messages[hidden].channel.readers and key[1] > hidden]
    assert len(later) >= 5 and not any(torch.equal(before[key], after[key]) for key in later)


@torch.no_grad()
def test_no_token_hears_a_later_one(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    before, after = (rows_of(model, version, tokenizer) for version in (c, with_text(c, 9, "dog")))
    assert all(torch.equal(before[key], after[key]) for key in before if key[1] < 9)
    assert any(not torch.equal(before[key], after[key]) for key in before if key[1] > 9)
    whole = with_text(c, 9, c.messages[9].text + " dog")  # words before the change, in the message itself
    longer = rows_of(model, whole, tokenizer)
    for key in (k for k in before if k[1] == 9):
        n = len(before[key]) - 1  # the message's end comes later now
        assert n >= 1 and torch.equal(before[key][:n], longer[key][:n])


@torch.no_grad()
def test_without_social_blocks_both_formulations_are_the_local_language_model(tokenizer: Tokenizer) -> None:
    model = model_of("heads")
    for block in model.social:
        block.out_proj.weight.zero_()
    _, batch = one_batch(conversation(), tokenizer, model.config)
    assert (token_nll_per_reader(model, batch) - token_nll(model, batch)).abs().max() <= 1e-12


@torch.no_grad()
def test_with_one_layer_both_formulations_are_the_same_model(tokenizer: Tokenizer) -> None:
    """Writes of the first layer come from the embeddings, which no reader colours: F1 and F2 part from the second layer on."""
    for layers, same in ((1, True), (2, False)):
        model = model_of("heads", layers=layers)
        _, batch = one_batch(conversation(), tokenizer, model.config)
        difference = (token_nll_per_reader(model, batch) - token_nll(model, batch)).abs().max()
        assert (difference <= 1e-12) == same


@torch.no_grad()
def test_readers_computed_together_or_apart_give_the_same(tokenizer: Tokenizer) -> None:
    model = model_of("heads")
    encoded = [encode_conversation(conversation(seed), tokenizer) for seed in (0, 1)]
    windows = [w for e in encoded for w in windows_of(e, 100_000, 8)]
    batch = batch_of(windows, tokenizer, model.config, np.random.default_rng(1))
    apart = copies_of(batch, model.config, tokens=1)
    assert len(apart) == sum((batch.role_AM != NEITHER).any(1))
    assert (token_nll_per_reader(model, batch, apart) - token_nll_per_reader(model, batch)).abs().max() <= 1e-12


def test_the_cost_is_a_copy_for_every_reader(tokenizer: Tokenizer) -> None:
    model = model_of("heads")
    c = conversation()
    _, batch = one_batch(c, tokenizer, model.config)
    lengths = [batch.sequence.lengths_M[int(m)] for m in batch.flat_M]
    tokens = sum(len(m.channel.readers) * n for m, n in zip(c.messages, lengths, strict=True))
    assert sum(len(g.sequence.tokens_T) for g in copies_of(batch, model.config, tokens=100)) == tokens
    assert tokens > 2 * len(batch.sequence.tokens_T)


@torch.no_grad()
def test_emptied_states_leave_only_the_message_itself_and_its_channel(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    _, batch = one_batch(c, tokenizer, model.config)
    empty = [replace(g, streams=emptied(g.streams, True, True)) for g in copies_of(batch, model.config)]
    _, streams = token_nll_per_reader(model, batch), token_nll_per_reader(model, batch, empty)
    for first in {m.channel.name: k for k, m in reversed(list(enumerate(c.messages)))}.values():
        rows = [streams[batch.read_Y == r] for r in range(len(batch.who_R)) if batch.message_R[r] == first]
        assert len(rows) == 2 and (rows[0] - rows[1]).abs().max() <= 1e-12  # author and listener hold nothing, so they are one reader


def with_text(c: Conversation, k: int, text: str) -> Conversation:
    return replace(c, messages=tuple(replace(m, text=text) if i == k else m for i, m in enumerate(c.messages)))


def rows_of(model: SociaLLM, c: Conversation, tokenizer: Tokenizer) -> dict[tuple[str, int], Tensor]:
    """Nats of the tokens of every read, by reader and message."""
    encoded, batch = one_batch(c, tokenizer, model.config)
    nll = token_nll_per_reader(model, batch)
    return {(encoded.agents[who.reader], who.message): nll[batch.read_Y == r] for r, who in enumerate(batch.who_R)}


def test_every_group_holds_its_readers_copies_once(tokenizer: Tokenizer) -> None:
    _, batch = one_batch(conversation(), tokenizer, model_of("heads").config)
    groups: Sequence[Copies] = copies_of(batch, model_of("heads").config, tokens=150)
    held = sorted(who for g in groups for who in g.copy_of)
    assert len(groups) > 1 and held == sorted(zip(*(x.tolist() for x in np.nonzero(batch.role_AM)), strict=True))
