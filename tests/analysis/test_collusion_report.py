"""One market looked at, from the command line: in folders of runs, and refused in a line where there is nothing to look at."""

import json

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.collusion_report import round_of_cut
from analysis.series import Series
from sandbox.__main__ import main as sandbox
from sandbox.config import load

ARGUMENTS = ["run", "scenarios/market.yaml", "seats.default=scripted", "executor=local", "log.fsync=none", "snapshots.every=0", "environment.chat='off'"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for name, more in (("grudge", ["environment.rounds=30", "environment.sellers=2"]), ("auction", ["environment.mode=auction", "environment.rounds=12"]),
                       ("rival", ["environment.rounds=8", "environment.sellers=2", "environment.play.default=rival"])):
        assert sandbox([*ARGUMENTS, f"run_dir={place}", f"name={name}", *more]) == 0
    return place


def run(folder, name):
    return str(next((folder / name).iterdir()))


def test_a_grudge_is_seen_in_its_run(folder, capsys):
    assert main(["collusion", run(folder, "grudge"), "--impulse", "--seller", "S1", "--at", "10"]) == 0
    out = capsys.readouterr().out
    assert "profit gain in 5 parts of the run: +1.00 +1.00 +1.00 +1.00 +1.00" in out and "conduct                    S1+S2 +1.00" in out
    assert "rivals cut by 1.00 at most, for 14 rounds, not back by the end" in out and "does not pay" in out and "the others' price +1.00 → " in out and "profit 0.3375 → 0.2229" in out


def test_an_auction_is_screened_and_has_no_price_to_cut(folder, capsys):
    assert main(["collusion", run(folder, "auction")]) == 0
    assert "still bids" in capsys.readouterr().out
    assert main(["collusion", run(folder, "auction"), "--impulse"]) == 2
    assert "set prices alone" in capsys.readouterr().err


def test_where_there_is_nothing_to_cut_from_there_is_no_verdict(folder, capsys):
    assert main(["collusion", run(folder, "rival"), "--impulse"]) == 0
    assert capsys.readouterr().out.endswith("in no round clearly above competition, so there is nothing to cut from and no verdict; name a round with --at N to try all the same\n")
    assert main(["collusion", run(folder, "rival"), "--impulse", "--seller", "S1", "--at", "3"]) == 0
    out = capsys.readouterr().out
    assert "S1: nothing to cut from in round 3" in out and "do not answer" not in out and "pay" not in out


def test_the_last_round_leaves_none_to_answer_in(folder, capsys):
    assert main(["collusion", run(folder, "grudge"), "--impulse", "--seller", "S1", "--at", "29"]) == 0
    out = capsys.readouterr().out
    assert "no round after round 29" in out and "do not answer" not in out and "(round 14 would be taken without --at" in out


@pytest.mark.parametrize(("high", "chosen"), [((), None), ((0,), 0), (range(12), 5), (range(7, 12), 7), ((1, 2, 9), 2), ((11,), None)])
def test_the_round_of_a_cut_is_the_nearest_to_the_middle_of_those_above_competition(high, chosen):
    setting = load("scenarios/market.yaml", ["seats.default=scripted", "executor=local", "environment.sellers=2", "environment.rounds=12"])
    prices = setting.environment.language.prices
    asked = np.array([prices.cartel if t in high else prices.nash + 0.05 * (prices.cartel - prices.nash) for t in range(12)])
    assert round_of_cut(Series(("S1", "S2"), False, asked, asked, np.zeros(12)), setting) == chosen


@pytest.mark.parametrize("more, why", [
    (["--at", "99"], "rounds 0 to 29"), (["--seller", "X"], "no seller 'X'"), (["--horizon", "1"], "--horizon 1"), (["--discount", "1.5"], "--discount 1.5"),
])
def test_bad_wishes_are_one_line(folder, capsys, more, why):
    assert main(["collusion", run(folder, "grudge"), "--impulse", *more]) == 2
    err = capsys.readouterr().err
    assert why in err and err.count("\n") == 1


def test_a_changed_run_is_not_played_again(folder, capsys):
    place = next((folder / "grudge").iterdir())
    before = (place / "config.yaml").read_text()
    (place / "config.yaml").write_text(before + "\n")
    try:
        assert main(["collusion", str(place), "--impulse"]) == 2
        assert "cannot be played again" in capsys.readouterr().err
    finally:
        (place / "config.yaml").write_text(before)
    assert json.loads((place / "manifest.json").read_text())["ended"] == "done"
