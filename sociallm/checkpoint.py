"""Checkpoints: a folder with model.safetensors, config.json and tokenizer.json, checked by SHA-256 before anything is loaded."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of

from sociallm.layout import SociaLLMConfig
from sociallm.model import SociaLLM
from sociallm.tensor_files import save_tensors
from sociallm.tokenizer import Tokenizer

SHIPPED = Path(__file__).parent / "checkpoints"
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
VERSION = 1
LARGEST = {WEIGHTS: 4 * 2**30, TOKENIZER: 16 * 2**20}  # bytes
MOST_LAYERS, MOST_CHUNK, MOST_WIDE = 256, 1 << 12, 1 << 20  # so that sizes nobody has are refused before anything of that size is made
MOST_STATE = 1 << 26  # numbers of one state: some of the counts in cpp/, up to sixteen times that, have 32 bits


class CheckpointError(ValueError):
    """What was wrong with a checkpoint, where, and how to mend it: one line."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model ready for use, its tokenizer, and the hash that names it."""

    model: SociaLLM
    tokenizer: Tokenizer
    sha256: str


def resolve(name: str) -> Path:
    """The folder of a checkpoint: a shipped name such as "base", or a path."""
    folder = SHIPPED / name if name.isidentifier() and (SHIPPED / name).is_dir() else Path(name)
    if not folder.is_dir():
        known = sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []
        raise CheckpointError(f"{name}: no checkpoint folder there; give a path, or one of {', '.join(known) or 'none shipped'}")
    return folder


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_hash(name: str) -> str:
    """The SHA-256 of a checkpoint's weights as its config.json names them (verified on loading)."""
    return str(_config(resolve(name))["sha256"][WEIGHTS])


def save(folder: Path, model: SociaLLM, tokenizer: Tokenizer, notes: dict[str, Any]) -> None:
    """Write a checkpoint; `notes` go into config.json for people to read."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors({k: v.detach().float().contiguous() for k, v in model.state_dict().items()}, folder / WEIGHTS)
    tokenizer.save(folder / TOKENIZER)
    value = {
        "v": VERSION,
        "model": asdict(model.config),
        "sha256": {name: digest(folder / name) for name in (WEIGHTS, TOKENIZER)},
        "notes": notes,
    }
    (folder / CONFIG).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def finished(folder: Path, data: str) -> SociaLLM | None:
    """The model in `folder` where it is the end of the training that `data` names (see `progress.name_of`)."""
    notes = _config(folder).get("notes") if (folder / CONFIG).exists() else None
    if not isinstance(notes, dict) or notes.get("data") != data:
        return None
    return load(str(folder)).model.requires_grad_(True).train()


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if path.exists() and not (path.is_file() and path.stat().st_size <= 1 << 20):
        raise CheckpointError(f"{path}: not a file of at most 1 MiB; restore the file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing; a checkpoint needs {CONFIG}, {WEIGHTS} and {TOKENIZER}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({' '.join(str(error).split()):.200}); restore the file") from None
    if not isinstance(value, dict) or value.get("v") != VERSION:
        raise CheckpointError(f"{path}: version {value.get('v') if isinstance(value, dict) else None!r:.40}, this program reads {VERSION}; take a checkpoint of this version")
    hashes = value.get("sha256")
    hashes = hashes if isinstance(hashes, dict) else {}
    if not isinstance(value.get("model"), dict) or not all(re.fullmatch("[0-9a-f]{64}", str(hashes.get(name))) for name in (WEIGHTS, TOKENIZER)):
        raise CheckpointError(f'{path}: needs "model" and "sha256" of {WEIGHTS} and {TOKENIZER}; restore the file')
    return value


def _model_config(raw: dict[str, Any], path: Path) -> SociaLLMConfig:
    known = {f.name: f.type for f in fields(SociaLLMConfig)}
    for key, v in raw.items():
        if key not in known:
            raise CheckpointError(f"{path}: unknown model setting {key!r:.40}; was the checkpoint written by a newer version?")
        most = {"layers": MOST_LAYERS, "local_chunk": MOST_CHUNK, "social_chunk": MOST_CHUNK}.get(key, MOST_WIDE)
        least = 0 if key == "social_every" else 1
        if known[key] == "int" and not (type(v) is int and least <= v <= most):
            raise CheckpointError(f"{path}: {key} is {v!r:.40}, expected a whole number from {least} to {most}; restore the file")
    try:
        config = SociaLLMConfig(**raw)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    for kind in ("local", "social"):
        numbers = math.prod(getattr(config, f"{kind}_{size}") for size in ("heads", "head_width", "state"))
        if numbers > MOST_STATE:
            raise CheckpointError(f"{path}: no model can have these sizes ({kind} states of {numbers} numbers, at most {MOST_STATE}); restore the file")
    return config


@functools.cache
def shared(name: str) -> Checkpoint:
    """`load`, once per process: every policy and reader of a host uses the same copy of the weights, which nobody changes."""
    checkpoint = load(name)
    checkpoint.model.settle()
    return checkpoint


def load(name: str) -> Checkpoint:
    """A checkpoint by shipped name or path, every file verified. Raises `CheckpointError`; nothing is half-loaded.

    Files are read once: what was verified is what is used, and a later write to a file reaches no model.
    """
    folder = resolve(name)
    value = _config(folder)
    config = _model_config(value["model"], folder / CONFIG)
    weights, tokens = (_verified(folder / file, value["sha256"][file]) for file in (WEIGHTS, TOKENIZER))
    model = _model(weights, config, folder / WEIGHTS)
    try:
        tokenizer = Tokenizer.from_json(tokens, folder / TOKENIZER)
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    if tokenizer.vocabulary != config.vocabulary:
        raise CheckpointError(f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens, the model {config.vocabulary}; use the files that belong together")
    return Checkpoint(model.eval().requires_grad_(False), tokenizer, value["sha256"][WEIGHTS])


def _verified(path: Path, sha256: str) -> bytes:
    """What a file holds, if it is what config.json names."""
    if not path.is_file():
        raise CheckpointError(f"{path}: missing; restore the file")
    if path.stat().st_size > LARGEST[path.name]:
        raise CheckpointError(f"{path}: {path.stat().st_size} bytes; at most {LARGEST[path.name]} are read; restore the file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); restore the file") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointError(f"{path}: SHA-256 differs from the one in {CONFIG}; the file is damaged or was exchanged")
    return content


def _model(weights: bytes, config: SociaLLMConfig, path: Path) -> SociaLLM:
    """The model of these sizes with these weights, each of them a finite fp32 number."""
    try:
        tensors = tensors_of(weights)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a safetensors file ({' '.join(str(error).split()):.200}); restore the file") from None
    with torch.device("meta"):
        model = SociaLLM(config)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    if expected != {k: tuple(v.shape) for k, v in tensors.items()} or any(v.dtype != torch.float32 for v in tensors.values()):
        raise CheckpointError(f"{path}: tensors do not fit the sizes in {CONFIG}; use the files that belong together")
    for name, v in tensors.items():
        if not bool(v.isfinite().all()):
            raise CheckpointError(f"{path}: {name} has numbers that are not finite; take an earlier checkpoint")
    model.load_state_dict(tensors, assign=True)
    return model
