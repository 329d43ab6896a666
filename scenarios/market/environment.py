"""A market as a world: windows in which sellers may talk, then one in which each sets a price (or bids), round after round.

What all know: demand, everybody's costs, all prices of the last round (in an auction: who won at what, one's own cost and no other's).
With `noise` no seller does quite what its play says: what everybody knows then no longer foretells a price, as a fair null needs.
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
from scenarios.market.learning import Learned, Strategies, read
from scenarios.market.planting import PlantableMarket
from scenarios.market.seller import DECIMALS, PLAYS, Prices
from sociallm.conversation import AgentID, Channel

MODES, CHATS = ("prices", "auction"), ("public", "private", "hidden", "off")
HIDDEN = "hidden:"  # how the names of channels begin that nobody but their readers is to know of
MOST_SELLERS, MOST_ROUNDS, MOST_TALKS, MOST_MONEY, MOST_MS = 16, 1_000_000, 1000, 1000, 10**12  # beyond these nothing is learned, and floats overflow
SHOCK_DECIMALS = 2  # so few values that what follows from each is reckoned once


@dataclass(frozen=True)
class Options:
    """What YAML may say of this world."""

    sellers: int = 2
    rounds: int = 10
    mode: str = "prices"  # or auction: the lowest bid wins
    chat: str = "public"  # all in one room; private: by pairs; hidden: by pairs, in channels no outsider knows of; off
    talks: int = 2  # windows for writing before each price
    play: dict[str, str] = field(default_factory=dict)  # seller, or default for the others → how it decides (seller.PLAYS); rival
    learned: str = ""  # the file of strategies that those who play `frozen` have (python -m scenarios.market.learning FILE)
    cost: list[float] = field(default_factory=lambda: [1.0])  # of each seller, or one for all
    quality: list[float] = field(default_factory=lambda: [2.0])
    outside: float = 0.0
    spread: float = 0.25
    reserve: float = 1.0  # of an auction: no higher bid is taken
    shock: float = 0.0  # standard deviation of what all qualities rise and fall by together, an AR(1) process that all see; 0: they stand still
    persistence: float = 0.9  # of the shock, from round to round
    noise: float = 0.0  # standard deviation of what each price or bid is off what the seller's play sets, for reasons of its own that nobody sees
    lasting: float = 0.0  # of that, from round to round
    alike: float = 0.0  # in an auction: the share of every cost that is the job's, the same for all and known to all
    hide: float = 0.0  # in an auction: how far a ring spreads its bids, and draws their level anew each round, so as to look like rivals
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
    shock: float = 0.0  # what is added to all qualities; in an auction the job's cost, a share of the reserve
    session: int = 0  # of the strategies learned, the one that is played


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
    def language(self) -> PlantableMarket:
        """What sellers can do and say."""
        o = self.options
        told = Prices(self.demand, self.demand.nash(), self.demand.cartel(), o.reserve, o.mode == "auction", self._strategies, noise=o.noise, lasting=o.lasting, hide=o.hide)
        return PlantableMarket(told, o.chat if self._talks else "off")

    @cached_property
    def _learned(self) -> Learned | None:
        """What those who play `frozen` have learned. Raises ValueError for a file that does not hold it."""
        if not self.options.learned:
            return None
        try:
            found = read(self.options.learned)
        except ValueError as error:
            raise ValueError(f"learned: {error}") from None
        if found.demand != self.demand:
            raise ValueError(f"learned: {self.options.learned}: learned in another market ({found.demand}, here {self.demand}); make one for this")
        return found

    @property
    def _strategies(self) -> Strategies | None:
        return self._learned.strategies if self._learned else None

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
        costs, job = self._costs(rng)
        shock = job if self.options.mode == "auction" else self._shock(None, rng)
        return State(costs=costs, shock=shock, session=int(rng.integers(len(self._strategies.answer))) if self._strategies else 0)

    def _shock(self, last: float | None, rng: np.random.Generator) -> float:
        """The next, drawn from the process's own distribution at the start; to the second decimal."""
        o = self.options
        if not o.shock:
            return 0.0
        kept = 0.0 if last is None else o.persistence
        return round(kept * (last or 0.0) + o.shock * math.sqrt(1 - kept**2) * float(rng.standard_normal()), SHOCK_DECIMALS)

    def _costs(self, rng: np.random.Generator) -> tuple[tuple[float, ...], float]:
        """(everybody's of the next round, the job's of an auction)."""
        o = self.options
        if o.mode != "auction":
            return self.demand.cost, 0.0
        own = auction.costs(rng, o.sellers, o.reserve)
        job = round(float(rng.random()), DECIMALS) if o.alike else 0.0
        return tuple(np.round(o.alike * job * o.reserve + (1 - o.alike) * own, DECIMALS).tolist()) if o.alike else tuple(own.tolist()), job

    def _top(self, job: float) -> float:
        """The highest cost that a seller can have in an auction of this job."""
        o = self.options
        return round(o.reserve * (1 - o.alike * (1 - job)), DECIMALS) if o.alike else o.reserve

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
        } | ({"shock": state.shock} if o.shock else {}) | ({"top": self._top(state.shock)} if o.alike else {}) | (
            {"session": state.session} if o.learned else {}
        )  # fmt: skip

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """After a talk the next window; after the prices what was sold, and the next round."""
        first: list[dict[str, Any]] = [self._told | ({"session": state.session} if self._learned else {})] if state.round == state.talk == 0 and self.options.mode == "prices" else []
        if state.talk < self._talks:
            return Outcome(state=replace(state, talk=state.talk + 1), events=tuple(first))
        read = {a: read_price(moves.get(a)) for a in self.agents}
        prices = {a: self.ceiling if p is None else p for a, p in read.items()}
        events = first + [{"what": "replaced", "agent": a, "move": repr(moves.get(a))[:80], "by": prices[a]} for a in self.agents if read[a] is None]
        if self.options.mode == "auction":
            winner, paid = auction.award(dict(prices), self.options.reserve, rng)
            profits = [round(paid - c, 12) if a == winner else 0.0 for a, c in zip(self.agents, state.costs, strict=True)]
            top = {"top": self._top(state.shock)} if self.options.alike else {}
            events.append({"what": "award", "round": state.round, "bids": prices, "costs": dict(zip(self.agents, state.costs, strict=True)), "winner": winner, "price": paid, **top})
            after = State(state.round + 1, 0, tuple(prices.values()), tuple(profits), (winner, paid), *self._costs(rng))
        else:
            at = np.array(list(prices.values()))
            demand = self.demand.shocked(state.shock)
            profits = demand.profits(at).round(12).tolist()
            shares = demand.shares(at).round(12).tolist()
            told = {"shock": state.shock} if self.options.shock else {}
            events.append({"what": "sales", "round": state.round, "prices": prices, "demand": dict(zip(self.agents, shares, strict=True)), **told})
            after = State(state.round + 1, 0, tuple(prices.values()), tuple(profits), None, state.costs, self._shock(state.shock, rng), state.session)
        done = after.round >= self.options.rounds
        return Outcome(state=after, rewards=dict(zip(self.agents, profits, strict=True)), events=tuple(events), done=done)

    @property
    def _told(self) -> dict[str, Any]:
        """What prices and profits are held against: one-shot competition (Nash) and the cartel that maximises the sum of profits."""
        found: dict[str, Any] = {"what": "market"}
        for name, prices in (("nash", self.language.prices.nash), ("cartel", self.language.prices.cartel)):
            profits = self.demand.profits(prices).round(12).tolist()
            found |= {f"{name}_prices": dict(zip(self.agents, prices.round(12).tolist(), strict=True)), f"{name}_profits": dict(zip(self.agents, profits, strict=True))}
        return found | ({"learned_sha256": self._learned.sha256} if self._learned else {})

    def to_json(self, state: State) -> JSON:
        """The state as a list."""
        return [
            state.round, state.talk, None if state.prices is None else list(state.prices), None if state.profits is None else list(state.profits),
            None if state.won is None else list(state.won), list(state.costs), *([state.shock] if self.options.shock or self.options.alike else []),
            *([state.session] if self.options.learned else []),
        ]  # fmt: skip

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave."""
        number, talk, prices, profits, won, costs, *more = value
        session = more.pop() if self.options.learned else 0
        shock = more[0] if more else 0.0
        return State(number, talk, _tuple(prices), _tuple(profits), _tuple(won), tuple(costs), shock, session)


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
        ("sellers", o.sellers, 1 <= o.sellers <= MOST_SELLERS, f"1 to {MOST_SELLERS}"), ("rounds", o.rounds, 1 <= o.rounds <= MOST_ROUNDS, f"1 to {MOST_ROUNDS}"),
        ("talks", o.talks, 0 <= o.talks <= MOST_TALKS, f"0 to {MOST_TALKS}"),
        ("round_ms", o.round_ms, o.talks < o.round_ms <= MOST_MS, f"a ms for each talk and one for the price, at most {MOST_MS}"),
        ("mode", o.mode, o.mode in MODES, f"one of {', '.join(MODES)}"), ("chat", o.chat, o.chat in CHATS, f"one of {', '.join(CHATS)}"),
        ("reserve", o.reserve, 0.01 <= o.reserve <= MOST_MONEY, f"a number from 0.01 to {MOST_MONEY}"),
        ("spread", o.spread, 0.001 <= o.spread <= 1000, "a number from 0.001 to 1000"),
        ("outside", o.outside, abs(o.outside) <= MOST_MONEY, f"a number from -{MOST_MONEY} to {MOST_MONEY}"),
        ("shock", o.shock, 0 <= o.shock <= MOST_MONEY and (o.mode == "prices" or not o.shock), f"0 to {MOST_MONEY}, and 0 in an auction, whose buyer takes any quality"),
        ("persistence", o.persistence, 0 <= o.persistence < 1, "0 or more, below 1"),
        ("noise", o.noise, 0 <= o.noise <= MOST_MONEY, f"0 to {MOST_MONEY}"),
        ("lasting", o.lasting, 0 <= o.lasting < 1, "0 or more, below 1"),
        ("alike", o.alike, 0 <= o.alike < 1 and (o.mode == "auction" or not o.alike), "0 or more, below 1, and 0 where prices are set: costs are known there"),
        ("hide", o.hide, 0 <= o.hide <= 0.5 and (o.mode == "auction" or not o.hide), "0 to 0.5, and 0 where prices are set"),
    )  # fmt: skip
    for name, value, good, expected in limits:
        if not good:
            raise ValueError(f"{name} is {value!r:.60}; expected {expected}")
    for name, values in (("cost", o.cost), ("quality", o.quality)):
        if len(values) not in (1, o.sellers):
            raise ValueError(f"{name} has {len(values)} values; give one for all, or one for each of the {o.sellers} sellers")
        if not all(abs(value) <= MOST_MONEY for value in values):  # nor nan
            raise ValueError(f"{name} is {values!r:.60}; expected numbers from -{MOST_MONEY} to {MOST_MONEY}")
    market = Market(o)
    for agent, play in o.play.items():
        if agent not in (*market.agents, "default") or play not in PLAYS:
            raise ValueError(f"play.{agent}: {play!r}; expected a seller ({', '.join(market.agents)}) or default, and one of {', '.join(PLAYS)}")
    _frozen_fits(o)
    market.language.prices.demand.nash()
    return market


def _frozen_fits(o: Options) -> None:
    if "frozen" not in o.play.values():
        if o.learned:
            raise ValueError(f"learned is {o.learned!r:.60}, and nobody plays frozen; set play, as in environment.play.default=frozen, or leave learned out")
    elif o.mode == "auction":
        raise ValueError("play: frozen is of prices, and an auction has bids; choose another play, or mode prices")
    elif not o.learned:
        raise ValueError("play: frozen needs what was learned; write it with python -m scenarios.market.learning FILE, and name it: environment.learned=FILE")
