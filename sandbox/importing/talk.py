"""Something that was said elsewhere, checked: lines as a source has them, and the talk that they make, which becomes a run.

Sources are anybody's. A text loses what steers a terminal or turns the reading direction, as an export takes it out; one over the cap of a message
is refused, or cut where the user says so. A name must be one that an export can write: one that has marks, an address or control characters in it
is replaced by what is left of it and a part of its hash, the same wherever it stands.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.exporting.texts import CONTROL, name_of
from sandbox.importing.wish import ImportRefused, ImportWish
from scenarios.environment import Outcome
from sociallm.conversation import MAX_TEXT, AgentID, Message, clean

MAX_NAME = 200  # characters of a name, an id, a channel's name
MOST_MESSAGES, MOST_READERS, MOST_READ = 200_000, 2_000, 5_000_000  # of one conversation; readers of a channel; messages times their readers
RESERVED = ("default", "world")  # names that mean something else in a run


class Line(NamedTuple):
    """A message as its source has it, checked but for what needs the whole conversation. `place`: file number, line."""

    place: tuple[int, int]
    author: str
    text: str
    channel: str = ""  # "": the one that all share
    readers: tuple[str, ...] = ()  # none: all who write in the channel or are addressed there
    to: tuple[str, ...] = ()
    time: tuple[str, float] | None = None  # (unit, number); unit ms, or "" for one that is not known yet
    id: str = ""
    reply_to: str | None = None
    intent: Any = None


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What was done together at a moment, and what followed by the rules of a world."""

    time: int
    moves: Mapping[AgentID, Any]
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A conversation or game that is whole. Times never run backwards. What only its author reads was told to it by the world."""

    name: str  # what the source calls it
    source: str  # file, as it lies below what was named
    where: str  # for whoever is told what is wrong with it
    happened: tuple[Message | Deed, ...]
    format: str
    game: str = ""  # that it is a run of, if the source says; else its name
    agents: frozenset[AgentID] = frozenset()  # beside those who wrote or read
    intents: Mapping[str, Any] = field(default_factory=dict)  # message → what its author planned before it
    labels: Mapping[AgentID, Mapping[str, Any]] | None = None  # agent → planted, as, executed
    environment: Mapping[str, Any] = field(default_factory=lambda: {"name": "imported"})

    @property
    def messages(self) -> tuple[Message, ...]:
        """What was said."""
        return tuple(one for one in self.happened if isinstance(one, Message))

    @property
    def seats(self) -> tuple[AgentID, ...]:
        """All who wrote, read or acted."""
        said = self.messages
        return tuple(sorted(self.agents | {m.author for m in said} | {r for channel in {m.channel for m in said} for r in channel.readers}))


def text_of(raw: Any, where: str, wish: ImportWish, cleaned: Counter[str]) -> str:
    """The text of a message as a run may hold it; "" where nothing is left. Raises `ImportRefused`."""
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise ImportRefused(f"{where}: the text is {raw!r:.40}, expected a text", "without a text")
    if raw.isascii() and raw.isprintable() and len(raw) <= MAX_TEXT:  # as most
        return raw if not raw.isspace() else ""
    text = clean(raw)
    if text != raw:
        cleaned["half characters"] += 1
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = CONTROL.sub("", text)
    if found != text:
        cleaned["control characters"] += 1
    if (size := len(found.encode())) > MAX_TEXT:
        if not wish.cut:
            raise ImportRefused(f"{where}: the text has {size} bytes, at most {MAX_TEXT} are taken; say --cut to have it cut, or --skip to leave it out", "too long")
        found = found.encode()[:MAX_TEXT].decode("utf-8", "ignore")
        cleaned["cut"] += 1
    return found if found.strip() else ""


def name(raw: Any, where: str, what: str, cleaned: Counter[str]) -> str:
    """The name of an agent, a channel or a message as a run and its exports may have it. Raises `ImportRefused`."""
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 2**63:
        raw = str(raw)
    if not isinstance(raw, str) or not raw.strip():
        raise ImportRefused(f"{where}: {what} is {raw!r:.40}, expected a name; say --skip to leave such messages out", f"without {what}")
    if len(raw) > MAX_NAME:
        raise ImportRefused(f"{where}: {what} has {len(raw)} characters, at most {MAX_NAME} are taken; say --skip to leave such messages out", f"{what} too long")
    found = name_of(raw)
    if found == raw and raw not in RESERVED:
        return raw
    cleaned["names"] += 1
    return f"{found or 'name'} {hashlib.sha256(raw.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def names(raw: Any, where: str, what: str, cleaned: Counter[str], between: str = ";") -> tuple[str, ...]:
    """A list of names, or a text of some with marks between them. Raises `ImportRefused`."""
    if raw is None or raw == "":
        return ()
    given = [part.strip() for part in raw.split(between) if part.strip()] if isinstance(raw, str) else raw
    if not isinstance(given, list):
        raise ImportRefused(f"{where}: {what} is {raw!r:.40}, expected a list of names", f"{what} unreadable")
    if len(given) > MOST_READERS:
        raise ImportRefused(f"{where}: {what} has {len(given)} names, at most {MOST_READERS} are taken", f"{what} too long")
    return tuple(dict.fromkeys(name(one, where, what, cleaned) for one in given))


def bounded(messages: Iterable[Message], where: str) -> None:
    """Raises `ImportRefused` for a conversation that no run could hold: its log names the readers of each message."""
    said = read = 0
    for message in messages:
        said, read = said + 1, read + len(message.channel.readers)
        if said > MOST_MESSAGES:
            raise ImportRefused(f"{where}: more than {MOST_MESSAGES} messages in one conversation; split it, by day for example, with --fields conversation=FIELD", "conversations too long")
        if len(message.channel.readers) > MOST_READERS:
            raise ImportRefused(
                f"{where}: {len(message.channel.readers)} read the channel {message.channel.name!r:.40}, at most {MOST_READERS} are taken; "
                "split it, by day or thread, with --fields conversation=FIELD", "channels too large")  # fmt: skip
        if read > MOST_READ:
            raise ImportRefused(f"{where}: its messages reach more than {MOST_READ} readers in all; split it, by day or thread, with --fields conversation=FIELD", "conversations too long")
