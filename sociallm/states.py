"""Memory as values: the state of one channel, the state of one stream, and what one message does to any state that reads it.

Nothing here changes in place: a fork of a state is the state itself, and two holders of one state share its tensors.
The key of a state names its history, not its bytes: SHA-256 over the checkpoint and the ordered (message, role, time).

Letters in shapes: L layers, H heads, P head width, N state width.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sociallm.conversation import AgentID, Message
from sociallm.model import SociaLLM
from sociallm.streams import HOUR_MS, READ, WROTE

ROLES = {WROTE: "wrote", READ: "read"}
HEADER = "social_states"  # entry of a file's header


class StateError(ValueError):
    """What was wrong with a stored state, where, and how to mend it: one line."""


def brief(key: str) -> str:
    """The part of a key that goes into a log."""
    return key[:16]


def empty_key(checkpoint: str) -> str:
    """The key of a state that has absorbed nothing."""
    return hashlib.sha256(f"empty\0{checkpoint}".encode()).hexdigest()


def message_hash(message: Message) -> str:
    """What a message says, where and to whom; with its channel's history it names the message's operator (`encode`)."""
    value = [message.id, message.author, message.channel.name, sorted(message.channel.readers), message.text, sorted(message.addressees)]
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class Dynamics:
    """What a checkpoint says about absorbing: log factor of a message written and read, and log decay per hour, per layer and head."""

    role_log_L2H: Tensor
    rate_log_LH: Tensor

    @classmethod
    def of(cls, model: SociaLLM) -> Dynamics:
        return cls(torch.stack([b.role_log.detach() for b in model.social]), torch.stack([b.rate_log.detach() for b in model.social]))

    def decay_LH11(self, milliseconds: int) -> Tensor:
        """Factor by which a state fades while so much time passes."""
        return torch.exp(-self.rate_log_LH.exp() * (max(0, milliseconds) / HOUR_MS))[..., None, None]


@dataclass(frozen=True)
class MessageOperator:
    """What one message does to any state that reads it: S → alpha·S + U, per layer and head."""

    message: str  # names it: SHA-256 over its channel up to and with the message
    log_alpha_LH: Tensor
    U_LHPN: Tensor


@dataclass(frozen=True)
class SocialState:
    """Memory of one stream: an agent's own, or of one interlocutor. Exact, fixed in size."""

    S_LHPN: Tensor
    time: int | None  # ms of the last message, None before the first
    key: str

    @classmethod
    def empty(cls, model: SociaLLM, checkpoint: str) -> SocialState:
        return cls(model.empty_state(1)[:, 0], None, empty_key(checkpoint))

    def absorb(self, operator: MessageOperator, role: int, time: int, dynamics: Dynamics) -> SocialState:
        """The state after a message of time `time` (not before the last one) that its holder wrote or read."""
        if self.time is not None and time < self.time:
            raise StateError(f"a message of time {time} cannot be absorbed after one of {self.time}; deliver messages in order of time")
        faded = self.at(time, dynamics)
        gain = dynamics.role_log_L2H[:, 0 if role == WROTE else 1].exp()[..., None, None]
        S = operator.log_alpha_LH.exp()[..., None, None] * faded + gain * operator.U_LHPN
        key = hashlib.sha256(f"{self.key}\0{operator.message}\0{ROLES[role]}\0{time}".encode()).hexdigest()
        return SocialState(S, time, key)

    def at(self, time: int, dynamics: Dynamics) -> Tensor:
        """The state as it is read at `time` [L,H,P,N]; the stored state is untouched."""
        return self.S_LHPN if self.time is None else self.S_LHPN * dynamics.decay_LH11(time - self.time)

    def fork(self) -> SocialState:
        """The same state: values share until one of them absorbs something."""
        return self

    def forget(self, checkpoint: str) -> SocialState:
        """The empty state."""
        return replace(self, S_LHPN=torch.zeros_like(self.S_LHPN), time=None, key=empty_key(checkpoint))

    @property
    def bytes(self) -> int:
        """Size of the tensor in memory."""
        return self.S_LHPN.numel() * self.S_LHPN.element_size()


@dataclass(frozen=True)
class LocalState:
    """Memory of one channel: what the model needs to go on reading it, and whom its latest messages came from."""

    layers: tuple[tuple[Tensor, Tensor], ...]  # L × (state [1,H,P,N], convolution window [1, conv-1, E+2N])
    time: int | None  # ms of the last message
    position: int  # tokens read
    recent: tuple[Message, ...]  # the last few messages
    key: str

    def fork(self) -> LocalState:
        """The same state: values share until one of them reads on."""
        return self


def digest(checkpoint: str, states: Any, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a file of states holds: a state with another's key, or another's numbers, is not the same state."""
    h = hashlib.sha256(json.dumps([checkpoint, states, sorted(tensors)], sort_keys=True).encode())
    for _, tensor in sorted(tensors.items()):
        h.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        h.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return h.hexdigest()


def save_states(path: Path, states: Mapping[str, SocialState], checkpoint: str) -> None:
    """Write named states to one safetensors file; key, time and checkpoint stand in its header, with a digest of it all."""
    stated = {n: {"key": s.key, "time": s.time} for n, s in sorted(states.items())}
    tensors = {n: s.S_LHPN.contiguous().clone() for n, s in sorted(states.items())}
    header = {"checkpoint": checkpoint, "states": stated, "sha256": digest(checkpoint, stated, tensors)}
    save_file(tensors, path, metadata={HEADER: json.dumps(header)})  # one entry: the library writes several in no fixed order


def load_states(path: Path, model: SociaLLM, checkpoint: str) -> dict[str, SocialState]:
    """Read what `save_states` wrote. Raises `StateError` on another checkpoint's states, a damaged file or wrong shapes."""
    try:
        with safe_open(path, "pt") as f:
            header = json.loads((f.metadata() or {}).get(HEADER, "null"))
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise StateError(f"{path}: not a file of states ({' '.join(str(error).split())[:200]}); restore it, or run again") from None
    if not isinstance(header, dict) or not isinstance(header.get("checkpoint"), str) or not isinstance(header.get("states"), dict):
        raise StateError(f"{path}: its header names no checkpoint and states; restore the file, or run again")
    stated = header["states"]
    if header.get("sha256") != digest(header["checkpoint"], stated, tensors):
        raise StateError(f"{path}: SHA-256 differs from the one in the header; the file is damaged or was edited: restore it, or run again")
    if header["checkpoint"] != checkpoint:
        raise StateError(f"{path}: made by checkpoint {header['checkpoint']:.12}…, the model loaded is {checkpoint:.12}…; load the one that made it")
    if stated.keys() != tensors.keys():
        raise StateError(f"{path}: names in the header and tensors differ; restore the file, or run again")
    return {name: _checked(tensor, stated[name], model, f"{path}: state {name!r:.60}") for name, tensor in tensors.items()}


def _checked(tensor: Tensor, entry: Any, model: SociaLLM, where: str) -> SocialState:
    shape, dtype = model.empty_state(1)[:, 0].shape, model.dtype
    if tensor.shape != shape or tensor.dtype != dtype or not bool(tensor.isfinite().all()):
        got = f"{tensor.dtype} {tuple(tensor.shape)}"
        raise StateError(f"{where} is {got}, expected finite numbers, {dtype} {tuple(shape)}; restore the file, or run again")
    key, time = (entry.get("key"), entry.get("time")) if isinstance(entry, dict) else (None, None)
    if not isinstance(key, str) or not re.fullmatch("[0-9a-f]{64}", key) or not (time is None or type(time) is int):
        raise StateError(f"{where} has key {key!r:.80} and time {time!r:.40}, expected 64 hexadecimal digits and milliseconds; restore the file, or run again")
    return SocialState(tensor, time, key)


def mixture(states: Sequence[SocialState], time: int, dynamics: Dynamics, empty_LHPN: Tensor) -> Tensor:
    """The equal-weight mean of several interlocutor states as read at `time`; empty for none (states are linear)."""
    if not states:
        return empty_LHPN
    return torch.stack([s.at(time, dynamics) for s in states]).mean(0)


def forget_partner(others: Mapping[AgentID, SocialState], partner: AgentID) -> dict[AgentID, SocialState]:
    """Interlocutor states without the one of `partner`: a stranger again."""
    return {agent: state for agent, state in others.items() if agent != partner}
