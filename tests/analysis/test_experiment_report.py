"""The report of an experiment, from runs that are played here: one page that needs nothing else, and the tables behind it."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis import provenance
from analysis.__main__ import main
from analysis.experiment_report import _scores
from analysis.metrics import messages
from analysis.page import Head, Plot, Table, Text, as_html, as_markdown
from analysis.plots import plot_messages
from analysis.report_evidence import cuts, strongest
from analysis.scores import ScoresWish, as_cell, runs_of
from analysis.table_files import csv_of
from analysis.truth import truth
from sandbox.__main__ import main as sandbox
from sandbox.log import Event
from sandbox.spreadsheet import cell
from tests.analysis.runs import end, message, write_run
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
    assert main(["scores", str(played), "--detectors", "nuisance,conduct,coupling,steganography", "--tasks", "1", "--parts", "2"]) == 0
    assert main(["report", str(played)]) == 0
    printed = capsys.readouterr()
    assert f"report: {played / 'report.html'}" in printed.out and "cartel         detector" in printed.out and "honest         no row: nothing was planted" in printed.out
    assert "2 seeds: fewer than 5 give no interval" in printed.out
    stages = [printed.err.find(what) for what in ("used as it is", "verdicts: scores of 4 runs", "verdicts.csv; now", "curves", "honest/1 is played again", "cartel/1 is played again", "who with whom")]
    assert stages == sorted(stages) and stages[0] >= 0
    page = (played / "report.html").read_text()
    for part in ("Verdicts", "how many are guilty", "Curves", "The null", "Profit gain over time", "A forced price cut", "The strongest evidence", "Scores by nuisance, conduct, coupling, steganography, after 2 parts"):
        assert part in page
    assert "http" not in page.replace("http-equiv", "") and page.count("data:image/png") >= 3
    table = pd.read_csv(played / "verdicts.csv")
    assert set(table["arm"]) == {"cartel"} and {"nuisance"} <= set(table["kind"])
    cut = pd.read_csv(played / "impulse.csv").set_index("run")
    assert list(cut.index) == ["honest/1", "cartel/1"] and set(cut["round"]) == {5} and cut.loc["cartel/1", "seller"] in ("S1", "S2", "S3")
    path = pd.read_csv(played / "plots" / "impulse.csv")
    assert path[path["run"] == "cartel/1"]["own"].iloc[0] == pytest.approx(-float(cut.loc["cartel/1", "cut"]), abs=0.005) and path["round"].tolist() == [*range(5, 12)] * 2
    said = pd.read_csv(played / "evidence_cartel.csv")
    assert 0 < len(said) <= 10 and set(said["readers"].str.split().map(len)) == {2} and said["step"].is_monotonic_increasing and said["text"].str.len().min() > 0
    assert {"verdicts.csv", "power.csv", "ppv.csv", "scores.csv", "report.html", "plots"} <= {p.name for p in played.iterdir()} and not (played / "report.part").exists()
    gain = pd.read_csv(played / "plots" / "gain.csv")
    late = gain[gain["round"] >= 8].groupby("arm")["mean"].mean()
    assert late["cartel"] > 0.15 > 0.05 > abs(late["honest"])  # which is what the plan did


def test_a_run_that_is_not_played_again_is_told(played):
    config, frames = played / "cartel" / "1" / "config.yaml", {}
    before, runs = config.read_text(), runs_of(played)
    config.write_text(before + "\n")
    try:
        blocks = cuts(runs, truth(runs), frames)
    finally:
        config.write_text(before)
    assert "cartel/1: cannot be played again" in blocks[-1].text and frames["impulse"]["run"].tolist() == ["honest/1"]


def test_an_old_table_of_scores_is_made_again_for_a_report_by_the_same_wish(tmp_path):
    folder, said = experiment(tmp_path / "e", {"honest": False, "cartel": True}), []
    first = provenance.make(folder, ScoresWish(("nuisance",), parts=2))
    assert _scores(folder, None, 1, said.append)[1] == ScoresWish(("nuisance",), parts=2) and len(said) == 1 and said.pop().endswith("used as it is")
    (folder / "scores.csv").write_text("no table")
    again, wish = _scores(folder, None, 1, said.append)
    assert again.equals(first) and wish == ScoresWish(("nuisance",), parts=2) and said[0].endswith("made again") and said[1:] == ["scoring 4 runs, after each of 2 parts", *(f"scored {k} of 4 runs" for k in (1, 2, 3, 4))]
    said.clear()
    assert _scores(folder, ScoresWish(("nuisance",)), 1, said.append)[1].parts == 1 and "made for another wish" in said[0] and provenance.read(folder)[1].parts == 1


def test_names_and_words_that_have_no_utf8_form_are_written_out(tmp_path, capsys):
    bad = "\ud800=1+1"
    folder = experiment(tmp_path / "e", {"honest": False, "cartel": True})
    for arm, seed, run in runs_of(folder):
        labels = json.loads((run / "labels.json").read_text().replace('"A"', json.dumps(bad)).replace('"open"', json.dumps(bad)))
        shutil.rmtree(run)
        write_run(run, [Event(kind="step", step=0, time=0, data={"slots": [[bad, 0, [bad]], ["B", 0, []]], "start": 0, "end": 1, "move_due": False}),
                        *(message(f"{bad}{k}", bad, [bad, "B"], text=bad * (seed + k * (arm == "cartel")), channel=bad) for k in range(4)), end(step=3)])  # fmt: skip
        (run / "labels.json").write_text(json.dumps(labels))
        (run / "manifest.json").write_text(json.dumps({"environment": "market"}))
    assert main(["scores", str(folder), "--detectors", "nuisance", "--tasks", "1"]) == 0 and main(["verdicts", str(folder)]) == 0
    found, told = provenance.read(folder)[0], truth(runs_of(folder))
    assert as_cell(bad) == "\\ud800=1+1" and {as_cell(bad), as_cell("B+" + bad)} <= set(found["who"]) and set(told["who"]) <= {"", *found["who"]}
    assert not found.merge(told, on=["arm", "seed", "unit", "who"]).empty
    frames = {}
    messages = pd.DataFrame([{"arm": "cartel", "seed": 1, "until": 4, "detector": "d", "measure": "m", "kind": "log", "unit": "message", "who": as_cell(bad + "0"), "value": 1.0, "amount": 1}])
    pairs = found[(found["unit"] == "pair") & (found["measure"] == "messages")]
    page = as_html("e", strongest(folder, pd.concat([messages, pairs]), {"cartel": ("nuisance", "messages", "nuisance", "pair")}, frames))
    assert page.encode() and page.count("\\ud800") > 8
    for name, frame in frames.items():
        csv_of(frame, tmp_path / f"{name}.csv")
    assert len(pd.read_csv(tmp_path / "evidence_cartel.csv")) == 4 and pd.read_csv(tmp_path / "evidence.csv")["text"].tolist() == ["\\ud800=1+1"]
    capsys.readouterr()


def test_a_report_of_a_run_holds_what_has_no_utf8_form(tmp_path, capsys):
    bad = "\ud800=1+1"
    run = write_run(tmp_path / "run", [message("a", bad, [bad, "B"], text=bad, channel=bad), message(bad, "B", [bad, "B"], text="\ude00" * 9), end(bad)])
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.encode() and all(path.read_text(encoding="utf-8") for pattern in ("*.csv", "*.html", "*.md") for path in run.rglob(pattern))
    assert "\\ud800=1+1" in pd.read_csv(run / "plots" / "messages.csv")["author"].tolist()


@pytest.mark.parametrize("name", ["A", "=A", "+A", "-A", "@A", "\ud800", "A\u202e", "A\\", "\x00", "'A", "", " =A", "-", "-5", "+1e3"])
def test_a_name_is_in_memory_what_it_is_in_a_table(name):
    assert as_cell(name) == cell(name) == as_cell(as_cell(name))


def test_an_experiment_with_nothing_planted_has_no_report(tmp_path, capsys):
    folder = experiment(tmp_path / "e", {"honest": False})
    assert main(["report", str(folder)]) == 2
    assert "nothing is planted" in capsys.readouterr().err
