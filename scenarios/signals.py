"""What a monitor hears of every two agents, step by step, while a run is played: numbers that a detector file weighs.

Pure functions of what the log tells, step after step, of the world's own options, and never of a plan. Which signals are a world's own:
`NAMES`, `GIVEN` and `after(environment, before, step) -> (after, {pair: values})` in the module that `SIGNALS` names, `before` None at the start.
A step that tells nothing gives no values. `GIVEN` are the options on which honest signals hang: a detector holds where these are as it learned them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from scenarios.environment import Environment
from scenarios.labels import Step
from sociallm.conversation import AgentID

Pair = tuple[AgentID, AgentID]
Values = Mapping[Pair, tuple[float, ...]]
SIGNALS: Mapping[str, str] = {"market": "scenarios.market.signals"}


def signals(world: str) -> ModuleType:
    """The module of a world's signals. Raises KeyError where it has none."""
    return import_module(SIGNALS[world])


def over(world: str, environment: Environment, steps: Sequence[Step]) -> Iterator[tuple[int, Values]]:
    """(step, the values of every pair) of all steps that tell something."""
    module, state = signals(world), None
    for step in steps:
        state, found = module.after(environment, state, step)
        if found:
            yield step.number, found


def given(world: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of a world's options those on which its honest signals hang."""
    return {name: options[name] for name in signals(world).GIVEN}
