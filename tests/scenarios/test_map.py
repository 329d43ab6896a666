"""The standard map: counts everyone can check on the board, symmetry, and the places where a typo would hide."""

from __future__ import annotations

from collections import Counter

from scenarios.diplomacy.convoys import landings, routes
from scenarios.diplomacy.map import (
    COASTS,
    FULL_NAMES,
    HOME_CENTERS,
    KINDS,
    PLACES,
    POWERS,
    PROVINCES,
    START_UNITS,
    SUPPLY_CENTERS,
    army_neighbours,
    fleet_neighbours,
    reach,
)
from sociallm import corpora


def test_the_board_has_75_provinces_14_inland_42_coastal_19_seas() -> None:
    assert Counter(KINDS.values()) == {"land": 14, "coast": 42, "sea": 19}
    assert len(PROVINCES) == 75
    assert len(PLACES) == 75 + 6


def test_34_centres_22_of_them_homes_one_unit_on_each_home() -> None:
    homes = [home for power in POWERS for home in HOME_CENTERS[power]]
    assert (len(SUPPLY_CENTERS), len(set(SUPPLY_CENTERS)), len(homes)) == (34, 34, 22)
    assert tuple(sorted(START_UNITS)) == POWERS
    for power in POWERS:
        assert sorted(unit[2:5] for unit in START_UNITS[power]) == sorted(HOME_CENTERS[power])
    assert [power for power in POWERS if len(HOME_CENTERS[power]) == 4] == ["RUSSIA"]


def test_every_border_is_written_from_both_sides() -> None:
    for place in PLACES:
        assert all(place[:3] in army_neighbours(other) for other in army_neighbours(place))
        assert all(place in fleet_neighbours(other) for other in fleet_neighbours(place))
        assert place not in army_neighbours(place) + fleet_neighbours(place)


def test_armies_stay_on_land_and_fleets_off_it() -> None:
    for place in PLACES:
        assert all(KINDS[other] != "sea" for other in army_neighbours(place))
        assert all(KINDS[other[:3]] != "land" for other in fleet_neighbours(place))
        assert (KINDS[place[:3]] == "sea") == (army_neighbours(place) == ())
    assert [code for code in KINDS if not fleet_neighbours(code)] == sorted([*COASTS, *(c for c in KINDS if KINDS[c] == "land")])


def test_three_provinces_have_two_coasts_that_do_not_touch() -> None:
    assert COASTS == {"BUL": ("BUL/EC", "BUL/SC"), "SPA": ("SPA/NC", "SPA/SC"), "STP": ("STP/NC", "STP/SC")}
    assert fleet_neighbours("STP/NC") == ("BAR", "NWY")
    assert fleet_neighbours("STP/SC") == ("BOT", "FIN", "LVN")
    assert set(fleet_neighbours("SPA/NC")) & set(fleet_neighbours("SPA/SC")) == {"MAO", "POR"}
    assert set(fleet_neighbours("BUL/EC")) & set(fleet_neighbours("BUL/SC")) == {"CON"}


def test_neighbours_by_land_that_are_none_by_sea() -> None:
    for one, other in (("ROM", "VEN"), ("ANK", "SMY"), ("EDI", "LVP"), ("FIN", "NWY"), ("LVP", "YOR"), ("WAL", "YOR")):
        assert other in reach("A", one)
        assert other not in reach("F", one)


def test_canals_and_straits_join_where_the_rules_say() -> None:
    assert {"BAL", "HEL"} <= reach("F", "KIE")
    assert {"AEG", "BLA"} <= reach("F", "CON")
    assert {"BAL", "SKA", "NTH", "HEL"} <= reach("F", "DEN")
    assert "KIE" in reach("A", "DEN") and "SWE" in reach("A", "DEN")
    assert "BAL" not in reach("F", "SKA") and "HEL" not in reach("F", "SKA")


def test_full_names_are_distinct() -> None:
    assert FULL_NAMES["STP"] == "Saint Petersburg"
    assert len(set(FULL_NAMES.values())) == 75


def test_a_convoy_route_has_no_fleet_to_spare() -> None:
    carried = routes("LON", frozenset({"NTH", "ENG", "IRI"}))
    assert carried["BEL"] == (frozenset({"ENG"}), frozenset({"NTH"}))
    assert carried["LVP"] == (frozenset({"ENG", "IRI"}),)
    assert "IRI" not in {sea for chains in (carried["BEL"], carried["BRE"], carried["NWY"]) for chain in chains for sea in chain}
    assert "LVP" in landings("LON", frozenset({"NTH", "ENG", "IRI"}))["ENG"]


def test_a_route_round_three_seas_that_all_touch_is_cut_short() -> None:
    assert routes("CLY", frozenset({"NAO", "IRI", "MAO"}))["SPA"] == (frozenset({"NAO", "MAO"}),)


def test_no_convoy_from_inland_or_without_a_fleet_beside_the_army() -> None:
    assert routes("MUN", frozenset({"NTH", "BAL"})) == {}
    assert routes("LON", frozenset({"MAO", "IRI"})) == {}
    assert "LON" not in routes("LON", frozenset({"NTH", "ENG"}))


def test_a_convoy_may_go_all_the_way_round() -> None:
    seas = frozenset({"BAR", "NWG", "NAO", "MAO", "WES", "TYS", "ION", "EAS"})
    assert routes("STP", seas)["SYR"] == (seas,)


def test_the_corpora_know_the_same_powers() -> None:
    assert corpora.POWERS == frozenset(POWERS)  # written twice: sociallm knows no scenario
