"""An observer: SociaLLM reads any conversation, whoever wrote it, and says what each reader held and did not expect.

Nobody is asked to act. States are those of a live run of the same messages: the same keys, the same numbers up to rounding (a live host
absorbs one message after another, here a window's messages are composed at once). Several conversations are read in one pass.

What a row says (`Seen`): the keys of the reader's own state and of its state of the author after the message (of an author's row there is
no such state), and the nats of the message's words and end as read just before it: with both states, without that of the interlocutor,
without the own, without any. The author reads with its own state and the mean of its states of those it writes to; every other reader
with its own and its state of the author. In a room of more than MOST_READERS others there are two rows a message: the author's, and one
whose reader is None: all others, who hold one and the same state of the author (no key where they do not, having met elsewhere as well).
`e_coh` is E_coh of `attribution` (asked for by `Asked.cohort`); `moved` is `states.distance` of the reader's state of the author before
and after.

Strictly causal: a row depends on no later message, and on no message in a channel that its reader does not read: to the bit, where the
model's widths are multiples of 16 as the shipped one's are (a vector loop with a remainder rounds that otherwise).

Letters in shapes: L social layers, H heads, P head width, N state width, S streams, X rows of states, M messages of a window, G channels,
R reads, Y predicted tokens, D model width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import AgentID
from sociallm.layout import TokenLayout, reads_of, sequence_of
from sociallm.model import Public, SociaLLM
from sociallm.states import Dynamics, brief
from sociallm.streams import HOUR_MS, READ, WROTE, gather_of, gathered
from sociallm.trails import TOKENS, Asked, Record, Source, Standing, Window, next_window

TOGETHER = 4096  # tokens of one pass: windows of several conversations
READ_TOGETHER = 128  # readings of one pass: their states, 32 KiB a layer, stay in the cache
PROBED = 32  # moments probed at once
HEAD_ROWS = 256  # tokens whose logits are made at once: they stay in the cache
PROBES = ("I will", "We agree", "You said that", "What will you do?")  # beginnings at which what a pair of states adds is read out
EVERYTHING = Asked()


class Seen(NamedTuple):
    """One row: a message as one reader met it. Numbers in nats; `own`, `other` and `channel` are brief keys after the message."""

    index: int
    reader: AgentID | None
    wrote: bool
    own: str | None
    other: str | None
    channel: str
    tokens: int
    nats: float | None
    nats_no_other: float | None
    nats_no_own: float | None
    nats_no_states: float
    e_rel: float | None
    e_coh: float | None
    moved: float | None


@dataclass(frozen=True, eq=False)
class Observed:
    """Of one source: what was seen, in order of the messages; and what the states of its moments add to the probes [moments, features]."""

    source: Source
    rows: list[Seen]
    features: NDArray[np.float32]
    states: list[tuple[Tensor, Tensor]]  # of its moments, [L, H, P, N] each, if they were asked for


@dataclass
class _Open:
    """A conversation being read: how far, from which states it goes on, what has been found. Changes as reading goes on."""

    number: int
    standing: Standing
    layers: tuple[Tensor, ...] = ()  # one a social layer: [X, H, P, N], the states carried into the next window
    place: dict[str, int] = field(default_factory=dict)  # key → row of them,
    began: dict[str, int] = field(default_factory=dict)  # and the time each is as of
    rows: list[Seen] = field(default_factory=list)
    features: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # by the name of the moment
    states: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


def one_thread() -> None:
    """For a process that observes beside others."""
    torch.set_num_threads(1)


@torch.no_grad()
def observe(checkpoint: Checkpoint, sources: Sequence[Source], asked: Asked = EVERYTHING) -> Iterator[Observed]:
    """Every source, in order. Raises `StateError` for messages that go back in time, `ValueError` for a model without social blocks."""
    if not checkpoint.model.social:
        raise ValueError(f"the model (checkpoint {checkpoint.sha256:.12}…) has no social blocks, so no state to observe; use one with social_every of 1 or more")
    probes = _probes(checkpoint)
    waiting = [_Open(n, Standing.of(source, checkpoint)) for n, source in enumerate(sources)]
    finished: dict[int, Observed] = {}
    told = 0
    while waiting:
        batch: list[tuple[_Open, Window]] = []
        used = 0
        while len(batch) < len(waiting) and used <= TOGETHER - TOKENS:
            one = waiting[len(batch)]
            batch.append((one, next_window(one.standing, checkpoint, asked)))
            used += sum(map(len, batch[-1][1].tokens))
        _read(checkpoint, batch, probes, asked)
        for one, _ in batch:
            if one.standing.done:
                finished[one.number] = _observed(checkpoint.model, one)
        waiting = [one for one, _ in batch if not one.standing.done] + waiting[len(batch) :]
        while told in finished:
            yield finished.pop(told)
            told += 1


def _observed(model: SociaLLM, one: _Open) -> Observed:
    source = one.standing.source
    found = [one.features[m.name] for m in source.moments]
    features = np.stack(found) if found else np.zeros((0, len(PROBES) * model.config.width), np.float32)
    return Observed(source, one.rows, features, [one.states[m.name] for m in source.moments if one.states])


def _state(layers: Sequence[Tensor], row: int) -> Tensor:
    return torch.stack([layer[row] for layer in layers])


# ---- one pass ----------------------------------------------------------------------------------------------------------


def _read(checkpoint: Checkpoint, batch: Sequence[tuple[_Open, Window]], probes: _Probes, asked: Asked) -> None:
    """Read one window of each of some conversations."""
    model = checkpoint.model
    kept = [_kept(one, window) for one, window in batch]
    laid = _laid_out(model, batch)
    public = model.public(laid.sequence, laid.local) if laid.sequence.lengths_M else None
    spans = _spans([window for _, window in batch])
    layers = _states(model, batch, public, laid.flats, spans)
    nats = [np.zeros(0) for _ in batch] if public is None or not asked.rows else _nats_of(model, [window for _, window in batch], laid, public, layers, spans)
    for (one, window), flat, span, row_of, mine, names in zip(batch, laid.flats, spans, kept, nats, laid.channels, strict=True):
        mine_layers = tuple(layer[span] for layer in layers)
        moved = {} if public is None else _moved(model, window, public, flat, mine_layers)
        one.rows += [_seen(record, window, mine, moved) for record in window.records]
        one.features |= _features(model, probes, window, mine_layers)
        if asked.states:
            one.states |= {m.name: (_state(mine_layers, own), _state(mine_layers, other)) for m, own, other in window.moments}
        held = one.standing.held()
        one.standing.times = held
        if not one.standing.done and public is not None:
            one.place, one.began = {key: n for n, key in enumerate(held)}, held
            rows = torch.tensor([row_of[key] for key in held], dtype=torch.long)
            one.layers = tuple(layer.index_select(0, rows) for layer in mine_layers)
            for name, g in names.items():
                local = tuple((state[g : g + 1].clone(), conv[g : g + 1].clone()) for state, conv in public.local)
                one.standing.channels[name] = replace(one.standing.channels[name], layers=local)


def _kept(one: _Open, window: Window) -> dict[str, int]:
    """Key → row, among the window's, of every state that somebody holds after it: what it leaves to the next one."""
    if one.standing.done:
        return {}
    return {key: window.row([key], one.standing.empty, time) for key, time in one.standing.held().items()}


def _spans(windows: Sequence[Window]) -> list[slice]:
    """Where the rows of each window lie: first the empty state, then its rows."""
    ends = np.cumsum([1 + len(window.rows) for window in windows]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True)
class _LaidOut:
    """The windows of a pass as one sequence."""

    sequence: TokenLayout
    local: tuple[tuple[Tensor, Tensor], ...]  # what its channels start from
    flats: list[Tensor]  # of each window: message → message of the sequence
    channels: list[dict[str, int]]  # of each window: name → channel of the sequence


def _laid_out(model: SociaLLM, batch: Sequence[tuple[_Open, Window]]) -> _LaidOut:
    said: list[list[list[int]]] = []
    names: list[dict[str, int]] = []
    places: list[list[tuple[int, int]]] = []
    starts: list[tuple[tuple[Tensor, Tensor], ...]] = []
    for one, window in batch:
        names.append({name: len(said) + g for g, name in enumerate(dict.fromkeys(window.channels))})
        said += [[] for _ in names[-1]]
        starts += [one.standing.channels[name].layers for name in names[-1]]
        places.append([])
        for name, ids in zip(window.channels, window.tokens, strict=True):
            places[-1].append((names[-1][name], len(said[names[-1][name]])))
            said[names[-1][name]].append(ids)
    first = np.concatenate([[0], np.cumsum([len(channel) for channel in said])]).astype(int)
    flats = [torch.tensor([int(first[g]) + i for g, i in places_], dtype=torch.long) for places_ in places]
    return _LaidOut(sequence_of(said, model.config), _local(model, starts), flats, names)


def _local(model: SociaLLM, starts: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Each layer's state and convolution window before every channel; zeros for a new one, which has no layers yet."""
    c, zeros = model.config, model.embedding.weight.new_zeros
    new = (zeros(1, c.local_heads, c.local_head_width, c.local_state), zeros(1, c.conv - 1, c.local_heads * c.local_head_width + 2 * c.local_state))
    if not starts:
        return ()
    return tuple((torch.cat([(s[i] if s else new)[0] for s in starts]), torch.cat([(s[i] if s else new)[1] for s in starts])) for i in range(c.layers))


# ---- states ------------------------------------------------------------------------------------------------------------


def _states(model: SociaLLM, batch: Sequence[tuple[_Open, Window]], public: Public | None, flats: Sequence[Tensor], spans: Sequence[slice]) -> tuple[Tensor, ...]:
    """One a social layer [X, H, P, N]: the rows of every window, composed from its messages' operators and from the states carried in."""
    layers = tuple(model.empty_state(spans[-1].stop)) if spans else ()
    for (one, window), flat, span in zip(batch, flats, spans, strict=True):
        if not window.rows:
            continue
        weights = _weights(model, one, window, public, flat)
        for i, layer in enumerate(layers):
            rows = layer[span]
            if public is not None:
                U_MHPN = public.written[i].U_MHPN.index_select(0, flat)
                for h in range(U_MHPN.shape[1]):
                    torch.mm(weights.message_LHXM[i, h], U_MHPN[:, h].flatten(1), out=rows[:, h].flatten(1))
            if len(weights.start_I):
                gather = gather_of(weights.start_I, weights.into_I, len(rows), rows.shape[1])
                rows += gathered(gather, weights.start_LIH[i], one.layers[i])
    return layers


@dataclass(frozen=True)
class _Weights:
    """By how much messages, and states carried in, enter the rows of a window; row 0 is empty."""

    message_LHXM: Tensor
    start_I: Tensor  # a row of what is carried,
    into_I: Tensor  # the row it enters,
    start_LIH: Tensor  # and by how much


def _weights(model: SociaLLM, one: _Open, window: Window, public: Public | None, flat: Tensor) -> _Weights:
    """All decay between a message and the moment a state is read: of the stream's later messages and of the time passed. In float64, so
    that nothing depends on how many messages there are beside."""
    dynamics = Dynamics.of(model)
    rate_LH, gain_L2H = dynamics.rate_log_LH.double().exp(), dynamics.role_log_L2H.double()
    parts = [(n, key, row) for row, n in window.rows.items() for key in row.parts]
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
    rows = weight_SLHM.new_zeros(1 + len(window.rows), *weight_SLHM.shape[1:])
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


def _moved(model: SociaLLM, window: Window, public: Public, flat: Tensor, layers: Sequence[Tensor]) -> dict[tuple[int, int], float]:
    """(message, row before it) → how far the state is from there after the message has been read (`states.distance`)."""
    pairs = list(dict.fromkeys((record.index - window.first, record.before) for record in window.records if record.before is not None))
    if not pairs:
        return {}
    at, before = flat[[m for m, _ in pairs]], torch.tensor([row for _, row in pairs])
    squares = torch.zeros(3, len(pairs), dtype=torch.float64)
    gain_LH11 = Dynamics.of(model).gain_LH11(READ)
    for i, written in enumerate(public.written):
        S = layers[i].index_select(0, before)
        after = S * written.log_alpha_MH.index_select(0, at).exp()[..., None, None] + gain_LH11[i] * written.U_MHPN.index_select(0, at)
        squares += torch.stack([v.flatten(1).square().sum(1) for v in (S, after, after - S)]).double()
    was, now, apart = squares.sqrt()
    ratio = torch.where(was + now > 0, apart / (was + now).clamp(min=1e-300), 0.0)
    return dict(zip(pairs, ratio.tolist(), strict=True))


# ---- what was not expected ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Picked:
    """Layers of states, rows picked when a layer is asked for: all of them at once would be gigabytes."""

    layers: Sequence[Tensor]
    rows: Tensor

    def __getitem__(self, layer: int) -> Tensor:
        return self.layers[layer].index_select(0, self.rows)


def _nats_of(model: SociaLLM, windows: Sequence[Window], laid: _LaidOut, public: Public, layers: Sequence[Tensor], spans: Sequence[slice]) -> list[NDArray[np.float64]]:
    """Of every read of each window, the nats of its words and end."""
    read = [(int(flat[k]), span.start + own, span.start + other, window.headers[k])
            for window, flat, span in zip(windows, laid.flats, spans, strict=True) for k, own, other in window.reads]
    nats = np.zeros(len(read))
    one_chunk = np.array([laid.sequence.lengths_M[m] <= model.config.social_chunk for m, *_ in read])
    for rows, seen in ((np.flatnonzero(one_chunk), _plain(public)), (np.flatnonzero(~one_chunk), public)):
        for i in range(0, len(rows), READ_TOGETHER):
            some = rows[i : i + READ_TOGETHER]
            nats[some] = _read_some(model, [read[n] for n in some], laid, seen, layers)
    return np.split(nats, np.cumsum([len(window.reads) for window in windows])[:-1])


def _plain(public: Public) -> Public:
    """For messages of one chunk, which have no state between chunks: those read from are then not copied once more to be laid beside it."""
    return replace(public, written=tuple(replace(w, states=replace(w.states, before_KHPN=None)) for w in public.written))


def _read_some(model: SociaLLM, read: Sequence[tuple[int, int, int, int]], laid: _LaidOut, public: Public, layers: Sequence[Tensor]) -> NDArray[np.float64]:
    """Of (message of the sequence, own row, row of the others, length of its header) each."""
    reads = reads_of([m for m, *_ in read], laid.sequence, model.config)
    own, other = (_Picked(layers, torch.tensor([r[i] for r in read])) for i in (1, 2))
    h = model.read(public, reads, own, other)
    before = [np.arange(header - 1, laid.sequence.lengths_M[m] - 1) for m, _, _, header in read]  # the token before each predicted one
    sizes = np.array([len(b) for b in before])
    place = torch.from_numpy(np.concatenate(before) + np.repeat(np.array(reads.starts), sizes))
    target = laid.sequence.tokens_T.index_select(0, reads.tokens.index_select(0, place) + 1)
    nll_Y = _nll(model, model.norm(h.index_select(0, place)), target).double().numpy()
    return np.add.reduceat(nll_Y, np.concatenate([[0], np.cumsum(sizes)[:-1]]))


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


def _seen(record: Record, window: Window, nats: NDArray[np.float64], moved: dict[tuple[int, int], float]) -> Seen:
    k = record.index - window.first
    tokens = len(window.tokens[k]) - window.headers[k]
    on, no_other, no_own, off = (None if place is None else round(float(nats[place]), 6) for place in (record.on, record.no_other, record.no_own, record.off))
    assert off is not None
    cohort = [float(nats[place]) for place in record.cohort]
    return Seen(
        record.index, record.reader, record.role == WROTE, record.own and brief(record.own), record.other and brief(record.other), brief(record.channel),
        tokens, on, no_other, no_own, off, None if on is None else round((on - off) / tokens, 6),
        None if on is None or not cohort else round((on - sum(cohort) / len(cohort)) / tokens, 6),
        None if record.before is None else round(moved[k, record.before], 6),
    )  # fmt: skip


# ---- what states add to a few beginnings -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Probes:
    """Beginnings in a channel where nothing was said before, encoded once."""

    sequence: TokenLayout
    public: Public


def _probes(checkpoint: Checkpoint) -> _Probes:
    header = checkpoint.tokenizer.header(None, 0)
    sequence = sequence_of([[[*header, *checkpoint.tokenizer.encode_text(text)]] for text in PROBES], checkpoint.model.config)
    return _Probes(sequence, checkpoint.model.public(sequence))


def _features(model: SociaLLM, probes: _Probes, window: Window, layers: Sequence[Tensor]) -> dict[int, NDArray[np.float32]]:
    """By name of every moment: what its two states add to the residual at the last token of each probe, one probe after another."""
    found: dict[int, NDArray[np.float32]] = {}
    for i in range(0, len(window.moments), PROBED):
        part = window.moments[i : i + PROBED]
        reads = reads_of([*range(len(PROBES))] * len(part), probes.sequence, model.config)
        own, other = (_Picked(layers, torch.tensor([m[j] for m in part for _ in PROBES])) for j in (1, 2))
        h = model.read(probes.public, reads, own, other)
        last = torch.tensor([s + n - 1 for s, n in zip(reads.starts, probes.sequence.lengths_M * len(part), strict=True)])
        added = h.index_select(0, last) - probes.public.residual[-1].index_select(0, reads.tokens.index_select(0, last))
        for (moment, *_), row in zip(part, added.view(len(part), -1).float().numpy(), strict=True):
            found[moment.name] = row
    return found
