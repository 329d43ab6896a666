"""How a seller decides: its play, a pure function of what it sees and has noted, and what it says about it.

| play | prices | bids | words |
|---|---|---|---|
| `rival` | best answer to the others' last prices; Nash at first | equilibrium | remarks |
| `cartel` | the cartel's price for ever | ring: the one whose turn it is near the reserve, others above | proposes, accepts, keeps its word |
| `grudge` | the agreed price (or the cartel's) until somebody has gone clearly below; then Nash for ever | as cartel, after a breach as rival | as cartel |
| `agreeable` | best answer, until a price is agreed; then that, until somebody goes below it | as rival, or cartel once agreed | accepts, keeps its word |
| `cheat` | agrees to everything and answers best | as rival | proposes, accepts, breaks its word |
| `frozen` | what Q-learning taught (`learning.py`, `environment.learned`); Nash at first | - | remarks |

Notes are a JSON value: {"mine": the price it stands by or null, "told": [whom it has told so], "offers": {other: the price that one stands by}, "since":
round from which it does or null, "breach": round or null}, and with noise "off": what its last price was off by. Who keeps its word keeps it until somebody's price lies clearly below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from agents.legal import Legal
from agents.types import JSON, Head, Observation
from scenarios.market import talk
from scenarios.market.auction import equilibrium_bid
from scenarios.market.demand import Demand, Floats
from scenarios.market.learning import Strategies
from scenarios.market.legal import legal
from sociallm.conversation import AgentID, Channel

PLAYS = ("rival", "cartel", "grudge", "agreeable", "cheat", "frozen")
PROPOSERS = ("cartel", "grudge", "cheat")
WILLING = (*PROPOSERS, "agreeable")
BELOW = 0.02  # of the way from Nash to the cartel's price: what lies so far below the agreed price is a breach
NEAR = 0.97  # of the reserve, what a ring's chosen bidder asks
SURELY = 4.0  # standard deviations of the noise: what lies so far off is meant
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


@lru_cache(maxsize=4096)
def shocked(demand: Demand, shock: float) -> Demand:
    """The demand under a shock; each is made once."""
    return demand.shocked(shock)


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
    learned: Strategies | None = None  # of the sellers that play `frozen`; which session of it, a run draws at its start
    noise: float = 0.0  # standard deviation of what a price is off what its play sets
    lasting: float = 0.0  # of it, from round to round
    hide: float = 0.0  # how far a ring spreads its bids

    @cached_property
    def target(self) -> float:
        """What those who would collude propose."""
        return round(NEAR * self.reserve if self.auction else float(self.cartel.mean()), DECIMALS)

    @cached_property
    def clearly(self) -> float:
        """How far apart two prices are that clearly differ: by no noise."""
        return BELOW * (self.reserve if self.auction else float((self.cartel - self.nash).mean())) + SURELY * self.noise

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

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """One act in each channel at most: where it has just come to stand by a price, it says so; refuses; or remarks something. A head has nothing to
        choose from."""
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
        """(the price of the intent, and what its hand is off by, notes)."""
        if not isinstance(intent, dict) or not intent:
            return None, notes
        texts = sorted(intent)
        one = len(texts) == 1  # nothing to draw; a stream that is not drawn from need not be made
        price = float(texts[0] if one else texts[int(rng.choice(len(texts), p=np.array([intent[t] for t in texts])))])
        if not self.prices.noise:
            return price, notes
        found = fresh(notes)
        kept = self.prices.lasting if "off" in found else 0.0
        off = kept * found.get("off", 0.0) + self.prices.noise * math.sqrt(1 - kept**2) * float(rng.standard_normal())
        return round(max(price + off, 0.0), DECIMALS), found | {"off": off}

    def legal(self, observation: Observation, notes: JSON) -> Legal:
        """What is legal now, for those who answer in words."""
        return legal(observation, notes)

    # ---- parts -----------------------------------------------------------------------------------------------------------

    def _judged(self, view: View, me: AgentID, notes: Notes) -> Notes:
        """A price clearly below the one it stood by ends that: nobody stands by anything any more. Without words a grudge stands by the cartel's."""
        last, mine = view["last"], notes["mine"]
        silent = view["play"] == "grudge" and not view["talk"] and not self.prices.auction and notes["breach"] is None
        if last is None or (mine is None and not silent) or (mine is not None and view["round"] <= notes["since"]):
            return notes
        agreed: dict[AgentID, float] = dict(zip(view["sellers"], self.prices.cartel.tolist(), strict=True)) if mine is None else dict.fromkeys(last, float(mine))
        if any(p is not None and self.prices.breached(agreed[a], p) for a, p in last.items() if a != me):
            return fresh(None) | {"breach": view["round"]} | ({"off": notes["off"]} if "off" in notes else {})
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
        if play == "frozen":
            return round(self._learned(last, i, view["session"]), DECIMALS)
        return round(shocked(self.prices.demand, shock).best_response(last, i), DECIMALS)

    def _learned(self, last: Floats, i: int, session: int) -> float:
        """The answer to the last prices, each taken for the nearest of those that were learned with."""
        learned = self.prices.learned
        assert learned is not None  # the world was not made without
        index = np.abs(learned.prices[None] - last[:, None]).argmin(1)
        state = int(index @ len(learned.prices) ** np.arange(len(last) - 1, -1, -1))
        return float(learned.prices[learned.answer[session, i, state]])

    def _bid(self, view: View, i: int, ring: bool) -> float:
        sellers, cost = len(view["sellers"]), float(view["cost"])
        if not ring:
            return round(equilibrium_bid(cost, sellers, float(view.get("top", self.prices.reserve))), DECIMALS)
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
