"""The second reader: on its own of the filter, right about the grammar, wary of changed acts; the figures of wording by hand."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from scenarios.diplomacy import judge as judging
from scenarios.diplomacy import judge_leads, judge_texts, press, wording
from scenarios.diplomacy.extraction_bench import FACTS, grammar_texts, worded
from scenarios.diplomacy.judge import class_of, fitted, judge, paraphrases, ridge, sentences

PAIR = frozenset({"AUSTRIA", "ITALY"})


def test_the_judge_imports_nothing_of_the_filter_and_of_the_grammar():
    for module in (judging, judge_texts, judge_leads):
        imported = {n.module for n in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)}
        assert not imported & {f"scenarios.diplomacy.{name}" for name in ("extractor", "force", "lexicon", "pacts", "patterns", "press", "grammar")}, module


def test_there_are_enough_sentences_written_by_hand_and_none_is_a_text_of_the_grammar():
    rows = paraphrases()
    assert len(rows) >= 300 and len({kind for kind, _ in rows}) == 27
    hand = {line.partition("\t")[2] for line in judging.PARAPHRASES.read_text(encoding="utf-8").splitlines()}
    assert len(hand) == len(rows)
    assert not hand & {m.text for m in grammar_texts(np.random.default_rng(2), 500)}


def test_scores_left_out_equal_those_of_a_fit_without_the_row():
    rng = np.random.default_rng(4)
    X, Y, penalty = rng.normal(size=(12, 5)), rng.normal(size=(12, 3)), rng.uniform(0.2, 2, 12)
    weights, left_out = ridge(X, Y, penalty)
    primal = np.linalg.solve(X.T @ (X / penalty[:, None]) + np.eye(5), X.T @ (Y / penalty[:, None]))
    np.testing.assert_allclose(weights, primal, atol=1e-9)
    for i in range(12):
        rest = np.arange(12) != i
        np.testing.assert_allclose(left_out[i], X[i] @ ridge(X[rest], Y[rest], penalty[rest])[0], atol=1e-9)


def test_probabilities_are_over_the_classes_and_sum_to_one():
    chances = fitted().probabilities(sentences("Could you support my army in Serbia to Rumania?")[0])
    assert len(chances) == 27 and sum(chances.values()) == pytest.approx(1)
    assert max(chances, key=lambda c: chances[c]) == "ask support"


def test_the_class_of_an_act_says_who_is_to_do_it():
    third = press.act("inform", ["ITALY"], press.about_order("TURKEY", "A CON - BUL"))
    assert class_of(third, "AUSTRIA", PAIR) == "inform order other"
    for powers, who in ((["ITALY"], "you"), (["AUSTRIA", "ITALY"], "we")):
        assert class_of(press.act("propose", ["ITALY"], press.about_dmz(powers, ["TYR"])), "AUSTRIA", PAIR) == f"propose dmz {who}"


def test_places_are_read_in_the_order_of_an_act_whatever_the_order_of_words():
    for text in ("Please support my army in Ruhr to Holland with your fleet in the North Sea.", "Would you use your fleet in the North Sea to support my army in Ruhr to Holland?",
                 "F NTH S A RUH - HOL?"):  # fmt: skip
        assert sentences(text)[0].places == ("NTH", "RUH", "HOL"), text
    assert sentences("I'm at war with Turkey. St. Petersburg is mine, den of thieves!")[1].places == ("STP",)


def test_the_judge_confirms_the_grammar_and_denies_what_it_does_not_say():
    found = wording.accuracy(grammar_texts(np.random.default_rng(9), 150), np.random.default_rng(0))
    assert found["confirmed"][0] >= 0.95 and found["denied"][0] >= 0.95, found


def test_the_judge_hears_a_second_commitment():
    act = press.act("inform", ["ITALY"], press.about_order("AUSTRIA", "A VIE - GAL"))
    said = "I am moving my army in Vienna to Galicia."
    assert judge(said, act, "AUSTRIA", PAIR).means
    assert judge(f"{said} I think that is a good plan.", act, "AUSTRIA", PAIR).means
    verdict = judge(f"{said} I will support you into Tyrolia.", act, "AUSTRIA", PAIR)
    assert verdict.said and verdict.more and not verdict.means


def test_what_the_model_wrote_is_judged_as_annotated():
    found = wording.accuracy(worded(FACTS / "own_press.jsonl", "held_out"), np.random.default_rng(0))
    assert found["balanced"] >= 0.82, found  # measured 0.887 on 2026-11-21


@pytest.mark.parametrize("text", ["A VIE - " * 4000, "north coast of " * 2000, "." * 32768, "Sure. " * 5000, "\ud800 \x00 \u202e", "(" * 32768, "a" * 32768, ""])
def test_hostile_text_is_judged_without_a_fuss(text):
    act = press.act("propose", ["ITALY"], {"kind": "draw"})
    assert not judge(text, act, "AUSTRIA", PAIR).means


def test_a_game_that_cannot_be_played_is_told_in_one_line_and_so_are_seeds_that_are_none(tmp_path, capsys):
    assert wording.main(["--play", "1", "--checkpoint", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("wording: the game of seed 1 broke: ") and "no checkpoint" in said and said.count("\n") == 1
    with pytest.raises(SystemExit):
        wording.main(["--play", "one"])
    assert "expected seeds with commas between them" in capsys.readouterr().err


def test_what_the_judge_does_not_accept_is_listed_with_its_act():
    act = press.act("promise", ["ITALY"], press.about_dmz(["AUSTRIA"], ["GAL"]))
    kept = wording.Worded("one", "AUSTRIA", PAIR, "I promise to stay out of Galicia.", act, "grammar")
    more = wording.Worded("one", "AUSTRIA", PAIR, "I promise to stay out of Galicia. I am moving my army in Vienna to Tyrolia.", act, "model")
    (line,) = wording.failing([kept, more])
    assert "Tyrolia" in line and "(model) for promise" in line and line.endswith("says more")


def test_distinct_2_and_repetition_by_hand():
    rng = np.random.default_rng(0)
    assert wording.pairs("I'll go, I'll stay") == [("i'll", "go"), ("go", "i'll"), ("i'll", "stay")]
    assert wording.distinct_2(["a b c", "a b d"], rng) == 0.75  # ab bc ab bd
    assert wording.distinct_2(["a b c"] * 9, rng, words=2) == 1.0
    assert wording.distinct_2([], rng) == 0
    assert wording.repetition({"one": ["Yes  sir", "no", "yes sir"], "two": ["no", "x y x y"]}) == {"repeated": 0.2, "echo_2": round(1 / 5, 4)}


def test_shares_of_one_run_resample_its_messages_and_of_several_the_runs():
    rng = np.random.default_rng(0)
    value, low, high = wording.share({"one": [True] * 9 + [False]}, rng)
    assert value == 0.9 and low < 0.9 < high
    assert wording.share({"one": [True, False], "two": [False, True]}, rng) == [0.5, 0.5, 0.5]


def test_a_run_is_read_from_its_folder_and_a_damaged_one_named_with_its_line(tmp_path, capsys):
    act = press.act("propose", ["ITALY"], {"kind": "draw"})
    data = {"readers": sorted(PAIR), "text": "Shall we draw?", "act": act, "by": "model", "id": "0"}
    line = json.dumps({"kind": "message", "agent": "AUSTRIA", "data": data}, separators=(",", ":"))
    (tmp_path / "events.jsonl").write_text('{"kind":"step"}\n' + line + "\n", encoding="utf-8")
    said = wording.read_run(tmp_path)
    assert [(m.text, m.by, m.readers) for m in said] == [("Shall we draw?", "model", PAIR)]
    figures = wording.wording(said, np.random.default_rng(0))
    assert figures["means"][0] == 1 and figures["fallback"][0] == 0
    (tmp_path / "events.jsonl").write_text(line[:-9] + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"events\.jsonl:1: not a message"):
        wording.read_run(tmp_path)
    assert wording.main([str(tmp_path / "none")]) == 1
    assert "give the folder of a run" in capsys.readouterr().err
