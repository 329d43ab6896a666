"""What is measured of whole games: the same rows for people and agents by hand-computed cases, and the bench's own figures at a small size."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from scenarios.diplomacy import bench
from scenarios.diplomacy.behaviour import COMPARED, ROWS, alike, counts, measure, promises, table
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.games import EVERY_PAIR, Game, GameError, Phase, Said, cicero_game, lies_games, recorded_play
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import centres, game_of, play

DATA = Path(os.environ.get("SOCIALLM_DATA") or Path(__file__).resolve().parents[2].parent / "shared" / "data")
ORDERS = {"AUSTRIA": ("A VIE S A VEN - TYR", "A BUD H"), "ITALY": ("A VEN - TYR", "A ROM S A VEN - TYR"), "FRANCE": ("A PAR H",)}
TALK = (
    Said("ITALY", "AUSTRIA", "Can you support my army in Venice to Tyrolia?"),
    Said("AUSTRIA", "ITALY", "Yes, I will support your army in Venice to Tyrolia with my army in Vienna."),
    Said("AUSTRIA", "ITALY", "I promise to hold my army in Budapest."),
    Said("FRANCE", "ITALY", "I promise to move my army in Paris to Burgundy."),
    Said("FRANCE", None, "Hello all"),
)


def game(pairs=EVERY_PAIR) -> Game:
    return Game("by hand", (Phase("S1901M", TALK, ORDERS),), pairs)


def test_the_rows_of_a_phase_are_those_computed_by_hand():
    found = counts(game())
    assert found["messages"] == (4, 3)  # pairs of the three living powers; what is said to all is in no pair
    assert found["talking"] == (2, 3)
    assert found["characters"] == (sum(len(said.text) for said in TALK), 5)
    assert found["supports"] == (2, 5) and found["given"] == (1, 2)
    assert found["promises"] == (3, 5) and found["kept"] == (2, 3)


def test_pairs_whose_talk_is_not_on_record_count_nowhere():
    found = counts(game(frozenset({frozenset({"AUSTRIA", "ITALY"})})))
    assert found["messages"] == (3, 1) and found["talking"] == (1, 1)


def test_a_promise_said_twice_counts_once_and_orders_unknown_tell_nothing():
    (phase,) = game().phases
    twice = Phase(phase.name, (*phase.said, phase.said[2]), {**ORDERS, "FRANCE": ()})
    assert promises(twice) == [True, True]


def test_what_is_said_between_movement_phases_belongs_to_the_next():
    rows = [("said", TALK[0]), ("orders", ("S1901M", ORDERS)), ("said", TALK[1]), ("orders", ("S1901R", {"ITALY": ["A VEN R ROM"]})),
            ("said", TALK[2]), ("orders", ("F1901M", ORDERS))]  # fmt: skip
    found = recorded_play("rows", rows)
    assert [(phase.name, phase.said) for phase in found.phases] == [("S1901M", TALK[:1]), ("F1901M", TALK[1:3])]


def test_a_measure_pools_games_and_resamples_whole_ones():
    rng = np.random.default_rng(0)
    once, twice = measure([game()], rng), measure([game(), game()], rng)
    assert twice["supports"].value == once["supports"].value == pytest.approx(2 / 5)
    assert np.isnan(once["supports"].low) and (twice["supports"].low, twice["supports"].high) == (pytest.approx(0.4), pytest.approx(0.4))
    assert alike(once["kept"], once["kept"]) and set(once) == set(ROWS)
    assert "| supports | 0.4 [0.4, 0.4] | 0.4 [0.4, 0.4] | 1.00 |" in table({"a": twice, "b": twice}, "b")
    with pytest.raises(ValueError, match="no games"):
        measure([], rng)


@pytest.mark.skipif(not (DATA / "cicero_games").is_dir(), reason=f"needs the recorded games at {DATA}; set SOCIALLM_DATA")
def test_a_recorded_game_is_read_as_its_file_says():
    found = cicero_game(DATA / "cicero_games" / "game_433761_ENGLAND_AG.json")
    assert found.pairs == {frozenset(pair) for pair in (("AUSTRIA", "ENGLAND"), ("AUSTRIA", "GERMANY"), ("ENGLAND", "GERMANY"))}
    first = found.phases[0]
    assert first.name == "S1901M" and first.said[0] == Said("GERMANY", None, "oh lord")
    assert first.orders["AUSTRIA"] == ("A VIE - GAL", "F TRI - ALB", "A BUD - SER") and first.owner("VIE") == "AUSTRIA"


@pytest.mark.skipif(not (DATA / "diplomacy_lies" / "moves.jsonl").is_file(), reason=f"needs diplomacy_lies at {DATA}; set SOCIALLM_DATA")
def test_the_ten_games_of_the_lies_corpus_have_all_their_messages_and_orders():
    found = lies_games(DATA / "diplomacy_lies")
    assert len(found) == 10 and all(one.phases[0].name == "S1901M" for one in found)
    first = found[0].phases[0]
    assert "? VEN H" in first.orders["ITALY"] and "? NAP - ION" in first.orders["ITALY"]
    total = sum(len(phase.said) for one in found for phase in one.phases)
    assert 0.97 * 14_548 <= total <= 14_548  # what is said after the last orders belongs to no phase


def test_a_file_that_is_no_recorded_game_is_refused_in_one_line(tmp_path):
    bad = tmp_path / "game_1_ENGLAND_A.json"
    bad.write_text("{}")
    for broken, read in ((bad, cicero_game), (tmp_path / "game_2.json", cicero_game), (tmp_path, lies_games)):
        with pytest.raises(GameError, match="fetch") as error:
            read(broken)
        assert str(broken) in str(error.value) and "\n" not in str(error.value)


def test_two_games_of_one_seed_are_the_same_and_of_two_seeds_are_not():
    world = make(Options(last_year=1901))
    one, again, other = (game_of("g", play(world, seed)) for seed in (1, 1, 2))
    assert one == again and one.phases != other.phases
    assert {power for phase in one.phases for power in phase.orders} == set(POWERS)


def test_the_pair_of_a_paired_game_is_the_only_one_that_ever_talks():
    for silenced in ([], ["AUSTRIA-ITALY"]):
        steps = list(play(make(Options(last_year=1901, press="private", pairs=["AUSTRIA-ITALY"], silenced=silenced)), 3))
        assert {m.channel.name for step in steps for m in step.messages} == ({"AUSTRIA-ITALY"} if not silenced else set())
        assert sum(centres(steps).values()) >= 22


def test_an_interval_lies_around_its_mean_and_needs_two_games():
    found = bench.interval([1.0, 2.0, 3.0, 6.0], np.random.default_rng(0))
    assert found["mean"] == 3.0 and 1.0 <= found["low"] < 3.0 < found["high"] <= 6.0
    with pytest.raises(ValueError, match="at least two games"):
        bench.interval([1.0], np.random.default_rng(0))


def test_the_bench_prints_its_figures_as_one_json_object(capsys):
    assert bench.main(["play", "--games", "3", "--pairs", "2", "--last-year", "1901", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["centres_among_random"]["games"] == 3 and found["centres_among_random"]["mean"] >= 4
    assert found["pair_gain_from_talk"]["mean"] == pytest.approx(found["pair_talking"] - found["pair_silenced"])


def test_the_bench_without_the_recorded_games_says_what_to_do(capsys, tmp_path):
    assert bench.main(["behaviour", "--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().err


def test_one_negotiator_among_six_random_movers_has_eight_centres_by_1905():
    """Fixed seeds; the figure of twenty games is `python -m scenarios.diplomacy.bench play`."""
    assert np.mean(bench.among_random(4, 1905)) >= 8


@pytest.mark.skipif(not (DATA / "cicero_games").is_dir(), reason=f"needs the recorded games at {DATA}; set SOCIALLM_DATA")
def test_negotiators_behave_within_a_factor_of_two_of_people():
    """Fixed seeds, two games beside every fourth of people's; all are in the figure of `python -m scenarios.diplomacy.bench behaviour`."""
    people = measure([cicero_game(path) for path in sorted((DATA / "cicero_games").glob("game_*.json"))[::4]], np.random.default_rng(0), 50)
    agents = measure(bench.negotiators(2, 1905), np.random.default_rng(0), 50)
    apart = {row: (agents[row].value, people[row].value) for row in COMPARED if not alike(agents[row], people[row])}
    assert not apart
