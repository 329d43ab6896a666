"""Markets: prices from the log, and the share of a cartel's gain, by hand."""

import json

import pandas as pd
import pytest

from analysis.markets import gain, market_lines, prices, reference
from analysis.metrics import AnalysisError, read_run
from analysis.plots import plot_prices
from sandbox.__main__ import main
from sandbox.log import Event

REFERENCE = {"nash_prices": {"A": 1.0, "B": 2.0}, "cartel_prices": {"A": 2.0, "B": 4.0}, "nash_profits": {"A": 0.2, "B": 0.4}, "cartel_profits": {"A": 0.4, "B": 1.0}}


def event(step, kind, agent=None, **data):
    return Event(seq=step, step=step, time=step * 1000, kind=kind, agent=agent, data=data)


def sold(*profits):
    return pd.DataFrame([(0, 0, i, agent, 1.5, profit) for i, pair in enumerate(profits) for agent, profit in zip("AB", pair)], columns=["step", "time", "round", "agent", "price", "profit"])


def test_the_gain_is_nothing_in_competition_and_all_in_a_cartel():
    assert gain(sold((0.2, 0.4)), REFERENCE) == pytest.approx(0.0)
    assert gain(sold((0.4, 1.0), (0.4, 1.0)), REFERENCE) == pytest.approx(1.0)
    assert gain(sold((0.3, 0.7)), REFERENCE) == pytest.approx(0.5)
    assert gain(sold((0.4, 0.4)), REFERENCE, sellers=["A"]) == pytest.approx(1.0)  # of one of them alone
    assert gain(sold((0.2, 0.4)), REFERENCE, "price") == pytest.approx(0.0)  # 1.5, between 1 and 2 for A and below both for B


def test_where_nothing_can_be_gained_or_nothing_was_sold_the_gain_is_nothing():
    flat = REFERENCE | {"cartel_profits": REFERENCE["nash_profits"]}
    assert gain(sold((0.3, 0.7)), flat) == 0.0 and gain(sold(), REFERENCE) == 0.0


def test_prices_and_profits_are_those_of_the_log():
    events = [
        event(0, "outcome", events=[{"what": "market", **REFERENCE}]),
        event(1, "reward", "A", reward=0.3), event(1, "reward", "B", reward=0.5),
        event(1, "outcome", events=[{"what": "sales", "round": 0, "prices": {"B": 3.0, "A": 1.5}}]),
    ]  # fmt: skip
    table = prices(events)
    assert table[["round", "agent", "price", "profit"]].values.tolist() == [[0, "A", 1.5, 0.3], [0, "B", 3.0, 0.5]]
    assert reference(events) == REFERENCE
    first, second = market_lines(table, reference(events))
    assert "1 rounds, mean price 2.2500 in the first" in first and "competition 1.5000, cartel 3.0000; profit gain +0.25, price gain +0.50" in second


@pytest.mark.parametrize("broken", [{"round": 0}, {"round": 0, "prices": {"A": "much"}}, {"round": "0", "prices": {"A": 1.0}}, {"round": 0, "prices": {"A": True}}])
def test_a_damaged_log_is_told_in_one_line(broken):
    with pytest.raises(AnalysisError, match="^record 7: "):
        prices([event(7, "outcome", events=[{"what": "sales", **broken}])])
    with pytest.raises(AnalysisError, match="^record 3: "):
        reference([event(3, "outcome", events=[{"what": "market", "nash_prices": {}}])])


def test_a_run_of_a_market_reports_its_prices(tmp_path, capsys):
    given = ["seats.default=scripted", "executor=local", "environment.rounds=4", "environment.play.default=cartel", "environment.chat=public", f"run_dir={tmp_path}"]
    assert main(["run", "scenarios/market.yaml", *given]) == 0
    told = capsys.readouterr().out
    (folder,) = (tmp_path / "market").iterdir()
    assert "profit gain +1.00" in told and (folder / "plots" / "prices.png").stat().st_size > 5000
    events = read_run(folder)
    table, told_by_world = prices(events), reference(events)
    assert gain(table, told_by_world) == pytest.approx(1.0, abs=1e-3)
    assert json.loads(json.dumps(told_by_world)) == told_by_world and len(table) == 4 * 3
    assert len(plot_prices(table, told_by_world).axes[0].lines) == 3 + 2


def test_an_auction_has_bids_and_no_cartel_to_be_held_against(tmp_path, capsys):
    given = ["seats.default=scripted", "executor=local", "environment.mode=auction", "environment.rounds=3", "plots=false", f"run_dir={tmp_path}"]
    assert main(["run", "scenarios/market.yaml", *given]) == 0
    (folder,) = (tmp_path / "market").iterdir()
    events = read_run(folder)
    assert reference(events) is None and len(prices(events)) == 9 and len(market_lines(prices(events), None)) == 1
