"""The bench of heads at its smallest: learned, measured against the same seeds without, the same every time."""

from __future__ import annotations

import pytest

from agents.choosing import LearnedHead, read_head, write_head
from analysis.benches.heads import SHIPPED, Pair, difference, main, pairs
from scenarios.diplomacy.choosing import ORDER
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import centres, play


def test_a_head_without_weight_wins_nothing_and_one_that_holds_loses():
    world = make(Options(last_year=1901, press="none"))
    holds = LearnedHead("diplomacy", {"order": {"hold": 50.0}})
    assert all(pair.with_head == pair.without for pair in pairs(world, holds, [1], weight=0.0))
    found = pairs(world, holds, [1])
    assert [pair.power for pair in found] == list(POWERS) and all(pair.with_head <= 3 + (pair.power == "RUSSIA") for pair in found)
    assert {pair.power: pair.without for pair in found} == centres(play(world, 1)) and sum(p.with_head - p.without for p in found) < -5


def test_the_shipped_head_weighs_what_orders_are_shown_with():
    head = read_head(str(SHIPPED))
    assert head.world == "diplomacy" and set(head.kinds) == {"order"} and set(head.kinds["order"]) <= set(ORDER)
    assert str(head.notes["made"]).startswith("python -m analysis.benches.heads train ")


def test_the_difference_is_by_seed():
    found = [Pair(seed, power, 5, 5 - seed) for seed in (1, 2, 3) for power in POWERS]
    more = difference(found)
    assert more.mean == pytest.approx(2.0) and 1 <= more.low < 2 < more.high <= 3


def test_the_command_writes_a_head_and_measures_it(tmp_path, capsys):
    file = str(tmp_path / "heads" / "head.json")
    small = ["--head", file, "--last-year", "1901"]
    assert main(["train", *small, "--generations", "1", "--games", "2"]) == 0
    head = read_head(file)
    assert head.world == "diplomacy" and "--games 2" in head.notes["made"] and any(head.kinds["order"].values())
    assert "generation 0" in capsys.readouterr().out
    assert main(["measure", *small, "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert "14 games with the head in one seat, 2 without, to 1901" in out and "by seed" in out


@pytest.mark.parametrize(("given", "said"), [
    (["measure", "--head", "/nowhere.json"], "/nowhere.json"), (["train", "--games", "1001"], "--games 1001"), (["train", "--first", "899999"], "--first 899999"),
    (["measure", "--seeds", "1"], "--seeds"), (["train", "--nats", "0"], "--nats"), (["train", "--last-year", "1900"], "last_year"),
])  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(given, said, capsys):
    assert main(given) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_head_for_another_world_is_not_measured(tmp_path, capsys):
    write_head(tmp_path / "head.json", LearnedHead("team_task", {}))
    assert main(["measure", "--head", str(tmp_path / "head.json")]) == 2 and "team_task" in capsys.readouterr().err
