"""A message met one at a time is the message of the one pass: same tokens, operators, channel states and likelihoods (T8)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sociallm import checkpoint
from sociallm.batches import batch_of, emptied, encode_conversation, windows_of
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Conversation, Message
from sociallm.encode import MOST_WORDS, SLOTS, EncodedMessage, encode, header_of, new_local, nll_under, slots_of
from sociallm.layout import sequence_of
from sociallm.losses import token_nll
from sociallm.states import LocalState, empty_key
from tests.sociallm.small import AGENTS, PUBLIC, conversation, one_batch, pair, saved

DOUBLE = torch.float64


def online(tiny: Checkpoint, c: Conversation) -> tuple[list[EncodedMessage], dict[str, LocalState]]:
    """The messages as they are encoded one after another, and the channels' last states."""
    slots, locals_, out = slots_of(c.participants), {}, []
    for m in c.messages:
        locals_[m.channel.name], encoded = encode(tiny, slots, locals_.get(m.channel.name), m)
        out.append(encoded)
    return out, locals_


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-10)


@torch.no_grad()
def test_one_message_at_a_time_is_the_whole_conversation_at_once(tiny: Checkpoint) -> None:
    for seed in range(3):
        c = conversation(seed, count=16)
        found, locals_ = online(tiny, c)
        _, batch = one_batch(c, tiny.tokenizer, tiny.model.config)
        public = tiny.model.public(batch.sequence)
        for one, m in zip(found, batch.flat_M.tolist(), strict=True):
            start, length = batch.sequence.starts_M[m], batch.sequence.lengths_M[m]
            assert one.sequence.tokens_T.tolist() == batch.sequence.tokens_T[start : start + length].tolist()
            assert near(one.operator.U_LHPN, torch.stack([w.U_MHPN[m] for w in public.written]))
            assert near(one.operator.log_alpha_LH, torch.stack([w.log_alpha_MH[m] for w in public.written]))
            assert near(one.public.residual[-1], public.residual[-1][start : start + length])
        for g, name in enumerate(dict.fromkeys(m.channel.name for m in c.messages)):
            for (S, window), (S_batch, window_batch) in zip(locals_[name].layers, public.local, strict=True):
                assert near(S, S_batch[g : g + 1]) and near(window, window_batch[g : g + 1])


@torch.no_grad()
def test_a_channel_may_be_cut_anywhere_and_handed_over(tiny: Checkpoint) -> None:
    """Messages of one to five tokens, shorter than the convolution and longer: whole = cut after any message."""
    rng = np.random.default_rng(0)
    messages = [rng.integers(60, tiny.model.config.vocabulary, n).tolist() for n in (1, 2, 1, 5, 1, 1, 17, 3)]
    whole = tiny.model.public(sequence_of([messages], tiny.model.config))
    for cut in range(1, len(messages)):
        first = tiny.model.public(sequence_of([messages[:cut]], tiny.model.config))
        second = tiny.model.public(sequence_of([messages[cut:]], tiny.model.config), first.local)
        assert near(torch.cat([first.residual[-1], second.residual[-1]]), whole.residual[-1])
        for a, b in zip(second.local, whole.local, strict=True):
            assert near(a[0], b[0]) and near(a[1], b[1])


def test_likelihoods_without_memory_are_those_of_one_pass_with_emptied_streams(tiny: Checkpoint) -> None:
    c = conversation(4)
    found, _ = online(tiny, c)
    _, batch = one_batch(c, tiny.tokenizer, tiny.model.config)
    nll = token_nll(tiny.model, batch, emptied(batch.streams, True, True))
    empty = tiny.model.empty_state(1)[:, 0]
    for r, k in enumerate(batch.message_R):
        assert near(nll_under(tiny, found[k], [(empty, empty)])[0], nll[batch.read_Y == r])


def test_pairs_of_states_read_together_are_read_as_if_alone(tiny: Checkpoint) -> None:
    found, _ = online(tiny, conversation(count=2))
    g = torch.Generator().manual_seed(0)
    shape = tiny.model.empty_state(1)[:, 0].shape
    pairs = [(torch.randn(shape, generator=g, dtype=DOUBLE), torch.randn(shape, generator=g, dtype=DOUBLE)) for _ in range(5)]
    together = nll_under(tiny, found[1], pairs)
    assert len({round(float(row.sum()), 6) for row in together}) == 5  # the states matter
    for row, alone in zip(together, pairs, strict=True):
        assert near(row, nll_under(tiny, found[1], [alone])[0])


def test_likelihoods_are_of_the_words_and_the_end(tiny: Checkpoint) -> None:
    found, _ = online(tiny, conversation(count=3))
    empty = tiny.model.empty_state(1)[:, 0]
    for one in found:
        assert len(nll_under(tiny, one, [(empty, empty)])[0]) == len(tiny.tokenizer.encode_text(one.message.text)) + 1


def test_a_message_names_its_channels_history_and_its_own(tiny: Checkpoint) -> None:
    c = conversation(count=6)
    found, locals_ = online(tiny, c)
    again, _ = online(tiny, c)
    assert [e.channel_key for e in found] == [e.channel_key for e in again] and len({e.channel_key for e in found}) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", e.channel_key) for e in found)
    assert [e.operator.message for e in found] == [e.operator.message for e in again]
    edited = replace(c, messages=(replace(c.messages[0], text="dog"), *c.messages[1:]))
    changed = [a.channel_key != b.channel_key for a, b in zip(found, online(tiny, edited)[0], strict=True)]
    assert changed == [m.channel == c.messages[0].channel for m in c.messages]
    assert new_local(tiny).key == empty_key(tiny.sha256)
    last = c.messages[-1].channel.name
    mine = [m for m in c.messages if m.channel.name == last]
    assert locals_[last].recent == tuple(mine) and locals_[last].time == mine[-1].time
    assert locals_[last].position == sum(e.sequence.lengths_M[0] for e in found if e.message.channel.name == last)


def test_encoding_leaves_the_channels_earlier_state_as_it_was(tiny: Checkpoint) -> None:
    slots = slots_of(AGENTS)
    message = Message(id="1", author="ann", channel=PUBLIC, time=0, text="the quick fox")
    before, _ = encode(tiny, slots, None, message)
    copies = [(S.clone(), window.clone()) for S, window in before.layers]
    forks = [encode(tiny, slots, before.fork(), replace(message, id=t, time=9, text=t))[0] for t in ("dog", "dog", "brown fox")]
    for (S, window), (S_copy, window_copy) in zip(before.layers, copies, strict=True):
        assert torch.equal(S, S_copy) and torch.equal(window, window_copy)
    for a, b, other in zip(*(f.layers for f in forks), strict=True):
        assert torch.equal(a[0], b[0]) and not torch.equal(a[0], other[0])


def test_headers_by_hand(tiny: Checkpoint) -> None:
    slots, header = slots_of(AGENTS), tiny.tokenizer.header
    to_bob = Message(id="1", author="ann", channel=pair("ann", "bob"), time=3_000, text="hi")
    first, _ = encode(tiny, slots, None, to_bob)
    assert header_of(tiny, new_local(tiny), slots, to_bob) == (header(None, 0, [1]), ("bob",))
    assert header_of(tiny, first, slots, replace(to_bob, author="bob", time=63_000)) == (header(60_000, 1, [0]), ("ann",))
    public = Message(id="2", author="dan", channel=PUBLIC, time=0, text="hi")
    after, _ = encode(tiny, slots, None, public)
    assert header_of(tiny, after, slots, replace(public, author="ann", time=5)) == (header(5, 0, []), ("dan",))  # meant for all, answers Dan
    assert header_of(tiny, after, slots, replace(public, author="ann", time=5, addressees=frozenset({"cyd"}))) == (header(5, 0, [2]), ("cyd",))


def test_slots_go_by_name_and_are_shared_beyond_sixteen() -> None:
    assert slots_of(["cyd", "ann", "bob"]) == {"ann": 0, "bob": 1, "cyd": 2}
    many = slots_of([f"u{i:02}" for i in range(SLOTS + 3)])
    assert many["u15"] == 15 and many["u16"] == 0 and many["u18"] == 2


def test_a_long_message_is_cut(tiny: Checkpoint) -> None:
    long = Message(id="1", author="ann", channel=PUBLIC, time=0, text="Munich " * 3000)
    local, encoded = encode(tiny, slots_of(AGENTS), None, long)
    assert local.position == encoded.sequence.lengths_M[0] == encoded.header + MOST_WORDS + 1
    assert encoded.sequence.tokens_T[-1] == tiny.tokenizer.END


def test_slots_of_a_batch_are_given_or_drawn(tiny: Checkpoint) -> None:
    c = conversation()
    window = windows_of(encode_conversation(c, tiny.tokenizer), 10_000, 100)
    by = {int(tiny.tokenizer.header(None, s)[1]): s for s in range(SLOTS)}

    def authors(seed: int, **given: dict[str, int]) -> list[int]:
        batch = batch_of(window, tiny.tokenizer, tiny.model.config, np.random.default_rng(seed), **given)
        return [by[int(batch.sequence.tokens_T[batch.sequence.starts_M[m] + 1])] for m in batch.flat_M.tolist()]

    assert authors(0, slots={"ann": 3, "bob": 1, "cyd": 7, "dan": 0}) == [{"ann": 3, "bob": 1, "cyd": 7, "dan": 0}[m.author] for m in c.messages]
    drawn = [authors(seed) for seed in range(4)]
    assert len(set(map(tuple, drawn))) == 4
    for one in drawn:  # one slot per agent, no two the same
        assert len({(m.author, s) for m, s in zip(c.messages, one, strict=True)}) == len({m.author for m in c.messages}) == len(set(one))


def test_a_checkpoint_in_single_precision_reads_alike(tiny: Checkpoint, tmp_path: Path) -> None:
    single = checkpoint.load(saved(tmp_path / "single", tiny.model.config.fusion))
    c = conversation(count=8)
    empty = [m.model.empty_state(1)[:, 0] for m in (single, tiny)]
    for a, b in zip(online(single, c)[0], online(tiny, c)[0], strict=True):
        x, y = (nll_under(t, e, [(z, z)])[0].double() for t, e, z in ((single, a, empty[0]), (tiny, b, empty[1])))
        assert (x - y).norm() <= 1e-4 * y.norm()
