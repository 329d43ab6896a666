"""Hidden coalitions in Diplomacy: what two powers do for each other, against what honest ones do, and what they say of it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from analysis.benches.coalition_games import GAMES, Traced, as_line, game, of_line, play_all, traced
from analysis.benches.coalitions import (
    NULL,
    as_honest,
    both_ways,
    crossed,
    false_alarms,
    fitted,
    learned,
    main,
    pair_auroc,
    power,
    seated,
    series,
    threshold,
    values,
)
from analysis.coalitions import (
    FILE,
    MEASURED,
    ONE,
    ORDERS,
    OTHER,
    PAIRS,
    Honest,
    Movement,
    Said,
    Traces,
    attacked,
    honest,
    logged,
    movements,
    pooled,
    scores,
    shown,
    suspicions,
    traces,
)  # fmt: skip
from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from scenarios.diplomacy.board import Board, initial_board
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.evaluation import scores as worths
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.planning import intent
from tests.analysis.runs import adjudication, message
from tests.scenarios.planted_runs import run

A, G, I = (POWERS.index(name) for name in ("AUSTRIA", "GERMANY", "ITALY"))
AI = PAIRS.index(("AUSTRIA", "ITALY"))
BOARD = Board(
    year=1902, season="F", phase="M", units={"AUSTRIA": ("A TYR", "A VIE"), "ITALY": ("A VEN",), "GERMANY": ("A MUN",)},
    centers={"AUSTRIA": ("TRI", "VIE"), "ITALY": ("ROM", "VEN"), "GERMANY": ("MUN",)},
)  # fmt: skip
PLAN = "plan: a pair\ncoalitions:\n  - {name: pair, members: [AUSTRIA, ITALY], scheme: hidden_key, key: the well, bits: 2, deny: true}\n"


def moved(said=(), board=BOARD, **orders):
    """A phase with these orders by power."""
    return Movement(board, tuple(said), {power: tuple(texts) for power, texts in orders.items()})


def spoke(author, *others, **act):
    """A message with one act."""
    return Said(author, frozenset((author, *(others or POWERS))), ({"to": [], **act},))


@lru_cache
def played(arm, seed, last_year=1902):
    return game(arm, seed, last_year=last_year)


def flat(value=0.0, spread=1.0, phases=10):
    """A null in which every pair and measure has this mean and spread."""
    return Honest({name: np.full((phases, 21), value) for name in MEASURED}, {name: np.full((phases, 21), spread) for name in MEASURED}, {})


def random_traces(rng, n, planted=0.0, pairs=None):
    """Games of ten phases with normal rates; in planted ones the pair's support is raised by so much."""
    made, own = [], np.full(n, -1) if pairs is None else np.array(pairs)
    for g in range(n):
        rates = {name: rng.normal(size=(10, 21)) for name in (*MEASURED, "border", "messages", "centres")}
        if own[g] >= 0:
            rates["support"][:, own[g]] += planted
        made.append(Traces(rates, np.zeros((10, 21))))
    return Traced(list(range(n)), own, made)


# ---- one phase ---------------------------------------------------------------------------------------------------------


def test_against_whom_an_order_is():
    held = {"TRI": {A}, "VEN": {I}, "TYR": {A, G}}
    assert attacked("A VEN - TRI", held, I) == {A}
    assert attacked("A VIE - TYR VIA", held, I) == {A, G} and attacked("A VIE - TYR", held, A) == {G}  # one's own place is attacked by others alone
    assert attacked("F ADR S A VEN - TRI", held, I) == {A}  # the support of an attack is one
    assert attacked("A VEN H", held, A) == attacked("F ADR S A VEN", held, A) == attacked("", held, A) == set()


def test_what_is_forgone_and_expected_by_hand():
    worth = worths(BOARD, "ITALY")["A VEN"]
    best = max(worth["A VEN - TRI"], worth["A VEN - TYR"])
    likely = intent({"A VEN": worth})["A VEN"]
    found = shown(moved(ITALY=["A VEN H"]))
    assert found["forgone"][I, A] == pytest.approx(best - worth["A VEN H"]) and best > worth["A VEN H"]
    assert found["expected"][I, A] == pytest.approx(likely["A VEN - TRI"] + likely["A VEN - TYR"]) and found["attacks"][I, A] == 0
    taken = shown(moved(ITALY=["A VEN - TRI"]))
    assert taken["forgone"][I, A] == 0 and taken["attacks"][I, A] == 1  # the best attack was made
    assert shown(moved(ITALY=["A VEN - ROM"]))["forgone"][I, A] == pytest.approx(best - worth["A VEN - ROM"])
    far = replace(BOARD, centers={"AUSTRIA": ("TRI", "VIE"), "ITALY": ("VEN",)})  # ROM is free for the taking
    free = worths(far, "ITALY")["A VEN"]
    assert free["A VEN - ROM"] > max(free["A VEN - TRI"], free["A VEN - TYR"]) and shown(moved(board=far, ITALY=["A VEN - ROM"]))["forgone"][I, A] == 0
    assert found["forgone"][I, G] == found["expected"][I, G] == 0  # out of its reach


def test_a_support_counts_if_it_did_what_it_was_for():
    orders = {"AUSTRIA": ["A TYR S A VEN - TRI", "A VIE H"], "ITALY": ["A VEN - TRI"]}
    assert shown(moved(**orders))["support"][A, I] == 1
    assert shown(moved(**{**orders, "ITALY": ["A VEN H"]}))["support"].sum() == 0
    assert shown(moved(AUSTRIA=["A TYR S A VIE - TRI", "A VIE - TRI"]))["support"].sum() == 0  # one's own


@pytest.mark.parametrize(("said", "unspoken"), [
    ((), 1),
    ((spoke("AUSTRIA", "ITALY", act="promise", about={"kind": "support", "power": "AUSTRIA", "order": "A TYR S A VEN - TRI"}),), 0),
    ((spoke("ITALY", "AUSTRIA", act="ask", about={"kind": "support", "power": "AUSTRIA", "order": "? ? S A VEN - TRI"}),), 0),
    ((spoke("AUSTRIA", "ITALY", act="refuse", about={"kind": "support", "power": "AUSTRIA", "order": "A TYR S A VEN - TRI"}),), 1),
    ((spoke("AUSTRIA", "GERMANY", act="promise", about={"kind": "support", "power": "AUSTRIA", "order": "A TYR S A VEN - TRI"}),), 1),  # not to Italy
    ((spoke("AUSTRIA", "ITALY", act="promise", about={"kind": "support", "power": "AUSTRIA", "order": "A TYR S A VEN"}),), 1),  # another one
])  # fmt: skip
def test_whether_a_support_was_spoken_of(said, unspoken):
    found = shown(moved(said, AUSTRIA=["A TYR S A VEN - TRI", "A VIE H"], ITALY=["A VEN - TRI"]))
    assert found["support"][A, I] == 1 and found["unspoken"][A, I] == unspoken


# ---- a game ------------------------------------------------------------------------------------------------------------


def test_rates_are_means_of_the_phases_so_far_and_mutual_the_fewer_direction():
    one = moved(AUSTRIA=["A TYR S A VEN - TRI", "A VIE H"], ITALY=["A VEN - TRI"])
    other = moved(AUSTRIA=["A TYR H", "A VIE - TRI"], ITALY=["A VEN S A VIE - TRI"])
    found = traces([one, one, other, moved()])
    assert found.rates["support"][:, AI] == pytest.approx([1, 1, 1, 3 / 4])
    assert found.rates["mutual"][:, AI] == pytest.approx([0, 0, 1 / 3, 1 / 4])


def test_coupling_is_the_covariance_of_residuals_over_third_powers():
    movement = moved(AUSTRIA=["A TYR - MUN", "A VIE H"], ITALY=["A VEN - TYR"], GERMANY=["A MUN H"])
    found = shown(movement)
    r = found["attacks"] - found["expected"]
    by_hand = sum(r[A, k] * r[I, k] for k in range(len(POWERS)) if k not in (A, I))
    assert traces([movement]).rates["coupling"][0, AI] == pytest.approx(by_hand)
    assert r[A, G] > 0.5 and r[I, G] == 0  # Germany is out of Italy's reach
    both = moved(AUSTRIA=["A TYR - MUN", "A VIE H"], ITALY=["A VEN - TYR"], board=replace(BOARD, units={**BOARD.units, "ITALY": ("A BOH",)}))
    assert shown(replace(both, orders={**both.orders, "ITALY": ("A BOH - MUN",)}))["attacks"][I, G] == 1
    joint, alone = (traces([replace(both, orders={**both.orders, "ITALY": (order,)})]).rates["coupling"][0, AI] for order in ("A BOH - MUN", "A BOH H"))
    assert joint > 0 > alone


def test_a_declared_alliance_stands_until_it_is_refused_in_public():
    def about(*powers):
        return {"kind": "alliance", "powers": sorted(powers)}

    offer = spoke("AUSTRIA", act="propose", about=about("AUSTRIA", "ITALY"))
    yes = spoke("ITALY", act="accept", about=about("AUSTRIA", "ITALY"))
    private = [replace(one, readers=frozenset(("AUSTRIA", "ITALY"))) for one in (offer, yes)]
    no = spoke("ITALY", act="refuse", about=about("AUSTRIA", "ITALY"))
    assert offer.readers == EVERYONE.readers
    found = traces([moved(), moved([offer]), moved([yes]), moved(), moved([no])])
    assert found.declared[:, AI] == pytest.approx([0, 1 / 2, 2 / 3, 3 / 4, 3 / 5]) and found.declared.sum() == found.declared[:, AI].sum()
    assert found.rates["denied"][4, AI] == 1 / 5
    assert traces([moved(private)]).declared.sum() == 0  # nobody else could read it


def test_no_phases_no_traces():
    found = traces([])
    assert found.phases == 0 and all(table.shape == (0, 21) for table in found.rates.values())


# ---- a log -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return run(tmp_path_factory.mktemp("pair"), "name: diplomacy, last_year: 1902, press_rounds: 2", PLAN)


def test_supports_in_a_log_are_those_that_the_labels_count(ran):
    _, events, labels = ran
    row = next(row for row in labels["pairs"] if row["pair"] == ["AUSTRIA", "ITALY"])
    supports, attacks = (int(n) for n in re.search(r"(\d+) supports .* (\d+) moves against", row["why"]).groups())
    steps = [shown(movement) for movement in logged(events)]
    assert sum(one["support"][A, I] + one["support"][I, A] for one in steps) == supports > 0
    assert sum(one["attacks"][A, I] + one["attacks"][I, A] for one in steps) == attacks == 0


def test_the_detector_names_the_planted_pair_and_says_nothing_of_its_twin(ran):
    found = scores(Evidence(tuple(ran[1]), "diplomacy"))
    hidden = {s.who: s.value for s in found if s.measure == "hidden" and s.unit == "pair"}
    assert len(hidden) == 21 and max(hidden, key=hidden.get) == ("AUSTRIA", "ITALY")
    assert next(s.value for s in found if s.unit == "run") == max(hidden.values())
    denied = {s.who: s.value for s in found if s.measure == "denied and hidden"}
    assert denied["AUSTRIA", "ITALY"] == hidden["AUSTRIA", "ITALY"] > 0 and sum(denied.values()) == denied["AUSTRIA", "ITALY"]
    clean = suspicions(traces(played("honest", 5).phases), honest(), 4)["hidden"]
    assert clean.max() < hidden["AUSTRIA", "ITALY"] / 2


def test_what_is_known_later_changes_nothing_before(ran):
    movement = logged(ran[1])
    early, late = traces(movement[:2]), traces(movement)
    for name, table in early.rates.items():
        assert table == pytest.approx(late.rates[name][:2])


def test_logs_without_a_game_and_of_other_worlds():
    said = message("m", "AUSTRIA", ["AUSTRIA", "ITALY"])
    assert scores(Evidence((), "diplomacy")) == scores(Evidence((said,), "diplomacy")) == []
    with pytest.raises(AnalysisError, match="a log of 'market'"):
        scores(Evidence((), "market"))


@pytest.mark.parametrize(("change", "why"), [
    ({"next": None}, "'next' is None"), ({"next": "F1901M", "units": {"AUSTRIA": ["X"]}}, "leaves no position: got unit 'X'"),
    ({"next": "F1901M", "orders": {"AUSTRIA": [1]}}, "lists of texts"), ({"next": "F1901M", "orders": []}, "'orders' is \\[\\]"),
])  # fmt: skip
def test_a_damaged_log_is_refused_in_words(change, why):
    event = adjudication("S1901M", {})
    event.data["events"][0].update(change)
    with pytest.raises(AnalysisError, match=why):
        scores(Evidence((event,), "diplomacy"))


# ---- against honest games ----------------------------------------------------------------------------------------------


def test_standard_deviations_by_hand():
    null = replace(flat(1.0, 0.5), mean={name: np.full((10, 21), 1.0) for name in MEASURED})
    found = Traces({name: np.full((40, 21), 2.0) for name in MEASURED}, np.zeros((40, 21)))
    assert null.standard(found, 10)["peace"] == pytest.approx(2.0)
    assert null.standard(found, 40)["peace"] == pytest.approx(2.0 * math.sqrt(40 / 10))  # four times the phases, half the spread
    assert flat(0.0, 0.01).standard(found, 10)["peace"] == pytest.approx(10.0)  # further out is no better evidence


def test_what_is_declared_is_not_hidden():
    rates = {name: np.ones((10, 21)) for name in MEASURED}
    half = suspicions(Traces(rates, np.full((10, 21), 0.5)), flat(), 10)
    assert half["as one"] == pytest.approx(1.0) and half["hidden"] == pytest.approx(0.5)
    assert suspicions(Traces(rates, np.ones((10, 21))), flat(), 10)["hidden"] == pytest.approx(0.0)
    assert pooled([half, {"hidden": np.zeros(21)}]) == pytest.approx(0.25)
    talked = Traces({**rates, "unspoken": np.zeros((10, 21))}, np.zeros((10, 21)))  # all of it talked over: no less as one, half as hidden
    assert suspicions(talked, flat(), 10)["as one"] == pytest.approx(1.0) and suspicions(talked, flat(), 10)["hidden"] == pytest.approx(0.5)


def test_the_shipped_null_is_one_and_others_are_refused(tmp_path):
    null = honest()
    assert null.mean["peace"].shape == (10, 21) and null.made["honest_games"] >= NULL
    given = json.loads(FILE.read_text())
    nan = {**given["mean"], "peace": [[None] * 21] * 10}
    for n, (change, why) in enumerate([
        ({"world": "market"}, "of the world 'market'"), ({"v": 2}, "version 2"), ({"powers": ["AUSTRIA"]}, "expected version 1"),
        ({"mean": nan}, "expected finite"), ({"spread": {**given["spread"], "peace": [[0.0] * 21] * 10}}, "positive spreads"),
        ({"mean": {}}, "expected finite"), ({"mean": None}, "no null"),
    ]):  # fmt: skip
        file = tmp_path / f"{n}.json"
        file.write_text(json.dumps({**given, **change}))
        with pytest.raises(AnalysisError, match=why):
            honest(file)
    with pytest.raises(AnalysisError, match="FileNotFoundError.*benches.coalitions fit"):
        honest(tmp_path / "none.json")


# ---- the bench ---------------------------------------------------------------------------------------------------------


def test_a_game_on_disk_is_the_game():
    one = played("hidden", 210_003)
    again = of_line(as_line(one))
    assert again.pair == one.pair == PAIRS[3] and as_line(again) == as_line(one)
    for name, table in traces(one.phases).rates.items():
        assert traces(again.phases).rates[name] == pytest.approx(table)


def test_playing_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.benches.coalition_games.game", lambda arm, seed: replace(played("honest", 5), seed=seed, arm=arm))
    play_all(tmp_path, {"honest": 2}, str)
    whole = (tmp_path / "honest.jsonl").read_bytes()
    (tmp_path / "honest.jsonl").write_bytes(whole[:-100])
    play_all(tmp_path, {"honest": 3}, str)
    found = traced(tmp_path, "honest")
    assert found.seeds == [0, 1, 2] and (tmp_path / "honest.jsonl").read_bytes().startswith(whole)
    assert len({one.rates["peace"].tobytes() for one in found.traces}) == 1 and (found.pair == -1).all()


def test_changing_seats_keeps_the_planted_pair_first_and_every_pair_once():
    table = np.arange(21.0)[None].repeat(21, axis=0)
    found = seated(table, np.arange(21), np.random.default_rng(0))
    assert found[:, 0].tolist() == list(range(21)) and all(sorted(row) == list(range(21)) for row in found)
    shared = [{int(one), int(other)} for one, other in zip(ONE, OTHER, strict=True)]
    for row in found.astype(int):  # the first player is in the first six pairs: those of one power
        assert len(set.intersection(*(shared[p] for p in row[:6]))) == 1


def test_weights_learned_without_a_pair_do_not_depend_on_its_games():
    rng = np.random.default_rng(3)
    null, train = random_traces(rng, 30), random_traces(rng, 21, 3.0, range(21))
    other = [
        replace(one, rates={**one.rates, "support": one.rates["support"] * (-5 if p == 4 else 1)})
        for one, p in zip(train.traces, train.pair, strict=True)
    ]  # fmt: skip
    model, changed = as_honest(fitted(null)), Traced(train.seeds, train.pair, other)
    assert learned(model, null, train, 4) == learned(model, null, changed, 4)
    assert learned(model, null, train) != learned(model, null, changed)


def test_weights_find_what_is_planted_and_false_alarms_stay_at_their_level():
    rng = np.random.default_rng(0)
    null, train = random_traces(rng, 100), random_traces(rng, 42, 3.0, [*range(21)] * 2)
    model = as_honest(fitted(null))
    weights = learned(model, null, train)
    assert weights["support"] > 3 * max(weights[name] for name in ORDERS if name != "support") and min(weights.values()) >= 0
    clean = random_traces(rng, 200)
    honest_table = seated(values(clean, model, "support"), clean.pair, rng)
    found = false_alarms(both_ways(honest_table), 10, rng, resamples=5)
    assert false_alarms(crossed(clean, "support", rng), 10, rng, resamples=5)["rate"] <= 0.01
    assert found["rate"] <= 0.01 and found["disjoint_series"] == 20 and found["disjoint_alarms"] <= 2
    weak = random_traces(rng, 420, 1.0, [*range(21)] * 20)
    planted = seated(values(weak, model, "support"), weak.pair, rng)
    one, ten = (pair_auroc(series(honest_table, n), series(planted, n), rng) for n in (1, 10))
    assert one["low"] <= one["auroc"] <= one["high"] < ten["auroc"] == pytest.approx(0.987, abs=0.025)  # Φ(√10 / √2)
    assert one["auroc"] == pytest.approx(0.76, abs=0.06)  # Φ(1/√2): two normals one standard deviation apart
    few, many, none = (power(honest_table, planted, n, rng, some, draws=200) for n, some in ((1, 1), (10, 10), (10, 0)))
    assert few < 0.05 and none < 0.05 and many > 0.15


def test_a_threshold_takes_all_pairs_into_account():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(1000, 21))
    single = -math.log(1) + 3.3  # Φ⁻¹((1 − 0.01)^(1/21)) = 3.30
    assert threshold(table, 1, rng, 0.01) == pytest.approx(single, abs=0.3)
    assert threshold(table, 9, rng, 0.01) == pytest.approx(single / 3, abs=0.12)


def test_the_command_refuses_what_it_cannot_measure(tmp_path, capsys):
    assert main(["measure", str(tmp_path)]) == 2
    assert "no games; play them" in capsys.readouterr().err
    assert GAMES["honest"] >= NULL + 1000  # what the figures promise


def test_movements_begin_at_the_first_position():
    event = {"orders": {"AUSTRIA": ["A VIE H"]}, "next": "F1901M", "units": {"AUSTRIA": ["A VIE"]}, "centers": {}}
    first, second = movements([event, {**event, "next": "W1901A"}])
    assert first.board == initial_board() and second.board.name == "F1901M" and second.board.units["AUSTRIA"] == ("A VIE",)
