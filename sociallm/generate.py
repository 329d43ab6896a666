"""Batched sampling with carried states: several candidates for one message, each after its own forced beginning.

All candidates of a message are one batch of a fixed number of rows, and a message is one batch: what is sampled depends on
the message's states, header and random numbers only, not on who else is speaking.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sociallm.checkpoint import Checkpoint
from sociallm.states import LocalState
from sociallm.tokenizer import SPECIALS

ROWS = 8  # candidates of one message; never a batch of one
MOST_CHOICES = 64  # likeliest tokens that may be drawn


@dataclass(frozen=True)
class Candidate:
    """A text the model could say."""

    text: str
    nats: float  # total negative log-likelihood of its words and end, forced ones included
    tokens: int
    sampled: int  # words' tokens that the model chose itself
    finished: bool  # whether it reached the message's end


@dataclass
class _Rows:
    """The running states of a batch of rows. Working memory of one call, never seen outside."""

    local: list[tuple[Tensor, Tensor]]
    own: list[Tensor]
    other: list[Tensor]
    window: list[Tensor]


def _rows(checkpoint: Checkpoint, local: LocalState, own_LHPN: Tensor, other_LHPN: Tensor, rows: int) -> _Rows:
    c = checkpoint.model.config

    def spread(t: Tensor) -> Tensor:
        return t.expand(rows, *t.shape[1:]).clone()

    empty = own_LHPN.new_zeros(rows, c.conv - 1, c.social_heads * c.social_head_width + c.social_state)
    return _Rows(
        [(spread(S), spread(w)) for S, w in local.layers], [spread(s[None]) for s in own_LHPN], [spread(s[None]) for s in other_LHPN], [empty] * c.layers
    )


def _step(checkpoint: Checkpoint, tokens_B: Tensor, rows: _Rows) -> Tensor:
    """Feed one token to every row: next-token logits [B, vocabulary]."""
    model = checkpoint.model
    p = model.embedding(tokens_B)
    r = torch.zeros_like(p)
    for i, (local, social) in enumerate(zip(model.local, model.social, strict=True)):
        to_r, rows.own[i], rows.other[i], rows.window[i] = social.step(p, r, rows.own[i], rows.other[i], rows.window[i])
        to_p, rows.local[i] = local.step(p, rows.local[i])
        p, r = p + to_p, r + to_r
    return model.logits(p + r)


def _draw(logits_BV: Tensor, uniform_B: Tensor, temperature: float, top_p: float) -> Tensor:
    """One token per row: of the `MOST_CHOICES` likeliest the smallest set that holds `top_p`, by inverse distribution function."""
    top, order = torch.topk(logits_BV, min(MOST_CHOICES, logits_BV.shape[-1]))
    p = torch.softmax(top.double() / temperature, -1)
    p = torch.where(p.cumsum(-1) - p < top_p, p, 0.0)
    place = torch.searchsorted(p.cumsum(-1), (uniform_B * p.sum(-1))[:, None]).clamp(max=p.shape[-1] - 1)
    return order.gather(1, place)[:, 0]


@functools.cache
def _sentence_ends(checkpoint: Checkpoint) -> frozenset[int]:
    """The tokens that end a sentence."""
    decode = checkpoint.tokenizer.decode
    return frozenset(i for i in range(len(SPECIALS), checkpoint.tokenizer.vocabulary) if decode([i]).rstrip(" \n\"')").endswith((".", "!", "?")))


@torch.inference_mode()
def generate(
    checkpoint: Checkpoint, header: Sequence[int], local: LocalState, own_LHPN: Tensor, other_LHPN: Tensor, beginnings: Sequence[str],
    rng: np.random.Generator, temperature: float = 0.8, top_p: float = 0.9, most_tokens: int = 48,
) -> list[Candidate]:  # fmt: skip
    """One candidate per beginning ("" for none): the beginning word for word, then at most one sentence of the model's own.

    `own_LHPN` and `other_LHPN` are states as read at the moment of writing. Raises ValueError unless there are ROWS beginnings.
    """
    if len(beginnings) != ROWS:
        raise ValueError(f"{len(beginnings)} beginnings; expected exactly {ROWS}, so that every batch has the same shape")
    end, stops = checkpoint.tokenizer.END, _sentence_ends(checkpoint)
    forced = [checkpoint.tokenizer.encode_text(b) for b in beginnings]
    uniform = torch.from_numpy(rng.random((most_tokens, ROWS)))
    rows = _rows(checkpoint, local, own_LHPN, other_LHPN, ROWS)
    for token in header:
        logits = _step(checkpoint, torch.full((ROWS,), token), rows)
    words: list[list[int]] = [[] for _ in range(ROWS)]
    nats, done = np.zeros(ROWS), np.zeros(ROWS, bool)
    for t in range(most_tokens):
        log_p = torch.log_softmax(logits, -1)
        logits[:, end + 1 : len(SPECIALS)] = -torch.inf  # of the special tokens only the end (the first of them) may be said
        chosen = _draw(logits, uniform[t], temperature, top_p).tolist()
        for i in range(ROWS):
            if t < len(forced[i]):
                chosen[i] = forced[i][t]
            elif len(words[i]) > len(forced[i]) and words[i][-1] in stops:
                chosen[i] = end  # one sentence of its own
        token = torch.tensor(chosen)
        said = log_p.gather(1, token[:, None])[:, 0].double().numpy()
        for i in np.flatnonzero(~done):
            nats[i] -= said[i]
            if chosen[i] == end:
                done[i] = True
            else:
                words[i].append(chosen[i])
        if done.all():
            break
        logits = _step(checkpoint, token, rows)
    decode = checkpoint.tokenizer.decode
    return [
        Candidate(decode(w), float(nats[i]), len(w) + int(done[i]), max(0, len(w) - len(forced[i])), bool(done[i])) for i, w in enumerate(words)
    ]
