"""The negotiator: evaluation, intents, joint moves, trust from kept and broken words, and a believable game."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from agents.types import Channel, Message, Observation
from scenarios.diplomacy import notes, press
from scenarios.diplomacy.board import Board, board_to_json, initial_board
from scenarios.diplomacy.environment import EVERYONE, PAIRS, Options, make
from scenarios.diplomacy.evaluation import CLOSED, Stance, border, evaluate, neighbours_of, scores
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.negotiator import ACTS_PER_TURN, DiplomacyLanguage
from scenarios.diplomacy.orders import legal_orders, parse_order
from scenarios.diplomacy.planning import draw, intent
from tests.scenarios.table_play import play, stream

LANGUAGE = DiplomacyLanguage()
PAIR = Channel(name="AUSTRIA-ITALY", readers=frozenset({"AUSTRIA", "ITALY"}))


def board_of(**units: tuple[str, ...]) -> Board:
    """A spring position: units by power, everybody with the home centres of the start."""
    start = initial_board()
    return Board(year=1902, season="S", phase="M", units={p: units.get(p, ()) for p in POWERS}, centers=start.centers)


def seen(
    agent: str, board: Board | None = None, *, heard: tuple[Message, ...] = (), recent: tuple = (), write: tuple[Channel, ...] = (PAIR,)
):
    view = {"power": agent, "round": 0, "rounds": 2, "board": board_to_json(board or initial_board()), "recent": list(recent)}
    return Observation(agent=agent, step=1, time=0, heard=heard, may_write=write, view=view)


def said(author: str, text: str) -> Message:
    return Message(id=text, author=author, channel=PAIR, time=0, text=text)


# ---- evaluation --------------------------------------------------------------------------------------------------------


def test_a_free_neutral_centre_is_worth_more_than_an_empty_field():
    found = scores(initial_board(), "TURKEY")["A CON"]
    assert max(found, key=found.get) == "A CON - BUL"


def test_a_power_with_more_centres_stands_better():
    start = initial_board()
    rich = Board(
        year=1901, season="S", phase="M", units=start.units, centers={**start.centers, "TURKEY": (*start.centers["TURKEY"], "BUL")}
    )
    assert evaluate(rich, "TURKEY") > evaluate(start, "TURKEY")


def test_distrust_makes_an_attack_more_and_an_alliance_less_attractive():
    board = board_of(AUSTRIA=("A TYR",), ITALY=("A APU",))
    stances = [Stance({"ITALY": 0.9}, allies=frozenset({"ITALY"})), Stance(), Stance({"ITALY": 0.1})]
    ally, stranger, liar = (scores(board, "AUSTRIA", s)["A TYR"]["A TYR - VEN"] for s in stances)
    assert ally < stranger < liar


def test_an_agreed_support_and_a_dmz_enter_the_scores():
    board = initial_board()
    free = scores(board, "AUSTRIA")
    bound = scores(board, "AUSTRIA", Stance(mine={"A BUD S F SEV - RUM": 1.0}, closed={"GAL": 1.0}))
    assert "A BUD S F SEV - RUM" not in free["A BUD"] and max(bound["A BUD"], key=bound["A BUD"].get) == "A BUD S F SEV - RUM"
    assert bound["A VIE"]["A VIE - GAL"] == pytest.approx(free["A VIE"]["A VIE - GAL"] - CLOSED)


def test_a_promised_support_makes_the_attack_likelier():
    board = board_of(AUSTRIA=("A TYR",), ITALY=("A VEN",), FRANCE=("A PIE",))
    alone = scores(board, "AUSTRIA")["A TYR"]["A TYR - VEN"]
    helped = scores(board, "AUSTRIA", Stance(theirs={"A PIE S A TYR - VEN": 1.0}))["A TYR"]["A TYR - VEN"]
    assert helped > alone + 1.0


def test_an_intent_is_a_distribution_over_legal_orders_of_each_unit():
    for power in POWERS:
        plans, legal = intent(scores(initial_board(), power)), legal_orders(initial_board(), power)
        assert plans.keys() == legal.keys()
        for unit, orders in plans.items():
            assert set(orders) <= set(legal[unit]) and sum(orders.values()) == pytest.approx(1.0, abs=2e-3)


def test_the_opening_border_of_austria_and_italy_is_tyrolia_and_the_adriatic():
    assert border(initial_board(), "AUSTRIA", "ITALY") == ["TYR"]
    assert neighbours_of(initial_board(), "AUSTRIA")[0] in ("ITALY", "RUSSIA")


def test_own_units_never_collide_and_supports_find_their_partner_in_any_joint_move():
    crowd = board_of(AUSTRIA=("A BUD", "A GAL", "A SER", "A TRI", "A VIE", "F ADR", "F ALB"), ITALY=("A VEN",), RUSSIA=("A RUM",))
    plans = intent(scores(crowd, "AUSTRIA"))
    supports = 0
    for seed in range(60):
        move = draw(plans, np.random.default_rng(seed))
        assert all(move[u] in plans[u] for u in plans)
        orders = {unit: parse_order(text) for unit, text in move.items()}
        ends = [(o.target if o.kind == "move" else o.unit[2:])[:3] for o in orders.values()]
        assert len(set(ends)) == len(ends)
        went = {(o.unit[2:5], o.target[:3]) for o in orders.values() if o.kind == "move"}
        assert not any((there, here) in went for here, there in went)
        for order in orders.values():
            if order.kind == "support" and order.other in orders:
                supports += 1
                partner = orders[order.other]
                assert partner.target == order.target if order.target else partner.kind != "move"
    assert supports > 20


# ---- talk --------------------------------------------------------------------------------------------------------------


def test_a_promise_heard_is_noted_as_an_agreement_of_its_author():
    heard = LANGUAGE.hear(seen("AUSTRIA", heard=(said("ITALY", "I promise to stay out of Tyrolia. Good luck!"),)), None)
    (deal,) = heard["agreed"]
    assert (deal["by"], deal["with"], deal["firm"]) == ("ITALY", "AUSTRIA", True)
    assert deal["about"] == press.about_dmz(["ITALY"], ["TYR"])


def test_an_open_unit_is_filled_in_from_the_board():
    heard = LANGUAGE.hear(seen("AUSTRIA", heard=(said("ITALY", "I'm moving to Apulia with my army in Rome, and Naples to Ionian"),)), None)
    assert [d["about"]["order"] for d in heard["agreed"]] == ["A ROM - APU", "F NAP - ION"]


def test_a_proposal_gets_an_answer_first_and_an_accepted_dmz_binds_both():
    proposal = said("ITALY", "How about a DMZ in Tyrolia?")
    observation = seen("AUSTRIA", heard=(proposal,))
    heard = LANGUAGE.hear(observation, None)
    plans, heard = LANGUAGE.intend(observation, heard, stream(1))
    (first, *_), after = LANGUAGE.speak(observation, heard, plans, stream(1))
    assert first == (PAIR, press.act("accept", ["ITALY"], press.about_dmz(["AUSTRIA", "ITALY"], ["TYR"])))
    assert {d["by"] for d in after["agreed"]} == {"AUSTRIA", "ITALY"} and after["pending"] == []
    again, _ = LANGUAGE.speak(observation, after, plans, stream(1))
    assert first not in again


def test_at_most_two_acts_a_turn_and_only_in_open_channels():
    for power in POWERS:
        mine = tuple(c for c in PAIRS if power in c.readers)[:3]
        observation = seen(power, write=(*mine, EVERYONE))
        plans, found = LANGUAGE.intend(observation, LANGUAGE.hear(observation, None), stream(2))
        acts, _ = LANGUAGE.speak(observation, found, plans, stream(2))
        assert 1 <= len(acts) <= ACTS_PER_TURN
        assert all(channel in mine for channel, _ in acts)
        for channel, act in acts:
            for text in LANGUAGE.word(act, power):
                assert list(LANGUAGE.meaning(text, power, channel.readers)) == [act]


def _after(orders: list[str], text: str) -> float:
    """Austria's trust in Italy after it said this in spring 1901 and ordered that."""
    first = LANGUAGE.hear(seen("AUSTRIA", heard=(said("ITALY", text),)), None)
    fall = Board(year=1901, season="F", phase="M", units=initial_board().units, centers=initial_board().centers)
    record = {"phase": "S1901M", "orders": {"ITALY": orders}, "results": {}}
    return LANGUAGE.hear(seen("AUSTRIA", fall, recent=(record,)), first)["trust"]["ITALY"]


def test_a_kept_word_raises_trust_a_broken_one_and_an_attack_lower_it():
    promise = "I promise to stay out of Tyrolia."
    kept, broken = _after(["A VEN H"], promise), _after(["A VEN - TYR"], promise)
    assert (kept, broken) == (pytest.approx(0.5 + notes.KEPT), pytest.approx(0.5 + notes.BROKEN))
    assert _after(["A VEN - TRI"], "Good luck!") == pytest.approx(0.5 + notes.ATTACKED)
    assert _after(["A VEN S A VIE - GAL"], "Good luck!") == pytest.approx(0.5 + notes.HELPED)
    assert _after(["A VEN H"], "I am moving my army in Venice to Piedmont.") == pytest.approx(0.5 + notes.BROKEN / 3)


def test_a_liar_is_refused_what_a_stranger_is_granted():
    proposal = said("ITALY", "How about a DMZ in Tyrolia?")
    for trust, expected in ((0.5, "accept"), (0.1, "refuse")):
        observation = seen("AUSTRIA", heard=(proposal,))
        heard = LANGUAGE.hear(observation, {"trust": {"ITALY": trust}, "phase": "S1901M", "stood": []})
        plans, heard = LANGUAGE.intend(observation, heard, stream(3))
        acts, _ = LANGUAGE.speak(observation, heard, plans, stream(3))
        assert acts[0][1]["act"] == expected


def test_an_accepted_support_is_then_the_likeliest_order():
    observation = seen("GERMANY", write=())
    deal = {
        "by": "GERMANY",
        "with": "FRANCE",
        "about": press.about_order("GERMANY", "A MUN S A PAR - BUR"),
        "since": "S1901M",
        "firm": True,
    }
    plans, _ = LANGUAGE.intend(observation, {"phase": "S1901M", "agreed": [deal]}, stream(4))
    assert plans["A MUN"]["A MUN S A PAR - BUR"] > 0.8


def test_order_patterns_match_coasts_convoys_and_open_words():
    assert notes.matches("? AEG S ? GRE - BUL", "F AEG S F GRE - BUL/SC")
    assert notes.matches("A LON - NWY", "A LON - NWY VIA")
    assert not notes.matches("? ? - BUL/EC", "F AEG - BUL/SC")
    assert not notes.matches("A VIE - GAL", "A VIE S A GAL")


def test_hostile_messages_and_notes_stay_bounded():
    near = "PIE TUS APU ROM NAP VEN TRI ALB SER BUD RUM UKR SIL MUN WAR MOS".split()
    promise = "I promise to stay out of {} and {}. Can you support my army in Venice to {}?"
    flood = tuple(said("ITALY", promise.format(a, b, a)) for a in ("TYR", "GAL", "BOH") for b in near)
    found = LANGUAGE.hear(seen("AUSTRIA", heard=flood), "not notes at all")
    assert len(found["agreed"]) == notes.LIMITS["agreed"] and len(found["pending"]) <= notes.LIMITS["pending"]
    plans, found = LANGUAGE.intend(seen("AUSTRIA"), found, stream(5))
    acts, found = LANGUAGE.speak(seen("AUSTRIA"), found, plans, stream(5))
    assert len(acts) <= ACTS_PER_TURN and len(json.dumps(found)) < 20_000


# ---- whole games -------------------------------------------------------------------------------------------------------


def test_one_negotiator_among_random_movers_takes_six_centres_by_1904():
    world, sizes = make(Options(last_year=1904, press_rounds=1)), []
    for seed, power in enumerate(("AUSTRIA", "ENGLAND", "ITALY", "TURKEY")):
        *_, last = play(world, seed, frozenset(POWERS) - {power})
        sizes.append(len(last.outcome.state.board.centers[power]))
    assert np.mean(sizes) >= 6, sizes


def test_seven_negotiators_play_a_believable_game():
    world, heard, results = make(Options(last_year=1902)), Counter(), Counter()
    for step in play(world, seed=11):
        for action in step.actions.values():
            heard.update((w["act"]["act"], w["act"]["about"]["kind"]) for w in action.wording)
        for event in step.outcome.events:
            assert event["what"] != "illegal", event
            if event["what"] == "adjudication":
                results.update((o.split()[2], r) for found in event["results"].values() for o, r in found.items() if len(o.split()) > 2)
    owned = sum(map(len, step.outcome.state.board.centers.values()))
    assert owned >= 30  # 22 at the start; most of the 12 neutral centres are taken in two years
    assert sum(heard.values()) >= 60 and len({act for act, _ in heard}) == 6
    supports = {r: n for (verb, r), n in results.items() if verb == "S"}
    assert sum(supports.values()) >= 10 and supports.get("unmatched", 0) <= 0.2 * sum(supports.values())
    notes = {power: memory.notes for power, memory in step.memories.items()}
    assert json.loads(json.dumps(notes)) == notes and all(notes.values())
