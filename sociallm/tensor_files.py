"""Tensors written as safetensors; what the file system refuses is an `OSError`, as of any other file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

REFUSED = re.compile(r"\(os error (\d{1,4})\)")  # how the library, which is written in Rust, tells what the system said


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write them. Raises `OSError`."""
    try:
        save_file(dict(tensors), path, metadata=None if metadata is None else dict(metadata))
    except SafetensorError as error:
        if (number := REFUSED.search(str(error))) is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from None
