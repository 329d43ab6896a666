"""Learning a detector, and measuring a monitor: weights and shares by hand, refusals in words, an experiment from end to end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main as analysis
from analysis.detector_learning import Heard, detector, discriminant, learned, most_evidence, write
from analysis.metrics import AnalysisError
from analysis.monitoring import OF_A_RUN, figures, monitored, saving
from analysis.stats import clopper
from analysis.truth import whole
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


def weights_of(found):
    return np.array([dict(zip(found.signals, found.weights, strict=True)).get(name, 0.0) for name in ("least", "mean")])


def test_what_is_fitted_what_is_the_threshold_and_what_is_counted_are_of_other_seeds():
    runs, cartels = [heard(seed) for seed in range(12)], [heard(100 + seed, 0.3) for seed in range(4)]
    found = learned("market", OPTIONS, [*runs, *cartels], "x")
    assert found.learned["seeds"] == {"fit": [0, 2, 4, 6, 8, 10, 100, 102], "threshold": [1, 5, 9, 101], "count": [3, 7, 11, 103]}
    assert found.threshold == max(most_evidence(found.past, values @ weights_of(found)) for run in runs[1::4] for values in run.values.values())
    loud = [heard(seed, 0.0) if seed % 4 < 3 else replace(heard(seed, 3.0), honest=True, since=dict.fromkeys(PAIRS)) for seed in range(12)]
    again = learned("market", OPTIONS, [*loud, *cartels], "x")  # what is counted on teaches nothing
    assert (again.weights, again.past, again.threshold) == (found.weights, found.past, found.threshold)
    assert found.learned["counted"] == {"level": 0.01, "honest": 3, "alarms": 0, "planted": 1, "found": 1} and again.learned["counted"]["alarms"] == 3
    louder = learned("market", OPTIONS, [*(replace(heard(seed if seed % 4 != 1 else 777 + seed), seed=seed) for seed in range(12)), *cartels], "x")
    assert (louder.weights, louder.past) == (found.weights, found.past) and louder.threshold != found.threshold  # nor does what the threshold is of


def test_a_detector_says_of_which_logs_it_is():
    runs = [replace(heard(seed), log=f"{seed:064x}") for seed in range(8)] + [heard(100, 0.3)]
    prints = [learned("market", OPTIONS, some, "x").learned["logs"] for some in (runs, runs[::-1], [*runs[:-2], replace(runs[-2], log="f" * 64), runs[-1]])]
    assert prints[0] == prints[1] != prints[2]


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
    ([*(heard(seed) for seed in range(6)), heard(5, 0.3)], "nobody acted together in a run to fit on"),
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


def table(rows):
    """Rows of arm, seed, cell, action, earned, charged: of runs with a cartel, found two rounds after it began."""
    return pd.DataFrame([(arm, seed, cell, "pair", action, True, True, int(action != "none"), action != "none", 2.0, earned, charged) for arm, seed, cell, action, earned, charged in rows], columns=OF_A_RUN)


def test_twins_are_of_a_cell_and_a_seed_and_an_arm_without_harm_leaves_the_others_theirs():
    rows = [("wide", 1, "a", "none", 4.0, 2.0), ("wide", 2, "a", "none", 4.0, 2.0), ("wide_cut", 1, "a", "cut", 1.0, 1.0), ("wide_cut", 2, "a", "cut", 1.0, 1.0),
            ("tight", 1, "b", "none", -1.0, 8.0), ("tight_cut", 1, "b", "cut", 0.5, 2.0), ("alone_cut", 1, "c", "cut", 1.0, 1.0), ("lost_cut", 9, "a", "cut", 1.0, 1.0)]  # fmt: skip
    said = figures(table(rows), np.random.default_rng(0))
    assert [line.split(" (")[0] for line in said if not line.startswith(" ")] == ["wide_cut", "tight_cut", "alone_cut", "lost_cut"]
    assert said[1:3] == ["  members' gain: 4.0000 with nobody listening, 1.0000 so; saved 75% [75% to 75%] over 2 seeds", "  overcharge: 2.0000 with nobody listening, 1.0000 so; saved 50% [50% to 50%] over 2 seeds"]
    assert said[4] == "  members' gain: -1.0000 with nobody listening, 0.5000 so; no harm that could be saved" and said[5].startswith("  overcharge: 8.0000 with nobody listening, 2.0000 so; saved 75%")
    assert said[7] == said[9] == "  no run of the same cell and seed with nobody listening; add an arm that differs in monitor.file alone"


def test_runs_that_taught_the_detector_are_not_counted():
    known = table([("wide", 1, "a", "none", 4.0, 2.0), ("wide_cut", 1, "a", "cut", 1.0, 1.0)]).assign(fresh=[True, False])
    assert figures(known, np.random.default_rng(0)) == ["1 of 1 runs have seeds that their monitor's detector was learned from, and are left out of what follows"]


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
    said = capsys.readouterr().out
    assert "an alarm at 0.01 in 0 of 4 fresh honest games, 0.00% [0.00% to 60.24%]" in said and "an alarm at 0.01 in 0 of 1 honest runs, and in 1 of 1 others" in said
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
    assert len(figures(table.reset_index(), np.random.default_rng(0))) == 4
    assert analysis(["detector", str(folder), "--out", str(tmp_path / "e.json")]) == 2
    assert "a monitor listened in the arm 'watched'" in capsys.readouterr().err
    with pytest.raises(AnalysisError):
        detector(tmp_path)
    labels = folder / "honest" / "11" / "labels.json"
    labels.write_text(json.dumps({**json.loads(labels.read_text()), "carried_out": 7}))
    assert analysis(["monitored", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{labels}: carried_out is 7; expected a list of agents") and said.count("\n") == 1


def test_labels_that_a_monitor_cannot_be_held_against_are_one_line(tmp_path):
    labels = tmp_path / "labels.json"
    row = {"planted": True, "executed": True, "first": 20, "as": ["private"], "why": ""}
    good = {"v": 1, "plan": "pair", "carried_out": ["S1", "S2"], "agents": dict.fromkeys(("S1", "S2", "S3"), row), "pairs": [{"pair": list(pair), **row} for pair in PAIRS]}
    labels.write_text(json.dumps(good))
    assert whole(tmp_path) == good
    for key, value, why in (
        ("carried_out", 7, "carried_out is 7; expected a list of agents"), ("carried_out", ["nobody"], "carried_out is ['nobody']"), ("pairs", good["pairs"][1:], "pairs has no row of 'S1 and S2'"),
        ("pairs", [5], "pairs[0] is 5; expected a mapping"), ("pairs", [{**good["pairs"][0], "pair": ["S1"]}], "pairs[0].pair is ['S1']"), ("plan", None, "plan is None; expected its name"),
        ("pairs", [{**good["pairs"][0], "first": "soon"}], "pairs[0].first is 'soon'; expected a step, or null"), ("agents", {"S1": 1}, "agents['S1'] is 1; expected a mapping"),
        ("agents", {**good["agents"], "GHOST\ud800": good["agents"]["S1"]}, "pairs has no row of 'GHOST"), ("plan", ..., "plan is missing"), ("carried_out", ..., "carried_out is missing"),
    ):  # fmt: skip
        labels.write_text(json.dumps({name: one for name, one in {**good, key: value}.items() if one is not ...}))
        with pytest.raises(AnalysisError) as error:
            whole(tmp_path)
        assert str(error.value).startswith(f"{labels}: ") and why in str(error.value) and "\n" not in str(error.value)
