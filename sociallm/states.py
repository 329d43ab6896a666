"""Memory as values: the state of one channel, the state of one stream, and what one message does to any state that reads it.

Nothing here changes in place: a fork of a state is the state itself, and two holders of one state share its tensors.
The key of a state names its history, not its bytes: SHA-256 over the checkpoint and the ordered (message, role, time).

Letters in shapes: L layers, H heads, P head width, N state width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sociallm.conversation import AgentID, Message
from sociallm.model import SociaLLM
from sociallm.streams import READ, WROTE

HOUR_MS = 3_600_000.0
ROLES = {WROTE: "wrote", READ: "read"}


class StateError(ValueError):
    """What was wrong with a stored state, where, and how to mend it: one line."""


def empty_key(checkpoint: str) -> str:
    """The key of a state that has absorbed nothing."""
    return hashlib.sha256(f"empty\0{checkpoint}".encode()).hexdigest()


def message_hash(message: Message) -> str:
    """What names a message in a history: everything about it, its text included."""
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

    message: str  # hash of the message
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


def save_states(path: Path, states: Mapping[str, SocialState], checkpoint: str) -> None:
    """Write named states to one safetensors file; key, time and checkpoint stand in its header."""
    header = {"checkpoint": checkpoint, "states": json.dumps({n: {"key": s.key, "time": s.time} for n, s in sorted(states.items())})}
    save_file({n: s.S_LHPN.contiguous().clone() for n, s in sorted(states.items())}, path, metadata=header)


def load_states(path: Path, model: SociaLLM, checkpoint: str) -> dict[str, SocialState]:
    """Read what `save_states` wrote. Raises `StateError` on another checkpoint's states, a damaged file or wrong shapes."""
    try:
        with safe_open(path, "pt") as f:
            header = f.metadata() or {}
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118 (not a mapping)
        stated = json.loads(header.get("states", "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise StateError(f"{path}: not a file of states ({error}); restore it, or run again") from None
    if header.get("checkpoint") != checkpoint:
        raise StateError(f"{path}: made by checkpoint {header.get('checkpoint')!s:.12}…, the model loaded is {checkpoint:.12}…; load the one that made it")
    shape, dtype = model.empty_state(1)[:, 0].shape, model.dtype
    if not isinstance(stated, dict) or stated.keys() != tensors.keys():
        raise StateError(f"{path}: names in the header and tensors differ; restore the file, or run again")
    out = {}
    for name, tensor in tensors.items():
        entry = stated[name]
        if tensor.shape != shape or tensor.dtype != dtype or not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
            raise StateError(f"{path}: state {name!r:.60} has shape {tuple(tensor.shape)}, expected {tuple(shape)}; restore the file, or run again")
        out[name] = SocialState(tensor, entry.get("time"), entry["key"])
    return out


def mixture(states: Sequence[SocialState], time: int, dynamics: Dynamics, empty_LHPN: Tensor) -> Tensor:
    """The equal-weight mean of several interlocutor states as read at `time`; empty for none (states are linear)."""
    if not states:
        return empty_LHPN
    return torch.stack([s.at(time, dynamics) for s in states]).mean(0)


def forget_partner(others: Mapping[AgentID, SocialState], partner: AgentID) -> dict[AgentID, SocialState]:
    """Interlocutor states without the one of `partner`: a stranger again."""
    return {agent: state for agent, state in others.items() if agent != partner}
