"""Training: one pass over all perspectives, speaking and listening, with forgetting. One process, on the CPU."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from sociallm import checkpoint
from sociallm.batches import Encoded, Window, batch_of, emptied, forgetting, packed, windows_of
from sociallm.losses import by_read, loss_of, token_nll
from sociallm.model import SociaLLM, SociaLLMConfig, build
from sociallm.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how hard to train. `minutes` ends training early (the learning rate then follows the clock)."""

    seed: int = 0
    minutes: float = 60.0
    steps: int = 100_000
    batch_tokens: int = 4096
    window_tokens: int = 4096
    window_messages: int = 160
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.05
    clip: float = 1.0
    listen_weight: float = 0.5
    listen_share: float = 0.33  # of the messages a reader is sampled for; an unbiased thinning of the listening loss
    report_every: int = 50
    threads: int = 2


def endless(sets: Sequence[tuple[Sequence[Encoded], float]], config: TrainConfig, rng: np.random.Generator) -> Iterator[tuple[int, list[Window]]]:
    """(epoch, windows of one step) for ever; a conversation of weight w appears w times an epoch (drawn, where w is no whole
    number), cut at other places each time."""
    epoch = 0
    while True:
        windows = []
        for encoded, weight in sets:
            for e in (e for e in encoded if len(e.words) > 1):
                for _ in range(int(weight) + int(rng.random() < weight % 1)):
                    windows += [w for w in shifted(e, config, rng) if w.last - w.first > 1]
        for group in packed(windows, config.batch_tokens, rng):
            yield epoch, group
        epoch += 1


def shifted(encoded: Encoded, config: TrainConfig, rng: np.random.Generator) -> list[Window]:
    """Windows that cover a conversation from its first message; of one that needs several, the first is cut at random."""
    whole = windows_of(encoded, config.window_tokens, config.window_messages)
    if len(whole) == 1:
        return whole
    first = int(rng.integers(1, whole[0].last + 1))
    return [Window(encoded, 0, first), *windows_of(encoded, config.window_tokens, config.window_messages, first)]


def parameter_groups(model: SociaLLM, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay; norms, biases, time scales and convolutions do not."""
    decay = [p for n, p in model.named_parameters() if n.endswith("proj.weight")]
    rest = [p for n, p in model.named_parameters() if not n.endswith("proj.weight")]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def rate(progress: float, step: int, config: TrainConfig) -> float:
    """Learning rate: linear warm-up, then a cosine down to a twentieth."""
    return config.learning_rate * min(1.0, (step + 1) / config.warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def train_step(model: SociaLLM, optimizer: torch.optim.Optimizer, windows: Sequence[Window], tokenizer: Tokenizer, config: TrainConfig, rng: np.random.Generator) -> tuple[float, float, int]:
    """One step: (speaking loss, listening loss, tokens spoken), losses in nats per token."""
    batch = batch_of(windows, tokenizer, model.config, rng, listen=config.listen_share)
    loss = loss_of(model, batch, forgetting(batch.streams, rng), config.listen_weight)
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    return loss.speak, loss.listen, loss.tokens


@torch.no_grad()
def validate(model: SociaLLM, encoded: Sequence[Encoded], tokenizer: Tokenizer, config: TrainConfig, most_windows: int = 8) -> dict[str, float]:
    """Bits per byte of speech on whole windows, with states, and with one or both emptied; slots drawn from a fixed seed."""
    rng = np.random.default_rng(0)
    windows = [w for e in encoded for w in windows_of(e, config.window_tokens, config.window_messages)]
    windows = [windows[i] for i in sorted(np.random.default_rng(1).permutation(len(windows))[:most_windows])]
    nats: dict[str, float] = {}
    size = 0
    for w in windows:
        batch = batch_of([w], tokenizer, model.config, rng, listen=0.0)
        public = model.public(batch.sequence)
        size += int(batch.bytes_R.sum())
        for name, own, other in (("on", False, False), ("no_own", True, False), ("no_interlocutor", False, True), ("off", True, True)):
            nll = token_nll(model, batch, emptied(batch.streams, own, other), public)
            nats[name] = nats.get(name, 0.0) + float(by_read(nll, batch).sum())
    return {name: v / size / math.log(2) for name, v in nats.items()}


def train(
    folder: Path, sets: Sequence[tuple[Sequence[Encoded], float]], validation: dict[str, Sequence[Encoded]], tokenizer: Tokenizer,
    model_config: SociaLLMConfig, config: TrainConfig, say: Callable[[str], None] = print, start: SociaLLM | None = None,
) -> SociaLLM:  # fmt: skip
    """Train a new model (or go on with `start`) and write the checkpoint, curve.csv and validation.json to `folder`."""
    if not any(weight > 0 and len(e.words) > 1 for encoded, weight in sets for e in encoded):
        raise ValueError("no conversation of two messages or more to train on; name data that has some")
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    rng = np.random.default_rng(config.seed)
    model = build(model_config, torch.Generator().manual_seed(config.seed)) if start is None else start
    optimizer = torch.optim.AdamW(parameter_groups(model, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98))
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    tokens_seen = 0
    recent: list[tuple[float, float]] = []
    with open(folder / "curve.csv", "w", newline="") as out:
        curve = csv.writer(out)
        curve.writerow(["step", "seconds", "epoch", "tokens", "speak_nats", "listen_nats", "rate"])
        for step, (epoch, windows) in enumerate(endless(sets, config, rng)):
            progress = max((time.monotonic() - began) / 60 / config.minutes, step / config.steps)
            if progress >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = rate(progress, step, config)
            speak, listen, tokens = train_step(model, optimizer, windows, tokenizer, config, rng)
            tokens_seen += tokens
            recent.append((speak, listen))
            if (step + 1) % config.report_every == 0:
                seconds = time.monotonic() - began
                mean = np.mean(recent[-config.report_every :], 0)
                curve.writerow([step + 1, round(seconds, 1), epoch, tokens_seen, round(mean[0], 4), round(mean[1], 4), rate(progress, step, config)])
                out.flush()
                say(f"step {step + 1}  epoch {epoch}  speak {mean[0]:.3f}  listen {mean[1]:.3f}  {tokens_seen / seconds:.0f} tokens/s  {progress:.0%}")
            if (step + 1) % (config.report_every * 10) == 0:
                for name, encoded in validation.items():
                    say(f"  {name}: " + "  ".join(f"{k} {v:.4f}" for k, v in validate(model, encoded, tokenizer, config, 4).items()) + "  bits per byte")
                checkpoint.save(folder, model, tokenizer, {"unfinished_at_step": step + 1})
    final = {name: validate(model, encoded, tokenizer, config, 24) for name, encoded in validation.items()}
    notes = {"train": asdict(config), "steps": step, "tokens": tokens_seen, "minutes": round((time.monotonic() - began) / 60, 1), "bits_per_byte": final}
    checkpoint.save(folder, model, tokenizer, notes)
    (folder / "validation.json").write_text(json.dumps(notes, indent=1) + "\n")
    return model
