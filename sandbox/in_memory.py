"""Runs played in memory, by the same rules, seats and streams of chance as those of a folder: many games, and what would have been.

A run of a folder is its setting and its seed, so it can be played again from any moment with a move of one agent forced, all else (every
agent's own chance, too) as it was. What differs from the run is then what the forced move did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from agents.memory import AgentMemory
from agents.policies.planted import spoken
from agents.policies.scripted import ScriptedPolicy
from agents.types import JSON, Action, Language, Observation, Turn
from sandbox.chance import WORLD, stream
from sandbox.changes import NOTHING
from sandbox.config import RunConfig, Setting
from sandbox.host import NOTHING_KNOWN, Cast, Saved
from sandbox.hosts import Executor, LocalExecutor
from sandbox.log import Event, canonical, value_of
from sandbox.run import Moment, start, step
from sandbox.schedule import Schedule
from scenarios import playing, table
from scenarios.environment import Environment, Window
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

    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        """Each observer's action, with the move that it is made to make."""
        actions = super().act(observations, known)
        force = self._force
        for seen in observations if force is not None else ():
            if seen.move_due and force is not None and (move := force(seen)) is not None:
                actions[seen.agent] = replace(actions[seen.agent], move=move)
        return actions


class Alike(LocalExecutor):
    """Agents without a model who all speak one language, given as a value: one that no file of settings can name."""

    def __init__(self, setting: Setting, language: Language):
        super().__init__(setting.cast)
        self._policy, self._seed, self._memories = ScriptedPolicy(language), setting.config.seed, dict.fromkeys(setting.cast.seats, AgentMemory())

    def __enter__(self) -> Alike:
        return self

    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        """Each observer's action, ordered by agent."""
        turns = [Turn(observation=seen, memory=self._memories[seen.agent], rng=stream(self._seed, seen.agent, "policy", seen.step)) for seen in observations]
        found = dict(zip((seen.agent for seen in observations), self._policy.step(turns), strict=True))
        self._memories |= {agent: memory for agent, (_, memory) in found.items()}
        return {agent: found[agent][0] for agent in sorted(found)}


def played(
    setting: Setting, *, hosts: Executor | None = None, begin: Branch | None = None, steps: int | None = None, force: Force | None = None, keep_at: Iterable[int] = ()
) -> tuple[list[Event], dict[int, Branch]]:  # fmt: skip
    """(the events from `begin` on, the moments before each step of `keep_at`). `hosts`: where the agents think, if not as their seats have it,
    each with its moves as `force` has them; `steps`: so many at most. Raises `AgentFault`."""
    log, wanted, kept = Kept(), set(keep_at), {}
    schedule = Schedule(setting.config.seed, setting.environment.agents)
    with Hand(setting, force) if hosts is None else hosts as agents:
        now = start(setting) if begin is None else replace(begin.now, taken=set(begin.now.taken))
        if begin is not None:
            agents.load(begin.saved)
        while not now.done and (steps is None or now.step + 1 < steps):
            if now.step + 1 in wanted:
                kept[now.step + 1] = Branch(replace(now, taken=set(now.taken)), agents.save())
            now, _, _ = step(setting, schedule, agents, log, now, NOTHING)  # type: ignore[arg-type]  # of a log it asks to commit alone
    return log.events, kept


def as_read(events: Iterable[Event]) -> list[Event]:
    """The same as who reads their log has them: numbered, the names of every mapping in order."""
    return [event._replace(seq=seq, wall=0.0, data=value_of(canonical(event))["data"]) for seq, event in enumerate(events)]


def arranged(world: Mapping[str, Any], plan: str = "", plant: bool | None = None, seed: int = 0) -> Setting:
    """The setting of a game of options given as values ({"name": world, option: value, …}): all seats planted, or scripted without a plan.
    Nothing is checked but by the world itself; for settings of files there is `sandbox.config.load`, which takes a hundred times as long."""
    module = table.world(str(world["name"]))
    options = {"name": world["name"], **asdict(module.Options(**{key: value for key, value in world.items() if key != "name"}))}
    return seated(table.make_environment(options), options, plan, plant, seed)


def seated(environment: Environment, options: Mapping[str, Any], plan: str = "", plant: bool | None = None, seed: int = 0) -> Setting:
    """The same of a world that was made already, from these options."""
    name = "planted" if plan else "scripted"
    own: dict[str, Any] = {"plan": plan, "plant": plant, "salt": None, "vary": True} if plan else {"vary": True}
    cast = Cast(seed=seed, seats=dict.fromkeys(environment.agents, name), policies={name: own}, environment=options)
    config = RunConfig(name="in_memory", seed=seed, environment=dict(options), seats={"default": name}, executor="local")
    return Setting(config=config, cast=cast, environment=environment, checkpoint_sha256=None, unresolved="", overrides=())


# ---- without schedule, rights and log ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """`playing.Chance` by the streams of a run, for windows in which nobody may speak: who acts first is then the same to all."""

    seed: int

    def start(self) -> np.random.Generator:
        """For the world's first state."""
        return stream(self.seed, WORLD, "start", 0)

    def acting(self, window: Window, step: int) -> Iterable[tuple[AgentID, int]]:
        """All of the window, by name. Raises `ValueError` where there are words."""
        if window.channels:
            raise ValueError("this world has channels, and what is said there is not played here")
        return [(agent, window.start) for agent in sorted(window.agents)]

    def agent(self, agent: AgentID, step: int) -> np.random.Generator:
        """For what an agent does in a step."""
        return stream(self.seed, agent, "policy", step)

    def world(self, step: int) -> np.random.Generator:
        """For what follows from a step."""
        return stream(self.seed, WORLD, "step", step)


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
    events = []
    for now in playing.play(world, dict.fromkeys(world.agents, ScriptedPolicy(language)), Drawn(setting.config.seed)):
        number, end, outcome = now.number, now.window.end, now.outcome
        events.append(Event("outcome", number, end, None, {"events": list(outcome.events), "done": outcome.done}))
        events += [Event("reward", number, end, agent, {"reward": outcome.rewards[agent]}) for agent in sorted(outcome.rewards)]
    return events
