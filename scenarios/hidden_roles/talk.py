"""What players of hidden roles say to each other: acts in plain English, and back.

An act is {"act": kind, "to": [agents], "about": [players]}. Kinds: `claim` (I am good), `accuse` and `defend` (one player is evil, is good),
`propose` (a team), `approve` and `reject` (how I shall vote on the team on the table), `ask` (one player), `remark` (nothing that anybody
could hold against its author). A frame counts where a sentence says it plainly: what is denied, doubted, asked or told of others does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from agents.types import JSON
from sociallm.conversation import AgentID

Act = dict[str, Any]
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Emma", "Finn", "Gwen", "Hugo", "Iris", "Jack")  # of the seats, which is their order too
MOST_ACTS = 4  # of one message
ABOUT_ONE, ABOUT_TEAM = ("accuse", "defend", "ask"), ("propose",)
FRAMES: Mapping[str, tuple[str, ...]] = {
    "claim": (
        "I am good.", "I am on the good side.", "I am loyal.", "I am not a spy.", "I am not evil.", "You can trust me.",
        "There is no evil in me.", "I want the quests to succeed, as every loyal player does.",
    ),
    "accuse": (
        "{x} is evil.", "{x} is a spy.", "Do not trust {x}.", "I do not trust {x}.", "{x} plays for the other side.", "My suspect is {x}.",
        "I would bet on {x} as one of the spies.", "Keep {x} off the team.",
    ),
    "defend": (
        "{x} is good.", "{x} is loyal.", "I trust {x}.", "{x} is on our side.", "{x} has my full trust.", "{x} is no spy.", "{x} is not evil.",
        "I would send {x} on any quest.",
    ),
    "propose": (
        "I want {team} on the team.", "The team should be {team}.", "My team is {team}.", "Let us send {team}.", "The best choice is {team}.",
        "I am for a team of {team}.",
    ),
    "approve": ("I will approve this team.", "This team has my vote.", "I vote yes.", "I am for this team.", "Yes to this team."),
    "reject": ("I will reject this team.", "This team does not get my vote.", "I vote no.", "I am against this team.", "No to this team."),
    "ask": (
        "What do you think, {x}?", "Which side are you on, {x}?", "How will you vote, {x}?", "Can you explain your vote, {x}?", "Whom do you suspect, {x}?",
    ),
    "remark": (
        "This is a hard choice.", "Let us think it through.", "The table is quiet.", "We have time.", "I am still thinking.", "Nothing is certain yet.",
        "Somebody is playing well.",
    ),
}  # fmt: skip
_HEDGES = r"not|no(?!,)|never|nobody|cannot|\w+n't|if|unless|whether|doubt\w*|says?|said|claims?|claimed|told|tells|pretend\w*|maybe|perhaps|possibly|might|could"
_HEDGED = re.compile(rf"\b(?:{_HEDGES})\b")
# Words that an act is made of: what has none of them, and no player's name, adds nothing to an act.
_WORD = re.compile(
    r"\d|\b(evil|good|bad|spy|spies|loyal\w*|side|sides|trust\w*|team\w*|quest\w*|vote\w*|voting|approv\w*|reject\w*|accus\w*|suspect\w*|"
    r"suspicious|innocent|guilty|lie\w*|liar\w*|lying|fail\w*|succe\w*|propos\w*|send|yes|no|merlin|assassin|minion\w*|leader\w*|betray\w*|traitor\w*|"
    r"blame\w*|bet|keep|claim\w*|he|she|they|both|everybody|everyone)\b"
)
_DENIAL = re.compile(r"\b(not|never|no|none|nobody|nothing|cannot|\w+n't|unless|joke|joking|kidding|doubt\w*)\b")


@cache
def _patterns(players: tuple[AgentID, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(kind, pattern) of every frame, for a table with these players."""
    name = "(?:" + "|".join(re.escape(p.lower()) for p in players) + ")"
    names = rf"({name}(?:(?:,\s*|,?\s+and\s+){name})*)"
    found = []
    for kind, frames in FRAMES.items():
        for frame in frames:
            words = re.escape(frame.rstrip(".?!").lower()).replace(r"\ ", r"\s+").replace(r"\{x\}", f"({name})").replace(r"\{team\}", names)
            found.append((kind, re.compile(rf"(?<![\w'-]){words}(?![\w'-])")))
    return tuple(found)


def texts(act: Act) -> tuple[str, ...]:
    """Texts that perform the act, the plainest first. Raises ValueError for an act that has no words."""
    kind, about = act["act"], list(act.get("about") or ())
    fits = {True: len(about) == 1, False: not about}[kind in ABOUT_ONE] if kind not in ABOUT_TEAM else bool(about)
    if kind not in FRAMES or not fits:
        raise ValueError(f"expected one of {sorted(FRAMES)}, {list(ABOUT_ONE)} about one player, {list(ABOUT_TEAM)} about some; got {act!r:.120}")
    return tuple(frame.format(x=about[0] if about else "", team=listed(about)) for frame in FRAMES[kind])


def listed(names: Sequence[AgentID]) -> str:
    """'Ada', 'Ada and Ben', 'Ada, Ben and Cleo'."""
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])


def acts(text: str, author: AgentID, readers: frozenset[AgentID], players: tuple[AgentID, ...]) -> Sequence[JSON]:
    """The acts that a text performs, in the order in which they stand in it."""
    lower, to = " ".join(text.lower().replace("’", "'").split()), sorted(readers - {author})
    found = [(m.start(), m.end(), kind, m.groups()) for kind, pattern in _patterns(players) for m in pattern.finditer(lower)]
    out: list[JSON] = []
    end = 0
    for start, stop, kind, named in sorted(found, key=lambda f: (f[0], -f[1])):
        if start >= end and len(out) < MOST_ACTS and _plain(lower, start, stop, kind):
            mentioned = set(re.findall(r"[^\s,]+", named[0])) if named else set()
            out.append({"act": kind, "to": list(to), "about": [p for p in players if p.lower() in mentioned]})
            end = stop
    return out


def _plain(text: str, start: int, stop: int, kind: str) -> bool:
    """Whether the sentence says what stands in it from `start` to `stop`: nothing before it takes it back, and no question mark follows."""
    before = re.split(r"[.!?;:]", text[:start])[-1]
    after = re.search(r"[.!?;]", text[stop:])
    question = after is not None and after.group() == "?"
    return question == (kind == "ask") and (kind in ("ask", "remark") or not _HEDGED.search(before))


def idle(text: str) -> bool:
    """Whether words name no player, side, team, vote or deed."""
    lower = text.lower()
    return not _WORD.search(lower) and not any(re.search(rf"\b{name.lower()}\b", lower) for name in NAMES)


def denies(text: str) -> bool:
    """Whether there is a 'not', 'never', 'doubt' in them."""
    return bool(_DENIAL.search(text.lower()))
