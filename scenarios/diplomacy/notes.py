"""What a negotiator keeps in mind: a JSON value of bounded size, and how talk and deeds change it.

{"v": 1, "phase": "S1901M",
 "trust": {power: 0..1},                                       0.5 where nothing is known
 "pending": [{"from", "act", "about"}],                        proposals and requests not yet answered
 "offers": [{"with", "about"}],                                what I proposed or asked for in this phase
 "agreed": [{"by", "with", "about", "since", "firm"}],         who committed to what, towards whom; "meant": false where I lied
 "said": [text],                                               what I have said in this phase, not to say it twice
 "saying": [{"channel", "act"}]}                               what I have decided to say now
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.types import JSON
from scenarios.diplomacy.board import FIRST_YEAR, Board
from scenarios.diplomacy.commitments import entered, kept, matches
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.orders import legal_orders
from sociallm.conversation import AgentID

LIMITS = {"pending": 24, "offers": 24, "agreed": 48, "said": 48, "stood": 75, "saying": 8}  # entries kept, the newest
HONESTY = 0.8  # of a seat of which YAML does not say it
# What one deed does to trust, set by hand: one broken word costs what three kept ones earned. FADE: how far, each phase, it goes back to 0.5.
KEPT, BROKEN, HELPED, ATTACKED, FADE = 0.1, -0.3, 0.05, -0.15, 0.02
HEARSAY = 1 / 3  # what a plan that was only told counts beside a word that was given
DMZ_PHASES = 3  # movement phases for which a DMZ is meant


def fresh(notes: JSON) -> dict[str, Any]:
    """The notes, with everything in place that is missing. Never shares a list with what was given."""
    given = notes if isinstance(notes, dict) else {}
    found: dict[str, Any] = {"v": 1, "phase": given.get("phase", ""), "trust": dict(given.get("trust", {}))}
    return found | {key: list(given.get(key, [])) for key in LIMITS}


def add(notes: Mapping[str, Any], key: str, entry: JSON) -> dict[str, Any]:
    """Notes with one entry more, the oldest dropped beyond the limit, nothing twice."""
    return {**notes, key: ([e for e in notes[key] if e != entry] + [entry])[-LIMITS[key] :]}


def agree(
    notes: Mapping[str, Any], by: AgentID, other: AgentID, about: Mapping[str, Any], phase: str, firm: bool = True, meant: bool = True
) -> dict[str, Any]:
    """Notes after `by` has committed itself towards `other`; `firm` if it was more than news, `meant` unless I lied."""
    same = [d for d in notes["agreed"] if d["by"] == by and d["with"] == other and d["about"] == about]
    if same:
        return dict(notes)
    deal = {"by": by, "with": other, "about": dict(about), "since": phase, "firm": firm}
    return add(notes, "agreed", deal if meant else {**deal, "meant": False})


def resolve(about: Mapping[str, Any], board: Board) -> dict[str, Any]:
    """The same with open units and coasts filled in where only one legal order of that power fits."""
    if about.get("power") not in POWERS or board.phase != "M":
        return dict(about)
    options = [o for orders in legal_orders(board, about["power"]).values() for o in orders]
    if about["order"] in options:
        return dict(about)
    fitting = [o for o in options if matches(about["order"], o)]
    by_land = [o for o in fitting if not o.endswith(" VIA")] or fitting
    return {**about, "order": by_land[0]} if len(by_land) == 1 else dict(about)


def judge(notes: Mapping[str, Any], me: AgentID, recent: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Notes after the last movement phase's orders are known: kept words raise trust, broken ones and attacks lower it."""
    if not recent or notes["phase"] != recent[0]["phase"]:
        return dict(notes)
    orders: Mapping[str, Sequence[str]] = recent[0]["orders"]
    change = dict.fromkeys(POWERS, 0.0)
    broken: list[Mapping[str, Any]] = []
    mine = set(notes["stood"])
    for deal in notes["agreed"]:
        if deal["by"] == me or deal["by"] not in POWERS:
            continue
        weight = 1.0 if deal["firm"] else HEARSAY
        verdict = _kept(deal["about"], orders.get(deal["by"], ()), mine)
        if verdict is False:
            broken.append(deal)
            change[deal["by"]] += BROKEN * weight
        elif verdict:
            change[deal["by"]] += KEPT * weight
    for power in change.keys() - {me}:
        for order in orders.get(power, ()):
            words = order.split()
            if words[2] == "-" and words[3][:3] in mine:
                change[power] += ATTACKED
            elif words[2] == "S" and words[4][:3] in mine and (len(words) < 7 or words[6][:3] not in mine):
                change[power] += HELPED
    trust = {p: round(min(1.0, max(0.0, _faded(notes["trust"].get(p, 0.5)) + change[p])), 4) for p in POWERS if p != me}
    return {**notes, "trust": trust, "agreed": [d for d in notes["agreed"] if d not in broken]}


def _faded(trust: float) -> float:
    """Old grudges and old faith fade towards not knowing."""
    return trust + (FADE if trust < 0.5 else -FADE if trust > 0.5 else 0.0)


def _kept(about: Mapping[str, Any], orders: Sequence[str], mine: set[str]) -> bool | None:
    """Whether a commitment was kept; None where these orders do not tell."""
    if about["kind"] == "alliance":
        return False if entered(orders) & mine else None
    return kept(about, orders)


def begin_phase(notes: Mapping[str, Any], me: AgentID, board: Board) -> dict[str, Any]:
    """Notes at the start of a movement phase: promised orders are past, a DMZ lasts for some phases, an alliance until it is broken."""
    agreed = [d for d in notes["agreed"] if _lasts(d, board)]
    stood = sorted({*board.centers[me], *(unit[2:5] for unit in board.units[me])})
    return {**notes, "phase": board.name, "pending": [], "offers": [], "said": [], "agreed": agreed, "stood": stood}


def _lasts(deal: Mapping[str, Any], board: Board) -> bool:
    if deal["about"]["kind"] == "alliance":
        return True
    return deal["about"]["kind"] == "dmz" and _count(board.name) - _count(deal["since"]) < DMZ_PHASES


def _count(phase: str) -> int:
    """Movement phases since spring 1901."""
    return 2 * (int(phase[1:-1]) - FIRST_YEAR) + (phase[0] == "F")
