"""Files are read whole up to their limit, and nothing that may never end is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents.bounded import TooLong, read_bounded


def test_a_file_at_its_limit_is_read_whole_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5) == b"12345" and read_bounded(str(file), 100) == b"12345"
    with pytest.raises(TooLong, match="more than 4 bytes"):
        read_bounded(file, 4)


def test_a_pipe_a_device_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes: a reader would wait for ever
    for path, why in ((tmp_path / "pipe", "plain file"), (Path("/dev/zero"), "plain file"), (tmp_path, "directory"), (tmp_path / "none", "No such file")):
        with pytest.raises(OSError, match=why) as found:
            read_bounded(path, 5)
        assert found.value.strerror
    with pytest.raises(ValueError, match="null"):
        read_bounded("a\0b", 5)
