"""A run, in reading order: the schedule says who acts when, the hosts where, the world what follows, the log what happened."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from agents.doors import CLOSED, Doors
from agents.types import JSON, Action, Observation
from sandbox.chance import WORLD, stream
from sandbox.changes import NOTHING, Changes
from sandbox.config import Setting
from sandbox.host import NOTHING_KNOWN
from sandbox.hosts import Executor, LocalExecutor, RayExecutor
from sandbox.log import EventLog
from sandbox.made import made
from sandbox.monitor import Monitor
from sandbox.record import logged_action, step_events
from sandbox.rights import Fault, permitted
from sandbox.schedule import Schedule, Slot
from sandbox.snapshot import Snapshot
from sandbox.spent import UNSPENT, Spent
from scenarios.environment import Environment, Outcome, State, Window
from sociallm.conversation import AgentID, Message


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a run stands between two steps. The agents' memories are with the hosts; `taken` grows in place."""

    step: int  # the last one played; -1 before the first
    time: int
    done: bool = False  # the world is
    world: State
    mailboxes: Mapping[AgentID, tuple[Message, ...]]  # delivered since it last acted
    taken: set[str]  # ids of all messages so far
    spent: Spent = UNSPENT


Told = Callable[[Moment, Outcome, int], None]
Keep = Callable[[Moment, bool], None]


def executor(setting: Setting, tell: Callable[[str], None] = lambda _: None, doors: Doors = CLOSED) -> Executor:
    """Where the agents of a run will think. `doors`: what is open to those whose answers come from outside."""
    if setting.config.executor == "local" or setting.cast.outside.issuperset(setting.cast.seats):
        return LocalExecutor(setting.cast, doors)
    return RayExecutor(setting.cast, setting.config.hosts, setting.config.ray.address, tell, doors)


def start(setting: Setting) -> Moment:
    """The moment before the first step."""
    world = setting.environment.start(stream(setting.config.seed, WORLD, "start", 0))
    return Moment(step=-1, time=0, world=world, mailboxes=dict.fromkeys(setting.environment.agents, ()), taken=set())


def play(
    setting: Setting, hosts: Executor, log: EventLog, now: Moment, told: Told, halt: Callable[[], bool], keep: Keep, changes: Changes = NOTHING
) -> tuple[str, str | None]:  # fmt: skip
    """Play on from `now` until the world is done, the budget is spent, or `halt` says so between two steps: how it ended ("done", "limit",
    "interrupted"), and which limit.

    `told` hears of every step; `keep` takes a snapshot of a moment, and is told whether it is the last. Steps that stand in the log
    already are played to their end before anything halts.
    """
    schedule = Schedule(setting.config.seed, setting.environment.agents)
    every = setting.config.snapshots.every
    with seldom_collecting():
        monitor = Monitor(setting, hosts, log, changes)
        limit = None if log.repeating else now.spent.over(setting.config.budget, len(now.taken))
        while not now.done and limit is None:
            now, outcome, tokens = step(setting, schedule, hosts, monitor, now, monitor.changes)
            if not now.done:
                monitor.act(now.step + 1)
            told(now, outcome, tokens)
            limit = None if log.repeating else now.spent.over(setting.config.budget, len(now.taken))
            last = outcome.done or limit is not None or (halt() and not log.repeating)
            if last or (every and (now.step + 1) % every == 0):
                keep(now, last)
            if last:
                break
    return ("done", None) if now.done else ("interrupted", None) if limit is None else ("limit", limit)


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for cyclic garbage after 100,000 new values, not after 700: a step makes many, in no cycles, and each look goes through them all."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def step(setting: Setting, schedule: Schedule, hosts: Executor, log: EventLog | Monitor, before: Moment, changes: Changes) -> tuple[Moment, Outcome, int]:
    """The next step: observe, act, move, deliver, log. Beside the moment after it: what followed, and how many tokens a model worded."""
    world, seed, number, taken = setting.environment, setting.config.seed, before.step + 1, before.taken
    window, slots, observations = observed(world, schedule, before, changes)
    logged = log.ahead(number) if setting.cast.outside else []
    known = {agent: logged_action(agent, logged) for agent in sorted(setting.cast.outside)} if logged else NOTHING_KNOWN
    proposed = hosts.act(observations, known) if known else hosts.act(observations)
    actions: dict[AgentID, Action] = {}
    faults: list[Fault] = []
    for seen in observations:
        action = changes.action(proposed[seen.agent]) if changes.withheld else proposed[seen.agent]
        actions[seen.agent], found = permitted(seen, action, schedule.names, taken, seen.agent in setting.cast.outside)
        if found:
            faults += found

    moves: dict[AgentID, JSON] = {agent: actions[agent].move for agent in proposed}  # which is ordered by agent
    outcome = changes.outcome(world.step(before.world, moves, stream(seed, WORLD, "step", number)), number)
    messages = in_order([message for slot in slots for message in actions[slot.agent].messages], outcome)
    taken |= {message.id for message in messages}
    memory = hosts.deliver(messages, setting.config.measure.surprise)
    log.commit(step_events(number, window, slots, observations, actions, faults, messages, outcome, memory))
    tokens = sum(n for action in actions.values() if action.wording for w in action.wording if isinstance(n := w.get("tokens"), int))
    spent = before.spent.after_all(actions.values()) if setting.cast.outside else before.spent
    now = dataclasses.replace(before, mailboxes=delivered(before.mailboxes, [slot.agent for slot in slots], messages), spent=spent)
    return dataclasses.replace(now, step=number, time=window.end, world=outcome.state, done=outcome.done), outcome, tokens


def observed(world: Environment, schedule: Schedule, before: Moment, changes: Changes) -> tuple[Window, Sequence[Slot], list[Observation]]:
    """(the window of the next step, who acts in it and when, what each of them sees)."""
    number = before.step + 1
    window = changes.window(world.window(before.world), number)
    slots = schedule.next_agents(window, number)
    observations = [
        made(Observation, {
            "agent": agent, "step": number, "time": time, "heard": before.mailboxes[agent], "may_write": channels,
            "move_due": window.move_due, "view": world.observe(before.world, agent),
        })
        for agent, time, channels in slots
    ]  # fmt: skip
    return window, slots, observations


def in_order(said: Sequence[Message], outcome: Outcome) -> list[Message]:
    """All messages of a step by their times; stable, so one author's messages keep their order."""
    return sorted((*said, *outcome.messages), key=lambda m: m.time)


def delivered(
    mailboxes: Mapping[AgentID, tuple[Message, ...]], acted: Sequence[AgentID], messages: Sequence[Message]
) -> dict[AgentID, tuple[Message, ...]]:
    """The mailboxes after a step: those who acted have heard theirs, then everyone gets what others said."""
    after = {**mailboxes, **dict.fromkeys(acted, ())}
    for message in messages:
        for agent in message.channel.readers - {message.author}:
            after[agent] += (message,)
    return after


def snapshot_of(setting: Setting, log: EventLog, hosts: Executor, now: Moment) -> Snapshot:
    """The exact state of a run between two steps."""
    records, size, content = log.place
    return Snapshot(
        step=now.step, time=now.time, done=now.done, seed=setting.config.seed, checkpoint=setting.checkpoint_sha256, seats=dict(setting.cast.seats),
        world=setting.environment.to_json(now.world), mailboxes={agent: [m.id for m in heard] for agent, heard in now.mailboxes.items()},
        records=records, log_bytes=size, log_sha256=content, files=hosts.save().as_files(),
    )  # fmt: skip
