"""The table of worlds: a name in YAML, a module here.

A world's module has `Options` (a frozen dataclass of plain values: what YAML may say under `environment`) and
`make(options) -> Environment`. It is imported when a run asks for it. A plug-in module adds entries by having a `WORLDS`
mapping of its own; YAML never names code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from scenarios.environment import Environment

WORLDS: Mapping[str, str] = {
    "diplomacy": "scenarios.diplomacy.environment",
    "hidden_roles": "scenarios.hidden_roles.environment",
    "market": "scenarios.market.environment",
    "team_task": "scenarios.team_task.environment",
    "watch": "scenarios.watch",
}


def worlds(plugins: Sequence[str] = ()) -> dict[str, str]:
    """Name → module of every world, those of the plug-in modules included."""
    table = dict(WORLDS)
    for plugin in plugins:
        table |= getattr(import_module(plugin), "WORLDS", {})
    return table


def world(name: str, plugins: Sequence[str] = ()) -> ModuleType:
    """The module of a world."""
    return import_module(worlds(plugins)[name])


def make_environment(options: Mapping[str, Any], plugins: Sequence[str] = ()) -> Environment:
    """The environment that checked options describe: {"name": world, option: value, …}."""
    module = world(options["name"], plugins)
    return module.make(module.Options(**{key: value for key, value in options.items() if key != "name"}))
