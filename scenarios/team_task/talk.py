"""What members say to each other: acts about suspects in plain English, and back.

An act is {"act": kind, "to": [agents], "suspect", "evidence", "witness"}, the last three text or None. Kinds: `inform` (what a witness says of a
suspect, with how much force: a key of clues.EVIDENCE), `ask` (what do you know of a suspect), `guess` (I think it was …), `agree` (to a suspect
that somebody named), `remark` (small talk: nothing about anybody). Who is meant by a name is fixed by the two lists of names; a text without a
known frame means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agents.types import JSON
from scenarios.team_task.clues import EVIDENCE
from sociallm.conversation import AgentID

Act = dict[str, Any]
MOST_ACTS = 4  # of one message
SUSPECTS = ("Ash", "Birch", "Cedar", "Elm", "Hazel", "Juniper", "Laurel", "Maple", "Oak", "Pine", "Rowan", "Willow", "Alder", "Aspen", "Hawthorn", "Larch")
WITNESSES = (
    "porter", "gardener", "cook", "driver", "nurse", "clerk", "barber", "florist", "baker", "waiter", "plumber", "tailor", "painter", "butcher",
    "teacher", "doctor", "judge", "singer", "banker", "butler", "pilot", "farmer", "fisher", "hunter", "jeweller", "lawyer", "mason", "miller",
    "notary", "optician", "potter", "priest", "printer", "sailor", "saddler", "shepherd", "surgeon", "tinker", "vicar", "weaver",
)  # fmt: skip
INFORM: Mapping[str, tuple[str, ...]] = {
    "strong no": (
        "The {w} is sure that it was not {s}.", "According to the {w}, {s} cannot have done it.", "The {w} rules out {s}.",
        "Take {s} off the list, the {w} swears to it.",
    ),
    "maybe no": (
        "The {w} doubts that it was {s}.", "According to the {w}, {s} probably did not do it.", "The {w} thinks that {s} is innocent.",
        "It is unlikely to be {s}, going by the {w}.",
    ),
    "maybe yes": (
        "The {w} suspects that it was {s}.", "According to the {w}, {s} may have done it.", "The {w} finds {s} suspicious.",
        "It might well be {s}, going by the {w}.",
    ),
    "strong yes": (
        "The {w} is sure that it was {s}.", "According to the {w}, {s} certainly did it.", "The {w} saw {s} do it.",
        "Put {s} at the top of the list, the {w} swears to it.",
    ),
}  # fmt: skip
FRAMES: Mapping[str, tuple[str, ...]] = {
    "ask": ("What do you know about {s}?", "Has anybody heard something about {s}?", "Is there any word on {s}?", "Can you tell me more about {s}?"),
    "guess": ("I think it was {s}.", "My guess is {s}.", "All in all I would say {s}.", "So far it looks like {s} to me."),
    "agree": ("Agreed, it was {s}.", "Yes, I also think {s} did it.", "Same here, I would say {s} as well.", "I go along with {s}."),
    "remark": (
        "Hello everyone.", "Good to work with you.", "Thanks for that.", "Let us take our time.", "Sorry, I was away for a moment.",
        "Nice teamwork so far.",
    ),
}  # fmt: skip
PHATIC = "remark"
OWN = ("act", "to", "suspect", "evidence", "witness")
# Words that a message about the case is made of: what names none of them, and no number, adds nothing to an act.
_WORD = re.compile(
    r"\d|\b(witness\w*|suspect\w*|culprit\w*|clue\w*|evidence|guilt\w*|innocent|sure|certain\w*|doubt\w*|probabl\w*|likel\w*|unlikel\w*|"
    r"may|might|maybe|perhaps|cannot|"
    r"saw|seen|swear\w*|swor\w*|rule\w*|list|think\w*|thought|guess\w*|agree\w*|say|says|said|know\w*|heard|word|tell|told|ask\w*|according|"
    r"did|done|yes|no|same|it was|he|she|him|her|they|them|who|somebody|nobody|anybody)\b"
)
_DENIAL = re.compile(r"\b(not|never|no|none|nobody|nothing|cannot|neither|won't|don't|can't|isn't|wasn't|didn't|unless|joke|joking|kidding|wrong|false)\b")


def numbered(names: Sequence[str], count: int) -> tuple[str, ...]:
    """So many names: those given, then the same with a number behind, such as Ash 2."""
    return tuple(names[i % len(names)] + (f" {i // len(names) + 1}" if i >= len(names) else "") for i in range(count))


@dataclass(frozen=True)
class Talk:
    """What can be said of these suspects and witnesses, and read from a text."""

    suspects: tuple[str, ...]
    witnesses: tuple[str, ...]

    def act(self, kind: str, to: Sequence[AgentID], suspect: str | None = None, evidence: str | None = None, witness: str | None = None) -> Act:
        """An act in its canonical form."""
        return dict(zip(OWN, (kind, list(to), suspect, evidence, witness), strict=True))

    def texts(self, act: Act) -> tuple[str, ...]:
        """Texts that perform the act, the plainest first. Raises ValueError for an act that has no words."""
        kind, suspect, evidence, witness = act.get("act"), act.get("suspect"), act.get("evidence"), act.get("witness")
        informs = kind == "inform" and evidence in INFORM and witness in self.witnesses
        names = kind in FRAMES and kind != PHATIC and evidence is witness is None
        idle = kind == PHATIC and suspect is evidence is witness is None
        if not (idle or ((informs or names) and suspect in self.suspects)):
            raise ValueError(f"expected an act of {sorted([*FRAMES, 'inform'])} about a known suspect (inform: with evidence and witness), got {act!r:.160}")
        return tuple(frame.format(s=suspect, w=witness) for frame in (INFORM[str(evidence)] if informs else FRAMES[str(kind)]))

    def acts(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts that a text performs, in the order in which they stand in it."""
        lower, to = " ".join(text.lower().split()), sorted(readers - {author})
        found = [(m.start(), m.end(), kind, evidence, m.groupdict()) for kind, evidence, pattern in self._patterns for m in pattern.finditer(lower)]
        out: list[JSON] = []
        end = 0
        for start, stop, kind, evidence, named in sorted(found, key=lambda f: (f[0], -f[1])):
            if start >= end and len(out) < MOST_ACTS:
                out.append(self.act(kind, to, self._proper.get(named.get("s", "")), evidence, named.get("w")))
                end = stop
        return out

    def idle(self, text: str) -> bool:
        """Whether words name no suspect, witness or anything that a clue is made of."""
        lower = text.lower()
        return not _WORD.search(lower) and not self._names.search(lower)

    def denies(self, text: str) -> bool:
        """Whether there is a 'not', 'never', 'cannot' in them."""
        return bool(_DENIAL.search(text.lower()))

    @cached_property
    def _proper(self) -> dict[str, str]:
        return {name.lower(): name for name in self.suspects}

    @cached_property
    def _patterns(self) -> tuple[tuple[str, str | None, re.Pattern[str]], ...]:
        framed: list[tuple[str, str | None, str]] = [("inform", evidence, frame) for evidence in EVIDENCE for frame in INFORM[evidence]]
        framed += [(kind, None, frame) for kind, frames in FRAMES.items() for frame in frames]
        either = {"s": _either(self.suspects), "w": _either(self.witnesses)}
        return tuple((kind, evidence, _pattern(frame, either)) for kind, evidence, frame in framed)

    @cached_property
    def _names(self) -> re.Pattern[str]:
        return re.compile(rf"\b({_either(SUSPECTS)}|{_either(WITNESSES)})\b")


def _either(names: Sequence[str]) -> str:
    """One of these names, the longest first, none of them with a number behind that is not its own."""
    return "(?:" + "|".join(re.escape(name.lower()) for name in sorted(names, key=lambda n: (-len(n), n))) + r")(?! \d)"


def _pattern(frame: str, either: Mapping[str, str]) -> re.Pattern[str]:
    words = re.escape(frame.rstrip(".?!").lower()).replace(r"\ ", " ")
    for letter, names in either.items():
        words = words.replace(rf"\{{{letter}\}}", f"(?P<{letter}>{names})")
    return re.compile(rf"(?<![\w.]){words}(?!\w)")
