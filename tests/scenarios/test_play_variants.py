"""The variants of Diplomacy that stand as YAML beside the world: each is loaded as the command loads it, played, and shows what it is for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sandbox.config import load
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import play
from sociallm.conversation import Channel

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
SCRIPTED = ("seats.default=scripted", "executor=local", "environment.last_year=1901")


def played(name, *overrides):
    """(the world of a scenario file, the steps of its game to the end of 1901 with scripted seats)."""
    world = load(SCENARIOS / f"{name}.yaml", (*SCRIPTED, *overrides)).environment
    return world, list(play(world, seed=1))


def spoken(steps):
    return [message for step in steps for message in step.messages]


def test_in_gunboat_nobody_says_a_word_and_orders_are_due_at_once():
    _, steps = played("gunboat")
    assert spoken(steps) == [] and all(step.window.move_due for step in steps)


def test_at_the_open_table_everything_is_said_to_all_and_understood_by_all():
    world, steps = played("open_table")
    said = spoken(steps)
    assert len(said) >= 10 and {message.channel for message in said} == {EVERYONE}
    for step in steps:
        for action in step.actions.values():
            for message, wording in zip(action.messages, action.wording, strict=True):
                assert list(world.language.meaning(message.text, message.author, EVERYONE.readers)) == [wording["act"]]
    answers = Counter(w["act"]["act"] for step in steps for a in step.actions.values() for w in a.wording)
    assert answers["accept"] + answers["refuse"] >= 1


def test_two_friends_talk_alone_and_their_silent_control_differs_in_one_word():
    _, steps = played("two_friends")
    assert {message.channel.name for message in spoken(steps)} == {"AUSTRIA-ITALY"}
    _, control = played("two_friends", "environment.silenced=[AUSTRIA-ITALY]")
    assert spoken(control) == []


def test_each_seat_is_told_its_own_honesty():
    world, _ = played("liars")
    state = world.start(None)
    assert {power: world.observe(state, power)["honesty"] for power in POWERS} == {p: 0.0 if p == "ITALY" else 1.0 for p in POWERS}


def test_a_persona_reaches_its_own_agent_alone_before_anybody_acts():
    world, steps = played("personas")
    first = steps[0]
    assert first.window.agents == () and first.window.start == first.window.end == 0
    told = {message.author: message for message in first.outcome.messages}
    assert set(told) == {"FRANCE", "TURKEY"} and told["FRANCE"].text.startswith("I am a cheerful player")
    assert all(message.channel == Channel(name=f"{p}-SELF", readers=frozenset({p})) for p, message in told.items())
    state = steps[1].state
    assert "persona" not in world.observe(state, "ITALY") and world.observe(state, "TURKEY")["persona"] == told["TURKEY"].text
    assert all(not step.outcome.messages for step in steps[1:])


def test_a_game_without_personas_begins_with_press():
    world = make(Options())
    assert world.start(None).round == 0 and world.window(world.start(None)).agents == POWERS


def test_the_state_of_a_briefing_survives_its_json_form():
    world = make(Options(personas={"ITALY": "I lie."}))
    state = world.start(None)
    assert world.from_json(world.to_json(state)) == state and world.window(world.from_json(world.to_json(state))).agents == ()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"press": "loud"}, "environment.press: got 'loud', expected one of both, private, public, none"),
        ({"pairs": ["AUSTRIA-ITALIA"]}, "did you mean AUSTRIA-ITALY?"),
        ({"silenced": ["ITALY"]}, "environment.silenced: got 'ITALY', expected a pair of powers"),
        ({"honesty": {"ITALY": 1.5}}, "environment.honesty"),
        ({"honesty": {"MARS": 0.5}}, "environment.honesty"),
        ({"personas": {"ITALY": " "}}, "environment.personas"),
        ({"personas": {"default": "I lie."}}, "environment.personas"),
    ],
)
def test_an_impossible_variant_is_refused_in_one_line(bad, says):
    with pytest.raises(ValueError, match="environment") as error:
        make(Options(**bad))
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_pair_may_be_named_in_either_order():
    one, other = (make(Options(press="private", pairs=[name])) for name in ("AUSTRIA-ITALY", "italy-austria"))
    assert one.channels == other.channels and [c.name for c in one.channels] == ["AUSTRIA-ITALY"]


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_file_names_itself_and_says_how_to_run_it(path):
    text = path.read_text(encoding="utf-8")
    assert f"python -m sandbox run scenarios/{path.name}" in text and f"\nname: {path.stem}\n" in text
