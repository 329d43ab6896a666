"""Q-learning sellers: many side by side learn what each learns alone, by a plain loop; and what comes out is what is known of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.plan_file import read_plan
from sandbox.config import ConfigError, load
from sandbox.labels import steps_of
from scenarios.market.demand import Demand, profit_gain
from scenarios.market.environment import Market, Options, make
from scenarios.market.learning import BLOCK, Learning, Strategies, first_values, gains, learn, main, played, read, write
from scenarios.market.twin import honest
from tests.scenarios.planted_runs import prices, run

SHORT = Learning(prices=4, decay=1e-3, settled=500, most=2 * BLOCK)


def plain(demand: Demand, how: Learning, seed: int, session: int, rounds: int) -> list[list[int]]:
    """One session, one round after another: the best answer [n][S] of every seller."""
    prices, n, G = demand.grid(how.prices), demand.sellers, how.prices
    rng = np.random.default_rng([seed, session])
    state = int(rng.integers(G**n))
    Q = [[list(first_values(demand, prices, how.discount)[i]) for _ in range(G**n)] for i in range(n)]
    for t in range(rounds):
        if t % BLOCK == 0:
            tries, drawn = rng.random((BLOCK, n)), rng.integers(0, G, (BLOCK, n), dtype=np.uint8)
        trying = [tries[t % BLOCK][i] < np.exp(-how.decay * t) for i in range(n)]
        chosen = [int(drawn[t % BLOCK][i]) if trying[i] else int(np.argmax(Q[i][state])) for i in range(n)]
        after = 0
        for c in chosen:
            after = after * G + c
        profit = demand.profits(prices[chosen])
        worth = [profit[i] + how.discount * max(Q[i][after]) for i in range(n)]
        for i in range(n):
            Q[i][state][chosen[i]] += how.rate * (worth[i] - Q[i][state][chosen[i]])
        state = after
    return [[int(np.argmax(row)) for row in Q[i]] for i in range(n)]


def test_side_by_side_is_each_alone_and_a_plain_loop() -> None:
    how = replace(SHORT, settled=10**9, most=BLOCK)
    three, two = learn(Demand(), how, 5, 3), learn(Demand(), how, 5, 2)
    assert np.array_equal(three.answer[:2], two.answer) and not np.array_equal(three.answer[0], three.answer[1])
    assert three.answer[1].tolist() == plain(Demand(), how, 5, 1, BLOCK) and not three.settled.any()


def test_who_has_settled_stops_and_the_others_go_on_unchanged() -> None:
    how = replace(SHORT, decay=5e-3, most=4 * BLOCK)
    found = learn(Demand(), how, 1, 4)
    alone = [learn(Demand(), replace(how, most=int(found.rounds[b]), settled=10**9), 1, 4).answer[b] for b in range(4)]
    assert found.settled.any() and all(np.array_equal(found.answer[b], alone[b]) for b in range(4))


def test_first_values_are_those_against_chance() -> None:
    demand, prices = Demand(), Demand().grid(3)
    by_hand = [np.mean([demand.profits(np.array([p, q]))[0] for q in prices]) / (1 - 0.9) for p in prices]
    assert first_values(demand, prices, 0.9)[0] == pytest.approx(by_hand, rel=1e-12)


def test_frozen_strategies_by_hand() -> None:
    """Two prices; the first seller copies the other's last price, the second never changes its own: from (0, 1) both end at 1."""
    answer = np.array([[[0, 1, 0, 1], [0, 1, 0, 1]]], np.uint8)
    strategies = Strategies(answer, np.array([1.4, 1.9]), np.array([1]), np.array([True]))
    assert played(strategies, np.array([1]), 3)[:, 0].tolist() == [[1, 1]] * 3
    both = profit_gain(Demand(), Demand().profits(np.array([1.4, 1.4])))
    assert gains(Demand(), strategies, 10) == pytest.approx([both])


def test_too_many_states_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 100,000"):
        learn(Demand((2.0,) * 5, (1.0,) * 5), Learning(), 0, 1)


# ---- learned, written, and played --------------------------------------------------------------------------------------

WORLD = "name: market, chat: 'off', play: {{default: frozen}}, learned: {}, rounds: {}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two sessions of two sellers with two prices: in the first one copies and the other alternates, in the second both stay at the higher."""
    answer = np.array([[[0, 1, 0, 1], [1, 0, 1, 0]], [[1] * 4, [1] * 4]], np.uint8)
    write(tmp_path / "two.json", Strategies(answer, np.array([1.4, 1.9]), np.array([8, 9]), np.array([True, False])), Demand(), SHORT, 3)
    return tmp_path / "two.json"


def test_what_was_learned_is_read_back(tmp_path: Path) -> None:
    found = learn(Demand(), SHORT, 1, 3)
    write(tmp_path / "a.json", found, Demand(), SHORT, 1)
    told = read(str(tmp_path / "a.json"))
    assert told.demand == Demand() and all(np.array_equal(getattr(told.strategies, key), getattr(found, key)) for key in ("answer", "prices", "rounds", "settled"))


def test_a_run_plays_what_was_learned(file: Path, tmp_path: Path) -> None:
    """Nash at first, whose prices 1.4729 are nearest to 1.4; then by hand, and as `played` has it from that state."""
    sessions = {}
    for seed in range(1, 7):
        _, events, _ = run(tmp_path, WORLD.format(file, 5), None, seed=seed)
        sessions[json.dumps(prices(events)[1:])] = prices(events)
        assert events[-1].kind == "reward" and next(e for e in events if e.kind == "outcome").data["events"][0]["learned_sha256"] == read(str(file)).sha256
    both = [[p["S1"], p["S2"]] for key in sorted(sessions) for p in sessions[key]]
    assert both == [[1.4729, 1.4729], [1.4, 1.9], [1.9, 1.4], [1.4, 1.9], [1.9, 1.4], [1.4729, 1.4729], *[[1.9, 1.9]] * 4]
    found = read(str(file)).strategies
    assert found.prices[played(found, np.array([0, 0]), 4)].transpose(1, 0, 2).tolist() == [both[1:5], both[6:]]


def test_the_session_is_the_runs_own_and_goes_with_its_state(file: Path) -> None:
    world: Market = make(Options(play={"default": "frozen"}, learned=str(file), chat="off", shock=0.1))
    states = [world.start(np.random.default_rng(seed)) for seed in range(20)]
    assert {state.session for state in states} == {0, 1} and len({world.observe(s, "S1")["session"] for s in states}) == 2
    for state in states[:5]:
        after = world.step(state, {"S1": 1.5, "S2": 1.6}, np.random.default_rng(0)).state
        assert after.session == state.session and world.from_json(json.loads(json.dumps(world.to_json(after)))) == after


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("v", 2, "version 2"), ("prices", [1.9, 1.4], "each above the one before"), ("prices", [1.4, float("nan")], "2 to 255 numbers"), ("prices", "1.4", "a list of numbers"),
        ("answer", [[[0, 1, 0, 2], [1, 0, 1, 0]]], "4 whole numbers from 0 to 1"), ("answer", [[[0, 1, 0], [1, 0, 1]]], "4 whole numbers"), ("answer", [], "4 whole numbers"),
        ("answer", [[[0.0, 1, 0, 1], [1, 0, 1, 0]]], "4 whole numbers"), ("answer", [[[0, 1], [1]]], "make the file again"), ("rounds", [1], "expected 2 of each"),
        ("demand", {"quality": [2.0], "cost": [1.0, 1.0], "outside": 0, "spread": 1}, "1 qualities and 2 costs"), ("demand", None, "make the file again"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(file: Path, key: str, value: object, said: str) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(ValueError) as error:
        make(Options(play={"default": "frozen"}, learned=str(file)))
    assert str(error.value).startswith(f"learned: {file}: no strategies that") and said in str(error.value) and "\n" not in str(error.value)


def test_frozen_without_what_it_needs_is_refused_with_its_line(file: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "market.yaml"

    def refused(environment: str) -> str:
        scenario.write_text(f"name: x\nenvironment: {{name: market, {environment}}}\nseats: {{default: scripted}}\n")
        with pytest.raises(ConfigError) as error:
            load(scenario)
        return str(error.value).removeprefix(f"{scenario}:2: environment 'market': ")

    assert refused("play: {S2: frozen}").startswith("play: frozen needs what was learned; write it with python -m scenarios.market.learning FILE")
    assert refused(f"play: {{S2: frozen}}, learned: {tmp_path / 'none.json'}").startswith(f"learned: {tmp_path / 'none.json'}: no such file; make one with")
    assert refused(f"play: {{S2: frozen}}, learned: {tmp_path}").startswith(f"learned: {tmp_path}: no such file")
    assert refused(f"play: {{S2: frozen}}, learned: {file}, sellers: 3").startswith(f"learned: {file}: learned in another market")
    assert refused(f"play: {{S2: frozen}}, learned: {file}, mode: auction").startswith("play: frozen is of prices")
    assert refused(f"learned: {file}").startswith("learned is ") and "nobody plays frozen" in refused(f"learned: {file}")
    file.write_text("{")
    assert "no strategies that" in refused(f"play: {{S2: frozen}}, learned: {file}")


def test_the_command_writes_what_a_market_of_its_costs_can_play(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--sessions", "2", "--prices", "3", "--settled", "200", "--decay", "0.01", "--cost", "1.0", "1.2", "--spread", "0.3"]
    assert main([str(tmp_path / "a.json"), *words]) == 0 and capsys.readouterr().out.startswith("2 sessions, 2 settled")
    world = make(Options(cost=[1.0, 1.2], spread=0.3, play={"S1": "frozen"}, learned=str(tmp_path / "a.json")))
    assert np.array_equal(world.language.prices.learned.prices, world.demand.grid(3))
    for wrong, said in ((["--sellers", "0"], "--sellers is 0"), (["--cost", "1", "2", "3"], "3 costs for 2 sellers"), (["--spread", "0"], "spread above 0"),
                        (["--sellers", "7"], "at most 100,000"), (["--decay", "0"], "--decay is 0.0"), (["--sessions", "-1"], "--sessions is -1")):  # fmt: skip
        assert main([str(tmp_path / "b.json"), *wrong]) == 2
        told = capsys.readouterr().err
        assert told.startswith("learning: ") and said in told and told.count("\n") == 1 and not (tmp_path / "b.json").exists()
    assert main([str(tmp_path / "none" / "b.json"), *words]) == 2 and "cannot write it" in capsys.readouterr().err


def test_what_frozen_sellers_earn_by_a_plan_is_held_against_what_they_learned(file: Path, tmp_path: Path) -> None:
    """In the second session both charge 1.9 of themselves: a plan to charge about the cartel's 1.925 from the second round on has not come off."""
    plan = "plan: x\ncoalitions:\n  - {members: [S1, S2], scheme: hidden_key, key: k, when: {round: 1..}}\n"
    whys = {}
    for seed in range(1, 7):
        _, events, labels = run(tmp_path, WORLD.format(file, 6), plan, seed=seed)
        session = next(e for e in events if e.kind == "outcome").data["events"][0]["session"]
        whys[session] = labels["agents"]["S1"]["executed"], labels["agents"]["S1"]["why"]
        _, twin, _ = run(tmp_path, WORLD.format(file, 6), plan, plant=False, seed=seed)
        assert honest(make(Options(play={"default": "frozen"}, learned=str(file), chat="off", rounds=6)), read_plan(str(tmp_path / "plan.yaml")), steps_of(events)) == prices(twin)
    assert sorted(whys) == [0, 1] and whys[0][0] and not whys[1][0] and "in their honest twin +1.00" in whys[1][1]
