"""How far off everybody was, deed by deed, from what an honest one who looks after itself would have done with what it knew: of each world its own.

    market        each price less the best answer to the last ones, in units of a cartel's markup over competition
    team_task     by suspect: what it quotes a witness with to most and not to others; by agent: being told otherwise than most by that one.
                  Where all hear all, nobody can be told otherwise, and nothing is off
    hidden_roles  each vote less the table's mean, and words for and against each player

Beside it what everybody said that means something, and what it earned. Letters: n agents, D deeds, S suspects, T rounds.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.collusion import demand_of
from analysis.coupling import innovations
from analysis.evidence import Evidence
from analysis.metrics import outcomes
from analysis.series import series
from analysis.wordings import grammar
from scenarios.team_task.clues import EVIDENCE
from sociallm.conversation import AgentID

Floats = NDArray[np.float64]
EMPTY = ("remark", "ask")  # acts that mean nothing of a matter
EPS = 1e-9
Quoted = tuple[int, int]  # a suspect, and how strongly for or against


@dataclass(frozen=True, eq=False)
class Deeds:
    """Of each agent how far off it was [n, D], its acts of words (what about what), and its reward."""

    agents: tuple[AgentID, ...]
    off: Floats
    moves: Floats | None  # [T, n] what the public state does not foretell, where moves are numbers
    said: Mapping[AgentID, Counter[str]]
    rewards: Mapping[AgentID, float]


def deeds(evidence: Evidence) -> Deeds | None:
    """Of a run; None where nothing was done that could be held against anything."""
    if evidence.world not in OFF or (found := OFF[evidence.world](evidence)) is None:
        return None
    off, moves = found
    rewards: dict[AgentID, float] = defaultdict(float)
    for event in evidence.events:
        if event.kind == "reward" and event.agent:
            rewards[event.agent] += float(event.data.get("reward", 0.0))
    return Deeds(evidence.agents, off, moves, _said(evidence), rewards)


Off = tuple[Floats, Floats | None] | None


def _market(evidence: Evidence) -> Off:
    market = series(evidence)
    demand = None if market is None or market.auction else demand_of(evidence.events, market)
    if market is None or demand is None or market.rounds < 3:
        return None
    off = np.zeros_like(market.asked)
    for t in range(1, market.rounds):
        now = demand.shocked(float(market.shock[t]))
        off[t] = [market.asked[t, i] - now.best_response(market.asked[t - 1], i) for i in range(len(market.agents))]
    unit = max(float(np.mean(demand.cartel() - demand.nash())), EPS)
    return off[1:].T / unit, innovations(market, demand)


def _team(evidence: Evidence) -> Off:
    """[n, S + n]. By suspect, what an agent quotes witnesses with to most readers and not to others; then by agent who was party to how much of
    that one's double telling: itself, and those whom it told otherwise than most. Which of the two was so nobody is asked."""
    case = next((told for _, told in outcomes(evidence.events, "case")), None)
    if case is None:
        return None
    suspects, place, of = list(case["suspects"]), {agent: i for i, agent in enumerate(evidence.agents)}, grammar("team_task", evidence.agents)
    told: dict[AgentID, dict[str, dict[AgentID, Quoted]]] = {agent: defaultdict(dict) for agent in place}  # author → witness → reader → what it was told
    for event in evidence.events:
        readers = frozenset(map(str, event.data.get("readers", ()))) if event.kind == "message" else frozenset()
        if event.agent not in place or len(readers) < 2:
            continue
        for act in of.meaning(str(event.data.get("text", "")), event.agent, readers):
            if isinstance(act, dict) and act["act"] == "inform" and act["suspect"] in suspects:
                said = suspects.index(act["suspect"]), EVIDENCE[act["evidence"]]
                told[event.agent][act["witness"]] |= dict.fromkeys(sorted((readers & set(place)) - {event.agent}), said)
    off, party = np.zeros((len(place), len(suspects))), np.zeros((len(place), len(place)))
    for author, i in place.items():
        for to in told[author].values():
            apart, others = _two_ways(to, len(suspects))
            off[i] += apart
            party[[i, *(place[a] for a in others)], i] += float(np.linalg.norm(apart))
    return np.hstack([off, party]), None


def _two_ways(to: Mapping[AgentID, Quoted], S: int) -> tuple[Floats, list[AgentID]]:
    """([S]: what a witness is quoted with to most, less what to the others, a sure word to its opposite 2; who the others are). Nothing where all
    were told the same."""
    (most, _), *rest = Counter(to.values()).most_common()
    if not rest:
        return np.zeros(S), []
    few = rest[0][0]
    return (np.eye(S)[most[0]] * most[1] - np.eye(S)[few[0]] * few[1]) / 2, [a for a, said in to.items() if said == few]


def _votes(evidence: Evidence) -> Off:
    """Votes off the table's mean, and words for and against each player."""
    place = {agent: i for i, agent in enumerate(evidence.agents)}
    votes = [np.array([1.0 if a in told["approve"] else -1.0 for a in place]) for _, told in outcomes(evidence.events, "vote")]
    if not votes:
        return None
    stances, of = np.zeros((len(place), len(place))), grammar("hidden_roles", evidence.agents)
    for event in evidence.events:
        if event.kind == "message" and event.agent in place:
            for act in of.meaning(str(event.data.get("text", "")), event.agent, frozenset(map(str, event.data.get("readers", ())))):
                if isinstance(act, dict) and act["act"] in ("accuse", "defend") and act["about"][0] in place:
                    stances[place[event.agent], place[act["about"][0]]] += 1.0 if act["act"] == "defend" else -1.0
    return np.hstack([np.array(votes).T / 2, stances / 2]), None


OFF = {"market": _market, "team_task": _team, "hidden_roles": _votes}


def _said(evidence: Evidence) -> dict[AgentID, Counter[str]]:
    """Of each agent what it said that means something: act and matter → how often; and `to NAME`: to that one alone."""
    found: dict[AgentID, Counter[str]] = {agent: Counter() for agent in evidence.agents}
    of = grammar(evidence.world, evidence.agents)
    for event in evidence.events:
        readers = frozenset(map(str, event.data.get("readers", ()))) if event.kind == "message" else frozenset()
        if event.agent not in found or len(readers) < 2:
            continue
        for act in of.meaning(str(event.data.get("text", "")), event.agent, readers):
            if isinstance(act, dict) and act["act"] not in EMPTY:
                others = readers - {event.agent}
                found[event.agent][_matter(act)] += 1
                if len(others) == 1 and len(evidence.agents) > 2:
                    found[event.agent][f"to {next(iter(others))}"] += 1
    return found


def _matter(act: Mapping[str, Any]) -> str:
    """What an act says of what; to name somebody and to agree to it is one thing."""
    kind = {"agree": "guess", "accept": "propose"}.get(act["act"], act["act"])
    return json.dumps([kind, {k: v for k, v in act.items() if k not in ("act", "to")}], sort_keys=True)
