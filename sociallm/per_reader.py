"""F1, the literal reading of the proposal: every agent encodes every message it writes or reads itself, once, in its own perspective.

For comparison with F2 (`model.py`) only, with the same weights. There is one residual h for each copy (reader, message), and at every layer

    h ← h + F_loc(h, the reader's own copy of the channel) + F_soc(h; own, interlocutor),

where social blocks write *and* read from h: what a reader remembers changes how it encodes what it hears. Copies of two
readers never meet, so nothing private leaks either, but the cost is (1+D)·N tokens instead of N. All copies of a layer are computed at once.

A copy of a channel holds what its reader wrote or read there: all of it where messages are delivered to all readers; by the "previous n
messages" rule it has gaps, so only in the former kind of room do F1 and F2 see the same local conversation. Windows begin empty: F1 carries
no states over. A copy that forgets (`forgetting_copies`) also encodes, and so writes, forgetfully; in F2 forgetting ends with the read.

Letters in shapes: C copies, T tokens of all copies, M messages, A agents, Y predicted tokens, D model width, H heads, P head width, N state width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Batch, forgetting
from sociallm.blocks import SocialBlock, Written
from sociallm.layout import Reads, SociaLLMConfig, TokenLayout, reads_of, sequence_of
from sociallm.losses import head_nll
from sociallm.model import SociaLLM
from sociallm.streams import NEITHER, Incidence, Read, compose, incidence, rows_of

GROUP = 4096  # tokens of copies computed together: weights between copies grow with the square of their number, readers never meet


@dataclass(frozen=True)
class Copies:
    """All that some readers of a batch wrote or read, one copy a reader and message. Copies are numbered by reader, then time."""

    sequence: TokenLayout  # channels: one a reader and channel; messages: the copies, channel after channel
    reads: Reads  # every copy once, in the order of the sequence
    flat_C: Tensor  # copy → message of the sequence
    streams: Incidence  # its messages: the copies; its reads: the copies in the order of the sequence
    hours_C: Tensor
    copy_of: Mapping[tuple[int, int], int]  # (reader, message of the batch) → copy


def token_nll_per_reader(model: SociaLLM, batch: Batch, copies: Sequence[Copies] | None = None) -> Tensor:
    """Negative log-likelihood in nats of every predicted token of every read [Y], in the order of `losses.token_nll`."""
    copies = copies_of(batch, model.config) if copies is None else copies
    h, row = [], {}  # h of all groups one after another; first row of each copy
    start = 0
    for group in copies:
        h.append(residual(model, group))
        for who, c in group.copy_of.items():
            row[who] = start + group.sequence.starts_M[int(group.flat_C[c])]
        start += len(h[-1])
    first_R = torch.tensor([row[who.reader, who.message] for who in batch.who_R], dtype=torch.long)
    in_message_Y = batch.place - torch.tensor(batch.reads.starts, dtype=torch.long)[batch.read_Y]
    if not h:
        return model.embedding.weight.new_zeros(0)
    return head_nll(model, torch.cat(h).index_select(0, first_R[batch.read_Y] + in_message_Y), batch.target)


def residual(model: SociaLLM, copies: Copies) -> Tensor:
    """h after the last layer at every token of every copy [T, D]."""
    h = model.embedding(copies.sequence.tokens_T)
    for i, local in enumerate(model.local):
        added, _ = local(h, copies.sequence, None)
        if (block := model.social_at(i)) is not None:
            written = block.write(h, copies.sequence)
            added = added + block.read(h, written, copies.reads, *_states(block, written, copies))
        h = h + added
    return h


def _states(block: SocialBlock, written: Written, copies: Copies) -> tuple[Tensor, Tensor]:
    """(own, interlocutor) state before each copy [C, H, P, N], in the order of the sequence, from operators of the same reader's copies."""
    log_alpha, U = written.log_alpha_MH.index_select(0, copies.flat_C), written.U_MHPN.index_select(0, copies.flat_C)
    now = copies.hours_C[torch.argsort(copies.flat_C)]  # in the order of the sequence
    hours = (now[:, None] - copies.hours_C[None, :]).clamp(min=0).to(U)
    own, other = rows_of(copies.streams, U).compositions(log_alpha, block.role_log, block.rate_log, hours)
    return compose(own, U), compose(other, U)


def copies_of(batch: Batch, config: SociaLLMConfig, tokens: int = GROUP) -> tuple[Copies, ...]:
    """Every copy of a batch: readers in turn, put together until about `tokens` tokens are reached."""
    length_M = np.array([batch.sequence.lengths_M[int(m)] for m in batch.flat_M], np.int64)
    groups: list[list[int]] = []
    used = tokens
    for reader, held in enumerate(batch.role_AM != NEITHER):
        if held.any():
            cost = int(length_M[held].sum())
            if used + cost > tokens:
                groups.append([])
                used = 0
            groups[-1].append(reader)
            used += cost
    partners = {who.message: who.partners for who, speaks in zip(batch.who_R, batch.speaks_R, strict=True) if speaks}
    return tuple(_group(batch, config, readers, partners) for readers in groups)


def _group(batch: Batch, config: SociaLLMConfig, readers: Sequence[int], partners: Mapping[int, tuple[int, ...]]) -> Copies:
    place = [(u, int(m)) for u in readers for m in np.flatnonzero(batch.role_AM[u] != NEITHER)]  # of every copy: reader, message
    starts = [batch.sequence.starts_M[int(m)] for m in batch.flat_M]
    ids = [batch.sequence.tokens_T[s : s + batch.sequence.lengths_M[int(m)]].tolist() for s, m in zip(starts, batch.flat_M, strict=True)]
    channels: dict[tuple[int, int], list[int]] = {}  # (reader, channel of the batch) → copies
    for c, (u, m) in enumerate(place):
        channels.setdefault((u, int(batch.sequence.channel_T[starts[m]])), []).append(c)
    order = [c for copies in channels.values() for c in copies]  # of the sequence
    sequence = sequence_of([[ids[place[c][1]] for c in copies] for copies in channels.values()], config)
    role_AC = np.zeros((len(batch.role_AM), len(place)), np.int8)
    for c, (u, m) in enumerate(place):
        role_AC[u, c] = batch.role_AM[u, m]
    message_C = np.array([m for _, m in place], np.int64)
    author_C = batch.author_M[message_C]
    reads = [Read(c, u, partners[m] if author_C[c] == u else (int(author_C[c]),)) for c in order for u, m in (place[c],)]
    flat_C = torch.empty(len(place), dtype=torch.long)
    flat_C[torch.tensor(order)] = torch.arange(len(place))
    return Copies(
        sequence=sequence, reads=reads_of(list(range(len(place))), sequence, config), flat_C=flat_C, streams=incidence(reads, role_AC, author_C),
        hours_C=batch.hours_M[torch.from_numpy(message_C)], copy_of={who: c for c, who in enumerate(place)},
    )  # fmt: skip


def forgetting_copies(copies: Sequence[Copies], rng: np.random.Generator) -> tuple[Copies, ...]:
    """Copies after the forgetting draw of each."""
    return tuple(replace(c, streams=forgetting(c.streams, rng)) for c in copies)
