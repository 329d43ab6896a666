"""What a game of hidden roles says of itself at its end, from the log alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.metrics import AnalysisError, read_run
from analysis.report import report
from analysis.roles import role_lines
from sandbox.__main__ import main
from sandbox.log import Event
from tests.analysis.runs import message


def told(step: int, *events: dict[str, Any]) -> Event:
    return Event(kind="outcome", step=step, time=step, data={"done": False, "events": list(events)})


FIVE = ["Ada", "Ben", "Cleo", "Dan", "Emma"]
ROLES = {"Ada": "evil", "Ben": "assassin", "Cleo": "merlin", "Dan": "good", "Emma": "good"}
GAME = [
    message("1", "Ada", FIVE, "I am good.", step=0), message("2", "Dan", FIVE, "Emma is evil.", step=0), message("3", "Emma", FIVE, "Ada is evil.", step=0),
    told(1, {"what": "proposal", "leader": "Dan", "team": ["Dan", "Emma"]}),
    told(2, {"what": "vote", "approve": ["Ada"], "approved": False}),
    told(3, {"what": "proposal", "leader": "Emma", "team": ["Dan", "Emma"]}),
    told(4, {"what": "vote", "approve": FIVE, "approved": True}),
    told(5, {"what": "quest", "success": True}), told(6, {"what": "quest", "success": False}), told(7, {"what": "quest", "success": True}),
    told(8, {"what": "strike", "assassin": "Ben", "target": "Cleo", "merlin": True}, {"what": "roles", "roles": ROLES, "winner": "evil", "why": "Merlin was found"}),
]  # fmt: skip


def test_who_won_who_was_what_and_what_was_false_by_hand() -> None:
    """Ada's claim is a lie that she knows of; what Dan, good, says of Emma is false, and he does not know."""
    assert role_lines(GAME) == [
        "roles: evil won, Merlin was found; evil: Ada, Ben (assassin); Merlin: Cleo; Ben took Cleo for Merlin",
        "  2 quests succeeded, 1 failed; 1 of 2 teams refused; false words: 1 by those who knew better, 1 by others",
    ]


def test_other_worlds_and_games_cut_short_say_nothing_and_damaged_ones_are_refused() -> None:
    assert role_lines(GAME[:-1]) == [] and role_lines([told(0, {"what": "answers"})]) == []
    with pytest.raises(AnalysisError, match="roles needs roles by player, a winner and why"):
        role_lines([told(0, {"what": "roles", "roles": ROLES})])
    with pytest.raises(AnalysisError, match="a message without text and readers"):
        role_lines([*GAME, Event(kind="message", step=9, time=9, agent="Ada", data={"id": "9"})])


def test_the_report_of_a_run_says_who_won(tmp_path: Path) -> None:
    file = tmp_path / "roles.yaml"
    file.write_text("defaults: [sandbox_schema, _self_]\nname: roles\nseed: 4\nenvironment: {name: hidden_roles}\nseats: {default: scripted}\n")
    assert main(["run", str(file), "executor=local", "plots=false", f"run_dir={tmp_path}"]) == 0
    folder = next(Path(tmp_path, "roles").iterdir())
    (ended,) = [one for e in read_run(folder) if e.kind == "outcome" for one in e.data["events"] if one["what"] == "roles"]
    lines = report(folder)[1]
    assert any(line.startswith(f"roles: {ended['winner']} won, {ended['why']}; evil: ") for line in lines)
