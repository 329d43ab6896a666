"""What each token of a conversation costs a model, and what the rare ones do: where a model that learns from models forgets first, the tails go first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sociallm.batches import Encoded
from sociallm.losses import token_nll
from sociallm.model import SociaLLM
from sociallm.through import readings
from sociallm.tokenizer import Tokenizer

RARE = 0.1


def token_nats(model: SociaLLM, encoded: Encoded, tokenizer: Tokenizer) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64], int]]:
    """(nats of every token as its author says it, which token it is, bytes of text), window after window, states carried."""
    for reading in readings(model, encoded, tokenizer):
        with torch.no_grad():  # a generator's body runs where it is asked to go on
            nats = token_nll(model, reading.batch, reading.batch.streams, reading.public, reading.start)
        yield nats.double().cpu().numpy(), reading.batch.target.cpu().numpy(), int(reading.batch.bytes_R.sum())


def rare(nats: NDArray[np.float64], kinds: NDArray[np.int64], share: float = RARE) -> float:
    """Mean of `nats` over this share of the tokens, those of the rarest kinds; of kinds equally rare at the border, their mean."""
    _, index, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    often = counts[index]  # of each token, how often its kind stands there
    total, left = 0.0, share * len(kinds)
    for n in np.unique(often):
        alike = often == n
        part = min(left, float(alike.sum()))
        total += float(nats[alike].mean()) * part
        left -= part
    return total / (share * len(kinds))
