"""What a head is shown of orders and words in Diplomacy: traits reckoned by hand, claims that are few, and a weight of 0 that changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from agents.choosing import LearnedHead
from agents.types import Observation
from scenarios.diplomacy import choosing, press
from scenarios.diplomacy.board import Board, board_to_json, initial_board
from scenarios.diplomacy.environment import PAIRS, Options, make
from scenarios.diplomacy.evaluation import scores
from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.learning import seats
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.notes import fresh
from scenarios.diplomacy.planning import intent
from scenarios.diplomacy.proposals import Option as Sayable
from scenarios.diplomacy.proposals import Seat
from scenarios.diplomacy.selfplay import play


def seat(board: Board, power: str) -> Seat:
    view = {"power": power, "round": 0, "rounds": 2, "board": board_to_json(board), "recent": []}
    return Seat(power, board, Observation(agent=power, step=1, time=0, may_write=PAIRS, view=view), fresh(None))


def shown(board: Board, power: str) -> dict[str, dict[str, object]]:
    """Unit → {order: option}."""
    here = seat(board, power)
    return {unit: {o.what: o for o in found} for unit, found in choosing.orders(here, scores(board, power, here.stance))}


def autumn(**units: tuple[str, ...]) -> Board:
    """Everybody with the home centres of the start, and Greece Austria's."""
    start = initial_board()
    centers = {**start.centers, "AUSTRIA": (*start.centers["AUSTRIA"], "GRE")}
    return Board(year=1902, season="F", phase="M", units={p: units.get(p, ()) for p in POWERS}, centers=centers)


AUTUMN = autumn(AUSTRIA=("A TYR", "A TRI", "A SER"), ITALY=("A VEN",))


def test_taking_a_centre_that_is_held():
    traits = shown(AUTUMN, "AUSTRIA")["A TYR"]["A TYR - VEN"].traits
    assert (traits["foreign"], traits["taking"], traits["free"], traits["own"]) == (1, 1, 0, 0)
    assert traits["met"] == 1 and traits["size"] == pytest.approx(0.3)  # an army stands there, of a power with three centres
    assert traits["hostile"] == pytest.approx(0.85) and traits["opposed"] == pytest.approx(0.5)  # a stranger, and one of its units
    assert traits["backed"] == pytest.approx(0.3)  # Trieste could support it: 0.6 of one unit in two
    assert traits["sure"] == traits["chance"] and 0 < traits["chance"] < 1 and traits["opens"] == traits["forgone"] == 0


def test_leaving_a_centre():
    orders = shown(AUTUMN, "AUSTRIA")
    assert orders["A SER"]["A SER - BUL"].traits["forgone"] == 1  # Serbia, nobody's so far, would not be counted as taken
    assert orders["A SER"]["A SER H"].traits["taking"] == 1 and orders["A SER"]["A SER H"].traits["free"] == 1
    assert 0 < orders["A TRI"]["A TRI - ALB"].traits["opens"] <= 0.5  # one unit near, in two
    assert orders["A TRI"]["A TRI H"].traits["own"] == 1 and orders["A TRI"]["A TRI H"].traits["opposed"] > 0


def test_in_spring_nothing_is_taken_yet():
    spring = Board(year=1902, season="S", phase="M", units=AUTUMN.units, centers=AUTUMN.centers)
    assert shown(spring, "AUSTRIA")["A TYR"]["A TYR - VEN"].traits["taking"] == 0


def test_a_support_is_as_likely_as_what_it_is_for():
    orders = shown(AUTUMN, "AUSTRIA")
    helps = [o for found in orders.values() for o in found.values() if o.traits["support"]]
    assert helps
    likely = intent(scores(AUTUMN, "AUSTRIA"))
    for option in helps:
        words = option.what.split()
        wanted, plans = " ".join(words[3:]), likely[" ".join(words[3:5])]
        expected = plans.get(wanted, 0.0) if "-" in wanted else sum(p for o, p in plans.items() if o.split()[2] != "-")
        assert option.traits["likely"] == pytest.approx(expected)


@pytest.fixture(scope="module")
def played():
    """Positions of one game, and who moves in them."""
    found = [step.state.board for step in play(make(Options(last_year=1902, press="none")), 3)]
    return [board for board in found if board.phase == "M"]


def test_traits_have_one_set_of_names_and_are_of_order_one(played):
    for board in played:
        for power in POWERS:
            for found in shown(board, power).values():
                for option in found.values():
                    assert tuple(option.traits) == choosing.ORDER
                    assert all(np.isfinite(v) and -6 <= v <= 3 for v in option.traits.values()), option
                assert max(o.traits["score"] for o in found.values()) == 0


def test_claims_are_one_for_each_power_attacked_and_mean_what_they_should(played):
    for board in played:
        for power in POWERS:
            for found in shown(board, power).values():
                claims = {text for o in found.values() for text in o.claims}
                assert len(claims) <= 6
                for option in found.values():
                    assert (power not in option.about) and len(option.about) <= 2 and bool(option.claims) <= (option.what.split()[2] == "-")
                    for text in option.claims:
                        (act,) = meaning(text, power, frozenset({power, option.about[0]}))
                        assert act["about"]["kind"] == "alliance" and act["about"]["against"] not in (power, *option.about)


def test_an_attack_is_about_the_power_that_stands_there():
    option = shown(AUTUMN, "AUSTRIA")["A TYR"]["A TYR - VEN"]
    assert list(option.claims) == ["Let's ally against Italy."] and option.claims["Let's ally against Italy."] == 1
    assert shown(AUTUMN, "AUSTRIA")["A TYR"]["A TYR H"].claims == {}


def test_an_act_is_shown_with_its_kind_and_the_others_standing():
    here = seat(AUTUMN, "AUSTRIA")
    act = press.act("propose", ["ITALY"], press.about_alliance(["AUSTRIA", "ITALY"], "TURKEY"))
    (option,) = choosing.acts(here, [Sayable("ITALY", act, 7.0, meant=False)])
    assert tuple(option.traits) == choosing.ACT and option.what == act and option.about == ("ITALY",)
    some = {name: value for name, value in option.traits.items() if value}
    assert some == {"worth": 0.7, "trust": 0.5, "hostile": pytest.approx(0.85), "size": 0.3, "near": 1.0, "propose": 1.0, "about_alliance": 1.0}


@pytest.mark.parametrize("talk", ["none", "both"])
def test_with_weight_0_the_game_is_the_same_and_with_weight_it_is_not(talk):
    world = make(Options(last_year=1901, press=talk, press_rounds=1))
    head = LearnedHead("diplomacy", {"order": {"hold": 50.0}, "act": {"refuse": 5.0}})

    def moves(**given: object) -> list[object]:
        return [(a.intent, a.move, [m.text for m in a.messages]) for step in play(world, 5, **given) for a in step.actions.values()]

    plain = moves()
    assert moves(seats=seats(world, head, POWERS, weight=0.0)) == plain
    first = next(step for step in play(world, 5, seats=seats(world, head, ["TURKEY"])) if step.window.move_due)
    assert set(first.actions["TURKEY"].move.values()) == {"A CON H", "A SMY H", "F ANK H"}  # what it is paid for
