"""The comparison over watched games: numbers by hand, the paired interval, what is refused."""

import csv

import numpy as np
import pytest

from analysis import watch
from analysis.__main__ import main
from analysis.metrics import AnalysisError
from tests.analysis.runs import end, memory, message, watched, write_run

PAIR = ["FRANCE", "ITALY"]


@pytest.fixture
def runs(tmp_path):
    """Four games; game k: one message to two readers and one to one, both states better than none by exactly (k + 1) / 10 nats a token."""
    folders = []
    for k in range(4):
        gain = (k + 1) / 10
        talk = [("ITALY", ["FRANCE", "ITALY", "TURKEY"], 10, [(20.0, 21.0, 19.0 + 10 * gain), (20.0, 21.0, 21.0 + 10 * gain)]), ("FRANCE", PAIR, 30, [(50.0, 53.0, 50.0 + 30 * gain)])]
        folders.append(write_run(tmp_path / f"run{k}", watched(f"game_{k}_ITALY_F.json", talk)))
    (tmp_path / "card.md").write_text("Held out: `game_0_ITALY_F.json`, game_2_ITALY_F.json.")
    return folders


def test_the_table_by_game_is_the_hand_computed_one(runs):
    table = watch.games(runs[::-1], {"game_2_ITALY_F.json"})
    assert list(table["game"]) == [f"game_{k}_ITALY_F.json" for k in range(4)]
    assert list(table["held_out"]) == [False, False, True, False]
    assert set(table["messages"]) == {2} and set(table["tokens"]) == {40}  # tokens once a message, however many read it
    assert table["surprise"].tolist() == pytest.approx([70 / 40] * 4)
    assert table["gain_no_int"].tolist() == pytest.approx([-4 / 40] * 4)
    assert table["gain_no_states"].tolist() == pytest.approx([-0.1, -0.2, -0.3, -0.4])


def test_intervals_are_over_all_over_held_out_and_over_the_others(runs):
    table = watch.games(runs, {"game_0_ITALY_F.json", "game_2_ITALY_F.json"})
    found = {(name, what): interval for name, what, interval in watch.intervals(table, np.random.default_rng(0))}
    assert {name for name, _ in found} == {"all games", "held out", "other games"}
    both = {name: found[name, "both states − both emptied"] for name in ("all games", "held out", "other games")}
    assert [both[name].mean for name in both] == pytest.approx([-0.25, -0.2, -0.3]) and [both[name].units for name in both] == [4, 2, 2]
    assert (both["held out"].low, both["held out"].high) == pytest.approx((-0.3, -0.1))  # two games: the ends are the games
    assert -0.4 < both["all games"].low < -0.25 < both["all games"].high < -0.1
    alone = found["all games", "both states − interlocutor emptied"]
    assert (alone.mean, alone.low, alone.high) == pytest.approx((-0.1, -0.1, -0.1))


def test_the_command_writes_a_csv_and_prints_the_same_interval_twice(runs, tmp_path, capsys):
    arguments = ["watch", *map(str, runs), "--held-out", str(tmp_path / "card.md"), "--out", str(tmp_path / "w.csv")]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 0 and capsys.readouterr().out == first
    assert main([*arguments, "--seed", "1"]) == 0
    rows = list(csv.DictReader((tmp_path / "w.csv").open()))
    assert [r["held_out"] for r in rows] == ["True", "False", "True", "False"]
    assert float(rows[3]["gain_no_states"]) == pytest.approx(-0.4)
    assert "held out" in first and "-0.2000  [-0.3000, -0.1000]  (2 games)" in first


def test_one_game_has_a_difference_and_no_interval(runs, tmp_path, capsys):
    assert main(["watch", str(runs[1]), "--held-out", str(tmp_path / "card.md"), "--out", str(tmp_path / "w.csv")]) == 0
    told = capsys.readouterr().out
    assert "one game, no interval" in told and "held out" not in told.split("surprise in nats")[1]


def test_games_named_in_a_card_are_found_and_a_card_without_any_is_refused(tmp_path):
    (tmp_path / "card.md").write_text("- `game_1_A_B.json`\n| game_22_TURKEY_FIR.json | 12 |")
    assert watch.held_out_games(tmp_path / "card.md") == {"game_1_A_B.json", "game_22_TURKEY_FIR.json"}
    (tmp_path / "none.md").write_text("nothing here")
    for name in ("none.md", "missing.md", "."):
        with pytest.raises(AnalysisError) as refused:
            watch.held_out_games(tmp_path / name)
        assert "\n" not in str(refused.value)


def test_what_is_not_a_watched_game_seen_to_its_end_is_refused(runs, tmp_path):
    complete = watched("game_9_X_Y.json", [("ITALY", PAIR, 4, [(1.0, 2.0, 3.0)])])
    cases = {"played": [message("a", "X", ["X", "Y"]), memory("a", "Y", 2, 1.0, 1.0, 1.0), end()], "cut": complete[:-1], "stopped": [*complete[:-1], end("interrupted")],
             "unmeasured": [e for e in complete if e.kind != "memory"]}
    for name, events in cases.items():
        with pytest.raises(AnalysisError, match=name):
            watch.games([write_run(tmp_path / name, events)], set())


def test_of_two_runs_of_a_game_the_last_counts_and_it_is_told(runs, tmp_path):
    again = write_run(tmp_path / "again", watched("game_9_X_Y.json", [("ITALY", PAIR, 4, [(1.0, 2.0, 3.0)])]))
    before = write_run(tmp_path / "before", watched("game_9_X_Y.json", [("ITALY", PAIR, 4, [(2.0, 2.0, 8.0)])]))
    told: list[str] = []
    table = watch.games([before, again], set(), told.append)
    assert table["surprise_no_states"].tolist() == [0.75] and len(told) == 1 and "again" in told[0]


def test_a_missing_run_and_an_unwritable_table_are_one_line_and_code_2(runs, tmp_path, capsys):
    card = ["--held-out", str(tmp_path / "card.md")]
    assert main(["watch", str(tmp_path / "none"), *card]) == 2
    assert main(["watch", str(runs[0]), *card, "--out", str(tmp_path / "no" / "w.csv")]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 2
