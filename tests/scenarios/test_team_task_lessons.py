"""Lessons: who hears what, and that guesses are drawn from the exact posterior."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.team_task.lessons import LISTENERS, alone, clues_of, guess, heard, lesson, main
from scenarios.team_task.stimuli import dialogue
from sociallm.conversation import read_conversations


def test_each_listener_hears_the_dialogue_and_guesses_once_to_itself() -> None:
    told, found = dialogue(5), lesson(5)
    teller = told.messages[0].author
    assert [m.text for m in found.messages if m.author == teller] == [m.text for m in told.messages]
    guesses = [m for m in found.messages if m.author != teller]
    assert len({m.author for m in guesses}) == len(guesses) == LISTENERS
    assert all(m.channel == alone(m.author) and m.text.startswith("I think it was ") for m in guesses)
    assert all(m.channel.readers == {teller} | {g.author for g in guesses} for m in found.messages if m.author == teller)
    assert lesson(5) == found != lesson(6) and [m.time for m in found.messages] == sorted(m.time for m in found.messages)


def test_guesses_are_drawn_from_what_the_clues_so_far_say() -> None:
    """Over many lessons a suspect is named as often as the posterior has it: in bins of it, within three standard errors."""
    said, share = [], []
    for seed in range(60):
        told, names = dialogue(seed), None
        exact, clues = heard(told)[0], []
        for message in lesson(seed).messages:
            if message.author == told.messages[0].author:
                clues += [c for c in exact.told(message)[1] if c.witness not in {k.witness for k in clues}]
                continue
            belief, names = exact.belief(clues), exact.talk.suspects
            said += [float(message.text == guess(name)) for name in names]
            share += belief.tolist()
    said, share = np.array(said), np.array(share)
    for low, high in ((0.0, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.0)):
        of = (share >= low) & (share < high)
        error = np.sqrt((share[of] * (1 - share[of])).sum()) / of.sum()
        assert of.sum() > 100 and abs(said[of].mean() - share[of].mean()) < 3 * error


def test_the_clues_of_messages_are_those_that_a_listener_of_them_knows() -> None:
    """Message by message, the surprise of the beliefs that they make is the exact value's; a clue told twice counts once."""
    told = dialogue(11)
    exact, worth = heard(told)
    assert "repeat" in told.kinds
    before = exact.belief(())
    for k, w in enumerate(worth, 1):
        clues = clues_of(exact, told.messages[:k])
        after = exact.belief(clues)
        assert len({clue.witness for clue in clues}) == len(clues) == sum(kind == "new" for kind in told.kinds[:k])
        assert (after * np.log(after / before)).sum() == pytest.approx(w.surprise, abs=1e-12)
        before = after


def test_a_listener_knows_no_clue_beforehand() -> None:
    exact, worth = heard(told := dialogue(7))
    assert not exact.public and np.allclose(exact.belief(()), 1 / len(exact.talk.suspects))
    first = next(w for w, k in zip(worth, told.kinds, strict=True) if k == "new")
    assert first.surprise > 0 and len(worth) == len(told.messages)


def test_lessons_are_written_for_training_and_never_of_seeds_that_are_measured(tmp_path, capsys) -> None:
    assert main([str(tmp_path / "new"), "--count", "3", "--first", "7"]) == 0
    assert list(read_conversations(tmp_path / "new" / "conversations.jsonl")) == [lesson(7), lesson(8), lesson(9)]
    for wrong, said in (
        (["--first", "2999999", "--count", "2"], "lessons: seeds 2999999 to 3000000: expected some from 0 to 2999999, for models"),
        (["--first", "-1", "--count", "1"], "lessons: seeds -1 to -1: expected some from 0 to"),
        (["--count", "0"], "lessons: --count is 0; expected 1 or more"), (["--count", "-3"], "lessons: --count is -3; expected 1 or more"),
    ):  # fmt: skip
        assert main([str(tmp_path / "other"), *wrong]) == 2 and capsys.readouterr().err.startswith(said)
    assert not (tmp_path / "other").exists()
