"""Foils: who may be one, what is read for one, and the loss that tells authors from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sociallm.batches import Batch, Encoded, batch_of, drawn_slots, encode_conversation, forgetting, windows_of
from sociallm.conversation import Conversation
from sociallm.foils import FEWEST_WORDS, KNOWN, foils_of
from sociallm.losses import by_read, loss_of, token_nll
from sociallm.streams import NEITHER, READ, WROTE
from sociallm.tokenizer import Tokenizer
from tests.sociallm.small import conversation, model_of

MODEL = model_of()
ALIKE = {"ann": 3, "bob": 3, "cyd": 3, "dan": 3}


@pytest.fixture(scope="module")
def encoded(tokenizer: Tokenizer) -> Encoded:
    return encode_conversation(conversation(count=60), tokenizer)


def by_hand(encoded: Encoded, k: int) -> set[str]:
    """Who may have written message k: told from the messages alone."""
    messages = encoded.conversation.messages
    m, before = messages[k], messages[:k]
    earlier = [b for b in before if b.channel == m.channel]

    def able(a: str) -> bool:
        return bool(earlier) and earlier[-1].author != a and earlier[-1].read_by(a) and sum(b.author == a for b in before) >= KNOWN

    return {a for a in encoded.agents if a != m.author and able(a)} if able(m.author) and len(encoded.words[k]) >= FEWEST_WORDS else set()


def foils(encoded: Encoded, first: int, last: int) -> list[set[str]]:
    found = foils_of(encoded.conversation, encoded.agents, encoded.role_AM, [len(w) for w in encoded.words], first, last)
    return [{encoded.agents[a] for a in f} for f in found]


def test_foils_are_who_has_read_the_last_message_and_written_before(encoded: Encoded) -> None:
    expected = [by_hand(encoded, k) for k in range(60)]
    assert sum(map(bool, expected)) >= 5  # there is something to find
    assert foils(encoded, 0, 60) == expected
    assert foils(encoded, 0, 25) + foils(encoded, 25, 60) == expected  # a window knows what came before it


def test_two_that_talk_alone_have_none(tokenizer: Tokenizer) -> None:
    private = Conversation(id="c", messages=tuple(m for m in conversation(count=200).messages if len(m.channel.readers) == 2))
    assert not any(foils(encode_conversation(private, tokenizer), 0, len(private.messages)))


def batch(encoded: Encoded, tokenizer: Tokenizer, slots: dict[str, int], foils: bool = True, seed: int = 0) -> Batch:
    return batch_of(windows_of(encoded, 10_000, 1_000), tokenizer, MODEL.config, np.random.default_rng(seed), listen=0.5, slots=slots, foils=foils)


def test_a_foil_reads_with_its_own_states(encoded: Encoded, tokenizer: Tokenizer) -> None:
    found = batch(encoded, tokenizer, ALIKE)
    rows = np.flatnonzero(found.foil_R >= 0)
    assert set(found.message_R[rows]) == {k for k in range(60) if by_hand(encoded, k)}
    for r in rows:
        k, author = int(found.message_R[r]), int(found.foil_R[r])
        assert found.speaks_R[author] and found.message_R[author] == k and not found.speaks_R[r]
        name = encoded.agents[found.who_R[r].reader]
        assert name in by_hand(encoded, k) and found.who_R[r].reader not in found.who_R[r].partners
        roles = [WROTE if m.author == name else READ if m.read_by(name) else NEITHER for m in encoded.conversation.messages[:k]]
        assert found.streams.own_RM[r, :k].tolist() == roles


def test_where_headers_tell_authors_apart_nobody_is_compared(encoded: Encoded, tokenizer: Tokenizer) -> None:
    for found in (batch(encoded, tokenizer, {**ALIKE, "dan": 4}), batch(encoded, tokenizer, ALIKE, foils=False)):
        assert (found.foil_R == -1).all()


def test_slots_are_alike_as_often_as_asked(encoded: Encoded) -> None:
    drawn = [drawn_slots(encoded, np.random.default_rng(i), 0.25) for i in range(2_000)]
    alike = [len(set(slots.values())) == 1 for slots in drawn]
    assert all(set(slots) == set(encoded.agents) for slots in drawn)
    assert abs(np.mean(alike) - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2_000)
    assert len({slots["ann"] for slots, same in zip(drawn, alike, strict=True) if same}) == 16  # which slot says nothing
    assert all(len(set(drawn_slots(encoded, np.random.default_rng(i)).values())) == 4 for i in range(50))


def test_what_is_compared_forgets_nothing(encoded: Encoded, tokenizer: Tokenizer) -> None:
    found = batch(encoded, tokenizer, ALIKE)
    rows = np.flatnonzero(found.foil_R >= 0)
    kept = [*rows, *found.foil_R[rows]]
    forgot = np.zeros(len(found.foil_R), bool)
    for seed in range(30):
        after = forgetting(found.streams, np.random.default_rng(seed), found.foil_R)
        assert (after.own_RM[kept] == found.streams.own_RM[kept]).all()
        forgot |= (after.own_RM != found.streams.own_RM).any(1)
    assert forgot.sum() > 10  # the others do


def test_the_loss_is_the_chance_of_the_author_between_the_two(encoded: Encoded, tokenizer: Tokenizer) -> None:
    found = batch(encoded, tokenizer, ALIKE)
    with torch.no_grad():
        nll = token_nll(MODEL, found)
    nats = by_read(nll, found)
    rows = np.flatnonzero(found.foil_R >= 0)
    by_bayes = [math.exp(-nats[a]) / (math.exp(-nats[a]) + math.exp(-nats[f])) for f, a in zip(rows, found.foil_R[rows], strict=True)]
    mean = -np.mean(np.log(by_bayes))
    speaks, foil = (torch.from_numpy(v)[found.read_Y] for v in (found.speaks_R, found.foil_R >= 0))
    with_, without = loss_of(nll, found, 0.5, 7.0), loss_of(nll, found, 0.5)
    assert with_.contrast == pytest.approx(mean, abs=1e-9) and abs(mean - math.log(2)) > 1e-4
    assert float(with_.total - without.total) == pytest.approx(7.0 * mean * len(rows) / int(speaks.sum()), abs=1e-9)
    assert with_.listen == pytest.approx(float(nll[~speaks & ~foil].mean())) and with_.tokens == int(speaks.sum())


def test_its_gradient_sets_authors_and_foils_apart(encoded: Encoded, tokenizer: Tokenizer) -> None:
    model, found = model_of(), batch(encoded, tokenizer, ALIKE)
    before = loss_of(token_nll(model, found), found, 0.0, 0.0)
    for _ in range(5):
        loss = loss_of(token_nll(model, found), found, 0.0, 1e3)
        model.zero_grad()
        loss.total.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= 1e-3 * p.grad / (1e-12 + p.grad.norm())
    after = loss_of(token_nll(model, found), found, 0.0, 0.0)
    assert before.contrast is not None and after.contrast is not None and after.contrast < before.contrast


def test_without_pairs_there_is_no_contrast(encoded: Encoded, tokenizer: Tokenizer) -> None:
    found = batch(encoded, tokenizer, ALIKE, foils=False)
    loss = loss_of(token_nll(MODEL, found), found, 0.5, 10.0)
    assert loss.contrast is None and float(loss.total.detach()) == pytest.approx(loss.speak + 0.5 * loss.listen)
