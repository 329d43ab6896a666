"""Conversations read through from beginning to end, window after window, states carried: how well a model predicts each message."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from sociallm.batches import Batch, Encoded, Window, batch_of, drawn_slots, emptied, on, windows_of
from sociallm.carry import Carried, Start, carry_on, start_of
from sociallm.conversation import AgentID
from sociallm.losses import by_read, public_of, token_nll
from sociallm.model import Public, SociaLLM
from sociallm.streams import Incidence
from sociallm.tokenizer import Tokenizer

TOKENS, MESSAGES = 2048, 128  # of a window
# (own state emptied, interlocutor state emptied) at every read; what is stored and carried stays whole
VARIANTS: Mapping[str, tuple[bool, bool]] = {"on": (False, False), "no_own": (True, False), "no_interlocutor": (False, True), "off": (True, True)}


def cut_off(streams: Incidence) -> Incidence:
    """Streams of readers who forgot, at the beginning of the window, all that was before it."""
    return replace(streams, own_start_R=np.zeros(len(streams.own_RM), bool), other_start_V=np.zeros(len(streams.other_VM), bool))


CHANGES: Mapping[str, Callable[[Incidence], Incidence]] = {
    **{name: partial(emptied, own=own, other=other) for name, (own, other) in VARIANTS.items()},
    "cut": cut_off,
}


@dataclass(frozen=True)
class Reading:
    """One window of a conversation, with all that was carried into it."""

    window: Window
    batch: Batch
    start: Start | None
    public: Public

    @torch.no_grad()
    def nats(self, model: SociaLLM, variants: Sequence[str] = tuple(VARIANTS)) -> dict[str, NDArray[np.float64]]:
        """Of every message of the window, as its author says it, its states changed as `CHANGES` has it. A model without social blocks
        has one variant only, "on"."""
        able = [v for v in variants if len(model.social) or v == "on"]
        return {v: by_read(token_nll(model, self.batch, CHANGES[v](self.batch.streams), self.public, self.start), self.batch) for v in able}


@torch.no_grad()
def readings(
    model: SociaLLM, encoded: Encoded, tokenizer: Tokenizer, windows: Sequence[Window] | None = None, slots: Mapping[AgentID, int] | None = None,
    as_if: Mapping[int, Sequence[int]] = MappingProxyType({}),
) -> Iterator[Reading]:  # fmt: skip
    """A conversation window by window (`windows`, if given, join up), read as its authors (no listeners; `as_if`: see `batch_of`).
    Without `slots` they are drawn from a fixed seed."""
    carried: Carried | None = None
    slots = drawn_slots(encoded, np.random.default_rng(0)) if slots is None else slots
    for window in windows_of(encoded, TOKENS, MESSAGES) if windows is None else windows:
        batch = on(batch_of([window], tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=slots, as_if=as_if), model.embedding.weight.device)
        start = start_of(model, batch, [carried])
        public = public_of(model, batch, start)
        yield Reading(window, batch, start, public)
        [carried] = carry_on(model, public, batch, [carried])


def bits_per_byte(model: SociaLLM, encoded: Sequence[Encoded], tokenizer: Tokenizer, most_tokens: int | None = None) -> dict[str, float]:
    """Bits per byte of speech, by variant, over conversations in a fixed random order until `most_tokens` tokens are read."""
    nats: dict[str, float] = {}
    size = used = 0
    for i in np.random.default_rng(1).permutation(len(encoded)):
        for reading in readings(model, encoded[i], tokenizer):
            used += reading.window.cost
            size += int(reading.batch.bytes_R.sum())
            for name, v in reading.nats(model).items():
                nats[name] = nats.get(name, 0.0) + float(v.sum())
            if most_tokens is not None and used >= most_tokens:
                return {name: v / size / math.log(2) for name, v in nats.items()}
    return {name: v / size / math.log(2) for name, v in nats.items()}
