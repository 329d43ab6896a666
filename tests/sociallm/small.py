"""A tiny model with drawn weights, its tokenizer, and conversations among four agents: what the tests of the model work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sociallm import checkpoint
from sociallm.batches import Batch, Encoded, batch_of, encode_conversation, windows_of
from sociallm.conversation import Channel, Conversation, Message
from sociallm.encode import slots_of
from sociallm.layout import SociaLLMConfig
from sociallm.model import SociaLLM, build
from sociallm.states import Dynamics, MessageOperator, SocialState, message_hash
from sociallm.streams import READ
from sociallm.tokenizer import Tokenizer

AGENTS = ("ann", "bob", "cyd", "dan")
PUBLIC = Channel(name="ALL", readers=frozenset(AGENTS))
WORDS = tuple("the quick brown fox jumps over a lazy dog shall we go to Munich together".split())
LINES = ("the quick brown fox jumps over the lazy dog", "shall we go to Munich together?") * 3


def pair(a: str, b: str) -> Channel:
    """The channel of two agents."""
    return Channel(name="-".join(sorted((a, b))), readers=frozenset((a, b)))


def tokenizer_of(lines: Sequence[str] = LINES, vocabulary: int = 420) -> Tokenizer:
    """A tokenizer of at most `vocabulary` tokens; the same lines give the same one."""
    return Tokenizer.train(lines, vocabulary=vocabulary)


def model_of(fusion: str = "heads", layers: int = 2, vocabulary: int = 420, dtype: torch.dtype = torch.float64) -> SociaLLM:
    """Weights drawn so that every part matters: embeddings as large as those of a trained model, no gain or bias at its start.

    Chunks are short, so that messages and channels have several.
    """
    config = SociaLLMConfig(
        vocabulary=vocabulary, width=16, layers=layers, local_heads=2, local_head_width=8, local_state=8,
        social_heads=3, social_head_width=4, social_state=8, fusion=fusion, local_chunk=8, social_chunk=4,
    )  # fmt: skip
    model = build(config, torch.Generator().manual_seed(3)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for block in model.social:
            block.role_log.copy_(torch.randn(block.role_log.shape, generator=generator) * 0.3)
        for p in model.parameters():
            if p.ndim == 1:
                p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.1)
        model.embedding.weight.mul_(20)
    return model.to(dtype)


def saved(folder: Path, fusion: str = "heads", tokenizer: Tokenizer | None = None) -> str:
    """A checkpoint of the tiny model, written to `folder`: its name for `checkpoint.load` and `checkpoint.shared`."""
    tokenizer = tokenizer_of() if tokenizer is None else tokenizer
    checkpoint.save(folder, model_of(fusion, vocabulary=tokenizer.vocabulary), tokenizer, {})
    return str(folder)


def conversation(seed: int = 0, count: int = 14, longest: int = 5) -> Conversation:
    """Public and private talk of the four, messages of 1 to `longest` words, up to fifty minutes apart."""
    rng = np.random.default_rng(seed)
    messages, now = [], 0
    for k in range(count):
        author = str(rng.choice(AGENTS))
        other = str(rng.choice([a for a in AGENTS if a != author]))
        now += int(rng.integers(1, 3_000_000))
        channel = PUBLIC if rng.random() < 0.4 else pair(author, other)
        to = frozenset({other}) if channel is not PUBLIC or rng.random() < 0.3 else frozenset()
        text = " ".join(rng.choice(WORDS, int(rng.integers(1, longest + 1))))
        messages.append(Message(id=f"m{k}", author=author, channel=channel, time=now, text=text, addressees=to))
    return Conversation(id="c", messages=tuple(messages))


def one_batch(c: Conversation, tokenizer: Tokenizer, config: SociaLLMConfig, seed: int = 7) -> tuple[Encoded, Batch]:
    """The whole conversation as one window, slots by name as in a run."""
    encoded = encode_conversation(c, tokenizer)
    window = windows_of(encoded, 100_000, 10_000)[0]
    return encoded, batch_of([window], tokenizer, config, np.random.default_rng(seed), slots=slots_of(c.participants))


def incline(model: SociaLLM, wishes: Mapping[int, float]) -> None:
    """Make some tokens likelier at every step, by about so many nats: component 0 of the residual, which no layer writes to, is
    nearly all of it, and these tokens' embeddings have more of it than the others."""
    size = 10.0
    with torch.no_grad():
        for block in (*model.local, *model.social):
            block.out_proj.weight[0] = 0
        model.norm.weight[0] = 1
        column = model.embedding.weight[:, 0].fill_(size)
        for token, nats in wishes.items():
            column[token] += nats / model.config.width**0.5


def states_of(model: SociaLLM, seed: int = 0, names: tuple[str, ...] = ("own", "of bob")) -> dict[str, SocialState]:
    """States that have absorbed three messages each, drawn."""
    out, dynamics, g = {}, Dynamics.of(model), torch.Generator().manual_seed(seed)
    for name in names:
        state = SocialState.empty(model, "c" * 64)
        for time in (10, 20, 7_200_000):
            state = state.absorb(operator_of(model, g), READ, time, dynamics)
        out[name] = state
    return out


def operator_of(model: SociaLLM, g: torch.Generator) -> MessageOperator:
    """What a drawn message does."""
    shape = model.empty_state(1)[:, 0].shape
    name = message_hash(Message(id="m1", author="ann", channel=PUBLIC, time=5, text=str(torch.randint(0, 10**9, (1,), generator=g).item())))
    return MessageOperator(name, -torch.rand(shape[:2], generator=g), torch.randn(shape, generator=g))


def same(a: SocialState, b: SocialState) -> bool:
    """Whether two states are one, bit for bit and by key."""
    return torch.equal(a.S_LHPN, b.S_LHPN) and (a.time, a.key) == (b.time, b.key)
