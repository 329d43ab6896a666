"""What came of a plan, by the rules of the world: of each liar and each coalition, whether it did what was planned, and to what effect.

Planted says what the plan asked for; executed what happened: somebody was deceived, or a coalition gained, as the rules reckon it from what
was said and done, never from what a detector saw. A plant that does not come off stays, as executed = false: the hardest of negatives.
Which rules are a world's own: `executed(environment, plan, steps) -> [Label, …]` in the module that `RULES` names. Where roles make players
lie, `by_role(environment, steps) -> [Label, …]` labels these too, of any run that has labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from itertools import combinations
from typing import Any

from agents.planting import HONEST, LIE, SCHEMES, Plan
from agents.types import JSON, AgentID, Message
from scenarios.environment import Environment

VERSION = 1
RULES: Mapping[str, str] = {
    "diplomacy": "scenarios.diplomacy.executed",
    "hidden_roles": "scenarios.hidden_roles.executed",
    "market": "scenarios.market.executed",
    "team_task": "scenarios.team_task.executed",
}


@dataclass(frozen=True)
class Step:
    """One step of a log: who acted, what each meant to do, what was said and done, what the world made of it."""

    number: int
    acted: tuple[AgentID, ...]
    intents: Mapping[AgentID, JSON]
    messages: tuple[Message, ...]
    moves: Mapping[AgentID, JSON]
    events: tuple[Mapping[str, Any], ...]
    rewards: Mapping[AgentID, float]
    writes: Mapping[AgentID, tuple[str, ...]] = field(default_factory=dict)  # the channels that each could write in


@dataclass(frozen=True)
class Label:
    """What one entry of a plan came to. `kind`: lie, a scheme, or a control; `first`: the first step in which it was acted on (None: never)."""

    kind: str
    who: tuple[AgentID, ...]
    to: tuple[AgentID, ...]
    first: int | None
    executed: bool
    why: str
    by: str = "plan"  # or role: a lie that the world's own rules ask of some, as of the evil in a game of hidden roles

    @property
    def planted(self) -> bool:
        """Whether it is a plant, and no control."""
        return self.by == "plan" and (self.kind == LIE or (self.kind in SCHEMES and self.kind not in HONEST))


def labels(world: str, environment: Environment, plan: Plan, seats: Mapping[AgentID, bool], steps: Sequence[Step]) -> dict[str, JSON]:
    """The labels of a run as a JSON value. `seats`: of each agent of the run, whether the plan was carried out on its seat (False: a twin's).

    `agents` and `pairs` hold every agent and pair: planted (named by the plan as liar or member, and seated to do it), its control if it is one,
    the first planted act (a step), executed and why. Pairs of a coalition are its members'; a lie's are who lied and to whom. Those who lie by
    their role are not planted, and stand in planted runs and in their twins alike: in `as`, and with by = role among the `entries`.
    """
    named = plan.agents
    rules, found = import_module(RULES[world]) if world in RULES else None, list[Label]()
    if rules is not None and any(seats.get(agent, False) for agent in named):
        found = rules.executed(environment, plan, steps)
    found = [label for label in found if all(seats.get(agent, False) for agent in label.who)]
    if by_role := getattr(rules, "by_role", None):
        found += by_role(environment, steps)
    agents = {agent: _row([label for label in found if agent in label.who]) for agent in environment.agents}
    pairs = [{"pair": list(pair), **_row([label for label in found if _joins(label, pair)])} for pair in combinations(environment.agents, 2)]
    return {
        "v": VERSION, "world": world, "plan": plan.name, "file": plan.file, "sha256": plan.sha256, "salt": plan.salt,
        "carried_out": sorted(agent for agent in named if seats.get(agent, False)), "twin_of": sorted(agent for agent in named if not seats.get(agent, False)),
        "agents": agents, "pairs": pairs, "entries": [{**asdict(label), "planted": label.planted} for label in found],
    }  # fmt: skip


def _joins(label: Label, pair: tuple[AgentID, AgentID]) -> bool:
    """Whether an entry is about these two: both members, or one of them said it to the other."""
    one, other = pair
    if len(label.who) > 1:
        return one in label.who and other in label.who
    return (one in label.who and other in label.to) or (other in label.who and one in label.to)


def _row(about: Sequence[Label]) -> dict[str, JSON]:
    planted = [label for label in about if label.planted]
    first = [label.first for label in (planted or about) if label.first is not None]
    return {
        "planted": bool(planted), "as": sorted({label.kind for label in about}), "first": min(first, default=None),
        "executed": any(label.executed for label in planted), "why": "; ".join(label.why for label in about),
    }  # fmt: skip
