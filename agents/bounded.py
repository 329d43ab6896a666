"""Files that a user names, read as far as they are allowed to be long, so that none can fill the memory or keep a run waiting."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class TooLong(ValueError):
    """The file holds more than it may."""


def read_bounded(path: str | Path, most: int) -> bytes:
    """All of a plain file of at most `most` bytes. Raises `TooLong`; OSError, with `strerror`, for what cannot be read or is a pipe or a device,
    which may never end; ValueError for what is no name of a file."""
    kind = os.stat(path).st_mode
    if not stat.S_ISREG(kind):
        code = errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL
        raise OSError(code, os.strerror(code) if code == errno.EISDIR else "Not a plain file")
    with open(path, "rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise TooLong(f"more than {most} bytes")
    return raw
