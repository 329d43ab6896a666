"""What a run was, for the head of its report: scenario, seed, world, seats, settings, from manifest.json and config.yaml beside the log.

Neither is evidence of what happened, and a log may stand without them: what is missing or unreadable is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.disk import plain_bytes
from sandbox.labels import FILE as LABELS
from sandbox.named import MANIFEST

CONFIG = "config.yaml"
LONGEST = 600  # characters of the settings


def title(run: Path) -> str:
    """The scenario and seed of a run; of one that does not say, its folder's name."""
    told = _manifest(run)
    return f"{told['name']}, seed {told.get('seed', '?')}" if isinstance(told.get("name"), str) else run.name


def asked_for(run: Path) -> list[str]:
    """In sentences: which run this is, who sits where, the settings of the world, where it is told what was planted."""
    told, found = _manifest(run), [f"Run {run.name}."]
    if isinstance(world := told.get("environment"), str):
        seats = told.get("seats")
        by = dict[str, list[str]]()
        for agent, policy in sorted(seats.items()) if isinstance(seats, dict) else ():
            by.setdefault(str(policy), []).append(str(agent))
        seated = "; ".join(f"{', '.join(agents)}: {policy}" for policy, agents in by.items())
        found.append(f"World: {world}. Seats: {seated or 'not told'}.")
    settings = _settings(run)
    if settings:
        text = ", ".join(f"{key} {_plain(value)}" for key, value in settings.items() if key != "name" and value is not None)
        found.append(f"Settings of the world: {text[:LONGEST]}{'…' if len(text) > LONGEST else ''}. All of them: {CONFIG}.")
    if (run / LABELS).is_file():
        found.append(f"Agents may have been planted in it: {LABELS} says who, and whether it came off.")
    return found


def _plain(value: Any) -> str:
    return " ".join(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else str(value)


def _manifest(run: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(plain_bytes(run / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _settings(run: Path) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(plain_bytes(run / CONFIG))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    settings = found.get("environment") if isinstance(found, dict) else None
    return settings if isinstance(settings, dict) else {}
