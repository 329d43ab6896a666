"""The two kinds of block: local ones, which are Mamba-2's, and social ones, which write in public and read in private (F2).

A social block *writes* from the public residual p: what a message does to any reader's state is one operator S → alpha·S + U. It
*reads* from p + r with the reader's own state and its state of the interlocutor, both by the same weights.

Departures from the proposal's sketch: the query C has no convolution (a read may depend on the reader only within a token);
with fusion "heads" a message's own writes are read by both heads, so that the two stay interchangeable.

`forward`, `write` and `read` take whole sequences; `step` takes one token of each of B rows, the same computation while generating.

Letters in shapes: T tokens of the flat sequence, R reads (one message read with one pair of states), K chunks, Q tokens a chunk, H heads,
P head width, N state width, E = H·P, D model width, M messages, G channels, B rows that generate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sociallm.chunks import from_chunks, pick, to_chunks
from sociallm.fused import EPS, conv_silu, gated, unit, unit_gated
from sociallm.layout import Reads, SociaLLMConfig, TokenLayout
from sociallm.ssd import ChunkStates, chunk_states, readout, ssd, ssd_step


def _softplus(x: Tensor) -> Tensor:
    """log(1 + e^x). `F.softplus` gives another last bit at the end of a tensor than elsewhere (its vector loop and its remainder
    differ), so a message would depend on how many others are encoded beside it."""
    return -F.logsigmoid(-x)


class Gained(nn.Linear):
    """A matrix behind a norm, whose gain can multiply it in place of what goes through it. Of a message by itself that product is a sixth of the
    work, so `settle` makes it once, for weights that nobody changes any more."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__(width, out, bias=False)
        self.register_buffer("_settled", None, persistent=False)
        self._settled: Tensor | None

    def by(self, gain: Tensor) -> Tensor:
        """The matrix times a gain of its inputs."""
        return self.weight * gain if self._settled is None or self.weight.requires_grad else self._settled

    def settle(self, gain: Tensor) -> None:
        """Keep the matrix times this gain."""
        self._settled = (self.weight * gain).detach()


class RMSNorm(nn.Module):
    """x / rms(x) · weight over the last dimension."""

    def __init__(self, width: int, eps: float = EPS) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return unit(x, self.eps) * self.weight

    def into(self, matrix: Gained, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """matrix(self(x)) + bias of many rows: the gain multiplies the matrix, of fewer numbers than x, in place of x. Dear for few rows."""
        return F.linear(unit(x, self.eps), matrix.by(self.weight), bias)


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
        self.in_proj = Gained(config.width, 2 * E + 2 * self.state + self.heads)
        self.conv_weight = nn.Parameter(torch.empty(self.conv_width, 1, config.conv))
        self.conv_bias = nn.Parameter(torch.zeros(self.conv_width))
        self.dt_bias = nn.Parameter(torch.empty(self.heads))
        self.A_log = nn.Parameter(torch.empty(self.heads))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RMSNorm(E)
        self.out_proj = Gained(E, config.width)

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
        added = F.linear(u, self.out_proj.by(self.norm.weight))
        return added, (final, self._window(raw, window, sequence))

    def settle(self) -> None:
        """Make once what follows from the weights alone: nobody changes them any more."""
        self.in_proj.settle(self.norm_in.weight)
        self.out_proj.settle(self.norm.weight)

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


@dataclass(frozen=True)
class Written:
    """What one social block made of the public residual: its inputs by chunk, and each message's operator."""

    x_KQHP: Tensor
    B_KQN: Tensor
    states: ChunkStates

    @property
    def U_MHPN(self) -> Tensor:
        """What each message adds to a state."""
        return self.states.final_GHPN

    @property
    def log_alpha_MH(self) -> Tensor:
        """Log factor by which each message makes a state fade."""
        return self.states.decay_final_GH


class SocialBlock(nn.Module):
    """One set of weights for own and interlocutor memory: writes from p, reads from p + r."""

    def __init__(self, config: SociaLLMConfig) -> None:
        super().__init__()
        self.heads, self.head_width, self.state, self.fusion = config.social_heads, config.social_head_width, config.social_state, config.fusion
        E = self.heads * self.head_width
        self.views = views = 2 if config.fusion == "heads" else 1
        self.inner = E
        self.norm_write, self.norm_read, self.norm = RMSNorm(config.width), RMSNorm(config.width), HeadNorm(self.heads, self.head_width)
        self.write_proj = Gained(config.width, E + self.state + self.heads)
        self.read_proj = Gained(config.width, self.state + views * E)
        self.out_proj = Gained(views * E, config.width)
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
        return F.linear(unit_gated(y, z, self.norm.eps), self.out_matrix())

    def out_matrix(self) -> Tensor:
        """`out_proj` times the gain of the norm before it, the same for each view."""
        return self.out_proj.by(self.norm.weight.repeat(self.views))

    def settle(self) -> None:
        """Make once what follows from the weights alone: nobody changes them any more."""
        self.write_proj.settle(self.norm_write.weight)
        self.read_proj.settle(self.norm_read.weight)
        self.out_proj.settle(self.norm.weight.repeat(self.views))

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
