"""Learning from own games: outcomes counted by hand, a baseline that takes away what was to be expected, steps towards what brought centres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.choosing import Choice, LearnedHead
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.learning import ORDER, WORLD, Given, better, given, learned, learners, lessons, seats
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import play

GAME = make(Options(last_year=1902, press="none"))
EMPTY = LearnedHead(WORLD, {ORDER: {}})


@pytest.fixture(scope="module")
def game():
    return list(play(GAME, 11, seats=seats(GAME, EMPTY, ["FRANCE", "TURKEY"])))


def test_an_order_brings_the_centres_won_from_its_year_on_later_ones_by_half(game):
    orders = given(game)
    assert {o.power for o in orders} == {"FRANCE", "TURKEY"} and {o.phase for o in orders} == {"S1901M", "F1901M", "S1902M", "F1902M"}

    def owned(year: int, power: str) -> int:
        """At the end of a year, as the first position after it shows."""
        return len(next(s.outcome.state.board for s in reversed(game) if s.state.board.year == year).centers[power])

    for order in orders:
        start, first, second = (3, owned(1901, order.power), owned(1902, order.power))
        if order.phase.endswith("1901M"):
            assert order.centres == start and order.won == pytest.approx(first - start + 0.5 * (second - first))
        else:
            assert order.centres == first and order.won == pytest.approx(second - first)


def test_every_unit_with_something_to_choose_gave_one_order(game):
    moved = [step for step in game if step.state.board.phase == "M"]
    assert len(given(game)) == sum(len(step.state.board.units[p]) for step in moved for p in ("FRANCE", "TURKEY"))
    for step in moved:
        for data in step.actions["TURKEY"].choices:
            assert len(data["options"]) > 1 and data["options"][data["chosen"]][data["traits"].index("score")] <= 0


def made_up(count: int, seed: int = 0) -> list[Given]:
    """Choices of three options each; what is won rises with the first trait chosen, and with centres, season and power."""
    rng, found = np.random.default_rng(seed), []
    for n in range(count):
        rows, power, phase = rng.normal(size=(3, 2)), POWERS[n % 3], ("S1901M", "F1901M")[n % 2]
        points = rows @ [0.5, 0.5]
        p = np.exp(points - points.max())
        p /= p.sum()
        chosen, held = int(rng.choice(3, p=p)), int(rng.integers(3, 9))
        won = rows[chosen, 0] + 5.0 * (n % 3) - 4.0 * (n % 2) + 3.0 * held
        found.append(Given(power, phase, held, Choice(ORDER, ("good", "idle"), rows, chosen, 0.5), float(won)))
    return found


def test_what_was_to_be_expected_is_taken_away():
    orders = made_up(600)
    found = lessons(orders, {"good": 0.5, "idle": 0.5}, 0)
    outcome, held = np.array([lesson.outcome for lesson in found]), np.array([o.centres for o in orders])
    for power in POWERS[:3]:
        for phase in ("S1901M", "F1901M"):
            rows = [i for i, o in enumerate(orders) if (o.power, o.phase) == (power, phase)]
            assert outcome[rows].mean() == pytest.approx(0, abs=1e-9)
    assert outcome @ (held - held.mean()) == pytest.approx(0, abs=1e-6)
    good = np.array([o.choice.rows[o.choice.chosen, 0] for o in orders])
    assert np.corrcoef(outcome, good)[0, 1] > 0.5  # what was chosen is left in
    assert np.std([o.won for o in orders]) > 5 * outcome.std()
    e = np.exp(orders[0].choice.rows @ [0.5, 0.5])
    assert found[0].choice.likely == pytest.approx(e[orders[0].choice.chosen] / e.sum())


def test_a_step_goes_towards_what_brought_centres():
    head = LearnedHead(WORLD, {ORDER: {"good": 0.2, "idle": 0.2}})
    found = better(head, made_up(600), 0, 0.1).kinds[ORDER]
    assert found["good"] - 0.2 > 0.3 and abs(found["idle"] - 0.2) < 0.15
    flipped = [replace(o, won=-o.won) for o in made_up(600)]
    assert better(head, flipped, 0, 0.1).kinds[ORDER]["good"] < -0.1


def test_learning_is_the_same_every_time_and_starts_at_nothing():
    short = make(Options(last_year=1901, press="none"))
    told: list[int] = []
    first = learned(short, [range(2)], 0.1, lambda n, head: told.append(n))
    assert learned(short, [range(2)], 0.1) == first and told == [0]
    assert any(first.kinds[ORDER].values()) and first.kinds[ORDER]["for_other"] == 0.0  # never seen, never learned
    assert learned(short, [], 0.1) == EMPTY


def test_learners_are_drawn_by_the_games_seed():
    assert learners(5, 3) == learners(5, 3) and len(set(learners(5, 3))) == 3
    assert {p for seed in range(40) for p in learners(seed, 3)} == set(POWERS) and learners(1) == sorted(POWERS)
