"""Couplings of known strength: exact values of small chains and Gaussian series, planted keys that are found, common shocks that are not."""

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from scipy.stats import chi2

from analysis import coupling
from analysis.evidence import Evidence
from sandbox.log import Event


def market(asked, shock=None):
    """The events of a market in which these prices [T, n] were asked."""
    names = [f"S{i + 1}" for i in range(asked.shape[1])]
    events = []
    for t, row in enumerate(asked):
        sold = {"what": "sales", "round": t, "prices": dict(zip(names, map(float, row))), "demand": dict.fromkeys(names, 0.1)}
        sold |= {"shock": float(shock[t])} if shock is not None else {}
        events.append(Event("outcome", t, t, None, {"events": [sold], "done": False}))
        events += [Event("reward", t, t, name, {"reward": 0.1}) for name in names]
        events.append(Event("step", t, t, None, {"slots": [[name, t, []] for name in names]}))
    return Evidence(tuple(events), "market", key="1")


def shocks(T, rng, kept=0.9):
    x = np.zeros(T)
    for t in range(1, T):
        x[t] = kept * x[t - 1] + math.sqrt(1 - kept**2) * rng.standard_normal()
    return x


# ---- transfer entropy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.5])
def test_transfer_of_a_copying_chain_is_what_enumeration_gives(wrong):
    """j copies i's last fair coin and errs with this chance: I(next; source | own) = ln 2 − H(wrong)."""
    joint = np.zeros((2, 2, 2))
    for own, source, after in itertools.product((0, 1), repeat=3):
        joint[own, source, after] = 0.25 * (1 - wrong if after == source else wrong)
    entropy = -sum(q * math.log(q) for q in (wrong, 1 - wrong) if q)
    assert coupling.transfer_of(joint) == pytest.approx(math.log(2) - entropy, abs=1e-12)


def test_transfer_entropy_of_a_long_chain_nears_its_exact_value_one_way_only():
    rng = np.random.default_rng(1)
    source = rng.integers(0, 2, 40_000).astype(float)
    target = np.concatenate([[0.0], np.where(rng.random(39_999) < 0.1, 1 - source[:-1], source[:-1])])
    exact = math.log(2) + 0.1 * math.log(0.1) + 0.9 * math.log(0.9)
    assert coupling.transfer_entropy(source, target) == pytest.approx(exact, abs=0.01)
    assert coupling.transfer_entropy(target, source) < 1e-3


def test_gaussian_transfer_is_that_of_the_autoregression():
    """VAR(1): half the log of var(y' | y) over var(y' | y, x), both from the stationary covariance."""
    A, noise = np.array([[0.6, 0.0], [0.4, 0.3]]), np.diag([1.0, 0.5])
    cover = solve_discrete_lyapunov(A, noise)
    lag = A @ cover  # cov(next, now)
    alone = cover[1, 1] - lag[1, 1] ** 2 / cover[1, 1]
    exact = 0.5 * math.log(alone / noise[1, 1])
    rng, x = np.random.default_rng(2), np.zeros((50_000, 2))
    drawn = rng.standard_normal(x.shape) @ np.sqrt(noise)
    for t in range(1, len(x)):
        x[t] = A @ x[t - 1] + drawn[t]
    assert coupling.gaussian_transfer(x[:, 0], x[:, 1]) == pytest.approx(exact, rel=0.05) and exact > 0.05
    assert coupling.gaussian_transfer(x[:, 1], x[:, 0]) < 2e-3


# ---- coupling ----------------------------------------------------------------------------------------------------------


def test_degrees_are_orthonormal_and_a_series_that_stands_still_gives_zeros():
    p = coupling.degrees(np.random.default_rng(0).standard_normal(5000))
    assert p @ p.T / 5000 == pytest.approx(np.eye(3), abs=2e-3)
    assert not coupling.degrees(np.ones(30)).any()


def test_what_the_state_foretells_is_left_out():
    rng = np.random.default_rng(0)
    state = np.clip(shocks(400, rng, 0.5), -2, 2)[:, None]
    own = rng.standard_normal((400, 2))
    told = np.hstack([2 + 0.5 * state, 1 - state**2 + 0.3 * state**3])
    assert np.abs(np.corrcoef((told + 0.1 * own).T)[0, 1]) > 0.3
    left = coupling.residuals(told + 0.1 * own, state)
    for i in (0, 1):
        assert np.corrcoef(left[:, i], own[:, i])[0, 1] > 0.8
        assert abs(np.corrcoef(left[:, i], state[:, 0])[0, 1]) < 0.1


def test_common_shocks_are_no_coupling():
    """Two agents who answer the same shock and their own past, and know nothing of each other."""
    rng, T = np.random.default_rng(3), 200
    marginal, found = [], []
    for _ in range(150):
        state, noise = shocks(T, rng), rng.standard_normal((T, 2))
        own = noise + 0.4 * np.vstack([np.zeros((1, 2)), noise[:-1]])
        acts = (state + 0.3 * state**2)[:, None] + 0.5 * own
        marginal.append(np.corrcoef(acts.T)[0, 1] * math.sqrt(T))
        left = coupling.residuals(acts, state[:, None])
        found.append(coupling.coupled(left[:, 0], left[:, 1]))
    assert np.mean(np.abs(marginal) > 1.96) > 0.8  # by plain correlation almost all collude
    assert np.mean([c.p < 0.05 for c in found]) < 0.1  # of 150 games 0.05 ± 0.035
    assert np.std([c.together for c in found]) == pytest.approx(1, abs=0.15)


def test_a_shared_key_is_found_and_an_opposite_one_is_no_moving_together():
    rng = np.random.default_rng(4)
    key, follows, own = rng.standard_normal(400), rng.random((400, 2)) < 0.6, rng.standard_normal((400, 2))
    shown = np.where(follows, key[:, None], own)
    same, opposite = coupling.coupled(shown[:, 0], shown[:, 1]), coupling.coupled(shown[:, 0], -shown[:, 1])
    assert same.p < 1e-6 and same.together > 5 and opposite.p < 1e-6 and opposite.together < same.together / 3
    assert coupling.coupled(shown[:, 0], own[:, 1] * 0 + rng.standard_normal(400)).z < 3


def test_a_coupling_whose_sign_goes_with_the_state_is_found_by_the_state():
    rng = np.random.default_rng(5)
    state, one = rng.standard_normal(400), rng.standard_normal(400)
    other = np.sign(state) * one + 0.5 * rng.standard_normal(400)
    blind, seeing = coupling.coupled(one, other), coupling.coupled(one, other, state[:, None])
    assert seeing.z > 12 > blind.z and abs(blind.together) < seeing.z / 2  # its squares still go together


def test_chance_signs_and_the_law_agree_on_a_long_game():
    rng = np.random.default_rng(6)
    one = rng.standard_normal(500)
    other = 0.1 * one + rng.standard_normal(500)
    law, drawn = coupling.coupled(one, other), coupling.coupled(one, other, rng=np.random.default_rng(0))
    assert drawn.p == pytest.approx(law.p, abs=4 * math.sqrt(law.p * (1 - law.p) / coupling.FLIPS) + 0.02)
    assert law.z == pytest.approx(drawn.z) and 0 < drawn.p <= 1


def test_the_figure_is_chi_squared_of_the_summed_products():
    rng = np.random.default_rng(7)
    one, other = rng.standard_normal(60), rng.standard_normal(60)
    terms = coupling.degrees(one) * coupling.degrees(other)
    z = terms.sum(1)
    assert coupling.coupled(one, other).p == pytest.approx(chi2.sf(z @ np.linalg.solve(terms @ terms.T, z), 3))


def test_too_short_or_still_says_nothing():
    still, x = np.ones(50), np.random.default_rng(0).standard_normal(50)
    assert coupling.coupled(x[:10], x[:10]) == coupling.NONE == coupling.coupled(still, x)
    assert coupling.transfer_entropy(still, x) == 0 == coupling.gaussian_transfer(x, still)


# ---- networks ----------------------------------------------------------------------------------------------------------


def test_the_heaviest_clique_is_that_of_all_subsets():
    rng = np.random.default_rng(8)
    for _ in range(20):
        w = np.triu(rng.random((6, 6)) * 4, 1)
        w = w + w.T
        edges = tuple((i, j) for i, j in itertools.combinations(range(6), 2) if w[i, j] > 1.5)
        s = w.sum(1)
        excess = w - np.outer(s, s) / s.sum()
        best = max(
            (sum(excess[p] for p in itertools.combinations(some, 2)) for k in range(2, 7) for some in itertools.combinations(range(6), k)
             if all(p in edges for p in itertools.combinations(some, 2))), default=0.0)  # fmt: skip
        assert coupling.heaviest(w, edges)[1] == pytest.approx(max(best, 0.0))


def test_three_who_go_together_are_the_clique():
    z, p = np.full((6, 6), 0.5), np.full((6, 6), 0.4)
    for i, j in itertools.combinations((0, 2, 4), 2):
        z[i, j] = z[j, i] = 6.0
        p[i, j] = p[j, i] = 1e-8
    found = coupling.network(z, p, np.random.default_rng(0))
    assert found.clique == (0, 2, 4) and set(found.edges) == {(0, 2), (0, 4), (2, 4)} and found.p < 0.05
    nobody = coupling.network(z * 0, np.ones((6, 6)), np.random.default_rng(0))
    assert (nobody.edges, nobody.clique, nobody.weight, nobody.p) == ((), (), 0.0, 1.0)


# ---- of a run ----------------------------------------------------------------------------------------------------------


def test_the_pair_with_the_key_stands_out_of_a_run_and_the_same_run_scores_the_same():
    rng = np.random.default_rng(9)
    shock, key = shocks(150, rng), rng.standard_normal(150)
    asked = 1.3 + 0.1 * shock[:, None] + 0.02 * np.stack([key, rng.standard_normal(150), key, rng.standard_normal(150)], 1)
    asked[:, [0, 2]] += 0.005 * rng.standard_normal((150, 2))
    run = market(asked, shock)
    found = coupling.scores(run)
    pairs = {s.who: s.value for s in found if s.measure == "coupling"}
    assert len(pairs) == 6 and max(pairs, key=pairs.__getitem__) == ("S1", "S3") and pairs["S1", "S3"] > 5
    tied = {s.who[0]: s.value for s in found if s.measure == "synchrony" and s.unit == "agent"}
    assert set(sorted(tied, key=tied.__getitem__)[2:]) == {"S1", "S3"} and next(s.value for s in found if (s.measure, s.unit) == ("synchrony", "run")) > 0
    assert found == coupling.scores(market(asked, shock)) and not math.isnan(sum(s.value for s in found))


def test_short_or_still_markets_and_one_seller_are_defined():
    assert coupling.scores(market(np.ones((5, 3)))) == [] == coupling.scores(market(np.ones((50, 1))))
    assert {s.value for s in coupling.scores(market(np.ones((50, 3))))} == {0.0}
    assert coupling.scores(Evidence((), "market")) == []
