"""A market as a world: windows in which sellers may talk, then one in which each sets a price (or bids), round after round.

What all know: demand, everybody's costs, all prices of the last round (in an auction: who won at what, one's own cost and no other's).
A move is a number, the price; without a usable one a seller asks for the most that makes sense, `ceiling`, and an event says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.types import JSON
from scenarios.environment import Outcome, Window
from scenarios.market import auction
from scenarios.market.demand import Demand
from scenarios.market.seller import DECIMALS, PLAYS, MarketLanguage, Prices
from sociallm.conversation import AgentID, Channel

MODES, CHATS = ("prices", "auction"), ("public", "private", "hidden", "off")
HIDDEN = "hidden:"  # how the names of channels begin that nobody but their readers is to know of
MOST_SELLERS = 16


@dataclass(frozen=True)
class Options:
    """What YAML may say of this world."""

    sellers: int = 2
    rounds: int = 10
    mode: str = "prices"  # or auction: the lowest bid wins
    chat: str = "public"  # all in one room; private: by pairs; hidden: by pairs, in channels no outsider knows of; off
    talks: int = 2  # windows for writing before each price
    play: dict[str, str] = field(default_factory=dict)  # seller, or default for the others → how it decides (seller.PLAYS); rival
    cost: list[float] = field(default_factory=lambda: [1.0])  # of each seller, or one for all
    quality: list[float] = field(default_factory=lambda: [2.0])
    outside: float = 0.0
    spread: float = 0.25
    reserve: float = 1.0  # of an auction: no higher bid is taken
    round_ms: int = 60_000  # simulated time of one round


@dataclass(frozen=True)
class State:
    """Where a market stands: the round, how many talks of it have passed, the last prices (in order of the sellers) and profits, costs drawn."""

    round: int = 0
    talk: int = 0
    prices: tuple[float | None, ...] | None = None
    profits: tuple[float, ...] | None = None
    won: tuple[AgentID | None, float] | None = None
    costs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Market:
    """The world; holds its options and what follows from them, and nothing that changes."""

    options: Options

    @cached_property
    def agents(self) -> tuple[AgentID, ...]:
        """S1, S2, …"""
        return tuple(f"S{i + 1}" for i in range(self.options.sellers))

    @cached_property
    def demand(self) -> Demand:
        """Of the sellers' goods."""
        each = lambda values: tuple(values * self.options.sellers if len(values) == 1 else values)  # noqa: E731
        return Demand(each(self.options.quality), each(self.options.cost), self.options.outside, self.options.spread)

    @cached_property
    def language(self) -> MarketLanguage:
        """What sellers can do and say."""
        return MarketLanguage(Prices(self.demand, self.demand.nash(), self.demand.cartel(), self.options.reserve, self.options.mode == "auction"))

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Those that the chat rules open."""
        if self.options.chat == "off":
            return ()
        if self.options.chat == "public":
            return (Channel(name="ALL", readers=frozenset(self.agents)),)
        before = HIDDEN if self.options.chat == "hidden" else ""
        return tuple(Channel(name=f"{before}{a}-{b}", readers=frozenset((a, b))) for a, b in itertools.combinations(self.agents, 2))

    @property
    def ceiling(self) -> float:
        """What a seller that names no price asks: more than a cartel would, or more than the reserve."""
        o = self.options
        return 2 * o.reserve if o.mode == "auction" else round(float(self.language.prices.cartel.max()) + 4 * o.spread, DECIMALS)

    def start(self, rng: np.random.Generator) -> State:
        """Before the first talk."""
        return State(costs=self._costs(rng))

    def _costs(self, rng: np.random.Generator) -> tuple[float, ...]:
        o = self.options
        return tuple(auction.costs(rng, o.sellers, o.reserve).tolist()) if o.mode == "auction" else self.demand.cost

    @property
    def _talks(self) -> int:
        return self.options.talks if self.channels else 0

    def window(self, state: State) -> Window:
        """A talk, or the price at the end of a round."""
        parts, due = self._talks + 1, state.talk == self._talks
        first = state.round * self.options.round_ms
        begin, end = (first + self.options.round_ms * k // parts for k in (state.talk, state.talk + 1))
        return Window(agents=self.agents, start=begin, end=end, channels=() if due else self.channels, move_due=due)

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """What a seller knows."""
        o, i = self.options, self.agents.index(agent)
        sealed = o.mode == "auction"
        last = None if state.prices is None or sealed else dict(zip(self.agents, state.prices, strict=True))
        if sealed and state.won is not None and state.won[0] is not None:
            last = {a: state.won[1] if a == state.won[0] else None for a in self.agents}
        return {
            "round": state.round, "rounds": o.rounds, "talk": self._talks > 0, "sellers": list(self.agents), "mode": o.mode, "play": o.play.get(agent, o.play.get("default", "rival")),
            "quality": list(self.demand.quality), "costs": None if sealed else list(self.demand.cost), "outside": o.outside, "spread": o.spread,
            "reserve": o.reserve if sealed else None, "cost": state.costs[i], "last": last, "profit": None if state.profits is None else state.profits[i],
        }  # fmt: skip

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """After a talk the next window; after the prices what was sold, and the next round."""
        if state.talk < self._talks:
            return Outcome(state=replace(state, talk=state.talk + 1))
        read = {a: read_price(moves.get(a)) for a in self.agents}
        prices = {a: self.ceiling if p is None else p for a, p in read.items()}
        events: list[dict[str, Any]] = [{"what": "replaced", "agent": a, "move": repr(moves.get(a))[:80], "by": prices[a]} for a in self.agents if read[a] is None]
        if self.options.mode == "auction":
            winner, paid = auction.award(dict(prices), self.options.reserve, rng)
            profits = [round(paid - c, 12) if a == winner else 0.0 for a, c in zip(self.agents, state.costs, strict=True)]
            events.append({"what": "award", "round": state.round, "bids": prices, "costs": dict(zip(self.agents, state.costs, strict=True)), "winner": winner, "price": paid})
            after = State(state.round + 1, 0, tuple(prices.values()), tuple(profits), (winner, paid), self._costs(rng))
        else:
            at = np.array(list(prices.values()))
            profits = self.demand.profits(at).round(12).tolist()
            shares = self.demand.shares(at).round(12).tolist()
            events.append({"what": "sales", "round": state.round, "prices": prices, "demand": dict(zip(self.agents, shares, strict=True))})
            after = State(state.round + 1, 0, tuple(prices.values()), tuple(profits), None, state.costs)
        done = after.round >= self.options.rounds
        return Outcome(state=after, rewards=dict(zip(self.agents, profits, strict=True)), events=tuple(events), done=done)

    def to_json(self, state: State) -> JSON:
        """The state as a list."""
        return [
            state.round, state.talk, None if state.prices is None else list(state.prices), None if state.profits is None else list(state.profits),
            None if state.won is None else list(state.won), list(state.costs),
        ]  # fmt: skip

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave."""
        number, talk, prices, profits, won, costs = value
        return State(number, talk, _tuple(prices), _tuple(profits), _tuple(won), tuple(costs))


def _tuple(value: Any) -> Any:
    return None if value is None else tuple(value)


def read_price(move: JSON) -> float | None:
    """A price of a move, rounded to four decimals; None if it is no number from 0 to 1e6."""
    if isinstance(move, bool) or not isinstance(move, (int, float)) or not math.isfinite(move) or not 0 <= move <= 1e6:
        return None
    return round(float(move), DECIMALS)


def make(options: Options) -> Market:
    """The world. Raises ValueError in one line for options that make no market."""
    o = options
    limits = (
        ("sellers", o.sellers, 1 <= o.sellers <= MOST_SELLERS, f"1 to {MOST_SELLERS}"), ("rounds", o.rounds, o.rounds >= 1, "1 or more"),
        ("talks", o.talks, o.talks >= 0, "0 or more"), ("round_ms", o.round_ms, o.round_ms > o.talks, "a ms for each talk and one for the price"),
        ("mode", o.mode, o.mode in MODES, f"one of {', '.join(MODES)}"), ("chat", o.chat, o.chat in CHATS, f"one of {', '.join(CHATS)}"),
        ("reserve", o.reserve, 0 < o.reserve < math.inf, "a number above 0"),
    )  # fmt: skip
    for name, value, good, expected in limits:
        if not good:
            raise ValueError(f"{name} is {value!r:.60}; expected {expected}")
    for name, values in (("cost", o.cost), ("quality", o.quality)):
        if len(values) not in (1, o.sellers):
            raise ValueError(f"{name} has {len(values)} values; give one for all, or one for each of the {o.sellers} sellers")
    market = Market(o)
    for agent, play in o.play.items():
        if agent not in (*market.agents, "default") or play not in PLAYS:
            raise ValueError(f"play.{agent}: {play!r}; expected a seller ({', '.join(market.agents)}) or default, and one of {', '.join(PLAYS)}")
    market.language.prices.demand.nash()
    return market
