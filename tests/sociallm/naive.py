"""The slow truth that one-pass training is compared with: each perspective read token by token, from what it may see, alone.

Nothing here shares code with the fast path but the weights: convolutions, recurrences and streams are spelled out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from sociallm.blocks import LocalBlock, SocialBlock
from sociallm.model import SociaLLM
from sociallm.streams import READ, WROTE


@dataclass(frozen=True)
class Heard:
    """One message as its reader knows it."""

    ids: list[int]
    channel: str
    author: str
    hours: float


def convolved(rows: list[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
    """The newest output of a causal depthwise convolution whose inputs so far are `rows`."""
    out, width = bias, weight.shape[-1]
    for back in range(min(width, len(rows))):
        out = out + rows[-1 - back] * weight[:, 0, width - 1 - back]
    return out


def local_outputs(block: LocalBlock, p: list[Tensor]) -> list[Tensor]:
    """What a local block adds to each token of one channel."""
    S = torch.zeros(block.heads, block.head_width, block.state, dtype=p[0].dtype)
    rows, out = [], []
    for token in p:
        z, raw, dt = block.in_proj(block.norm_in(token)).split([block.inner, block.conv_width, block.heads])
        rows.append(raw)
        x, B, C = F.silu(convolved(rows, block.conv_weight, block.conv_bias)).split([block.inner, block.state, block.state])
        dt, x = F.softplus(dt + block.dt_bias), x.view(block.heads, block.head_width)
        S = torch.stack([torch.exp(-dt[h] * block.A_log[h].exp()) * S[h] + dt[h] * torch.outer(x[h], B) for h in range(block.heads)])
        y = torch.stack([S[h] @ C + block.D[h] * x[h] for h in range(block.heads)]).flatten()
        out.append(block.out_proj(block.norm(y * F.silu(z))))
    return out


def social_writes(block: SocialBlock, p: list[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(x with its step, log a, B) of every token of one message."""
    rows, out = [], []
    for token in p:
        raw, dt = block.write_proj(block.norm_write(token)).split([block.inner + block.state, block.heads])
        rows.append(raw)
        dt = F.softplus(dt + block.dt_bias)
        x, B = F.silu(convolved(rows, block.conv_weight, block.conv_bias)).split([block.inner, block.state])
        out.append((x.view(block.heads, block.head_width) * dt[:, None], -dt * block.A_log.exp(), B))
    return out


def after(block: SocialBlock, S: Tensor, writes: list[tuple[Tensor, Tensor, Tensor]], role: int) -> Tensor:
    """A state after reading (or writing) one message."""
    factor = block.role_log[0 if role == WROTE else 1].exp()
    for x, log_a, B in writes:
        S = log_a.exp()[:, None, None] * S + factor[:, None, None] * x[:, :, None] * B
    return S


def logits_of(
    model: SociaLLM, seen: list[Heard], reader: str, partners: list[str], lost: frozenset[int] = frozenset(), lost_of: frozenset[int] = frozenset()
) -> Tensor:
    """Logits at every token of the last message of `seen`, which holds only what `reader` may see, in order of time.

    Messages (places in `seen`) that are `lost` are forgotten by the own state, those of `lost_of` by the states of interlocutors.
    """
    layers: list[list[list[Tensor]]] = []  # residual before each layer, by message, by token
    channels = {m.channel for m in seen}
    p = [[model.embedding.weight[i] for i in m.ids] for m in seen]
    for block in model.local:
        layers.append(p)
        nxt: list[list[Tensor]] = [[] for _ in seen]
        for channel in channels:
            members = [k for k, m in enumerate(seen) if m.channel == channel]
            added = local_outputs(block, [t for k in members for t in p[k]])
            for k in members:
                nxt[k] = [t + added.pop(0) for t in p[k]]
        p = nxt
    last, now = seen[-1], seen[-1].hours
    r = [torch.zeros_like(t) for t in p[-1]]
    for block, residual in zip(model.social, layers, strict=True):
        writes = [social_writes(block, tokens) for tokens in residual]

        def stream(keep: list[int], block: SocialBlock = block, writes: list[list[tuple[Tensor, Tensor, Tensor]]] = writes) -> Tensor:
            S, clock = torch.zeros(block.heads, block.head_width, block.state, dtype=p[-1][0].dtype), 0.0
            for k in keep:
                S = S * torch.exp(-block.rate_log.exp() * (seen[k].hours - clock))[:, None, None]
                S, clock = after(block, S, writes[k], WROTE if seen[k].author == reader else READ), seen[k].hours
            return S * torch.exp(-block.rate_log.exp() * (now - clock))[:, None, None]

        earlier = range(len(seen) - 1)
        own = stream([k for k in earlier if k not in lost])
        other = torch.zeros_like(own)
        for v in partners:
            other = other + stream([k for k in earlier if seen[k].author == v and v != reader and k not in lost_of]) / len(partners)
        nxt_r = []
        for t, (x, log_a, B) in enumerate(writes[-1]):
            own = log_a.exp()[:, None, None] * own + x[:, :, None] * B
            other = log_a.exp()[:, None, None] * other + x[:, :, None] * B
            C, z = block.read_proj(block.norm_read(residual[-1][t] + r[t])).split([block.state, block.read_proj.out_features - block.state])
            C, z = C + block.query_bias, z + block.gate_bias
            if block.fusion == "heads":
                views = [block.norm(own @ C), block.norm(other @ C)]
            else:
                W = after(block, torch.zeros_like(own), writes[-1][: t + 1], READ) / block.role_log[1].exp()[:, None, None]
                views = [block.norm((own + other - W) @ C)]  # the message's own writes count once
            nxt_r.append(r[t] + block.out_proj(torch.cat(views) * F.silu(z)))
        r = nxt_r
    assert last.ids
    return torch.stack([F.linear(model.norm(a + b), model.embedding.weight) for a, b in zip(p[-1], r, strict=True)])
