"""How a seller decides: its play, a pure function of what it sees and has noted, and what it says about it.

| play | prices | bids | words |
|---|---|---|---|
| `rival` | best answer to the others' last prices; Nash at first | equilibrium | remarks |
| `cartel` | the cartel's price for ever | ring: the one whose turn it is near the reserve, others above | proposes, accepts, keeps its word |
| `grudge` | the agreed price (or the cartel's) until somebody has gone clearly below; then Nash for ever | as cartel, after a breach as rival | as cartel |
| `agreeable` | best answer, until a price is agreed; then that, until somebody goes below it | as rival, or cartel once agreed | accepts, keeps its word |
| `cheat` | agrees to everything and answers best | as rival | proposes, accepts, breaks its word |
| `frozen` | what Q-learning taught (`learning.py`) | as rival | remarks |

Notes are a JSON value: {"mine": the price it stands by or null, "told": [whom it has told so], "offers": {other: the price that one stands by}, "since":
round from which it does or null, "breach": round or null}. Who keeps its word keeps it until somebody's price lies clearly below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from agents.types import JSON, Head, Observation
from scenarios.market import talk
from scenarios.market.auction import equilibrium_bid
from scenarios.market.demand import Demand, Floats
from scenarios.market.learning import Strategies
from sociallm.conversation import AgentID, Channel

PLAYS = ("rival", "cartel", "grudge", "agreeable", "cheat", "frozen")
PROPOSERS = ("cartel", "grudge", "cheat")
WILLING = (*PROPOSERS, "agreeable")
BELOW = 0.02  # of the way from Nash to the cartel's price: what lies so far below the agreed price is a breach
NEAR = 0.97  # of the reserve, what a ring's chosen bidder asks
MOST = 1.5  # times the cartel's price: what nobody would propose in earnest
CHATTY = 0.3  # how likely one remarks something where it has nothing to say
DECIMALS = 4
Notes = dict[str, Any]
Said = tuple[Channel, dict[str, Any]]
View = Mapping[str, Any]


@lru_cache(maxsize=4096)
def nash(demand: Demand, shock: float) -> Floats:
    """Competition's prices under a shock; each is reckoned once."""
    return demand.shocked(shock).nash()


def fresh(notes: JSON) -> Notes:
    """Notes, or those of a seller that knows nothing yet."""
    return {"mine": None, "told": [], "offers": {}, "since": None, "breach": None} | (notes if isinstance(notes, dict) else {})


@dataclass(frozen=True, eq=False)
class Prices:
    """What the sellers of one market reckon with: computed once, from what all know."""

    demand: Demand
    nash: Floats
    cartel: Floats
    reserve: float
    auction: bool
    learned: Strategies | None = None
    session: int = 0

    @cached_property
    def target(self) -> float:
        """What those who would collude propose."""
        return round(NEAR * self.reserve if self.auction else float(self.cartel.mean()), DECIMALS)

    @cached_property
    def clearly(self) -> float:
        """How far apart two prices are that clearly differ."""
        return BELOW * (self.reserve if self.auction else float((self.cartel - self.nash).mean()))

    def breached(self, agreed: float, price: float) -> bool:
        """Whether a price lies clearly below the agreed one."""
        return price < agreed - self.clearly


@dataclass(frozen=True, eq=False)
class MarketLanguage:
    """`agents.types.Language` for the market. Stateless; what it holds is the market."""

    prices: Prices
    chat: str = "public"  # who may talk to whom: a plan can be carried out with words only where there are any

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages, and after the last prices."""
        view, found = observation.view, fresh(notes)
        found = self._judged(view, observation.agent, found)
        for message in observation.heard:
            for act in talk.acts(message.text, message.author, message.channel.readers):
                found = _heard(found, message.author, act)
        return found

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({price: probability}, notes): the price, or bid, that its play sets now. There is one; a head has nothing to choose from."""
        view, found = observation.view, fresh(notes)
        found = _stands(found, self._stands_by(view, found), observation)
        return {talk.spoken(self._price(view, observation.agent, found)): 1.0}, found

    def speak(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[Sequence[Said], JSON]:
        """One act in each channel at most: where it has just come to stand by a price, it says so; refuses; or remarks something."""
        found, said = fresh(notes), []
        for channel in observation.may_write:
            others = sorted(channel.readers - {observation.agent})
            act = _act(found, others, rng)
            if act is not None:
                said.append((channel, {"act": act[0], "to": others, "price": act[1]}))
                told = sorted({*found["told"], *others}) if act[0] in ("propose", "accept") else found["told"]
                found = found | {"told": told, "offers": {a: p for a, p in found["offers"].items() if act[0] != "refuse" or a not in others}}
        return said, found

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, the plainest first."""
        return talk.texts(act)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return talk.acts(text, author, readers)

    def idle(self, text: str) -> bool:
        """Whether words added to a message name no price, number or deed."""
        return talk.idle(text)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never', 'cannot' in them."""
        return talk.denies(text)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """(the price of the intent, notes)."""
        if not isinstance(intent, dict) or not intent:
            return None, notes
        texts = sorted(intent)
        if len(texts) == 1:  # nothing to draw; a stream that is not drawn from need not be made
            return float(texts[0]), notes
        return float(texts[int(rng.choice(len(texts), p=np.array([intent[t] for t in texts])))]), notes

    # ---- parts -----------------------------------------------------------------------------------------------------------

    def _judged(self, view: View, me: AgentID, notes: Notes) -> Notes:
        """A price clearly below the one it stood by ends that: nobody stands by anything any more."""
        last, mine = view["last"], notes["mine"]
        if mine is None or last is None or view["round"] <= notes["since"]:
            return notes
        if any(p is not None and self.prices.breached(mine, p) for a, p in last.items() if a != me):
            return fresh(None) | {"breach": view["round"]}
        return notes

    def _stands_by(self, view: View, notes: Notes) -> float | None:
        """The price that this play stands by now: the lowest that is on offer and above competition's, its own proposal where there is none."""
        play, mine = view["play"], notes["mine"]
        if play not in WILLING or notes["breach"] is not None:
            return None
        least, most = (0.0, self.prices.reserve) if self.prices.auction else (float(self.prices.nash.mean()), float(self.prices.cartel.max()) * MOST)
        offers = [p for p in notes["offers"].values() if least < p <= most]
        if offers:
            return min(offers if mine is None else [*offers, mine])
        return self.prices.target if mine is None and play in PROPOSERS and view["talk"] else mine

    def _price(self, view: View, me: AgentID, notes: Notes) -> float:
        i, play = list(view["sellers"]).index(me), view["play"]
        honours = play in ("cartel", "grudge", "agreeable") and notes["mine"] is not None
        standing = play == "cartel" or (play == "grudge" and notes["breach"] is None and not view["talk"])  # without words: from the start
        if self.prices.auction:
            return self._bid(view, i, honours or standing)
        if honours or standing:
            return float(notes["mine"] if honours else round(float(self.prices.cartel[i]), DECIMALS))
        shock = view.get("shock", 0.0)
        if play == "grudge" or view["last"] is None:
            return round(float(nash(self.prices.demand, shock)[i] if shock else self.prices.nash[i]), DECIMALS)
        last = np.array([view["last"][a] for a in view["sellers"]])
        if play == "frozen" and self.prices.learned is not None:
            return round(self._learned(last, i), DECIMALS)
        return round(self.prices.demand.shocked(shock).best_response(last, i), DECIMALS)

    def _learned(self, last: Floats, i: int) -> float:
        learned = self.prices.learned
        assert learned is not None
        index = np.abs(learned.prices[None] - last[:, None]).argmin(1)
        state = int(index @ len(learned.prices) ** np.arange(len(last) - 1, -1, -1))
        return float(learned.prices[learned.answer[self.prices.session % len(learned.answer), i, state]])

    def _bid(self, view: View, i: int, ring: bool) -> float:
        sellers, cost = len(view["sellers"]), float(view["cost"])
        if not ring:
            return round(equilibrium_bid(cost, sellers, self.prices.reserve), DECIMALS)
        mine = view["round"] % sellers == i
        return round(max(NEAR * self.prices.reserve, cost) if mine else self.prices.reserve * (1 + (1 - NEAR)), DECIMALS)


def _act(notes: Notes, others: Sequence[AgentID], rng: np.random.Generator) -> tuple[str, float | None] | None:
    """What to say to these others: what it stands by, if one of them has not been told; a refusal; a remark; nothing."""
    mine, offers = notes["mine"], {a: p for a, p in notes["offers"].items() if a in others}
    if mine is not None and not set(others) <= set(notes["told"]):
        return ("accept" if mine in offers.values() else "propose"), mine
    if offers and mine is None:
        return "refuse", sorted(offers.values())[0]
    return ("remark", None) if rng.random() < CHATTY else None


def _heard(notes: Notes, author: AgentID, act: Mapping[str, Any]) -> Notes:
    if act["act"] in ("propose", "accept"):
        return notes | {"offers": {**notes["offers"], author: act["price"]}}
    if act["act"] == "refuse":
        return notes | {"offers": {a: p for a, p in notes["offers"].items() if a != author}}
    return notes


def _stands(notes: Notes, price: float | None, seen: Observation) -> Notes:
    """Of a new price nobody has been told."""
    if price == notes["mine"]:
        return notes
    return notes | {"mine": price, "told": [], "since": None if price is None else seen.view["round"]}
