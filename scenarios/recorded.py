"""A recorded game of Diplomacy, read from outside and checked: who wrote what to whom, when, in which phase.

The file is the JSON shape that Cicero's published games, the `diplomacy` package and AI_Diplomacy share: an object with
`phases`, each with a `name` and `messages` [{sender, recipient, message, phase, time_sent}]. Departures between them that
are taken as they come: the public recipient is ALL or GLOBAL; lines of the game server and to observers are left out; the unit of
`time_sent` is a power of ten of a second, found from its size (Cicero writes seconds × 10,000, the package microseconds) unless the
file says that it is our own simulated clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.history import CLOCK
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.saved import OTHER_READERS, PUBLIC, SavedGameError, read_object
from sociallm.conversation import Channel, Conversation, Message
from sociallm.corpora import tidy

MAX_MESSAGES = 20_000
LINE_BREAK = "~N~"  # as webDiplomacy writes it
PHASE = re.compile(r"[SFW][0-9]{4}[MRA]|FORMING|COMPLETED")
EARLIEST, LATEST = 10**12, 10**13  # 2001 to 2286 in ms: one power of ten wide, so the unit of a stamp is unique


class RecordedGameError(ValueError):
    """What was wrong with the file of a game, where, and how to mend it: one line."""


@dataclass(frozen=True, kw_only=True)
class RecordedGame:
    """The press of one game, in the order of its times. `phases[k]` is the phase in which message k was sent."""

    name: str  # the file's name
    messages: tuple[Message, ...]
    phases: tuple[str, ...]

    def conversation(self) -> Conversation:
        """The same messages as the corpus unit of the project."""
        return Conversation(id=self.name, messages=self.messages)


def read_game(path: Path | str) -> RecordedGame:
    """A checked game. Raises `RecordedGameError` naming the file, the phase and the message."""
    path = Path(path)
    value = _read(path)
    sent = sorted(_sent(value, str(path)), key=lambda row: row[0])  # stable: file order within one instant
    if not sent:
        raise RecordedGameError(f"{path}: no messages between powers, nothing to watch; take a game with press")
    if len(sent) > MAX_MESSAGES:
        raise RecordedGameError(f"{path}: {len(sent)} messages, at most {MAX_MESSAGES} are taken; cut the game")
    shift = -3 if value.get("clock") == CLOCK else _unit(sent[-1][0])
    messages = tuple(
        Message(id=f"g{k}", author=author, channel=channel, time=int(stamp * 10**shift) if shift >= 0 else stamp // 10**-shift, text=text)
        for k, (stamp, author, channel, text, _) in enumerate(sent))
    return RecordedGame(name=path.name, messages=messages, phases=tuple(row[4] for row in sent))


def channel_between(sender: str, recipient: str) -> Channel:
    """The pair's channel, named by both in sorted order, or the public one of all seven."""
    return EVERYONE if recipient in PUBLIC else Channel(name="-".join(sorted((sender, recipient))), readers=frozenset((sender, recipient)))


def _read(path: Path) -> Mapping[str, Any]:
    """The JSON object in a file of at most `saved.MAX_BYTES`."""
    try:
        return read_object(path)
    except SavedGameError as error:
        raise RecordedGameError(str(error)) from None


def _sent(game: Mapping[str, Any], where: str) -> Iterator[tuple[int, str, Channel, str, str]]:
    """(stamp, author, channel, text, phase) of every message between powers that has a text, in file order."""
    for p, phase in enumerate(game["phases"]):
        messages = phase.get("messages", []) if isinstance(phase, dict) else None
        if not isinstance(messages, list):
            raise RecordedGameError(f"{where}: phase {p}: expected an object with a list \"messages\"")
        for m, message in enumerate(messages):
            row = _checked(message, phase.get("name"), f"{where}: phase {p}, message {m}")
            if row is not None:
                yield row


def _checked(message: Any, phase: Any, where: str) -> tuple[int, str, Channel, str, str] | None:
    if not isinstance(message, dict):
        raise RecordedGameError(f"{where}: expected an object, got {message!r:.40}")
    for key, kind in (("sender", str), ("recipient", str), ("message", str), ("time_sent", int)):
        if not isinstance(message.get(key), kind) or isinstance(message.get(key), bool):
            raise RecordedGameError(f"{where}: {key!r} must be {'text' if kind is str else 'a whole number'}, got {message.get(key)!r:.40}")
    sender, recipient, stamp, phase = message["sender"], message["recipient"], message["time_sent"], message.get("phase", phase)
    if sender in OTHER_READERS or recipient in OTHER_READERS:
        return None
    for key, power in (("sender", sender), ("recipient", recipient)):
        if power not in POWERS and not (key == "recipient" and power in PUBLIC):
            raise RecordedGameError(f"{where}: {key} {power!r:.40} is not a power; expected one of {', '.join(POWERS)}")
    if sender == recipient:
        raise RecordedGameError(f"{where}: {sender} writes to itself; leave the message out")
    if not 0 <= stamp < 10**20:
        raise RecordedGameError(f"{where}: time_sent {stamp!r:.40} is out of range; expected a Unix time in any decimal unit")
    if not isinstance(phase, str) or not PHASE.fullmatch(phase):
        raise RecordedGameError(f"{where}: phase {phase!r:.40} is not one; expected a name like S1901M")
    text = tidy(message["message"].replace(LINE_BREAK, "\n"))
    return (stamp, sender, channel_between(sender, recipient), text, phase) if text else None


def _unit(latest: int) -> int:
    """The power of ten that takes stamps to ms. Stamps too small for a date are ms of a simulated clock."""
    if latest < 10**9:
        return 0
    shift = 0
    while latest * 10**shift < EARLIEST:
        shift += 1
    while latest >= LATEST * 10**-shift:
        shift -= 1
    return shift
