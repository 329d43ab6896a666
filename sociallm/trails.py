"""Whose memory takes in what, and from which states each message is read: the bookkeeping of an observer, by key, without a tensor.

A state is known by its key, which names its history (`states.next_key`). So whoever has met the same holds the same state, and it is
reckoned with once: in a public room everybody's state of one author is one, whatever the room's size. Keys are those of a live run:
messages are taken in one after another, in the order in which they were delivered, by all readers of their channels.

What is asked of a message is settled before anybody takes it in, so nothing here can know of a later one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import AgentID, Conversation, Message
from sociallm.encode import header_of
from sociallm.foils import KNOWN
from sociallm.states import LocalState, check_order, empty_key, message_hash, next_key
from sociallm.streams import READ, RECENT_MESSAGES, WROTE
from sociallm.tokenizer import MOST_WORDS

MOST_READERS = 8  # of a channel, beside the author, whose readings are each told; of more, one stands for all
COHORT = 4  # others at most (`attribution`)
TOKENS, MESSAGES = 2048, 128  # of a window
ROWS = 1024  # states made for a window: 128 MiB of the shipped model's
NOTHING = 0  # the row of the empty state


@dataclass(frozen=True, kw_only=True)
class Moment:
    """After so many messages, at a time: what an agent holds of itself and, on the average, of others. `name` is whoever asks's own."""

    after: int
    time: int
    holder: AgentID
    about: tuple[AgentID, ...]
    name: int = 0


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is observed: messages in the order in which they were delivered, every agent's slot, and moments in order of `after`."""

    conversation: Conversation
    slots: Mapping[AgentID, int]
    moments: tuple[Moment, ...] = ()

    def __post_init__(self) -> None:
        after = [m.after for m in self.moments]
        if after != sorted(after) or (after and after[-1] > len(self.conversation.messages)):
            raise ValueError(f"moments after {after!s:.60} of {len(self.conversation.messages)} messages; give them in order, none after more than there are")


@dataclass(frozen=True)
class Asked:
    """What is to be told of each message beside the keys."""

    rows: bool = True  # anything: without, only keys are kept and moments told
    readers: bool = True  # how everybody else reads it, not its author alone
    cohort: bool = False  # how likely it were if others had written it
    energies: bool = False  # with both states and without any alone: what E_rel asks for
    states: bool = False  # and the two states of each moment themselves


@dataclass(frozen=True)
class Row:
    """A state to be made: the mean of `parts` (keys) and so many empty ones that there are `of` in all, as read at `time`."""

    parts: tuple[str, ...]
    of: int
    time: int


@dataclass(frozen=True)
class Record:
    """One line of the table before its numbers: who reads message `index`, the keys after it, and where its readings stand in the window.

    `reader` is None for all readers of a large room beside the author: `reading` is then its author's, told without states alone, and
    `alone` the one with their state of the author, None where they do not hold one and the same.
    """

    index: int
    reader: AgentID | None
    role: int
    own: str | None
    other: str | None
    channel: str
    reading: int  # among `readings`
    alone: int | None = None  # among `singles`
    cohort: tuple[int, ...] = ()  # among `singles`: as others would have written it
    before: int | None = None  # row of the reader's state of the author before the message


@dataclass
class Standing:
    """How far a conversation has been read: whose state has which key, and what each channel goes on from. Changes as reading goes on."""

    source: Source
    empty: str
    next: int = 0
    moment: int = 0
    own: dict[AgentID, str] = field(default_factory=dict)
    others: dict[tuple[AgentID, AgentID], str] = field(default_factory=dict)  # (holder, about whom)
    times: dict[str, int] = field(default_factory=dict)  # of every key alive, the time of its last message
    channels: dict[str, LocalState] = field(default_factory=dict)
    said: dict[AgentID, tuple[int, int]] = field(default_factory=dict)  # (messages written, the last of them)

    @classmethod
    def of(cls, source: Source, checkpoint: Checkpoint) -> Standing:
        """Before the first message."""
        return cls(source, empty_key(checkpoint.sha256))

    @property
    def done(self) -> bool:
        """Whether all has been read, and all moments told."""
        return self.next == len(self.source.conversation.messages) and self.moment == len(self.source.moments)

    def held(self) -> dict[str, int]:
        """Every key that somebody holds now, and its time."""
        return {key: self.times[key] for key in dict.fromkeys((*self.own.values(), *self.others.values()))}


@dataclass
class Window:
    """A run of messages that are encoded in one pass, and what is read of them."""

    first: int
    tokens: list[list[int]] = field(default_factory=list)  # of every message: header, words, end
    headers: list[int] = field(default_factory=list)  # their lengths
    channels: list[str] = field(default_factory=list)  # of every message,
    keys: list[str] = field(default_factory=list)  # and its channel's key after it, which names all of its history
    links: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # key → (key before, message of the window, role)
    rows: dict[Row, int] = field(default_factory=dict)
    readings: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (message, own row, row of the others) → place: each in several ways
    singles: dict[tuple[int, int, int], int] = field(default_factory=dict)  # the same, with these states only
    records: list[Record] = field(default_factory=list)
    moments: list[tuple[Moment, int, int]] = field(default_factory=list)

    def row(self, parts: Sequence[str], empty: str, time: int) -> int:
        """The place of the mean of these states as read at `time`."""
        known = tuple(key for key in parts if key != empty)
        return self.rows.setdefault(Row(known, len(parts), time), len(self.rows) + 1) if known else NOTHING

    def read(self, message: int, own: int, other: int) -> int:
        """The place of a reading in several ways; the same one is done once."""
        return self.readings.setdefault((message, own, other), len(self.readings))

    def read_alone(self, message: int, own: int, other: int) -> int:
        """The place of a reading with these states only."""
        return self.singles.setdefault((message, own, other), len(self.singles))


def next_window(standing: Standing, checkpoint: Checkpoint, asked: Asked) -> Window:
    """Take in the next messages: as many as go into TOKENS, MESSAGES and ROWS, none only where moments before it make so many rows. Where a
    window ends depends on no later message."""
    window, used = Window(standing.next), 0
    said = standing.source.conversation.messages
    while _moments(standing, window) and standing.next < len(said) and len(window.tokens) < MESSAGES:
        message = said[standing.next]
        local = standing.channels.get(message.channel.name) or LocalState((), None, 0, (), standing.empty)
        header, partners = header_of(checkpoint, local, standing.source.slots, message)
        words = checkpoint.tokenizer.encode_text(message.text)[:MOST_WORDS]
        used += len(header) + len(words) + 1
        if window.tokens and used > TOKENS:
            break
        window.tokens.append([*header, *words, checkpoint.tokenizer.END])
        window.headers.append(len(header))
        window.channels.append(message.channel.name)
        name = hashlib.sha256(f"{local.key}\0{message_hash(message)}\0{header}".encode()).hexdigest()  # as `encode` does
        key = hashlib.sha256(f"{local.key}\0{name}\0{message.time}".encode()).hexdigest()
        window.keys.append(key)
        _take(standing, window, message, partners, name, key, asked)
        standing.channels[message.channel.name] = LocalState(local.layers, message.time, 0, (*local.recent, message)[-RECENT_MESSAGES:], key)
        standing.next += 1
    return window


def _moments(standing: Standing, window: Window) -> bool:
    """Tell the moments before the next message; whether there is room for more."""
    moments = standing.source.moments
    while len(window.rows) < ROWS and standing.moment < len(moments) and moments[standing.moment].after <= standing.next:
        m = moments[standing.moment]
        own = window.row([standing.own.get(m.holder, standing.empty)], standing.empty, m.time)
        other = window.row([standing.others.get((m.holder, v), standing.empty) for v in m.about], standing.empty, m.time)
        window.moments.append((m, own, other))
        standing.moment += 1
    return len(window.rows) < ROWS


def _take(standing: Standing, window: Window, message: Message, partners: Sequence[AgentID], name: str, channel: str, asked: Asked) -> None:
    """Settle what is read of a message, then let everybody take it in."""
    k, author, time, empty = standing.next - window.first, message.author, message.time, standing.empty
    others = sorted(message.channel.readers - {author})
    if not asked.rows:
        _absorb(standing, window, message, others, name)
        return
    each = asked.readers and len(others) <= MOST_READERS

    def pair(holder: AgentID, about: Sequence[AgentID]) -> tuple[int, int]:
        own = window.row([standing.own.get(holder, empty)], empty, time)
        return own, window.row([standing.others.get((holder, v), empty) for v in about], empty, time)

    spoken = window.read(k, *pair(author, partners))
    cohort = tuple(window.read_alone(k, *pair(v, [p for p in partners if p != v])) for v in _cohort(standing, author)) if asked.cohort else ()
    pairs = {reader: pair(reader, [author]) for reader in others} if each else {}
    heard = {reader: window.read(k, *found) for reader, found in pairs.items()}
    shared = {standing.others.get((reader, author), empty) for reader in others} if asked.readers and not each else set()
    own, other = _absorb(standing, window, message, others, name)
    records = window.records
    records.append(Record(standing.next, author, WROTE, own[author], None, channel, spoken, None, cohort))
    for reader in heard:
        records.append(Record(standing.next, reader, READ, own[reader], other[reader], channel, heard[reader], None, (), pairs[reader][1]))
    if len(shared) == 1:
        row = window.row(list(shared), empty, time)
        records.append(Record(standing.next, None, READ, None, other[others[0]], channel, spoken, window.read_alone(k, NOTHING, row), (), row))
    elif shared:
        records.append(Record(standing.next, None, READ, None, None, channel, spoken))
    count, _ = standing.said.get(author, (0, 0))
    standing.said[author] = count + 1, standing.next


def _absorb(standing: Standing, window: Window, message: Message, others: Sequence[AgentID], name: str) -> tuple[dict[AgentID, str], dict[AgentID, str]]:
    """(own keys, keys of states of the author) after a message, of all who read it. Each distinct state takes it in once."""
    k, author, time, empty = standing.next - window.first, message.author, message.time, standing.empty
    memo: dict[tuple[str, int], str] = {}

    def after(before: str, role: int) -> str:
        key = memo.get((before, role))
        if key is None:
            check_order(time, standing.times.get(before))
            key = memo[before, role] = next_key(before, name, role, time)
            window.links[key] = before, k, role
            standing.times[key] = time
        return key

    own = {author: after(standing.own.get(author, empty), WROTE)}
    other: dict[AgentID, str] = {}
    for reader in others:
        own[reader] = after(standing.own.get(reader, empty), READ)
        standing.others[reader, author] = other[reader] = after(standing.others.get((reader, author), empty), READ)
    standing.own |= own
    return own, other


def _cohort(standing: Standing, author: AgentID) -> list[AgentID]:
    """Those others who spoke latest, the latest first: of KNOWN messages or more (`attribution.cohort_at`)."""
    able = [(last, v) for v, (count, last) in standing.said.items() if v != author and count >= KNOWN]
    return [v for _, v in sorted(able, reverse=True)[:COHORT]]
