"""The fused kernels are given the same scan: their arguments, fed to what they document, give the recurrence; the import is guarded.

Only the last test runs on a GPU. The one before it runs the very kernels on the CPU, slowly, in Triton's interpreter.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sociallm import kernels
from sociallm.chunks import chunks_of
from sociallm.kernels import CHUNK, arguments_of, fused, rows_of
from sociallm.ssd import ssd, ssd_reference
from tests.sociallm.test_ssd import H, N, P, inputs

CPU = torch.device("cpu")
SHAPES = [[], [0], [1], [0, 0], [CHUNK], [CHUNK - 1, CHUNK, CHUNK + 1], [1, 0, 3 * CHUNK, 5, CHUNK + 1, 2, 0], [1] * 5]
INTERPRETED = """
import contextlib, sys, types, warnings
import torch
warnings.simplefilter("ignore")
torch.cuda.device = lambda index: contextlib.nullcontext()
torch.cuda.get_device_properties = lambda device: types.SimpleNamespace(multi_processor_count=1)
from sociallm import kernels
scan, why = kernels.imported()
assert scan is not None, why
assert not [name for name in sys.modules if name.split(".")[0] == "mamba_ssm"]
from tests.sociallm.test_kernels import worst_error
print(worst_error(scan, [1, 0, kernels.CHUNK + 1, 3], torch.device("cpu")))
"""


def documented(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, chunk_size: int, initial_states: Tensor, return_final_states: bool) -> tuple[Tensor, Tensor]:
    """What mamba_chunk_scan_combined says it computes, token by token, for one group of heads."""
    assert return_final_states and chunk_size >= 16 and chunk_size & (chunk_size - 1) == 0
    S, y = initial_states, []
    for t in range(x.shape[1]):
        write = (dt[:, t, :, None] * x[:, t])[..., None] * B[:, t, 0][:, None, None]
        S = (dt[:, t] * A).exp()[..., None, None] * S + write
        y.append((S * C[:, t, 0][:, None, None]).sum(-1))
    return torch.stack(y, 1), S


def worst_error(scan: kernels.Scan, lengths: list[int], device: torch.device) -> float:
    """The largest relative error of `fused` in single precision, values and gradients, against the recurrence in double."""
    leaves = [v.float().to(device).requires_grad_() for v in inputs(lengths, 0)]
    exact = [v.detach().double().cpu().requires_grad_() for v in leaves]
    results = []
    for x, log_a, B, C, initial in (leaves, exact):
        run = fused(scan, x, log_a, B, C, lengths, initial) if x is leaves[0] else ssd_reference(x, log_a, B, C, lengths, initial)
        draw = torch.Generator().manual_seed(9)
        weights = [torch.randn(v.shape, generator=draw, dtype=torch.float64).to(v) for v in run]
        value = sum((v * w).sum() for v, w in zip(run, weights, strict=True))
        results.append([v.detach().double().cpu() for v in (*run, *torch.autograd.grad(value, [x, log_a, B, C, initial]))])
    return max(float((a - b).norm() / b.norm()) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("lengths", SHAPES)
def test_the_mapped_arguments_give_the_recurrence(lengths: list[int]) -> None:
    for seed in range(2):
        x, log_a, B, C, initial = inputs(lengths, seed)
        slow = ssd_reference(x, log_a, B, C, lengths, initial)
        for a, b in zip(fused(documented, x, log_a, B, C, lengths, initial), slow, strict=True):
            assert a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-10)
        single = fused(documented, x.float(), log_a.float(), B.float(), C.float(), lengths, initial.float())
        for a, b in zip(single, slow, strict=True):
            assert a.dtype == torch.float32 and (a.double() - b).norm() <= 1e-5 * b.norm()


@pytest.mark.parametrize("lengths", [[1], [5, 0, CHUNK + 1, 2]])
def test_gradients_pass_through_the_mapping(lengths: list[int]) -> None:
    leaves = [v.requires_grad_() for v in inputs(lengths, 1)]
    x, log_a, B, C, initial = leaves
    gradients = []
    for y, final in (fused(documented, x, log_a, B, C, lengths, initial), ssd_reference(x, log_a, B, C, lengths, initial)):
        gradients.append(torch.autograd.grad((y**2).sum() + (final**3).sum(), leaves))
    for a, b in zip(*gradients, strict=True):
        assert (a - b).norm() <= 1e-10 * b.norm()
    assert worst_error(documented, lengths, CPU) <= 1e-5


def test_two_tokens_by_hand() -> None:
    """a = ½, then ¼: steps ln 2 and 2 ln 2 under A = -1; x = 3 and 5 divided by them; the row of one is filled up with nothing."""
    x, B = torch.tensor([3.0, 5.0, 7.0]).double().view(3, 1, 1), torch.ones(3, 1).double()
    log_a = torch.tensor([0.5, 0.25, 0.5]).double().log()[:, None]
    (rows,) = rows_of([2, 1], CPU)
    assert rows.segment_R.tolist() == [0, 1] and rows.index_RL.tolist() == [[0, 1], [2, 3]]
    a = arguments_of(x, log_a, B, 2 * B, rows, torch.zeros(2, 1, 1, 1).double())
    two = math.log(2)
    assert a.A.tolist() == [-1.0]
    assert a.dt.flatten().tolist() == pytest.approx([two, 2 * two, two, 2.0**-60])
    assert a.x.flatten().tolist() == pytest.approx([3 / two, 5 / (2 * two), 7 / two, 0.0])
    assert a.B.flatten().tolist() == [1, 1, 1, 0] and a.C.flatten().tolist() == [2, 2, 2, 0]
    y, final = documented(**vars(a))
    assert y.flatten().tolist() == pytest.approx([6, 11.5, 14, 0]) and final.flatten().tolist() == pytest.approx([5.75, 7])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_steps_that_vanish_and_decays_that_are_total_stay_exact(dtype: torch.dtype) -> None:
    lengths = [7, 2]
    x, _, B, C, initial = inputs(lengths, 3, dtype)
    log_a = torch.tensor([0.0, -1e-40, -1e-30, -1e-8, -200.0, -1e4, 0.0, 0.0, -1.0], dtype=dtype)[:, None].expand(-1, H).contiguous().requires_grad_()
    y, final = fused(documented, x, log_a, B, C, lengths, initial)
    y_slow, final_slow = ssd_reference(*(v.detach().double() for v in (x, log_a, B, C)), lengths, initial.double())
    for a, b in ((y, y_slow), (final, final_slow)):
        assert (a.detach().double() - b).norm() <= (1e-10 if dtype == torch.float64 else 1e-5) * b.norm()
    (gradient,) = torch.autograd.grad((y**2).sum() + final.sum(), log_a)
    assert gradient.isfinite().all() and not gradient[0].any() and gradient[8].all()


def test_rows_hold_every_token_once_and_are_at_least_half_full() -> None:
    for lengths in [*SHAPES, [1, 700, 3, 64, 65, 128, 129, 300, 0, 90]]:
        total, seen, segments = sum(lengths), [], []
        starts = [sum(lengths[:g]) for g in range(len(lengths))]
        for rows in rows_of(lengths, CPU):
            for g, row in zip(rows.segment_R.tolist(), rows.index_RL.tolist(), strict=True):
                held = [t for t in row if t < total]
                assert held == list(range(starts[g], starts[g] + lengths[g]))
                assert len(row) <= max(CHUNK, 2 * -(-lengths[g] // CHUNK) * CHUNK)
                seen += held
                segments.append(g)
        assert sorted(seen) == list(range(total)) and sorted(segments) == [g for g, n in enumerate(lengths) if n]


def test_what_one_segment_says_never_enters_anothers_row() -> None:
    lengths = [5, 9, CHUNK + 3]
    ours, theirs = inputs(lengths, 0), inputs(lengths, 1)
    here = torch.zeros(sum(lengths), dtype=torch.bool)
    here[5:14] = True
    mixed = [torch.where(here.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(ours[:4], theirs[:4], strict=True)]
    initial = torch.stack([theirs[4][0], ours[4][1], theirs[4][2]])
    y, final = fused(documented, *ours[:4], lengths, ours[4])
    y_edited, final_edited = fused(documented, *mixed, lengths, initial)
    assert torch.equal(y[here], y_edited[here]) and torch.equal(final[1], final_edited[1]) and not torch.equal(final[2], final_edited[2])


def package(folder: Path, name: str, leaf: str) -> None:
    """A package as mamba-ssm is: its own `__init__` cannot run here, a module inside it may."""
    (folder / name / "ops").mkdir(parents=True)
    (folder / name / "__init__.py").write_text("import selective_scan_cuda_is_not_here\n")
    (folder / name / "ops" / "__init__.py").write_text("")
    (folder / name / "ops" / "near.py").write_text("FACTOR = 3\n")
    (folder / name / "ops" / "leaf.py").write_text(leaf)


def test_a_module_is_imported_without_its_package_and_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "broken_at_the_top", "from broken_at_the_top.ops.near import FACTOR\n\ndef triple(x):\n    return FACTOR * x\n")
    package(tmp_path, "broken_within", "import broken_within.ops.near\nimport triton_is_not_here\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    assert kernels._import("broken_at_the_top.ops.leaf").triple(4) == 12
    with pytest.raises(ImportError, match="triton_is_not_here"):
        kernels._import("broken_within.ops.leaf")
    with pytest.raises(ImportError, match="no_such_package"):
        kernels._import("no_such_package.ops.leaf")
    assert set(sys.modules) == before
    with pytest.raises(ImportError, match="selective_scan_cuda_is_not_here"):  # an import of the package itself is answered as ever
        importlib.import_module("broken_at_the_top")


def test_one_line_says_why_the_kernels_do_not_run() -> None:
    assert kernels.why_not(CPU) == "the fused kernels need a CUDA device, this is 'cpu'" and not kernels.available(CPU)
    assert "this is torch.float64" in kernels.why_not(torch.device("cuda", 0), torch.float64)
    before = {name for name in sys.modules if name.split(".")[0] == "mamba_ssm"}
    scan, why = kernels.imported()
    assert kernels.why_not(torch.device("cuda", 0)) == why and (scan is None) == bool(why)
    if scan is None:
        assert "\n" not in why and "pip install --no-build-isolation --no-deps mamba-ssm" in why
        assert any(f"No module named '{name}'" in why for name in ("mamba_ssm", "triton", "einops", "packaging"))
    assert {name for name in sys.modules if name.split(".")[0] == "mamba_ssm"} == before


def installed(*names: str) -> None:
    """Skip unless these packages are there."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (see the extra `cuda`)")


def test_the_arguments_go_by_the_names_of_the_installed_mamba_ssm() -> None:
    installed("mamba_ssm")
    (folder,) = importlib.util.find_spec("mamba_ssm").submodule_search_locations
    tree = ast.parse((Path(folder) / "ops" / "triton" / "ssd_combined.py").read_text())
    (function,) = [f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == "mamba_chunk_scan_combined"]
    names, defaults = [a.arg for a in function.args.args], len(function.args.defaults)
    (rows,) = rows_of([2], CPU)
    given = vars(arguments_of(*inputs([2], 0)[:4], rows, inputs([2], 0)[4]))
    assert set(names[:-defaults]) <= set(given) <= set(names)


def test_the_kernels_themselves_agree_in_tritons_interpreter() -> None:
    installed("mamba_ssm", "triton", "einops")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "MAMBA_DETERMINISTIC": "1"}  # deterministic: one setting each, nothing to time
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", INTERPRETED], cwd=root, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) <= 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("lengths", SHAPES[1:])
def test_on_a_gpu_the_kernels_agree_with_the_recurrence(lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_F32_DEFAULT", "ieee")  # else Triton multiplies fp32 as TF32, with ten bits
    device = torch.device("cuda")
    if not kernels.available(device):
        pytest.skip(kernels.why_not(device))
    if sum(lengths):
        assert worst_error(kernels.imported()[0], lengths, device) <= 1e-4
    x, log_a, B, C, initial = (v.float().to(device) for v in inputs(lengths, 2))
    y, final = ssd(x, log_a, B, C, chunks_of(lengths, 8), initial)
    y_slow, final_slow = ssd_reference(*(v.double().cpu() for v in (x, log_a, B, C)), lengths, initial.double().cpu())
    assert y.shape == (sum(lengths), H, P) and final.shape == (len(lengths), H, P, N)
    for a, b in ((y, y_slow), (final, final_slow)):
        assert (a.double().cpu() - b).norm() <= 1e-4 * b.norm()
