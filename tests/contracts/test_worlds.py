"""What every world of the table promises, tried on each: pure rules, bounded windows, JSON for all that leaves it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sandbox.chance import WORLD, stream
from sandbox.schedule import Schedule
from scenarios.table import WORLDS, world, worlds

PLUGINS = ("tests.sandbox.toy", *os.environ.get("SANDBOX_PLUGINS", "").split())
DATA = Path(os.environ.get("SOCIALLM_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))
STEPS = 60
HOSTILE_MOVES = [
    None, 0, -1, "hold", [], {}, [None], {"A PAR": 7}, {"BUILD": "x"}, ["A" * 10_000], {"\ud800": ["\x00"]}, float("inf"), object(), {1: 2},
]  # fmt: skip


def made(name):
    module = world(name, PLUGINS)
    if name != "watch":
        return module.make(module.Options())
    games = sorted(DATA.glob("cicero_games/*.json"))
    if not games:
        pytest.skip("no recorded games at ../shared/data/cicero_games")
    return module.make(module.Options(game=str(games[0])))


def played(environment, seed, move=lambda agent, step: None):
    """(state, window, outcome) of each step."""
    state = environment.start(stream(seed, WORLD, "start", 0))
    for step in range(STEPS):
        window = environment.window(state)
        outcome = environment.step(state, {agent: move(agent, step) for agent in window.agents}, stream(seed, WORLD, "step", step))
        yield state, window, outcome
        state = outcome.state
        if outcome.done:
            return


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_the_same_moves_and_seed_give_the_same_world(name):
    def run():
        environment = made(name)
        steps = [[environment.to_json(s), o.events, sorted(o.rewards.items())] for s, _, o in played(environment, 5)]
        return json.dumps(steps, sort_keys=True)

    assert run() == run()


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_a_step_changes_nothing_that_it_was_given(name):
    environment = made(name)
    for step, (state, window, _) in enumerate(played(environment, 1)):
        moves = dict.fromkeys(window.agents)
        before = json.dumps(environment.to_json(state), sort_keys=True)
        again = [environment.step(state, moves, np.random.default_rng(step)) for _ in range(2)]
        assert json.dumps(environment.to_json(state), sort_keys=True) == before and moves == dict.fromkeys(window.agents)
        assert environment.to_json(again[0].state) == environment.to_json(again[1].state)
        assert again[0].events == again[1].events and again[0].rewards == again[1].rewards


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_time_runs_forward_and_every_window_can_be_scheduled(name):
    environment = made(name)
    schedule, last = Schedule(0, environment.agents), None
    for step, (_, window, outcome) in enumerate(played(environment, 0)):
        assert window.start < window.end + (not window.agents) and set(window.agents) <= set(environment.agents)
        assert last is None or window.start >= last
        assert all(channel.readers <= set(environment.agents) for channel in window.channels)
        slots = schedule.next_agents(window, step)
        assert all(window.start <= slot.time < window.end for slot in slots)
        for message in outcome.messages:
            assert window.start <= message.time < window.end + (not window.agents)
            assert message.author in message.channel.readers <= set(environment.agents)
        last = window.start


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_all_that_leaves_a_world_has_a_json_form(name):
    environment = made(name)
    for state, window, outcome in played(environment, 2):
        for agent in environment.agents:
            json.dumps(environment.observe(state, agent), allow_nan=False, sort_keys=True)
        json.dumps([environment.to_json(outcome.state), outcome.events, dict(outcome.rewards)], allow_nan=False, sort_keys=True)
        assert all(isinstance(event.get("what"), str) for event in outcome.events)
        assert set(outcome.rewards) <= set(environment.agents) and isinstance(window.move_due, bool)


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_a_state_that_went_through_json_text_goes_on_as_the_state_itself(name):
    environment = made(name)
    for step, (state, window, _) in enumerate(played(environment, 6)):
        back = environment.from_json(json.loads(json.dumps(environment.to_json(state))))
        assert back == state and environment.window(back) == window
        for agent in environment.agents:  # in the order of the keys too: a policy may go through a view as it stands
            assert json.dumps(environment.observe(back, agent)) == json.dumps(environment.observe(state, agent))
        outcomes = [environment.step(s, dict.fromkeys(window.agents), np.random.default_rng(step)) for s in (state, back)]
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_no_move_can_break_a_world(name):
    environment = made(name)
    steps = sum(1 for _ in played(environment, 3, lambda agent, step: HOSTILE_MOVES[(step + len(agent)) % len(HOSTILE_MOVES)]))
    assert steps > 0


@pytest.mark.parametrize("name", worlds(PLUGINS))
def test_messages_of_a_world_have_ids_of_their_own(name):
    ids = [message.id for _, _, outcome in played(made(name), 4) for message in outcome.messages]
    assert len(ids) == len(set(ids)) and not any(i[:1].isdigit() for i in ids)  # an agent's ids begin with the step


def test_the_shipped_table_names_modules_that_are_there():
    for name in WORLDS:
        assert callable(world(name).make) and world(name).Options.__dataclass_params__.frozen
