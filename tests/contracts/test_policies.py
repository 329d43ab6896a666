"""What every policy of the table promises, tried on each in a world that it can play: it depends on its own turn alone."""

import dataclasses
import os
from contextlib import ExitStack

import pytest

from agents.doors import CLOSED
from agents.memory import AgentMemory
from agents.policies import POLICIES, is_outside, make_policy, policies, policy
from agents.types import Observation, Turn
from sandbox.chance import WORLD, stream
from sandbox.rights import permitted
from sandbox.schedule import Schedule
from scenarios.table import WORLDS, make_environment, world, worlds
from sociallm.checkpoint import SHIPPED
from tests.contracts.outside import given

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


@pytest.fixture
def made(tmp_path):
    """How a policy is made, with what it needs that nothing ships: a model, a person, a server, a log."""
    with ExitStack() as open_now:

        def make(name, environment):
            module = policy(name, PLUGINS)
            options, doors = open_now.enter_context(given(name, environment, tmp_path)) if name in POLICIES else (dataclasses.asdict(module.Options()), CLOSED)
            if module.needs_model and options["checkpoint"] is not None and not (SHIPPED / options["checkpoint"] / "model.safetensors").is_file():
                pytest.skip(f"the shipped checkpoint {options['checkpoint']!r} is not there yet")
            return make_policy(name, options, environment.language, environment.agents, PLUGINS, doors)

        yield make


def timeless(results):
    """The same, without how long each took."""
    return [(dataclasses.replace(a, usage={**a.usage, "seconds": 0}) if a.usage else a, memory) for a, memory in results]


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
def test_an_action_depends_on_its_own_turn_alone_and_a_policy_remembers_nothing(name, made):
    environment = world_for(name)
    one = made(name, environment)
    together = [timeless(one.step(batch)) for batch in turns(environment, 3)]
    alone = [timeless([one.step([turn])[0] for turn in reversed(batch)][::-1]) for batch in turns(environment, 3)]
    assert together == alone


@pytest.mark.parametrize("name", NAMES)
def test_an_action_is_within_the_agents_rights(name, made):
    environment = world_for(name)
    one = made(name, environment)
    for batch in turns(environment, 3):
        for turn, (action, memory) in zip(batch, one.step(batch), strict=True):
            checked, faults = permitted(turn.observation, action, environment.agents, set())
            assert tuple((f.what, f.why) for f in faults) == action.faults  # no more than it tells itself
            assert len(checked.messages) == len(action.messages) == len(action.wording) and isinstance(memory, AgentMemory)


@pytest.mark.parametrize("name", [name for name in NAMES if is_outside(policy(name, PLUGINS))])
def test_what_an_outside_policy_remembers_follows_from_what_is_logged_of_it(name, made):
    environment = world_for(name)
    one = made(name, environment)
    for batch in turns(environment, 3):
        for turn, (action, memory) in zip(batch, one.step(batch), strict=True):
            assert one.recall(turn, permitted(turn.observation, action, environment.agents, set())[0]) == memory


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_batch_gives_nothing(name, made):
    assert list(made(name, world_for(name)).step([])) == []


def test_the_shipped_table_names_modules_that_are_there():
    for name in POLICIES:
        module = policy(name)
        assert callable(module.make) and module.Options.__dataclass_params__.frozen and isinstance(module.needs_model, bool)
        assert not module.needs_model or isinstance(module.Options().checkpoint, str)
        assert is_outside(module) == hasattr(module, "outside")
