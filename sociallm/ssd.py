"""The scan of Mamba-2 (Dao & Gu 2024, arXiv 2405.21060, "SSD"): a slow reference and a chunked form.

Per head h:  S_t = a_t S_{t-1} + x_t B_t^T,   y_t = S_t C_t      (x already carries its step size Delta)

Sequences are cut into chunks (`chunks.py`). Within a chunk tokens meet in matrix products; between chunks the state is handed on.

Letters in shapes: T tokens, K chunks, Q tokens a chunk, G segments, H heads, P head width, N state width.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm import kernels
from sociallm.chunks import Chunks, from_chunks, to_chunks

FEW = 4  # chunks of a message by itself


def ssd(x_THP: Tensor, log_a_TH: Tensor, B_TN: Tensor, C_TN: Tensor, chunks: Chunks, initial_GHPN: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The scan over all segments: (y [T,H,P], final states [G,H,P,N]). Empty sequences and segments are fine.

    Chunked here; on CUDA by mamba-ssm's kernels where they are installed.
    """
    G, (_, H, P), N = chunks.segments, x_THP.shape, B_TN.shape[-1]
    if x_THP.shape[0] == 0 or x_THP.is_cuda:
        initial = x_THP.new_zeros(G, H, P, N) if initial_GHPN is None else initial_GHPN
        if x_THP.shape[0] == 0:
            return x_THP, initial
        if kernels.available(x_THP.device, x_THP.dtype):
            return kernels.fused(kernels.imported()[0], x_THP, log_a_TH, B_TN, C_TN, chunks.lengths, initial)
        warnings.warn(kernels.why_not(x_THP.device, x_THP.dtype), stacklevel=2)
    x, log_a, B, C = (to_chunks(v, chunks, short=True) for v in (x_THP, log_a_TH, B_TN, C_TN))
    states = chunk_states(x, log_a, B, chunks.segment_K, G, initial_GHPN)
    y = readout(C, x, B, states.cumulative_KQH, *(() if states.before_KHPN is None else (states.before_KHPN,)))
    return from_chunks(y[:, :, 0], chunks), states.final_GHPN


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


# ---- states between chunks -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChunkStates:
    """What each chunk starts from and each segment ends with."""

    cumulative_KQH: Tensor  # sum of log a from the chunk's first token up to and including each token
    before_KHPN: Tensor | None  # state before the chunk; None: all empty
    decay_before_KH: Tensor  # log decay from the segment's start to the chunk's start
    final_GHPN: Tensor  # state after the segment
    decay_final_GH: Tensor  # log decay over the whole segment
    later_L: Tensor  # chunks that are not the first of their segment


def chunk_states(
    x_KQHP: Tensor, log_a_KQH: Tensor, B_KQN: Tensor, segment_K: Tensor, segments: int, initial_GHPN: Tensor | None = None
) -> ChunkStates:  # fmt: skip
    """States between chunks. Tokens that fill a chunk up must have x = 0 and log a = 0: they change nothing."""
    cumulative = log_a_KQH.cumsum(1)
    total_KH = cumulative[:, -1]
    own_KHPN = _Own.apply(x_KQHP, B_KQN, cumulative)
    waves = _waves_of_few(tuple(segment_K.tolist()), segments) if len(segment_K) <= FEW and not segment_K.is_cuda else _waves_of(segment_K, segments)
    if initial_GHPN is None and waves.plain:  # one chunk each: nothing between them
        return ChunkStates(cumulative, None, torch.zeros_like(total_KH), own_KHPN, total_KH, waves.later)
    if initial_GHPN is not None and waves.plain and segments == 1 and not torch.is_grad_enabled():  # one chunk, as of a message by itself
        final = own_KHPN.addcmul_(total_KH.exp()[..., None, None], initial_GHPN)
        return ChunkStates(cumulative, initial_GHPN, torch.zeros_like(total_KH), final, total_KH, waves.later)
    before, decay_before, final, decay_final = _Between.apply(own_KHPN, total_KH, initial_GHPN, waves)
    return ChunkStates(cumulative, before, decay_before, final, decay_final, waves.later)


class _Own(torch.autograd.Function):
    """(x, B, cumulative) → what each chunk adds to its state by its end [K,H,P,N]: the sum of exp(total - cumulative) x B^T.

    By hand, because the gradient of the weights comes out of that of x for one sum, and nothing is copied to be turned round.
    """

    @staticmethod
    def forward(ctx: Any, x_KQHP: Tensor, B_KQN: Tensor, cumulative_KQH: Tensor) -> Tensor:
        K, Q, H, P = x_KQHP.shape
        weight_KQH = (cumulative_KQH[:, -1:] - cumulative_KQH).exp_()
        weighted = (x_KQHP * weight_KQH[..., None]).view(K, Q, H * P)
        ctx.save_for_backward(x_KQHP, B_KQN, weight_KQH, weighted)
        return torch.bmm(weighted.transpose(1, 2), B_KQN).view(K, H, P, -1)

    @staticmethod
    def backward(ctx: Any, g_KHPN: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        x, B, weight, weighted = ctx.saved_tensors
        K, Q, H, P = x.shape
        g = g_KHPN.reshape(K, H * P, -1)
        g_x = torch.bmm(B, g.transpose(1, 2)).view(K, Q, H, P).mul_(weight[..., None])
        g_log = (g_x * x).sum(-1)
        g_cumulative = -g_log
        g_cumulative[:, -1] += g_log.sum(1)
        return g_x, torch.bmm(weighted, g), g_cumulative


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
    ranked: Tensor  # segments that have chunks, in the order of their first chunks
    absent: Tensor  # segments that have none
    segments: int

    @property
    def plain(self) -> bool:
        """Whether every segment is one chunk, in order."""
        return len(self.sizes) == 1 and self.sizes[0] == self.segments


@lru_cache(maxsize=256)
def _waves_of_few(segment_K: tuple[int, ...], segments: int) -> _Waves:
    """`_waves_of` of a few chunks, kept: those of a message by itself are the same for every block and every message of its length."""
    return _waves_of(torch.tensor(segment_K, dtype=torch.long), segments)


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
    ranked = owner[chunk[: len(present)]]  # the first wave
    indices = (chunk, later, place[later - 1], present, place[ends[present] - 1], ranked, np.flatnonzero(counts == 0))
    chunk_K, later_, previous, present_, last, ranked_, absent = (torch.from_numpy(v).to(device) for v in indices)
    return _Waves(chunk_K, tuple(np.bincount(position).tolist()), later_, previous, present_, last, ranked_, absent, segments)


class _Between(torch.autograd.Function):
    """S_after = exp(total) S_before + own, chunk after chunk of each segment: (before, log decay before, final, log decay of all).

    One step a wave, for all segments at once; linear in the number of chunks. Only element-wise work, so no number of one segment
    enters another's. The gradient goes through the same waves backwards. `initial_GHPN` (None: nothing) is where segments start from.
    """

    @staticmethod
    def forward(ctx: Any, own_KHPN: Tensor, total_KH: Tensor, initial_GHPN: Tensor | None, waves: _Waves) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        after, log_after = own_KHPN.index_select(0, waves.chunk_K), total_KH.index_select(0, waves.chunk_K)
        a = log_after.exp()[..., None, None]
        started = None if initial_GHPN is None else initial_GHPN.index_select(0, waves.ranked)
        if started is not None:
            after[: len(started)].addcmul_(a[: len(started)], started)
        start = 0
        for size, width in zip(waves.sizes[1:], waves.sizes[:-1], strict=True):
            here, there = slice(start + width, start + width + size), slice(start, start + size)
            after[here].addcmul_(a[here], after[there])
            log_after[here] += log_after[there]
            start += width
        ctx.waves = waves
        ctx.save_for_backward(a, after, started)

        def spread(rows: int, index: Tensor, values: Tensor, at: Tensor) -> Tensor:
            return values.new_zeros(rows, *values.shape[1:]).index_copy_(0, index, values.index_select(0, at))

        before, log_before = (spread(len(waves.chunk_K), waves.later, v, waves.previous) for v in (after, log_after))
        final, log_final = (spread(waves.segments, waves.present, v, waves.last) for v in (after, log_after))
        if initial_GHPN is not None and started is not None:
            before.index_copy_(0, waves.chunk_K[: len(started)], started)
            final.index_copy_(0, waves.absent, initial_GHPN.index_select(0, waves.absent))
        return before, log_before, final, log_final

    @staticmethod
    def backward(ctx: Any, before: Tensor, log_before: Tensor, final: Tensor, log_final: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        waves, (a, after, started) = ctx.waves, ctx.saved_tensors

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
        g_initial = None
        if started is not None:
            first = slice(0, len(started))
            own_log[first] = (g[first] * started).sum((-1, -2)) * a[first, :, 0, 0]
            if ctx.needs_input_grad[2]:
                to_start = before.index_select(0, waves.chunk_K[first]).addcmul_(a[first], g[first])
                g_initial = final.clone().index_copy_(0, waves.ranked, to_start)

        def back(v: Tensor) -> Tensor:
            return torch.empty_like(v).index_copy_(0, waves.chunk_K, v)

        return back(g), back(g_log + own_log), g_initial, None


# ---- reading ---------------------------------------------------------------------------------------------------------


def readout(C_KQN: Tensor, x_KQHP: Tensor, B_KQN: Tensor, cumulative_KQH: Tensor, *states_KHPN: Tensor) -> Tensor:
    """What tokens read of their own chunk and of each of V states before it: [K, Q, V, H, P]; without a state as with an empty one."""
    return _Readout.apply(C_KQN, x_KQHP, B_KQN, cumulative_KQH, *states_KHPN)


class _Readout(torch.autograd.Function):
    """(C, x, B, cumulative, V states) → what tokens read [K, Q, V, H, P]: of the chunk's tokens up to themselves, the same for every
    view, and of each of V states before the chunk.

        y_i = sum over j ≤ i of (C_i·B_j) exp(cumulative_i - cumulative_j) x_j + exp(cumulative_i) S C_i

    By hand, because the decay matrix [K, H, Q, Q] then needs no gradient of its own: that of cumulative_i is y_i·g_i less x_i·(gradient of
    x_i), sums over P in place of Q. Two thirds of the time of the same in single operations.
    """

    @staticmethod
    def forward(ctx: Any, C_KQN: Tensor, x_KQHP: Tensor, B_KQN: Tensor, cumulative_KQH: Tensor, *states_KHPN: Tensor) -> Tensor:
        K, Q, H, P = x_KQHP.shape
        scores_KQQ = torch.bmm(C_KQN, B_KQN.transpose(1, 2)).tril_()
        cumulative_KHQ = cumulative_KQH.transpose(1, 2).contiguous()
        decay_KHQQ = (cumulative_KHQ[..., :, None] - cumulative_KHQ[..., None, :]).clamp_(max=0).exp_()  # later tokens: scores are 0
        weight_KHQQ = decay_KHQQ * scores_KQQ[:, None]
        x_KHQP = x_KQHP.transpose(1, 2).contiguous()
        within_KQHP = torch.matmul(weight_KHQQ, x_KHQP).transpose(1, 2)
        grown_KQH1 = cumulative_KQH.exp()[..., None]
        y = x_KQHP.new_empty(K, Q, max(1, len(states_KHPN)), H, P)
        if not states_KHPN:
            y[:, :, 0] = within_KQHP
        for v, S in enumerate(states_KHPN):
            seen = torch.bmm(C_KQN, S.reshape(K, H * P, -1).transpose(1, 2)).view(K, Q, H, P)
            torch.addcmul(within_KQHP, seen, grown_KQH1, out=y[:, :, v])
        ctx.save_for_backward(C_KQN, B_KQN, x_KHQP, decay_KHQQ, weight_KHQQ, grown_KQH1, y, *states_KHPN)
        return y

    @staticmethod
    def backward(ctx: Any, g_KQVHP: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        C, B, x_KHQP, decay, weight, grown, y, *states = ctx.saved_tensors
        K, H, Q, P = x_KHQP.shape
        g_KHQP = (g_KQVHP.sum(2) if len(states) > 1 else g_KQVHP[:, :, 0]).transpose(1, 2).contiguous()
        g_x = torch.matmul(weight.transpose(2, 3), g_KHQP)
        g_cumulative = (g_KQVHP * y).sum((2, 4)) - (g_x * x_KHQP).sum(-1).transpose(1, 2)
        g_scores = torch.matmul(g_KHQP, x_KHQP.transpose(2, 3)).mul_(decay).sum(1).tril_()
        g_B = torch.bmm(g_scores.transpose(1, 2), C)
        g_C = torch.bmm(g_scores, B)
        g_states = []
        for v, S in enumerate(states):
            g = (g_KQVHP[:, :, v] * grown).view(K, Q, H * P)
            g_C.baddbmm_(g, S.reshape(K, H * P, -1))
            g_states.append(torch.bmm(g.transpose(1, 2), C).view(S.shape))
        return g_C, g_x.transpose(1, 2), g_B, g_cumulative, *g_states
