"""SociaLLM: a language model with three streams, written in public and read in private (F2).

The public residual `p` sees its channel only (stream 1, a Mamba-2 language model). Social blocks *write* from `p`, so what a
message does to any reader's state is one operator S → alpha·S + U, the same for every reader. They *read* from `p + r`, where
the private residual `r` starts at zero and never feeds a write: what an agent knows privately reaches nobody else's memory.
The reader's own state (stream 2) and its state of the interlocutor (stream 3) are made by the same weights and join the
residual stream in parallel.

Here stand the model itself and its beginning; its sizes and what it is given are in `layout.py`, its parts in `blocks.py`.

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
from sociallm.chunks import pick
from sociallm.layout import Reads, SociaLLMConfig, TokenLayout

LayerStates = Tensor | list[Tensor]  # L × [R, H, P, N]


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

    def settle(self) -> None:
        """For use alone: what follows from the weights is made once, as nobody changes them any more."""
        for block in (*self.local, *self.social):
            block.settle()

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
