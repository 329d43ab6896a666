"""What members of a team said of witnesses and suspects, beside what they knew, believed and answered in the end.

What a member knows is what it was told and has read; what it believes of a witness that it was not told of is read off its first intent, less what
it has from others. By who was not told the clues, words are held against the case's end alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.metrics import outcomes
from analysis.spoken import PROMISE, STATEMENT, Word, mass, messages_of, readers_of, word_of
from sandbox.log import Event
from scenarios.team_task.clues import EVIDENCE
from scenarios.team_task.exact import Solver, solver
from scenarios.team_task.mind import MAYBE_YES, STRONG_YES, Weights, blank, divergence, normal, read, read_all
from scenarios.team_task.talk import WITNESSES, Talk
from sociallm.conversation import AgentID

TINY = 1e-12
ALPHA = 0.95  # how much the minds of others count for a member, where a scenario does not say otherwise


def team_words(events: Sequence[Event]) -> Iterator[Word]:
    """All of them, in the order in which they were said; none of a log without a case and answers."""
    case = next((told for _, told in outcomes(events, "case")), None)
    end = next((told for _, told in outcomes(events, "answers")), None)
    if case is None or end is None:
        return
    if "private" not in case:
        yield from _unseen(events, case, end)
        return
    exact, facts = solver(case), {f["witness"]: f for own in (case["public"], *case["private"].values()) for f in own}
    minds = {agent: _Mind(exact, {f["witness"]: f for f in (*case["public"], *own)}) for agent, own in case["private"].items()}
    for event, message, intent in messages_of(events):
        if event.kind == "intent" and event.agent in minds:
            minds[event.agent].begin(intent)
        if message is None or message.author not in minds:
            continue
        author = message.author
        acts: Sequence[Any] = exact.talk.acts(message.text, author, message.channel.readers)
        for act in acts:
            kind, suspect = act["act"], str(act["suspect"])
            if kind == "inform":
                word = word_of(event, message, STATEMENT, str(act["witness"]), f"{suspect} {act['evidence']}", minds[author].holds(act))
                yield _witness(word, act, facts, case["culprit"])
            elif kind in ("guess", "agree"):
                yield _answered(word_of(event, message, PROMISE, "answer", suspect, _top(intent, suspect)), end, case["culprit"])
            for reader in readers_of(message):
                if reader in minds:
                    minds[reader].hear(author, act)


def _unseen(events: Sequence[Event], case: Mapping[str, Any], end: Mapping[str, Any]) -> Iterator[Word]:
    """The same by who was not told the clues, only whom it was in the end. Then a clue that points the right way counts as true, and one that
    does not as off by how much likelier a witness so sure is right than wrong: honest ones too, but of many such the author is the likeliest cause.
    It hurts where its author did not answer by it."""
    reliability, culprit = float(case["reliability"]), str(end["culprit"])
    talk = Talk(tuple(case["suspects"]), WITNESSES)
    for event, message, intent in messages_of(events):
        if message is None or message.author not in end["answers"]:
            continue
        acts: Sequence[Any] = talk.acts(message.text, message.author, message.channel.readers)
        for act in acts:
            if act["act"] == "inform":
                code, about = EVIDENCE[act["evidence"]], act["suspect"] == culprit
                right, off = (code > 0) == about, (2 * reliability - 1) / (1 if abs(code) == STRONG_YES else 2)
                word = word_of(event, message, STATEMENT, str(act["witness"]), f"{act['suspect']} {act['evidence']}", None)
                acted = (code > 0) == (end["answers"][message.author] == act["suspect"])
                yield replace(word, kept=right, off=0.0 if right else off, hurts=not right and not acted)
            elif act["act"] in ("guess", "agree"):
                word = word_of(event, message, PROMISE, "answer", str(act["suspect"]), _top(intent, str(act["suspect"])))
                yield _answered(word, end, culprit)


class _Mind:
    """What a member was told, and what it has read of others until it first said what it believes. Grows as the log is read."""

    def __init__(self, exact: Solver, told: Mapping[str, Mapping[str, Any]]):
        self.exact, self.told, self.size = exact, told, len(exact.talk.suspects)
        self.known = set(map(_fact, told.values()))
        self.quoted: set[str] = set(told)
        self.others: dict[AgentID, Any] = {}
        self.alone: Any = None  # its belief from its own clues, as its first intent has it

    def hear(self, author: AgentID, act: Mapping[str, Any]) -> None:
        """One act of another."""
        line = None
        if act["act"] == "inform":
            self.known.add(_fact(act))
            if act["witness"] not in self.quoted:
                self.quoted.add(act["witness"])
                line = self.exact.clue(act).line(self.size)
        elif act["act"] in ("guess", "agree"):
            line = np.where(np.array(self.exact.talk.suspects) == act["suspect"], MAYBE_YES, 0)
        if line is not None:
            self.others[author] = read(self.others.get(author, blank(self.size)), line.astype(np.int8), Weights())

    def begin(self, intent: Any) -> None:
        """Its first intent, less what it has from others (`mind.answer`)."""
        if self.alone is None and isinstance(intent, dict) and set(intent) == set(self.exact.talk.suspects):
            logs = np.log(np.maximum([intent[s] for s in self.exact.talk.suspects], TINY))
            logs = logs - ALPHA * sum(np.log(normal(other)) for other in self.others.values())
            self.alone = normal(np.exp(logs - logs.max()))

    def holds(self, act: Mapping[str, Any]) -> float | None:
        """Whether it holds true what it says of a witness. As it was told, or has read: yes. Otherwise its belief decides: whether that is nearer to
        what its clues make a member believe (`mind.read_all`) with the witness as quoted, or as it was told; fifty-fifty where the two say the same."""
        if _fact(act) in self.known:
            return 1.0
        if self.alone is None:
            return None
        apart = []
        for facts in (self.told, {**self.told, act["witness"]: act}):
            lines = [self.exact.clue(fact).line(self.size) for fact in facts.values()]
            apart.append(float(divergence(self.alone, read_all(blank(self.size), lines, Weights()))))
        return 0.5 if apart[0] == apart[1] else float(apart[1] < apart[0])


def _answered(word: Word, end: Mapping[str, Any], culprit: str) -> Word:
    """Whom somebody says it was, beside its answer in the end."""
    belief, kept = end.get("beliefs", {}).get(word.author) or {}, end["answers"].get(word.author) == word.said
    most = max(belief.values(), default=0.0)
    off = 0.0 if kept else 1.0 - (float(belief.get(word.said, 0.0)) / most if most else 0.0)
    return replace(word, kept=kept, off=off, hurts=not kept and word.said != culprit)


def _fact(told: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(told["witness"]), str(told["suspect"]), str(told["evidence"])


def _witness(word: Word, act: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]], culprit: str) -> Word:
    """What somebody says that a witness says."""
    truly = facts.get(act["witness"])
    kept = truly is not None and _fact(truly) == _fact(act)
    code = EVIDENCE[act["evidence"]]
    same = truly is not None and truly["suspect"] == act["suspect"]
    off = 0.0 if kept else abs(code - EVIDENCE[truly["evidence"]]) / 4 if same and truly is not None else 1.0
    return replace(word, kept=kept, off=off, hurts=not kept and (code > 0) != (act["suspect"] == culprit))


def _top(intent: Any, suspect: str) -> float | None:
    """How likely somebody with this belief answers so: it names the likeliest, one of the likeliest at random."""
    if mass(intent, lambda _: True) is None:
        return None
    best = [s for s, p in intent.items() if p >= max(intent.values()) - 1e-12]
    return (suspect in best) / len(best)
