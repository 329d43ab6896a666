"""One pass over all perspectives, and the losses on it: speaking and listening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Batch
from sociallm.carry import Start
from sociallm.model import Public, SociaLLM
from sociallm.streams import Incidence, compose_each, composition, gather_of, gathered, start_weight


def stream_states(model: SociaLLM, public: Public, batch: Batch, streams: Incidence, start: Start | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """(own, interlocutor) states of every read, L × [R, H, P, N] each, composed from the messages' operators and the states carried in."""
    dtype = model.dtype
    own_RM, other_VM, read_V, weight_V = (torch.from_numpy(v).to(batch.place.device) for v in (streams.own_RM, streams.other_VM, streams.read_V, streams.weight_V))
    weight_V = weight_V.to(dtype)
    hours = (batch.hours_R[:, None] - batch.hours_M[None, :]).clamp(min=0).to(dtype)
    own: list[Tensor] = []
    other: list[Tensor] = []
    reader_R = torch.tensor([who.reader for who in batch.who_R], dtype=torch.long, device=batch.place.device)
    in_time_M = torch.argsort(batch.flat_M)  # operators lie as in the sequence, weights come in order of time
    bags = None
    if start is not None and model.social:
        H, R = model.config.social_heads, len(reader_R)
        bags = gather_of(reader_R, torch.arange(R, device=reader_R.device), R, H), gather_of(start.other_V, read_V[start.row_V], R, H)
    for j, (block, written) in enumerate(zip(model.social, public.written, strict=True)):
        log_alpha = written.log_alpha_MH.index_select(0, batch.flat_M)
        w_own = composition(own_RM, log_alpha, block.role_log, block.rate_log, hours)
        rows = composition(other_VM, log_alpha, block.role_log, block.rate_log, hours[read_V]) * weight_V[None, :, None]
        w_other = torch.zeros_like(w_own).index_add(1, read_V, rows)
        own_R, other_R = compose_each(written.U_MHPN, *(w.index_select(2, in_time_M) for w in (w_own, w_other)))
        if start is not None and bags is not None:
            kept = start_weight(own_RM, log_alpha, block.rate_log, batch.hours_R.to(dtype), streams.own_start_R)
            own_R = own_R + gathered(bags[0], kept.T, start.own[j])
            if len(start.row_V):
                kept = start_weight(other_VM, log_alpha, block.rate_log, batch.hours_R[read_V].to(dtype), streams.other_start_V) * weight_V
                other_R = other_R + gathered(bags[1], kept.T.index_select(0, start.row_V), start.other[j])
        own.append(own_R)
        other.append(other_R)
    return own, other


def public_of(model: SociaLLM, batch: Batch, start: Start | None) -> Public:
    """The public encoding of a batch, channels going on from what they start from."""
    return model.public(batch.sequence, None if start is None else start.local)


class CrossEntropy(torch.autograd.Function):
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


class _HeadCrossEntropy(torch.autograd.Function):
    """(h [Y,D], embedding [V,D], target [Y]) → -log softmax(h E^T)[target], [Y] nats.

    Rows in blocks that stay in the cache; softmax less target is kept, and the gradient of the loss multiplies h in place of it. Five
    fewer passes over [Y, vocabulary] than as products and `CrossEntropy`.
    """

    ROWS = 256

    @staticmethod
    def forward(ctx: Any, h: Tensor, embedding: Tensor, target: Tensor) -> Tensor:
        less = h.new_empty(len(h), len(embedding))
        nll = h.new_empty(len(h))
        for i in range(0, len(h), _HeadCrossEntropy.ROWS):
            rows = slice(i, i + _HeadCrossEntropy.ROWS)
            p = torch.mm(h[rows], embedding.T, out=less[rows])
            p.sub_(p.amax(-1, keepdim=True))
            chosen = p.gather(1, target[rows, None])
            total = p.exp_().sum(-1, keepdim=True)
            p.div_(total).scatter_add_(1, target[rows, None], torch.full_like(total, -1.0))
            nll[rows] = (total.log_() - chosen)[:, 0]
        ctx.save_for_backward(h, embedding, less)
        return nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        h, embedding, less = ctx.saved_tensors
        return torch.mm(less, embedding).mul_(grad[:, None]), torch.mm(less.T, h * grad[:, None]), None


def token_nll(model: SociaLLM, batch: Batch, streams: Incidence | None = None, public: Public | None = None, start: Start | None = None) -> Tensor:
    """Negative log-likelihood in nats of every predicted token of every read [Y]; `public`, if given, has to come from the same `start`."""
    public = public_of(model, batch, start) if public is None else public
    own, other = stream_states(model, public, batch, batch.streams if streams is None else streams, start)
    h = model.read(public, batch.reads, own, other)
    nll: Tensor = _HeadCrossEntropy.apply(model.norm(h.index_select(0, batch.place)), model.embedding.weight, batch.target)
    return nll


@dataclass(frozen=True)
class Loss:
    """total = speak + listen_weight · listen, each a mean over tokens in nats; sums and counts for the record."""

    total: Tensor
    speak: float
    listen: float
    tokens: int


def loss_of(nll: Tensor, batch: Batch, listen_weight: float) -> Loss:
    """Speaking and listening loss of a batch's tokens [Y]. A message without listeners counts as speech only."""
    speaks = torch.from_numpy(batch.speaks_R).to(nll.device)[batch.read_Y]
    speak = nll[speaks].mean()
    listen = nll[~speaks].mean() if bool((~speaks).any()) else nll.new_zeros(())
    return Loss(speak + listen_weight * listen, float(speak.detach()), float(listen.detach()), int(speaks.sum()))


def by_read(nll_Y: Tensor, batch: Batch) -> np.ndarray:
    """Nats summed over the tokens of each read [R]."""
    return torch.zeros(len(batch.speaks_R), dtype=torch.float64).index_add(0, batch.read_Y.cpu(), nll_Y.double().cpu()).numpy()
