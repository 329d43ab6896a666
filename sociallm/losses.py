"""One pass over all perspectives, and the losses on it: speaking, listening, and telling authors apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sociallm.batches import Batch
from sociallm.carry import Start
from sociallm.model import Public, SociaLLM
from sociallm.streams import Gather, Incidence, Rows, compose_each, gather_of, gathered, rows_of, start_weight


def token_nll(model: SociaLLM, batch: Batch, streams: Incidence | None = None, public: Public | None = None, start: Start | None = None) -> Tensor:
    """Negative log-likelihood in nats of every predicted token of every read [Y]; `public`, if given, has to come from the same `start`."""
    public = public_of(model, batch, start) if public is None else public
    own, other = stream_states(model, public, batch, batch.streams if streams is None else streams, start)
    h = model.read(public, batch.reads, own, other)
    return head_nll(model, h.index_select(0, batch.place), batch.target)


def public_of(model: SociaLLM, batch: Batch, start: Start | None) -> Public:
    """The public encoding of a batch, channels going on from what they start from."""
    return model.public(batch.sequence, None if start is None else start.local)


@dataclass(frozen=True)
class Loss:
    """total = speak + listen_weight · listen + contrast_weight · contrast · pairs / tokens: speak and listen are means over tokens in nats;
    `contrast` is the mean over pairs of author and foil (log 2 by chance, None without pairs), counted in total as a part of the
    message's likelihood is. `tokens` are the spoken ones."""

    total: Tensor
    speak: float
    listen: float
    contrast: float | None
    tokens: int


def loss_of(nll: Tensor, batch: Batch, listen_weight: float, contrast_weight: float = 0.0) -> Loss:
    """The losses of a batch's tokens [Y]. A message without listeners counts as speech only."""
    speaks_R, foil_R = (torch.from_numpy(v).to(nll.device) for v in (batch.speaks_R, batch.foil_R))
    speaks, listens = (v[batch.read_Y] for v in (speaks_R, ~speaks_R & (foil_R < 0)))
    speak = nll[speaks].mean()
    listen = nll[listens].mean() if bool(listens.any()) else nll.new_zeros(())
    total, contrast = speak + listen_weight * listen, None
    if len(foils := (foil_R >= 0).nonzero()[:, 0]):
        nats_R = nll.new_zeros(len(foil_R)).index_add(0, batch.read_Y, nll)
        each = -F.logsigmoid(nats_R[foils] - nats_R[foil_R[foils]])
        total, contrast = total + contrast_weight * each.sum() / speaks.sum(), float(each.detach().mean())
    return Loss(total, float(speak.detach()), float(listen.detach()), contrast, int(speaks.sum()))


def by_read(nll_Y: Tensor, batch: Batch) -> np.ndarray:
    """Nats summed over the tokens of each read [R]."""
    return torch.zeros(len(batch.speaks_R), dtype=torch.float64).index_add(0, batch.read_Y.cpu(), nll_Y.double().cpu()).numpy()


# ---- the states at the reads -------------------------------------------------------------------------------------------


def stream_states(model: SociaLLM, public: Public, batch: Batch, streams: Incidence, start: Start | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """(own, interlocutor) states of every read, L × [R, H, P, N] each, composed from the messages' operators and the states carried in."""
    like = model.embedding.weight
    rows = rows_of(streams, like)
    hours_RM = (batch.hours_R[:, None] - batch.hours_M[None, :]).clamp(min=0).to(like.dtype)
    in_time_M = torch.argsort(batch.flat_M)  # operators lie as in the sequence, weights come in order of time
    carried = None if start is None or not model.social else _carried_in(model, batch, streams, rows, start)
    own: list[Tensor] = []
    other: list[Tensor] = []
    for layer, (block, written) in enumerate(zip(model.social, public.written, strict=True)):
        log_alpha_MH = written.log_alpha_MH.index_select(0, batch.flat_M)
        weights_HRM = rows.compositions(log_alpha_MH, block.role_log, block.rate_log, hours_RM)
        own_RHPN, other_RHPN = compose_each(written.U_MHPN, *(w.index_select(2, in_time_M) for w in weights_HRM))
        if carried is not None:
            own_RHPN, other_RHPN = carried.added(layer, own_RHPN, other_RHPN, log_alpha_MH, block.rate_log)
        own.append(own_RHPN)
        other.append(other_RHPN)
    return own, other


@dataclass(frozen=True)
class _CarriedIn:
    """States that a batch starts from, as its reads meet them."""

    start: Start
    streams: Incidence
    rows: Rows
    hours_R: Tensor
    own: Gather
    other: Gather

    def added(self, layer: int, own_RHPN: Tensor, other_RHPN: Tensor, log_alpha_MH: Tensor, rate_log_H: Tensor) -> tuple[Tensor, Tensor]:
        """The states of a layer with what is left of those it started from."""
        start, rows = self.start, self.rows
        left_HR = start_weight(rows.own_RM, log_alpha_MH, rate_log_H, self.hours_R, self.streams.own_start_R)
        own_RHPN = own_RHPN + gathered(self.own, left_HR.T, start.own[layer])
        if len(start.row_V):
            left_HV = start_weight(rows.other_VM, log_alpha_MH, rate_log_H, self.hours_R[rows.read_V], self.streams.other_start_V) * rows.weight_V
            other_RHPN = other_RHPN + gathered(self.other, left_HV.T.index_select(0, start.row_V), start.other[layer])
        return own_RHPN, other_RHPN


def _carried_in(model: SociaLLM, batch: Batch, streams: Incidence, rows: Rows, start: Start) -> _CarriedIn:
    heads, R = model.config.social_heads, len(batch.who_R)
    reader_R = torch.tensor([who.reader for who in batch.who_R], dtype=torch.long, device=batch.place.device)
    own = gather_of(reader_R, torch.arange(R, device=reader_R.device), R, heads)
    other = gather_of(start.other_V, rows.read_V[start.row_V], R, heads)
    return _CarriedIn(start, streams, rows, batch.hours_R.to(model.dtype), own, other)


# ---- likelihood --------------------------------------------------------------------------------------------------------


def head_nll(model: SociaLLM, h_YD: Tensor, target_Y: Tensor) -> Tensor:
    """-log softmax(logits)[target] of the model's next tokens after residuals `h_YD` [Y], in nats."""
    nll: Tensor = _HeadCrossEntropy.apply(model.norm(h_YD), model.embedding.weight, target_Y)
    return nll


class _HeadCrossEntropy(torch.autograd.Function):
    """(h [Y,D], embedding [V,D], target [Y]) → -log softmax(h E^T)[target], [Y] nats.

    Rows in blocks that stay in the cache; softmax less target is kept, and the gradient of the loss multiplies h in place of it. Five
    fewer passes over [Y, vocabulary] than as products and the library's cross-entropy.
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
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        h, embedding, less = ctx.saved_tensors
        return torch.mm(less, embedding).mul_(grad[:, None]), torch.mm(less.T, h * grad[:, None]), None
