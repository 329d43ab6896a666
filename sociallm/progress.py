"""What a training writes on its way: a file from which it goes on after a kill, and its curve as CSV and PNG.

One safetensors file holds weights, optimizer and carried states, with the rest as JSON in its header; it is written beside the
old one and then takes its name, so that a kill at any moment leaves the one or the other, whole.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sociallm.carry import Carried
from sociallm.lanes import Sets
from sociallm.layout import SociaLLMConfig
from sociallm.model import SociaLLM
from sociallm.tensor_files import save_tensors
from sociallm.training import TrainConfig, Training

FILE, CURVE, PLOT = "training.safetensors", "curve.csv", "curve.png"
HEADER = "training"
COLUMNS = ("step", "epoch", "tokens", "speak_nats", "listen_nats", "contrast_nats", "rate", "tokens_per_second")
FREE = ("report_every", "validate_every", "save_every", "threads", "device")  # settings that may change when a training goes on


def name_of(sets: Sets, sizes: SociaLLMConfig, config: TrainConfig, start: SociaLLM | None) -> str:
    """SHA-256 of all that a training follows from: data, sizes, settings and, where it goes on with a model, its weights."""
    settings = {k: v for k, v in asdict(config).items() if k not in FREE}
    h = hashlib.sha256(json.dumps([asdict(sizes), settings], sort_keys=True).encode())
    for encoded, weight in sets:
        h.update(f"{weight} {len(encoded)}".encode())
        for e in encoded:
            places = [(m.channel.name, m.time) for m in e.conversation.messages]
            h.update(f"{e.conversation.id} {e.room} {e.gap} {e.partners} {places}".encode())
            for words in e.words:
                h.update(np.asarray(words, np.int32).tobytes() + b"|")
            h.update(e.role_AM.tobytes())
    for tensor in start.state_dict().values() if start is not None else ():
        h.update(tensor.detach().contiguous().numpy().tobytes())
    return h.hexdigest()


def save(folder: Path, name: str, state: Training, rows: Sequence[Mapping[str, float | None]]) -> None:
    """Write where a training is."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    for i, (optimizer, p) in enumerate(_parameters(state)):
        for key, v in optimizer.state[p].items():
            tensors[f"optimizer.{i}.{key}"] = torch.as_tensor(v)
    carried = []
    for number, c in sorted(state.carried.items()):
        for part in ("local_state", "local_window", "own", "other"):
            tensors |= {f"carried.{number}.{part}.{i}": t for i, t in enumerate(getattr(c, part))}
        carried.append([number, list(c.channels.items()), list(c.agents.items()), list(c.pairs)])
    header = {"name": name, "step": state.step, "tokens": state.tokens, "recent": state.recent, "carried": carried, "rows": list(rows)}
    whole = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    header["sha256"] = _digest(header, whole)
    new = folder / f"{FILE}.new"
    save_tensors(whole, new, metadata={HEADER: json.dumps(header)})
    with open(new, "rb") as f:
        os.fsync(f.fileno())
    os.replace(new, folder / FILE)
    write_rows(folder, rows)


def restore(folder: Path, name: str, state: Training) -> bool:
    """Take a training up where it was saved; False where nothing was. Raises ValueError where what lies there is another training."""
    path = folder / FILE
    if not path.exists():
        return False
    header, tensors = _read(path)
    if header.get("name") != name:
        raise ValueError(f"{path}: of a training with other data, sizes or settings; name another out=FOLDER, or delete the file to begin anew")
    if header.pop("sha256") != _digest(header, tensors):
        raise ValueError(f"{path}: SHA-256 differs from the one in its header; the file is damaged: delete it to begin anew")
    state.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    for i, (optimizer, p) in enumerate(_parameters(state)):
        prefix = f"optimizer.{i}."
        kept = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        optimizer.state[p] = {k: v if k == "step" else v.to(p.device) for k, v in kept.items()}
    state.step, state.tokens = header["step"], header["tokens"]
    state.recent[:] = [tuple(pair) for pair in header["recent"]]
    for number, channels, agents, pairs in header["carried"]:

        def part(what: str, number: int = number) -> tuple[Tensor, ...]:
            found = (f"carried.{number}.{what}.{i}" for i in range(len(state.model.local)))
            return tuple(tensors[key].to(state.model.embedding.weight.device) for key in found if key in tensors)

        state.carried[number] = Carried(
            dict(channels), part("local_state"), part("local_window"), dict(agents), part("own"),
            {(u, v): i for i, (u, v) in enumerate(pairs)}, part("other"),
        )  # fmt: skip
    return True


def rows(folder: Path, step: int) -> list[dict[str, float | None]]:
    """The rows of the curve up to `step`, as saved."""
    return [] if step == 0 else [dict(r) for r in _read(folder / FILE)[0]["rows"]]


def clear(folder: Path) -> None:
    """Take the file of progress away: the training is over."""
    (folder / FILE).unlink(missing_ok=True)


def write_rows(folder: Path, rows: Sequence[Mapping[str, float | None]]) -> None:
    """The curve as CSV."""
    with open(folder / CURVE, "w", newline="") as out:
        table = csv.DictWriter(out, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def write_curve(folder: Path, rows: Sequence[Mapping[str, float | None]]) -> None:
    """The curve as CSV, and its losses as a plot."""
    write_rows(folder, rows)
    from matplotlib.figure import Figure  # loaded by who draws only

    axes = (figure := Figure(figsize=(7, 4))).add_subplot()
    for column, label in (("speak_nats", "speaking"), ("listen_nats", "listening")):
        axes.plot([r["tokens"] / 1e6 for r in rows], [r[column] for r in rows], label=label)
    axes.set(xlabel="million tokens spoken", ylabel="nats per token", title="Training loss")
    axes.legend()
    figure.savefig(folder / PLOT, dpi=120, metadata={"Software": ""})


def _parameters(state: Training) -> list[tuple[torch.optim.Optimizer, Tensor]]:
    return [(optimizer, p) for optimizer in state.optimizers for group in optimizer.param_groups for p in group["params"]]


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    h = hashlib.sha256(json.dumps(header).encode())
    for key, tensor in sorted(tensors.items()):
        h.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        h.update(tensor.contiguous().flatten().view(torch.uint8).numpy() if tensor.numel() else b"")
    return h.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as f:
            header = json.loads((f.metadata() or {}).get(HEADER, "null"))
            tensors = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not a file of progress ({' '.join(str(error).split())[:200]}); delete it to begin anew") from None
    if not isinstance(header, dict) or not {"name", "step", "tokens", "recent", "carried", "rows", "sha256"} <= header.keys():
        raise ValueError(f"{path}: its header names no training; delete the file to begin anew")
    return header, tensors
