"""Logit demand: what each seller sells and earns at given prices, and the prices of rivals and of a cartel.

q_i = exp((a_i - p_i) / mu) / (sum_j exp((a_j - p_j) / mu) + exp(a_0 / mu)), profit (p_i - c_i) q_i, as in Calvano, Calzolari, Denicolo
and Pastorello (AER 2020), whose calibration is the default: a = 2, a_0 = 0, c = 1, mu = 1/4.

Money is in the model's unit; demand is a share of one customer. Letters in shapes: n sellers, G grid points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, root
from scipy.special import wrightomega

Floats = NDArray[np.float64]
EXACT = 1e-12  # of a price, relative
TIGHT, EPS = 1e-14, float(np.finfo(float).eps)  # tolerances of the root finder: absolute, and the least it allows


@dataclass(frozen=True)
class Demand:
    """Tastes and costs: quality and unit cost of each seller's good, the outside good's quality, and how unlike the goods are."""

    quality: tuple[float, ...] = (2.0, 2.0)  # a_i
    cost: tuple[float, ...] = (1.0, 1.0)  # c_i
    outside: float = 0.0  # a_0
    spread: float = 0.25  # mu

    def __post_init__(self) -> None:
        if len(self.quality) != len(self.cost) or not self.cost:
            raise ValueError(f"{len(self.quality)} qualities and {len(self.cost)} costs; give each seller one of both")
        if not np.isfinite([*self.quality, *self.cost, self.outside]).all() or not 0 < self.spread < np.inf:
            raise ValueError(f"quality {self.quality}, cost {self.cost}, outside {self.outside}, spread {self.spread}; expected finite numbers, spread above 0")

    @property
    def sellers(self) -> int:
        """How many."""
        return len(self.cost)

    def shocked(self, by: float) -> Demand:
        """The same with all qualities higher by so much: shares depend on their distance from the outside good's alone."""
        return replace(self, outside=self.outside - by) if by else self

    def shares(self, prices: Floats) -> Floats:
        """Demand [..., n] at prices [..., n]."""
        utility = (np.asarray(self.quality) - prices) / self.spread
        outside = self.outside / self.spread
        top = np.maximum(utility.max(-1, keepdims=True), outside)
        weight = np.exp(utility - top)
        return weight / (weight.sum(-1, keepdims=True) + np.exp(outside - top))

    def profits(self, prices: Floats) -> Floats:
        """Of each seller [..., n] at prices [..., n]."""
        return (prices - np.asarray(self.cost)) * self.shares(prices)

    def best_response(self, prices: Floats, seller: int) -> float:
        """The price that earns `seller` most while the others keep theirs: the root of p - c = mu / (1 - q), which is unique because the
        left side rises in p and the right side falls. With the others' weight S = sum_j exp((a_j - p_j) / mu) + exp(a_0 / mu) it is
        c + mu (1 + W(exp((a - c) / mu - 1) / S)), W Lambert's function (Aravindakshan and Ratchford, 2011); in logarithms nothing overflows.
        """
        cost, mu = self.cost[seller], self.spread
        others = [(a - p) / mu for j, (a, p) in enumerate(zip(self.quality, np.asarray(prices).tolist(), strict=True)) if j != seller]
        others.append(self.outside / mu)
        top = max(others)
        weight = top + math.log(sum(math.exp(x - top) for x in others))
        return cost + mu * (1.0 + float(wrightomega((self.quality[seller] - cost) / mu - 1.0 - weight)))

    def nash(self) -> Floats:
        """Prices [n] from which nobody gains by moving alone: the first-order conditions p - c = mu / (1 - q), all at once."""
        cost = np.asarray(self.cost)
        found = root(lambda p: (p - cost) * (1 - self.shares(p)) - self.spread, cost + 2 * self.spread, tol=EXACT)
        return self._settled(found.x, found.success)

    def _settled(self, prices: Floats, success: bool) -> Floats:
        """The same, by best responses in turn where the library's root finder did not get there."""
        for _ in range(0 if success else 10_000):
            before = prices
            prices = np.array([self.best_response(before, i) for i in range(self.sellers)])
            if np.abs(prices - before).max() <= EXACT * np.abs(prices).max():
                break
        return prices

    def cartel(self, members: tuple[int, ...] | None = None, others: Floats | None = None) -> Floats:
        """Prices [n] that maximise the members' joint profit (all sellers', unless named); the rest keep their prices of `others`, or
        answer as in Nash where none are given.

        At the optimum all members add one markup to their costs: p_i - c_i = mu / (1 - their joint demand) for logit demand.
        """
        joined = tuple(range(self.sellers)) if members is None else members
        if not joined or len(set(joined)) < len(joined) or not all(0 <= i < self.sellers for i in joined):
            raise ValueError(f"a cartel of {joined}; expected different numbers from 0 to {self.sellers - 1}")
        prices = self.nash() if others is None else np.array(others, np.float64)
        rest = [i for i in range(self.sellers) if i not in joined]
        for _ in range(10_000):
            before = prices.copy()
            prices = self._joint(prices, list(joined))
            for i in rest if others is None else ():
                prices[i] = self.best_response(prices, i)
            if np.abs(prices - before).max() <= EXACT * np.abs(prices).max():
                break
        return prices

    def _joint(self, prices: Floats, joined: list[int]) -> Floats:
        def excess(markup: float) -> float:
            at = prices.copy()
            at[joined] = np.asarray(self.cost)[joined] + markup
            return float(markup * (1 - self.shares(at)[joined].sum()) - self.spread)  # so written, a joint demand of all divides by nothing

        high = 2 * self.spread
        while excess(high) < 0:
            high *= 2
        out = prices.copy()
        out[joined] = np.asarray(self.cost)[joined] + brentq(excess, 0.0, high, xtol=TIGHT, rtol=4 * EPS)
        return out

    def deviation(self, prices: Floats, seller: int) -> tuple[float, float]:
        """(price, profit) of the best one-shot answer."""
        at = np.array(prices, np.float64)
        at[seller] = self.best_response(at, seller)
        return float(at[seller]), float(self.profits(at)[seller])

    def critical_discount(self) -> float:
        """The least discount factor with which the threat of Nash for ever keeps a symmetric cartel: (dev - coop) / (dev - nash)."""
        cartel, nash = self.cartel(), self.nash()
        kept, punished = self.profits(cartel)[0], self.profits(nash)[0]
        gained = self.deviation(cartel, 0)[1]
        return float((gained - kept) / (gained - punished))

    def grid(self, count: int = 15, beyond: float = 0.1) -> Floats:
        """Equally spaced prices [G] from a little below Nash to a little above the cartel's, of the first seller, as Calvano's learners have."""
        nash, cartel = float(self.nash()[0]), float(self.cartel()[0])
        return np.linspace(nash - beyond * (cartel - nash), cartel + beyond * (cartel - nash), count)


def profit_gain(demand: Demand, profits: Floats) -> float:
    """Delta = (mean profit - Nash) / (cartel - Nash), of all sellers together: 0 is competition, 1 the full cartel."""
    nash, cartel = (float(demand.profits(p).mean()) for p in (demand.nash(), demand.cartel()))
    return (float(np.mean(profits)) - nash) / (cartel - nash)

