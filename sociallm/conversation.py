"""Message, Channel and Conversation: the corpus unit of the whole project, and its JSONL form.

One JSON line is one conversation:
    {"v": 1, "id": str, "channels": {name: [reader, ...]},
     "messages": [{"id", "author", "channel", "time", "text", "to"?, "reply_to"?}, ...]}
Everything read here comes from outside and is checked; nothing here needs torch.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AgentID = str
MAX_TEXT = 32 * 1024  # bytes of UTF-8 in one message
MAX_TIME = 2**53  # ms from zero either way, 285,000 years: a float holds every one of them exactly
VERSION = 1


class ConversationError(ValueError):
    """What was wrong with a conversation, where, and how to mend it: one line."""


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A fixed set of readers: who reads it. A whisper or a change of members is a new channel."""

    name: str
    readers: frozenset[AgentID]


@dataclass(frozen=True, kw_only=True)
class Message:
    """Something said. Cheap talk: it may change beliefs, never payoffs.

    `time` is integer milliseconds (simulated, or since the epoch for a recorded one), the same for every reader.
    `addressees` says whom it is meant for and limits nobody; the channel says who reads it.
    """

    id: str
    author: AgentID
    channel: Channel
    time: int
    text: str
    addressees: frozenset[AgentID] = frozenset()
    reply_to: str | None = None

    def read_by(self, agent: AgentID) -> bool:
        """Whether `agent` is a reader of the message's channel."""
        return agent in self.channel.readers


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Messages in the order they were sent, over any number of channels. Times never run backwards."""

    id: str
    messages: tuple[Message, ...]

    @property
    def participants(self) -> tuple[AgentID, ...]:
        """Every author and every reader, sorted."""
        return tuple(sorted({m.author for m in self.messages} | {r for m in self.messages for r in m.channel.readers}))

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels that carry a message, by name."""
        return {m.channel.name: m.channel for m in self.messages}


def clean(text: str) -> str:
    """The text with every lone surrogate replaced, so that it has a UTF-8 form."""
    return text.encode("utf-8", "replace" if not text.isascii() else "strict").decode("utf-8")


def printable(text: str) -> str:
    """The text with everything that could steer a terminal made visible: C0, C1, bidi, separators, surrogates, zero widths."""
    if text.isprintable():  # as nearly all is: what is not printable, but for the space, is C or Z
        return text
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode("ascii") for c in text)


def to_json(conversation: Conversation) -> dict[str, Any]:
    """The conversation as a JSON value; `from_json` takes it back unchanged."""
    return {
        "v": VERSION,
        "id": conversation.id,
        "channels": {name: sorted(c.readers) for name, c in sorted(conversation.channels.items())},
        "messages": [
            {"id": m.id, "author": m.author, "channel": m.channel.name, "time": m.time, "text": m.text}
            | ({"to": sorted(m.addressees)} if m.addressees else {})
            | ({"reply_to": m.reply_to} if m.reply_to is not None else {})
            for m in conversation.messages
        ],
    }


def from_json(value: Any, where: str = "conversation") -> Conversation:
    """A checked conversation. Raises `ConversationError` with `where` in front of what is wrong."""

    def wrong(what: str) -> ConversationError:
        return ConversationError(f"{where}: {what}")

    def wrong_in(i: int) -> Callable[[str], ConversationError]:
        return lambda what: wrong(f"message {i}: {what}")

    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise wrong(f"expected an object with \"v\": {VERSION}; export it again with this version")
    raw_channels, raw_messages = value.get("channels"), value.get("messages")
    if not isinstance(value.get("id"), str) or not isinstance(raw_channels, dict) or not isinstance(raw_messages, list):
        raise wrong("needs \"id\" (text), \"channels\" (object) and \"messages\" (list); export it again")
    _writable((value["id"], *raw_channels), wrong)
    channels: dict[str, Channel] = {}
    for name, readers in raw_channels.items():
        if not isinstance(readers, list) or not readers or not all(isinstance(r, str) and r for r in readers):
            raise wrong(f"channel {name!r:.60} needs a list of reader names, one at least; name who reads it")
        _writable(readers, wrong)
        channels[name] = Channel(name=name, readers=frozenset(readers))
    messages: list[Message] = []
    for i, raw in enumerate(raw_messages):
        messages.append(_message(raw, channels, wrong_in(i)))
        if i and messages[i].time < messages[i - 1].time:
            raise wrong(f"message {i}: time {messages[i].time} is before {messages[i - 1].time}; sort messages by time")
    return Conversation(id=value["id"], messages=tuple(messages))


def _writable(names: Iterable[str], wrong: Callable[[str], ConversationError]) -> None:
    """Names are never changed, as a text is: two that differ would be one. So they must have a UTF-8 form as they are."""
    for name in names:
        if clean(name) != name:
            raise wrong(f"the name {name!r:.60} has a lone surrogate; write it in UTF-8")


def _message(raw: Any, channels: Mapping[str, Channel], wrong: Callable[[str], ConversationError]) -> Message:
    if not isinstance(raw, dict):
        raise wrong(f"expected an object, got {raw!r:.60}; leave it out")
    for key, kind in (("id", str), ("author", str), ("channel", str), ("time", int), ("text", str)):
        if not isinstance(raw.get(key), kind) or isinstance(raw.get(key), bool):
            raise wrong(f"{key!r} must be {kind.__name__}, got {raw.get(key)!r:.60}; export it again")
    if abs(raw["time"]) > MAX_TIME:
        raise wrong(f"'time' has {len(str(abs(raw['time'])))} digits, at most {MAX_TIME} ms either way are taken; is it in milliseconds?")
    if raw["channel"] not in channels:
        raise wrong(f"channel {raw['channel']!r:.60} is not listed under \"channels\"; list it there with its readers")
    channel = channels[raw["channel"]]
    if raw["author"] not in channel.readers:
        raise wrong(f"author {raw['author']!r:.60} does not read channel {channel.name!r:.60}; add it to the channel's readers")
    text = clean(raw["text"])
    if not text.strip():
        raise wrong("the text is empty; leave the message out")
    if len(text.encode()) > MAX_TEXT:
        raise wrong(f"the text has {len(text.encode())} bytes, at most {MAX_TEXT} are taken; split it")
    to, reply_to = raw.get("to", []), raw.get("reply_to")
    if not isinstance(to, list) or not all(isinstance(a, str) for a in to):
        raise wrong("\"to\" must be a list of names; leave it out where nobody in particular is meant")
    if reply_to is not None and not isinstance(reply_to, str):
        raise wrong("\"reply_to\" must be a message id; leave it out where there is none")
    _writable((raw["id"], *to, reply_to or ""), wrong)
    return Message(id=raw["id"], author=raw["author"], channel=channel, time=raw["time"], text=text, addressees=frozenset(to), reply_to=reply_to)


def read_conversations(path: Path | str) -> Iterator[Conversation]:
    """Conversations of a JSONL file, one a line. Raises `ConversationError` naming file and line, and `OSError` for a file that cannot
    be opened."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ConversationError(f"{path}:{number}: not JSON ({error}); was the file cut short?") from None
            yield from_json(value, f"{path}:{number}")


def write_conversations(path: Path | str, conversations: Iterable[Conversation]) -> None:
    """Write a JSONL file, one conversation a line."""
    with open(path, "w", encoding="utf-8") as out:
        for conversation in conversations:
            out.write(json.dumps(to_json(conversation), ensure_ascii=False, separators=(",", ":")) + "\n")
