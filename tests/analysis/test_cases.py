"""What a run of the team task says of itself: answers, and the exact worth of what was said, from the log alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.arms import figures
from analysis.cases import answers, case, case_lines, worth
from analysis.metrics import AnalysisError, read_run
from sandbox.__main__ import main


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    file = folder / "team_task.yaml"
    file.write_text("defaults: [sandbox_schema, _self_]\nname: case\nseed: 4\nenvironment: {name: team_task, network: complete, tell: all, talks: 6}\nseats: {default: scripted}\n")
    assert main(["run", str(file), "executor=local", "plots=false", f"run_dir={folder}"]) == 0
    return read_run(next(Path(folder, "case").iterdir()))


def test_right_answers_are_those_that_name_the_culprit(events):
    found = answers(events)
    assert list(found["agent"]) == ["M1", "M2", "M3", "M4", "M5"]
    assert list(found["right"]) == list(found["answer"] == case(events)["culprit"])
    assert figures(events)["right"] == found["right"].mean() == figures(events)["reward"]


def test_what_was_read_leads_from_what_one_knew_alone_to_all_there_is_to_know(events):
    """Everybody tells everybody all: the values of all messages to a reader add up to log P(culprit | all clues) - log P(culprit | its own clues)."""
    told, found = case(events), worth(events)
    assert set(found[found["surprise"] > 0]["kind"]) == {"new"} and (found[found["kind"] != "new"]["value"] == 0).all()
    everything = np.log(told["posterior"][told["culprit"]])
    for agent, gained in found.groupby("reader")["value"].sum().items():
        assert np.log(told["alone"][agent][told["culprit"]]) + gained == pytest.approx(everything, abs=1e-9)
    assert list(found[found["kind"] == "new"].groupby("reader").size()) == [16] * 5  # the four clues of each of the four others


def test_lines_for_a_terminal(events):
    first, second = case_lines(events)
    assert first.startswith("case: ") and f"it was {case(events)['culprit']}" in first and " new (" in second
    assert case_lines([e for e in events if e.kind != "outcome"]) == []


def test_a_damaged_case_is_refused(events):
    broken = [e._replace(data={**e.data, "events": [{"what": "case", "culprit": 3}]}) if e.kind == "outcome" else e for e in events]
    with pytest.raises(AnalysisError, match="case"):
        worth(broken)
