"""Ray Train with two workers: the same weights twice, those of one worker with both windows, and those again after a SIGKILL. Minutes, so no test.

    python -m tests.benchmarks.workers [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from sociallm import checkpoint
from sociallm.train import train
from sociallm.workers import LATEST, PLACE, train_together
from tests.sociallm.small import saved, tokenizer_of
from tests.sociallm.test_workers import CONFIG, plain, sets_of

LONG = replace(CONFIG, tokens=4000, save_every=2)


def together(out: str, start: str) -> None:
    """Two workers, in a process that can be killed."""
    train_together(Path(out), sets_of(tokenizer_of(), 60), start, LONG, 2, lambda _: None)


def killed(out: Path, start: str) -> bool:
    """Whether a training was killed after its first save and before its end."""
    child = multiprocessing.get_context("spawn").Process(target=together, args=(str(out), start))
    child.start()
    while child.is_alive() and not (out / PLACE / LATEST).exists():
        time.sleep(0.05)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL and not (out / "config.json").exists()


def main(words: list[str] | None = None) -> int:
    """Print one JSON object; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=None)
    out = parser.parse_args(words).out or Path(tempfile.mkdtemp())
    torch.set_num_threads(1)
    tokenizer = tokenizer_of()
    start, simple = saved(out / "start"), plain(out / "plain", tokenizer)
    began = time.monotonic()
    for name in ("one", "two"):
        together(str(out / name), start)
    seconds = (time.monotonic() - began) / 2
    together(str(out / "both"), simple)
    begun = checkpoint.load(simple)
    alone = train(out / "alone", sets_of(tokenizer, 60), {}, tokenizer, begun.model.config, LONG, lambda _: None, begun.model)
    before, both = checkpoint.load(simple).model.state_dict(), checkpoint.load(str(out / "both")).model.state_dict()
    off = sum(float((both[k] - v).pow(2).sum()) for k, v in alone.state_dict().items()) ** 0.5
    moved = sum(float((before[k] - v).pow(2).sum()) for k, v in alone.state_dict().items()) ** 0.5
    was_killed = killed(out / "killed", start)
    together(str(out / "killed"), start)
    names = {name: checkpoint.load(str(out / name)).sha256 for name in ("one", "two", "killed")}
    good = len(set(names.values())) == 1 and off < 1e-3 * moved and was_killed
    print(json.dumps({"weights": names, "off_from_one_worker": off / moved, "killed": was_killed, "seconds": round(seconds, 1), "good": good}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
