"""One token at a time, fast: the step of `model.py` on rearranged weights, which `torch.compile` turns into few kernels.

At these sizes a CPU spends most of a step on starting some three hundred small operations. Hence, beside `generate.by_block` (the slow
reference):
- RMSNorm's weights are multiplied into the matrices after them, so that the local and the social block share one normalised input;
- their projections of it are one matrix; [z | what is convolved | step sizes], local parts before social ones;
- states lie as [B, H, N, P]: the sum over N that a read takes then runs along whole vectors of P;
- states are written in place, into buffers that live as long as the batch; shapes are constants of the compiled code;
- all vectors of weights lie in one tensor: handing a hundred tensors to compiled code took more of a step of one row than computing it.
Matrices may be kept in half precision (fp16, sums in fp32), which is two to three times as fast where a processor is short of memory.

Compiling takes about twenty seconds a number of rows and needs a C++ compiler; without one the same step runs uncompiled.

Letters in shapes: B rows, D model width, V vocabulary, W convolved channels, H heads, P head width, N state width, L layers (of a social
state: social blocks).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sociallm.model import LocalBlock, SocialBlock, SociaLLM

EPS = 1e-5  # of every RMSNorm over the width
_HALF = getattr(torch.ops, "_quantized")  # noqa: B009 - a namespace that torch types as a module of operators


@dataclass(frozen=True)
class Vector:
    """A vector of weights: its place in `Weights.vectors`."""

    first: int
    shape: tuple[int, ...]

    def of(self, vectors: Tensor) -> Tensor:
        return vectors[self.first : self.first + math.prod(self.shape)].view(self.shape)


@dataclass(frozen=True)
class Matrix:
    """y = x W^T + bias. Full precision: `weight` is W^T [in, out]. Half: the library's own packing of W, which always wants a bias."""

    weight: Tensor
    half: bool
    bias: Vector

    def __call__(self, x: Tensor, vectors: Tensor) -> Tensor:
        bias = self.bias.of(vectors)
        if not self.half:
            return x @ self.weight + bias
        y: Tensor = _HALF.wrapped_fbgemm_linear_fp16_weight(x, self.weight, bias, bias.shape[0])
        return y


class _Vectors:
    """Collects vectors while weights are rearranged."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []

    def add(self, v: Tensor) -> Vector:
        first = sum(p.numel() for p in self.parts)
        self.parts.append(F.pad(v.detach().flatten(), (0, -v.numel() % 16)))  # so that each begins on a boundary of the cache
        return Vector(first, tuple(v.shape))

    def matrix(self, W: Tensor, half: bool, bias: Tensor | None = None) -> Matrix:
        weight = _HALF.wrapped_fbgemm_pack_gemm_matrix_fp16(W.contiguous()) if half else W.T.contiguous()
        return Matrix(weight, half, self.add(W.new_zeros(W.shape[0]) if bias is None else bias))

    def joined(self) -> Tensor:
        return torch.cat(self.parts)


@dataclass(frozen=True)
class _Social:
    """A social block's part of a layer."""

    heads: int
    head_width: int
    state: int
    read: Matrix
    out: Matrix
    eps: float
    both: bool  # fusion "heads"


@dataclass(frozen=True)
class _Layer:
    """A local block and, where the layer has one, a social block."""

    heads: int
    head_width: int
    state: int
    into: Matrix
    conv_4W: Vector
    conv_bias_W: Vector
    dt_bias_H: Vector
    minus_A_H: Vector
    skip_H1: Vector
    out: Matrix
    social: _Social | None


@dataclass(frozen=True)
class Weights:
    """A model rearranged for decoding."""

    embedding_VD: Tensor
    vectors: Tensor
    layers: tuple[_Layer, ...]
    head: Matrix


@dataclass(frozen=True)
class Buffers:
    """The running states of B rows, one tensor a layer; every step overwrites them."""

    local: list[Tensor]  # [B, H, N, P]
    window: list[Tensor]  # [B, conv-1, W]
    own: list[Tensor]  # one a social block: [B, H, N, P]; with fusion "sum" own + interlocutor
    other: list[Tensor]


@torch.no_grad()
def weights_of(model: SociaLLM, half: bool = False) -> Weights:
    """Rearrange a model's weights."""
    vectors = _Vectors()
    layers = tuple(_layer(vectors, local, model.social_at(i), half) for i, local in enumerate(model.local))
    embedding = model.embedding.weight.detach()
    head = vectors.matrix(embedding * model.norm.weight, half)
    return Weights(embedding, vectors.joined(), layers, head)


def _layer(vectors: _Vectors, local: LocalBlock, social: SocialBlock | None, half: bool) -> _Layer:
    E, W = local.inner, local.conv_width
    z, xBC, dt = (local.in_proj.weight * local.norm_in.weight).split([E, W, local.heads])
    into, conv, conv_bias = [z, xBC, dt], [local.conv_weight[:, 0]], [local.conv_bias]
    dt_bias, A_log = [local.dt_bias], [local.A_log]
    part = None
    if social is not None:
        views = 2 if social.fusion == "heads" else 1
        xB, dt_social = (social.write_proj.weight * social.norm_write.weight).split([social.inner + social.state, social.heads])
        into = [z, xBC, xB, dt, dt_social]
        conv, conv_bias = [*conv, social.conv_weight[:, 0]], [*conv_bias, social.conv_bias]
        dt_bias, A_log = [*dt_bias, social.dt_bias], [*A_log, social.A_log]
        read = vectors.matrix(social.read_proj.weight * social.norm_read.weight, half, torch.cat([social.query_bias, social.gate_bias]))
        out = vectors.matrix(social.out_proj.weight * social.norm.weight.repeat(views), half)
        part = _Social(social.heads, social.head_width, social.state, read, out, social.norm.eps, views == 2)
    return _Layer(
        heads=local.heads, head_width=local.head_width, state=local.state, into=vectors.matrix(torch.cat(into), half),
        conv_4W=vectors.add(torch.cat(conv).T), conv_bias_W=vectors.add(torch.cat(conv_bias)), dt_bias_H=vectors.add(torch.cat(dt_bias)),
        minus_A_H=vectors.add(-torch.cat(A_log).exp()), skip_H1=vectors.add(local.D[:, None]),
        out=vectors.matrix(local.out_proj.weight * local.norm.weight, half), social=part,
    )  # fmt: skip


def buffers_of(weights: Weights, local: Sequence[tuple[Tensor, Tensor]], own_LBHPN: Tensor, other_LBHPN: Tensor) -> Buffers:
    """Running states of B rows from what each starts from; a message begins, so its social convolutions have seen nothing."""
    windows = []
    for layer, (S, window) in zip(weights.layers, local, strict=True):
        begun = window.new_zeros(S.shape[0], window.shape[1], *layer.conv_bias_W.shape)
        begun[..., : window.shape[2]] = window
        windows.append(begun)
    summed = any(layer.social and not layer.social.both for layer in weights.layers)
    own = own_LBHPN + other_LBHPN if summed else own_LBHPN
    return Buffers([_turned(S) for S, _ in local], windows, [_turned(S) for S in own], [] if summed else [_turned(S) for S in other_LBHPN])


def _turned(S_BHPN: Tensor) -> Tensor:
    return S_BHPN.transpose(2, 3).clone(memory_format=torch.contiguous_format)


def step(weights: Weights, tokens_B: Tensor, buffers: Buffers) -> Tensor:
    """Feed one token to every row: next-token logits [B, V]. Changes `buffers`."""
    p = weights.embedding_VD[tokens_B]
    r: Tensor | None = None
    j = 0
    for i, layer in enumerate(weights.layers):
        E, H, N, social = layer.heads * layer.head_width, layer.heads, layer.state, layer.social
        conv_4W, conv_bias_W, dt_bias_H, minus_A_H, skip_H1 = (
            v.of(weights.vectors) for v in (layer.conv_4W, layer.conv_bias_W, layer.dt_bias_H, layer.minus_A_H, layer.skip_H1)
        )
        z, new, dt = layer.into(_unit(p), weights.vectors).split([E, conv_bias_W.shape[0], dt_bias_H.shape[0]], -1)
        seen = torch.cat([buffers.window[i], new[:, None]], 1)
        buffers.window[i].copy_(seen[:, 1:])
        conv = F.silu((seen * conv_4W).sum(1) + conv_bias_W)
        dt = F.softplus(dt + dt_bias_H)
        a = (dt * minus_A_H).exp()
        x, B, C = conv[:, : E + 2 * N].split([E, N, N], -1)
        x = x.unflatten(-1, (H, -1))
        y = _advance(buffers.local[i], a[:, :H], x * dt[:, :H, None], B, C) + skip_H1 * x
        if social is not None:
            q = social.read(_unit(p if r is None else p + r), weights.vectors)
            C_social, gate = q[:, : social.state], F.silu(q[:, social.state :])
            x, B = conv[:, E + 2 * N :].split([social.heads * social.head_width, social.state], -1)
            x = x.unflatten(-1, (social.heads, -1)) * dt[:, H:, None]
            views = [
                _unit(_advance(S[j], a[:, H:], x, B, C_social), social.eps).flatten(1)  # each head by itself
                for S in ((buffers.own, buffers.other) if social.both else (buffers.own,))
            ]
            added = social.out(torch.cat(views, -1) * gate, weights.vectors)
            r = added if r is None else r + added
            j += 1
        p = p + layer.out(_unit(y.flatten(1) * F.silu(z)), weights.vectors)
    return weights.head(_unit(p if r is None else p + r), weights.vectors)


def _unit(x: Tensor, eps: float = EPS) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def _advance(S_BHNP: Tensor, a_BH: Tensor, x_BHP: Tensor, B_BN: Tensor, C_BN: Tensor) -> Tensor:
    """S ← a S + B x^T in place; y = S^T C [B, H, P], as a (S before)^T C + (B·C) x: read so, the new state is written once and only once."""
    y = a_BH[..., None] * (S_BHNP * C_BN[:, None, :, None]).sum(2) + x_BHP * (B_BN * C_BN).sum(-1)[:, None, None]
    S_BHNP.copy_(a_BH[..., None, None] * S_BHNP + x_BHP[:, :, None] * B_BN[:, None, :, None])
    return y


def half_possible() -> bool:
    """Whether this build of torch and this processor have matrix products of fp16 weights and fp32 inputs."""
    try:
        vectors = _Vectors()
        vectors.matrix(torch.ones(1, 1), True)(torch.ones(1, 1), vectors.joined())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    return True


def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f` compiled for the shapes it meets, each when it first meets them; `f` itself where there is no compiler."""
    if compiler() is None:
        return f
    return torch.compile(f, dynamic=False, options={"cpp_wrapper": True})


def compiler() -> str | None:
    """The C++ compiler that `torch.compile` would use, if there is one."""
    from torch._inductor import cpp_builder, exc

    try:
        return shutil.which(cpp_builder.get_cpp_compiler())
    except (exc.InvalidCxxCompiler, OSError, RuntimeError):
        return None
