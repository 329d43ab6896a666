"""Batches: windows of conversations, laid out for one pass over all perspectives.

A window is a run of messages of one conversation. Every message is read by its author (speaking) and by one of its other
readers, drawn anew each time (listening; SCIENCE 1.4). Forgetting (SCIENCE 1.7) edits the streams of a read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm.conversation import AgentID, Conversation, Message
from sociallm.model import Reads, SociaLLMConfig, TokenLayout, reads_of, sequence_of
from sociallm.streams import HOUR_MS, NEITHER, READ, Incidence, Read, delivered, incidence, interlocutors, previous
from sociallm.tokenizer import SLOTS, Tokenizer

FRAME = 5  # tokens around a message's words, by which windows are measured: gap, author, two addressees, end


@dataclass(frozen=True)
class Encoded:
    """A conversation with its words as token ids, and who has which part in which message."""

    conversation: Conversation
    words: tuple[list[int], ...]  # token ids of every text
    gap: tuple[int | None, ...]  # ms since the channel's previous message
    partners: tuple[tuple[str, ...], ...]  # whom the author has in mind
    room: int | None  # None: delivered to all readers; n: the "previous n messages" rule


def encode_conversation(conversation: Conversation, tokenizer: Tokenizer, room: int | None = None) -> Encoded:
    """Tokenize once; windows and slots come later."""
    earlier: dict[str, list[Message]] = {}
    gaps, partners = [], []
    for m in conversation.messages:
        before = earlier.setdefault(m.channel.name, [])
        gaps.append(m.time - before[-1].time if before else None)
        partners.append(interlocutors(m, before))
        before.append(m)
    words = tuple(tokenizer.encode_text(m.text) for m in conversation.messages)
    return Encoded(conversation, words, tuple(gaps), tuple(partners), room)


@dataclass(frozen=True)
class Window:
    """Messages first..last-1 of one encoded conversation."""

    encoded: Encoded
    first: int
    last: int


def windows_of(encoded: Encoded, tokens: int, messages: int, start: int = 0) -> list[Window]:
    """Cut a conversation into windows of at most so many tokens and messages, in order, from message `start` on."""
    out, first, used = [], start, 0
    for k in range(start, len(encoded.words)):
        cost = len(encoded.words[k]) + FRAME
        if k > first and (used + cost > tokens or k - first >= messages):
            out.append(Window(encoded, first, k))
            first, used = k, 0
        used += cost
    if first < len(encoded.words):
        out.append(Window(encoded, first, len(encoded.words)))
    return out


@dataclass(frozen=True)
class Batch:
    """One pass over several windows and all their perspectives. Messages are numbered in order of time, windows in turn."""

    sequence: TokenLayout
    reads: Reads
    flat_M: Tensor  # message (in time) → message in the sequence
    streams: Incidence
    hours_M: Tensor
    hours_R: Tensor
    speaks_R: NDArray[np.bool_]  # reads by the author; the others listen
    message_R: NDArray[np.int64]  # which message is read, in order of time
    place: Tensor  # [Y] read tokens whose successor is predicted
    target: Tensor  # [Y] that successor
    read_Y: Tensor  # [Y] the read it belongs to
    bytes_R: NDArray[np.int64]  # UTF-8 bytes of the text read


def batch_of(
    windows: Sequence[Window], tokenizer: Tokenizer, config: SociaLLMConfig, rng: np.random.Generator, max_words: int = 400, listen: float = 1.0,
    slots: Mapping[AgentID, int] | None = None,
) -> Batch:  # fmt: skip
    """Lay windows out. `rng` draws slots (unless `slots` gives every agent's, as in a run) and listeners; a message is
    listened to with probability `listen`, and cut after `max_words` tokens."""
    channels: list[list[list[int]]] = []
    place_of: list[tuple[int, int]] = []  # message in time → (channel, index in channel)
    headers: list[int] = []  # tokens before the first predicted one
    reads: list[Read] = []
    speaks: list[bool] = []
    roles: list[NDArray[np.int8]] = []
    authors: list[int] = []
    hours: list[float] = []
    sizes: list[int] = []
    agents_before = 0
    for w in windows:
        all_messages = w.encoded.conversation.messages
        messages = all_messages[w.first : w.last]
        agents = sorted({m.author for m in messages} | ({r for m in messages for r in m.channel.readers} if w.encoded.room is None else set()))
        index = {a: i for i, a in enumerate(agents)}
        drawn = rng.permutation(max(len(agents), SLOTS))[: len(agents)] % SLOTS
        slot = drawn if slots is None else np.array([slots[a] for a in agents])
        role = delivered(messages, agents) if w.encoded.room is None else previous(messages, agents, w.encoded.room)
        channel_index: dict[str, int] = {}
        base = len(authors)
        for k, m in enumerate(messages, w.first):
            if m.channel.name not in channel_index:
                channel_index[m.channel.name] = len(channels)
                channels.append([])
            c = channel_index[m.channel.name]
            audience = [int(slot[index[a]]) for a in w.encoded.partners[k] if a in index] if m.addressees or len(m.channel.readers) == 2 else []
            header = tokenizer.header(w.encoded.gap[k], int(slot[index[m.author]]), audience)
            words = w.encoded.words[k][:max_words]
            place_of.append((c, len(channels[c])))
            channels[c].append([*header, *words, tokenizer.END])
            headers.append(len(header))
            authors.append(agents_before + index[m.author])
            hours.append((m.time - messages[0].time) / HOUR_MS)
            sizes.append(len((m.text if len(words) == len(w.encoded.words[k]) else tokenizer.decode(words)).encode()))
            here = base + k - w.first
            partners = tuple(agents_before + index[a] for a in w.encoded.partners[k] if a in index)
            reads.append(Read(here, agents_before + index[m.author], partners))
            speaks.append(True)
            listeners = np.flatnonzero(role[:, k - w.first] == READ)
            if len(listeners) and rng.random() < listen:
                reads.append(Read(here, agents_before + int(rng.choice(listeners)), (agents_before + index[m.author],)))
                speaks.append(False)
        roles.append(role)
        agents_before += len(agents)
    role_AM = np.zeros((agents_before, len(authors)), np.int8)
    a = k = 0
    for role in roles:
        role_AM[a : a + role.shape[0], k : k + role.shape[1]] = role
        a, k = a + role.shape[0], k + role.shape[1]
    sequence = sequence_of(channels, config)
    first_of = np.concatenate([[0], np.cumsum([len(c) for c in channels])]).astype(int)
    flat = np.array([first_of[c] + i for c, i in place_of], np.int64)
    message_R = np.array([r.message for r in reads], np.int64)
    layout = reads_of([int(flat[m]) for m in message_R], sequence, config)
    place, read_Y = [], []
    for i, m in enumerate(message_R):
        before = np.arange(headers[m] - 1, sequence.lengths_M[int(flat[m])] - 1)  # the token before each predicted one
        place.append(layout.starts[i] + before)
        read_Y.append(np.full(len(before), i))
    place_Y = torch.from_numpy(np.concatenate(place))
    hours_M = torch.tensor(hours, dtype=torch.float64)
    return Batch(
        sequence=sequence, reads=layout, flat_M=torch.from_numpy(flat), streams=incidence(reads, role_AM, np.array(authors, np.int64)),
        hours_M=hours_M, hours_R=hours_M[torch.from_numpy(message_R)], speaks_R=np.array(speaks), message_R=message_R,
        place=place_Y, target=sequence.tokens_T[layout.tokens[place_Y] + 1], read_Y=torch.from_numpy(np.concatenate(read_Y)),
        bytes_R=np.array([sizes[m] for m in message_R], np.int64),
    )  # fmt: skip


FORGET = ((False, False), (True, False), (False, True), (True, True))  # (own, interlocutor)
FORGET_SHARE = (0.75, 0.10, 0.10, 0.05)


def forgetting(streams: Incidence, rng: np.random.Generator) -> Incidence:
    """Streams after the forgetting draw of each read: nothing, own, interlocutor or both; all of it, or all before a moment."""
    R, M = streams.own_RM.shape
    kind = rng.choice(len(FORGET), size=R, p=FORGET_SHARE)
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
    )


def emptied(streams: Incidence, own: bool, other: bool) -> Incidence:
    """Streams with the own state, the interlocutor state, or both emptied for every read."""
    return replace(
        streams,
        own_RM=np.zeros_like(streams.own_RM) if own else streams.own_RM,
        other_VM=np.zeros_like(streams.other_VM) if other else streams.other_VM,
    )


def packed(windows: Sequence[Window], tokens: int, rng: np.random.Generator) -> Iterator[list[Window]]:
    """Windows in random order, put together until about `tokens` tokens are reached."""
    group: list[Window] = []
    used = 0
    for i in rng.permutation(len(windows)):
        w = windows[i]
        cost = sum(len(ids) + FRAME for ids in w.encoded.words[w.first : w.last])
        if group and used + cost > tokens:
            yield group
            group, used = [], 0
        group.append(w)
        used += cost
    if group:
        yield group

