"""One message at a time, as an online agent meets it: encode it once for everybody, then read it from any pair of states.

Each call handles one message by itself, so that its numbers depend on the message and its channel's state alone and not on
what else a host has to do: the same on one host or four, whatever the batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import AgentID, Message
from sociallm.layout import Reads, TokenLayout, reads_of, sequence_of
from sociallm.model import Public
from sociallm.states import Dynamics, LocalState, MessageOperator, empty_key, message_hash
from sociallm.streams import RECENT_MESSAGES, interlocutors
from sociallm.tokenizer import MOST_WORDS, SLOTS


def slots_of(agents: Sequence[AgentID]) -> dict[AgentID, int]:
    """The slot of every agent of a run: in order of name, shared beyond sixteen."""
    return {agent: i % SLOTS for i, agent in enumerate(sorted(agents))}


@dataclass(frozen=True)
class EncodedMessage:
    """A message after its one encoding: its operator, and what a read of it needs."""

    message: Message
    operator: MessageOperator
    partners: tuple[AgentID, ...]  # whom the author had in mind
    public: Public
    sequence: TokenLayout
    header: int  # tokens before the first predicted one
    channel_key: str  # of the channel's state after the message


def new_local(checkpoint: Checkpoint) -> LocalState:
    """The state of a channel in which nothing has been said."""
    c = checkpoint.model.config
    zeros = checkpoint.model.embedding.weight.new_zeros
    layer = (zeros(1, c.local_heads, c.local_head_width, c.local_state), zeros(1, c.conv - 1, c.local_heads * c.local_head_width + 2 * c.local_state))
    return LocalState((layer,) * c.layers, None, 0, (), empty_key(checkpoint.sha256))


def header_of(checkpoint: Checkpoint, local: LocalState, slots: Mapping[AgentID, int], message: Message) -> tuple[list[int], tuple[AgentID, ...]]:
    """(header tokens, interlocutors) of a message about to be written in a channel."""
    partners = interlocutors(message, local.recent)
    named = partners if message.addressees or len(message.channel.readers) == 2 else ()
    gap = None if local.time is None else message.time - local.time
    return checkpoint.tokenizer.header(gap, slots[message.author], [slots[a] for a in named if a in slots]), partners


@torch.inference_mode()
def encode(checkpoint: Checkpoint, slots: Mapping[AgentID, int], local: LocalState | None, message: Message) -> tuple[LocalState, EncodedMessage]:
    """Encode a message after everything its channel holds: (the channel's new state, the encoded message)."""
    model = checkpoint.model
    local = new_local(checkpoint) if local is None else local
    header, partners = header_of(checkpoint, local, slots, message)
    words = checkpoint.tokenizer.encode_text(message.text)[:MOST_WORDS]
    sequence = sequence_of([[[*header, *words, checkpoint.tokenizer.END]]], model.config)
    public = model.public(sequence, local.layers)
    # What a message does depends on all that its channel held before it and on its header (slots): both are part of its name.
    name = hashlib.sha256(f"{local.key}\0{message_hash(message)}\0{header}".encode()).hexdigest()
    if not public.written:
        raise ValueError(f"the model (checkpoint {checkpoint.sha256:.12}…) has no social blocks, so no state to remember with; use one with social_every of 1 or more")
    operator = MessageOperator(
        name, torch.stack([w.log_alpha_MH[0] for w in public.written]).clone(), torch.stack([w.U_MHPN[0] for w in public.written]).clone()
    )
    key = hashlib.sha256(f"{local.key}\0{name}\0{message.time}".encode()).hexdigest()
    after = LocalState(
        tuple((S.clone(), window.clone()) for S, window in public.local), message.time, local.position + sequence.lengths_M[0],
        (*local.recent, message)[-RECENT_MESSAGES:], key,
    )  # fmt: skip
    return after, EncodedMessage(message, operator, partners, public, sequence, len(header), key)


@torch.inference_mode()
def nll_under(checkpoint: Checkpoint, encoded: EncodedMessage, pairs: Sequence[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Per pair of (own, interlocutor) states [L,H,P,N]: nats of every predicted token of the message (words and end)."""
    model, sequence = checkpoint.model, encoded.sequence
    reads: Reads = reads_of([0] * len(pairs), sequence, model.config)
    own, other = (torch.stack([pair[i] for pair in pairs], 1) for i in (0, 1))
    h = model.read(encoded.public, reads, own, other)
    length = sequence.lengths_M[0]
    h = h.view(len(pairs), length, -1)[:, encoded.header - 1 : -1]
    log_p = torch.log_softmax(model.logits(h), -1)
    target = sequence.tokens_T[encoded.header :]
    return list(-log_p.gather(-1, target[None, :, None].expand(len(pairs), -1, 1))[..., 0])


def dynamics_of(checkpoint: Checkpoint) -> Dynamics:
    """How states of this checkpoint fade and take messages in."""
    return Dynamics.of(checkpoint.model)
