"""The scan of Mamba-2 (Dao & Gu 2024, arXiv 2405.21060, "SSD"): a slow reference and a chunked form.

Per head h:  S_t = a_t S_{t-1} + x_t B_t^T,   y_t = S_t C_t      (x already carries its step size Delta)

A sequence is a set of independent *segments* (channels, or messages), each cut into chunks of at most Q tokens;
no chunk holds tokens of two segments, so what one segment says never touches another's numbers, not even by rounding.

Letters in shapes: T tokens, K chunks, Q tokens a chunk, G segments, H heads, P head width, N state width.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm import kernels


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


class _ToChunks(torch.autograd.Function):
    """[T, F] → [K·Q, F], zeros where a chunk is not full. Every token has one place, so the gradient is a gather as well:
    several times faster on a CPU than the scatter that indexing would derive."""

    @staticmethod
    def forward(ctx: Any, flat_TF: Tensor, index: Tensor, inverse_T: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_T)
        return torch.cat([flat_TF, flat_TF.new_zeros(1, flat_TF.shape[1])]).index_select(0, index)

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
        return torch.cat([grad, grad.new_zeros(1, grad.shape[1])]).index_select(0, index), None, None


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


def to_chunks(flat_T: Tensor, chunks: Chunks) -> Tensor:
    """[T, ...] → [K, Q, ...], zeros where a chunk is not full."""
    K, Q = chunks.index_KQ.shape
    return _ToChunks.apply(flat_T.flatten(1), chunks.index_KQ.flatten(), chunks.inverse_T).view(K, Q, *flat_T.shape[1:])


def from_chunks(chunked_KQ: Tensor, chunks: Chunks) -> Tensor:
    """[K, Q, ...] → [T, ...]."""
    out = _FromChunks.apply(chunked_KQ.flatten(0, 1).flatten(1), chunks.index_KQ.flatten(), chunks.inverse_T)
    return out.view(-1, *chunked_KQ.shape[2:])


@dataclass(frozen=True)
class _Waves:
    """The chunks in order of their place in their segment: all first chunks, then all second ones, and so on.

    Segments with more chunks come first within a wave, so the predecessors of a wave are the front of the wave before it.
    """

    chunk_K: Tensor  # which chunk stands where in this order
    sizes: tuple[int, ...]  # chunks in each wave, never more than in the one before
    later: Tensor  # chunks that are not the first of their segment
    previous: Tensor  # place in this order of the chunk before each of `later`
    present: Tensor  # segments that have chunks
    last: Tensor  # place in this order of the last chunk of each of `present`
    segments: int


def _waves_of(segment_K: Tensor, segments: int) -> _Waves:
    owner, device = segment_K.cpu().numpy(), segment_K.device
    counts = np.bincount(owner, minlength=segments)
    ends = counts.cumsum()
    position = np.arange(len(owner)) - (ends - counts)[owner]
    rank = np.empty(segments, np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(segments)
    chunk = np.lexsort((rank[owner], position))
    place = np.empty_like(chunk)
    place[chunk] = np.arange(len(chunk))
    later, present = np.flatnonzero(position), np.flatnonzero(counts)
    index = (torch.from_numpy(v).to(device) for v in (chunk, later, place[later - 1], present, place[ends[present] - 1]))
    chunk_K, later_, previous, present_, last = index
    return _Waves(chunk_K, tuple(np.bincount(position).tolist()), later_, previous, present_, last, segments)


class _Between(torch.autograd.Function):
    """S_after = exp(total) S_before + own, chunk after chunk of each segment: (before, log decay before, final, log decay of all).

    One step a wave, for all segments at once; linear in the number of chunks. Only element-wise work, so no number of one segment
    enters another's. The gradient goes through the same waves backwards.
    """

    @staticmethod
    def forward(ctx: Any, own_KHPN: Tensor, total_KH: Tensor, waves: _Waves) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        after, log_after = own_KHPN.index_select(0, waves.chunk_K), total_KH.index_select(0, waves.chunk_K)
        a = log_after.exp()[..., None, None]
        start = 0
        for size, width in zip(waves.sizes[1:], waves.sizes[:-1], strict=True):
            here, there = slice(start + width, start + width + size), slice(start, start + size)
            after[here].addcmul_(a[here], after[there])
            log_after[here] += log_after[there]
            start += width
        ctx.waves = waves
        ctx.save_for_backward(a, after)

        def spread(rows: int, index: Tensor, values: Tensor, at: Tensor) -> Tensor:
            return values.new_zeros(rows, *values.shape[1:]).index_copy_(0, index, values.index_select(0, at))

        before, log_before = (spread(len(waves.chunk_K), waves.later, v, waves.previous) for v in (after, log_after))
        final, log_final = (spread(waves.segments, waves.present, v, waves.last) for v in (after, log_after))
        return before, log_before, final, log_final

    @staticmethod
    def backward(ctx: Any, before: Tensor, log_before: Tensor, final: Tensor, log_final: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        waves, (a, after) = ctx.waves, ctx.saved_tensors

        def gather(of_chunks: Tensor, of_segments: Tensor) -> Tensor:  # a chunk is either the last of its segment or before another
            out = torch.empty_like(of_chunks).index_copy_(0, waves.last, of_segments.index_select(0, waves.present))
            return out.index_copy_(0, waves.previous, of_chunks.index_select(0, waves.later))

        g, g_log = gather(before, final), gather(log_before, log_final)
        own_log = torch.zeros_like(g_log)
        start = g.shape[0] - (waves.sizes[-1] if waves.sizes else 0)
        for size, width in zip(waves.sizes[:0:-1], waves.sizes[-2::-1], strict=True):
            here, there = slice(start, start + size), slice(start - width, start - width + size)
            own_log[here] = (g[here] * after[there]).sum((-1, -2)) * a[here, :, 0, 0]
            g[there].addcmul_(a[here], g[here])
            g_log[there] += g_log[here]
            start -= width

        def back(v: Tensor) -> Tensor:
            return torch.empty_like(v).index_copy_(0, waves.chunk_K, v)

        return back(g), back(g_log + own_log), None


@dataclass(frozen=True)
class ChunkStates:
    """What each chunk starts from and each segment ends with, when every segment starts from an empty state."""

    cumulative_KQH: Tensor  # sum of log a from the chunk's first token up to and including each token
    before_KHPN: Tensor  # state before the chunk
    decay_before_KH: Tensor  # log decay from the segment's start to the chunk's start
    final_GHPN: Tensor  # state after the segment
    decay_final_GH: Tensor  # log decay over the whole segment

    def started(self, initial_GHPN: Tensor, segment_K: Tensor) -> Tensor:
        """State before each chunk [K,H,P,N] when segment g starts from initial[g] (linear in the initial state)."""
        return self.before_KHPN + self.decay_before_KH.exp()[..., None, None] * initial_GHPN[segment_K]

    def ended(self, initial_GHPN: Tensor) -> Tensor:
        """State after each segment [G,H,P,N] when segment g starts from initial[g]."""
        return self.final_GHPN + self.decay_final_GH.exp()[..., None, None] * initial_GHPN


def chunk_states(x_KQHP: Tensor, log_a_KQH: Tensor, B_KQN: Tensor, segment_K: Tensor, segments: int) -> ChunkStates:
    """States between chunks. Tokens that fill a chunk up must have x = 0 and log a = 0: they change nothing."""
    cumulative = log_a_KQH.cumsum(1)
    total_KH = cumulative[:, -1]
    weight_KQH = (total_KH[:, None] - cumulative).exp()
    K, Q, H, P = x_KQHP.shape
    own_KHPN = torch.matmul((x_KQHP * weight_KQH[..., None]).reshape(K, Q, H * P).transpose(1, 2), B_KQN).view(K, H, P, -1)

    before, decay_before, final, decay_final = _Between.apply(own_KHPN.to(total_KH.dtype), total_KH, _waves_of(segment_K, segments))
    return ChunkStates(cumulative, before, decay_before, final, decay_final)


def within_chunks(C_KQN: Tensor, x_KQHP: Tensor, B_KQN: Tensor, cumulative_KQH: Tensor) -> Tensor:
    """What tokens read of earlier tokens (and themselves) of their own chunk: [K, Q, H, P]."""
    Q = x_KQHP.shape[1]
    scores_KQQ = torch.matmul(C_KQN, B_KQN.transpose(1, 2))
    cumulative = cumulative_KQH.transpose(1, 2)  # [K, H, Q]
    later = torch.ones(Q, Q, dtype=torch.bool, device=x_KQHP.device).triu(1)
    decay = (cumulative[..., :, None] - cumulative[..., None, :]).masked_fill(later, -torch.inf).exp()  # [K, H, Q, Q]
    return torch.matmul(scores_KQQ[:, None] * decay, x_KQHP.transpose(1, 2)).transpose(1, 2)


def from_state(C_KQN: Tensor, cumulative_KQH: Tensor, state_KHPN: Tensor) -> Tensor:
    """What tokens read of the state before their chunk: [K, Q, H, P]."""
    K, H, P, N = state_KHPN.shape
    read = torch.matmul(C_KQN, state_KHPN.reshape(K, H * P, N).transpose(1, 2)).view(K, -1, H, P)
    return read * cumulative_KQH.exp()[..., None]


def ssd(x_THP: Tensor, log_a_TH: Tensor, B_TN: Tensor, C_TN: Tensor, chunks: Chunks, initial_GHPN: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The scan over all segments: (y [T,H,P], final states [G,H,P,N]). Empty sequences and segments are fine.

    Chunked here; on CUDA by mamba-ssm's kernels where they are installed.
    """
    G, (_, H, P), N = chunks.segments, x_THP.shape, B_TN.shape[-1]
    initial = x_THP.new_zeros(G, H, P, N) if initial_GHPN is None else initial_GHPN
    if x_THP.shape[0] == 0:
        return x_THP, initial
    if x_THP.is_cuda:
        if kernels.available(x_THP.device, x_THP.dtype):
            return kernels.fused(kernels.imported()[0], x_THP, log_a_TH, B_TN, C_TN, chunks.lengths, initial)
        warnings.warn(kernels.why_not(x_THP.device, x_THP.dtype), stacklevel=2)
    x, log_a, B, C = (to_chunks(v, chunks) for v in (x_THP, log_a_TH, B_TN, C_TN))
    states = chunk_states(x, log_a, B, chunks.segment_K, G)
    y = within_chunks(C, x, B, states.cumulative_KQH) + from_state(C, states.cumulative_KQH, states.started(initial, chunks.segment_K))
    return from_chunks(y, chunks), states.ended(initial)


def ssd_reference(x_THP: Tensor, log_a_TH: Tensor, B_TN: Tensor, C_TN: Tensor, lengths: list[int], initial_GHPN: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The recurrence itself, token by token: what every other form is compared with."""
    G, (_, H, P), N = len(lengths), x_THP.shape, B_TN.shape[-1]
    final = x_THP.new_zeros(G, H, P, N) if initial_GHPN is None else initial_GHPN.clone()
    y, t = [], 0
    for g, length in enumerate(lengths):
        S = final[g]
        for _ in range(length):
            S, y_t = ssd_step(S, x_THP[t], log_a_TH[t], B_TN[t], C_TN[t])
            y.append(y_t)
            t += 1
        final = torch.cat([final[:g], S[None], final[g + 1 :]])
    return (torch.stack(y) if y else x_THP), final


def ssd_step(S_HPN: Tensor, x_HP: Tensor, log_a_H: Tensor, B_N: Tensor, C_N: Tensor) -> tuple[Tensor, Tensor]:
    """One token: (new state, y). Leading batch dimensions, the same for all arguments, are allowed."""
    S = log_a_H.exp()[..., None, None] * S_HPN + x_HP[..., None] * B_N[..., None, None, :]
    return S, (S * C_N[..., None, None, :]).sum(-1)
