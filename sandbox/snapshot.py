"""The exact state of a run at the end of a step, in a folder: the world, the clock, the mailboxes, every agent's memory.

Random streams need no saving: they are made from (seed, owner, purpose, step), and seed and step stand here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.types import JSON
from sandbox.config import Setting
from sandbox.hosts import Executor
from sociallm.conversation import AgentID, Message

VERSION = 1


def save_snapshot(
    folder: Path, setting: Setting, step: int, time: int, world: JSON, mailboxes: Mapping[AgentID, Sequence[Message]], hosts: Executor
) -> None:
    """Write the state after `step` into `folder`; snapshot.json, written last, says that all of it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts.save(folder)
    clock = {
        "v": VERSION, "seed": setting.config.seed, "step": step, "time": time, "seats": dict(setting.cast.seats),
        "checkpoint": setting.cast.checkpoint, "world": world,
        "mailboxes": {agent: [m.id for m in heard] for agent, heard in mailboxes.items()},
    }  # fmt: skip
    (folder / "snapshot.json").write_text(json.dumps(clock, sort_keys=True, indent=1) + "\n", encoding="utf-8")
