"""What a model is given: its sizes, messages laid out as one flat sequence, and which of them are read.

Letters in shapes: T tokens of the flat sequence, R reads (one message read with one pair of states), T_r their tokens, K chunks, M messages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sociallm.chunks import Chunks, chunks_of

FUSIONS = ("heads", "sum")


@dataclass(frozen=True, kw_only=True)
class SociaLLMConfig:
    """Sizes of the model. Widths are in numbers of channels."""

    vocabulary: int = 4096
    width: int = 192
    layers: int = 4
    local_heads: int = 6
    local_head_width: int = 64
    local_state: int = 32
    social_heads: int = 4
    social_head_width: int = 32
    social_state: int = 64
    social_every: int = 1  # a social block in every k-th layer; 0: none at all, a plain Mamba-2 language model
    fusion: str = "heads"  # heads: [own | interlocutor] side by side; sum: own + interlocutor, exactly exchangeable
    conv: int = 4
    local_chunk: int = 64
    social_chunk: int = 32

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise ValueError(f"fusion is {self.fusion!r:.40}; expected one of {', '.join(FUSIONS)}")
        if not 0 <= self.social_every <= self.layers:
            raise ValueError(f"social_every is {self.social_every}; expected 0 (no social blocks) to {self.layers} (layers)")

    @property
    def social_layers(self) -> tuple[int, ...]:
        """The layers that have a social block: the last of every `social_every`."""
        return tuple(i for i in range(self.layers) if self.social_every and (i + 1) % self.social_every == 0)


@dataclass(frozen=True)
class TokenLayout:
    """A flat sequence of messages, channel after channel, each channel's messages in order of time."""

    tokens_T: Tensor
    channels: Chunks  # segments: channels
    messages: Chunks  # segments: messages
    in_channel_T: Tensor  # position in the channel, counted from what this sequence holds of it
    in_message_T: Tensor
    channel_T: Tensor
    starts_M: tuple[int, ...]
    lengths_M: tuple[int, ...]


def sequence_of(channels: list[list[list[int]]], config: SociaLLMConfig) -> TokenLayout:
    """Lay out channels, each a list of messages, each a list of at least one token id."""
    messages = [ids for channel in channels for ids in channel]
    lengths = [len(ids) for ids in messages]
    channel_lengths = [sum(map(len, channel)) for channel in channels]

    def positions(sizes: list[int]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.arange(n) for n in sizes] or [np.zeros(0, np.int64)]).astype(np.int64))

    return TokenLayout(
        tokens_T=torch.tensor([i for ids in messages for i in ids], dtype=torch.long),
        channels=chunks_of(channel_lengths, config.local_chunk),
        messages=chunks_of(lengths, config.social_chunk),
        in_channel_T=positions(channel_lengths),
        in_message_T=positions(lengths),
        channel_T=torch.repeat_interleave(torch.arange(len(channels)), torch.tensor(channel_lengths, dtype=torch.long)),
        starts_M=tuple(np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int).tolist()) if lengths else (),
        lengths_M=tuple(lengths),
    )


@dataclass(frozen=True)
class Reads:
    """Which messages are read, by index; a message may be read many times, each time with other states."""

    tokens: Tensor  # [T_r] place of each read token in the flat sequence
    chunk_K: Tensor  # [K_r] which chunk of the messages' layout each read chunk repeats
    chunks: Chunks  # segments: reads
    starts: tuple[int, ...]  # first token of each read within T_r


def reads_of(messages: list[int], sequence: TokenLayout, config: SociaLLMConfig) -> Reads:
    """The layout of reading `messages` (indices into the sequence), in the given order."""
    owner = sequence.messages.segment_K.numpy()
    first, last = np.searchsorted(owner, messages), np.searchsorted(owner, messages, side="right")
    lengths = [sequence.lengths_M[m] for m in messages]
    tokens = [np.arange(sequence.starts_M[m], sequence.starts_M[m] + n) for m, n in zip(messages, lengths, strict=True)]
    spans = [np.arange(a, b) for a, b in zip(first, last, strict=True)]
    empty = [np.zeros(0, np.int64)]
    return Reads(
        tokens=torch.from_numpy(np.concatenate(tokens or empty)),
        chunk_K=torch.from_numpy(np.concatenate(spans or empty)),
        chunks=chunks_of(lengths, config.social_chunk),
        starts=tuple(np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int).tolist()) if lengths else (),
    )
