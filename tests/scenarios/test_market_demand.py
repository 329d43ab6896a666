"""Logit demand: published and hand-computed values, first-order conditions, and searches that must agree."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.market.demand import Demand, profit_gain

# sellers, Nash price, cartel price, their profits
KNOWN = [(2, 1.4729, 1.9250, 0.2229, 0.3375), (3, 1.3702, 2.0000, 0.1202, 0.2500), (4, 1.3315, 2.0544, 0.0815, 0.2011)]
UNEVEN = Demand(quality=(2.0, 2.3, 1.8), cost=(1.0, 1.1, 0.7), outside=0.2, spread=0.3)


@pytest.mark.parametrize(("n", "nash", "cartel", "nash_profit", "cartel_profit"), KNOWN)
def test_known_prices_and_profits(n: int, nash: float, cartel: float, nash_profit: float, cartel_profit: float) -> None:
    demand = Demand((2.0,) * n, (1.0,) * n)
    for prices, price, profit in ((demand.nash(), nash, nash_profit), (demand.cartel(), cartel, cartel_profit)):
        assert prices == pytest.approx([price] * n, abs=1e-3 / 2) and demand.profits(prices) == pytest.approx([profit] * n, abs=1e-3 / 2)


def test_the_best_deviation_from_a_cartel() -> None:
    demand = Demand()
    assert demand.deviation(demand.cartel(), 0) == pytest.approx((1.662, 0.4117), abs=5e-4)
    assert demand.critical_discount() == pytest.approx(0.393, abs=5e-4)


def test_shares_by_hand() -> None:
    """Equal utilities of 0 everywhere: each good a third, nothing a third."""
    assert Demand((1.0, 1.0), (0.0, 0.0)).shares(np.array([1.0, 1.0])) == pytest.approx([1 / 3, 1 / 3], abs=1e-15)
    far = Demand().shares(np.array([[1e6, 1.0], [-1e6, 1.0]]))
    assert far[0, 0] == 0 and far[1, 0] == 1 and np.isfinite(far).all()


@pytest.mark.parametrize("demand", [Demand(), UNEVEN])
def test_nobody_gains_by_moving_alone_from_nash(demand: Demand) -> None:
    prices = demand.nash()
    for i in range(demand.sellers):
        tried = np.repeat(prices[None], 4001, 0)
        tried[:, i] = np.linspace(demand.cost[i], demand.cost[i] + 3, 4001)
        assert demand.profits(tried)[:, i].max() <= demand.profits(prices)[i] + 1e-12
        assert demand.best_response(prices, i) == pytest.approx(prices[i], abs=1e-9)


def test_no_prices_earn_a_cartel_more_than_its_own() -> None:
    prices = UNEVEN.cartel()
    tried = prices + np.random.default_rng(0).normal(0, 0.2, (20_000, 3))
    assert UNEVEN.profits(tried).sum(-1).max() <= UNEVEN.profits(prices).sum() + 1e-12


def test_a_cartel_of_two_of_three() -> None:
    """Its members gain beside Nash, and the third, which answers best, gains more than they do; alone one is no cartel."""
    demand = Demand((2.0,) * 3, (1.0,) * 3)
    prices, nash = demand.cartel((0, 1)), demand.nash()
    assert prices[0] == pytest.approx(prices[1]) and prices[2] == pytest.approx(demand.best_response(prices, 2), abs=1e-9)
    gain = demand.profits(prices) - demand.profits(nash)
    assert 0 < gain[0] < gain[2]
    assert demand.cartel((1,)) == pytest.approx(nash, abs=1e-9)


def test_profit_gain_is_0_at_nash_and_1_in_a_cartel() -> None:
    assert profit_gain(UNEVEN, UNEVEN.profits(UNEVEN.nash())) == pytest.approx(0, abs=1e-9)
    assert profit_gain(UNEVEN, UNEVEN.profits(UNEVEN.cartel())) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("wrong", [{"cost": (1.0,)}, {"cost": (1.0, float("nan"))}, {"spread": 0.0}, {"quality": (), "cost": ()}], ids=str)
def test_a_market_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected|give each"):
        Demand(**wrong)  # type: ignore[arg-type]


def test_a_cartel_of_nobody_is_refused() -> None:
    for members in ((), (0, 0), (2,)):
        with pytest.raises(ValueError, match="different numbers"):
            Demand().cartel(members)
