"""Lanes: every message of every showing is read once and in order, within its budget, and step n is the same however it is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from sociallm.batches import Encoded, encode_conversation
from sociallm.lanes import Piece, Sets, showings, steps
from tests.sociallm.small import conversation, tokenizer_of

TOKENIZER = tokenizer_of()


def encoded_of(seed: int, count: int, long: int | None = None) -> Encoded:
    c = conversation(seed, count)
    if long is not None:
        c = replace(c, messages=tuple(replace(m, text="the lazy dog " * 40) if k == long else m for k, m in enumerate(c.messages)))
    return encode_conversation(replace(c, id=str(seed)), TOKENIZER)


SETS: Sets = [([encoded_of(0, 30), encoded_of(1, 3), encoded_of(2, 2)], 1.0), ([encoded_of(3, 12, long=5), encoded_of(4, 1)], 2.0)]


def taken(count: int, lanes: int = 3, tokens: int = 60, messages: int = 6, seed: int = 0, sets: Sets = SETS) -> list[list[Piece]]:
    return list(islice(steps(sets, seed, lanes, tokens, messages), count))


def keys(found: Sequence[Sequence[Piece]]) -> list[list[tuple[int, str, int, int]]]:
    return [[(p.showing.number, p.showing.encoded.conversation.id, p.window.first, p.window.last) for p in pieces] for pieces in found]


@pytest.mark.parametrize("lanes, tokens, messages", [(1, 60, 6), (3, 60, 6), (2, 1, 1), (4, 400, 3), (2, 10_000, 10_000)])
def test_every_message_of_every_showing_is_read_once_and_in_order(lanes: int, tokens: int, messages: int) -> None:
    found = taken(80, lanes, tokens, messages)
    read: dict[int, list[Piece]] = {}
    for pieces in found:
        assert len(pieces) >= lanes and len({p.showing.number for p in pieces}) == len(pieces)
        for p in pieces:
            read.setdefault(p.showing.number, []).append(p)
    waiting = set(range(max(read) + 1)) - read.keys()  # drawn by a lane that had too little left to begin it
    assert len(waiting) < lanes < len(read)
    unfinished = 0
    for parts in read.values():
        assert [k for p in parts for k in range(p.window.first, p.window.last)] == list(range(parts[-1].window.last))
        assert [p.last for p in parts[:-1]] == [False] * (len(parts) - 1)
        assert parts[-1].last == (parts[-1].window.last == len(parts[0].showing.encoded.words))
        unfinished += not parts[-1].last
    assert unfinished <= lanes  # one a lane is still under way


def test_a_showing_goes_on_in_the_very_next_step() -> None:
    """Else what it left behind would have to wait."""
    found = taken(80)
    for pieces, following in zip(found, found[1:], strict=False):
        assert {p.showing.number for p in pieces if not p.last} <= {p.showing.number for p in following}


def test_no_piece_is_over_its_budget_except_a_single_long_message() -> None:
    longer = 0
    for pieces in taken(120, lanes=1):
        cost, count = sum(p.window.cost for p in pieces), sum(p.window.last - p.window.first for p in pieces)
        assert count <= 6
        if cost > 60:
            assert len(pieces) == count == 1
            longer += 1
    assert longer > 0
    for pieces in taken(120):
        assert all(p.window.cost <= 60 or p.window.last - p.window.first == 1 for p in pieces)
        assert sum(min(p.window.cost, 60) for p in pieces) <= 3 * 60


def test_a_lane_with_half_of_its_share_left_begins_another_conversation() -> None:
    """One lane, so that the order of the showings is that of the pieces. A step that ends with a whole conversation read has less than
    half of its tokens left, no message left, or no room for the first message of the next."""
    found, many = taken(150, lanes=1), 0
    for pieces, following in zip(found, found[1:], strict=False):
        many += len(pieces) > 1
        room, count = 60 - sum(p.window.cost for p in pieces), 6 - sum(p.window.last - p.window.first for p in pieces)
        if pieces[-1].last:
            assert 2 * room < 60 or count == 0 or following[0].showing.encoded.cost(0) > room
    assert many > 10


def test_weights_are_shares_and_every_epoch_has_another_order() -> None:
    one, half, none = (([encoded_of(s, 3)], w) for s, w in ((0, 2.0), (1, 0.5), (2, 0.0)))
    epochs: dict[int, list[str]] = {}
    for showing in showings([one, half, none], 0):
        if showing.epoch == 200:
            break
        epochs.setdefault(showing.epoch, []).append(showing.encoded.conversation.id)
    assert {ids.count("0") for ids in epochs.values()} == {2} and not any("2" in ids for ids in epochs.values())
    assert {ids.count("1") for ids in epochs.values()} == {0, 1}
    assert abs(np.mean([ids.count("1") for ids in epochs.values()]) - 0.5) <= 3 * 0.5 / 200**0.5
    assert len({tuple(ids) for ids in epochs.values()}) > 3


def test_a_conversation_of_one_message_is_never_shown() -> None:
    assert "4" not in {s.encoded.conversation.id for s in islice(showings(SETS, 0), 100)}


def test_the_steps_follow_from_sets_and_settings_alone() -> None:
    whole = keys(taken(60))
    assert keys(taken(60)) == whole
    other = [([encoded_of(0, 30), encoded_of(1, 3), encoded_of(2, 2)], 1.0), ([encoded_of(3, 12, long=5), encoded_of(4, 1)], 2.0)]
    assert keys(taken(60, sets=other)) == whole  # encoded again
    for n in (1, 17, 42):
        assert keys(list(islice(steps(SETS, 0, 3, 60, 6), n, 60))) == whole[n:]
    assert keys(taken(60, seed=1)) != whole
