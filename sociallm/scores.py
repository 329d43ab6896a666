"""How well a model predicts the messages of conversations it never saw, with and without its memories: sums by cluster, and intervals.

A conversation is read from its beginning in windows, states carried, whatever part of it is counted. *Late* messages are those
from their author's 20th in that conversation on: there is something to remember. Uncertainty is that of conversations, never of
messages: games, excerpts and episodes are drawn again, 2,000 times.

Letters: C clusters, B resamples, N messages since something was forgotten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sociallm import corpora
from sociallm.batches import Batch, Encoded, Window, encode_conversation
from sociallm.conversation import Conversation, to_json
from sociallm.model import SociaLLM
from sociallm.through import CHANGES, VARIANTS, readings
from sociallm.tokenizer import Tokenizer

LATE = 20  # of an author's messages in a conversation, the first that counts as late
LONGEST = 16  # messages of an author since it forgot, that are told apart
RESAMPLES = 2000
FEWEST = 5  # conversations that can be drawn again; of fewer, their channels are
Sums = dict[str, float]  # messages, bytes, tokens, and nats by variant
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluationSet:
    """Conversations no model was trained on, as they are evaluated."""

    name: str  # in the names of figures
    corpus: str
    most: int | None = None  # whole conversations, drawn with a fixed seed; None: all


SETS = (EvaluationSet("diplomacy_lies", "diplomacy_lies_validation"), EvaluationSet("irc", "irc_ubuntu_dev"), EvaluationSet("crd3", "crd3_validation", 5))
CASINO = EvaluationSet("casino", "casino_validation")  # ten messages a conversation: none is late


def chosen(conversations: Sequence[Conversation], most: int | None) -> list[Conversation]:
    """At most so many conversations, the same ones each time, in their order."""
    kept = np.sort(np.random.default_rng(0).permutation(len(conversations))[:most])
    return [conversations[i] for i in kept]


def loaded(of: EvaluationSet, data: Path | str, tokenizer: Tokenizer) -> tuple[list[Encoded], str]:
    """(the set as it is evaluated, SHA-256 of its words, authors, readers and times)."""
    conversations = chosen(corpora.load(of.corpus, data), of.most)
    return [encode_conversation(c, tokenizer, corpora.ROOM.get(of.corpus)) for c in conversations], data_hash(conversations)


def data_hash(conversations: Sequence[Conversation]) -> str:
    """SHA-256 of conversations."""
    h = hashlib.sha256()
    for c in conversations:
        h.update(json.dumps(to_json(c), sort_keys=True).encode() + b"\n")
    return h.hexdigest()


# ---- scoring -----------------------------------------------------------------------------------------------------------

USUAL = tuple(VARIANTS)


def ordinals(conversation: Conversation) -> NDArray[np.int64]:
    """Of each message, the how manyth of its author's it is in this conversation; the first is 1."""
    written: dict[str, int] = {}
    out = []
    for m in conversation.messages:
        written[m.author] = written.get(m.author, 0) + 1
        out.append(written[m.author])
    return np.array(out, np.int64)


@dataclass(frozen=True)
class Scores:
    """Sums over the messages of each cluster."""

    every: dict[str, Sums] = field(default_factory=dict)
    late: dict[str, Sums] = field(default_factory=dict)
    since_cut: dict[str, Floats] = field(default_factory=dict)  # [N, 4] late messages by number since the cut: tokens; nats on, off, cut


def score(model: SociaLLM, conversations: Sequence[Encoded], tokenizer: Tokenizer, variants: Sequence[str] = USUAL) -> Scores:
    """Read whole conversations, each message under every variant (`through.Reading.nats`)."""
    scores = Scores()
    for encoded in conversations:
        for reading in readings(model, encoded, tokenizer):
            add(scores, reading.window, reading.batch, reading.nats(model, variants), len(conversations), goes_on=reading.start is not None)
    return scores


def add(scores: Scores, window: Window, batch: Batch, nats: Mapping[str, Floats], conversations: int, goes_on: bool = False) -> None:
    """Add a window's messages to the sums; `goes_on` where states were carried into it, so that "cut" forgets something."""
    conversation = window.encoded.conversation
    ordinal = ordinals(conversation)
    tokens = np.bincount(batch.read_Y.numpy(), minlength=len(batch.bytes_R))
    since: dict[str, int] = {}  # of each author's messages since the window began
    for i, k in enumerate(range(window.first, window.last)):
        m = conversation.messages[k]
        cluster = conversation.id if conversations >= FEWEST else f"{conversation.id} {m.channel.name}"
        numbers = {"messages": 1.0, "bytes": float(batch.bytes_R[i]), "tokens": float(tokens[i]), **{v: float(n[i]) for v, n in nats.items()}}
        for kept, sums in ((True, scores.every), (ordinal[k] >= LATE, scores.late)):
            if kept:
                row = sums.setdefault(cluster, dict.fromkeys(numbers, 0.0))
                for name, v in numbers.items():
                    row[name] += v
        n = since[m.author] = since.get(m.author, -1) + 1
        if "cut" in nats and goes_on and n < LONGEST and ordinal[k] - n >= LATE:
            rows = scores.since_cut.setdefault(cluster, np.zeros((LONGEST, 4)))
            rows[n] += tokens[i], nats["on"][i], nats["off"][i], nats["cut"][i]


# ---- figures and intervals ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A figure and its values on resampled clusters."""

    value: float
    draws_B: Floats

    @property
    def interval(self) -> list[float]:
        """95 %, by percentiles of the draws in which there is a figure."""
        known = self.draws_B[~np.isnan(self.draws_B)]
        return [float(v) for v in np.percentile(known, [2.5, 97.5], method="nearest")] if len(known) else [float("nan")] * 2


def estimate(figure: Callable[[Floats], Floats], clusters: int, seed: int = 0) -> Estimate:
    """`figure` maps how often each cluster counts [B, C] to values [B]."""
    counts_BC = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES).astype(float)
    return Estimate(float(figure(np.ones((1, clusters)))[0]), figure(counts_BC))


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Their mean; sets are drawn again independently of each other."""
    rng = np.random.default_rng(len(estimates))
    return Estimate(float(np.mean([e.value for e in estimates])), np.mean([rng.permutation(e.draws_B) for e in estimates], 0))


def reduction(scored: Sequence[Mapping[str, Sums]], against: Sequence[Mapping[str, Sums]], variant: str = "on", other: str = "off") -> Estimate:
    """By which share the nats under `variant` lie below those of `against` under `other`, mean over the seeds given in turn."""
    clusters = sorted(scored[0])
    if any(sorted(s) != clusters for s in (*scored, *against)):
        raise ValueError("scores of different conversations cannot be compared; score both models on the same ones")

    def nats(seeds: Sequence[Mapping[str, Sums]], name: str) -> Floats:
        return np.array([[s[c][name] for c in clusters] for s in seeds])

    low_SC, high_SC = nats(scored, variant), nats(against, other)
    return estimate(lambda counts_BC: (1 - (counts_BC @ low_SC.T) / (counts_BC @ high_SC.T)).mean(1), len(clusters))


def rounded(sums: Mapping[str, Sums]) -> dict[str, Sums]:
    """To a thousandth of a nat, for a file."""
    return {cluster: {name: round(v, 3) for name, v in row.items()} for cluster, row in sums.items()}


def total(sums: Mapping[str, Sums]) -> Sums:
    """Over all clusters, and bits per byte by variant."""
    out: Sums = {}
    for row in sums.values():
        for name, v in row.items():
            out[name] = out.get(name, 0.0) + v
    return {k: v for k, v in out.items() if k in ("messages", "bytes", "tokens")} | {
        f"bits_per_byte_{k}": v / out["bytes"] / np.log(2) for k, v in out.items() if k in CHANGES
    }


def decreasing(values_N: Floats, weights_N: Floats) -> Floats:
    """The non-increasing sequence nearest in weighted squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for v, w in zip(values_N, weights_N, strict=True):
        blocks.append((float(v), float(w), 1))
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (a, wa, na), (b, wb, nb) = blocks[-2:]
            blocks[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return np.concatenate([np.full(n, v) for v, _, n in blocks])


def half_recovery(since_NX: Floats) -> float:
    """How many messages of its own an author who forgot has to write until half of the lost gain is back; inf where it takes longer
    than was seen, nan where nothing was lost.

    Lost gain: nats a token, off less on, of all these messages. What is still missing after n messages: cut less on; never
    increasing (isotonic), read off between whole numbers on a straight line.
    """
    tokens, on, off, cut = since_NX[since_NX[:, 0] > 0].T
    if not len(tokens) or (lost := (off - on).sum() / tokens.sum()) <= 0:
        return float("nan")
    missing = np.concatenate([[1.0], decreasing((cut - on)[1:] / tokens[1:] / lost, tokens[1:])])
    below = np.flatnonzero(missing <= 0.5)
    if not len(below):
        return float("inf")
    n = int(below[0])
    return n - 1 + (missing[n - 1] - 0.5) / (missing[n - 1] - missing[n])
