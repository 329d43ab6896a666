"""The table of policies: a name in YAML, a module here.

A policy's module has `Options` (a frozen dataclass of plain values: what YAML may say under `policies.<name>`),
`make(language, options, agents) -> Policy` (`agents`: all of the run) and `needs_model` (whether its agents carry SociaLLM
states, and its options a `checkpoint`). A module is imported when a run asks for it. Free to be there:

    outside = True    it gets its answers from outside the run: it acts in the process that the user started, `make(language, options, agents,
                      doors)` has what is open there, and what it makes is an `agents.types.OutsidePolicy`
    terminal = True   it has people on its seats, who need the terminal
    check(language, options, agents)    says early what `make` would refuse once the weights are there
    reads(options)    the files that make the policy what it is: their hashes go into the manifest

A plug-in module adds entries by having a `POLICIES` mapping of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from agents.doors import CLOSED, Doors
from agents.types import AgentID, Language, Policy

POLICIES: Mapping[str, str] = {
    "hf": "agents.policies.hf",
    "human": "agents.policies.human",
    "llm": "agents.policies.llm",
    "planted": "agents.policies.planted",
    "planted_social": "agents.policies.planted_social",
    "replay": "agents.policies.replay",
    "scripted": "agents.policies.scripted",
    "social": "agents.policies.social",
}


def policies(plugins: Sequence[str] = ()) -> dict[str, str]:
    """Name → module of every policy, those of the plug-in modules included."""
    table = dict(POLICIES)
    for plugin in plugins:
        table |= getattr(import_module(plugin), "POLICIES", {})
    return table


def policy(name: str, plugins: Sequence[str] = ()) -> ModuleType:
    """The module of a policy."""
    return import_module(policies(plugins)[name])


def make_policy(
    name: str, options: Mapping[str, Any], language: Language | None, agents: Sequence[AgentID], plugins: Sequence[str] = (), doors: Doors = CLOSED
) -> Policy:
    """The policy that checked options describe. `doors` are for those whose answers come from outside."""
    module = policy(name, plugins)
    given = (language, module.Options(**options), agents)
    return module.make(*given, doors) if is_outside(module) else module.make(*given)


def is_outside(module: ModuleType) -> bool:
    """Whether the answers of a module's policy come from outside the run."""
    return getattr(module, "outside", False) is True
