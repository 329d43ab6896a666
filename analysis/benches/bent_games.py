"""Games in one process in which everybody speaks one language, bent or not: many games, and plants that no plan file can hold.

The steps, the schedule and every agent's chance are those of a run of the same seed whose seats are scripted (or planted with this seed as salt):
same seed, same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.memory import AgentMemory
from agents.policies.scripted import ScriptedPolicy
from agents.types import Action, AgentID, Language, Observation, Turn
from analysis.simulated import Kept
from sandbox.chance import stream
from sandbox.changes import NOTHING
from sandbox.config import RunConfig, Setting
from sandbox.host import Cast
from sandbox.log import Event
from sandbox.run import start, step
from sandbox.schedule import Schedule
from scenarios.environment import Environment
from scenarios.table import make_environment, world
from sociallm.conversation import Message


@dataclass
class Table:
    """All agents of a game at once: what an executor is to a run, as far as a step asks for it. Their memories change."""

    policy: ScriptedPolicy
    seed: int
    memories: dict[AgentID, AgentMemory] = field(default_factory=dict)

    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        """Each observer's action, ordered by agent."""
        turns = [Turn(observation=seen, memory=self.memories.get(seen.agent, AgentMemory()), rng=stream(self.seed, seen.agent, "policy", seen.step)) for seen in observations]
        found = dict(zip((seen.agent for seen in observations), self.policy.step(turns), strict=True))
        self.memories |= {agent: memory for agent, (_, memory) in found.items()}
        return {agent: found[agent][0] for agent in sorted(found)}

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[dict[str, Any]]:
        """Nobody has a state that could change."""
        return []


def made(name: str, **options: Any) -> Environment:
    """A world with these of its options. Raises ValueError as the world does."""
    return make_environment({"name": name, **asdict(world(name).Options(**options))})


def played(environment: Environment, name: str, seed: int, language: Language | None = None) -> tuple[Event, ...]:
    """The events of a game of this world, to its end; `language`: the one that all speak, the world's own unless given."""
    spoken = environment.language if language is None else language
    assert spoken is not None
    config = RunConfig(name="game", seed=seed, environment={"name": name}, seats={"default": "scripted"}, executor="local")
    cast = Cast(seed=seed, seats=dict.fromkeys(environment.agents, "scripted"), policies={}, environment={"name": name})
    setting = Setting(config=config, cast=cast, environment=environment, checkpoint_sha256=None, unresolved="", overrides=())
    log, table, schedule, now = Kept(), Table(ScriptedPolicy(spoken), seed), Schedule(seed, environment.agents), start(setting)
    while not now.done:
        now, _, _ = step(setting, schedule, table, log, now, NOTHING)  # type: ignore[arg-type]  # of a log and of hosts no more is asked
    return tuple(log.events)
