"""What keeps high prices up? One seller is made to cut its price for one round, and what the others do about it is read off (Calvano et al., AER 2020).

*Impulse response*: the run is played again from its own seed up to a round; once it goes on as it did, once one seller answers best in that round
alone. Everybody's chance is the same in both, so all that differs is what the cut did. A cartel kept up by punishment cuts too, for some rounds, and
comes back; the cut then does not pay at a discount at which the future counts. Competitors answer a little and at once; prices fixed for ever do not move.

*Replaced control*: from a round on one seller is a static best responder. Rivals that collude lose what the scheme earned them, or give it up; competitors
hardly notice.

What Q-learning sellers have learned is asked the same way (`of_learned`), many sessions at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.types import JSON, Observation
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from analysis.series import Floats, Series, series
from sandbox.config import Setting
from sandbox.host import AgentFault
from sandbox.in_memory import Branch, Force, played
from scenarios.market.demand import Demand
from scenarios.market.environment import Market
from scenarios.market.learning import Strategies
from scenarios.market.learning import played as learned_play
from scenarios.market.seller import DECIMALS

HORIZON, DISCOUNT = 15, 0.95
BACK = 0.2  # of the deepest cut: rivals nearer than this to where they would have been have come back
NOTICED = 0.02  # of the way from competition to the cartel: a smaller cut of rivals is none


@dataclass(frozen=True, eq=False)
class Impulse:
    """Prices as they were and after the cut, [H, n] from the round of the cut on; profits of the seller that was made to cut, [H]."""

    seller: int
    round: int
    path: Floats
    cut: Floats
    profit_path: Floats
    profit_cut: Floats
    scale: float  # from competition's price to the cartel's, means
    discount: float = DISCOUNT

    @property
    def own(self) -> Floats:
        """[H] what the seller's price is off its path, as a share of `scale`."""
        return np.asarray((self.cut - self.path)[:, self.seller] / self.scale)

    @property
    def rivals(self) -> Floats:
        """[H] the same of its rivals, their mean."""
        return np.asarray(np.delete(self.cut - self.path, self.seller, axis=1).mean(1) / self.scale)

    @property
    def answer(self) -> float:
        """How deep the rivals cut at most, after the round of the cut; 0: not at all."""
        return max(0.0, float(-self.rivals[1:].min())) if len(self.path) > 1 else 0.0

    @property
    def duration(self) -> int:
        """For how many rounds after it some rival is clearly lower than it would have been."""
        return int((self.rivals[1:] < -max(BACK * self.answer, NOTICED)).sum()) if self.answer >= NOTICED else 0

    @property
    def back(self) -> bool:
        """Whether rivals have come back by the end."""
        return bool(abs(self.rivals[-1]) <= max(BACK * self.answer, NOTICED))

    @property
    def gain(self) -> float:
        """What the cut earned over what would have been earned, discounted, as a share of the latter."""
        weight = self.discount ** np.arange(len(self.path))
        kept = float(weight @ self.profit_path)
        return float(weight @ (self.profit_cut - self.profit_path)) / kept if abs(kept) > 1e-12 else 0.0

    @property
    def empty(self) -> bool:
        """Whether the best answer was no lower than what the seller asked anyway: there was nothing to cut, and nothing can be read off."""
        return bool(self.own[0] > -NOTICED)

    @property
    def punished(self) -> bool:
        """Whether rivals cut, and the cut did not pay."""
        return not self.empty and self.answer >= NOTICED and self.gain < 0


@dataclass(frozen=True)
class Replaced:
    """What became of the others once one seller answered best, in the last third of the horizon: their mean price (share of the way from
    competition to the cartel) and mean profit, before and with it."""

    seller: int
    round: int
    price: tuple[float, float]
    profit: tuple[float, float]


# ---- of a run, played again ------------------------------------------------------------------------------------------------


def moment(setting: Setting, at: int) -> tuple[Branch, Market]:
    """The run before the prices of round `at`. Raises `AnalysisError` in one line for a world without prices, or a round it does not have."""
    world = setting.environment
    if not isinstance(world, Market) or world.options.mode != "prices" or len(world.agents) < 2:
        raise AnalysisError("a price can be cut in a market of two or more sellers that set prices alone; give a run of one (environment.mode=prices)")
    if not 0 <= at < world.options.rounds:
        raise AnalysisError(f"round {at}: the market has rounds 0 to {world.options.rounds - 1}; choose one of them")
    number = at * (_talks(world) + 1)
    try:
        _, kept = played(setting, steps=number + 1, keep_at=(number,))
    except AgentFault as error:
        raise AnalysisError(f"the run cannot be played again: {error}") from None
    return kept[number], world


def impulse(setting: Setting, seller: str, at: int, horizon: int = HORIZON, discount: float = DISCOUNT) -> Impulse:
    """The response to one cut in round `at`: to the best answer to what the others ask in that very round. Raises `AnalysisError`."""
    branch, world = moment(setting, at)
    i, end = _place(world, seller), min(at + horizon, world.options.rounds)
    path = _on(setting, branch, end, None)
    demand = world.demand.shocked(float(path.shock[0]))
    price = round(demand.best_response(path.asked[0], i), DECIMALS)
    cut = _on(setting, branch, end, lambda seen: price if seen.agent == seller and seen.view["round"] == at else None)
    prices = world.language.prices
    return Impulse(i, at, path.asked, cut.asked, path.profits[:, i], cut.profits[:, i], max(float((prices.cartel - prices.nash).mean()), 1e-9), discount)


def replaced(setting: Setting, seller: str, at: int, horizon: int = 3 * HORIZON) -> Replaced:
    """The others with and without a static best responder in the place of one seller, from round `at` on. Raises `AnalysisError`."""
    branch, world = moment(setting, at)
    i, end, demand = _place(world, seller), min(at + horizon, world.options.rounds), world.demand

    def answers(seen: Observation) -> JSON:
        if seen.agent != seller or seen.view["last"] is None:
            return None
        last, shock = seen.view["last"], seen.view.get("shock", 0.0)
        return round(demand.shocked(float(shock)).best_response(np.array([last[a] for a in seen.view["sellers"]]), i), DECIMALS)  # type: ignore[index, call-overload, union-attr, arg-type]

    prices = world.language.prices
    others = [j for j in range(len(world.agents)) if j != i]
    nash, scale = float(prices.nash[others].mean()), max(float((prices.cartel - prices.nash)[others].mean()), 1e-9)
    found = []
    for market in (_on(setting, branch, end, None), _on(setting, branch, end, answers)):
        late = slice(-max(1, market.rounds // 3), None)
        found.append(((float(market.asked[late][:, others].mean()) - nash) / scale, float(market.profits[late][:, others].mean())))
    return Replaced(i, at, (found[0][0], found[1][0]), (found[0][1], found[1][1]))


def _talks(world: Market) -> int:
    return world.options.talks if world.channels else 0


def _place(world: Market, seller: str) -> int:
    if seller not in world.agents:
        raise AnalysisError(f"no seller {seller!r:.60}; expected one of {', '.join(world.agents)}")
    return world.agents.index(seller)


def _on(setting: Setting, branch: Branch, end: int, force: Force | None) -> Series:
    world = setting.environment
    assert isinstance(world, Market)
    events, _ = played(setting, begin=branch, steps=end * (_talks(world) + 1), force=force)
    found = series(Evidence(tuple(events), "market"))
    assert found is not None
    return found


# ---- of what Q-learning taught ---------------------------------------------------------------------------------------------


def of_learned(demand: Demand, learned: Strategies, seller: int = 0, settle: int = 1000, horizon: int = HORIZON, discount: float = DISCOUNT) -> list[Impulse]:
    """The response of each session to one cut to the grid's best answer, after `settle` rounds, when all are in the cycle that they end in."""
    grid, (B, n, _) = learned.prices, learned.answer.shape
    digits = len(grid) ** np.arange(n - 1, -1, -1)
    before: NDArray[np.int64] = learned_play(learned, np.zeros(B, np.int64), settle)[-1] @ digits
    path = learned_play(learned, before, horizon)
    forced = path[0].copy()
    for b in range(B):
        at = np.repeat(grid[path[0, b]][None], len(grid), 0)
        at[:, seller] = grid
        forced[b, seller] = int(demand.profits(at)[:, seller].argmax())
    cut = np.concatenate([forced[None], learned_play(learned, forced @ digits, horizon - 1)])
    scale = float((demand.cartel() - demand.nash()).mean())
    was, then = grid[path], grid[cut]
    earned, after = demand.profits(was)[..., seller], demand.profits(then)[..., seller]
    return [Impulse(seller, settle, was[:, b], then[:, b], earned[:, b], after[:, b], scale, discount) for b in range(B)]


# ---- in words --------------------------------------------------------------------------------------------------------------


def lines(found: Impulse, agents: tuple[str, ...]) -> list[str]:
    """An impulse response, for a terminal; no verdict where there was nothing to cut from, or no round left to answer in."""
    if found.empty:
        return [f"{agents[found.seller]}: nothing to cut from in round {found.round}, where its price is its best answer already; no verdict, try another round with --at N"]
    if len(found.path) < 2:
        return [f"{agents[found.seller]}: no round after round {found.round} in which rivals could answer; no verdict, try an earlier one with --at N"]
    came = f"back within {NOTICED:.0%} or {BACK:.0%} of it" if found.back else "not back by the end"
    pays = "pays" if found.gain > 0 else "does not pay"
    rows = [f"{agents[found.seller]} made to cut in round {found.round} by {-found.own[0]:.2f} of the way from competition to the cartel:"]
    if found.answer >= NOTICED:
        rows.append(f"  rivals cut by {found.answer:.2f} at most, for {found.duration} rounds, {came}")
    else:
        rows.append("  rivals do not answer")
    rows.append(f"  the cut {pays}: {100 * found.gain:+.2f} % of the discounted profit ({found.discount:g} a round, {len(found.path)} rounds)")
    rows.append("  own    " + " ".join(f"{x:+.2f}" for x in found.own))
    rows.append("  rivals " + " ".join(f"{x:+.2f}" for x in found.rivals))
    return rows


def replaced_line(found: Replaced, agents: tuple[str, ...]) -> str:
    """A replaced control, for a terminal."""
    (before, after), (earned, then) = found.price, found.profit
    share = f" ({100 * (then / earned - 1):+.1f} %)" if abs(earned) > 1e-12 else ""
    return f"{agents[found.seller]} replaced by a static best responder from round {found.round}: the others' price {before:+.2f} → {after:+.2f} of the way, profit {earned:.4f} → {then:.4f}{share}"
