"""The adjudicator beyond the DATC: plain equations on random positions, legality by exhaustion, the calendar, and hostile orders."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, replace

import pytest

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import (
    Board,
    BoardError,
    Dislodged,
    adjustment_count,
    board_from_json,
    board_hash,
    board_to_json,
    fork,
    initial_board,
)
from scenarios.diplomacy.map import HOME_CENTERS, PLACES, POWERS, SUPPLY_CENTERS, fleet_neighbours, reach
from scenarios.diplomacy.orders import Order, OrderError, check_movement, fleets_at_sea, format_order, legal_orders, occupants, parse_order
from scenarios.diplomacy.positions import random_board, random_orders
from scenarios.diplomacy.rules import STANDARD, WEBDIPLOMACY, Rules

SEEDS = range(150)


# ---- random positions ----------------------------------------------------------------------------------------------

def positions() -> list[tuple[Board, dict[str, list[str]]]]:
    found = []
    for seed in SEEDS:
        rng = random.Random(seed)
        board = random_board(rng)
        found.append((board, random_orders(board, rng)))
    return found


POSITIONS = positions()


def owners(units: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
    return Counter((power, unit[0]) for power, own in units.items() for unit in own)


def test_units_are_conserved_and_stand_alone() -> None:
    for board, orders in POSITIONS:
        found = adjudicate(board, orders)
        assert owners(found.board.units) + Counter((d.power, d.unit[0]) for d in found.dislodged) == owners(board.units)
        provinces = Counter(unit[2:5] for own in found.board.units.values() for unit in own)
        assert max(provinces.values(), default=1) == 1


def test_offered_orders_are_legal() -> None:
    assert all(adjudicate(board, orders).illegal == () for board, orders in POSITIONS)


def test_the_order_of_powers_and_of_orders_does_not_matter() -> None:
    for seed, (board, orders) in enumerate(POSITIONS):
        rng = random.Random(seed)
        shuffled = {power: rng.sample(orders[power], len(orders[power])) for power in rng.sample(POWERS, 7)}
        assert adjudicate(board, shuffled) == adjudicate(board, orders) == adjudicate(replace(board), dict(orders))


def test_retreats_are_open_empty_and_not_where_the_attacker_came_from_by_land() -> None:
    dislodged = 0
    for board, orders in POSITIONS:
        found = adjudicate(board, orders)
        occupied = set(occupants(found.board))
        for unit in found.dislodged:
            dislodged += 1
            provinces = {place[:3] for place in unit.retreats}
            assert provinces <= reach(unit.unit[0], unit.unit[2:]) - occupied - set(found.contested)
            assert unit.unit[2:5] in occupied
            if unit.attacker_from in provinces:
                assert any(o.startswith(f"A {unit.attacker_from} - ") for own in orders.values() for o in own)
    assert dislodged > len(POSITIONS) / 2


# ---- section 5 of the DATC as plain equations: every answer follows from the other answers -------------------------

class Equations:
    """The strengths of DATC 3.0, section 5.B, from orders and their results; written apart from the resolver."""

    def __init__(self, board: Board, orders: Mapping[str, Sequence[str]], found: Resolution) -> None:
        self.power = {unit[2:5]: power for power, own in board.units.items() for unit in own}
        self.orders = {(o := parse_order(text)).province: (o, found.results[power, text]) for power, own in orders.items() for text in own}
        self.moves = {p: o.target[:3] for p, (o, _) in self.orders.items() if o.kind == "move" and o.target}
        self.arrives = {p for p in self.moves if self.orders[p][1] == "succeeds"}
        self.stranded = {p for p in self.moves if self.orders[p][1] == "no convoy"}
        self.carried = {p for p in self.moves if self.goes_by_sea(p)}

    def goes_by_sea(self, army: str) -> bool:
        order = self.orders[army][0]
        own = any(o.kind == "convoy" and o.other == order.unit and o.target == order.target and self.power[p] == self.power[army]
                  for p, (o, _) in self.orders.items())
        return order.unit[0] == "A" and (order.via or own or self.moves[army] not in reach("A", army))

    def supporters(self, unit: str, target: str | None) -> list[str]:
        return [p for p, (o, result) in self.orders.items() if o.kind == "support" and o.other and o.other[2:5] == unit
                and result == "succeeds" and (o.target[:3] if o.target else None) == target]

    def head_to_head(self, mover: str) -> bool:
        target = self.moves[mover]
        return self.moves.get(target) == mover and not {mover, target} & self.carried

    def attack(self, mover: str) -> int:
        target, helpers = self.moves[mover], self.supporters(mover, self.moves[mover])
        if target not in self.power or (target in self.arrives and not self.head_to_head(mover)):
            return 1 + len(helpers)
        if self.power[target] == self.power[mover]:
            return 0
        return 1 + sum(self.power[helper] != self.power[target] for helper in helpers)

    def hold(self, province: str) -> int:
        if province not in self.power or province in self.arrives:
            return 0
        return 1 if province in self.moves else 1 + len(self.supporters(province, None))

    def prevent(self, mover: str) -> int:
        lost = self.head_to_head(mover) and self.moves[mover] in self.arrives
        return 0 if lost or mover in self.stranded else 1 + len(self.supporters(mover, self.moves[mover]))

    def should_arrive(self, mover: str) -> bool:
        target = self.moves[mover]
        bars = [1 + len(self.supporters(target, mover)) if self.head_to_head(mover) else self.hold(target)]
        bars += [self.prevent(other) for other, goal in self.moves.items() if goal == target and other != mover]
        return mover not in self.stranded and self.attack(mover) > max(bars)

    def should_be_cut(self, supporter: str) -> bool:
        order = self.orders[supporter][0]
        against = order.target[:3] if order.target else (order.other or "")[2:5]
        return any(goal == supporter and self.power[m] != self.power[supporter] and m not in self.stranded
                   and (m != against or m in self.arrives) for m, goal in self.moves.items())


def test_every_move_and_support_satisfies_the_equations() -> None:
    seen: Counter[str] = Counter()
    for board, orders in POSITIONS:
        facts = Equations(board, orders, adjudicate(board, orders))
        for province, (order, result) in facts.orders.items():
            seen[f"{order.kind} {result}"] += 1
            if order.kind == "move":
                assert (province in facts.arrives) == facts.should_arrive(province), (order, orders)
            if order.kind == "support" and result != "unmatched":
                assert (result == "cut") == facts.should_be_cut(province), (order, orders)
    assert {"move succeeds", "move bounces", "move no convoy", "support cut", "support succeeds", "convoy succeeds"} <= set(seen)


def test_an_army_is_stranded_only_for_want_of_a_route() -> None:
    """There is no paradox among these seeds, so 'no convoy' means that each chain of carrying fleets has lost one."""
    for board, orders in POSITIONS:
        found = adjudicate(board, orders)
        facts = Equations(board, orders, found)
        lost = {d.unit[2:5] for d in found.dislodged}
        for army in facts.carried:
            goal = facts.moves[army]
            fleets = {p for p, (o, _) in facts.orders.items() if o.kind == "convoy" and (o.other, o.target) == (f"A {army}", goal)}
            assert (army not in facts.stranded) == joined(army, goal, fleets - lost), (army, orders)


def joined(start: str, goal: str, seas: set[str]) -> bool:
    """Whether fleets in these seas make a way from coast to coast."""
    edge = {sea for sea in seas if start in reach("F", sea)}
    seen = set(edge)
    while edge:
        edge = {sea for sea in seas if any(sea in reach("F", other) for other in edge)} - seen
        seen |= edge
    return any(goal in reach("F", sea) for sea in seen)


# ---- legality ------------------------------------------------------------------------------------------------------

def every_text(unit: str, units: Mapping[str, tuple[str, str, str]]) -> list[str]:
    others = [f"{kind} {place}" for _, kind, place in units.values()]
    texts = [f"{unit} H"] + [f"{unit} - {p}{via}" for p in PLACES for via in ("", " VIA")]
    texts += [f"{unit} S {other}" for other in others]
    return texts + [f"{unit} {letter} {other} - {p}" for letter in "SC" for other in others for p in PLACES]


@pytest.mark.parametrize("seed", range(2))
def test_offered_orders_are_all_the_legal_ones(seed: int) -> None:
    board = random_board(random.Random(f"legal {seed}"))
    units, fleets = occupants(board), fleets_at_sea(occupants(board))
    for power in POWERS:
        for unit, offered in legal_orders(board, power).items():
            legal = set()
            for text in every_text(unit, units):
                order, reason = check_movement(parse_order(text), power, units, fleets)
                if not reason:
                    legal.add(full_text(order, units))
            assert legal == set(offered)
            assert len(set(offered)) == len(offered)


def full_text(order: Order, units: Mapping[str, tuple[str, str, str]]) -> str:
    """One text for each meaning: coasts named where they count, nowhere else, and VIA on every move by convoy."""
    if order.kind == "move" and order.unit[0] == "A" and order.target not in reach("A", order.unit[2:]):
        order = replace(order, via=True)
    if order.target and order.kind in ("support", "convoy"):
        _, kind, place = units[(order.other or "")[2:5]]
        goals = fleet_neighbours(place) if kind == "F" else ()
        if kind == "A":
            order = replace(order, target=order.target[:3])
        elif order.target not in goals:
            order = replace(order, target=next(goal for goal in goals if goal[:3] == order.target))
            if sum(goal[:3] == (order.target or "")[:3] for goal in goals) > 1:
                order = replace(order, target=order.target)
    return format_order(order)


@pytest.mark.parametrize("text", [
    "A PAR H", "A PAR - BUR", "A BEL - HOL VIA", "A PAR S A BUR", "A PAR S A BUR - MUN", "F NTH C A LON - BEL", "F STP/SC - BOT",
    "F MAR S F GAS - SPA/NC", "A PAR R GAS", "A PAR B", "F STP/NC B", "A PAR D", "WAIVE",
])  # fmt: skip
def test_an_order_survives_reading_and_writing(text: str) -> None:
    assert format_order(parse_order(text)) == text
    assert parse_order(f"  {text.lower()} ".replace(" ", "  ")) == parse_order(text)


@pytest.mark.parametrize(("text", "why"), [
    ("", "expected an order such as"), ("A PAR", "expected an order such as"), ("A PAR-BUR", "expected an order such as"),
    ("A XXX - BUR", "XXX is no place"), ("F SPA/EC H", "SPA/EC is no place"), ("A PAR R GAS VIA", "leave out VIA"),
    ("F NTH C A LON", "landing place"), ("A PAR H\nA BUR H", "expected an order such as"), ("А PAR H", "expected an order such as"),
    ("A" * 10_000, "short text"), (None, "short text"), (["A PAR H"], "short text"), ({"unit": "A PAR"}, "short text"), (7, "short text"),
])  # fmt: skip
def test_a_text_that_is_no_order_is_told_so_in_one_line(text: object, why: str) -> None:
    with pytest.raises(OrderError, match=why) as error:
        parse_order(text)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


# ---- orders from agents --------------------------------------------------------------------------------------------

def test_a_bad_order_is_named_and_the_unit_holds() -> None:
    orders = {"FRANCE": ["A PAR - LON", "F BRE - MAO", "A BUD H", "A MAR - SPA", "A MAR - GAS", "nonsense"]}
    found = adjudicate(initial_board(), orders)
    assert found.board.units["FRANCE"] == ("A PAR", "A SPA", "F MAO")
    assert [text for _, text, _ in found.illegal] == ["nonsense", "A PAR - LON", "A BUD H", "A MAR - GAS"]
    assert found.results["FRANCE", "A MAR - SPA"] == "succeeds"
    assert {found.results["FRANCE", text] for _, text, _ in found.illegal} == {"void"}


@pytest.mark.parametrize("orders", [
    {"FRANCE": None}, {"FRANCE": "A PAR H"}, {"FRANCE": {"A PAR": "H"}}, {"FRANCE": [None, 3, [], {}, "\ud800", "x" * 5000]},
    {"SPAIN": ["A MAD H"]}, {3: ["A PAR H"], None: ["A PAR H"], "france": ["A PAR - BUR"]}, {"FRANCE": ["WAIVE", "A PAR B", "A PAR R GAS"]},
])  # fmt: skip
@pytest.mark.parametrize("phase", ["M", "R", "A"])
def test_nothing_an_agent_says_raises(orders: dict, phase: str) -> None:
    start = initial_board()
    board = {
        "M": start,
        "R": replace(start, phase="R", units={**start.units, "FRANCE": ()}, dislodged=(Dislodged("FRANCE", "A PAR", "BUR", ("PIC",)),)),
        "A": replace(start, season="W", phase="A", units={**start.units, "FRANCE": ("A MAR",)}),
    }[phase]
    found = adjudicate(board, orders)
    assert len(found.illegal) >= (0 if phase == "A" and "WAIVE" in str(orders) else 1)
    assert found.board.units["ENGLAND"] == start.units["ENGLAND"]
    json.dumps([found.illegal, board_to_json(found.board), list(found.results.items())])


def test_units_without_orders_hold() -> None:
    found = adjudicate(initial_board(), {})
    assert found.board == replace(initial_board(), season="F")
    assert (found.results, found.illegal) == ({}, ())


def test_a_dislodged_unit_without_a_legal_retreat_order_is_disbanded() -> None:
    board = Board(year=1905, season="S", phase="R", units={"ITALY": ("A BUR",)}, centers={},
                  dislodged=(Dislodged("FRANCE", "A BUR", "MUN", ("BEL", "GAS")),))
    for orders in ({}, {"FRANCE": ["A BUR R PAR"]}, {"FRANCE": ["A BUR H"]}, {"FRANCE": ["A BUR D"]}, {"GERMANY": ["A BUR R GAS"]}):
        found = adjudicate(board, orders)
        assert found.disbanded == (("FRANCE", "A BUR"),)
        assert (found.board.name, found.board.units["FRANCE"]) == ("F1905M", ())
    assert adjudicate(board, {"FRANCE": ["A BUR R GAS", "A BUR R BEL"]}).board.units["FRANCE"] == ("A GAS",)


def test_builds_waived_and_missing_are_the_same() -> None:
    board = Board(year=1902, season="W", phase="A", units={"FRANCE": ("A PIC",)}, centers={"FRANCE": ("BRE", "MAR", "PAR")})
    assert adjustment_count(board, "FRANCE") == 2
    assert adjudicate(board, {"FRANCE": ["WAIVE", "WAIVE"]}).board == adjudicate(board, {}).board
    one = adjudicate(board, {"FRANCE": ["WAIVE", "F BRE B", "A PAR B"]})
    assert one.board.units["FRANCE"] == ("A PIC", "F BRE")
    assert [text for _, text, _ in one.illegal] == ["A PAR B"]


def test_no_more_builds_than_open_homes() -> None:
    centers = {"FRANCE": ("BEL", "BRE", "MAR", "PAR", "SPA")}
    board = Board(year=1902, season="W", phase="A", units={"FRANCE": ("A PAR", "A MAR")}, centers=centers)
    assert adjustment_count(board, "FRANCE") == 1
    assert legal_orders(board, "FRANCE") == {"BUILD": ("A BRE B", "F BRE B", "WAIVE")}
    assert legal_orders(board, "ITALY") == {}


def test_among_equals_the_alphabet_of_full_names_decides_a_removal() -> None:
    """From London, Norway and the Norwegian Sea are two moves off; NWG comes before NWY, but Norway before Norwegian Sea."""
    board = Board(year=1902, season="W", phase="A", units={"ENGLAND": ("F NWG", "F NWY")}, centers={"ENGLAND": ("LON",)})
    assert adjudicate(board, {}).disbanded == (("ENGLAND", "F NWY"),)


def test_fleets_of_a_broken_route_fail_while_another_carries() -> None:
    board = Board(year=1901, season="S", phase="M", centers={}, units={
        "ENGLAND": ("A LVP", "F NAO", "F NWG", "F IRI", "F ENG", "F NTH"), "FRANCE": ("F BRE", "F MAO")})
    convoys = [f"F {sea} C A LVP - EDI" for sea in ("NAO", "NWG", "IRI", "ENG", "NTH")]
    found = adjudicate(board, {"ENGLAND": ["A LVP - EDI VIA", *convoys], "FRANCE": ["F BRE - ENG", "F MAO S F BRE - ENG"]})
    assert [found.results["ENGLAND", text] for text in convoys] == ["succeeds", "succeeds", "fails", "dislodged", "fails"]
    assert found.results["ENGLAND", "A LVP - EDI VIA"] == "succeeds"


# ---- the calendar --------------------------------------------------------------------------------------------------

def drawn(board: Board, rng: random.Random) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for power in POWERS:
        options = legal_orders(board, power)
        if board.phase == "A" and options:
            (choices,) = options.values()
            one_each = {choice[2:5]: choice for choice in rng.sample(choices, len(choices))}
            found[power] = list(one_each.values())[: abs(adjustment_count(board, power))]
        else:
            found[power] = [rng.choice(choices) for choices in options.values()]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_game_of_random_legal_orders_keeps_the_books(seed: int) -> None:
    rng, board, names = random.Random(f"game {seed}"), initial_board(), []
    for _ in range(40):
        names.append(board.name)
        assert board_from_json(json.loads(json.dumps(board_to_json(board)))) == board
        assert bool(board.dislodged) == (board.phase == "R")
        assert (board.phase != "A") or any(adjustment_count(board, power) for power in POWERS)
        owned = [center for centers in board.centers.values() for center in centers]
        assert len(owned) == len(set(owned)) and set(owned) <= set(SUPPLY_CENTERS)
        if board.season == "S" and board.phase == "M":
            for power in POWERS:
                assert len(board.units[power]) <= len(board.centers[power])
        found = adjudicate(board, drawn(board, rng))
        assert found.illegal == ()
        board = found.board
    assert names[0] == "S1901M"
    movements = [name for name in names if name[-1] == "M"]
    assert movements == [f"{season}{year}M" for year in range(1901, 1941) for season in "SF"][: len(movements)]


def test_centres_change_hands_after_the_fall_retreats_only() -> None:
    spring = adjudicate(initial_board(), {"GERMANY": ["F KIE - DEN", "A BER - KIE"]}).board
    assert "DEN" not in spring.centers["GERMANY"]
    assert legal_orders(spring, "GERMANY")["F DEN"][0] == "F DEN H"
    winter = adjudicate(spring, {}).board
    assert (winter.name, winter.centers["GERMANY"]) == ("W1901A", ("BER", "DEN", "KIE", "MUN"))
    assert legal_orders(winter, "GERMANY") == {"BUILD": ("A BER B", "F BER B", "WAIVE")}


def test_winter_is_skipped_when_nobody_builds_or_removes() -> None:
    fall = adjudicate(initial_board(), {}).board
    assert adjudicate(fall, {}).board == replace(initial_board(), year=1902)


# ---- the value -----------------------------------------------------------------------------------------------------

def test_equal_positions_are_equal_values_with_equal_hashes() -> None:
    one = initial_board()
    other = replace(one, units={power: tuple(reversed(one.units[power])) for power in reversed(POWERS)})
    assert one == other and hash(one) == hash(other) and board_hash(one) == board_hash(other)
    assert board_hash(one) != board_hash(replace(one, year=1902))
    assert {one: 1}[other] == 1
    with pytest.raises(FrozenInstanceError):
        one.year = 1999  # type: ignore[misc]


@pytest.mark.parametrize(("change", "why"), [
    ({"name": "S19O1M"}, "phase name"), ({"name": "W1901M"}, "phase name"), ({"name": None}, "phase name"),
    ({"units": []}, "'units' must be an object"), ({"units": {"SPAIN": []}}, "'SPAIN'"), ({"units": {"FRANCE": "A PAR"}}, "lists of text"),
    ({"units": {"FRANCE": ["A NTH"]}}, "A NTH"), ({"units": {"FRANCE": ["F SPA"]}}, "F SPA"), ({"units": {"FRANCE": ["F PAR"]}}, "F PAR"),
    ({"units": {"FRANCE": ["A PAR"], "ITALY": ["A PAR"]}}, "PAR twice"), ({"centers": {"FRANCE": ["BUR"]}}, "no supply centre"),
    ({"centers": {"FRANCE": ["PAR"], "ITALY": ["PAR"]}}, "one owner"), ({"contested": ["ATL"]}, "no province"),
    ({"dislodged": [{"power": "FRANCE", "unit": "A PAR", "attacker_from": "BUR", "retreats": []}]}, "only a retreat phase"),
    ({"name": "S1901R", "dislodged": [{"power": "FRANCE", "unit": "A PAR", "attacker_from": "X", "retreats": []}]}, "attacker_from"),
    ({"name": "S1901R", "dislodged": ["A PAR"]}, "needs"), ({"dislodged": "A PAR"}, "must be a list"),
])  # fmt: skip
def test_a_position_from_outside_is_checked(change: dict, why: str) -> None:
    with pytest.raises(BoardError, match=why) as error:
        board_from_json({**board_to_json(initial_board()), **change})
    assert "\n" not in str(error.value)


def test_the_game_begins_with_everyone_at_home() -> None:
    assert initial_board().centers == dict(HOME_CENTERS)
    assert {p: len(units) for p, units in initial_board().units.items()} == {p: 4 if p == "RUSSIA" else 3 for p in POWERS}


# ---- the options of the rules --------------------------------------------------------------------------------------

def moved(rules: Rules, units: dict[str, tuple[str, ...]], orders: dict[str, list[str]]) -> set[str]:
    board = Board(year=1901, season="S", phase="M", units=units, centers={})
    return {unit for own in adjudicate(board, orders, rules).board.units.values() for unit in own}


def test_an_army_that_says_via_walks_only_where_the_rules_let_it() -> None:
    units = {"FRANCE": ("A PIC",), "ENGLAND": ("F ENG",)}
    idle = {"FRANCE": ["A PIC - BRE VIA"], "ENGLAND": ["F ENG H"]}
    assert moved(STANDARD, units, idle) == {"A PIC", "F ENG"}
    assert moved(Rules(land_route="unordered"), units, idle) == {"A BRE", "F ENG"}


def test_a_fleet_of_the_same_power_shows_intent_only_where_the_rules_say_so() -> None:
    """DATC 6.G.1's swap: by convoy the two pass each other, on land they meet head-to-head."""
    units = {"FRANCE": ("A BRE", "F ENG"), "ENGLAND": ("A PIC",)}
    swap = {"FRANCE": ["A BRE - PIC", "F ENG C A BRE - PIC"], "ENGLAND": ["A PIC - BRE"]}
    with_army = Board(year=1901, season="S", phase="M", units=units, centers={})
    assert adjudicate(with_army, swap).board.units["ENGLAND"] == ("A BRE",)
    assert adjudicate(with_army, swap, Rules(convoy_intent="explicit")).board.units["ENGLAND"] == ("A PIC",)


def test_a_convoy_that_no_route_needs_is_illegal_or_without_effect() -> None:
    units = {"ENGLAND": ("A YOR", "F ENG", "F NTH")}
    orders = {"ENGLAND": ["A YOR - BEL VIA", "F ENG C A YOR - BEL", "F NTH C A YOR - BEL"]}
    board = Board(year=1901, season="S", phase="M", units=units, centers={})
    strict, lax = adjudicate(board, orders), adjudicate(board, orders, WEBDIPLOMACY)
    assert [text for _, text, _ in strict.illegal] == ["F ENG C A YOR - BEL"]
    assert not lax.illegal and lax.results["ENGLAND", "F ENG C A YOR - BEL"] == "fails"
    assert strict.board == lax.board


def test_who_goes_in_civil_disorder_depends_on_the_rules() -> None:
    """France owns Norway alone. F NWY is at 0 from it, A PAR at 4 (NTH, ENG, PIC, PAR); from home A PAR is at 0 and F NWY at 3 (NTH, ENG, BRE)."""
    board = Board(year=1901, season="W", phase="A", units={"FRANCE": ("A PAR", "F NWY")}, centers={"FRANCE": ("NWY",)})
    assert adjudicate(board, {}).disbanded == (("FRANCE", "A PAR"),)
    assert adjudicate(board, {}, Rules(removals="home centres")).disbanded == (("FRANCE", "F NWY"),)


def test_an_option_that_is_none_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"rules\.removals: got '1971', expected 'owned centres' or 'home centres'"):
        Rules(removals="1971")


def test_a_fork_is_equal_and_shares_nothing_mutable() -> None:
    board = initial_board()
    other = fork(board)
    assert other == board and hash(other) == hash(board)
    assert other.units is not board.units and other.centers is not board.centers
