"""Who has read what, and what their states are made of: own and interlocutor streams as incidence lists.

The own stream of an agent holds, in order of time, the messages it wrote and those it has read; its stream of an
interlocutor those of its read messages that the interlocutor wrote. A state is the composition of the operators of a
stream's messages: S → alpha·exp(-rate·hours)·S + g·U, g depending on whether the message was written or read.

Letters: A agents, M messages in order of time, R reads, V interlocutor rows, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sociallm.conversation import AgentID, Message

NEITHER, WROTE, READ = 0, 1, 2
HOUR_MS = 3_600_000.0  # states fade by the hour, messages are dated in ms
RECENT_MESSAGES, RECENT_AUTHORS = 8, 4  # whom a message without addressees in a larger room is taken to answer


def delivered(messages: Sequence[Message], agents: Sequence[AgentID]) -> NDArray[np.int8]:
    """[A, M] role of every agent in every message when each message reaches all readers of its channel at once."""
    role = np.zeros((len(agents), len(messages)), np.int8)
    index = {a: i for i, a in enumerate(agents)}
    for k, m in enumerate(messages):
        for reader in m.channel.readers:
            if reader in index:
                role[index[reader], k] = WROTE if reader == m.author else READ
    return role


def previous(messages: Sequence[Message], agents: Sequence[AgentID], n: int) -> NDArray[np.int8]:
    """[A, M] roles by the "previous n messages" rule: before each message it writes an agent reads the n messages before it.

    Every message is read once. The sum over agents of stream lengths is (1 + D_n)·M, D_n the mean number of distinct
    other authors among the n messages that follow.
    """
    role = np.zeros((len(agents), len(messages)), np.int8)
    index = {a: i for i, a in enumerate(agents)}
    for k, m in enumerate(messages):
        role[index[m.author], max(0, k - n) : k] = np.maximum(role[index[m.author], max(0, k - n) : k], READ)
    for k, m in enumerate(messages):
        role[index[m.author], k] = WROTE
    return role


def interlocutors(message: Message, earlier: Sequence[Message]) -> tuple[AgentID, ...]:
    """Whom the author has in mind: the addressees; else the only other reader; else the latest other authors of the channel.

    `earlier` are messages of the same channel, in order, before this one. Their states are averaged with equal weight.
    """
    if message.addressees:
        return tuple(sorted(message.addressees - {message.author}))
    others = message.channel.readers - {message.author}
    if len(others) <= 1:
        return tuple(others)
    recent: list[AgentID] = []
    for m in reversed(earlier[-RECENT_MESSAGES:]):
        if m.author != message.author and m.author not in recent:
            recent.append(m.author)
    return tuple(recent[:RECENT_AUTHORS])


@dataclass(frozen=True)
class Read:
    """Message `message` (index in time) read by `reader`, who has `partners` in mind; all agents as indices."""

    message: int
    reader: int
    partners: tuple[int, ...]


@dataclass(frozen=True)
class Incidence:
    """Which messages make up the states of each read. A row of `other` is one (read, partner); rows of a read add up to it."""

    own_RM: NDArray[np.int8]  # NEITHER, WROTE or READ
    other_VM: NDArray[np.int8]  # NEITHER or READ
    read_V: NDArray[np.int64]  # the read a row belongs to
    weight_V: NDArray[np.float64]  # 1 / number of partners
    own_start_R: NDArray[np.bool_] | None = None  # whether what was carried into the window is kept; None: all of it
    other_start_V: NDArray[np.bool_] | None = None


def incidence(reads: Sequence[Read], role_AM: NDArray[np.int8], author_M: NDArray[np.int64]) -> Incidence:
    """The streams of each read up to, and without, the message that is read."""
    M = role_AM.shape[1]
    at = np.array([r.message for r in reads], np.int64)
    past_RM = np.arange(M)[None, :] < at[:, None]
    own = role_AM[np.array([r.reader for r in reads], np.int64)] * past_RM if reads else np.zeros((0, M), np.int8)
    rows = [(i, r.reader, v, 1.0 / len(r.partners)) for i, r in enumerate(reads) for v in r.partners]
    read_V = np.array([i for i, *_ in rows], np.int64)
    if not rows:
        return Incidence(own.astype(np.int8), np.zeros((0, M), np.int8), read_V, np.zeros(0))
    reader_V, partner_V = np.array([u for _, u, *_ in rows]), np.array([v for _, _, v, _ in rows])
    heard = (role_AM[reader_V] == READ) & (author_M[None, :] == partner_V[:, None]) & past_RM[read_V]
    return Incidence(own.astype(np.int8), np.where(heard, READ, NEITHER).astype(np.int8), read_V, np.array([w for *_, w in rows]))


def composition(role_RM: Tensor, log_alpha_MH: Tensor, role_log_2H: Tensor, rate_log_H: Tensor, hours_RM: Tensor) -> Tensor:
    """[H, R, M]: by how much each message's U enters the state of each stream, read at the present.

    All decay between a message and the present: of the stream's later messages (alpha) and of the time passed
    (`hours_RM`, from message to read). What the stream does not hold weighs exactly 0.
    """
    held = (role_RM != NEITHER).to(log_alpha_MH.dtype)
    log_alpha = held[None] * log_alpha_MH.T[:, None, :]  # [H, R, M]
    later = log_alpha.flip(-1).cumsum(-1).flip(-1) - log_alpha  # decay by the messages after each one
    wrote, read = ((role_RM == r).to(log_alpha_MH.dtype)[None] for r in (WROTE, READ))
    factor = wrote * role_log_2H[0][:, None, None] + read * role_log_2H[1][:, None, None]  # [H, R, M]
    weight = later + factor - rate_log_H.exp()[:, None, None] * hours_RM[None]
    return weight.masked_fill(held[None] == 0, -torch.inf).exp()


@dataclass(frozen=True)
class Rows:
    """An `Incidence` as tensors, where the operators are: laid out once, weighed in every layer."""

    own_RM: Tensor
    other_VM: Tensor
    read_V: Tensor
    weight_V: Tensor

    def compositions(self, log_alpha_MH: Tensor, role_log_2H: Tensor, rate_log_H: Tensor, hours_RM: Tensor) -> tuple[Tensor, Tensor]:
        """`composition` of every read's own stream, and of its interlocutors' streams, their rows added up: [H, R, M] each."""
        own_HRM = composition(self.own_RM, log_alpha_MH, role_log_2H, rate_log_H, hours_RM)
        rows_HVM = composition(self.other_VM, log_alpha_MH, role_log_2H, rate_log_H, hours_RM[self.read_V]) * self.weight_V[None, :, None]
        return own_HRM, torch.zeros_like(own_HRM).index_add(1, self.read_V, rows_HVM)


def rows_of(streams: Incidence, like: Tensor) -> Rows:
    """The streams on the device of a tensor of operators, in its precision."""
    own, other, read, weight = (torch.from_numpy(v).to(like.device) for v in (streams.own_RM, streams.other_VM, streams.read_V, streams.weight_V))
    return Rows(own, other, read, weight.to(like.dtype))


def start_weight(role_RM: Tensor, log_alpha_MH: Tensor, rate_log_H: Tensor, hours_R: Tensor, kept_R: NDArray[np.bool_] | None) -> Tensor:
    """[H, R]: what is left, at each read, of the state a stream had `hours_R` before: 0 where it is forgotten."""
    held = (role_RM != NEITHER).to(log_alpha_MH.dtype)
    weight = ((held @ log_alpha_MH).T - rate_log_H.exp()[:, None] * hours_R[None]).exp()
    return weight if kept_R is None else weight * torch.from_numpy(kept_R).to(weight.device, weight.dtype)[None]


class _Compose(torch.autograd.Function):
    """(U [M,H,P,N], weights [H,R,M], …) → states [R,H,P,N] for each of the weights. One product a head, written where it belongs:
    as one batched product, operators, states and the gradients of both were copied to be turned round."""

    @staticmethod
    def forward(ctx: Any, U_MHPN: Tensor, *weights_HRM: Tensor) -> tuple[Tensor, ...]:
        U = U_MHPN.flatten(2)
        ctx.save_for_backward(U, *weights_HRM)
        ctx.shape = U_MHPN.shape
        states = [U.new_empty(w.shape[1], *U.shape[1:]) for w in weights_HRM]
        for w, S in zip(weights_HRM, states, strict=True):
            for h in range(U.shape[1]):
                torch.mm(w[h], U[:, h], out=S[:, h])
        return tuple(S.view(-1, *U_MHPN.shape[1:]) for S in states)

    @staticmethod
    def backward(ctx: Any, *gradients_RHPN: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        U, *weights = ctx.saved_tensors
        g_U, g_weights = torch.zeros_like(U), [torch.empty_like(w) for w in weights]
        for w, g_w, g in zip(weights, g_weights, (g.flatten(2) for g in gradients_RHPN), strict=True):
            for h in range(U.shape[1]):
                g_U[:, h].addmm_(w[h].T, g[:, h])
                torch.mm(g[:, h], U[:, h].T, out=g_w[h])
        return g_U.view(ctx.shape), *g_weights


def compose(weight_HRM: Tensor, U_MHPN: Tensor) -> Tensor:
    """States [R, H, P, N] from composition weights and operators."""
    return compose_each(U_MHPN, weight_HRM)[0]


def compose_each(U_MHPN: Tensor, *weights_HRM: Tensor) -> tuple[Tensor, ...]:
    """`compose` for several weights of the same operators."""
    return _Compose.apply(U_MHPN, *weights_HRM)


@dataclass(frozen=True)
class Gather:
    """Which rows of given states [V, H, P, N] enter which of R states, laid out for one weighted sum of rows, heads apart."""

    row_I: Tensor  # rows of [V·H, P·N], one after another as they are added up
    first_RH: Tensor  # where each of the R·H sums begins
    order_I: Tensor  # place of each addend's weight in the flattened [I/H, H]


def gather_of(row_I: Tensor, into_I: Tensor, rows: int, heads: int) -> Gather:
    """Addend i is row `row_I[i]`, and goes into row `into_I[i]` of `rows`."""
    head = torch.arange(heads, device=row_I.device)
    into, order = (into_I[:, None] * heads + head).flatten().sort(stable=True)
    first = torch.searchsorted(into, torch.arange(rows * heads, device=into.device))
    return Gather((row_I[:, None] * heads + head).flatten().index_select(0, order), first, order)


def gathered(gather: Gather, weight_IH: Tensor, states_VHPN: Tensor) -> Tensor:
    """[R, H, P, N]: the weighted sums. An embedding bag: one pass, where products and their gradients made five copies."""
    _, H, P, N = states_VHPN.shape
    weight = weight_IH.flatten().index_select(0, gather.order_I)
    out = F.embedding_bag(gather.row_I, states_VHPN.reshape(-1, P * N), gather.first_RH, mode="sum", per_sample_weights=weight)
    return out.view(-1, H, P, N)
