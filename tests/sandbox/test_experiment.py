"""Experiments: what a file may say, that each run is the run it would be alone, and that one goes on after it was stopped."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sandbox.__main__ import main
from sandbox.config import load, reseeded
from sandbox.experiment import FILE, SCENARIO, Experiment, here, is_experiment, read
from sandbox.guard import ConfigError

MARKET = Path("scenarios/market.yaml").resolve()
GOOD = f"""\
experiment: prices
scenario: {MARKET}
seeds: 3..5
always: [seats.default=scripted, environment.rounds=2, environment.sellers=2]
arms:
  silent: [environment.play.default=rival, environment.chat=off]
  cartel: [environment.play.default=cartel, environment.chat=public]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(GOOD)
    return path


def test_a_file_is_read_whole(file):
    found = read(file)
    assert found.name == "prices" and found.seeds == (3, 4, 5) and found.tasks == 1 and list(found.arms) == ["silent", "cartel"]
    assert found.cells == [("silent", 3), ("cartel", 3), ("silent", 4), ("cartel", 4), ("silent", 5), ("cartel", 5)]
    assert found.overrides("silent", 4) == (
        "seats.default=scripted", "environment.rounds=2", "environment.sellers=2", "environment.play.default=rival", "environment.chat=off", "seed=4",
    )  # fmt: skip


def test_what_is_written_is_read_back(file, tmp_path):
    found = read(file, ["seeds=7,9", "environment.rounds=3"], tasks=2)
    assert found.seeds == (7, 9) and found.tasks == 2 and found.given == ("environment.rounds=3",)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / SCENARIO).write_text(MARKET.read_text())
    (folder / FILE).write_text(found.as_yaml())
    assert read(folder / FILE) == here(found, folder)


@pytest.mark.parametrize(("given", "seeds"), [("seeds=[1,2]", (1, 2)), ("seeds=4", (4,)), ("seeds=0..0", (0,))])
def test_seeds_from_the_command_line(file, given, seeds):
    assert read(file, [given]).seeds == seeds


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("seeds: 3..5", "seeds: 5..3", 3, "expected FIRST..LAST"), ("seeds: 3..5", "seeds: [1, 2, 1]", 3, "the seed 1 stands twice"),
        ("seeds: 3..5", "seeds: []", 3, "expected FIRST..LAST"), ("seeds: 3..5", "seeds: 1..999999", 3, "expected FIRST..LAST"),
        ("seeds: 3..5", "seeds: [true]", 3, "expected FIRST..LAST"), ("seeds: 3..5", "seeds: -1", 3, "expected FIRST..LAST"),
        ("experiment: prices", "experiment: ../up", 1, "it names a folder"), ("cartel: [", "'..': [", 7, "is not a key"),
        ("  silent: [environment.play.default=rival, environment.chat=off]", "  silent: environment.chat=off", 6, "expected a list of changes"),
        ("always: [seats.default=scripted", "always: [seats.default", 4, "expected a list of changes"), (str(MARKET), "none.yaml", 2, "no scenario"),
        ("seeds: 3..5", "seeds: 3..5\ntasks: 0", 4, "from 1 to 64"), ("seeds: 3..5", "seeds: 3..5\nthen: [rm]", 4, "expected a list of arms"),
        ("seeds: 3..5", "seeds: 1:30", 3, "expected FIRST..LAST"), ("seeds: 3..5", "seeds: [" + "9" * 5000 + "]", 3, "expected FIRST..LAST"),
        ("always: [", "always: [run_dir=/etc/there, ", 4, "said on the command line"), ("silent: [", "silent: [++run_dir=/etc/there, ", 6, "said on the command line"),
        ("silent: [", "silent: [seed=4, ", 6, "said by `seeds`"), ("experiment: prices", "experiment: 2020-13-45.", 1, "it names a folder"),
        ("seeds: 3..5", "seeds: 3..5\nseed: 4", 4, "unknown key 'seed'"), ("seeds: 3..5\n", "", 1, "seeds is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(file, old, new, line, said):
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        read(file)
    assert str(error.value).startswith(f"{file}:{line}: ") and said in str(error.value) and "\n" not in str(error.value)


def test_an_experiment_is_no_scenario_of_another(file, tmp_path):
    assert is_experiment(file) and not is_experiment(MARKET) and not is_experiment(tmp_path / "none.yaml")
    other = tmp_path / "other.yaml"
    other.write_text(GOOD.replace(str(MARKET), "prices.yaml"))
    with pytest.raises(ConfigError, match="is an experiment itself"):
        read(other)


def test_a_setting_with_another_seed_is_the_one_that_would_be_loaded(tmp_path):
    first = load(MARKET, ["executor=local", "seed=3", "environment.rounds=4"])
    assert reseeded(first, 11) == replace(load(MARKET, ["executor=local", "environment.rounds=4", "seed=11"]), environment=first.environment)
    refers = tmp_path / "refers.yaml"
    refers.write_text(MARKET.read_text().replace("rounds: 10", "rounds: ${seed}"))
    with pytest.raises(ValueError, match="refer to the seed"):
        reseeded(load(refers, ["executor=local"]), 11)


def test_settings_of_every_arm_are_checked_before_anything_is_written(file, tmp_path, capsys):
    file.write_text(GOOD.replace("environment.play.default=cartel", "environment.play.default=nobody"))
    assert main(["run", str(file), f"run_dir={tmp_path}/runs"]) == 2
    told = capsys.readouterr().err
    assert "nobody" in told and f"{file}:7: override" in told and not (tmp_path / "runs").exists()
    assert main(["run", str(file), f"run_dir={tmp_path}/runs", "environment.rounds=x"]) == 2
    assert "sandbox: override 'environment.rounds=x'" in capsys.readouterr().err


def logs(folder):
    return {(row["arm"], int(row["seed"])): row["log_sha256"] for row in csv.DictReader((folder / "runs.csv").read_text().splitlines())}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of an experiment that was run to its end."""
    place = tmp_path_factory.mktemp("experiment")
    (place / "prices.yaml").write_text(GOOD + "then: [arms]\n")
    assert main(["run", str(place / "prices.yaml"), f"run_dir={place}/runs", "seeds=3..4"]) == 0
    (folder,) = (place / "runs" / "prices").iterdir()
    return folder


def test_each_run_is_the_one_it_would_be_alone(done, tmp_path, capsys):
    assert sorted(logs(done)) == [("cartel", 3), ("cartel", 4), ("silent", 3), ("silent", 4)]
    alone = ["seats.default=scripted", "environment.rounds=2", "environment.sellers=2", "environment.play.default=cartel", "environment.chat=public"]
    assert main(["run", str(MARKET), *alone, "executor=local", "plots=false", "seed=4", f"run_dir={tmp_path}"]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert json.loads((folder / "manifest.json").read_text())["log_sha256"] == logs(done)["cartel", 4]


def test_arms_are_told_side_by_side(done):
    table = pd.read_csv(done / "arms.csv")
    assert list(table["arm"]) == ["silent"] * 2 + ["cartel"] * 2 and list(table["seed"]) == [3, 4, 3, 4]
    gain = table.groupby("arm")["profit_gain"].mean()
    assert gain["cartel"] == pytest.approx(1.0, abs=1e-3) and gain["silent"] == pytest.approx(0.0, abs=1e-3)  # to four decimals of a price


def test_a_done_experiment_is_left_as_it_is_and_a_stopped_one_goes_on(done, tmp_path, capsys):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    before = logs(folder)
    shutil.rmtree(folder / "cartel" / "4")  # never begun
    log = folder / "silent" / "4" / "events.jsonl"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])  # killed in the midst of it
    manifest = json.loads((folder / "silent" / "4" / "manifest.json").read_text())
    (folder / "silent" / "4" / "manifest.json").write_text(json.dumps(manifest | {"ended": None}))
    (folder / "silent" / "4" / "events.parquet").unlink()
    (folder / "runs.csv").unlink()
    untouched = (folder / "silent" / "3" / "manifest.json").stat().st_mtime_ns
    assert main(["resume", str(folder)]) == 0
    assert logs(folder) == before and (folder / "silent" / "3" / "manifest.json").stat().st_mtime_ns == untouched
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)


def test_what_stands_in_a_runs_place_and_is_another_is_left_and_told(done, tmp_path, capsys):
    """Runs exchanged, files of the user's, a damaged manifest: each is one line, is left as it is, and keeps nothing else from being played."""
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    before = logs(folder)
    shutil.rmtree(folder / "silent" / "3")
    shutil.copytree(folder / "cartel" / "3", folder / "silent" / "3")  # of another arm
    for path in (folder / "cartel" / "3").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "cartel" / "3" / "notes.txt").write_text("mine")
    (folder / "silent" / "4" / "manifest.json").write_text("{")
    shutil.rmtree(folder / "cartel" / "4")
    assert main(["resume", str(folder)]) == 1
    told = capsys.readouterr()
    assert "1 of 4 runs done, 3 ended otherwise" in told.out and len([line for line in told.err.splitlines() if line.startswith("sandbox: ")]) == 5
    assert "no run of 'silent' is done" in told.err  # so there is nothing that the other arm could be held against
    assert "a run of other settings" in told.err and "files that are no run" in told.err and "not the manifest of a run" in told.err
    assert (folder / "cartel" / "3" / "notes.txt").read_text() == "mine" and (folder / "silent" / "4" / "manifest.json").read_text() == "{"
    assert logs(folder)["cartel", 4] == before["cartel", 4]
    for name in ("silent/3", "silent/4", "cartel/3"):
        shutil.rmtree(folder / name)
    assert main(["resume", str(folder)]) == 0 and logs(folder) == before


def test_a_changed_scenario_makes_no_table_of_two_experiments(done, tmp_path, capsys):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    (folder / SCENARIO).write_text((folder / SCENARIO).read_text().replace("round", "round", 1) + "\nmeasure: {surprise: false}\n")
    text = (folder / FILE).read_text()
    (folder / FILE).write_text(text.replace("environment.rounds=2", "environment.rounds=3"))
    assert main(["resume", str(folder)]) == 1 and "0 of 4 runs done, 4 ended otherwise" in capsys.readouterr().out


def test_a_run_that_breaks_does_not_stop_the_others(file, tmp_path, capsys, monkeypatch):
    from scenarios.market import environment

    whole = environment.Market.step

    def breaks(self, state, moves, rng):
        if self.options.chat == "off" and state.round == 1:
            raise RuntimeError("broken")
        return whole(self, state, moves, rng)

    with monkeypatch.context() as patch:
        patch.setattr(environment.Market, "step", breaks)
        assert main(["run", str(file), f"run_dir={tmp_path}/runs", "seeds=1,2"]) == 1
    told = capsys.readouterr()
    assert "2 of 4 runs done, 2 ended otherwise" in told.out and "to try them again" in told.err
    (folder,) = (tmp_path / "runs" / "prices").iterdir()
    assert main(["resume", str(folder)]) == 0 and "4 of 4 runs done" in capsys.readouterr().out


def test_in_ray_tasks_the_logs_are_the_same(done, tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text(GOOD)
    assert main(["run", str(file), f"run_dir={tmp_path}/runs", "seeds=3..4", "--tasks", "2"]) == 0
    (folder,) = (tmp_path / "runs" / "prices").iterdir()
    assert logs(folder) == logs(done)


def test_a_folder_that_holds_no_experiment_has_no_arms(tmp_path, capsys):
    from analysis.__main__ import main as analysis

    assert analysis(["arms", str(tmp_path)]) == 2
    assert "give the folder that an experiment named" in capsys.readouterr().err
    (tmp_path / "runs.csv").write_text("arm,seed,ended\n../x,3,done\n")
    assert analysis(["arms", str(tmp_path)]) == 2 and "runs.csv:2" in capsys.readouterr().err


def test_an_experiment_is_a_frozen_value():
    found = Experiment(name="a", scenario=Path("b.yaml"), seeds=(1,), arms={"x": ("seed=3",)})
    assert found.overrides("x", 1) == ("seed=3", "seed=1")  # the experiment's seed counts


def test_arms_are_held_against_the_first_that_the_experiment_names(done, tmp_path, capsys):
    """Also where its first run is not done; where none is, nothing is held against another in its place."""
    import shutil

    from analysis.__main__ import main as analysis

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    rows = (folder / "runs.csv").read_text().splitlines()
    (folder / "runs.csv").write_text("\n".join([rows[0], rows[1].replace("done", "refused"), *rows[2:]]) + "\n")
    assert rows[1].startswith("silent,3,done") and analysis(["arms", str(folder)]) == 0 and "less silent" in capsys.readouterr().out
    (folder / "runs.csv").write_text("\n".join([row.replace("done", "refused") if row.startswith("silent") else row for row in rows]) + "\n")
    assert analysis(["arms", str(folder)]) == 2 and "no run of 'silent' is done" in capsys.readouterr().err
