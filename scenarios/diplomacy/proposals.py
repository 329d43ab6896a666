"""What is worth saying: answers to what is pending, help wanted and offered, pacts, news and questions, the most useful first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from agents.types import Observation
from scenarios.diplomacy import press
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.evaluation import Stance, border, neighbours_of
from scenarios.diplomacy.map import POWERS, neighbours, reach
from scenarios.diplomacy.notes import matches
from scenarios.diplomacy.orders import legal_orders
from sociallm.conversation import AgentID, Channel

MAX_ALLIES = 2
Plans = Mapping[str, Mapping[str, float]]  # an intent: unit → {order: probability}
Wanted = tuple[AgentID, dict[str, Any]]  # partner, act


@dataclass(frozen=True)
class Seat:
    """One agent's moment with the board read: what the methods below share."""

    power: AgentID
    board: Board
    seen: Observation
    notes: Mapping[str, Any]

    @property
    def trust(self) -> Mapping[AgentID, float]:
        """Trust by power, 0.5 where nothing is known."""
        return self.notes["trust"]

    def channel(self, other: AgentID) -> Channel | None:
        """The channel of just these two, if the agent may write in it now."""
        return next((c for c in self.seen.may_write if c.readers == {self.power, other}), None)

    def owner(self, unit: str) -> AgentID | None:
        """Whose unit it is."""
        return next((p for p, units in self.board.units.items() if unit in units), None)


def stance_of(seat: Seat) -> Stance:
    """How agreements and trust bear on the scores now."""
    me, board, trust = seat.power, seat.board, seat.trust
    mine: dict[str, float] = {}
    theirs: dict[str, float] = {}
    closed: dict[str, float] = {}
    vacated: dict[str, dict[AgentID, float]] = {}
    allies, foes = set(), set()
    for deal in seat.notes["agreed"]:
        by, other, about = deal["by"], deal["with"], deal["about"]
        if about["kind"] in ("order", "support"):
            if by == me:
                weight = _faith(trust.get(other, 0.5))
                mine |= {o: max(weight, mine.get(o, 0.0)) for o in _orders_like(board, me, about["order"])}
            else:
                weight = trust.get(by, 0.5) * (1.0 if deal["firm"] else 0.7)
                theirs[about["order"]] = max(weight, theirs.get(about["order"], 0.0))
        elif about["kind"] == "dmz":
            for province in about["provinces"]:
                if by == me:
                    closed[province] = max(closed.get(province, 0.0), _faith(trust.get(other, 0.5)))
                else:
                    vacated.setdefault(province, {})[by] = trust.get(by, 0.5)
        elif about["kind"] == "alliance" and trust.get(other if by == me else by, 0.5) >= 0.35:
            allies.add(other if by == me else by)
            foes |= {about["against"]} if about.get("against") else set()
    return Stance(trust, frozenset(allies - {me}), frozenset(foes - allies - {me}), mine, theirs, closed, vacated)


def _faith(trust: float) -> float:
    """How firmly one keeps one's word to somebody trusted so far: a liar is owed little."""
    return min(1.0, 0.5 + trust)


def _orders_like(board: Board, power: AgentID, order: str) -> list[str]:
    return [o for options in legal_orders(board, power).values() for o in options if matches(order, o)] if "?" in order else [order]


def candidates(seat: Seat, plans: Plans, rng: np.random.Generator) -> Iterator[Wanted]:
    """What is worth saying, the most useful first: answers, then what still needs an answer, unless this is the last round for one."""
    yield from _answers(seat, plans)
    near = neighbours_of(seat.board, seat.power)
    partners = [p for p in near if seat.channel(p) and seat.trust.get(p, 0.5) >= 0.35]
    friends = _shuffled([p for p in partners if seat.trust.get(p, 0.5) >= 0.5], rng)
    close = _shuffled(partners[:4], rng)
    last = seat.seen.view.get("round", 0) + 1 >= seat.seen.view.get("rounds", 0)
    told = [said for other in friends for said in (*_help_offered(seat, plans, other), *_news(seat, plans, other))]
    if last:
        yield from told
    yield from _support_wanted(seat, plans, partners)
    for other in close:
        yield from _pacts(seat, plans, other, near)
    yield from told
    for other in partners:
        yield from _questions(seat, other)


def _shuffled(items: Sequence[AgentID], rng: np.random.Generator) -> list[AgentID]:
    return [items[i] for i in rng.permutation(len(items))]


def _answers(seat: Seat, plans: Plans) -> Iterator[Wanted]:
    for offer in sorted(seat.notes["pending"], key=lambda p: -seat.trust.get(p["from"], 0.5)):
        other, about = offer["from"], offer["about"]
        if seat.channel(other) is None:
            continue
        if offer["act"] == "ask" and about["kind"] == "order":
            best = _likeliest(plans, about["order"])
            if best and seat.trust.get(other, 0.5) >= 0.5:
                yield other, press.act("inform", [other], press.about_order(seat.power, best))
            continue
        if _sayable_answer(seat, about):
            yield other, press.act("accept" if _agreeable(seat, plans, other, about) else "refuse", [other], about)


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
        foe, stance = about.get("against"), stance_of(seat)
        room = len(stance.allies | {other}) <= MAX_ALLIES
        return trust >= 0.45 and room and foe not in stance.allies and foe != seat.power and other not in stance.foes
    unit = " ".join(about["order"].split()[:2])
    if unit not in plans or not any(about["order"] == o for o in legal_orders(seat.board, seat.power).get(unit, ())):
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
    return not {holder, owner} & {seat.power, *stance_of(seat).allies}


def _support_wanted(seat: Seat, plans: Plans, partners: Sequence[AgentID]) -> Iterator[Wanted]:
    """Ask those who could help for support of the attacks most wanted, where somebody may stand in the way."""
    wanted = sorted(
        ((p, order) for orders in plans.values() for order, p in orders.items() if order.split()[2] == "-" and "VIA" not in order),
        reverse=True,
    )
    stands = {unit[2:5]: power for power, units in seat.board.units.items() for unit in units}
    for p, order in wanted[:8]:
        target = order.split()[3][:3]
        if p < 0.2 or stands.get(target) == seat.power:
            continue
        contested = target in stands or _others_near(seat, target) > 0
        for other in partners:
            if not contested or seat.trust.get(other, 0.5) < 0.4 or stands.get(target) == other or target in seat.board.centers[other]:
                continue
            helper = _helper(seat.board, other, order)
            if helper:
                yield other, press.act("ask", [other], press.about_order(other, helper))


def _others_near(seat: Seat, province: str) -> int:
    return sum(1 for p, units in seat.board.units.items() for u in units if p != seat.power and province in reach(u[0], u[2:]))


@lru_cache(maxsize=512)
def _legal(board: Board, power: AgentID) -> Mapping[str, tuple[str, ...]]:
    return legal_orders(board, power)


def _helper(board: Board, other: AgentID, order: str) -> str | None:
    """A legal support of `order` by `other`, if there is one."""
    return next((o for options in _legal(board, other).values() for o in options if o.split()[2] == "S" and o.endswith(f"S {order}")), None)


def _pacts(seat: Seat, plans: Plans, other: AgentID, near: Sequence[AgentID]) -> Iterator[Wanted]:
    """A DMZ on the border, an alliance against a third."""
    trust, allied = seat.trust.get(other, 0.5), stance_of(seat).allies
    if trust < 0.35:
        return
    pair = [seat.power, other]
    closed = {
        p for deal in seat.notes["agreed"] if deal["about"]["kind"] == "dmz" and deal["with"] == other for p in deal["about"]["provinces"]
    }
    empty = [p for p in border(seat.board, *pair) if p not in closed and all(_mass(orders, {p}) < 0.5 for orders in plans.values())]
    if empty:
        yield other, press.act("propose", [other], press.about_dmz(pair, empty[:1]))
    asked = any(o["about"]["kind"] == "alliance" for o in seat.notes["offers"])
    if other not in allied and len(allied) < MAX_ALLIES and trust >= 0.45 and not asked:
        shared = neighbours_of(seat.board, other)[:4]
        foe = next((p for p in near if p not in allied and p != other and p in shared), None)
        if foe and (stance_of(seat).hostility(foe) >= stance_of(seat).hostility(other)):
            yield other, press.act("propose", [other], press.about_alliance(pair, foe))


def _help_offered(seat: Seat, plans: Plans, other: AgentID) -> Iterator[Wanted]:
    """To a friend: promise the support of a unit with nothing better to do, or suggest an attack on a common foe."""
    stance = stance_of(seat)
    foes = {p for p in POWERS if p not in {seat.power, other} and stance.hostility(p) > stance.hostility(other)}
    prizes = {c for p in foes for c in seat.board.centers[p]} - set(seat.board.centers[seat.power])
    for unit, orders in plans.items():
        if orders.get(f"{unit} H", 0.0) < 0.3:
            continue
        for order in _legal(seat.board, seat.power)[unit]:
            words = order.split()
            if words[2] == "S" and len(words) > 5 and words[6][:3] in prizes and " ".join(words[3:5]) in seat.board.units[other]:
                yield other, press.act("promise", [other], press.about_order(seat.power, order))
    for unit in seat.board.units[other]:
        for place in sorted(neighbours(unit[0], unit[2:])):
            if place[:3] in prizes:
                yield other, press.act("propose", [other], press.about_order(other, f"{unit} - {place}"))


def _questions(seat: Seat, other: AgentID) -> Iterator[Wanted]:
    """Ask what a unit beside one's own centre is about to do."""
    for unit in seat.board.units[other]:
        for place in sorted(neighbours(unit[0], unit[2:])):
            if place[:3] in seat.board.centers[seat.power]:
                yield other, press.act("ask", [other], press.about_order(other, f"{unit} - {place}"))


def _news(seat: Seat, plans: Plans, other: AgentID) -> Iterator[Wanted]:
    """Say what one will do anyway where it does the other no harm; promise to stay out of where one does not want to go."""
    theirs = set(seat.board.centers[other]) | {u[2:5] for u in seat.board.units[other]}
    sure = sorted(((p, order) for orders in plans.values() for order, p in orders.items() if order.split()[2] in "-H"), reverse=True)
    for p, order in sure[:3]:
        spec = press.split_order(order)
        if p >= 0.5 and spec.target[:3] not in theirs:
            yield other, press.act("inform", [other], press.about_order(seat.power, order))
    near = {p for u in seat.board.units[seat.power] for p in reach(u[0], u[2:])}
    spared = [p for p in sorted(theirs & near) if all(_mass(orders, {p}) < 0.1 for orders in plans.values())]
    if spared:
        yield other, press.act("promise", [other], press.about_dmz([seat.power], spared[:1]))
