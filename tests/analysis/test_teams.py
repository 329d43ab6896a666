"""The published teams: each row of their table within four points, and the parts of it by hand; alerts in simulated teams."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from analysis import teams as published
from analysis.__main__ import main
from analysis.metrics import AnalysisError
from scenarios.team_task import alerts
from scenarios.team_task.mind import Weights, read_all

DATA = Path(os.environ.get("SOCIALLM_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data")) / "hidden_profile_teams"
needs_data = pytest.mark.skipif(not (DATA / published.TEAMS).is_file(), reason=f"no published teams at {DATA}")


def team(**changes):
    """A team in which 1 tells 2 that it was suspect 3, and 5 has nobody to talk to."""
    answers = [{"SubjectID": str(i), "P_Culprit": str(i), "Culprit": "3"} for i in range(1, 5)] + [{"SubjectID": "5", "P_Culprit": "0", "Culprit": "0"}]
    clues = {str(i): [i, 1, 1] for i in range(1, 6)} | {"public": [6, 1, 1]}
    said = [[1, [2], 10, 0, 0, 0.5, 0, 0, "Wolf"]]
    return {"team": "1", "network": [[0] * 5] * 5, "clues": clues, "messages": said, "responses": answers} | changes


def written(folder: Path, *lines: object) -> Path:
    (folder / published.TEAMS).write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return folder


@needs_data
def test_every_row_is_within_four_points_of_the_published_one():
    """29 published teams, 25 here: performance and agreement of each row; the two interventions in their published order."""
    rows = published.table(published.teams(DATA), np.random.default_rng(0), runs=20).set_index("row")
    assert len(rows) == 11 and (rows["performance"] - rows["published"]).abs().max() < 4
    assert (rows["agreement"] - rows["agreement_published"]).abs().dropna().max() < 4 and rows["agreement_published"].notna().sum() == 9
    assert rows.loc["targeted intervention", "performance"] > rows.loc["random intervention", "performance"] > rows.loc["max performance", "performance"]
    assert ((rows["low"] <= rows["performance"]) & (rows["performance"] <= rows["high"])).all()


def test_minds_by_hand(tmp_path):
    (found,) = published.teams(written(tmp_path, team()))
    w = Weights()
    b = published.minds(found, w, ego_loop=True)
    yes, not_45 = np.array([0, 0, 2, 0, 0], dtype=np.int8), np.array([0, 0, 0, -2, -2], dtype=np.int8)
    alone = read_all(np.full(5, 0.2), [not_45, np.array([0, 1, 0, 0, 1], dtype=np.int8)], w)
    assert b[0, 0] == pytest.approx(read_all(alone, [yes], w)) and b[1, 0] == pytest.approx(read_all(np.full(5, 0.2), [yes], w))
    assert published.minds(found, w, ego_loop=False)[0, 0] == pytest.approx(alone)
    untouched = [(i, j) for i in range(5) for j in range(5) if i != j and (i, j) != (1, 0)]
    assert all((b[i, j] == 0.2).all() for i, j in untouched)


def test_a_target_is_only_one_who_was_heard_of(tmp_path):
    """2 has heard 1 suspect suspect 1, knows better and says so; 1 spoke first, when it had heard of nobody; the others have heard of nobody at all."""
    (found,) = published.teams(written(tmp_path, team(messages=[[1, [2], 10, 0.25, 0, 0, 0, 0, "Lion?"]])))
    before, after = published.minds(found, Weights(), True), published.targeted(found, Weights())
    changed = {(i, j) for i in range(5) for j in range(5) if not np.array_equal(before[i, j], after[i, j])}
    assert changed == {(0, 1)} and after[0, 1] == pytest.approx(read_all(np.full(5, 0.2), [np.array([-2, 0, 0, 0, 0], dtype=np.int8)], Weights()))


def test_who_is_told_something_has_heard_of_the_teller(tmp_path):
    """1 has heard 2 suspect suspect 1 and tells it better; so 2, who had heard of nobody, has heard of 1 when its turn comes, and tells it something too."""
    (found,) = published.teams(written(tmp_path, team(messages=[[2, [1], 10, 0.25, 0, 0, 0, 0, "Lion?"]])))
    before, after = published.minds(found, Weights(), True), published.targeted(found, Weights())
    assert {(i, j) for i in range(5) for j in range(5) if not np.array_equal(before[i, j], after[i, j])} == {(1, 0), (0, 1)}


def test_at_random_everybody_may_be_told_anything_or_nothing(tmp_path):
    (found,) = published.teams(written(tmp_path, team()))
    before = published.minds(found, Weights(), True)
    changed = np.zeros((5, 5))
    for seed in range(200):
        after = published.untargeted(found, before, Weights(), np.random.default_rng(seed))
        changed += (after != before).any(-1)
    assert 0.5 < changed.min() / 200 and changed.max() / 200 < 0.9  # two or three facts, or nothing: 2/3 or 3/4


def test_scores_count_ties_in_equal_parts(tmp_path):
    (found,) = published.teams(written(tmp_path, team()))
    beliefs = np.array([[0.1, 0.1, 0.6, 0.1, 0.1], [0.4, 0.1, 0.4, 0.05, 0.05], [0.2] * 5, [0.5, 0.2, 0.1, 0.1, 0.1], [0.0, 0, 0, 0, 1]])
    right, same = published.scores(found, beliefs)
    assert right.tolist() == [1, 0.5, 0.2, 0, 0] and same.tolist() == [1, 0.5, 0.2, 0, 0]  # the last person gave no answer: nothing agrees with that


def test_normalised_after_each_line_is_a_variant_of_its_own(tmp_path):
    """After three lines that say the same, beliefs that were never normalised in between differ from those that were."""
    three = published.teams(written(tmp_path, team(messages=[[1, [2], 10, 0, 0, 0.5, -0.5, 0, ""]] * 3)))[0]
    raw, steady = (published.minds(three, Weights(), True, normalised)[1, 0] for normalised in (False, True))
    assert steady.sum() == pytest.approx(1, abs=1e-12) and abs(raw / raw.sum() - steady).max() > 0.01


def test_people_by_hand(tmp_path):
    rows = published.every_row(published.teams(written(tmp_path, team())), np.random.default_rng(0), runs=2)
    assert rows["people, before"][0].mean() == 0.2 and rows["people, after"][0].mean() == 0.8 and rows["random"][0].mean() == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong", ["{", "[]", '{"team": 1}', team(messages=[[1, [2], 10, 0, 0, 0.7, 0, 0, ""]]), team(messages=[[6, [2], 10, 0, 0, 0, 0, 0, ""]]), team(messages=[[1, [2]]]),
              team(clues={"public": [9]}), team(responses=[]), team(messages=[[1, [True], 10, 0, 0, 0, 0, 0, ""]])], ids=str)  # fmt: skip
def test_what_is_no_team_is_refused_with_its_line(tmp_path, wrong):
    with pytest.raises(AnalysisError, match=r"teams.jsonl:2: not a team") as error:
        published.teams(written(tmp_path, team(), wrong))
    assert "\n" not in str(error.value)


def test_a_file_without_teams_is_refused(tmp_path):
    with pytest.raises(AnalysisError, match="no team in it"):
        published.teams(written(tmp_path, ""))
    with pytest.raises(AnalysisError, match="cannot read the teams"):
        published.teams(tmp_path / "nowhere")


# ---- alerts ------------------------------------------------------------------------------------------------------------


def test_alerts_are_a_paired_comparison():
    """The same teams under each kind of last message, and more to know than any of them tells."""
    found = alerts.compare("complete", 12, seed=3)
    again = alerts.compare("complete", 12, seed=3)
    assert all(np.array_equal(found.accuracy[arm], again.accuracy[arm]) for arm in alerts.ARMS)
    assert (found.told["in turn"] == 5).all() and (found.told["at random"] == 5).all() and (found.told["targeted"] <= 5).all()
    assert all(found.ideal[arm].mean() <= 1 and len(values) == 12 for arm, values in found.accuracy.items())


def test_the_command(tmp_path, capsys):
    assert main(["teams", str(written(tmp_path, team(), team())), "--alerts", "2"]) == 0
    out = capsys.readouterr().out
    assert "2 teams of 5" in out and "targeted intervention" in out and "targeted - at random: " in out and "over all networks" in out
    for wrong in (["teams"], ["teams", "--alerts", "1"], ["teams", str(tmp_path / "no")]):
        assert main(wrong) == 2 and capsys.readouterr().err.count("\n") == 1
