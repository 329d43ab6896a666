"""What every policy of the table promises, tried on each in a world that it can play: it depends on its own turn alone."""

import dataclasses
import os

import pytest

from agents.memory import AgentMemory
from agents.policies import POLICIES, make_policy, policies, policy
from agents.types import Observation, Turn
from sandbox.chance import WORLD, stream
from sandbox.rights import permitted
from sandbox.schedule import Schedule
from scenarios.table import WORLDS, make_environment, world, worlds
from sociallm.checkpoint import SHIPPED

OWN = tuple(os.environ.get("SANDBOX_PLUGINS", "").split())  # modules of somebody who wants theirs tried; a policy plays in the worlds of these
PLUGINS = ("tests.sandbox.toy", *OWN)
BREAKERS = {"rogue", "crashing", "slow", "leaving"}  # the toy world's policies that break the contract, or wait, on purpose
NAMES = sorted(set(policies(PLUGINS)) - BREAKERS)


def world_for(name):
    own = sorted(set(worlds(OWN)) - set(WORLDS))
    if own and name in set(policies(OWN)) - set(POLICIES):
        return make_environment({"name": own[0], **dataclasses.asdict(world(own[0], OWN).Options())}, OWN)
    options = {"name": "toy", "players": 3, "rounds": 2, "games": 2, "narrator": None}
    if name in POLICIES:
        options = {"name": "diplomacy", "last_year": 1901, "press_rounds": 2, "phase_ms": 600_000}
    return make_environment(options, PLUGINS)


def made(name, environment):
    module = policy(name, PLUGINS)
    if module.needs_model and name in POLICIES and not (SHIPPED / module.Options().checkpoint / "model.safetensors").is_file():
        pytest.skip(f"the shipped checkpoint {module.Options().checkpoint!r} is not there yet")
    return make_policy(name, dataclasses.asdict(module.Options()), environment.language, environment.agents, PLUGINS)


def turns(environment, steps):
    """The turns of the first steps of a game, everyone silent."""
    state = environment.start(stream(1, WORLD, "start", 0))
    schedule = Schedule(1, environment.agents)
    for step in range(steps):
        window = environment.window(state)
        yield [
            Turn(
                observation=Observation(
                    agent=slot.agent, step=step, time=slot.time, may_write=slot.channels, move_due=window.move_due,
                    view=environment.observe(state, slot.agent),
                ),
                memory=AgentMemory(), rng=stream(1, slot.agent, "policy", step),
            )
            for slot in schedule.next_agents(window, step)
        ]  # fmt: skip
        state = environment.step(state, {}, stream(1, WORLD, "step", step)).state


@pytest.mark.parametrize("name", NAMES)
def test_an_action_depends_on_its_own_turn_alone_and_a_policy_remembers_nothing(name):
    environment = world_for(name)
    one = made(name, environment)
    together = [one.step(batch) for batch in turns(environment, 3)]
    alone = [[one.step([turn])[0] for turn in reversed(batch)][::-1] for batch in turns(environment, 3)]
    assert together == alone


@pytest.mark.parametrize("name", NAMES)
def test_an_action_is_within_the_agents_rights(name):
    environment = world_for(name)
    one = made(name, environment)
    for batch in turns(environment, 3):
        for turn, (action, memory) in zip(batch, one.step(batch), strict=True):
            checked, faults = permitted(turn.observation, action, environment.agents, set())
            assert faults == () and len(checked.messages) == len(action.messages) == len(action.wording)
            assert isinstance(memory, AgentMemory)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_gives_nothing(name):
    assert list(made(name, world_for(name)).step([])) == []


def test_the_shipped_table_names_modules_that_are_there():
    for name in POLICIES:
        module = policy(name)
        assert callable(module.make) and module.Options.__dataclass_params__.frozen and isinstance(module.needs_model, bool)
        assert not module.needs_model or isinstance(module.Options().checkpoint, str)
