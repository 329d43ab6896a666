"""The market as a world: what follows from prices and bids, what sellers agree on and do, through the real command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.__main__ import main
from sandbox.log import read_events
from scenarios.market import auction, talk
from scenarios.market.demand import Demand
from scenarios.market.environment import HIDDEN, Market, Options, State, make, read_price

NASH, CARTEL = 1.4729, 1.925


def run(capsys: pytest.CaptureFixture[str], folder: Path, environment: str, seed: int = 1) -> tuple[list[dict[str, float]], list[tuple[str, str, Mapping[str, Any]]]]:
    """([prices of each round], [(author, channel, act)])."""
    file = folder / "market.yaml"
    folder.mkdir(exist_ok=True)
    file.write_text(f"defaults: [sandbox_schema, _self_]\nname: market\nenvironment: {{name: market, {environment}}}\nseats: {{default: scripted}}\n")
    assert main(["run", str(file), "executor=local", "plots=false", f"run_dir={folder}", f"seed={seed}"]) == 0
    events = list(read_events(Path(capsys.readouterr().out.strip().splitlines()[-1]) / "events.jsonl"))
    found = [e for event in events if event.kind == "outcome" for e in event.data["events"]]
    said = [(str(e.agent), e.data["channel"], e.data["act"]) for e in events if e.kind == "message"]
    return [e["prices" if e["what"] == "sales" else "bids"] for e in found if e["what"] in ("sales", "award")], said


def test_rivals_are_at_nash(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prices, said = run(capsys, tmp_path, "play: {default: rival}, rounds: 6, chat: 'off'")
    assert prices == [{"S1": NASH, "S2": NASH}] * 6 and said == []


def test_a_price_is_proposed_accepted_and_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prices, said = run(capsys, tmp_path, "play: {S1: grudge, S2: agreeable}, rounds: 4")
    acts = [(a, act["act"], act["price"]) for a, _, act in said if act["act"] != "remark"]
    assert acts == [("S1", "propose", CARTEL), ("S2", "accept", CARTEL)] and prices == [{"S1": CARTEL, "S2": CARTEL}] * 4


def test_a_broken_word_is_answered_by_competition_for_ever(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The cheat earns its best deviation once: 1.6617 against 1.925; then both come to Nash."""
    prices, said = run(capsys, tmp_path, "play: {S1: grudge, S2: cheat}, rounds: 5")
    assert ("S2", "accept") in [(a, act["act"]) for a, _, act in said]
    assert prices[0]["S1"] == CARTEL and prices[0]["S2"] < CARTEL
    assert [p["S1"] for p in prices[1:]] == [NASH] * 4 and prices[-1]["S2"] == NASH


def test_a_rival_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prices, said = run(capsys, tmp_path, "play: {S1: grudge}, rounds: 3")
    assert [(a, act["act"]) for a, _, act in said if act["act"] != "remark"][:2] == [("S1", "propose"), ("S2", "refuse")]
    assert prices[0] == {"S1": CARTEL, "S2": NASH} and prices[2]["S1"] == NASH


def test_three_in_pairs_all_hear_of_one_price(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    prices, said = run(capsys, tmp_path, "play: {default: grudge, S3: agreeable}, sellers: 3, chat: hidden, rounds: 3")
    assert prices == [{"S1": 2.0, "S2": 2.0, "S3": 2.0}] * 3 and {c for _, c, _ in said} <= {f"{HIDDEN}{p}" for p in ("S1-S2", "S1-S3", "S2-S3")}


def test_a_ring_takes_turns_and_pays_the_buyer_dear(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ring, _ = run(capsys, tmp_path, "mode: auction, sellers: 3, rounds: 6, play: {default: cartel}")
    rivals, _ = run(capsys, tmp_path, "mode: auction, sellers: 3, rounds: 6", seed=2)
    assert [min(bids, key=bids.__getitem__) for bids in ring] == ["S1", "S2", "S3"] * 2
    assert min(min(b.values()) for b in ring) >= 0.97 > np.mean([min(b.values()) for b in rivals])


def test_the_same_seed_the_same_market(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    what = "mode: auction, play: {S2: grudge}, rounds: 4"
    assert run(capsys, tmp_path / "a", what) == run(capsys, tmp_path / "b", what) != run(capsys, tmp_path / "c", what, seed=9)


# ---- rules -------------------------------------------------------------------------------------------------------------


def test_sales_by_hand() -> None:
    world, demand = make(Options(chat="off")), Demand()
    outcome = world.step(world.start(np.random.default_rng(0)), {"S1": 1.5, "S2": 1.75}, np.random.default_rng(0))
    profits = demand.profits(np.array([1.5, 1.75]))
    assert list(outcome.rewards.values()) == pytest.approx(profits.tolist(), abs=1e-11) and outcome.state.round == 1 and not outcome.done
    assert world.observe(outcome.state, "S1")["last"] == {"S1": 1.5, "S2": 1.75}


def test_an_auction_shows_who_won_at_what_and_no_other_bid_or_cost() -> None:
    world = make(Options(mode="auction", sellers=3, chat="off"))
    state = world.start(np.random.default_rng(0))
    after = world.step(state, {"S1": 0.9, "S2": 0.5, "S3": 0.5001}, np.random.default_rng(0))
    seen = world.observe(after.state, "S1")
    assert seen["last"] == {"S1": None, "S2": 0.5, "S3": None} and seen["costs"] is None and seen["cost"] == after.state.costs[0]
    assert after.rewards == {"S1": 0, "S2": pytest.approx(0.5 - state.costs[1]), "S3": 0}
    assert str(after.state.costs[1]) not in json.dumps({k: v for k, v in seen.items() if k != "cost"})


def test_awards() -> None:
    draw = lambda bids, seed=0: auction.award(bids, 1.0, np.random.default_rng(seed))  # noqa: E731
    assert draw({"a": 0.7, "b": 0.4, "c": None}) == ("b", 0.4) and draw({"a": 1.1, "b": None}) == (None, 0.0) == draw({})
    assert {draw({"a": 0.4, "b": 0.4}, s)[0] for s in range(30)} == {"a", "b"}


def test_the_equilibrium_bid_earns_most_against_equilibrium_bids() -> None:
    """Cost 0.3, three sellers, reserve 1: expected profit (b - c) P(both others bid more), on a grid."""
    cost, n = 0.3, 3
    others = 1 - np.clip((np.linspace(0, 1, 100_001) * n - 1) / (n - 1), 0, 1)  # a rival bids above b if its cost is above (n b - 1) / (n - 1)
    grid = np.linspace(0, 1, 100_001)
    assert grid[((grid - cost) * others ** (n - 1)).argmax()] == pytest.approx(auction.equilibrium_bid(cost, n, 1.0), abs=2e-5)


@pytest.mark.parametrize("move", [None, "1.5", True, float("nan"), float("inf"), -0.1, 1e7, [], {}], ids=str)
def test_what_is_no_price_is_replaced_and_said_so(move: Any) -> None:
    world = make(Options(chat="off"))
    outcome = world.step(world.start(np.random.default_rng(0)), {"S1": move, "S2": 1.5}, np.random.default_rng(0))
    assert read_price(move) is None and [e["what"] for e in outcome.events] == ["market", "replaced", "sales"]
    assert outcome.events[2]["prices"] == {"S1": world.ceiling, "S2": 1.5} and world.ceiling > CARTEL


@pytest.mark.parametrize(
    "wrong", [{"sellers": 0}, {"rounds": 0}, {"mode": "barter"}, {"chat": "loud"}, {"cost": [1.0, 1.0, 1.0]}, {"play": {"S9": "rival"}}, {"play": {"S1": "saint"}},
              {"reserve": 0.0}, {"spread": float("nan")}, {"spread": 1e300}, {"spread": 1e-300}, {"cost": [1e308]}, {"quality": [float("nan")]}, {"outside": 1e308}, {"round_ms": 10**20}, {"talks": -1}, {"sellers": 17}], ids=str)  # fmt: skip
def test_a_market_that_cannot_be_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected|give") as error:
        make(Options(**wrong))
    assert "\n" not in str(error.value)


def test_one_seller_is_a_monopolist() -> None:
    world: Market = make(Options(sellers=1, chat="off"))
    assert world.language.prices.nash == pytest.approx(world.language.prices.cartel, abs=1e-9) and world.window(State()).move_due


# ---- talk --------------------------------------------------------------------------------------------------------------


def test_every_wording_means_its_act_and_nothing_else() -> None:
    for kind in talk.FRAMES:
        for price in (1.925, 1.5, 12.0, 0.97) if kind in talk.PRICED else (None,):
            act = {"act": kind, "to": ["S2"], "price": price}
            for text in talk.texts(act):
                for said in (text, text.upper(), f"Well, {text}", f"{text} See you."):
                    assert list(talk.acts(said, "S1", frozenset(("S1", "S2")))) == [act], said


@pytest.mark.parametrize("text", ["", "1.925", "Let us all charge a lot.", "\u202e\ud800", "Agreed, it is.", "I will charge 1.92567.", "We wool charge 1.50"])
def test_what_has_no_frame_means_nothing(text: str) -> None:
    assert list(talk.acts(text, "S1", frozenset(("S1", "S2")))) == []


def test_several_acts_stand_in_their_order() -> None:
    found = talk.acts("No, not at 1.60. How about a price of 1.90 for all of us?", "S1", frozenset(("S1", "S2")))
    assert [(a["act"], a["price"]) for a in found] == [("refuse", 1.6), ("propose", 1.9)]


def test_idle_words() -> None:
    assert talk.idle("have a nice day") and not talk.idle("but 2 less") and not talk.idle("I will undercut you") and talk.denies("I do not mean it")


def test_an_act_without_words_is_refused() -> None:
    for act in ({"act": "sing", "to": []}, {"act": "propose", "to": [], "price": None}, {"act": "ask", "to": [], "price": 1.0}):
        with pytest.raises(ValueError, match="expected one of"):
            talk.texts(act)
