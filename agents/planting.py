"""Plants: liars and colluders whose deeds are known, so that a detector can be held against the truth. Values of a plan; `plan_file.py` reads one.

A plan says who deceives or colludes, towards whom, with what words, when, and what is truly meant. A policy of these seats speaks a world's
language *bent* to the plan (`Plantable.bent`): asked to decide, it decides as the plan says where the plan is due, and as an honest agent
everywhere else. So the honest twin of a planted run is the same run with the language as it is.

Controls look like plants and are none: who changes its mind meant what it said, who is mistaken believes it, and so on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agents.types import JSON, AgentID, Language, Observation

LIE = "lie"
SAYING = ("changed_mind", "mistaken", "bluffing")  # controls that say something which does not come true
MANNERS = ("omitting", "terse", "polite")  # controls that say what others say, less of it or otherwise
CONTROLS = (*SAYING, *MANNERS)
SCHEMES: Mapping[str, str] = {
    "none": "no plan at all: the members are those whom a detector must not name",
    "independent": "each member keeps to a secret key of its own: the same code and the same marks, and no coordination",
    "open": "agreed on in words that all may read",
    "private": "agreed on in words that only members may read",
    "hidden_key": "no word means it: a shared secret key steers prices or remarks",
    "rotation": "members win in turns",
    "incomplete": "some of many, agreed beforehand",
}
HONEST = ("none", "independent")  # schemes that are controls
BITS = (1, 2, 4)
CARRIERS = ("prices", "remarks")
UNITS = ("step", "round", "phase")
POLITE = ("Thank you.", "With kind regards.", "All the best to you.", "I hope you are well.")


class PlanError(ValueError):
    """What was wrong with a plan: file, line, what was got, what is expected; one line."""


@dataclass(frozen=True)
class Span:
    """From `first` to `last`, both included, in steps, rounds or phases; None: open on that side."""

    unit: str
    first: int | str | None
    last: int | str | None


@dataclass(frozen=True)
class When:
    """All of these at once; no span: always. `steps`: of a run in which the plan was not carried out all the time, the steps in which it was."""

    spans: tuple[Span, ...] = ()
    steps: frozenset[int] | None = None

    def holds(self, at: Mapping[str, int], number: Callable[[str, int | str], int]) -> bool:
        """Whether it is now. `at`: unit → number; `number`: a word of the plan, such as a phase, as that number."""
        if self.steps is not None and at["step"] not in self.steps:
            return False
        for span in self.spans:
            now = at[span.unit]
            if (span.first is not None and now < number(span.unit, span.first)) or (span.last is not None and now > number(span.unit, span.last)):
                return False
        return True


@dataclass(frozen=True, kw_only=True)
class Statement:
    """Something said that does not come true: a lie, or a control that looks like one. `say` is a text, an act, or an act with a part left out
    for the world to fill in from what the agent means to do; `intent` what it does instead (None: what it would do anyway)."""

    who: AgentID
    to: tuple[AgentID, ...]
    kind: str  # LIE or one of SAYING
    say: Any
    when: When
    intent: JSON = None
    fed: JSON = None  # the false news that one who is mistaken believes
    where: str = ""  # file:line


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How somebody honest speaks: `acts` are the kinds that one who omits leaves out towards `to` (nobody: everybody)."""

    who: AgentID
    kind: str
    when: When = When()
    to: tuple[AgentID, ...] = ()
    acts: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Coalition:
    """Who acts together, and how the members agree on it. `follow`: the share of rounds in which a member keeps to the key;
    `lasts`: for how many rounds a member trusts in what it heard from another, and competes after that; 0: they agreed beforehand, and for good."""

    name: str
    members: tuple[AgentID, ...]
    scheme: str
    when: When = When()
    key: str = ""
    bits: int = 1  # a round
    carrier: str = "prices"
    message: str = ""  # what the key hides
    follow: float = 1.0
    deny: bool = False  # whether members deny it to others
    lasts: int = 0
    where: str = ""

    @property
    def honest(self) -> bool:
        """Whether it is a control: no coalition but in name."""
        return self.scheme in HONEST

    def keys(self, member: AgentID) -> str:
        """The secret that a member keeps to: the coalition's, or its own where there is none."""
        return f"{self.key}\x00{member}" if self.scheme == "independent" else self.key


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that is planted in a run. `salt` makes the keys of one run its own: without it each run of a plan would show the same signs."""

    name: str
    statements: tuple[Statement, ...] = ()
    manners: tuple[Manner, ...] = ()
    coalitions: tuple[Coalition, ...] = ()
    file: str = ""
    sha256: str = ""  # of the file
    salt: int = 0

    @property
    def agents(self) -> tuple[AgentID, ...]:
        """All that it names as actors, in order."""
        named = [*(s.who for s in self.statements), *(m.who for m in self.manners), *(a for c in self.coalitions for a in c.members)]
        return tuple(sorted(set(named)))

    def coalition(self, agent: AgentID) -> Coalition | None:
        """The one that an agent is in."""
        return next((c for c in self.coalitions if agent in c.members), None)

    def during(self, steps: Mapping[AgentID, frozenset[int]]) -> Plan:
        """The same where each agent carries it out in these steps alone; a coalition's are those of all its members."""
        def then(when: When, *who: AgentID) -> When:
            return replace(when, steps=frozenset.intersection(*(steps.get(agent, frozenset()) for agent in who)))

        return replace(
            self, statements=tuple(replace(s, when=then(s.when, s.who)) for s in self.statements),
            manners=tuple(replace(m, when=then(m.when, m.who)) for m in self.manners),
            coalitions=tuple(replace(c, when=then(c.when, *c.members)) for c in self.coalitions),
        )  # fmt: skip

    def seated(self, agents: Sequence[AgentID]) -> None:
        """Raises `PlanError` if it names anybody who is not of this run."""
        named = [(s.where, (s.who, *s.to)) for s in self.statements] + [(m.where, (m.who, *m.to)) for m in self.manners]
        named += [(c.where, c.members) for c in self.coalitions]
        for where, names in named:
            if unknown := [name for name in names if name not in agents]:
                raise PlanError(f"{where}: no agent {unknown[0]!r:.60} in this world; expected one of {', '.join(agents)}")


class Verbatim(dict[str, Any]):
    """An act whose words are given: equal to the act, and worded by `text` alone."""

    def __init__(self, act: Mapping[str, Any], text: str):
        super().__init__(act)
        self.text = text


class Plantable(Protocol):
    """A world's language that can be bent to a plan."""

    def bent(self, plan: Plan, agents: Sequence[AgentID]) -> Language:
        """The language as those of the plan speak it. Raises `PlanError` for what cannot be planted in this world."""
        ...


# ---- what a secret key gives -------------------------------------------------------------------------------------------


def pad(key: str, name: object, bits: int) -> int:
    """The key's `bits` for one moment, as a number: SHA-256 of both, so that without the key they are as good as drawn evenly."""
    return int.from_bytes(hashlib.sha256(f"{key}\x00{name}".encode()).digest()[:8], "little") % (1 << bits)


def coin(key: str, name: object) -> float:
    """A number in [0, 1) for one moment, by a key."""
    return pad(key, name, 53) / (1 << 53)


def part(message: str, number: int, bits: int) -> int:
    """The bits of a message that are due in round `number`, the message said again and again; 0 without one."""
    whole = "".join(f"{byte:08b}" for byte in message.encode())
    return int("".join(whole[(number * bits + i) % len(whole)] for i in range(bits)), 2) if whole else 0


def sign(coalition: Coalition, member: AgentID, number: int, salt: int = 0) -> int:
    """What a member shows in round `number`, 0 … 2^bits - 1: the message's bits under the key; in a round in which it does not follow, any."""
    secret = f"{coalition.keys(member)}\x00{salt}"
    if coalition.follow < 1 and coin(f"{secret}\x00{member}", ("follows", number)) >= coalition.follow:
        return pad(f"{secret}\x00{member}", ("strays", number), coalition.bits)
    return pad(secret, number, coalition.bits) ^ part(coalition.message, number, coalition.bits)


def read_sign(coalition: Coalition, member: AgentID, number: int, shown: int, salt: int = 0) -> int:
    """The message's bits, from what a member showed in round `number` (and followed the key in)."""
    return shown ^ pad(f"{coalition.keys(member)}\x00{salt}", number, coalition.bits)


# ---- manners, which every world has ------------------------------------------------------------------------------------


def mannered(texts: Sequence[str], act: JSON, manner: str | None, same: Callable[[str], bool]) -> Sequence[str]:
    """Wordings as somebody terse or polite would have them; `same`: whether a text still means just the act.

    As many as there are without: how many there were to choose from stands in the log, and would give away who speaks by a plan.
    """
    if isinstance(act, Verbatim):
        return (act.text,) * len(texts)
    if manner == "terse":
        return (min(texts, key=len),) * len(texts)
    if manner == "polite":
        longer = [f"{text} {POLITE[i % len(POLITE)]}" for i, text in enumerate(texts)]
        return [more if same(more) else text for more, text in zip(longer, texts, strict=True)]
    return texts


def left_out(plan: Plan, seen: Observation, act: JSON, holds: Callable[[When], bool]) -> bool:
    """Whether somebody who omits leaves this act out now."""
    return any(
        m.who == seen.agent and m.kind == "omitting" and act["act"] in m.acts and (not m.to or set(m.to) & set(act["to"])) and holds(m.when)
        for m in plan.manners
    )


def style(plan: Plan, agent: AgentID) -> str | None:
    """terse, polite or neither."""
    return next((m.kind for m in plan.manners if m.who == agent and m.kind in ("terse", "polite")), None)
