"""The team task as a world: each member is told its clues, windows in which members may talk, then everybody says who it was.

What all know: the members, the suspects, the public clues, who reaches whom. What one alone knows, its private clues, it is told in a window before
the first, in its own words and in a channel that it alone reads. A move is a suspect, or how likely each is: {suspect: weight}; the answer that
counts is the likeliest, one of the likeliest at random where they tie. A move that is neither is no answer, and an event says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.types import JSON
from scenarios.environment import Outcome, Window
from scenarios.team_task import network
from scenarios.team_task.clues import EVIDENCE, Case, Clue, draw, likelihood, posterior
from scenarios.team_task.member import DECIMALS, TELLS
from scenarios.team_task.mind import likeliest
from scenarios.team_task.plantable import PlantableTeam
from scenarios.team_task.talk import SUSPECTS, WITNESSES, Talk, numbered
from sociallm.conversation import AgentID, Channel, Message

BRIEFING = -1  # the window before the first, in which members are told their clues
MOST_MEMBERS, MOST_SUSPECTS, MOST_CLUES = 256, 64, 2048  # of all clues together
WORDS = {code: word for word, code in EVIDENCE.items()}


@dataclass(frozen=True)
class Options:
    """What YAML may say of this world."""

    members: int = 5
    suspects: int = 5
    clues: int = 4  # that each member alone knows
    public: int = 1  # that all know
    reliability: float = 0.8  # how often a witness who is sure is right; one who is not: half-way between that and 1/2
    network: str = "ring"  # or star, complete, list
    links: list[str] = field(default_factory=list)  # of network: list, such as M1-M2
    reach: str = "neighbours"  # whom a message reaches: all of one's neighbours; pairs: one neighbour; room: everybody
    talks: int = 4  # rounds of talk
    tell: str = "targeted"  # which fact a member tells: all, one after another; targeted: what brings the others nearest; published; random
    relay: bool = False  # whether it passes on what it has heard
    opinions: bool = True  # whether it also says whom it thinks it was, asks and makes small talk
    alpha: float = 0.95  # theory-of-mind ability: how much the minds of others count for one's answer
    window_ms: int = 60_000  # simulated time of one window


@dataclass(frozen=True)
class State:
    """Where a team stands: the case, and how many windows have passed since the briefing."""

    case: Case
    window: int = BRIEFING


@dataclass(frozen=True)
class TeamTask:
    """The world; holds its options and what follows from them, and nothing that changes."""

    options: Options

    @cached_property
    def agents(self) -> tuple[AgentID, ...]:
        """M1, M2, …"""
        return tuple(f"M{i + 1}" for i in range(self.options.members))

    @cached_property
    def suspects(self) -> tuple[str, ...]:
        """Their names."""
        return numbered(SUSPECTS, self.options.suspects)

    @cached_property
    def witnesses(self) -> tuple[str, ...]:
        """Who says what the clues say: one for each clue."""
        return numbered(WITNESSES, self.options.public + self.options.members * self.options.clues)

    @cached_property
    def language(self) -> PlantableTeam:
        """What members can do and say, and what a plan can make of it."""
        o = self.options
        talk, each = Talk(self.suspects, self.witnesses), len(self.turns) // max(o.talks, 1)
        return PlantableTeam(talk, each=each, talks=o.talks, near=self.near, reach=o.reach, own=o.clues)

    @cached_property
    def near(self) -> network.Neighbours:
        """Member → its neighbours; in a room all others."""
        o = self.options
        kind = "complete" if o.reach == "room" else o.network
        return network.neighbours(self.agents, network.links(kind, self.agents, o.links))

    @cached_property
    def turns(self) -> tuple[network.Turn, ...]:
        """The windows of all rounds of talk."""
        return tuple(network.turns(self.options.reach, self.near)) * self.options.talks

    def start(self, rng: np.random.Generator) -> State:
        """Before the briefing: a culprit and clues are drawn."""
        o = self.options
        return State(draw(rng, o.suspects, o.members, o.clues, o.public, o.reliability))

    def window(self, state: State) -> Window:
        """The briefing, a talk, or the answers."""
        at, ms = state.window, self.options.window_ms
        if at == BRIEFING:
            return Window(agents=(), start=0, end=0)
        due = at == len(self.turns)
        turn = network.Turn(self.agents, ()) if due else self.turns[at]
        return Window(agents=turn.agents, start=at * ms, end=(at + 1) * ms, channels=turn.channels, move_due=due)

    def observe(self, state: State, agent: AgentID) -> Mapping[str, JSON]:
        """What a member knows."""
        o, case = self.options, state.case
        return {
            "me": agent, "members": list(self.agents), "suspects": list(self.suspects), "neighbours": list(self.near[agent]),
            "window": state.window, "windows": len(self.turns), "reliability": o.reliability,
            "public": [self.fact(c) for c in case.public], "private": [self.fact(c) for c in case.private[self.agents.index(agent)]],
            "tell": o.tell, "relay": o.relay, "opinions": o.opinions, "alpha": o.alpha,
        }  # fmt: skip

    def fact(self, clue: Clue) -> dict[str, str]:
        """A clue in words."""
        return {"witness": self.witnesses[clue.witness], "suspect": self.suspects[clue.suspect], "evidence": WORDS[clue.evidence]}

    def step(self, state: State, moves: Mapping[AgentID, JSON], rng: np.random.Generator) -> Outcome:
        """After the briefing and each talk the next window; after the answers the end."""
        after = replace(state, window=state.window + 1)
        if state.window == BRIEFING:
            return Outcome(state=after, messages=self._briefing(state.case), events=(self._told(state.case),))
        if state.window < len(self.turns):
            return Outcome(state=after)
        read = {a: read_answer(moves.get(a), self.suspects) for a in self.agents}
        chosen = {a: _top(p, self.suspects, rng) for a, p in read.items()}
        culprit = self.suspects[state.case.culprit]
        right = {a: chosen[a] == culprit for a in self.agents}
        events: list[dict[str, Any]] = [{"what": "no answer", "agent": a, "move": repr(moves.get(a))[:80]} for a in self.agents if read[a] is None]
        events.append({"what": "answers", "culprit": culprit, "answers": chosen, "beliefs": read, "right": right, "share": sum(right.values()) / len(right)})
        return Outcome(state=after, rewards={a: float(r) for a, r in right.items()}, events=tuple(events), done=True)

    def posterior(self, clues: Sequence[Clue]) -> dict[str, float]:
        """Suspect → its exact chance given these clues."""
        return dict(zip(self.suspects, posterior(clues, self.options.suspects, self.options.reliability).round(12).tolist(), strict=True))

    def _told(self, case: Case) -> dict[str, Any]:
        """What the answers are held against: the culprit, all clues, what they say together and what each member's say alone."""
        top = likeliest(posterior(case.clues, self.options.suspects, self.options.reliability))
        return {
            "what": "case", "culprit": self.suspects[case.culprit], "network": {a: list(n) for a, n in self.near.items()},
            "reliability": self.options.reliability, "public": [self.fact(c) for c in case.public],
            "private": {a: [self.fact(c) for c in own] for a, own in zip(self.agents, case.private, strict=True)},
            "posterior": self.posterior(case.clues), "solvable": bool(top[case.culprit] and top.sum() == 1),
            "alone": {a: self.posterior(case.known_to(i)) for i, a in enumerate(self.agents)},
        }  # fmt: skip

    def _briefing(self, case: Case) -> tuple[Message, ...]:
        """Each member's clues, private ones last, as messages to itself."""
        said = []
        for i, agent in enumerate(self.agents):
            alone = Channel(name=f"{agent}-SELF", readers=frozenset({agent}))
            for k, clue in enumerate(case.known_to(i)):
                fact = self.fact(clue)
                text = self.language.talk.texts(self.language.talk.act("inform", [], fact["suspect"], fact["evidence"], fact["witness"]))[0]
                said.append(Message(id=f"clue-{agent}-{k}", author=agent, channel=alone, time=0, text=text))
        return tuple(said)

    def to_json(self, state: State) -> JSON:
        """The state as a list."""
        case = state.case
        return [state.window, case.culprit, _listed(case.public), [_listed(own) for own in case.private]]

    def from_json(self, value: JSON) -> State:
        """The state that `to_json` gave."""
        window, culprit, public, private = value
        return State(Case(culprit, _clues(public), tuple(_clues(own) for own in private)), window)


def _listed(clues: Sequence[Clue]) -> list[list[int]]:
    return [[c.witness, c.suspect, c.evidence] for c in clues]


def _clues(rows: Sequence[Sequence[int]]) -> tuple[Clue, ...]:
    return tuple(Clue(*row) for row in rows)


def read_answer(move: JSON, suspects: Sequence[str]) -> dict[str, float] | None:
    """Suspect → how likely, of sum 1: from a name, or from weights of which not all are 0; None if it is neither."""
    if isinstance(move, str):
        move = {move: 1.0}
    if not isinstance(move, dict) or not move or not all(isinstance(name, str) and name in suspects for name in move):
        return None
    weights = list(move.values())
    if not all(isinstance(w, (int, float)) and not isinstance(w, bool) and math.isfinite(w) and 0 <= w <= 1e6 for w in weights) or sum(weights) < 1e-6:
        return None
    total = sum(weights)
    return {s: round(move.get(s, 0) / total, DECIMALS) for s in suspects}


def _top(p: Mapping[str, float] | None, suspects: Sequence[str], rng: np.random.Generator) -> str | None:
    if p is None:
        return None
    best = [s for s in suspects if p[s] >= max(p.values())]
    return best[int(rng.integers(len(best)))] if len(best) > 1 else best[0]


def make(options: Options) -> TeamTask:
    """The world. Raises ValueError in one line for options that make no team or no case that could be solved."""
    o = options
    clues = o.public + o.members * o.clues
    limits = (
        ("members", o.members, 2 <= o.members <= MOST_MEMBERS, f"2 to {MOST_MEMBERS}"),
        ("suspects", o.suspects, 2 <= o.suspects <= MOST_SUSPECTS, f"2 to {MOST_SUSPECTS}"),
        ("clues", o.clues, o.clues >= 0, "0 or more"), ("public", o.public, o.public >= 0, "0 or more"),
        ("clues and public", (o.clues, o.public), 1 <= clues <= MOST_CLUES, f"1 to {MOST_CLUES} clues in all: without one nobody could ever know"),
        ("network", o.network, o.network in network.NETWORKS, f"one of {', '.join(network.NETWORKS)}"),
        ("reach", o.reach, o.reach in network.REACH, f"one of {', '.join(network.REACH)}"),
        ("tell", o.tell, o.tell in TELLS, f"one of {', '.join(TELLS)}"), ("talks", o.talks, 0 <= o.talks <= 10_000, "0 to 10000"),
        ("alpha", o.alpha, 0 <= o.alpha <= 1, "a number from 0 to 1"), ("window_ms", o.window_ms, o.window_ms >= o.members, "a ms for each member or more"),
        ("links", o.links, bool(o.links) == (o.network == "list"), "the pairs of network: list such as [M1-M2, M2-M3], and none of another network"),
    )  # fmt: skip
    for name, value, good, expected in limits:
        if not good:
            raise ValueError(f"{name} is {value!r:.60}; expected {expected}")
    likelihood(o.reliability)
    task = TeamTask(o)
    _ = task.near
    return task
