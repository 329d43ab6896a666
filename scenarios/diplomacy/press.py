"""Diplomacy press as acts: what can be said, and its canonical JSON form.

An act is {"act": kind, "to": [powers], "about": {...}}; what it can be about:
    {"kind": "order", "power": P, "order": "A VIE - GAL"}                  P moves, holds or convoys
    {"kind": "support", "power": P, "order": "A BUD S A SER - RUM"}        P supports
    {"kind": "dmz", "powers": [P, ...], "provinces": ["GAL"]}              these powers stay out of these provinces
    {"kind": "alliance", "powers": [P, Q], "against": R}                   "against" is left out where nobody is named
    {"kind": "draw"}                                                       the game ends shared
Lists are sorted. A unit that the text leaves open is written with question marks: "? ? S A BUD - RUM", "? ? - GAL".
The kinds follow the small vocabulary of DAIDE press (propose, accept, refuse, inform, ask, promise). `SAYABLE` says which of them
`grammar` words; the way back is `extractor.meaning`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scenarios.diplomacy.map import POWERS
from sociallm.conversation import AgentID

Act = Mapping[str, Any]
SAYABLE: Mapping[str, tuple[str, ...]] = {
    "propose": ("order", "dmz", "alliance", "draw"),
    "ask": ("support", "order"),  # a support is asked for; asking about an order is asking what the other plans
    "promise": ("order", "support", "dmz"),
    "inform": ("order", "support"),
    "accept": ("order", "support", "dmz", "alliance", "draw"),
    "refuse": ("order", "support", "dmz", "alliance", "draw"),
}
UNKNOWN = "? ?"  # a unit of which neither kind nor place was said


@dataclass(frozen=True)
class Spec:
    """An order taken apart: `verb` is '-', 'H', 'S' or 'C'; `other` is the unit supported or convoyed."""

    unit: str
    verb: str
    other: str = ""
    target: str = ""
    via: bool = False


def split_order(text: str) -> Spec:
    """'A BUD S A SER - RUM' → its parts; question marks are taken. Raises ValueError for another shape."""
    words = text.split()
    via = len(words) > 2 and words[-1] == "VIA"
    words = words[:-1] if via else words
    match words:
        case [kind, place, "H"]:
            return Spec(f"{kind} {place}", "H")
        case [kind, place, "-", target]:
            return Spec(f"{kind} {place}", "-", "", target, via)
        case [kind, place, ("S" | "C") as verb, other, at, "-", target]:
            return Spec(f"{kind} {place}", verb, f"{other} {at}", target)
        case [kind, place, "S", other, at] | [kind, place, "S", other, at, "H"]:
            return Spec(f"{kind} {place}", "S", f"{other} {at}")
    raise ValueError(f"expected an order such as 'A VIE - GAL' or 'A BUD S A SER - RUM', got {text!r:.80}")


def join_order(spec: Spec) -> str:
    """The text of an order; the inverse of `split_order`."""
    if spec.verb == "H":
        return f"{spec.unit} H"
    if spec.verb == "-":
        return f"{spec.unit} - {spec.target}" + (" VIA" if spec.via else "")
    return f"{spec.unit} {spec.verb} {spec.other}" + (f" - {spec.target}" if spec.target else "")


# ---- acts in canonical form ----------------------------------------------------------------------------------------


def act(kind: str, to: Iterable[AgentID], about: Mapping[str, Any]) -> dict[str, Any]:
    """An act with its addressees sorted."""
    return {"act": kind, "to": sorted(to), "about": dict(about)}


def about_order(power: AgentID, order: str) -> dict[str, Any]:
    """What an order of `power` is about: kind 'support' for a support, else 'order'."""
    spec = split_order(order)
    return {"kind": "support" if spec.verb == "S" else "order", "power": power, "order": join_order(spec)}


def about_dmz(powers: Iterable[AgentID], provinces: Iterable[str]) -> dict[str, Any]:
    """`powers` stay out of `provinces`."""
    return {"kind": "dmz", "powers": sorted(set(powers)), "provinces": sorted({p[:3] for p in provinces})}


def about_alliance(powers: Iterable[AgentID], against: AgentID | None = None) -> dict[str, Any]:
    """`powers` work together, against one other power where it is named."""
    return {"kind": "alliance", "powers": sorted(set(powers))} | ({"against": against} if against else {})


def powers_named() -> Mapping[str, AgentID]:
    """Words for each power, lower case."""
    words = {p.lower(): p for p in POWERS}
    kin = {"AUSTRIA": "austrian austrians", "ENGLAND": "english british britain brits", "FRANCE": "french", "GERMANY": "german germans",
           "ITALY": "italian italians", "RUSSIA": "russian russians", "TURKEY": "turkish turk turks"}
    return words | {w: p for p, ws in kin.items() for w in ws.split()}
