"""What is worth saying: answers to what is pending, help wanted and offered, pacts, lies that pay, news and questions.

Each option has a worth in points of the world's evaluation (about seven for a free centre in spring): rough sizes, that order the
options and to which a policy's learned head may add (`negotiator.Head`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from agents.types import Observation
from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.commitments import matches
from scenarios.diplomacy.deceiving import gain, price
from scenarios.diplomacy.evaluation import Stance, border, neighbours_of
from scenarios.diplomacy.map import POWERS, neighbours, reach
from scenarios.diplomacy.notes import HONESTY
from scenarios.diplomacy.orders import legal_orders
from sociallm.conversation import AgentID, Channel

MAX_ALLIES = 2
ACCEPT, REFUSE, TELL, ALLY, ZONE, HELP, SUGGEST, NEWS, SPARE, ASK = 20.0, 9.0, 8.0, 7.0, 4.0, 5.0, 3.0, 2.0, 2.5, 1.0  # worths
SACRIFICE = 2.5  # points that one gives up to help an ally; half of it for a mere friend
WANTED = 7.0  # of a support, times how likely the attack is
CLOSE = (1.0, 0.9, 0.7, 0.4, 0.3, 0.3)  # how much what is said to the nearest, the second nearest, … counts
Plans = Mapping[str, Mapping[str, float]]  # an intent: unit → {order: probability}


@dataclass(frozen=True)
class Option:
    """Something to say to somebody: the act, what saying it is worth, and whether it is meant."""

    other: AgentID
    act: Mapping[str, Any]
    worth: float
    meant: bool = True


@dataclass(frozen=True)
class Seat:
    """One agent's moment with the board read: what the functions below share."""

    power: AgentID
    board: Board
    seen: Observation
    notes: Mapping[str, Any]

    @property
    def trust(self) -> Mapping[AgentID, float]:
        """Trust by power, 0.5 where nothing is known."""
        return self.notes["trust"]

    @property
    def honesty(self) -> float:
        """0: lies wherever it pays; 1: never, and keeps every word as firmly as it can."""
        return float(self.seen.view.get("honesty", HONESTY))

    @cached_property
    def stance(self) -> Stance:
        """How agreements and trust bear on the scores now."""
        return stance_of(self)

    @cached_property
    def bound(self) -> frozenset[str]:
        """Units that already have a promised order."""
        return frozenset(" ".join(order.split()[:2]) for order in self.stance.mine)

    def channel(self, other: AgentID) -> Channel | None:
        """The channel of just these two, if the agent may write in it now; where the game is in public only, the public one."""
        private = next((c for c in self.seen.may_write if c.readers == {self.power, other}), None)
        return EVERYONE if private is None and self.seen.view.get("press") == "public" and EVERYONE in self.seen.may_write else private

    def owner(self, unit: str) -> AgentID | None:
        """Whose unit it is."""
        return next((p for p, units in self.board.units.items() if unit in units), None)


def stance_of(seat: Seat) -> Stance:
    """How agreements and trust bear on the scores now. What I said and did not mean binds me to nothing."""
    me, board, trust = seat.power, seat.board, seat.trust
    mine: dict[str, float] = {}
    theirs: dict[str, float] = {}
    closed: dict[str, float] = {}
    vacated: dict[str, dict[AgentID, float]] = {}
    allies, foes = set(), set()
    feigned = {deal["with"] for deal in seat.notes["agreed"] if deal["by"] == me and not deal.get("meant", True)}
    for deal in seat.notes["agreed"]:
        by, other, about = deal["by"], deal["with"], deal["about"]
        if by == me and not deal.get("meant", True):
            continue
        if about["kind"] in ("order", "support"):
            if by == me:
                weight = _faith(trust.get(other, 0.5), seat.honesty)
                mine |= {o: max(weight, mine.get(o, 0.0)) for o in _orders_like(board, me, about["order"])}
            else:
                weight = trust.get(by, 0.5) * (1.0 if deal["firm"] else 0.7)
                theirs[about["order"]] = max(weight, theirs.get(about["order"], 0.0))
        elif about["kind"] == "dmz":
            for province in about["provinces"]:
                if by == me:
                    closed[province] = max(closed.get(province, 0.0), _faith(trust.get(other, 0.5), seat.honesty))
                else:
                    vacated.setdefault(province, {})[by] = trust.get(by, 0.5)
        elif about["kind"] == "alliance" and trust.get(other if by == me else by, 0.5) >= 0.35:
            allies |= {other if by == me else by} - feigned
            foes |= {about["against"]} if about.get("against") else set()
    return Stance(trust, frozenset(allies - {me}), frozenset(foes - allies - {me}), mine, theirs, closed, vacated)


def _faith(trust: float, honesty: float) -> float:
    """How firmly one keeps one's word to somebody trusted so far: a liar is owed little, and a liar owes little."""
    return min(1.0, 0.5 + trust) * honesty


def _orders_like(board: Board, power: AgentID, order: str) -> list[str]:
    return [o for options in legal_orders(board, power).values() for o in options if matches(order, o)] if "?" in order else [order]


def options(seat: Seat, plans: Plans, rng: np.random.Generator) -> list[Option]:
    """What could be said now, the most useful first; equal ones in an order drawn from `rng`."""
    near = neighbours_of(seat.board, seat.power)
    partners = [p for p in near if seat.channel(p) and seat.trust.get(p, 0.5) >= 0.35]
    friends = [p for p in partners if seat.trust.get(p, 0.5) >= 0.5]
    found = list(_answers(seat, plans))
    opened = [*_support_wanted(seat, plans, partners)]
    for other in partners[:4]:
        opened += [*_pacts(seat, plans, other, near), *_bait(seat, plans, other)]
    for other in friends:
        opened += [*_help_offered(seat, plans, other), *_news(seat, plans, other)]
    for other in partners:
        opened += _questions(seat, other)
    found += [Option(o.other, o.act, o.worth * _attention(seat, o.other, near), o.meant) for o in opened]
    jitter = rng.random(len(found))
    return [found[i] for i in sorted(range(len(found)), key=lambda i: (-found[i].worth, jitter[i]))]


def _attention(seat: Seat, other: AgentID, near: Sequence[AgentID]) -> float:
    """People write most to those whom they trust and those next door."""
    return CLOSE[near.index(other)] * (1.5 if other in seat.stance.allies else 0.5 + seat.trust.get(other, 0.5))


def _answers(seat: Seat, plans: Plans) -> Iterator[Option]:
    for offer in seat.notes["pending"]:
        other, about = offer["from"], offer["about"]
        if seat.channel(other) is None:
            continue
        trust = seat.trust.get(other, 0.5)
        if offer["act"] == "ask" and about["kind"] == "order":
            best = _likeliest(plans, about["order"])
            if best and trust >= 0.5:
                yield Option(other, press.act("inform", [other], press.about_order(seat.power, best)), TELL + trust)
            continue
        if not _sayable_answer(seat, about):
            continue
        lie = _lie_pays(seat, other, about)
        agreed = lie or _agreeable(seat, plans, other, about)
        yield Option(other, press.act("accept" if agreed else "refuse", [other], about), (ACCEPT if agreed else REFUSE) + trust, not lie)


def _lie_pays(seat: Seat, other: AgentID, about: Mapping[str, Any]) -> bool:
    """Whether to say yes and not mean it: only to somebody one would attack, and only at one's price."""
    if about["kind"] == "draw" or seat.honesty >= 1 or other in seat.stance.allies:
        return False
    return gain(seat.board, seat.power, other, about, seat.stance) > price(seat.honesty)


def _likeliest(plans: Plans, order: str) -> str | None:
    for unit, orders in plans.items():
        if matches(" ".join(order.split()[:2]), unit):
            return max(sorted(orders), key=lambda o: orders[o])
    return None


def _sayable_answer(seat: Seat, about: Mapping[str, Any]) -> bool:
    if about["kind"] in ("order", "support"):
        return about["power"] == seat.power and "?" not in about["order"]
    return about["kind"] == "draw" or seat.power in about["powers"]


def _agreeable(seat: Seat, plans: Plans, other: AgentID, about: Mapping[str, Any]) -> bool:
    """Whether to accept: by trust, by what is given up, and by who gains."""
    trust, kind = seat.trust.get(other, 0.5), about["kind"]
    if kind == "draw":
        return max(len(c) for c in seat.board.centers.values()) >= 10 > len(seat.board.centers[seat.power])
    if kind == "dmz":
        wanted = max((_mass(orders, set(about["provinces"])) for orders in plans.values()), default=0.0)
        return trust >= 0.4 and wanted <= 0.3 + 0.5 * trust
    if kind == "alliance":
        foe, stance = about.get("against"), seat.stance
        room = len(stance.allies | {other}) <= MAX_ALLIES
        return trust >= 0.45 and room and foe not in stance.allies and foe != seat.power and other not in stance.foes
    unit = " ".join(about["order"].split()[:2])
    if unit not in plans or unit in seat.bound or not any(about["order"] == o for o in legal_orders(seat.board, seat.power).get(unit, ())):
        return False
    if about["kind"] == "order":
        return plans[unit].get(about["order"], 0.0) >= 0.3 - 0.2 * trust
    return trust >= 0.45 and _harmless(seat, about["order"], other) and max(plans[unit].values()) <= 0.5 + 0.5 * trust


def _mass(orders: Mapping[str, float], provinces: set[str]) -> float:
    """The chance that one of these orders enters one of these provinces."""
    return sum(p for order, p in orders.items() if order.split()[2] == "-" and order.split()[3][:3] in provinces)


def _harmless(seat: Seat, order: str, other: AgentID) -> bool:
    """Whether a support aids its asker and neither me nor an ally of mine is attacked by it."""
    spec = press.split_order(order)
    if seat.owner(spec.other) not in (other, None):
        return False
    holder = next((p for p, units in seat.board.units.items() for u in units if u[2:5] == spec.target[:3]), None)
    owner = next((p for p, centers in seat.board.centers.items() if spec.target[:3] in centers), None)
    return not {holder, owner} & {seat.power, *seat.stance.allies}


def _support_wanted(seat: Seat, plans: Plans, partners: Sequence[AgentID]) -> Iterator[Option]:
    """Ask those who could help for support of the attacks most wanted, where somebody may stand in the way."""
    wanted = sorted(
        ((p, order) for orders in plans.values() for order, p in orders.items() if order.split()[2] == "-" and "VIA" not in order),
        reverse=True,
    )
    stands = {unit[2:5]: power for power, units in seat.board.units.items() for unit in units}
    for p, order in wanted[:8]:
        target = order.split()[3][:3]
        if p < 0.15 or stands.get(target) == seat.power:
            continue
        contested = target in stands or _others_near(seat, target) > 0
        for other in partners:
            if not contested or seat.trust.get(other, 0.5) < 0.4 or stands.get(target) == other or target in seat.board.centers[other]:
                continue
            helper = _helper(seat.board, other, order)
            if helper:
                yield Option(other, press.act("ask", [other], press.about_order(other, helper)), WANTED * (0.4 + p))


def _others_near(seat: Seat, province: str) -> int:
    return sum(1 for p, units in seat.board.units.items() for u in units if p != seat.power and province in reach(u[0], u[2:]))


@lru_cache(maxsize=512)
def _legal(board: Board, power: AgentID) -> Mapping[str, tuple[str, ...]]:
    return legal_orders(board, power)


def _helper(board: Board, other: AgentID, order: str) -> str | None:
    """A legal support of `order` by `other`, if there is one."""
    return next((o for options in _legal(board, other).values() for o in options if o.split()[2] == "S" and o.endswith(f"S {order}")), None)


def _pacts(seat: Seat, plans: Plans, other: AgentID, near: Sequence[AgentID]) -> Iterator[Option]:
    """A DMZ on the border, an alliance against a third."""
    trust, allied = seat.trust.get(other, 0.5), seat.stance.allies
    pair = [seat.power, other]
    closed = {
        p for deal in seat.notes["agreed"] if deal["about"]["kind"] == "dmz" and deal["with"] == other for p in deal["about"]["provinces"]
    }
    empty = [p for p in border(seat.board, *pair) if p not in closed and all(_mass(orders, {p}) < 0.5 for orders in plans.values())]
    if empty:
        yield Option(other, press.act("propose", [other], press.about_dmz(pair, empty[:1])), ZONE * (0.5 + trust))
    asked = any(o["about"]["kind"] == "alliance" for o in seat.notes["offers"])
    if other not in allied and len(allied) < MAX_ALLIES and trust >= 0.45 and not asked:
        shared = neighbours_of(seat.board, other)[:4]
        foe = next((p for p in near[:4] if p not in allied and p != other and p in shared), None)
        if foe and seat.stance.hostility(foe) >= seat.stance.hostility(other):
            yield Option(other, press.act("propose", [other], press.about_alliance(pair, foe)), ALLY * (0.5 + trust))


def _bait(seat: Seat, plans: Plans, other: AgentID) -> Iterator[Option]:
    """Promise to stay out of what one is about to take, where being believed makes that likelier by more than a lie's price."""
    if seat.honesty >= 1 or other in seat.stance.allies:
        return
    theirs = set(seat.board.centers[other])
    aimed = sorted({order.split()[3][:3] for orders in plans.values() for order, p in orders.items() if p >= 0.3 and order.split()[2] == "-"})
    for province in (p for p in aimed if p in theirs):
        about = press.about_dmz([seat.power], [province])
        paid = gain(seat.board, seat.power, other, about, seat.stance)
        if paid > price(seat.honesty):
            yield Option(other, press.act("promise", [other], about), ALLY + paid, meant=False)


def _help_offered(seat: Seat, plans: Plans, other: AgentID) -> Iterator[Option]:
    """To a friend: promise the support of a unit with nothing better to do, or suggest an attack on a common foe."""
    stance, trust = seat.stance, seat.trust.get(other, 0.5)
    foes = {p for p in POWERS if p not in {seat.power, other} and stance.hostility(p) > stance.hostility(other)}
    prizes = {c for p in foes for c in seat.board.centers[p]} - set(seat.board.centers[seat.power])
    for unit, orders in plans.items():
        cost = math.log(max(orders.values()) / orders.get(f"{unit} H", 1e-4))  # an intent's log-odds are points of the evaluation
        if cost > (SACRIFICE if other in stance.allies else SACRIFICE / 2) or unit in seat.bound:
            continue
        for order in _legal(seat.board, seat.power)[unit]:
            words = order.split()
            if words[2] == "S" and len(words) > 5 and words[6][:3] in prizes and " ".join(words[3:5]) in seat.board.units[other]:
                yield Option(other, press.act("promise", [other], press.about_order(seat.power, order)), HELP * (0.5 + trust))
    for unit in seat.board.units[other]:
        for place in sorted(neighbours(unit[0], unit[2:])):
            if place[:3] in prizes:
                yield Option(other, press.act("propose", [other], press.about_order(other, f"{unit} - {place}")), SUGGEST)


def _questions(seat: Seat, other: AgentID) -> Iterator[Option]:
    """Ask what a unit beside one's own centre is about to do."""
    for unit in seat.board.units[other]:
        for place in sorted(neighbours(unit[0], unit[2:])):
            if place[:3] in seat.board.centers[seat.power]:
                yield Option(other, press.act("ask", [other], press.about_order(other, f"{unit} - {place}")), ASK)


def _news(seat: Seat, plans: Plans, other: AgentID) -> Iterator[Option]:
    """Say what one will do anyway where it does the other no harm; promise to stay out of where one does not want to go."""
    theirs = set(seat.board.centers[other]) | {u[2:5] for u in seat.board.units[other]}
    sure = sorted(((p, order) for orders in plans.values() for order, p in orders.items() if order.split()[2] in "-H"), reverse=True)
    for p, order in sure[:3]:
        spec = press.split_order(order)
        if p >= 0.5 and spec.target[:3] not in theirs:
            yield Option(other, press.act("inform", [other], press.about_order(seat.power, order)), NEWS * p)
    near = {p for u in seat.board.units[seat.power] for p in reach(u[0], u[2:])}
    spared = [p for p in sorted(theirs & near) if all(_mass(orders, {p}) < 0.1 for orders in plans.values())]
    if spared:
        yield Option(other, press.act("promise", [other], press.about_dmz([seat.power], spared[:1])), SPARE)
