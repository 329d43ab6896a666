"""Conversations as `sociallm.conversation` writes them, one a line; those of our own export with what was intended and who was planted.

Import, export to `conversations`, import: the same canonical log, where the export takes nothing out of the texts. Of a run's own file lost are its
steps; what an agent wrote to itself alone cannot be told from what it was told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.importing.files import lines, value_of
from sandbox.importing.source import Reading, Source
from sandbox.importing.talk import Talk, bounded, name, names, text_of
from sandbox.importing.wish import ImportRefused
from sociallm.conversation import ConversationError, from_json


def conversations(reading: Reading) -> Iterator[Talk]:
    """A talk a line."""
    for source in reading.sources:
        for number, line in lines(source.path, reading.wish, reading.left_out):
            if (talk := reading.kept(_talk, line, source, f"{source.path}:{number}", reading)) is not None:
                yield talk


def _talk(line: bytes, source: Source, where: str, reading: Reading) -> Talk | None:
    value = value_of(line, where)
    if isinstance(value, dict):
        value = _cleaned(value, where, reading)
    try:
        found = from_json(value, where)
    except ConversationError as error:
        raise ImportRefused(str(error), "conversations that are none") from None
    if not found.messages:
        return None
    bounded(found.messages, where)
    taken = set[str]()
    for message in found.messages:
        if message.id in taken:
            raise ImportRefused(f"{where}: the id {message.id!r:.40} stands twice; mend it", "conversations that are none")
        taken.add(message.id)
    about = value.get("about") if isinstance(value.get("about"), dict) else {}
    return Talk(
        name=found.id or f"{source.name}:{where.rpartition(':')[2]}", source=source.name, where=where, happened=found.messages, format=reading.format,
        game=about["game"] if isinstance(about.get("game"), str) else "", intents=_intents(value, where), labels=_labels(about, found.participants),
    )  # fmt: skip


def _cleaned(value: dict[str, Any], where: str, reading: Reading) -> dict[str, Any]:
    """The same with texts and names that a run may hold; what has not the shape of a conversation is left for `from_json` to refuse."""
    channels, messages = value.get("channels"), value.get("messages")
    if not isinstance(channels, dict) or not isinstance(messages, list):
        return value
    named = {key: name(key, where, "a channel", reading.cleaned) for key in channels}
    kept = []
    for number, raw in enumerate(messages):
        if not isinstance(raw, dict):
            raise ImportRefused(f"{where}: message {number} is {raw!r:.40}, expected an object", "no objects")
        at = f"{where}: message {number}"
        try:
            found = raw | {"text": text_of(raw.get("text"), at, reading.wish, reading.cleaned)}
            for key in {"author", "id"} & set(raw):
                found[key] = name(raw[key], at, "an author" if key == "author" else "an id", reading.cleaned)
            if isinstance(raw.get("channel"), str):
                found["channel"] = named.get(raw["channel"], raw["channel"])
            if raw.get("reply_to") is not None:
                found["reply_to"] = name(raw["reply_to"], at, "an id", reading.cleaned)
            if "to" in raw:
                found["to"] = list(names(raw["to"], at, "an addressee", reading.cleaned))
        except ImportRefused as error:
            reading.refuse(error)
            continue
        if found["text"]:
            kept.append(found)
        else:
            reading.left_out["without a text"] += 1
    readers = {named[key]: list(names(of, where, "a reader", reading.cleaned)) for key, of in channels.items()}
    return value | {"channels": readers, "messages": kept}


def intent_of(text: Any, where: str) -> Any:
    """What was intended, from the text of it in an export; None for none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return value_of(text, where)
    except ImportRefused:  # an export may have taken something out of it
        return text


def _intents(value: Mapping[str, Any], where: str) -> dict[str, Any]:
    told = value.get("intents")
    found = {str(key): intent_of(text, where) for key, text in told.items()} if isinstance(told, dict) else {}
    return {key: intent for key, intent in found.items() if intent is not None}


def _labels(about: Mapping[str, Any], agents: tuple[str, ...]) -> dict[str, Mapping[str, Any]] | None:
    """What an export says of who was planted: not whether it came off."""
    planted = about.get("planted")
    if about.get("labelled") is not True or not isinstance(planted, dict):
        return None
    return {agent: label(agent in planted, planted.get(agent), False) for agent in agents}


def label(planted: Any, kinds: Any, executed: Any) -> Mapping[str, Any]:
    """What is known of an agent."""
    listed = [kind for kind in kinds if isinstance(kind, str)] if isinstance(kinds, list) else []
    return {"planted": planted is True, "as": listed, "executed": executed is True}
