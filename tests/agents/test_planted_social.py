"""Planted acts in the model's words: what is said is the plan's, how it is said the model's; and the honest twin is the social policy."""

from __future__ import annotations

import pytest

from agents.deciding import decide
from agents.policies import planted_social, social
from agents.policies.planted import spoken
from agents.types import Action
from scenarios.diplomacy.channels import PAIRS
from sociallm import checkpoint
from sociallm.tokenizer import Tokenizer
from tests.agents.test_social import LANGUAGE, WORLD, meant, turn
from tests.sociallm.small import incline, model_of, tokenizer_of

PLAN = """plan: x
lies:
  - {who: ITALY, to: [AUSTRIA], say: {act: promise, about: {kind: order, order: A VEN - TYR}}, intent: {A VEN: A VEN - TRI}}
  - {who: ITALY, to: [FRANCE], say: "I promise to stay out of Piedmont."}
"""
PROMISED = {"act": "promise", "to": ["AUSTRIA"], "about": {"kind": "order", "power": "ITALY", "order": "A VEN - TYR"}}


@pytest.fixture(scope="module")
def spoken_by(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """(a checkpoint of a tiny model that soon ends, a plan file)."""
    folder = tmp_path_factory.mktemp("speaker")
    (folder / "plan.yaml").write_text(PLAN)
    bent = spoken(LANGUAGE, str(folder / "plan.yaml"), True, 0, WORLD.agents)
    assert bent is not None
    acts = [act for _, act in decide(turn("ITALY"), bent).acts]
    tokenizer = tokenizer_of([*(t for act in acts for t in bent.word(act, "ITALY")), *["the lazy fox"] * 20], vocabulary=700)
    model = model_of(vocabulary=tokenizer.vocabulary)
    incline(model, {tokenizer.encode_text(" the")[0]: 8.0, Tokenizer.END: 8.0})
    checkpoint.save(folder / "model", model, tokenizer, {})
    return str(folder / "model"), str(folder / "plan.yaml")


def act(name: str, plan: str, plant: bool) -> Action:
    policy = planted_social.make(LANGUAGE, planted_social.Options(checkpoint=name, plan=plan, plant=plant), WORLD.agents)
    ((action, _),) = policy.step([turn("ITALY")])
    return action


def test_a_planted_act_is_worded_by_the_model_and_still_means_itself(spoken_by: tuple[str, str]) -> None:
    action = act(*spoken_by, plant=True)
    assert action.intent["A VEN"] == {"A VEN - TRI": 1.0}  # what it truly means
    by_channel = {m.channel.name: (m, how, of) for m, how, of in zip(action.messages, action.wording, meant(action), strict=True)}
    promise, how, means = by_channel["AUSTRIA-ITALY"]
    assert means == [PROMISED] and how["act"] == PROMISED and how["by"] == "model" and how["sampled"] > 0
    assert promise.author == "ITALY"
    verbatim, how, means = by_channel["FRANCE-ITALY"]  # words that the plan gives are what the model begins with, or all that is said
    assert verbatim.text.startswith("I promise to stay out of Piedmont.") and how["act"] == means[0] and "text" not in how["act"]


def test_the_twin_is_the_social_policy(spoken_by: tuple[str, str]) -> None:
    name, plan = spoken_by
    policy = social.make(LANGUAGE, social.Options(checkpoint=name), WORLD.agents)
    ((honest, _),) = policy.step([turn("ITALY")])
    assert act(name, plan, plant=False) == honest != act(name, plan, plant=True)


def test_whom_the_plan_does_not_name_speaks_as_ever(spoken_by: tuple[str, str]) -> None:
    name, plan = spoken_by
    planted = planted_social.make(LANGUAGE, planted_social.Options(checkpoint=name, plan=plan, plant=True), WORLD.agents)
    honest = social.make(LANGUAGE, social.Options(checkpoint=name), WORLD.agents)
    pair = tuple(c for c in PAIRS if "TURKEY" in c.readers)[:2]
    said = [policy.step([turn("TURKEY", may_write=pair)])[0][0] for policy in (planted, honest)]
    assert said[0] == said[1] and said[0].messages
