"""One pass over all perspectives equals a naive pass per perspective (T1–T3), in float64.

Which test is which of the equivalence suite (T1–T9); those without a file are here:
T1 one pass = naive      test_one_pass_equals_naive_passes, test_gradients_of_one_pass_equal_naive_gradients,
                         test_one_pass_in_bf16_is_as_likely_as_in_float64
T2 barrier               test_a_hidden_message_changes_nothing
T3 causality             test_no_token_hears_a_later_one
T4 swap                  test_sum_fusion_cannot_tell_own_from_interlocutor
T5 reset                 test_one_pass_with_forgetting_equals_naive_passes_that_forget;
                         test_states: test_forgetting_what_came_before_a_moment_is_a_reset_there
T6 incidence             test_streams: test_streams_together_are_one_plus_D_n_times_the_messages
T7 chunks, batch order   test_ssd: test_the_width_of_chunks_changes_nothing, test_a_segment_is_the_same_wherever_it_stands;
                         test_batches: test_windows_in_one_batch_do_not_touch_each_other
T8 hand-over             test_encode: test_a_channel_may_be_cut_anywhere_and_handed_over
T9 replay of an agent    test_encode: test_one_message_at_a_time_is_the_whole_conversation_at_once;
                         test_streams: test_the_states_of_one_pass_are_those_of_agents_who_absorb_in_turn
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sociallm.batches import Batch, Encoded, forgetting
from sociallm.conversation import Conversation
from sociallm.losses import stream_states, token_nll
from sociallm.model import SociaLLM
from sociallm.streams import Incidence, delivered
from sociallm.tokenizer import Tokenizer
from tests.sociallm.naive import Heard, logits_of
from tests.sociallm.small import conversation, model_of, one_batch


def naive_logits(c: Conversation, encoded: Encoded, batch: Batch, model: SociaLLM, read: int, streams: Incidence | None = None) -> torch.Tensor:
    """Logits of one read of the batch by the naive pass, from the messages its reader may see and nothing else.

    With `streams`, what they hold less than the batch's own is forgotten.
    """
    at = int(batch.message_R[read])
    flat_start = [batch.sequence.starts_M[int(m)] for m in batch.flat_M]
    ids = [batch.sequence.tokens_T[s : s + batch.sequence.lengths_M[int(m)]].tolist() for s, m in zip(flat_start, batch.flat_M, strict=True)]
    message = c.messages[at]
    if batch.speaks_R[read]:
        reader, partners = message.author, list(encoded.partners[at])
    else:
        role = batch.streams.own_RM[read][:at].tolist()  # the batch drew the reader; its stream tells which
        readers = [a for a in sorted(message.channel.readers - {message.author}) if delivered(c.messages[:at], [a])[0].tolist() == role]
        reader, partners = readers[0], [message.author]
    visible = [k for k in range(at + 1) if c.messages[k].read_by(reader)]
    seen = [Heard(ids[k], c.messages[k].channel.name, c.messages[k].author, (c.messages[k].time - c.messages[0].time) / 3_600_000) for k in visible]
    if streams is None:
        return logits_of(model, seen, reader, partners)
    rows = batch.streams.read_V == read
    own = (batch.streams.own_RM[read] != 0) & (streams.own_RM[read] == 0)
    other = ((batch.streams.other_VM[rows] != 0) & (streams.other_VM[rows] == 0)).any(0)
    lost, lost_of = (frozenset(i for i, k in enumerate(visible) if gone[k]) for gone in (own, other))
    return logits_of(model, seen, reader, partners, lost, lost_of)


@pytest.mark.parametrize("fusion", ["heads", "sum"])
@torch.no_grad()
def test_one_pass_equals_naive_passes(fusion: str, tokenizer: Tokenizer) -> None:
    model, c = model_of(fusion), conversation()
    encoded, batch = one_batch(c, tokenizer, model.config)
    public = model.public(batch.sequence)
    logits = model.logits(model.read(public, batch.reads, *stream_states(model, public, batch, batch.streams)))
    assert (~batch.speaks_R).sum() > 10 and batch.speaks_R.sum() == len(c.messages)
    for read in range(len(batch.speaks_R)):
        naive = naive_logits(c, encoded, batch, model, read)
        start = batch.reads.starts[read]
        assert (logits[start : start + len(naive)] - naive).abs().max() <= 1e-10
    assert logits.abs().max() > 1


@torch.no_grad()
def test_one_pass_with_forgetting_equals_naive_passes_that_forget(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    encoded, batch = one_batch(c, tokenizer, model.config)
    public = model.public(batch.sequence)

    def logits(streams: Incidence) -> torch.Tensor:
        return model.logits(model.read(public, batch.reads, *stream_states(model, public, batch, streams)))

    whole = logits(batch.streams)
    own = other = part = 0
    for seed in range(4):
        streams = forgetting(batch.streams, np.random.default_rng(seed))
        fast = logits(streams)
        for read in range(len(batch.speaks_R)):
            rows = streams.read_V == read
            less_own = not np.array_equal(streams.own_RM[read], batch.streams.own_RM[read])
            less_other = not np.array_equal(streams.other_VM[rows], batch.streams.other_VM[rows])
            if not less_own and not less_other:
                continue
            own, other, part = own + less_own, other + less_other, part + bool(less_own and streams.own_RM[read].any())
            naive = naive_logits(c, encoded, batch, model, read, streams)
            span = slice(batch.reads.starts[read], batch.reads.starts[read] + len(naive))
            assert (fast[span] - naive).abs().max() <= 1e-10
            assert (fast[span] - whole[span]).abs().max() > 1e-6
    assert own >= 3 and other >= 3 and part >= 1


def test_gradients_of_one_pass_equal_naive_gradients(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation(seed=5, count=7, longest=3)
    encoded, batch = one_batch(c, tokenizer, model.config)
    token_nll(model, batch).sum().backward()
    fast = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    total = torch.zeros((), dtype=torch.float64)
    for read in range(len(batch.speaks_R)):
        naive = naive_logits(c, encoded, batch, model, read)
        here = batch.read_Y == read
        total = total + torch.nn.functional.cross_entropy(naive[batch.place[here] - batch.reads.starts[read]], batch.target[here], reduction="sum")
    total.backward()
    for name, p in model.named_parameters():
        assert (p.grad - fast[name]).norm() <= 1e-8 * fast[name].norm() + 1e-12, name


@pytest.mark.parametrize("fusion", ["heads", "sum"])
@torch.no_grad()
def test_one_pass_in_bf16_is_as_likely_as_in_float64(fusion: str, tokenizer: Tokenizer) -> None:
    """The same weights, rounded to bf16, in either precision: mean ΔNLL ≤ 1e-3 over ten thousand tokens. A token by itself is
    off by 0.01 on average: logits have eight bits."""
    half, exact = model_of(fusion, dtype=torch.bfloat16), model_of(fusion, dtype=torch.bfloat16).double()
    differences = []
    for seed in range(16):
        _, batch = one_batch(conversation(seed, 60), tokenizer, half.config)
        nll = []
        for model in (half, exact):
            public = model.public(batch.sequence)
            logits = model.logits(model.read(public, batch.reads, *stream_states(model, public, batch, batch.streams))[batch.place])
            assert logits.dtype == model.dtype
            nll.append(torch.nn.functional.cross_entropy(logits.double(), batch.target, reduction="none"))
        differences.append(nll[0] - nll[1])
    difference = torch.cat(differences)
    assert len(difference) > 9_000 and abs(float(difference.mean())) <= 1e-3
    assert 1e-3 < float(difference.abs().mean()) <= 2e-2


@pytest.mark.parametrize("longer", [False, True])
def test_a_hidden_message_changes_nothing(longer: bool, tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    hidden = next(k for k, m in enumerate(c.messages) if m.channel.name == "ann-bob")
    text = c.messages[hidden].text[::-1] + (" dog dog dog dog dog dog" if longer else "")
    edited = replace(c, messages=tuple(replace(m, text=text) if k == hidden else m for k, m in enumerate(c.messages)))
    rows = []
    for version in (c, edited):
        _, batch = one_batch(version, tokenizer, model.config)
        nll = token_nll(model, batch)
        rows.append([nll[batch.read_Y == r] for r in range(len(batch.speaks_R))])
    blind = [r for r, m in enumerate(batch.message_R) if not batch.streams.own_RM[r][hidden] and m != hidden]
    touched = [r for r in range(len(rows[0])) if r not in blind and batch.message_R[r] > hidden]
    assert len(blind) > 15
    assert all(torch.equal(rows[0][r], rows[1][r]) for r in blind)
    assert any(not torch.equal(rows[0][r], rows[1][r]) for r in touched)


def test_no_token_hears_a_later_one(tokenizer: Tokenizer) -> None:
    model, c = model_of("heads"), conversation()
    edited = replace(c, messages=(*c.messages[:9], replace(c.messages[9], text="dog"), *c.messages[10:]))
    before = []
    for version in (c, edited):
        _, batch = one_batch(version, tokenizer, model.config)
        nll = token_nll(model, batch)
        before.append(nll[torch.from_numpy(batch.message_R)[batch.read_Y] < 9])
    assert torch.equal(*before)


def test_sum_fusion_cannot_tell_own_from_interlocutor(tokenizer: Tokenizer) -> None:
    for fusion, same in (("sum", True), ("heads", False)):
        model = model_of(fusion)
        _, batch = one_batch(conversation(), tokenizer, model.config)
        public = model.public(batch.sequence)
        own, other = stream_states(model, public, batch, batch.streams)
        difference = (model.read(public, batch.reads, own, other) - model.read(public, batch.reads, other, own)).abs().max()
        assert (difference <= 1e-12) == same
