"""A talk as the folder of a run that has ended, whole or not there at all. The same talk gives the same bytes: no clock, no place, no machine.

Files are not synced one by one, which takes longer than all the rest: what a machine lost that stopped is found out by `written`, as an import goes on.

What marks it is `imported` in its manifest: format, the source file's name and hash, and what the source called the conversation. Its seats are called
`imported` too. Its seed is made from the name of the game, so that all runs of a game stand on one side of an export's split.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.disk import placed_folder
from sandbox.folder import VERSION
from sandbox.importing.steps import steps
from sandbox.importing.talk import Talk
from sandbox.importing.wish import ImportRefused
from sandbox.labels import FILE as LABELS
from sandbox.log import VERSION as LOG_VERSION
from sandbox.log import Event, LogError, canonical_hash, encode, read_events
from sandbox.record import conversation
from sandbox.sealed import seal_log
from sandbox.version import NAME, installed
from scenarios.labels import VERSION as LABELS_VERSION
from sociallm.conversation import write_conversations

SEAT = "imported"
AGAIN = re.compile(r"imported (\d{1,19})", re.ASCII)  # what an export calls the game of an imported run


def write_run(folder: Path, talk: Talk, sha256: str) -> dict[str, Any]:
    """Write the folder; the manifest. Raises `ImportRefused` for what has no form in a log."""
    with placed_folder(folder) as part:
        (part / "snapshots").mkdir()
        try:
            events = list(_numbered(talk))
            (part / "events.jsonl").write_bytes(b"".join(map(encode, events)))
        except LogError as error:
            raise ImportRefused(f"{talk.where}: {error}", "what a log cannot hold") from None
        config = yaml.safe_dump(_config(talk), sort_keys=False, allow_unicode=False, width=1000)
        said = conversation(folder.name, events)
        write_conversations(part / "conversations.jsonl", [said] if said.messages else [])
        manifest = _manifest(talk, sha256, config, events) | {"messages": len(said.messages), "files": {"events.parquet": seal_log(part / "events.parquet", events)}}
        for name, text in (("config.yaml", config), ("overrides.yaml", "[]\n"), *_labels(talk), ("manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")):
            (part / name).write_text(text, encoding="utf-8")
    return manifest


def _numbered(talk: Talk) -> Iterator[Event]:
    """The events of a talk as a log has them, and its end."""
    last = Event("end", 0, 0)
    seq = 0
    for events in steps(talk):
        for event in events:
            yield event._replace(seq=seq, wall=0.0)
            seq += 1
        last = events[-1]
    yield Event("end", last.step, last.time, None, {"ended": "done", "why": None}, seq, 0.0)


def _manifest(talk: Talk, sha256: str, config: str, events: Sequence[Event]) -> dict[str, Any]:
    return {
        "v": VERSION, "name": _scenario(talk.name), "seed": seed(talk.game or talk.name), "begun": None, "finished": None, "ended": "done", "why": None, "resumed": [],
        "environment": talk.environment["name"], "seats": dict.fromkeys(talk.seats, SEAT), "plugins": [], "executor": "local", "hosts": 1,
        "log_version": LOG_VERSION, "config_sha256": hashlib.sha256(config.encode()).hexdigest(), "checkpoint": None,
        "python": platform.python_version(), "versions": {NAME: installed(NAME)}, "decoding": None, "plugin_sha256": {},
        "imported": {"format": talk.format, "file": talk.source, "sha256": sha256, "conversation": talk.name} | ({"game": talk.game} if talk.game else {}),
        "events": len(events), "steps": len(talk.happened), "faults": 0, "log_sha256": canonical_hash(events),
    }  # fmt: skip


def written(folder: Path) -> str | None:
    """The hash of the log of a run that was written before, if all of it is there; else None."""
    try:
        found = json.loads((folder / "manifest.json").read_bytes())
        log = read_events(folder / "events.jsonl", torn=lambda _: None)
        whole = canonical_hash(log) == found["log_sha256"] and hashlib.sha256((folder / "events.parquet").read_bytes()).hexdigest() == found["files"]["events.parquet"]
        return found["log_sha256"] if whole else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def seed(game: str) -> int:
    """The seed of a run of this game: of one that was imported before the same again."""
    if (found := AGAIN.fullmatch(game)) and int(found[1]) < 2**63:
        return int(found[1])
    return int.from_bytes(hashlib.sha256(game.encode("utf-8", "surrogatepass")).digest()[:7], "big")


def _config(talk: Talk) -> dict[str, Any]:
    return {"name": _scenario(talk.name), "seed": seed(talk.game or talk.name), "environment": dict(talk.environment), "seats": {"default": SEAT}}


def _scenario(name: str) -> str:
    """A name as a scenario may have it."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:64] or SEAT


def _labels(talk: Talk) -> list[tuple[str, str]]:
    """labels.json, of a source that says who was planted."""
    if talk.labels is None:
        return []
    agents = {agent: {"planted": row["planted"], "as": list(row["as"]), "first": None, "executed": row["executed"], "why": "as the source says"} for agent, row in sorted(talk.labels.items())}
    return [(LABELS, json.dumps({"v": LABELS_VERSION, "world": talk.environment["name"], "agents": agents, "pairs": []}, indent=1) + "\n")]
