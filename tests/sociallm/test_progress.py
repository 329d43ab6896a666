"""A training that is killed and started again is one that never was killed: same weights, same curve but for the speed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sociallm import checkpoint
from sociallm.batches import encode_conversation
from sociallm.model import SociaLLM
from sociallm.progress import CURVE, FILE
from sociallm.train import train
from sociallm.training import TrainConfig
from tests.sociallm.small import conversation, model_of, tokenizer_of

ROOT = Path(__file__).resolve().parents[2]
CONFIG = TrainConfig(
    tokens=100_000, steps=12, warmup=4, batch_tokens=60, lanes=2, lane_messages=3, listen_share=1.0, report_every=3, save_every=1, validate_every=1000, threads=1
)  # fmt: skip


class Stopped(Exception):
    """What a test stops a training with."""


def tiny(folder: Path, stop_at: int | None = None, seeds: tuple[int, ...] = (0, 1, 2), social_every: int = 1, announce: bool = False, **how: Any) -> SociaLLM:
    """A training of a few seconds. Stopped, if asked for, by an exception in the middle of step `stop_at`."""
    tokenizer = tokenizer_of()
    sizes = replace(model_of(layers=max(1, social_every)).config, vocabulary=tokenizer.vocabulary, social_every=social_every)
    sets = [([encode_conversation(replace(conversation(s, 14), id=str(s)), tokenizer) for s in seeds], 1.0)]

    def say(line: str) -> None:
        if announce:
            print(line, flush=True)
        if stop_at is not None and line.startswith(f"step {stop_at} "):
            raise Stopped

    return train(folder, sets, {}, tokenizer, sizes, replace(CONFIG, **how), say=say)


def stopped(folder: Path, at: int, **how: Any) -> None:
    with pytest.raises(Stopped):
        tiny(folder, at, **how)
    assert (folder / FILE).exists()


def same_weights(one: SociaLLM, two: SociaLLM) -> bool:
    return all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


def curve(folder: Path) -> list[dict[str, str]]:
    with open(folder / CURVE, newline="") as f:
        return [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in csv.DictReader(f)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[SociaLLM, Path]:
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    return tiny(folder), folder


# ---- killed ------------------------------------------------------------------------------------------------------------


def child(folder: Path) -> subprocess.Popen[str]:
    code = f"from pathlib import Path; from tests.sociallm.test_progress import tiny; tiny(Path({str(folder)!r}), announce=True, report_every=1)"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed(process: subprocess.Popen[str], step: int, delay: float) -> None:
    """SIGKILL some time after a step was announced: in the middle of a later step, or of saving (every step saves)."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"step {step} "):
            break
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_killed_again_and_again_it_ends_with_the_same_weights_and_curve(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for step in (2, 7):
        killed(child(tmp_path / "killed"), step, float(rng.uniform(0, 0.05)))
        assert not (tmp_path / "killed" / "validation.json").exists()
    resumed = tiny(tmp_path / "killed", report_every=1)
    assert same_weights(resumed, tiny(tmp_path / "whole", report_every=1))
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole") and len(curve(tmp_path / "whole")) == CONFIG.steps
    assert same_weights(resumed, checkpoint.load(str(tmp_path / "killed")).model)
    assert json.loads((tmp_path / "killed" / "validation.json").read_text()) == json.loads((tmp_path / "whole" / "validation.json").read_text())
    assert not list((tmp_path / "killed").glob(f"{FILE}*"))  # over: nothing to go on from


@pytest.mark.parametrize("save_every", [1, 4])
def test_means_of_the_curve_go_on_where_they_were(save_every: int, whole: tuple[SociaLLM, Path], tmp_path: Path) -> None:
    """Stopped at a report that spans several steps, after the last save or long after it."""
    stopped(tmp_path, 9, save_every=save_every)
    assert same_weights(tiny(tmp_path, save_every=save_every), whole[0]) and curve(tmp_path) == curve(whole[1])
    assert [int(r["step"]) for r in curve(tmp_path)] == [3, 6, 9, 12]


@pytest.mark.parametrize("how", [{"social_every": 0}, {"social_every": 2}, {"formulation": "per_reader"}, {"carry": False}], ids=str)
def test_other_models_and_formulations_go_on_as_well(how: dict[str, Any], tmp_path: Path) -> None:
    few = {"steps": 6, **how}
    stopped(tmp_path / "stopped", 3, **few)
    assert same_weights(tiny(tmp_path / "stopped", **few), tiny(tmp_path / "whole", **few))


def test_a_file_left_half_written_does_no_harm(whole: tuple[SociaLLM, Path], tmp_path: Path) -> None:
    stopped(tmp_path, 6)
    new = tmp_path / f"{FILE}.new"
    new.write_bytes((tmp_path / FILE).read_bytes()[:1000])
    (tmp_path / CURVE).write_text("step,epo")
    assert same_weights(tiny(tmp_path), whole[0]) and curve(tmp_path) == curve(whole[1]) and not new.exists()


def test_reports_threads_and_saves_may_change_on_the_way(whole: tuple[SociaLLM, Path], tmp_path: Path) -> None:
    stopped(tmp_path, 6)
    model = tiny(tmp_path, report_every=2, save_every=7, validate_every=50)
    assert same_weights(model, whole[0]) and [int(r["step"]) for r in curve(tmp_path)] == [3, 6, 8, 10, 12]
    stopped(tmp_path / "threads", 9)
    assert tiny(tmp_path / "threads", threads=2).config == whole[0].config  # sums may come out otherwise in their last bits


# ---- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"seed": 1}, {"tokens": 99_999}, {"learning_rate": 1e-3}, {"lanes": 1}, {"carry": False}, {"seeds": (0, 1)}, {"seeds": (0, 1, 3)}, {"social_every": 2}], ids=str)  # fmt: skip
def test_another_training_in_the_same_folder_is_refused(how: dict[str, Any], begun: Path) -> None:
    before = (begun / FILE).read_bytes()
    with pytest.raises(ValueError, match="other data, sizes or settings; name another out=FOLDER") as error:
        tiny(begun, **how)
    assert "\n" not in str(error.value) and str(begun / FILE) in str(error.value)
    assert (begun / FILE).read_bytes() == before


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    stopped(folder, 3)
    return folder


@pytest.mark.parametrize("damage", ["empty", "truncated", "a byte of the tensors", "no safetensors", "another file"])
def test_a_damaged_file_is_refused_in_one_line(damage: str, begun: Path, tmp_path: Path) -> None:
    data = bytearray((begun / FILE).read_bytes())
    if damage == "empty":
        data.clear()
    elif damage == "truncated":
        del data[len(data) // 2 :]
    elif damage == "a byte of the tensors":
        data[-100] ^= 1
    elif damage == "no safetensors":
        data[:] = b"step: 2\n" * 20
    else:
        data[:] = (Path(checkpoint.SHIPPED) / "base" / checkpoint.WEIGHTS).read_bytes()
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(ValueError, match="delete") as error:
        tiny(tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path / FILE) in str(error.value)
    assert (tmp_path / FILE).read_bytes() == data and not (tmp_path / "validation.json").exists()
