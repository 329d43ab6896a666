"""SociaLLM: a language model with three streams, written in public and read in private (F2).

The public residual `p` sees its channel only (stream 1, a Mamba-2 language model). Social blocks *write* from `p`, so what a
message does to any reader's state is one operator S → alpha·S + U, the same for every reader. They *read* from `p + r`, where
the private residual `r` starts at zero and never feeds a write: what an agent knows privately reaches nobody else's memory.
The reader's own state (stream 2) and its state of the interlocutor (stream 3) are made by the same weights and join the
residual stream in parallel.

Here stand the model's sizes, what it is given (a sequence of messages, and which of them are read), the model itself and its
beginning; its parts are in `blocks.py`.

Letters in shapes: T tokens of the flat sequence, R reads (one message read with one pair of states), T_r their tokens,
K chunks, Q tokens a chunk, H heads, P head width, N state width, E = H·P, D model width, M messages, G channels, L layers
(of a state: social blocks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sociallm.blocks import LocalBlock, RMSNorm, SocialBlock, Written
from sociallm.chunks import Chunks, chunks_of, pick

FUSIONS = ("heads", "sum")
LayerStates = Tensor | list[Tensor]  # L × [R, H, P, N]


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


@dataclass(frozen=True)
class Public:
    """All that a sequence shows to everybody: the public residual before each layer and after the last, and the writes."""

    residual: tuple[Tensor, ...]  # L+1 × [T, D]
    written: tuple[Written, ...]  # one a social block
    local: tuple[tuple[Tensor, Tensor], ...]  # L × (state [G,H,P,N], convolution window [G, conv-1, E+2N]) after the sequence


class SociaLLM(nn.Module):
    """The model. `public` encodes what everybody in a channel sees; `read` predicts it from one reader's states."""

    def __init__(self, config: SociaLLMConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.local = nn.ModuleList(LocalBlock(config) for _ in range(config.layers))
        self.social = nn.ModuleList(SocialBlock(config) for _ in config.social_layers)
        self.norm = RMSNorm(config.width)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and so of everything that is computed with them."""
        return self.embedding.weight.dtype

    def social_at(self, layer: int) -> SocialBlock | None:
        """The social block of a layer, if it has one."""
        at = self.config.social_layers
        return self.social[at.index(layer)] if layer in at else None

    def public(self, sequence: TokenLayout, local: tuple[tuple[Tensor, Tensor], ...] | None = None) -> Public:
        """Encode a sequence once, for all readers; `local` is what its channels start from (None: new channels)."""
        p = self.embedding(sequence.tokens_T)
        residual, written, finals = [p], [], []
        for i, local_block in enumerate(self.local):
            if (social_block := self.social_at(i)) is not None:
                written.append(social_block.write(p, sequence))
            added, final = local_block(p, sequence, None if local is None else local[i])
            p = p + added
            residual.append(p)
            finals.append(final)
        return Public(tuple(residual), tuple(written), tuple(finals))

    def read(self, public: Public, reads: Reads, own_LRHPN: LayerStates, other_LRHPN: LayerStates) -> Tensor:
        """p + r after the last layer at every read token [T_r, D]."""
        r: Tensor | None = None
        for j, (i, block) in enumerate(zip(self.config.social_layers, self.social, strict=True)):
            p = pick(public.residual[i], reads.tokens)
            added = block.read(p if r is None else p + r, public.written[j], reads, own_LRHPN[j], other_LRHPN[j])
            r = added if r is None else r + added
        last = pick(public.residual[-1], reads.tokens)
        return last if r is None else last + r

    def logits(self, h: Tensor) -> Tensor:
        """Next-token logits; the embedding is also the head."""
        return F.linear(self.norm(h), self.embedding.weight)

    def empty_state(self, rows: int) -> Tensor:
        """An empty own or interlocutor state for each of `rows`: [L, rows, H, P, N], L the social blocks."""
        c = self.config
        return self.embedding.weight.new_zeros(len(self.social), rows, c.social_heads, c.social_head_width, c.social_state)


def build(config: SociaLLMConfig, generator: torch.Generator) -> SociaLLM:
    """A new model. The one place where weights are drawn.

    Embeddings at 0.02: large logits at the start make denormal gradients, which slow a CPU matmul down many times over.
    Local time scales as in Mamba-2 (A in 1..16, steps 0.001..0.1); social ones: `_remember`.
    """
    model = SociaLLM(config)

    def uniform(p: Tensor, low: float, high: float) -> None:
        p.copy_(torch.rand(p.shape, generator=generator, dtype=torch.float64).to(p) * (high - low) + low)

    def normal(p: Tensor, std: float) -> None:
        p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) * std)

    def steps(p: Tensor) -> None:
        dt = (torch.rand(p.shape, generator=generator, dtype=torch.float64) * np.log(100.0) + np.log(0.001)).exp()
        p.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus(p) = dt

    with torch.no_grad():
        normal(model.embedding.weight, 0.02)
        for block in (*model.local, *model.social):
            for name, p in block.named_parameters():
                if name.endswith("proj.weight"):
                    normal(p, (0.5 if name.startswith("out") else 1.0) / np.sqrt(p.shape[1]) / (np.sqrt(config.layers) if name.startswith("out") else 1.0))
            uniform(block.conv_weight, -0.5, 0.5)
            steps(block.dt_bias)
        for local in model.local:
            uniform(local.A_log, 0.0, float(np.log(16.0)))
        for social in model.social:
            _remember(social)
    return model


def _remember(block: SocialBlock) -> None:
    """Make a social block, its matrices drawn, one that looks up from the first step on: what followed words like the present one?

    A token is kept under what stood before it (key B: the previous token's projection; value x: its own), asked for by the present
    token through the same projection (C), and given back by the value's transpose; biases let the gate begin open and every memory count
    a little whatever the key. From a random beginning so much has to be found at once that in millions of tokens it is not (LOG.md).
    Step sizes and A give memories of some 160 to 160,000 tokens, and decay by the hour goes with them. Every second head holds what one
    wrote sixteen times as strongly as what one read: what somebody says next is likelier in his own words than in the room's.
    """
    E, N, heads = block.inner, block.state, block.heads
    value, key, _ = block.write_proj.weight.split([E, N, heads])
    block.read_proj.weight[:N] = key
    block.read_proj.weight[N:] *= 0.3
    block.query_bias.fill_(0.5)
    block.gate_bias.fill_(1.0)
    block.conv_weight.zero_()
    block.conv_weight[:E, 0, -1] = 1.0
    block.conv_weight[E:, 0, -min(2, block.conv_weight.shape[-1])] = 1.0
    block.out_proj.weight.copy_(0.15 * value.T.repeat(1, block.out_proj.in_features // E))
    dt = torch.full((heads,), 0.06)
    block.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus(dt_bias) = dt
    block.A_log.copy_(torch.linspace(float(np.log(1e-4)), float(np.log(0.1)), heads))
    block.rate_log.copy_(torch.linspace(float(np.log(0.001)), float(np.log(0.3)), heads))
    block.role_log[:, ::2] = torch.tensor([[float(np.log(4.0))], [-float(np.log(4.0))]])
