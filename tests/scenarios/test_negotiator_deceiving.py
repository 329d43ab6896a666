"""Lies: told only where they pay, at the seat's price, and visible in the log as a promise that the intent does not hold."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from agents.types import Channel, Message, Observation
from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board, board_to_json, initial_board
from scenarios.diplomacy.commitments import BINDING, binds, chance, kept
from scenarios.diplomacy.deceiving import gain, price
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.evaluation import Stance
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.negotiator import DiplomacyLanguage
from scenarios.diplomacy.selfplay import play
from scenarios.playing import stream

LANGUAGE = DiplomacyLanguage()
PAIR = Channel(name="FRANCE-GERMANY", readers=frozenset({"FRANCE", "GERMANY"}))
SUPPORT = press.about_order("GERMANY", "A MUN S A PAR - PIC")


def seen(honesty: float, *heard: str, board: Board | None = None) -> Observation:
    """Germany's moment, having heard this from France."""
    said = tuple(Message(id=text, author="FRANCE", channel=PAIR, time=0, text=text) for text in heard)
    view = {"power": "GERMANY", "round": 0, "rounds": 2, "honesty": honesty, "board": board_to_json(board or initial_board()), "recent": []}
    return Observation(agent="GERMANY", step=1, time=0, heard=said, may_write=(PAIR,), view=view)


def answer(honesty: float, text: str, board: Board | None = None):
    """(the act said first, the intent on record before it, notes) when Germany hears this."""
    observation = seen(honesty, text, board=board)
    plans, notes = LANGUAGE.intend(observation, LANGUAGE.hear(observation, None), stream("answer"))
    said, notes = LANGUAGE.speak(observation, notes, plans, stream("answer"))
    return said[0][1], plans, notes


def test_the_price_of_a_lie_is_nothing_at_honesty_0_and_infinite_at_1():
    assert (price(0.0), price(0.5), price(1.0)) == (0.0, 2.0, math.inf)
    assert price(0.2) < price(0.6) < price(0.9)


def duel() -> Board:
    """Autumn 1902: Germany's one army stands beside Paris, which France's army guards; the rest of France is out of its reach."""
    centers = {**initial_board().centers, "GERMANY": ("BEL", "BER", "BRE", "DEN", "HOL", "KIE", "MUN"), "FRANCE": ("MAR", "PAR")}
    return Board(year=1902, season="F", phase="M", centers=centers, units={"FRANCE": ("A MAR", "A PAR"), "GERMANY": ("A PIC",)})


ASKED = "Can you support my army in Paris to Burgundy with your army in Picardy?"
LEAVES = press.about_order("GERMANY", "A PIC S A PAR - BUR")


def test_being_believed_pays_where_the_other_then_leaves_what_one_wants():
    assert gain(duel(), "GERMANY", "FRANCE", LEAVES, Stance()) > 2.0
    nothing = press.about_order("GERMANY", "A PIC - BEL")  # nobody acts on hearing this, so nobody gains by lying about it
    assert gain(duel(), "GERMANY", "FRANCE", nothing, Stance()) <= 0.0


def test_the_same_request_gets_a_true_yes_from_the_honest_and_a_false_one_from_the_liar():
    for honesty, meant in ((1.0, True), (0.5, False), (0.0, False)):
        said, plans, notes = answer(honesty, ASKED, duel())
        assert said == press.act("accept", ["FRANCE"], LEAVES)
        (deal,) = notes["agreed"]
        assert deal.get("meant", True) is meant
        assert chance(LEAVES, plans) > 0.9 if meant else chance(LEAVES, plans) < 0.1  # on record before the words were chosen


def test_nobody_lies_to_an_ally():
    allied = {"by": "FRANCE", "with": "GERMANY", "about": press.about_alliance(["FRANCE", "GERMANY"]), "since": "S1902M", "firm": True}
    observation = seen(0.0, ASKED, board=duel())
    heard = LANGUAGE.hear(observation, {"phase": "F1902M", "agreed": [allied]})
    _, notes = LANGUAGE.intend(observation, heard, stream("ally"))
    assert all(deal.get("meant", True) for deal in notes["agreed"])


def test_what_a_commitment_asks_of_an_intent_is_computed_as_by_hand():
    plans = {"A MUN": {"A MUN - BUR": 0.5, "A MUN H": 0.3, "A MUN S A PAR - PIC": 0.2}, "F KIE": {"F KIE - DEN": 0.75, "F KIE H": 0.25}}
    assert chance(SUPPORT, plans) == pytest.approx(0.2)
    assert chance(press.about_dmz(["GERMANY"], ["BUR"]), plans) == pytest.approx(0.5)
    assert chance(press.about_dmz(["GERMANY"], ["BUR", "DEN"]), plans) == pytest.approx(0.5 * 0.25)
    assert chance(press.about_order("GERMANY", "? ? - BUR"), plans) == pytest.approx(0.5)
    assert chance(press.about_alliance(["FRANCE", "GERMANY"]), plans) is None
    assert kept(SUPPORT, ["A MUN S A PAR - PIC"]) and not kept(SUPPORT, ["A MUN H"]) and kept(SUPPORT, []) is None
    assert not kept(press.about_dmz(["GERMANY"], ["BUR"]), ["A MUN - BUR"])


def promises_of(honesty: float, seeds: range) -> Counter:
    """(liar's seat or another, intended or not, kept or not) → number of binding words, over games with one such Germany."""
    world, found = make(Options(last_year=1902, honesty={"default": 1.0, "GERMANY": honesty})), Counter()
    for seed in seeds:
        given = []
        for step in play(world, seed):
            for agent, action in step.actions.items():
                for act in (w["act"] for w in action.wording):
                    if act["act"] in BINDING and binds(act["about"], agent):
                        given.append((agent, act["about"], chance(act["about"], action.intent) >= 0.5))
            for event in step.outcome.events:
                if event["what"] == "adjudication" and event["phase"].endswith("M"):
                    found.update((a == "GERMANY", meant, kept(about, event["orders"].get(a, ()))) for a, about, meant in given)
                    given = []
    return found


def test_in_whole_games_the_honest_mean_and_keep_what_they_promise_and_the_liar_does_not():
    found = promises_of(0.0, range(4))
    others = {key: n for key, n in found.items() if not key[0]}
    assert sum(others.values()) >= 20 and others.get((False, False, False), 0) + others.get((False, False, True), 0) == 0
    assert others[False, True, True] >= 0.95 * sum(others.values())
    assert found[True, False, False] >= 3  # insincere and broken: lies


def test_trust_follows_a_lie_that_came_out():
    """France was promised that nobody enters Burgundy; Germany did."""
    france = Observation(
        agent="FRANCE", step=1, time=0, may_write=(PAIR,), view={"round": 0, "rounds": 2, "board": board_to_json(initial_board()), "recent": []},
        heard=(Message(id="m", author="GERMANY", channel=PAIR, time=0, text="I promise to stay out of Burgundy."),),
    )  # fmt: skip
    notes = LANGUAGE.hear(france, None)
    start = initial_board()
    board = Board(year=1901, season="F", phase="M", units=start.units, centers=start.centers)
    record = {"phase": "S1901M", "orders": {"GERMANY": ["A MUN - BUR"]}, "results": {}}
    view = {"round": 0, "rounds": 2, "board": board_to_json(board), "recent": [record]}
    after = LANGUAGE.hear(Observation(agent="FRANCE", step=2, time=1, may_write=(PAIR,), view=view), notes)
    assert after["trust"]["GERMANY"] < 0.3 and all(after["trust"][p] == 0.5 for p in POWERS if p not in ("FRANCE", "GERMANY"))


# ---- the learned head ----------------------------------------------------------------------------------------------------


def test_a_head_adds_points_to_orders_and_acts_and_none_leaves_them_alone():
    observation = seen(0.8)
    plans, notes = LANGUAGE.intend(observation, None, np.random.default_rng(1))
    same, same_notes = LANGUAGE.intend(observation, None, np.random.default_rng(1), lambda kind, options: [0.0] * len(options))
    assert (same, same_notes) == (plans, notes)
    liked = "A MUN - SIL"

    def head(kind, options):
        return [8.0 * (o.what == liked or (kind == "act" and o.what["about"]["kind"] == "alliance")) for o in options]

    pulled, told = LANGUAGE.intend(observation, None, np.random.default_rng(1), head)
    assert pulled["A MUN"][liked] > 0.9 > plans["A MUN"].get(liked, 0.0)
    assert told["saying"][0]["act"]["about"]["kind"] == "alliance"
