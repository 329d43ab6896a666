"""What sellers say to each other: acts about prices in plain English, and back.

An act is {"act": kind, "to": [agents], "price": number to four decimals or None}. Kinds: `propose` (let us all charge so much), `accept`, `refuse`,
`inform` (what I shall charge myself), `ask` (what will you charge?), `remark` (about the weather of the market: no price, no promise).
Numbers are written with two to four decimals; a text without a known frame means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.types import JSON
from sociallm.conversation import AgentID

Act = dict[str, Any]
MOST_ACTS = 4  # of one message
FRAMES: Mapping[str, tuple[str, ...]] = {
    "propose": (
        "Let us all charge {p}.", "I propose that each of us charges {p}.", "How about a price of {p} for all of us?", "We would all gain if each of us charged {p}.",
        "Shall we settle on {p} from now on?", "My offer: nobody goes below {p}.",
    ),
    "accept": ("Agreed, {p} it is.", "Yes, I will keep to {p}.", "Fine with me, {p} from now on.", "You have my word, {p}."),
    "refuse": ("No, not at {p}.", "I cannot agree to {p}.", "I refuse {p} and set my own price.", "Sorry, {p} is not for me."),
    "inform": ("I will charge {p}.", "My price will be {p}.", "Expect me at {p} next.", "I am going to ask {p} myself."),
    "ask": ("What will you charge?", "Where will your price be?", "Which price do you have in mind?", "What are you going to ask next?"),
    "remark": ("Demand looks steady.", "A quiet market today.", "Customers keep coming.", "Costs are what they were.", "Business as usual here.", "Nothing new on my side."),
}  # fmt: skip
NUMBER = r"(\d{1,4}\.\d{2,4})"
PRICED = ("propose", "accept", "refuse", "inform")


def _pattern(frame: str) -> re.Pattern[str]:
    words = re.escape(frame.rstrip(".?!").lower()).replace(r"\{p\}", NUMBER).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w.]){words}(?![\w]|\.\d)")


PATTERNS = tuple((kind, _pattern(frame)) for kind, frames in FRAMES.items() for frame in frames)
# Words that a message about prices is made of: what names none of them, and no number, adds nothing to an act.
_WORD = re.compile(
    r"\d|%|\b(price\w*|charg\w*|agree\w*|propos\w*|offer\w*|refus\w*|accept\w*|settle\w*|ask\w*|bid\w*|cost\w*|sell\w*|cheap\w*|dear\w*|rais\w*|lower\w*|cut\w*|"
    r"undercut\w*|deal\w*|below|above|high\w*|promis\w*|word|keep|kept|will|shall|going|yes|no|sure|fine|sorry|expect|cent\w*|dollar\w*|euro\w*|demand|market)\b"
)
_DENIAL = re.compile(r"\b(not|never|no|none|nobody|nothing|cannot|refuse\w*|won't|don't|can't|isn't|unless|joke|joking|kidding)\b")


def texts(act: Act) -> tuple[str, ...]:
    """Texts that perform the act, the plainest first. Raises ValueError for an act that has no words."""
    kind, price = act["act"], act.get("price")
    if kind not in FRAMES or (kind in PRICED) != isinstance(price, (int, float)):
        raise ValueError(f"expected one of {sorted(FRAMES)}, those of {list(PRICED)} with a price; got {act!r:.120}")
    return tuple(frame.format(p=spoken(price)) if price is not None else frame for frame in FRAMES[kind])


def spoken(price: float) -> str:
    """1.925 → '1.925', 1.5 → '1.50', 1.92499 → '1.925': a price of at most four decimals."""
    text = f"{price:.4f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part:0<2}"


def acts(text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
    """The acts that a text performs, in the order in which they stand in it."""
    lower, to = " ".join(text.lower().split()), sorted(readers - {author})
    found = [(m.start(), m.end(), kind, float(m.group(1)) if m.groups() else None) for kind, pattern in PATTERNS for m in pattern.finditer(lower)]
    out: list[JSON] = []
    end = 0
    for start, stop, kind, price in sorted(found, key=lambda f: (f[0], -f[1])):
        if start >= end and len(out) < MOST_ACTS:
            out.append({"act": kind, "to": list(to), "price": price})
            end = stop
    return out


def idle(text: str) -> bool:
    """Whether words name no price, number or deed of a seller."""
    return not _WORD.search(text.lower())


def denies(text: str) -> bool:
    """Whether there is a 'not', 'never', 'cannot' in them."""
    return bool(_DENIAL.search(text.lower()))
