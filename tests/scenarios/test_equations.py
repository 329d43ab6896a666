"""The resolver held against section 5 of the DATC as plain equations, in which every answer follows from the other answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.map import reach
from scenarios.diplomacy.orders import parse_order
from tests.scenarios.random_positions import positions


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
    for board, orders in positions():
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
    for board, orders in positions():
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
