"""Types, λ, gaps and values by hand; the plan's own liars by their intents."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis import deception
from analysis.benches.planted_games import bluff, game, insincere
from analysis.commitments import words
from analysis.deception import TYPES, bait_switch_edge, gaps, ledger, ledgers, surprisal, type_of, types
from analysis.evidence import Evidence
from tests.analysis.runs import adjudication, message
from tests.analysis.test_commitments import intent, outcome


def test_the_four_types_and_lambda_by_hand():
    assert [type_of(m, k) for m in (0.5, 0.49) for k in (True, False)] == list(TYPES) and type_of(None, True) is None
    assert [surprisal(p) for p in (1.0, 0.5, 0.125, 0.0)] == [0.0, 1.0, 3.0, deception.LONGEST] and surprisal(None) is None
    assert math.copysign(1, surprisal(1.0)) == 1.0  # and no minus nought in a table


def test_a_ledger_adds_up():
    """It grew by 1 between messages and by 0.5 by one, and a message took 0.75 back."""
    found = ledger([0.0, 1.0, 1.5, 0.75], [False, False, True, True])
    assert (found.gap, found.omission, found.commission, found.repaired) == (0.75, 1.0, 0.5, 0.75)
    rng = np.random.default_rng(3)
    walk, said = rng.random(50), rng.random(50) < 0.5
    of = ledger(walk, list(said))
    assert of.commission + of.omission - of.repaired == pytest.approx(walk[-1] - walk[0])
    with pytest.raises(ValueError, match="a ledger needs a finite gap"):
        ledger([0.0, math.nan], [False, True])


def test_gaps_by_hand_in_a_team_of_two():
    """Two suspects, one clue, reliability 0.8: who is sure that it was not Ash holds Birch for four times as likely. Unsaid, the gap is
    KL((.2, .8) ‖ (.5, .5)); said, it is gone; turned round, it is KL((.2, .8) ‖ (.8, .2))."""
    fact = {"witness": "porter", "suspect": "Ash", "evidence": "strong no"}
    case = {"what": "case", "culprit": "Birch", "reliability": 0.8, "public": [], "private": {"M1": [fact], "M2": []}, "network": {}, "alone": {}, "solvable": True,
            "posterior": {"Ash": 0.2, "Birch": 0.8}}  # fmt: skip
    silent, false = 0.2 * math.log(0.4) + 0.8 * math.log(1.6), 0.6 * math.log(4)

    def told(text):
        return gaps([outcome(0, case), message("1:M1:0", "M1", ["M1", "M2"], text, step=1)]).set_index("author").loc["M1"]

    true, lie = told("The porter is sure that it was not Ash."), told("The porter is sure that it was Ash.")
    assert (true["before"], true["after"]) == (pytest.approx(silent), pytest.approx(0.0, abs=1e-12)) and true["dec"] < 0
    assert (lie["before"], lie["after"]) == (pytest.approx(silent), pytest.approx(false)) and lie["dec"] == pytest.approx(false - silent)
    assert len(gaps([])) == 0


def test_liars_commit_and_those_who_leave_out_omit():
    found = {"lie": [], "omitting": []}
    for seed in (3, 4):
        one = game("team_task", seed)
        books, liar = ledgers(gaps(one.events)), next(s.who for s in one.plan.statements if s.kind == "lie")
        quiet = next(m.who for m in one.plan.manners if m.kind == "omitting")
        found["lie"] += [of.commission for (a, _), of in books.items() if a == liar]
        assert all(of.commission < 1e-9 < of.gap for (a, _), of in books.items() if a == quiet)  # it says nothing false, and nothing
    assert np.mean(found["lie"]) > 0.1


def test_by_their_intents_a_plan_s_lies_are_told_from_changes_of_mind_mistakes_and_bluffs():
    seen = set()
    for one in (game("market", 5), game("team_task", 5), bluff(5)):
        said = words(one.events, one.world)
        labels = [type_of(float(not false), w.kept) for w, false in zip(said, insincere(one, said), strict=True)]
        assert [type_of(w.meant, w.kept) for w in said] == labels
        seen |= set(labels)
    assert seen == set(TYPES)
    typed = types(words(one.events, "market"))
    assert set(typed["type"]) == {"insincere-kept"} and (typed["lambda"] == deception.LONGEST).all() and not typed["breach"].any()


def test_scores_name_who_meant_otherwise():
    one = game("market", 5)
    found = {(s.measure, s.who[0]): s.value for s in deception.scores(Evidence(one.events, "market")) if s.unit == "agent"}
    (liar,) = one.liars(executed=True)
    assert found["lambda", liar] == max(v for (m, _), v in found.items() if m == "lambda") > 10
    assert found["lies", liar] == 1.0 and all(v == 0 for (m, a), v in found.items() if m == "lies" and a != liar)
    assert deception.scores(Evidence((), "market")) == []


def test_bait_switch_and_edge_of_a_stab():
    """Italy promises Austria to stay in Venice. Where it stays nothing is switched; where it takes Trieste, Austria loses by it and Italy gains."""
    start = {"ITALY": ["A ROM", "A VEN", "F NAP"], "AUSTRIA": ["A BUD", "A VIE", "F TRI"]}

    def stab(order):
        orders = {"ITALY": [order, "A ROM H", "F NAP H"], "AUSTRIA": ["A VIE H", "A BUD H", "F TRI - ALB"]}
        events = [
            intent("ITALY", {"A VEN": {order: 1.0}}), message("0:ITALY:0", "ITALY", ["AUSTRIA", "ITALY"], "I promise to hold my army in Venice."),
            adjudication("S1901M", {p: [u[2:] for u in own] for p, own in start.items()}, orders, step=1, units=start),
        ]  # fmt: skip
        events[-1].data["events"][0]["next"] = "F1901M"
        (row,) = bait_switch_edge(events).itertuples()
        return row

    kept, broken = stab("A VEN H"), stab("A VEN - TRI")
    assert (kept.switch, kept.edge, kept.to, kept.what) == (0.0, 0.0, "AUSTRIA", "A VEN H")
    assert broken.switch <= 0 < broken.edge and broken.bait == kept.bait
