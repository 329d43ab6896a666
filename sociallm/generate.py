"""Batched sampling with carried states, and the likelihood of given candidates.

`generate` words messages: of each several candidates, after forced beginnings, a fixed number of rows. What is sampled depends on the
message's states, header and random numbers only, not on who else is speaking: the compiled code of `decoding.py`, to which each row is
a thing by itself, takes many messages at once, and is so the faster; PyTorch takes one after the other. `sample` takes any number
of messages, each with states of its own, one row each. `score` says how likely given texts are.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sociallm import decoding
from sociallm.checkpoint import Checkpoint
from sociallm.decoding import FREE, MOST_CHOICES
from sociallm.layout import reads_of, sequence_of
from sociallm.states import LocalState
from sociallm.tokenizer import MOST_WORDS, SPECIALS

ROWS = 8  # candidates of one message; never a batch of one
TOGETHER = 16  # messages that compiled code is given at once: as many states as lie in a cache


@dataclass(frozen=True)
class Candidate:
    """A text the model could say."""

    text: str
    nats: float  # total negative log-likelihood of its words and end, forced ones included
    tokens: int
    sampled: int  # words' tokens that the model chose itself
    finished: bool  # whether it reached the message's end


@dataclass(frozen=True)
class Prompt:
    """What a message is worded from: its header, the channel's state, and both states as read at the moment of writing."""

    header: Sequence[int]
    local: LocalState
    own_LHPN: Tensor
    other_LHPN: Tensor
    beginning: str = ""


@dataclass(frozen=True)
class Wanted:
    """A message that is to be worded: what from, its ROWS beginnings ("" for none), and its random numbers. States are as read at the
    moment of writing.

    Where only the likeliest candidate that will do is wanted, `will_do` says of one that is finished, by its place among the beginnings, whether
    it will: candidates less likely than one that does are then given up. It is asked in any order, and not of all."""

    header: Sequence[int]
    local: LocalState
    own_LHPN: Tensor
    other_LHPN: Tensor
    beginnings: Sequence[str]
    uniform_TB: NDArray[np.float64]  # as many ticks as it may have tokens, its end among them
    most_own: int | None = None  # words' tokens of the model's own that a finished candidate may have; None: any number
    will_do: Callable[[int, Candidate], bool] | None = None

    @property
    def most_tokens(self) -> int:
        return len(self.uniform_TB)


@dataclass
class _Rows:
    """The running states of a batch of rows. Working memory of one call, never seen outside."""

    local: list[tuple[Tensor, Tensor]]
    own: list[Tensor]
    other: list[Tensor]
    window: list[Tensor]


@dataclass(frozen=True)
class _Choice:
    """How tokens are chosen: what is said must be, where the model is free, and its random numbers; a row a tick."""

    forced_TB: Tensor  # the token said after tick t, FREE where the model chooses
    free_before_TB: Tensor  # whether the token fed at tick t was the model's choice
    uniform_TB: Tensor
    stops_V: Tensor  # tokens after which a message of the model's own ends
    unsaid_V: Tensor  # tokens that are never said,
    at_first_V: Tensor  # nor these as the first word of the model's own
    temperature: Tensor
    top_p: Tensor


def _rows(checkpoint: Checkpoint, local: LocalState, own_LHPN: Tensor, other_LHPN: Tensor, rows: int) -> _Rows:
    def spread(t: Tensor) -> Tensor:
        return t.expand(rows, *t.shape[1:]).clone()

    layers = [(spread(S), spread(w)) for S, w in local.layers]
    return _Rows(layers, [spread(s[None]) for s in own_LHPN], [spread(s[None]) for s in other_LHPN], _windows(checkpoint, rows))


def _windows(checkpoint: Checkpoint, rows: int) -> list[Tensor]:
    """The social blocks' convolutions at a message's start: they have seen nothing."""
    c = checkpoint.model.config
    zeros = checkpoint.model.embedding.weight.new_zeros(rows, c.conv - 1, c.social_heads * c.social_head_width + c.social_state)
    return [zeros] * len(checkpoint.model.social)


def _step(checkpoint: Checkpoint, tokens_B: Tensor, rows: _Rows) -> Tensor:
    """Feed one token to every row: next-token logits [B, vocabulary]."""
    model = checkpoint.model
    p = model.embedding(tokens_B)
    r = torch.zeros_like(p)
    at = model.config.social_layers
    for i, local in enumerate(model.local):
        to_r: Tensor | None = None
        if i in at:
            j = at.index(i)
            to_r, rows.own[j], rows.other[j], rows.window[j] = model.social[j].step(p, r, rows.own[j], rows.other[j], rows.window[j])
        to_p, rows.local[i] = local.step(p, rows.local[i])
        p, r = p + to_p, r if to_r is None else r + to_r
    return model.logits(p + r)


def _draw(logits_BV: Tensor, uniform_B: Tensor, temperature: float | Tensor, top_p: float | Tensor) -> Tensor:
    """One token per row: of the `MOST_CHOICES` likeliest the smallest set that holds `top_p`, by inverse distribution function."""
    top, order = torch.topk(logits_BV, min(MOST_CHOICES, logits_BV.shape[-1]))
    p = torch.softmax(top.double() / temperature, -1)
    reached = p.cumsum(-1)
    kept = torch.where(reached - p < top_p, p, 0.0)
    place = (reached < (uniform_B * kept.sum(-1))[:, None]).sum(-1, keepdim=True).clamp(max=p.shape[-1] - 1)
    return order.gather(1, place)[:, 0]


def _choose(logits_BV: Tensor, fed_B: Tensor, forced_B: Tensor, free_before_B: Tensor, uniform_B: Tensor, choice: _Choice) -> tuple[Tensor, Tensor]:
    """(the token that each row says next, its nats over the whole vocabulary)."""
    log_p = torch.log_softmax(logits_BV, -1)
    unsaid_BV = choice.unsaid_V | (choice.at_first_V & ~free_before_B[:, None])
    drawn = _draw(logits_BV.masked_fill(unsaid_BV, -torch.inf), uniform_B, choice.temperature, choice.top_p)
    drawn = torch.where(free_before_B & choice.stops_V[fed_B], 0, drawn)  # the end is token 0
    said = torch.where(forced_B == FREE, drawn, forced_B)
    return said, -log_p.gather(1, said[:, None])[:, 0]


@functools.cache
def _sentence_ends(checkpoint: Checkpoint) -> frozenset[int]:
    """The tokens that end a sentence."""
    decode = checkpoint.tokenizer.decode
    return frozenset(i for i in range(len(SPECIALS), checkpoint.tokenizer.vocabulary) if decode([i]).rstrip(" \n\"')").endswith((".", "!", "?")))


def _choice(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]], uniform_BT: Sequence[NDArray[np.float64]], temperature: float, top_p: float,
    one_sentence: bool, own_words: bool = False, never: Collection[int] = (),
) -> _Choice:  # fmt: skip
    """Every row's forced tokens (header, then beginning) and random numbers, by tick: words of a short header begin earlier."""
    B, most = len(prompts), [len(uniform_T) for uniform_T in uniform_BT]
    ticks = max(len(p.header) - 1 + n for p, n in zip(prompts, most, strict=True))
    forced_TB, uniform_TB = np.full((ticks, B), FREE), np.zeros((ticks, B))
    for i, (prompt, words) in enumerate(zip(prompts, forced, strict=True)):
        fixed = [*prompt.header[1:], *words][:ticks]
        forced_TB[: len(fixed), i] = fixed
        first = len(prompt.header) - 1
        uniform_TB[first : first + most[i], i] = uniform_BT[i]
    free_before = np.vstack([np.zeros((1, B), bool), forced_TB[:-1] == FREE])
    stops, unsaid = np.zeros((2, checkpoint.tokenizer.vocabulary), bool)
    unsaid[checkpoint.tokenizer.END + 1 : len(SPECIALS)] = True  # of the special tokens only the end (the first of them) may be said
    unsaid[list(never)] = True
    stops[sorted(_sentence_ends(checkpoint)) if one_sentence else []] = True
    at_first = np.zeros_like(unsaid)
    at_first[checkpoint.tokenizer.END] = own_words
    forced_T, free_T, uniform_T, stops_V, unsaid_V, first_V = (torch.from_numpy(v) for v in (forced_TB, free_before, uniform_TB, stops, unsaid, at_first))
    return _Choice(forced_T, free_T, uniform_T, stops_V, unsaid_V, first_V, torch.tensor(temperature, dtype=torch.float64), torch.tensor(top_p, dtype=torch.float64))


def _say(checkpoint: Checkpoint, prompts: Sequence[Prompt], choice: _Choice, most_tokens: int, rows: _Rows) -> tuple[NDArray[np.int64], Tensor]:
    """Feed headers and beginnings, then what is chosen, until every row has ended or said `most_tokens`: (said, its nats) by tick."""
    end, B = checkpoint.tokenizer.END, len(prompts)
    first = np.array([len(p.header) - 1 for p in prompts])  # tick after which a row's first word is said
    fed = torch.tensor([p.header[0] for p in prompts])
    said, nats = [], []
    done = np.zeros(B, bool)
    for t in range(len(choice.forced_TB)):
        fed, cost = _choose(_step(checkpoint, fed, rows), fed, choice.forced_TB[t], choice.free_before_TB[t], choice.uniform_TB[t], choice)
        said.append(fed.numpy())
        nats.append(cost)
        done |= ((said[-1] == end) & (t >= first)) | (t - first >= most_tokens - 1)
        if done.all():
            break
    return np.stack(said), torch.stack(nats)


def _say_fast(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], choice: _Choice, most_B: Sequence[int], half: bool, group_B: NDArray[np.int64] | None = None,
    judge: decoding.Judge | None = None,
) -> tuple[NDArray[np.int64], Tensor]:  # fmt: skip
    """`_say` by compiled code; nothing is said after a row's end."""
    starts = [decoding.Start(p.header[0], len(p.header) - 1, p.local.layers, p.own_LHPN, p.other_LHPN) for p in prompts]
    forced, uniform, stops, unsaid, at_first = (v.numpy() for v in (choice.forced_TB, choice.uniform_TB, choice.stops_V, choice.unsaid_V, choice.at_first_V))
    plan = decoding.Plan(forced, uniform, stops, unsaid, at_first, np.array(most_B), float(choice.temperature), float(choice.top_p), group_B, judge)
    said = decoding.say(_weights(checkpoint, half), starts, plan, torch.get_num_threads())
    return said.tokens_TB, said.nats_TB


def _candidates(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], forced: Sequence[Sequence[int]], said_TB: NDArray[np.int64], nats_TB: Tensor,
    most_B: Sequence[int],
) -> list[Candidate]:  # fmt: skip
    first, nats = [len(p.header) - 1 for p in prompts], nats_TB.numpy()
    return [_candidate(checkpoint, said_TB[first[i] :, i], nats[first[i] :, i], len(forced[i]), most_B[i]) for i in range(len(prompts))]


def _refuse(temperature: float, top_p: float, most_tokens: int) -> None:
    if not (0 < temperature < math.inf and 0 < top_p <= 1 and most_tokens >= 1):
        raise ValueError(f"temperature {temperature}, top_p {top_p}, most_tokens {most_tokens}; expected above 0, above 0 and at most 1, and 1 or more")


def _candidate(checkpoint: Checkpoint, said_T: NDArray[np.int64], nats_T: NDArray[np.float32], forced: int, most_tokens: int) -> Candidate:
    said_T = said_T[:most_tokens]
    ends = np.flatnonzero((said_T == checkpoint.tokenizer.END) | (said_T < 0))
    finished = len(ends) > 0 and int(said_T[ends[0]]) >= 0
    tokens = int(ends[0]) + finished if len(ends) else len(said_T)
    words = said_T[: tokens - finished].tolist()
    nats = float(sum(nats_T[:tokens].astype(np.float64)))  # in order, as they were said
    return Candidate(checkpoint.tokenizer.decode(words), nats, tokens, max(0, len(words) - forced), finished)


@torch.inference_mode()
def generate(
    checkpoint: Checkpoint, header: Sequence[int], local: LocalState, own_LHPN: Tensor, other_LHPN: Tensor, beginnings: Sequence[str],
    rng: np.random.Generator, temperature: float = 0.8, top_p: float = 0.9, most_tokens: int = 48, own_words: bool = False,
    never: Collection[int] = (), fast: bool = False,
) -> list[Candidate]:  # fmt: skip
    """One candidate per beginning ("" for none): the beginning word for word, then at most one sentence of the model's own; with
    `own_words` it may not end before a word of its own. The tokens of `never` are not among the model's own words.

    `own_LHPN` and `other_LHPN` are states as read at the moment of writing; `fast` is that of `sample`. Raises ValueError unless there are
    ROWS beginnings.
    """
    _refuse(temperature, top_p, most_tokens)
    wanted = Wanted(header, local, own_LHPN, other_LHPN, beginnings, rng.random((most_tokens, ROWS)))
    return generate_all(checkpoint, [wanted], temperature, top_p, own_words, never, fast)[0]


@torch.inference_mode()
def generate_all(
    checkpoint: Checkpoint, wanted: Sequence[Wanted], temperature: float, top_p: float, own_words: bool = False, never: Collection[int] = (), fast: bool = False
) -> list[list[Candidate]]:  # fmt: skip
    """The candidates of each message, as `generate` gives them: to the last bit those that it would have if it were worded alone. Those that
    were given up are unfinished; their nats and tokens are of what was said."""
    for one in wanted:
        if len(one.beginnings) != ROWS:
            raise ValueError(f"{len(one.beginnings)} beginnings; expected exactly {ROWS}, so that every batch has the same shape")
        if one.most_own is not None and one.most_own < 0:
            raise ValueError(f"most_own {one.most_own}; expected 0 or more, or None")
        _refuse(temperature, top_p, one.most_tokens)
    at_once = TOGETHER if fast and decoding.possible() else 1
    found: list[list[Candidate]] = []
    for first in range(0, len(wanted), at_once):
        some = wanted[first : first + at_once]
        prompts = [Prompt(one.header, one.local, one.own_LHPN, one.other_LHPN, b) for one in some for b in one.beginnings]
        forced = [checkpoint.tokenizer.encode_text(p.beginning) for p in prompts]
        most_B = [_most(some[i // ROWS], len(words)) for i, words in enumerate(forced)]
        choice = _choice(checkpoint, prompts, forced, [u for one in some for u in one.uniform_TB.T], temperature, top_p, True, own_words, never)
        if at_once > 1:
            judge = _judge(checkpoint, some, prompts, forced, most_B) if any(one.will_do for one in some) else None
            said = _say_fast(checkpoint, prompts, choice, most_B, False, np.arange(len(prompts)) // ROWS, judge)
        else:
            (one,) = some
            said = _say(checkpoint, prompts, choice, one.most_tokens, _rows(checkpoint, one.local, one.own_LHPN, one.other_LHPN, ROWS))
        candidates = _candidates(checkpoint, prompts, forced, *said, most_B)
        found += [candidates[i : i + ROWS] for i in range(0, len(candidates), ROWS)]
        if at_once == 1 and one.will_do is not None:
            likely = sorted((i for i, c in enumerate(candidates) if c.finished), key=lambda i: candidates[i].nats)
            for i in likely:
                if one.will_do(i, candidates[i]):
                    break
    return found


def _most(one: Wanted, forced: int) -> int:
    """Tokens that a candidate with a beginning of `forced` may have, its end among them."""
    return one.most_tokens if one.most_own is None else min(one.most_tokens, forced + one.most_own + 1)


def _judge(
    checkpoint: Checkpoint, wanted: Sequence[Wanted], prompts: Sequence[Prompt], forced: Sequence[Sequence[int]], most_B: Sequence[int]
) -> decoding.Judge:  # fmt: skip
    def judge(b: int, said_T: NDArray[np.int64], nats_T: NDArray[Any]) -> bool:
        first, will_do = len(prompts[b].header) - 1, wanted[b // ROWS].will_do
        return will_do is not None and will_do(b % ROWS, _candidate(checkpoint, said_T[first:], nats_T[first:], len(forced[b]), most_B[b]))

    return judge


@torch.inference_mode()
def sample(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], rng: np.random.Generator, temperature: float = 0.8, top_p: float = 0.9, most_tokens: int = 48,
    one_sentence: bool = True, fast: bool = False, half: bool = False,
) -> list[Candidate]:  # fmt: skip
    """One candidate per prompt, each from states of its own; headers and beginnings may differ in length.

    `fast` runs compiled code where there is a compiler (compiled on first use), rows apart on as many threads as torch has: for many
    messages. `half` keeps its matrices in fp16. Both change rounding, and so, now and then, what is drawn. Raises ValueError for a model
    that fp16 cannot hold.
    """
    if not prompts or not all(p.header for p in prompts):
        raise ValueError(f"{len(prompts)} prompts, some perhaps without a header; expected at least one, each with the header of its message")
    if half and not fast:
        raise ValueError("half=True without fast=True; only compiled code keeps matrices in half precision")
    _refuse(temperature, top_p, most_tokens)
    forced = [checkpoint.tokenizer.encode_text(p.beginning) for p in prompts]
    choice = _choice(checkpoint, prompts, forced, list(rng.random((len(prompts), most_tokens))), temperature, top_p, one_sentence)
    most_B = [most_tokens] * len(prompts)
    if fast and decoding.possible():
        said = _say_fast(checkpoint, prompts, choice, most_B, half)
    else:
        local = [tuple(torch.cat(parts) for parts in zip(*layer, strict=True)) for layer in zip(*(p.local.layers for p in prompts), strict=True)]
        own, other = (torch.stack([getattr(p, name) for p in prompts], 1) for name in ("own_LHPN", "other_LHPN"))
        said = _say(checkpoint, prompts, choice, most_tokens, _Rows(local, list(own), list(other), _windows(checkpoint, len(prompts))))
    return _candidates(checkpoint, prompts, forced, *said, most_B)


@functools.cache
def _weights(checkpoint: Checkpoint, half: bool) -> decoding.Weights:
    return decoding.weights_of(checkpoint.model, half)


@torch.inference_mode()
def score(checkpoint: Checkpoint, header: Sequence[int], local: LocalState, own_LHPN: Tensor, other_LHPN: Tensor, texts: Sequence[str]) -> list[Tensor]:
    """Per text, if it were the message: nats of every predicted token (words and end), all texts read in one pass.

    What `encode` and `nll_under` will say of a text once it is sent, without its being sent.
    """
    model, count = checkpoint.model, len(texts)
    if not count:
        return []
    ids = [[*header, *checkpoint.tokenizer.encode_text(text)[:MOST_WORDS], checkpoint.tokenizer.END] for text in texts]
    sequence = sequence_of([[message] for message in ids], model.config)
    public = model.public(sequence, tuple((S.expand(count, *S.shape[1:]), w.expand(count, *w.shape[1:])) for S, w in local.layers))
    reads = reads_of(list(range(count)), sequence, model.config)
    h = model.read(public, reads, *(s[:, None].expand(-1, count, *s.shape[1:]) for s in (own_LHPN, other_LHPN)))
    kept = torch.cat([torch.arange(start + len(header) - 1, start + len(m) - 1) for start, m in zip(reads.starts, ids, strict=True)])
    log_p = torch.log_softmax(model.logits(h[kept]), -1)
    nats = -log_p.gather(1, sequence.tokens_T[kept + 1][:, None])[:, 0]
    return list(nats.split([len(m) - len(header) for m in ids]))
