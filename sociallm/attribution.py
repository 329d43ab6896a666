"""Does a memory know its owner? E_rel of an author's next message against another's, put in its place (SCIENCE 2.2, 2.3 C1, C8).

E_rel(m; S) = -(1/L)[log p(m|S) - log p(m|∅)], S the author's own and interlocutor states just before the moment. At a moment
the words that its author u did write (genuine) and words that another author of the same thread wrote next (impostor) are each
encoded in the same place: the channel as it stood, and u's header (slot, gap, addressees). Nothing but the words differs, and the
words of both come after the moment, so that neither place nor memory has met them.

Moments are messages of at least 40 tokens by an author of ten or more earlier ones, whose next message of that kind in the thread
is by somebody else: it is the impostor. So every author stands about as often on either side. For windows of ten, ten such
messages of u in a row (whoever follows) meet ten of another author, each the next of it after the moment; where no other has ten
of them left (in irc nobody has), ten of several others.

Letters in shapes: L social blocks, R readings, H heads, P head width, N state width, C threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Encoded, Window, windows_of
from sociallm.conversation import AgentID
from sociallm.losses import stream_states
from sociallm.model import SociaLLM, reads_of, sequence_of
from sociallm.scores import Estimate, Floats, estimate, ordinals
from sociallm.through import MESSAGES, TOKENS, Reading, readings
from sociallm.tokenizer import MOST_WORDS, Tokenizer

SHORTEST = 40  # tokens of a message
HISTORY = 10  # earlier messages of its author
TEN = 10  # messages of a window
MOST_SINGLE, MOST_WINDOWS = 60, 8  # of one thread, drawn with a fixed seed
TOGETHER = 8  # moments read in one pass


@dataclass(frozen=True)
class Trial:
    """Message k, and the message whose words stand in for it."""

    k: int
    impostor: int


@dataclass(frozen=True, eq=False)
class Moment:
    """All that is known just before a message: states of its author, and its channel."""

    author: AgentID
    own: Tensor  # [L, H, P, N]
    other: Tensor
    local: tuple[tuple[Tensor, Tensor], ...]  # one a layer: state and convolution window of the channel
    header: list[int]


@dataclass(frozen=True)
class Energies:
    """Of one trial: E_rel, genuine and impostor, under the author's states and under a stranger's; and nats a token without memory."""

    thread: int
    states: tuple[float, float]
    shuffled: tuple[float, float]
    empty: tuple[float, float]


def trials_of(encoded: Encoded, rng: np.random.Generator) -> tuple[list[Trial], list[list[Trial]]]:
    """(single trials, windows of ten) of one thread, at most so many of each."""
    messages, ordinal = encoded.conversation.messages, ordinals(encoded.conversation)
    long = [k for k, words in enumerate(encoded.words) if len(words) >= SHORTEST]
    able = [k for k in long if ordinal[k] > HISTORY]
    single = [Trial(k, j) for k, j in zip(able, able[1:], strict=False) if messages[k].author != messages[j].author]
    by: dict[AgentID, list[int]] = {}
    for k in long:  # what stands in for ten needs no history: nobody's memory but u's is asked
        by.setdefault(messages[k].author, []).append(k)
    windows = []
    for u, all_own in by.items():
        own = [k for k in all_own if ordinal[k] > HISTORY]
        for first in range(0, len(own) - TEN + 1, TEN):
            moments = own[first : first + TEN]
            others = [found for v, theirs in by.items() if v != u for found in [_nearest(moments, theirs)] if found]
            nearest = min(others, key=sum) if others else _nearest(moments, [k for k in long if messages[k].author != u])
            windows += [[Trial(k, j) for k, j in zip(moments, nearest, strict=True)]] if nearest else []
    return _some(single, MOST_SINGLE, rng), _some(windows, MOST_WINDOWS, rng)


def _nearest(moments: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """For each moment the next message of `theirs` after it that is not taken; nothing where they do not suffice."""
    found: list[int] = []
    for k in moments:
        later = [j for j in theirs if j > max([k, *found[-1:]])]
        if not later:
            return []
        found.append(later[0])
    return found


def _some(values: Sequence[Any], most: int, rng: np.random.Generator) -> list[Any]:
    return [values[i] for i in np.sort(rng.permutation(len(values))[:most])]


# ---- the states at the moments -----------------------------------------------------------------------------------------


def windows_at(encoded: Encoded, moments: Sequence[int]) -> list[Window]:
    """The conversation up to the last moment in windows of the usual size, cut so that each moment begins one."""
    out: list[Window] = []
    for first, last in zip([0, *moments], [*moments, moments[-1] + 1], strict=True):
        at = first
        while at < last:
            window = windows_of(encoded, TOKENS, MESSAGES, at)[0]
            out.append(Window(encoded, at, min(window.last, last)))
            at = out[-1].last
    return out


@torch.no_grad()
def moments_of(model: SociaLLM, encoded: Encoded, tokenizer: Tokenizer, moments: Sequence[int]) -> dict[int, Moment]:
    """What is known before each of these messages (in order), from one reading of the conversation."""
    wanted = set(moments)
    found: dict[int, Moment] = {}
    for reading in readings(model, encoded, tokenizer, windows_at(encoded, moments)) if moments else ():
        if (k := reading.window.first) in wanted:
            found[k] = _moment(model, reading, len(encoded.words[k]))
    return found


def _moment(model: SociaLLM, reading: Reading, words: int) -> Moment:
    batch, start = reading.batch, reading.start
    if start is None:
        raise ValueError("a moment before anything was said; give messages that others precede")
    own, other = stream_states(model, reading.public, batch, batch.streams, start)
    m = int(batch.flat_M[0])
    first, length = batch.sequence.starts_M[m], batch.sequence.lengths_M[m]
    header = batch.sequence.tokens_T[first : first + length - min(words, MOST_WORDS) - 1].tolist()
    channel = int(batch.sequence.channel_T[first])
    local = tuple((state[channel].clone(), window[channel].clone()) for state, window in start.local)
    author = reading.window.encoded.conversation.messages[reading.window.first].author
    return Moment(author, torch.stack([s[0] for s in own]), torch.stack([s[0] for s in other]), local, header)


@torch.no_grad()
def nats_at(model: SociaLLM, moments: Sequence[Moment], words: Sequence[Sequence[int]], states: Sequence[Sequence[Moment | None]], end: int) -> Floats:
    """[states, R] nats a token (words and end) of `words` in each moment's place, under the states of other moments, or of none."""
    model_states = []
    empty = model.empty_state(1)[:, 0]
    sequence = sequence_of([[[*m.header, *w[:MOST_WORDS], end]] for m, w in zip(moments, words, strict=True)], model.config)
    local = tuple((torch.stack([m.local[i][0] for m in moments]), torch.stack([m.local[i][1] for m in moments])) for i in range(len(model.local)))
    public = model.public(sequence, local)
    for which in ("own", "other"):
        model_states.append(torch.stack([empty if s is None else getattr(s, which) for row in states for s in row], 1))
    reads = reads_of([*range(len(moments))] * len(states), sequence, model.config)
    h = model.read(public, reads, *model_states)
    out = []
    for i, start in enumerate(reads.starts):
        g = i % len(moments)
        a, b = len(moments[g].header), sequence.lengths_M[g]
        log_p = torch.log_softmax(model.logits(h[start + a - 1 : start + b - 1]), -1)
        target = sequence.tokens_T[sequence.starts_M[g] + a : sequence.starts_M[g] + b]
        out.append(-float(log_p.gather(1, target[:, None]).double().mean()))
    return np.array(out).reshape(len(states), len(moments))


# ---- energies and figures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Energies of the trials of some threads."""

    threads: int
    single: tuple[Energies, ...]
    windows: tuple[tuple[Energies, ...], ...]


def energies(model: SociaLLM, threads: Sequence[Encoded], tokenizer: Tokenizer, seed: int = 0) -> Found:
    """Read every thread once, and every trial's two messages from the states at its moment."""
    rng = np.random.default_rng(seed)
    trials = [trials_of(e, rng) for e in threads]
    known = [moments_of(model, e, tokenizer, sorted({t.k for t in (*s, *(t for w in ten for t in w))})) for e, (s, ten) in zip(threads, trials, strict=True)]
    rows = [(i, t) for i, (single, _) in enumerate(trials) for t in single]
    rows += [(i, t) for i, (_, windows) in enumerate(trials) for w in windows for t in w]
    strangers = [_stranger(threads, known, i, t, rng) for i, t in rows]
    scored: list[Energies] = []
    for first in range(0, len(rows), TOGETHER):
        part = rows[first : first + TOGETHER]
        at = [known[i][t.k] for i, t in part for _ in range(2)]
        words = [threads[i].words[k] for i, t in part for k in (t.k, t.impostor)]
        other = [s for s in strangers[first : first + TOGETHER] for _ in range(2)]
        own_R, shuffled_R, empty_R = nats_at(model, at, words, [at, other, [None] * len(at)], tokenizer.END)
        for n, (i, _) in enumerate(part):
            g, j = 2 * n, 2 * n + 1
            scored.append(Energies(
                i, (own_R[g] - empty_R[g], own_R[j] - empty_R[j]), (shuffled_R[g] - empty_R[g], shuffled_R[j] - empty_R[j]), (empty_R[g], empty_R[j]),
            ))  # fmt: skip
    singles = sum(len(s) for s, _ in trials)
    tens = [tuple(scored[n : n + TEN]) for n in range(singles, len(scored), TEN)]
    return Found(len(threads), tuple(scored[:singles]), tuple(tens))


def _stranger(threads: Sequence[Encoded], known: Sequence[dict[int, Moment]], thread: int, trial: Trial, rng: np.random.Generator) -> Moment | None:
    """The states of a moment of another thread, of neither author's name; None where there is none."""
    messages = threads[thread].conversation.messages
    names = {messages[trial.k].author, messages[trial.impostor].author}
    others = [m for i, at in enumerate(known) if i != thread for m in at.values() if m.author not in names]
    return others[int(rng.integers(len(others)))] if others else None


def auroc(genuine: Floats, impostor: Floats, threads: Sequence[int], count: int) -> Estimate:
    """The chance that a genuine energy is the lower one (ties count half), over all pairs; threads are drawn again."""
    lower = (genuine[:, None] < impostor[None, :]) + 0.5 * (genuine[:, None] == impostor[None, :])
    member = np.eye(count)[np.asarray(threads, np.int64)]
    wins_CC, pairs_CC = member.T @ lower @ member, np.outer(member.sum(0), member.sum(0))

    def figure(counts_BC: Floats) -> Floats:
        pairs = ((counts_BC @ pairs_CC) * counts_BC).sum(1)
        return np.divide(((counts_BC @ wins_CC) * counts_BC).sum(1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    return estimate(figure, count)


def figures_of(found: Found) -> dict[str, Estimate]:
    """AUROCs by name: 1, 10, shuffled, and without memory (raw likelihood), 1 and 10; empty where there was no trial."""

    def of(rows: Sequence[Sequence[Energies]], field: str) -> Estimate:
        pairs = np.array([np.mean([getattr(e, field) for e in row], 0) for row in rows])
        return auroc(pairs[:, 0], pairs[:, 1], [row[0].thread for row in rows], found.threads)

    single = [(e,) for e in found.single]
    named: dict[str, tuple[Sequence[Sequence[Energies]], str]] = {
        "1": (single, "states"), "10": (found.windows, "states"), "shuffled": (single, "shuffled"), "1_no_state": (single, "empty"), "10_no_state": (found.windows, "empty"),
    }  # fmt: skip
    return {name: of(rows, field) for name, (rows, field) in named.items() if rows}
