"""SociaLLM: a language model with three streams, written in public and read in private (F2).

The public residual `p` sees its channel only (stream 1, a Mamba-2 language model). Social blocks *write* from `p`, so what a
message does to any reader's state is one operator S → alpha·S + U, the same for every reader. They *read* from `p + r`, where
the private residual `r` starts at zero and never feeds a write: what an agent knows privately reaches nobody else's memory.
The reader's own state (stream 2) and its state of the interlocutor (stream 3) are made by the same weights and join the
residual stream in parallel.

Departures from the proposal's sketch: the query C has no convolution (a read may depend on the reader only within a token);
with fusion "heads" a message's own writes are read by both heads, so that the two stay interchangeable.

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

from sociallm.fused import EPS, conv_silu, gated, unit, unit_gated
from sociallm.ssd import Chunks, ChunkStates, chunk_states, chunks_of, from_chunks, pick, readout, ssd, ssd_step, to_chunks

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
            raise ValueError(f"fusion is {self.fusion!r}; expected one of {', '.join(FUSIONS)}")
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
class Written:
    """What one social block made of the public residual: its inputs by chunk, and each message's operator."""

    x_KQHP: Tensor
    B_KQN: Tensor
    states: ChunkStates

    @property
    def U_MHPN(self) -> Tensor:
        return self.states.final_GHPN

    @property
    def log_alpha_MH(self) -> Tensor:
        return self.states.decay_final_GH


@dataclass(frozen=True)
class Public:
    """All that a sequence shows to everybody: the public residual before each layer and after the last, and the writes."""

    residual: tuple[Tensor, ...]  # L+1 × [T, D]
    written: tuple[Written, ...]  # one a social block
    local: tuple[tuple[Tensor, Tensor], ...]  # L × (state [G,H,P,N], convolution window [G, conv-1, E+2N]) after the sequence


def _softplus(x: Tensor) -> Tensor:
    """log(1 + e^x). `F.softplus` gives another last bit at the end of a tensor than elsewhere (its vector loop and its remainder
    differ), so a message would depend on how many others are encoded beside it."""
    return -F.logsigmoid(-x)


class RMSNorm(nn.Module):
    """x / rms(x) · weight over the last dimension."""

    def __init__(self, width: int, eps: float = EPS) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return unit(x, self.eps) * self.weight

    def into(self, linear: nn.Linear, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """linear(self(x)) + bias of many rows: the gain multiplies the matrix, of fewer numbers than x, in place of x. Dear for few rows."""
        return F.linear(unit(x, self.eps), linear.weight * self.weight, bias)


class HeadNorm(nn.Module):
    """[..., H, P] → [..., H·P], each head by itself: x / sqrt(mean x² + eps) · weight. So a head whose memory is long does not drown
    the others; and `eps` is no formality: what a nearly empty state says, less than 0.1 in size, stays small."""

    def __init__(self, heads: int, width: int, eps: float = 1e-2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(heads * width))
        self.width, self.eps = width, eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (self.width,), None, self.eps).flatten(-2) * self.weight


class LocalBlock(nn.Module):
    """Mamba-2's block with its own parameter names and shapes (one group)."""

    def __init__(self, config: SociaLLMConfig) -> None:
        super().__init__()
        self.heads, self.head_width, self.state = config.local_heads, config.local_head_width, config.local_state
        E = self.heads * self.head_width
        self.inner, self.conv_width = E, E + 2 * self.state
        self.norm_in = RMSNorm(config.width)
        self.in_proj = nn.Linear(config.width, 2 * E + 2 * self.state + self.heads, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(self.conv_width, 1, config.conv))
        self.conv_bias = nn.Parameter(torch.zeros(self.conv_width))
        self.dt_bias = nn.Parameter(torch.empty(self.heads))
        self.A_log = nn.Parameter(torch.empty(self.heads))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RMSNorm(E)
        self.out_proj = nn.Linear(E, config.width, bias=False)

    def _parts(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, xBC, dt = projected.split([self.inner, self.conv_width, self.heads], -1)
        return z, xBC, _softplus(dt + self.dt_bias)

    def forward(self, p_TD: Tensor, sequence: TokenLayout, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(what is added to p, (final state [G,H,P,N], final convolution window [G, conv-1, E+2N]))."""
        z, raw, dt_TH = self._parts(self.norm_in.into(self.in_proj, p_TD))
        window = None if state is None else state[1]
        conv = conv_silu(raw, self.conv_weight, self.conv_bias, sequence.in_channel_T, sequence.channel_T, window)
        x, B, C = conv.split([self.inner, self.state, self.state], -1)
        x = x.unflatten(-1, (self.heads, self.head_width))
        y, final = ssd(x * dt_TH[..., None], -dt_TH * self.A_log.exp(), B, C, sequence.channels, None if state is None else state[0])
        u = gated(y, x, self.D, z, self.norm.eps)
        added = F.linear(u, self.out_proj.weight * self.norm.weight)
        return added, (final, self._window(raw, window, sequence))

    def _window(self, raw_TE: Tensor, window: Tensor | None, sequence: TokenLayout) -> Tensor:
        """The last conv-1 inputs of every channel, older ones first."""
        if window is None:
            window = raw_TE.new_zeros(sequence.channels.segments, self.conv_weight.shape[-1] - 1, self.conv_width)
        parts, start = [], 0
        for g, n in enumerate(sequence.channels.lengths):
            parts.append(torch.cat([window[g], raw_TE[start : start + n]])[n:])
            start += n
        return torch.stack(parts) if parts else window

    def step(self, p_BD: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One token for each of B rows; state as in `forward`, with rows in place of channels."""
        z, raw, dt = self._parts(self.in_proj(self.norm_in(p_BD)))
        window = torch.cat([state[1], raw[:, None]], 1)
        conv = (window * self.conv_weight[:, 0].T).sum(1) + self.conv_bias
        x, B, C = F.silu(conv).split([self.inner, self.state, self.state], -1)
        x = x.unflatten(-1, (self.heads, self.head_width))
        S, y = ssd_step(state[0], x * dt[..., None], -dt * self.A_log.exp(), B, C)
        y = (y + self.D[:, None] * x).flatten(-2)
        return self.out_proj(self.norm(y * F.silu(z))), (S, window[:, 1:])


def _before(S_RHPN: Tensor, written: ChunkStates, chunk_K: Tensor, read_K: Tensor) -> Tensor:
    """A reader's state before each chunk of its reads [K, H, P, N]: what it holds, and what the message has written so far."""
    if written.before_KHPN is None:  # every message is one chunk
        return S_RHPN
    later = (read_K[1:] == read_K[:-1]).nonzero()[:, 0] + 1  # chunks that are not the first of their read
    at = chunk_K.index_select(0, later)
    written_so_far, since = (pick(v, at) for v in (written.before_KHPN, written.decay_before_KH))
    grown = written_so_far + since.exp()[..., None, None] * pick(S_RHPN, read_K.index_select(0, later))
    place = torch.full_like(read_K, -1)
    place[later] = torch.arange(len(later), device=later.device) + len(S_RHPN)
    return pick(torch.cat([S_RHPN, grown]), torch.where(place < 0, read_K, place))


class SocialBlock(nn.Module):
    """One set of weights for own and interlocutor memory: writes from p, reads from p + r."""

    def __init__(self, config: SociaLLMConfig) -> None:
        super().__init__()
        self.heads, self.head_width, self.state, self.fusion = config.social_heads, config.social_head_width, config.social_state, config.fusion
        E = self.heads * self.head_width
        views = 2 if config.fusion == "heads" else 1
        self.inner = E
        self.norm_write, self.norm_read, self.norm = RMSNorm(config.width), RMSNorm(config.width), HeadNorm(self.heads, self.head_width)
        self.write_proj = nn.Linear(config.width, E + self.state + self.heads, bias=False)
        self.read_proj = nn.Linear(config.width, self.state + views * E, bias=False)
        self.out_proj = nn.Linear(views * E, config.width, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(E + self.state, 1, config.conv))
        self.conv_bias = nn.Parameter(torch.zeros(E + self.state))
        self.query_bias = nn.Parameter(torch.empty(self.state))
        self.gate_bias = nn.Parameter(torch.empty(views * E))
        self.dt_bias = nn.Parameter(torch.empty(self.heads))
        self.A_log = nn.Parameter(torch.empty(self.heads))
        self.role_log = nn.Parameter(torch.zeros(2, self.heads))  # log factor of a message one wrote, one read
        self.rate_log = nn.Parameter(torch.empty(self.heads))  # log of the decay per hour

    def _inputs(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        raw, dt = projected.split([self.inner + self.state, self.heads], -1)
        return raw, _softplus(dt + self.dt_bias)

    def _split(self, conv: Tensor, dt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, B = conv.split([self.inner, self.state], -1)
        return x.unflatten(-1, (self.heads, self.head_width)) * dt[..., None], -dt * self.A_log.exp(), B

    def write(self, p_TD: Tensor, sequence: TokenLayout) -> Written:
        """Every message's operator, and what its own tokens will need for their reads."""
        raw, dt = self._inputs(self.norm_write.into(self.write_proj, p_TD))
        parts = self._split(conv_silu(raw, self.conv_weight, self.conv_bias, sequence.in_message_T), dt)
        x, log_a, B = (to_chunks(v, sequence.messages) for v in parts)
        return Written(x, B, chunk_states(x, log_a, B, sequence.messages.segment_K, sequence.messages.segments))

    def read(self, h_TD: Tensor, written: Written, reads: Reads, own_RHPN: Tensor, other_RHPN: Tensor) -> Tensor:
        """What is added to r at every read token, given each read's two states (already decayed to the present)."""
        query = self.norm_read.into(self.read_proj, h_TD, torch.cat([self.query_bias, self.gate_bias]))
        C_T, z = query.split([self.state, len(self.gate_bias)], -1)
        k = reads.chunk_K
        x, B, cumulative = (pick(v, k) for v in (written.x_KQHP, written.B_KQN, written.states.cumulative_KQH))
        states = (own_RHPN, other_RHPN) if self.fusion == "heads" else (own_RHPN + other_RHPN,)
        before = (_before(S, written.states, k, reads.chunks.segment_K) for S in states)
        y = from_chunks(readout(to_chunks(C_T, reads.chunks), x, B, cumulative, *before), reads.chunks)
        return F.linear(unit_gated(y, z, self.norm.eps), self.out_proj.weight * self.norm.weight.repeat(len(states)))

    def step(self, p_BD: Tensor, r_BD: Tensor, own_BHPN: Tensor, other_BHPN: Tensor, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One token for each of B rows: (added to r, own state, interlocutor state, window). Both states take the token in,
        so that a message's own writes are read as in `read`; they are working copies, thrown away when the message ends."""
        raw, dt = self._inputs(self.write_proj(self.norm_write(p_BD)))
        window = torch.cat([window, raw[:, None]], 1)
        x, log_a, B = self._split(F.silu((window * self.conv_weight[:, 0].T).sum(1) + self.conv_bias), dt)
        C, z = self.read_proj(self.norm_read(p_BD + r_BD)).split([self.state, len(self.gate_bias)], -1)
        if self.fusion == "sum":  # the pair is carried as (own + other, nothing)
            own_BHPN, other_BHPN = own_BHPN + other_BHPN, torch.zeros_like(other_BHPN)
        C = C + self.query_bias
        own_BHPN, y_own = ssd_step(own_BHPN, x, log_a, B, C)
        y_other = y_own
        if self.fusion == "heads":
            other_BHPN, y_other = ssd_step(other_BHPN, x, log_a, B, C)
        views = [self.norm(v) for v in ((y_own, y_other) if self.fusion == "heads" else (y_own,))]
        added = self.out_proj(torch.cat(views, -1) * F.silu(z + self.gate_bias))
        return added, own_BHPN, other_BHPN, window[:, 1:]


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
