"""Checkpoints: what is saved comes back, and whatever is damaged, exchanged or not ours is refused whole, in one line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sociallm import checkpoint
from sociallm.checkpoint import CheckpointError, checkpoint_hash, digest, load, resolve, save, shared
from sociallm.conversation import Message
from sociallm.encode import encode, slots_of
from sociallm.layout import SociaLLMConfig, reads_of, sequence_of
from sociallm.model import build
from sociallm.tokenizer import Tokenizer
from tests.sociallm.small import AGENTS, LINES, PUBLIC, model_of, saved, tokenizer_of

pytestmark = pytest.mark.security(line="S3")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(saved(tmp_path_factory.mktemp("whole") / "tiny"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def refused(folder: Path) -> str:
    """What is said of a checkpoint that is refused: one line that names the folder."""
    with pytest.raises(CheckpointError) as error:
        load(str(folder))
    said = str(error.value)
    assert "\n" not in said and str(folder) in said and len(said) < 500 + len(str(folder))
    return said


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit config.json, its hashes brought up to date."""
    value = json.loads((folder / "config.json").read_text())
    value["sha256"] = {name: digest(folder / name) for name in ("model.safetensors", "tokenizer.json")}
    change(value)
    (folder / "config.json").write_text(json.dumps(value))


def test_a_saved_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model, tokenizer = model_of("sum", vocabulary=tokenizer_of().vocabulary, dtype=torch.float32), tokenizer_of()
    save(tmp_path / "deep" / "m", model, tokenizer, {"why": "test"})
    again = load(str(tmp_path / "deep" / "m"))
    assert asdict(again.model.config) == asdict(model.config)
    assert all(torch.equal(v, again.model.state_dict()[k]) for k, v in model.state_dict().items()) and len(model.state_dict()) > 40
    assert again.tokenizer.encode_text("shall we go") == tokenizer.encode_text("shall we go")
    assert json.loads((tmp_path / "deep" / "m" / "config.json").read_text())["notes"] == {"why": "test"}


def test_a_loaded_model_is_complete_and_asks_for_no_gradients(whole: Path) -> None:
    model = load(str(whole)).model
    assert not model.training and not any(p.requires_grad or p.is_meta for p in model.parameters())


def test_a_checkpoint_is_named_by_the_hash_of_its_weights(whole: Path) -> None:
    assert load(str(whole)).sha256 == checkpoint_hash(str(whole)) == digest(whole / "model.safetensors")


def test_saving_the_same_twice_gives_the_same_files(whole: Path, tmp_path: Path) -> None:
    saved(tmp_path / "again")
    assert {p.name for p in whole.iterdir()} == {"model.safetensors", "config.json", "tokenizer.json"}
    assert all((tmp_path / "again" / p.name).read_bytes() == p.read_bytes() for p in whole.iterdir())


def test_shared_gives_one_object(whole: Path) -> None:
    assert shared(str(whole)) is shared(str(whole)) is not load(str(whole))


def test_a_shared_model_is_settled_and_computes_the_same_to_the_bit(whole: Path) -> None:
    """What is kept is not used once somebody asks for a gradient of the weights, and stands in no file."""
    settled, plain = shared(str(whole)), load(str(whole))
    sequence = sequence_of([[[5, 6, 7, 8, 9]], [[7, 8], [9, 9, 9]]], plain.model.config)
    assert settled.model.state_dict().keys() == plain.model.state_dict().keys()
    found = []
    with torch.no_grad():
        for model in (settled.model, plain.model):
            public = model.public(sequence)
            found.append([*public.residual, model.read(public, reads_of([0, 1, 2], sequence, model.config), model.empty_state(3), model.empty_state(3))])
            for block in (*model.local, *model.social):  # a gain that nobody settled again
                block.out_proj.weight.mul_(2)
            found[-1].append(model.public(sequence).residual[-1])
    assert all(torch.equal(a, b) for a, b in zip(found[0][:-1], found[1][:-1], strict=True)) and not torch.equal(found[0][-1], found[1][-1])
    with torch.no_grad():
        assert torch.equal(settled.model.requires_grad_(True).public(sequence).residual[-1], found[1][-1])
    shared.cache_clear()


def test_a_name_without_a_folder_is_refused(tmp_path: Path) -> None:
    assert "no checkpoint folder there; give a path, or one of" in refused(tmp_path / "none")
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file")


def test_a_name_resolves_to_a_shipped_folder_or_a_path(whole: Path) -> None:
    assert resolve(str(whole)) == whole
    for shipped in filter(Path.is_dir, checkpoint.SHIPPED.iterdir()):  # beside them lies evaluation.json
        assert resolve(shipped.name) == shipped


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_refused(file: str, folder: Path) -> None:
    (folder / file).unlink()
    said = refused(folder)
    assert file in said and "missing" in said


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_any_flipped_byte_is_refused(file: str, folder: Path) -> None:
    data = (folder / file).read_bytes()
    for place in (0, 9, len(data) // 2, len(data) - 1):
        (folder / file).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert "SHA-256 differs" in refused(folder)


def test_truncated_weights_are_refused_whatever_the_hash_says(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    for length in (0, 4, 100, len(data) - 1):
        (folder / "model.safetensors").write_bytes(data[:length])
        assert "SHA-256 differs" in refused(folder)
        fitting = shutil.copytree(folder, folder.parent / f"fitting{length}")
        rewrite(fitting, lambda value: None)
        assert "not a safetensors file" in refused(fitting)


def test_a_pickle_named_as_weights_is_refused_unopened(folder: Path) -> None:
    trap = folder / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (trap,))

    torch.save({"embedding.weight": torch.zeros(3), "x": Trap()}, folder / "model.safetensors")
    rewrite(folder, lambda value: None)
    assert "not a safetensors file" in refused(folder)
    assert not trap.exists()


@pytest.mark.parametrize("change", ["half", "double", "missing", "extra", "shape", "name", "nan"])
def test_weights_that_do_not_fit_are_refused(change: str, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    key = "embedding.weight"
    edited = {
        "half": {k: v.half() for k, v in tensors.items()},
        "double": tensors | {key: tensors[key].double()},
        "missing": {k: v for k, v in tensors.items() if k != key},
        "extra": tensors | {"more": torch.zeros(1)},
        "shape": tensors | {key: tensors[key].T.contiguous()},
        "name": {("x" if k == key else k): v for k, v in tensors.items()},
        "nan": tensors | {key: tensors[key].index_fill(0, torch.tensor(5), torch.nan)},
    }[change]
    save_file(edited, folder / "model.safetensors")
    rewrite(folder, lambda value: None)
    assert ("numbers that are not finite" if change == "nan" else "do not fit") in refused(folder)


HEADERS = {
    "a header longer than the file": (2**60).to_bytes(8, "little"), "a long header": (10**8).to_bytes(8, "little") + b"{}", "brackets": b"[" * 1000,
    "no such type": b'{"a":{"dtype":"ZZ","shape":[1],"data_offsets":[0,4]}}', "fewer than none": b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    "more than can be counted": b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}',
    "four bits": b'{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}', "eight bits": b'{"a\\nb":{"dtype":"F8_E5M2","shape":[4],"data_offsets":[0,4]}}',
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADERS)
def test_weights_with_a_hostile_header_are_refused(kind: str, folder: Path) -> None:
    header = HEADERS[kind]
    whole_ = header + b"1234" if header[:1] != b"{" and header[:1] != b"[" else len(header).to_bytes(8, "little") + header + b"1234"
    (folder / "model.safetensors").write_bytes(whole_)
    rewrite(folder, lambda value: None)
    assert "model.safetensors" in refused(folder)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_is_no_file_is_refused_unread(file: str, folder: Path) -> None:
    """A device that never ends, a pipe nobody writes to, a link to itself, a link to nothing, a folder."""
    for make in (
        lambda p: p.symlink_to("/dev/zero"), os.mkfifo, lambda p: p.symlink_to(p.name), lambda p: p.symlink_to("nothing"), Path.mkdir,
    ):  # fmt: skip
        (folder / file).unlink() if not (folder / file).is_dir() else (folder / file).rmdir()
        make(folder / file)
        assert file in refused(folder)


def test_a_loaded_model_does_not_follow_its_file(folder: Path) -> None:
    """What was verified is what is used, whatever is written over it later."""
    model = load(str(folder)).model
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with open(folder / "model.safetensors", "r+b") as f:
        f.write(b"\x01" * (folder / "model.safetensors").stat().st_size)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("text", ["", "{", "nul", "[]", "5", '{"v": 1', "\x00", "[" * 100_000, '{"v": 2, "model": {}}', '{"v": 1}', '{"v": 1, "model": 5}'])
def test_a_config_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    assert "config.json" in refused(folder)


def test_a_config_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00{}")
    assert "config.json" in refused(folder)


@pytest.mark.parametrize(
    "key, value, word",
    [
        ("width", -16, "width is -16, expected"), ("width", 0, "width is 0"), ("width", 16.0, "width is 16.0"), ("width", True, "width is True"),
        ("width", "16", "width is '16'"), ("width", None, "width is None"), ("layers", 10**6, "layers is 1000000"), ("heads", 4, "unknown model setting 'heads'"),
        ("fusion", "mean", "expected one of heads, sum"), ("fusion", 5, "expected one of heads, sum"), ("width", 17, "do not fit"), ("layers", 3, "do not fit"),
        ("vocabulary", 10**18, "vocabulary is"), ("__class__", "x", "unknown model setting"), ("k" * 10_000, 1, "unknown model setting"),
        ("fusion", "x" * 10_000, "expected one of heads, sum"), ("local_chunk", 1 << 20, "expected a whole number from 1 to 4096"),
        ("social_chunk", -1, "social_chunk is -1"), ("social_every", -1, "expected a whole number from 0"), ("width", float("nan"), "width is nan"),
    ],
)  # fmt: skip
def test_a_model_setting_that_cannot_be_is_refused(key: str, value: object, word: str, folder: Path) -> None:
    rewrite(folder, lambda config: config["model"].update({key: value}))
    assert word in refused(folder)


@pytest.mark.parametrize(
    "huge",
    [
        dict.fromkeys(("width", "vocabulary", "local_heads", "local_head_width", "social_heads", "social_head_width"), 1 << 20),
        {"local_heads": 1 << 10, "local_head_width": 1 << 7, "local_state": 1 << 10},  # 2^27 numbers, of weights that would fit a small file
        {"social_heads": 1 << 13, "social_head_width": 1 << 13, "social_state": 2},
    ],
)
def test_sizes_whose_products_cannot_be_counted_are_refused(huge: dict[str, int], folder: Path) -> None:
    rewrite(folder, lambda config: config["model"].update(huge))
    assert "no model can have these sizes" in refused(folder)


def test_a_version_of_any_length_is_one_short_line(folder: Path) -> None:
    rewrite(folder, lambda config: config.update(v="x" * 10_000))
    assert "this program reads 1" in refused(folder)


@pytest.mark.parametrize("hashes", [None, {}, {"model.safetensors": "0" * 64}, {"model.safetensors": 5, "tokenizer.json": None}, [], "x"])
def test_hashes_must_be_there(hashes: object, folder: Path) -> None:
    rewrite(folder, lambda value: value.update(sha256=hashes))
    assert "restore the file" in refused(folder)
    with pytest.raises(CheckpointError):
        checkpoint_hash(str(folder))


def test_hashes_must_be_true(folder: Path) -> None:
    rewrite(folder, lambda value: value["sha256"].update({"tokenizer.json": "0" * 64}))
    assert "SHA-256 differs" in refused(folder)


def test_a_tokenizer_of_another_size_is_refused(folder: Path) -> None:
    Tokenizer.train(LINES, vocabulary=330).save(folder / "tokenizer.json")
    rewrite(folder, lambda value: None)
    assert "the tokenizer has 330 tokens, the model" in refused(folder)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": "1.0"}'])
def test_a_tokenizer_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / "tokenizer.json").write_text(text)
    rewrite(folder, lambda value: None)
    assert "tokenizer.json" in refused(folder)


def test_a_tokenizer_of_others_is_refused(folder: Path) -> None:
    """Well-formed, but its first tokens are not our special ones."""
    form = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = form["model"]["vocab"]
    vocabulary["<end>"], vocabulary["<pad>"] = vocabulary["<pad>"], vocabulary["<end>"]
    (folder / "tokenizer.json").write_text(json.dumps(form))
    rewrite(folder, lambda value: None)
    assert "tokenizer.json" in refused(folder)


@pytest.mark.parametrize("conv", [1, 2, 4])
def test_any_width_of_the_convolution_can_be_loaded_and_read_with(conv: int, tmp_path: Path) -> None:
    tokenizer = tokenizer_of()
    config = SociaLLMConfig(vocabulary=tokenizer.vocabulary, width=8, layers=1, local_heads=1, local_head_width=8, social_heads=1, conv=conv)
    save(tmp_path / "m", build(config, torch.Generator().manual_seed(0)), tokenizer, {})
    local = None
    for k in range(2):
        local, _ = encode(load(str(tmp_path / "m")), slots_of(AGENTS), local, Message(id=str(k), author="ann", channel=PUBLIC, time=k, text="go to Munich"))
    assert local.layers[0][1].shape[1] == conv - 1
