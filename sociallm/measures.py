"""Measures of states and messages: energy, information, displacement. Pure functions, batched, shared by sandbox and analysis.

Sources: E_rel, likelihood ratios against text complexity (Ren et al. 2019); E_coh, cohort normalisation of speaker verification (Rosenberg
et al. 1992); I2, Bayesian surprise (Itti & Baldi 2009); I4, pointwise V-information (Ethayarajh et al. 2022). I1 is surprisal, I3 displacement.
A `Reading` is an encoded message met with one pair of states (own, interlocutor) as read at its time (`SocialState.at`). Messages
of any channels and any number of pairs are scored in one pass; the public part of a message is never computed again. A text that
nobody sent (a probe, a target, a candidate) is encoded like any message, its channel's new state thrown away.

What is exact: a number depends on its own message and states only, so which others share the batch changes nothing but the order
of additions inside a matrix product (1e-10 of float64, about 1e-6 of fp32). Logits are in the model's precision; softmax,
divergences and sums in float64. All in nats.

Letters in shapes: L social layers, H heads, P head width, N state width, Y predicted tokens (words and end), V vocabulary, X components.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from sociallm.blocks import Written
from sociallm.checkpoint import Checkpoint
from sociallm.encode import EncodedMessage
from sociallm.layout import TokenLayout, reads_of, sequence_of
from sociallm.model import Public, SociaLLM
from sociallm.states import Dynamics, SocialState

Pair = tuple[Tensor, Tensor]  # (own, interlocutor) [L, H, P, N]
MOST_TOKENS = 2048  # of one pass: their log-probabilities over a vocabulary of 4,096 take 64 MiB
RowWise = TypeVar("RowWise")


@dataclass(frozen=True, eq=False)
class Reading:
    """A message read from one pair of states."""

    encoded: EncodedMessage
    states: Pair

    @classmethod
    def by(cls, own: SocialState, other: SocialState, encoded: EncodedMessage, dynamics: Dynamics) -> Reading:
        """The reading by whoever holds these two states, at the message's time."""
        now = encoded.message.time
        return cls(encoded, (own.at(now, dynamics), other.at(now, dynamics)))


@dataclass(frozen=True, eq=False)
class Change:
    """A message (the message asked about, a probe or a target) read from the states before and after something."""

    encoded: EncodedMessage
    before: Pair
    after: Pair


@dataclass(frozen=True, eq=False)
class Surprisal:
    """I1, and E_nll: nats of every predicted token of a message under one pair of states."""

    nats_Y: Tensor

    @property
    def total(self) -> float:
        """-log p(m | S)."""
        return float(self.nats_Y.sum())

    @property
    def per_token(self) -> float:
        """-log p(m | S) / Y."""
        return self.total / len(self.nats_Y)


@torch.no_grad()
def surprisal(checkpoint: Checkpoint, readings: Sequence[Reading]) -> list[Surprisal]:
    """Of every reading."""
    scored: list[Surprisal] = []
    for batch in _batches([(r,) for r in readings]):
        rows = [group[0] for group in batch]
        for reading, log_p_YV in zip(rows, _log_p(checkpoint.model, rows), strict=True):
            scored.append(Surprisal(-log_p_YV.gather(1, _target(reading.encoded)[:, None])[:, 0]))
    return scored


def empty_pair(model: SociaLLM) -> Pair:
    """The two states of a stranger to everybody."""
    nothing = model.empty_state(1)[:, 0]
    return nothing, nothing


def e_rel(checkpoint: Checkpoint, readings: Sequence[Reading]) -> list[float]:
    """E_rel = -(1/Y)[log p(m|S) - log p(m|∅)], both states emptied in ∅: below 0 where memory makes the message likelier."""
    strangers = {id(r.encoded): Reading(r.encoded, empty_pair(checkpoint.model)) for r in readings}  # one a message, however many read it
    scored = surprisal(checkpoint, [*readings, *strangers.values()])
    empty = dict(zip(strangers, scored[len(readings) :], strict=True))
    return [s.per_token - empty[id(r.encoded)].per_token for r, s in zip(readings, scored, strict=False)]


def e_coh(checkpoint: Checkpoint, readings: Sequence[Reading], cohorts: Sequence[Sequence[Pair]]) -> list[float]:
    """E_coh = -(1/Y)[log p(m|S) - mean over v of log p(m|S_v)], S_v the states of others at the reading's time, `cohorts` one of them a
    reading: below 0 where the message is likelier by this holder than by others who know as much. What is common to all (topic, text
    that is hard for anybody) falls out. How well it tells authors apart, beside E_rel: `attribution`."""
    if len(cohorts) != len(readings) or not all(cohorts):
        raise ValueError(f"{len(readings)} readings and cohorts of {[len(c) for c in cohorts]!s:.80}; give each reading at least one other's states")
    scored = iter(surprisal(checkpoint, [*readings, *(Reading(r.encoded, pair) for r, cohort in zip(readings, cohorts, strict=True) for pair in cohort)]))
    held = [next(scored).per_token for _ in readings]
    return [sum(h - next(scored).per_token for _ in cohort) / len(cohort) for h, cohort in zip(held, cohorts, strict=True)]


def pvi(checkpoint: Checkpoint, changes: Sequence[Change]) -> list[float]:
    """I4: log p(Y|S') - log p(Y|S) of a target text Y. Negative where what happened misled about it."""
    scored = surprisal(checkpoint, [Reading(c.encoded, pair) for c in changes for pair in (c.before, c.after)])
    return [s.total - s_after.total for s, s_after in zip(scored[::2], scored[1::2], strict=True)]


@torch.no_grad()
def divergence(checkpoint: Checkpoint, changes: Sequence[Change]) -> list[Tensor]:
    """KL(P(.|S') || P(.|S)) of the next token at every predicted token of each change's message [Y], float64."""
    found: list[Tensor] = []
    for batch in _batches([(Reading(c.encoded, c.before), Reading(c.encoded, c.after)) for c in changes]):
        log_p = _log_p(checkpoint.model, [reading for group in batch for reading in group])
        for before_YV, after_YV in zip(log_p[::2], log_p[1::2], strict=True):
            kl_Y = (after_YV.exp() * (after_YV - before_YV)).sum(1)
            found.append(kl_Y.clamp(min=0))  # by theory never negative, by rounding down to -1e-16
    return found


def bayesian_surprise(
    checkpoint: Checkpoint, probes: Sequence[EncodedMessage], changes: Sequence[tuple[Pair, Pair]], weights: Sequence[float] | None = None
) -> list[float]:
    """I2, for every (before, after): sum_q w_q KL(P(.|q,S') || P(.|q,S)), KL being the mean over the probe's predicted tokens.

    Weights are equal unless given, and sum to 1. The next-token distributions along a probe's fixed words, not the divergence of
    whole continuations; a probe from another pair of agents needs other states: weigh `divergence` yourself then.
    """
    shares = [1 / max(1, len(probes))] * len(probes) if weights is None else list(weights)
    if not probes or len(shares) != len(probes) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"{len(probes)} probes and weights {shares!r:.80}; give at least one probe and a weight ≥ 0 for each, 1 in all")
    kl = divergence(checkpoint, [Change(q, before, after) for before, after in changes for q in probes])
    means = [float(k.mean()) for k in kl]
    return [sum(w * m for w, m in zip(shares, means[i : i + len(probes)], strict=True)) for i in range(0, len(means), len(probes))]


# ---- displacement ------------------------------------------------------------------------------------------------------


def mahalanobis(delta_X: Tensor, covariance: Tensor) -> Tensor:
    """I3: ½ δᵀ Σ⁻¹ δ, the KL of two Gaussians of that covariance δ apart. δ [..., X]; Σ [X, X], or [X] for a diagonal one.

    Does not change when states and covariance are put into other coordinates (δ → Aδ, Σ → AΣAᵀ); a Euclidean norm would.
    Raises ValueError unless Σ is positive definite: with fewer samples than components, shrink it or keep its diagonal.
    """
    delta, sigma = delta_X.double(), covariance.double()
    if sigma.shape not in {(delta.shape[-1],), (delta.shape[-1],) * 2}:
        raise ValueError(f"a covariance of shape {tuple(sigma.shape)} for {delta.shape[-1]} components; give [X, X], or its diagonal [X]")
    if sigma.ndim == 1:
        if not bool((sigma > 0).all()):
            raise ValueError(f"a variance of {float(sigma.min()):.3g}; leave out components that never change, or add a little to all")
        return (delta.square() / sigma).sum(-1) / 2
    root, failed = torch.linalg.cholesky_ex(sigma)
    if int(failed):
        raise ValueError(f"the covariance is not positive definite (minor {int(failed)}); shrink it towards its diagonal, or give the diagonal")
    white = torch.linalg.solve_triangular(root, delta.reshape(-1, delta.shape[-1]).T, upper=False)
    return (white.square().sum(0) / 2).reshape(delta.shape[:-1])


def fisher(checkpoint: Checkpoint, changes: Sequence[Change]) -> list[Tensor]:
    """I3: ½ δᵀF(S)δ at every predicted token [Y], S the states before and F the Fisher information of the next token about them.

    The second-order KL of predictions, δ = S' - S: what a small change of memory makes of what is expected, whatever the state's
    coordinates. F = Jᵀ(diag p - p pᵀ)J, so it is half the variance, under p, of the logits' derivative along δ. That derivative
    comes from two backward passes (the gradient is linear in what it is given), for which no kernel needs a forward mode.
    """
    found: list[Tensor] = []
    for batch in _batches([(c,) for c in changes]):
        rows = [group[0] for group in batch]
        before, after = ([torch.stack([pair[i] for pair in pairs], 1) for i in (0, 1)] for pairs in ([c.before for c in rows], [c.after for c in rows]))
        with torch.enable_grad():
            own, other = (s.clone().requires_grad_() for s in before)
            logits_YV, lengths = _logits(checkpoint.model, [c.encoded for c in rows], own, other)
            slope_YV = _along(logits_YV, (own, other), (after[0] - before[0], after[1] - before[1])).double()
        p_YV = torch.softmax(logits_YV.detach().double(), -1)
        centred = slope_YV - (p_YV * slope_YV).sum(-1, keepdim=True)
        found += ((p_YV * centred.square()).sum(-1) / 2).split(lengths)
    return found


def _along(logits_YV: Tensor, states: Pair, deltas: Pair) -> Tensor:
    """The derivative of the logits when the states move along `deltas`."""
    if not logits_YV.requires_grad:  # no social layers: nothing depends on the states
        return torch.zeros_like(logits_YV)
    back = torch.zeros_like(logits_YV, requires_grad=True)
    gradients = torch.autograd.grad(logits_YV, states, back, create_graph=True)
    return torch.autograd.grad((gradients[0] * deltas[0]).sum() + (gradients[1] * deltas[1]).sum(), back)[0]


# ---- one pass over many messages ---------------------------------------------------------------------------------------

Item = TypeVar("Item", Reading, Change)


def _batches(groups: Sequence[tuple[Item, ...]]) -> Iterator[list[tuple[Item, ...]]]:
    """The groups in order, cut so that a batch has about `MOST_TOKENS` tokens; a group stays whole."""
    batch: list[tuple[Item, ...]] = []
    size = 0
    for group in groups:
        tokens = sum(item.encoded.sequence.lengths_M[0] for item in group)
        if batch and size + tokens > MOST_TOKENS:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += tokens
    if batch:
        yield batch


def _target(encoded: EncodedMessage) -> Tensor:
    return encoded.sequence.tokens_T[encoded.header :]


def _log_p(model: SociaLLM, readings: Sequence[Reading]) -> list[Tensor]:
    """Log-probabilities [Y, V] of each reading, float64, of one pass."""
    own, other = (torch.stack([r.states[i] for r in readings], 1) for i in (0, 1))
    logits_YV, lengths = _logits(model, [r.encoded for r in readings], own, other)
    return list(torch.log_softmax(logits_YV.double(), -1).split(lengths))


def _logits(model: SociaLLM, messages: Sequence[EncodedMessage], own_LRHPN: Tensor, other_LRHPN: Tensor) -> tuple[Tensor, list[int]]:
    """(logits at every predicted token of every read [sum of Y, V], Y of each); a message that is read many times is laid out once."""
    distinct = {id(e): e for e in messages}
    place = {name: i for i, name in enumerate(distinct)}
    public, sequence = joined(list(distinct.values()), model)
    reads = reads_of([place[id(e)] for e in messages], sequence, model.config)
    h = model.read(public, reads, own_LRHPN, other_LRHPN)
    spans = [(start + e.header - 1, start + e.sequence.lengths_M[0] - 1) for start, e in zip(reads.starts, messages, strict=True)]
    predicted = torch.cat([torch.arange(a, b) for a, b in spans])
    return model.logits(h.index_select(0, predicted)), [b - a for a, b in spans]


def joined(messages: Sequence[EncodedMessage], model: SociaLLM) -> tuple[Public, TokenLayout]:
    """Messages that were encoded one by one, as one sequence to read from: chunks never span two, so laying them side by side is all."""
    sequence = sequence_of([[e.sequence.tokens_T.tolist()] for e in messages], model.config)
    return _cat([replace(e.public, local=(), written=written) for e, written in zip(messages, _filled(messages), strict=True)]), sequence


def _filled(messages: Sequence[EncodedMessage]) -> list[tuple[Written, ...]]:
    """What each message wrote. One of a single chunk holds no state between chunks; beside a longer one it gets the empty one that it stands for."""
    long = next((e.public.written[0].states.before_KHPN for e in messages if e.public.written and e.public.written[0].states.before_KHPN is not None), None)
    if long is None:
        return [e.public.written for e in messages]

    def whole(w: Written) -> Written:
        return w if w.states.before_KHPN is not None else replace(w, states=replace(w.states, before_KHPN=long.new_zeros(len(w.states.decay_before_KH), *long.shape[1:])))

    return [tuple(whole(w) for w in e.public.written) for e in messages]


def _cat(parts: Sequence[RowWise]) -> RowWise:
    """Row-wise values side by side: tensors along their first dimension, tuples and dataclasses part by part."""
    first: Any = parts[0]
    if first is None:  # in all of them
        return first  # type: ignore[return-value]
    if isinstance(first, Tensor):
        return torch.cat(parts)  # type: ignore[return-value]
    if isinstance(first, tuple):
        return tuple(_cat(p) for p in zip(*parts, strict=True))  # type: ignore[return-value, call-overload]
    return type(first)(**{f.name: _cat([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(first)})
