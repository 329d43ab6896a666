"""One pass over all perspectives, and the losses on it: speaking and listening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Batch
from sociallm.model import Public, SociaLLM
from sociallm.streams import Incidence, compose, composition


def stream_states(model: SociaLLM, public: Public, batch: Batch, streams: Incidence) -> tuple[list[Tensor], list[Tensor]]:
    """(own, interlocutor) states of every read, L × [R, H, P, N] each, composed from the messages' operators."""
    dtype = model.dtype
    own_RM, other_VM = torch.from_numpy(streams.own_RM), torch.from_numpy(streams.other_VM)
    read_V, weight_V = torch.from_numpy(streams.read_V), torch.from_numpy(streams.weight_V).to(dtype)
    hours = (batch.hours_R[:, None] - batch.hours_M[None, :]).clamp(min=0).to(dtype)
    own: list[Tensor] = []
    other: list[Tensor] = []
    for block, written in zip(model.social, public.written, strict=True):
        log_alpha, U = written.log_alpha_MH.index_select(0, batch.flat_M), written.U_MHPN.index_select(0, batch.flat_M)
        w_own = composition(own_RM, log_alpha, block.role_log, block.rate_log, hours)
        rows = composition(other_VM, log_alpha, block.role_log, block.rate_log, hours[read_V]) * weight_V[None, :, None]
        w_other = torch.zeros_like(w_own).index_add(1, read_V, rows)
        own.append(compose(w_own, U))
        other.append(compose(w_other, U))
    return own, other


class _CrossEntropy(torch.autograd.Function):
    """-log softmax(logits)[target], [Y] nats. The gradient is made in place, in the one copy of the softmax it needs:
    at a vocabulary of thousands the library's extra passes over [Y, vocabulary] cost a tenth of a training step."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, -1)
        ctx.save_for_backward(log_p, target)
        return -log_p.gather(1, target[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        log_p, target = ctx.saved_tensors
        p = log_p.exp().mul_(grad[:, None])
        return p.scatter_add_(1, target[:, None], -grad[:, None]), None


def token_nll(model: SociaLLM, batch: Batch, streams: Incidence | None = None, public: Public | None = None) -> Tensor:
    """Negative log-likelihood in nats of every predicted token of every read [Y]."""
    public = model.public(batch.sequence) if public is None else public
    own, other = stream_states(model, public, batch, batch.streams if streams is None else streams)
    h = model.read(public, batch.reads, own, other)
    return _CrossEntropy.apply(model.logits(h.index_select(0, batch.place)), batch.target)


@dataclass(frozen=True)
class Loss:
    """total = speak + listen_weight · listen, each a mean over tokens in nats; sums and counts for the record."""

    total: Tensor
    speak: float
    listen: float
    tokens: int


def loss_of(model: SociaLLM, batch: Batch, streams: Incidence, listen_weight: float) -> Loss:
    """Speaking and listening loss of a batch. A message without listeners counts as speech only."""
    nll = token_nll(model, batch, streams)
    speaks = torch.from_numpy(batch.speaks_R)[batch.read_Y]
    speak = nll[speaks].mean()
    listen = nll[~speaks].mean() if bool((~speaks).any()) else nll.new_zeros(())
    return Loss(speak + listen_weight * listen, float(speak.detach()), float(listen.detach()), int(speaks.sum()))


def by_read(nll_Y: Tensor, batch: Batch) -> np.ndarray:
    """Nats summed over the tokens of each read [R]."""
    return torch.zeros(len(batch.speaks_R), dtype=torch.float64).index_add(0, batch.read_Y, nll_Y.double()).numpy()
