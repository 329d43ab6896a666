"""Muon: beside the library's, and the matrix that it makes orthogonal."""

from __future__ import annotations

import pytest
import torch

from sociallm.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(5, 5), (6, 40), (40, 6)])
def test_singular_values_are_near_one_and_vectors_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    U, _, V = torch.linalg.svd(matrix, full_matrices=False)
    turned = U.T @ orthogonal(matrix) @ V.T  # diagonal, if the vectors stay
    values = turned.diagonal()
    assert (turned - values.diag()).abs().max() <= 1e-9
    assert values.min() > 0.6 and values.max() < 1.25


def test_an_empty_gradient_moves_nothing() -> None:
    assert orthogonal(torch.zeros(3, 4)).abs().max() == 0


def test_steps_are_those_of_the_library() -> None:
    """Which multiplies in bf16: eight bits."""
    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=generator) for shape in ((12, 30), (30, 12))]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in start] for _ in range(2))
    optimizers = Muon(ours, lr=0.02, weight_decay=0.1), torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for a, b, w in zip(ours, theirs, start, strict=True):
        assert (a - b).norm() <= 0.02 * (a - w).norm()


def test_what_is_no_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\); Muon takes matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=1.0, weight_decay=0.0)
