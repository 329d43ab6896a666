"""The language of a team bent to a plan: members who tell false clues, who secretly push a suspect together, or who look as if they did.

A liar quotes its own witnesses wrongly, or names a suspect it does not believe in; what it believes, and its intent, stay true. Members of a
coalition push one suspect, the scapegoat, which a secret key names without a word (hidden_key), or the first member in a channel that members
alone read (private): clues against the scapegoat and for others they turn round, and they say that it was the scapegoat. Among themselves they
believe no word. Everywhere else, and for everybody else, it is the team's own language. Rounds are those of talk, from 0; the answers come in
the round after the last.

What a plan leaves out of an act of its own is found by what its author's clues say before anybody has talked, the same all along:

| left out of | is |
|---|---|
| inform: witness | one of its own that these readers have not heard of, first one that spoke about the suspect |
| inform: suspect | whom the quoted witness spoke about, or, where evidence is given, `least` for a yes, `likeliest` for a no |
| inform: evidence | the quoted word turned round; where a suspect is given, strong no for `likeliest` and strong yes for any other |
| guess, agree: suspect | `least` for a lie, `likeliest` else |

`likeliest`, `second` and `least` may stand for a suspect's name, also in `intent`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.bent import Bent
from agents.planting import LIE, Coalition, Statement, Verbatim, left_out, pad, sign
from agents.types import JSON, Head, Observation
from scenarios.team_task import talk
from scenarios.team_task.clues import EVIDENCE, Clue, log_posterior
from scenarios.team_task.member import MemberLanguage, Said
from sociallm.conversation import AgentID, Channel

PUSHING = ("private", "hidden_key")
RELATIVE: Mapping[str, int] = {"likeliest": -1, "second": -2, "least": 0}  # places in the order of what one's own clues say
TURNED = {word: next(w for w, c in EVIDENCE.items() if c == -code) for word, code in EVIDENCE.items()}
PLACES = 9  # decimals in which what clues say ties
Notes = dict[str, Any]
Fact = Mapping[str, str]
View = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class PlantedTeam(Bent):
    """`agents.types.Language`; for those whom the plan does not name it is `honest`."""

    honest: MemberLanguage
    each: int = 1  # windows of one round of talk

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages: a member believes no word of another, and learns from it whom to push; who is mistaken has a clue wrong."""
        if observation.agent not in self._named:
            return self.honest.hear(observation, notes)
        c, seen = self._coalition(observation), self._believed(observation)
        if c is None:
            found = self.honest.hear(seen, notes)
        else:
            others = tuple(m for m in seen.heard if m.author not in c.members)
            found = self._agreed(c, observation, self.honest.hear(replace(seen, heard=others), notes))
        return found if not any(s.kind == "mistaken" for s in self._saying(observation.agent)) else self._corrected(seen, found)

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({suspect: probability}, notes): whom it truly means to name."""
        intent, notes = self.honest.intend(observation, notes, rng, head)
        for s in self._saying(observation.agent):
            due = self._now(observation)(s.when)
            said = any(mark.endswith(f":{self.plan.statements.index(s)}") for mark in notes.get("told_in", {}))
            if s.kind == "changed_mind" and due and not observation.move_due:  # it means it while it says it
                intent = self._sure(self._act(s, observation, notes, ())["suspect"])  # type: ignore[index]
            elif s.intent is not None and s.kind in (LIE, "changed_mind") and (due or (said and observation.move_due)):
                intent = self._sure(self._suspect(str(s.intent), observation.view))
        return intent, notes

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """What an honest member says, with what the plan puts in the place of it."""
        if observation.agent not in self._named:
            return self.honest.speak(observation, notes, intent, rng, head)
        said: list[Said] = []
        for channel in observation.may_write:
            found, after = self.honest.speak(replace(observation, may_write=(channel,)), notes, intent, rng, head)
            plain = found[0][1] if found else None
            act, mark = self._planted(observation, channel, notes, plain)
            if act is not plain:
                after = _told(notes, act, mark, observation.view["window"])
            if act is not None and not left_out(self.plan, observation, act, self._now(observation)):
                said.append((channel, act))
            notes = after
        return said, notes

    # ---- what is due -----------------------------------------------------------------------------------------------------

    @cached_property
    def _named(self) -> frozenset[AgentID]:
        return frozenset(self.plan.agents)

    def _now(self, seen: Observation) -> Any:
        at = {"step": seen.step, "round": round_of(seen.view["window"], self.each)}
        return lambda when: when.holds(at, _number)

    def _coalition(self, seen: Observation) -> Coalition | None:
        """The coalition that this member acts in now."""
        c = self.plan.coalition(seen.agent)
        return c if c is not None and c.scheme != "none" and self._now(seen)(c.when) else None

    def _saying(self, agent: AgentID) -> list[Statement]:
        return [s for s in self.plan.statements if s.who == agent]

    def _planted(self, seen: Observation, channel: Channel, notes: Notes, plain: Any) -> tuple[Any, str | None]:
        """(what is said in this channel, the mark of the statement that it is); `plain` itself where the plan says nothing."""
        others = sorted(channel.readers - {seen.agent})
        for i, s in enumerate(self.plan.statements):
            mark = f"{channel.name}:{round_of(seen.view['window'], self.each)}:{i}"  # once a round in each channel
            if s.who == seen.agent and set(s.to) & set(others) and mark not in notes.get("told_in", {}) and self._now(seen)(s.when):
                act = self._act(s, seen, notes, others)
                if act is not None:
                    return act, mark
        c = self._coalition(seen)
        if c is None:
            return plain, None
        act = self._pushed(c, seen, notes, plain, others) if c.scheme in PUSHING else plain
        quiet = act is None or act["act"] in ("ask", "remark")
        if c.carrier == "remarks" and quiet and set(others) & set(c.members):
            number = sign(c, seen.agent, seen.step, self.plan.salt)
            return Verbatim(self.honest.talk.act("remark", others), talk.FRAMES["remark"][number]), None
        return act, None

    # ---- coalitions ------------------------------------------------------------------------------------------------------

    def _agreed(self, c: Coalition, seen: Observation, notes: Notes) -> Notes:
        """With the scapegoat, as soon as one knows it: by the key, or as the first member told in a channel that members alone read."""
        if c.scheme not in PUSHING or notes.get("whom") is not None:
            return notes
        if c.scheme == "hidden_key":
            return {**notes, "whom": scapegoat(c, self.honest.talk.suspects, self.plan.salt)}
        if seen.agent == c.members[0]:
            return {**notes, "whom": self._suspect("least", seen.view)}
        for m in seen.heard:
            for act in self.meaning(m.text, m.author, m.channel.readers) if m.channel.readers <= set(c.members) else ():
                if act["act"] in ("guess", "agree"):
                    return {**notes, "whom": act["suspect"]}
        return notes

    def _pushed(self, c: Coalition, seen: Observation, notes: Notes, plain: Any, others: Sequence[AgentID]) -> Any:
        """What a member says in place of `plain`: a word turned round, or that it was the scapegoat."""
        whom, among = notes.get("whom"), set(others) <= set(c.members)
        if whom is None or (among and c.scheme != "private"):
            return plain
        named = all(notes["told"].get(m) == whom for m in others)
        if plain is not None and plain["act"] == "inform" and not among:
            against, word = plain["suspect"] == whom, plain["evidence"]
            if any(f["witness"] == plain["witness"] and f["by"] == seen.agent for f in notes["facts"]) and against != word.endswith("yes"):
                return self.honest.talk.act("inform", others, plain["suspect"], "strong yes" if against else TURNED[word], plain["witness"])
            return plain
        if not named:
            first = not among or seen.agent == c.members[0]
            return self.honest.talk.act("guess" if first else "agree", others, whom)
        return None if plain is not None and plain["act"] in ("guess", "agree") else plain

    # ---- statements ------------------------------------------------------------------------------------------------------

    def _act(self, s: Statement, seen: Observation, notes: Notes, others: Sequence[AgentID]) -> Any:
        """What a statement says to these now; None where there is nothing to say it about."""
        if isinstance(s.say, str):
            return Verbatim({**self.meaning(s.say, s.who, frozenset((*others, s.who)))[0], "to": list(others)}, s.say)  # type: ignore[dict-item]
        kind, view = s.say["act"], seen.view
        if kind == "remark":
            return self.honest.talk.act("remark", others)
        if kind != "inform":
            return self.honest.talk.act(kind, others, self._suspect(s.say.get("suspect", "least" if s.kind == LIE else "likeliest"), view))
        for fact in self._unheard(seen, notes, others):
            told = self._fed(s, view) if s.kind == "mistaken" else self._false(s.say, fact, view)
            if told["witness"] == fact["witness"] and (s.kind == "mistaken" or told != fact):
                return self.honest.talk.act("inform", others, told["suspect"], told["evidence"], told["witness"])
        return None

    def _false(self, say: Mapping[str, Any], fact: Fact, view: View) -> dict[str, str]:
        """What one of one's own witnesses is to have said by an act of the plan."""
        word, whom = say.get("evidence"), say.get("suspect")
        if whom is None:
            whom = fact["suspect"] if word is None else "least" if str(word).endswith("yes") else "likeliest"
            word = TURNED[fact["evidence"]] if word is None else word
        elif word is None:
            word = "strong no" if whom == "likeliest" else "strong yes"
        return {"witness": say.get("witness", fact["witness"]), "suspect": self._suspect(whom, view), "evidence": word}

    def _unheard(self, seen: Observation, notes: Notes, others: Sequence[AgentID]) -> list[Fact]:
        """One's own clues of which not all of these have heard; those about whom a lie is to be told come first."""
        own = [f for f in seen.view["private"] if any(f["witness"] not in notes["has"].get(m, ()) for m in others)]
        about = {self._suspect(s.say["suspect"], seen.view) for s in self._saying(seen.agent) if isinstance(s.say, dict) and "suspect" in s.say}
        return sorted(own, key=lambda f: f["suspect"] not in about)

    def _suspect(self, named: str, view: View) -> str:
        """A suspect by name, or by its place in what one's own clues say; who ties there is in an order of this run and member."""
        if named not in RELATIVE:
            return named
        names, own = self.honest.talk.suspects, [self._clue(f) for f in (*view["public"], *view["private"])]
        logs = log_posterior(own, len(names), view["reliability"]).round(PLACES)
        order = sorted(range(len(names)), key=lambda i: (logs[i], pad(f"{self.plan.salt}", (view["me"], names[i]), 53)))
        return names[order[RELATIVE[named]]]

    def _clue(self, fact: Fact) -> Clue:
        of = self.honest.talk
        return Clue(of.witnesses.index(fact["witness"]), of.suspects.index(fact["suspect"]), EVIDENCE[fact["evidence"]])

    def _sure(self, suspect: str) -> dict[str, float]:
        return {name: float(name == suspect) for name in self.honest.talk.suspects}

    # ---- who is mistaken -------------------------------------------------------------------------------------------------

    def _fed(self, s: Statement, view: View) -> dict[str, str]:
        """The clue as one has it wrong: one's first, where no witness is named."""
        fed, first = dict(s.fed), view["private"][0]  # type: ignore[arg-type]
        return self._false(fed, next((f for f in view["private"] if f["witness"] == fed.get("witness")), first), view)

    def _believed(self, seen: Observation) -> Observation:
        """With a clue of its own as one who is mistaken has it."""
        for s in self._saying(seen.agent):
            if s.kind == "mistaken" and self._now(seen)(s.when):
                wrong = self._fed(s, seen.view)
                own = [wrong if f["witness"] == wrong["witness"] else f for f in seen.view["private"]]
                seen = replace(seen, view={**seen.view, "private": own})
        return seen

    def _corrected(self, seen: Observation, notes: Notes) -> Notes:
        """Notes in which one's own clues are those of `seen`: a false one in its place from when it is due, the true one from when it is not."""
        new = self.honest.hear(replace(seen, heard=()), None)
        of: dict[str, Any] = {f["witness"]: f for f in new["facts"]}  # type: ignore[index, call-overload]
        if all(of.get(f["witness"], f) == f for f in notes["facts"]):
            return notes
        return {**notes, "facts": [of.get(f["witness"], f) for f in notes["facts"]], "ego": new["ego"]}  # type: ignore[index, call-overload]


def scapegoat(c: Coalition, suspects: Sequence[str], salt: int) -> str:
    """Whom a secret key names, each as likely as any other."""
    return min(suspects, key=lambda name: pad(f"{c.key}\x00{salt}", name, 53))


def round_of(window: int, each: int) -> int:
    """The round of talk that a window belongs to, from 0; the answers' is the one after the last."""
    return window // max(each, 1)


def _number(unit: str, value: int | str) -> int:
    return int(value)


def _told(notes: Notes, act: Any, mark: str | None, window: int) -> Notes:
    """After a planted act: these have heard of the witness, and of whom one names. What was made up is no knowledge that one shares."""
    found = notes if mark is None else {**notes, "told_in": {**notes.get("told_in", {}), mark: window}}
    if act is not None and act["act"] == "inform":
        knew = {m: notes["has"].get(m, []) for m in act["to"]}
        return {**found, "has": {**notes["has"], **{m: knew[m] if act["witness"] in knew[m] else [*knew[m], act["witness"]] for m in knew}}}
    if act is not None and act["act"] in ("guess", "agree"):
        return {**found, "told": {**notes["told"], **dict.fromkeys(act["to"], act["suspect"])}}
    return found
