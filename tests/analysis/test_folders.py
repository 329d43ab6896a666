"""A folder of another kind, where an experiment's was expected: one whole line that says what it is and what to do."""

import pytest

from analysis.__main__ import main
from analysis.descriptions import DETECTORS as TOLD
from analysis.detectors import DETECTORS
from analysis.folders import no_experiment
from tests.analysis.runs import end, write_run

COMMANDS = ("arms", "scores", "verdicts", "monitored")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_experiments_folder_is_told(tmp_path, capsys, command):
    run = write_run(tmp_path / "runs" / "market" / "one", [end()])
    (experiment := tmp_path / "all" / "e" / "one").mkdir(parents=True)
    (experiment / "runs.csv").write_text("arm,seed,ended\n")
    (experiment / "silent").mkdir()
    (begun := tmp_path / "begun").mkdir()
    (begun / "experiment.yaml").write_text("")
    for place, why in ((tmp_path / ("n" * 120), "no such folder"), (run, "this is a single run, no experiment; use `python -m analysis report"), (run / "events.jsonl", "this is a file"),
                       (tmp_path / "all", f"a folder of 1 experiment, itself none; name one of them, such as {experiment}"), (experiment / "silent", f"give the experiment's own: {experiment}"),
                       (begun, "none of its runs is done; go on with it"), (tmp_path / "runs", "no experiment there")):  # fmt: skip
        assert main([command, str(place)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith(f"{place}: ") and why in said.err and said.err.count("\n") == 1
    assert no_experiment(experiment) is None


def test_an_experiment_where_a_run_was_expected(tmp_path, capsys):
    (tmp_path / "runs.csv").write_text("arm,seed,ended\n")
    assert main(["collusion", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}: this is an experiment, no run")


@pytest.mark.parametrize("command", [*COMMANDS, "report", "collusion", "personas"])
def test_help_says_what_is_taken_what_is_written_and_an_example(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = capsys.readouterr().out
    assert "is the folder that" in said and f"example: python -m analysis {command} runs/" in said and ("writes: " in said or "into its folder:" in said)


def test_help_names_every_detector_there_is():
    assert list(TOLD) == [d.name for d in DETECTORS]
    for d in DETECTORS:
        assert TOLD[d.name].endswith(f"({', '.join(d.worlds) or 'all worlds'})")
