"""Promises and alliances read from texts and held against orders: hand-made games with known ends."""

import pytest

from analysis.promises import alliances, by_pair, phases, promises, verdicts
from analysis.summary import alliance_lines, promise_lines
from sandbox.log import Event
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.grammar import texts
from scenarios.diplomacy.press import about_alliance, about_dmz, about_order, act
from tests.analysis.runs import adjudication, end, message

START = {power: list(units) for power, units in initial_board().units.items()}
OWNED = {power: list(centers) for power, centers in initial_board().centers.items()}
SUPPORT, MOVE = about_order("ITALY", "A VEN S A TYR - TRI"), about_order("ITALY", "A ROM - APU")
DMZ, PACT = about_dmz(["AUSTRIA", "ITALY"], ["TYR"]), about_alliance(["AUSTRIA", "ITALY"], "TURKEY")


def says(id, kind, about, author="ITALY", readers=("AUSTRIA", "ITALY"), **more):
    to = sorted(set(readers) - {author})
    return message(id, author, sorted(readers), text=texts(act(kind, to, about), author)[0], **more)


def ordered(phase="S1901M", units=START, **orders):
    return adjudication(phase, OWNED, {power: list(given) for power, given in orders.items()}, units=units)


def intent(agent, **units):
    return Event(kind="intent", step=0, time=0, agent=agent, data={"intent": {f"A {place}": orders for place, orders in units.items()}})


def found(*events):
    return promises(phases(events))


def made(*events):
    return alliances(phases(events)).to_dict("records")


def test_a_promise_is_kept_if_the_order_is_given_in_the_next_movement():
    bound = found(says("0", "promise", SUPPORT), says("1", "promise", MOVE), says("2", "accept", SUPPORT), ordered(ITALY=["A VEN S A TYR - TRI", "A ROM H"]))
    assert sorted(zip(bound["kind"], bound["what"], bound["kept"], strict=True)) == [("order", "A ROM - APU", False), ("support", "A VEN S A TYR - TRI", True)]
    assert len(found(says("0", "promise", SUPPORT))) == 0  # no orders followed: nothing is known


def test_what_binds_is_read_from_the_text_whatever_act_the_log_claims():
    lied = message("0", "ITALY", ["AUSTRIA", "ITALY"], text="I promise to stay out of Tyrolia.", act={"act": "refuse", "to": [], "about": {"kind": "draw"}})
    empty = message("1", "ITALY", ["AUSTRIA", "ITALY"], text="What a day.", act={"act": "promise", "to": ["AUSTRIA"], "about": MOVE})
    assert list(found(lied, empty, ordered(ITALY=["A VEN - TYR"]))["what"]) == ["out of TYR"]


def test_a_promise_binds_for_one_movement_and_not_for_a_retreat():
    after = ordered("S1901R"), ordered("F1901M", ITALY=["A ROM - APU"]), ordered("S1902M", ITALY=["A ROM H"])
    assert list(found(says("0", "promise", MOVE), *after)["kept"]) == [True]


@pytest.mark.parametrize(("orders", "kept"), [(["A VEN - TYR"], False), (["A VEN - TRI", "A TYR H", "A BOH S A MUN - TYR"], True), (["F NAP - SPA/NC"], True)])
def test_a_dmz_is_kept_if_the_author_does_not_move_in(orders, kept):
    assert list(found(says("0", "accept", DMZ), ordered(ITALY=orders))["kept"]) == [kept]


@pytest.mark.parametrize("said", [says("0", "propose", DMZ), says("0", "ask", about_order("AUSTRIA", "A VIE S A VEN - TYR")), says("0", "inform", MOVE),
                                  says("0", "propose", {"kind": "draw"}), says("0", "refuse", DMZ)])
def test_what_binds_nobody_is_no_promise(said):
    assert len(found(said, ordered(ITALY=["A ROM H"], AUSTRIA=["A VIE H"]))) == 0


def test_a_lie_is_a_promise_that_was_broken_and_not_meant_when_it_was_said():
    meant, unmeant = {"A ROM - APU": 0.875, "A ROM H": 0.125}, {"A ROM - APU": 0.25, "A ROM H": 0.75}
    for before, after, orders, verdict in ((meant, unmeant, "A ROM H", "broken"), (unmeant, meant, "A ROM H", "lie"), (unmeant, unmeant, "A ROM - APU", "kept")):
        bound = verdicts(found(intent("ITALY", ROM=before), says("0", "promise", MOVE), intent("AUSTRIA"), intent("ITALY", ROM=after), intent("ITALY", ROM=meant),
                               ordered(ITALY=[orders])))
        assert bound[["intended_before", "intended_after", "verdict"]].to_numpy().tolist() == [[before["A ROM - APU"], after["A ROM - APU"], verdict]]


@pytest.mark.parametrize("value", [None, 5, {}, {"A ROM": 5}, {"A ROM": {"A ROM - APU": "x"}}, ["A ROM - APU"]])
def test_an_intent_of_another_shape_tells_nothing(value):
    other = Event(kind="intent", step=0, time=0, agent="ITALY", data={"intent": value})
    bound = found(other, says("0", "promise", MOVE), ordered(ITALY=["A ROM H"]))
    assert bound["intended_before"].isna().all() and list(verdicts(bound)["verdict"]) == ["broken"]


def test_a_promise_to_all_is_owed_to_the_one_whom_it_helps_else_to_each_reader():
    everyone = sorted(START)
    helped = ordered(ITALY=["A VEN H", "A ROM H"], AUSTRIA=["A TYR - TRI"])
    assert list(found(says("0", "promise", SUPPORT, readers=everyone), helped)["to"]) == [("AUSTRIA",)]
    (to,) = found(says("0", "promise", MOVE, readers=everyone), helped)["to"]
    assert to == tuple(power for power in everyone if power != "ITALY")
    assert by_pair(found(says("0", "promise", MOVE, readers=everyone), helped))["broken"].tolist() == [1] * 6
    assert promise_lines(found(says("0", "promise", MOVE, readers=everyone), helped))[1:] == ["  ITALY to EVERYBODY: 1 made, 0 kept, 1 broken"]


def test_pairs_count_kept_and_broken_promises():
    bound = found(says("0", "promise", MOVE), says("1", "promise", SUPPORT), says("2", "promise", MOVE, readers=("FRANCE", "ITALY")), ordered(ITALY=["A ROM - APU", "A VEN H"]))
    assert by_pair(bound).to_numpy().tolist() == [["ITALY", "AUSTRIA", 2, 1, 1, 0], ["ITALY", "FRANCE", 1, 1, 0, 0]]
    assert promise_lines(bound) == ["promises: 3 about the next orders, 2 kept, 1 broken", "  ITALY to AUSTRIA: 2 made, 1 kept, 1 broken"]


def test_an_alliance_is_made_by_an_acceptance_and_broken_by_the_one_who_moves_in():
    talk = says("0", "propose", PACT, author="AUSTRIA"), says("1", "accept", PACT)
    (pact,) = made(*talk, ordered(ITALY=["A VEN H"], AUSTRIA=["A VIE H"]), ordered("F1901M", ITALY=["A VEN - TRI"], AUSTRIA=["A VIE H"]), end())
    assert pact == {"step": 0, "time": 0, "phase": "S1901M", "first": "AUSTRIA", "second": "ITALY", "against": "TURKEY", "ended": "broken", "ended_phase": "F1901M",
                    "broken_by": "ITALY", "where": "TRI"}
    (pact,) = made(*talk, ordered(ITALY=["A VEN - TYR"], AUSTRIA=["A VIE - GAL"]))
    assert (pact["ended"], pact["broken_by"]) == ("held", "")


def test_no_alliance_without_the_others_proposal():
    assert made(says("1", "accept", PACT), ordered()) == []
    assert made(says("0", "propose", PACT), says("1", "accept", PACT), ordered()) == []  # its own
    assert made(says("0", "propose", PACT, author="AUSTRIA"), says("1", "refuse", PACT), ordered()) == []


def test_an_alliance_ends_with_a_partner_and_can_be_made_again_after_it_was_broken():
    talk = says("0", "propose", PACT, author="AUSTRIA"), says("1", "accept", PACT)
    gone = {**START, "AUSTRIA": []}
    lost = adjudication("F1901M", {**OWNED, "AUSTRIA": []}, {}, units=gone)
    assert [p["ended"] for p in made(*talk, ordered(), lost, ordered("S1902M", units=gone))] == ["eliminated"]
    again = [p["ended"] for p in made(*talk, ordered(ITALY=["A VEN - TRI"]), *talk, ordered("F1901M"))]
    assert again == ["broken", "held"]


def test_alliances_in_words():
    talk = says("0", "propose", PACT, author="AUSTRIA"), says("1", "accept", PACT)
    lines = alliance_lines(alliances(phases([*talk, ordered(ITALY=["A VEN - TRI"])])))
    assert lines == ["alliances: 1 made, 1 broken", "  AUSTRIA + ITALY against TURKEY, made in S1901M: broken in S1901M by ITALY, moving to TRI"]


def test_the_log_of_another_world_has_neither():
    assert phases([message("0", "ITALY", ["AUSTRIA", "ITALY"], text="I promise to stay out of Tyrolia."), end()]) == []
    assert len(promises([])) == len(alliances([])) == len(by_pair(promises([]))) == 0


def test_an_alliance_of_the_last_talk_before_a_run_was_stopped_counts():
    talk = says("0", "propose", PACT, author="AUSTRIA"), says("1", "accept", PACT)
    (pact,) = made(ordered(), *talk, end("interrupted"))
    assert (pact["phase"], pact["ended"]) == ("after S1901M", "held")
