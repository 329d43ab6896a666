"""The honest twin of a market run, from its log alone: what the same sellers would have charged had nobody carried out a plan.

From the first step on the market's own language is asked again for every seller. Who may write when, shocks, costs, and what each hand was off by
are the run's, for they hang on no word and no price; words and prices follow from the rules. A seller whom the plan does not name, and whose
intents in the run are not what the language has for it (a person, another policy), keeps the words and prices that it had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agents.memory import AgentMemory
from agents.planting import Plan
from agents.policies.scripted import Options, ScriptedPolicy
from agents.types import Action, Message, Observation, Turn
from scenarios.labels import Step
from scenarios.market.environment import Market, State, read_price
from scenarios.market.seller import DECIMALS, WILLING
from sociallm.conversation import AgentID

SOLD = ("sales", "award")  # what the event of a round that was played to its end is called
Asked = Mapping[AgentID, float]  # seller → price or bid


def honest(market: Market, plan: Plan, steps: Sequence[Step]) -> list[Asked]:
    """Of each round that was played to its end: what everybody charges, or bids, in the twin."""
    others = [agent for agent in market.agents if agent not in plan.agents]
    _, as_told = played(market, steps, others, in_the_run=True)
    return played(market, steps, [agent for agent in market.agents if as_told.get(agent, True)])[0]


def played(market: Market, steps: Sequence[Step], asked: Collection[AgentID], in_the_run: bool = False) -> tuple[list[Asked], dict[AgentID, bool]]:
    """(what all charge by round, of each asked whether all its intents were those of the run). Those `asked` decide by the language, all others as
    they did; `in_the_run`: after what was truly said and charged, by themselves too."""
    policy, chance = ScriptedPolicy(market.language, Options(vary=False)), np.random.default_rng(0)  # which chooses among remarks, that mean nothing
    memories, boxes = dict.fromkeys(asked, AgentMemory()), dict.fromkeys(asked, tuple[Message, ...]())
    channels, as_told, found = {channel.name: channel for channel in market.channels}, dict.fromkeys(asked, True), list[Asked]()
    sold = [event for step in steps for event in step.events if event["what"] in SOLD]
    state, plays = _first(market, steps, sold), market.options.play
    mute = not any(plays.get(agent, plays.get("default")) in WILLING for agent in market.agents)
    for step in steps:
        event = next((event for event in step.events if event["what"] in SOLD), None)
        if event is None and mute:  # where no seller's play heeds a word, none need be said
            continue
        while event is not None and not market.window(state).move_due:  # the talks, of which a fork may have had more or fewer
            state = market.step(state, {}, chance).state
        actions: dict[AgentID, Action] = {}
        for agent in (agent for agent in step.acted if agent in memories):
            writes, view = tuple(channels[name] for name in step.writes.get(agent, ()) if name in channels), market.observe(state, agent)
            seen = Observation(agent=agent, step=step.number, time=0, heard=boxes[agent], may_write=writes, move_due=event is not None, view=view)
            ((actions[agent], memories[agent]),) = policy.step([Turn(observation=seen, memory=memories[agent], rng=chance)])
            as_told[agent] &= actions[agent].intent == step.intents.get(agent)
            boxes[agent] = ()
        own = () if in_the_run else asked
        _deliver([m for m in step.messages if m.author not in own] + [m for a in own if a in actions for m in _meant(actions[a])], boxes)
        if event is not None:
            charged = _charged(event)
            found.append({a: _price(actions[a], step.intents.get(a), charged[a]) if a in actions else charged[a] for a in market.agents})
            after = market.step(state, charged if in_the_run else dict(found[-1]), chance).state
            state = _drawn(market, after, sold[len(found)]) if len(found) < len(sold) else after
    return found, as_told


def _charged(event: Mapping[str, Any]) -> Mapping[AgentID, float]:
    return dict(event["prices" if event["what"] == "sales" else "bids"])


def _price(action: Action, told: Any, charged: float) -> float:
    """What a seller charges that intends this: so much, and what its hand was off by in the run, where it meant `told` and charged `charged`."""
    meant = read_intent(told)
    return round(max(float(next(iter(action.intent))) + (0.0 if meant is None else charged - meant), 0.0), DECIMALS)


def read_intent(told: Any) -> float | None:
    """The price of an intent; None where it is not one price, as a foreign policy's may not be."""
    try:
        return read_price(float(next(iter(told)))) if isinstance(told, dict) and len(told) == 1 else None
    except ValueError:
        return None


def _meant(action: Action) -> list[Message]:
    """The messages of an action that mean anything."""
    return [m for m, wording in zip(action.messages, action.wording, strict=True) if wording["act"]["act"] != "remark"]  # type: ignore[call-overload, index]


def _deliver(messages: Sequence[Message], boxes: dict[AgentID, tuple[Message, ...]]) -> None:
    for message in messages:
        for agent in message.channel.readers - {message.author}:
            if agent in boxes:
                boxes[agent] += (message,)


def _first(market: Market, steps: Sequence[Step], sold: Sequence[Mapping[str, Any]]) -> State:
    """The state before the first step: of what was drawn there, what the log tells."""
    session = next((int(event["session"]) for step in steps[:1] for event in step.events if "session" in event), 0)
    return _drawn(market, State(costs=market.demand.cost, session=session), sold[0]) if sold else State(costs=market.demand.cost)


def _drawn(market: Market, state: State, event: Mapping[str, Any]) -> State:
    """The state with the costs and the shock of a round, as its event has them."""
    o = market.options
    if event["what"] == "sales":
        return replace(state, shock=float(event.get("shock", 0.0)))
    job = 1 - (1 - float(event["top"]) / o.reserve) / o.alike if "top" in event else 0.0
    return replace(state, costs=tuple(float(event["costs"][agent]) for agent in market.agents), shock=job)
