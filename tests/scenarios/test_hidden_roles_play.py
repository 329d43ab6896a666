"""Hidden roles, the players: beliefs by hand and by enumeration, what words mean, who lies, and games through the real command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.types import Channel, Message, Observation
from sandbox.__main__ import main
from sandbox.log import canonical_hash, read_events
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.beliefs import Rates, danger, fail_chance, posterior, subsets, suspicion
from scenarios.hidden_roles.environment import Options, make
from scenarios.hidden_roles.lies import lies
from scenarios.hidden_roles.player import RolesLanguage, fresh, think
from scenarios.hidden_roles.rules import EVIL
from scenarios.hidden_roles.selfplay import Told, counted, play
from scenarios.hidden_roles.selfplay import main as selfplay

ADA, BEN, CLEO, DAN, EMMA = FIVE = talk.NAMES[:5]
EVERYBODY = frozenset(FIVE)


def seen(me: str = CLEO, **more: Any) -> dict[str, Any]:
    """What a player of five is shown before the first quest, but for what is given."""
    return {
        "players": list(FIVE), "evils": 2, "merlin": False, "me": me, "role": "good", "evil": None, "lie": None, "phase": "propose", "quest": 0, "attempt": 0,
        "leader": ADA, "size": 2, "needed": 1, "won": 0, "lost": 0, "team": None, "proposals": [], "quests": [],
    } | more  # fmt: skip


def proposal(team: Sequence[str], approve: Sequence[str], leader: str = ADA, attempt: int = 0, needed: int = 1) -> dict[str, Any]:
    return {"quest": 0, "attempt": attempt, "leader": leader, "team": list(team), "approve": list(approve), "approved": len(approve) > 2, "needed": needed}


def suspects(view: Mapping[str, Any], stances: Mapping[str, Mapping[str, str]] | None = None, me: int | None = 2, **more: Any) -> list[float]:
    return list(suspicion(posterior(view, stances or {}, me, **more), len(view["players"]), view["evils"]))


# ---- beliefs -----------------------------------------------------------------------------------------------------------------


def test_one_fail_of_a_team_of_two_by_hand() -> None:
    """Cleo, good, saw Ada and Ben fail once. A lone evil player fails with 3/4 (four of the six pairs), two both toss (1/2): weights 4 x 3/4 and 1/2."""
    assert fail_chance(1, 1, 0, 0) == 0.75 and fail_chance(2, 1, 0, 0) == 0.5
    view = seen(quests=[[[ADA, BEN], 1, False, 1]])
    assert suspects(view) == pytest.approx([4 / 7, 4 / 7, 0, 3 / 7, 3 / 7], abs=1e-12)
    p = dict(zip(map(tuple, subsets(5, 2).tolist()), posterior(view, {}, 2), strict=True))
    assert p[True, True, False, False, False] == pytest.approx(1 / 7, abs=1e-12) and p[False, False, False, True, True] == 0
    assert suspects(view, me=0) == pytest.approx([0, 1, 1 / 3, 1 / 3, 1 / 3], abs=1e-12)  # Ada knows that it was Ben
    assert suspects(seen(quests=[[[ADA, BEN], 2, False, 1]])) == pytest.approx([1, 1, 0, 0, 0], abs=1e-12)


def test_an_accusation_by_hand() -> None:
    """Ada calls Ben evil: .1 if both are, .6 if only Ada (two pairs), .8 if only Ben (two), .5 if neither (one): 3.4 in all."""
    rates = Rates(accuse=((0.5, 0.8), (0.6, 0.1)), trust=1.0)
    p = suspects(seen(), {ADA: {BEN: "evil"}}, rates=rates)
    assert p[0] == pytest.approx((0.1 + 1.2) / 3.4, abs=1e-12) and p[1] == pytest.approx((0.1 + 1.6) / 3.4, abs=1e-12) and sum(p) == pytest.approx(2)
    half = suspects(seen(), {ADA: {BEN: "evil"}}, rates=Rates(accuse=rates.accuse, trust=0.0))
    assert half == pytest.approx([0.5, 0.5, 0, 0.5, 0.5])
    assert suspects(seen(), {CLEO: {BEN: "evil"}, ADA: {ADA: "good"}}, rates=rates) == pytest.approx(half)  # nobody learns from itself, or from self-praise


def by_enumeration(view: Mapping[str, Any], stances: Mapping[str, Mapping[str, str]], me: str, rates: Rates) -> list[float]:
    """The same posterior in plain Python: every set of evil players with every probability multiplied out."""
    players, total, found = view["players"], 0.0, dict.fromkeys(view["players"], 0.0)
    for evil in itertools.combinations([a for a in players if a != me], view["evils"]):
        weight, won, lost = 1.0, 0, 0
        for team, fails, success, needed in view["quests"]:
            k = sum(a in evil for a in team)
            p = fail_chance(k, needed, won, lost)
            weight *= comb(k, fails) * p**fails * (1 - p) ** max(k - fails, 0)
            won, lost = won + success, lost + (not success)
        for one in view["proposals"]:
            dirty = sum(a in evil for a in one["team"]) >= one["needed"]
            for voter in players:
                if voter not in (me, one["leader"]) and one["attempt"] < 4:
                    rate = rates.approve[voter in evil][dirty][voter in one["team"]]
                    weight *= rate if voter in one["approve"] else 1 - rate
        for author, of in stances.items():
            for about, stance in of.items():
                if about != author != me:
                    rate = rates.accuse[author in evil][about in evil]
                    weight *= (rate if stance == "evil" else 1 - rate) ** rates.trust
        total += weight
        for a in evil:
            found[a] += weight
    return [found[a] / total for a in players]


@pytest.mark.parametrize("players", [5, 7, 10])
def test_the_posterior_is_what_enumeration_gives(players: int) -> None:
    rng, names, rates = np.random.default_rng(players), list(talk.NAMES[:players]), Rates()
    draw = lambda n: [str(a) for a in rng.permutation(names)[:n]]  # noqa: E731
    for _ in range(8):
        proposals = [proposal(draw(3), draw(int(rng.integers(players))), str(rng.choice(names)), int(rng.integers(5)), int(rng.integers(1, 3))) for _ in range(6)]
        quests = [[draw(3), int(f), f == 0, 1] for f in rng.integers(0, 2, size=4)]
        stances = {a: {b: ("evil", "good")[int(rng.integers(2))] for b in draw(2)} for a in draw(3)}
        view = seen(players=names, evils=EVIL[players], proposals=proposals, quests=quests)
        assert suspects(view, stances, 0) == pytest.approx(by_enumeration(view, stances, names[0], rates), abs=1e-12)


def test_names_do_not_matter() -> None:
    """Everybody renamed, everywhere: the same beliefs under the new names."""
    view = seen(quests=[[[ADA, BEN], 1, False, 1]], proposals=[proposal([ADA, BEN], [ADA, BEN, DAN])])
    swapped = json.loads(json.dumps(view).replace(ADA, "?").replace(EMMA, ADA).replace("?", EMMA)) | {"players": list(FIVE)}
    a, b, c, d, e = suspects(view, {ADA: {DAN: "evil"}})
    assert suspects(swapped, {EMMA: {DAN: "evil"}}) == pytest.approx([e, b, c, d, a], abs=1e-12) and a != pytest.approx(e)


def test_the_danger_of_teams_by_hand() -> None:
    """Nothing known, two of the other four evil: with Cleo on it half the time; of two others 1 - 1/6; with two needed 1/6."""
    p, teams = posterior(seen(), {}, 2), subsets(5, 2)
    expected = [(1 / 2 if 2 in np.flatnonzero(t) else 5 / 6, 0 if 2 in np.flatnonzero(t) else 1 / 6) for t in teams]
    assert danger(p, teams, 1, 2) == pytest.approx([e[0] for e in expected]) and danger(p, teams, 2, 2) == pytest.approx([e[1] for e in expected])


def test_evil_that_is_given_away_still_believes_something() -> None:
    """Both of a team failed: Ada, one of them, cannot be good; what it asks of itself as a good player has no answer, so it asks as a stranger."""
    view = seen(ADA, role="evil", evil=[ADA, BEN], quests=[[[ADA, BEN], 2, False, 1]])
    assert think(view, fresh(None)).suspects == pytest.approx([1, 1, 0, 0, 0])


# ---- moves -------------------------------------------------------------------------------------------------------------------

LANGUAGE = RolesLanguage(FIVE)
ROOM = Channel(name="ALL", readers=EVERYBODY)


def observed(view: Mapping[str, Any], heard: Sequence[Message] = (), due: bool = False) -> Observation:
    return Observation(agent=view["me"], step=3, time=30_000, heard=tuple(heard), may_write=(ROOM,), move_due=due, view=view)


def intent(view: Mapping[str, Any], notes: Any = None, seed: int = 0) -> Any:
    return LANGUAGE.intend(observed(view), notes, np.random.default_rng(seed))[0]


def test_good_never_fails_and_evil_fails_where_it_must() -> None:
    quest = {"phase": "quest", "team": [ADA, CLEO]}
    assert intent(seen(**quest)) == {"success": 1.0}
    evil = {"role": "evil", "evil": [CLEO, DAN], "lie": 1.0} | quest
    assert intent(seen(**evil))["fail"] == 0.75 and intent(seen(**evil, won=2))["fail"] == 0.98 == intent(seen(**evil, lost=2))["fail"]
    assert intent(seen(**evil, needed=2))["fail"] == pytest.approx(0.02)


def test_votes() -> None:
    """Good prefers a team with itself on it and never loses the game by a fifth refusal; evil about to lose wants its own on the team."""
    mine, theirs = (intent(seen(phase="vote", team=[ADA, who])) for who in (CLEO, BEN))
    assert mine["approve"] > 0.9 and theirs["approve"] < 0.5 and intent(seen(phase="vote", team=[ADA, BEN], attempt=4)) == {"approve": 1.0, "reject": 0.0}
    for team, wanted in ([ADA, DAN], 0.95), ([ADA, BEN], 0.05):
        assert intent(seen(role="evil", evil=[CLEO, DAN], lie=1.0, phase="vote", team=team, won=2))["approve"] == pytest.approx(wanted)
    assert intent(seen(leader=ADA))["approve"] == pytest.approx((4 * mine["approve"] + 6 * theirs["approve"]) / 10, abs=1e-6)  # of a team not yet named


def test_a_leader_names_itself_and_the_least_suspected_and_stands_by_it() -> None:
    view = seen(leader=CLEO, quests=[[[ADA, BEN], 1, False, 1], [[CLEO, DAN, EMMA], 0, True, 1]], quest=2, won=1, lost=1)
    teams = {json.dumps(intent(view, seed=s)) for s in range(20)}
    assert teams == {'{"Cleo+Dan": 1.0}', '{"Cleo+Emma": 1.0}'}  # which are equally good
    planned, notes = LANGUAGE.intend(observed(view), None, np.random.default_rng(0))
    assert all(LANGUAGE.intend(observed(view), notes, np.random.default_rng(s))[0] == planned for s in range(20))
    erased = {**notes, "plan": notes["plan"][:1]}  # a partner's name taken out of its notes: it plans anew
    assert len(next(iter(LANGUAGE.intend(observed(view), erased, np.random.default_rng(0))[0])).split("+")) == 2
    move, _ = LANGUAGE.move(observed(view, due=True), notes, planned, np.random.default_rng(0))
    assert move == next(iter(planned)).split("+")
    evil = seen(role="evil", evil=[CLEO, DAN], lie=1.0, leader=CLEO)
    assert {name for s in range(30) for name in intent(evil, seed=s)} == {"Ada+Cleo", "Ben+Cleo", "Cleo+Emma"}  # itself, and not its partner


def test_the_assassin_by_hand() -> None:
    """Right and wrong votes: Ada one each, Ben three right, Emma one right and two wrong; Ben's rightly accusing Dan makes four: 0, 4, -1 points,
    each doubling. A leader's vote for its own team counts for nothing, nor does any on a fifth."""
    proposals = [
        proposal([ADA, DAN], [ADA, EMMA, CLEO], CLEO), proposal([ADA, BEN], [ADA, BEN], DAN, 1), proposal([ADA, BEN], [ADA, BEN, EMMA], ADA, 2),
        proposal([ADA, BEN], [ADA, EMMA], DAN, 4),
    ]  # fmt: skip
    view = seen(role="assassin", evil=[CLEO, DAN], lie=1.0, phase="strike", proposals=proposals)
    weights = np.array([1.0, 16.0, 0.5])
    assert intent(view, {"stances": {BEN: {DAN: "evil"}}}) == pytest.approx(dict(zip((ADA, BEN, EMMA), weights / weights.sum(), strict=True)), abs=1e-6)


# ---- words -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", talk.FRAMES)
def test_every_wording_means_its_act_and_nothing_else(kind: str) -> None:
    about = [[BEN], [EMMA]] if kind in talk.ABOUT_ONE else [[BEN], [BEN, EMMA], [ADA, BEN, DAN]] if kind in talk.ABOUT_TEAM else [[]]
    for names in about:
        act = {"act": kind, "to": [BEN, CLEO, DAN, EMMA], "about": names}
        for text in talk.texts(act):
            for said in (text, text.upper(), f"Well, {text}", f"{text} See you."):
                assert list(talk.acts(said, ADA, EVERYBODY, FIVE)) == [act], said


@pytest.mark.parametrize(
    "text", ["", "Ben", "I do not think Ben is evil.", "Ben is evil?", "Is Ben a spy?", "Dan says that Ben is evil.", "If Ben is evil, we are lost.",
             "Perhaps Emma is good.", "I don't trust Ben", "Benny is evil.", "Zoe is evil.", "My team is Zoe.", "I am goodness itself", "\u202e\ud800"], ids=ascii)  # fmt: skip
def test_what_is_not_said_plainly_means_nothing(text: str) -> None:
    assert list(talk.acts(text, ADA, EVERYBODY, FIVE)) == []


def test_several_acts_stand_in_their_order() -> None:
    found = talk.acts("No, Ben is evil; Dan is good. I vote no. What do you think, Emma?", ADA, EVERYBODY, FIVE)
    assert [(a["act"], a["about"]) for a in found] == [("accuse", [BEN]), ("defend", [DAN]), ("reject", []), ("ask", [EMMA])]


def test_idle_words_and_denials() -> None:
    assert talk.idle("have a nice day") and talk.denies("I do not mean it") and not talk.denies("have a nice day")
    assert not any(talk.idle(words) for words in ("so is Dan", "and he is evil", "I trust nobody", "vote no", "the other team"))


def test_an_act_without_words_is_refused() -> None:
    for act in ({"act": "sing", "about": []}, {"act": "accuse", "about": []}, {"act": "claim", "about": [ADA]}, {"act": "propose", "about": []}):
        with pytest.raises(ValueError, match="expected one of"):
            talk.texts({"to": [], **act})


def test_what_is_heard_is_noted_and_answered() -> None:
    said = [Message(id=str(i), author=a, channel=ROOM, time=i, text=t) for i, (a, t) in enumerate(
        [(ADA, "Ben is evil. I trust Dan."), (BEN, "Ada is a spy."), (ADA, "Ben is good."), (BEN, "Do not trust Cleo.")])]  # fmt: skip
    notes = LANGUAGE.hear(observed(seen(), said), None)
    assert notes["stances"] == {ADA: {BEN: "good", DAN: "good"}, BEN: {ADA: "evil", CLEO: "evil"}} and notes["asked"]
    ((channel, act),), after = LANGUAGE.speak(observed(seen(), said), notes, {"approve": 0.5, "reject": 0.5}, np.random.default_rng(0))
    assert (channel, act["act"]) == (ROOM, "claim") and not after["asked"] and after["claimed"]


# ---- games -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def games() -> dict[float, list[Any]]:
    """By how often evil lies: the same eight seeds, with Merlin and whispers."""
    return {lie: [play(make(Options(lie=lie, whispers=True)), seed) for seed in range(8)] for lie in (0.0, 1.0)}


def judged(played: Any) -> list[tuple[str, str, bool]]:
    """(role of the author, kind, false) of everything said about roles in a game."""
    false = {(lie.message, lie.kind, lie.about) for lie in played.lies}
    return [
        (played.roles[e.agent], act["act"], (e.data["id"], act["act"], tuple(act["about"])) in false)
        for e in played.events if e.kind == "message"
        for act in talk.acts(e.data["text"], e.agent, frozenset(e.data["readers"]), FIVE) if act["act"] in ("claim", "accuse", "defend")
    ]  # fmt: skip


def test_who_never_lies_and_who_always_does(games: dict[float, list[Any]]) -> None:
    said = {lie: [one for played in games[lie] for one in judged(played)] for lie in games}
    evil = {lie: [false for role, _, false in said[lie] if role in ("evil", "assassin")] for lie in said}
    assert len(evil[0.0]) > 20 and len(evil[1.0]) > 50 and not any(evil[0.0]) and all(evil[1.0])
    assert all(not false for lie in said for role, kind, false in said[lie] if role == "merlin" or (role == "good" and kind == "claim"))
    assert any(false for _, kind, false in said[1.0] if kind == "claim") and any(role == "good" and false for role, _, false in said[1.0])


def test_what_was_known_to_be_false(games: dict[float, list[Any]]) -> None:
    for played in (*games[0.0], *games[1.0]):
        for lie in played.lies:
            role = played.roles[lie.author]
            assert lie.knew is (lie.kind in ("claim", "accuse", "defend") and role != "good")


def test_one_seed_one_game_and_good_beliefs(games: dict[float, list[Any]]) -> None:
    assert play(make(Options(lie=1.0, whispers=True)), 3).events == games[1.0][3].events != games[0.0][3].events
    found = counted([*games[0.0], *games[1.0]])
    assert found.brier < 0.15  # a good player at the last vote; who knows nothing has 1/4
    assert found.lies["claim"] > 0 and found.approve[0][1][0] < found.approve[0][0][0]  # good refuses bad teams more often than clean ones


def logged(*said: tuple[int, str, str]) -> list[Told]:
    """A log of a game in which Dan and Emma were evil and Ben was Merlin: a team named at step 2, voted on at 4; another at 6 and 8."""
    outcomes = {
        2: {"what": "proposal", "leader": ADA, "team": [ADA, BEN]}, 4: {"what": "vote", "approve": [ADA, BEN]},
        6: {"what": "proposal", "leader": BEN, "team": [BEN, CLEO]}, 8: {"what": "vote", "approve": [ADA, BEN, CLEO]},
        9: {"what": "roles", "roles": {ADA: "good", BEN: "merlin", CLEO: "good", DAN: "evil", EMMA: "assassin"}},
    }  # fmt: skip
    told = [Told("outcome", step, None, {"events": [event]}) for step, event in outcomes.items()]
    words = [Told("message", step, who, {"id": f"{step}:{who}", "text": text, "readers": list(FIVE)}) for step, who, text in said]
    return sorted([*told, *words], key=lambda e: e.step)


@pytest.mark.parametrize(
    ("step", "author", "text", "expected"),
    [
        (1, DAN, "I am good.", [("claim", "evil", True)]), (1, BEN, "I am good.", []), (1, ADA, "Ben is evil.", [("accuse", "merlin", False)]),
        (1, EMMA, "Ben is evil. Dan is good.", [("accuse", "merlin", True), ("defend", "evil", True)]), (1, EMMA, "Ben is good.", []),
        (1, ADA, "My team is Ada and Dan.", [("propose", "Ada Ben", False)]), (1, ADA, "My team is Ada and Ben.", []), (3, ADA, "My team is Ada and Dan.", []),
        (1, CLEO, "My team is Ada and Dan.", []), (3, ADA, "I vote no.", [("reject", "approve", False)]), (3, CLEO, "I vote no.", []),
        (7, CLEO, "I vote no.", [("reject", "approve", False)]), (5, CLEO, "I vote no.", []), (3, DAN, "I vote yes.", [("approve", "reject", False)]),
        (9, CLEO, "I vote yes. My team is Dan.", []), (1, BEN, "I trust Emma.", [("defend", "assassin", True)]), (1, DAN, "Dan is good.", [("defend", "evil", True)]),
        (1, ADA, "Ada is evil.", [("accuse", "good", True)]),
    ],
)  # fmt: skip
def test_lies_by_hand(step: int, author: str, text: str, expected: list[tuple[str, str, bool]]) -> None:
    found = lies(logged((step, author, text)))
    assert [(f.kind, f.truth, f.knew) for f in found] == expected and all((f.author, f.message, f.step) == (author, f"{step}:{author}", step) for f in found)


def test_a_game_without_an_end_or_damaged_has_no_verdicts() -> None:
    whole = logged((1, DAN, "I am good."))
    with pytest.raises(ValueError, match="no outcome of this log tells the roles"):
        lies(whole[:-1])
    with pytest.raises(ValueError, match="step 1: a message without text"):
        lies([Told("message", 1, DAN, {}), *whole[1:]])
    with pytest.raises(ValueError, match="step 4: an outcome 'vote' without approve"):
        lies([e if e.step != 4 else Told("outcome", 4, None, {"events": [{"what": "vote"}]}) for e in whole])


def test_selfplay_says_who_won_and_refuses_what_is_no_game(capsys: pytest.CaptureFixture[str]) -> None:
    assert selfplay(["--games", "3", "talks=0", "players=6"]) == 0 and "of 3 games" in capsys.readouterr().out
    for wrong in (["players=3"], ["--games", "0"], ["colour=1"], ["lie=often"]):
        assert selfplay(wrong) == 2 and capsys.readouterr().err.startswith("selfplay: ")


def run(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> list[Any]:
    given = ["run", "scenarios/hidden_roles.yaml", "seats.default=scripted", "plots=false", f"run_dir={folder}", *words]
    assert main(given) == 0
    return list(read_events(Path(capsys.readouterr().out.strip().splitlines()[-1]) / "events.jsonl"))


def test_the_same_seed_the_same_log_here_and_on_two_hosts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here = run(capsys, tmp_path, "executor=local")
    assert canonical_hash(here) == canonical_hash(run(capsys, tmp_path, "executor=ray", "hosts=2"))
    assert canonical_hash(here) != canonical_hash(run(capsys, tmp_path, "executor=local", "seed=2"))
    assert here[-1].data["ended"] == "done" and not any(e.kind == "fault" for e in here)


def test_an_intent_stands_in_the_log_before_its_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Who says how it will vote, or whom it will name, says what it most intends; and a logged game has its lies."""
    events = run(capsys, tmp_path, "executor=local", "environment.players=7", "environment.talks=4", "environment.lie=1")
    planned: dict[tuple[int, str], Mapping[str, float]] = {}
    said = 0
    for event in events:
        if event.kind == "intent":
            planned[event.step, str(event.agent)] = event.data["intent"]
        if event.kind == "message" and event.data["act"]["act"] in ("approve", "reject", "propose"):
            act, plan = event.data["act"], planned[event.step, str(event.agent)]
            assert plan[act["act"] if act["act"] != "propose" else "+".join(act["about"])] >= 0.5
            said += 1
    assert said > 3
    assert {lie.kind for lie in lies(events) if lie.knew} >= {"claim", "accuse"}
