"""The language of hidden roles bent to a plan: players who say what they do not believe, or act as one against the roles, or look as if they did.

A liar accuses whom it holds for good, vouches for whom it holds for evil, or tells of a vote, or as leader of a team, that it does not mean;
its intent, and what it believes, stay true. What it does believe it does not say as a lie. Members of a coalition, whatever their roles are,
want each other on the teams and one outsider, the scapegoat, off them: so they vote, so they name teams, so they speak, and among themselves
they believe no word. A secret key names the scapegoat (hidden_key), or the first member does in a whisper that members alone read (private).
Everywhere else, and for everybody else, it is the table's own language. Rounds are quests, from 0.

Of an act of a plan `about` may be left out, or be `likeliest` or `least`, which is whom its author then suspects most or least: of the good
where it would accuse, and of the evil where it would vouch for somebody, if it knows who they are. Left out it is `least` where a liar accuses
and `likeliest` else. Who was chosen first stays chosen.
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
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.player import RolesLanguage, Said, Thought, after, fresh, think
from scenarios.hidden_roles.rules import ATTEMPTS
from sociallm.conversation import AgentID, Channel

ACTING = ("private", "hidden_key")
VOTES = {"approve": "reject", "reject": "approve"}  # each with the other
STANCES = {"accuse": "evil", "defend": "good"}
Notes = dict[str, Any]
View = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class PlantedRoles(Bent):
    """`agents.types.Language`; for those whom the plan does not name it is `honest`."""

    honest: RolesLanguage

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages: a member believes no word of another, and learns from it whom they are against."""
        c = self._coalition(observation)
        if c is None:
            return self.honest.hear(observation, notes)
        others = tuple(m for m in observation.heard if m.author not in c.members)
        return self._agreed(c, observation, fresh(self.honest.hear(replace(observation, heard=others), notes)))

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({move: probability}, notes): what it truly means to do."""
        if observation.agent not in self._named:
            return self.honest.intend(observation, notes, rng, head)
        seen = self._believed(observation, fresh(notes))
        intent, found = self.honest.intend(seen, notes, rng, head)
        c = self._coalition(observation)
        if c is not None and c.scheme in ACTING:
            intent, found = _joint(c, seen.view, fresh(found), intent)
        for i, s in enumerate(self.plan.statements):
            if s.who == observation.agent and observation.view["phase"] == "vote" and self._now(observation)(s.when):
                intent = self._vote(s, i, observation, fresh(found), intent)
        return intent, found

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """What an honest player says, with what the plan puts in the place of it."""
        if observation.agent not in self._named:
            return self.honest.speak(observation, notes, intent, rng, head)
        said, found, seen = list[Said](), fresh(notes), self._believed(observation, fresh(notes))
        for channel in observation.may_write:
            plain, then = self.honest.speak(replace(seen, may_write=(channel,)), found, intent, rng, head)
            honest = plain[0][1] if plain else None
            act, chosen = self._planted(seen, channel, found, honest, intent)
            if act is not honest:
                then = found | chosen if act is None else after(seen.view, found | chosen, act["act"], act["about"])
            if act is not None and not left_out(self.plan, observation, act, self._now(observation)):
                said.append((channel, act))
            found = then
        return said, found

    # ---- what is due -----------------------------------------------------------------------------------------------------

    @cached_property
    def _named(self) -> frozenset[AgentID]:
        return frozenset(self.plan.agents)

    def _now(self, seen: Observation) -> Any:
        at = {"step": seen.step, "round": int(seen.view["quest"])}
        return lambda when: when.holds(at, _number)

    def _coalition(self, seen: Observation) -> Coalition | None:
        """The coalition that this player acts in now."""
        c = self.plan.coalition(seen.agent)
        return c if c is not None and c.scheme != "none" and self._now(seen)(c.when) else None

    def _planted(self, seen: Observation, channel: Channel, notes: Notes, plain: Any, intent: JSON) -> tuple[Any, Notes]:
        """(what is said in this channel, notes of whom and where); `plain` itself where the plan says nothing."""
        others = sorted(channel.readers - {seen.agent})
        for i, s in enumerate(self.plan.statements):
            if s.who != seen.agent or not set(s.to) & set(others) or not self._now(seen)(s.when):
                continue
            held = notes.get("held", {}).get(str(i))
            if plain is not None and s.kind == LIE and held is not None and plain["about"] == [held] and _contrary(s, plain["act"]):
                plain = None  # it does not take back what it lies about
            mark = f"{channel.name}:{_moment(s, seen.view)}:{i}"
            act = self._act(s, i, seen, notes, others, intent) if mark not in notes.get("told_in", ()) else None
            if act is not None:
                whom = {"held": {**notes.get("held", {}), str(i): act["about"][0]}} if len(act["about"]) == 1 else {}
                return act, {"told_in": [*notes.get("told_in", ()), mark], **whom}
        c = self._coalition(seen)
        if c is None:
            return plain, {}
        act, chosen = self._joint_word(c, seen, notes, channel, plain) if c.scheme in ACTING else (plain, {})
        if c.carrier == "remarks" and (act is None or act["act"] in ("ask", "remark")) and set(others) & set(c.members):
            act = Verbatim(_plain("remark", others), talk.FRAMES["remark"][sign(c, seen.agent, seen.step, self.plan.salt)])
        return act, chosen

    # ---- coalitions ------------------------------------------------------------------------------------------------------

    def _agreed(self, c: Coalition, seen: Observation, notes: Notes) -> Notes:
        """With the scapegoat, as soon as one knows it: by the key, or as the first member told in a whisper that members alone read."""
        if c.scheme not in ACTING or notes.get("whom") is not None:
            return notes
        if c.scheme == "hidden_key":
            return notes | {"whom": scapegoat(c, self.honest.players, self.plan.salt)}
        if seen.agent == c.members[0] and seen.view["phase"] != "strike":
            return notes | {"whom": self._relative("least", seen, notes, [a for a in self.honest.players if a not in c.members])}
        for m in seen.heard:
            for act in self.meaning(m.text, m.author, m.channel.readers) if m.channel.readers <= set(c.members) else ():
                if act["act"] == "accuse":
                    return notes | {"whom": act["about"][0]}
        return notes

    def _joint_word(self, c: Coalition, seen: Observation, notes: Notes, channel: Channel, plain: Any) -> tuple[Any, Notes]:
        """What a member says in place of `plain`: a word against the scapegoat or for a member, once each; nothing to the contrary."""
        whom, others = notes.get("whom"), sorted(channel.readers - {seen.agent})
        if set(others) <= set(c.members):
            mark = f"{channel.name}:whom"
            if c.scheme == "private" and whom is not None and mark not in notes.get("told_in", ()):
                return _plain("accuse", others, whom), {"told_in": [*notes.get("told_in", ()), mark]}
            return plain, {}
        if plain is not None and plain["act"] in ("propose", *VOTES):
            return plain, {}
        if whom is not None and len(others) > 1:
            if notes["said"].get(whom) != "evil" or f"{channel.name}:against" not in notes.get("told_in", ()):
                return _plain("accuse", others, whom), {"told_in": [*notes.get("told_in", ()), f"{channel.name}:against"]}
            for member in (m for m in c.members if m != seen.agent and notes["said"].get(m) != "good"):
                return _plain("defend", others, member), {}
        about = plain["about"][0] if plain is not None and plain["act"] in STANCES else None
        betrays = about is not None and (about in c.members if plain["act"] == "accuse" else about == whom)
        return (None if betrays else plain), {}

    # ---- statements ------------------------------------------------------------------------------------------------------

    def _vote(self, s: Statement, i: int, seen: Observation, notes: Notes, intent: JSON) -> JSON:
        """The intent of one who tells of its vote: a liar's is the other; who changes its mind means it until the vote is due."""
        said: Any = self.meaning(s.say, s.who, frozenset((s.who, *s.to)))[0] if isinstance(s.say, str) else s.say
        kind = said["act"]
        if kind not in VOTES:
            return intent
        told = any(mark.endswith(f":{_moment(s, seen.view)}:{i}") for mark in notes.get("told_in", ()))
        if s.kind == "changed_mind":
            choice = s.intent or VOTES[kind] if seen.move_due else kind
            return intent if seen.move_due and not told else _sure(str(choice))
        if s.kind == LIE and (s.intent is not None or told or intent.get(kind, 0.0) < 0.5):
            return _sure(str(s.intent or VOTES[kind]))
        return intent

    def _act(self, s: Statement, i: int, seen: Observation, notes: Notes, others: Sequence[AgentID], intent: JSON) -> Any:
        """What a statement says to these now; None where it cannot be said, or, of a lie, where it is what its author believes or means."""
        view, phase = seen.view, seen.view["phase"]
        text: Any = self.meaning(s.say, s.who, frozenset((*others, s.who)))[0] if isinstance(s.say, str) else None
        kind, about = (text or s.say)["act"], (text or s.say).get("about")
        if kind in VOTES:
            fits = phase == "vote" and (s.kind != LIE or intent.get(kind, 0.0) < 0.5)
            whom: Sequence[AgentID] = ()
        elif kind == "propose":
            whom, fits = self._team(s, seen, notes, about), phase == "propose" and (view["leader"] == view["me"]) == (s.kind == LIE)
        elif kind in talk.ABOUT_ONE:
            name = self._whom(s, i, seen, notes, kind, about)
            whom = [] if name is None else [name]
            fits = name is not None and list(others) != [name] and self._unmeant(s, view, notes, kind, name)
        else:
            whom, fits = (), kind != "claim" or view["me"] in (view["evil"] or ())
        if not fits:
            return None
        act = {"act": kind, "to": list(others), "about": list(whom)}
        return act if text is None else Verbatim(act, s.say)

    def _unmeant(self, s: Statement, view: View, notes: Notes, kind: str, name: AgentID) -> bool:
        """Whether a liar does not believe what it says of a player, and one who is mistaken does; of other words it does not matter."""
        p = believed(view, notes, name) if s.kind in (LIE, "mistaken") else 0.0
        return (p < 0.5) == (kind == "accuse") if s.kind == LIE else s.kind != "mistaken" or (view["role"] == "good" and p > 0.5)

    def _whom(self, s: Statement, i: int, seen: Observation, notes: Notes, kind: str, about: Any) -> AgentID | None:
        if s.kind == "mistaken":
            return next(iter(s.fed))  # type: ignore[arg-type]
        named = about[0] if isinstance(about, list) else about
        if named in self.honest.players:
            return str(named)
        held, known = notes.get("held", {}).get(str(i)), set(seen.view["evil"] or ())
        others = [a for a in self.honest.players if a != seen.agent]
        among = [a for a in others if not known or kind == "ask" or (a in known) == (kind == "defend")]
        if held in among or not among:
            return held if held in among else None
        return self._relative(named or ("least" if s.kind == LIE and kind == "accuse" else "likeliest"), seen, notes, among)

    def _relative(self, place: str, seen: Observation, notes: Notes, among: Sequence[AgentID]) -> AgentID:
        """Whom of these one suspects most or least; who ties there is in an order of this run and player."""
        thought = think(seen.view, notes)
        p = {a: round(float(thought.suspects[thought.seats.index(a)]), 9) for a in among}
        order = sorted(among, key=lambda a: (p[a], pad(f"{self.plan.salt}", (seen.agent, a), 53)))
        return order[0 if place == "least" else -1]

    def _team(self, s: Statement, seen: Observation, notes: Notes, about: Any) -> list[AgentID]:
        """A team to talk of: the one named where it is of the right size, else the one with oneself on it that one would name last."""
        if isinstance(about, list) and len(about) == seen.view["size"] and set(about) != set(notes["plan"] or ()):
            return [a for a in self.honest.players if a in about]
        thought = think(seen.view, notes)
        bad = np.where(thought.teams[:, thought.me], thought.danger, -1.0)
        return [a for a, on in zip(thought.seats, thought.teams[int(bad.argmax())], strict=True) if on]

    def _believed(self, seen: Observation, notes: Notes) -> Observation:
        """With the false news of one who is mistaken: as if a quest of somebody alone had failed. Who knows better does not believe it."""
        for s in self.plan.statements:
            if s.who == seen.agent and s.kind == "mistaken" and seen.view["role"] == "good" and self._now(seen)(s.when):
                (name,) = s.fed  # type: ignore[union-attr, misc]
                if believed(seen.view, notes, name) > 1e-9:
                    seen = replace(seen, view={**seen.view, "quests": [*seen.view["quests"], [[name], 1, False, 1]]})
        return seen


def scapegoat(c: Coalition, players: Sequence[AgentID], salt: int) -> AgentID:
    """Which outsider a secret key names, each as likely as any other."""
    return min((a for a in players if a not in c.members), key=lambda name: pad(f"{c.key}\x00{salt}", name, 53))


def wanted(c: Coalition, team: Sequence[AgentID], whom: AgentID | None, attempt: int) -> bool | None:
    """Whether members want this team to go: two of them on it and not the scapegoat; None where it is all the same to them, or the last attempt."""
    if attempt == ATTEMPTS - 1:
        return None
    return False if whom in team else True if len(set(team) & set(c.members)) > 1 else None


def believed(view: View, notes: Notes, player: AgentID) -> float:
    """P(evil) of a player to one who sees and has heard this; who knows, knows."""
    if view["evil"] is not None:
        return float(player in view["evil"])
    thought = think(view, notes)
    return float(thought.suspects[thought.seats.index(player)])


def _joint(c: Coalition, view: View, notes: Notes, intent: JSON) -> tuple[JSON, Notes]:
    """(intent, notes) of a member: its vote, the team that it names, and no member as the assassin's victim."""
    whom = notes.get("whom")
    if view["phase"] == "vote":
        want = wanted(c, view["team"], whom, view["attempt"])
        return (intent if want is None else _sure("approve" if want else "reject")), notes
    if view["phase"] == "strike":
        left = {a: p for a, p in intent.items() if a not in c.members and p > 0}
        return ({a: p / sum(left.values()) for a, p in left.items()} if left else intent), notes
    if view["phase"] == "propose" and view["leader"] == view["me"]:
        team = _team(c, think(view, notes), whom)
        return {"+".join(team): 1.0}, notes | {"plan": team, "plan_for": [view["quest"], view["attempt"]]}
    return intent, notes


def _team(c: Coalition, thought: Thought, whom: AgentID | None) -> list[AgentID]:
    """The team with most members on it, then without the scapegoat, then of least danger; with oneself on it."""
    ours = thought.teams[:, [thought.seats.index(m) for m in c.members]].sum(1)
    theirs = thought.teams[:, thought.seats.index(whom)] if whom is not None else np.zeros(len(ours), bool)
    points = np.where(thought.teams[:, thought.me], ours - 0.5 * theirs - 0.1 * thought.danger, -np.inf)
    return [a for a, on in zip(thought.seats, thought.teams[int(points.argmax())], strict=True) if on]


def _contrary(s: Statement, kind: str) -> bool:
    """Whether an act of this kind about the same player takes back what a statement says."""
    said = s.say["act"] if isinstance(s.say, dict) else ""
    return said in STANCES and kind in STANCES and kind != said


def _moment(s: Statement, view: View) -> str:
    """Once in each of these a statement is made: a team on the table where it is about teams and votes, else a quest."""
    teams = isinstance(s.say, str) or s.say["act"] in ("propose", *VOTES)
    return f"{view['quest']}.{view['attempt']}" if teams else str(view["quest"])


def _number(unit: str, value: int | str) -> int:
    return int(value)


def _sure(choice: str) -> dict[str, float]:
    return {choice: 1.0, VOTES[choice]: 0.0}


def _plain(kind: str, to: Sequence[AgentID], *about: AgentID) -> dict[str, Any]:
    return {"act": kind, "to": list(to), "about": list(about)}
