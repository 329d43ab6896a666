"""A reply in words, read against the rules: what of it may be said and done, what is left out and why, what must be asked again.

A reply is foreign text: of a model that was told anything by anybody. Its author is the agent that was asked, its moment now, whatever it says of
itself; it is heard in channels that are open to this agent now, and moves for this agent alone. `sandbox.rights` checks all of it once more.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.legal import Legal, Read
from agents.types import JSON, Channel, Message, Observation
from sociallm.conversation import clean

LONGEST = 256 * 1024  # characters of a reply that are read
MOST_MESSAGES = 16  # of one reply
MOST_SAID = 2000  # characters of one message: who has more to say is asked to say it shorter
TRIES = 16  # places in a text at which a JSON object may begin
DEPTH = 24  # of what a reply holds
KEYS = ("messages", "intent", "move")
MESSAGE_KEYS = ("to", "channel", "text")
EVERYBODY = ("all", "everyone", "everybody", "public")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What of a reply may be said and done. `wrong`: why all of it must be asked again, in one line; `dropped`: what was left out of it."""

    messages: tuple[Message, ...] = ()
    intent: JSON = None
    move: JSON = None
    wrong: str | None = None
    dropped: tuple[tuple[str, str], ...] = ()


def read_reply(text: str, seen: Observation, legal: Legal) -> Reply:
    """A reply, read. Never raises, whatever the text is."""
    value = object_in(text)
    if value is None:
        return Reply(wrong=f"it holds no JSON object with {', '.join(KEYS)}")
    dropped = [("reply", f"it names {str(key)[:40]!r}, which is not the agent's to say; left out") for key in value if key not in KEYS][:8]
    given = value.get("messages")
    if given is not None and not isinstance(given, list):
        return Reply(wrong='"messages" is no list of {"to", "text"}', dropped=tuple(dropped))
    said = read_messages(given or [], seen, dropped)
    planned, made = _read(legal, value.get("intent")), Read()
    if seen.move_due:
        made = _read(legal, value.get("move"))
        dropped += [("move", why) for why in made.dropped[:8]]
        if made.wrong is not None:
            return Reply(wrong=made.wrong, dropped=tuple(dropped))
    elif value.get("move") is not None:
        dropped.append(("move", "no move was due; left out"))
    if value.get("intent") is not None and planned.wrong is not None:
        dropped.append(("intent", f"left out: {planned.wrong[:200]}"))
    return Reply(messages=tuple(said), intent=planned.intent if planned.intent is not None else made.intent, move=made.move, dropped=tuple(dropped))


def _read(legal: Legal, value: JSON) -> Read:
    if value is None:
        return Read(wrong="move: it is missing; give a legal one")
    return legal.read(value)


def read_messages(given: list[Any], seen: Observation, dropped: list[tuple[str, str]]) -> list[Message]:
    """What may be said of a list of {"to" or "channel", "text"}; what may not goes into `dropped`."""
    said: list[Message] = []
    for entry in given[: 4 * MOST_MESSAGES]:
        if len(said) == MOST_MESSAGES:
            dropped.append(("message", f"more than {MOST_MESSAGES} messages in one reply; the rest is left out"))
            break
        found = _message(entry, seen, len(said))
        if isinstance(found, str):
            dropped.append(("message", found))
        else:
            said.append(found)
    return said


def _message(entry: Any, seen: Observation, number: int) -> Message | str:
    """What an entry says, as the agent's message of this number; why it may not be said."""
    if not isinstance(entry, Mapping):
        return f"{entry!r:.40} is no message; expected {{'to', 'text'}}"
    if claimed := [str(key)[:40] for key in entry if key not in MESSAGE_KEYS]:
        own = all(key in ("from", "author") and entry[key] == seen.agent for key in entry if key not in MESSAGE_KEYS)
        if not own:
            return f"it claims to say its own {', '.join(map(repr, claimed[:4]))}; a message has to and text, all else is the run's"
    words = spoken(entry.get("text"))
    if words is None:
        return "it has no words"
    if len(words) > MOST_SAID:
        return f"its text has {len(words)} characters; expected at most {MOST_SAID}"
    found = channel_of(entry, seen)
    if isinstance(found, str):
        return found
    channel, to = found
    return seen.say(number, channel, words, to)


def channel_of(entry: Mapping[str, Any], seen: Observation) -> tuple[Channel, frozenset[str]] | str:
    """(the channel that an entry is said in, whom it is meant for); why there is none."""
    open_now = {channel.name: channel for channel in seen.may_write}
    to, named = entry.get("to"), entry.get("channel")
    names = [to] if isinstance(to, str) else to if isinstance(to, list) else []
    if not all(isinstance(name, str) for name in (*names, *([named] if named is not None else []))):
        return "whom it is for is no name"
    people = frozenset(name for channel in seen.may_write for name in channel.readers)
    by_name = {name.casefold(): name for name in sorted(people)} | {name.casefold(): name for name in sorted(open_now)}
    meant = [by_name.get(name.strip().casefold(), name.strip()) for name in names[:64]]
    if named is not None:
        channel = open_now.get(by_name.get(named.strip().casefold(), ""))
        if channel is None:
            return f"channel {named[:40]!r} is not open to it now"
    elif len(meant) == 1 and (meant[0] in open_now):
        return open_now[meant[0]], open_now[meant[0]].readers - {seen.agent}
    elif not meant or meant[0].casefold() in EVERYBODY:
        channel = max(seen.may_write, key=lambda c: (len(c.readers), c.name), default=None)
        meant = []
        if channel is None:
            return "no channel is open to it now"
        if not names and len(open_now) > 1:
            return "it names nobody, and more than one channel is open"
        if names and channel.readers != people:
            return "no channel is open to it now that all read"
    else:
        wanted = frozenset(meant) | {seen.agent}
        fitting = sorted((len(c.readers), c.name) for c in seen.may_write if wanted <= c.readers)
        if not fitting:
            return f"{', '.join(meant)[:60]!r} cannot be written to now"
        channel = open_now[fitting[0][1]]
    if stray := [name for name in meant if name not in channel.readers]:
        return f"{stray[0][:40]!r} does not read {channel.name!r:.40}"
    return channel, (frozenset(meant) or channel.readers) - {seen.agent}


def spoken(text: object) -> str | None:
    """Words as they may be said: whole characters, nothing that could steer a terminal or hide what it says; None if none are left."""
    if not isinstance(text, str):
        return None
    shown = "".join(c if unicodedata.category(c)[0] != "C" else " " if c in "\n\t\r" else "" for c in clean(text[: 4 * MOST_SAID]))
    shown = shown.replace("\u2028", " ").replace("\u2029", " ").strip()
    return shown or None


def object_in(text: str) -> dict[str, Any] | None:
    """The JSON object in a text: the whole of it, or the first in it that has one of a reply's keys, what a model thought aloud before left aside."""
    text = text[:LONGEST]
    if "</think>" in text:
        text = text.rpartition("</think>")[2]
    at = -1
    for _ in range(TRIES):
        at = text.find("{", at + 1)
        if at < 0:
            return None
        try:
            value, _ = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and any(key in value for key in KEYS) and _shallow(value, DEPTH):
            return value
    return None


def _shallow(value: JSON, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(_shallow(one, depth - 1) for one in inner if isinstance(one, (dict, list)))


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")


def _finite(digits: str) -> float:
    return number if math.isfinite(number := float(digits)) else _refuse(digits[:20])


DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
