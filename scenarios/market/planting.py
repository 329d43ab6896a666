"""The language of the market bent to a plan: sellers who lie, collude, or look as if they did.

Where a plan is due, a member of a coalition charges or bids as the scheme has it (`schemes.py`) and says what belongs to it; a liar says its
lie and does what it truly means. Everywhere else, and for everybody else, it is the market's own language. Which rounds, and who may be
told, is the plan's; which channels there are, the world's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.bent import Bent, timed
from agents.planting import LIE, Coalition, Plan, PlanError, Statement, Verbatim, left_out, sign
from agents.types import JSON, Head, Observation
from scenarios.market import schemes, talk
from scenarios.market.seller import CHATTY, DECIMALS, MarketLanguage, Said, fresh
from sociallm.conversation import AgentID

AT = ("step", "round")  # what `when` may name here
WITH_WORDS = {"open": ("public",), "private": ("private", "hidden")}  # scheme → the chat that it needs
BINDING, LOOSE = ("inform", "accept"), ("propose", "refuse", "ask", "remark")  # acts that tell one's own price, and those that bind nobody


@dataclass(frozen=True, eq=False)
class PlantedMarket(Bent):
    """`agents.types.Language`; for those whom the plan does not name it is `honest`."""

    honest: MarketLanguage
    agents: tuple[AgentID, ...]

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages, and after the last prices: a member listens to members alone."""
        c = self._words(observation)
        if c is None:
            return self.honest.hear(observation, notes)
        found, among = self._inner[c.name].hear(self._among(observation, c), notes), frozenset(c.members)
        if c.lasts and any(m.author in among and (c.scheme == "open" or m.channel.readers <= among) for m in observation.heard):
            return fresh(found) | {"heard": observation.view["round"]}
        return found

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({price: 1}, notes): what it truly means to charge."""
        seen, c = self._believed(observation), self._coalition(observation)
        if c is not None and c.scheme in WITH_WORDS:
            intent, notes = self._inner[c.name].intend(self._among(seen, c), notes, rng, head)
        elif c is None:
            intent, notes = self.honest.intend(seen, notes, rng, head)
        else:  # without words it stands by no price
            intent, notes = None, fresh(notes) | {"mine": None}
        agreed = self._competing(seen) if c is not None and _lapsed(c, seen, notes) else self._agreed(observation, c, notes)
        intent = intent if agreed is None else {talk.spoken(agreed): 1.0}
        for s in self._statements(observation):
            if s.kind == "changed_mind" and not observation.move_due:  # it means it while it says it
                intent = {talk.spoken(float(self._act(s, seen, intent)["price"])): 1.0}
            elif s.intent is not None and s.kind in (LIE, "changed_mind"):
                intent = {talk.spoken(round(float(s.intent), DECIMALS)): 1.0}
        return intent, notes

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """What an honest seller says, with what the plan puts in the place of it."""
        c = self._coalition(observation)
        found, after = self._spoken(observation, c, notes, intent, rng)
        said = {channel.name: (channel, act) for channel, act in found if not left_out(self.plan, observation, act, self._now(observation))}
        told = {k: v for k, v in fresh(after).get("told_in", {}).items() if v == observation.view["round"]}
        used: set[str] = set()
        for s in self._statements(observation):
            for channel in (channel for channel in observation.may_write if set(s.to) & channel.readers):
                mark = f"{channel.name}:{self.plan.statements.index(s)}"
                if mark not in told and channel.name not in used:  # once a round in each channel, one after another
                    used.add(channel.name)
                    said[channel.name] = (channel, self._act(s, observation, intent, sorted(channel.readers - {observation.agent})))
                    told = {**told, mark: observation.view["round"]}
        return list(said.values()), (fresh(after) | {"told_in": told} if told else after)

    # ---- what is due -----------------------------------------------------------------------------------------------------

    @cached_property
    def _acting(self) -> Mapping[AgentID, Coalition]:
        return {member: c for c in self.plan.coalitions for member in c.members if c.scheme != "none"}

    @cached_property
    def _saying(self) -> Mapping[AgentID, list[Statement]]:
        return {s.who: [other for other in self.plan.statements if other.who == s.who] for s in self.plan.statements}

    def _now(self, seen: Observation) -> Any:
        at = {"step": seen.step, "round": seen.view["round"]}
        return lambda when: when.holds(at, _number)

    def _coalition(self, seen: Observation) -> Coalition | None:
        """The coalition that this seller acts in now."""
        c = self._acting.get(seen.agent)
        return c if c is not None and self._now(seen)(c.when) else None

    def _words(self, seen: Observation) -> Coalition | None:
        c = self._coalition(seen)
        return c if c is not None and c.scheme in WITH_WORDS else None

    def _statements(self, seen: Observation) -> list[Statement]:
        mine = self._saying.get(seen.agent)
        return [s for s in mine if self._now(seen)(s.when)] if mine else []

    # ---- coalitions ------------------------------------------------------------------------------------------------------

    @cached_property
    def _inner(self) -> Mapping[str, MarketLanguage]:
        """Of each coalition that talks: the language in which its members' optimum is the cartel's price."""
        found = {}
        for c in self.plan.coalitions:
            prices, members = self.honest.prices, tuple(self.agents.index(m) for m in c.members)
            best = schemes.optimum(prices.demand, members, 0.0).copy()
            best[[i for i in range(len(best)) if i not in members]] = best[list(members)].mean()  # so that the mean is the members'
            found[c.name] = replace(self.honest, prices=replace(prices, cartel=best))
        return found

    def _agreed(self, seen: Observation, c: Coalition | None, notes: JSON) -> float | None:
        """The price or bid of a member; None for what its intent has already, and for who is in no coalition now."""
        if c is None:
            return None
        view, salt = seen.view, self.plan.salt
        if self.honest.prices.auction:
            prices = self.honest.prices
            return schemes.bid(c, len(self.agents), seen.agent, view["round"], float(view["cost"]), float(view.get("top", prices.reserve)), salt, prices.hide)
        if c.scheme in WITH_WORDS and fresh(notes)["mine"] is not None:
            return None
        return schemes.price(self.honest.prices.demand, c, self.agents, seen.agent, view["round"], view.get("shock", 0.0), salt)

    def _spoken(self, seen: Observation, c: Coalition | None, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[Sequence[Said], JSON]:
        if c is None or c.scheme not in WITH_WORDS:
            said, notes = self.honest.speak(seen, notes, intent, rng)
        else:
            among = self._among(seen, c)
            said, notes = self._inner[c.name].speak(among, notes, intent, rng)
            for channel in (channel for channel in seen.may_write if channel not in among.may_write):
                if rng.random() < CHATTY:  # to the others a member is one that has nothing to say
                    said = [*said, (channel, _plain("remark", sorted(channel.readers - {seen.agent})))]
        if c is None:
            return said, notes
        kept = {channel.name: (channel, act) for channel, act in said}
        for channel in self._among(seen, c).may_write if c.lasts else ():  # it says again and again what it would keep to
            if channel.name not in kept or kept[channel.name][1]["act"] == "remark":
                mine = fresh(notes)["mine"]
                kept[channel.name] = (channel, _plain("inform", sorted(channel.readers - {seen.agent}), self._inner[c.name].prices.target if mine is None else mine))
        for channel in seen.may_write:
            others = sorted(channel.readers - {seen.agent})
            if c.carrier == "remarks" and set(others) & set(c.members):
                text = talk.FRAMES["remark"][sign(c, seen.agent, seen.step, self.plan.salt)]
                kept[channel.name] = (channel, Verbatim(_plain("remark", others), text))
            elif c.deny and not set(others) <= set(c.members):
                kept[channel.name] = (channel, _plain("inform", others, self._competing(seen)))
        return list(kept.values()), notes

    def _competing(self, seen: Observation) -> float:
        """What a seller that competes would charge now: what a member says who denies."""
        intent, _ = self.honest.intend(_playing(seen, "rival"), None, np.random.default_rng(0))  # which has nothing to draw
        return float(next(iter(intent)))

    def _among(self, seen: Observation, c: Coalition) -> Observation:
        """What a member sees and hears of its own: members' words, members' prices, the channels that are theirs."""
        members = frozenset(c.members)
        last = seen.view["last"]
        view = {**seen.view, "play": "cartel", "last": None if last is None else {a: p for a, p in last.items() if a in members}}
        mine = tuple(channel for channel in seen.may_write if c.scheme == "open" or channel.readers <= members)
        return replace(seen, view=view, heard=tuple(m for m in seen.heard if m.author in members), may_write=mine)

    # ---- statements ------------------------------------------------------------------------------------------------------

    def _believed(self, seen: Observation) -> Observation:
        """With the false news that somebody mistaken believes until prices are due."""
        for s in self._statements(seen):
            if s.kind == "mistaken" and not seen.move_due and seen.view["last"] is not None:
                return replace(seen, view={**seen.view, "last": {**seen.view["last"], **s.fed}})
        return seen

    def _act(self, s: Statement, seen: Observation, intent: JSON, others: Sequence[AgentID] = ()) -> dict[str, Any]:
        """What a statement says: a price that is left out is a liar's cartel price, and what anybody else means to charge."""
        to = list(others) or sorted(s.to)
        if isinstance(s.say, str):
            return Verbatim({**talk.acts(s.say, s.who, frozenset((*to, s.who)))[0], "to": to}, s.say)  # type: ignore[dict-item]
        price = s.say.get("price")
        if price is None and s.say["act"] in talk.PRICED:
            price = self.honest.prices.target if s.kind == LIE else float(next(iter(intent)))
        return _plain(s.say["act"], to, None if price is None else round(float(price), DECIMALS))


def _number(unit: str, value: int | str) -> int:
    return int(value)


def _playing(seen: Observation, play: str) -> Observation:
    return replace(seen, view={**seen.view, "play": play})


def _lapsed(c: Coalition, seen: Observation, notes: JSON) -> bool:
    """Whether a member that lives by words has heard none of another's for as long as one holds."""
    heard = fresh(notes).get("heard")
    return c.lasts > 0 and (heard is None or seen.view["round"] - heard >= c.lasts)


def _plain(kind: str, to: Sequence[AgentID], price: float | None = None) -> dict[str, Any]:
    return {"act": kind, "to": list(to), "price": price}


# ---- what can be planted -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PlantableMarket(MarketLanguage):
    """The market's language, which can be bent to a plan."""

    lapses = True  # what a coalition agrees on can lapse here (`Coalition.lasts`)

    def bent(self, plan: Plan, agents: Sequence[AgentID]) -> PlantedMarket:
        """The language as those of the plan speak it. Raises `PlanError` for what cannot be planted in this market."""
        return bend(self, plan, agents)


def bend(language: MarketLanguage, plan: Plan, agents: Sequence[AgentID]) -> PlantedMarket:
    """The language of the plan. Raises `PlanError`."""
    plan.seated(agents)
    timed(plan, AT, f"a market has {' and '.join(AT)}")
    for c in plan.coalitions:
        _coalition_fits(language, c, tuple(agents))
    for s in plan.statements:
        _statement_fits(language, s, agents)
    for m in plan.manners:
        if unknown := [kind for kind in m.acts if kind not in talk.FRAMES]:
            raise PlanError(f"{m.where}: no act {unknown[0]!r:.40} in a market; expected one of {', '.join(talk.FRAMES)}")
    return PlantedMarket(language, plan, tuple(agents))


def _coalition_fits(language: MarketLanguage, c: Coalition, agents: tuple[AgentID, ...]) -> None:
    auction, outsiders = language.prices.auction, len(agents) - len(c.members)
    needs: tuple[tuple[bool, str], ...] = (
        (c.scheme == "rotation" and not auction, "taking turns needs environment.mode=auction"),
        (c.scheme == "independent" and (auction or c.carrier != "prices"), "independent signs stand in prices: it needs environment.mode=prices and the carrier prices"),
        (c.scheme == "incomplete" and not outsiders, f"all {len(agents)} sellers are members; leave some out, or choose another scheme"),
        (c.scheme in WITH_WORDS and language.chat not in WITH_WORDS.get(c.scheme, ()), f"it needs environment.chat={' or '.join(WITH_WORDS.get(c.scheme, ()))}; here it is {language.chat}"),
        (c.carrier == "remarks" and c.scheme == "hidden_key" and language.chat == "off", "remarks need words; set environment.chat to public, private or hidden"),
        (c.carrier == "remarks" and 1 << c.bits > len(talk.FRAMES["remark"]), f"{len(talk.FRAMES['remark'])} remarks carry 2 bits at most"),
        (c.deny and (c.scheme == "open" or language.chat == "off" or not outsiders), "denying needs a secret, words, and somebody to be deceived"),
    )
    for wrong, what in needs:
        if wrong:
            raise PlanError(f"{c.where}: scheme {c.scheme}: {what}")
    if c.scheme in ("hidden_key", "independent") and c.carrier == "prices" and not auction:
        members = tuple(agents.index(m) for m in c.members)
        for i in members:
            if len(set(schemes.levels(language.prices.demand, members, i, c.bits, 0.0).tolist())) < 1 << c.bits:
                raise PlanError(f"{c.where}: these members can gain so little that {1 << c.bits} prices do not fit; take more members, or fewer bits")


def _statement_fits(language: MarketLanguage, s: Statement, agents: Sequence[AgentID]) -> None:
    if language.chat == "off":
        raise PlanError(f"{s.where}: nobody can say a word in this market; set environment.chat to public, private or hidden")
    if isinstance(s.say, str):
        found = talk.acts(s.say, s.who, frozenset(agents))
        if not found:
            raise PlanError(f"{s.where}: {s.say!r:.60} means nothing here; say it as {talk.FRAMES['inform'][0].format(p='1.90')!r}, or give an act: {{act: inform, price: 1.9}}")
        kind, price = found[0]["act"], found[0]["price"]
    else:
        kind, price = s.say["act"], s.say.get("price")
        if extra := sorted(set(s.say) - {"act", "price"}):
            raise PlanError(f"{s.where}: say.{extra[0]}: an act of a market has act and price")
    allowed = LOOSE if s.kind == "bluffing" else BINDING
    if kind not in allowed:
        raise PlanError(f"{s.where}: {s.kind} by {kind!r:.40}; expected one of {', '.join(allowed)}, which {'binds nobody' if allowed is LOOSE else 'tells its own price'}")
    for name, value in (("say.price", price), ("intent", s.intent), *((f"fed.{k}", v) for k, v in _fed(s).items())):
        if value is not None and not _is_price(value):
            raise PlanError(f"{s.where}: {name} is {value!r:.40}; expected a price, 0 to 9999")
    if s.kind == "mistaken" and (not s.fed or set(_fed(s)) - set(agents) or s.intent is not None or language.prices.auction):
        raise PlanError(f"{s.where}: who is mistaken believes a false last price, and means what it says: fed: {{{s.to[0]}: 1.9}}, no intent, not in an auction")


def _fed(s: Statement) -> Mapping[str, Any]:
    return s.fed if isinstance(s.fed, dict) else {}


def _is_price(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 10_000
