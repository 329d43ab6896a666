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

Strictly causal: a row depends on no later message, and on no message in a channel that its reader does not read. Its keys are the same to
the letter; its numbers may be rounded otherwise by what is read beside them (single precision: some 3e-6 nats in the shipped model).

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
from sociallm.passes import Carried, LaidOut, Placed, laid_out, moved_by, rows_of, states_of
from sociallm.readings import ALL, ENERGY, ON, Reading, Ways, heard, nats_of
from sociallm.states import brief
from sociallm.streams import WROTE
from sociallm.trails import ROWS, TOKENS, Asked, Source, Standing, Window, next_window

TOGETHER, STATES = 16384, 3072  # tokens, and states (of the shipped model 384 MiB), of one pass: windows of several conversations
PROBED = 64  # moments probed at once: they stay in the cache
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
    nats_no_other: float | None  # None where energies alone were asked for,
    nats_no_own: float | None  # as this
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


@dataclass(kw_only=True)
class _Open(Carried):
    """A conversation being read, its number, and what has been found in it. Changes as reading goes on."""

    number: int
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
    waiting = [_Open(number=n, standing=Standing.of(source, checkpoint)) for n, source in enumerate(sources)]
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
    laid = laid_out(model, batch)
    public = model.public(laid.sequence, laid.local) if laid.sequence.lengths_M else None
    placed = rows_of([window for _, window in batch])
    layers = states_of(model, batch, public, laid, placed)
    nats, moved = _Nats({}, {}), {}
    if public is not None and asked.rows:
        windows = [window for _, window in batch]
        nats, moved = _nats(model, windows, laid, placed, public, layers, ENERGY if asked.energies else ALL), moved_by(model, windows, laid, placed, public, layers)
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


# ---- what was not expected ---------------------------------------------------------------------------------------------


class _Nats(NamedTuple):
    """Of (message of the sequence, own row, row of the others): the nats of its words and end."""

    each: dict[Place, dict[str, float]]  # by way
    one: dict[Place, float]


def _nats(model: SociaLLM, windows: Sequence[Window], laid: LaidOut, placed: Placed, public: Public, layers: Sequence[Tensor], several: Ways) -> _Nats:
    found = []
    for ways in (several, ON):
        headers: dict[Place, int] = {}
        for window, flat, rows in zip(windows, laid.flats, placed.rows, strict=True):
            for k, own, other in window.singles if ways == ON else window.readings:
                headers[flat[k], rows[own], rows[other]] = window.headers[k]
        readings = [Reading(*place, header) for place, header in headers.items()]
        found.append(dict(zip(headers, nats_of(model, laid.sequence, public, layers, readings, ways).round(6).tolist(), strict=True)))
    return _Nats({place: dict(zip(several, nats, strict=True)) for place, nats in found[0].items()}, {place: nats for place, (nats,) in found[1].items()})


def _seen(window: Window, flat: Sequence[int], rows: Sequence[int], nats: _Nats, moved: dict[tuple[int, int], float]) -> Iterator[Seen]:
    """The rows of a window."""
    readings, singles = ([(flat[k], rows[own], rows[other]) for k, own, other in some] for some in (window.readings, window.singles))
    for r in window.records:
        k = r.index - window.first
        tokens = len(window.tokens[k]) - window.headers[k]
        by_way = nats.each[readings[r.reading]]
        no_other, on, no_own, off = by_way.get("no_other"), by_way["on"], by_way.get("no_own"), by_way["off"]
        if r.reader is None:
            no_other, on, no_own = None, None, None if r.alone is None else nats.one[singles[r.alone]]
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
        at_last = [heard(model, probes.sequence, probes.public, layers, [Reading(m, *pair, 0) for pair in part], (length - 1, length), ON) for part in parts]
        found.append(torch.cat([h.flatten(0, 2) - before for h in at_last]) if parts else before.new_zeros(0, len(before)))
    return dict(zip(known, torch.cat(found, -1).float().numpy(), strict=True))
