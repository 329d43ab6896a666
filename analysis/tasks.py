"""Work on many runs at once: processes of one thread each, which is fastest where each has its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext


def processes(tasks: int, begin: Callable[[], None] | None = None) -> AbstractContextManager[Executor | None]:
    """A pool of so many processes; none for one task, whose work is done here. `begin` is called first in each (by default: one thread for torch)."""
    if tasks < 2:
        return nullcontext()
    return ProcessPoolExecutor(tasks, mp_context=multiprocessing.get_context("spawn"), initializer=begin or one_thread)


def one_thread() -> None:
    """One thread for whatever library of numbers a detector will load. Set before any is."""
    import os

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
