"""Training on more than one worker: each reads some of a step's windows, gradients are summed over all, weights stay the same everywhere.

Ray Train starts the workers and the group that they talk through (torch.distributed; gloo on CPUs). A worker's loss counts by its part of the step's spoken
tokens, so the summed gradient is that of one batch with all windows (the listening loss is a mean per worker, weighted alike; each draws what is forgotten
for its own windows). A conversation stays with one worker, which carries its states. Same data, settings and number of workers: same weights.

The workers save together: each its file in `workers/step-N/`, then the first names the step in `workers/latest`; a kill in between leaves the step before.
On more than one machine the folder has to be one that all see.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed

from sociallm import checkpoint, progress
from sociallm.lanes import Piece, Sets, steps
from sociallm.tokenizer import Tokenizer
from sociallm.train import losses_of, prepare, report, take
from sociallm.training import TrainConfig, Training, new_training, share_done

LATEST, PLACE = "latest", "workers"
Share = Callable[[torch.Tensor], torch.Tensor]  # counts or gradients → their sum over all workers, in the same tensor


def summed(value: torch.Tensor) -> torch.Tensor:
    """The sum over all workers of the group; the same bits on each."""
    distributed.all_reduce(value)
    return value


def dealt(pieces: Sequence[Piece], workers: int, rank: int) -> list[Piece]:
    """A worker's pieces of a step: those of every `workers`-th showing, so that it keeps what it carries."""
    return [piece for piece in pieces if piece.showing.number % workers == rank]


def shared_step(state: Training, pieces: Sequence[Piece], tokenizer: Tokenizer, config: TrainConfig, share: Share) -> None:
    """One step of one worker, together with the others; changes `state`."""
    prepare(state, config)
    loss = losses_of(state, pieces, tokenizer, config) if pieces else None
    mine = torch.tensor(float(loss.tokens if loss else 0), dtype=torch.float64)
    tokens = int(share(mine.clone()))
    weight = float(mine) / tokens
    if loss is not None:
        (loss.total * weight).backward()
    parameters = list(state.model.parameters())
    flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters])
    share(flat)
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = part.view_as(p).clone()
    take(state, config, tokens)
    said = torch.tensor([loss.speak * weight, loss.listen * weight] if loss else [0.0, 0.0], dtype=torch.float64)
    speak, listen = share(said).tolist()
    state.recent.append((speak, listen, None))


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a worker needs; it goes to each of them whole."""

    folder: str
    name: str
    sets: Sets
    start: str
    config: TrainConfig
    workers: int
    notes: Mapping[str, object]


def train_together(
    folder: Path, sets: Sets, start: str, config: TrainConfig, workers: int, say: Callable[[str], None] = print, notes: Mapping[str, object] | None = None
) -> None:
    """Go on training the checkpoint `start`, and write the new one to `folder`. Killed and called again it goes on. Raises ValueError in one line."""
    if config.lanes < workers:
        raise ValueError(f"train.lanes is {config.lanes} for {workers} workers; expected one lane for each at least")
    if not any(weight > 0 and len(e.words) > 1 for encoded, weight in sets for e in encoded):
        raise ValueError("no conversation of two messages or more to train on; name data that has some")
    begun = checkpoint.load(start)
    name = hashlib.sha256(f"{progress.name_of(sets, begun.model.config, config, begun.model)} {workers}".encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    if checkpoint.finished(folder, name) is not None:
        say(f"{folder}: this training is finished; nothing to do")
        return
    where = str(Path(start).resolve()) if Path(start).is_dir() and not (checkpoint.SHIPPED / start).is_dir() else start
    job = Job(folder=str(folder.resolve()), name=name, sets=sets, start=where, config=config, workers=workers, notes=notes or {})
    _fitted(job)
    if checkpoint.finished(folder, name) is None:
        raise ValueError(f"{folder}: the workers ended without a checkpoint; give the same command again")
    shutil.rmtree(folder / PLACE, ignore_errors=True)


def _fitted(job: Job) -> None:
    """Have Ray Train start the workers and wait for them."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    started = not ray.is_initialized()
    if started:
        ray.init(address="local", num_cpus=job.workers, object_store_memory=256 * 2**20, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False, configure_logging=False)
    try:
        TorchTrainer(
            work, train_loop_config={"job": job}, torch_config=TorchConfig(backend="gloo"), scaling_config=ScalingConfig(num_workers=job.workers, use_gpu=False),
            run_config=RunConfig(name="ray", storage_path=str(Path(job.folder) / PLACE)),
        ).fit()  # fmt: skip
    except ray.exceptions.RayError as error:
        raise ValueError(f"{job.folder}: training on {job.workers} workers broke off ({' '.join(str(error).split())[-200:]}); give the same command again, or train on one") from None
    finally:
        if started:
            ray.shutdown()


def work(given: Mapping[str, Any]) -> None:
    """What each worker does, in a process of its own."""
    from ray import train as ray_train

    together(given["job"], ray_train.get_context().get_world_rank(), summed, distributed.barrier)


def together(job: Job, rank: int, share: Share, wait: Callable[[], object]) -> Training:
    """Train as worker `rank`; `wait` until all are there."""
    torch.set_num_threads(job.config.threads)
    torch.set_flush_denormal(True)
    begun, config, place = checkpoint.load(job.start), job.config, Path(job.folder) / PLACE
    state = new_training(begun.model.requires_grad_(True), config)
    latest = _latest(place)
    if latest is not None:
        progress.restore(place / latest / str(rank), job.name, state)
    rows = progress.rows(place / latest / str(rank), state.step) if latest is not None else []
    since = (time.monotonic(), state.tokens)
    for pieces in islice(steps(job.sets, config.seed, config.lanes, config.batch_tokens // config.lanes, config.lane_messages), state.step, None):
        if share_done(state, config) >= 1:
            break
        shared_step(state, dealt(pieces, job.workers, rank), begun.tokenizer, config, share)
        if state.step % config.report_every == 0:
            speed = (state.tokens - since[1]) / max(1e-9, time.monotonic() - since[0])
            rows.append(report(state, config, pieces[0].showing.epoch, speed))
            since = (time.monotonic(), state.tokens)
        if state.step % config.save_every == 0:
            _save(place, job.name, rank, state, rows, wait)
    wait()
    if rank == 0:
        progress.write_curve(Path(job.folder), rows)
        written = {**job.notes, "train": asdict(config), "workers": job.workers, "steps": state.step, "tokens": state.tokens, "data": job.name}
        checkpoint.save(Path(job.folder), state.model, begun.tokenizer, written)
        (Path(job.folder) / "validation.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    wait()
    return state


# ---- going on after a kill -----------------------------------------------------------------------------------------------


def _save(place: Path, name: str, rank: int, state: Training, rows: Sequence[Mapping[str, float | None]], wait: Callable[[], object]) -> None:
    """All workers' files of one step, then its name."""
    folder = place / f"step-{state.step}"
    (folder / str(rank)).mkdir(parents=True, exist_ok=True)
    progress.save(folder / str(rank), name, state, rows)
    wait()
    if rank == 0:
        new = place / f"{LATEST}.new"
        new.write_text(folder.name, encoding="utf-8")
        os.replace(new, place / LATEST)
        for old in place.glob("step-*"):
            if old != folder:
                shutil.rmtree(old, ignore_errors=True)
    wait()


def _latest(place: Path) -> str | None:
    """The folder of the last step that all saved."""
    try:
        return (place / LATEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
