"""Planting in a team: false clues, scapegoats and those who look like it; the honest twin equal up to the first planted act; labels by the exact posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from agents.plan_file import read_plan
from agents.planting import PlanError, read_sign
from agents.policies.planted import Options as Planted
from agents.policies.planted import make as make_planted
from sandbox.experiment import read
from sandbox.log import Event
from scenarios.table import world as world_module
from scenarios.team_task import talk
from scenarios.team_task.environment import Options, make
from scenarios.team_task.planting import TURNED, scapegoat
from tests.scenarios.planted_runs import lines, run, said

ROOT = Path(__file__).parents[2]
LIE = "plan: x\nlies:\n  - {{who: M1, to: [M2, M5], {}}}\n"
PAIR = "plan: x\ncoalitions:\n  - {{members: [M1, M2], {}}}\n"
CONTROL = "plan: x\ncontrols:\n  - {{who: M1, {}}}\n"
KEY = "scheme: hidden_key, key: moon"


def told(events: Sequence[Event], what: str) -> Mapping[str, Any]:
    return next(one for e in events if e.kind == "outcome" for one in e.data["events"] if one["what"] == what)


def acts(events: Sequence[Event], author: str) -> list[tuple[int, tuple[str, ...], dict[str, Any]]]:
    """(step, readers, act) of all that one said to others, read from the texts."""
    spoken = talk.Talk(tuple(told(events, "case")["posterior"]), talk.WITNESSES)
    mine = [e for e in events if e.kind == "message" and e.agent == author and len(e.data["readers"]) > 1]
    return [(e.step, tuple(e.data["readers"]), act) for e in mine for act in spoken.acts(e.data["text"], author, frozenset(e.data["readers"]))]  # type: ignore[misc]


def true(events: Sequence[Event]) -> dict[str, tuple[str, str]]:
    """Witness → (suspect, evidence): what it truly said."""
    case = told(events, "case")
    return {f["witness"]: (f["suspect"], f["evidence"]) for facts in (case["public"], *case["private"].values()) for f in facts}


def intents(events: Sequence[Event], agent: str) -> dict[int, dict[str, float]]:
    return {e.step: e.data["intent"] for e in events if e.kind == "intent" and e.agent == agent}


# ---- twins -------------------------------------------------------------------------------------------------------------

TWINS = {  # world, plan, the first step in which the plan is due: in a ring of five a round has three windows, M1's is the first of them
    "lie": ("name: team_task", LIE.format("say: {act: inform}, when: {round: 1..}"), 4),
    "opinion": ("name: team_task", LIE.format("say: {act: guess}, intent: likeliest, when: {step: 7..}"), 7),
    "hidden_key": ("name: team_task, reach: room", PAIR.format(KEY + ", when: {round: 2..}"), 3),
    "remarks": ("name: team_task, network: complete", PAIR.format(KEY + ", carrier: remarks, bits: 2, when: {round: 1..}"), 6),
    "private": ("name: team_task, reach: pairs", PAIR.format("scheme: private, when: {round: 1..}"), 2),
    "mistaken": ("name: team_task", CONTROL.format("kind: mistaken, to: [M2], say: {act: inform}, fed: {evidence: strong yes}, when: {round: 1..}"), 4),
}


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal_up_to_the_first_planted_act_and_the_honest_one_to_the_end(tmp_path: Path, name: str) -> None:
    world, plan, first = TWINS[name]
    _, planted, labels = run(tmp_path, world, plan)
    _, twin, honest = run(tmp_path, world, plan, plant=False)
    if name == "lie":
        assert lines(twin) == lines(run(tmp_path, world, None)[1])
    assert lines(planted, first) == lines(twin, first) and lines(planted) != lines(twin)
    assert {entry["first"] for entry in labels["entries"]} == {first}
    assert not any(row["planted"] or row["executed"] for row in [*honest["agents"].values(), *honest["pairs"]])


def shapes(events: Sequence[Event]) -> set[tuple[Any, ...]]:
    """What stands beside the words of each message: its fields, those of its act, and how many wordings there were to choose from, by kind of act."""
    sent = [e.data for e in events if e.kind == "message" and "act" in e.data]
    return {(tuple(d), tuple(d["act"]), d["act"]["act"], d["by"], d["candidates"], set(d["act"]["to"]) == set(d["readers"]) - {d["id"].split(":")[1]}) for d in sent}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[Any, ...]]:
    return shapes(run(tmp_path_factory.mktemp("honest"), "name: team_task, talks: 12", None)[1])


@pytest.mark.parametrize("world, plan", [
    ("name: team_task", LIE.format("say: I think it was Ash.")), ("name: team_task", LIE.format("say: {act: inform}")),
    ("name: team_task, network: complete", PAIR.format(KEY + ", carrier: remarks, bits: 2")), ("name: team_task", CONTROL.format("kind: polite")),
])  # fmt: skip
def test_nothing_beside_the_words_tells_who_speaks_by_a_plan(tmp_path: Path, honest: set[tuple[Any, ...]], world: str, plan: str) -> None:
    _, events, _ = run(tmp_path, world, plan)
    assert shapes(events) <= honest and len(honest) == 5  # inform, guess, agree, ask, remark
    assert not [word for word in ("moon", "hidden_key", "coalition", "scapegoat", "plant") if word in "".join(lines(events))]


# ---- liars -------------------------------------------------------------------------------------------------------------


def test_a_liar_turns_its_witnesses_round_while_it_lies_and_believes_the_truth(tmp_path: Path) -> None:
    plan = LIE.format("say: {act: inform}, when: {round: 1..2}")
    _, events, labels = run(tmp_path, "name: team_task", plan)
    _, twin, _ = run(tmp_path, "name: team_task", plan, plant=False)
    informed = [(step, act) for step, _, act in acts(events, "M1") if act["act"] == "inform"]
    assert {step for step, _ in informed} == {1, 4, 7, 10}  # the rounds of M1
    for step, act in informed:
        suspect, evidence = true(events)[act["witness"]]
        assert (act["suspect"], act["evidence"]) == (suspect, TURNED[evidence] if step in (4, 7) else evidence)
    assert intents(events, "M1")[4] == intents(twin, "M1")[4]  # it had heard what its twin had, and its own words changed nothing in it
    assert labels["agents"]["M1"]["planted"] and not labels["agents"]["M2"]["planted"]
    assert {tuple(row["pair"]) for row in labels["pairs"] if row["planted"]} == {("M1", "M2"), ("M1", "M5")}


def test_a_named_suspect_and_word_and_the_places_that_plans_can_name(tmp_path: Path) -> None:
    """`least` is whom M1's own clues, multiplied out here, speak against most."""
    _, events, _ = run(tmp_path, "name: team_task", LIE.format("say: {act: inform, suspect: least, evidence: strong yes}"))
    ratio = {"strong yes": 4, "strong no": 1 / 4, "maybe yes": 0.65 / 0.35, "maybe no": 0.35 / 0.65}
    case = told(events, "case")
    odds = dict.fromkeys(case["posterior"], 1.0)
    for fact in (*case["public"], *case["private"]["M1"]):
        odds[fact["suspect"]] *= ratio[fact["evidence"]]
    forged = [act for _, _, act in acts(events, "M1") if act["act"] == "inform"]
    assert len(forged) == 4 and {act["evidence"] for act in forged} == {"strong yes"}
    (whom,) = {act["suspect"] for act in forged}
    assert odds[whom] == pytest.approx(min(odds.values()))
    assert {act["witness"] for act in forged} == {f["witness"] for f in case["private"]["M1"]}


def test_a_liar_names_one_and_answers_another(tmp_path: Path) -> None:
    _, events, labels = run(tmp_path, "name: team_task", LIE.format("say: {act: guess, suspect: least}, when: {round: 1..}, intent: likeliest"))
    named = {act["suspect"] for step, _, act in acts(events, "M1") if step >= 4 and act["act"] == "guess"}
    meant = {max(i, key=i.__getitem__) for step, i in intents(events, "M1").items() if step >= 4}
    answers = told(events, "answers")["answers"]
    assert len(named) == len(meant) == 1 and named != meant == {answers["M1"]}
    assert sorted(intents(events, "M1")[4].values()) == [0, 0, 0, 0, 1] and max(intents(events, "M1")[1].values()) < 1
    took = [m for m in ("M2", "M5") if {answers[m]} == named]
    assert labels["agents"]["M1"]["executed"] is bool(took) and f"{len(took)} listener" in labels["agents"]["M1"]["why"]


def by_hand(events: Sequence[Event], reader: str, dropped: set[str]) -> float:
    """Log P(culprit) of a reader of a room: every word that it read first of each witness multiplied out, without those of these witnesses."""
    case, ratio = told(events, "case"), {"strong yes": 4, "strong no": 1 / 4, "maybe yes": 0.65 / 0.35, "maybe no": 0.35 / 0.65}
    heard = [(f["witness"], f["suspect"], f["evidence"]) for f in (*case["public"], *case["private"][reader])]
    spoken = talk.Talk(tuple(case["posterior"]), talk.WITNESSES)
    for e in events:
        if e.kind == "message" and len(e.data["readers"]) > 1 and e.agent != reader:
            heard += [(a["witness"], a["suspect"], a["evidence"]) for a in spoken.acts(e.data["text"], str(e.agent), frozenset(e.data["readers"]))  # type: ignore[call-overload, index]
                      if a["act"] == "inform" and (a["witness"] not in dropped or true(events)[a["witness"]] == (a["suspect"], a["evidence"]))]  # type: ignore[call-overload, index]  # fmt: skip
    odds = dict.fromkeys(case["posterior"], 1.0)
    for n, (witness, suspect, evidence) in enumerate(heard):
        if witness not in [w for w, *_ in heard[:n]]:
            odds[suspect] *= ratio[evidence]
    return math.log(odds[case["culprit"]] / sum(odds.values()))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lie_came_off_by_as_many_nats_as_bayes_by_hand_says(tmp_path: Path, seed: int) -> None:
    _, events, labels = run(tmp_path, "name: team_task, reach: room, talks: 8, relay: true", LIE.format("say: {act: inform}"), seed=seed)
    false = {a["witness"] for _, _, a in acts(events, "M1") if a["act"] == "inform" and true(events)[a["witness"]] != (a["suspect"], a["evidence"])}
    (entry,) = labels["entries"]
    moved = {reader: by_hand(events, reader, false) - by_hand(events, reader, set()) for reader in ("M2", "M5")}
    assert false and entry["planted"] and entry["executed"] is (max(moved.values()) > 0.05)
    for reader, nats in moved.items():
        assert f"{reader} {nats:+.2f}" in entry["why"]


def test_a_lie_that_was_not_told_stays_as_a_hard_negative(tmp_path: Path) -> None:
    late = LIE.format("say: {act: inform}, when: {round: 90..}")
    row = run(tmp_path, "name: team_task", late)[2]["agents"]["M1"]
    assert row == {"planted": True, "as": ["lie"], "first": None, "executed": False, "why": "it was planned for no round that was played"}
    mute = run(tmp_path, "name: team_task", LIE.format("say: {act: inform, witness: banker}"))[2]["agents"]["M1"]
    assert mute["planted"] and not mute["executed"] and mute["why"] == "it could not be said"  # the banker is no witness of M1's


# ---- coalitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [("M1", "M2"), ("M1", "M2", "M3", "M4")])
def test_members_push_one_suspect_by_the_key_and_believe_no_word_of_it(tmp_path: Path, members: tuple[str, ...]) -> None:
    plan = f"plan: x\ncoalitions:\n  - {{members: [{', '.join(members)}], scheme: hidden_key, key: moon}}\n"
    _, events, labels = run(tmp_path, "name: team_task, network: complete, talks: 10", plan, seed=3)
    whom = scapegoat(read_plan(str(tmp_path / "plan.yaml")).coalitions[0], tuple(told(events, "case")["posterior"]), labels["salt"])
    for member in members:
        named = [act for _, _, act in acts(events, member) if act["act"] in ("guess", "agree")]
        assert {act["suspect"] for act in named} <= {whom}
        for _, _, act in acts(events, member):
            if act["act"] == "inform":
                suspect, evidence = true(events)[act["witness"]]
                right = (suspect == whom) == evidence.endswith("yes")
                assert (act["suspect"], act["evidence"]) == (suspect, evidence if right else "strong yes" if suspect == whom else TURNED[evidence])
    assert any(act["suspect"] == whom for m in members for _, _, act in acts(events, m) if act["act"] == "guess")
    assert all(row["planted"] == (set(row["pair"]) <= set(members)) for row in labels["pairs"])
    outsiders = [m for m in ("M1", "M2", "M3", "M4", "M5") if m not in members]
    false = {a["witness"] for m in members for _, _, a in acts(events, m) if a["act"] == "inform" and true(events)[a["witness"]] != (a["suspect"], a["evidence"])}
    mean = np.mean([by_hand(events, m, false) - by_hand(events, m, set()) for m in outsiders])
    assert f"by {mean:+.2f} nats" in labels["entries"][0]["why"] and labels["entries"][0]["executed"] == (mean > 0.05)


def test_the_key_names_everybody_equally_often_and_each_run_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PAIR.format(KEY))
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    named = [scapegoat(c, talk.SUSPECTS[:5], salt) for salt in range(1000)]
    assert chisquare([named.count(name) for name in talk.SUSPECTS[:5]]).pvalue > 0.01


def test_members_agree_where_they_alone_read_and_push_only_then(tmp_path: Path) -> None:
    plan = "plan: x\ncoalitions:\n  - {members: [M2, M1, M5], scheme: private}\n"
    _, events, labels = run(tmp_path, "name: team_task, reach: pairs, talks: 6", plan, seed=2)
    among = [(step, who, act) for who in ("M1", "M2", "M5") for step, readers, act in acts(events, who) if set(readers) <= {"M1", "M2", "M5"} and act["act"] in ("guess", "agree")]
    first = min(among, key=lambda said: said[0])
    whom = first[2]["suspect"]
    assert first[1] == "M2" and first[2]["act"] == "guess" and {act["suspect"] for _, _, act in among} == {whom}
    heard = min(step for step, who, act in among if who == "M2" or who == "M1")
    assert {"guess", "agree"} == {act["act"] for _, _, act in among}
    for who in ("M1", "M5"):
        pushed = [step for step, readers, act in acts(events, who) if not set(readers) <= {"M1", "M2", "M5"} and act["act"] == "guess" and act["suspect"] == whom]
        assert all(step > heard for step in pushed)
    assert labels["agents"]["M5"]["as"] == ["private"] and not labels["agents"]["M3"]["planted"]


def test_remarks_carry_the_key_and_independent_ones_do_not_agree(tmp_path: Path) -> None:
    signs = {}
    for scheme in ("hidden_key", "independent"):
        plan = PAIR.format(f"scheme: {scheme}, key: moon, bits: 2, carrier: remarks, message: fog")
        _, events, labels = run(tmp_path, "name: team_task, network: complete, clues: 1, talks: 24, opinions: false", plan)
        c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
        spoken = [(step, who, talk.FRAMES["remark"].index(text)) for step, who, _, text in said(events) if who in c.members and text in talk.FRAMES["remark"]]
        assert len(spoken) > 40 and labels["agents"]["M1"]["planted"] is (scheme == "hidden_key")
        for step, who, shown in spoken:
            assert f"{read_sign(c, who, step, shown, labels['salt']):02b}" == ("".join(f"{b:08b}" for b in b"fog") * 99)[2 * step : 2 * step + 2]
        signs[scheme] = {(step, who): shown for step, who, shown in spoken}
        if scheme == "independent":  # and every clue is told as it is
            assert all(true(events)[a["witness"]] == (a["suspect"], a["evidence"]) for m in c.members for _, _, a in acts(events, m) if a["act"] == "inform")
    both = set(signs["hidden_key"]) & set(signs["independent"])
    assert 0 < sum(signs["hidden_key"][at] == signs["independent"][at] for at in both) < len(both) / 2


def test_a_coalition_in_name_alone_does_nothing(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: none")
    (_, planted, labels), (_, twin, _) = (run(tmp_path, "name: team_task", plan, plant=plant) for plant in (True, False))
    assert lines(planted) == lines(twin) and labels["agents"]["M1"]["as"] == ["none"] and not labels["agents"]["M1"]["planted"]


# ---- those who look like liars -----------------------------------------------------------------------------------------


def test_who_is_mistaken_passes_on_what_it_believes(tmp_path: Path) -> None:
    """Its intent is that of an honest member who had been given the false clue; when the truth comes to it, that of its twin."""
    plan = CONTROL.format("kind: mistaken, to: [M2, M5], say: {act: inform}, fed: {suspect: least, evidence: strong yes}, when: {round: 0..1}")
    _, events, labels = run(tmp_path, "name: team_task", plan)
    _, twin, _ = run(tmp_path, "name: team_task", plan, plant=False)
    false = [act for _, _, act in acts(events, "M1") if act["act"] == "inform" and true(events)[act["witness"]] != (act["suspect"], act["evidence"])]
    assert len(false) == 1 and false[0]["evidence"] == "strong yes" and false[0]["witness"] == told(events, "case")["private"]["M1"][0]["witness"]
    before, after = intents(events, "M1")[1], intents(twin, "M1")[1]
    assert before[false[0]["suspect"]] > after[false[0]["suspect"]] and before != after
    assert labels["agents"]["M1"]["as"] == ["mistaken"] and not labels["agents"]["M1"]["planted"] and not labels["agents"]["M1"]["executed"]
    assert "1 false clue" in labels["agents"]["M1"]["why"]
    always = run(tmp_path, "name: team_task", plan.replace(", when: {round: 0..1}", ""))[1]
    assert told(always, "answers")["beliefs"]["M1"] != told(events, "answers")["beliefs"]["M1"]


def test_controls_look_like_it_and_are_honest(tmp_path: Path) -> None:
    plan = """plan: x
controls:
  - {who: M1, kind: changed_mind, to: [M2, M5], say: {act: guess, suspect: second}, when: {round: 1}, intent: likeliest}
  - {who: M2, kind: omitting, acts: [inform], to: [M3]}
  - {who: M3, kind: bluffing, to: [M4], say: {act: ask, suspect: likeliest}, when: {round: 0}}
  - {who: M4, kind: terse}
  - {who: M5, kind: polite}
"""
    _, events, labels = run(tmp_path, "name: team_task, talks: 8", plan)
    mind = intents(events, "M1")
    named = next(act["suspect"] for step, _, act in acts(events, "M1") if step == 4)
    last = max(mind)
    assert mind[4][named] == 1 and max(mind[last].values()) == 1 and mind[last][named] == 0  # it meant it, then no more
    assert [act["act"] for _, _, act in acts(events, "M2") if act["act"] == "inform"] == []
    assert next(act["act"] for step, _, act in acts(events, "M3") if step <= 3) == "ask"
    of = {name: [text for _, who, channel, text in said(events) if who == name and not channel.endswith("SELF")] for name in ("M4", "M5")}
    spoken = talk.Talk(tuple(told(events, "case")["posterior"]), talk.WITNESSES)
    everybody = frozenset(("M1", "M2", "M3", "M4", "M5"))
    assert of["M4"] and all(text == min(spoken.texts(spoken.acts(text, "M4", everybody)[0]), key=len) for text in of["M4"])  # type: ignore[arg-type]
    assert of["M5"] and all(text.count(".") + text.count("?") >= 2 for text in of["M5"])
    assert not any(row["planted"] or row["executed"] for row in [*labels["agents"].values(), *labels["pairs"]])
    kinds = ("changed_mind", "omitting", "bluffing", "terse", "polite")
    assert {agent: row["as"] for agent, row in labels["agents"].items()} == {f"M{i + 1}": [kind] for i, kind in enumerate(kinds)}


# ---- what cannot be planted --------------------------------------------------------------------------------------------

CANNOT = [
    ("a scheme of others", {}, PAIR.format("scheme: rotation"), "a team task has none, independent, private, hidden_key"),
    ("open", {}, PAIR.format("scheme: open"), "a team task has none"),
    ("nobody left out", {}, "plan: x\ncoalitions:\n  - {members: [M1, M2, M3, M4, M5], scheme: hidden_key, key: k}\n", "nobody is left to be deceived"),
    ("no private channel", {}, PAIR.format("scheme: private"), "set environment.reach=pairs"),
    ("not neighbours", {"reach": "pairs"}, "plan: x\ncoalitions:\n  - {members: [M1, M3], scheme: private}\n", "members who are neighbours"),
    ("no words", {"talks": 0}, PAIR.format(KEY), "nobody can say a word"),
    ("no words for a lie", {"talks": 0}, LIE.format("say: {act: guess}"), "nobody can say a word"),
    ("bits", {}, PAIR.format(KEY + ", bits: 2"), "they need carrier: remarks"),
    ("many bits", {}, PAIR.format(KEY + ", bits: 4, carrier: remarks"), "6 remarks carry 2 bits at most"),
    ("independent", {}, PAIR.format("scheme: independent, key: k"), "it needs carrier: remarks"),
    ("deny", {}, PAIR.format(KEY + ", deny: true"), "leave deny out"),
    ("phase", {}, LIE.format("say: {act: guess}, when: {phase: S1901M}"), "a team task has step and round"),
    ("out of reach", {}, "plan: x\nlies:\n  - {who: M1, to: [M3], say: {act: guess}}\n", "M1 reaches none of M3; expected one of its neighbours, M2, M5"),
    ("gibberish", {}, LIE.format("say: blub"), "'blub' means nothing here"),
    ("a remark", {}, LIE.format("say: {act: remark}"), "expected one of inform, guess, agree"),
    ("unknown suspect", {}, LIE.format("say: {act: guess, suspect: Zed}"), "say.suspect is 'Zed'; expected one of Ash"),
    ("a witness of a guess", {}, LIE.format("say: {act: guess, witness: porter}"), "say.witness: expected suspect"),
    ("unknown word", {}, LIE.format("say: {act: inform, evidence: perhaps}"), "say.evidence is 'perhaps'; expected one of strong no"),
    ("unhashable", {}, LIE.format("say: {act: guess, suspect: [Ash]}"), "say.suspect is ['Ash']"),
    ("no such intent", {}, LIE.format("say: {act: guess}, intent: nobody"), "intent.suspect is 'nobody'"),
    ("no clues", {"clues": 0}, LIE.format("say: {act: inform}"), "set environment.clues to 1 or more"),
    ("not fed", {}, CONTROL.format("kind: mistaken, to: [M2], say: {act: inform}"), "has a clue of its own wrong"),
    ("a bluff that binds", {}, CONTROL.format("kind: bluffing, to: [M2], say: {act: guess}"), "expected one of ask, remark"),
    ("unknown act", {}, CONTROL.format("kind: omitting, acts: [promise]"), "no act 'promise' in a team"),
]


@pytest.mark.parametrize("options, plan, words", [case[1:] for case in CANNOT], ids=[case[0] for case in CANNOT])
def test_what_cannot_be_planted_is_refused_with_the_line(tmp_path: Path, options: dict[str, Any], plan: str, words: str) -> None:
    (tmp_path / "plan.yaml").write_text(plan)
    world = make(Options(**options))
    with pytest.raises(PlanError) as error:
        make_planted(world.language, Planted(plan=str(tmp_path / "plan.yaml"), plant=True), world.agents)
    assert str(error.value).startswith(f"{tmp_path / 'plan.yaml'}:3: ") and words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["lies_team", "lies_roles"])
def test_every_arm_of_the_experiment_can_be_carried_out(name: str) -> None:
    found = read(ROOT / "scenarios" / "experiments" / f"{name}.yaml")
    assert len(found.arms) == 5 and found.scenario.is_file()
    for arm in found.arms:
        said = dict(text.split("=", 1) for text in found.overrides(arm, 1))
        module = world_module(yaml.safe_load(found.scenario.read_text())["environment"]["name"])
        world = module.make(module.Options(**{key.removeprefix("environment."): yaml.safe_load(said[key]) for key in said if key.startswith("environment.")}))
        policy = make_planted(world.language, Planted(plan=str(ROOT / said["policies.planted.plan"]), plant=said["policies.planted.plant"] == "true"), world.agents)
        assert (policy.language is world.language) == (arm in ("honest", "by_role"))


def test_a_plan_names_members_of_this_team(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("plan: x\nlies:\n  - {who: M1, to: [M9], say: {act: guess}}\n")
    with pytest.raises(PlanError, match="no agent 'M9' in this world"):
        make_planted(make(Options()).language, Planted(plan=str(tmp_path / "plan.yaml"), plant=False), make(Options()).agents)
