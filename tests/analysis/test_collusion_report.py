"""One market looked at, from the command line: in folders of runs, and refused in a line where there is nothing to look at."""

import json

import pytest

from analysis.__main__ import main
from sandbox.__main__ import main as sandbox

ARGUMENTS = ["run", "scenarios/market.yaml", "seats.default=scripted", "executor=local", "log.fsync=none", "snapshots.every=0", "environment.chat='off'"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for name, more in (("grudge", ["environment.rounds=30", "environment.sellers=2"]), ("auction", ["environment.mode=auction", "environment.rounds=12"])):
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
