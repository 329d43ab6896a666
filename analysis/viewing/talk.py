"""What was said in a run, in columns: who wrote what to whom in which channel, and when each reader came to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.metrics import message_of, names
from analysis.viewing.moments import Columns, Moments
from analysis.viewing.texts import Interned, name, shown
from sandbox.log import Event

NEVER = -1


@dataclass(frozen=True)
class Talk:
    """The columns for the page, and the number of each message by its id."""

    messages: Columns
    channels: Columns
    number: Mapping[str, int]


def talk(events: Sequence[Event], of: Moments, words: Interned, most: int) -> Talk:
    """All messages, in the order of the log. A text longer than `most` is cut, and says so.

    `read` has for each message, in the order of its channel's readers, the moment at which each of them next looked, which is when it read
    it; NEVER if it did not. Who is never asked for anything reads what comes when it comes.
    """
    asked = {event.agent for event in events if event.kind == "observation"}
    columns: Columns = {key: [] for key in ("at", "time", "by", "channel", "to", "text", "id", "how", "act", "answers", "read")}
    channels: dict[tuple[str, tuple[str, ...]], int] = {}
    number: dict[str, int] = {}
    places: list[Mapping[str, int]] = []  # of each channel's readers
    for event in events:
        at = of.at[event.step]
        if event.kind == "message":
            message = message_of(event)
            readers = tuple(sorted(message.channel.readers))
            key = (message.channel.name, readers)
            if key not in channels:
                channels[key] = len(channels)
                places.append({reader: i for i, reader in enumerate(readers)})
            act = event.data.get("act")
            row = {
                "at": at, "time": event.time, "by": of.who.get(message.author, NEVER), "channel": channels[key], "to": [of.who[a] for a in sorted(message.addressees) if a in of.who],
                "text": _cut(shown(message.text), most), "id": name(message.id), "how": words(str(event.data.get("by") or "")),
                "act": words(str(act["act"]) if isinstance(act, dict) and "act" in act else ""), "answers": number.get(message.reply_to or "", NEVER),
                "read": [NEVER if reader in asked and reader != message.author else at for reader in readers],
            }  # fmt: skip
            number[message.id] = len(columns["at"])
            for column, value in row.items():
                columns[column].append(value)
        elif event.kind == "observation" and event.agent is not None:
            for heard in names(event, "heard"):
                if (i := number.get(heard)) is not None and (place := places[columns["channel"][i]].get(event.agent)) is not None:
                    columns["read"][i][place] = at
    return Talk(columns, {"name": [name(channel) for channel, _ in channels], "readers": [[of.who[r] for r in readers] for _, readers in channels]}, number)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters, whole in the log)"
