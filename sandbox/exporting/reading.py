"""What was said in a run, and what each meant to do before it spoke, read fast.

Of a run that has ended the log stands in columns too, and its manifest has the hash of that file: where it is the file's, nothing was changed, lost
or cut short, and only the rows that matter need be looked into. Else the log is read record by record, which tells what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sandbox.exporting.records import records
from sandbox.exporting.source import Source
from sandbox.log import LogError, value_of
from sandbox.writing import writer

SHORT, FEW = 500, 50  # characters of an intent, and readers, that are remembered: most come again
_text = writer(compact=True)


class Line(NamedTuple):
    """A message as it was sent. `readers` and `to` are sorted; `told`: by the world, not by a policy."""

    step: int
    time: int
    author: str
    id: str
    channel: str
    readers: tuple[str, ...]
    text: str
    to: tuple[str, ...]
    reply_to: str | None
    told: bool


@dataclass(frozen=True)
class Said:
    """All that was said in a run, in the order of its log."""

    source: Source
    lines: tuple[Line, ...]
    intents: Mapping[tuple[int, str], str]  # (step, agent) → JSON
    agents: tuple[str, ...]  # of the run, sorted


def said_in(source: Source, intents: bool) -> Said:
    """What was said in a run. Raises `LogError` for a log that is not the one that was sealed, or holds fewer messages than it should."""
    lines, meant = [], dict[tuple[int, str], str]()
    for kind, step, time, agent, data in records(source.folder, source.sha256, source.columns_sha256, ("message", "intent") if intents else ("message",)):
        try:
            if kind == "intent":
                meant[step, str(agent)] = _known_meant(data) if len(data) <= SHORT else _meant(data)
            else:
                lines.append(_line(step, time, agent, value_of(data)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LogError(f"{source.folder}: the {kind} of step {step} is none ({error!s:.60}); the log was changed after the run") from None
    if len(lines) != source.messages:
        raise LogError(f"{source.folder}: the log holds {len(lines)} messages, manifest.json says {source.messages}; restore what was changed, or run again")
    if len({line.id for line in lines}) < len(lines):
        raise LogError(f"{source.folder}: two messages of the log have one id; the log was changed after the run")
    agents = {*source.seats, *(line.author for line in lines), *(reader for line in lines for reader in line.readers)}
    return Said(source, tuple(lines), meant, tuple(sorted(agents)))


def _meant(data: str) -> str:
    """The intent as JSON, without what was weighed or used up beside it. Raises ValueError, KeyError or TypeError for what this program does not write."""
    return _text(value_of(data)["intent"])


_known_meant = lru_cache(maxsize=8192)(_meant)


def _line(step: int, time: int, author: str | None, data: Any) -> Line:
    """Raises ValueError, KeyError or TypeError for what this program does not write."""
    name, channel, text, answers = data["id"], data["channel"], data["text"], data["reply_to"]
    readers, to = _names(data["readers"]), _names(data["to"])
    if not (type(author) is type(name) is type(channel) is type(text) is str and (answers is None or type(answers) is str) and author in readers):
        raise ValueError("names and texts are not as they should be")
    if type(time) is not int or not 0 <= time < 2**63:
        raise ValueError(f"its time is {time!s:.30}")
    return Line(step, time, author, name, channel, readers, text, to, answers, data.get("by") == "world")


def _names(names: Any) -> tuple[str, ...]:
    """Sorted. Raises TypeError for what is no list of texts."""
    if type(names) is not list:
        raise TypeError("names are no list")
    return _known_sorted(tuple(names)) if len(names) <= FEW else _sorted(tuple(names))


def _sorted(names: tuple[Any, ...]) -> tuple[str, ...]:
    if not all(type(name) is str for name in names):
        raise TypeError("names are no texts")
    return tuple(sorted(names))


_known_sorted = lru_cache(maxsize=1024)(_sorted)
