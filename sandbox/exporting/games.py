"""A run as one whole game: conversations as `sociallm train` reads them, a corpus of ConvoKit, a saved game of Diplomacy.

Nobody's view is taken: what each message's channel says of who reads it goes with it. With planted = exclude, a game in which anybody was planted
is left out whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.exporting.reading import Line, Said
from sandbox.exporting.row import Row, Rows, alone, shares, told
from sandbox.exporting.texts import fit, name_of
from sandbox.exporting.wish import ExportError, Wish
from sandbox.sealed import events_of
from scenarios.diplomacy.history import saved_game
from scenarios.diplomacy.rules import NAMED
from scenarios.diplomacy.saved import SavedGameError
from scenarios.diplomacy.saved import to_json as saved_json
from sociallm.conversation import Channel, Conversation, Message, to_json


def games(wish: Wish) -> Rows:
    """Rows of `conversations`, `convokit` or `diplomacy`."""
    made = {"conversations": _conversation, "convokit": _corpus, "diplomacy": _saved}[wish.format]

    def rows(said: Said, cleaned: Counter[str]) -> Iterator[Row]:
        lines, personas, _ = told(said, cleaned)
        talk = tuple(line for line in lines if not alone(line))
        if not talk or (wish.planted == "exclude" and said.source.planted):
            yield Row(id=said.source.id, why="planted" if talk else "silent")
            return
        yield Row(
            id=said.source.id, record=made(said, lines, personas, wish), own=tuple(line.text for line in talk), read=(),
            said=tuple(line.id for line in talk), bytes=shares(said, talk, personas),
        )  # fmt: skip

    return rows


def _about(said: Said, wish: Wish) -> dict[str, Any]:
    """What is said of a whole game, beside its messages."""
    source = said.source
    found: dict[str, Any] = {
        "run": source.id, "game": source.game, "world": source.world, "scenario": source.scenario, "seed": source.seed, "checkpoint": source.checkpoint[:16],
    }  # fmt: skip
    if "labels" not in wish.without:
        found["labelled"] = source.labels is not None
        found["planted"] = {agent: list(row["as"]) for agent, row in sorted((source.labels or {}).items()) if row["planted"]}
    return found


def _named(said: Said, lines: Sequence[Line]) -> dict[str, str]:
    """Id of a message → as rows have it. Raises `ExportError` if two would have one."""
    names = {line.id: name_of(line.id) for line in lines}
    if len(set(names.values())) < len(names):
        raise ExportError(f"{said.source.folder}: two messages have one id but for marks or control characters; run it again, or import it again with other ids")
    return names


def _conversation(said: Said, lines: Sequence[Line], personas: dict[str, str], wish: Wish) -> dict[str, Any]:
    """A line of conversations.jsonl: what the world tells an agent alone, such as its persona, is a message to itself."""
    names = _named(said, lines)
    spoken = [
        Message(
            id=names[line.id], author=line.author, channel=Channel(name=line.channel, readers=frozenset(line.readers)), time=line.time, text=line.text,
            addressees=frozenset(line.to), reply_to=line.reply_to and name_of(line.reply_to),
        )
        for line in sorted(lines, key=lambda line: line.time)
    ]  # fmt: skip
    found = to_json(Conversation(id=said.source.id, messages=tuple(spoken)))
    if "intents" not in wish.without:
        meant = {(line.step, line.author): names[line.id] for line in reversed(lines) if not line.told}
        found["intents"] = {meant[key]: fit(text)[0] for key, text in sorted(said.intents.items()) if key in meant}
    return found | {"about": _about(said, wish)}


def _corpus(said: Said, lines: Sequence[Line], personas: dict[str, str], wish: Wish) -> dict[str, Any]:
    """{"utterances": [lines of utterances.jsonl], "speakers": {…}, "conversations": {…}}: a conversation is what was said in one channel, each
    message a reply to the one before it, or to the one it says it answers."""
    run, about, names = said.source.id, _about(said, wish), _named(said, lines)
    utterances, conversations = list[dict[str, Any]](), dict[str, Any]()
    first, last, where = dict[str, str](), dict[str, str](), dict[str, str]()
    for line in sorted((line for line in lines if not alone(line)), key=lambda line: line.time):
        name, channel = f"{run}/{names[line.id]}", line.channel
        where[line.id] = channel
        answers = f"{run}/{name_of(line.reply_to)}" if line.reply_to and where.get(line.reply_to) == channel else last.get(channel)
        meta: dict[str, Any] = {"to": list(line.to), "step": line.step}
        if "intents" not in wish.without:
            meta["intent"] = fit(said.intents.get((line.step, line.author), ""))[0]
        utterances.append({
            "id": name, "conversation_id": first.setdefault(channel, name), "text": line.text, "speaker": f"{run}/{line.author}", "meta": meta,
            "reply-to": answers, "timestamp": line.time, "vectors": [],
        })  # fmt: skip
        last[channel] = name
        if first[channel] == name:
            conversations[name] = {"meta": about | {"channel": channel, "readers": list(line.readers)}, "vectors": []}
    speakers = {}
    for agent in sorted({utterance["speaker"].partition("/")[2] for utterance in utterances}):
        meta = {"name": agent, "policy": said.source.seats.get(agent, ""), "persona": personas.get(agent, "")}
        if "labels" not in wish.without:
            label = (said.source.labels or {}).get(agent) or {"planted": False, "as": [], "executed": False}
            meta |= {"planted": label["planted"], "as": list(label["as"]), "executed": label["executed"]}
        speakers[f"{run}/{agent}"] = {"meta": meta, "vectors": []}
    return {"utterances": utterances, "speakers": speakers, "conversations": conversations}


def _saved(said: Said, lines: Sequence[Line], personas: dict[str, str], wish: Wish) -> dict[str, Any]:
    """The saved game, by those of the named rules under which every position hashes as the log says."""
    texts = {line.id: line.text for line in lines}
    events = [{"kind": e.kind, "time": e.time, "agent": e.agent, "data": _fit(e.data, texts) if e.kind == "message" else e.data}
              for e in events_of(said.source.folder) if e.kind == "outcome" or (e.kind == "message" and e.data.get("id") in texts)]  # fmt: skip
    refused: SavedGameError | None = None
    for rules in NAMED.values():
        try:
            return saved_json(saved_game(events, said.source.id, rules))
        except SavedGameError as error:
            refused = refused or error
        except (LookupError, TypeError, AttributeError) as error:
            raise ExportError(f"{said.source.folder}: cannot be played again ({type(error).__name__}); the log was changed after the run") from None
    raise ExportError(f"{said.source.folder}: {refused}")


def _fit(data: Any, texts: dict[str, str]) -> dict[str, Any]:
    return {**data, "text": texts[data["id"]]}
