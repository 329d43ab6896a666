"""The chunked scan is the recurrence: any lengths, any chunk width, any cut point; and segments never touch each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sociallm.chunks import chunks_of, from_chunks, to_chunks
from sociallm.ssd import ssd, ssd_reference, ssd_step

H, P, N = 3, 4, 5
SHAPES = [[0], [1], [7], [8], [9], [16, 24], [1, 0, 8, 3, 17], [0, 0, 5], [5, 0], [0, 0], [1] * 9, [3, 40, 0, 17, 64, 8, 24]]  # chunks are 8 tokens wide
WIDTH = 8


def inputs(lengths: list[int], seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """(x, log a, B, C, initial states): decays from nearly none to nearly total."""
    g, T = torch.Generator().manual_seed(seed), sum(lengths)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    log_a = -(torch.rand(T, H, generator=g, dtype=torch.float64) * 8 - 6).exp().to(dtype)
    return normal(T, H, P), log_a, normal(T, N), normal(T, N), normal(len(lengths), H, P, N)


@pytest.mark.parametrize("lengths", SHAPES)
def test_the_chunked_scan_equals_the_recurrence(lengths: list[int]) -> None:
    for seed in range(5):
        x, log_a, B, C, initial = inputs(lengths, seed)
        for start in (None, initial):
            y, final = ssd(x, log_a, B, C, chunks_of(lengths, WIDTH), start)
            y_slow, final_slow = ssd_reference(x, log_a, B, C, lengths, start)
            assert y.shape == y_slow.shape == (sum(lengths), H, P) and final.shape == final_slow.shape == (len(lengths), H, P, N)
            assert torch.allclose(y, y_slow, rtol=0, atol=1e-10) and torch.allclose(final, final_slow, rtol=0, atol=1e-10)


@pytest.mark.parametrize("lengths", [[1], [40], [1, 0, 8, 3, 17], [16, 24]])
def test_the_chunked_scan_equals_the_recurrence_in_single_precision(lengths: list[int]) -> None:
    for seed in range(5):
        x, log_a, B, C, initial = inputs(lengths, seed, torch.float32)
        fast = ssd(x, log_a, B, C, chunks_of(lengths, WIDTH), initial)
        slow = ssd_reference(*(v.double() for v in (x, log_a, B, C)), lengths, initial.double())
        for a, b in zip(fast, slow, strict=True):
            assert (a.double() - b).norm() <= 1e-5 * b.norm()


@pytest.mark.parametrize("lengths", [[1], [9], [1, 0, 8, 3, 17], [3, 40, 0, 17, 64, 8, 24]])
def test_gradients_of_the_chunked_scan_are_those_of_the_recurrence(lengths: list[int]) -> None:
    for seed in range(3):
        leaves = [v.requires_grad_() for v in inputs(lengths, seed)]
        x, log_a, B, C, initial = leaves
        gradients = []
        for y, final in (ssd(x, log_a, B, C, chunks_of(lengths, WIDTH), initial), ssd_reference(x, log_a, B, C, lengths, initial)):
            weights = torch.Generator().manual_seed(9)
            value = sum((v * torch.randn(v.shape, generator=weights, dtype=v.dtype)).sum() for v in (y, final))
            gradients.append(torch.autograd.grad(value, leaves))
        for fast, slow in zip(*gradients, strict=True):
            assert torch.allclose(fast, slow, rtol=0, atol=1e-10)


@pytest.mark.parametrize("lengths", [[1], [7, 8, 9], [1, 0, 8, 3, 17], [3, 40, 0, 17, 64, 8, 24]])
def test_gradients_in_single_precision(lengths: list[int]) -> None:
    for seed in range(3):
        exact = [v.requires_grad_() for v in inputs(lengths, seed, torch.float32)]
        double = [v.detach().double().requires_grad_() for v in exact]
        y, final = ssd(*exact[:4], chunks_of(lengths, WIDTH), exact[4])
        y_slow, final_slow = ssd_reference(*double[:4], lengths, double[4])
        fast = torch.autograd.grad((y**2).sum() + (final**2).sum(), exact)
        slow = torch.autograd.grad((y_slow**2).sum() + (final_slow**2).sum(), double)
        for a, b in zip(fast, slow, strict=True):
            assert (a.double() - b).norm() <= 1e-5 * b.norm()


def test_a_long_segment_stays_exact_in_single_precision() -> None:
    """400 chunks: log decays add up to hundreds, whose differences would lose the last digits."""
    lengths = [400 * WIDTH - 3, 5]
    x, _, B, C, initial = inputs(lengths, 0, torch.float32)
    log_a = -torch.rand(sum(lengths), H, generator=torch.Generator().manual_seed(1)) * 0.2
    results = []
    for dtype in (torch.float32, torch.float64):
        leaves = [v.detach().to(dtype).requires_grad_() for v in (x, log_a, B, C, initial)]
        run = (lambda *v: ssd(*v[:4], chunks_of(lengths, WIDTH), v[4])) if dtype == torch.float32 else (lambda *v: ssd_reference(*v[:4], lengths, v[4]))
        y, final = run(*leaves)
        results.append([v.detach().double() for v in (y, final, *torch.autograd.grad((y**2).sum() + (final**2).sum(), leaves))])
    for a, b in zip(*results, strict=True):
        assert (a - b).norm() <= 3e-6 * b.norm()


@pytest.mark.parametrize("lengths", SHAPES)
def test_without_gradients_the_scan_is_the_same_to_the_bit(lengths: list[int]) -> None:
    """A chunk by itself goes a shorter way then."""
    found = inputs(lengths, 7, torch.float32)
    with torch.no_grad():
        alone = ssd(*found[:4], chunks_of(lengths, WIDTH), found[4])
    assert all(torch.equal(a, b) for a, b in zip(alone, ssd(*found[:4], chunks_of(lengths, WIDTH), found[4]), strict=True))


def test_the_width_of_chunks_changes_nothing() -> None:
    lengths = [13, 1, 6]
    x, log_a, B, C, initial = inputs(lengths, 0)
    whole = ssd(x, log_a, B, C, chunks_of(lengths, 64), initial)
    for width in (1, 2, 3, 5, 13):
        for a, b in zip(whole, ssd(x, log_a, B, C, chunks_of(lengths, width), initial), strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-10)


def test_reading_in_two_halves_equals_reading_whole_at_any_cut_point() -> None:
    T = 19
    x, log_a, B, C, initial = inputs([T], 1)
    y, final = ssd(x, log_a, B, C, chunks_of([T], WIDTH), initial)
    for cut in range(T + 1):
        first, middle = ssd(x[:cut], log_a[:cut], B[:cut], C[:cut], chunks_of([cut], WIDTH), initial)
        second, last = ssd(x[cut:], log_a[cut:], B[cut:], C[cut:], chunks_of([T - cut], WIDTH), middle)
        assert torch.allclose(torch.cat([first, second]), y, rtol=0, atol=1e-10) and torch.allclose(last, final, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_segment_is_bit_identical_whatever_another_one_says(dtype: torch.dtype) -> None:
    lengths = [11, 9, 20]
    here = torch.zeros(sum(lengths), dtype=torch.bool)
    here[11:20] = True
    for seed in range(5):
        ours, theirs = inputs(lengths, seed, dtype), inputs(lengths, seed + 100, dtype)
        x, log_a, B, C = (torch.where(here.view(-1, *[1] * (a.ndim - 1)), a, b * 3) for a, b in zip(ours[:4], theirs[:4], strict=True))
        initial = torch.stack([theirs[4][0], ours[4][1], theirs[4][2]])
        y, final = ssd(*ours[:4], chunks_of(lengths, WIDTH), ours[4])
        y_edited, final_edited = ssd(x, log_a, B, C, chunks_of(lengths, WIDTH), initial)
        assert torch.equal(y[here], y_edited[here]) and torch.equal(final[1], final_edited[1])
        assert not torch.equal(y[~here], y_edited[~here])


def test_gradients_of_two_halves_equal_those_of_the_whole_at_any_cut_point() -> None:
    T = 19
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        leaves = [v.requires_grad_() for v in inputs([T], 6, dtype)]
        x, log_a, B, C, initial = leaves
        y, final = ssd(x, log_a, B, C, chunks_of([T], WIDTH), initial)
        whole = torch.autograd.grad((y**2).sum() + (final**2).sum(), leaves)
        for cut in range(T + 1):
            first, middle = ssd(x[:cut], log_a[:cut], B[:cut], C[:cut], chunks_of([cut], WIDTH), initial)
            second, last = ssd(x[cut:], log_a[cut:], B[cut:], C[cut:], chunks_of([T - cut], WIDTH), middle)
            halves = torch.autograd.grad((first**2).sum() + (second**2).sum() + (last**2).sum(), leaves)
            for a, b in zip(halves, whole, strict=True):
                assert (a - b).norm() <= tolerance * b.norm()


def test_gradients_of_one_segment_are_untouched_by_another() -> None:
    lengths = [9, 24, 2, 40]
    mine = slice(9, 33)
    gradients = []
    for seed in (1, 2):
        leaves = [v.float().requires_grad_() for v in inputs(lengths, 0)]
        others = inputs(lengths, seed)
        with torch.no_grad():
            for leaf, other in zip(leaves[:4], others[:4], strict=True):
                keep = leaf[mine].clone()
                leaf.copy_(other * 3)
                leaf[mine] = keep
        y, final = ssd(*leaves[:4], chunks_of(lengths, WIDTH), leaves[4])
        gradients.append(torch.autograd.grad((y[mine] ** 2).sum() + (final[1] ** 2).sum(), leaves))
    for a, b in zip(*gradients, strict=True):
        own = (slice(1, 2) if len(a) == len(lengths) else mine)
        assert torch.equal(a[own], b[own]) and a[own].any()
        rest = a.clone()
        rest[own] = 0
        assert not rest.any()


def test_a_segment_is_the_same_wherever_it_stands() -> None:
    x, log_a, B, C, initial = inputs([9], 2)
    y, final = ssd(x, log_a, B, C, chunks_of([9], WIDTH), initial)
    for before, after in ((0, 4), (3, 0), (30, 1)):
        other = inputs([before, 9, after], 5)
        mixed = [torch.cat([o[:before], v, o[before + 9 :]]) for v, o in zip((x, log_a, B, C), other[:4], strict=True)]
        y_among, final_among = ssd(*mixed, chunks_of([before, 9, after], WIDTH), torch.stack([other[4][0], initial[0], other[4][2]]))
        assert torch.allclose(y_among[before : before + 9], y, rtol=0, atol=1e-12) and torch.allclose(final_among[1], final[0], rtol=0, atol=1e-12)


def test_three_tokens_by_hand() -> None:
    """S: 0·1 + 2 = 2, then ½·2 + 4 = 5, then ½·5 + 0 = 2.5; y = S·C with C = 1, 3, 2. Started from 8: ½·8 more at each step."""
    x, B = torch.tensor([2.0, 4.0, 0.0]).double().view(3, 1, 1), torch.ones(3, 1).double()
    C, log_a = torch.tensor([[1.0], [3.0], [2.0]]).double(), torch.full((3, 1), math.log(0.5)).double()
    for width in (1, 2, 8):
        y, final = ssd(x, log_a, B, C, chunks_of([3], width))
        assert y.flatten().tolist() == pytest.approx([2, 15, 5]) and final.item() == pytest.approx(2.5)
        y, final = ssd(x, log_a, B, C, chunks_of([3], width), torch.full((1, 1, 1, 1), 8.0).double())
        assert y.flatten().tolist() == pytest.approx([6, 21, 7]) and final.item() == pytest.approx(3.5)


def test_a_step_is_one_token_of_the_scan() -> None:
    x, log_a, B, C, initial = inputs([1, 1, 1], 3)
    S, y = ssd_step(initial, x, log_a, B, C)
    y_scan, final = ssd(x, log_a, B, C, chunks_of([1, 1, 1], WIDTH), initial)
    assert torch.allclose(y, y_scan, rtol=0, atol=1e-12) and torch.allclose(S, final, rtol=0, atol=1e-12)


def test_chunks_hold_every_token_once_and_never_two_segments() -> None:
    for lengths in SHAPES:
        chunks, total = chunks_of(lengths, WIDTH), sum(lengths)
        segment = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        held = chunks.index_KQ[chunks.index_KQ < total]
        assert held.tolist() == list(range(total))
        for row, owner in zip(chunks.index_KQ, chunks.segment_K, strict=True):
            assert set(segment[row[row < total]].tolist()) == {int(owner)}
        values = torch.randn(total, 2, generator=torch.Generator().manual_seed(0))
        assert torch.equal(from_chunks(to_chunks(values, chunks), chunks), values)
