"""Rows: what becomes of a run in the format that was asked for, a point of view or a whole game each, with all that filters ask of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox.exporting.reading import Line, Said
from sandbox.exporting.texts import fit, name_of
from sandbox.exporting.wish import ExportError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. `record` is what is written; `why` it is left out, whatever the filters say."""

    id: str
    record: Any = None
    why: str = ""
    own: tuple[str, ...] = ()  # texts that it teaches to say
    read: tuple[str, ...] = ()  # texts that they answer
    said: tuple[str, ...] = ()  # ids of the messages of `own`
    bytes: Mapping[str, int] = field(default_factory=dict)  # of `own`, by lineage

    @property
    def turns(self) -> int:
        """Messages in it."""
        return len(self.own) + len(self.read)

    @property
    def words(self) -> int:
        """Words in it."""
        return sum(len(text.split()) for text in (*self.own, *self.read))

    @property
    def sameness(self) -> int:
        """64 bits that two rows share exactly if their texts are the same, word for word."""
        digest = hashlib.blake2b(digest_size=8)
        for text in (*self.own, "\x00", *self.read):
            digest.update(text.encode())
            digest.update(b"\x01")
        return int.from_bytes(digest.digest(), "big")


Rows = Callable[[Said, Counter[str]], Iterator[Row]]  # what was said → rows; the counter counts texts that were cleaned


class Talk(NamedTuple):
    """What may stand in rows."""

    lines: list[Line]
    personas: dict[str, str]  # agent → what the world told it of itself before it first spoke
    before: frozenset[str]  # ids of the lines that are in a persona


def told(said: Said, cleaned: Counter[str]) -> Talk:
    """What was said in a run, its texts fit for a training set.

    What only its author reads is no talk: a note of its own, such as a plan, goes nowhere; what the world told it alone is its persona, or, told
    when it had spoken already, a line (`alone`). Raises `ExportError` for an agent whose name could pass for something else.
    """
    if wrong := next((agent for agent in said.agents if name_of(agent) != agent or not agent), None):
        raise ExportError(f"{said.source.folder}: an agent is called {wrong!r:.60}, with marks or control characters in its name; run it again with another name")
    lines, personas, spoke, before, channels = [], dict[str, list[str]](), set[str](), set[str](), dict[str, str]()
    for line in said.lines:
        if not line.told:
            spoke.add(line.author)
            if line.readers == (line.author,):
                continue
        text, done = fit(line.text)
        if done:
            cleaned.update(done)
        if not text.strip():  # nothing but control characters
            cleaned["empty"] += 1
            continue
        to, channel = tuple(map(name_of, line.to)), name_of(line.channel)
        if channels.setdefault(channel, line.channel) != line.channel:
            raise ExportError(f"{said.source.folder}: two channels are called {channel!r:.60} but for marks or control characters; run it again with other names")
        lines.append(line if (text, to, channel) == (line.text, line.to, line.channel) else line._replace(text=text, to=to, channel=channel))
        if alone(line) and line.author not in spoke:
            personas.setdefault(line.author, []).append(text)
            before.add(line.id)
    return Talk(lines, {agent: "\n".join(texts) for agent, texts in personas.items()}, frozenset(before))


def alone(line: Line) -> bool:
    """Whether the world told an agent something that nobody else knows."""
    return line.told and line.readers == (line.author,)


def lineage(said: Said, agent: str, persona: str = "") -> str:
    """Whose descendant an agent is: the same seat of the same scenario and world, played by the same policy with the same weights and persona."""
    source = said.source
    who = hashlib.sha256(persona.encode()).hexdigest()[:8] if persona else "-"
    return f"{source.world}/{source.scenario}/{agent}/{source.seats.get(agent, '-')}/{source.checkpoint[:12] or '-'}/{who}"


def shares(said: Said, lines: Sequence[Line], personas: Mapping[str, str]) -> dict[str, int]:
    """Bytes of text by lineage of the author."""
    counts: Counter[str] = Counter()
    for line in lines:
        counts[line.author] += len(line.text.encode())
    return {lineage(said, agent, personas.get(agent, "")): n for agent, n in sorted(counts.items())}
