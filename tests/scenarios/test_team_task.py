"""The team task as a world: who reaches whom, what is told, heard and answered; its words; through the real command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agents.memory import without_notes
from agents.types import Observation
from sandbox.__main__ import main
from sandbox.log import read_events
from sandbox.schedule import Schedule
from scenarios.team_task import network, talk
from scenarios.team_task.clues import posterior
from scenarios.team_task.environment import BRIEFING, Options, TeamTask, make, read_answer
from scenarios.team_task.mind import Weights, answer, blank, divergence, read, read_all
from scenarios.team_task.play import ceiling, ideal, play

SCENARIO = Path(__file__).parents[2] / "scenarios" / "team_task.yaml"


def run(capsys: pytest.CaptureFixture[str], folder: Path, environment: str, seed: int = 1) -> list[Any]:
    """The events of a run with scripted members."""
    file = folder / "team_task.yaml"
    folder.mkdir(exist_ok=True)
    file.write_text(f"defaults: [sandbox_schema, _self_]\nname: team\nenvironment: {{name: team_task, {environment}}}\nseats: {{default: scripted}}\n")
    assert main(["run", str(file), "executor=local", "plots=false", f"run_dir={folder}", f"seed={seed}"]) == 0
    return list(read_events(Path(capsys.readouterr().out.strip().splitlines()[-1]) / "events.jsonl"))


def happened(events: list[Any], what: str) -> list[Mapping[str, Any]]:
    return [e for event in events if event.kind == "outcome" for e in event.data["events"] if e["what"] == what]


# ---- runs --------------------------------------------------------------------------------------------------------------


def test_who_tells_all_to_all_comes_to_one_answer_and_it_is_that_of_all_clues(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    events = run(capsys, tmp_path, "network: complete, tell: all, talks: 5, reliability: 0.95", seed=2)
    (case,), (end,) = happened(events, "case"), happened(events, "answers")
    assert case["solvable"] and set(end["answers"].values()) == {case["culprit"]} == {end["culprit"]} and end["share"] == 1
    assert [e.data["reward"] for e in events if e.kind == "reward"] == [1.0] * 5
    informed = [e.data["act"]["witness"] for e in events if e.kind == "message" and (e.data.get("act") or {}).get("act") == "inform"]
    private = [fact["witness"] for own in case["private"].values() for fact in own]
    assert sorted(informed) == sorted(private)  # each fact once


def test_a_message_reaches_the_neighbours_and_nobody_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    events = run(capsys, tmp_path, "members: 6, talks: 2")
    (case,) = happened(events, "case")
    talked = [e for e in events if e.kind == "message" and not e.data["channel"].endswith("-SELF")]
    assert talked and all(sorted(e.data["readers"]) == sorted([e.agent, *case["network"][e.agent]]) for e in talked)


def test_what_one_alone_knows_it_tells_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    events = run(capsys, tmp_path, "clues: 2, public: 1, talks: 0")
    (case,) = happened(events, "case")
    words = [(e.agent, e.data["readers"], e.data["text"]) for e in events if e.kind == "message"]
    assert len(words) == 15 and all(readers == [agent] for agent, readers, _ in words)
    spoken = talk.Talk(tuple(case["posterior"]), talk.WITNESSES)
    for agent, own in case["private"].items():
        acts = [a for who, _, text in words if who == agent for a in spoken.acts(text, agent, frozenset({agent}))]
        assert [{k: a[k] for k in ("witness", "suspect", "evidence")} for a in acts] == [*case["public"], *own]


def test_the_same_seed_the_same_team(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    played = [[(e.kind, e.agent, e.data) for e in run(capsys, tmp_path / name, "talks: 2, reach: pairs, relay: true", seed) if e.kind in ("message", "outcome", "intent")]
              for name, seed in (("a", 1), ("b", 1), ("c", 9))]  # fmt: skip
    assert played[0] == played[1] != played[2]


def test_the_shipped_scenario_is_social_members_on_two_hosts() -> None:
    config = yaml.safe_load(SCENARIO.read_text())
    assert config["environment"].pop("name") == "team_task" and make(Options(**config["environment"])).turns
    assert (config["seats"], config["executor"], config["hosts"]) == ({"default": "social"}, "ray", 2)


# ---- who reaches whom --------------------------------------------------------------------------------------------------


def members(n: int) -> tuple[str, ...]:
    return tuple(f"M{i + 1}" for i in range(n))


@pytest.mark.parametrize("kind", ["ring", "star", "complete"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 12])
def test_in_a_round_everybody_speaks_once_and_neighbours_never_at_once(kind: str, n: int) -> None:
    near = network.neighbours(members(n), network.links(kind, members(n)))
    turns = network.turns("neighbours", near)
    assert sorted(a for turn in turns for a in turn.agents) == sorted(members(n))
    for turn in turns:
        assert not any(b in near[a] for a, b in itertools.combinations(turn.agents, 2))
        assert [c.readers for c in turn.channels] == [frozenset((a, *near[a])) for a in turn.agents]
    degrees = {"ring": min(n - 1, 2), "complete": n - 1}
    assert kind == "star" or {len(v) for v in near.values()} == {degrees[kind]}
    assert kind != "ring" or len(turns) <= 3


def test_in_its_window_each_author_has_its_channel_to_itself() -> None:
    world = make(Options(members=7, network="star"))
    schedule = Schedule(5, world.agents)
    state = world.step(world.start(np.random.default_rng(0)), {}, np.random.default_rng(0)).state
    for step, turn in enumerate(world.turns):
        window = world.window(state)
        assert all([c.readers for c in slot.channels] == [frozenset((slot.agent, *world.near[slot.agent]))] for slot in schedule.next_agents(window, step))
        assert window.agents == turn.agents
        state = world.step(state, {}, np.random.default_rng(0)).state


def test_a_channel_is_one_fixed_set_of_readers() -> None:
    for options in (Options(network="complete"), Options(network="star", members=9), Options(reach="pairs"), Options(reach="room")):
        readers = {c.name: c.readers for turn in make(options).turns for c in turn.channels}
        assert all(readers[c.name] == c.readers for turn in make(options).turns for c in turn.channels) and len(set(readers.values())) == len(readers)


def test_a_list_of_links() -> None:
    world = make(Options(network="list", links=["M2-M1", "M1-M2", "M3-M2"], members=4))
    assert world.near == {"M1": ("M2",), "M2": ("M1", "M3"), "M3": ("M2",), "M4": ()}
    assert "M4" not in {a for turn in world.turns for a in turn.agents} and world.window(world.from_json([8, 0, [], [[]] * 4])).agents == world.agents


# ---- rules -------------------------------------------------------------------------------------------------------------


def ended(world: TeamTask, moves: Mapping[str, Any]) -> Any:
    state = world.start(np.random.default_rng(1))
    while not world.window(state).move_due:
        state = world.step(state, {}, np.random.default_rng(0)).state
    return world.step(state, moves, np.random.default_rng(0))


def test_answers_by_hand() -> None:
    world = make(Options(members=4, talks=0))
    culprit = world.suspects[world.start(np.random.default_rng(1)).case.culprit]
    other = next(s for s in world.suspects if s != culprit)
    outcome = ended(world, {"M1": culprit, "M2": {other: 3, culprit: 1}, "M3": {culprit: 2.5}, "M4": "nobody"})
    assert outcome.done and outcome.rewards == {"M1": 1, "M2": 0, "M3": 1, "M4": 0} and [e["what"] for e in outcome.events] == ["no answer", "answers"]
    told = outcome.events[1]
    assert told["share"] == 0.5 and told["beliefs"]["M2"][culprit] == 0.25 and told["answers"] == {"M1": culprit, "M2": other, "M3": culprit, "M4": None}


def test_of_those_that_tie_any_may_be_the_answer() -> None:
    world = make(Options(members=64, talks=0))
    chosen = set(ended(world, dict.fromkeys(world.agents, dict.fromkeys(world.suspects, 1))).events[0]["answers"].values())
    assert chosen == set(world.suspects)


@pytest.mark.parametrize("move", [None, 3, "Yew", {}, {"Ash": -1}, {"Ash": 0}, {"Ash": True}, {"Ash": float("nan")}, {"Ash": 1, "Yew": 1}, {1: 1}, ["Ash"]], ids=str)
def test_what_is_no_answer(move: Any) -> None:
    assert read_answer(move, ("Ash", "Birch")) is None


def test_nobody_sees_the_culprit_or_the_clues_of_others() -> None:
    world = make(Options())
    state = world.start(np.random.default_rng(0))
    one, other = (world.observe(state, agent) for agent in ("M1", "M2"))
    assert "culprit" not in one and one["public"] == other["public"] and len(one["private"]) == 4
    assert not any(fact["witness"] in json.dumps(one) for fact in other["private"])


@pytest.mark.parametrize(
    "wrong", [{"members": 1}, {"suspects": 1}, {"clues": 0, "public": 0}, {"clues": -1}, {"reliability": 0.5}, {"reliability": 1.0}, {"network": "tree"}, {"reach": "all"},
              {"network": "list"}, {"links": ["M1-M2"]}, {"network": "list", "links": ["M1-M9"]}, {"network": "list", "links": ["M1-M1"]}, {"tell": "lies"}, {"talks": -1},
              {"alpha": 2.0}, {"window_ms": 3}, {"members": 300}, {"clues": 1000}], ids=str)  # fmt: skip
def test_a_task_that_cannot_be_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        make(Options(**wrong))
    assert "\n" not in str(error.value)


def test_clues_that_cancel_leave_a_posterior_and_no_solution() -> None:
    """Two suspects, one word for each: a strong yes on both, or a strong no."""
    world = make(Options(members=2, suspects=2, clues=1, public=0))
    found = []
    for seed in range(40):
        case = world.step(world.start(np.random.default_rng(seed)), {}, np.random.default_rng(0)).events[0]
        found.append((case["posterior"]["Ash"], case["solvable"]))
        assert sum(case["posterior"].values()) == pytest.approx(1, abs=1e-11)
    assert (0.5, False) in found and any(solved for _, solved in found)


# ---- minds -------------------------------------------------------------------------------------------------------------


def seen(world: TeamTask, agent: str = "M1", seed: int = 0, **more: Any) -> Observation:
    return Observation(agent=agent, step=1, time=1, view={**world.observe(world.start(np.random.default_rng(seed)), agent), **more})


def test_a_member_that_hears_keeps_ego_and_alters() -> None:
    """M1's notes after M2 told it, in a room of three, what it did not know, and said it again."""
    world = make(Options(members=3, reach="room"))
    first, other = seen(world), seen(world, "M2")
    fact, line = other.view["private"][0], world.language._of
    text = world.language.talk.texts(world.language.talk.act("inform", ["M1", "M3"], fact["suspect"], fact["evidence"], fact["witness"]))[0]
    (channel,) = world.turns[0].channels
    message = Observation(agent="M2", step=0, time=0).say(0, channel, text)
    notes = world.language.hear(Observation(agent="M1", step=1, time=1, heard=(message, message), view=first.view), None)
    w, start = Weights(), blank(5)
    alter = read(start, line(fact), w)
    assert notes["ego"] == pytest.approx(read_all(start, map(line, first.view["public"] + first.view["private"]), w))
    assert notes["alters"] == {"M2": pytest.approx(alter), "M3": pytest.approx(start)}
    both = read_all(start, map(line, [*first.view["public"], fact]), w)  # M3 was there
    assert notes["shared"] == {"M2": pytest.approx(both), "M3": pytest.approx(both)}
    intent, _ = world.language.intend(first, notes, np.random.default_rng(0))
    assert list(intent.values()) == pytest.approx(answer(np.array(notes["ego"]), np.array([alter, start]), 0.95).tolist(), abs=1e-11)


def test_an_erased_teammate_is_a_stranger_again() -> None:
    world = make(Options(members=3, reach="room", relay=True))
    first, fact = seen(world), seen(world, "M2").view["private"][0]
    text = world.language.talk.texts(world.language.talk.act("inform", [], fact["suspect"], fact["evidence"], fact["witness"]))[0]
    (channel,) = world.turns[0].channels
    hear = lambda notes: world.language.hear(Observation(agent="M1", step=1, time=1, heard=(Observation(agent="M2", step=0, time=0).say(0, channel, text),), view=first.view), notes)  # noqa: E731
    notes = without_notes(hear(None), "M2")
    assert "M2" not in json.dumps(notes) and hear(notes)["alters"]["M2"] == hear(None)["alters"]["M2"]
    acts, after = world.language.speak(Observation(agent="M1", step=2, time=2, may_write=(channel,), view=first.view), notes, None, np.random.default_rng(0))
    assert acts[0][1]["act"] == "inform" and acts[0][1]["witness"] in after["has"]["M2"]


def test_all_facts_are_told_once_and_those_asked_for_first() -> None:
    world = make(Options(members=2, reach="room", tell="all"))
    (channel,) = world.turns[0].channels
    start = seen(world)
    wanted = start.view["private"][2]["suspect"]
    asked = Observation(agent="M2", step=0, time=0).say(0, channel, f"What do you know about {wanted}?")
    notes, told = world.language.hear(Observation(agent="M1", step=1, time=1, heard=(asked,), view=start.view), None), []
    for _ in range(8):
        acts, notes = world.language.speak(Observation(agent="M1", step=1, time=1, may_write=(channel,), view=start.view), notes, None, np.random.default_rng(0))
        told += [act for _, act in acts]
    facts = [act for act in told if act["act"] == "inform"]
    assert facts[0]["suspect"] == wanted and sorted(a["witness"] for a in facts) == sorted(f["witness"] for f in start.view["private"])
    assert {act["act"] for act in told[4:]} <= {"guess", "ask", "remark"} and told[4]["act"] == "guess"


def test_random_repeats_targeted_does_not_and_silence_is_kept_where_only_facts_count() -> None:
    told: dict[str, list[list[str]]] = {}
    for tell in ("random", "targeted", "published"):
        world = make(Options(members=2, reach="room", tell=tell, talks=30, opinions=False))
        for seed in range(3):
            acts = [world.language.meaning(m.text, m.author, m.channel.readers)[0] for m in play(world, seed).messages]
            assert {act["act"] for act in acts} == {"inform"}
            told.setdefault(tell, []).append([act["witness"] for act in acts])
    assert all(len(w) == 30 > len(set(w)) for w in told["random"])
    for tell in ("targeted", "published"):
        assert all(len(w) == len(set(w)) <= 8 for w in told[tell])
    assert min(map(len, told["published"])) < 8  # what would lead away is not told


def test_the_target_is_the_fact_that_closes_most_of_the_gap() -> None:
    """Among two: the clue after which the reader's exact posterior, of what both know, is nearest to the teller's; by another way of computing it."""
    world = make(Options(members=2, reach="room", tell="targeted"))
    (channel,) = world.turns[0].channels
    for seed in range(20):
        state, view = world.start(np.random.default_rng(seed)), seen(world, seed=seed).view
        own, public = state.case.private[0], state.case.public
        p = lambda clues: posterior(clues, 5, 0.8)  # noqa: E731
        gaps = [divergence(p((*public, *own)), p((*public, clue))) for clue in own]
        acts, _ = world.language.speak(Observation(agent="M1", step=1, time=1, may_write=(channel,), view=view), world.language.hear(seen(world, seed=seed), None), None, np.random.default_rng(0))
        if min(gaps) < divergence(p((*public, *own)), p(public)) - 1e-12:
            assert acts[0][1]["witness"] in [world.witnesses[c.witness] for c, gap in zip(own, gaps, strict=True) if gap < min(gaps) + 1e-9]
        else:
            assert not acts or acts[0][1]["act"] != "inform"


def test_what_is_passed_on_reaches_those_beyond_the_neighbours() -> None:
    """A ring of six, each fact told once: with relay everybody comes to know everything, without it the facts of two neighbours."""
    for relay, known in ((True, 1 + 6 * 2), (False, 1 + 3 * 2)):
        world = make(Options(members=6, clues=2, tell="all", talks=16, relay=relay))
        played = play(world, 3)
        assert {len(notes["facts"]) for notes in played.notes.values()} == {known}
        assert not relay or ideal(world, played) == ceiling(world, played.case)


# ---- words -------------------------------------------------------------------------------------------------------------

SPOKEN = talk.Talk(talk.numbered(talk.SUSPECTS, 20), talk.numbered(talk.WITNESSES, 50))


def test_every_wording_means_its_act_and_nothing_else() -> None:
    for suspect, witness in (("Ash", "porter"), ("Ash 2", "cook 2"), ("Willow", "weaver")):
        acts = [SPOKEN.act("inform", ["M2"], suspect, evidence, witness) for evidence in talk.INFORM]
        acts += [SPOKEN.act(kind, ["M2"], None if kind == talk.PHATIC else suspect) for kind in talk.FRAMES]
        for act in acts:
            for text in SPOKEN.texts(act):
                for said in (text, text.upper(), f"Well, {text}", f"{text} See you."):
                    assert list(SPOKEN.acts(said, "M1", frozenset(("M1", "M2")))) == [act], said


@pytest.mark.parametrize(
    "text", ["", "Ash", "The porter is sure.", "The porter is sure that it was Yew.", "The cat is sure that it was Ash.", "The porter is sure that it was Ash 77.",
             "The porter 9 rules out Ash.", "porter the sure is was it that Ash", "\u202e\ud800", "The reporter rules out Ashes"])  # fmt: skip
def test_what_has_no_frame_means_nothing(text: str) -> None:
    assert list(SPOKEN.acts(text, "M1", frozenset(("M1", "M2")))) == []


def test_several_acts_stand_in_their_order() -> None:
    found = SPOKEN.acts("The cook rules out Elm. My guess is Ash 2. What do you know about Oak?", "M1", frozenset(("M1", "M2")))
    assert [(a["act"], a["suspect"], a["evidence"]) for a in found] == [("inform", "Elm", "strong no"), ("guess", "Ash 2", None), ("ask", "Oak", None)]


def test_idle_words() -> None:
    assert SPOKEN.idle("have a nice day") and not any(map(SPOKEN.idle, ("but the cook", "or Elm", "number 2", "maybe", "I doubt that")))
    assert SPOKEN.denies("that is not so") and not SPOKEN.denies("that is so")


def test_an_act_without_words_is_refused() -> None:
    for act in ({"act": "sing"}, SPOKEN.act("inform", [], "Ash", "strong yes"), SPOKEN.act("guess", [], "Yew"), SPOKEN.act("remark", [], "Ash"), SPOKEN.act("ask", [])):
        with pytest.raises(ValueError, match="expected an act of"):
            SPOKEN.texts(act)


def test_the_briefing_is_the_first_window() -> None:
    world = make(Options())
    state = world.start(np.random.default_rng(0))
    assert state.window == BRIEFING and world.window(state).agents == () and len(world.step(state, {}, np.random.default_rng(0)).messages) == 25
