"""Features by hand, a detector that only learns what it may, and never reads an intent."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis import liars
from analysis.benches.planted_games import game
from analysis.evidence import Evidence
from analysis.liars import FEATURES, features, fit, read_model, two_ways, write_model
from analysis.metrics import AnalysisError
from analysis.spoken import Word


def word(author="S1", to="S2", about="price of round 0", said="1.80", kept=True, **more):
    given = {"off": 0.0 if kept else 0.5, "hurts": not kept, "meant": None, "step": 1, "message": "m", "kind": "promise"} | more
    return Word(author=author, to=(to,), about=about, said=said, kept=kept, **given)


def test_features_by_hand():
    """Three words, two of them not so, about one thing, and told two ways; the other said one, which was so, and had one opinion, unfounded by 0.75,
    of somebody's role. How it leans on a vote is nobody's business."""
    found = [word(kept=False), word(to="S3", said="1.70", kept=False, hurts=False, off=-3.0), word(about="price of round 1")]
    found += [word("S2", "S1"), word("S2", "S3", "role of S1", kind="statement", kept=False, off=0.75, opinion=True), word("S2", "S3", "vote 0", kept=False, opinion=True)]
    one, other = features(found, ["S1", "S2"])
    assert one == pytest.approx([2 / 4, 1 / 4, 1.5 / 4, 1.0, 0, 0, np.log(3), np.log(2), np.log(2), 2 / 4, 1 / 4, 0.375 - 0.25, 0.25, -1 / 2, -0.375])
    assert other == pytest.approx([0, 0, 0.75 / 3, 0.75, 1 / 2, 0.375, 0, 0, 0, -2 / 4, -1 / 4, -0.125, -0.25, 1 / 2, 0.375])
    assert len(one) == len(FEATURES)


def test_what_was_taken_back_is_held_against_nobody():
    assert (features([word(kept=False, stands=False)], ["S1"]) == features([], ["S1"])).all() and (features([], ["S1"]) == 0).all()
    assert two_ways([word(), word(to="S3"), word(to="S4", said="1.60")]) == 2


def test_a_detector_learns_no_coefficient_below_nought_and_every_world_counts_alike():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    liar = x[:, 0] - x[:, 1] + 0.3 * rng.standard_normal(300) > 0
    model = fit(x, liar, ["a"] * 150 + ["b"] * 150, ("one", "two", "three"))
    weights = model.regression.weights
    assert weights[0] > 0.5 and min(weights) >= 0 and weights[1] == 0 and model.worlds == ("a", "b")
    free = fit(x, liar, ["a"] * 300, ("one", "two", "three"), free=2)
    assert free.regression.weights[1] < -0.5 and (free.logit(x) > 0).astype(bool)[liar].mean() > 0.9
    same = fit(np.column_stack([x[:, 0], np.ones(300)]), liar, ["a"] * 300, ("one", "same"))
    assert abs(same.logit(np.array([[0.0, 2.0]]))[0]) < 50  # what never varied says nothing elsewhere


@pytest.mark.parametrize(
    ("x", "liar"), [(np.zeros((4, 2)), [False] * 4), (np.zeros((4, 2)), [True] * 4), (np.full((4, 2), np.nan), [True, False] * 2), (np.zeros((4, 2)), [True])]
)
def test_nothing_is_learned_from_one_kind_or_from_nothing(x, liar):
    with pytest.raises(AnalysisError, match="positives among|expected a finite row"):
        fit(x, np.array(liar), ["a"] * 4)


def test_a_detector_is_data_and_refuses_a_world_it_does_not_know(tmp_path):
    model = read_model(liars.MODEL)
    write_model(model, tmp_path / "m.json")
    assert read_model(tmp_path / "m.json", "market") == model and set(model.worlds) == {"diplomacy", "hidden_roles", "market", "team_task"}
    with pytest.raises(AnalysisError, match="it has learned from .*, not from chess; train it"):
        read_model(tmp_path / "m.json", "chess")
    told = json.loads((tmp_path / "m.json").read_text())
    for wrong in ({**told, "v": 9}, {**told, "weights": told["weights"][:-1]}, {**told, "scale": [0.0] * len(told["scale"])}, [], {**told, "bias": "x"}):
        (tmp_path / "w.json").write_text(json.dumps(wrong))
        with pytest.raises(AnalysisError, match="not a detector of liars"):
            read_model(tmp_path / "w.json")


@pytest.mark.parametrize("world", ["market", "team_task"])
def test_a_planted_liar_scores_highest_and_no_intent_is_read(world):
    one = game(world, 11)
    evidence = Evidence(one.events, world)
    found = {s.who[0]: s.value for s in liars.scores(evidence) if s.measure == "liar"}
    (liar,) = one.liars(executed=True)
    assert max(found, key=found.get) == liar and set(found) == set(evidence.agents)
    blind = tuple(replace_intent(e) for e in one.events)
    assert world != "team_task" or not any("private" in str(e.data) for e in evidence.events)  # nor what only the case tells
    assert {s.who[0]: s.value for s in liars.scores(replace(evidence, events=blind)) if s.measure == "liar"} == found


def replace_intent(event):
    return event._replace(data={"intent": {"1.00": 1.0}}) if event.kind == "intent" else event


def test_logs_that_say_nothing():
    one = game("market", 11, lying=False, rounds=2)
    early = Evidence(one.events, "market").until(1)
    assert all(np.isfinite(s.value) for s in liars.scores(early)) and liars.scores(Evidence((), "market")) == []


def test_standard_scores_of_a_run():
    x = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, 2.0]])
    assert liars._standard(x).tolist() == [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


def test_what_an_observer_makes_of_their_words_is_told_within_the_run():
    one = game("market", 11, rounds=3)
    agents = sorted(one.labels["agents"])
    seen = liars.observed(one.events, agents, "base")
    assert seen.shape == (len(agents), 3) and np.isfinite(seen).all() and np.allclose(seen.mean(0), 0, atol=1e-9) and (seen.std(0) > 0.5).all()
