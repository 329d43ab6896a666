"""What agents said and did, read from the log of a run (events.jsonl): by agent and step.

Only records of observations, intents, messages and moves are kept, of the agents asked for. A log is a file from anywhere: every record is held
against its checksum and number, and its values are of their types before they are used. A torn last line is left out, as a kill leaves one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

from agents.types import JSON
from sociallm.conversation import AgentID

VERSION = 1  # of a record
FILE = "events.jsonl"
MOST_LINE, MOST_KEPT = 4 * 2**20, 256 * 2**20  # bytes: of one record, of all that are kept
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


class LoggedError(ValueError):
    """What is wrong with a log that is to be played again: file, line, what, remedy, in one line."""


@dataclass(frozen=True)
class Said:
    """A message: who reads its channel, whom it was meant for, and the act that its wording names, if any."""

    channel: str
    readers: frozenset[AgentID]
    to: frozenset[AgentID]
    text: str
    act: JSON = None


@dataclass(frozen=True)
class Deed:
    """What an agent said and did in one step."""

    said: tuple[Said, ...] = ()
    move: JSON = None
    intent: JSON = None


@dataclass(frozen=True)
class Logged:
    """A log: what each agent did in each step in which it was asked, who they are, the last step (-1: none)."""

    deeds: Mapping[tuple[AgentID, int], Deed]
    agents: frozenset[AgentID]
    last: int


def log_in(run: str) -> Path:
    """The log in a run's folder, or the log itself. Raises `LoggedError` if there is none."""
    path = Path(run)
    found = path / FILE if path.is_dir() else path
    if not found.is_file():  # no device, no pipe
        raise LoggedError(f"{run!r:.200}: no {FILE} there; name the folder of a run, as its last line does")
    return found


def read_logged(path: Path, agents: Collection[AgentID] | None = None) -> Logged:
    """What these agents (all, by default) did. Raises `LoggedError`."""
    deeds: dict[tuple[AgentID, int], Deed] = {}
    names: set[AgentID] = set()
    last, kept = -1, 0
    for size, where, record in _records(path):
        kind, step, agent, content = record["kind"], record["step"], record["agent"], record["data"]
        last = max(last, step) if kind == "outcome" else last
        if agent is None or kind not in ("observation", "intent", "message", "move"):
            continue
        names.add(agent)
        if agents is not None and agent not in agents:
            continue
        kept += size
        if kept > MOST_KEPT:
            raise LoggedError(f"{where}: more than {MOST_KEPT // 2**20} MiB of what these agents did; seat fewer of them on replay")
        if kind == "message":
            message = _said(content, step, agent, where)
            if message is None:  # the world said it in the agent's name
                continue
            before = deeds.get((agent, step), Deed())
            deeds[agent, step] = replace(before, said=(*before.said, message))
        else:
            before = deeds.get((agent, step), Deed())
            deeds[agent, step] = before if kind == "observation" else replace(before, **{kind: content.get(kind)})
    return Logged(deeds, frozenset(names), last)


def _records(path: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(bytes, file:line, record) of each."""
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(MOST_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > MOST_LINE:
                raise LoggedError(f"{where}: a record of more than {MOST_LINE // 2**20} MiB, which no run writes; name another log")
            if not line.endswith(b"\n"):
                return
            yield len(line), where, _record(line[:-1], number - 1, where)


def _record(line: bytes, number: int, where: str) -> dict[str, Any]:
    found = _CRC.search(line)
    if not found or int(found[1], 16) != crc32(line[: found.start()]):
        raise LoggedError(f"{where}: no record of a log, or changed after the run (its checksum differs); name the folder of a run")
    try:
        record: dict[str, Any] = json.loads(line)
        kinds: dict[str, Any] = {"v": int, "seq": int, "kind": str, "step": int, "agent": (str, type(None)), "data": dict}
        good = all(isinstance(record[key], kind) for key, kind in kinds.items()) and (record["v"], record["seq"]) == (VERSION, number)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise LoggedError(f"{where}: not record {number} of a log of version {VERSION}; lines were lost, or it is another version's")
    return record


def _said(content: Mapping[str, Any], step: int, agent: AgentID, where: str) -> Said | None:
    """The message of a record; None for one that the world said."""
    texts, lists = [content.get(key) for key in ("id", "channel", "text")], [content.get(key) for key in ("readers", "to")]
    named = all(isinstance(given, list) and all(isinstance(name, str) for name in given) for given in lists)
    if not named or not all(isinstance(given, str) for given in texts):
        raise LoggedError(f"{where}: its message has no channel, readers or text; it was changed after the run")
    if not content["id"].startswith(f"{step}:{agent}:"):
        return None
    return Said(content["channel"], frozenset(content["readers"]), frozenset(content["to"]), content["text"], content.get("act"))
