"""What clues say together and what a message is worth: against enumeration, by hand, and the shape that is known of such worlds."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from scenarios.team_task.clues import EVIDENCE, Clue, belief, draw, likelihood, log_odds, log_posterior, posterior
from scenarios.team_task.environment import Options, make
from scenarios.team_task.exact import solver, worths
from scenarios.team_task.stimuli import dialogue
from sociallm.conversation import Channel, Message

CODES = sorted(EVIDENCE.values())


def by_enumeration(about: tuple[int, ...], heard: tuple[int, ...], suspects: int, reliability: float) -> np.ndarray:
    """P(culprit | heard) from the whole joint table of (culprit, what each witness says)."""
    chances, joint = likelihood(reliability), np.zeros(suspects)
    whole = 0.0
    for culprit in range(suspects):
        for words in itertools.product(CODES, repeat=len(about)):
            p = 1 / suspects
            for s, word in zip(about, words, strict=True):
                p *= chances[word][int(s == culprit)]
            whole += p
            joint[culprit] += p if words == heard else 0.0
    assert whole == pytest.approx(1, abs=1e-12)
    return joint / joint.sum()


@pytest.mark.parametrize(("suspects", "about"), [(2, (0, 1, 1)), (3, (0, 0, 0, 2)), (5, (4, 1, 4, 0, 2)), (4, ())])
def test_the_posterior_equals_enumeration(suspects: int, about: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(about))
    for reliability in (0.55, 0.8, 0.99):
        heard = tuple(int(w) for w in rng.choice(CODES, size=len(about)))
        clues = [Clue(i, s, w) for i, (s, w) in enumerate(zip(about, heard, strict=True))]
        found = posterior(clues, suspects, reliability)
        assert np.abs(found - by_enumeration(about, heard, suspects, reliability)).max() < 1e-12
        assert np.abs(posterior(reversed(clues), suspects, reliability) - found).max() < 1e-15


def test_a_posterior_by_hand() -> None:
    """Reliability 0.8: a sure yes is 4 times as likely about the culprit, a maybe no 0.35 / 0.65 times; five suspects."""
    yes, no = 4.0, 0.35 / 0.65
    found = posterior([Clue(0, 1, EVIDENCE["strong yes"]), Clue(1, 3, EVIDENCE["maybe no"])], 5, 0.8)
    assert found == pytest.approx(np.array([1, yes, 1, no, 1]) / (3 + yes + no), abs=1e-15)


def test_log_odds_add_up_to_the_posterior() -> None:
    lines = np.array([[2, 0, -1], [0, 1, 0], [0, 0, -2]], dtype=np.int8)
    clues = [Clue(0, 0, 2), Clue(1, 2, -1), Clue(2, 1, 1), Clue(3, 2, -2)]
    assert belief(log_odds(lines, 0.7).sum(0)) == pytest.approx(posterior(clues, 3, 0.7), abs=1e-15)
    assert log_odds(lines, 0.7)[0] == pytest.approx([math.log(7 / 3), 0, math.log(0.4 / 0.6)], abs=1e-15)


def test_a_witness_counts_once_and_its_first_word_holds() -> None:
    once = [Clue(0, 1, 2), Clue(1, 2, 1)]
    assert (posterior([*once, Clue(0, 1, 2), Clue(0, 3, 2)], 5, 0.8) == posterior(once, 5, 0.8)).all()


def test_clues_are_drawn_as_likely_as_they_are_said_to_be_and_go_round() -> None:
    """20,000 words: each frequency within four standard errors; eleven clues about five suspects: two or three on each."""
    rng, chances = np.random.default_rng(0), likelihood(0.7)
    cases = [draw(rng, 5, 2, 5, 1, 0.7) for _ in range(1819)]
    words = np.array([[clue.evidence, int(clue.suspect == case.culprit)] for case in cases for clue in case.clues])
    for guilty in (0, 1):
        of = words[words[:, 1] == guilty][:, 0]
        for code in CODES:
            p = chances[code][guilty]
            assert abs((of == code).mean() - p) < 4 * math.sqrt(p * (1 - p) / len(of))
    assert {tuple(sorted(np.bincount([c.suspect for c in case.clues], minlength=5))) for case in cases} == {(2, 2, 2, 2, 3)}
    assert 0.2 == pytest.approx(np.mean([case.culprit == 2 for case in cases]), abs=4 * math.sqrt(0.16 / 1819))


@pytest.mark.parametrize("reliability", [0.5, 1.0, 0.2, 1.5, float("nan")])
def test_clues_that_say_nothing_or_all_are_refused(reliability: float) -> None:
    with pytest.raises(ValueError, match="reliability is .* expected a number above 0.5"):
        likelihood(reliability)


# ---- messages ----------------------------------------------------------------------------------------------------------

ALL = Channel(name="ALL", readers=frozenset(("M1", "M2", "M3")))


def said(*texts: str, author: str = "M1", channel: Channel = ALL) -> list[Message]:
    return [Message(id=f"{author}{i}", author=author, channel=channel, time=i, text=text) for i, text in enumerate(texts)]


def told() -> dict:
    fact = lambda w, s, e: {"witness": w, "suspect": s, "evidence": e}  # noqa: E731
    return {
        "culprit": "Ash", "reliability": 0.8, "posterior": {"Ash": 0.25, "Birch": 0.25, "Cedar": 0.25, "Elm": 0.25}, "public": [],
        "private": {"M1": [fact("cook", "Ash", "strong yes")], "M2": [fact("nurse", "Birch", "strong no")], "M3": []},
    }  # fmt: skip


def test_worth_by_hand() -> None:
    """M3 knows nothing: after the cook's sure word Ash has 4/7. M2 had Birch at 1/13 of (4, 1, 4, 4)/13 and comes to (16, 1, 4, 4)/25."""
    two, three = sorted(worths(solver(told()), said("The cook is sure that it was Ash.")), key=lambda w: w.reader)
    assert (three.reader, three.kind) == ("M3", "new") and three.value == pytest.approx(math.log(16 / 7), abs=1e-12)
    assert three.surprise == pytest.approx(4 / 7 * math.log(16 / 7) + 3 / 7 * math.log(4 / 7), abs=1e-12)
    assert three.gap == pytest.approx(3 / 7 * math.log(4 / 7) + 4 / 7 * math.log(16 / 7), abs=1e-12)  # all that M1 knows is now shared
    assert two.value == pytest.approx(math.log((16 / 25) / (4 / 13)), abs=1e-12)
    assert two.surprise == pytest.approx(16 / 25 * math.log(208 / 100) + 1 / 25 * math.log(13 / 25) + 2 * 4 / 25 * math.log(13 / 25), abs=1e-12)


def test_only_a_clue_new_to_the_reader_is_worth_anything() -> None:
    texts = ["The cook saw Ash do it.", "According to the cook, Ash certainly did it.", "I think it was Ash.", "What do you know about Elm?", "Hello everyone.", "Ash ash the is sure cook."]
    found = [w for w in worths(solver(told()), said(*texts)) if w.reader == "M3"]
    assert [w.kind for w in found] == ["new", "repeated", "opinion", "opinion", "phatic", "nothing"]
    assert found[0].surprise > 0 and all((w.value, w.surprise, w.gap) == (0, 0, 0) for w in found[1:])


def test_what_was_not_delivered_is_worth_nothing_and_what_was_overheard_is_known() -> None:
    pair = Channel(name="M1+M2", readers=frozenset(("M1", "M2")))
    whispered = said("The cook saw Ash do it.", channel=pair)
    assert {w.reader for w in worths(solver(told()), whispered)} == {"M2"}
    after = worths(solver(told()), [*whispered, *said("The cook rules out Ash.", author="M2")])  # a witness misquoted: its first word holds
    assert [(w.reader, w.kind) for w in after[1:]] == [("M1", "repeated"), ("M3", "new")] and after[2].value < 0


def test_readers_of_one_channel_share_what_they_read() -> None:
    """M2 tells M3 what both have read in the room: nothing new between them, no gap closed."""
    pair = Channel(name="M2+M3", readers=frozenset(("M2", "M3")))
    *_, last = worths(solver(told()), [*said("The cook saw Ash do it."), *said("The cook saw Ash do it.", author="M2", channel=pair)])
    assert (last.kind, last.gap) == ("repeated", 0)


@pytest.mark.parametrize("wrong", [{}, {"culprit": "Yew"}, {"public": 3}, {"reliability": 0.4}, {"private": {"M1": [{"witness": "cook"}]}}], ids=str)
def test_a_damaged_case_is_refused_in_one_line(wrong: dict) -> None:
    with pytest.raises(ValueError, match="case: .*team_task") as error:
        solver((told() | wrong) if wrong else {})
    assert "\n" not in str(error.value)


def test_a_world_of_very_sure_witnesses_has_values_and_no_nan() -> None:
    """At reliability 0.999 a posterior can lie below the smallest number there is; logs go on, and values add up to what all clues say."""
    found = dialogue(1, clues=60, reliability=0.999, suspects=2, shares={"new": 1.0})
    exact, values = solver(found.case), [w.value for w in found.worth]
    sure = [Clue(i, 1, 2) for i in range(400)]
    assert np.isfinite([(w.value, w.surprise, w.gap) for w in found.worth]).all()
    assert posterior(sure, 2, 0.999)[0] == 0 and log_posterior(sure, 2, 0.999)[0] == pytest.approx(-400 * math.log(999), rel=1e-12)
    start, end = (exact.logs(clues)[exact.culprit] for clues in ((*exact.public, *exact.private["M2"]), (*exact.public, *exact.private["M2"], *exact.private["M1"])))
    assert sum(values) == pytest.approx(end - start, abs=1e-9)


def test_the_shape_of_worth_over_many_dialogues() -> None:
    """As known of such worlds: Bayesian surprise goes with the size of the value (about 0.95), much less with its sign; nothing else is worth anything."""
    many = [dialogue(seed) for seed in range(60)]
    found, kinds = [w for d in many for w in d.worth], np.array([k for d in many for k in d.kinds])
    value, surprise = np.array([w.value for w in found]), np.array([w.surprise for w in found])
    assert spearmanr(surprise, abs(value)).statistic > 0.9 and 0.2 < spearmanr(surprise, value).statistic < 0.75
    assert (surprise[kinds == "new"] > 0).all() and (surprise[kinds != "new"] == 0).all() and (value[kinds != "new"] == 0).all()
    assert set(kinds) == {"new", "repeat", "phatic", "gibberish", "salad"} and (kinds == "new").sum() == 60 * 8
    assert {w.kind for w, k in zip(found, kinds, strict=True) if k in ("gibberish", "salad")} == {"nothing"}
    assert value[kinds == "new"].mean() == pytest.approx(surprise[kinds == "new"].mean(), rel=0.25)  # the truth is drawn from the belief


def test_dialogues_are_the_same_from_the_same_seed() -> None:
    assert dialogue(3) == dialogue(3) != dialogue(4) and [m.text for m in dialogue(3).messages] != [m.text for m in dialogue(4).messages]


def test_surer_witnesses_are_worth_more() -> None:
    means = [np.mean([w.surprise for seed in range(25) for w in dialogue(seed, reliability=r, shares={"new": 1.0}).worth]) for r in (0.55, 0.7, 0.9)]
    assert 0 < means[0] < means[1] < means[2]


def test_the_case_of_a_world_is_read_back() -> None:
    world = make(Options())
    state = world.start(np.random.default_rng(2))
    event = world.step(state, {}, np.random.default_rng(0)).events[0]
    exact = solver(event)
    assert [len(own) for own in exact.private.values()] == [4] * 5 and exact.culprit == state.case.culprit
    everything = (*exact.public, *(c for own in exact.private.values() for c in own))
    assert dict(zip(world.suspects, exact.belief(everything).round(12), strict=True)) == event["posterior"]
