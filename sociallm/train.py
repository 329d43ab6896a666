"""Training: one pass over all perspectives, speaking and listening, with forgetting and with states carried over windows.

A training is a function of its data, sizes and settings: killed at any moment and started again with the same command it goes
on from the last state saved, and ends with the same weights as one that was never killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from sociallm import checkpoint, progress
from sociallm.batches import Encoded, batch_of, drawn_slots, forgetting, on
from sociallm.carry import carry_on, start_of
from sociallm.lanes import Piece, Sets, steps
from sociallm.layout import SociaLLMConfig
from sociallm.losses import Loss, loss_of, public_of, token_nll
from sociallm.model import SociaLLM, build
from sociallm.per_reader import copies_of, forgetting_copies, token_nll_per_reader
from sociallm.through import bits_per_byte
from sociallm.tokenizer import Tokenizer
from sociallm.training import TrainConfig, Training, device_of, new_training, rate, share_done

VALIDATION_TOKENS = 12_000  # a set, while training goes on


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
    prepare(state, config)
    loss.total.backward()
    take(state, config, loss.tokens)
    state.recent.append((loss.speak, loss.listen, loss.contrast))


def prepare(state: Training, config: TrainConfig) -> None:
    """Have the optimizers ready for a step: its learning rate set, the gradients of the last one gone."""
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate(share_done(state, config), state.step, config)
        optimizer.zero_grad(set_to_none=True)


def take(state: Training, config: TrainConfig, tokens: int) -> None:
    """Take the step that the gradients, clipped, say; `tokens`: how many it was of."""
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    for optimizer in state.optimizers:
        optimizer.step()
    state.step += 1
    state.tokens += tokens


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
    model = build(model_config, torch.Generator().manual_seed(config.seed)) if start is None else start.requires_grad_(True)  # a checkpoint comes without gradients
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
