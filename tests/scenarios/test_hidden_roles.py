"""Hidden roles, the rules: the printed tables, who wins when, what nobody may see, exact odds of games played by coin."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest

from scenarios.hidden_roles import rules
from scenarios.hidden_roles.environment import HiddenRoles, Options, State, make
from scenarios.hidden_roles.rules import RolesGame, deal, play, propose, strike, vote
from scenarios.hidden_roles.talk import NAMES

# As printed: players, evil players, how many go on quests 1 to 5 ("*": two fails needed).
PRINTED = """
 5  2  2 3 2 3 3
 6  2  2 3 4 3 4
 7  3  2 3 3 4* 4
 8  3  3 4 4 5* 5
 9  3  3 4 4 5* 5
10  4  3 4 4 5* 5
"""
ADA, BEN, CLEO, DAN, EMMA = NAMES[:5]


def game(evil: tuple[str, ...] = (DAN, EMMA), players: int = 5, first: int = 0, **more: Any) -> RolesGame:
    return RolesGame(NAMES[:players], evil, first, **more)


def sent(at: RolesGame, *team: str, failing: tuple[str, ...] = ()) -> RolesGame:
    """This team proposed, approved by all, and back from its quest."""
    return play(vote(propose(at, team), at.players), failing)


def test_the_printed_tables() -> None:
    rows = [line.split() for line in PRINTED.strip().splitlines()]
    for players, evil, *sizes in rows:
        n = int(players)
        assert rules.EVIL[n] == int(evil) and rules.SIZES[n] == tuple(int(s[0]) for s in sizes)
        assert [rules.fails_needed(n, q) for q in range(5)] == [1 + s.endswith("*") for s in sizes]
        assert 2 * int(evil) < n
    assert set(rules.EVIL) == set(rules.SIZES) == {int(row[0]) for row in rows}


def test_half_the_votes_refuse_and_the_lead_goes_round() -> None:
    start = propose(game((EMMA, "Finn"), 6, first=5), [BEN, ADA])
    assert start.leader == "Finn" and start.team == (ADA, BEN) and start.phase == "vote" and start.acting == start.players
    refused, approved = vote(start, [ADA, BEN, CLEO]), vote(start, [ADA, BEN, CLEO, DAN])
    assert (refused.phase, refused.leader, refused.attempt, refused.quest) == ("propose", ADA, 1, 0)
    assert (approved.phase, approved.acting, approved.attempt) == ("quest", (ADA, BEN), 0)


def test_five_refusals_in_a_row_are_evils_and_a_quest_begins_anew() -> None:
    at = sent(vote(propose(game(), [ADA, BEN]), []), ADA, BEN)
    assert at.attempt == 0 and at.quest == 1 and at.won == 1
    for n in range(5):
        assert at.ended is None and at.attempt == n
        at = vote(propose(at, [ADA, BEN, CLEO]), [ADA, BEN])
    assert at.ended == ("evil", "five teams were refused") and at.phase == "over" and at.acting == ()


def test_three_quests_decide() -> None:
    good = sent(sent(sent(game(), ADA, BEN), ADA, BEN, CLEO), ADA, BEN)
    evil = sent(sent(sent(game(), ADA, DAN, failing=(DAN,)), ADA, BEN, EMMA, failing=(EMMA,)), DAN, EMMA, failing=(DAN, EMMA))
    assert good.ended == ("good", "three quests succeeded") and evil.ended == ("evil", "three quests failed") and evil.quests[2].fails == 2
    assert sent(sent(game(), ADA, BEN), ADA, DAN, EMMA, failing=(DAN,)).ended is None


def test_the_fourth_quest_of_seven_takes_two_fails() -> None:
    at = game((EMMA, "Finn", "Gwen"), 7)
    at = sent(sent(sent(at, ADA, BEN), ADA, BEN, EMMA, failing=(EMMA,)), ADA, BEN, CLEO)
    assert at.needed == 2
    one, two = (sent(at, ADA, BEN, EMMA, "Finn", failing=who) for who in ((EMMA,), (EMMA, "Finn")))
    assert one.quests[-1].success and one.quests[-1].fails == 1 and not two.quests[-1].success
    assert one.ended == ("good", "three quests succeeded") and two.ended is None and two.needed == 1


def test_the_assassin_has_one_guess() -> None:
    at = sent(sent(sent(game(merlin=BEN, assassin=DAN), ADA, BEN), ADA, BEN, CLEO), ADA, BEN)
    assert at.ended is None and at.phase == "strike" and at.acting == (DAN,)
    assert strike(at, BEN).ended == ("evil", "Merlin was found") and strike(at, ADA).ended == ("good", "three quests succeeded")


@pytest.mark.parametrize("players", rules.EVIL)
def test_a_good_team_that_knows_always_wins(players: int) -> None:
    """Evil never has a majority, and never leads five times running; so good, knowing all, sends only itself, three times of three."""
    for seats in itertools.combinations(range(players), rules.EVIL[players]):
        evil = tuple(NAMES[i] for i in seats)
        good = tuple(a for a in NAMES[:players] if a not in evil)
        for first in range(players):
            at = game(evil, players, first)
            while at.phase != "over":
                at = propose(at, (evil + good if at.leader in evil else good)[: at.size])
                at = vote(at, evil if set(at.team or ()) & set(evil) else good)
                if at.phase == "quest":
                    at = play(at, evil)
            assert at.ended == ("good", "three quests succeeded") and at.lost == 0


def chance_of_evil(players: int, quest: int = 0, won: int = 0, lost: int = 0) -> Fraction:
    """That evil wins where every team is drawn, every vote tossed, and each evil player on a quest tosses whether it fails."""
    if 3 in (won, lost):
        return Fraction(lost == 3)
    evil, size, half = rules.EVIL[players], rules.SIZES[players][quest], Fraction(1, 2)
    refused = sum(comb(players, k) for k in range(players // 2 + 1)) * half**players
    fails = sum(
        Fraction(comb(evil, k) * comb(players - evil, size - k), comb(players, size)) * sum(comb(k, f) for f in range(rules.fails_needed(players, quest), k + 1)) * half**k
        for k in range(size + 1)
    )  # fmt: skip
    after = fails * chance_of_evil(players, quest + 1, won, lost + 1) + (1 - fails) * chance_of_evil(players, quest + 1, won + 1, lost)
    return refused**5 + (1 - refused**5) * after


def tossed(world: HiddenRoles, rng: np.random.Generator) -> tuple[State, Mapping[str, float]]:
    """(the last state, rewards) of a game in which all is drawn."""
    state = world.start(rng)
    while True:
        now = state.game
        moves: dict[str, Any] = {}
        for agent in now.acting:
            fail = agent in now.evil and rng.random() < 0.5
            team = [str(a) for a in rng.permutation(now.players)[: now.size]]
            moves[agent] = {"propose": team, "vote": ("approve", "reject")[int(rng.integers(2))], "quest": "fail" if fail else "success"}[now.phase]
        outcome = world.step(state, moves, rng)
        assert not any(event["what"] == "replaced" for event in outcome.events)
        state = outcome.state
        if outcome.done:
            return state, outcome.rewards


def test_the_exact_chance_by_hand() -> None:
    """Five players, two fails from the end: evil on the last quest is 0, 1, 2 of three with 1, 6, 3 of 10; then (6 / 2 + 3 * 3 / 4) / 10, or hung."""
    assert chance_of_evil(5, 4, 2, 2) == Fraction(1, 32) + Fraction(31, 32) * Fraction(21, 40)


@pytest.mark.parametrize("players", [5, 6, 7, 10])
def test_games_by_coin_are_won_as_often_as_computed(players: int) -> None:
    games, rng = 400, np.random.default_rng(players)
    world = make(Options(players=players, talks=0, merlin=False))
    won = 0
    for _ in range(games):
        last, rewards = tossed(world, rng)
        side = last.game.ended[0]  # type: ignore[index]  # it has ended
        assert rewards == {a: float((a in last.game.evil) == (side == "evil")) for a in world.agents}
        won += side == "evil"
    p = float(chance_of_evil(players))
    assert abs(won / games - p) < 3.5 * (p * (1 - p) / games) ** 0.5


# ---- what may be known -------------------------------------------------------------------------------------------------------


def may_be(agent: str, true: RolesGame, other: RolesGame) -> bool:
    """Whether the agent, knowing what its role tells it, must hold the other deal for as possible as the true one."""
    role = true.role(agent)
    return other.role(agent) == role and (role == "good" or set(other.evil) == set(true.evil))


@pytest.mark.parametrize("merlin", [False, True])
@pytest.mark.parametrize("players", [5, 7])
def test_nobody_sees_who_it_may_not_know(players: int, merlin: bool) -> None:
    """Every other deal that an agent cannot exclude, put in place of the true one, leaves its view the same to the bit; every other does not."""
    world, rng = make(Options(players=players, merlin=merlin, talks=1)), np.random.default_rng(1)
    deals = [
        (evil, m, a) for evil in itertools.combinations(NAMES[:players], rules.EVIL[players])
        for m, a in (itertools.product([g for g in NAMES[:players] if g not in evil], evil) if merlin else [(None, None)])
    ]  # fmt: skip
    state, phases, same = world.start(rng), set(), 0
    done = False
    while not done:
        now = state.game
        phases.add(now.phase)
        for i in rng.permutation(len(deals))[:60]:
            evil, m, a = deals[int(i)]
            other = dataclasses.replace(now, evil=evil, merlin=m, assassin=a)
            for agent in world.agents:
                seen, then = (json.dumps(world.observe(dataclasses.replace(state, game=g), agent)) for g in (now, other))
                assert (seen == then) is may_be(agent, now, other)
                same += seen == then
        moves: dict[str, Any] = dict.fromkeys(world.agents, {"vote": "approve", "quest": "success"}.get(now.phase, ADA))
        outcome = world.step(state, moves, rng)
        state, done = outcome.state, outcome.done
    assert same > 100 and phases == {"propose", "vote", "quest"} | ({"strike"} if merlin else set())


def test_roles_are_told_in_the_last_outcome_and_in_none_before() -> None:
    world, rng = make(Options(talks=1)), np.random.default_rng(2)
    state, told = world.start(rng), []
    while not told or not told[-1].done:
        told.append(world.step(state, dict.fromkeys(world.agents, "approve"), rng))
        state = told[-1].state
    roles = {a: state.game.role(a) for a in world.agents}
    assert [e["roles"] for o in told for e in o.events if e["what"] == "roles"] == [roles] and told[-1].events[-1]["what"] == "roles"
    assert sorted(roles.values()) == ["assassin", "evil", "good", "good", "merlin"]
    assert not any(word in json.dumps(o.events) for o in told[:-1] for word in ("merlin", "assassin", "evil"))


# ---- moves -------------------------------------------------------------------------------------------------------------------

FIXED = {ADA: "evil", BEN: "good", CLEO: "merlin", DAN: "assassin", EMMA: "good"}


def fixed(**more: Any) -> tuple[HiddenRoles, State]:
    world = make(Options(roles=FIXED, talks=0, **more))
    state = world.start(np.random.default_rng(0))
    return world, dataclasses.replace(state, game=dataclasses.replace(state.game, first=4))


def stepped(world: HiddenRoles, state: State, moves: Mapping[str, Any]) -> tuple[State, list[Mapping[str, Any]]]:
    outcome = world.step(state, moves, np.random.default_rng(0))
    return outcome.state, list(outcome.events)


@pytest.mark.parametrize("move", [None, 3, "Ada", [], [ADA], [ADA, ADA], [ADA, "Eve"], [ADA, BEN, CLEO], [ADA, 1], {"Ada": 1}, "\ud800"], ids=ascii)
def test_what_is_no_team_is_replaced_by_the_leader_and_the_next(move: Any) -> None:
    world, state = fixed()
    after, events = stepped(world, state, {EMMA: move})
    assert after.game.team == (ADA, EMMA) and [e["what"] for e in events] == ["replaced", "proposal"] and events[0]["by"] == [ADA, EMMA]


def test_good_can_only_succeed_and_silence_refuses() -> None:
    world, state = fixed()
    state, events = stepped(world, state, {EMMA: [BEN, ADA]})
    assert [e["what"] for e in events] == ["proposal"]
    hung, events = stepped(world, state, {ADA: "approve", BEN: "approve", CLEO: "yes", DAN: None})
    assert [e["agent"] for e in events if e["what"] == "replaced"] == [CLEO, DAN, EMMA] and hung.game.attempt == 1
    state, events = stepped(world, state, dict.fromkeys(world.agents, "approve"))
    assert events == [{"what": "vote", "quest": 0, "attempt": 0, "leader": EMMA, "team": [ADA, BEN], "approve": list(world.agents), "approved": True, "needed": 1}]
    assert world.window(state).agents == (ADA, BEN)
    state, events = stepped(world, state, {ADA: "success", BEN: "fail", CLEO: "fail"})
    assert [e["what"] for e in events] == ["replaced", "quest"] and events[0]["agent"] == BEN and events[1]["fails"] == 0
    state, _ = stepped(world, state, {ADA: [ADA, BEN, CLEO]})
    state, _ = stepped(world, state, dict.fromkeys(world.agents, "approve"))
    _, events = stepped(world, state, {ADA: "fail", BEN: "success", CLEO: "success"})
    assert events == [{"what": "quest", "quest": 1, "team": [ADA, BEN, CLEO], "fails": 1, "success": False}]


@pytest.mark.parametrize(("move", "target"), [(CLEO, CLEO), (EMMA, EMMA), (DAN, BEN), ("Zoe", BEN), (None, BEN), ([CLEO], BEN)], ids=ascii)
def test_the_assassin_cannot_name_its_own(move: Any, target: str) -> None:
    world, state = fixed()
    for team in ([BEN, EMMA], [BEN, CLEO, EMMA], [BEN, CLEO]):
        for moves in ({state.game.leader: team}, dict.fromkeys(world.agents, "approve"), dict.fromkeys(world.agents, "success")):
            state, _ = stepped(world, state, moves)
    assert world.window(state).agents == (DAN,) and world.window(state).move_due
    after, events = stepped(world, state, {DAN: move})
    assert after.game.struck == target and (events[0]["what"] == "replaced") is (move != target)
    assert events[-1]["winner"] == ("evil" if target == CLEO else "good")


# ---- the deal and the options ------------------------------------------------------------------------------------------------


def test_every_deal_is_as_likely_as_another() -> None:
    """2,000 deals of five: each of the ten pairs is evil about 200 times (six standard deviations: 80), and fixed roles stay."""
    rng = np.random.default_rng(3)
    drawn = [deal(NAMES[:5], True, {}, rng) for _ in range(2000)]
    for pair in itertools.combinations(NAMES[:5], 2):
        assert abs(sum(d.evil == pair for d in drawn) - 200) < 80
    assert {(d.merlin, d.assassin) for d in drawn if d.evil == (ADA, BEN)} == set(itertools.product((CLEO, DAN, EMMA), (ADA, BEN)))
    assert {d.first for d in drawn} == set(range(5))
    half = [deal(NAMES[:5], True, {BEN: "merlin", EMMA: "evil"}, rng) for _ in range(50)]
    assert all(d.merlin == BEN and d.role(EMMA) == "evil" for d in half) and {d.assassin for d in half} == {ADA, CLEO, DAN}


@pytest.mark.parametrize(
    "wrong", [{"players": 4}, {"players": 11}, {"talks": -1}, {"lie": 1.5}, {"lie": float("nan")}, {"window_ms": 3}, {"roles": {"Zoe": "evil"}},
              {"roles": {ADA: "jester"}}, {"roles": {ADA: "evil", BEN: "evil"}}, {"roles": {ADA: "merlin"}, "merlin": False}], ids=str)  # fmt: skip
def test_a_game_that_cannot_be_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        make(Options(**wrong))
    assert "\n" not in str(error.value) and str(error.value).startswith(next(iter(wrong)))


def test_rooms() -> None:
    assert [c.name for c in make(Options()).channels] == ["ALL"]
    pairs = make(Options(whispers=True)).channels
    assert len(pairs) == 11 and all(len(c.readers) == 2 for c in pairs[1:]) and pairs[0].readers == set(NAMES[:5])
    assert make(Options(talks=0)).window(State(game())).move_due
