"""The table's language as plans find it, and what can be planted in hidden roles: anything else is refused in one line that names the plan's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.bent import timed
from agents.planting import LIE, Coalition, Plan, PlanError, Statement
from scenarios.hidden_roles import talk
from scenarios.hidden_roles.planting import ACTING, VOTES, PlantedRoles
from scenarios.hidden_roles.player import RolesLanguage
from sociallm.conversation import AgentID

AT = ("step", "round")  # what `when` may name here
SCHEMES = ("none", "independent", "private", "hidden_key")
RELATIVE = ("likeliest", "least")
BINDING: Mapping[str, tuple[str, ...]] = {  # kind of statement → acts that it can be
    LIE: ("accuse", "defend", "claim", "propose", "approve", "reject"), "changed_mind": ("approve", "reject"), "mistaken": ("accuse",),
    "bluffing": ("propose", "ask", "remark"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlantableRoles(RolesLanguage):
    """The table's language, which can be bent to a plan. What it holds beside is how players may talk."""

    talks: int = 1  # windows before each move
    whispers: bool = False

    def bent(self, plan: Plan, agents: Sequence[AgentID]) -> PlantedRoles:
        """The language as those of the plan speak it. Raises `PlanError` for what cannot be planted at this table."""
        return bend(self, plan, agents)


def bend(language: PlantableRoles, plan: Plan, agents: Sequence[AgentID]) -> PlantedRoles:
    """The language of the plan. Raises `PlanError`."""
    plan.seated(agents)
    timed(plan, AT, f"hidden roles have {' and '.join(AT)} (a quest)")
    for c in plan.coalitions:
        _coalition_fits(language, c)
    for s in plan.statements:
        _statement_fits(language, s)
    for m in plan.manners:
        if unknown := [kind for kind in m.acts if kind not in talk.FRAMES]:
            raise PlanError(f"{m.where}: no act {unknown[0]!r:.40} at this table; expected one of {', '.join(talk.FRAMES)}")
    return PlantedRoles(language, plan)


def _coalition_fits(language: PlantableRoles, c: Coalition) -> None:
    outsiders, remarks = len(language.players) - len(c.members), c.carrier == "remarks"
    needs: tuple[tuple[bool, str], ...] = (
        (c.scheme not in SCHEMES, f"hidden roles have {', '.join(SCHEMES)}; choose one of them"),
        (c.scheme in ACTING and not outsiders, f"all {len(c.members)} are members, and nobody is left to be deceived; leave some out"),
        (c.scheme == "private" and not (language.whispers and language.talks), "members need whispers that they alone read; set environment.whispers=true, and talks to 1 or more"),
        (remarks and not language.talks, "remarks need words; set environment.talks to 1 or more"),
        (c.scheme == "independent" and not remarks, "independent signs stand in remarks: it needs carrier: remarks"),
        (not remarks and bool(c.message or c.follow != 1 or c.bits != 1), "bits, message and follow are those of signs; they need carrier: remarks"),
        (remarks and 1 << c.bits > len(talk.FRAMES["remark"]), f"{len(talk.FRAMES['remark'])} remarks carry 2 bits at most"),
        (c.deny, "there is nothing at this table that could be denied; leave deny out"),
    )
    for wrong, what in needs:
        if wrong:
            raise PlanError(f"{c.where}: scheme {c.scheme}: {what}")


def _statement_fits(language: PlantableRoles, s: Statement) -> None:
    if not language.talks:
        raise PlanError(f"{s.where}: nobody can say a word at this table; set environment.talks to 1 or more")
    if isinstance(s.say, str):
        found = language.meaning(s.say, s.who, frozenset((s.who, *s.to)))
        if not found:
            raise PlanError(f"{s.where}: {s.say!r:.60} means nothing here; say it as '{language.players[1]} is evil.', or give an act: {{act: accuse, about: least}}")
        kind, about = found[0]["act"], found[0]["about"]  # type: ignore[call-overload, index]
    else:
        kind, about = s.say["act"], s.say.get("about")
        if extra := sorted(set(s.say) - {"act", "about"}):
            raise PlanError(f"{s.where}: say.{extra[0]!s:.40}: an act at this table has act and about")
    if kind not in BINDING[s.kind]:
        raise PlanError(f"{s.where}: {s.kind} by {kind!r:.40}; expected one of {', '.join(BINDING[s.kind])}")
    _about_fits(language, s, kind, about)
    if s.intent is not None and (s.intent != VOTES.get(kind) or s.kind not in (LIE, "changed_mind")):
        raise PlanError(f"{s.where}: intent is {s.intent!r:.40}; expected {VOTES.get(kind, 'none: only a word about a vote has one')}")
    if s.kind == "mistaken":
        fed = s.fed if isinstance(s.fed, dict) else {}
        if len(fed) != 1 or not set(fed) <= set(language.players) - {s.who} or list(fed.values()) != ["evil"] or about is not None:
            raise PlanError(f"{s.where}: who is mistaken believes false news of one other: say: {{act: accuse}}, fed: {{{s.to[0]}: evil}}")


def _about_fits(language: PlantableRoles, s: Statement, kind: str, about: Any) -> None:
    names = about if isinstance(about, list) else [] if about is None else [about]
    known = [*language.players, *(RELATIVE if kind in talk.ABOUT_ONE else ())]
    if unknown := [name for name in names if name not in known]:
        raise PlanError(f"{s.where}: say.about has {unknown[0]!r:.40}; expected of {', '.join(known)}")
    if kind in talk.ABOUT_ONE and (len(names) > 1 or s.who in names):
        raise PlanError(f"{s.where}: say.about is {about!r:.60}; expected one other player than {s.who}")
    if kind not in (*talk.ABOUT_ONE, *talk.ABOUT_TEAM) and names:
        raise PlanError(f"{s.where}: say.about is {about!r:.60}; {kind} is about nobody, leave it out")
