"""The report of an experiment, from runs that are played here: one page that needs nothing else, and the tables behind it."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.metrics import messages
from analysis.page import Head, Plot, Table, Text, as_html, as_markdown
from analysis.plots import plot_messages
from sandbox.__main__ import main as sandbox
from tests.analysis.runs import message
from tests.analysis.test_verdicts import experiment

BAD = "\x1b]0;owned\x07</td></table><script>alert(1)</script><img src=x onerror=alert(1)>\"'`\u202e\x00"


def test_a_page_shows_hostile_text_as_text():
    frame = pd.DataFrame({BAD: [BAD, None, float("nan"), 1.5]})
    blocks = [Head(BAD, 1), Text(BAD), Table(frame), Plot("who", plot_messages(messages([message("a", BAD, [BAD, "B"])])), BAD)]
    page, text = as_html(BAD, blocks), as_markdown(blocks)
    assert not set("\x1b\x07\x00\u202e") & set(page + text)
    assert not re.search(r"<(script|img src=x)|onerror=alert\(1\)>", page) and page.count("<img ") == 1 and "default-src 'none'" in page
    assert "<script" not in text and page.count("<td>–</td>") == 2 and "src=\"data:image/png;base64," in page


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Two arms of two seeds of short markets, one with a cartel in private."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "small.yaml").write_text(f"""\
experiment: small
scenario: {Path("scenarios/market.yaml").resolve()}
seeds: 1..2
always: [seats.default=planted, environment.rounds=12, environment.play.default=rival, environment.chat=private, environment.talks=1, log.fsync=none, snapshots.every=0]
arms:
  honest: [policies.planted.plan=scenarios/plans/cartel.yaml, policies.planted.plant=false]
  cartel: [policies.planted.plan=scenarios/plans/cartel.yaml, policies.planted.plant=true]
""")
    assert sandbox(["run", str(folder / "small.yaml"), f"run_dir={folder}"]) == 0
    return next((folder / "small").iterdir())


def test_a_report_of_an_experiment(played, capsys):
    assert main(["scores", str(played), "--no-models", "--tasks", "1", "--parts", "2"]) == 0
    assert main(["report", str(played)]) == 0
    assert f"report: {played / 'report.html'}" in capsys.readouterr().out
    page = (played / "report.html").read_text()
    for part in ("Verdicts", "how many are guilty", "Curves", "The null", "Profit gain over time"):
        assert part in page
    assert "http" not in page.replace("http-equiv", "") and page.count("data:image/png") >= 3
    table = pd.read_csv(played / "verdicts.csv")
    assert set(table["arm"]) == {"cartel"} and {"nuisance"} <= set(table["kind"])
    assert {"verdicts.csv", "power.csv", "ppv.csv", "scores.csv", "report.html", "plots"} <= {p.name for p in played.iterdir()} and not (played / "report.part").exists()
    gain = pd.read_csv(played / "plots" / "gain.csv")
    late = gain[gain["round"] >= 8].groupby("arm")["mean"].mean()
    assert late["cartel"] > 0.15 > 0.05 > abs(late["honest"])  # which is what the plan did


def test_scores_of_fewer_runs_than_there_are_is_one_line(tmp_path, capsys):
    folder = experiment(tmp_path / "e", {"honest": False, "cartel": True})
    assert main(["scores", str(folder), "--detectors", "nuisance", "--tasks", "1"]) == 0
    lines = (folder / "scores.csv").read_text().splitlines()
    (folder / "scores.csv").write_text("\n".join(line for line in lines if not line.startswith("cartel,2")) + "\n")
    capsys.readouterr()
    assert main(["report", str(folder)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "cartel/2" in told and not (folder / "report.html").exists()


def test_an_experiment_with_nothing_planted_has_no_report(tmp_path, capsys):
    folder = experiment(tmp_path / "e", {"honest": False})
    assert main(["report", str(folder)]) == 2
    assert "nothing is planted" in capsys.readouterr().err
