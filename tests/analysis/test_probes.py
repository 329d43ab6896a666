"""Probe heads: questions that a log answers, probabilities that mean what they say, and games that are kept apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import probes
from analysis.__main__ import main
from analysis.metrics import AnalysisError
from analysis.probe_questions import OTHER, ProbedGame, Question, class_of, classes_of, questions_of
from analysis.probes import Probe, ece, figures, head_of, log_softmax
from sandbox.log import Event
from tests.analysis.runs import end, message, write_run
from tests.analysis.test_observe import point  # noqa: F401 (a fixture is used by being here)

EMPTY = Probe(target="next_move", fact=None, checkpoint="c" * 64, beginnings=("I",))


def step(number, time, agents=("A", "B")):
    return Event(kind="step", step=number, time=time, data={"start": time, "end": time + 9, "move_due": False, "slots": [[a, time, []] for a in agents]})


def move(number, time, agent, what):
    return Event(kind="move", step=number, time=time, agent=agent, data={"move": what})


def outcome(number, time, *events):
    return Event(kind="outcome", step=number, time=time, data={"events": list(events), "done": False})


def talk(k: int, rounds: int = 6):
    """Game k: each round A names a word, and B does it in the next step (in one round of sixteen the other one)."""
    rng, events, now = np.random.default_rng(k), [], 1000 * k  # no two games have one log
    for r in range(rounds):
        word = ("high", "low")[int(rng.integers(2))]
        done = word if rng.random() > 1 / 16 else ("high", "low")[word == "high"]
        events += [step(2 * r, now), message(f"{r}:A:0", "A", ["A", "B"], f"I will {word} it.", 2 * r, now + 1, act={"act": word, "to": ["B"]}), outcome(2 * r, now + 9)]
        events += [step(2 * r + 1, now + 10), move(2 * r + 1, now + 11, "B", done), outcome(2 * r + 1, now + 19, {"what": "won", "by": {"A": float(r), "B": 1.0}, "who": "B"})]
        now += 20
    return [*events, end(step=2 * rounds)]


# ---- questions ---------------------------------------------------------------------------------------------------------


def test_questions_of_a_log_by_hand():
    events = talk(0, 2)
    words = [e.data["act"]["act"] for e in events if e.kind == "message"]
    done = [e.data["move"] for e in events if e.kind == "move"]
    assert questions_of(events, "stance") == tuple(Question(2 * r, 20 * r + 1, r, "B", "A", ("A",), words[r], f"{r}:A:0") for r in (0, 1))
    assert questions_of(events, "next_move") == tuple(Question(2 * r + 1, 20 * r + 11, r + 1, "B", "B", ("A",), done[r]) for r in (0, 1))
    by = [(q.holder, q.after, q.answer) for q in questions_of(events, "fact", "won.by")]
    assert by == [("A", 1, 0.0), ("B", 1, 1.0), ("A", 2, 1.0), ("B", 2, 1.0)]
    assert [(q.holder, q.answer) for q in questions_of(events, "fact", "won.who")] == [("A", "no"), ("B", "yes")] * 2
    assert questions_of(events, "fact", "lost.by") == ()


def test_what_is_said_in_a_step_is_not_known_in_it():
    events = [step(0, 0), message("0:A:0", "A", ["A", "B"], step=0, time=1), move(0, 2, "B", 1.0), step(1, 10), move(1, 12, "B", 1.0)]
    assert [q.after for q in questions_of(events, "next_move")] == [0, 1]


# ---- classes -----------------------------------------------------------------------------------------------------------


def test_numbers_go_into_intervals_and_texts_into_classes():
    edges, names = classes_of([1.0, 1.0, 2.0, 4.0])
    assert edges == (1.5, 3.0) and names == ("below 1.5", "1.5 to 3", "3 or more")
    assert [class_of(v, edges, names) for v in (0.0, 1.4, 1.5, 9.0, "x", None)] == [0, 0, 1, 2, None, None]
    edges, names = classes_of([float(v) for v in range(100)])
    assert len(names) == 5 and np.bincount([class_of(float(v), edges, names) for v in range(100)]).tolist() == [20] * 5
    spiked = [1.0] * 50 + [1.5, 1.6] + [2.0] * 50 + [float(v) for v in range(3, 12)]  # no interval is empty, wherever the quantiles fall
    edges, names = classes_of(spiked)
    assert edges == (2.0,) and min(np.bincount([class_of(v, edges, names) for v in spiked], minlength=len(names))) > 0
    edges, names = classes_of(["a"] * 5 + ["b"] * 6 + ["c"])
    assert edges is None and names == ("a", "b", OTHER) and class_of("z", edges, names) == 2 and class_of("b", edges, names) == 1


@pytest.mark.parametrize("answers", [["a"] * 9, [1.0] * 9, [f"{k}" for k in range(40) for _ in range(9)], []])
def test_what_makes_no_classes_is_refused(answers):
    with pytest.raises(AnalysisError, match="ask for another target"):
        classes_of(answers)


# ---- calibration -------------------------------------------------------------------------------------------------------


def test_calibration_error_by_hand():
    sure, right = np.array([0.9] * 10 + [0.6] * 10), np.array([True] * 9 + [False] + [True] * 4 + [False] * 6)
    assert ece(sure, right) == pytest.approx(0.5 * 0.0 + 0.5 * 0.2)
    assert ece(np.array([0.8]), np.array([False])) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="no answers"):
        ece(np.zeros(0), np.zeros(0, bool))


def test_calibration_error_of_true_probabilities_is_that_of_chance_alone():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 30_000)
    assert ece(sure, rng.random(30_000) < sure) < 0.01 and ece(np.minimum(sure + 0.1, 1), rng.random(30_000) < sure) == pytest.approx(0.09, abs=0.015)


def test_log_softmax_of_large_numbers_is_finite():
    assert log_softmax(np.array([[1e4, 0.0]])).tolist() == [[0.0, -1e4]]


def drawn(games, rows, truth, seed=0, names="abc"):
    """Games whose answers are drawn from a softmax that is linear in the features, `truth` [classes, features]."""
    rng = np.random.default_rng(seed)
    found = []
    for g in range(games):
        x = rng.normal(size=(rows, truth.shape[1])).astype(np.float32)
        p = np.exp(log_softmax(x @ truth.T))
        answers = [names[int(rng.choice(len(truth), p=row))] for row in p]
        found.append(ProbedGame(f"g{g}", f"{seed}-{rng.integers(10**9):09d}", tuple(Question(k, k, 0, "A", "A", ("B",), a) for k, a in enumerate(answers)), x))
    return found


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_finds_probabilities_that_are_linear_in_the_features(classes):
    """On new games from the same source: calibrated, and as good as the truth itself up to what little it has to learn from."""
    truth = np.random.default_rng(1).normal(size=(classes, 6)) * 1.2
    head = head_of(drawn(40, 60, truth), EMPTY)
    new = drawn(60, 60, truth, seed=9)
    found = figures(head, new)
    x, y = np.concatenate([g.features for g in new]), np.array(["abc".index(q.answer) for g in new for q in g.questions])
    best = -log_softmax(x @ truth.T)[np.arange(len(y)), y].mean()
    assert found["ece"] <= 0.03 and found["nats"] - best < 0.02 and found["nats"] < found["nats_of_frequencies"] - 0.2
    assert found["ece_low"] <= found["ece"] <= found["ece_high"] and 0.003 < found["ece_by_chance"] < 0.03 and (found["games"], found["answers"]) == (60, 3600)


def test_where_features_say_nothing_a_head_says_how_often():
    head = head_of(drawn(60, 40, np.zeros((3, 6))), EMPTY)
    assert abs(head.figures["ece"] - head.figures["ece_by_chance"]) < 0.03 and head.figures["nats"] == pytest.approx(head.figures["nats_of_frequencies"], abs=0.02)


def test_the_two_parts_share_no_game_and_a_game_given_twice_counts_once():
    games = drawn(20, 30, np.eye(3, 6))
    head, again = head_of(games, EMPTY), head_of([*games[::-1], replace(games[3], name="copy")], EMPTY)
    logs = [set(part) for part in head.runs.values()]
    assert [len(part) for part in logs] == [13, 7] and len(set.union(*logs)) == 20
    assert again.weights == head.weights and again.figures == head.figures


def test_too_few_games_and_one_answer_are_refused():
    with pytest.raises(AnalysisError, match="9 different runs answer 'next_move'; a head needs 10"):
        head_of(drawn(9, 30, np.eye(3, 6)), EMPTY)
    with pytest.raises(AnalysisError, match="one answer only"):
        head_of(drawn(12, 30, np.eye(3, 6), names="aaa"), EMPTY)


# ---- files and commands ------------------------------------------------------------------------------------------------


def test_a_head_is_json_and_comes_back_the_same(tmp_path):
    head = head_of(drawn(12, 30, np.eye(3, 6)), EMPTY)
    probes.write(head, tmp_path / "head.json")
    x = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    assert np.array_equal(probes.beliefs(probes.read(tmp_path / "head.json"), x), probes.beliefs(head, x)) and np.allclose(probes.beliefs(head, x).sum(1), 1)


@pytest.mark.parametrize("change", [{"v": 9}, {"target": "mind"}, {"weights": [[1.0]]}, {"bias": ["x"]}, {"temperature": 0}, {"more": 1}, {"edges": [1.0]}])
def test_files_that_are_no_head_are_refused(tmp_path, change):
    probes.write(head_of(drawn(12, 30, np.eye(3, 6)), EMPTY), tmp_path / "head.json")
    (tmp_path / "bad.json").write_text(json.dumps(json.loads((tmp_path / "head.json").read_text()) | change))
    with pytest.raises(AnalysisError, match="not a probe head"):
        probes.read(tmp_path / "bad.json")


def test_heads_are_trained_and_applied_to_other_runs(capsys, tmp_path, point):  # noqa: F811
    """What B does, from real logs: an untrained memory already says what followed words like those of a probe, and A names after them what B will do."""
    runs = [str(write_run(tmp_path / f"r{k}", talk(k))) for k in range(60)]
    given = ["--checkpoint", point]

    def said(*words, code=0):
        assert main(["probes", *words, *given]) == code
        out = capsys.readouterr()
        assert not code or out.err.count("\n") == 1
        return out.err if code else out.out

    head = tmp_path / "move.json"
    for k in range(48):  # a folder of runs has one, where a manifest is
        place = tmp_path / "train" / f"r{k}"
        place.parent.mkdir(exist_ok=True)
        Path(runs[k]).rename(place)
        (place / "manifest.json").write_text("{}")
        runs[k] = str(place)
    told = said("train", str(tmp_path / "train"), runs[0], "--target", "next_move", "--out", str(head))  # a folder of runs, and one of them once more
    assert "2 answers: high, low" in told and "of 16 games" in told
    found = probes.read(head).figures
    assert found["nats"] < found["nats_of_frequencies"] and found["accuracy"] > found["accuracy_of_most_frequent"]
    out = tmp_path / "beliefs.csv"
    assert "72 answers of 12 games: ECE 0." in said("apply", str(head), *runs[48:], "--out", str(out))
    lines = out.read_text().splitlines()
    assert lines[0] == "run,step,time,message,holder,about,p high,p low,answer" and len(lines) == 73
    assert "the head has seen this game" in said("apply", str(head), runs[48], runs[3], "--out", str(out), code=2)
    copy = write_run(tmp_path / "copy", talk(3))
    assert "as r3)" in said("apply", str(head), str(copy), code=2)  # known by its log, whatever its name
    assert "name that one with --checkpoint" in _other_model(capsys, head, runs[50])
    assert "goes with --target fact" in said("train", *runs, "--target", "fact", code=2)
    assert "0 different runs answer" in said("train", *runs[:12], "--target", "fact", "--fact", "lost.by", code=2)


def _other_model(capsys, head: Path, run: str) -> str:
    assert main(["probes", "apply", str(head), run]) == 2
    return capsys.readouterr().err
