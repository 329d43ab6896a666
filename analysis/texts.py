"""What can be observed, as messages: a run, its log, conversations, a recorded game, lines of IRC.

Of a run that has ended only the records that matter here are parsed. The others need not be: what the file says of them, and of those, has
the hash that the manifest was sealed with. A log that has another hash is read record by record, which tells what is wrong with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from analysis.metrics import AnalysisError, message_of, need, read_run
from sandbox.experiment import FILE as EXPERIMENT
from sandbox.log import Event, canonical_hash, checked, value_of
from sandbox.named import DEEP, MANIFEST, OF_A_RUN, no_run
from scenarios.recorded import RecordedGameError, read_game
from sociallm.conversation import AgentID, Conversation, ConversationError, Message, read_conversations

IRC = "irc_disentanglement"
BELOW = (*DEEP, "*/*/*/*", "*/*/*/*/*")  # a run of an experiment lies deeper, as NAME/EXPERIMENT/ARM/SEED, seen from runs or from the folder above
SAID = ("message", "intervention")  # the records that make a text; with those of steps where no manifest says who sits there


@dataclass(frozen=True, kw_only=True)
class Text:
    """Something to observe: messages in the order in which they were read, and all agents, for their slots."""

    name: str
    where: str  # for whoever is told what is wrong with it
    conversation: Conversation
    agents: tuple[AgentID, ...]
    checkpoint: str | None = None  # of the run, if its agents carried states
    world: str = ""  # of the run; empty for a file


class Log(NamedTuple):
    """Records of some kinds of a run, in order, and the SHA-256 of its canonical log."""

    events: tuple[Event, ...]
    sha256: str



def runs_below(path: Path) -> list[Path]:
    """The runs that a folder is or holds, by name; empty for anything else."""
    if any((path / name).is_file() for name in OF_A_RUN):
        return [path]
    return sorted({place.parent for pattern in BELOW for place in path.glob(f"{pattern}/{MANIFEST}")}) if path.is_dir() else []


def runs_of(paths: Sequence[Path]) -> list[Path]:
    """All runs that these are or hold, each once. Raises `AnalysisError` for a path without any."""
    for path in paths:
        if not runs_below(path):
            raise AnalysisError(no_run(path) or f"{path}: no run there, nor in the folders below; give runs, or folders of runs")
    return list(dict.fromkeys(run for path in paths for run in runs_below(path)))


def log_of(run: Path, kinds: Collection[str]) -> Log:
    """The records of these kinds, and maybe others. Raises `AnalysisError` as `read_run` does."""
    found = _sealed(run, kinds)
    if found is None:
        events = read_run(run, lambda _: None)
        found = Log(events, canonical_hash(events))
    return found


def _sealed(run: Path, kinds: Collection[str]) -> Log | None:
    """The records of these kinds of a run that has ended, if its log is, byte for byte, what was sealed: a record without its wall time and
    its checksum, which stand last, is a line of the canonical log. None for any other log."""
    ended = _manifest(run / MANIFEST)
    log, digest, found = run / "events.jsonl", hashlib.sha256(), []
    if ended.get("ended") is None or not log.is_file():
        return None
    wanted = tuple(f'"kind":"{kind}",'.encode() for kind in kinds)
    with open(log, "rb") as lines:
        for number, line in enumerate(lines):
            end = line.rfind(b',"wall":') if line.endswith(b'"}\n') else 0  # a torn record is no sealed one
            digest.update(line[:end] + b"}\n")
            if line.startswith(wanted, line.rfind(b'"kind":', 0, end)):
                found.append((number, line))
    if digest.hexdigest() != ended.get("log_sha256"):
        return None
    try:
        records = [(number, value_of(line)) for number, line in found]
        events = [checked(Event(**{key: record[key] for key in Event._fields}), f"{log}:{number + 1}") for number, record in records]
    except (ValueError, KeyError, TypeError, RecursionError):  # of a hand-made manifest; the other way says what is wrong
        return None
    return Log(tuple(events), digest.hexdigest())


def text_of_run(run: Path, log: Log | None = None) -> Text:
    """All that was said in a run, or in a log, in the order in which it was read; `log` if it was read before. Raises `AnalysisError`."""
    manifest = _manifest(run / MANIFEST)
    events = (log or log_of(run, SAID if isinstance(manifest.get("seats"), dict) else (*SAID, "step"))).events
    for event in events:
        parts = event.data.get("parts") if event.kind == "intervention" and event.data.get("what") == "erase" else None
        if isinstance(parts, list) and {"own", "int"} & set(parts):
            raise AnalysisError(f"{run}: {event.agent}'s memory was changed from outside in step {event.step} (erase), so the log does not make its states; observe the run it was forked from")
    given = manifest.get("file_sha256")
    if begun := [key for key in given if str(key).startswith("personas.")] if isinstance(given, dict) else []:
        raise AnalysisError(f"{run}: {begun[0]!s:.80} began with another run's state, so the log does not make its states; observe a run without it")
    said = tuple(message_of(event) for event in events if event.kind == "message")
    _in_order(run, said)
    agents = {m.author for m in said} | {r for m in said for r in m.channel.readers} | _seated(events, manifest)
    point = manifest.get("checkpoint")
    folder = run if run.is_dir() else run.parent
    name = f"{folder.parent.name}/{folder.name}" if in_experiment(folder) else folder.name
    return Text(
        name=name, where=str(run), conversation=Conversation(id=name, messages=said), agents=tuple(sorted(agents)),
        checkpoint=point.get("name") if isinstance(point, dict) else None, world=str(manifest.get("environment") or ""),
    )  # fmt: skip


def in_experiment(run: Path) -> bool:
    """Whether a run is one of an experiment: EXPERIMENT/ARM/SEED."""
    return (run.parent.parent / EXPERIMENT).is_file()


def _in_order(run: Path, said: Sequence[Message]) -> None:
    latest: dict[AgentID, int] = {}
    for message in said:
        for reader in message.channel.readers:
            if latest.setdefault(reader, message.time) > message.time:
                raise AnalysisError(f"{run}: message {message.id!r:.60} is older than one that {reader!r:.40} has read before it; the log was changed after the run")
            latest[reader] = message.time


def _manifest(path: Path) -> Mapping[str, Any]:
    """What the folder of a run says of itself; nothing for a log that stands alone."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: not the manifest of a run ({' '.join(str(error).split()):.100}); restore it") from None
    return value if isinstance(value, dict) else {}


def _seated(events: Sequence[Event], manifest: Mapping[str, Any]) -> set[AgentID]:
    """All agents of a run: a name has the same slot everywhere, whoever speaks."""
    if isinstance(seats := manifest.get("seats"), dict):
        return set(seats)
    return {str(slot[0]) for event in events if event.kind == "step" for slot in need(event, "slots", list) if isinstance(slot, list) and slot}


def texts_of_file(path: Path) -> list[Text]:
    """Conversations, a recorded game, or IRC; a log is `text_of_run`'s. Raises `AnalysisError` in one line."""
    try:
        if path.name.endswith(".jsonl.gz"):
            found = irc(path)
        elif path.suffix == ".json":
            found = [read_game(path).conversation()]
        else:
            found = list(read_conversations(path))
    except (ConversationError, RecordedGameError) as error:
        raise AnalysisError(str(error)) from None
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); is it the right file?") from None
    return [Text(name=c.id, where=f"{path} (conversation {c.id!r:.60})", conversation=c, agents=c.participants) for c in found]


def irc(path: Path) -> list[Conversation]:
    """The excerpts of one file of the IRC disentanglement corpus."""
    from sociallm import corpora

    if path.parent.name != IRC:
        raise AnalysisError(f"{path}: a compressed file is taken to be IRC, and lies in a folder {IRC}; unpack conversations first")
    try:
        found = corpora.irc(path.name.removesuffix(".jsonl.gz"))(path.parent.parent)
    except ConversationError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, EOFError) as error:
        raise AnalysisError(f"{path}: a record has not the shape of a line of IRC ({type(error).__name__}: {error!s:.80}); name a file of lines, not of links") from None
    return [c for c in found if c.messages]


def is_log(path: Path) -> bool:
    """Whether a file is the log of a run, in either form."""
    if path.suffix == ".parquet":
        return path.is_file()
    try:
        with open(path, "rb") as file:
            return path.suffix == ".jsonl" and b'"crc":"' in file.readline(1 << 20)
    except OSError:
        return False
