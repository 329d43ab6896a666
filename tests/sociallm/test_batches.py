"""Batches: windows hold every message once, listeners are readers and never authors, forgetting draws what it says and touches streams only."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from sociallm.batches import FORGET_SHARE, Encoded, batch_of, drawn_slots, emptied, encode_conversation, forgetting, windows_of
from sociallm.conversation import Channel, Conversation, Message
from sociallm.losses import stream_states, token_nll
from sociallm.streams import NEITHER, READ, WROTE, Incidence
from sociallm.tokenizer import Tokenizer
from tests.sociallm.small import AGENTS, PUBLIC, conversation, model_of, one_batch

MODEL = model_of()


@pytest.fixture(scope="module")
def encoded(tokenizer: Tokenizer) -> Encoded:
    return encode_conversation(conversation(count=40), tokenizer)


# ---- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens, messages", [(1, 100), (30, 100), (10_000, 1), (10_000, 7), (50, 4), (10_000, 1_000)])
def test_windows_hold_every_message_once_and_in_order(tokens: int, messages: int, encoded: Encoded) -> None:
    for start in (0, 1, 17, 39, 40):
        windows = windows_of(encoded, tokens, messages, start)
        assert [k for w in windows for k in range(w.first, w.last)] == list(range(start, 40))
        for w in windows:
            cost = sum(len(encoded.words[k]) + 5 for k in range(w.first, w.last))
            assert 1 <= w.last - w.first <= messages and (cost <= tokens or w.last - w.first == 1)


def test_windows_are_as_long_as_they_may_be(encoded: Encoded) -> None:
    windows = windows_of(encoded, 60, 1_000)
    for w, following in zip(windows, windows[1:], strict=False):
        assert sum(len(encoded.words[k]) + 5 for k in range(w.first, following.first + 1)) > 60


# ---- reads -------------------------------------------------------------------------------------------------------------


def listeners(encoded: Encoded, seed: int, tokenizer: Tokenizer, listen: float = 1.0) -> list[tuple[int, set[str]]]:
    """(message, agents whose stream it is) of every listening read of the whole conversation."""
    batch = batch_of(windows_of(encoded, 10_000, 1_000), tokenizer, MODEL.config, np.random.default_rng(seed), listen=listen)
    out = []
    for r in np.flatnonzero(~batch.speaks_R):
        k = int(batch.message_R[r])
        messages = encoded.conversation.messages[:k]
        roles = {a: [WROTE if m.author == a else READ if m.read_by(a) else NEITHER for m in messages] for a in encoded.conversation.participants}
        out.append((k, {a for a, role in roles.items() if role == batch.streams.own_RM[r, :k].tolist()}))
    return out


def test_a_listener_is_a_reader_and_never_the_author(encoded: Encoded, tokenizer: Tokenizer) -> None:
    drawn: dict[int, set[str]] = {}
    for seed in range(6):
        found = listeners(encoded, seed, tokenizer)
        assert [k for k, _ in found] == list(range(40))
        for k, agents in found[12:]:  # by then no two agents have the same stream
            (agent,) = agents
            message = encoded.conversation.messages[k]
            assert message.read_by(agent) and agent != message.author
            drawn.setdefault(k, set()).add(agent)
    public = [k for k in range(12, 40) if len(encoded.conversation.messages[k].channel.readers) == 4]
    assert sum(len(drawn[k]) for k in public) > 2 * len(public)  # not always the same one of the three


def test_the_listening_share_thins_listening_only(encoded: Encoded, tokenizer: Tokenizer) -> None:
    counts = [len(listeners(encoded, seed, tokenizer, 0.3)) for seed in range(20)]
    assert abs(np.mean(counts) - 12) <= 3 * (40 * 0.3 * 0.7 / 20) ** 0.5
    assert listeners(encoded, 0, tokenizer, 0.0) == []
    batch = batch_of(windows_of(encoded, 10_000, 1_000), tokenizer, MODEL.config, np.random.default_rng(0), listen=0.0)
    assert batch.message_R.tolist() == list(range(40)) and batch.speaks_R.all()


def test_a_message_to_oneself_has_no_listener(tokenizer: Tokenizer) -> None:
    notes = Channel(name="notes", readers=frozenset({"ann"}))
    c = Conversation(id="c", messages=tuple(Message(id=str(k), author="ann", channel=notes, time=k, text="go") for k in range(3)))
    _, batch = one_batch(c, tokenizer, MODEL.config)
    assert batch.speaks_R.tolist() == [True] * 3 and batch.streams.other_VM.shape == (0, 3)
    assert batch.streams.own_RM.tolist() == [[0, 0, 0], [WROTE, 0, 0], [WROTE, WROTE, 0]]


def test_in_a_large_room_a_listener_has_read_the_message(tokenizer: Tokenizer) -> None:
    """By the rule of the previous two messages: the message is among the two before one that the listener writes."""
    authors = "ann bob cyd ann ann bob dan cyd bob ann".split()
    c = Conversation(id="c", messages=tuple(Message(id=str(k), author=a, channel=PUBLIC, time=k, text="go") for k, a in enumerate(authors)))
    encoded = encode_conversation(c, tokenizer, room=2)
    for seed in range(10):
        batch = batch_of(windows_of(encoded, 1_000, 100), tokenizer, MODEL.config, np.random.default_rng(seed))
        heard = {int(k) for k in batch.message_R[~batch.speaks_R]}
        assert heard == {k for k in range(10) if set(authors[k + 1 : k + 3]) - {authors[k]}} == set(range(9))


def test_predicted_are_the_words_and_the_end_of_every_read(encoded: Encoded, tokenizer: Tokenizer) -> None:
    batch = batch_of(windows_of(encoded, 10_000, 1_000), tokenizer, MODEL.config, np.random.default_rng(0))
    for r, k in enumerate(batch.message_R):
        mine = batch.read_Y == r
        assert batch.target[mine].tolist() == [*encoded.words[k], tokenizer.END]
        before = batch.sequence.tokens_T[batch.reads.tokens[batch.place[mine]]].tolist()
        assert before[1:] == encoded.words[k] and tokenizer.decode(before[:1]) == ""  # the last token of the header
        assert batch.bytes_R[r] == len(encoded.conversation.messages[k].text.encode())


def test_a_long_message_is_cut_and_its_bytes_are_those_left(tokenizer: Tokenizer) -> None:
    long = Message(id="0", author="ann", channel=PUBLIC, time=0, text="go " * 100)
    encoded = encode_conversation(Conversation(id="c", messages=(long, replace(long, id="1", text="go"))), tokenizer)
    ids = encoded.words[0]
    batch = batch_of(windows_of(encoded, 10_000, 100), tokenizer, MODEL.config, np.random.default_rng(0), max_words=7)
    assert len(ids) > 7 and batch.sequence.lengths_M[0] == 3 + 7 + 1
    assert batch.target[batch.read_Y == 0].tolist() == [*ids[:7], tokenizer.END]
    assert batch.bytes_R[0] == len(tokenizer.decode(ids[:7])) < len(long.text) and batch.bytes_R[-1] == 2


def test_a_window_knows_the_gap_and_the_hours_but_not_the_memory_of_what_came_before(encoded: Encoded, tokenizer: Tokenizer) -> None:
    """Memory is carried in by who reads the windows in order; time goes on from the message before the window."""
    window = windows_of(encoded, 10_000, 1_000, start=20)
    batch = batch_of(window, tokenizer, MODEL.config, np.random.default_rng(0))
    first = batch.sequence.tokens_T[batch.sequence.starts_M[int(batch.flat_M[0])]]
    assert first == tokenizer.header(encoded.gap[20], 0)[0] != tokenizer.header(None, 0)[0]
    assert batch.streams.own_RM[0].tolist() == [NEITHER] * 20
    times = [m.time for m in encoded.conversation.messages]
    assert batch.hours_M.tolist() == pytest.approx([(t - times[19]) / 3_600_000 for t in times[20:]]) and batch.hours_M[0] > 0
    assert batch_of(windows_of(encoded, 10_000, 3)[:1], tokenizer, MODEL.config, np.random.default_rng(0)).hours_M[0] == 0


def test_in_a_large_room_reading_goes_on_over_the_edge_of_a_window(tokenizer: Tokenizer) -> None:
    """cyd, who writes first in the second window, has read the last two messages of the first, and so has dan the very last."""
    c = Conversation(
        id="c", messages=tuple(Message(id=str(k), author=a, channel=PUBLIC, time=k, text="go") for k, a in enumerate("ann bob ann bob cyd dan".split()))
    )
    encoded = encode_conversation(c, tokenizer, room=2)
    assert encoded.agents == AGENTS
    assert encoded.role_AM.tolist() == [
        [WROTE, READ, WROTE, NEITHER, NEITHER, NEITHER],
        [READ, WROTE, READ, WROTE, NEITHER, NEITHER],
        [NEITHER, NEITHER, READ, READ, WROTE, NEITHER],
        [NEITHER, NEITHER, NEITHER, READ, READ, WROTE],
    ]
    first = batch_of(windows_of(encoded, 1_000, 4)[:1], tokenizer, MODEL.config, np.random.default_rng(0))
    assert np.array_equal(first.role_AM, encoded.role_AM[:, :4])


def test_slots_are_drawn_for_each_window_or_given(encoded: Encoded, tokenizer: Tokenizer) -> None:
    """The token of a message's author is its slot's; slots given hold over all windows of a conversation."""
    by = [tokenizer.header(None, s)[1] for s in range(16)]
    drawn = drawn_slots(encoded, np.random.default_rng(3))
    assert drawn.keys() == set(encoded.agents) and len(set(drawn.values())) == len(AGENTS)
    for given in (drawn, [drawn, drawn]):
        batch = batch_of(windows_of(encoded, 10_000, 20), tokenizer, MODEL.config, np.random.default_rng(0), slots=given)
        said = [batch.sequence.tokens_T[batch.sequence.starts_M[int(m)] + 1].item() for m in batch.flat_M]
        assert said == [by[drawn[m.author]] for m in encoded.conversation.messages]
    seen = {tuple(drawn_slots(encoded, np.random.default_rng(s)).items()) for s in range(20)}
    assert len(seen) == 20


@torch.no_grad()
def test_windows_in_one_batch_do_not_touch_each_other(tokenizer: Tokenizer) -> None:
    """Two conversations together are what each is alone; slots given, so that they are the same."""
    slots = {a: i for i, a in enumerate(AGENTS)}
    windows = [windows_of(encode_conversation(conversation(seed), tokenizer), 10_000, 100)[0] for seed in (1, 2)]
    both = batch_of(windows, tokenizer, MODEL.config, np.random.default_rng(0), listen=0.0, slots=slots)
    together = token_nll(MODEL, both)
    alone = [token_nll(MODEL, batch_of([w], tokenizer, MODEL.config, np.random.default_rng(0), listen=0.0, slots=slots)) for w in windows]
    assert torch.allclose(together, torch.cat(alone), rtol=0, atol=1e-10)
    swapped = batch_of(windows[::-1], tokenizer, MODEL.config, np.random.default_rng(0), listen=0.0, slots=slots)
    assert torch.allclose(token_nll(MODEL, swapped), torch.cat(alone[::-1]), rtol=0, atol=1e-10)


def test_the_same_generator_lays_out_the_same_batch(encoded: Encoded, tokenizer: Tokenizer) -> None:
    one, two, other = (batch_of(windows_of(encoded, 200, 20), tokenizer, MODEL.config, np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(one.sequence.tokens_T, two.sequence.tokens_T) and np.array_equal(one.streams.own_RM, two.streams.own_RM)
    assert not torch.equal(one.sequence.tokens_T, other.sequence.tokens_T)


# ---- forgetting --------------------------------------------------------------------------------------------------------

READS, LONG = 20_000, 60


def everything_read() -> Incidence:
    """Many reads with a past of sixty messages, all of them the interlocutor's."""
    streams = np.full((READS, LONG), READ, np.int8)
    return Incidence(streams, streams.copy(), np.arange(READS), np.ones(READS))


def test_forgetting_has_the_stated_shares() -> None:
    """None 0.75, own 0.10, interlocutor 0.10, both 0.05; one half of them wholly, the rest before a moment drawn evenly."""
    before = everything_read()
    after = forgetting(before, np.random.default_rng(0))
    own, other = ((a != b).any(1) for a, b in ((after.own_RM, before.own_RM), (after.other_VM, before.other_VM)))
    seen = 1 - 0.5 / LONG  # one in sixty of the partial ones forgets what was before the first message: nothing
    expected = [1 - 0.25 * seen, 0.10 * seen, 0.10 * seen, 0.05 * seen]
    for share, p in zip([(~own & ~other).mean(), (own & ~other).mean(), (~own & other).mean(), (own & other).mean()], expected, strict=True):
        assert abs(share - p) <= 3 * (p * (1 - p) / READS) ** 0.5
    wholly = (after.own_RM == NEITHER).all(1).mean()
    assert abs(wholly - 0.075) <= 3 * (0.075 * 0.925 / READS) ** 0.5
    cuts = (after.own_RM[own & ~(after.own_RM == NEITHER).all(1)] == NEITHER).sum(1)
    assert cuts.min() == 1 and cuts.max() == LONG - 1 and abs(cuts.mean() - LONG / 2) <= 3 * (LONG / 12**0.5) / len(cuts) ** 0.5
    assert sum(FORGET_SHARE) == 1


def test_what_is_forgotten_lies_before_a_moment_and_what_is_kept_is_unchanged() -> None:
    before = everything_read()
    after = forgetting(before, np.random.default_rng(1))
    for a, b in ((before.own_RM, after.own_RM), (before.other_VM, after.other_VM)):
        gone = b == NEITHER
        assert (gone[:, :-1] >= gone[:, 1:]).all() and (b[~gone] == a[~gone]).all()
    both = (after.own_RM != before.own_RM).any(1) & (after.other_VM != before.other_VM).any(1)
    assert both.sum() > 500 and np.array_equal(after.own_RM[both], after.other_VM[both])  # one moment for both


def test_forgetting_never_touches_more_than_the_streams() -> None:
    before = everything_read()
    copies = {f.name: getattr(before, f.name).copy() for f in fields(before) if f.name not in ("own_start_R", "other_start_V")}
    after = forgetting(before, np.random.default_rng(2))
    assert all(np.array_equal(getattr(before, name), copy) for name, copy in copies.items())
    assert before.own_start_R is None and before.other_start_V is None
    assert after.read_V is before.read_V and after.weight_V is before.weight_V
    assert after.own_RM.shape == before.own_RM.shape and after.own_RM.dtype == after.other_VM.dtype == np.int8


def test_a_read_with_several_partners_forgets_them_together() -> None:
    own = np.full((READS, 5), READ, np.int8)
    before = Incidence(own, np.full((2 * READS, 5), READ, np.int8), np.repeat(np.arange(READS), 2), np.full(2 * READS, 0.5))
    after = forgetting(before, np.random.default_rng(3))
    assert np.array_equal(after.other_VM[::2], after.other_VM[1::2]) and (after.other_VM == NEITHER).any()


def test_a_window_forgets_alike_wherever_it_stands_in_its_batch() -> None:
    before = everything_read()
    nothing = np.zeros((READS, 500), np.int8)  # the messages of other windows, before this one
    later = replace(before, own_RM=np.hstack([nothing, before.own_RM]), other_VM=np.hstack([nothing, before.other_VM]))
    alone, behind = (forgetting(streams, np.random.default_rng(4)) for streams in (before, later))
    assert np.array_equal(behind.own_RM[:, 500:], alone.own_RM) and np.array_equal(behind.other_VM[:, 500:], alone.other_VM)


def test_a_past_that_is_empty_stays_empty() -> None:
    before = Incidence(np.zeros((50, 4), np.int8), np.zeros((0, 4), np.int8), np.zeros(0, np.int64), np.zeros(0))
    after = forgetting(before, np.random.default_rng(0))
    assert not after.own_RM.any() and after.other_VM.shape == (0, 4)


def test_who_forgets_at_all_forgets_what_was_carried_in() -> None:
    """All of it or all before a moment: what came before the window is gone either way, for own and interlocutor apart."""
    before = everything_read()
    after = forgetting(before, np.random.default_rng(5))
    assert after.own_start_R is not None and after.other_start_V is not None
    own, other = ((a != b).any(1) for a, b in ((after.own_RM, before.own_RM), (after.other_VM, before.other_VM)))
    assert not after.own_start_R[own].any() and not after.other_start_V[other].any()
    for kept in (after.own_start_R, after.other_start_V):
        assert abs((~kept).mean() - 0.15) <= 3 * (0.15 * 0.85 / READS) ** 0.5
    again = forgetting(replace(before, own_start_R=~after.own_start_R), np.random.default_rng(5))
    assert again.own_start_R is not None and not again.own_start_R.any()  # what was gone before does not come back


@pytest.mark.parametrize("own, other", [(False, False), (True, False), (False, True), (True, True)])
def test_emptied_streams_give_empty_states(own: bool, other: bool, tokenizer: Tokenizer) -> None:
    _, batch = one_batch(conversation(), tokenizer, MODEL.config)
    streams = emptied(batch.streams, own, other)
    with torch.no_grad():
        states = stream_states(MODEL, MODEL.public(batch.sequence), batch, streams)
    for gone, layers in zip((own, other), states, strict=True):
        assert all((layer.abs().max() == 0) == gone for layer in layers)
    assert batch.streams.own_RM.any() and batch.streams.other_VM.any()
