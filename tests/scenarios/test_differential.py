"""Our rules beside the `diplomacy` package: 500 random phases, every difference traced to a named departure of the package."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from scenarios.diplomacy import reference
from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.differential import DEPARTURES, Difference, compare, differences, phases

needs_package = pytest.mark.skipif(not reference.available(), reason="needs the `diplomacy` package of the development extra")


def told(board: Board, **orders: list[str]) -> Difference | None:
    return compare(reference.new_game(), board, orders, adjudicate(board, orders))


def spring(**units: list[str]) -> Board:
    return Board(year=1901, season="S", phase="M", units={power: tuple(own) for power, own in units.items()}, centers={})


@needs_package
def test_500_random_phases_differ_only_where_a_departure_explains_it() -> None:
    found = list(differences(seed=11, count=500))
    assert found and all(difference.because for difference in found)
    assert {name for difference in found for name in difference.because} <= set(DEPARTURES)


def test_the_phases_are_of_every_kind_and_the_same_every_time() -> None:
    some = [board for board, _, _ in islice(phases(11), 120)]
    assert {board.phase for board in some} == set("MRA")
    assert some == [board for board, _, _ in islice(phases(11), 120)]


@needs_package
def test_what_agrees_is_no_difference() -> None:
    assert told(spring(FRANCE=["A PAR"], GERMANY=["A MUN"]), FRANCE=["A PAR - BUR"], GERMANY=["A MUN - BUR"]) is None


CASES = [  # (departure, units, orders): each read by hand; what the package does is in DEPARTURES
    ("own support by VIA", {"FRANCE": ["A WAL"], "ENGLAND": ["A BEL", "A HOL", "F ENG"]},
     {"ENGLAND": ["A BEL H", "F ENG C A WAL - BEL", "A HOL S A WAL - BEL"], "FRANCE": ["A WAL - BEL VIA"]}),
    ("own support on a convoy", {"ENGLAND": ["A LON", "F NTH", "F YOR"], "GERMANY": ["F HEL"]},
     {"ENGLAND": ["A LON - HOL", "F NTH C A LON - HOL", "F YOR S F HEL - NTH"], "GERMANY": ["F HEL - NTH"]}),
    ("own support in defence", {"AUSTRIA": ["A VIE"], "FRANCE": ["A BUD", "A GAL", "A RUM"], "ENGLAND": ["A BOH"]},
     {"AUSTRIA": ["A VIE - BUD"], "FRANCE": ["A BUD - VIE", "A GAL S A VIE - BUD", "A RUM S A VIE - BUD"], "ENGLAND": ["A BOH S A BUD - VIE"]}),
    ("walk after a convoy", {"FRANCE": ["A PIC", "F ENG"], "ENGLAND": ["F IRI", "F WAL"]},
     {"FRANCE": ["A PIC - BRE", "F ENG C A PIC - BRE"], "ENGLAND": ["F IRI - ENG", "F WAL S F IRI - ENG"]}),
    ("rules.land_route", {"FRANCE": ["A PIC"], "ENGLAND": ["F ENG"]}, {"FRANCE": ["A PIC - BRE VIA"], "ENGLAND": ["F ENG H"]}),
]  # fmt: skip


@needs_package
@pytest.mark.parametrize(("name", "units", "orders"), CASES, ids=[case[0] for case in CASES])
def test_each_departure_is_needed_for_the_case_that_shows_it(name: str, units: dict[str, list[str]], orders: dict[str, list[str]]) -> None:
    difference = told(spring(**units), **orders)
    assert difference is not None
    assert name in difference.because and set(difference.because) <= {name, "retreats after a convoy"}


@needs_package
def test_a_difference_that_no_departure_gives_stays_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our move taken back: the package then differs for a reason that is none of its own."""
    board = spring(FRANCE=["A PAR"])
    difference = compare(reference.new_game(), board, {"FRANCE": ["A PAR - BUR"]}, adjudicate(board, {"FRANCE": ["A PAR H"]}))
    assert difference is not None
    assert difference.because == ()


@needs_package
def test_the_package_never_sees_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    convoys = reference.package("diplomacy.utils.convoy_paths")
    assert not convoys.EXTERNAL_CACHE_PATH.startswith((str(tmp_path), os.path.expanduser("~")))
    assert os.environ["HOME"] == str(tmp_path)
