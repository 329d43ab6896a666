"""Readings in several ways at once are those of the model, one way after another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sociallm.layout import sequence_of
from sociallm.model import SociaLLM, build
from sociallm.readings import ALL, ENERGY, ON, Reading, by_the_model, nats_of
from tests.sociallm.small import model_of

HEADER = 3


@pytest.fixture(scope="module", params=["heads", "sum"])
def model(request: pytest.FixtureRequest) -> SociaLLM:
    """The tiny model in double precision, its chunks as long as most messages."""
    small = model_of(request.param)
    wide = build(replace(small.config, social_chunk=16), torch.Generator().manual_seed(0)).double()
    wide.load_state_dict(small.state_dict())
    return wide.eval().requires_grad_(False)


def test_readings_of_any_length_from_any_states_are_those_of_the_model(model: SociaLLM) -> None:
    """Messages of one to thirty words, one chunk or several, two channels; states of which one is empty."""
    rng = np.random.default_rng(0)
    said = [[rng.integers(0, 420, HEADER + n).tolist() for n in some] for some in ((1, 30, 5, 13, 5), (2, 14, 1, 5, 5, 29))]
    sequence = sequence_of(said, model.config)
    public = model.public(sequence)
    layers = [torch.from_numpy(rng.normal(size=(7, 3, 4, 8))) * (torch.arange(7) > 0)[:, None, None, None] for _ in model.social]
    readings = [Reading(int(rng.integers(11)), int(rng.integers(7)), int(rng.integers(7)), HEADER + k % 2 * (k > 60)) for k in range(90)]
    readings = [r if sequence.lengths_M[r.message] > r.header else r._replace(header=HEADER) for r in readings]
    four = nats_of(model, sequence, public, layers, readings, ALL)
    assert four.shape == (90, 4) and np.abs(four - by_the_model(model, sequence, public, layers, readings, ALL)).max() < 1e-10
    assert np.abs(nats_of(model, sequence, public, layers, readings, ON)[:, 0] - four[:, ALL.index("on")]).max() < 1e-10
    of_nothing = [r._replace(own=0, other=0) for r in readings]
    assert np.abs(nats_of(model, sequence, public, layers, of_nothing, ON)[:, 0] - four[:, ALL.index("off")]).max() < 1e-10
    assert np.abs(nats_of(model, sequence, public, layers, readings, ENERGY) - four[:, [ALL.index(way) for way in ENERGY]]).max() < 1e-10
    assert len({round(v, 6) for v in four[0]}) == (4 if readings[0].own and readings[0].other else 2)


def test_a_reading_alone_is_the_one_among_others(model: SociaLLM) -> None:
    """Even of a message of one token, from which a single row is predicted."""
    sequence = sequence_of([[[1, 2, 3, 4], [5, 6, 7, 8, 9]]], model.config)
    public = model.public(sequence)
    layers = [torch.randn(3, 3, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) for _ in model.social]
    readings = [Reading(m, own, 2, HEADER) for m in (0, 1) for own in (0, 1, 2)]
    together = nats_of(model, sequence, public, layers, readings, ON)
    alone = np.concatenate([nats_of(model, sequence, public, layers, [r], ON) for r in readings])
    assert np.abs(together - alone).max() < 1e-12 and nats_of(model, sequence, public, layers, [], ALL).shape == (0, 4)
