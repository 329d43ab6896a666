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

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import AgentID
from sociallm.layout import TokenLayout, sequence_of
from sociallm.model import Public, SociaLLM
from sociallm.readings import WAYS, Reading, heard, nats_of
from sociallm.states import Dynamics, brief
from sociallm.streams import HOUR_MS, READ, WROTE, gather_of, gathered
from sociallm.trails import NOTHING, ROWS, TOKENS, Asked, Row, Source, Standing, Window, next_window

TOGETHER, STATES = 16384, 3072  # tokens, and states (of the shipped model 384 MiB), of one pass: windows of several conversations
MOVED, PROBED = 16, 64  # states compared, moments probed at once: they stay in the cache
PROBES = ("I will", "We agree", "You said that", "What will you do?")  # beginnings at which what a pair of states adds is read out
EVERYTHING = Asked()
Place = tuple[int, int, int]  # of a reading in a pass: message of the sequence, own row, row of the others


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


def must_have_states(checkpoint: Checkpoint) -> None:
    """Raises `ValueError` for a model without social blocks."""
    if not checkpoint.model.social:
        raise ValueError(f"the model (checkpoint {checkpoint.sha256:.12}…) has no social blocks, so no state to observe; use one with social_every of 1 or more")


@torch.no_grad()
def observe(checkpoint: Checkpoint, sources: Sequence[Source], asked: Asked = EVERYTHING) -> Iterator[Observed]:
    """Every source, in order. Raises `StateError` for messages that go back in time, `ValueError` for a model without social blocks."""
    must_have_states(checkpoint)
    probes = _probes(checkpoint)
    waiting = [_Open(n, Standing.of(source, checkpoint)) for n, source in enumerate(sources)]
    finished: dict[int, Observed] = {}
    told = 0
    while waiting:
        batch: list[tuple[_Open, Window]] = []
        used = states = 0
        while len(batch) < len(waiting) and used <= TOGETHER - TOKENS and states <= STATES - ROWS:
            one = waiting[len(batch)]
            batch.append((one, next_window(one.standing, checkpoint, asked)))
            used += sum(map(len, batch[-1][1].tokens))
            states += len(batch[-1][1].rows)
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
    """Read one window of each of some conversations. What several of them hold alike, as twins do up to where they part, is done once."""
    model = checkpoint.model
    kept = [_kept(one, window) for one, window in batch]
    laid = _laid_out(model, batch)
    public = model.public(laid.sequence, laid.local) if laid.sequence.lengths_M else None
    placed = _placed([window for _, window in batch])
    layers = _states(model, batch, public, laid, placed)
    nats, moved = _Nats({}, {}), {}
    if public is not None and asked.rows:
        windows = [window for _, window in batch]
        nats, moved = _nats(model, windows, laid, placed, public, layers), _moved(model, windows, laid, placed, public, layers)
    features = _features(model, probes, {pair for (_, window), rows in zip(batch, placed.rows, strict=True) for _, pair in _moments(window, rows)}, layers)
    for (one, window), flat, rows, kept_rows, names in zip(batch, laid.flats, placed.rows, kept, laid.channels, strict=True):
        one.rows += _seen(window, flat, rows, nats, moved)
        for name, pair in _moments(window, rows):
            one.features[name] = features[pair]
            if asked.states:
                one.states[name] = _state(layers, pair[0]), _state(layers, pair[1])
        held = one.standing.held()
        one.standing.times = held
        if not one.standing.done and public is not None:
            one.place, one.began = {key: n for n, key in enumerate(held)}, held
            one.layers = tuple(layer.index_select(0, torch.tensor([rows[kept_rows[key]] for key in held], dtype=torch.long)) for layer in layers)
            for name, g in names.items():
                local = tuple((state[g : g + 1].clone(), conv[g : g + 1].clone()) for state, conv in public.local)
                one.standing.channels[name] = replace(one.standing.channels[name], layers=local)


def _moments(window: Window, rows: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    """(name, (row of the own state, row of the others) in the pass) of each moment."""
    return [(m.name, (rows[own], rows[other])) for m, own, other in window.moments]


def _kept(one: _Open, window: Window) -> dict[str, int]:
    """Key → row, among the window's, of every state that somebody holds after it: what it leaves to the next one."""
    if one.standing.done:
        return {}
    return {key: window.row([key], one.standing.empty, time) for key, time in one.standing.held().items()}


@dataclass(frozen=True)
class _Placed:
    """The states that the windows of a pass need, each made once."""

    rows: list[list[int]]  # of each window: its rows → rows of the pass; 0 is empty in both
    fresh: list[list[Row]]  # those that no window before it has; they follow one another in the pass
    count: int


def _placed(windows: Sequence[Window]) -> _Placed:
    place: dict[Row, int] = {}
    rows, fresh = [], []
    for window in windows:
        fresh.append([row for row in window.rows if row not in place])
        for row in fresh[-1]:
            place[row] = len(place) + 1
        rows.append([NOTHING, *(place[row] for row in window.rows)])
    return _Placed(rows, fresh, len(place))


@dataclass(frozen=True)
class _LaidOut:
    """The windows of a pass as one sequence, in which no channel stands twice with the same words after the same history."""

    sequence: TokenLayout
    local: tuple[tuple[Tensor, Tensor], ...]  # what its channels start from
    flats: list[list[int]]  # of each window: message → message of the sequence, the same one for what has the same history
    channels: list[dict[str, int]]  # of each window: name → channel of the sequence


def _laid_out(model: SociaLLM, batch: Sequence[tuple[_Open, Window]]) -> _LaidOut:
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
    return _LaidOut(sequence_of(said, model.config), _local(model, starts), flats, names)


def _local(model: SociaLLM, starts: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> tuple[tuple[Tensor, Tensor], ...]:
    """Each layer's state and convolution window before every channel; zeros for a new one, which has no layers yet."""
    c, zeros = model.config, model.embedding.weight.new_zeros
    new = (zeros(1, c.local_heads, c.local_head_width, c.local_state), zeros(1, c.conv - 1, c.local_heads * c.local_head_width + 2 * c.local_state))
    if not starts:
        return ()
    return tuple((torch.cat([(s[i] if s else new)[0] for s in starts]), torch.cat([(s[i] if s else new)[1] for s in starts])) for i in range(c.layers))


# ---- states ------------------------------------------------------------------------------------------------------------


def _states(model: SociaLLM, batch: Sequence[tuple[_Open, Window]], public: Public | None, laid: _LaidOut, placed: _Placed) -> tuple[Tensor, ...]:
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


def _weights(model: SociaLLM, one: _Open, window: Window, fresh: Sequence[Row], public: Public | None, flat: Tensor) -> _Weights:
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


def _moved(
    model: SociaLLM, windows: Sequence[Window], laid: _LaidOut, placed: _Placed, public: Public, layers: Sequence[Tensor]
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


# ---- what was not expected ---------------------------------------------------------------------------------------------


class _Nats(NamedTuple):
    """Of (message of the sequence, own row, row of the others): the nats of its words and end."""

    four: dict[Place, list[float]]  # in the order of WAYS
    one: dict[Place, float]


def _nats(model: SociaLLM, windows: Sequence[Window], laid: _LaidOut, placed: _Placed, public: Public, layers: Sequence[Tensor]) -> _Nats:
    found = []
    for four in (True, False):
        headers: dict[Place, int] = {}
        for window, flat, rows in zip(windows, laid.flats, placed.rows, strict=True):
            for k, own, other in window.readings if four else window.singles:
                headers[flat[k], rows[own], rows[other]] = window.headers[k]
        readings = [Reading(*place, header) for place, header in headers.items()]
        found.append(dict(zip(headers, nats_of(model, laid.sequence, public, layers, readings, four).round(6).tolist(), strict=True)))
    return _Nats(found[0], {place: nats for place, (nats,) in found[1].items()})


def _seen(window: Window, flat: Sequence[int], rows: Sequence[int], nats: _Nats, moved: dict[tuple[int, int], float]) -> Iterator[Seen]:
    """The rows of a window."""
    readings, singles = ([(flat[k], rows[own], rows[other]) for k, own, other in some] for some in (window.readings, window.singles))
    for r in window.records:
        k = r.index - window.first
        tokens = len(window.tokens[k]) - window.headers[k]
        told: list[float | None] = [*nats.four[readings[r.reading]]]
        off = nats.four[readings[r.reading]][WAYS.index("off")]
        if r.reader is None:
            told = [None, None, None if r.alone is None else nats.one[singles[r.alone]], off]
        no_other, on, no_own, _ = told
        cohort = [nats.one[singles[place]] for place in r.cohort]
        yield Seen(
            r.index, r.reader, r.role == WROTE, r.own and brief(r.own), r.other and brief(r.other), brief(r.channel), tokens, on, no_other, no_own, off,
            None if on is None else round((on - off) / tokens, 6), None if on is None or not cohort else round((on - sum(cohort) / len(cohort)) / tokens, 6),
            None if r.before is None else round(moved[flat[k], rows[r.before]], 6),
        )  # fmt: skip


# ---- what states add to a few beginnings -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Probes:
    """Beginnings in a channel where nothing was said before, encoded once, each in one chunk."""

    sequence: TokenLayout
    public: Public


def _probes(checkpoint: Checkpoint) -> _Probes:
    header = checkpoint.tokenizer.header(None, 0)
    said = [[*header, *checkpoint.tokenizer.encode_text(text)] for text in PROBES]
    wide = -(-max(map(len, said)) // 4) * 4
    sequence = sequence_of([[ids] for ids in said], replace(checkpoint.model.config, social_chunk=wide))
    return _Probes(sequence, checkpoint.model.public(sequence))


def _features(model: SociaLLM, probes: _Probes, pairs: Collection[tuple[int, int]], layers: Sequence[Tensor]) -> dict[tuple[int, int], NDArray[np.float32]]:
    """By (own row, row of the others): what the two states add to the residual at the last token of each probe, one probe after another."""
    known, found = sorted(pairs), []
    for m, (length, start) in enumerate(zip(probes.sequence.lengths_M, probes.sequence.starts_M, strict=True)):
        before = probes.public.residual[-1][start + length - 1]
        parts = [known[i : i + PROBED] for i in range(0, len(known), PROBED)]
        at_last = [heard(model, probes.sequence, probes.public, layers, [Reading(m, *pair, 0) for pair in part], (length - 1, length), False) for part in parts]
        found.append(torch.cat([h.flatten(0, 2) - before for h in at_last]) if parts else before.new_zeros(0, len(before)))
    return dict(zip(known, torch.cat(found, -1).float().numpy(), strict=True))
