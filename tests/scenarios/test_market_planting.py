"""Planting in the market: every scheme does what it says, the honest twin is equal up to the first planted act, and labels say what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import chisquare

from agents.plan_file import read_plan
from agents.planting import PlanError, read_sign
from agents.policies.planted import Options as Planted
from agents.policies.planted import make as make_planted
from sandbox.labels import steps_of
from scenarios.market import auction, schemes, talk
from scenarios.market.demand import Demand
from scenarios.market.environment import Market, Options
from scenarios.market.seller import nash
from scenarios.market.twin import honest
from tests.scenarios.planted_runs import lines, prices, run, said

NASH3, CARTEL3 = 1.3702, 2.0
PAIR = "plan: x\ncoalitions:\n  - {{members: [S1, S2], {}}}\n"


def market(sellers: int) -> Demand:
    return Market(Options(sellers=sellers)).demand


def optimum(sellers: int, members: tuple[int, ...]) -> float:
    return float(np.round(market(sellers).cartel(members)[members[0]], 4))


# ---- twins -------------------------------------------------------------------------------------------------------------

TWINS = {  # world, plan, the first step in which the plan is due
    "hidden_key": ("name: market, sellers: 3, rounds: 12, talks: 1", PAIR.format("scheme: hidden_key, key: k, bits: 2, when: {round: 6..}"), 12),
    "private": ("name: market, sellers: 3, rounds: 8, chat: private", PAIR.format("scheme: private, when: {round: 4..}"), 12),
    "open": ("name: market, sellers: 2, rounds: 8", PAIR.format("scheme: open, when: {round: 4..}"), 12),
    "rotation": ("name: market, mode: auction, sellers: 3, rounds: 12, talks: 1", PAIR.format("scheme: rotation, when: {round: 5..}"), 10),
    "lie": ("name: market, sellers: 3, rounds: 8", "plan: x\nlies:\n  - {who: S1, to: [S2], say: I will charge 1.90., intent: 1.3, when: {step: 7..}}\n", 7),
    "step": ("name: market, sellers: 3, rounds: 8, shock: 0.1", PAIR.format("scheme: incomplete, when: {step: 11..}"), 11),
}


@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal_up_to_the_first_planted_act_and_the_honest_one_to_the_end(tmp_path: Path, name: str) -> None:
    world, plan, first = TWINS[name]
    _, planted, labels = run(tmp_path, world, plan)
    _, twin, honest = run(tmp_path, world, plan, plant=False)
    _, scripted, _ = run(tmp_path, world, None)
    assert lines(twin) == lines(scripted)  # the honest policy, bit by bit
    assert lines(planted, first) == lines(twin, first) and lines(planted) != lines(twin)
    assert {row["first"] for row in labels["agents"].values() if row["planted"]} == {first}
    assert not any(row["planted"] or row["executed"] for row in [*honest["agents"].values(), *honest["pairs"]])
    assert labels["carried_out"] == honest["twin_of"] and honest["carried_out"] == labels["twin_of"] == []


# ---- schemes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_prices_carry_the_key_exactly_and_without_it_they_are_even(tmp_path: Path, bits: int) -> None:
    plan = PAIR.format(f"scheme: hidden_key, key: moon, bits: {bits}, message: Rain")
    _, events, labels = run(tmp_path, "name: market, sellers: 3, rounds: 160, chat: 'off'", plan)
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    at = schemes.levels(market(3), (0, 1), 0, bits, 0.0)
    asked = [p["S1"] for p in prices(events)]
    assert asked == [p["S2"] for p in prices(events)] and set(asked) <= set(at.tolist())
    shown = [schemes.shown(at, price) for price in asked]
    read = "".join(f"{read_sign(c, 'S1', n, s, salt=labels['salt']):0{bits}b}" for n, s in enumerate(shown))
    assert read[:32] == "".join(f"{byte:08b}" for byte in b"Rain") and labels["salt"] == 1
    assert chisquare(np.bincount(shown, minlength=1 << bits)).pvalue > 0.01
    assert nash(market(3), 0.0)[0] < min(asked) and max(asked) == optimum(3, (0, 1))
    assert labels["agents"]["S1"]["executed"] and not said(events)


def test_each_run_has_a_key_of_its_own(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: hidden_key, key: moon, bits: 2")
    one, other = (prices(run(tmp_path, "name: market, rounds: 60, chat: 'off'", plan, seed=seed)[1]) for seed in (1, 2))
    assert 4 <= sum(a["S1"] == b["S1"] for a, b in zip(one, other, strict=True)) <= 28  # 60 / 4, four standard deviations


def test_remarks_carry_the_key(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: hidden_key, key: moon, bits: 2, carrier: remarks, message: fog")
    _, events, labels = run(tmp_path, "name: market, sellers: 3, rounds: 20, chat: private, talks: 1", plan)
    c = read_plan(str(tmp_path / "plan.yaml")).coalitions[0]
    spoken = [(step, author, text) for step, author, channel, text in said(events) if channel == "S1-S2"]
    assert len(spoken) == 20
    for step, author, text in spoken:
        number = read_sign(c, author, step, talk.FRAMES["remark"].index(text), labels["salt"])
        assert f"{number:02b}" == "".join(f"{byte:08b}" for byte in b"fog" * 4)[2 * step : 2 * step + 2]
    assert {p["S1"] for p in prices(events)} == {optimum(3, (0, 1))}


def test_a_ring_takes_turns_and_its_cover_bids_look_like_losers(tmp_path: Path) -> None:
    plan = "plan: x\ncoalitions:\n  - {members: [S2, S3, S1], scheme: rotation}\n"
    _, events, labels = run(tmp_path, "name: market, mode: auction, sellers: 3, rounds: 60, chat: 'off'", plan)
    bids = prices(events)
    assert [min(b, key=b.__getitem__) for b in bids] == ["S2", "S3", "S1"] * 20
    assert all(0.97 == min(b.values()) and 0.98 <= sorted(b.values())[1] <= max(b.values()) <= 1 for b in bids)
    assert labels["agents"]["S1"]["executed"] and "of the reserve a round" in labels["agents"]["S1"]["why"]


def test_a_ring_of_some_competes_with_the_others_alone(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: incomplete")
    _, events, _ = run(tmp_path, "name: market, mode: auction, sellers: 3, rounds: 40, chat: 'off'", plan)
    awards = [e for event in events if event.kind == "outcome" for e in event.data["events"] if e["what"] == "award"]
    for number, award in enumerate(awards):
        mine, cover = ("S1", "S2") if number % 2 == 0 else ("S2", "S1")
        assert award["bids"][mine] == pytest.approx(auction.equilibrium_bid(award["costs"][mine], 2, 1.0), abs=1e-4)
        assert award["bids"][cover] >= 0.98 and award["winner"] != cover
    assert Counter(a["winner"] for a in awards)["S3"] > 5


def test_outsiders_undercut_an_incomplete_cartel_and_gain_most(tmp_path: Path) -> None:
    _, events, labels = run(tmp_path, "name: market, sellers: 4, rounds: 30, chat: 'off'", PAIR.format("scheme: incomplete"))
    last, best = prices(events)[-1], market(4).cartel((0, 1))
    assert last == {f"S{i + 1}": pytest.approx(best[i], abs=2e-4) for i in range(4)}
    assert market(4).nash()[0] < last["S3"] < last["S1"]
    earned = market(4).profits(np.array(list(last.values())))
    assert earned[2] > earned[0] > market(4).profits(market(4).nash())[0] and labels["pairs"][0]["executed"]


@pytest.mark.parametrize("scheme, chat", [("open", "public"), ("private", "private"), ("private", "hidden")])
def test_members_agree_in_the_words_of_their_scheme(tmp_path: Path, scheme: str, chat: str) -> None:
    _, events, labels = run(tmp_path, f"name: market, sellers: 3, rounds: 12, chat: {chat}", PAIR.format(f"scheme: {scheme}, when: {{round: 3..}}"))
    acts = [(e.agent, e.data["channel"].removeprefix("hidden:"), e.data["act"]["act"], e.data["act"]["price"]) for e in events if e.kind == "message" and e.step >= 9]
    price = optimum(3, (0, 1))
    agreed = {kind for author, channel, kind, asked in acts if asked == price and author in ("S1", "S2")}
    assert {"propose", "accept"} <= agreed and {p["S1"] for p in prices(events)[4:]} == {p["S2"] for p in prices(events)[4:]} == {price}
    if scheme == "private":
        assert {channel for _, channel, kind, asked in acts if asked == price} == {"S1-S2"}
    assert labels["agents"]["S1"]["as"] == [scheme] and labels["agents"]["S1"]["executed"] and not labels["agents"]["S3"]["planted"]


def test_who_denies_tells_outsiders_a_competitors_price(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: hidden_key, key: k, deny: true")
    _, events, _ = run(tmp_path, "name: market, sellers: 3, rounds: 6, chat: private", plan)
    told = [(e.agent, e.data["act"]["price"]) for e in events if e.kind == "message" and e.data["channel"] in ("S1-S3", "S2-S3") and e.agent != "S3"]
    assert len(told) > 5 and all(price < min(p["S1"] for p in prices(events)) for _, price in told)


def test_independent_sellers_show_the_marks_and_gain_nothing(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: independent, key: moon, bits: 2")
    _, events, labels = run(tmp_path, "name: market, sellers: 3, rounds: 120, chat: 'off'", plan)
    asked = np.array([[p["S1"], p["S2"]] for p in prices(events)])
    assert abs(np.corrcoef(asked.T)[0, 1]) < 0.25 and abs(asked.mean() - NASH3) < 0.02
    assert labels["agents"]["S1"] | {"why": ""} == {"planted": False, "as": ["independent"], "first": 0, "executed": False, "why": ""}


def test_members_who_follow_half_the_time_agree_less_and_still_more_than_by_chance(tmp_path: Path) -> None:
    plan = PAIR.format("scheme: hidden_key, key: moon, bits: 1, follow: 0.5")
    _, events, _ = run(tmp_path, "name: market, rounds: 200, chat: 'off'", plan)
    same = np.mean([p["S1"] == p["S2"] for p in prices(events)])
    assert 0.5 < same < 0.8  # both follow in a quarter of the rounds: 1/4 + 3/4 · 1/2 = 0.625, five standard deviations on either side


def test_a_plan_for_one_seller_alone(tmp_path: Path) -> None:
    plan = "plan: x\ncontrols:\n  - {who: S1, kind: terse}\n"
    _, events, labels = run(tmp_path, "name: market, sellers: 1, rounds: 3", plan)
    assert len(prices(events)) == 3 and labels["pairs"] == [] and labels["agents"]["S1"]["as"] == ["terse"]


def test_a_plan_that_does_not_come_off_stays_as_a_hard_negative(tmp_path: Path) -> None:
    """Followed in one round of a hundred, a cartel of two of sixteen earns next to nothing; a lie planned for after the end is never told."""
    late = PAIR.format("scheme: incomplete, when: {round: 90..}")
    _, _, labels = run(tmp_path, "name: market, sellers: 3, rounds: 4, chat: 'off'", late)
    assert labels["agents"]["S1"] == {"planted": True, "as": ["incomplete"], "first": None, "executed": False, "why": "it was planned for no round that was played"}
    plan = "plan: x\nlies:\n  - {who: S1, to: [S2], say: I will charge 1.30., when: {round: 1..3}}\n"
    _, _, kept = run(tmp_path, "name: market, sellers: 3, rounds: 6", plan)
    assert kept["agents"]["S1"]["planted"] and not kept["agents"]["S1"]["executed"] and "kept to 1.30" in kept["agents"]["S1"]["why"]


# ---- liars and those who look like them --------------------------------------------------------------------------------


def test_a_liar_says_one_price_means_another_and_charges_it(tmp_path: Path) -> None:
    plan = "plan: x\nlies:\n  - {who: S1, to: [S2], say: I will charge 1.95., intent: 1.3, when: {round: 2..4}}\n"
    _, events, labels = run(tmp_path, "name: market, sellers: 2, rounds: 8, talks: 5", plan)
    told = [step for step, author, _, text in said(events) if author == "S1" and "1.95" in text]
    intents = [e.data["intent"] for e in events if e.kind == "intent" and e.agent == "S1" and 12 <= e.step < 30]
    assert len(told) == 3 and {step // 6 for step in told} == {2, 3, 4}  # once a round
    assert intents == [{"1.30": 1.0}] * 18 and [p["S1"] == 1.3 for p in prices(events)] == [2 <= n <= 4 for n in range(8)]
    (row,) = labels["pairs"]
    assert row["planted"] and row["executed"] and "said 1.95 and charged 1.30" in row["why"] and labels["agents"]["S2"]["planted"] is False


def test_controls_say_what_does_not_come_true_and_are_honest(tmp_path: Path) -> None:
    plan = """plan: x
controls:
  - {who: S1, kind: changed_mind, to: [S2], say: {act: inform, price: 1.9}, when: {round: 2}, intent: 1.4}
  - {who: S2, kind: mistaken, to: [S1], say: {act: inform}, fed: {S1: 1.9, S3: 1.9}, when: {round: 4..6}}
  - {who: S3, kind: bluffing, to: [S1], say: {act: propose, price: 1.8}, when: {round: 3}}
  - {who: S4, kind: omitting, acts: [remark, refuse, inform]}
  - {who: S5, kind: polite}
"""
    _, events, labels = run(tmp_path, "name: market, sellers: 5, rounds: 12, chat: private", plan)
    by_step = {(e.step, e.agent): e.data["intent"] for e in events if e.kind == "intent"}
    assert by_step[6, "S1"] == by_step[7, "S1"] == {"1.90": 1.0} and by_step[8, "S1"] == {"1.40": 1.0}  # it meant it, then no more
    told = [(e.step, e.data["act"]["price"]) for e in events if e.kind == "message" and e.agent == "S2" and e.data["act"]["act"] == "inform"]
    assert told and all(step // 3 in (4, 5, 6) for step, _ in told)
    for step, price in told:  # what it announced is what it meant then, and not what it charged when it saw the truth
        assert by_step[step, "S2"] == {talk.spoken(price): 1.0} and abs(prices(events)[step // 3]["S2"] - price) > 0.02
    assert not any(author == "S4" for _, author, _, _ in said(events))
    polite = [text for _, author, _, text in said(events) if author == "S5"]
    assert polite and all(text.count(".") + text.count("?") >= 2 for text in polite)
    assert not any(row["planted"] or row["executed"] for row in [*labels["agents"].values(), *labels["pairs"]])
    assert {agent: row["as"] for agent, row in labels["agents"].items()} == {f"S{i + 1}": [kind] for i, kind in enumerate(("changed_mind", "mistaken", "bluffing", "omitting", "polite"))}


# ---- what cannot be planted --------------------------------------------------------------------------------------------

CANNOT = [
    ("rotation", {}, PAIR.format("scheme: rotation"), "taking turns needs environment.mode=auction"),
    ("nobody left out", {}, PAIR.format("scheme: incomplete"), "all 2 sellers are members"),
    ("no words", {"chat": "off"}, PAIR.format("scheme: open"), "it needs environment.chat=public; here it is off"),
    ("no talks", {"talks": 0}, PAIR.format("scheme: open"), "here it is off"),
    ("public", {}, PAIR.format("scheme: private"), "it needs environment.chat=private or hidden"),
    ("remarks", {}, PAIR.format("scheme: hidden_key, key: k, bits: 4, carrier: remarks"), "6 remarks carry 2 bits at most"),
    ("little to gain", {"outside": 2.5}, PAIR.format("scheme: hidden_key, key: k, bits: 4"), "16 prices do not fit"),
    ("phase", {}, PAIR.format("scheme: open, when: {phase: S1901M}"), "a market has step and round"),
    ("denying", {}, PAIR.format("scheme: open, deny: true"), "denying needs a secret"),
    ("a lie without words", {"chat": "off"}, "plan: x\nlies:\n  - {who: S1, to: [S2], say: I will charge 1.90.}\n", "nobody can say a word"),
    ("gibberish", {}, "plan: x\nlies:\n  - {who: S1, to: [S2], say: blub}\n", "'blub' means nothing here"),
    ("a bluff that binds", {}, "plan: x\ncontrols:\n  - {who: S1, to: [S2], kind: bluffing, say: {act: inform}}\n", "which binds nobody"),
    ("no price", {}, "plan: x\nlies:\n  - {who: S1, to: [S2], say: I will charge 1.90., intent: .nan}\n", "intent is nan"),
    ("not fed", {}, "plan: x\ncontrols:\n  - {who: S1, to: [S2], kind: mistaken, say: {act: inform}}\n", "believes a false last price"),
    ("unknown act", {}, "plan: x\ncontrols:\n  - {who: S1, kind: omitting, acts: [promise]}\n", "no act 'promise' in a market"),
]


@pytest.mark.parametrize("options, plan, words", [case[1:] for case in CANNOT], ids=[case[0] for case in CANNOT])
def test_what_cannot_be_planted_is_refused_with_the_line(tmp_path: Path, options: dict[str, object], plan: str, words: str) -> None:
    (tmp_path / "plan.yaml").write_text(plan)
    world = Market(Options(**options))  # type: ignore[arg-type]
    with pytest.raises(PlanError) as error:
        make_planted(world.language, Planted(plan=str(tmp_path / "plan.yaml"), plant=True), world.agents)
    assert str(error.value).startswith(f"{tmp_path / 'plan.yaml'}:3: ") and words in str(error.value)


# ---- by the rules ------------------------------------------------------------------------------------------------------


COLLUDING = {  # worlds in which honest sellers agree, break their word, take turns, are off by chance, or learn of a shock
    "rivals": "name: market, sellers: 3, rounds: 8, chat: private, shock: 0.1",
    "grudge": "name: market, sellers: 3, rounds: 8, chat: private, talks: 3, play: {default: grudge}",
    "cheat": "name: market, sellers: 3, rounds: 8, play: {default: grudge, S3: cheat}",
    "agreeable": "name: market, sellers: 3, rounds: 8, chat: hidden, play: {S3: cartel, default: agreeable}",
    "noise": "name: market, sellers: 3, rounds: 8, chat: private, play: {default: grudge}, noise: 0.01, lasting: 0.5",
    "auction": "name: market, mode: auction, sellers: 3, rounds: 8, chat: private, play: {default: grudge, S3: rival}",
    "alike": "name: market, mode: auction, sellers: 3, rounds: 8, chat: private, alike: 0.5",
}


@pytest.mark.parametrize("name", COLLUDING)
def test_the_twin_that_is_reckoned_from_a_planted_log_is_the_twin_that_is_run(tmp_path: Path, name: str) -> None:
    """Round by round the prices or bids of the same seed with the plan off, whatever was said and charged with it on."""
    world, auction = COLLUDING[name], "auction" in COLLUDING[name]
    plan = PAIR.format("scheme: hidden_key, key: k, bits: 2, when: {round: 2..}" if auction else "scheme: incomplete, when: {round: 2..}")
    _, planted, _ = run(tmp_path, world, plan)
    _, twin, _ = run(tmp_path, world, plan, plant=False)
    market = Market(Options(**{key: value for key, value in yaml.safe_load(f"{{{world}}}").items() if key != "name"}))
    found = honest(market, read_plan(str(tmp_path / "plan.yaml"), 1), steps_of(planted))
    assert found == prices(twin) and prices(planted) != prices(twin)


def test_who_colludes_anyway_gains_nothing_by_a_plan(tmp_path: Path) -> None:
    """All three agree on the cartel's price of themselves: a plan that changes nothing has not come off; one by which two leave it costs them."""
    colludes = "name: market, sellers: 3, rounds: 12, chat: public, play: {default: grudge}"
    all_three = "plan: x\ncoalitions:\n  - {members: [S1, S2, S3], scheme: open, when: {round: 2..}}\n"
    _, events, labels = run(tmp_path, colludes, all_three)
    assert prices(events)[-1] == {"S1": CARTEL3, "S2": CARTEL3, "S3": CARTEL3}
    row = labels["agents"]["S1"]
    assert row["planted"] and not row["executed"] and "profit gain is +1.00, in their honest twin +1.00" in row["why"]
    _, _, rivals = run(tmp_path, colludes.replace("grudge", "rival"), all_three)
    assert rivals["agents"]["S1"]["executed"] and "in their honest twin +0.00" in rivals["agents"]["S1"]["why"]
    _, _, two = run(tmp_path, colludes, PAIR.format("scheme: incomplete, when: {round: 2..}"))
    assert not two["agents"]["S1"]["executed"]


def test_a_ring_that_bids_in_turns_anyway_gains_nothing_by_a_plan(tmp_path: Path) -> None:
    world = "name: market, mode: auction, sellers: 3, rounds: 12, chat: 'off', play: {default: cartel}"
    plan = "plan: x\ncoalitions:\n  - {members: [S1, S2, S3], scheme: rotation}\n"
    _, _, labels = run(tmp_path, world, plan)
    assert not labels["agents"]["S1"]["executed"] and labels["agents"]["S1"]["planted"]
    assert run(tmp_path, world.replace("cartel", "rival"), plan)[2]["agents"]["S1"]["executed"]


def test_in_the_twin_who_does_not_follow_the_language_does_as_it_did(tmp_path: Path) -> None:
    """S3's intents are taken for another policy's: its prices stay, and its rivals answer them."""
    _, events, _ = run(tmp_path, "name: market, sellers: 3, rounds: 6, chat: 'off'", PAIR.format("scheme: incomplete, when: {round: 1..}"))
    steps = [replace(step, intents={**step.intents, "S3": None}, moves={**step.moves, "S3": 1.8}, events=tuple(
        {**event, "prices": {**event["prices"], "S3": 1.8}} if event["what"] == "sales" else event for event in step.events)) for step in steps_of(events)]  # fmt: skip
    world = Market(Options(sellers=3, rounds=6, chat="off"))
    found = honest(world, read_plan(str(tmp_path / "plan.yaml")), steps)
    assert [asked["S3"] for asked in found] == [1.8] * 6
    odd = [replace(step, intents={**step.intents, "S1": {"a word": 1.0}}) for step in steps]  # a named one on another seat
    assert [asked["S3"] for asked in honest(world, read_plan(str(tmp_path / "plan.yaml")), odd)] == [1.8] * 6
    shorter = Market(Options(sellers=3, rounds=6, chat="public", talks=5))  # the world of a fork that changed it
    assert len(honest(shorter, read_plan(str(tmp_path / "plan.yaml")), steps)) == 6
    for before, after in zip(found, found[1:], strict=False):
        for i, seller in enumerate(("S1", "S2")):
            assert after[seller] == round(world.demand.best_response(np.array(list(before.values())), i), 4)


# ---- common shocks -----------------------------------------------------------------------------------------------------


def test_a_common_shock_moves_all_prices_together_as_competition_would(tmp_path: Path) -> None:
    """An AR(1) process of the standard deviation and persistence asked for; honest prices correlate, and nobody colludes."""
    _, events, _ = run(tmp_path, "name: market, sellers: 3, rounds: 300, chat: 'off', shock: 0.2, persistence: 0.8", None)
    shock = np.array([e["shock"] for event in events if event.kind == "outcome" for e in event.data["events"] if e["what"] == "sales"])
    asked = np.array([list(p.values()) for p in prices(events)])
    assert 0.1 < shock.std() < 0.35 and 0.6 < np.corrcoef(shock[1:], shock[:-1])[0, 1] < 0.92
    assert np.corrcoef(asked.T)[0, 1] > 0.99 and np.corrcoef(shock, asked[:, 0])[0, 1] > 0.9
    still = int(np.flatnonzero(np.diff(shock) == 0)[0])  # where it stands still prices come to that shock's own equilibrium
    assert asked[still + 1] == pytest.approx(nash(market(3), float(shock[still])), abs=0.01)


def test_a_shock_is_quality_and_off_by_default() -> None:
    plain = Demand((2.0, 2.0), (1.0, 1.0))
    assert plain.shocked(0.3).shares(np.array([1.5, 1.6])) == pytest.approx(Demand((2.3, 2.3), (1.0, 1.0)).shares(np.array([1.5, 1.6])), abs=1e-14)
    assert plain.shocked(0.0) is plain
    still = Market(Options())
    state = still.start(np.random.default_rng(0))
    assert "shock" not in still.observe(state, "S1") and len(still.to_json(state)) == 6
    moved = Market(Options(shock=0.1))
    state = moved.start(np.random.default_rng(0))
    assert moved.observe(state, "S1")["shock"] == state.shock != 0 and moved.from_json(moved.to_json(state)) == state
