"""What a message is worth to one who reads it, computed: the world is solvable, so nothing here is estimated.

P is the reader's exact posterior over suspects given its clues and all that it has read, P' the same after the message. Only a clue that is new to
the reader changes it: a repeat, small talk, a question, a guess and gibberish are worth 0 to the last bit (a guess sums up clues, it is none).

| field | what |
|---|---|
| `value` | log P'(culprit) - log P(culprit), nats: what was gained towards the truth; below 0 where a true clue misleads |
| `surprise` | KL(P' ‖ P), nats: Bayesian surprise (Itti & Baldi 2009), what an ideal reader who does not know the truth sees |
| `gap` | how much nearer it brought what both are known to share to what the author believes: G before - G after, G = KL(P author ‖ P shared) |

Everything is read from texts, and from the `case` that the world puts into the log, so it can be held against any measure on any run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.types import Message
from scenarios.team_task.clues import EVIDENCE, Clue, gap, log_posterior
from scenarios.team_task.mind import Floats
from scenarios.team_task.talk import Talk
from sociallm.conversation import AgentID

KINDS = ("new", "repeated", "opinion", "phatic", "nothing")
Clues = tuple[Clue, ...]


@dataclass(frozen=True)
class Worth:
    """What one message is worth to one reader. `kind` is the most that is in it: a clue new to the reader, one it knew, an opinion or question,
    small talk, nothing."""

    message: str
    author: AgentID
    reader: AgentID
    kind: str
    value: float
    surprise: float
    gap: float


@dataclass(frozen=True)
class Solver:
    """Exact beliefs about one case."""

    talk: Talk
    culprit: int
    reliability: float
    public: Clues
    private: Mapping[AgentID, Clues]

    def belief(self, clues: Iterable[Clue]) -> Floats:
        """[S]: the posterior given these clues."""
        return np.asarray(np.exp(self.logs(clues)))

    def logs(self, clues: Iterable[Clue]) -> Floats:
        """[S]: its log."""
        return log_posterior(clues, len(self.talk.suspects), self.reliability)

    def clue(self, fact: Mapping[str, Any]) -> Clue:
        """The clue that an act, or a fact of the log, tells."""
        return Clue(self.talk.witnesses.index(fact["witness"]), self.talk.suspects.index(fact["suspect"]), EVIDENCE[fact["evidence"]])

    def told(self, message: Message) -> tuple[str, Clues]:
        """(kind of the message for one who knew nothing, the clues in it)."""
        acts = self.talk.acts(message.text, message.author, message.channel.readers)
        clues = tuple(self.clue(act) for act in acts if act["act"] == "inform")
        if clues:
            return "new", clues
        return ("opinion" if any(act["suspect"] is not None for act in acts) else "phatic" if acts else "nothing"), ()


def solver(case: Mapping[str, Any]) -> Solver:
    """From the event `case` of a log. Raises ValueError in one line for one that is damaged."""
    try:
        private = {str(agent): list(facts) for agent, facts in case["private"].items()}
        facts = [*case["public"], *(fact for own in private.values() for fact in own)]
        talk = Talk(tuple(case["posterior"]), tuple(sorted({str(fact["witness"]) for fact in facts})))
        blank = Solver(talk, talk.suspects.index(case["culprit"]), float(case["reliability"]), (), {})
        of = lambda told: tuple(blank.clue(fact) for fact in told)  # noqa: E731
        found = Solver(talk, blank.culprit, blank.reliability, of(case["public"]), {agent: of(own) for agent, own in private.items()})
        found.belief(())
        return found
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"case: {type(error).__name__} {error!s:.100}; expected the event `case` of a run of team_task, as its log has it") from None


def worths(exact: Solver, messages: Sequence[Message]) -> list[Worth]:
    """What each message is worth to each of its readers but the author, in the order in which they were sent.

    Agents that the case does not know (an observer) start from the public clues.
    """
    known: dict[AgentID, Clues] = {agent: exact.public + own for agent, own in exact.private.items()}
    shared: dict[frozenset[AgentID], Clues] = {}
    found = []
    for message in messages:
        kind, clues = exact.told(message)
        author = message.author
        readers = sorted(message.channel.readers - {author})
        certain = exact.logs(known.get(author, exact.public))
        for reader in readers:
            pair = frozenset((author, reader))
            before, after = known.get(reader, exact.public), _with(known.get(reader, exact.public), clues)
            common = shared.get(pair, exact.public)
            now = _with(common, clues)
            p, q = exact.logs(before), exact.logs(after)
            what = "repeated" if clues and after == before else kind
            nearer = 0.0 if now == common else float(gap(certain, exact.logs(common)) - gap(certain, exact.logs(now)))
            value, surprise = (0.0, 0.0) if after == before else (float(q[exact.culprit] - p[exact.culprit]), float(gap(q, p)))
            found.append(Worth(message.id, author, reader, what, value, surprise, nearer))
            known[reader], shared[pair] = after, now
        for one in readers:  # what several read together they share, whoever wrote it
            for other in readers:
                if one < other:
                    shared[frozenset((one, other))] = _with(shared.get(frozenset((one, other)), exact.public), clues)
        known[author] = _with(known.get(author, exact.public), clues)
    return found


def _with(clues: Clues, more: Clues) -> Clues:
    """A witness counts once: the first word of it."""
    for clue in more:
        if all(c.witness != clue.witness for c in clues):
            clues = (*clues, clue)
    return clues
