"""A corpus of ConvoKit: utterances, and what it says of speakers and conversations.

Taken are utterances.jsonl or the older list utterances.json, speakers.json or users.json, conversations.json; and the older names of fields
(user, root). Each conversation is a talk in one channel of all its speakers. In a corpus of our own export conversations are channels, and those
of one run are one talk again, with readers, intents, personas and labels; its times are ms.

Import, export to `convokit`, import: the same canonical log, where the export takes nothing out of the texts, and but for notes that only their
author reads and what was told to one alone after it had spoken: neither is in a corpus. What has no answer marked is taken to answer what was said
before it in the channel, as a corpus has to have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.importing.conversations import intent_of, label
from sandbox.importing.files import entries
from sandbox.importing.gathering import talk_of
from sandbox.importing.source import Reading, Source
from sandbox.importing.spill import Spill, line_of
from sandbox.importing.talk import Line, Talk, name, names, text_of
from sandbox.importing.times import Numbers, stamp

UTTERANCES, SPEAKERS, CONVERSATIONS = ("utterances.jsonl", "utterances.json"), ("speakers.json", "users.json"), "conversations.json"
ABOUT = ("run", "game", "channel", "readers", "labelled", "planted")  # of a conversation of our own export
WHO = ("name", "persona", "planted", "as", "executed")  # of a speaker


def beside(folder: Path) -> dict[str, Path]:
    """The files of a corpus that say more of its utterances."""
    return {path.name: path for path in (*(folder / name for name in SPEAKERS), folder / CONVERSATIONS) if path.is_file()}


def corpora(reading: Reading) -> Iterator[Talk]:
    """The talks of each corpus."""
    for at in range(len(reading.sources)):
        yield from _corpus(at, reading)


def _corpus(at: int, reading: Reading) -> Iterator[Talk]:
    source, spill, numbers = reading.sources[at], Spill(reading.stage / "lines.db"), Numbers()
    try:
        for path in source.beside.values():
            what, keys = ("conversation", ABOUT) if path.name == CONVERSATIONS else ("speaker", WHO)
            for key, value in entries(path):
                meta = _meta(value)
                if key is not None and any(meta.get(one) is not None for one in keys):
                    spill.put(what, key, {one: meta[one] for one in keys if one in meta})
        for number, utterance in _utterances(source, reading):
            found = reading.kept(_line, utterance, (at, number), f"{source.path}:{number}", spill, reading)
            if found is not None:
                numbers.see(found[1].time)
                spill.add(*found)
        unit = numbers.unit(reading.wish)
        for of, some in spill.groups():
            if (talk := reading.kept(_talk, of, map(line_of, some), spill, reading, unit)) is not None:
                yield talk
    finally:
        spill.close()


def _meta(value: Any) -> Mapping[str, Any]:
    """What is said of a speaker or conversation; of the oldest form the entry is that itself."""
    return _object(_object(value).get("meta", value))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _utterances(source: Source, reading: Reading) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if ".jsonl" in source.path.name:
        return reading.objects(source)
    return reading.objects(source, ((number, value) for number, (_, value) in enumerate(entries(source.path), 1)))


def _talk(of: str, said: Iterator[Line], spill: Spill, reading: Reading, unit: str) -> Talk | None:
    """The talk of a group that `_line` named."""
    kind, _, name = of.partition(" ")
    about = _about_run(name, spill, reading) if kind == "run" and name else {}
    return talk_of(name, said, reading, unit, **about)


def _line(value: Mapping[str, Any], place: tuple[int, int], where: str, spill: Spill, reading: Reading) -> tuple[str, Line] | None:
    """(group, line) of an utterance; None where nothing is said in it."""
    cleaned, own = reading.cleaned, name(value.get("id"), where, "an id", reading.cleaned)
    whole = name(value.get("conversation_id", value.get("root")) or own, where, "a conversation", cleaned)
    about, speaker = spill.get("conversation", whole) or {}, value.get("speaker", value.get("user"))
    text = text_of(value.get("text"), where, reading.wish, cleaned)
    if not text:
        reading.left_out["without a text"] += 1
        return None
    meta, answers = _object(value.get("meta")), value.get("reply-to", value.get("reply_to"))
    author, reply = name(speaker, where, "an author", cleaned), None if answers is None else name(answers, where, "an id", cleaned)
    when = stamp(value.get("timestamp"), where)
    if not isinstance(run := about.get("run"), str) or not isinstance(about.get("channel"), str):
        return f"of {whole}", Line(place=place, author=author, text=text, time=when, id=own, reply_to=reply)
    who = spill.get("speaker", author) or {}
    line = Line(
        place=place, author=name(who.get("name", _inside(author, run)), where, "an author", cleaned), text=text,
        channel=name(about["channel"], where, "a channel", cleaned), readers=names(about.get("readers"), where, "a reader", cleaned),
        to=names(meta.get("to"), where, "an addressee", cleaned), time=None if when is None else (when[0] or "ms", when[1]),
        id=_inside(own, run), reply_to=None if reply is None else _inside(reply, run), intent=intent_of(meta.get("intent"), where),
    )  # fmt: skip
    spill.put("of a run", run, {"game": about.get("game"), "labelled": about.get("labelled"), "planted": about.get("planted")})
    spill.put(f"seats of {run}", line.author, who)
    return f"run {run}", line


def _inside(text: str, run: str) -> str:
    """A name of our own export, without the run's before it."""
    return text.removeprefix(f"{run}/") or text


def _about_run(run: str, spill: Spill, reading: Reading) -> dict[str, Any]:
    """What our own export says of a whole run."""
    told = spill.get("of a run", run) or {}
    planted = _object(told.get("planted"))
    seats = dict(spill.all(f"seats of {run}"))
    personas = {agent: text_of(who.get("persona"), run, reading.wish, reading.cleaned) for agent, who in seats.items() if isinstance(who.get("persona"), str)}
    labels = None
    if told.get("labelled") is True:
        labels = {agent: label(True, kinds, False) for agent, kinds in planted.items()} | {
            agent: label(who.get("planted"), who.get("as"), who.get("executed")) for agent, who in seats.items()}
    return {"told": personas, "labels": labels, "game": told["game"] if isinstance(told.get("game"), str) else ""}
