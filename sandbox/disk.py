"""Files and folders that are there whole or not at all: written beside their place, synced, renamed into it; nothing is left when that fails.
Whether one is still as it was left its hash says."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REMEDY = "; is the disk full? free some room, then go on"


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Where to write a file, which then takes the place of `path`."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def placed_folder(folder: Path) -> Iterator[Path]:
    """Where to make a folder, which then is called `folder`; an older one of that name gives way."""
    part, old = folder.with_name(f"{folder.name}.part"), folder.with_name(f"{folder.name}.old.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed while it wrote
    try:
        made_folder(folder.parent)
        part.mkdir()
        yield part
        if folder.exists():  # no file system renames over a folder that holds something
            shutil.rmtree(old, ignore_errors=True)
            os.rename(folder, old)
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        raise
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)  # not before the newer one is on disk


def made_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing; the name of each is on disk when this returns."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(missing):
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was made, renamed and removed in a folder is on disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def plain_bytes(path: Path) -> bytes:
    """What a file holds. Raises `ValueError` for a pipe or a device, which would be waited for, `OSError` where it cannot be read."""
    if path.exists() and not path.is_file():
        raise ValueError("no plain file")
    return path.read_bytes()


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refused(error: OSError) -> str:
    """What a file system refused, in a line: the file, why, and the remedy if it is a full disk."""
    where = f"{error.filename}: " if isinstance(error.filename, str) else ""
    return f"{where}{error.strerror or ' '.join(str(error).split())[:160]}{REMEDY if error.errno in FULL else ''}"
