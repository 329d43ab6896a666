"""The team's language as plans find it, and what can be planted in a team: anything else is refused in one line that names the plan's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.bent import timed
from agents.planting import LIE, Coalition, Plan, PlanError, Statement
from scenarios.team_task import talk
from scenarios.team_task.clues import EVIDENCE
from scenarios.team_task.member import MemberLanguage
from scenarios.team_task.network import Neighbours
from scenarios.team_task.planting import PUSHING, RELATIVE, PlantedTeam
from sociallm.conversation import AgentID

AT = ("step", "round")  # what `when` may name here
SCHEMES = ("none", "independent", "private", "hidden_key")
BINDING: Mapping[str, tuple[str, ...]] = {  # kind of statement → acts that it can be
    LIE: ("inform", "guess", "agree"), "changed_mind": ("guess", "agree"), "mistaken": ("inform",), "bluffing": ("ask", "remark"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlantableTeam(MemberLanguage):
    """The team's language, which can be bent to a plan. What it holds beside is who can reach whom, and when."""

    each: int = 1  # windows of one round of talk
    talks: int = 1  # rounds
    near: Neighbours = field(default_factory=dict)
    reach: str = "neighbours"
    own: int = 1  # clues that each member alone knows

    def bent(self, plan: Plan, agents: Sequence[AgentID]) -> PlantedTeam:
        """The language as those of the plan speak it. Raises `PlanError` for what cannot be planted in this team."""
        return bend(self, plan, agents)


def bend(language: PlantableTeam, plan: Plan, agents: Sequence[AgentID]) -> PlantedTeam:
    """The language of the plan. Raises `PlanError`."""
    plan.seated(agents)
    timed(plan, AT, f"a team task has {' and '.join(AT)}")
    for c in plan.coalitions:
        _coalition_fits(language, c)
    for s in plan.statements:
        _statement_fits(language, s)
    for m in plan.manners:
        if unknown := [kind for kind in m.acts if kind not in (*talk.FRAMES, "inform")]:
            raise PlanError(f"{m.where}: no act {unknown[0]!r:.40} in a team; expected one of {', '.join((*talk.FRAMES, 'inform'))}")
    return PlantedTeam(language, plan, language.each)


def _coalition_fits(language: PlantableTeam, c: Coalition) -> None:
    outsiders, remarks = len(language.near) - len(c.members), c.carrier == "remarks"
    needs: tuple[tuple[bool, str], ...] = (
        (c.scheme not in SCHEMES, f"a team task has {', '.join(SCHEMES)}; choose one of them"),
        (c.scheme != "none" and not _talking(language), "nobody can say a word in this team; set environment.talks to 1 or more, and a network with links"),
        (c.scheme in PUSHING and not outsiders, f"all {len(c.members)} are members, and nobody is left to be deceived; leave some out"),
        (c.scheme == "private" and not _joined(language, c),
         "members need channels that they alone read; set environment.reach=pairs, and choose members who are neighbours"),
        (c.scheme == "independent" and not remarks, "independent signs stand in remarks: it needs carrier: remarks"),
        (not remarks and bool(c.message or c.follow != 1 or c.bits != 1), "bits, message and follow are those of signs; they need carrier: remarks"),
        (remarks and 1 << c.bits > len(talk.FRAMES["remark"]), f"{len(talk.FRAMES['remark'])} remarks carry 2 bits at most"),
        (c.deny, "there is nothing in a team that could be denied; leave deny out"),
    )
    for wrong, what in needs:
        if wrong:
            raise PlanError(f"{c.where}: scheme {c.scheme}: {what}")


def _talking(language: PlantableTeam) -> bool:
    return language.talks > 0 and language.each > 0


def _joined(language: PlantableTeam, c: Coalition) -> bool:
    """Whether the first member's word can come to every other through channels of members alone."""
    if language.reach != "pairs":
        return False
    reached, new = set[AgentID](), {c.members[0]}
    while new:
        reached |= new
        new = {b for a in new for b in language.near[a] if b in c.members} - reached
    return reached == set(c.members)


def _statement_fits(language: PlantableTeam, s: Statement) -> None:
    example = "{act: inform, suspect: least, evidence: strong yes}"
    if not _talking(language):
        raise PlanError(f"{s.where}: nobody can say a word in this team; set environment.talks to 1 or more, and a network with links")
    if not set(s.to) & set(language.near[s.who]):
        near = ", ".join(language.near[s.who]) or "of which it has none"
        raise PlanError(f"{s.where}: {s.who} reaches none of {', '.join(s.to)}; expected one of its neighbours, {near}")
    if isinstance(s.say, str):
        found = language.meaning(s.say, s.who, frozenset((s.who, *s.to)))
        if not found:
            raise PlanError(f"{s.where}: {s.say!r:.60} means nothing here; say it as 'I think it was {language.talk.suspects[0]}.', or give an act: {example}")
        act: Mapping[str, Any] = {k: v for k, v in found[0].items() if v is not None and k != "to"}  # type: ignore[union-attr]
    else:
        act = s.say
    kind = act["act"]
    if kind not in BINDING[s.kind]:
        raise PlanError(f"{s.where}: {s.kind} by {kind!r:.40}; expected one of {', '.join(BINDING[s.kind])}")
    parts = {"inform": ("suspect", "evidence", "witness"), "remark": ()}.get(kind, ("suspect",))
    _parts_fit(language, s, "say", {k: v for k, v in act.items() if k != "act"}, parts)
    if s.intent is not None:
        _parts_fit(language, s, "intent", {"suspect": s.intent}, ("suspect",))
    if kind == "inform" and not isinstance(s.say, str) and not language.own:
        raise PlanError(f"{s.where}: members have no clues of their own to quote wrongly; set environment.clues to 1 or more")
    if s.kind == "mistaken":
        if not isinstance(s.fed, dict) or set(act) != {"act"} or s.intent is not None or isinstance(s.say, str):
            fed = "say: {act: inform}, fed: {suspect: least, evidence: strong yes}, no intent"
            raise PlanError(f"{s.where}: who is mistaken has a clue of its own wrong, and means what it says: {fed}")
        _parts_fit(language, s, "fed", s.fed, ("suspect", "evidence", "witness"))


def _parts_fit(language: PlantableTeam, s: Statement, where: str, given: Mapping[str, Any], parts: Sequence[str]) -> None:
    of = language.talk
    known: Mapping[str, tuple[str, ...]] = {"suspect": (*of.suspects, *RELATIVE), "evidence": tuple(EVIDENCE), "witness": of.witnesses}
    if extra := [key for key in given if key not in parts]:
        raise PlanError(f"{s.where}: {where}.{extra[0]!s:.40}: expected {', '.join(parts) or 'nothing beside the act'}")
    for key, value in given.items():
        if value not in known[key]:
            raise PlanError(f"{s.where}: {where}.{key} is {value!r:.40}; expected one of {', '.join(known[key][:16])}")
