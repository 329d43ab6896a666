"""Muon (Jordan et al. 2024): momentum for matrices, each step made nearly orthogonal.

`torch.optim.Muon` is the same rule, but multiplies in bf16; on a processor without bf16 that takes four times as long as fp32 (0.55
against 0.13 s for all matrices of the shipped sizes, a third of a training step).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
STEPS, COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)  # of the Newton-Schulz iteration: singular values end near 1, not at it
ADAM_RMS = 0.2  # the usual root mean square of Adam's steps, so that both take one learning rate (Liu et al. 2025)


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: the same singular vectors, singular values between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    X = matrix.T if tall else matrix
    X = X / X.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        A = X @ X.T
        X = torch.addmm(X, torch.addmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X.T if tall else X


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, made orthogonal and scaled to the size of Adam's steps; decoupled weight decay. For matrices only."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(f"a parameter of shape {tuple(p.shape)}; Muon takes matrices, give the others to AdamW")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step from the gradients; a parameter without one stays."""
        if closure is not None:
            raise ValueError("a closure was given; compute the gradients before the step")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - MOMENTUM)
                update = orthogonal(p.grad.lerp(momentum, MOMENTUM))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"] * ADAM_RMS * math.sqrt(max(p.shape)))
