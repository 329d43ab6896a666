"""The language of Diplomacy bent to a plan: powers who lie, who secretly act as one, or who look as if they did.

A liar gives its word and does what it truly means; the intent on record is the true one. Members of a coalition are allies beyond doubt:
they stay out of each other's places, and support each other as `joint.py` reckons from the board and their key. By scheme they agree on it
in public (open), among themselves (private), or without a word (hidden_key); who denies refuses the alliance in public. Everywhere else, and
for everybody else, it is the negotiator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.bent import Bent
from agents.planting import LIE, Coalition, Plan, PlanError, Statement, Verbatim, When, left_out
from agents.types import JSON, Head, Observation
from scenarios.diplomacy import press
from scenarios.diplomacy.board import FIRST_YEAR, PHASES, Board, board_from_json
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.commitments import BINDING, entered
from scenarios.diplomacy.joint import joint, stood
from scenarios.diplomacy.negotiator import DiplomacyLanguage
from scenarios.diplomacy.notes import HONESTY, add, agree, fresh
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.press import SAYABLE
from sociallm.conversation import AgentID, Channel

SCHEMES = ("none", "open", "private", "hidden_key")
SPOKEN = ("open", "private")
PHASE = re.compile(r"([SFW])(\d{4})([MRA])")
LOOSE = ("inform", "propose", "ask", "refuse")  # acts that bind nobody
AIMED = 0.3  # how likely a move must be for a promise not to make it to be a lie
Said = tuple[Channel, dict[str, Any]]


def ordinal(phase: str) -> int:
    """'S1901M' → 0, 'S1901R' → 1, …, five a year. Raises ValueError."""
    found = PHASE.fullmatch(phase)
    if not found or found[1] + found[3] not in PHASES:
        raise ValueError(phase)
    return len(PHASES) * (int(found[2]) - FIRST_YEAR) + PHASES.index(found[1] + found[3])


def number(unit: str, value: int | str) -> int:
    """A step, round or phase of a plan as a number."""
    return ordinal(str(value)) if unit == "phase" else int(value)


@dataclass(frozen=True, eq=False)
class PlantedDiplomacy(Bent):
    """`agents.types.Language`; for those whom the plan does not name it is `honest`."""

    honest: DiplomacyLanguage

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the new messages and the last orders."""
        return self.honest.hear(observation, notes)

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """({unit: {order: probability}}, notes): what it truly means to order."""
        c, statements = self._coalition(observation), self._statements(observation)
        if c is None and not statements:
            return self.honest.intend(observation, notes, rng, head)
        board, found = board_from_json(observation.view["board"]), fresh(notes)
        seen, pact = observation, []
        if c is not None:
            pact = _pact(board, observation.agent, self._partners(board, observation.agent, c), c, self.plan.salt)
            honesty = max(float(observation.view.get("honesty", HONESTY)), HONESTY)  # to each other members keep their word
            seen = replace(observation, view={**observation.view, "honesty": honesty})
            found = {**found, "trust": {**found["trust"], **dict.fromkeys((d["with"] for d in pact if d["by"] == observation.agent), 1.0)}}
        for s in statements:
            found = self._meant(s, observation, board, found)
        intent, after = self.honest.intend(seen, {**found, "agreed": [*found["agreed"], *pact]}, rng, head)
        after = {**after, "agreed": [deal for deal in after["agreed"] if deal not in pact]}
        for s in statements:
            if isinstance(s.intent, dict) and board.phase == "M" and (s.kind in (LIE, "bluffing") or (s.kind == "changed_mind" and observation.move_due)):
                legal = legal_orders(board, observation.agent)
                intent = {**intent, **{u: {o: 1.0} for u, o in s.intent.items() if o in legal.get(u, ())}}
        return intent, after

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[Said], JSON]:
        """What the negotiator says, with what the plan puts in the place of it."""
        said, after = self.honest.speak(observation, notes, intent, rng, head)
        holds, board = self._now(observation), board_from_json(observation.view["board"])
        kept = [(channel, act) for channel, act in said if not left_out(self.plan, observation, act, holds)]
        c, statements = self._coalition(observation), self._statements(observation)
        if board.phase != "M" or (c is None and not statements):
            return kept, after
        found = fresh(after)
        extra: list[tuple[Channel, dict[str, Any], str]] = []
        if c is not None:
            partners = self._partners(board, observation.agent, c)
            kept = [(channel, act) for channel, act in kept if c.scheme == "open" or not _betrays(act, channel, observation.agent, partners)]
            extra += self._coalition_says(observation, board, c, partners)
        for s in statements:
            for other in s.to:
                channel, act = self._channel(observation, other), self._act(s, observation, board, intent, other)
                if channel is not None and act is not None:
                    extra.append((channel, act, f"{other}:{self.plan.statements.index(s)} {s.kind}"))
        used: set[str] = set()
        for channel, act, mark in extra:
            if mark not in found["said"] and channel.name not in used:  # once a phase, and in one channel one after another
                used.add(channel.name)
                kept = [(channel, act), *((where, other) for where, other in kept if where != channel)]
                found = add(found, "said", mark)
        return kept, found

    # ---- what is due -----------------------------------------------------------------------------------------------------

    def _now(self, seen: Observation) -> Any:
        at = {"step": seen.step, "round": int(seen.view["round"]), "phase": ordinal(seen.view["phase"])}
        return lambda when: when.holds(at, number)

    def _coalition(self, seen: Observation) -> Coalition | None:
        c = self.plan.coalition(seen.agent)
        return c if c is not None and not c.honest and self._now(seen)(c.when) else None

    def _statements(self, seen: Observation) -> list[Statement]:
        """Those of this moment; those of a press round are still due when the phase's orders are."""
        holds = self._now(seen)
        mine = [s for s in self.plan.statements if s.who == seen.agent]
        of_phase = {id(s): tuple(span for span in s.when.spans if span.unit == "phase") for s in mine} if seen.move_due else {}
        return [s for s in mine if holds(s.when) or (of_phase.get(id(s)) and holds(When(of_phase[id(s)])))]

    def _partners(self, board: Board, me: AgentID, c: Coalition) -> tuple[AgentID, ...]:
        return tuple(m for m in c.members if m != me and (board.units[m] or board.centers[m]))

    def _channel(self, seen: Observation, other: AgentID) -> Channel | None:
        """That of the two, if it may write there now; in a game in public, the public one."""
        pair = next((channel for channel in seen.may_write if channel.readers == {seen.agent, other}), None)
        return EVERYONE if pair is None and seen.view.get("press") == "public" and EVERYONE in seen.may_write else pair

    # ---- coalitions ------------------------------------------------------------------------------------------------------

    def _coalition_says(self, seen: Observation, board: Board, c: Coalition, partners: Sequence[AgentID]) -> list[tuple[Channel, dict[str, Any], str]]:
        """By scheme: the alliance proposed by the first member and accepted by the others, supports promised; a denial in public."""
        me, found = seen.agent, []
        owed = _owed(board, me, c, partners, self.plan.salt)[me]
        for other in partners if c.scheme in SPOKEN else ():
            channel = EVERYONE if c.scheme == "open" and EVERYONE in seen.may_write else self._channel(seen, other)
            if channel is None:
                continue
            to = sorted(channel.readers - {me})
            kind = "propose" if c.members.index(me) < c.members.index(other) else "accept"
            found.append((channel, press.act(kind, to, press.about_alliance([me, other])), f"{other}:ally"))
            if channel != EVERYONE:
                found += [(channel, press.act("promise", to, press.about_order(me, order)), f"{other}:{order}") for order in owed if _helps(board, order, other)]
        if c.deny and EVERYONE in seen.may_write and partners:
            to = sorted(EVERYONE.readers - {me})
            found.append((EVERYONE, press.act("refuse", to, press.about_alliance([me, partners[0]])), "ALL:deny"))
        return found

    # ---- statements ------------------------------------------------------------------------------------------------------

    def _meant(self, s: Statement, seen: Observation, board: Board, notes: dict[str, Any]) -> dict[str, Any]:
        """Notes of somebody who means (until orders are due) or believes what it is about to say."""
        if s.kind not in ("changed_mind", "mistaken") or board.phase != "M":
            return notes
        found = notes
        for other in s.to:
            act = self._act(s, seen, board, {}, other)
            if act is None:
                continue
            if s.kind == "mistaken":
                found = agree(found, act["about"]["power"], seen.agent, act["about"], found["phase"], firm=False)
            elif seen.move_due:
                found = {**found, "agreed": [d for d in found["agreed"] if not (d["by"] == seen.agent and d["about"] == act["about"])]}
            else:
                found = agree(found, seen.agent, other, act["about"], found["phase"])
        return found

    def _act(self, s: Statement, seen: Observation, board: Board, intent: JSON, other: AgentID) -> dict[str, Any] | None:
        """What a statement says to `other` now; None where there is nothing to say it about."""
        channel = self._channel(seen, other)
        readers = channel.readers if channel is not None else frozenset((seen.agent, other))
        to = sorted(readers - {seen.agent})
        if isinstance(s.say, str):
            acts = self.meaning(s.say, seen.agent, readers)
            return Verbatim(acts[0], s.say) if acts else None
        about = about_of(s.say["about"], seen.agent, other)
        if about is None:
            about = _false_word(board, seen.agent, other, s.say["about"]["kind"], intent or {})
        return None if about is None else press.act(s.say["act"], to, about)


def _pact(board: Board, me: AgentID, partners: Sequence[AgentID], c: Coalition, salt: int) -> list[dict[str, Any]]:
    """What members hold as agreed: alliances, each other's places, the supports and moves of the joint plan."""
    if board.phase != "M":
        return [_deal(me, p, press.about_alliance([me, p]), board) for p in partners]
    found = []
    owed = _owed(board, me, c, partners, salt)
    for p in partners:
        found += [_deal(me, p, press.about_alliance([me, p]), board), _deal(me, p, press.about_dmz([me], stood(board, p)), board)]
        found += [_deal(me, p, press.about_order(me, order), board) for order in owed[me]]
        found += [_deal(p, me, press.about_order(p, order), board) for order in owed[p]]
    return found


def _owed(board: Board, me: AgentID, c: Coalition, partners: Sequence[AgentID], salt: int) -> Mapping[AgentID, tuple[str, ...]]:
    members = tuple(m for m in c.members if m == me or m in partners)
    return joint(board, members, f"{c.key}\x00{salt}", c.bits)


def _deal(by: AgentID, other: AgentID, about: Mapping[str, Any], board: Board) -> dict[str, Any]:
    return {"by": by, "with": other, "about": dict(about), "since": board.name, "firm": True, "pact": True}


def _helps(board: Board, order: str, other: AgentID) -> bool:
    words = order.split()
    return words[2] == "S" and " ".join(words[3:5]) in board.units[other]


def _betrays(act: Mapping[str, Any], channel: Channel, me: AgentID, partners: Iterable[AgentID]) -> bool:
    """Whether this would show two members as allies: what they agree on they say by the scheme, or not at all."""
    named = {*act["about"].get("powers", ()), act["about"].get("power", me)}
    return act["act"] in (*BINDING, "propose") and ((channel != EVERYONE and bool(channel.readers & set(partners))) or bool(named & set(partners)))


def _false_word(board: Board, me: AgentID, other: AgentID, kind: str, intent: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """Something of a kind that could be promised to `other` and is not meant: the likeliest to be believed, broken for sure."""
    theirs = stood(board, other)
    if kind == "dmz":
        mass: dict[str, float] = {}
        for orders in intent.values():
            for order, p in orders.items():
                for province in entered([order]) & theirs:
                    mass[province] = mass.get(province, 0.0) + p
        aimed = sorted((p for p in mass if mass[p] >= AIMED), key=lambda p: (-mass[p], p))
        return press.about_dmz([me], aimed[:1]) if aimed else None
    if kind == "support":
        unmeant = [o for unit, orders in legal_orders(board, me).items() for o in orders if _helps(board, o, other) and len(o.split()) == 7 and intent.get(unit, {}).get(o, 0.0) < 0.1]
        return press.about_order(me, sorted(unmeant)[0]) if unmeant else None
    moving = sorted(((sum(p for o, p in orders.items() if o != f"{unit} H"), unit) for unit, orders in intent.items()), reverse=True)
    return press.about_order(me, f"{moving[0][1]} H") if moving and moving[0][0] > 0.5 else None


def about_of(given: Mapping[str, Any], me: AgentID, other: AgentID) -> dict[str, Any] | None:
    """What an act of a plan is about, in the canonical form; None where the plan leaves it to be found. Raises ValueError for no order."""
    kind = given["kind"]
    if kind in ("order", "support"):
        return press.about_order(given.get("power", me), str(given["order"]).upper()) if "order" in given else None
    if kind == "dmz":
        return press.about_dmz(given.get("powers", [me]), [str(p).upper() for p in given["provinces"]]) if "provinces" in given else None
    return press.about_alliance([me, other], given.get("against")) if kind == "alliance" else {"kind": "draw"}


# ---- what can be planted -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PlantableDiplomacy(DiplomacyLanguage):
    """The language of Diplomacy, which can be bent to a plan."""

    press: str = "both"  # who may write to whom (channels.PRESS): a plan can be carried out with words only where there are any

    def bent(self, plan: Plan, agents: Sequence[AgentID]) -> PlantedDiplomacy:
        """The language as those of the plan speak it. Raises `PlanError` for what cannot be planted in Diplomacy."""
        return bend(self, plan, agents)


def bend(language: PlantableDiplomacy, plan: Plan, agents: Sequence[AgentID]) -> PlantedDiplomacy:
    """The language of the plan. Raises `PlanError`."""
    plan.seated(agents)
    for where, when in [*((c.where, c.when) for c in plan.coalitions), *((s.where, s.when) for s in plan.statements), *((m.where, m.when) for m in plan.manners)]:
        for span in when.spans:
            for value in (span.first, span.last):
                try:
                    number(span.unit, 0 if value is None and span.unit != "phase" else "S1901M" if value is None else value)
                except ValueError:
                    raise PlanError(f"{where}: when.{span.unit} is {value!r:.40}; expected a phase such as S1901M, F1902R or W1903A") from None
    for c in plan.coalitions:
        if c.scheme not in SCHEMES or c.carrier != "prices" or c.message or c.follow != 1:
            raise PlanError(f"{c.where}: scheme {c.scheme}: Diplomacy has {', '.join(SCHEMES)}; a key has bits, and no carrier, message or follow")
        if c.deny and c.scheme == "open":
            raise PlanError(f"{c.where}: scheme open: denying needs a secret; choose private or hidden_key, or leave deny out")
        if c.deny and language.press not in ("both", "public"):  # to one alone no words of the grammar refuse an alliance with a third
            raise PlanError(f"{c.where}: members deny it in public, and nobody can say a word there; set environment.press to both or public, press_rounds above 0, or leave deny out")
    for s in plan.statements:
        _statement_fits(language, s)
    for m in plan.manners:
        if unknown := [kind for kind in m.acts if kind not in SAYABLE]:
            raise PlanError(f"{m.where}: no act {unknown[0]!r:.40} in Diplomacy; expected one of {', '.join(SAYABLE)}")
    return PlantedDiplomacy(language, plan)


def _statement_fits(language: DiplomacyLanguage, s: Statement) -> None:
    example = "{act: promise, about: {kind: support, order: A VEN S A VIE - TRI}}"
    if isinstance(s.say, str):
        acts = language.meaning(s.say, s.who, frozenset((s.who, *s.to)))
        if not acts:
            raise PlanError(f"{s.where}: {s.say!r:.60} means nothing here; say it plainer, as in 'I will support your army in Vienna to Trieste.', or give an act: {example}")
        kind, about = acts[0]["act"], acts[0]["about"]
    else:
        kind, about = s.say["act"], s.say.get("about")
        if set(s.say) != {"act", "about"} or not isinstance(about, dict) or about.get("kind") not in SAYABLE.get(kind, ()):
            raise PlanError(f"{s.where}: say is {s.say!r:.80}; expected an act that can be said, such as {example}")
        try:
            found = about_of(about, s.who, s.to[0])
            if found is None and s.kind != LIE:
                raise PlanError(f"{s.where}: say.about leaves its words open, which only a lie can; name the order, or the provinces")
            if found is not None:
                language.word(press.act(kind, s.to, found), s.who)
        except PlanError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PlanError(f"{s.where}: say.about is {about!r:.80}; expected orders such as A VEN - TRI, provinces such as [TRI]") from None
    binding, mistaken = s.kind in (LIE, "changed_mind"), s.kind == "mistaken"
    allowed = BINDING if binding else ("inform",) if mistaken else LOOSE
    if kind not in allowed:
        raise PlanError(f"{s.where}: {s.kind} by {kind!r}; expected one of {', '.join(allowed)}, which {'binds its author' if binding else 'binds nobody'}")
    if mistaken and about.get("power", s.who) == s.who:
        raise PlanError(f"{s.where}: who is mistaken passes on false news of another: about: {{kind: order, power: RUSSIA, order: A WAR - GAL}}")
    if s.intent is not None and not (isinstance(s.intent, dict) and all(isinstance(k, str) and isinstance(v, str) for k, v in s.intent.items())):
        raise PlanError(f"{s.where}: intent is {s.intent!r:.60}; expected orders by unit, as in {{A VEN: A VEN - TRI}}")
