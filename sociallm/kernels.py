"""The scan of `ssd.py` on CUDA: mamba-ssm's fused Triton kernels (Dao & Gu 2024, arXiv 2405.21060; `mamba_chunk_scan_combined`).

The one place that touches mamba-ssm, which is optional (the extra `cuda`). Its kernels compute, for each row r and head h,

    S_t = exp(dt_t A) S_{t-1} + dt_t x_t B_t^T,   y_t = S_t C_t,   from initial_states[r] to final_states[r]

while ours take x already times its step, and log a. So A = -1, dt = -log a and x is divided by dt: both products come out as they
went in. Every segment is a row of its own, because the kernels know one initial state a row and have no gradient for the final
states of packed segments; rows of similar length share a call, so that filling up costs less than the tokens themselves.

Letters in shapes: T tokens, G segments, R rows of a call, L tokens a row, H heads, P head width, N state width.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MODULE = "mamba_ssm.ops.triton.ssd_combined"
CHUNK = 64  # tokens a chunk inside the kernels: a power of two, and the unit in which rows are filled up
LEAST_STEP = 2.0**-60  # a decay of exp(-2^-60) is none at all, in double precision too, and dividing by a power of two is exact
DTYPES = (torch.float32, torch.bfloat16)  # the kernels add up in fp32; x / dt may leave the range of fp16

Scan = Callable[..., Any]  # mamba_chunk_scan_combined


@cache
def imported() -> tuple[Scan | None, str]:
    """(the fused scan, "") or (None, one line that says why not and what to do)."""
    try:
        return _import(MODULE).mamba_chunk_scan_combined, ""
    except (ImportError, AttributeError, RuntimeError) as error:
        return None, (
            f"mamba-ssm's Triton kernels cannot be imported ({error}); the slower PyTorch scan is used. Remedy: MAMBA_FORCE_BUILD=TRUE "
            "MAMBA_SKIP_CUDA_BUILD=TRUE pip install --no-build-isolation --no-deps mamba-ssm==2.3.2.post1, and pip install einops triton"
        )


def _import(name: str) -> Any:
    """A module of a package without the package's own `__init__`: mamba-ssm's imports `selective_scan_cuda`, a compiled extension that
    only Mamba-1 needs. Nothing of it stays in `sys.modules`, so another `import mamba_ssm` is answered as if this had not happened."""
    if name in sys.modules:
        return sys.modules[name]
    package = name.partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(f"No module named {package!r}")
    before = {k: v for k, v in sys.modules.items() if k.partition(".")[0] == package}
    try:
        sys.modules.setdefault(package, importlib.util.module_from_spec(spec))  # knows its folder; its code has not run
        return importlib.import_module(name)
    finally:
        for key in [k for k in sys.modules if k.partition(".")[0] == package and k not in before]:
            del sys.modules[key]


def why_not(device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """Why the fused kernels do not run on this device with numbers of this type, in one line; empty when they do."""
    if device.type != "cuda":
        return f"the fused kernels need a CUDA device, this is {str(device)!r}"
    if dtype not in DTYPES:
        return f"the fused kernels take {' and '.join(str(d) for d in DTYPES)}, this is {dtype}"
    return imported()[1]


def available(device: torch.device, dtype: torch.dtype = torch.float32) -> bool:
    """Whether `fused` can run there; `why_not` has the reason."""
    return not why_not(device, dtype)


@dataclass(frozen=True)
class Rows:
    """Segments of similar length, one a row."""

    segment_R: Tensor
    index_RL: Tensor  # place of each token in the flat sequence, T where a row is not full


def rows_of(lengths: Sequence[int], device: torch.device) -> list[Rows]:
    """All segments that have tokens, by the power of two of CHUNK tokens that holds them."""
    n = np.asarray(lengths, np.int64)
    starts, total = n.cumsum() - n, int(n.sum())
    doublings = np.ceil(np.log2(np.maximum(-(-n // CHUNK), 1))).astype(int)
    rows = []
    for d in np.unique(doublings[n > 0]):
        segment = np.flatnonzero((n > 0) & (doublings == d))
        offset = np.arange(n[segment].max())
        index = np.where(offset < n[segment, None], starts[segment, None] + offset, total)
        rows.append(Rows(torch.from_numpy(segment).to(device), torch.from_numpy(index).to(device)))
    return rows


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call of `mamba_chunk_scan_combined`, by its own names."""

    x: Tensor  # [R, L, H, P]
    dt: Tensor  # [R, L, H]
    A: Tensor  # [H]
    B: Tensor  # [R, L, 1, N]
    C: Tensor  # [R, L, 1, N]
    initial_states: Tensor  # [R, H, P, N]
    chunk_size: int = CHUNK
    return_final_states: bool = True


def arguments_of(x_THP: Tensor, log_a_TH: Tensor, B_TN: Tensor, C_TN: Tensor, rows: Rows, initial_GHPN: Tensor) -> Arguments:
    """Our scan over these rows in mamba-ssm's terms. Tokens that fill a row up have x = 0 and a step too small to decay anything.

    No gradient reaches a log a above -LEAST_STEP (the step it stands for is then 0 as well).
    """

    def laid(v_T: Tensor) -> Tensor:
        padded = F.pad(v_T.flatten(1), (0, 0, 0, 1))
        return padded.index_select(0, rows.index_RL.flatten()).view(*rows.index_RL.shape, *v_T.shape[1:])

    exact = torch.promote_types(log_a_TH.dtype, torch.float32)
    dt = laid(-log_a_TH.to(exact)).clamp(min=LEAST_STEP)
    return Arguments(
        x=(laid(x_THP) / dt[..., None]).to(x_THP.dtype),
        dt=dt,
        A=dt.new_full((x_THP.shape[1],), -1.0),
        B=laid(B_TN)[:, :, None],
        C=laid(C_TN)[:, :, None],
        initial_states=initial_GHPN.index_select(0, rows.segment_R),
    )


def fused(
    scan: Scan, x_THP: Tensor, log_a_TH: Tensor, B_TN: Tensor, C_TN: Tensor, lengths: Sequence[int], initial_GHPN: Tensor
) -> tuple[Tensor, Tensor]:
    """`ssd` by `scan`, which is mamba_chunk_scan_combined or anything of its meaning: (y [T,H,P], final states [G,H,P,N])."""
    T, place_T, ys, final = x_THP.shape[0], torch.empty(x_THP.shape[0], dtype=torch.long, device=x_THP.device), [], initial_GHPN
    laid = 0
    for rows in rows_of(lengths, x_THP.device):
        arguments = arguments_of(x_THP, log_a_TH, B_TN, C_TN, rows, initial_GHPN)
        y_RLHP, final_RHPN = scan(**vars(arguments))
        ys.append(y_RLHP.flatten(0, 1).to(x_THP.dtype))
        final = final.index_copy(0, rows.segment_R, final_RHPN.to(final.dtype))
        index = rows.index_RL.flatten()
        real = (index < T).nonzero()[:, 0]
        place_T[index[real]] = real + laid
        laid += len(index)
    return (torch.cat(ys).index_select(0, place_T) if ys else x_THP), final
