"""Speed and size: `python -m sociallm bench [--json] [--small]`. One run measures everything it compares, in turns.

Sizes are fixed: width 256, 4 layers, vocabulary 4,096, three models of about 2.8 million parameters (SociaLLM; the same without social
blocks, a plain Mamba-2 language model; Hugging Face's Mamba-2). Whatever is compared runs in turns on the same tokens, so that a machine
that slows down slows both; a ratio is the median of the turns' ratios. `--small` is for tests: it checks that everything runs, and its
figures mean nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sociallm import checkpoint, decoding
from sociallm.batches import Encoded, encode_conversation, window_from
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Channel, Conversation, Message
from sociallm.crowd import absorb_all
from sociallm.encode import dynamics_of, encode, header_of, new_local, slots_of
from sociallm.generate import Prompt, _draw, sample
from sociallm.lanes import Piece, Showing
from sociallm.layout import SociaLLMConfig
from sociallm.model import SociaLLM, build
from sociallm.states import SocialState, bytes_per_relationship
from sociallm.streams import READ
from sociallm.tokenizer import SPECIALS, Tokenizer
from sociallm.train import train_step
from sociallm.training import TrainConfig, Training, new_training

ROOMS = {2: None, 7: None, 20: 10, 100: 10}  # authors → delivered to all readers, or the "previous n messages" rule
BATCHES = (1, 8, 32)
WORDS = 20  # tokens of a message's words: about 25 with its header and end
SHIPPED = "base"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    social: SociaLLMConfig
    plain: SociaLLMConfig
    hidden: dict[str, int]  # Hugging Face's names
    tokens: int  # a training step
    tokens_f1: int  # a step of F1, which reads each token once a reader
    said: int  # tokens that each row generates
    readers: int
    repeats: int


FULL = Size(
    social=SociaLLMConfig(vocabulary=4096, width=256, layers=4, local_heads=4, local_head_width=64, local_state=64,
                          social_heads=4, social_head_width=32, social_state=64),
    plain=SociaLLMConfig(vocabulary=4096, width=256, layers=4, local_heads=8, local_head_width=64, local_state=64, social_every=0),
    hidden={"vocab_size": 4096, "hidden_size": 256, "num_hidden_layers": 4, "expand": 2, "head_dim": 64, "num_heads": 8, "state_size": 64},
    tokens=4096, tokens_f1=1024, said=64, readers=1000, repeats=5,
)  # fmt: skip
SMALL = Size(
    social=replace(FULL.social, width=32, layers=1, local_heads=1, local_head_width=32, local_state=8, social_heads=1, social_head_width=16, social_state=8),
    plain=replace(FULL.plain, width=32, layers=1, local_heads=2, local_head_width=32, local_state=8),
    hidden={**FULL.hidden, "hidden_size": 32, "num_hidden_layers": 1, "head_dim": 32, "num_heads": 2, "state_size": 8},
    tokens=128, tokens_f1=64, said=4, readers=10, repeats=1,
)  # fmt: skip


@dataclass(frozen=True)
class Turns:
    """Seconds of two things measured in turns; the first turn, which warms up, left out."""

    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median over turns of a ÷ b."""
        return statistics.median(x / y for x, y in zip(self.a, self.b, strict=True))

    def raw(self, name_a: str, name_b: str, count: float) -> dict[str, Any]:
        """For the record; `count` tokens in each turn."""
        ratios = [x / y for x, y in zip(self.a, self.b, strict=True)]
        return {
            "n": len(self.a), f"seconds_{name_a}": rounded(self.a), f"seconds_{name_b}": rounded(self.b), "spread": rounded((min(ratios), max(ratios))),
            f"tokens_per_second_{name_a}": round(count / statistics.median(self.a), 1), f"tokens_per_second_{name_b}": round(count / statistics.median(self.b), 1),
        }  # fmt: skip


def in_turns(a: Callable[[int], object], b: Callable[[int], object], repeats: int) -> Turns:
    """Time a and b in turns, after one turn that does not count; each is told which turn it is."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for f, into in zip((a, b), seconds, strict=True):
            began = time.perf_counter()
            f(turn)
            into.append(time.perf_counter() - began)
    return Turns(tuple(seconds[0][1:]), tuple(seconds[1][1:]))


def rounded(values: Sequence[float]) -> list[float]:
    """To four digits that count."""
    return [float(f"{v:.4g}") for v in values]


def parameters(model: nn.Module) -> int:
    """Number of weights, each counted once."""
    return sum(p.numel() for p in model.parameters())


# ---- what is read -------------------------------------------------------------------------------------------------------


def room(authors: int, messages: int, tokenizer: Tokenizer, seed: int = 0) -> Encoded:
    """A synthetic conversation: everybody speaks, at random, messages of WORDS tokens drawn from the whole vocabulary."""
    rng = np.random.default_rng(seed)
    names = [f"a{i:03}" for i in range(authors)]
    channel = Channel(name="ALL", readers=frozenset(names))
    said = []
    for k in range(messages):
        author = names[k] if k < authors else names[int(rng.integers(authors))]
        text = tokenizer.decode(rng.integers(len(SPECIALS), tokenizer.vocabulary, WORDS).tolist()).replace("\ufffd", "?")
        said.append(Message(id=f"m{k}", author=author, channel=channel, time=10_000 * k, text=text))
    encoded = encode_conversation(Conversation(id=f"room of {authors}", messages=tuple(said)), tokenizer, ROOMS.get(authors))
    words = tuple(rng.integers(len(SPECIALS), tokenizer.vocabulary, WORDS).tolist() for _ in said)  # exactly WORDS tokens each
    return replace(encoded, words=words)


def pieces(encoded: Encoded, tokens: int, count: int) -> list[list[Piece]]:
    """`count` training steps that go through a conversation in order, each of about `tokens` tokens."""
    showing, out, first = Showing(0, 0, encoded), [], 0
    for _ in range(count):
        window = window_from(encoded, first, tokens, tokens)
        out.append([Piece(showing, window)])
        first = window.last
    return out


def steps(authors: int, size: Size, tokens: int, repeats: int, tokenizer: Tokenizer) -> list[list[Piece]]:
    """A step for the warm-up and one for each repeat."""
    each = tokens // (WORDS + 5)
    return pieces(room(authors, (repeats + 1) * (each + 1) + authors, tokenizer), tokens, repeats + 1)


# ---- figures ------------------------------------------------------------------------------------------------------------


def training_cost(size: Size, tokenizer: Tokenizer, say: Callable[[str], None]) -> dict[str, Any]:
    """A training step of SociaLLM, and of F1, ÷ one of the plain model of as many parameters, on the same tokens."""
    out: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    for formulation, name, tokens, repeats in (
        ("public", "cost_ratio_", size.tokens, size.repeats), ("per_reader", "cost_ratio_f1_", size.tokens_f1, max(1, size.repeats // 2))
    ):  # fmt: skip
        config = TrainConfig(formulation=formulation, carry=formulation == "public")
        for authors in ROOMS:
            given = steps(authors, size, tokens, repeats, tokenizer)
            social, plain = (new_training(drawn(c), config) for c in (size.social, size.plain))
            turns = in_turns(stepping(social, given, tokenizer, config), stepping(plain, given, tokenizer, replace(config, formulation="public")), repeats)
            out[f"{name}{authors}"] = turns.ratio
            raw[f"{name}{authors}"] = {"tokens_a_step": given[1][0].window.cost, **turns.raw("sociallm", "plain", given[1][0].window.cost)}
            say(f"{name}{authors}: {turns.ratio:.3f}")
    return {**out, "raw": raw}


def stepping(state: Training, given: Sequence[list[Piece]], tokenizer: Tokenizer, config: TrainConfig) -> Callable[[int], None]:
    """Training step number n of a model."""
    return lambda turn: train_step(state, given[turn], tokenizer, config)


def drawn(config: SociaLLMConfig) -> SociaLLM:
    """A model with new weights."""
    return build(config, torch.Generator().manual_seed(0))


def reading(size: Size, tokenizer: Tokenizer, say: Callable[[str], None]) -> dict[str, Any]:
    """A message encoded and read by many ÷ encoded and read by one: a read writes to the reader's own state and to its state of the author."""
    model = Checkpoint(drawn(size.social).eval().requires_grad_(False), tokenizer, "bench")
    told = room(2, 3, tokenizer).conversation.messages
    slots, dynamics = slots_of([m.author for m in told]), dynamics_of(model)
    local = None
    for message in told[:-1]:
        local, _ = encode(model, slots, local, message)
    generator = torch.Generator().manual_seed(1)
    shape = model.model.empty_state(1)[:, 0].shape
    distinct = [SocialState(torch.randn(shape, generator=generator), told[-2].time, f"{i:064x}") for i in range(2 * size.readers)]

    def read(states: Sequence[SocialState], _: int) -> None:
        _, encoded = encode(model, slots, local, told[-1])
        half = len(states) // 2
        for part in (states[:half], states[half:]):
            absorb_all(part, encoded.operator, READ, told[-1].time, dynamics)

    out: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    for name, many in (("distinct", distinct), ("same", [distinct[0]] * size.readers + [distinct[1]] * size.readers)):
        turns = in_turns(functools.partial(read, many), functools.partial(read, distinct[:2]), 4 * size.repeats)
        out[f"read_1000_{name}"] = turns.ratio
        raw[f"read_1000_{name}"] = {"readers": size.readers, **turns.raw("many", "one", WORDS + 5)}
        say(f"read_1000_{name}: {turns.ratio:.3f}")
    return {**out, "raw": raw}


def hugging_face(size: Size) -> tuple[nn.Module | None, str]:
    """(Hugging Face's Mamba-2 of the same size with new weights, "") or (None, why not)."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        from transformers import Mamba2Config, Mamba2ForCausalLM
    except ImportError as error:
        return None, f"{error}; pip install transformers"
    torch.manual_seed(0)  # the library draws its weights from the global generator
    model: nn.Module = Mamba2ForCausalLM(Mamba2Config(**size.hidden, n_groups=1, conv_kernel=4, chunk_size=64, tie_word_embeddings=True))
    return model, ""


def training_speed(size: Size, tokenizer: Tokenizer, theirs: nn.Module, say: Callable[[str], None]) -> dict[str, Any]:
    """Training tokens per second ÷ Hugging Face's: forward, backward and AdamW of as many tokens, theirs in rows of 512."""
    config = TrainConfig()
    given = steps(7, size, size.tokens, size.repeats, tokenizer)
    tokens = given[1][0].window.cost
    width = min(512, tokens)
    ids = torch.randint(0, size.social.vocabulary, (tokens // width, width), generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3)
    theirs.train()

    def their_step(_: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        theirs(ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()

    turns = in_turns(their_step, stepping(new_training(drawn(size.social), config), given, tokenizer, config), size.repeats)
    ratio = turns.ratio * tokens / ids.numel()
    say(f"train_over_hf: {ratio:.3f}")
    return {"train_over_hf": ratio, "raw": {"train_over_hf": turns.raw("hf", "sociallm", tokens) | {"tokens_hf": ids.numel(), "tokens_sociallm": tokens}}}


def generation_speed(size: Size, tokenizer: Tokenizer, theirs: nn.Module, fast: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Tokens generated per second ÷ Hugging Face's cached loop, the same way of drawing in both, from header to last token."""
    ours = Checkpoint(drawn(size.social).eval().requires_grad_(False), tokenizer, "bench")
    half = fast and decoding.possible()
    theirs.eval()
    out: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    for batch in BATCHES:
        prompts = [prompt(ours, i) for i in range(batch)]
        tokens = batch * size.said
        said: list[int] = []  # by our rows: one that ends early says less

        def our_run(turn: int, prompts: list[Prompt] = prompts, said: list[int] = said) -> None:
            candidates = sample(ours, prompts, np.random.default_rng(turn), most_tokens=size.said, one_sentence=False, fast=fast, half=half)
            said.append(sum(c.tokens for c in candidates))

        def their_run(turn: int, batch: int = batch, header: int = len(prompts[0].header)) -> None:
            their_loop(theirs, batch, header, size.said, turn)

        turns = in_turns(their_run, our_run, size.repeats)
        shares = [n / tokens for n in said[1:]]
        ratio = statistics.median(x / y * share for x, y, share in zip(turns.a, turns.b, shares, strict=True))
        out[f"generate_over_hf_{batch}"] = ratio
        raw[f"generate_over_hf_{batch}"] = {
            **turns.raw("hf", "sociallm", tokens), "shares_said": rounded(shares), "compiled": half, "half": half
        }
        say(f"generate_over_hf_{batch}: {ratio:.3f}")
    return {**out, "raw": raw}


def prompt(ours: Checkpoint, row: int) -> Prompt:
    """A first message by somebody with a history of its own."""
    generator = torch.Generator().manual_seed(row)
    own, other = (torch.randn(ours.model.empty_state(1)[:, 0].shape, generator=generator) for _ in range(2))
    message = Message(id="1", author="a", channel=Channel(name="ab", readers=frozenset("ab")), time=0, text="")
    header, _ = header_of(ours, new_local(ours), slots_of("ab"), message)
    return Prompt(header, new_local(ours), own, other)


@torch.inference_mode()
def their_loop(theirs: nn.Module, batch: int, header: int, said: int, seed: int) -> Tensor:
    """Their model with its cache, a token at a time after a first one."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, theirs.config.vocab_size, (batch, header), generator=generator)
    cache = None
    for _ in range(said):
        out = theirs(tokens, cache_params=cache, use_cache=True)
        cache = out.cache_params
        tokens = _draw(out.logits[:, -1], torch.rand(batch, generator=generator, dtype=torch.float64), 0.8, 0.9)[:, None]
    return tokens


def relationship(name: str) -> dict[str, Any]:
    """Size of a relationship in the shipped model, and from how many tokens on a transformer's cache is larger."""
    model = checkpoint.load(name).model
    size, c = bytes_per_relationship(model), model.config
    cache = 2 * c.layers * c.width * 2
    return {
        "bytes_per_relationship": size,
        "raw": {"bytes_per_relationship": {
            "formula": "L_social * E * N * 2", "L_social": len(model.social), "E": c.social_heads * c.social_head_width, "N": c.social_state,
            "live_fp32": 2 * size, "break_even_tokens": size / cache, "break_even_formula": "bytes_per_relationship / (2 * layers * width * 2)",
            "cache_bytes_per_token": cache, "checkpoint": name,
        }},
    }  # fmt: skip


def bench(size: Size, fast: bool = True, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Every figure by name, with its raw numbers under "raw"; null, with a reason there, where something is missing."""
    torch.set_flush_denormal(True)
    tokenizer = checkpoint.load(SHIPPED).tokenizer
    counts = {name: parameters(drawn(c)) for name, c in (("sociallm", size.social), ("plain", size.plain))}
    theirs, why = hugging_face(size)
    if theirs is not None:
        counts["hf"] = parameters(theirs)
    say("parameters: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    parts = [training_cost(size, tokenizer, say), reading(size, tokenizer, say), relationship(SHIPPED)]
    if theirs is not None:
        parts += [training_speed(size, tokenizer, theirs, say), generation_speed(size, tokenizer, theirs, fast, say)]
    else:
        names = ["train_over_hf", *(f"generate_over_hf_{b}" for b in BATCHES)]
        parts.append({**dict.fromkeys(names), "raw": {name: {"reason": why} for name in names}})
    figures = {name: rounded([v])[0] if isinstance(v, float) else v for part in parts for name, v in part.items() if name != "raw"}
    raw: dict[str, Any] = {name: v for part in parts for name, v in part["raw"].items()}
    raw["machine"] = {"threads": torch.get_num_threads(), "load": rounded(os.getloadavg()), "torch": torch.__version__}
    return {**figures, "raw": {"parameters": counts, **raw}}


def main(words: Sequence[str]) -> None:
    """python -m sociallm bench [--json] [--small]"""
    parser = argparse.ArgumentParser(prog="python -m sociallm bench", description="Measure speed and size; the last line is one JSON object with --json.")
    parser.add_argument("--json", action="store_true", help="print all figures as one JSON object on the last line")
    parser.add_argument("--small", action="store_true", help="tiny sizes, uncompiled: whether it runs, not how fast")
    args = parser.parse_args(words)
    began = time.perf_counter()
    figures = bench(SMALL if args.small else FULL, fast=not args.small, say=lambda s: print(s, flush=True))
    print(f"{time.perf_counter() - began:.0f} s")
    if args.json:
        print(json.dumps(figures))
    else:
        for name, v in figures.items():
            if name != "raw":
                print(f"{name}: {v}")
