"""Runs played in memory, by the same rules, seats and streams of chance as those of a folder: many games, and what would have been.

A run of a folder is its setting and its seed, so it can be played again from any moment with a move of one agent forced, all else (every
agent's own chance, too) as it was. What differs from the run is then what the forced move did.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from agents.deciding import decide
from agents.memory import AgentMemory
from agents.plan_file import read_plan
from agents.policies.planted import spoken
from agents.types import JSON, Action, Observation, Turn
from sandbox.chance import WORLD, stream
from sandbox.changes import NOTHING
from sandbox.config import RunConfig, Setting
from sandbox.host import Cast, Saved
from sandbox.hosts import LocalExecutor
from sandbox.labels import steps_of
from sandbox.log import Event
from sandbox.run import Moment, start, step
from sandbox.schedule import Schedule
from scenarios import table as worlds
from scenarios.labels import labels
from sociallm.conversation import AgentID

Force = Callable[[Observation], JSON]  # the move an agent is made to make now, None: its own


@dataclass(frozen=True)
class Branch:
    """A moment of a game that it can be gone on from, any number of times."""

    now: Moment
    saved: Saved


class Kept:
    """The events of a game, in a list: what a log is to a run."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def commit(self, events: Iterable[Event]) -> None:
        """All that happened in one step."""
        self.events += events


class Hand(LocalExecutor):
    """Agents whose moves can be forced. Their words, and what they remember, are their own."""

    def __init__(self, setting: Setting, force: Force | None):
        super().__init__(setting.cast)
        self._force = force

    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        """Each observer's action, with the move that it is made to make."""
        actions = super().act(observations)
        force = self._force
        for seen in observations if force is not None else ():
            if seen.move_due and force is not None and (move := force(seen)) is not None:
                actions[seen.agent] = replace(actions[seen.agent], move=move)
        return actions


def played(setting: Setting, *, begin: Branch | None = None, steps: int | None = None, force: Force | None = None, keep_at: Iterable[int] = ()) -> tuple[list[Event], dict[int, Branch]]:
    """(the events from `begin` on, the moments before each step of `keep_at`). `steps`: so many at most. Raises `AgentFault`."""
    log, wanted, kept = Kept(), set(keep_at), {}
    schedule = Schedule(setting.config.seed, setting.environment.agents)
    with Hand(setting, force) as hosts:
        now = start(setting) if begin is None else replace(begin.now, taken=set(begin.now.taken))
        if begin is not None:
            hosts.load(begin.saved)
        while not now.done and (steps is None or now.step + 1 < steps):
            if now.step + 1 in wanted:
                kept[now.step + 1] = Branch(replace(now, taken=set(now.taken)), hosts.save())
            now, _, _ = step(setting, schedule, hosts, log, now, NOTHING)  # type: ignore[arg-type]  # of a log it asks to commit alone
    return log.events, kept


def arranged(world: Mapping[str, Any], plan: str = "", plant: bool | None = None, seed: int = 0) -> Setting:
    """The setting of a game of options given as values ({"name": world, option: value, …}): all seats planted, or scripted without a plan.
    Nothing is checked but by the world itself; for settings of files there is `sandbox.config.load`, which takes a hundred times as long."""
    module = worlds.world(str(world["name"]))
    options = {"name": world["name"], **asdict(module.Options(**{key: value for key, value in world.items() if key != "name"}))}
    environment = worlds.make_environment(options)
    name = "planted" if plan else "scripted"
    own: dict[str, Any] = {"plan": plan, "plant": plant, "salt": None, "vary": True} if plan else {"vary": True}
    cast = Cast(seed=seed, seats=dict.fromkeys(environment.agents, name), policies={name: own}, environment=options)
    config = RunConfig(name="simulated", seed=seed, environment=options, seats={"default": name}, executor="local")
    return Setting(config=config, cast=cast, environment=environment, checkpoint_sha256=None, unresolved="", overrides=())


def quick(setting: Setting) -> list[Event]:
    """What happened and what each earned in a world in which nobody has a channel, as `played` has it, without schedule, rights and log: several times
    as fast. All sit on `scripted` or `planted`. Raises ValueError where there are words."""
    world, cast = setting.environment, setting.cast
    names = sorted(set(cast.seats.values()))
    if not set(names) <= {"scripted", "planted"} or len(names) > 1 or world.language is None:
        raise ValueError(f"seats {names}: expected all on scripted, or all on planted")
    given = cast.options(names[0])
    language = spoken(world.language, given["plan"], given["plant"], int(given["salt"]), world.agents) if names == ["planted"] else world.language
    assert language is not None
    seed, state, events = setting.config.seed, world.start(stream(setting.config.seed, WORLD, "start", 0)), []
    memories = dict.fromkeys(world.agents, AgentMemory())
    for number in itertools.count():
        window = world.window(state)
        if window.channels:
            raise ValueError("this world has channels, and what is said there is not played here")
        moves: dict[AgentID, JSON] = {}
        for agent in sorted(window.agents):
            seen = Observation(agent=agent, step=number, time=window.start, move_due=window.move_due, view=world.observe(state, agent))
            found = decide(Turn(observation=seen, memory=memories[agent], rng=stream(seed, agent, "policy", number)), language)
            moves[agent], memories[agent] = found.move, AgentMemory(notes=found.notes)
        outcome = world.step(state, moves, stream(seed, WORLD, "step", number))
        events.append(Event("outcome", number, window.end, None, {"events": list(outcome.events), "done": outcome.done}))
        events += [Event("reward", number, window.end, agent, {"reward": outcome.rewards[agent]}) for agent in sorted(outcome.rewards)]
        state = outcome.state
        if outcome.done:
            break
    return events


def told(setting: Setting, events: Sequence[Event]) -> dict[str, Any]:
    """The labels of such a game, as those of a run's folder; nothing planted where nobody sits on a plan."""
    name, given = next(((n, o) for n, o in sorted(setting.cast.policies.items()) if n in setting.cast.seats.values() and o.get("plan")), (None, {}))
    if name is None:
        return {}
    plan = read_plan(str(given["plan"]), int(setting.cast.options(name)["salt"]))
    seats = {agent: seat == name and bool(given["plant"]) for agent, seat in setting.cast.seats.items()}
    return labels(setting.config.environment["name"], setting.environment, plan, seats, steps_of(events))
