"""Chunks: a flat sequence cut into pieces of at most Q tokens, so that a scan is a few products of matrices.

A sequence is a set of independent *segments* (channels, or messages), each cut into chunks of its own; no chunk holds tokens of two
segments, so what one segment says never touches another's numbers, not even by rounding.

Letters in shapes: T tokens, K chunks, Q tokens a chunk, F numbers a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

EVEN = 8  # tokens: so that what vectors of numbers are made of is a multiple of their width


@dataclass(frozen=True)
class Chunks:
    """Where the chunks of all segments lie in a flat sequence of T tokens.

    index_KQ: position of each token in the flat sequence, T where a chunk is not full. segment_K: whose chunk it is;
    the chunks of a segment follow one another. inverse_T: place of every token in the flattened [K*Q] layout.
    """

    index_KQ: Tensor
    segment_K: Tensor
    inverse_T: Tensor
    segments: int
    lengths: tuple[int, ...]  # of the segments, in tokens


def chunks_of(lengths: list[int], width: int) -> Chunks:
    """Chunks of segments that lie one after another in a flat sequence; `lengths` in tokens, 0 allowed."""
    total = int(sum(lengths))
    rows: list[np.ndarray] = []
    owner: list[int] = []
    inverse, start = np.empty(total, np.int64), 0
    for segment, length in enumerate(lengths):
        for first in range(0, length, width):
            n = min(width, length - first)
            row = np.full(width, total, np.int64)
            row[:n] = np.arange(start + first, start + first + n)
            inverse[start + first : start + first + n] = len(rows) * width + np.arange(n)
            rows.append(row)
            owner.append(segment)
        start += length
    index = np.stack(rows) if rows else np.zeros((0, width), np.int64)
    return Chunks(torch.from_numpy(index), torch.tensor(owner, dtype=torch.long), torch.from_numpy(inverse), len(lengths), tuple(map(int, lengths)))


def _spread(flat_TF: Tensor, index: Tensor) -> Tensor:
    """flat[index], zeros where the index is T."""
    T = flat_TF.shape[0]
    return flat_TF.index_select(0, index.clamp(max=T - 1)).index_fill_(0, (index == T).nonzero()[:, 0], 0)


class _ToChunks(torch.autograd.Function):
    """[T, F] → [K·Q, F], zeros where a chunk is not full. Every token has one place, so the gradient is a gather as well:
    several times faster on a CPU than the scatter that indexing would derive."""

    @staticmethod
    def forward(ctx: Any, flat_TF: Tensor, index: Tensor, inverse_T: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_T)
        return _spread(flat_TF, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (inverse_T,) = ctx.saved_tensors
        return grad.index_select(0, inverse_T), None, None


class _FromChunks(torch.autograd.Function):
    """[K·Q, F] → [T, F], the inverse of `_ToChunks`; places that hold no token get no gradient."""

    @staticmethod
    def forward(ctx: Any, chunked_F: Tensor, index: Tensor, inverse_T: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return chunked_F.index_select(0, inverse_T)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        return _spread(grad, index), None, None


class _Pick(torch.autograd.Function):
    """rows[index] along the first dimension, with a row-wise gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.rows = rows.shape
        return rows.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        flat = grad.new_zeros(ctx.rows[0], ctx.rows[1:].numel()).index_add_(0, index, grad.flatten(1))
        return flat.view(ctx.rows), None


def pick(rows: Tensor, index: Tensor) -> Tensor:
    """rows[index] along the first dimension."""
    return _Pick.apply(rows, index)


def to_chunks(flat_T: Tensor, chunks: Chunks, short: bool = False) -> Tensor:
    """[T, ...] → [K, Q, ...], zeros where a chunk is not full. With `short`, a chunk by itself is filled up to a multiple of EVEN tokens alone."""
    K, Q = chunks.index_KQ.shape
    if K == 1:  # one message by itself: filled up with zeros
        Q = min(Q, -(-len(flat_T) // EVEN) * EVEN) if short else Q
        return F.pad(flat_T.flatten(1), (0, 0, 0, Q - len(flat_T))).view(K, Q, *flat_T.shape[1:])
    return _ToChunks.apply(flat_T.flatten(1), chunks.index_KQ.flatten(), chunks.inverse_T).view(K, Q, *flat_T.shape[1:])


def from_chunks(chunked_KQ: Tensor, chunks: Chunks) -> Tensor:
    """[K, Q, ...] → [T, ...]."""
    if len(chunked_KQ) == 1:
        return chunked_KQ[0, : sum(chunks.lengths)]
    out = _FromChunks.apply(chunked_KQ.flatten(0, 1).flatten(1), chunks.index_KQ.flatten(), chunks.inverse_T)
    return out.view(-1, *chunked_KQ.shape[2:])
