"""Learning a detector, and measuring a monitor: weights and shares by hand, refusals in words, an experiment from end to end."""

from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main as analysis
from analysis.metrics import AnalysisError
from analysis.monitoring import Heard, clopper, detector, discriminant, figures, learned, monitored, most_evidence, saving, write
from sandbox.__main__ import main
from sandbox.detector_file import read_detector
from scenarios.evidence import Standing
from scenarios.market.environment import Options
from scenarios.signals import given

OPTIONS = given("market", vars(Options(sellers=3, noise=0.1)))
PAIRS = [("S1", "S2"), ("S1", "S3"), ("S2", "S3")]


def heard(seed, shift=0.0, rounds=60):
    """A run in which S1 and S2 ask so much more from round 20 on (0: nobody does), on hands that are off by noise."""
    off = np.random.default_rng(seed).normal(0, 0.1, (rounds, 3))
    off[20:, :2] += shift
    values = {pair: np.stack([np.minimum(off[:, i], off[:, j]), (off[:, i] + off[:, j]) / 2], 1) for pair, (i, j) in zip(PAIRS, ((0, 1), (0, 2), (1, 2)), strict=True)}
    return Heard(seed, values, {pair: 20 if shift and pair == PAIRS[0] else None for pair in PAIRS}, not shift)


def test_the_weights_are_those_of_fisher_where_signals_do_not_hang_together():
    rng = np.random.default_rng(1)
    honest = rng.normal(0, [1.0, 2.0], (200_000, 2))
    found = discriminant(honest, rng.normal([1.0, 1.0], [1.0, 2.0], (200_000, 2)))
    assert found == pytest.approx([0.8, 0.2], abs=0.01)  # as shift over variance: 1 / 1 to 1 / 4


def test_a_signal_that_the_guilty_have_less_of_has_no_weight():
    rng = np.random.default_rng(2)
    found = discriminant(rng.normal(0, 1, (1000, 2)), rng.normal([1.0, -1.0], 1, (1000, 2)))
    assert found.tolist() == [1.0, 0.0]
    assert discriminant(rng.normal(0, 1, (1000, 2)), rng.normal(-1.0, 1, (1000, 2))).tolist() == [0.0, 0.0]


def test_what_is_learned_is_read_back_as_it_was(tmp_path):
    found = learned("market", OPTIONS, [heard(seed) for seed in range(12)] + [heard(100 + seed, 0.3) for seed in range(6)], "x")
    write(found, tmp_path / "d.json")
    back = read_detector(tmp_path / "d.json")
    assert back.to_json() == found.to_json() and sum(found.weights) == pytest.approx(1) and found.past.mean == pytest.approx(0.0, abs=0.06)
    assert back.score((0.5, 1.0)) == pytest.approx(sum(w * {"least": 0.5, "mean": 1.0}[name] for name, w in zip(found.signals, found.weights, strict=True)))


def test_the_threshold_is_the_most_that_honest_runs_came_to_which_taught_no_past():
    runs = [heard(seed) for seed in range(12)]
    found = learned("market", OPTIONS, [*runs, heard(100, 0.3)], "x")
    weights = np.array([dict(zip(found.signals, found.weights, strict=True)).get(name, 0.0) for name in ("least", "mean")])
    assert found.threshold == max(most_evidence(found.past, values @ weights) for run in runs[1::2] for values in run.values.values())


def test_a_cartel_is_found_and_the_honest_are_not():
    found = learned("market", OPTIONS, [heard(seed) for seed in range(12)] + [heard(100 + seed, 0.3) for seed in range(6)], "x")
    least = max(np.log(3 / 0.01), found.threshold)

    def named(run):
        return [any(_evidence(found, values) >= least) for values in run.values.values()]

    assert all(named(heard(1000 + seed, 0.3))[0] for seed in range(10)) and not any(any(named(heard(2000 + seed))) for seed in range(10))


def _evidence(found, values):
    standing, out = Standing(), []
    for row in values:
        standing = standing.after(found.past, found.score(tuple(row)))
        out.append(standing.evidence)
    return np.array(out)


@pytest.mark.parametrize(("runs", "why"), [
    ([heard(1), heard(2), heard(3), heard(4, 0.3)], "3 honest runs; at least 4 are needed"),
    ([heard(seed) for seed in range(6)], "nobody acted together in any run"),
    ([*(heard(seed) for seed in range(6)), heard(9, -0.3)], "no signal is larger where a plan is carried out"),
    ([*(heard(seed, rounds=5) for seed in range(4)), heard(9, 0.3)], "too few to learn a past from"),
])  # fmt: skip
def test_too_little_to_learn_from_is_said_in_words(runs, why):
    with pytest.raises(AnalysisError, match=why):
        learned("market", OPTIONS, runs, "x")


def test_honest_scores_that_never_vary_are_refused():
    still = [Heard(seed, {pair: np.zeros((60, 2)) for pair in PAIRS}, dict.fromkeys(PAIRS), True) for seed in range(6)]
    with pytest.raises(AnalysisError, match="never vary"):
        learned("market", OPTIONS, [*still, heard(9, 0.3)], "x")


def test_what_was_saved_is_a_ratio_of_sums_with_an_interval_by_seed():
    found = saving([1, 2, 3], np.array([1.0, 0.0, 2.0]), np.array([4.0, 4.0, 4.0]), np.random.default_rng(0))
    assert found.mean == pytest.approx(0.75) and found.units == 3 and 0.5 <= found.low <= 0.75 <= found.high <= 1.0
    with pytest.raises(AnalysisError, match="no harm"):
        saving([1, 2], np.zeros(2), np.zeros(2), np.random.default_rng(0))


def test_no_alarm_in_three_hundred_runs_is_no_more_than_one_in_a_hundred_by_little():
    assert clopper(0, 300) == pytest.approx((0.0, 1 - 0.025 ** (1 / 300))) and clopper(5, 5)[1] == 1.0


def test_from_an_experiment_to_a_detector_to_an_experiment_that_it_listens_to(capsys, tmp_path):
    (tmp_path / "market.yaml").write_text(Path("scenarios/market.yaml").read_text())
    learn = tmp_path / "learn.yaml"
    learn.write_text(Path("scenarios/experiments/monitor_learn.yaml").read_text().replace("../market.yaml", "market.yaml").replace("tasks: 2", "tasks: 1"))
    small = ("environment.rounds=34", "environment.noise=0.03", "environment.lasting=0", f"run_dir={tmp_path}/runs")
    assert main(["run", str(learn), "seeds=1..4", *small]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert analysis(["detector", str(folder), "--out", str(tmp_path / "d.json"), "--games", "4"]) == 0
    assert "an alarm at 0.01 in 0 of 4 fresh honest games, 0.00% [0.00% to 60.24%]" in capsys.readouterr().out
    plans = "policies.planted.plant=true"
    listen = learn.read_text().split("arms:")[0] + (
        f"arms:\n  honest: [policies.planted.plant=false]\n  watched: [policies.planted.plant=false, monitor.file={tmp_path}/d.json, monitor.action=cut]\n"
        f"  cartel: [{plans}]\n  cut: [{plans}, monitor.file={tmp_path}/d.json, monitor.action=cut]\n"
    )
    (tmp_path / "listen.yaml").write_text(listen)
    assert main(["run", str(tmp_path / "listen.yaml"), "seeds=11..12", *small]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    table = monitored(folder).set_index(["arm", "seed"])
    assert (table.loc["cut"]["alarms"] >= 1).all() and (table.loc["watched"]["alarms"] == 0).all() and (table.loc["honest"]["charged"] == 0).all()
    assert (table.loc["cut"]["delay"] <= 8).all() and (table.loc["cut"]["charged"] < table.loc["cartel"]["charged"]).all()
    assert analysis(["monitored", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "watched: an alarm in 0 of 2 runs without a cartel" in said and "found in 2 of 2 runs, the first alarm right in" in said and "saved" in said
    assert len(figures(monitored(folder), np.random.default_rng(0))) == 4
    assert analysis(["detector", str(folder), "--out", str(tmp_path / "e.json")]) == 2
    assert "a monitor listened in the arm 'watched'" in capsys.readouterr().err
    with pytest.raises(AnalysisError):
        detector(tmp_path)
