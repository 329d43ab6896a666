"""Drawn plans: the same by seed, with one liar or none, in every world."""

from __future__ import annotations

import numpy as np
import pytest

from agents.planting import LIE
from analysis.benches.planted_games import PLANS, control, game, insincere
from analysis.commitments import words
from sandbox.log import canonical


def test_a_seed_gives_one_game_and_its_honest_twin_has_no_liar():
    one, again, honest = game("team_task", 21), game("team_task", 21), game("team_task", 21, lying=False)
    assert [canonical(e) for e in one.events] == [canonical(e) for e in again.events] and one.labels["entries"] == again.labels["entries"]
    (liar,) = {s.who for s in one.plan.statements if s.kind == LIE}
    assert one.liars(executed=True) | one.liars(executed=False) == {liar} and control(one, liar) == LIE
    assert not honest.liars(executed=True) | honest.liars(executed=False) and not any(insincere(honest, words(honest.events, "team_task")))
    assert {a: control(one, a) for a in one.labels["agents"] if a != liar} == {a: control(honest, a) for a in honest.labels["agents"] if a != liar}


@pytest.mark.parametrize("world", PLANS)
def test_plans_differ_from_seed_to_seed_and_always_hold_a_liar_and_controls(world):
    drawn = [PLANS[world](np.random.default_rng(n)) for n in range(30)]
    assert len({repr(plan) for plan in drawn}) > 25 and len({plan["lies"][0]["who"] for plan in drawn}) > 3
    for plan in drawn:
        (liar,) = {lie["who"] for lie in plan["lies"]}
        kinds = {c["kind"] for c in plan["controls"]}
        assert {"changed_mind", "mistaken", "bluffing", "omitting"} <= kinds and kinds & {"terse", "polite"} and liar not in {c["who"] for c in plan["controls"]}
