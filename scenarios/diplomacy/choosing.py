"""What a power could order, and say, as options for a policy's learned head: the position around each order in numbers of the order of 1.

The world's own `score` is one trait among others: a head that only counts it more makes a power play its best order more often. The others say what
the score is blind to or weighs by hand: where a unit would stand when the year's centres are counted, who holds the place and how one stands to it, what is
left open, what one's other units are likely to do. The claims of an order against a power are that one should ally against it: how ready the agent is to say so,
and those nearest to that power, is read off their states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from agents.types import Option
from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.evaluation import View, neighbours_of, view
from scenarios.diplomacy.grammar import texts
from scenarios.diplomacy.map import POWERS, SUPPLY_CENTERS, reach
from scenarios.diplomacy.orders import Order, parse_order
from scenarios.diplomacy.planning import intent
from scenarios.diplomacy.proposals import Option as Sayable
from scenarios.diplomacy.proposals import Seat
from sociallm.conversation import AgentID

SIZE = 10.0  # points of the evaluation, or centres, that count as one
SEVERAL = 2.0  # units that count as one: who faces two is as good as beaten
WITNESSES = 2  # powers whose readiness to ally against another is read, those nearest to it
_ALLY = 1  # of the grammar's wordings of an alliance: the shortest
ORDER = (
    "score", "hold", "support", "convoy", "by_sea",  # a move by land is what the others are compared with
    "free", "foreign", "own", "taking", "chance", "sure", "opposed", "backed", "met", "behind", "crowded", "hostile", "size",  # where it ends
    "opens", "forgone", "nearer", "cuts",  # what it leaves, and what it does to others
    "likely", "helped_taking", "helped_opposed", "gained", "for_other",  # of a support or convoy: what it is for
)  # fmt: skip
ACTS = tuple(press.SAYABLE)
TOPICS = ("order", "support", "dmz", "alliance", "draw")
ACT = ("worth", "meant", "trust", "hostile", "size", "near", *ACTS, *(f"about_{topic}" for topic in TOPICS))


@dataclass(frozen=True)
class Position:
    """What all orders of one moment share."""

    seat: Seat
    seen: View
    plans: Mapping[str, Mapping[str, float]]  # unit → {order: how likely by the world's evaluation alone}

    @property
    def board(self) -> Board:
        """The position."""
        return self.seat.board

    @cached_property
    def owner(self) -> Mapping[str, AgentID]:
        """Centre → whose it is."""
        return {center: power for power, held in self.board.centers.items() for center in held}

    @cached_property
    def going(self) -> Mapping[str, Mapping[str, float]]:
        """Province → {own unit: how likely it ends there}."""
        found: dict[str, dict[str, float]] = {}
        for unit, orders in self.plans.items():
            for text, p in orders.items():
                order = parse_order(text)
                end = (order.target or "")[:3] if order.kind == "move" else unit[2:5]
                found.setdefault(end, {})[unit] = found.get(end, {}).get(unit, 0.0) + p
        return found

    def holder(self, province: str) -> AgentID | None:
        """Who stands there or, where nobody does, who owns it; None for oneself and nobody."""
        stands = self.seen.occupant.get(province)
        power = stands[0] if stands else self.owner.get(province)
        return None if power == self.seat.power else power

    def entered(self, province: str, but: str) -> float:
        """How likely own units other than this one end there, at most 1."""
        return min(1.0, sum(p for unit, p in self.going.get(province, {}).items() if unit != but))

    def others_near(self, province: str) -> int:
        """Units of others that could go there, or stand there."""
        return sum(1 for power, _ in self.seen.reachers.get(province, ()) if power != self.seat.power)


def orders(seat: Seat, scored: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, list[Option]]]:
    """(unit, its scored orders as options), for each unit that has any."""
    position = Position(seat, view(seat.board, seat.power, seat.stance), intent(scored))
    for unit, found in scored.items():
        best = max(found.values(), default=0.0)
        options = [_option(position, unit, text, (score - best) / SIZE) for text, score in found.items()]
        if options:
            yield unit, options


def acts(seat: Seat, found: Sequence[Sayable]) -> list[Option]:
    """What could be said, as options."""
    near = neighbours_of(seat.board, seat.power)
    return [_saying(seat, near, option) for option in found]


# ---- orders ------------------------------------------------------------------------------------------------------------


def _option(position: Position, unit: str, text: str, score: float) -> Option:
    order = parse_order(text)
    traits = dict.fromkeys(ORDER, 0.0) | {"score": score}
    if order.kind in ("support", "convoy"):
        return Option(what=text, traits=traits | {order.kind: 1.0} | _helped(position, unit, order))
    end = (order.target or unit[2:])[:3]
    traits |= {"hold": float(order.kind == "hold"), "by_sea": float(order.via)} | _ending(position, unit, order, end)
    against = position.holder(end) if order.kind == "move" else None
    if against is None:
        return Option(what=text, traits=traits)
    return Option(what=text, traits=traits, about=_witnesses(position.board, against, position.seat.power), claims={_claim(against): 1.0})


@lru_cache(maxsize=256)
def _witnesses(board: Board, against: AgentID, me: AgentID) -> tuple[AgentID, ...]:
    """Those nearest to a power, oneself left out."""
    return tuple(other for other in neighbours_of(board, against) if other != me)[:WITNESSES]


@lru_cache(maxsize=8)
def _claim(against: AgentID) -> str:
    """The words for an alliance against a power, whoever says them."""
    pair = [power for power in POWERS if power != against][:2]
    return texts(press.act("propose", pair[1:], press.about_alliance(pair, against)), pair[0])[_ALLY]


def _ending(position: Position, unit: str, order: Order, end: str) -> dict[str, float]:
    """Of a move or a hold: where the unit would be, who is in its way, what it leaves."""
    seen, me = position.seen, position.seat.power
    moves, here, fall = order.kind == "move", unit[2:5], position.board.season == "F"
    centre, owner, stands = end in SUPPLY_CENTERS, position.owner.get(end), seen.occupant.get(end)
    taking = centre and owner != me and fall
    chance = seen.success(unit, end) if moves else 1.0
    holder = position.holder(end)
    found = {
        "free": float(centre and owner is None), "foreign": float(owner not in (None, me)), "own": float(owner == me), "taking": float(taking),
        "chance": chance, "sure": chance * taking, "opposed": seen.opposition(end) / SEVERAL,
        "met": float(moves and stands is not None and stands[0] != me), "crowded": position.entered(end, unit),
        "hostile": seen.stance.hostility(holder) if holder else 0.0, "size": len(position.board.centers[holder]) / SIZE if holder else 0.0,
    }  # fmt: skip
    if not moves:
        return found
    left_own, left_taking = position.owner.get(here) == me, here in SUPPLY_CENTERS and position.owner.get(here) != me and fall
    return found | {
        "backed": seen.backing(unit, end) / SEVERAL,
        "behind": position.going.get(end, {}).get(stands[1], 0.0) if stands and stands[0] == me else 0.0,
        "opens": left_own * min(position.others_near(here) / SEVERAL, 1.0) * (1.0 - position.entered(here, unit)),
        "forgone": float(left_taking),
        "nearer": (seen.worth(unit[0], order.target or "") - seen.worth(unit[0], unit[2:])) / SIZE,
        "cuts": _cut(position, unit, stands[1]) if stands and stands[0] != me else 0.0,
    }


def _cut(position: Position, unit: str, attacked: str) -> float:
    """How likely own units enter what the one attacked could otherwise support."""
    return min(1.0, sum(position.entered(province, unit) for province in reach(attacked[0], attacked[2:]) if position.holder(province)))


def _helped(position: Position, unit: str, order: Order) -> dict[str, float]:
    """Of a support or convoy: whether what it is for will be ordered, and what it adds."""
    seen, other = position.seen, order.other or ""
    end = (order.target or other[2:])[:3]
    owner = position.owner.get(end)
    if other in position.plans:
        helped = position.plans[other]
        likely = sum(p for text, p in helped.items() if _same(text, order))
    else:
        likely = max((sure for text, sure in position.seat.stance.theirs.items() if _same(text, order)), default=0.0)
    more = seen.success(other, end) - seen.success(other, end, -1.0) if order.target and order.kind == "support" else 0.0
    taking = end in SUPPLY_CENTERS and owner != position.seat.power and position.board.season == "F"
    return {
        "likely": likely, "helped_taking": likely * taking, "helped_opposed": likely * seen.opposition(end) / SEVERAL, "gained": likely * more,
        "for_other": float(other not in position.plans), "own": float(owner == position.seat.power), "foreign": float(owner not in (None, position.seat.power)),
        "free": float(owner is None and end in SUPPLY_CENTERS),
        "opposed": seen.opposition(unit[2:5]) / SEVERAL,  # the one who helps may be attacked where it stands
    }  # fmt: skip


def _same(text: str, helps: Order) -> bool:
    """Whether this is the order that the help is for."""
    order = parse_order(text)
    if order.unit != helps.other:
        return False
    return order.kind == "move" and order.target == helps.target if helps.target else order.kind != "move"


# ---- words -------------------------------------------------------------------------------------------------------------


def _saying(seat: Seat, near: Sequence[AgentID], option: Sayable) -> Option:
    act, other = option.act, option.other
    traits = {
        "worth": option.worth / SIZE, "meant": float(option.meant), "trust": seat.trust.get(other, 0.5), "hostile": seat.stance.hostility(other),
        "size": len(seat.board.centers[other]) / SIZE, "near": 1.0 / (1 + near.index(other)) if other in near else 0.0,
        **{kind: float(act["act"] == kind) for kind in ACTS}, **{f"about_{topic}": float(act["about"]["kind"] == topic) for topic in TOPICS},
    }  # fmt: skip
    return Option(what=dict(act), traits=traits, about=(other,))
