"""What a block does with each token by itself, in few passes over memory, with gradients written by hand.

On a CPU these operations are bound by memory: derived gradients go over a tensor of the sequence's size some three times as often as
needed. A training step of `bench`'s sizes takes 1.4 times as long without what is here, in `ssd` and in `losses` (one core, fp32).
Backward passes are linear in the gradient they are given and may be differentiated with respect to it (`measures.fisher` does), not with
respect to anything else.

Letters in shapes: T tokens, E channels, W taps of a convolution, G segments, n tokens at the start of a segment, H heads, P head width,
V views, D width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5  # of every RMSNorm


def _unit(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x / rms(x) over the last dimension, 1 / rms(x))."""
    scale = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return x * scale, scale


def _unit_backward(g: Tensor, u: Tensor, scale: Tensor) -> Tensor:
    """Gradient of x from that of u = x · scale."""
    return torch.addcmul(g, u, (g * u).mean(-1, keepdim=True), value=-1).mul_(scale)


def _silu_backward(g: Tensor, z: Tensor) -> Tensor:
    """Gradient of z from that of silu(z)."""
    if torch.is_grad_enabled():  # to be differentiated once more: the library's one pass has no derivative
        s = z.sigmoid()
        return g * torch.addcmul(s, z * s, 1 - s)
    out: Tensor = torch.ops.aten.silu_backward(g, z)
    return out


class _Unit(torch.autograd.Function):
    """x / rms(x): the library's takes 3.5 times as long, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        u, scale = _unit(x, eps)
        ctx.save_for_backward(u, scale)
        return u

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _unit_backward(g, *ctx.saved_tensors), None


def unit(x: Tensor, eps: float = EPS) -> Tensor:
    """x / rms(x) over the last dimension."""
    return _Unit.apply(x, eps)


class _Gated(torch.autograd.Function):
    """(y [T,H,P], x [T,H,P], D [H], z [T,H·P]) → unit((y + D x) · silu(z)), the end of Mamba-2's block."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, D_H: Tensor, z: Tensor, eps: float) -> Tensor:
        skipped = torch.addcmul(y, x, D_H[:, None]).flatten(-2)
        gate = F.silu(z)
        u, scale = _unit(skipped * gate, eps)
        ctx.save_for_backward(skipped, gate, u, scale, x, D_H, z)
        return u

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        skipped, gate, u, scale, x, D_H, z = ctx.saved_tensors
        g = _unit_backward(g, u, scale)
        g_z = _silu_backward(skipped * g, z)
        g_y = g.mul_(gate).view(x.shape)
        return g_y, g_y * D_H[:, None], (g_y * x).sum((0, 2)), g_z, None


def gated(y_THP: Tensor, x_THP: Tensor, D_H: Tensor, z_TE: Tensor, eps: float = EPS) -> Tensor:
    """(y + D x) · silu(z), then over its root mean square: [T, H·P]."""
    return _Gated.apply(y_THP, x_THP, D_H, z_TE, eps)


class _UnitGated(torch.autograd.Function):
    """(y [T,V,H,P], z [T,V·H·P]) → unit(y) · silu(z), the end of a social block."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor, eps: float) -> Tensor:
        u, scale = _unit(y, eps)
        gate = F.silu(z)
        ctx.save_for_backward(u, scale, gate, z)
        return u.flatten(1) * gate

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        u, scale, gate, z = ctx.saved_tensors
        g_z = _silu_backward(g * u.flatten(1), z)
        return _unit_backward((g * gate).view(u.shape), u, scale), g_z, None


def unit_gated(y_TVHP: Tensor, z_TF: Tensor, eps: float = EPS) -> Tensor:
    """Each head of each view over its root mean square, side by side, times silu(z): [T, V·H·P]."""
    return _UnitGated.apply(y_TVHP, z_TF, eps)


class _ConvSilu(torch.autograd.Function):
    """silu of a causal depthwise convolution within segments, [T, E] → [T, E].

    One multiplication of the whole flat sequence a tap; then the first W-1 tokens of every segment, which would see the segment before,
    are computed again from what they do see. Masks, padding and derived gradients took three times as many passes.
    """

    @staticmethod
    def forward(ctx: Any, v_TE: Tensor, weight_E1W: Tensor, bias_E: Tensor, early_n: Tensor, place_n: Tensor, before_nWE: Tensor | None) -> Tensor:
        taps_WE = weight_E1W[:, 0].T.flip(0).contiguous()  # tap 0: the token itself
        back_W = torch.arange(len(taps_WE), device=v_TE.device)
        seen_nW, index_nW = place_n[:, None] >= back_W, (early_n[:, None] - back_W).clamp_(min=0)
        seen_nWE = v_TE.index_select(0, index_nW.flatten()).view(*index_nW.shape, v_TE.shape[1])
        seen_nWE = torch.where(seen_nW[..., None], seen_nWE, v_TE.new_zeros(()) if before_nWE is None else before_nWE)
        conv, early = torch.addcmul(bias_E, v_TE, taps_WE[0]), torch.addcmul(bias_E, seen_nWE[:, 0], taps_WE[0])
        for b in range(1, len(taps_WE)):
            conv[b:].addcmul_(v_TE[:-b], taps_WE[b])
            early.addcmul_(seen_nWE[:, b], taps_WE[b])
        conv.index_copy_(0, early_n, early)
        ctx.save_for_backward(v_TE, taps_WE, early_n, index_nW, seen_nW, seen_nWE, conv)
        ctx.carried = before_nWE is not None
        return F.silu(conv)

    @staticmethod
    def backward(ctx: Any, g_TE: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        v, taps, early_n, index, seen_nW, seen, conv = ctx.saved_tensors
        g = _silu_backward(g_TE, conv)
        g_bias = g.sum(0)
        g_early = g.index_select(0, early_n)
        g.index_fill_(0, early_n, 0)  # they saw something else than their neighbours in the flat sequence
        g_v, g_taps = g * taps[0], torch.empty_like(taps)
        for b in range(len(taps)):
            if b:
                g_v[:-b].addcmul_(g[b:], taps[b])
            g_taps[b] = (g[b:] * v[: len(v) - b]).sum(0) + (g_early * seen[:, b]).sum(0)
        g_seen = g_early[:, None] * taps
        g_v.index_add_(0, index.flatten(), (g_seen * seen_nW[..., None]).flatten(0, 1))
        g_before = g_seen.masked_fill(seen_nW[..., None], 0) if ctx.carried else None
        return g_v, g_taps.flip(0).T[:, None], g_bias, None, None, g_before


def _of_one(v_TE: Tensor, weight_E1W: Tensor, bias_E: Tensor, window_WE: Tensor) -> Tensor:
    """`conv_silu` of one segment without a gradient, in the same order of sums, and so to the same bit."""
    taps_WE = weight_E1W[:, 0].T.flip(0).contiguous()
    seen, T, W = torch.cat([window_WE, v_TE]), len(v_TE), len(taps_WE)
    conv = torch.addcmul(bias_E, v_TE, taps_WE[0])
    for b in range(1, W):
        conv.addcmul_(seen[W - 1 - b : W - 1 - b + T], taps_WE[b])
    return F.silu(conv)


def conv_silu(
    v_TE: Tensor, weight_E1W: Tensor, bias_E: Tensor, position_T: Tensor, segment_T: Tensor | None = None, window_GWE: Tensor | None = None
) -> Tensor:  # fmt: skip
    """silu of the causal depthwise convolution within segments; before a segment's start lie the W-1 rows of its `window`, or zeros."""
    W = weight_E1W.shape[-1]
    if not (torch.is_grad_enabled() or v_TE.is_cuda) and len(v_TE) and position_T[-1] == len(v_TE) - 1:
        earlier = None if window_GWE is None or segment_T is None else window_GWE[segment_T[0]]
        return _of_one(v_TE, weight_E1W, bias_E, v_TE.new_zeros(W - 1, v_TE.shape[1]) if earlier is None else earlier)
    early = (position_T < W - 1).nonzero()[:, 0]
    place, before = position_T.index_select(0, early), None
    if window_GWE is not None and segment_T is not None:
        earlier = W - 1 + place[:, None] - torch.arange(W, device=v_TE.device)  # rows of the window; those ≥ W-1 are tokens of the sequence
        before = window_GWE[segment_T.index_select(0, early)[:, None], earlier.clamp_(max=W - 2)]
    return _ConvSilu.apply(v_TE, weight_E1W, bias_E, early, place, before)
