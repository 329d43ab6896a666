"""Training: one pass over all perspectives, speaking and listening, with forgetting and with states carried over windows.

A training is a function of its data, sizes and settings: killed at any moment and started again with the same command it goes
on from the last state saved, and ends with the same weights as one that was never killed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from sociallm import checkpoint, progress
from sociallm.batches import Encoded, batch_of, drawn_slots, forgetting, on
from sociallm.carry import Carried, carry_on, start_of
from sociallm.lanes import Piece, Sets, steps
from sociallm.losses import Loss, loss_of, public_of, token_nll
from sociallm.model import SociaLLM, SociaLLMConfig, build
from sociallm.muon import Muon
from sociallm.per_reader import copies_of, forgetting_copies, token_nll_per_reader
from sociallm.through import bits_per_byte
from sociallm.tokenizer import Tokenizer

FORMULATIONS = ("public", "per_reader")
DEVICES = ("auto", "cpu", "cuda")
VALIDATION_TOKENS = 12_000  # a set, while training goes on


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how hard to train."""

    seed: int = 0
    tokens: int = 8_000_000  # spoken tokens (words and message ends) to train on; the learning rate follows them
    steps: int = 1_000_000  # an earlier end
    batch_tokens: int = 2048
    lanes: int = 1  # conversations that are read side by side, each with its share of the batch
    lane_messages: int = 128
    carry: bool = True  # states go on from window to window of a conversation
    carried_pairs: int = 256  # interlocutor states carried of one conversation: of more, those read longest ago are dropped
    formulation: str = "public"  # public: F2; per_reader: F1, every reader encodes for itself (no states carried)
    learning_rate: float = 6e-3  # of Muon (scaled to the size of Adam's steps) and AdamW alike
    warmup: int = 20
    weight_decay: float = 0.05
    clip: float = 1.0
    listen_weight: float = 0.5
    alike: float = 0.25  # of the showings of a conversation, in how many all authors share one slot and are told apart from foils
    contrast_weight: float = 10.0  # of that
    listen_share: float = 0.33  # of the messages a reader is sampled for; an unbiased thinning of the listening loss
    report_every: int = 25
    validate_every: int = 500
    save_every: int = 50
    threads: int = 2
    device: str = "auto"  # cpu, cuda, or auto: a GPU where there is one

    def __post_init__(self) -> None:
        if self.formulation not in FORMULATIONS:
            raise ValueError(f"train.formulation is {self.formulation!r}; expected one of {', '.join(FORMULATIONS)}")
        if self.device not in DEVICES:
            raise ValueError(f"train.device is {self.device!r}; expected one of {', '.join(DEVICES)}")
        for name in ("tokens", "steps", "batch_tokens", "lanes", "lane_messages", "carried_pairs", "warmup", "report_every", "validate_every", "save_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 1 or more")
        for name in ("seed", "learning_rate", "weight_decay", "listen_weight", "contrast_weight"):
            if not 0 <= getattr(self, name) < math.inf:  # nor nan
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 0 or more")
        for name in ("listen_share", "alike"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"train.{name} is {getattr(self, name)}; expected 0 to 1")
        if not self.clip > 0:
            raise ValueError(f"train.clip is {self.clip}; expected more than 0")
        if self.batch_tokens < self.lanes:
            raise ValueError(f"train.batch_tokens is {self.batch_tokens}, shared by train.lanes={self.lanes}; expected a token or more for each lane")


@dataclass
class Training:
    """All that changes while training; what a file of progress holds."""

    model: SociaLLM
    optimizers: tuple[torch.optim.Optimizer, ...]
    step: int = 0
    tokens: int = 0
    carried: dict[int, Carried] = field(default_factory=dict)  # by showing
    recent: list[tuple[float, float, float | None]] = field(default_factory=list)  # losses since the last report


def optimizers_of(model: SociaLLM, config: TrainConfig) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the blocks' matrices (steps made orthogonal, scaled to the size of Adam's), AdamW for the rest: embeddings, norms,
    biases, time scales and convolutions, which do not decay."""
    matrices = [p for n, p in model.named_parameters() if n.endswith("proj.weight")]
    rest = [p for n, p in model.named_parameters() if not n.endswith("proj.weight")]
    return (
        Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    )


def rate(share: float, step: int, config: TrainConfig) -> float:
    """Learning rate after a share of the training: linear warm-up, then a cosine down to a twentieth."""
    return config.learning_rate * min(1.0, (step + 1) / config.warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def share_done(state: Training, config: TrainConfig) -> float:
    """Which share of the training is done."""
    return max(state.tokens / config.tokens, state.step / config.steps)


def device_of(config: TrainConfig) -> torch.device:
    """Where to train. Raises ValueError for a GPU that is not there."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("train.device is cuda, but this PyTorch sees no CUDA device; use train.device=cpu")
    gpu = config.device != "cpu" and config.formulation != "per_reader" and torch.cuda.is_available()
    return torch.device("cuda" if gpu else "cpu")


def new_training(model: SociaLLM, config: TrainConfig) -> Training:
    """A training that has not begun."""
    return Training(model, optimizers_of(model, config))


def losses_of(state: Training, pieces: Sequence[Piece], tokenizer: Tokenizer, config: TrainConfig) -> Loss:
    """The loss of one step's windows, on a graph; what they leave behind is carried on."""
    model, rng = state.model, np.random.default_rng([config.seed, 2, state.step])
    listen, alike = (config.listen_share, config.alike if config.contrast_weight else 0.0) if len(model.social) else (0.0, 0.0)
    slots = [drawn_slots(p.showing.encoded, np.random.default_rng([config.seed, 3, p.showing.number]), alike) for p in pieces]
    foils = alike > 0 and config.formulation == "public"
    batch = batch_of([p.window for p in pieces], tokenizer, model.config, rng, listen=listen, slots=slots, foils=foils)
    if config.formulation == "per_reader":  # for comparison only: on the CPU
        copies = forgetting_copies(copies_of(batch, model.config), rng)
        return loss_of(token_nll_per_reader(model, batch, copies), batch, config.listen_weight)
    streams = forgetting(batch.streams, rng, batch.foil_R)
    batch = on(batch, model.embedding.weight.device)
    before = [state.carried.get(p.showing.number) for p in pieces]
    start = start_of(model, batch, before)
    public = public_of(model, batch, start)
    loss = loss_of(token_nll(model, batch, streams, public, start), batch, config.listen_weight, config.contrast_weight)
    if config.carry:
        left = carry_on(model, public, batch, before, [not p.last for p in pieces], config.carried_pairs)
        state.carried = {p.showing.number: c for p, c in zip(pieces, left, strict=True) if c is not None}
    return loss


def train_step(state: Training, pieces: Sequence[Piece], tokenizer: Tokenizer, config: TrainConfig) -> None:
    """One step; changes `state`."""
    loss = losses_of(state, pieces, tokenizer, config)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate(share_done(state, config), state.step, config)
        optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    state.tokens += loss.tokens
    state.recent.append((loss.speak, loss.listen, loss.contrast))


def report(state: Training, config: TrainConfig, epoch: int, speed: float) -> dict[str, float | None]:
    """A row of the curve: means since the last one."""
    speak, listen = np.mean([v[:2] for v in state.recent], 0)
    told_apart = [v[2] for v in state.recent if v[2] is not None]
    contrast = round(float(np.mean(told_apart)), 4) if told_apart else None
    state.recent.clear()
    done = rate(share_done(state, config), state.step, config)
    return {"step": state.step, "epoch": epoch, "tokens": state.tokens, "speak_nats": round(speak, 4), "listen_nats": round(listen, 4), "contrast_nats": contrast, "rate": done, "tokens_per_second": round(speed)}


def train(
    folder: Path, sets: Sets, validation: Mapping[str, Sequence[Encoded]], tokenizer: Tokenizer, model_config: SociaLLMConfig, config: TrainConfig,
    say: Callable[[str], None] = print, start: SociaLLM | None = None, notes: Mapping[str, object] | None = None,
) -> SociaLLM:  # fmt: skip
    """Train a new model (or go on with `start`) and write the checkpoint, curve.csv, curve.png and validation.json to `folder`.

    What is saved on the way lies in `folder` as well; a later call with the same data, sizes and settings goes on from there.
    `notes` are kept in the checkpoint's config.json. Raises ValueError in one line.
    """
    if not any(weight > 0 and len(e.words) > 1 for encoded, weight in sets for e in encoded):
        raise ValueError("no conversation of two messages or more to train on; name data that has some")
    if tokenizer.vocabulary != model_config.vocabulary:
        raise ValueError(f"model.vocabulary is {model_config.vocabulary}, the tokenizer has {tokenizer.vocabulary} tokens; they have to be the same")
    torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    folder.mkdir(parents=True, exist_ok=True)
    name = progress.name_of(sets, model_config, config, start)
    if (done := checkpoint.finished(folder, name)) is not None:
        say(f"{folder}: this training is finished; nothing to do")
        return done
    model = build(model_config, torch.Generator().manual_seed(config.seed)) if start is None else start
    model.to(device_of(config))
    state = new_training(model, config)
    if progress.restore(folder, name, state):
        say(f"going on from step {state.step}, {state.tokens} tokens")
    rows = progress.rows(folder, state.step)
    began, tokens_began, last = time.monotonic(), state.tokens, (time.monotonic(), state.tokens)
    for pieces in islice(steps(sets, config.seed, config.lanes, config.batch_tokens // config.lanes, config.lane_messages), state.step, None):
        if share_done(state, config) >= 1:
            break
        train_step(state, pieces, tokenizer, config)
        if state.step % config.report_every == 0:
            now = time.monotonic()
            rows.append(report(state, config, pieces[0].showing.epoch, (state.tokens - last[1]) / max(1e-9, now - last[0])))
            last = (now, state.tokens)
            left = (1 / max(1e-9, share_done(state, config)) - 1) * state.tokens / max(1e-9, (state.tokens - tokens_began) / (now - began))
            say(f"step {state.step}  epoch {rows[-1]['epoch']}  speak {rows[-1]['speak_nats']:.3f}  listen {rows[-1]['listen_nats']:.3f} nats/token  "
                f"{rows[-1]['tokens_per_second']} tokens/s  {share_done(state, config):.1%}  {left / 60:.0f} min left")  # fmt: skip
        if state.step % config.validate_every == 0:
            for set_name, encoded in validation.items():
                found = bits_per_byte(model, encoded, tokenizer, VALIDATION_TOKENS)
                say(f"  {set_name}: " + "  ".join(f"{k} {v:.4f}" for k, v in found.items()) + "  bits per byte")
        if state.step % config.save_every == 0:
            progress.save(folder, name, state, rows)
    final = {n: bits_per_byte(model, encoded, tokenizer, 5 * VALIDATION_TOKENS) for n, encoded in validation.items()}
    written = {**(notes or {}), "train": asdict(config), "steps": state.step, "tokens": state.tokens, "data": name, "bits_per_byte": final}
    progress.write_curve(folder, rows)
    checkpoint.save(folder, model.cpu(), tokenizer, written)
    (folder / "validation.json").write_text(json.dumps(written, indent=1) + "\n")
    progress.clear(folder)
    return model
