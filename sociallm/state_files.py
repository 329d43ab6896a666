"""Files of states: safetensors with the states' names, keys and times in the header, beside a SHA-256 of it all. No pickle, no code.

Live social states and states of channels come back exactly and share nothing with the file or with each other; an export in bf16
is half the size and is never taken for a live state.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sociallm.conversation import MAX_TIME, Conversation, ConversationError, Message, from_json, to_json
from sociallm.model import SociaLLM
from sociallm.states import LocalState, SocialState, StateError
from sociallm.tensor_files import save_tensors

HEADER, LOCAL_HEADER, EXPORT_HEADER = "social_states", "local_states", "social_states_bf16"  # entries of a file's header: one a kind


def digest(checkpoint: str, states: Any, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a file of states holds: a state with another's key, or another's numbers, is not the same state."""
    h = hashlib.sha256(json.dumps([checkpoint, states, sorted(tensors)], sort_keys=True).encode())
    for _, tensor in sorted(tensors.items()):
        h.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        h.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return h.hexdigest()


def _write(path: Path, kind: str, stated: Any, tensors: Mapping[str, Tensor], checkpoint: str) -> None:
    tensors = {n: t.detach().contiguous().clone() for n, t in tensors.items()}
    header = {"checkpoint": checkpoint, "states": stated, "sha256": digest(checkpoint, stated, tensors)}
    save_tensors(tensors, path, metadata={kind: json.dumps(header)})  # one entry: the library writes several in no fixed order


def _read(path: Path, kind: str, checkpoint: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(what is stated of each state, tensors) of a file of that kind, its digest and checkpoint verified."""
    try:
        with safe_open(path, "pt") as f:
            kinds = f.metadata() or {}
            header = json.loads(kinds.get(kind, "null"))
            tensors = {name: f.get_tensor(name).clone() for name in f.keys()}  # noqa: SIM118 (not a mapping); a copy, so that no later write to the file reaches it
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path}: not a file of states ({' '.join(str(error).split())[:200]}); restore it, or run again") from None
    if header is None and (found := KINDS.keys() & kinds.keys()):
        raise StateError(f"{path}: holds {KINDS[min(found)]}, expected {KINDS[kind]}; name the other file, or restore it")
    if not isinstance(header, dict) or not isinstance(header.get("checkpoint"), str) or not isinstance(header.get("states"), dict):
        raise StateError(f"{path}: its header names no checkpoint and states; restore the file, or run again")
    if header.get("sha256") != digest(header["checkpoint"], header["states"], tensors):
        raise StateError(f"{path}: SHA-256 differs from the one in the header; the file is damaged or was edited: restore it, or run again")
    if header["checkpoint"] != checkpoint:
        raise StateError(f"{path}: made by checkpoint {header['checkpoint'][:12]!r}…, the model loaded is {checkpoint:.12}…; load the one that made it")
    return header["states"], tensors


KINDS = {HEADER: "live social states", LOCAL_HEADER: "states of channels (load_locals)", EXPORT_HEADER: "social states rounded to bf16 (load_export)"}


def save_states(path: Path, states: Mapping[str, SocialState], checkpoint: str) -> None:
    """Write named states to one safetensors file; key, time and checkpoint stand in its header, with a digest of it all."""
    _write(path, HEADER, _stated(states), {n: s.S_LHPN for n, s in sorted(states.items())}, checkpoint)


def load_states(path: Path, model: SociaLLM, checkpoint: str) -> dict[str, SocialState]:
    """Read what `save_states` wrote. Raises `StateError` on another checkpoint's states, an export, a damaged file or wrong shapes."""
    return _social(path, *_read(path, HEADER, checkpoint), model, model.dtype)


def rounded(state: SocialState) -> SocialState:
    """The state as an export keeps it: numbers of bf16, and a key of its own, for it is no longer the state of its history."""
    return SocialState(state.S_LHPN.bfloat16().to(state.S_LHPN.dtype), state.time, hashlib.sha256(f"{state.key}\0bf16".encode()).hexdigest())


def export_states(path: Path, states: Mapping[str, SocialState], checkpoint: str) -> None:
    """Write states in bf16, half the size, for analysis elsewhere. `load_states` refuses the file: a run goes on from exact states."""
    _write(path, EXPORT_HEADER, _stated(states), {n: s.S_LHPN.bfloat16() for n, s in sorted(states.items())}, checkpoint)


def load_export(path: Path, model: SociaLLM, checkpoint: str) -> dict[str, SocialState]:
    """Read what `export_states` wrote: `rounded` of each state. Raises `StateError` as `load_states` does."""
    return {n: rounded(replace(s, S_LHPN=s.S_LHPN.to(model.dtype))) for n, s in _social(path, *_read(path, EXPORT_HEADER, checkpoint), model, torch.bfloat16).items()}


def _stated(states: Mapping[str, SocialState]) -> dict[str, Any]:
    return {n: {"key": s.key, "time": s.time} for n, s in sorted(states.items())}


def _social(path: Path, stated: dict[str, Any], tensors: dict[str, Tensor], model: SociaLLM, dtype: torch.dtype) -> dict[str, SocialState]:
    if stated.keys() != tensors.keys():
        raise StateError(f"{path}: names in the header and tensors differ; restore the file, or run again")
    shape = tuple(model.empty_state(1)[:, 0].shape)
    states = {}
    for name, tensor in tensors.items():
        where = f"{path}: state {name!r:.60}"
        _check_tensor(tensor, shape, dtype, where)
        states[name] = SocialState(tensor, *_time_and_key(stated[name], where))
    return states


def _check_tensor(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, where: str) -> None:
    if tensor.shape != shape or tensor.dtype != dtype or not bool(tensor.isfinite().all()):
        got = f"{tensor.dtype} {tuple(tensor.shape)}"
        raise StateError(f"{where} is {got}, expected finite numbers, {dtype} {shape}; restore the file, or run again")


def _time_and_key(entry: Any, where: str) -> tuple[int | None, str]:
    key, time = (entry.get("key"), entry.get("time")) if isinstance(entry, dict) else (None, None)
    if not isinstance(key, str) or not re.fullmatch("[0-9a-f]{64}", key) or not (time is None or (type(time) is int and abs(time) <= MAX_TIME)):
        raise StateError(f"{where} has key {key!r:.80} and time {time!r:.40}, expected 64 hexadecimal digits and milliseconds; restore the file, or run again")
    return time, key


def save_locals(path: Path, states: Mapping[str, LocalState], checkpoint: str) -> None:
    """Write the states of channels, by channel name: convolution windows, time, tokens read, recent messages and key included."""
    stated: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for i, (name, s) in enumerate(sorted(states.items())):
        stated[name] = {"key": s.key, "time": s.time, "position": s.position, "recent": to_json(Conversation(id=name, messages=s.recent))}
        _recent(stated[name]["recent"], f"{path}: channel {name!r:.60}")  # what could not be read back is not written
        tensors |= {_place(i, layer, part): t for layer, pair in enumerate(s.layers) for part, t in zip(PARTS, pair, strict=True)}
    _write(path, LOCAL_HEADER, stated, tensors, checkpoint)


def load_locals(path: Path, model: SociaLLM, checkpoint: str) -> dict[str, LocalState]:
    """Read what `save_locals` wrote. Raises `StateError` as `load_states` does; nothing is half-loaded."""
    stated, tensors = _read(path, LOCAL_HEADER, checkpoint)
    c = model.config
    inner = c.local_heads * c.local_head_width
    shapes = {"state": (1, c.local_heads, c.local_head_width, c.local_state), "window": (1, c.conv - 1, inner + 2 * c.local_state)}
    names = {_place(i, layer, part) for i in range(len(stated)) for layer in range(c.layers) for part in PARTS}
    if names != tensors.keys():
        raise StateError(f"{path}: has {len(tensors)} tensors, expected {len(names)} for {len(stated)} channels and {c.layers} layers; restore the file, or run again")
    states = {}
    for i, (name, entry) in enumerate(sorted(stated.items())):
        where = f"{path}: channel {name!r:.60}"
        time, key = _time_and_key(entry, where)
        for layer in range(c.layers):
            for part in PARTS:
                _check_tensor(tensors[_place(i, layer, part)], shapes[part], model.dtype, f"{where}, layer {layer}, {part}")
        position, recent = entry.get("position"), _recent(entry.get("recent"), where)
        if type(position) is not int or position < 0 or (recent and recent[-1].time != time):
            raise StateError(f"{where} has position {position!r:.40} and a last message of another time than {time}; restore the file, or run again")
        layers = tuple((tensors[_place(i, layer, "state")], tensors[_place(i, layer, "window")]) for layer in range(c.layers))
        states[name] = LocalState(layers, time, position, recent, key)
    return states


PARTS = ("state", "window")


def _place(channel: int, layer: int, part: str) -> str:
    return f"{channel}.{layer}.{part}"  # by number: a channel may have any name, a tensor may not


def _recent(value: Any, where: str) -> tuple[Message, ...]:
    try:
        return from_json(value, where).messages
    except ConversationError as error:
        raise StateError(f"{' '.join(str(error).split())}; such a message cannot be restored") from None
