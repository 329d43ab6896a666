"""Batches: windows of conversations, laid out for one pass over all perspectives.

A window is a run of messages of one conversation. Every message is read by its author (speaking) and by one of its other
readers, drawn anew each time (listening); where headers do not tell authors apart, also as if another had written it
(foils). Forgetting edits the streams of a read.

Letters: A agents, M messages in order of time, R reads, V interlocutor rows, Y predicted tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm.chunks import Chunks
from sociallm.conversation import AgentID, Conversation, Message
from sociallm.foils import foils_of
from sociallm.layout import Reads, SociaLLMConfig, TokenLayout, reads_of, sequence_of
from sociallm.streams import HOUR_MS, NEITHER, READ, Incidence, Read, delivered, incidence, interlocutors, previous
from sociallm.tokenizer import MOST_WORDS, SLOTS, Tokenizer

FRAME = 5  # tokens around a message's words, by which windows are measured: gap, author, two addressees, end


@dataclass(frozen=True)
class Encoded:
    """A conversation with its words as token ids, and who has which part in which message."""

    conversation: Conversation
    words: tuple[list[int], ...]  # token ids of every text
    gap: tuple[int | None, ...]  # ms since the channel's previous message
    partners: tuple[tuple[AgentID, ...], ...]  # whom the author has in mind
    agents: tuple[AgentID, ...]
    role_AM: NDArray[np.int8]  # NEITHER, WROTE or READ
    room: int | None  # None: delivered to all readers; n: the "previous n messages" rule

    def cost(self, k: int) -> int:
        """About how many tokens message k takes."""
        return len(self.words[k]) + FRAME


def encode_conversation(conversation: Conversation, tokenizer: Tokenizer, room: int | None = None) -> Encoded:
    """Tokenize once; windows and slots come later. In a room only those who write are agents."""
    earlier: dict[str, list[Message]] = {}
    gaps, partners = [], []
    for m in conversation.messages:
        before = earlier.setdefault(m.channel.name, [])
        gaps.append(m.time - before[-1].time if before else None)
        partners.append(interlocutors(m, before))
        before.append(m)
    messages = conversation.messages
    agents = conversation.participants if room is None else tuple(sorted({m.author for m in messages}))
    role = delivered(messages, agents) if room is None else previous(messages, agents, room)
    words = tuple(tokenizer.encode_text(m.text) for m in messages)
    return Encoded(conversation, words, tuple(gaps), tuple(partners), agents, role, room)


@dataclass(frozen=True)
class Window:
    """Messages first..last-1 of one encoded conversation."""

    encoded: Encoded
    first: int
    last: int

    @property
    def cost(self) -> int:
        """About how many tokens it takes."""
        return sum(self.encoded.cost(k) for k in range(self.first, self.last))


def window_from(encoded: Encoded, first: int, tokens: int, messages: int) -> Window:
    """The longest window from message `first` on of at most so many tokens and messages; of one message at least."""
    last, used = first, 0
    while last < len(encoded.words) and last - first < messages and (last == first or used + encoded.cost(last) <= tokens):
        used += encoded.cost(last)
        last += 1
    return Window(encoded, first, last)


def windows_of(encoded: Encoded, tokens: int, messages: int, start: int = 0) -> list[Window]:
    """Cut a conversation into windows of at most so many tokens and messages, in order, from message `start` on."""
    out: list[Window] = []
    while start < len(encoded.words):
        out.append(window_from(encoded, start, tokens, messages))
        start = out[-1].last
    return out


def drawn_slots(encoded: Encoded, rng: np.random.Generator, alike: float = 0.0) -> dict[AgentID, int]:
    """A slot for every agent of a conversation, at random: which one is whose says nothing. With probability `alike` all have the same
    one, so that only what they say tells them apart."""
    agents = encoded.agents
    if alike and rng.random() < alike:
        return dict.fromkeys(agents, int(rng.integers(SLOTS)))
    return {a: int(s) % SLOTS for a, s in zip(agents, rng.permutation(max(len(agents), SLOTS)), strict=False)}


@dataclass(frozen=True)
class Span:
    """Where a window lies in its batch."""

    window: Window
    agents: slice  # of the batch's agents, in the order of the conversation's
    messages: slice
    channels: tuple[str, ...]  # names of its channels,
    first_channel: int  # the first of them in the sequence


@dataclass(frozen=True)
class Batch:
    """One pass over several windows and all their perspectives. Messages are numbered in order of time, windows in turn."""

    sequence: TokenLayout
    reads: Reads
    flat_M: Tensor  # message (in time) → message in the sequence
    streams: Incidence
    role_AM: NDArray[np.int8]
    author_M: NDArray[np.int64]
    who_R: tuple[Read, ...]
    spans: tuple[Span, ...]
    hours_M: Tensor  # since the message before the window (its first message, where nothing came before)
    hours_R: Tensor
    speaks_R: NDArray[np.bool_]  # reads by the author
    foil_R: NDArray[np.int64]  # of a read as if somebody else had written it, the author's own read; -1 for all others
    message_R: NDArray[np.int64]  # which message is read, in order of time
    place: Tensor  # [Y] read tokens whose successor is predicted
    target: Tensor  # [Y] that successor
    read_Y: Tensor  # [Y] the read it belongs to
    bytes_R: NDArray[np.int64]  # UTF-8 bytes of the text read


@dataclass(frozen=True)
class _Line:
    """A message as it goes into a batch; agents are numbered within its conversation."""

    channel: str
    header: list[int]
    words: list[int]
    author: int
    partners: tuple[int, ...]
    hours: float
    bytes: int
    listener: int | None
    foils: tuple[int, ...]


def _lines(
    w: Window, tokenizer: Tokenizer, rng: np.random.Generator, max_words: int, listen: float, slots: Mapping[AgentID, int], foils: bool, as_if: Mapping[int, Sequence[int]],
) -> list[_Line]:
    e = w.encoded
    alike = foils and len(e.agents) > 2 and len(set(slots.values())) == 1
    able = foils_of(e.conversation, e.agents, e.role_AM, [len(words) for words in e.words], w.first, w.last) if alike else None
    messages = e.conversation.messages
    index = {a: i for i, a in enumerate(e.agents)}
    zero = messages[max(0, w.first - 1)].time
    lines = []
    for k in range(w.first, w.last):
        m, words = messages[k], e.words[k][:max_words]
        known = tuple(a for a in e.partners[k] if a in index)
        named = known if m.addressees or len(m.channel.readers) == 2 else ()
        text = m.text if len(words) == len(e.words[k]) else tokenizer.decode(words)
        listeners = np.flatnonzero(e.role_AM[:, k] == READ)
        heard = len(listeners) > 0 and rng.random() < listen
        drawn = (int(rng.choice(able[k - w.first])),) if able is not None and len(able[k - w.first]) else ()
        listener = int(rng.choice(listeners)) if heard else None
        lines.append(_Line(
            m.channel.name, tokenizer.header(e.gap[k], slots[m.author], [slots[a] for a in named]), words, index[m.author],
            tuple(index[a] for a in known), (m.time - zero) / HOUR_MS, len(text.encode()), listener, (*drawn, *as_if.get(k, ())),
        ))  # fmt: skip
    return lines


def batch_of(
    windows: Sequence[Window], tokenizer: Tokenizer, config: SociaLLMConfig, rng: np.random.Generator, max_words: int = MOST_WORDS, listen: float = 1.0,
    slots: Mapping[AgentID, int] | Sequence[Mapping[AgentID, int]] | None = None, foils: bool = False,
    as_if: Mapping[int, Sequence[int]] = MappingProxyType({}),
) -> Batch:  # fmt: skip
    """Lay windows out. `slots` gives every agent's slot (as in a run, or one mapping a window); without it `rng` draws them.
    A message is listened to with probability `listen`, by a reader drawn from its readers, and cut after `max_words` tokens. With `foils`,
    windows whose agents all have one slot are also read as if others had written them; `as_if` (a message's number in its conversation →
    numbers of agents) names others who might have."""
    channels: list[list[list[int]]] = []
    place_M: list[tuple[int, int]] = []  # (channel, index in channel)
    reads: list[Read] = []
    authors: list[int] = []  # see foil_R
    speaks: list[bool] = []
    spans: list[Span] = []
    lines: list[_Line] = []
    agents = 0
    for i, w in enumerate(windows):
        own_slots = drawn_slots(w.encoded, rng) if slots is None else slots if isinstance(slots, Mapping) else slots[i]
        new = _lines(w, tokenizer, rng, max_words, listen, own_slots, foils, as_if)
        index = {name: len(channels) + c for c, name in enumerate(dict.fromkeys(line.channel for line in new))}
        channels += [[] for _ in index]
        for k, line in enumerate(new, len(lines)):
            c = index[line.channel]
            place_M.append((c, len(channels[c])))
            channels[c].append([*line.header, *line.words, tokenizer.END])
            reads.append(Read(k, agents + line.author, tuple(agents + a for a in line.partners)))
            speaks.append(True)
            authors.append(-1)
            own_read = len(reads) - 1
            if line.listener is not None:
                reads.append(Read(k, agents + line.listener, (agents + line.author,)))
                speaks.append(False)
                authors.append(-1)
            for foil in line.foils:
                reads.append(Read(k, agents + foil, tuple(agents + a for a in line.partners if a != foil)))
                speaks.append(False)
                authors.append(own_read)
        here = slice(len(lines), len(lines) + len(new))
        spans.append(Span(w, slice(agents, agents + len(w.encoded.agents)), here, tuple(index), len(channels) - len(index)))
        lines += new
        agents += len(w.encoded.agents)
    role_AM = np.zeros((agents, len(lines)), np.int8)
    author_M = np.zeros(len(lines), np.int64)
    for span in spans:
        role_AM[span.agents, span.messages] = span.window.encoded.role_AM[:, span.window.first : span.window.last]
        author_M[span.messages] = [span.agents.start + line.author for line in lines[span.messages]]
    return _batch(channels, place_M, lines, reads, speaks, authors, spans, role_AM, author_M, config)


def _batch(
    channels: list[list[list[int]]], place_M: list[tuple[int, int]], lines: list[_Line], reads: list[Read], speaks: list[bool], authors: list[int], spans: list[Span],
    role_AM: NDArray[np.int8], author_M: NDArray[np.int64], config: SociaLLMConfig,
) -> Batch:  # fmt: skip
    sequence = sequence_of(channels, config)
    first_of = np.concatenate([[0], np.cumsum([len(c) for c in channels])]).astype(int)
    flat = np.array([first_of[c] + i for c, i in place_M], np.int64)
    message_R = np.array([r.message for r in reads], np.int64)
    layout = reads_of([int(flat[m]) for m in message_R], sequence, config)
    place, read_Y = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, m in enumerate(message_R):
        before = np.arange(len(lines[m].header) - 1, sequence.lengths_M[int(flat[m])] - 1)  # the token before each predicted one
        place.append(layout.starts[i] + before)
        read_Y.append(np.full(len(before), i))
    place_Y = torch.from_numpy(np.concatenate(place))
    hours_M = torch.tensor([line.hours for line in lines], dtype=torch.float64)
    return Batch(
        sequence=sequence, reads=layout, flat_M=torch.from_numpy(flat), streams=incidence(reads, role_AM, author_M), role_AM=role_AM,
        author_M=author_M, who_R=tuple(reads), spans=tuple(spans), hours_M=hours_M, hours_R=hours_M[torch.from_numpy(message_R)],
        speaks_R=np.array(speaks, bool), foil_R=np.array(authors, np.int64), message_R=message_R, place=place_Y, target=sequence.tokens_T[layout.tokens[place_Y] + 1],
        read_Y=torch.from_numpy(np.concatenate(read_Y)), bytes_R=np.array([lines[m].bytes for m in message_R], np.int64),
    )  # fmt: skip


def on(value: Any, device: torch.device) -> Any:
    """A layout (Batch and what it is made of) with its tensors on a device; what is only bookkeeping stays where it is."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, (Batch, TokenLayout, Reads, Chunks)):
        return replace(value, **{f.name: on(getattr(value, f.name), device) for f in fields(value)})
    return value


FORGET = ((False, False), (True, False), (False, True), (True, True))  # (own, interlocutor)
FORGET_SHARE = (0.75, 0.10, 0.10, 0.05)


def forgetting(streams: Incidence, rng: np.random.Generator, foil_R: NDArray[np.int64] | None = None) -> Incidence:
    """Streams after the forgetting draw of each read: nothing, own, interlocutor or both; all of it, or all before a moment. A read with a
    foil, and the foil's, forget nothing: their states are compared."""
    R, M = streams.own_RM.shape
    kind = rng.choice(len(FORGET), size=R, p=FORGET_SHARE)
    if foil_R is not None:
        kind[foil_R >= 0] = 0
        kind[foil_R[foil_R >= 0]] = 0
    held = streams.own_RM != NEITHER
    first, last = held.argmax(1), np.where(held.any(1), M - held[:, ::-1].argmax(1), 0)  # of the read's own window: a batch holds several
    cut = np.where(rng.random(R) < 0.5, M, first + (rng.random(R) * (last - first)).astype(np.int64))  # messages before `cut` are forgotten
    kept = np.arange(M)[None, :] >= cut[:, None]
    own = np.array([k[0] for k in FORGET])[kind]
    other = np.array([k[1] for k in FORGET])[kind][streams.read_V]
    return replace(
        streams,
        own_RM=np.where(own[:, None] & ~kept, NEITHER, streams.own_RM).astype(np.int8),
        other_VM=np.where(other[:, None] & ~kept[streams.read_V], NEITHER, streams.other_VM).astype(np.int8),
        own_start_R=_less(streams.own_start_R, own),
        other_start_V=_less(streams.other_start_V, other),
    )


def _less(kept: NDArray[np.bool_] | None, gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ~gone if kept is None else kept & ~gone


def emptied(streams: Incidence, own: bool, other: bool) -> Incidence:
    """Streams with the own state, the interlocutor state, or both emptied for every read."""
    return replace(
        streams,
        own_RM=np.zeros_like(streams.own_RM) if own else streams.own_RM,
        other_VM=np.zeros_like(streams.other_VM) if other else streams.other_VM,
        own_start_R=np.zeros(len(streams.own_RM), bool) if own else streams.own_start_R,
        other_start_V=np.zeros(len(streams.other_VM), bool) if other else streams.other_start_V,
    )
