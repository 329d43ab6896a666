"""Messages token by token, fast: `cpp/decoding.cpp`, compiled when it is first needed (`compiling.py`), on rearranged weights.

At these sizes a step in PyTorch is some three hundred small operations, and starting them costs more than computing them. Hence one
function from header to last token, beside the slow reference (`generate.sample` without `fast`), and weights rearranged for it:
- RMSNorm's weights are multiplied into the matrices after them, so that the local and the social block share one normalised input;
- their projections of it are one matrix: [z | what is convolved | step sizes], local parts before social ones;
- matrices lie in panels of 32 outputs, and may be kept in half precision (fp16; products and sums stay fp32), half as much to read.

What a row says does not depend on the other rows or on the number of threads, to the last bit; how far it is said may depend on its
group. Compiling takes some ten seconds of one core, once a machine, and needs a C++ compiler (CXX, g++, clang++ or c++); without one, what
would be fast is as slow as the reference.

Letters in shapes: B rows, T ticks (tokens fed), D model width, V vocabulary, W convolved channels, H heads, P head width, N state
width, K width of a convolution, L layers (of a social state: social blocks).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from ctypes import c_double, c_int32, c_void_p
from dataclasses import dataclass
from threading import Lock, current_thread, main_thread
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sociallm.blocks import LocalBlock, SocialBlock
from sociallm.compiling import compiler, library, maker
from sociallm.fused import EPS
from sociallm.model import SociaLLM
from sociallm.tokenizer import Tokenizer

PANEL = 32  # outputs of a matrix that lie together
MOST_CHOICES = 64  # likeliest tokens that may be drawn
FREE = -1  # in place of a forced token: the model's choice
MOST_HALF = torch.finfo(torch.float16).max  # 65,504
COMPILED, REFERENCE = "c++", "pytorch"  # kinds of code that word messages; both round, each in its own way


# ---- the structures of cpp/given.h -----------------------------------------------------------------------------------------


class _Matrix(ctypes.Structure):
    _fields_ = [("panels", c_void_p), ("bias", c_void_p), ("inputs", c_int32), ("outputs", c_int32)]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, c_int32) for name in ("heads", "head_width", "state", "social_heads", "social_head_width", "social_state", "summed", "padding")),
        ("eps", c_double),
        *((name, _Matrix) for name in ("into", "out", "read", "social_out")),
        *((name, c_void_p) for name in ("conv_KW", "conv_bias_W", "dt_bias_H", "minus_A_H", "skip_H")),
    ]  # fmt: skip


class _Model(ctypes.Structure):
    _fields_ = [
        *((name, c_int32) for name in ("layers", "D", "V", "conv")), ("eps", c_double), ("embedding_VD", c_void_p), ("head", _Matrix),
        ("layer", ctypes.POINTER(_Layer)),
    ]  # fmt: skip


_Judge = ctypes.CFUNCTYPE(c_int32, c_int32)
Judge = Callable[[int, NDArray[np.int64], NDArray[Any]], bool]  # of a row that has ended: which, its tokens and their nats by tick


class _Task(ctypes.Structure):
    _fields_ = [
        *((name, c_int32) for name in ("B", "first", "last", "ticks")), ("temperature", c_double), ("top_p", c_double),
        *((name, c_void_p) for name in (
            "header_B", "begins_B", "most_B", "forced_TB", "group_B", "uniform_TB", "stops_V", "unsaid_V", "at_first_V", "local_LB", "window_LB", "own_LB", "other_LB",
            "said_TB", "nats_TB", "logits_TBV",
        )),
        ("judge", _Judge),
    ]  # fmt: skip


AGREED = (PANEL, MOST_CHOICES, Tokenizer.END, FREE, *map(ctypes.sizeof, (_Matrix, _Layer, _Model, _Task)))  # `agreed` in given.h


# ---- weights ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weights:
    """A model rearranged for decoding."""

    model: _Model
    kept: tuple[Any, ...]  # what `model` points to
    dtype: torch.dtype
    half: bool
    shapes: tuple[torch.Size, ...]  # of the states it starts from: local, convolution window, own (and interlocutor)


class _Kept(list[Any]):
    """What pointers point to, while weights are rearranged."""

    def vector(self, v: Tensor) -> int:
        self.append(v.detach().contiguous().clone())
        return int(self[-1].data_ptr())

    def matrix(self, W: Tensor, half: bool, name: str, bias: Tensor | None = None) -> _Matrix:
        """[out, in] as panels [in, PANEL], the last one filled up with zeros. Raises ValueError for what half precision cannot hold."""
        outputs, inputs = W.shape
        if half and not float(most := W.abs().max()) <= MOST_HALF:  # nor any comparison with what is no number
            raise ValueError(f"half precision of {name}: holds {float(most):.6g}, expected numbers up to {MOST_HALF:,.0f}; sample with half=False")
        spare = -outputs % PANEL
        panels = F.pad(W.detach(), (0, 0, 0, spare)).unflatten(0, (-1, PANEL)).transpose(1, 2)
        return _Matrix(self.vector(panels.half() if half else panels), None if bias is None else self.vector(F.pad(bias, (0, spare))), inputs, outputs)


@torch.no_grad()
def weights_of(model: SociaLLM, half: bool = False) -> Weights:
    """Rearrange a model's weights. Raises ValueError where fp16 matrices are wanted of a model that is not fp32, or of one whose matrices,
    with the weights of the norms before them multiplied in, hold numbers that fp16 does not."""
    if half and model.dtype != torch.float32:
        raise ValueError(f"half precision of a model in {model.dtype}; expected torch.float32, or half=False")
    kept, c = _Kept(), model.config
    layers = (_Layer * c.layers)(*(_layer(kept, f"layer {i}", local, model.social_at(i), half) for i, local in enumerate(model.local)))
    kept.append(layers)
    embedding = model.embedding.weight.detach()
    head = kept.matrix(embedding * model.norm.weight, half, "the head")
    local, window = (1, c.local_heads, c.local_head_width, c.local_state), (1, c.conv - 1, c.local_heads * c.local_head_width + 2 * c.local_state)
    shapes = tuple(map(torch.Size, (local, window, (len(model.social), c.social_heads, c.social_head_width, c.social_state))))
    return Weights(_Model(c.layers, c.width, c.vocabulary, c.conv, EPS, kept.vector(embedding), head, layers), tuple(kept), model.dtype, half, shapes)


def _layer(kept: _Kept, name: str, local: LocalBlock, social: SocialBlock | None, half: bool) -> _Layer:
    E, W = local.inner, local.conv_width
    z, xBC, dt = (local.in_proj.weight * local.norm_in.weight).split([E, W, local.heads])
    into, conv, conv_bias = [z, xBC, dt], [local.conv_weight[:, 0]], [local.conv_bias]
    dt_bias, A_log = [local.dt_bias], [local.A_log]
    layer = _Layer(heads=local.heads, head_width=local.head_width, state=local.state, out=kept.matrix(local.out_proj.weight * local.norm.weight, half, f"{name}, local output"))
    if social is not None:
        views = 2 if social.fusion == "heads" else 1
        xB, dt_social = (social.write_proj.weight * social.norm_write.weight).split([social.inner + social.state, social.heads])
        into = [z, xBC, xB, dt, dt_social]
        conv, conv_bias = [*conv, social.conv_weight[:, 0]], [*conv_bias, social.conv_bias]
        dt_bias, A_log = [*dt_bias, social.dt_bias], [*A_log, social.A_log]
        layer.social_heads, layer.social_head_width, layer.social_state = social.heads, social.head_width, social.state
        layer.summed, layer.eps = views == 1, social.norm.eps
        read_bias = torch.cat([social.query_bias, social.gate_bias])
        layer.read = kept.matrix(social.read_proj.weight * social.norm_read.weight, half, f"{name}, social query", read_bias)
        layer.social_out = kept.matrix(social.out_proj.weight * social.norm.weight.repeat(views), half, f"{name}, social output")
    layer.into = kept.matrix(torch.cat(into), half, f"{name}, input")
    layer.conv_KW, layer.conv_bias_W = kept.vector(torch.cat(conv).T), kept.vector(torch.cat(conv_bias))
    layer.dt_bias_H, layer.minus_A_H, layer.skip_H = kept.vector(torch.cat(dt_bias)), kept.vector(-torch.cat(A_log).exp()), kept.vector(local.D)
    return layer


# ---- saying ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Start:
    """What a row starts from: its first token, the tick after which its first word is said, and its states."""

    token: int
    begins: int
    local: tuple[tuple[Tensor, Tensor], ...]  # L × ([1, H, P, N], [1, conv-1, E+2N])
    own_LHPN: Tensor
    other_LHPN: Tensor


@dataclass(frozen=True)
class Plan:
    """What must be said, and how the rest is drawn; `generate` says what is what.

    Rows of one group are candidates of one message. With a `judge` only the likeliest of them that will do is wanted: once one will, those that
    are less likely already are given up, in the middle of a sentence. When that is depends on the group alone."""

    forced_TB: NDArray[np.int64]
    uniform_TB: NDArray[np.float64]
    stops_V: NDArray[np.bool_]
    unsaid_V: NDArray[np.bool_]
    at_first_V: NDArray[np.bool_]
    most_B: NDArray[np.int64]  # words of each row, its end among them
    temperature: float
    top_p: float
    group_B: NDArray[np.int64] | None = None  # 0 0 … 1 1 …; None: each row by itself
    judge: Judge | None = None


@dataclass(frozen=True)
class Said:
    """What every row said after every tick until it was done or given up, after that −1; its nats, zero after its end and, unless logits
    are asked for, in headers."""

    tokens_TB: NDArray[np.int64]
    nats_TB: Tensor
    logits_TBV: Tensor | None


def say(weights: Weights, starts: Sequence[Start], plan: Plan, threads: int, with_logits: bool = False) -> Said:
    """Feed headers and beginnings, then what is drawn, until every row has ended, said as much as it may, or been given up. Needs
    `possible()`. Rows given the very same tensors (with a judge: those of one group) are computed once as long as they say the same. Raises
    ValueError for states of a model of other sizes, which compiled code would read beyond their end, and, when all is over, what `judge` raised."""
    _fit(weights, starts)
    (T, B), V = plan.forced_TB.shape, weights.model.V
    tokens = np.array([s.token for s in starts], np.int64)
    assert len(starts) == len(plan.most_B) == B and plan.uniform_TB.shape == (T, B) and tokens.min() >= 0 and max(tokens.max(), plan.forced_TB.max()) < V
    assert all(mask.shape == (V,) and mask.dtype == bool for mask in (plan.stops_V, plan.unsaid_V, plan.at_first_V))
    said, nats = np.full((T, B), -1, np.int64), torch.zeros(T, B, dtype=weights.dtype)
    logits = torch.zeros(T, B, V, dtype=weights.dtype) if with_logits else None
    begins = np.array([s.begins for s in starts], np.int64)
    most = plan.most_B.astype(np.int64)
    group = np.arange(B) if plan.group_B is None else plan.group_B.astype(np.int64)
    assert group.shape == (B,) and group[0] == 0 and set(np.diff(group)) <= {0, 1}
    given = [np.ascontiguousarray(a) for a in (tokens, begins, most, plan.forced_TB, group, plan.uniform_TB, plan.stops_V, plan.unsaid_V, plan.at_first_V)]
    states = _states(starts, weights.dtype)
    tables = [np.array([t.data_ptr() for t in of_all], np.uint64) for of_all in states]
    f, nats_TB, failed = _function(weights), nats.numpy(), list[BaseException]()
    borders = [*np.flatnonzero(np.diff(group, prepend=-1)).tolist(), B]  # of groups
    cuts = [borders[i] for i in np.linspace(0, len(borders) - 1, min(threads, len(borders) - 1) + 1).astype(int)]
    alone = Lock() if len(cuts) > 2 else nullcontext()  # a lock in the main thread could stay shut where a signal raises as it shuts

    def judged(b: int) -> bool:
        try:
            with alone:  # worlds need not expect two threads
                return bool(failed or plan.judge is None or plan.judge(b, said[:, b], nats_TB[:, b]))
        except BaseException as error:  # nothing passes through compiled code; told below
            failed.append(error)
            return True

    judge = _Judge() if plan.judge is None else _Judge(judged)

    def part(first: int, last: int) -> None:
        pointers = [a.ctypes.data for a in (*given, *tables, said)]
        task = _Task(B, first, last, T, plan.temperature, plan.top_p, *pointers, nats.data_ptr(), 0 if logits is None else logits.data_ptr(), judge)
        f(ctypes.byref(weights.model), ctypes.byref(task))

    if len(cuts) == 2:
        with _unlost(judged, failed):
            part(0, B)
    else:
        with ThreadPoolExecutor(len(cuts) - 1) as pool:  # ctypes lets go of the interpreter
            list(pool.map(part, cuts[:-1], cuts[1:]))
    if failed:
        raise failed[0]
    return Said(said, nats, logits)


@contextmanager
def _unlost(callback: Callable[..., Any], failed: list[BaseException]) -> Iterator[None]:
    """Note what is raised as compiled code calls back, before the first line there, as by Ctrl-C: ctypes would drop it, and go on. Signals
    come to the main thread alone."""
    before = sys.unraisablehook

    def note(told: Any) -> None:
        if told.object is callback and told.exc_value is not None:
            failed.append(told.exc_value)
        else:
            before(told)

    if current_thread() is not main_thread():
        yield
        return
    sys.unraisablehook = note
    try:
        yield
    finally:
        sys.unraisablehook = before


def _fit(weights: Weights, starts: Sequence[Start]) -> None:
    local, window, social = weights.shapes
    expected = (*(local, window) * weights.model.layers, social, social)
    for start in starts:
        got = tuple(t.shape for t in (*(t for layer in start.local for t in layer), start.own_LHPN, start.other_LHPN))
        if got != expected:
            wrong = next(((tuple(a), tuple(b)) for a, b in zip(got, expected, strict=False) if a != b), (len(start.local), weights.model.layers))
            raise ValueError(f"states of another model: got {wrong[0]}, expected {wrong[1]}; use those that this model's own encoding gave")


def _states(starts: Sequence[Start], dtype: torch.dtype) -> list[list[Tensor]]:
    """Local states, convolution windows, own and interlocutor states: for every layer every row's, rows of one tensor sharing it."""
    made: dict[int, list[Tensor]] = {}

    def layers(t: Tensor, n: int) -> list[Tensor]:  # of a state of all layers, or of one layer's
        if id(t) not in made:
            made[id(t)] = list(t.to(dtype).contiguous()) if n else [t.to(dtype).contiguous()]
        return made[id(t)]

    local, window = ([layers(s.local[i][k], 0)[0] for i in range(len(starts[0].local)) for s in starts] for k in (0, 1))
    own, other = ([layer for of_rows in zip(*(layers(t, 1) for t in all_rows), strict=True) for layer in of_rows]
                  for all_rows in ([s.own_LHPN for s in starts], [s.other_LHPN for s in starts]))  # fmt: skip
    return [local, window, own, other]


# ---- which code ------------------------------------------------------------------------------------------------------------


def possible() -> bool:
    """Whether there is a compiler, and it makes something of the source."""
    return _library() is not None


def kind() -> str:
    """The code that words messages in this process where `fast` is asked for: COMPILED (and by which compiler) or REFERENCE. Compiles, to
    know."""
    made = _library()
    return REFERENCE if made is None else f"{COMPILED} ({maker(made)})"


def _function(weights: Weights) -> Callable[..., None]:
    library = _library()
    if library is None:
        raise RuntimeError("fast decoding needs a C++ compiler; name one in CXX, or sample without fast=True")
    name = "say_float16" if weights.half else {torch.float32: "say_float32", torch.float64: "say_float64"}[weights.dtype]
    f = getattr(library, name)
    f.restype, f.argtypes = None, [c_void_p, c_void_p]
    return f  # type: ignore[no-any-return]


def _library() -> ctypes.CDLL | None:
    found = compiler()
    return None if found is None else library(found, AGREED)
