"""What a text commits its author to, and whether the orders kept it: the one place where promise, intent and order meet.

A commitment is what an act is about (`press`): an order or a support of the author's own, a zone it stays out of, an alliance in which
it attacks none of the other's. Question marks stand for words that were not said (or, in a record without kinds of units, not written).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sociallm.conversation import AgentID

BINDING = ("promise", "accept")  # acts that bind their author; 'inform' says a plan and leaves it open


def matches(pattern: str, order: str) -> bool:
    """Whether an order is what a text spoke of: '?' stands for any word; coasts and VIA may be left out."""
    words, have = pattern.removesuffix(" VIA").split(), order.removesuffix(" VIA").split()
    return len(words) == len(have) and all(
        "?" in (w, h) or w == h or (len(w) == 3 and h.startswith(w + "/")) for w, h in zip(words, have, strict=True)
    )


def binds(about: Mapping[str, Any], author: AgentID) -> bool:
    """Whether this is about what the author itself does in its next orders, so that they show whether it was kept."""
    if about["kind"] in ("order", "support"):
        return bool(about["power"] == author)
    return about["kind"] == "dmz" and author in about["powers"]


def kept(about: Mapping[str, Any], orders: Collection[str]) -> bool | None:
    """Whether its author's orders of one movement phase kept an order, a support or a zone; None where they do not tell."""
    if about["kind"] in ("order", "support"):
        return any(matches(about["order"], order) for order in orders) if orders else None
    if about["kind"] == "dmz":
        return not entered(orders) & set(about["provinces"])
    return None


def chance(about: Mapping[str, Any], intent: Mapping[str, Mapping[str, float]]) -> float | None:
    """How likely an intent ({unit: {order: probability}}) keeps it, units taken as independent; None where it does not tell."""
    if about["kind"] in ("order", "support"):
        missed = 1.0
        for orders in intent.values():
            missed *= 1.0 - min(1.0, sum(p for order, p in orders.items() if matches(about["order"], order)))
        return 1.0 - missed
    if about["kind"] == "dmz":
        out = 1.0
        for orders in intent.values():
            out *= 1.0 - min(1.0, sum(p for order, p in orders.items() if entered([order]) & set(about["provinces"])))
        return out
    return None


def entered(orders: Iterable[str]) -> set[str]:
    """The provinces that these orders move to."""
    words = (order.split() for order in orders)
    return {w[3][:3] for w in words if len(w) > 3 and w[2] == "-"}


def supports(order: str, units: Sequence[str], orders: Sequence[str]) -> bool:
    """Whether this is a support of one of these units that did what it was for."""
    words = order.split()
    helped = " ".join(words[3:5])
    if len(words) < 5 or words[2] != "S" or helped not in units:
        return False
    return f"{helped} - {words[6]}" in orders if len(words) > 6 else not any(o.startswith(f"{helped} - ") for o in orders)
