"""Alarms: ranks that are uniform under the null, evidence that is fair under it, and pasts that are learned."""

import numpy as np
import pytest
from scipy.stats import kstest

from analysis.alarms import Past, alarm_at, conformal, e_process


def rng(seed=0):
    return np.random.default_rng(seed)


def series(rho, length, draw, shift=0.0, mean=0.0):
    """An AR(1) of unit spread."""
    x, out = draw.normal(), []
    for _ in range(length):
        x = rho * x + np.sqrt(1 - rho**2) * draw.normal()
        out.append(mean + x + shift)
    return np.array(out)


def test_conformal_p_values_by_hand():
    assert conformal([5.0, 2.5, 0.0], [1.0, 2.0, 3.0, 4.0]).tolist() == [0.2, 0.6, 1.0]
    assert conformal(2.0, [2.0, 2.0, 2.0]).tolist() == [1.0]  # all alike: nothing is strange
    with pytest.raises(ValueError, match="at least one honest game"):
        conformal([1.0], [])


def test_conformal_p_values_of_honest_scores_are_uniform_even_with_ties():
    draw = rng(1)
    p = [conformal(float(s[0]), s[1:], draw)[0] for s in (np.round(draw.normal(size=40), 1) for _ in range(3000))]
    assert kstest(p, "uniform").pvalue > 0.01
    careful = [conformal(float(s[0]), s[1:])[0] for s in (np.round(draw.normal(size=40), 0) for _ in range(2000))]
    assert np.mean(np.array(careful) <= 0.05) <= 0.065  # never too small, but for what 2,000 draws may err by


def test_evidence_has_an_expectation_of_one_under_the_null():
    after = [e_process(rng(seed).normal(size=3), rates=(0.5,))[-1] for seed in range(20_000)]
    assert np.mean(after) == pytest.approx(1.0, abs=0.03)
    assert e_process([1.0], rates=(0.5,)).tolist() == pytest.approx([np.exp(0.375)])
    assert e_process([]).tolist() == [] and alarm_at([]) is None


def test_a_past_is_learned_and_what_it_foretells_is_no_evidence():
    """A null that hangs together alarms far too often by its ranks alone, and as promised given its past."""
    honest = [series(0.6, 200, rng(seed), mean=3.0) for seed in range(100)]
    past = Past.of(honest)
    assert past.mean == pytest.approx(3.0, abs=0.05) and past.weights[0] == pytest.approx(0.6, abs=0.03) and past.spread == pytest.approx(0.8, abs=0.02)
    fresh = [series(0.6, 200, rng(10_000 + seed), mean=3.0) for seed in range(400)]
    naive = np.mean([alarm_at(e_process(x - 3.0)) is not None for x in fresh])
    given = np.mean([alarm_at(e_process(past.surprises(x))) is not None for x in fresh])
    assert naive > 0.2 and given <= 0.07  # at most 0.05 promised; 0.07 is two standard errors of 400 above


def test_a_shift_is_found_and_the_moment_told():
    past = Past.of([series(0.3, 200, rng(seed)) for seed in range(50)])
    found = [alarm_at(e_process(past.surprises(np.concatenate([series(0.3, 50, rng(s)), series(0.3, 150, rng(s + 500), shift=1.0)])))) for s in range(100)]
    late = [at for at in found if at is not None and at >= 50]
    assert len(late) > 90 and np.median(late) < 110


def test_a_series_that_never_varies_gives_a_defined_value():
    past = Past.of([np.ones(100)] * 3)
    assert past.surprises(np.ones(10)).tolist() == [0.0] * 10 and e_process(past.surprises(np.ones(1000)))[-1] < 1


def test_evidence_of_any_size_stays_finite():
    assert np.isfinite(e_process(np.full(100_000, 10.0))).all() and np.isfinite(e_process(np.full(100_000, -10.0))).all()


@pytest.mark.parametrize("honest", [[[1.0, 2.0]], [[float("nan")] * 100], []])
def test_too_little_or_broken_to_learn_from_is_refused(honest):
    with pytest.raises(ValueError, match="past"):
        Past.of(honest)


def test_the_first_scores_of_a_game_are_no_evidence_of_what_is_not_known_of_them():
    """A null that hardly moves begins far from its mean: that is its past, not a deviation from it."""
    past = Past.of([series(0.95, 200, rng(seed)) for seed in range(100)])
    alarms = [alarm_at(e_process(past.surprises(series(0.95, 40, rng(20_000 + seed))))) is not None for seed in range(600)]
    assert np.mean(alarms) <= 0.068  # 0.05 promised, two standard errors of 600
