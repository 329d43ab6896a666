"""Memory as values: the state of one channel, the state of one stream, and what one message does to any state that reads it.

Nothing here changes in place: a fork of a state is the state itself, and two holders of one state share its tensors.
The key of a state names its history, not its bytes: SHA-256 over the checkpoint and the ordered (message, role, time).

A state alone can go on and can be emptied. To take one message, partner or channel out of it, one must know what it is made
of: a `Stream` is a state with its messages and their operators, and whatever is left is recomposed.
That is this reader's memory without the message, what others wrote held fixed; not the world in which it was never sent.

Letters in shapes: L social layers, H heads, P head width, N state width, E inner width of a local block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from sociallm.conversation import AgentID, Message
from sociallm.model import SociaLLM
from sociallm.streams import HOUR_MS, READ, WROTE

ROLES = {WROTE: "wrote", READ: "read"}
Remembered = TypeVar("Remembered")


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


def next_key(key: str, message: str, role: int, time: int) -> str:
    """The key of a state of key `key` after a message of that name, role and time."""
    return hashlib.sha256(f"{key}\0{message}\0{ROLES[role]}\0{time}".encode()).hexdigest()


def check_order(time: int, last: int | None) -> None:
    """Raises `StateError` for a message older than the last one absorbed."""
    if last is not None and time < last:
        raise StateError(f"a message of time {time} cannot be absorbed after one of {last}; deliver messages in order of time")


@dataclass(frozen=True)
class Dynamics:
    """What a checkpoint says about absorbing: log factor of a message written and read, and log decay per hour, per layer and head."""

    role_log_L2H: Tensor
    rate_log_LH: Tensor

    @classmethod
    def of(cls, model: SociaLLM) -> Dynamics:
        """Those of a model's weights, as they are now."""
        none = model.embedding.weight.new_zeros(0, 2, model.config.social_heads)  # of a model without social layers
        roles, rates = ([getattr(b, name).detach() for b in model.social] for name in ("role_log", "rate_log"))
        return cls(torch.stack(roles) if roles else none, torch.stack(rates) if rates else none[:, 0])

    def log_decay_LH(self, milliseconds: int) -> Tensor:
        """Log factor by which a state fades while so much time passes."""
        return -self.rate_log_LH.exp() * (max(0, milliseconds) / HOUR_MS)

    def decay_LH11(self, milliseconds: int) -> Tensor:
        """Factor by which a state fades while so much time passes."""
        return torch.exp(self.log_decay_LH(milliseconds))[..., None, None]

    def gain_LH11(self, role: int) -> Tensor:
        """Factor with which a message enters the own state of who wrote it or read it."""
        return self.role_log_L2H[:, 0 if role == WROTE else 1].exp()[..., None, None]


@dataclass(frozen=True)
class MessageOperator:
    """What one message does to any state that reads it: S → alpha·S + U, per layer and head."""

    message: str  # names it: SHA-256 over its channel up to and with the message
    log_alpha_LH: Tensor
    U_LHPN: Tensor

    def received(self, role: int, time: int, dynamics: Dynamics) -> ComposedOperator:
        """The operator as it enters the state of somebody who wrote or read the message at `time`."""
        return ComposedOperator(time, time, self.log_alpha_LH, dynamics.gain_LH11(role) * self.U_LHPN, ((self.message, role, time),))


@dataclass(frozen=True)
class ComposedOperator:
    """What a run of messages does to a state: S, faded to `first` → alpha·S + U, as of `last`; the time between is in alpha and U.

    Such runs form a monoid under `then`, `compose([])` being its unit: composing in any grouping gives the same operator up to
    rounding, and the very same key.
    """

    first: int
    last: int
    log_alpha_LH: Tensor
    U_LHPN: Tensor
    messages: tuple[tuple[str, int, int], ...]  # (message, role, time), in order

    def then(self, later: ComposedOperator, dynamics: Dynamics) -> ComposedOperator:
        """This run, then a later one."""
        check_order(later.first, self.last)
        log_alpha = dynamics.log_decay_LH(later.first - self.last) + later.log_alpha_LH
        U = log_alpha.exp()[..., None, None] * self.U_LHPN + later.U_LHPN
        return ComposedOperator(self.first, later.last, self.log_alpha_LH + log_alpha, U, self.messages + later.messages)


def compose(operators: Iterable[tuple[MessageOperator, int, int]], dynamics: Dynamics) -> ComposedOperator | None:
    """One operator for a run of (operator, role, time) in order of time; None for none, which changes nothing."""
    run: ComposedOperator | None = None
    for operator, role, time in operators:
        received = operator.received(role, time, dynamics)
        run = received if run is None else run.then(received, dynamics)
    return run


@dataclass(frozen=True)
class SocialState:
    """Memory of one stream: an agent's own, or of one interlocutor. Exact, fixed in size."""

    S_LHPN: Tensor
    time: int | None  # ms of the last message, None before the first
    key: str

    @classmethod
    def empty(cls, model: SociaLLM, checkpoint: str) -> SocialState:
        """The state of somebody who has met nothing; `checkpoint` names the model in its key."""
        return cls(model.empty_state(1)[:, 0], None, empty_key(checkpoint))

    def absorb(self, operator: MessageOperator, role: int, time: int, dynamics: Dynamics) -> SocialState:
        """The state after a message of time `time` (not before the last one) that its holder wrote or read."""
        self.check_fits(operator.U_LHPN)
        check_order(time, self.time)
        S = operator.log_alpha_LH.exp()[..., None, None] * self.at(time, dynamics) + dynamics.gain_LH11(role) * operator.U_LHPN
        return SocialState(S, time, next_key(self.key, operator.message, role, time))

    def absorb_run(self, run: ComposedOperator | None, dynamics: Dynamics) -> SocialState:
        """The state after a composed run: the key of absorbing its messages one by one, the same numbers up to rounding."""
        if run is None:
            return self
        self.check_fits(run.U_LHPN)
        check_order(run.first, self.time)
        key = self.key
        for message, role, time in run.messages:
            key = next_key(key, message, role, time)
        return SocialState(run.log_alpha_LH.exp()[..., None, None] * self.at(run.first, dynamics) + run.U_LHPN, run.last, key)

    def check_fits(self, U_LHPN: Tensor) -> None:
        """Raises `StateError` for an operator of another model."""
        if U_LHPN.shape != self.S_LHPN.shape:  # shapes that only broadcast would pass unseen
            raise StateError(f"an operator of shape {tuple(U_LHPN.shape)} cannot enter a state of shape {tuple(self.S_LHPN.shape)}; use one checkpoint for both")

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

    @property
    def bytes(self) -> int:
        """Size of the tensors in memory."""
        return sum(t.numel() * t.element_size() for layer in self.layers for t in layer)


# ---- what a state is made of -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Absorbed:
    """One entry of a history: a message, what it does, and whether the holder wrote or read it."""

    message: Message
    operator: MessageOperator
    role: int


Choice = Callable[[Absorbed], bool]


def everything(entry: Absorbed) -> bool:
    """Chooses all that is held."""
    return True


def from_author(author: AgentID) -> Choice:
    """Chooses what one agent wrote, in whatever channel."""
    return lambda entry: entry.message.author == author


def in_channel(name: str) -> Choice:
    """Chooses what was said in one channel, by whomever."""
    return lambda entry: entry.message.channel.name == name


def between(a: AgentID, b: AgentID) -> Choice:
    """Chooses what was said where these two are the only readers."""
    return lambda entry: entry.message.channel.readers == {a, b}


def before(time: int) -> Choice:
    """Chooses what is older than a moment."""
    return lambda entry: entry.message.time < time


def recompose(origin: SocialState, entries: Iterable[Absorbed], dynamics: Dynamics) -> SocialState:
    """The state after `entries`: bit for bit, and by key, the one that absorbing them one after another gives."""
    state = origin
    for entry in entries:
        state = state.absorb(entry.operator, entry.role, entry.message.time, dynamics)
    return state


@dataclass(frozen=True)
class Stream:
    """A state and what it is made of. Operators are shared values: a message held by a thousand streams is held once.

    `origin` is what the first entry met: the empty state, or one restored from a file, whose own messages cannot be told apart any more.
    """

    origin: SocialState
    entries: tuple[Absorbed, ...]
    state: SocialState

    @classmethod
    def starting(cls, origin: SocialState) -> Stream:
        """A stream that holds nothing yet."""
        return cls(origin, (), origin)

    def absorb(self, entry: Absorbed, dynamics: Dynamics) -> Stream:
        """The stream with one more message; a message is read once, so a second time is an error."""
        m = entry.message
        if any((e.message.channel.name, e.message.id) == (m.channel.name, m.id) for e in self.entries):
            raise StateError(f"message {m.id!r:.80} of channel {m.channel.name!r:.80} is in this stream already; after a restore go on with the message after it")
        return replace(self, entries=(*self.entries, entry), state=self.state.absorb(entry.operator, entry.role, m.time, dynamics))

    def forget(self, choice: Choice, dynamics: Dynamics) -> Stream:
        """The stream without the entries chosen (`everything`, `from_author`, `in_channel`, `between`, `before`), the rest recomposed.

        Raises `StateError` if the stream goes back to a restored state: what that was made of is unknown, so nothing but single
        messages (`without`) can be taken out.
        """
        if self.origin.time is not None:
            raise StateError(f"this stream is known from time {self.origin.time} on only; start from the empty state and absorb all of its messages to forget some")
        return self._keeping(tuple(e for e in self.entries if not choice(e)), dynamics)

    def without(self, messages: Collection[str], dynamics: Dynamics) -> Stream:
        """This memory had it never met these messages (by id), others' words held fixed. Raises `StateError` for one it does not hold."""
        missing = sorted(set(messages) - {e.message.id for e in self.entries})
        if missing:
            raise StateError(f"message {missing[0]!r:.80} is not among the {len(self.entries)} this stream holds; name messages it has absorbed")
        return self._keeping(tuple(e for e in self.entries if e.message.id not in messages), dynamics)

    def _keeping(self, entries: tuple[Absorbed, ...], dynamics: Dynamics) -> Stream:
        return self if len(entries) == len(self.entries) else replace(self, entries=entries, state=recompose(self.origin, entries, dynamics))


def forget_partner(others: Mapping[AgentID, Remembered], partner: AgentID) -> dict[AgentID, Remembered]:
    """Interlocutor states without the one of `partner`: a stranger again."""
    return {agent: state for agent, state in others.items() if agent != partner}


def erase_relationship(
    own: Stream, others: Mapping[AgentID, Remembered], holder: AgentID, partner: AgentID, dynamics: Dynamics
) -> tuple[Stream, dict[AgentID, Remembered]]:
    """What is left of `holder`'s memory: own stream without the channels of these two alone, `partner` a stranger again.

    What the partner said in larger rooms stays in the own stream; the policy's notes about the partner are the agent's to clear.
    """
    return own.forget(between(holder, partner), dynamics), forget_partner(others, partner)


# ---- comparing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Distance:
    """‖a − b‖ / (‖a‖ + ‖b‖), Frobenius: 0 for equal states, 1 if one is empty or b = −c·a, about 0.7 for unrelated ones of equal size."""

    layers: tuple[float, ...]
    overall: float


def distance(a_LHPN: Tensor, b_LHPN: Tensor) -> Distance:
    """How far two states are apart, as read at one moment (`SocialState.at`). Bounded, symmetric, blind to a common scale; not to
    a change of coordinates, so it compares states of one checkpoint only, and says nothing of what they predict (`measures`)."""
    a, b = a_LHPN.double().flatten(1), b_LHPN.double().flatten(1)

    def ratio(difference: Tensor, x: Tensor, y: Tensor) -> float:
        whole = float(x.norm() + y.norm())
        return float(difference.norm()) / whole if whole else 0.0

    return Distance(tuple(ratio(x - y, x, y) for x, y in zip(a, b, strict=True)), ratio(a - b, a, b))


def bytes_per_relationship(model: SociaLLM) -> int:
    """Size of one interlocutor state as exported in bf16; live fp32 is twice that."""
    return 2 * model.empty_state(1).numel()


def mixture(states: Sequence[SocialState], time: int, dynamics: Dynamics, empty_LHPN: Tensor) -> Tensor:
    """The equal-weight mean of several interlocutor states as read at `time`; empty for none (states are linear)."""
    if not states:
        return empty_LHPN
    return torch.stack([s.at(time, dynamics) for s in states]).mean(0)
