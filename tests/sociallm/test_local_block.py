"""The local block is Mamba-2's block: with the same weights it gives what `transformers` gives, in one pass and token by token."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sociallm.layout import SociaLLMConfig, sequence_of
from sociallm.model import build

transformers = pytest.importorskip("transformers", reason="transformers is not installed (it is in the extra `dev`)")

SIZES = {  # width, heads, head width, state, our chunk, their chunk; heads · head width is twice the width, as they want it
    "as shipped": (192, 6, 64, 32, 32, 256),
    "as benchmarked": (256, 8, 64, 64, 32, 64),
    "odd": (18, 3, 12, 5, 7, 16),
    "one head": (8, 1, 16, 4, 1, 8),
}
LENGTHS = (1, 3, 4, 5, 31, 32, 33, 101)


def config_of(size: str, layers: int = 1) -> SociaLLMConfig:
    width, heads, head_width, state, chunk, _ = SIZES[size]
    return SociaLLMConfig(vocabulary=50, width=width, layers=layers, local_heads=heads, local_head_width=head_width, local_state=state, local_chunk=chunk)


def theirs_of(size: str, layers: int = 1) -> Any:
    """Their language model of the same sizes, one group, embedding and head tied."""
    width, heads, head_width, state, _, chunk = SIZES[size]
    config = transformers.Mamba2Config(
        vocab_size=50, hidden_size=width, num_hidden_layers=layers, num_heads=heads, head_dim=head_width, state_size=state, n_groups=1,
        expand=2, conv_kernel=4, chunk_size=chunk, tie_word_embeddings=True, layer_norm_epsilon=1e-5,
    )  # fmt: skip
    return transformers.Mamba2ForCausalLM(config).eval()


def their_name(name: str) -> str:
    """What one of the block's weights is called in their Mamba2Block."""
    renamed = {"conv_weight": "mixer.conv1d.weight", "conv_bias": "mixer.conv1d.bias", "norm_in.weight": "norm.weight"}
    return renamed.get(name, f"mixer.{name}")


def pair_of(size: str, layers: int = 1, seed: int = 0) -> tuple[nn.Module, Any]:
    """Our model and theirs with our weights, drawn so that no gain, bias or skip stays at its start."""
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = build(config_of(size, layers), generator), theirs_of(size, layers)
    with torch.no_grad():
        for p in ours.parameters():
            if p.ndim == 1:
                p.add_(torch.randn(p.shape, generator=generator) * 0.3)
        ours.embedding.weight.mul_(20)
        for block, other in zip(ours.local, theirs.backbone.layers, strict=True):
            other.load_state_dict({their_name(n): w for n, w in block.state_dict().items()}, strict=True)
        theirs.backbone.embeddings.weight.copy_(ours.embedding.weight)
        theirs.backbone.norm_f.weight.copy_(ours.norm.weight)
    assert theirs.lm_head.weight is theirs.backbone.embeddings.weight
    return ours, theirs


def agree(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    """Within the tolerance of the largest number there is, and that is not nothing."""
    return a.shape == b.shape and bool(b.abs().max() > 0.01) and float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max()))


def tokens_of(n: int, seed: int = 1) -> list[int]:
    return torch.randint(50, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_block_equals_theirs_at_any_length(size: str) -> None:
    ours, theirs = pair_of(size)
    block, other = ours.local[0], theirs.backbone.layers[0]
    for n in LENGTHS:
        p = torch.randn(n, ours.config.width, generator=torch.Generator().manual_seed(n))
        added, _ = block(p, sequence_of([[[0] * n]], ours.config), None)
        assert agree(p + added, other(p[None])[0])


@torch.no_grad()
def test_channels_side_by_side_equal_their_passes_one_by_one() -> None:
    ours, theirs = pair_of("odd", layers=2)
    channels = [[tokens_of(n, seed=n)] for n in (5, 1, 23, 8)]
    hidden = ours.public(sequence_of(channels, ours.config)).residual[-1]
    one_by_one = [theirs(torch.tensor(channel)).logits[0] for channel in channels]
    assert agree(ours.logits(hidden), torch.cat(one_by_one))


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_the_language_model_and_its_state_equal_theirs(size: str) -> None:
    ours, theirs = pair_of(size, layers=3)
    ids = tokens_of(45)
    public = ours.public(sequence_of([[ids]], ours.config))
    out = theirs(torch.tensor([ids]), use_cache=True)
    assert agree(ours.logits(public.residual[-1]), out.logits[0])
    for i, (state, window) in enumerate(public.local):
        assert agree(state, out.cache_params.get_recurrent_state(i)) and agree(window, out.cache_params.get_conv_state(i)[:, :, -3:].transpose(1, 2))


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_stepping_from_a_state_equals_theirs(size: str) -> None:
    ours, theirs = pair_of(size, layers=2)
    ids = tokens_of(30)
    local = ours.public(sequence_of([[ids[:17]]], ours.config)).local
    cache = theirs(torch.tensor([ids[:17]]), use_cache=True).cache_params
    for token in ids[17:]:
        p, states = ours.embedding(torch.tensor([token])), []
        for block, state in zip(ours.local, local, strict=True):
            added, after = block.step(p, state)
            p = p + added
            states.append(after)
        local = tuple(states)
        assert agree(ours.logits(p), theirs(torch.tensor([[token]]), cache_params=cache, use_cache=True).logits[:, 0])


def test_gradients_equal_theirs() -> None:
    ours, theirs = pair_of("odd", layers=2)
    ids = tokens_of(33)
    target = torch.tensor(ids[1:])
    logits = ours.logits(ours.public(sequence_of([[ids]], ours.config)).residual[-1])[:-1]
    nn.functional.cross_entropy(logits, target).backward()
    nn.functional.cross_entropy(theirs(torch.tensor([ids]), use_cache=False).logits[0, :-1], target).backward()
    for block, other in zip(ours.local, theirs.backbone.layers, strict=True):
        gradients = dict(other.named_parameters())
        for name, weight in block.named_parameters():
            a, b = weight.grad, gradients[their_name(name)].grad
            assert b.norm() > 0 and (a - b).norm() <= 1e-4 * b.norm(), name
