"""Lines of one conversation as a talk: in the order of their times, each with an id of its own, in channels whose readers are known.

A channel is a fixed set of readers. Where a source names none, all read it who write in it or are addressed there; where it names other readers later, it
is another channel from there on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sandbox.importing.source import Reading
from sandbox.importing.talk import MOST_MESSAGES, Line, Talk, bounded
from sandbox.importing.times import filled, in_ms
from sandbox.importing.wish import ImportRefused
from scenarios.briefing import persona_message
from sociallm.conversation import AgentID, Channel, Message

SHARED = "ALL"  # the channel of a conversation that has none


def talk_of(name: str, lines: Iterable[Line], reading: Reading, unit: str, told: Mapping[AgentID, str] | None = None, **about: Any) -> Talk | None:
    """The talk of these lines; None where nothing is left of them. `told`: what the world told each agent before it began; `about`: fields of Talk.

    Raises `ImportRefused` for what no run can hold.
    """
    kept = _timed(lines, reading, unit)
    if not kept:
        return None
    source = reading.sources[kept[0][1].place[0]]
    where = f"{source.path}:{kept[0][1].place[1]}"
    channel_of = _channels([line for _, line in kept])
    intents: dict[str, Any] = {}
    said = [persona_message(agent, text, kept[0][0]) for agent, text in sorted((told or {}).items()) if text]
    taken = {message.id for message in said} | {line.id for _, line in kept if line.id}
    before = {message.id for message in said}
    for number, (time, line) in enumerate(kept):
        found = line.id or _fresh(f"m{number}", taken)
        if found in before:
            reading.refuse(ImportRefused(f"{reading.place(line)}: the id {found!r:.40} stands twice in the conversation {name!r:.40}; mend it, or say --skip", "of an id that is taken"))
            continue
        answers = line.reply_to if line.reply_to in before else None
        reading.cleaned["replies to nothing before them"] += line.reply_to is not None and answers is None
        said.append(Message(id=found, author=line.author, channel=channel_of(line), time=time, text=line.text, addressees=frozenset(line.to), reply_to=answers))
        before.add(found)
        if line.intent is not None:
            intents[found] = line.intent
    bounded(said, where)
    return Talk(name=name, source=source.name, where=where, happened=tuple(said), format=reading.format, intents=intents, **about)


def _timed(lines: Iterable[Line], reading: Reading, unit: str) -> list[tuple[int, Line]]:
    """(ms, line) in the order of time; those of one moment as they stand in the source."""
    some: list[Line] = []
    times: list[int | None] = []
    for line in lines:
        try:
            times.append(None if line.time is None else in_ms(line.time, unit, reading.place(line)))
        except ImportRefused as error:
            reading.refuse(error)
            continue
        some.append(line)
        if len(some) > MOST_MESSAGES:
            bounded((Message(id="", author="", channel=Channel(name="", readers=frozenset()), time=0, text="") for _ in some), reading.place(some[0]))
    return sorted(zip(filled(times), some), key=lambda row: row[0])


def _channels(lines: Sequence[Line]) -> Callable[[Line], Channel]:
    """The channel of each line."""
    members: dict[str, set[AgentID]] = {}
    for line in lines:
        members.setdefault(line.channel, set()).update((line.author, *line.readers, *line.to) if not line.readers else ())
    made: dict[tuple[str, frozenset[AgentID]], Channel] = {}
    taken: Counter[str] = Counter()

    def channel_of(line: Line) -> Channel:
        readers = frozenset({line.author, *line.readers} if line.readers else members[line.channel])
        key = line.channel, readers
        if key not in made:
            plain = line.channel or SHARED
            taken[plain] += 1
            named = plain if taken[plain] == 1 else _fresh(f"{plain}/{taken[plain]}", {channel.name for channel in made.values()} | set(members))
            made[key] = Channel(name=named, readers=readers)
        return made[key]

    return channel_of


def _fresh(wanted: str, taken: set[str]) -> str:
    """A name that is not taken, which then is."""
    while wanted in taken:
        wanted += "'"
    taken.add(wanted)
    return wanted
