"""Turns of real worlds for policies that are asked in words, and the policy llm on a stub."""

from __future__ import annotations

from agents.doors import Doors
from agents.memory import AgentMemory
from agents.policies.llm import Options, make
from agents.types import Observation, Turn
from sandbox.chance import WORLD, stream
from sandbox.schedule import Schedule
from scenarios.table import make_environment

DIPLOMACY = {"name": "diplomacy", "last_year": 1901, "press_rounds": 1}
MARKET = {"name": "market", "sellers": 3, "chat": "private", "talks": 1}


def turns_of(environment, steps=1, heard=()):
    """The turns of a game's first steps, everyone silent and without memory."""
    state, schedule, found = environment.start(stream(1, WORLD, "start", 0)), Schedule(1, environment.agents), []
    for step in range(steps):
        window = environment.window(state)
        found.append([
            Turn(
                observation=Observation(
                    agent=slot.agent, step=step, time=slot.time, may_write=slot.channels, move_due=window.move_due, heard=tuple(heard),
                    view=environment.observe(state, slot.agent),
                ),
                memory=AgentMemory(), rng=stream(1, slot.agent, "policy", step),
            )
            for slot in schedule.next_agents(window, step)
        ])  # fmt: skip
        outcome = environment.step(state, {}, stream(1, WORLD, "step", step))
        if outcome.done:
            break
        state = outcome.state
    return found


def world(options=MARKET):
    return make_environment(dict(options))


def asking(stub, model, environment, key="", allow=True, **options):
    """The policy on a stub."""
    doors = Doors(servers={stub.origin: key} if allow else {})
    wanted = {"base_url": stub.url, "model": model, "checkpoint": None, "timeout": 2.0, "attempts": 2, "on_failure": "fallback", **options}
    return make(environment.language, Options(**wanted), environment.agents, doors)
