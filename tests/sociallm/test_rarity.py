"""What tokens cost: their sum is the bits per byte that `through` counts; the rare ones by hand."""

import math

import numpy as np
import pytest

from sociallm.batches import encode_conversation
from sociallm.rarity import rare, token_nats
from sociallm.through import bits_per_byte
from tests.sociallm.small import conversation


def test_the_cost_of_all_tokens_is_that_of_the_text(loaded):
    encoded = encode_conversation(conversation(0, 20), loaded.tokenizer)
    parts = list(token_nats(loaded.model, encoded, loaded.tokenizer))
    nats, size = sum(part[0].sum() for part in parts), sum(part[2] for part in parts)
    assert nats / size / math.log(2) == pytest.approx(bits_per_byte(loaded.model, [encoded], loaded.tokenizer)["on"], rel=1e-9)
    assert sum(len(part[1]) for part in parts) == sum(len(words) + 1 for words in encoded.words)


def test_rare_tokens_are_those_of_the_rarest_kinds_those_at_the_border_in_part():
    """Ten tokens: kinds once (5 nats), once (1), and eight times (0): a tenth is one token, shared by the two kinds that stand there once."""
    kinds, nats = np.array([1, 2] + [3] * 8), np.array([5.0, 1.0] + [0.0] * 8)
    assert rare(nats, kinds, 0.1) == 3.0
    assert rare(nats, kinds, 0.2) == 3.0
    assert rare(nats, kinds, 0.4) == 1.5
