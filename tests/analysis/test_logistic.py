"""The bounded regression against scikit-learn's, by closed form, and as data."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from analysis.logistic import Logistic, as_json, fit, from_json

PENALTY = 0.01


def rows(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 3)) * [1.0, 5.0, 0.2] + [0, 2, -1]
    return x, x[:, 0] - 0.3 * x[:, 1] + rng.normal(size=n) > 0.0


def test_without_bounds_it_is_scikit_learns():
    """Balanced classes of one group: mean loss + penalty |w|² is 1/C = 2 N penalty in scikit-learn's sum with class_weight balanced."""
    x, y = rows()
    share = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    z = StandardScaler().fit(x, sample_weight=share).transform(x)
    other = LogisticRegression(C=1 / (2 * len(y) * PENALTY), class_weight="balanced", tol=1e-8, max_iter=1000).fit(z, y)
    ours = fit(x, y, "abc", penalty=PENALTY, free=3)
    assert ours.weights == pytest.approx(other.coef_[0], abs=1e-3) and ours.bias == pytest.approx(other.intercept_[0], abs=1e-3)
    assert ours.logit(x) == pytest.approx(other.decision_function(z), abs=5e-3)


def test_a_bound_holds_and_is_scikit_learns_without_what_it_silences():
    x, y = rows()
    x = x[:, :2]
    bounded, alone = fit(x, y, "ab", penalty=PENALTY), fit(x[:, :1], y, "a", penalty=PENALTY)
    assert bounded.weights[1] == 0 and bounded.weights[0] == pytest.approx(alone.weights[0], abs=1e-3)


def test_two_points_by_hand():
    """x = ±1, the loss ln(1 + e^-w) + p w² is least where 1/(1 + e^w) = 2 p w."""
    found = fit(np.array([[1.0], [-1.0]]), [True, False], ["x"], penalty=0.1, standardise=False)
    (w,) = found.weights
    assert 1 / (1 + math.exp(w)) == pytest.approx(0.2 * w, abs=1e-5) and found.bias == pytest.approx(0, abs=1e-6) and (found.mean, found.scale) == ((0.0,), (1.0,))


def test_every_group_and_kind_counts_alike():
    """Doubling the rows of one kind of one group changes nothing."""
    x, y = rows(60)
    group = ["a"] * 20 + ["b"] * 40
    again = np.flatnonzero(y & (np.array(group) == "b"))
    more = fit(np.concatenate([x, x[again]]), np.concatenate([y, y[again]]), "abc", penalty=PENALTY, group=[*group, *["b"] * len(again)], free=3)
    assert more.weights == pytest.approx(fit(x, y, "abc", penalty=PENALTY, group=group, free=3).weights, abs=1e-4)


@pytest.mark.parametrize(("x", "y", "why"), [
    (np.zeros((4, 1)), [True] * 4, "4 positives among 4"), (np.zeros((4, 1)), [False] * 4, "0 positives"), (np.zeros((0, 1)), [], "0 positives"),
    (np.full((4, 1), np.nan), [True, False] * 2, "expected a finite row"), (np.zeros((4, 1)), [True], "for 1 rows"), (np.zeros((2, 2)), [True, False], "expected a finite row of 1"),
])  # fmt: skip
def test_what_teaches_nothing_is_refused(x, y, why):
    with pytest.raises(ValueError, match=why):
        fit(x, y, ["x"], penalty=PENALTY)


def test_a_model_is_data_and_a_damaged_one_is_refused():
    model = Logistic(names=("a", "b"), mean=(0.0, 1.0), scale=(1.0, 2.0), weights=(0.5, 0.0), bias=-1.0)
    assert from_json(json.loads(json.dumps(as_json(model))), "abc") == model
    assert model.logit([[2.0, 5.0], [0.0, 1.0]]).tolist() == [0.0, -1.0]
    good = as_json(model)
    for wrong, why in (
        ([], "a list where"), ({k: v for k, v in good.items() if k != "bias"}, "lacks bias"), ({**good, "names": ["a", "z"]}, "does not have"), ({**good, "names": ["a", "a"]}, "twice"),
        ({**good, "weights": [0.5]}, "weights: 1 numbers for 2"), ({**good, "weights": [0.5, -0.1]}, "below 0"), ({**good, "scale": [1.0, 0.0]}, "above 0"),
        ({**good, "bias": float("nan")}, "bias: expected numbers"), ({**good, "mean": [1e9, 0]}, "mean: expected numbers"), ({**good, "mean": [True, 0]}, "mean: expected"),
        ({**good, "free": 3}, "free is 3"), ({**good, "weights": "ab"}, "weights: 0 numbers"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            from_json(wrong, "abc")
    assert from_json({**good, "weights": [0.5, -0.1], "free": 1}, "abc").weights[1] == -0.1
