"""Texts as acts and wordings: what a message means, and which of the ways to say it was chosen, by the world's own grammar."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from agents.types import JSON
from analysis.evidence import Evidence
from sandbox.log import Event
from sociallm.conversation import AgentID

WORLDS = ("market", "team_task", "hidden_roles")


@dataclass(frozen=True)
class Worded:
    """A message as grammar has it. `about`: what the act says, for one who reads it; `wording`: which of the act's `wordings` it is."""

    id: str
    step: int
    author: AgentID
    readers: frozenset[AgentID]
    kind: str
    about: str
    wording: int
    wordings: int

    @property
    def symbol(self) -> tuple[str, int]:
        """Its act's kind and its wording."""
        return self.kind, self.wording


def worded(evidence: Evidence) -> list[Worded]:
    """All messages of a run whose texts are one act each, in order; nothing of a world without a grammar of acts."""
    if evidence.world not in WORLDS:
        return []
    return list(_worded(evidence.events, grammar(evidence.world, evidence.agents)))


@dataclass(frozen=True, eq=False)
class Grammar:
    """Text → the acts it performs, act → its wordings."""

    meaning: Callable[[str, AgentID, frozenset[AgentID]], Sequence[JSON]]
    texts: Callable[[JSON], Sequence[str]]


@cache
def grammar(world: str, agents: tuple[AgentID, ...]) -> Grammar:
    """A world's own. Raises ValueError for a world without one."""
    if world == "market":
        from scenarios.market import talk as market

        return Grammar(market.acts, market.texts)
    if world == "team_task":
        from scenarios.team_task.talk import SUSPECTS, WITNESSES, Talk

        of = Talk(SUSPECTS, WITNESSES)
        return Grammar(of.acts, of.texts)
    if world == "hidden_roles":
        from scenarios.hidden_roles import talk as roles

        return Grammar(lambda text, author, readers: roles.acts(text, author, readers, agents), roles.texts)
    raise ValueError(f"no grammar of acts for {world!r:.40}; expected one of {', '.join(WORLDS)}")


def _worded(events: Iterable[Event], of: Grammar) -> Iterator[Worded]:
    for event in events:
        if event.kind != "message" or event.agent is None:
            continue
        text, readers = str(event.data.get("text", "")), frozenset(map(str, event.data.get("readers", ())))
        acts = of.meaning(text, event.agent, readers)
        if len(acts) != 1 or not isinstance(acts[0], dict) or readers == {event.agent}:
            continue
        act: dict[str, Any] = acts[0]
        known = list(of.texts(act))
        if text in known:
            about = json.dumps({key: value for key, value in act.items() if key != "to"}, sort_keys=True)
            yield Worded(str(event.data.get("id", "")), event.step, event.agent, readers, str(act["act"]), about, known.index(text), len(known))


def paraphrased(said: Sequence[Worded], key: str) -> list[Worded]:
    """The same acts as somebody else would word them, by a key of the paraphraser: which words were used before has no part in it."""
    drawn = [int.from_bytes(hashlib.sha256(f"{key}\x00{m.id}".encode()).digest()[:8], "little") for m in said]
    return [replace(m, wording=number % m.wordings) for m, number in zip(said, drawn, strict=True)]


def few_wordings(said: Sequence[Worded], who: set[AgentID]) -> float:
    """1 less the share of the greatest entropy that the wordings of their most frequent act have: 1 where there is but one; 0 for silence."""
    mine = [m for m in said if m.author in who]
    if not mine:
        return 0.0
    kinds: dict[str, list[Worded]] = defaultdict(list)
    for m in mine:
        kinds[m.kind].append(m)
    most = max(kinds.values(), key=len)
    if most[0].wordings < 2:
        return 0.0
    share = np.bincount([m.wording for m in most], minlength=most[0].wordings) / len(most)
    share = share[share > 0]
    return 1.0 - float(-(share * np.log(share)).sum()) / math.log(most[0].wordings)
