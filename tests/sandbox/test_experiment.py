"""Experiments: what a file may say, that each run is the run it would be alone, and that one goes on after it was stopped."""

import csv
import json
from dataclasses import FrozenInstanceError, replace
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
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{folder}: 2 of 4 runs are done already, 2 left to play" and told[-1] == str(folder)


def test_of_a_finished_experiment_nothing_is_played_and_no_tasks_are_begun(done, tmp_path, capsys, monkeypatch):
    import shutil

    from sandbox import arms

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    (folder / FILE).write_text((folder / FILE).read_text().replace("tasks: 1", "tasks: 2").replace('then: ["arms"]', "then: []"))
    monkeypatch.setattr(arms, "in_tasks", lambda *_: pytest.fail("tasks were begun"))
    assert main(["resume", str(folder)]) == 0 and logs(folder) == logs(done)
    assert capsys.readouterr().out.splitlines()[:2] == [f"{folder}: 4 of 4 runs are done already, nothing left to play", "4 of 4 runs done"]


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


CHANGED = {
    "the scenario": (SCENARIO, "  rounds: 10\n", "  rounds: 10\n  spread: 0.3\n", "0 of 4 runs done, 4 ended otherwise"),
    "what is always set": (FILE, "environment.rounds=2", "environment.rounds=3", "0 of 4 runs done, 4 ended otherwise"),
    "one arm": (FILE, "environment.play.default=rival", "environment.play.default=cheat", "2 of 4 runs done, 2 ended otherwise"),
    "a remark": (SCENARIO, "name: market\nseed", "name: market  # the same\nseed", "4 of 4 runs done\n"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_runs_of_changed_settings_are_not_counted_with_those_of_before(done, tmp_path, capsys, what):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    name, old, new, told = CHANGED[what]
    text = (folder / name).read_text()
    assert text.count(old) == 1
    (folder / name).write_text(text.replace(old, new))
    (folder / FILE).write_text((folder / FILE).read_text().replace('then: ["arms"]', "then: []"))  # which would tell of a second process each
    assert main(["resume", str(folder)]) == (0 if "4 of 4" in told else 1) and told in capsys.readouterr().out


def test_of_a_stopped_experiment_the_table_has_all_runs_that_are_done(done, tmp_path, capsys):
    """Asked to stop in the second run; behind it one is done, one is another arm's, and so no run of this experiment's."""
    import shutil

    from sandbox.arms import go_on

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    before = logs(folder)
    shutil.rmtree(folder / "cartel" / "3")
    shutil.rmtree(folder / "cartel" / "4")
    shutil.copytree(folder / "silent" / "4", folder / "cartel" / "4")
    assert go_on(folder, (), lambda setting_of, place, plugins: 130) == 130
    assert logs(folder) == {("silent", 3): before["silent", 3], ("silent", 4): before["silent", 4]}
    told = capsys.readouterr()
    assert "2 of 4 runs done\n" in told.out and "to go on: python -m sandbox resume" in told.err


def test_an_arm_is_composed_once_before_and_once_while_it_is_played(file, tmp_path, monkeypatch):
    from sandbox import arms

    composed = []
    monkeypatch.setattr(arms, "load", lambda path, changes, plugins: (composed.append(changes), load(path, changes, plugins))[1])
    assert main(["run", str(file), f"run_dir={tmp_path}/runs", "seeds=1..3"]) == 0
    assert len(composed) == 4 and [any("run_dir" in text for text in changes) for changes in composed] == [True, True, False, False]


def test_a_seed_with_which_an_arm_cannot_be_made_is_that_runs_row(file, tmp_path, capsys, monkeypatch):
    """Settings that refer to the seed: fine with the first, out of range, or nothing that a library takes, with others."""
    from sandbox import arms

    (tmp_path / "refers.yaml").write_text(MARKET.read_text().replace("rounds: 10", "rounds: ${seed}"))
    file.write_text(GOOD.replace("environment.rounds=2, ", "").replace(str(MARKET), "refers.yaml"))

    def broken(path, changes, plugins):
        if "seed=3" in changes:
            raise ValueError("no such value\nand more")
        return load(path, changes, plugins)

    monkeypatch.setattr(arms, "load", broken)
    assert main(["run", str(file), f"run_dir={tmp_path}/runs", "seeds=2,3,5000000"]) == 1
    told = capsys.readouterr()
    assert "2 of 6 runs done, 4 ended otherwise" in told.out
    assert "sandbox: silent 3: arm 'silent', seed 3: no such value; change" in told.err and "sandbox: cartel 5000000: " in told.err and "rounds is 5000000" in told.err


def test_how_far_it_is_names_what_ended_otherwise_only_where_there_is_some(capsys, monkeypatch):
    from sandbox import arms

    monkeypatch.setattr(arms, "EVERY", 0.0)
    times = iter([0.0, 100.0, 130.0, 160.0])  # Ray took until 70; the first run from 70 to 100, with the second beside it
    list(arms._told(iter([{"ended": "done", "began": 70.0}, {"ended": "fault", "began": 71.0}, {"ended": "done", "began": 130.0}]), 4, lambda: next(times)))
    # no estimate from one run; two in 60 s of two more: 60 s; three in 90 s: 30 s
    assert capsys.readouterr().err == "1 of 4 runs\n2 of 4 runs, 1 ended otherwise, 1:00 left\n3 of 4 runs, 1 ended otherwise, 0:30 left\n"


def test_what_an_analysis_says_beside_its_work_is_passed_on_escaped_and_bounded(tmp_path, capsys, monkeypatch):
    from sandbox.analysing import MOST_CHARACTERS, MOST_LINES, analysed

    child = tmp_path / "child"
    child.write_text("#!/bin/sh\nseq 1 30 >&2\nprintf 'a\\033[2Jb\\n' >&2\nprintf '%01000d\\n' 7 >&2\necho made; echo folder\n[ $3 = report ]\n")
    child.chmod(0o755)
    monkeypatch.setattr("sandbox.analysing.sys.executable", str(child))
    assert analysed("report", tmp_path)
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == "made\n" and len(lines) == MOST_LINES + 1 and lines[0] == "… 12 lines before" and lines[1] == "13"
    assert lines[-2] == r"a\x1b[2Jb" and len(lines[-1]) == MOST_CHARACTERS + 1
    assert not analysed("arms", tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert said[-2] == r"a\x1b[2Jb" and said[-1].startswith("sandbox: the analysis 'arms' could not be made (0000") and len(said[-1]) < 3 * MOST_CHARACTERS


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


def test_the_experiments_seed_counts_whatever_an_arm_says(tmp_path):
    found = Experiment(name="a", scenario=Path("b.yaml"), seeds=(1,), arms={"x": ("seed=3",)}, given=("seed=4",))
    assert found.overrides("x", 1) == ("seed=3", "seed=4", "seed=1")
    assert load(MARKET, ["executor=local", "seats.default=scripted", *found.overrides("x", 1)]).config.seed == 1


def test_an_experiment_is_a_frozen_value(file):
    """It is equal to one that says the same, whatever lines said it, and nobody who has it can change what another sees."""
    found = read(file)
    with pytest.raises(FrozenInstanceError):
        found.seeds = (1,)
    file.write_text("\n" + GOOD)
    again = read(file)
    assert again.lines != found.lines and again == found != replace(found, tasks=2) and found.cells == again.cells


def test_arms_are_held_against_the_first_that_the_experiment_names(done, tmp_path, capsys):
    """Also where its first run is not done; where none is, nothing is held against another in its place."""
    import shutil

    from analysis.__main__ import main as analysis

    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    rows = (folder / "runs.csv").read_text().splitlines()
    (folder / "runs.csv").write_text("\n".join([rows[0], rows[1].replace("done", "refused"), *rows[2:]]) + "\n")
    assert rows[1].startswith("silent,3,done") and analysis(["arms", str(folder)]) == 0 and "difference from arm `silent`" in capsys.readouterr().out
    (folder / "runs.csv").write_text("\n".join([row.replace("done", "refused") if row.startswith("silent") else row for row in rows]) + "\n")
    assert analysis(["arms", str(folder)]) == 2 and "no run of 'silent' is done" in capsys.readouterr().err
