"""Operations with gradients written by hand: each is what its formula says, and so is its gradient, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sociallm.chunks import chunks_of, to_chunks
from sociallm.fused import EPS, conv_silu, gated, unit, unit_gated
from sociallm.losses import _HeadCrossEntropy
from sociallm.ssd import chunk_states, readout
from sociallm.streams import compose_each, gather_of, gathered

LENGTHS = (1, 2, 3, 4, 9)  # of segments: shorter and longer than the convolution


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def agree(fast: Callable[..., Tensor], slow: Callable[..., Tensor], *leaves: Tensor) -> bool:
    """Same values, same gradients of a random weighting of them; and the gradient is that of finite differences."""
    values = [f(*leaves) for f in (fast, slow)]
    weight = drawn(*values[0].shape, seed=9).detach()
    gradients = [torch.autograd.grad((v * weight).sum(), leaves) for v in values]
    same = all(torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in ((values[0], values[1]), *zip(*gradients, strict=True)))
    return same and torch.autograd.gradcheck(fast, leaves)


def linear_in_gradient(f: Callable[..., Tensor], *leaves: Tensor) -> bool:
    """The gradient of the gradient with respect to what it is given, along random directions of the leaves, is the derivative along them."""
    along = [drawn(*v.shape, seed=20 + i).detach() for i, v in enumerate(leaves)]
    value = f(*leaves)
    back = torch.zeros_like(value, requires_grad=True)
    gradients = torch.autograd.grad(value, leaves, back, create_graph=True)
    (slope,) = torch.autograd.grad(sum((g * d).sum() for g, d in zip(gradients, along, strict=True)), back)
    with torch.no_grad():
        up, down = (f(*(v + sign * 1e-5 * d for v, d in zip(leaves, along, strict=True))) for sign in (1, -1))
    return torch.allclose(slope, (up - down) / 2e-5, rtol=1e-7, atol=1e-7)


def test_backward_passes_may_be_differentiated_by_the_gradient_they_are_given() -> None:
    assert linear_in_gradient(gated, drawn(3, 2, 4), drawn(3, 2, 4, seed=1), drawn(2, seed=2), drawn(3, 8, seed=3))
    assert linear_in_gradient(unit_gated, drawn(3, 2, 2, 3), drawn(3, 12, seed=1))
    assert linear_in_gradient(lambda v, w, b: conv_silu(v, w, b, torch.arange(6) % 4), drawn(6, 3), drawn(3, 1, 4, seed=1), drawn(3, seed=2))
    states = [drawn(2, 3, 2, 3, seed=5 + v) for v in range(2)]
    decay = -torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64).cumsum(1)
    assert linear_in_gradient(readout, drawn(2, 4, 3), drawn(2, 4, 3, 2, seed=1), drawn(2, 4, 3, seed=2), decay.requires_grad_(), *states)


def naive_unit(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt()


def test_unit() -> None:
    assert agree(unit, naive_unit, drawn(3, 2, 5))


def test_gated() -> None:
    def slow(y: Tensor, x: Tensor, D: Tensor, z: Tensor) -> Tensor:
        return naive_unit((y + D[:, None] * x).flatten(1) * F.silu(z))

    assert agree(gated, slow, drawn(3, 2, 4), drawn(3, 2, 4, seed=1), drawn(2, seed=2), drawn(3, 8, seed=3))


def test_unit_gated() -> None:
    def slow(y: Tensor, z: Tensor) -> Tensor:
        return naive_unit(y).flatten(1) * F.silu(z)

    assert agree(unit_gated, slow, drawn(3, 2, 2, 3), drawn(3, 12, seed=1))


@pytest.mark.parametrize("carried", [False, True])
def test_conv_silu_is_a_convolution_of_each_segment(carried: bool) -> None:
    T, G, E, W = sum(LENGTHS), len(LENGTHS), 3, 4
    position, segment = torch.cat([torch.arange(n) for n in LENGTHS]), torch.repeat_interleave(torch.arange(G), torch.tensor(LENGTHS))
    leaves = [drawn(T, E), drawn(E, 1, W, seed=1), drawn(E, seed=2)] + ([drawn(G, W - 1, E, seed=3)] if carried else [])

    def fast(v: Tensor, weight: Tensor, bias: Tensor, *window: Tensor) -> Tensor:
        return conv_silu(v, weight, bias, position, segment, *window)

    def slow(v: Tensor, weight: Tensor, bias: Tensor, *window: Tensor) -> Tensor:
        before = window[0] if window else v.new_zeros(G, W - 1, E)
        rows = [torch.cat([before[g], part]).T[None] for g, part in enumerate(v.split(LENGTHS))]
        return torch.cat([F.silu(F.conv1d(row, weight, bias, groups=E))[0].T for row in rows])

    assert agree(fast, slow, *leaves)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9, 40])
@pytest.mark.parametrize("carried", [False, True])
def test_a_segment_by_itself_is_convolved_without_a_gradient_as_with_one_to_the_bit(carried: bool, length: int) -> None:
    """Beside a segment of no length, whose window it is not."""
    v, weight, bias, window = (t.detach().float() for t in (drawn(length, 48), drawn(48, 1, 4, seed=1), drawn(48, seed=2), drawn(2, 3, 48, seed=3)))
    given = (v, weight, bias, torch.arange(length), torch.ones(length, dtype=torch.long), *([window] if carried else []))
    with torch.no_grad():
        alone = conv_silu(*given)
    assert torch.equal(alone, conv_silu(*given)) and alone.grad_fn is None


def test_a_segment_of_a_convolution_is_bit_identical_whatever_is_beside_it() -> None:
    E, position = 40, torch.cat([torch.arange(n) for n in LENGTHS])
    v, weight, bias = (t.detach().float() for t in (drawn(sum(LENGTHS), E), drawn(E, 1, 4, seed=1), drawn(E, seed=2)))
    edited = v.clone()
    edited[3:6] *= -7
    a, b = (conv_silu(x, weight, bias, position) for x in (v, edited))
    kept = torch.ones(len(v), dtype=torch.bool)
    kept[3:6] = False
    assert torch.equal(a[kept], b[kept]) and not torch.equal(a[3:6], b[3:6])


@pytest.mark.parametrize("views", [0, 1, 2])
def test_readout_is_the_sum_over_earlier_tokens_and_the_states(views: int) -> None:
    K, Q, H, P, N = 2, 4, 3, 2, 3

    def slow(C: Tensor, x: Tensor, B: Tensor, log_a: Tensor, *states: Tensor) -> Tensor:
        rows = []
        for k in range(K):
            for i in range(Q):
                since = log_a[k].cumsum(0)[i]  # [H]
                y = sum((C[k, i] @ B[k, j]) * log_a[k, j + 1 : i + 1].sum(0).exp()[:, None] * x[k, j] for j in range(i + 1))
                rows.append(torch.stack([y + since.exp()[:, None] * (S[k] @ C[k, i]) for S in states] or [y]))
        return torch.stack(rows).view(K, Q, -1, H, P)

    log_a = (-torch.rand(K, Q, H, generator=torch.Generator().manual_seed(4), dtype=torch.float64)).requires_grad_()
    leaves = [drawn(K, Q, N), drawn(K, Q, H, P, seed=1), drawn(K, Q, N, seed=2), log_a, *(drawn(K, H, P, N, seed=5 + v) for v in range(views))]
    values = [f(*leaves) for f in (lambda C, x, B, a, *S: readout(C, x, B, a.cumsum(1), *S), slow)]
    assert torch.allclose(*values, rtol=0, atol=1e-12)
    assert agree(lambda C, x, B, a, *S: readout(C, x, B, a.cumsum(1), *S), slow, *leaves)


@pytest.mark.parametrize("lengths", [[3, 2, 4], [9, 1, 0, 5]])
@pytest.mark.parametrize("started", [False, True])
def test_gradients_of_states_between_chunks(lengths: list[int], started: bool) -> None:
    H, P, N, chunks = 2, 2, 3, chunks_of(lengths, 4)
    log_a = (-torch.rand(sum(lengths), H, generator=torch.Generator().manual_seed(4), dtype=torch.float64)).requires_grad_()
    leaves = [drawn(sum(lengths), H, P), log_a, drawn(sum(lengths), N, seed=1)] + ([drawn(len(lengths), H, P, N, seed=2)] if started else [])

    def states(x: Tensor, a: Tensor, B: Tensor, *initial: Tensor) -> tuple[Tensor, ...]:
        found = chunk_states(*(to_chunks(v, chunks) for v in (x, a, B)), chunks.segment_K, len(lengths), *initial)
        return tuple(v for v in (found.before_KHPN, found.decay_before_KH, found.final_GHPN, found.decay_final_GH) if v is not None and v.requires_grad)

    assert torch.autograd.gradcheck(states, leaves)


def test_composition_of_several_weights() -> None:
    def fast(U: Tensor, *weights: Tensor) -> Tensor:
        return torch.cat(compose_each(U, *weights))

    def slow(U: Tensor, *weights: Tensor) -> Tensor:
        return torch.cat([torch.einsum("hrm,mhpn->rhpn", w, U) for w in weights])

    assert agree(fast, slow, drawn(5, 2, 3, 4), drawn(2, 3, 5, seed=1), drawn(2, 4, 5, seed=2))


def test_gathered_states_are_weighted_sums_by_row() -> None:
    states, row, into = drawn(3, 2, 2, 3).detach(), torch.tensor([2, 0, 0, 1]), torch.tensor([0, 3, 0, 3])
    gather = gather_of(row, into, 5, 2)

    def slow(weight_IH: Tensor) -> Tensor:
        return states.new_zeros(5, 2, 2, 3).index_add(0, into, weight_IH[..., None, None] * states[row])

    assert agree(lambda w: gathered(gather, w, states), slow, drawn(4, 2, seed=1))


def test_likelihood_at_the_head_is_the_cross_entropy() -> None:
    target = torch.randint(7, (600,), generator=torch.Generator().manual_seed(0))
    h, embedding = drawn(600, 3), drawn(7, 3, seed=1)
    fast, slow = _HeadCrossEntropy.apply(h, embedding, target), F.cross_entropy(h @ embedding.T, target, reduction="none")
    weight = torch.arange(600, dtype=torch.float64)
    gradients = [torch.autograd.grad((v * weight).sum(), (h, embedding)) for v in (fast, slow)]
    assert torch.allclose(fast, slow, rtol=0, atol=1e-12)
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-10) for a, b in zip(*gradients, strict=True))
    assert torch.autograd.gradcheck(lambda h, e: _HeadCrossEntropy.apply(h, e, target[:4]), (h[:4].detach().requires_grad_(), embedding))


def test_likelihood_at_the_head_of_what_is_hardly_possible() -> None:
    """Probabilities below the smallest number of single precision still have their likelihoods."""
    h, embedding = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [500.0]])
    assert _HeadCrossEntropy.apply(h, embedding, torch.tensor([0, 0])).tolist() == [500.0, 1000.0]
