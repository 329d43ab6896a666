"""Learning from choices: a known policy is found again, outcomes move weights the way and as far as they should."""

from __future__ import annotations

import numpy as np
import pytest

from agents.choosing import Choice
from agents.learning import Lesson, filtered, imitate, improve, learned

NAMES = ("a", "b")


def made(weights: np.ndarray, count: int, seed: int) -> list[Choice]:
    """Choices among 2 to 5 options of random traits, drawn with these weights."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        rows = rng.normal(size=(int(rng.integers(2, 6)), 2))
        p = np.exp(rows @ weights)
        p /= p.sum()
        chosen = int(rng.choice(len(p), p=p))
        found.append(Choice("tell", NAMES, rows, chosen, float(p[chosen])))
    return found


def test_imitation_finds_the_weights_that_choices_were_drawn_with():
    found = imitate(made(np.array([1.5, -0.7]), 4000, 1))
    assert found["a"] == pytest.approx(1.5, abs=0.1) and found["b"] == pytest.approx(-0.7, abs=0.1)


def test_what_was_always_chosen_gets_a_finite_weight():
    rows = np.array([[1.0, 0.0], [0.0, 0.0]])
    found = imitate([Choice("tell", NAMES, rows, 0, 1.0)] * 50)
    assert 2 < found["a"] < 100 and found["b"] == 0


def test_outcomes_move_the_weights_that_brought_them():
    choices = made(np.zeros(2), 2000, 2)
    lessons = [Lesson(c, float(c.rows[c.chosen, 0]), 1) for c in choices]  # the outcome is trait a of what was chosen
    found = improve({}, lessons, nats=0.05)
    assert found["a"] > 0.2 and abs(found["b"]) < 0.25 * found["a"]
    assert improve({}, [Lesson(c, 3.0, 1) for c in choices]) == {"a": 0.0, "b": 0.0}  # nothing to prefer


def test_a_step_is_as_long_as_was_asked():
    choices = made(np.zeros(2), 3000, 3)
    found = improve({}, [Lesson(c, float(c.rows[c.chosen, 0]), 1) for c in choices], nats=0.01)
    w, kl = np.array([found[n] for n in NAMES]), []
    for c in choices:
        new = np.exp(c.rows @ w)
        kl.append(-np.log(new / new.sum()).mean() - np.log(len(new)))  # of the even shares from the new ones
    assert np.mean(kl) == pytest.approx(0.01, rel=0.15)


def test_a_generation_that_fared_better_is_not_preferred_for_that():
    """Outcomes that differ between generations only say nothing about choices."""
    first, second = made(np.zeros(2), 500, 4), made(np.array([2.0, 0.0]), 500, 5)
    lessons = [Lesson(c, 0.0, 1) for c in first] + [Lesson(c, 1.0, 2) for c in second]
    assert improve({}, lessons) == {"a": 0.0, "b": 0.0}


def test_choices_of_an_earlier_head_count_by_how_likely_this_one_makes_them():
    """By hand: two options, trait 1 and 0, weight w: p = 1 / (1 + e^-w). One choice of the second, drawn at even odds, outcome -1; its mirror, outcome +1."""
    rows = np.array([[1.0], [0.0]])
    lessons = [Lesson(Choice("tell", ("a",), rows, i, 0.5), 1.0 - 2 * i, 1) for i in (0, 1)] * 10
    w = 0.5
    p = 1 / (1 + np.exp(-w))
    slope = ((p / 0.5) * (1 - p) - ((1 - p) / 0.5) * (0 - p)) / 2
    fisher = p * (1 - p)
    way = slope / (fisher + 1e-3)
    expected = w + np.sqrt(2 * 0.1 / (way * fisher * way)) * way
    assert improve({"a": w}, lessons, nats=0.1)["a"] == pytest.approx(expected, abs=1e-5)


def test_what_nobody_drew_is_left_out():
    drawn = made(np.zeros(2), 100, 6)
    lessons = [Lesson(c, float(c.rows[c.chosen, 0]), 1) for c in drawn]
    fixed = [Lesson(Choice("tell", NAMES, c.rows, c.chosen, 1.0), -float(c.rows[c.chosen, 0]), 1) for c in made(np.zeros(2), 300, 7)]
    assert improve({}, lessons + fixed) == improve({}, lessons)


def test_what_was_not_drawn_is_learned_from_what_turned_out_well():
    """Whoever chose trait a highest was right: those choices are imitated, the others left out."""
    lessons = []
    for c in made(np.zeros(2), 400, 11):
        right = int(c.rows[:, 0].argmax()) == c.chosen
        lessons.append(Lesson(Choice("answer", NAMES, c.rows, c.chosen, 1.0), float(right), 1))
    found = filtered({}, lessons)
    assert found["a"] > 3 and abs(found["b"]) < 1
    assert learned({}, lessons) == found and filtered({"a": 1.0}, [Lesson(lessons[0].choice, 1.0, 1)] * 30) == {"a": 1.0}
    drawn = [Lesson(c, float(c.rows[c.chosen, 0]), 1) for c in made(np.zeros(2), 100, 12)]
    assert learned({}, drawn) == improve({}, drawn)


def test_too_little_to_learn_from_is_refused():
    few = made(np.zeros(2), 19, 8)
    with pytest.raises(ValueError, match="19 choices to learn from"):
        imitate(few)
    with pytest.raises(ValueError, match="with traits"):
        imitate([*made(np.zeros(2), 20, 9), Choice("tell", ("a", "c"), np.zeros((2, 2)), 0, 0.5)])
    with pytest.raises(ValueError, match="an outcome is no number"):
        improve({}, [Lesson(c, float("nan"), 1) for c in made(np.zeros(2), 30, 10)])
