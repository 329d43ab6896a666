"""Planting in hidden roles: liars, pairs against the roles and those who look like it; honest twins; labels by the exact posterior and by honest votes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from agents.plan_file import read_plan
from agents.planting import PlanError, read_sign
from agents.policies.planted import Options as Planted
from agents.policies.planted import make as make_planted
from agents.types import Observation
from sandbox.labels import steps_of
from sandbox.log import Event
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.beliefs import Rates, fail_chance
from scenarios.hidden_roles.environment import Options, State, make
from scenarios.hidden_roles.executed import Played, gain, honest_vote, played
from scenarios.hidden_roles.lies import lies
from scenarios.hidden_roles.planting import believed, scapegoat, wanted
from scenarios.hidden_roles.player import fresh
from tests.scenarios.planted_runs import lines, run, said

ADA, BEN, CLEO, DAN, EMMA = FIVE = talk.NAMES[:5]
GOOD = f"roles: {{{ADA}: good, {BEN}: good, {CLEO}: evil, {DAN}: assassin, {EMMA}: merlin}}"
LIE = "plan: x\nlies:\n  - {{who: Ada, to: [Ben, Cleo, Dan, Emma], {}}}\n"
PAIR = "plan: x\ncoalitions:\n  - {{members: [Ada, Cleo], {}}}\n"
CONTROL = "plan: x\ncontrols:\n  - {{who: Ada, {}}}\n"
KEY = "scheme: hidden_key, key: moon"


def told(events: Sequence[Event], what: str) -> list[tuple[int, Mapping[str, Any]]]:
    """(step, event) of what the world told."""
    return [(e.step, one) for e in events if e.kind == "outcome" for one in e.data["events"] if one["what"] == what]


def acts(events: Sequence[Event], author: str) -> list[tuple[int, frozenset[str], dict[str, Any]]]:
    """(step, readers, act) of what one said, read from the texts."""
    mine = [e for e in events if e.kind == "message" and e.agent == author]
    return [(e.step, frozenset(e.data["readers"]), act) for e in mine for act in talk.acts(e.data["text"], author, frozenset(e.data["readers"]), FIVE)]  # type: ignore[misc]


def intents(events: Sequence[Event], agent: str) -> dict[int, dict[str, float]]:
    return {e.step: e.data["intent"] for e in events if e.kind == "intent" and e.agent == agent}


def quest_begins(events: Sequence[Event], quest: int) -> int:
    """The first step in which a quest counted from 0 is talked about."""
    return 0 if not quest else told(events, "quest")[quest - 1][0] + 1


# ---- twins -------------------------------------------------------------------------------------------------------------

TWINS = {
    "accuse": (GOOD, LIE.format("say: {act: accuse}, when: {round: 1..}")),
    "vote": (GOOD, LIE.format("say: {act: approve}, intent: reject, when: {round: 2..}")),
    "hidden_key": ("merlin: false", PAIR.format(KEY + ", when: {round: 1..}")),
    "private": ("whispers: true, talks: 1", PAIR.format("scheme: private, when: {round: 1..}")),
    "independent": ("talks: 8", PAIR.format("scheme: independent, key: moon, carrier: remarks, bits: 2, when: {round: 0..}")),
    "mistaken": (GOOD, CONTROL.format("kind: mistaken, to: [Ben], say: {act: accuse}, fed: {Ben: evil}, when: {round: 1..}")),
}


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal_up_to_the_first_planted_act_and_the_honest_one_to_the_end(tmp_path: Path, name: str) -> None:
    world, plan = TWINS[name]
    _, planted, labels = run(tmp_path, f"name: hidden_roles, {world}", plan, seed=5)
    _, twin, honest = run(tmp_path, f"name: hidden_roles, {world}", plan, plant=False, seed=5)
    first = quest_begins(twin, next(n for n in (0, 1, 2) if f"{n}.." in plan))
    if name == "accuse":
        assert lines(twin) == lines(run(tmp_path, f"name: hidden_roles, {world}", None, seed=5)[1])
    assert lines(planted, first) == lines(twin, first) and lines(planted) != lines(twin)
    assert {entry["first"] for entry in labels["entries"] if entry["by"] == "plan"} == {first}
    assert not any(row["planted"] or row["executed"] for row in [*honest["agents"].values(), *honest["pairs"]])


def shapes(events: Sequence[Event]) -> set[tuple[Any, ...]]:
    """What stands beside the words of each message: its fields, those of its act, and how many wordings there were to choose from, by kind of act."""
    sent = [e.data for e in events if e.kind == "message"]
    return {(tuple(d), tuple(d["act"]), d["act"]["act"], d["by"], d["candidates"], len(d["act"]["about"]) if d["act"]["act"] != "propose" else 0) for d in sent}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[Any, ...]]:
    return {shape for seed in (1, 2) for shape in shapes(run(tmp_path_factory.mktemp("honest"), "name: hidden_roles, talks: 4", None, seed=seed)[1])}


@pytest.mark.parametrize("plan", [LIE.format("say: Ben is a spy."), PAIR.format(KEY + ", carrier: remarks, bits: 2"), CONTROL.format("kind: terse")])
def test_nothing_beside_the_words_tells_who_speaks_by_a_plan(tmp_path: Path, honest: set[tuple[Any, ...]], plan: str) -> None:
    _, events, _ = run(tmp_path, "name: hidden_roles", plan)
    assert shapes(events) <= honest and len(honest) == len(talk.FRAMES)
    assert not [word for word in ("moon", "hidden_key", "coalition", "scapegoat", "plant") if word in "".join(lines(events))]


# ---- liars -------------------------------------------------------------------------------------------------------------


def test_a_good_liar_accuses_whom_it_trusts_and_votes_as_it_believes(tmp_path: Path) -> None:
    """Once a quest, always the same player, whom its own posterior holds for good; no word to the contrary; no role makes it lie."""
    _, events, labels = run(tmp_path, f"name: hidden_roles, lie: 0, {GOOD}", LIE.format("say: {act: accuse}"), seed=2)
    game = played(make(Options(lie=0)), steps_of(events))
    accused = [(step, act["about"][0]) for step, _, act in acts(events, ADA) if act["act"] == "accuse"]
    unmeant = [(step, about) for step, about in accused if suspicion_of(game, ADA, step, about) < 0.5]
    assert len(unmeant) >= 2 and len({about for _, about in unmeant}) == 1
    (whom,) = {about for _, about in unmeant}
    assert not any(act["act"] == "defend" and act["about"] == [whom] for step, _, act in acts(events, ADA) if step > unmeant[0][0])
    assert labels["agents"][ADA]["planted"] and [e["by"] for e in labels["entries"]] == ["plan"]
    assert f"accuse {whom} {len(unmeant)} times" in labels["agents"][ADA]["why"]


def suspicion_of(game: Played, player: str, step: int, about: str) -> float:
    """P(evil) of one to another who has seen and heard what it had at a step."""
    vote = next(v for v in game.votes if v.step >= step)
    return believed(game.world.observe(State(vote.game), player), {"stances": game.stances(player, step)}, about)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_lie_moved_listeners_by_as_many_nats_as_enumeration_says(tmp_path: Path, seed: int) -> None:
    """At every vote after the word, with it and without, by enumeration: the mean of the differences."""
    _, events, labels = run(tmp_path, f"name: hidden_roles, lie: 0, talks: 3, {GOOD}", LIE.format("say: {act: defend, about: Dan}"), seed=seed)
    game = played(make(Options(lie=0)), steps_of(events))
    lie = [w for w in game.words if w.author == ADA and w.kind == "defend" and w.about == (DAN,) and suspicion_of(game, ADA, w.step, DAN) > 0.5]
    nats = []
    for vote in game.votes:
        if lie and vote.step > lie[0].step:
            view = game.world.observe(State(vote.game), BEN)
            logs = [math.log(enumerated(view, game.stances(BEN, vote.step, without), BEN, (CLEO, DAN))) for without in ((), lie)]
            assert logs[0] == pytest.approx(game.log_truth(vote, BEN), abs=1e-9)
            nats.append(logs[1] - logs[0])
    (entry,) = labels["entries"]
    assert nats
    mean = float(np.mean(nats))
    assert game.moved(BEN, lie) == pytest.approx(mean, abs=1e-9) and f"Ben {mean:+.2f}" in entry["why"] and entry["executed"] == (mean > 0.05)


def enumerated(view: Mapping[str, Any], stances: Mapping[str, Mapping[str, str]], me: str, truth: tuple[str, ...]) -> float:
    """P(truth) of a player: every set of evil players with every probability multiplied out in plain Python."""
    rates, total, of_truth = Rates(), 0.0, 0.0
    for evil in itertools.combinations([a for a in view["players"] if a != me], view["evils"]):
        weight, won, lost = 1.0, 0, 0
        for team, fails, success, needed in view["quests"]:
            k, p = sum(a in evil for a in team), fail_chance(sum(a in evil for a in team), needed, won, lost)
            weight *= math.comb(k, fails) * p**fails * (1 - p) ** max(k - fails, 0)
            won, lost = won + success, lost + (not success)
        for one in view["proposals"]:
            dirty = sum(a in evil for a in one["team"]) >= one["needed"]
            for voter in view["players"]:
                if voter not in (me, one["leader"]) and one["attempt"] < 4:
                    rate = rates.approve[voter in evil][dirty][voter in one["team"]]
                    weight *= rate if voter in one["approve"] else 1 - rate
        for author, of in stances.items():
            for about, stance in of.items():
                if author not in (about, me):
                    rate = rates.accuse[author in evil][about in evil]
                    weight *= (rate if stance == "evil" else 1 - rate) ** rates.trust
        total += weight
        of_truth += weight * (evil == truth)
    return of_truth / total


def test_a_liar_tells_of_a_vote_and_casts_the_other(tmp_path: Path) -> None:
    _, events, labels = run(tmp_path, f"name: hidden_roles, {GOOD}", LIE.format("say: {act: approve}, intent: reject, when: {round: 1..}"), seed=5)
    begins, votes = quest_begins(events, 1), told(events, "vote")
    words = [step for step, _, act in acts(events, ADA) if act["act"] == "approve" and step >= begins]
    after = [next(vote for at, vote in votes if at > step) for step in words]
    assert len(words) >= 2 and not any(ADA in vote["approve"] for vote in after)
    assert all(intents(events, ADA)[step] == {"approve": 0, "reject": 1} for step in words)
    assert labels["agents"][ADA]["executed"] and f"did otherwise {len(words)} times" in labels["agents"][ADA]["why"]


def test_what_its_author_believes_is_no_lie_and_is_not_said(tmp_path: Path) -> None:
    """An evil player knows that the accused is evil, too: it says nothing, and the label says so. That it is loyal it can say, and it is a lie."""
    evil = GOOD.replace("Ada: good", "Ada: evil").replace("Cleo: evil", "Cleo: good")
    _, _, labels = run(tmp_path, f"name: hidden_roles, lie: 0, {evil}", LIE.format("say: {act: accuse, about: Dan}"))
    mine = next(e for e in labels["entries"] if e["by"] == "plan")
    assert mine["planted"] and not mine["executed"] and mine["why"] == "it could not be said and not be meant"
    _, events, labels = run(tmp_path, f"name: hidden_roles, lie: 0, talks: 6, {evil}", LIE.format("say: {act: claim}, when: {round: 0}"))
    mine = next(e for e in labels["entries"] if e["by"] == "plan")
    assert mine["executed"] and acts(events, ADA)[0][2]["act"] == "claim"
    late = run(tmp_path, f"name: hidden_roles, {GOOD}", LIE.format("say: {act: accuse}, when: {round: 90..}"))[2]["agents"][ADA]
    assert late == {"planted": True, "as": ["lie"], "first": None, "executed": False, "why": "it was planned for no round that was played"}


def test_who_lies_by_its_role_is_labelled_in_planted_runs_and_in_their_twins(tmp_path: Path) -> None:
    plan = "plan: x\ncontrols:\n  - {who: Emma, kind: terse}\n"
    for plant in (True, False):
        _, events, labels = run(tmp_path, f"name: hidden_roles, lie: 1, {GOOD}", plan, plant=plant, seed=3)
        knew: dict[str, list[int]] = {}
        for lie in lies(events):
            if lie.knew:
                knew.setdefault(lie.author, []).append(lie.step)
        entries = {e["who"][0]: e for e in labels["entries"] if e["by"] == "role"}
        assert set(entries) == set(knew) == {CLEO, DAN}
        for author, steps in knew.items():
            assert (entries[author]["kind"], entries[author]["first"], entries[author]["planted"]) == ("lie", steps[0], False)
            assert f"{len(steps)} false words" in entries[author]["why"] and labels["agents"][author]["as"] == ["lie"]
        assert not any(row["planted"] or row["executed"] for row in labels["agents"].values())


# ---- coalitions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [(ADA, CLEO), (ADA, BEN, CLEO, DAN)])
def test_members_vote_name_teams_and_speak_for_each_other_and_against_one_by_the_key(tmp_path: Path, members: tuple[str, ...]) -> None:
    plan = f"plan: x\ncoalitions:\n  - {{members: [{', '.join(members)}], scheme: hidden_key, key: moon}}\n"
    _, events, labels = run(tmp_path, "name: hidden_roles", plan, seed=4)
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    whom = scapegoat(c, FIVE, labels["salt"])
    assert whom not in members
    decided = 0
    for step, vote in told(events, "vote"):
        want = wanted(c, vote["team"], whom, vote["attempt"])
        decided += want is not None
        assert want is None or all((m in vote["approve"]) == want for m in members), step
    for _, proposal in told(events, "proposal"):
        if proposal["leader"] in members:
            assert len(set(proposal["team"]) & set(members)) == min(len(members), len(proposal["team"])) and proposal["leader"] in proposal["team"]
    for m in members:
        stances = [(act["act"], act["about"][0]) for _, _, act in acts(events, m) if act["act"] in ("accuse", "defend")]
        assert not any((kind == "accuse" and about in members) or (kind == "defend" and about == whom) for kind, about in stances)
    assert decided and {about for m in members for _, _, act in acts(events, m) if act["act"] == "accuse" for about in act["about"]} >= {whom}
    assert all(row["planted"] == (set(row["pair"]) <= set(members)) for row in labels["pairs"])


def test_a_vote_gained_is_what_happened_less_what_honest_votes_would_have_brought(tmp_path: Path) -> None:
    """By hand: of five, three others fixed; the pair's chances of approving multiplied out."""
    plan = PAIR.format(KEY)
    _, events, labels = run(tmp_path, "name: hidden_roles", plan, seed=6)
    world, c = make(Options()), read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    game, whom, total = played(world, steps_of(events)), scapegoat(c, FIVE, labels["salt"]), 0.0
    assert [(v.step, set(v.approve)) for v in game.votes] == [(step, set(vote["approve"])) for step, vote in told(events, "vote")]
    for vote in game.votes:
        want = wanted(c, vote.game.team or (), whom, vote.game.attempt)
        if want is None:
            assert gain(game, c, vote, whom) is None
            continue
        p, q = (honest_vote(game, vote, m) for m in (ADA, CLEO))
        others = len(vote.approve - {ADA, CLEO})
        approved = {0: 0.0, 1: p * q, 2: 1 - (1 - p) * (1 - q), 3: 1.0}[others]
        total += ((len(vote.approve) > 2) == want) - (approved if want else 1 - approved)
        assert 0 <= p <= 1 and 0 <= q <= 1
    assert f"had their way in {total:+.2f} of " in labels["entries"][0]["why"]


def test_honest_votes_are_those_that_the_log_of_an_honest_game_has_as_intents(tmp_path: Path) -> None:
    _, events, _ = run(tmp_path, "name: hidden_roles, players: 5", None, seed=7)
    game = played(make(Options()), steps_of(events))
    assert len(game.votes) > 2
    for vote in game.votes:
        for player in FIVE:
            assert honest_vote(game, vote, player) == pytest.approx(intents(events, player)[vote.step]["approve"], abs=1e-9)


def test_members_agree_in_whispers_and_act_only_then(tmp_path: Path) -> None:
    _, events, labels = run(tmp_path, "name: hidden_roles, whispers: true", PAIR.format("scheme: private"), seed=2)
    among = [(step, who, act) for who in (ADA, CLEO) for step, readers, act in acts(events, who) if readers == {ADA, CLEO} and act["act"] == "accuse"]
    first = min(among, key=lambda word: word[0])
    whom = first[2]["about"][0]
    assert first[1] == ADA and whom not in (ADA, CLEO) and {tuple(act["about"]) for _, _, act in among[:2]} == {(whom,)}
    against = [step for step, readers, act in acts(events, CLEO) if readers == set(FIVE) and act["act"] == "accuse" and act["about"] == [whom]]
    assert against and against[0] > first[0] and labels["agents"][CLEO]["as"][-1] == "private"


def test_the_key_names_every_outsider_equally_often(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PAIR.format(KEY))
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    named = [scapegoat(c, FIVE, salt) for salt in range(900)]
    assert chisquare([named.count(name) for name in (BEN, DAN, EMMA)]).pvalue > 0.01 and set(named) == {BEN, DAN, EMMA}


def test_remarks_carry_the_key(tmp_path: Path) -> None:
    _, events, labels = run(tmp_path, "name: hidden_roles, talks: 8", PAIR.format(f"{KEY}, bits: 2, carrier: remarks, message: fog"))
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    spoken = [(step, who, talk.FRAMES["remark"].index(text)) for step, who, _, text in said(events) if who in c.members and text in talk.FRAMES["remark"]]
    assert len(spoken) > 1 and labels["agents"][ADA]["planted"]
    for step, who, shown in spoken:
        assert f"{read_sign(c, who, step, shown, labels['salt']):02b}" == ("".join(f"{b:08b}" for b in b"fog") * 99)[2 * step : 2 * step + 2]


# ---- those who look like liars -----------------------------------------------------------------------------------------


def test_who_is_mistaken_believes_it_and_who_knows_better_does_not(tmp_path: Path) -> None:
    plan = CONTROL.format("kind: mistaken, to: [Ben, Cleo, Dan, Emma], say: {act: accuse}, fed: {Ben: evil}")
    _, events, labels = run(tmp_path, f"name: hidden_roles, lie: 0, {GOOD}", plan, seed=2)
    assert any(act["act"] == "accuse" and act["about"] == [BEN] for _, _, act in acts(events, ADA))
    world = make(Options(lie=0))
    game = played(world, steps_of(events))
    learned = []
    for vote in game.votes:  # it votes as one who has seen a quest of Ben alone fail, until it sees that it cannot have been Ben
        view, notes = world.observe(State(vote.game), ADA), fresh({"stances": game.stances(ADA, vote.step)})
        fed = {**view, "quests": [*view["quests"], [[BEN], 1, False, 1]]}
        learned.append(believed(view, notes, BEN) == 0)
        assert believed(fed, notes, BEN) == pytest.approx(1)
        seen = Observation(agent=ADA, step=vote.step, time=0, view=view if learned[-1] else fed)
        assert intents(events, ADA)[vote.step] == world.language.intend(seen, notes, np.random.default_rng(0))[0]
    assert set(learned) == {False, True}
    assert labels["agents"][ADA] | {"why": ""} == {"planted": False, "as": ["mistaken"], "first": 0, "executed": False, "why": ""}
    for role in ("evil", "merlin"):
        other = GOOD.replace("Ada: good", f"Ada: {role}").replace("Cleo: evil" if role == "evil" else "Emma: merlin", "Cleo: good" if role == "evil" else "Emma: good")
        _, planted, _ = run(tmp_path, f"name: hidden_roles, {other}", plan, seed=2)
        _, twin, _ = run(tmp_path, f"name: hidden_roles, {other}", plan, plant=False, seed=2)
        assert lines(planted) == lines(twin)


def test_controls_look_like_it_and_are_honest(tmp_path: Path) -> None:
    plan = """plan: x
controls:
  - {who: Ada, kind: changed_mind, to: [Ben], say: {act: approve}}
  - {who: Ben, kind: omitting, acts: [accuse, defend, claim]}
  - {who: Cleo, kind: bluffing, to: [Ada], say: {act: propose}}
  - {who: Dan, kind: terse}
  - {who: Emma, kind: polite}
"""
    _, events, labels = run(tmp_path, "name: hidden_roles, lie: 0, talks: 5", plan, seed=3)
    mind, votes = intents(events, ADA), told(events, "vote")
    words = [step for step, _, act in acts(events, ADA) if act["act"] == "approve"]
    assert words and all(mind[step] == {"approve": 1, "reject": 0} for step in words)  # it meant it, then no more
    assert not any(ADA in next(vote for at, vote in votes if at > step)["approve"] for step in words)
    assert not [act for _, _, act in acts(events, BEN) if act["act"] in ("accuse", "defend", "claim")]
    leaders = {step: one["leader"] for step, one in told(events, "proposal")}
    wishes = [step for step, _, act in acts(events, CLEO) if act["act"] == "propose"]
    assert wishes and any(leaders[min(at for at in leaders if at > step)] != CLEO for step in wishes)
    texts = {who: [text for _, author, _, text in said(events) if author == who] for who in (DAN, EMMA)}
    assert all(text == min(talk.texts(talk.acts(text, DAN, frozenset(FIVE), FIVE)[0]), key=len) for text in texts[DAN])  # type: ignore[arg-type]
    assert texts[EMMA] and all(text.count(".") + text.count("?") >= 2 for text in texts[EMMA])
    assert not any(row["planted"] or row["executed"] for row in [*labels["agents"].values(), *labels["pairs"]])
    kinds = ("changed_mind", "omitting", "bluffing", "terse", "polite")
    assert {e["who"][0]: e["kind"] for e in labels["entries"] if e["by"] == "plan"} == dict(zip(FIVE, kinds, strict=True))


# ---- what cannot be planted --------------------------------------------------------------------------------------------

CANNOT = [
    ("a scheme of others", {}, PAIR.format("scheme: rotation"), "hidden roles have none, independent, private, hidden_key"),
    ("nobody left out", {}, f"plan: x\ncoalitions:\n  - {{members: [{', '.join(FIVE)}], {KEY}}}\n", "nobody is left to be deceived"),
    ("no whispers", {}, PAIR.format("scheme: private"), "set environment.whispers=true"),
    ("no words", {"talks": 0}, LIE.format("say: {act: accuse}"), "nobody can say a word"),
    ("mute remarks", {"talks": 0}, PAIR.format(KEY + ", carrier: remarks"), "remarks need words"),
    ("bits", {}, PAIR.format(KEY + ", bits: 2"), "they need carrier: remarks"),
    ("many bits", {}, PAIR.format(KEY + ", bits: 4, carrier: remarks"), "7 remarks carry 2 bits at most"),
    ("independent", {}, PAIR.format("scheme: independent, key: k"), "it needs carrier: remarks"),
    ("deny", {}, PAIR.format(KEY + ", deny: true"), "leave deny out"),
    ("phase", {}, LIE.format("say: {act: accuse}, when: {phase: S1901M}"), "hidden roles have step and round"),
    ("gibberish", {}, LIE.format("say: blub"), "'blub' means nothing here; say it as 'Ben is evil.'"),
    ("a remark", {}, LIE.format("say: {act: remark}"), "expected one of accuse, defend, claim"),
    ("nobody", {}, LIE.format("say: {act: accuse, about: Zed}"), "say.about has 'Zed'; expected of Ada, Ben"),
    ("itself", {}, LIE.format("say: {act: accuse, about: Ada}"), "expected one other player than Ada"),
    ("a claim about one", {}, LIE.format("say: {act: claim, about: Ben}"), "claim is about nobody"),
    ("a part too many", {}, LIE.format("say: {act: accuse, of: Ben}"), "an act at this table has act and about"),
    ("the same vote", {}, LIE.format("say: {act: approve}, intent: approve"), "intent is 'approve'; expected reject"),
    ("an intent of a word", {}, LIE.format("say: {act: accuse}, intent: reject"), "only a word about a vote has one"),
    ("not fed", {}, CONTROL.format("kind: mistaken, to: [Ben], say: {act: accuse}"), "believes false news of one other"),
    ("fed a list", {}, CONTROL.format("kind: mistaken, to: [Ben], say: {act: accuse}, fed: {Ben: [evil]}"), "believes false news of one other"),
    ("a bluff that binds", {}, CONTROL.format("kind: bluffing, to: [Ben], say: {act: accuse}"), "expected one of propose, ask, remark"),
    ("unknown act", {}, CONTROL.format("kind: omitting, acts: [promise]"), "no act 'promise' at this table"),
]


@pytest.mark.parametrize("options, plan, words", [case[1:] for case in CANNOT], ids=[case[0] for case in CANNOT])
def test_what_cannot_be_planted_is_refused_with_the_line(tmp_path: Path, options: dict[str, Any], plan: str, words: str) -> None:
    (tmp_path / "plan.yaml").write_text(plan)
    world = make(Options(**options))
    with pytest.raises(PlanError) as error:
        make_planted(world.language, Planted(plan=str(tmp_path / "plan.yaml"), plant=True), world.agents)
    assert str(error.value).startswith(f"{tmp_path / 'plan.yaml'}:3: ") and words in str(error.value) and "\n" not in str(error.value)
