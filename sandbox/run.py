"""A run, in reading order: the schedule says who acts when, the hosts where, the world what follows, the log what happened."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agents.types import JSON, Observation
from sandbox.chance import WORLD, stream
from sandbox.config import Setting
from sandbox.hosts import Executor, LocalExecutor, RayExecutor
from sandbox.log import EventLog
from sandbox.record import step_events
from sandbox.rights import permitted
from sandbox.schedule import Schedule
from sandbox.snapshot import save_snapshot
from sociallm.conversation import AgentID, Message

Told = Callable[[int, int, str], None]


def executor(setting: Setting) -> Executor:
    """Where the agents of a run will think."""
    if setting.config.executor == "local":
        return LocalExecutor(setting.cast)
    return RayExecutor(setting.cast, setting.config.hosts, setting.config.ray.address)


def play(setting: Setting, hosts: Executor, log: EventLog, folder: Path, told: Told, halt: Callable[[], bool]) -> bool:
    """Play until the world is done (True) or `halt` says so between two steps (False). `told` hears (step, messages, phase)."""
    config, world = setting.config, setting.environment
    schedule = Schedule(config.seed, world.agents)
    state = world.start(stream(config.seed, WORLD, "start", 0))
    mailboxes: dict[AgentID, tuple[Message, ...]] = dict.fromkeys(world.agents, ())  # delivered since it last acted
    taken: set[str] = set()
    for step in itertools.count():
        window = world.window(state)
        slots = schedule.next_agents(window, step)
        observations = [
            Observation(
                agent=slot.agent, step=step, time=slot.time, heard=mailboxes[slot.agent], may_write=slot.channels,
                move_due=window.move_due, view=world.observe(state, slot.agent),
            )
            for slot in slots
        ]  # fmt: skip
        proposed = hosts.act(observations)
        checked = {seen.agent: permitted(seen, proposed[seen.agent], world.agents, taken) for seen in observations}
        actions = {agent: action for agent, (action, _) in checked.items()}
        faults = [fault for _, found in checked.values() for fault in found]

        outcome = world.step(state, {agent: actions[agent].move for agent in sorted(actions)}, stream(config.seed, WORLD, "step", step))
        said = [message for slot in slots for message in actions[slot.agent].messages]
        messages = sorted((*said, *outcome.messages), key=lambda m: m.time)  # stable: one author's messages keep their order
        taken |= {message.id for message in messages}
        memory = hosts.deliver(messages, config.measure.surprise)
        log.commit(step_events(step, window, slots, observations, actions, faults, messages, outcome, memory))

        mailboxes |= {slot.agent: () for slot in slots}
        for message in messages:
            for agent in message.channel.readers - {message.author}:
                mailboxes[agent] += (message,)
        state = outcome.state
        told(step, len(taken), phase_of(outcome.events))
        if outcome.done or halt():
            save_snapshot(folder / "snapshots" / "final", setting, step, window.end, world.to_json(state), mailboxes, hosts)
            return outcome.done
    raise AssertionError("a count never ends")


def phase_of(events: Sequence[Mapping[str, JSON]]) -> str:
    """The phase that a step's events name last, for the progress line."""
    return next((str(e["phase"]) for e in reversed(events) if "phase" in e), "")
