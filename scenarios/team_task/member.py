"""How a member of the team thinks and talks: a mind of its own and one for each teammate (mind.py), kept in its notes.

What it tells, one act in each channel at a time:

| tell | which fact |
|---|---|
| `all` | each of its facts once, those about a suspect that somebody asked about first |
| `targeted` | the one that brings what its readers are known to know nearest to what all facts it knows say, by exact posteriors, if one does |
| `published` | the same with the published minds in place of posteriors |
| `random` | any, whether told before or not |

`targeted` and `published` are Westby & Riedl's alert (AAAI 2023): least KL(ego ‖ alter). They set the ego alone, without what was heard, against
what a teammate has said, without what it was told; here both count, so that nothing is told twice.

Its facts are its private clues, with `relay` also what it has heard. Without one to tell it says whom it thinks it was, asks, or makes small talk.
A witness counts once in each mind, who a member thinks it was as a maybe. Notes are a JSON value: `ego` and, by teammate, `alters` (what that
one's words say), `shared` (what that one is known to have read or said) as beliefs by suspect; `has` (the witnesses in `shared`), `facts`,
`opinions` (whom each named), `asked` (about whom each asked) and `told` (whom one has named to each).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.legal import Legal
from agents.types import JSON, Head, Observation
from scenarios.team_task.choosing import acts, answers, tellable
from scenarios.team_task.clues import EVIDENCE, gap, log_belief, log_odds
from scenarios.team_task.legal import legal
from scenarios.team_task.mind import MAYBE_YES, TINY, Codes, Floats, Weights, answer, blank, divergence, likeliest, normal, read, read_all
from scenarios.team_task.talk import Act, Talk
from sociallm.conversation import AgentID, Channel

TELLS = ("all", "targeted", "published", "random")
CHATTY = 0.3  # how likely one says something where there is nothing to say
CURIOUS = 0.5  # how likely it is then a question rather than small talk, as long as one is unsure
SURE = 0.9  # of a suspect: who is surer has nothing to ask
DECIMALS = 12
PUBLISHED = Weights()  # those that answered best
Notes = dict[str, Any]
Said = tuple[Channel, Act]


@dataclass(frozen=True)
class MemberLanguage:
    """`agents.types.Language` for the team task. Stateless; what it holds is the names and the published weights."""

    talk: Talk
    weights: Weights = PUBLISHED

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages."""
        found = self._fresh(observation) if not isinstance(notes, dict) or not notes else notes
        for message in observation.heard:
            others = sorted(message.channel.readers - {message.author, observation.agent})
            for act in self.talk.acts(message.text, message.author, message.channel.readers):
                found = self._heard(found, message.author, others, act)
        return found

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({suspect: probability}, notes): whom it holds to have done it. The answer that counts is the likeliest."""
        held = self._belief(observation.view, notes)
        if head is not None and observation.move_due:
            logs = np.log(np.clip(held, TINY, 1)) + np.array(head("answer", answers(self.talk, observation.view, notes, held)))
            held = normal(np.exp(logs - logs.max()))
        return dict(zip(self.talk.suspects, held.round(DECIMALS).tolist(), strict=True)), notes

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """One act in each channel at most."""
        said: list[Said] = []
        for channel in observation.may_write:
            others = sorted(channel.readers - {observation.agent})
            act = self._act(observation.view, notes, others, rng) if head is None else self._chosen(observation.view, notes, others, rng, head)
            if act is not None:
                said.append((channel, act))
                notes = self._told(notes, others, act)
        return said, notes

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, the plainest first."""
        return self.talk.texts(act)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs."""
        return self.talk.acts(text, author, readers)

    def idle(self, text: str) -> bool:
        """Whether words added to a message name nobody and nothing of the case."""
        return self.talk.idle(text)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never', 'cannot' in them."""
        return self.talk.denies(text)

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """(the intent itself: how likely it holds each suspect to be the culprit, notes)."""
        return intent, notes

    def legal(self, observation: Observation, notes: JSON) -> Legal:
        """What is legal now, for those who answer in words."""
        return legal(observation, notes)

    # ---- minds -----------------------------------------------------------------------------------------------------------

    def _line(self, suspect: str, code: int) -> Codes:
        line = np.zeros(len(self.talk.suspects), dtype=np.int8)
        line[self.talk.suspects.index(suspect)] = code
        return line

    def _of(self, fact: Mapping[str, Any]) -> Codes:
        return self._line(fact["suspect"], EVIDENCE[fact["evidence"]])

    def _fresh(self, observation: Observation) -> Notes:
        """Of one who knows its clues, and that all know the public ones."""
        view, start = observation.view, blank(len(self.talk.suspects))
        public = [dict(fact, by=None) for fact in view["public"]]
        own = [dict(fact, by=observation.agent) for fact in view["private"]]
        others = [m for m in view["members"] if m != observation.agent]
        ego = read_all(start, map(self._of, public + own), self.weights)
        shared = read_all(start, map(self._of, public), self.weights)
        return {
            "ego": ego.tolist(), "alters": {m: start.tolist() for m in others}, "shared": {m: shared.tolist() for m in others},
            "has": {m: [f["witness"] for f in public] for m in others}, "facts": public + own, "opinions": {}, "asked": {}, "told": {},
        }  # fmt: skip

    def _heard(self, notes: Notes, author: AgentID, others: Sequence[AgentID], act: Act) -> Notes:
        """After one act of a teammate's, which these others have read too."""
        kind, suspect = act["act"], act["suspect"]
        if kind == "inform":
            fact = {"witness": act["witness"], "suspect": suspect, "evidence": act["evidence"], "by": author}
            notes = self._have(notes, (author, *others), fact)
            if any(f["witness"] == fact["witness"] for f in notes["facts"]):
                return notes
            return notes | {"facts": [*notes["facts"], fact], "alters": self._after(notes["alters"], author, self._of(fact))}
        if kind in ("guess", "agree") and notes["opinions"].get(author) != suspect:
            line = self._line(suspect, MAYBE_YES)
            return notes | {"opinions": {**notes["opinions"], author: suspect}, "alters": self._after(notes["alters"], author, line)}
        return notes | {"asked": {**notes["asked"], author: suspect}} if kind == "ask" else notes

    def _have(self, notes: Notes, members: Sequence[AgentID], fact: Mapping[str, Any]) -> Notes:
        """These are known to know the fact."""
        new = [m for m in members if fact["witness"] not in notes["has"].get(m, [])]
        if not new:
            return notes
        start = blank(len(self.talk.suspects)).tolist()
        shared = read(np.array([notes["shared"].get(m, start) for m in new]), self._of(fact), self.weights).tolist()
        has = {m: [*notes["has"].get(m, []), fact["witness"]] for m in new}
        return notes | {"shared": {**notes["shared"], **dict(zip(new, shared, strict=True))}, "has": {**notes["has"], **has}}

    def _after(self, beliefs: Mapping[AgentID, list[float]], member: AgentID, line: Codes) -> dict[AgentID, list[float]]:
        if member not in beliefs:  # a relationship that was erased begins again
            beliefs = {**beliefs, member: blank(len(line)).tolist()}
        return {**beliefs, member: read(np.array(beliefs[member]), line, self.weights).tolist()}

    def _belief(self, view: Mapping[str, Any], notes: Notes) -> Floats:
        alters = [notes["alters"][m] for m in sorted(notes["alters"])]
        return answer(np.array(notes["ego"]), np.array(alters).reshape(-1, len(notes["ego"])), float(view["alpha"]))

    # ---- what to say -----------------------------------------------------------------------------------------------------

    def _chosen(self, view: Mapping[str, Any], notes: Notes, others: Sequence[AgentID], rng: np.random.Generator, head: Head) -> Act | None:
        """An act drawn by the head's points; with weight 0 the one that `tell` says, which the head is shown beside the others."""
        found = acts(self.talk, view, notes, others, self._belief(view, notes))
        points = np.array(head("tell", found))
        if not head.weight:
            return self._act(view, notes, others, rng)
        likely = np.exp(points - points.max())
        return found[int(rng.choice(len(found), p=likely / likely.sum()))].what

    def _act(self, view: Mapping[str, Any], notes: Notes, others: Sequence[AgentID], rng: np.random.Generator) -> Act | None:
        facts = tellable(view, notes)
        fact = self._fact(view, notes, facts, others, rng)
        if fact is not None:
            return self.talk.act("inform", others, fact["suspect"], fact["evidence"], fact["witness"])
        if not view["opinions"]:
            return None
        held = self._belief(view, notes)
        first = self.talk.suspects[int(np.argmax(held))]
        if likeliest(held).sum() == 1 and any(notes["told"].get(m) != first for m in others):
            heard = any(notes["opinions"].get(m) == first for m in others)
            return self.talk.act("agree" if heard else "guess", others, first)
        if rng.random() >= CHATTY:
            return None
        if held.max() < SURE and rng.random() < CURIOUS:
            return self.talk.act("ask", others, self.talk.suspects[int(np.argsort(-held, kind="stable")[1])])
        return self.talk.act("remark", others)

    def _fact(
        self, view: Mapping[str, Any], notes: Notes, facts: Sequence[Mapping[str, Any]], others: Sequence[AgentID], rng: np.random.Generator
    ) -> Mapping[str, Any] | None:
        """Which of these facts to tell these others; None for none. Targeted: the one with the largest sum of what each reader's divergence falls by."""
        if view["tell"] == "random":
            return facts[int(rng.integers(len(facts)))] if facts else None
        lacking = {m: [i for i, f in enumerate(facts) if f["witness"] not in notes["has"].get(m, [])] for m in others}
        new = sorted({i for some in lacking.values() for i in some})
        if not new:
            return None
        if view["tell"] == "all":
            asked = {notes["asked"].get(m) for m in others}
            return min((facts[i] for i in new), key=lambda f: f["suspect"] not in asked)
        nearer = np.zeros(len(facts))
        for m, some in lacking.items():
            if some:
                nearer[some] += self._nearer(view, notes, m, [facts[i] for i in some])
        best = int(nearer.argmax())
        return facts[best] if nearer[best] > 0 else None

    def _nearer(self, view: Mapping[str, Any], notes: Notes, reader: AgentID, told: Sequence[Mapping[str, Any]]) -> Floats:
        """For each of these facts, by how much telling it would bring the model of the reader nearer to what all facts known say."""
        size, lines = len(self.talk.suspects), np.stack([self._of(f) for f in told])
        if view["tell"] == "published":
            own = read_all(blank(size), map(self._of, notes["facts"]), self.weights)
            shared = np.array(notes["shared"].get(reader, blank(size)))
            return divergence(own, shared) - divergence(own, read(np.tile(shared, (len(told), 1)), lines, self.weights))
        has = notes["has"].get(reader, [])
        odds = log_odds(np.stack([self._of(f) for f in notes["facts"]]), view["reliability"])
        own, known = log_belief(odds.sum(0)), odds[[f["witness"] in has for f in notes["facts"]]].sum(0)
        return gap(own, log_belief(known)) - gap(own, log_belief(known + log_odds(lines, view["reliability"])))

    def _told(self, notes: Notes, others: Sequence[AgentID], act: Act) -> Notes:
        """After an act of its own."""
        if act["act"] == "inform":
            return self._have(notes, others, next(f for f in notes["facts"] if f["witness"] == act["witness"]))
        if act["act"] in ("guess", "agree"):
            return notes | {"told": {**notes["told"], **dict.fromkeys(others, act["suspect"])}}
        return notes
