"""Trainings that the shipped model is compared with, and evaluation.json, which keeps what they score.

For every seed: the model itself (social), a plain Mamba-2 language model of as many parameters (plain) and one of the local track's
own size (local), on the shipped mixture and equally many tokens, without foils (neither has states that could learn from them, and
headers that always tell authors apart serve them better); and, small, both formulations (public write and private read, F2; every reader for itself, F1)
on diplomacy_lies and casino, a quarter of the tokens, windows that begin empty and without foils, because F1 carries nothing and has none.

Killed at any moment and started again, everything goes on: a training by its own file of progress, a finished one by the hash of all
that it follows from, a scored one by its entry in evaluation.json, which is written anew after each.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sociallm import checkpoint, corpora, progress
from sociallm.batches import Encoded, batch_of, drawn_slots, encode_conversation, windows_of
from sociallm.checkpoint import CONFIG, Checkpoint
from sociallm.lanes import Sets
from sociallm.layout import SociaLLMConfig
from sociallm.losses import by_read, token_nll
from sociallm.model import SociaLLM
from sociallm.per_reader import token_nll_per_reader
from sociallm.scores import CASINO, LATE, SETS, USUAL, Scores, add, loaded, rounded, score
from sociallm.through import MESSAGES, TOKENS
from sociallm.tokenizer import Tokenizer
from sociallm.train import train
from sociallm.training import TrainConfig

FILE = "evaluation.json"  # beside the checkpoint's folder
SMALL = SociaLLMConfig(width=128, local_heads=4, social_state=32)  # 1.3 M parameters
SMALL_SETS = {"diplomacy_lies": 1.0, "casino": 1.0}
SMALL_SHARE = 4  # one token of so many
VERSION = 1
READING = {"late_from": LATE, "window_tokens": TOKENS, "window_messages": MESSAGES, "sets": {s.name: [s.corpus, s.most] for s in (*SETS, CASINO)}}
FORMULATION = {"public": "public", "reader": "per_reader"}
Sized = Mapping[str, Sequence[Encoded]]  # conversations by set


@dataclass(frozen=True)
class Plan:
    """One training."""

    kind: str  # social, plain, local; public, reader
    seed: int
    sizes: SociaLLMConfig
    settings: TrainConfig
    sets: Sets

    @property
    def name(self) -> str:
        """Of its folder and its entry."""
        return f"{self.kind}_{self.seed}"

    @cached_property
    def training(self) -> str:
        """SHA-256 of all that it follows from."""
        return progress.name_of(self.sets, self.sizes, self.settings, None)


def parameters(sizes: SociaLLMConfig) -> int:
    """How many a model of these sizes has."""
    with torch.device("meta"):
        return sum(p.numel() for p in SociaLLM(sizes).parameters())


def plain_of(sizes: SociaLLMConfig) -> SociaLLMConfig:
    """The plain Mamba-2 language model whose number of parameters is nearest: social blocks go, local heads come."""
    candidates = [replace(sizes, social_every=0, local_heads=n) for n in range(sizes.local_heads, 8 * sizes.local_heads)]
    return min(candidates, key=lambda c: abs(parameters(c) - parameters(sizes)))


def plans(sizes: SociaLLMConfig, settings: TrainConfig, mixture: Sets, small: Sets, seeds: Sequence[int], small_sizes: SociaLLMConfig = SMALL) -> list[Plan]:
    """All trainings, seed after seed."""
    out = []
    for seed in seeds:
        now = replace(settings, seed=seed)
        alone = replace(now, alike=0.0, contrast_weight=0.0)
        out.append(Plan("social", seed, sizes, now, mixture))
        out.append(Plan("plain", seed, plain_of(sizes), alone, mixture))
        out.append(Plan("local", seed, replace(sizes, social_every=0), alone, mixture))
        for kind, formulation in FORMULATION.items():
            how = replace(alone, tokens=max(1, now.tokens // SMALL_SHARE), carry=False, formulation=formulation)
            out.append(Plan(kind, seed, replace(small_sizes, vocabulary=sizes.vocabulary), how, small))
    return out


def settings_of(folder: Path, tokens: int | None) -> TrainConfig:
    """How a checkpoint was trained, as its config.json says, with another number of tokens if given; what it does not say is usual."""
    notes = json.loads((folder / CONFIG).read_text()).get("notes", {}).get("train", {})
    known = {f.name for f in fields(TrainConfig)}
    return replace(TrainConfig(**{k: v for k, v in notes.items() if k in known}), **({} if tokens is None else {"tokens": tokens}))


# ---- one model ---------------------------------------------------------------------------------------------------------


def finished(folder: Path, training: str) -> bool:
    """Whether a checkpoint of just this training lies there."""
    path = folder / CONFIG
    return path.is_file() and json.loads(path.read_text()).get("notes", {}).get("data") == training


def model_of(plan: Plan, work: Path, shipped: Path, tokenizer: Tokenizer, say: Callable[[str], None]) -> Checkpoint:
    """Train it, go on with it, or take it where it is finished; the shipped model, if it is this training."""
    for folder in (shipped, work / plan.name):
        if finished(folder, plan.training):
            return checkpoint.load(str(folder))
    say(f"{plan.name}: training {parameters(plan.sizes)} parameters on {plan.settings.tokens} tokens in {work / plan.name}")
    train(work / plan.name, plan.sets, {}, tokenizer, plan.sizes, plan.settings, lambda line: say(f"{plan.name}: {line}"))
    return checkpoint.load(str(work / plan.name))


@torch.no_grad()
def score_alone(model: SociaLLM, conversations: Sequence[Encoded], tokenizer: Tokenizer, formulation: str) -> Scores:
    """Windows that begin empty, by either formulation."""
    scores = Scores()
    for e in conversations:
        slots = drawn_slots(e, np.random.default_rng(0))
        for window in windows_of(e, TOKENS, MESSAGES):
            batch = batch_of([window], tokenizer, model.config, np.random.default_rng(0), listen=0.0, slots=slots)
            nll = token_nll_per_reader(model, batch) if formulation == "per_reader" else token_nll(model, batch)
            add(scores, window, batch, {"on": by_read(nll, batch)}, len(conversations))
    return scores


def entry(plan: Plan, found: Checkpoint, evaluated: Sized) -> dict[str, Any]:
    """What evaluation.json keeps of one model."""
    began = time.monotonic()
    if plan.kind in FORMULATION:
        names = [n for n in ("diplomacy_lies", "casino") if n in evaluated]
        scored = {n: score_alone(found.model, evaluated[n], found.tokenizer, FORMULATION[plan.kind]) for n in names}
    else:
        scored = {n: score(found.model, e, found.tokenizer, USUAL) for n, e in evaluated.items() if n != "casino"}
    return {
        "training": plan.training, "sha256": found.sha256, "parameters": parameters(plan.sizes), "seed": plan.seed,
        "model": asdict(plan.sizes), "train": asdict(plan.settings),
        "scores": {n: {"every": rounded(s.every), "late": rounded(s.late)} for n, s in scored.items()}, "seconds_of_scoring": round(time.monotonic() - began, 1),
    }  # fmt: skip


# ---- the file ----------------------------------------------------------------------------------------------------------


def read_file(path: Path) -> dict[str, Any] | None:
    """What was written; None where nothing was. Raises ValueError in one line."""
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({' '.join(str(error).split())[:120]}); write it again with evaluate --baselines") from None
    if not isinstance(value, dict) or value.get("v") != VERSION or not {"checkpoint", "data", "models", "reading"} <= value.keys():
        raise ValueError(f"{path}: not an evaluation of version {VERSION}; write it again with evaluate --baselines")
    return value


def write_file(path: Path, value: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    os.replace(new, path)


def run(
    file: Path, todo: Sequence[Plan], evaluated: Sized, hashes: Mapping[str, str], work: Path, shipped: Path, command: str,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:  # fmt: skip
    """Train and score what is not yet there, and write it down; the finished file is returned."""
    base = checkpoint.load(str(shipped))
    before = read_file(file)
    same = before is not None and before["data"] == dict(hashes) and before["reading"] == READING
    entries: Mapping[str, Any] = before["models"] if before is not None and same else {}
    old = {p.name: entries[p.name] for p in todo if entries.get(p.name, {}).get("training") == p.training}
    value: dict[str, Any] = {
        "v": VERSION, "command": command, "seeds": sorted({p.seed for p in todo}), "tokens": {p.name: p.settings.tokens for p in todo},
        "checkpoint": base.sha256, "data": dict(hashes), "reading": READING, "models": {},
    }  # fmt: skip
    for plan in todo:
        value["models"][plan.name] = old.get(plan.name) or entry(plan, model_of(plan, work, shipped, base.tokenizer, say), evaluated)
        write_file(file, value | {"models": {**value["models"], **old}})
        say(f"{plan.name}: scored")
    write_file(file, value)
    return value


def baselines(data: str, folder: Path, work: Path, tokens: int | None, seeds: Sequence[int], command: str, say: Callable[[str], None] = print) -> None:
    """`evaluate --baselines`."""
    base = checkpoint.load(str(folder))
    corpus = {n: [encode_conversation(c, base.tokenizer, corpora.ROOM.get(n)) for c in v] for n, v in corpora.training(data).items()}
    both = {s.name: loaded(s, data, base.tokenizer) for s in (*SETS, CASINO)}
    mixture, small = ([(corpus[n], w) for n, w in weights.items()] for weights in (corpora.MIXTURE, SMALL_SETS))
    todo = plans(base.model.config, settings_of(folder, tokens), mixture, small, seeds)
    run(folder.parent / FILE, todo, {n: e for n, (e, _) in both.items()}, {n: h for n, (_, h) in both.items()}, work, folder, command, say)
