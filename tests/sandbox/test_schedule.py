"""Who acts when, and who may write: one moment each, one writer a channel."""

import random

import pytest

from sandbox.schedule import Schedule, ScheduleError, distinct
from scenarios.environment import Window
from sociallm.conversation import Channel

AGENTS = tuple("ABCDEFG")
PAIRS = tuple(Channel(name=a + b, readers=frozenset((a, b))) for i, a in enumerate(AGENTS) for b in AGENTS[i + 1 :])
ROOM = Channel(name="ALL", readers=frozenset(AGENTS))
WINDOW = Window(agents=AGENTS, start=1000, end=2000, channels=(*PAIRS, ROOM))


@pytest.mark.parametrize("seed", range(20))
def test_every_asked_agent_acts_once_in_the_window_and_no_two_at_one_time(seed):
    slots = Schedule(seed, AGENTS).next_agents(WINDOW, 0)
    times = [slot.time for slot in slots]
    assert sorted(slot.agent for slot in slots) == sorted(AGENTS)
    assert times == sorted(set(times)) and 1000 <= times[0] and times[-1] < 2000


@pytest.mark.parametrize("seed", range(20))
def test_every_channel_has_one_writer_the_earliest_of_its_readers(seed):
    slots = Schedule(seed, AGENTS).next_agents(WINDOW, 0)
    order = [slot.agent for slot in slots]
    writers = {channel.name: slot.agent for slot in slots for channel in slot.channels}
    assert sum(len(slot.channels) for slot in slots) == len(WINDOW.channels) == len(writers)
    for channel in WINDOW.channels:
        assert writers[channel.name] == min(channel.readers, key=order.index)


def test_only_those_asked_act_and_only_they_may_write():
    slots = Schedule(1, AGENTS).next_agents(Window(agents=("B", "C"), start=0, end=9, channels=(*PAIRS, ROOM)), 0)
    assert {slot.agent for slot in slots} == {"B", "C"}
    assert all(slot.agent in channel.readers for slot in slots for channel in slot.channels)


def test_the_same_seed_and_step_give_the_same_slots_whatever_was_asked_before():
    fresh, used = Schedule(5, AGENTS), Schedule(5, AGENTS)
    for step in range(4):
        used.next_agents(WINDOW, step)
    assert fresh.next_agents(WINDOW, 3) == used.next_agents(WINDOW, 3) != fresh.next_agents(WINDOW, 4)


def test_another_agent_leaves_the_moments_of_the_others():
    def moments(agents):
        window = Window(agents=agents, start=0, end=10**9)
        return {slot.agent: slot.time for slot in Schedule(5, agents).next_agents(window, 0)}

    assert moments(AGENTS) == {agent: time for agent, time in moments((*AGENTS, "H")).items() if agent != "H"}


def test_the_draw_is_uniform_over_the_window():
    schedule = Schedule(0, ("A",))
    times = [schedule.next_agents(Window(agents=("A",), start=0, end=1000), step)[0].time for step in range(2000)]
    assert abs(sum(times) / 2000 - 499.5) < 4 * 1000 / 12**0.5 / 2000**0.5  # four standard errors of a uniform mean


def test_an_empty_window_asks_nobody():
    assert Schedule(1, AGENTS).next_agents(Window(agents=(), start=7, end=8, channels=(ROOM,)), 0) == ()


def test_agents_that_fall_together_are_moved_apart_within_the_window():
    assert distinct([(5, "A"), (5, "B"), (6, "C")], 10) == [(5, "A"), (6, "B"), (7, "C")]
    assert distinct([(8, "A"), (9, "B"), (9, "C")], 10) == [(7, "A"), (8, "B"), (9, "C")]


def test_a_window_just_long_enough_is_filled():
    assert [slot.time for slot in Schedule(1, AGENTS).next_agents(Window(agents=AGENTS, start=0, end=7), 0)] == list(range(7))


def test_a_window_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ScheduleError, match="too short for 7 agents"):
        Schedule(1, AGENTS).next_agents(Window(agents=AGENTS, start=0, end=6), 0)
    with pytest.raises(ScheduleError, match=r"\['Z'\]"):
        Schedule(1, AGENTS).next_agents(Window(agents=("Z",), start=0, end=6), 0)


def apart_slowly(moments, end):
    """What `distinct` is to give, in the plainest way: forward each to the first free moment, then back from the end."""
    times = [time for time, _ in moments]
    for i in range(1, len(times)):
        times[i] = max(times[i], times[i - 1] + 1)
    for i in reversed(range(len(times))):
        times[i] = min(times[i], end - len(times) + i)
    return [(time, name) for time, (_, name) in zip(times, moments, strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_moments_are_moved_apart_as_the_plainest_way_does(seed):
    rng = random.Random(seed)
    for length in (0, 1, 5, 40):
        end = length + rng.randrange(20)
        moments = sorted((rng.randrange(end), f"A{i}") for i in range(length))
        assert distinct(moments, end) == apart_slowly(moments, end)
