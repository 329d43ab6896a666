"""The information of messages by a model: its figures on beliefs that are exact, on a memory that is emptied, and on the shipped model's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from analysis.information import COLUMNS, as_text, beliefs, figures, measured, rank_correlation
from scenarios.team_task.lessons import MEASURED, clues_of, heard
from scenarios.team_task.stimuli import dialogue
from sociallm.checkpoint import load


@pytest.fixture(scope="module")
def base():
    torch.set_num_threads(1)
    return load("base")


def ideal(seeds):
    """The table of a model whose beliefs are exact."""
    rows = []
    for seed in seeds:
        told = dialogue(seed)
        _, worth = heard(told)
        rows += [(seed, k, kind, w.value, w.surprise, w.surprise, 1.0, 0.0) for k, (kind, w) in enumerate(zip(told.kinds, worth, strict=True))]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_exact_beliefs_reach_what_is_ideal():
    found = figures(ideal(range(40)), np.random.default_rng(0), resamples=100)
    assert found["spearman_model"].mean == found["spearman_exact"].mean > 0.9
    assert found["gibberish_auroc_model"].mean == 1.0 and found["repeat_ratio"].mean == 0.0 and found["spearman_surprisal"].mean == 0.0


def test_measured_on_exact_beliefs_is_exact(monkeypatch):
    """A listener that believes what the clues so far say: its surprise is the exact one, message by message, and nothing is off."""
    from analysis import information

    def exact_beliefs(checkpoint, told, suspects, forget=False):
        exact = heard(told)[0]
        return np.stack([exact.belief(clues_of(exact, told.messages[:k])) for k in range(len(told.messages) + 1)]), np.ones(len(told.messages))

    monkeypatch.setattr(information, "beliefs", exact_beliefs)
    table = measured(None, range(MEASURED, MEASURED + 30))
    assert np.allclose(table["model"], table["exact"], atol=1e-12) and np.allclose(table["error"], 0, atol=1e-12)
    assert (table["model"][table["kind"] != "new"] == 0).all() and (table["model"][table["kind"] == "new"] > 0).any()
    found = figures(table, np.random.default_rng(0), resamples=100)
    assert found["spearman_model"].mean == pytest.approx(found["spearman_exact"].mean, abs=1e-4) and found["spearman_model"].mean > 0.9
    assert spearmanr(table["model"].round(9), table["exact"].round(9)).statistic == pytest.approx(1.0) and found["belief_error"].mean == pytest.approx(0.0, abs=1e-12)


def test_beliefs_are_distributions_and_what_is_forgotten_changes_nothing(base):
    told = dialogue(MEASURED)
    suspects = heard(told)[0].talk.suspects
    found, surprisal = beliefs(base, told, suspects)
    assert found.shape == (len(told.messages) + 1, 5) and np.allclose(found.sum(1), 1) and (found > 0).all() and (surprisal > 0).all()
    blank, _ = beliefs(base, told, suspects, forget=True)
    assert (blank == blank[0]).all() and not (found == found[0]).all() and np.allclose(found[0], blank[0])


def test_a_model_without_memory_has_no_information(base):
    table = measured(base, range(MEASURED, MEASURED + 3), forget=True)
    found = figures(table, np.random.default_rng(0), resamples=100)
    assert found["spearman_model"].mean == 0.0 and found["gibberish_auroc_model"].mean == 0.5 and found["repeat_ratio"].mean == 0.0
    assert "dialogues" in as_text(found) and list(table.columns) == COLUMNS


def test_a_belief_is_causal(base):
    """What was said later changes no belief of before."""
    from dataclasses import replace

    told = dialogue(MEASURED + 1)
    suspects = heard(told)[0].talk.suspects
    other = replace(told, messages=(*told.messages[:-1], replace(told.messages[-1], text="Something else entirely.")))
    one, two = beliefs(base, told, suspects), beliefs(base, other, suspects)
    assert (one[0][:-1] == two[0][:-1]).all() and (one[0][-1] != two[0][-1]).any() and (one[1][:-1] == two[1][:-1]).all()


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(1)
    for _ in range(20):
        x, y = rng.integers(5, size=40), rng.normal(size=40)
        assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert rank_correlation(np.ones(5), np.arange(5)) == 0.0
