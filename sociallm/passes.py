"""One pass over windows of several conversations: words that they hold alike are laid out once, and the states that they need composed.

A state is the sum of its messages' operators, each decayed by what its stream heard later and by the time passed, and of the state that the window
began with. What several windows hold alike, as twins do up to where they part, is one channel of the sequence and one row of the states.

Letters in shapes: L social layers, H heads, P head width, N state width, S streams, X rows of states, M messages of a window, I states carried in
that enter a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sociallm.layout import TokenLayout, sequence_of
from sociallm.model import Public, SociaLLM
from sociallm.states import Dynamics
from sociallm.streams import HOUR_MS, READ, WROTE, gather_of, gathered
from sociallm.trails import NOTHING, Row, Standing, Window

MOVED = 16  # states compared at once: they stay in the cache


@dataclass(kw_only=True)
class Carried:
    """A conversation being read: how far, and from which states it goes on. Changes as reading goes on."""

    standing: Standing
    layers: tuple[Tensor, ...] = ()  # one a social layer: [X, H, P, N], the states carried into the next window
    place: dict[str, int] = field(default_factory=dict)  # key → row of them,
    began: dict[str, int] = field(default_factory=dict)  # and the time each is as of


@dataclass(frozen=True)
class Placed:
    """The states that the windows of a pass need, each made once."""

    rows: list[list[int]]  # of each window: its rows → rows of the pass; 0 is empty in both
    fresh: list[list[Row]]  # those that no window before it has; they follow one another in the pass
    count: int


def rows_of(windows: Sequence[Window]) -> Placed:
    """The states that these windows need, each once, in the order of the first window that needs it."""
    place: dict[Row, int] = {}
    rows, fresh = [], []
    for window in windows:
        fresh.append([row for row in window.rows if row not in place])
        for row in fresh[-1]:
            place[row] = len(place) + 1
        rows.append([NOTHING, *(place[row] for row in window.rows)])
    return Placed(rows, fresh, len(place))


@dataclass(frozen=True)
class LaidOut:
    """The windows of a pass as one sequence, in which no channel stands twice with the same words after the same history."""

    sequence: TokenLayout
    local: tuple[tuple[Tensor, Tensor], ...]  # what its channels start from
    flats: list[list[int]]  # of each window: message → message of the sequence, the same one for what has the same history
    channels: list[dict[str, int]]  # of each window: name → channel of the sequence


def laid_out(model: SociaLLM, batch: Sequence[tuple[Carried, Window]]) -> LaidOut:
    """The windows' channels one after another, those of two windows with the same first and last keys once."""
    said: list[list[list[int]]] = []
    starts: list[tuple[tuple[Tensor, Tensor], ...]] = []
    known: dict[tuple[str, str], int] = {}  # (key after the first message, key after the last) → channel of the sequence
    names: list[dict[str, int]] = []
    for one, window in batch:
        names.append({})
        spoken: dict[str, list[int]] = {}
        for k, name in enumerate(window.channels):
            spoken.setdefault(name, []).append(k)
        for name, messages in spoken.items():
            key = window.keys[messages[0]], window.keys[messages[-1]]
            if key not in known:
                known[key] = len(said)
                said.append([window.tokens[k] for k in messages])
                starts.append(one.standing.channels[name].layers)
            names[-1][name] = known[key]
    first = np.concatenate([[0], np.cumsum([len(channel) for channel in said])]).astype(int).tolist()
    flats: list[list[int]] = []
    place: dict[str, int] = {}  # key after a message → where it stands first
    for (_, window), channels in zip(batch, names, strict=True):
        after = {name: first[g] for name, g in channels.items()}
        flats.append([])
        for name, key in zip(window.channels, window.keys, strict=True):
            flats[-1].append(place.setdefault(key, after[name]))
            after[name] += 1
    return LaidOut(sequence_of(said, model.config), _local(model, starts), flats, names)


def _local(model: SociaLLM, starts: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Each layer's state and convolution window before every channel; zeros for a new one, which has no layers yet."""
    c, zeros = model.config, model.embedding.weight.new_zeros
    new = (zeros(1, c.local_heads, c.local_head_width, c.local_state), zeros(1, c.conv - 1, c.local_heads * c.local_head_width + 2 * c.local_state))
    if not starts:
        return ()
    return tuple((torch.cat([(s[i] if s else new)[0] for s in starts]), torch.cat([(s[i] if s else new)[1] for s in starts])) for i in range(c.layers))


# ---- states ------------------------------------------------------------------------------------------------------------


def states_of(model: SociaLLM, batch: Sequence[tuple[Carried, Window]], public: Public | None, laid: LaidOut, placed: Placed) -> tuple[Tensor, ...]:
    """One a social layer [X, H, P, N]: the rows of the pass, composed from messages' operators and from the states carried in."""
    layers = tuple(model.empty_state(1 + placed.count))
    stop = 1
    for (one, window), flat, fresh in zip(batch, laid.flats, placed.fresh, strict=True):
        start, stop = stop, stop + len(fresh)
        if not fresh:
            continue
        at = torch.tensor(flat, dtype=torch.long)
        weights = _weights(model, one, window, fresh, public, at)
        for i, layer in enumerate(layers):
            rows = layer[start:stop]
            if public is not None:
                U_MHPN = public.written[i].U_MHPN.index_select(0, at)
                for h in range(U_MHPN.shape[1]):
                    torch.mm(weights.message_LHXM[i, h], U_MHPN[:, h].flatten(1), out=rows[:, h].flatten(1))
            if len(weights.start_I):
                gather = gather_of(weights.start_I, weights.into_I, len(rows), rows.shape[1])
                rows += gathered(gather, weights.start_LIH[i], one.layers[i])
    return layers


@dataclass(frozen=True)
class _Weights:
    """By how much messages, and states carried in, enter the fresh rows of a window."""

    message_LHXM: Tensor
    start_I: Tensor  # a row of what is carried,
    into_I: Tensor  # the row it enters,
    start_LIH: Tensor  # and by how much


def _weights(model: SociaLLM, one: Carried, window: Window, fresh: Sequence[Row], public: Public | None, flat: Tensor) -> _Weights:
    """All decay between a message and the moment a state is read: of the stream's later messages and of the time passed. In float64, so
    that nothing depends on how many messages there are beside."""
    dynamics = Dynamics.of(model)
    rate_LH, gain_L2H = dynamics.rate_log_LH.double().exp(), dynamics.role_log_L2H.double()
    parts = [(n, key, row) for n, row in enumerate(fresh) for key in row.parts]
    streams = {stream: s for s, stream in enumerate(dict.fromkeys((key, row.time) for _, key, row in parts))}
    role_SM, roots = _roles(window, [key for key, _ in streams])
    messages = one.standing.source.conversation.messages[window.first : window.first + len(window.tokens)]
    at_S, at_M = (torch.tensor(v, dtype=torch.float64) for v in ([t for _, t in streams], [m.time for m in messages]))
    start_S = torch.tensor([one.place.get(key, -1) for key in roots])
    since_S = torch.tensor([float(one.began.get(key, 0)) for key in roots], dtype=torch.float64)

    held_SM = role_SM != 0
    log_alpha_LMH = rate_LH.new_zeros(len(rate_LH), 0, rate_LH.shape[1])
    if public is not None:
        log_alpha_LMH = torch.stack([w.log_alpha_MH for w in public.written]).index_select(1, flat).double()
    alpha_SLHM = held_SM[:, None, None] * log_alpha_LMH.transpose(1, 2)[None]
    suffix_SLHM = alpha_SLHM.flip(-1).cumsum(-1)  # of this message and all later ones, the last message first
    role = torch.where(role_SM[:, None, None] == WROTE, gain_L2H[None, :, 0, :, None], gain_L2H[None, :, 1, :, None])
    hours_SM = (at_S[:, None] - at_M[None]).clamp(min=0) / HOUR_MS
    log_SLHM = suffix_SLHM.flip(-1) - alpha_SLHM + role - rate_LH[None, :, :, None] * hours_SM[:, None, None]
    weight_SLHM = log_SLHM.masked_fill(~held_SM[:, None, None], -torch.inf).exp()
    total_SLH = suffix_SLHM[..., -1] if len(messages) else rate_LH.new_zeros(len(streams), *rate_LH.shape)
    left_SLH = (total_SLH - rate_LH[None] * ((at_S - since_S).clamp(min=0) / HOUR_MS)[:, None, None]).exp()

    share_I = torch.tensor([1.0 / row.of for _, _, row in parts], dtype=torch.float64)
    stream_I = torch.tensor([streams[key, row.time] for _, key, row in parts])
    into_I = torch.tensor([n for n, _, _ in parts])
    rows = weight_SLHM.new_zeros(len(fresh), *weight_SLHM.shape[1:])
    rows.index_add_(0, into_I, weight_SLHM.index_select(0, stream_I) * share_I[:, None, None, None])
    from_I = start_S.index_select(0, stream_I)
    begun = (from_I >= 0).nonzero()[:, 0]
    start = (left_SLH.index_select(0, stream_I) * share_I[:, None, None]).index_select(0, begun).to(model.dtype)
    return _Weights(
        rows.permute(1, 2, 0, 3).to(model.dtype).contiguous(), from_I.index_select(0, begun), into_I.index_select(0, begun), start.transpose(0, 1).contiguous()
    )


def _roles(window: Window, keys: Sequence[str]) -> tuple[Tensor, list[str]]:
    """([S, M] the part each stream's holder has in every message of the window, the key each stream had before the window)."""
    role_SM, roots = np.zeros((len(keys), len(window.tokens)), np.int8), []
    for row, key in zip(role_SM, keys, strict=True):
        while (link := window.links.get(key)) is not None:
            key, m, row[m] = link
        roots.append(key)
    return torch.from_numpy(role_SM), roots


def moved_by(
    model: SociaLLM, windows: Sequence[Window], laid: LaidOut, placed: Placed, public: Public, layers: Sequence[Tensor]
) -> dict[tuple[int, int], float]:  # fmt: skip
    """(message of the sequence, row before it) → how far the state is from there after the message has been read (`states.distance`)."""
    pairs = list(dict.fromkeys((flat[r.index - window.first], rows[r.before]) for window, flat, rows in zip(windows, laid.flats, placed.rows, strict=True)
                               for r in window.records if r.before is not None))  # fmt: skip
    gain_LH11 = Dynamics.of(model).gain_LH11(READ)
    found: list[float] = []
    for some in (pairs[i : i + MOVED] for i in range(0, len(pairs), MOVED)):
        at, before = torch.tensor(some).T
        squares = torch.zeros(3, len(some), dtype=torch.float64)
        for i, written in enumerate(public.written):
            S = layers[i].index_select(0, before)
            after = S * written.log_alpha_MH.index_select(0, at).exp()[..., None, None] + gain_LH11[i] * written.U_MHPN.index_select(0, at)
            squares += torch.stack([v.flatten(1).square().sum(1) for v in (S, after, after - S)]).double()
        was, now, apart = squares.sqrt()
        found += torch.where(was + now > 0, apart / (was + now).clamp(min=1e-300), 0.0).tolist()
    return dict(zip(pairs, found, strict=True))
