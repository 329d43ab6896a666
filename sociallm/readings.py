"""What readers of messages expected, in several ways at once: the arithmetic of an observer.

`model.read` reads any message with any pair of states. An observer reads each message with both states, with one emptied and with both
emptied, and what these ways share is done once here: the message's own tokens and how they fade, the product of a query with each of the
two states, the first layer's queries. Read are only the places before a predicted token, messages of one length together so that nothing
is filled up. `by_the_model` is the plain form: for messages of more than one chunk, and to compare with. No gradients.

In single precision a reading may be rounded otherwise by how many are read beside it, and in how many ways.

Letters in shapes: R readings of one length, V ways, Y places read in each, J tokens up to the last of them, Q tokens a chunk, H heads,
P head width, N state width, D model width, W two views (own, other; one where the model adds them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sociallm.blocks import SocialBlock, Written
from sociallm.fused import unit
from sociallm.layout import TokenLayout, reads_of
from sociallm.model import Public, SociaLLM

Ways = tuple[str, ...]  # of reading a message; those that have the own state lie side by side, and those that have the other
ALL: Ways = ("no_other", "on", "no_own", "off")
ENERGY: Ways = ("on", "off")  # what E_rel asks for
ON: Ways = ("on",)
EMPTIED = {"no_other": {"other": 0}, "on": {}, "no_own": {"own": 0}, "off": {"own": 0, "other": 0}}
TOGETHER = 32  # readings of one length at once: their states, 32 KiB a layer each, stay in the cache
HEAD_ROWS = 256  # places whose logits are made at once


class Reading(NamedTuple):
    """A message (of the sequence) as read from two states (rows of the layers; 0 is empty), and the tokens of its header."""

    message: int
    own: int
    other: int
    header: int


def nats_of(model: SociaLLM, sequence: TokenLayout, public: Public, layers: Sequence[Tensor], readings: Sequence[Reading], ways: Ways) -> NDArray[np.float64]:
    """[readings, ways]: nats of each message's words and end."""
    found = np.zeros((len(readings), len(ways)))
    lengths = sequence.lengths_M
    first = np.searchsorted(sequence.messages.segment_K.numpy(), np.arange(len(lengths)))  # the chunk of each message, the first of several
    grown = [w.states.cumulative_KQH.exp() for w in public.written]

    def alike(n: int) -> tuple[int, int]:
        return lengths[readings[n].message], readings[n].header

    for (length, header), group in groupby(sorted(range(len(readings)), key=alike), alike):
        rows = list(group)
        for some in (rows[i : i + TOGETHER] for i in range(0, len(rows), TOGETHER)):
            chosen = [readings[n] for n in some]
            if length > model.config.social_chunk:
                found[some] = by_the_model(model, sequence, public, layers, chosen, ways)
                continue
            h_RVYD = heard(model, sequence, public, layers, chosen, (header - 1, length - 1), ways, first, grown)
            at = torch.tensor([sequence.starts_M[r.message] for r in chosen])[:, None] + torch.arange(header, length)
            target = sequence.tokens_T[at][:, None].expand(h_RVYD.shape[:3])
            nll = _nll(model, model.norm(h_RVYD.flatten(0, 2)), target.flatten())
            found[some] = nll.view(h_RVYD.shape[:3]).double().sum(-1).numpy()
    return found


def by_the_model(model: SociaLLM, sequence: TokenLayout, public: Public, layers: Sequence[Tensor], readings: Sequence[Reading], ways: Ways) -> NDArray[np.float64]:
    """`nats_of`, each way a reading of its own."""
    each = [r._replace(**EMPTIED[way]) for r in readings for way in ways]
    reads = reads_of([r.message for r in each], sequence, model.config)
    own, other = ([layer.index_select(0, torch.tensor([r[i] for r in each])) for layer in layers] for i in (1, 2))
    if all(sequence.lengths_M[r.message] <= model.config.social_chunk for r in readings):  # no state between chunks to lay beside them
        public = replace(public, written=tuple(replace(w, states=replace(w.states, before_KHPN=None)) for w in public.written))
    h = model.read(public, reads, own, other)
    before = [np.arange(r.header - 1, sequence.lengths_M[r.message] - 1) for r in each]  # the token before each predicted one
    sizes = np.array([len(b) for b in before])
    place = torch.from_numpy(np.concatenate(before) + np.repeat(np.array(reads.starts), sizes))
    target = sequence.tokens_T.index_select(0, reads.tokens.index_select(0, place) + 1)
    nll_Y = _nll(model, model.norm(h.index_select(0, place)), target).double().numpy()
    return np.add.reduceat(nll_Y, np.concatenate([[0], np.cumsum(sizes)[:-1]])).reshape(len(readings), -1)


def heard(
    model: SociaLLM, sequence: TokenLayout, public: Public, layers: Sequence[Tensor], readings: Sequence[Reading], places: tuple[int, int], ways: Ways,
    first: NDArray[np.int64] | None = None, grown: Sequence[Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """p + r after the last layer [R, V, Y, D], at `places` (from, to) of messages of one chunk each."""
    if len(readings) == 1 and places[1] - places[0] == 1:  # a product of one row alone would be rounded otherwise
        return heard(model, sequence, public, layers, [*readings] * 2, places, ways, first, grown)[:1]
    if first is None:
        first = np.searchsorted(sequence.messages.segment_K.numpy(), np.arange(len(sequence.lengths_M)))
    messages, own, other = ([r[i] for r in readings] for i in (0, 1, 2))
    chunk_R, own_R, other_R = torch.from_numpy(first[messages]), torch.tensor(own), torch.tensor(other)
    at_RY = torch.tensor([sequence.starts_M[m] for m in messages])[:, None] + torch.arange(*places)

    def shown(layer: int) -> Tensor:
        return public.residual[layer].index_select(0, at_RY.flatten()).view(len(readings), 1, at_RY.shape[1], -1)

    r: Tensor | None = None
    for j, (i, block) in enumerate(zip(model.config.social_layers, model.social, strict=True)):
        written = public.written[j]
        fades = written.states.cumulative_KQH.exp() if grown is None else grown[j]
        h = shown(i) if r is None else shown(i) + r
        added = _added(block, h, written, fades, chunk_R, places, (layers[j].index_select(0, own_R), layers[j].index_select(0, other_R)), ways)
        r = added if r is None else r.add_(added)
    last = shown(model.config.layers)
    return last.expand(-1, len(ways), -1, -1) if r is None else last + r


def _added(
    block: SocialBlock, h_RVYD: Tensor, written: Written, grown_KQH: Tensor, chunk_R: Tensor, places: tuple[int, int], states_RHPN: tuple[Tensor, Tensor], ways: Ways
) -> Tensor:  # fmt: skip
    """What a layer adds at each place, in each way [R, V, Y, D]; h may be the same in every way (V = 1), as before the first layer."""
    R, v, Y, _ = h_RVYD.shape
    J, N, H, P = places[1], block.state, block.heads, block.head_width
    query = block.norm_read.into(block.read_proj, h_RVYD.flatten(0, 2), torch.cat([block.query_bias, block.gate_bias])).view(R, v, Y, -1)
    C_RVYN, z = query.split([N, len(block.gate_bias)], -1)

    x_RHJP = written.x_KQHP[:, :J].index_select(0, chunk_R).transpose(1, 2).contiguous()
    B_RJN = written.B_KQN[:, :J].index_select(0, chunk_R)
    scores = torch.bmm(C_RVYN.flatten(1, 2), B_RJN.transpose(1, 2)).view(R, 1, v, Y, J)
    weight = scores * _decay(written.states.cumulative_KQH, chunk_R, places)[:, :, None]
    within = torch.matmul(weight.flatten(2, 3), x_RHJP).view(R, H, v, Y, P).permute(0, 2, 3, 1, 4)

    W = block.views
    y = h_RVYD.new_empty(R, len(ways), Y, W, H, P)
    y.copy_(within[:, :, :, None].expand(y.shape))
    grown = grown_KQH[:, places[0] : J].index_select(0, chunk_R)[:, None, ..., None]
    for side, S in enumerate(states_RHPN):
        held = [n for n, way in enumerate(ways) if ("own", "other")[side] not in EMPTIED[way]]
        some = slice(held[0], held[-1] + 1)
        C = C_RVYN[:, some] if v > 1 else C_RVYN
        seen = torch.bmm(C.flatten(1, 2), S.view(R, H * P, N).transpose(1, 2)).view(R, -1, Y, H, P)
        y[:, some, :, min(side, W - 1)].addcmul_(seen, grown)
    out = unit(y, block.norm.eps).flatten(3).mul_(F.silu(z))
    return F.linear(out, block.out_matrix())


def _decay(cumulative_KQH: Tensor, chunk_R: Tensor, places: tuple[int, int]) -> Tensor:
    """[R, H, Y, J]: by how much what a token wrote has faded at each place; 0 for later ones."""
    wide = -(-places[1] // 4) * 4  # H · wide² is a multiple of 16: an exponential in a vector loop's remainder is rounded otherwise
    cumulative = cumulative_KQH[:, :wide].index_select(0, chunk_R).transpose(1, 2)
    decay = (cumulative[..., :, None] - cumulative[..., None, :]).clamp_(max=0).exp_().tril_()
    return decay[:, :, places[0] : places[1], : places[1]]


def _nll(model: SociaLLM, h_YD: Tensor, target_Y: Tensor) -> Tensor:
    """-log softmax(logits)[target] in nats, in blocks of rows; never a block of one row, whose product would be rounded otherwise."""
    nll = h_YD.new_empty(len(h_YD))
    for i in range(0, len(h_YD), HEAD_ROWS):
        rows = slice(max(0, i - 1) if i + 1 == len(h_YD) else i, i + HEAD_ROWS)
        logits = h_YD[rows] @ model.embedding.weight.T
        logits -= logits.amax(-1, keepdim=True)
        chosen = logits.gather(1, target_Y[rows, None])[:, 0]
        nll[rows] = logits.exp_().sum(-1).log_() - chosen
    return nll
