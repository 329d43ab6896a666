"""Tensors as files: what was written is read again, and what the file system refuses is told as of any other file."""

import errno
import resource

import pytest
import torch
from safetensors import SafetensorError, safe_open

from sociallm import tensor_files
from sociallm.tensor_files import save_tensors


def test_what_was_written_is_read_again(tmp_path):
    tensors = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2])}
    save_tensors(tensors, tmp_path / "x.safetensors", {"kind": "test"})
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        assert file.metadata() == {"kind": "test"} and all(torch.equal(file.get_tensor(name), one) for name, one in tensors.items())


def test_a_file_that_may_not_grow_is_an_error_of_the_system(tmp_path):
    """As on a full disk, by a limit of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError) as refused:
            save_tensors({"a": torch.zeros(1 << 16)}, tmp_path / "x.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.errno == errno.EFBIG and str(tmp_path / "x.safetensors") in str(refused.value)


def test_a_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError) as refused:
        save_tensors({"a": torch.zeros(1)}, tmp_path / "none" / "x.safetensors")
    assert refused.value.errno == errno.ENOENT


def test_what_is_no_fault_of_the_system_stays_what_it_is(tmp_path):
    with pytest.raises(Exception) as refused:
        save_tensors({"a": torch.zeros(2).to_sparse()}, tmp_path / "x")
    assert not isinstance(refused.value, OSError)


def test_an_error_of_the_library_that_names_none_of_the_system_stays_its_own(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise SafetensorError("no such dtype")

    monkeypatch.setattr(tensor_files, "save_file", refuse)
    with pytest.raises(SafetensorError, match="no such dtype"):
        save_tensors({}, tmp_path / "x")
