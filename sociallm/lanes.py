"""Which windows a training step reads: lanes that go through conversations in order, so that states can be carried.

Everything here follows from (sets, config) alone: the windows of step n are the same whenever and however often it is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sociallm.batches import Encoded, Window, window_from

Sets = Sequence[tuple[Sequence[Encoded], float]]  # conversations, and how often each appears in an epoch


@dataclass(frozen=True)
class Showing:
    """One appearance of a conversation in training."""

    number: int
    epoch: int
    encoded: Encoded


@dataclass(frozen=True)
class Piece:
    """What one step reads of one showing."""

    showing: Showing
    window: Window

    @property
    def last(self) -> bool:
        """Whether the conversation ends with it."""
        return self.window.last == len(self.showing.encoded.words)


def showings(sets: Sets, seed: int) -> Iterator[Showing]:
    """Conversations for ever, each epoch in another order; one of weight w appears w times an epoch (drawn, where w is no
    whole number)."""
    number = epoch = 0
    while True:
        rng = np.random.default_rng([seed, 1, epoch])
        shown = [e for encoded, weight in sets for e in encoded if len(e.words) > 1 for _ in range(int(weight) + int(rng.random() < weight % 1))]
        for i in rng.permutation(len(shown)):
            yield Showing(number, epoch, shown[i])
            number += 1
        epoch += 1


def steps(sets: Sets, seed: int, lanes: int, tokens: int, messages: int) -> Iterator[list[Piece]]:
    """The pieces of each step, for ever. A lane takes up to `tokens` tokens and `messages` messages a step: it goes on with its
    conversation, and begins another where half of its share or more is left, or where a whole one fits."""
    queue = showings(sets, seed)
    current: list[tuple[Showing, int] | None] = [None] * lanes  # each lane's conversation, and its next message
    while True:
        pieces: list[Piece] = []
        for lane in range(lanes):
            room, count, begun = tokens, messages, False
            while True:
                showing, first = current[lane] or (next(queue), 0)
                current[lane] = (showing, first)
                window = window_from(showing.encoded, first, room, count) if room > 0 and count > 0 else None
                if begun and (window is None or window.cost > room or (window.last < len(showing.encoded.words) and 2 * room < tokens)):
                    break
                assert window is not None
                pieces.append(Piece(showing, window))
                room, count, begun = room - window.cost, count - (window.last - window.first), True
                current[lane] = None if pieces[-1].last else (showing, window.last)
                if current[lane] is not None:
                    break
        yield pieces
