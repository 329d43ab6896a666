"""Heads: points as computed by hand, what was chosen, files that are refused, and what states say of claims."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.choosing import STATES, HeadError, LearnedHead, Weighing, choice_of, read_head, write_head
from agents.deciding import Decision
from agents.memory import AgentMemory
from agents.standing import StateStanding
from agents.types import Channel, Message, Observation, Option, Turn
from sociallm.checkpoint import shared
from sociallm.encode import dynamics_of, encode, nll_under, slots_of
from sociallm.states import SocialState
from sociallm.streams import READ

HEAD = LearnedHead("w", {"tell": {"new": 2.0, "long": -0.5}}, {"by": "hand"})
OPTIONS = [
    Option(what={"act": "a", "to": ["B"]}, traits={"new": 1.0, "long": 2.0}), Option(what={"act": "b", "to": ["B"]}, traits={"new": 0.0, "long": 1.0}),
    Option(what=None, traits={"new": 0.0, "long": 0.0}),
]  # fmt: skip


def turn(memory: AgentMemory | None = None) -> Turn:
    return Turn(observation=Observation(agent="A", step=0, time=5000), memory=memory or AgentMemory(), rng=np.random.default_rng(0))


def decided(*acts: object, move: object = None) -> Decision:
    everyone = Channel(name="ALL", readers=frozenset({"A", "B"}))
    return Decision(intent=None, acts=tuple((everyone, act) for act in acts), move=move, notes=None)


def test_points_are_linear_in_the_traits_and_weighted():
    weighing = Weighing(HEAD, 3.0, turn(), None)
    assert weighing("tell", OPTIONS) == pytest.approx([3 * (2.0 - 1.0), 3 * -0.5, 0.0])
    assert weighing("other", OPTIONS) == [0.0, 0.0, 0.0]  # a kind that it was never taught
    assert Weighing(None, 3.0, turn(), None).weight == 0  # without a head the world decides
    with pytest.raises(HeadError, match="weights of tell for long, which are no traits here"):
        weighing("tell", [Option(what=None, traits={"new": 1.0})])


def test_what_was_chosen_is_kept_with_its_chance():
    weighing = Weighing(HEAD, 1.0, turn(), None)
    weighing("tell", OPTIONS)
    (kept,) = weighing.choices(decided({"act": "b", "to": ["B"]}))
    e = np.exp([1.0, -0.5, 0.0])
    assert kept["chosen"] == 1 and kept["p"] == pytest.approx(e[1] / e.sum(), abs=1e-6)
    assert weighing.choices(decided())[0]["chosen"] == 2  # nothing said: silence was chosen
    back = choice_of(json.loads(json.dumps(kept)))
    assert back.names == ("new", "long") and back.rows.tolist() == [[1, 2], [0, 1], [0, 0]] and back.chosen == 1


def test_what_was_not_drawn_says_so():
    suspects = [Option(what=name, traits={"x": float(i)}) for i, name in enumerate(["Ash", "Elm"])]
    weighing = Weighing(LearnedHead("w", {"answer": {"x": 1.0}}), 1.0, turn(), None)
    weighing("answer", suspects)
    (kept,) = weighing.choices(decided(move={"Ash": 0.4, "Elm": 0.6}))
    assert (kept["chosen"], kept["p"]) == (1, 1.0)  # the likeliest counts
    assert weighing.choices(decided(move=None)) == []  # not settled yet
    looking = Weighing(None, 0.0, turn(), None)
    looking("tell", OPTIONS)
    assert looking.choices(decided({"act": "a", "to": ["B"]}))[0]["p"] == 1.0  # the world's choice
    units = Weighing(HEAD, 1.0, turn(), None)
    units("order", [Option(what="A PAR H", traits={"new": 0.0}), Option(what="A PAR - BUR", traits={"new": 1.0})])
    assert units.choices(decided(move={"A PAR": "A PAR - BUR"}))[0]["chosen"] == 1


def test_a_head_comes_back_from_its_file(tmp_path):
    write_head(tmp_path / "head.json", HEAD)
    assert read_head(str(tmp_path / "head.json")) == HEAD
    first = (tmp_path / "head.json").read_bytes()
    write_head(tmp_path / "head.json", LearnedHead("w", {"tell": {"long": -0.5, "new": 2.0}}, {"by": "hand"}))
    assert (tmp_path / "head.json").read_bytes() == first


@pytest.mark.parametrize("text", [
    "", "[]", "{", "{}", '{"version": 2, "world": "w", "kinds": {}, "notes": {}}', '{"version": 1, "world": 3, "kinds": {}, "notes": {}}',
    '{"version": 1, "world": "w", "kinds": [], "notes": {}}', '{"version": 1, "world": "w", "kinds": {"tell": 1}, "notes": {}}',
    '{"version": 1, "world": "w", "kinds": {"tell": {"x": NaN}}, "notes": {}}', '{"version": 1, "world": "w", "kinds": {"tell": {"x": 1e9}}, "notes": {}}',
    '{"version": 1, "world": "w", "kinds": {"tell": {"x": true}}, "notes": {}}', "[" * 100_000,
    '{"version": 1, "world": "w", "kinds": {}, "notes": {"x": "' + "y" * 300_000 + '"}}',
])  # fmt: skip
def test_a_damaged_head_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "head.json"
    path.write_text(text)
    with pytest.raises(HeadError, match=r"^[^\n]*head\.json: [^\n]+$"):
        read_head(str(path))


@pytest.mark.parametrize("path", ["no/such/file.json", "a\0b"])
def test_a_head_that_is_not_there_is_refused(path):
    with pytest.raises(HeadError, match="cannot read"):
        read_head(path)


@pytest.mark.parametrize("change", [
    {"chosen": 3}, {"chosen": True}, {"chosen": "0"}, {"p": 1.5}, {"p": None}, {"traits": ["x"]}, {"options": [[1, "a"]]}, {"options": []}, {"options": [[float("nan"), 0.0]]},
])  # fmt: skip
def test_a_damaged_choice_is_refused(change):
    good = {"kind": "tell", "traits": ["x", "y"], "options": [[1.0, 0.0], [0.0, 1.0]], "chosen": 0, "p": 0.5}
    assert choice_of(good).chosen == 0
    with pytest.raises(ValueError, match="a choice of the log is damaged"):
        choice_of({**good, **change})


def test_states_say_what_the_model_says_of_claims_read_one_by_one():
    """Two computations: all claims of a choice in one pass, and each by `encode` and `nll_under`."""
    base, agents = shared("base"), ["A", "B", "C"]
    slots, dynamics, empty = slots_of(agents), dynamics_of(base), SocialState.empty(base.model, base.sha256)
    everyone, local, own, other = Channel(name="ALL", readers=frozenset(agents)), None, empty, empty
    for i, text in enumerate(["I saw Ash near the house.", "It was surely Birch."]):
        local, encoded = encode(base, slots, local, Message(id=str(i), author="B", channel=everyone, time=i * 1000, text=text))
        own, other = (state.absorb(encoded.operator, READ, i * 1000, dynamics) for state in (own, other))
    claims = [f"I think it was {name}." for name in ("Ash", "Birch", "Cedar")]
    options = [Option(what=i, traits={"x": 0.0}, about=("B", "C"), claims={claim: 1.0}) for i, claim in enumerate(claims)]
    options.append(Option(what=3, traits={"x": 0.0}, about=("C",), claims={claims[0]: -1.0}))  # of whom nothing is known
    found = StateStanding(base, agents)(turn(AgentMemory(own=own, others={"B": other})), options)

    nothing = empty.S_LHPN
    for column, (who, state) in enumerate((("A", own), ("B", other))):
        alone, says = Channel(name=f"{who}-SELF", readers=frozenset({who})), []
        for claim in claims:
            probe = encode(base, slots, None, Message(id="claim", author=who, channel=alone, time=0, text=claim))[1]
            held, without = nll_under(base, probe, [(state.at(5000, dynamics), nothing), (nothing, nothing)])
            says.append(float(without.double().sum() - held.double().sum()))
        assert found[:3, column] == pytest.approx(np.array(says) - np.mean(says), abs=1e-4)
    assert found[3] == pytest.approx([-found[0, 0], 0.0])
    assert np.abs(found[:3]).max() > 0.1

    weighing = Weighing(LearnedHead("w", {"k": {"own_says": 1.0}}), 1.0, turn(AgentMemory(own=own, others={"B": other})), StateStanding(base, agents))
    assert weighing("k", options) == pytest.approx(found[:, 0], abs=1e-4) and STATES == ("own_says", "others_say")
