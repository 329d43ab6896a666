"""How agents read: a message is encoded once, then each reader's memory takes it in.

An agent's own state absorbs what it wrote and what it read; its state of the author what the author wrote to it. A state of
an interlocutor is made at first contact. With `measure`, before absorbing, the message's surprise is computed for every
reader with both its states, with its state of the author emptied, with its own emptied, and with both emptied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.memory import AgentMemory, file_name, without_notes
from sociallm.checkpoint import Checkpoint, shared
from sociallm.conversation import AgentID, Message
from sociallm.encode import EncodedMessage as Encoded
from sociallm.encode import dynamics_of, encode, new_local, nll_under, slots_of
from sociallm.state_files import load_locals, load_states, save_locals, save_states
from sociallm.states import ROLES, Absorbed, LocalState, SocialState, StateError, Stream, between, brief, forget_partner
from sociallm.streams import READ, WROTE

__all__ = ["Encoded", "Reader", "prior"]


NOBODY: Mapping[AgentID, str] = {}


def prior(checkpoint: Checkpoint, file: str) -> SocialState:
    """The own state in a file that `Reader.save` wrote in an earlier run, as a new run begins with it: whatever its time was there, it does not fade
    before its first message here. Its key says that it is of another run. Raises `StateError`."""
    states = load_states(Path(file), checkpoint.model, checkpoint.sha256)
    if "own" not in states:
        raise StateError(f"{file}: holds no own state, only {', '.join(states) or 'nothing'!s:.80}; name AGENT.safetensors in a snapshot of an earlier run")
    return replace(states["own"], time=None, key=hashlib.sha256(f"{states['own'].key}\0prior".encode()).hexdigest())


class Reader:
    """Reads for all agents of one host, with one copy of the weights. Holds no memory of its own."""

    def __init__(self, checkpoint: str, agents: Sequence[AgentID], own: Mapping[AgentID, str] = NOBODY):
        """`agents` are all agents of the run, on whatever host: a name has the same slot everywhere. `own`: agent → the file of the own state that
        it begins with. Raises `StateError` for one that cannot be had."""
        self._checkpoint = shared(checkpoint)
        self._priors = {agent: prior(self._checkpoint, file) for agent, file in own.items()}
        self._slots = slots_of(agents)
        self._dynamics = dynamics_of(self._checkpoint)
        self._empty = SocialState.empty(self._checkpoint.model, self._checkpoint.sha256)

    def beginning(self, agent: AgentID) -> AgentMemory:
        """The memory of an agent that has met nobody here."""
        return AgentMemory(own=self._priors.get(agent))

    def encode(self, local: LocalState | None, messages: Sequence[Message]) -> tuple[LocalState, tuple[Encoded, ...]]:
        """The channel's state after its new messages (None: a new channel), and each of them encoded, in order."""
        state = new_local(self._checkpoint) if local is None else local
        encoded = []
        for message in messages:
            state, one = encode(self._checkpoint, self._slots, state, message)
            encoded.append(one)
        return state, tuple(encoded)

    def absorb(self, memories: Mapping[AgentID, AgentMemory], encoded: Encoded, measure: bool) -> tuple[dict[AgentID, AgentMemory], dict[AgentID, dict[str, Any]]]:
        """(memories after the message, what to log of each): for the readers among `memories`, its author included."""
        message, after, scalars = encoded.message, {}, {}
        for agent, memory in memories.items():
            if not message.read_by(agent):
                continue
            record: dict[str, Any] = {"role": ROLES[WROTE if agent == message.author else READ]}
            if measure and agent != message.author:
                record |= self._surprise(memory, encoded)
            own, others = self._states(agent, memory, encoded)
            channels = {**memory.channels, message.channel.name: encoded.channel_key}
            after[agent] = replace(memory, own=own, others=others, channels=channels)
            record |= {"own": brief(own.key), "channel": brief(encoded.channel_key)}
            if agent != message.author:
                record["other"] = brief(others[message.author].key)
            scalars[agent] = record
        return after, scalars

    def _states(self, agent: AgentID, memory: AgentMemory, encoded: Encoded) -> tuple[SocialState, Mapping[AgentID, SocialState]]:
        """(own state, states of interlocutors) after the message."""
        message, operator = encoded.message, encoded.operator
        role = WROTE if agent == message.author else READ
        own = (memory.own or self._empty).absorb(operator, role, message.time, self._dynamics)
        others = memory.others
        if role == READ:
            known = others.get(message.author, self._empty)
            others = {**others, message.author: known.absorb(operator, READ, message.time, self._dynamics)}
        return own, others

    def _surprise(self, memory: AgentMemory, encoded: Encoded) -> dict[str, Any]:
        """Nats of the message's words and end for this reader; each reader by itself, so that no number depends on the others."""
        now, empty = encoded.message.time, self._empty.S_LHPN
        own = (memory.own or self._empty).at(now, self._dynamics)
        other = memory.others.get(encoded.message.author, self._empty).at(now, self._dynamics)
        nll = nll_under(self._checkpoint, encoded, [(own, other), (own, empty), (empty, other), (empty, empty)])
        names = ("surprise", "surprise_no_int", "surprise_no_own", "surprise_no_states")
        return {"tokens": len(nll[0])} | {name: round(float(row.double().sum()), 6) for name, row in zip(names, nll, strict=True)}

    def save(self, memories: Mapping[AgentID, AgentMemory], folder: Path) -> None:
        """The states of every agent, one safetensors file each: "own" and "of <interlocutor>"."""
        for agent, memory in memories.items():
            states = {"own": memory.own or self._empty} | {f"of {other}": state for other, state in memory.others.items()}
            save_states(folder / f"{file_name(agent)}.safetensors", states, self._checkpoint.sha256)

    def load(self, memory: AgentMemory, file: Path) -> AgentMemory:
        """The memory with the states that `save` wrote. Raises `StateError`."""
        states = load_states(file, self._checkpoint.model, self._checkpoint.sha256)
        own = states.pop("own")
        return replace(memory, own=None if own.key == self._empty.key else own, others={name.removeprefix("of "): s for name, s in states.items()})

    def save_channels(self, locals_: Mapping[str, LocalState], folder: Path) -> None:
        """The states of channels, one safetensors file each."""
        for name, state in locals_.items():
            save_locals(folder / f"{file_name(name)}.safetensors", {name: state}, self._checkpoint.sha256)

    def load_channels(self, files: Iterable[Path]) -> dict[str, LocalState]:
        """The states that `save_channels` wrote. Raises `StateError`."""
        found: dict[str, LocalState] = {}
        for file in files:
            found |= load_locals(file, self._checkpoint.model, self._checkpoint.sha256)
        return found

    def erase(
        self, memory: AgentMemory, holder: AgentID, partner: AgentID, messages: Sequence[Message], parts: Collection[str]
    ) -> AgentMemory:
        """The holder's memory without the partner. `messages` are all that were said, in the order in which they were read.

        "own": its own state, made again from all that it read and wrote but for the channels of these two alone; "int": the partner a
        stranger again; "notes": what its policy noted about the partner. Raises `StateError` if the messages do not make the memory.
        """
        stream, locals_ = Stream.starting(self._priors.get(holder, self._empty)), dict[str, LocalState]()
        for message in messages:
            if message.read_by(holder) and "own" in parts:
                locals_[message.channel.name], (encoded,) = self.encode(locals_.get(message.channel.name), [message])
                role = WROTE if message.author == holder else READ
                stream = stream.absorb(Absorbed(message=message, operator=encoded.operator, role=role), self._dynamics)
        if "own" in parts:
            if stream.state.key != (memory.own or self._empty).key:
                raise StateError(f"the messages of the log do not make the own state of {holder!r:.60}; was its memory changed before? fork an earlier run")
            memory = replace(memory, own=stream.forget(between(holder, partner), self._dynamics).state)
        if "int" in parts:
            memory = replace(memory, others=forget_partner(memory.others, partner))
        return replace(memory, notes=without_notes(memory.notes, partner)) if "notes" in parts else memory
