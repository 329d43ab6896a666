"""Does a memory know its owner? Energies of an author's next message against another's, put in its place.

E_rel(m; S) = -(1/L)[log p(m|S) - log p(m|∅)], S the author's own and interlocutor states just before the moment.
E_coh(m; S) = -(1/L)[log p(m|S) - mean over v of log p(m|S_v)], S_v the states of a cohort at the same moment: those others who spoke
latest. What a message is like to anybody who knows the thread, and what it owes to its topic, is in both terms and falls out, as in
cohort normalisation of speaker verification (Rosenberg et al. 1992). Foils in training teach the same difference.

At a moment
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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sociallm.batches import Encoded, Window, windows_of
from sociallm.conversation import AgentID
from sociallm.foils import KNOWN
from sociallm.layout import reads_of, sequence_of
from sociallm.losses import stream_states
from sociallm.model import SociaLLM
from sociallm.scores import Estimate, Floats, estimate, ordinals
from sociallm.streams import WROTE
from sociallm.through import MESSAGES, TOKENS, Reading, readings
from sociallm.tokenizer import MOST_WORDS, Tokenizer

SHORTEST = 40  # tokens of a message
HISTORY = 10  # earlier messages of its author
COHORT = 4  # others at most; IRC development: 1, 2, 3, 4, 7 of them 0.854, 0.866, 0.873, 0.881, 0.878
TEN = 10  # messages of a window
MOST_SINGLE, MOST_WINDOWS = 60, 8  # of one thread, drawn with a fixed seed
TOGETHER = 8  # moments read in one pass


@dataclass(frozen=True)
class Trial:
    """Message k, and the message whose words stand in for it."""

    k: int
    impostor: int


@dataclass(frozen=True, eq=False)
class Held:
    """The two states of one agent, as a message is read."""

    own: Tensor  # [L, H, P, N]
    other: Tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """All that is known just before a message: states of its author and of its cohort, and its channel."""

    author: AgentID
    held: Held
    cohort: tuple[Held, ...]
    local: tuple[tuple[Tensor, Tensor], ...]  # one a layer: state and convolution window of the channel
    header: list[int]


@dataclass(frozen=True)
class Nats:
    """A token, genuine and impostor: under the states of one holder and, on the average, of the cohort that was there with it."""

    held: tuple[float, float]
    cohort: tuple[float, float]


@dataclass(frozen=True)
class Energies:
    """Of one trial: nats under the author's states, under those of a stranger and the stranger's cohort, and without memory."""

    thread: int
    author: Nats
    stranger: Nats
    empty: tuple[float, float]


def e_rel(e: Energies, of: Nats) -> Floats:
    """Genuine and impostor."""
    return np.subtract(of.held, e.empty)


def e_coh(e: Energies, of: Nats) -> Floats:
    """Genuine and impostor."""
    return np.subtract(of.held, of.cohort)


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
    as_if = {k: cohort_at(encoded, k) for k in moments}
    for reading in readings(model, encoded, tokenizer, windows_at(encoded, moments), as_if=as_if) if moments else ():
        if (k := reading.window.first) in wanted:
            found[k] = _moment(model, reading, len(encoded.words[k]))
    return found


def cohort_at(encoded: Encoded, k: int) -> list[int]:
    """Numbers of the agents who spoke latest before message k, the latest first: others than its author, of KNOWN messages or more."""
    author = encoded.conversation.messages[k].author
    said = {a: np.flatnonzero(encoded.role_AM[a, :k] == WROTE) for a, name in enumerate(encoded.agents) if name != author}
    return sorted((a for a, at in said.items() if len(at) >= KNOWN), key=lambda a: -int(said[a][-1]))[:COHORT]


def _moment(model: SociaLLM, reading: Reading, words: int) -> Moment:
    batch, start = reading.batch, reading.start
    if start is None:
        raise ValueError("a moment before anything was said; give messages that others precede")
    own, other = (torch.stack(layers) for layers in stream_states(model, reading.public, batch, batch.streams, start))
    m = int(batch.flat_M[0])
    first, length = batch.sequence.starts_M[m], batch.sequence.lengths_M[m]
    header = batch.sequence.tokens_T[first : first + length - min(words, MOST_WORDS) - 1].tolist()
    channel = int(batch.sequence.channel_T[first])
    local = tuple((state[channel].clone(), window[channel].clone()) for state, window in start.local)
    author = reading.window.encoded.conversation.messages[reading.window.first].author
    held, *cohort = (Held(own[:, r].clone(), other[:, r].clone()) for r in np.flatnonzero(batch.message_R == 0))
    return Moment(author, held, tuple(cohort), local, header)


@torch.no_grad()
def nats_at(model: SociaLLM, moments: Sequence[Moment], words: Sequence[Sequence[int]], states: Sequence[Sequence[Held | None]], end: int) -> Floats:
    """[states, R] nats a token (words and end) of `words` in each moment's place, under the states somebody holds, or none."""
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
        there = [s for s in strangers[first : first + TOGETHER] for _ in range(2)]
        author_R, stranger_R, empty_R = _nats(model, at, there, words, tokenizer.END)
        for n, (i, _) in enumerate(part):
            pair = slice(2 * n, 2 * n + 2)
            scored.append(Energies(i, Nats(*map(_two, author_R[:, pair])), Nats(*map(_two, stranger_R[:, pair])), _two(empty_R[pair])))
    singles = sum(len(s) for s, _ in trials)
    tens = [tuple(scored[n : n + TEN]) for n in range(singles, len(scored), TEN)]
    return Found(len(threads), tuple(scored[:singles]), tuple(tens))


def _two(values: Floats) -> tuple[float, float]:
    genuine, impostor = values
    return float(genuine), float(impostor)


def _nats(model: SociaLLM, at: Sequence[Moment], there: Sequence[Moment | None], words: Sequence[Sequence[int]], end: int) -> tuple[Floats, Floats, Floats]:
    """By its author (held, cohort) [2, R], by a stranger [2, R], and without memory [R]; a cohort of nobody is no memory."""
    rows: list[list[Held | None]] = [[None] * len(at)]
    for moments in (at, there):
        rows.append([m.held if m else None for m in moments])
        rows += [[m.cohort[c] if m and c < len(m.cohort) else None for m in moments] for c in range(COHORT)]
    empty_R, *by_R = nats_at(model, at, words, rows, end)
    found = []
    for moments, (held_R, *each_R) in ((at, by_R[: 1 + COHORT]), (there, by_R[1 + COHORT :])):
        size_R = [len(m.cohort) if m else 0 for m in moments]
        cohort_R = [
            held_R[r] + np.mean([v[r] - held_R[r] for v in each_R[:size]]) if size else empty_R[r]  # differences: exact where all are equal
            for r, size in enumerate(size_R)
        ]
        found.append(np.array([held_R, cohort_R]))
    return found[0], found[1], empty_R


def _stranger(threads: Sequence[Encoded], known: Sequence[dict[int, Moment]], thread: int, trial: Trial, rng: np.random.Generator) -> Moment | None:
    """A moment of another thread, of neither author's name; None where there is none."""
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
    """AUROCs by name, empty where there was no trial. E_rel: 1, 10, shuffled (a stranger's states); E_coh: the same names with `cohort_`
    (shuffled: a stranger's and its cohort's); raw likelihood without memory: 1_no_state and 10_no_state."""
    single = [(e,) for e in found.single]
    energies_by: dict[str, tuple[Sequence[Sequence[Energies]], Callable[[Energies], Floats]]] = {
        "1": (single, lambda e: e_rel(e, e.author)), "10": (found.windows, lambda e: e_rel(e, e.author)), "shuffled": (single, lambda e: e_rel(e, e.stranger)),
        "cohort_1": (single, lambda e: e_coh(e, e.author)), "cohort_10": (found.windows, lambda e: e_coh(e, e.author)),
        "cohort_shuffled": (single, lambda e: e_coh(e, e.stranger)),
        "1_no_state": (single, lambda e: np.array(e.empty)), "10_no_state": (found.windows, lambda e: np.array(e.empty)),
    }  # fmt: skip
    out = {}
    for name, (rows, energy) in energies_by.items():
        if rows:
            pairs = np.array([np.mean([energy(e) for e in row], 0) for row in rows])
            out[name] = auroc(pairs[:, 0], pairs[:, 1], [row[0].thread for row in rows], found.threads)
    return out
