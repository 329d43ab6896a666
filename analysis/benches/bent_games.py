"""Games in one process in which everybody speaks one language, bent or not: many games, and plants that no plan file can hold.

The steps, the schedule and every agent's chance are those of a run of the same seed whose seats are scripted (or planted with this seed as salt):
same seed, same events.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agents.types import Language
from sandbox import in_memory
from sandbox.log import Event
from scenarios.environment import Environment
from scenarios.table import make_environment, world


def made(name: str, **options: Any) -> Environment:
    """A world with these of its options. Raises ValueError as the world does."""
    return make_environment({"name": name, **asdict(world(name).Options(**options))})


def played(environment: Environment, name: str, seed: int, language: Language | None = None) -> tuple[Event, ...]:
    """The events of a game of this world, to its end; `language`: the one that all speak, the world's own unless given."""
    spoken = environment.language if language is None else language
    assert spoken is not None
    setting = in_memory.seated(environment, {"name": name}, seed=seed)
    return tuple(in_memory.played(setting, hosts=in_memory.Alike(setting, spoken))[0])
