"""Who moves whom in private? What an agent's next move owes to what another told it where not all could read.

Inf(i → j) is the mean, over j's moves, of log p(a | S) − log p(a | S without their private channels): S are j's states, own and of others, as an
observer has them before the move, p is a probe head (`probes`, next_move) made of other runs. States without a channel are recomposed from the
operators of all other messages, whose words are held fixed: as a log in which that channel was never opened would make them, to the bit and key
(public words are encoded in their own channels, so none of them changes). What the others would have done without these words is another question,
for a fork.

A hidden link is an influence that public relations do not show. Above 0 the private words made what was done likelier; 0 for pairs without any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.evidence import Evidence
from analysis.metrics import AnalysisError, message_of
from analysis.probe_questions import ProbedGame, Question, class_of, questions_of
from analysis.probes import Probe, beliefs
from sociallm.conversation import AgentID, Conversation, Message

Floats = NDArray[np.float64]
RARE = 1e-6  # no belief is taken for less: one moment alone shall not decide


@dataclass(frozen=True)
class Influence:
    """Of `by` on the moves of `on`, in nats a move; over so many moves, before which so many private messages were read."""

    by: AgentID
    on: AgentID
    nats: float
    moves: int
    messages: int


def private(message: Message, one: AgentID, other: AgentID, agents: Sequence[AgentID]) -> bool:
    """Whether these two read it, and somebody of the game does not."""
    readers = message.channel.readers
    return {one, other} <= readers and not set(agents) <= readers


def cut(said: Sequence[Message], one: AgentID, other: AgentID, agents: Sequence[AgentID]) -> tuple[Message, ...]:
    """What was said, but for the channels that these two read and not all do."""
    return tuple(m for m in said if not private(m, one, other, agents))


@dataclass(frozen=True)
class Work:
    """One reading of a run: all that was said, or without the private channels of two; and the questions of it that are asked."""

    said: tuple[Message, ...]
    questions: tuple[Question, ...]


def influences(evidence: Evidence, probe: Probe) -> list[Influence]:
    """Of every two, both ways. Raises `AnalysisError` for a head of another model."""
    from sociallm.checkpoint import checkpoint_hash

    if probe.target != "next_move":
        raise AnalysisError(f"influence asks for moves, and the head is of {probe.target!r:.40}; train one with --target next_move")
    if probe.checkpoint != checkpoint_hash(evidence.checkpoint):
        raise AnalysisError(f"the head was trained on states of the checkpoint {probe.checkpoint:.12}…; name that one, or train again")
    said = tuple(message_of(e) for e in evidence.events if e.kind == "message")
    asked = tuple(q for q in sorted(questions_of(evidence.events, "next_move"), key=lambda q: q.after) if class_of(q.answer, probe.edges, probe.classes) is not None)
    linked = {(a, b): [m for m in said if private(m, a, b, evidence.agents)] for a, b in evidence.pairs}
    works = [Work(said, asked)]
    for (a, b), told in linked.items():
        if told:
            works.append(Work(cut(said, a, b, evidence.agents), _moved(asked, said, a, b, evidence.agents)))
    found = _log_p(evidence, probe, works)
    whole = {(q.step, q.holder): value for q, value in zip(asked, found[0], strict=True)}
    out, rest = list[Influence](), iter(zip(works[1:], found[1:], strict=True))
    for (a, b), told in linked.items():
        work, values = next(rest) if told else (works[0], found[0][:0])
        without = {(q.step, q.holder): float(value) for q, value in zip(work.questions, values, strict=False)}
        for by, on in ((a, b), (b, a)):
            moves = [(at, value) for at, value in without.items() if at[1] == on]
            gained = [whole[at] - value for at, value in moves]
            out.append(Influence(by, on, float(np.mean(gained)) if gained else 0.0, len(gained), sum(m.author == by for m in told)))
    return out


def _moved(asked: Sequence[Question], said: Sequence[Message], a: AgentID, b: AgentID, agents: Sequence[AgentID]) -> tuple[Question, ...]:
    """The two's questions, at the places that are theirs where their private messages are cut."""
    before = np.concatenate([[0], np.cumsum([not private(m, a, b, agents) for m in said])]).astype(int)
    return tuple(replace(q, after=int(before[q.after])) for q in asked if q.holder in (a, b))


def _log_p(evidence: Evidence, probe: Probe, works: Sequence[Work]) -> list[Floats]:
    """[questions] of each work: log p of what was done. All in one pass of the observer: what they have in common is read once."""
    out = []
    for work, features in zip(works, read(evidence, works), strict=True):
        p = beliefs(probe, features) if len(work.questions) else np.zeros((0, len(probe.classes)))
        done = [class_of(q.answer, probe.edges, probe.classes) for q in work.questions]
        out.append(np.log(np.maximum(p[np.arange(len(done)), np.array(done, dtype=int)], RARE)))
    return out


def read(evidence: Evidence, works: Iterable[Work]) -> list[NDArray[np.float32]]:
    """[questions, features] of each work: what the holder's states add to the model's beginnings."""
    from sociallm.checkpoint import shared
    from sociallm.encode import slots_of
    from sociallm.observing import observe
    from sociallm.trails import Asked, Moment, Source

    sources = []
    for n, work in enumerate(works):
        moments = tuple(Moment(after=q.after, time=q.time, holder=q.holder, about=q.others, name=k) for k, q in enumerate(work.questions))
        sources.append(Source(conversation=Conversation(id=f"reading {n}", messages=work.said), slots=slots_of(evidence.agents), moments=moments))
    return [seen.features for seen in observe(shared(evidence.checkpoint), sources, Asked(rows=False))]


def game_of(evidence: Evidence, name: str) -> ProbedGame:
    """The questions of a run and its features, as `probes.head_of` takes them to make a head."""
    said = tuple(message_of(e) for e in evidence.events if e.kind == "message")
    asked = tuple(q for q in sorted(questions_of(evidence.events, "next_move"), key=lambda q: q.after) if q.answer is not None)
    return ProbedGame(name, name, asked, read(evidence, [Work(said, asked)])[0])


def by_pair(found: Sequence[Influence]) -> Mapping[tuple[AgentID, AgentID], float]:
    """The mean of both ways, of each pair by name."""
    of: dict[tuple[AgentID, AgentID], list[float]] = {}
    for i in found:
        of.setdefault((i.by, i.on) if i.by < i.on else (i.on, i.by), []).append(i.nats)
    return {pair: float(np.mean(values)) for pair, values in of.items()}
