"""States carried from one window of a conversation to the next, without gradients.

Carrying is exact in the forward direction: windows read one after another give what one long window gives (T8), as long as no
more than MOST_PAIRS relationships are held.

Letters in shapes: L social blocks, G channels of a batch, C of a conversation, A agents, V (reader, author) pairs, R reads, H heads, P head
width, N state width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Batch, Span
from sociallm.blocks import SocialBlock
from sociallm.conversation import AgentID
from sociallm.model import Public, SociaLLM
from sociallm.streams import NEITHER, READ, compose, composition, start_weight

MOST_PAIRS = 1024  # interlocutor states kept of one conversation; of more, those read longest ago are dropped
Layers = tuple[Tensor, ...]
Pair = tuple[AgentID, AgentID]  # reader, author


@dataclass(frozen=True)
class Carried:
    """What reading a conversation so far leaves behind, as of its last message read."""

    channels: Mapping[str, int]  # name → row of the local states
    local_state: Layers  # one a layer: [C, H, P, N]
    local_window: Layers  # [C, conv-1, E+2N]
    agents: Mapping[AgentID, int]
    own: Layers  # one a social block: [A, H, P, N]
    pairs: Mapping[Pair, int]  # the latest read last
    other: Layers  # [V, H, P, N]


@dataclass(frozen=True)
class Start:
    """What a batch starts from, in its own numbering."""

    local: tuple[tuple[Tensor, Tensor], ...]  # one a layer: (state [G, H, P, N], convolution window)
    own: Layers  # [A, H, P, N]
    other: Layers  # [V', H, P, N]
    other_V: Tensor  # row of `other` for each row of the streams that has one,
    row_V: Tensor  # and which rows of the streams those are


def start_of(model: SociaLLM, batch: Batch, carried: Sequence[Carried | None]) -> Start | None:
    """What the windows of a batch start from; None where none of them goes on from anything."""
    if all(c is None for c in carried):
        return None
    own = model.empty_state(len(batch.role_AM))
    for span, c in zip(batch.spans, carried, strict=True):
        if c is not None and c.own:
            own[:, span.agents] = torch.stack(c.own)
    other = tuple(torch.cat(layer) for layer in zip(*(c.other for c in carried if c is not None), strict=True))
    other_V, row_V = (torch.tensor(rows, dtype=torch.long, device=own.device) for rows in _pair_rows(batch, carried))
    return Start(_local_start(model, batch, carried), tuple(own), other, other_V, row_V)


def _local_start(model: SociaLLM, batch: Batch, carried: Sequence[Carried | None]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Each layer's local state and convolution window before each channel of the batch; zeros for a new channel."""
    local, channels = [], batch.sequence.channels.segments
    for layer, block in enumerate(model.local):
        state = block.dt_bias.new_zeros(channels, block.heads, block.head_width, block.state)
        window = block.dt_bias.new_zeros(channels, block.conv_weight.shape[-1] - 1, block.conv_width)
        for span, c in zip(batch.spans, carried, strict=True):
            for g, name in enumerate(span.channels, span.first_channel):
                if c is not None and (row := c.channels.get(name)) is not None:
                    state[g], window[g] = c.local_state[layer][row], c.local_window[layer][row]
        local.append((state, window))
    return tuple(local)


def _pair_rows(batch: Batch, carried: Sequence[Carried | None]) -> tuple[list[int], list[int]]:
    """For each row of interlocutor streams that goes on from something: its row among all carried pairs, those of one window after
    those of another; and the row of the streams."""
    first = np.cumsum([0, *(len(c.pairs) if c is not None else 0 for c in carried)]).tolist()
    span_M = np.repeat(np.arange(len(batch.spans)), [s.messages.stop - s.messages.start for s in batch.spans])
    carried_rows, stream_rows, v = [], [], -1
    for who in batch.who_R:
        i = int(span_M[who.message])
        names, zero, c = batch.spans[i].window.encoded.agents, batch.spans[i].agents.start, carried[i]
        for partner in who.partners:
            v += 1
            if c is not None and (row := c.pairs.get((names[who.reader - zero], names[partner - zero]))) is not None:
                carried_rows.append(first[i] + row)
                stream_rows.append(v)
    return carried_rows, stream_rows


@torch.no_grad()
def carry_on(
    model: SociaLLM, public: Public, batch: Batch, carried: Sequence[Carried | None], wanted: Sequence[bool] | None = None, most_pairs: int | None = None,
) -> list[Carried | None]:  # fmt: skip
    """What each window of a batch leaves to the next of its conversation; None where it is not `wanted`. Of more than `most_pairs`
    (MOST_PAIRS) relationships those read longest ago are dropped."""
    return [
        _left(model, public, batch, span, before, MOST_PAIRS if most_pairs is None else most_pairs) if wanted is None or wanted[i] else None
        for i, (span, before) in enumerate(zip(batch.spans, carried, strict=True))
    ]


def _left(model: SociaLLM, public: Public, batch: Batch, span: Span, before: Carried | None, most_pairs: int) -> Carried:
    names = span.window.encoded.agents
    role_AM = batch.role_AM[span.agents, span.messages]
    author_M = batch.author_M[span.messages] - span.agents.start
    pairs = _pairs(names, role_AM, author_M, before)[-most_pairs:]
    index = {a: i for i, a in enumerate(names)}
    reader_V, partner_V = (np.array([index[pair[side]] for pair in pairs], np.int64) for side in (0, 1))
    heard_VM = (role_AM[reader_V] == READ) & (author_M[None, :] == partner_V[:, None])
    own_AM, other_VM = (torch.from_numpy(v).to(batch.flat_M.device) for v in (role_AM, np.where(heard_VM, READ, NEITHER).astype(np.int8)))
    flat, hours = batch.flat_M[span.messages], batch.hours_M[span.messages]
    own, other = [], []
    for j, (block, written) in enumerate(zip(model.social, public.written, strict=True)):
        log_alpha, U = written.log_alpha_MH.index_select(0, flat), written.U_MHPN.index_select(0, flat)
        own_before = None if before is None else before.own[j]
        other_before = None if before is None else _rows(before.other[j], [before.pairs.get(pair, -1) for pair in pairs])
        own.append(_after(block, own_AM, log_alpha, U, hours, own_before))
        other.append(_after(block, other_VM, log_alpha, U, hours, other_before))
    channels, state, window = _local(public, span, before)
    return Carried(channels, state, window, index, tuple(own), {pair: i for i, pair in enumerate(pairs)}, tuple(other))


def _after(block: SocialBlock, role_RM: Tensor, log_alpha_MH: Tensor, U_MHPN: Tensor, hours_M: Tensor, before: Tensor | None) -> Tensor:
    """States [R, H, P, N] of streams as of a window's last message, from its operators and the states `before` it."""
    to_end = (hours_M[-1] - hours_M).to(U_MHPN.dtype)
    state = compose(composition(role_RM, log_alpha_MH, block.role_log, block.rate_log, to_end[None].expand(len(role_RM), -1)), U_MHPN)
    if before is None:
        return state
    passed = hours_M[-1:].to(U_MHPN.dtype).expand(len(role_RM))
    return state.addcmul_(start_weight(role_RM, log_alpha_MH, block.rate_log, passed, None).T[..., None, None], before)


def _pairs(names: Sequence[AgentID], role: np.ndarray, author: np.ndarray, before: Carried | None) -> list[Pair]:
    """(reader, author) pairs with a state, those read longest ago first."""
    seen: dict[Pair, None] = dict.fromkeys(before.pairs if before else ())
    for k, v in enumerate(author):
        for u in np.flatnonzero(role[:, k] == READ):
            pair = (names[int(u)], names[int(v)])
            seen.pop(pair, None)
            seen[pair] = None
    return list(seen)


def _rows(old: Tensor, index: Sequence[int]) -> Tensor:
    """old[index], zeros for −1."""
    return torch.cat([old, old.new_zeros(1, *old.shape[1:])]).index_select(0, torch.tensor(index, dtype=torch.long, device=old.device) % (len(old) + 1))


def _local(public: Public, span: Span, before: Carried | None) -> tuple[dict[str, int], Layers, Layers]:
    """Channels of the window as it leaves them, then the earlier ones that it did not touch: (rows, states, convolution windows)."""
    new = slice(span.first_channel, span.first_channel + len(span.channels))
    states, windows = (tuple(layer[part][new].clone() for layer in public.local) for part in (0, 1))
    if before is None:
        return {name: i for i, name in enumerate(span.channels)}, states, windows
    kept = [name for name in before.channels if name not in span.channels]
    old = [before.channels[name] for name in kept]
    states, windows = (
        tuple(torch.cat([fresh, earlier[old]]) for fresh, earlier in zip(*both, strict=True))
        for both in ((states, before.local_state), (windows, before.local_window))
    )
    return {name: i for i, name in enumerate((*span.channels, *kept))}, states, windows
