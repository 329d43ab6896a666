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

INTENT = '{"intent":'  # how the data of an intent begins that holds nothing else
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
        if kind == "intent":
            meant[step, str(agent)] = _meant(source, step, data)
            continue
        try:
            lines.append(_line(step, time, agent, value_of(data)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise LogError(f"{source.folder}: a message of step {step} is none ({error!s:.60}); the log was changed after the run") from None
    if len(lines) != source.messages:
        raise LogError(f"{source.folder}: the log holds {len(lines)} messages, manifest.json says {source.messages}; restore what was changed, or run again")
    agents = {*source.seats, *(line.author for line in lines), *(reader for line in lines for reader in line.readers)}
    return Said(source, tuple(lines), meant, tuple(sorted(agents)))


def _meant(source: Source, step: int, data: str) -> str:
    """The intent as JSON, without what was weighed beside it."""
    if data.startswith(INTENT):
        return data[len(INTENT) : -1]
    whole = value_of(data)
    if not isinstance(whole, dict) or "intent" not in whole:
        raise LogError(f"{source.folder}: an intent of step {step} is none; the log was changed after the run")
    return _text(whole["intent"])


def _line(step: int, time: int, author: str | None, data: Any) -> Line:
    """Raises ValueError, KeyError or TypeError for what this program does not write."""
    name, channel, text, answers = data["id"], data["channel"], data["text"], data["reply_to"]
    readers, to = _names(tuple(data["readers"])), _names(tuple(data["to"]))
    if not (type(author) is type(name) is type(channel) is type(text) is str and (answers is None or type(answers) is str) and author in readers):
        raise ValueError("names and texts are not as they should be")
    if type(time) is not int or not 0 <= time < 2**63:
        raise ValueError(f"its time is {time!s:.30}")
    return Line(step, time, author, name, channel, readers, text, to, answers, data.get("by") == "world")


@lru_cache(maxsize=1024)
def _names(names: tuple[Any, ...]) -> tuple[str, ...]:
    """Sorted. Raises TypeError for what holds anything but texts."""
    if not all(type(name) is str for name in names):
        raise TypeError("names are not as they should be")
    return tuple(sorted(names))
