"""Carried states (T8): windows read one after another are one long window, and what is carried is a value of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sociallm import carry
from sociallm.batches import Batch, Encoded, Span, batch_of, encode_conversation, forgetting, windows_of
from sociallm.carry import Carried, Start, carry_on, start_of
from sociallm.conversation import Conversation, Message
from sociallm.encode import slots_of
from sociallm.losses import public_of, stream_states, token_nll
from sociallm.model import Public, SociaLLM, build
from sociallm.streams import READ, Incidence
from sociallm.tokenizer import Tokenizer
from tests.sociallm.naive import Heard, logits_of
from tests.sociallm.small import AGENTS, PUBLIC, conversation, model_of, one_batch, pair

SLOTS = slots_of(AGENTS)
Which = tuple[int, int, str]  # conversation, message, reader


def in_public(c: Conversation) -> Conversation:
    """The same talk in one large room."""
    return replace(c, messages=tuple(replace(m, channel=PUBLIC) for m in c.messages))


def span_of(batch: Batch, read: int) -> Span:
    return next(s for s in batch.spans if s.messages.start <= batch.message_R[read] < s.messages.stop)


def read_of(batch: Batch, read: int) -> tuple[int, str]:
    """(message of its conversation, reader) of a read."""
    span = span_of(batch, read)
    reader = span.window.encoded.agents[batch.who_R[read].reader - span.agents.start]
    return int(batch.message_R[read]) - span.messages.start + span.window.first, reader


def logits_by_read(model: SociaLLM, batch: Batch, start: Start | None = None, streams: Incidence | None = None) -> tuple[Public, list[Tensor]]:
    public = public_of(model, batch, start)
    states = stream_states(model, public, batch, batch.streams if streams is None else streams, start)
    logits = model.logits(model.read(public, batch.reads, *states))
    return public, list(torch.tensor_split(logits, list(batch.reads.starts[1:])))


@torch.no_grad()
def at_once(model: SociaLLM, conversations: Sequence[Encoded], tokenizer: Tokenizer) -> dict[Which, Tensor]:
    """Logits of (nearly) all possible reads, every conversation as one window; listeners drawn again and again."""
    found: dict[Which, Tensor] = {}
    for i, encoded in enumerate(conversations):
        for seed in range(8):
            batch = batch_of(windows_of(encoded, 100_000, 10_000), tokenizer, model.config, np.random.default_rng(seed), slots=SLOTS)
            for r, logits in enumerate(logits_by_read(model, batch)[1]):
                found[i, *read_of(batch, r)] = logits
    return found


@torch.no_grad()
def in_windows(model: SociaLLM, conversations: Sequence[Encoded], tokenizer: Tokenizer, messages: int) -> dict[Which, Tensor]:
    """The same in windows of so many messages, the conversations side by side in one batch, each beginning a step after the one before."""
    found: dict[Which, Tensor] = {}
    windows = [windows_of(e, 100_000, messages) for e in conversations]
    carried: list[Carried | None] = [None] * len(windows)
    rng = np.random.default_rng(5)
    for step in range(max(map(len, windows)) + len(windows)):
        here = [i for i, w in enumerate(windows) if 0 <= step - i < len(w)]
        if not here:
            continue
        batch = batch_of([windows[i][step - i] for i in here], tokenizer, model.config, rng, slots=SLOTS)
        before = [carried[i] for i in here]
        start = start_of(model, batch, before)
        public, logits = logits_by_read(model, batch, start)
        for r, v in enumerate(logits):
            found[here[batch.spans.index(span_of(batch, r))], *read_of(batch, r)] = v
        for i, left in zip(here, carry_on(model, public, batch, before), strict=True):
            carried[i] = left
    return found


def pauses(present: Sequence[bool]) -> bool:
    """Whether something is there, is not, and is there again."""
    at = np.flatnonzero(present)
    return len(at) > 1 and bool((np.diff(at) > 1).any())


@pytest.mark.parametrize("fusion, room", [("heads", None), ("sum", None), ("heads", 2)])
def test_windows_one_after_another_are_one_long_window(fusion: str, room: int | None, tokenizer: Tokenizer) -> None:
    model = model_of(fusion)
    talks = [conversation(1, 30), conversation(2, 7), conversation(3, 15)]
    encoded = [encode_conversation(c if room is None else in_public(c), tokenizer, room) for c in talks]
    whole = at_once(model, encoded, tokenizer)
    for messages in (1, 5, 8):
        parts = in_windows(model, encoded, tokenizer, messages)
        both = parts.keys() & whole.keys()
        assert len(both) >= 0.95 * len(parts) and len(parts) > 52
        assert max(float((parts[k] - whole[k]).abs().max()) for k in both) <= 1e-10


def test_the_windows_compared_have_channels_and_pairs_that_pause(tokenizer: Tokenizer) -> None:
    """Of the comparison above: without these it would show less."""
    windows = windows_of(encode_conversation(conversation(1, 30), tokenizer), 100_000, 5)
    said = [w.encoded.conversation.messages[w.first : w.last] for w in windows]
    names = {m.channel.name for ms in said for m in ms}
    assert any(pauses([any(m.channel.name == name for m in ms) for ms in said]) for name in names)
    assert any(pauses([any(m.author == v and m.read_by(u) for m in ms) for ms in said]) for u in AGENTS for v in AGENTS if u != v)


@pytest.mark.parametrize("social_every", [0, 2])
def test_a_plain_model_and_one_with_fewer_social_blocks_carry_as_well(social_every: int, tokenizer: Tokenizer) -> None:
    model = build(replace(model_of(layers=4).config, social_every=social_every), torch.Generator().manual_seed(1)).double()
    encoded = [encode_conversation(conversation(s, 15), tokenizer) for s in (1, 2)]
    whole, parts = at_once(model, encoded, tokenizer), in_windows(model, encoded, tokenizer, 4)
    both = parts.keys() & whole.keys()
    assert len(both) >= 0.95 * len(parts)
    assert max(float((parts[k] - whole[k]).abs().max()) for k in both) <= 1e-10


# ---- forgetting what was carried ---------------------------------------------------------------------------------------


@torch.no_grad()
def test_forgetting_a_carried_state_equals_a_naive_pass_that_forgets(tokenizer: Tokenizer) -> None:
    """Wholly, before a moment of the window, own and interlocutor apart; what is carried on stays whole."""
    model, c = model_of(), conversation(0, 16)
    encoded, long = one_batch(c, tokenizer, model.config)
    starts = [long.sequence.starts_M[int(m)] for m in long.flat_M]
    ids = [long.sequence.tokens_T[s : s + long.sequence.lengths_M[int(m)]].tolist() for s, m in zip(starts, long.flat_M, strict=True)]
    counts = {"own": 0, "other": 0, "wholly": 0, "partly": 0}
    carried: Carried | None = None
    for window in windows_of(encoded, 100_000, 8):
        batch = batch_of([window], tokenizer, model.config, np.random.default_rng(1), slots=SLOTS)
        start = start_of(model, batch, [carried])
        for seed in range(3 if carried else 0):
            streams = forgetting(batch.streams, np.random.default_rng(seed))
            _, fast = logits_by_read(model, batch, start, streams)
            for r, logits in enumerate(fast):
                k, reader = read_of(batch, r)
                rows = streams.read_V == r
                no_own, no_other = not streams.own_start_R[r], not streams.other_start_V[rows].all()
                if not no_own and not no_other:
                    continue
                own_gone = (batch.streams.own_RM[r] != 0) & (streams.own_RM[r] == 0)
                other_gone = ((batch.streams.other_VM[rows] != 0) & (streams.other_VM[rows] == 0)).any(0)
                partners = [encoded.agents[p] for p in batch.who_R[r].partners]
                visible = [m for m in range(k + 1) if c.messages[m].read_by(reader)]
                lost, lost_of = (
                    frozenset(i for i, m in enumerate(visible) if forgot and (m < window.first or gone[m - window.first]))
                    for forgot, gone in ((no_own, own_gone), (no_other, other_gone))
                )
                hours = [(c.messages[m].time - c.messages[0].time) / 3_600_000 for m in visible]
                seen = [Heard(ids[m], c.messages[m].channel.name, c.messages[m].author, h) for m, h in zip(visible, hours, strict=True)]
                assert (logits - logits_of(model, seen, reader, partners, lost, lost_of)).abs().max() <= 1e-10
                held = streams.own_RM[r].any() or streams.other_VM[rows].any()
                for what, yes in (("own", no_own and not no_other), ("other", no_other and not no_own), ("wholly", not held), ("partly", held)):
                    counts[what] += bool(yes)
        carried = carry_on(model, public_of(model, batch, start), batch, [carried])[0]
    assert min(counts.values()) >= 2, counts


@torch.no_grad()
def test_what_is_forgotten_at_a_read_is_carried_on_all_the_same(tokenizer: Tokenizer) -> None:
    """Forgetting is of the read; what a window leaves follows from messages alone, so `carry_on` is not even told of it."""
    model = model_of()
    first, second = windows_of(encode_conversation(conversation(0, 12), tokenizer), 100_000, 6)
    one = batch_of([first], tokenizer, model.config, np.random.default_rng(0), slots=SLOTS)
    (carried,) = carry_on(model, model.public(one.sequence), one, [None])
    two = batch_of([second], tokenizer, model.config, np.random.default_rng(0), slots=SLOTS)
    start = start_of(model, two, [carried])
    gone = replace(two.streams, own_start_R=np.zeros(len(two.who_R), bool), other_start_V=np.zeros(len(two.streams.read_V), bool))
    empty = replace(start, own=tuple(torch.zeros_like(v) for v in start.own), other=tuple(torch.zeros_like(v) for v in start.other))
    forgetful = token_nll(model, two, gone, None, start)
    assert torch.allclose(forgetful, token_nll(model, two, None, None, empty), rtol=0, atol=1e-12)  # start weight 0
    assert (forgetful - token_nll(model, two, None, None, start)).abs().max() > 1e-3


# ---- what is carried is a value ----------------------------------------------------------------------------------------


def tensors_of(c: Carried) -> list[Tensor]:
    return [*c.local_state, *c.local_window, *c.own, *c.other]


def test_carried_states_have_no_gradient_and_share_nothing(tokenizer: Tokenizer) -> None:
    model = model_of()
    carried: Carried | None = None
    earlier: list[tuple[list[Tensor], list[Tensor]]] = []
    for window in windows_of(encode_conversation(conversation(0, 18), tokenizer), 100_000, 6):
        weights = {k: v.clone() for k, v in model.state_dict().items()}
        batch = batch_of([window], tokenizer, model.config, np.random.default_rng(0), slots=SLOTS)
        start = start_of(model, batch, [carried])
        public = public_of(model, batch, start)
        token_nll(model, batch, None, public, start).sum().backward()
        (carried,) = carry_on(model, public, batch, [carried])
        assert carried is not None and not any(v.requires_grad for v in tensors_of(carried))
        earlier.append((tensors_of(carried), [v.clone() for v in tensors_of(carried)]))
        with torch.no_grad():  # whatever a later step may write into
            for v in (*model.parameters(), *(t for pair in public.local for t in pair), *(w.U_MHPN for w in public.written)):
                v.fill_(torch.nan)
            for v in (() if start is None else (*start.own, *start.other, *(t for pair in start.local for t in pair))):
                v.fill_(torch.nan)
        model.load_state_dict(weights)
        assert all(torch.equal(v, was) for now, then in earlier for v, was in zip(now, then, strict=True))
    assert len(earlier) == 3


def test_gradients_stop_at_the_window(tokenizer: Tokenizer) -> None:
    """The gradient of a later window is that with its start held fixed, by finite differences along one direction."""
    model = model_of(layers=1)
    first, second = windows_of(encode_conversation(conversation(0, 12), tokenizer), 100_000, 6)
    one, two = (batch_of([w], tokenizer, model.config, np.random.default_rng(0), slots=SLOTS) for w in (first, second))
    before = carry_on(model, model.public(one.sequence), one, [None])
    start = start_of(model, two, before)
    weight = model.social[0].write_proj.weight
    token_nll(model, two, None, None, start).sum().backward()
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0), dtype=weight.dtype)
    values, moving = [], []
    with torch.no_grad():
        for side in (1e-5, -1e-5):
            weight.add_(side * direction)
            values.append(float(token_nll(model, two, None, None, start).sum()))
            again = start_of(model, two, carry_on(model, model.public(one.sequence), one, [None]))
            moving.append(float(token_nll(model, two, None, None, again).sum()))
            weight.sub_(side * direction)
    slope, through = ((v[0] - v[1]) / 2e-5 for v in (values, moving))
    assert float((weight.grad * direction).sum()) == pytest.approx(slope, rel=1e-5) and abs(slope - through) > 1e-3 * abs(slope)


def test_nothing_is_left_by_a_window_that_is_not_wanted_and_nothing_begins_from_nothing(tokenizer: Tokenizer) -> None:
    model = model_of()
    windows = [windows_of(encode_conversation(conversation(s, 8), tokenizer), 100_000, 4)[0] for s in (0, 1)]
    batch = batch_of(windows, tokenizer, model.config, np.random.default_rng(0), slots=SLOTS)
    assert start_of(model, batch, [None, None]) is None
    left = carry_on(model, model.public(batch.sequence), batch, [None, None], [False, True])
    assert left[0] is None and left[1] is not None


# ---- how many pairs ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_of_too_many_pairs_those_read_longest_ago_are_dropped(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """ann to all; bob to ann; ann to bob. With room for three, (bob, ann) goes, and comes back without its past."""
    monkeypatch.setattr(carry, "MOST_PAIRS", 3)
    model = model_of()
    channels = (PUBLIC, pair("ann", "bob"), pair("ann", "bob"))
    said = [Message(id=str(k), author=a, channel=ch, time=k * 1000, text="the lazy dog") for k, (a, ch) in enumerate(zip(("ann", "bob", "ann"), channels, strict=True))]
    encoded = encode_conversation(Conversation(id="c", messages=tuple(said)), tokenizer)
    carried: Carried | None = None
    held = []
    for window in windows_of(encoded, 100_000, 1):
        batch = batch_of([window], tokenizer, model.config, np.random.default_rng(0), slots=SLOTS)
        start = start_of(model, batch, [carried])
        public = public_of(model, batch, start)
        (carried,) = carry_on(model, public, batch, [carried])
        assert carried is not None and [*carried.pairs.values()] == [*range(len(carried.pairs))] and len(carried.other[0]) == len(carried.pairs)
        held.append([*carried.pairs])
    assert held == [
        [("bob", "ann"), ("cyd", "ann"), ("dan", "ann")],
        [("cyd", "ann"), ("dan", "ann"), ("ann", "bob")],
        [("dan", "ann"), ("ann", "bob"), ("bob", "ann")],
    ]
    for j, block in enumerate(model.social):  # the last message alone, as it was read
        fresh = block.role_log[READ - 1].exp()[:, None, None] * public.written[j].U_MHPN[0]
        assert torch.allclose(carried.other[j][2], fresh, rtol=0, atol=1e-12)
        assert (carried.own[j][carried.agents["bob"]] - fresh).abs().max() > 1e-3  # its own memory holds all three
