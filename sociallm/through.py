"""Conversations read through from beginning to end, window after window, states carried: how well a model predicts each message."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sociallm.batches import Batch, Encoded, Window, batch_of, drawn_slots, emptied, on, windows_of
from sociallm.carry import Carried, carry_on, start_of
from sociallm.conversation import AgentID
from sociallm.losses import by_read, public_of, token_nll
from sociallm.model import SociaLLM
from sociallm.tokenizer import Tokenizer

# (own state emptied, interlocutor state emptied) at every read; what is stored and carried stays whole
VARIANTS: Mapping[str, tuple[bool, bool]] = {"on": (False, False), "no_own": (True, False), "no_interlocutor": (False, True), "off": (True, True)}


@dataclass(frozen=True)
class ReadThrough:
    """One window of a conversation that is read through: nats of every read of its batch, by variant."""

    batch: Batch
    window: Window
    nats: Mapping[str, np.ndarray]


@torch.no_grad()
def read_through(
    model: SociaLLM, encoded: Encoded, tokenizer: Tokenizer, tokens: int = 2048, messages: int = 192, variants: Sequence[str] = tuple(VARIANTS),
    slots: Mapping[AgentID, int] | None = None,
) -> Iterator[ReadThrough]:  # fmt: skip
    """Read a conversation as its authors (no listeners). Without `slots` they are drawn from a fixed seed. A model without
    social blocks has one variant only, "on"."""
    carried: Carried | None = None
    slots = drawn_slots(encoded, np.random.default_rng(0)) if slots is None else slots
    chosen = [v for v in variants if len(model.social) or v == "on"]
    for window in windows_of(encoded, tokens, messages):
        batch = on(batch_of([window], tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=slots), model.embedding.weight.device)
        start = start_of(model, batch, [carried])
        public = public_of(model, batch, start)
        nats = {}
        for name in chosen:
            own, other = VARIANTS[name]
            nats[name] = by_read(token_nll(model, batch, emptied(batch.streams, own, other) if own or other else None, public, start), batch)
        yield ReadThrough(batch, window, nats)
        [carried] = carry_on(model, public, batch, [carried])


def bits_per_byte(model: SociaLLM, encoded: Sequence[Encoded], tokenizer: Tokenizer, most_tokens: int | None = None) -> dict[str, float]:
    """Bits per byte of speech, by variant, over conversations in a fixed random order until `most_tokens` tokens are read."""
    nats: dict[str, float] = {}
    size = used = 0
    for i in np.random.default_rng(1).permutation(len(encoded)):
        for step in read_through(model, encoded[i], tokenizer):
            used += step.window.cost
            size += int(step.batch.bytes_R.sum())
            for name, v in step.nats.items():
                nats[name] = nats.get(name, 0.0) + float(v.sum())
            if most_tokens is not None and used >= most_tokens:
                return {name: v / size / math.log(2) for name, v in nats.items()}
    return {name: v / size / math.log(2) for name, v in nats.items()}
