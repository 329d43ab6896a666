"""Personas: told to their own agent alone, in any world, before anything else; told again only when they are others."""

from dataclasses import replace

import pytest

from sandbox.chance import WORLD, stream
from scenarios.briefing import MAX_PERSONA, Briefed, alone, briefed, persona_of
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.environment import Options as TableOptions
from scenarios.diplomacy.environment import State
from scenarios.diplomacy.environment import make as make_table
from scenarios.table import WORLDS, world
from tests.sandbox import toy

TOLD = {"P0": "I count.", "P2": "I wait.\nThen I count."}


def begun(personas=TOLD):
    environment = briefed(toy.make(toy.Options()), personas)
    return environment, environment.start(stream(1, WORLD, "start", 0))


def next_of(environment, state):
    return environment.step(state, {}, stream(1, WORLD, "step", 0))


def test_each_is_told_its_own_in_a_channel_that_nobody_else_reads_before_anybody_is_asked():
    environment, state = begun()
    window, outcome = environment.window(state), next_of(environment, state)
    assert window.agents == () and window.start == window.end == 0 and not window.move_due and not outcome.done
    assert [(m.id, m.author, m.text, m.channel) for m in outcome.messages] == [(f"persona-{a}", a, text, alone(a)) for a, text in TOLD.items()]
    assert all(m.channel.readers == {m.author} for m in outcome.messages)
    assert environment.window(outcome.state).agents == ("P0", "P1", "P2") and next_of(environment, outcome.state).messages == ()


def test_the_world_goes_on_as_it_would_have_without():
    environment, state = begun()
    state, plain = next_of(environment, state).state, toy.make(toy.Options())
    bare = plain.start(stream(1, WORLD, "start", 0))
    for step in range(6):
        assert environment.window(state) == plain.window(bare)
        assert {k: v for k, v in environment.observe(state, "P0").items() if k != "persona"} == plain.observe(bare, "P0")
        after = [w.step(s, {"P0": 3}, stream(1, WORLD, "step", step)) for w, s in ((environment, state), (plain, bare))]
        assert replace(after[0], state=None) == replace(after[1], state=None)
        state, bare = after[0].state, after[1].state


def test_a_persona_is_seen_by_its_own_agent_alone():
    environment, state = begun()
    assert environment.observe(state, "P0")["persona"] == "I count." and "persona" not in environment.observe(state, "P1")


def test_a_state_comes_back_from_json_and_that_of_the_world_alone_was_told_nothing():
    environment, state = begun()
    after = next_of(environment, state).state
    for one in (state, after):
        assert environment.from_json(environment.to_json(one)) == one
    assert environment.from_json(environment.to_json(after)["world"]).told == {}
    with pytest.raises(ValueError, match="texts"):
        environment.from_json({"told": {"P0": "I count."}, "world": [1, 2]})


def test_who_is_given_another_persona_later_is_told_it_then_and_the_others_are_not_told_again():
    environment, state = begun()
    after = next_of(environment, state).state
    other = briefed(toy.make(toy.Options()), {**TOLD, "P0": "I lie.", "P1": "I listen."})
    late = other.from_json(environment.to_json(after))
    outcome = next_of(other, late)
    assert [(m.id, m.text) for m in outcome.messages] == [("persona-P0-2", "I lie."), ("persona-P1", "I listen.")]
    assert next_of(other, outcome.state).messages == ()


def test_what_could_steer_a_terminal_or_hide_words_is_taken_out():
    assert persona_of("P0", " I\x1b]0;x\x07 am\u202e here.\r\nYes\u2028no\ud800 ") == "I]0;x am here.\nYes\nno?"


@pytest.mark.parametrize(
    ("personas", "says"),
    [
        ({"P9": "x"}, "P9: no such agent, expected one of P0, P1, P2"), ({"P0": " \x1b "}, "P0: got 0 characters"),
        ({"P0": "x" * (MAX_PERSONA + 1)}, f"P0: got {MAX_PERSONA + 1} characters, expected a text of 1 to {MAX_PERSONA}"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_in_one_line(personas, says):
    with pytest.raises(ValueError) as error:
        briefed(toy.make(toy.Options()), personas)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


def test_nobody_is_told_two_things_at_once_and_a_world_without_personas_is_itself():
    environment, _ = begun()
    with pytest.raises(ValueError, match="P0: the world tells it another persona"):
        briefed(environment, {"P0": "I lie."})
    both = briefed(environment, {"P1": "I listen."})
    assert isinstance(both, Briefed) and not isinstance(both.world, Briefed) and set(both.personas) == {"P0", "P1", "P2"}
    plain = toy.make(toy.Options())
    assert briefed(plain, {}) is plain


def test_what_a_world_has_of_its_own_is_still_there():
    table = make_table(TableOptions(last_year=1902))
    environment = briefed(table, {"FRANCE": "I am patient."})
    assert environment.options == table.options and environment.agents == table.agents and environment.language is table.language
    late = replace(environment.start(stream(1, WORLD, "start", 0)), world=State(replace(initial_board(), year=1902)))
    assert environment.share(late) == table.share(late.world) == 0.5
    assert not hasattr(briefed(toy.make(toy.Options()), TOLD), "share")


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"watch"}))
def test_every_world_of_the_table_can_be_briefed(name):
    module = world(name)
    inner = module.make(module.Options())
    environment = briefed(inner, {inner.agents[0]: "I am who I am."})
    state = environment.start(stream(2, WORLD, "start", 0))
    said = [environment.step(state, {}, stream(2, WORLD, "step", 0))]
    assert [m.text for m in said[0].messages] == ["I am who I am."]
    for step in range(1, 4):
        window = environment.window(said[-1].state)
        assert all(environment.observe(said[-1].state, agent).get("persona") in (None, "I am who I am.") for agent in window.agents)
        said.append(environment.step(said[-1].state, {}, stream(2, WORLD, "step", step)))
