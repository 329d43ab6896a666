"""The folder of a run: what it began with, what it is made of, how it ended.

    config.yaml          the configuration, unresolved      events.jsonl         the log
    overrides.yaml       what the command line changed      conversations.jsonl  all that was said, ready for training
    manifest.json        versions, hashes, seed, ending     snapshots/final/     the world and every agent's memory at the end
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sandbox.config import Setting
from sandbox.log import VERSION as LOG_VERSION
from sandbox.log import canonical_hash, read_events
from sandbox.record import conversation
from sociallm.conversation import write_conversations

VERSION = 1
PACKAGES = ("social-sandbox", "torch", "ray", "mesa", "hydra-core", "numpy", "tokenizers", "safetensors")


def make_folder(setting: Setting, now: datetime, unique: str) -> Path:
    """A new folder for one run, with its configuration and a manifest that says it has begun."""
    folder = Path(setting.config.run_dir) / setting.config.name / f"{now:%Y%m%d-%H%M%S}-{unique}"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "config.yaml").write_text(setting.unresolved, encoding="utf-8")
    # JSON is YAML: one quoted text a line
    lines = "".join(f"- {json.dumps(text)}\n" for text in setting.overrides) or "[]\n"
    (folder / "overrides.yaml").write_text(lines, encoding="utf-8")
    _write_manifest(folder, begun(setting, now) | {"ended": None})
    return folder


def begun(setting: Setting, now: datetime) -> dict[str, Any]:
    """What is known of a run when it begins."""
    config = setting.config
    checkpoint = {"name": setting.cast.checkpoint, "sha256": setting.checkpoint_sha256} if setting.cast.checkpoint else None
    return {
        "v": VERSION, "name": config.name, "seed": config.seed, "begun": now.isoformat(timespec="seconds"),
        "environment": config.environment["name"], "seats": dict(setting.cast.seats), "plugins": list(setting.cast.plugins),
        "executor": config.executor, "hosts": config.hosts if config.executor == "ray" else 1, "log_version": LOG_VERSION,
        "config_sha256": hashlib.sha256(setting.unresolved.encode()).hexdigest(), "checkpoint": checkpoint,
        "python": platform.python_version(), "machine": platform.machine(), "versions": {name: _version(name) for name in PACKAGES},
    }  # fmt: skip


def seal(folder: Path, setting: Setting, began: datetime, now: datetime, ended: Mapping[str, Any]) -> dict[str, Any]:
    """Write what follows from the log (conversations, hashes) and the manifest's last word. Returns the manifest."""
    events = list(read_events(folder / "events.jsonl", torn=lambda _: None))  # the run has told it
    said = conversation(folder.name, events)
    write_conversations(folder / "conversations.jsonl", [said] if said.messages else [])
    manifest = begun(setting, began) | dict(ended) | {
        "finished": now.isoformat(timespec="seconds"), "events": len(events), "steps": sum(e.kind == "step" for e in events),
        "messages": len(said.messages), "faults": sum(e.kind == "fault" for e in events), "log_sha256": canonical_hash(events),
    }  # fmt: skip
    _write_manifest(folder, manifest)
    return manifest


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    whole = folder / "manifest.json.part"
    whole.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(whole, folder / "manifest.json")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
