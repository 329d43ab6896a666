"""The scripted policy: deterministic, silent where it may not write, every message worded to mean its act."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.memory import AgentMemory
from agents.policies import scripted
from agents.types import Observation, Turn
from scenarios.diplomacy.environment import PAIRS, Options, make
from tests.scenarios.table_play import stream

WORLD = make(Options())
POLICY = scripted.make(WORLD.language, scripted.Options(), WORLD.agents)


def turn(agent: str, seed: int = 1, **changes) -> Turn:
    view = WORLD.observe(WORLD.start(stream("start")), agent)
    seen = Observation(agent=agent, step=3, time=777, may_write=tuple(c for c in PAIRS if agent in c.readers), view=view)
    return Turn(observation=replace(seen, **changes), memory=AgentMemory(), rng=stream(seed, agent))


def test_every_message_means_the_act_it_was_worded_for():
    for agent in WORLD.agents:
        ((action, _),) = POLICY.step([turn(agent)])
        assert 1 <= len(action.messages) == len(action.wording)
        for message, wording in zip(action.messages, action.wording, strict=True):
            assert list(WORLD.language.meaning(message.text, agent, message.channel.readers)) == [wording["act"]]
            assert (message.author, message.time, wording["by"]) == (agent, 777, "grammar")
            assert message.addressees == set(wording["act"]["to"]) and agent in message.channel.readers
        assert len({m.id for m in action.messages}) == len(action.messages)


def test_a_turn_decides_alone_whatever_its_batch():
    agents = WORLD.agents
    together = POLICY.step([turn(agent) for agent in agents])
    alone = [POLICY.step([turn(agent)])[0] for agent in reversed(agents)][::-1]
    assert list(together) == alone
    assert POLICY.step([turn("ITALY", seed=2)]) != POLICY.step([turn("ITALY", seed=1)])


def test_without_an_open_channel_it_is_silent_and_without_a_due_move_it_does_not_move():
    ((quiet, _),) = POLICY.step([turn("FRANCE", may_write=())])
    assert quiet.messages == () and quiet.move is None and set(quiet.intent) == {"A MAR", "A PAR", "F BRE"}


def test_the_move_is_drawn_from_the_intent():
    for seed in range(20):
        ((action, _),) = POLICY.step([turn("RUSSIA", seed, may_write=(), move_due=True)])
        assert action.move.keys() == action.intent.keys()
        assert all(action.intent[unit][order] > 0 for unit, order in action.move.items())


def test_the_memory_handed_over_is_new_and_the_old_one_unchanged():
    given = turn("GERMANY")
    before = repr(given.memory)
    ((_, memory),) = POLICY.step([given])
    assert repr(given.memory) == before and memory.notes["phase"] == "S1901M" and memory.notes["said"]


def test_plain_wording_says_the_first_text():
    plain = scripted.make(WORLD.language, scripted.Options(vary=False), WORLD.agents)
    ((action, _),) = plain.step([turn("TURKEY")])
    for message, wording in zip(action.messages, action.wording, strict=True):
        assert message.text == WORLD.language.word(wording["act"], "TURKEY")[0]


def test_a_world_without_language_is_refused():
    with pytest.raises(ValueError, match="needs a world with a language"):
        scripted.make(None, scripted.Options(), WORLD.agents)
