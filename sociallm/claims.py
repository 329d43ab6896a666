"""How ready the holder of a state is to make a claim: log p(claim | state) - log p(claim | empty state), in nats.

A claim is encoded as if its author said it to itself as the first thing in a channel, so that the state alone bears on it. All claims of one choice are
read in one pass; what they are made of is kept.

Letters in shapes: K claims; L social layers, H heads, P head width, N state width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm.checkpoint import Checkpoint
from sociallm.encode import new_local
from sociallm.layout import TokenLayout, sequence_of
from sociallm.model import Public
from sociallm.readings import ON, Reading, nats_of
from sociallm.states import SocialState
from sociallm.tokenizer import MOST_WORDS

Floats = NDArray[np.float64]


class _Claims(NamedTuple):
    """Claims by one author, encoded: what they are made of, the tokens of their header, and their nats [K] from an empty state."""

    sequence: TokenLayout
    public: Public
    header: int
    empty_K: Floats


@torch.inference_mode()
def readiness(checkpoint: Checkpoint, slot: int, texts: Sequence[str], state_LHPN: Tensor) -> Floats:
    """[K]: of each claim by the author of this slot, whose state, as read now, is given."""
    claims = _encoded(checkpoint, slot, tuple(texts))
    return np.asarray(claims.empty_K - _nats(checkpoint, claims.sequence, claims.public, claims.header, state_LHPN))


@lru_cache(maxsize=4096)
def _encoded(checkpoint: Checkpoint, slot: int, texts: tuple[str, ...]) -> _Claims:
    tokenizer, local, count = checkpoint.tokenizer, new_local(checkpoint), len(texts)
    header = tokenizer.header(None, slot, [])
    sequence = sequence_of([[[*header, *tokenizer.encode_text(text)[:MOST_WORDS], tokenizer.END]] for text in texts], checkpoint.model.config)
    public = checkpoint.model.public(sequence, tuple((S.expand(count, *S.shape[1:]), w.expand(count, *w.shape[1:])) for S, w in local.layers))
    nothing = SocialState.empty(checkpoint.model, checkpoint.sha256).S_LHPN
    return _Claims(sequence, public, len(header), _nats(checkpoint, sequence, public, len(header), nothing))


def _nats(checkpoint: Checkpoint, sequence: TokenLayout, public: Public, header: int, state_LHPN: Tensor) -> Floats:
    """[K]: of each claim, read from this state."""
    layers = list(torch.stack([torch.zeros_like(state_LHPN), state_LHPN], 1))  # a layer each: row 0 is the empty state
    readings = [Reading(message=k, own=1, other=0, header=header) for k in range(len(sequence.lengths_M))]
    return np.asarray(nats_of(checkpoint.model, sequence, public, layers, readings, ON)[:, 0])
