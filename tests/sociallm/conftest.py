"""What the tests of the model share: one thread, and a tiny checkpoint of drawn weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sociallm import checkpoint
from sociallm.checkpoint import Checkpoint
from sociallm.tokenizer import Tokenizer
from tests.sociallm.small import saved, tokenizer_of


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For tensors of a few dozen numbers a second thread only waits for the first, and twice the processor goes into that.
    What training sets for the whole process is taken back as well: denormal numbers are no longer zero."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Of the tiny models' vocabulary; nothing can change it."""
    return tokenizer_of()


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model in fp32, as a checkpoint is."""
    return checkpoint.load(saved(tmp_path_factory.mktemp("loaded")))


@pytest.fixture(scope="module", params=["heads", "sum"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model in float64, with either fusion."""
    loaded = checkpoint.load(saved(tmp_path_factory.mktemp("tiny"), request.param))
    loaded.model.double()
    return loaded
