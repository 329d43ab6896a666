"""The replay policy: says and does, step by step, what an agent of an earlier run said and did.

    policies: {replay: {run: runs/diplomacy/20260101-120000-abc123, names: {FRANCE: ENGLAND}}}

Messages are said anew, at this run's times, in the channel that the same agents read here. What cannot be done here is left out, and a fault says
what: a channel that is not open, a move that is not due, a step in which the log's agent was not asked, the end of the log. It needs no model and no
language, so it plays in every world; a log of another world makes faults of all its moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.logged import Deed, Logged, Said, log_in, read_logged
from agents.memory import AgentMemory
from agents.types import Action, AgentID, Channel, Language, Message, Observation, Turn

needs_model = False
FAULT = "replay"


@dataclass(frozen=True)
class Options:
    """`run`: the folder of a run, or its log. `names`: agent of this run → the one of the log whose part it plays; the others play their own."""

    run: str = ""
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReplayPolicy:
    """Plays a log. Depends on the turn's agent, step and channels alone, so it has nothing to remember."""

    log: Logged
    path: Path
    parts: Mapping[AgentID, AgentID]  # agent here → agent of the log

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action for each turn; memories stay as they are."""
        return [(self._act(turn.observation), turn.memory) for turn in turns]

    def _act(self, seen: Observation) -> Action:
        who = self.parts.get(seen.agent, seen.agent)
        deed = self.log.deeds.get((who, seen.step))
        if deed is None:
            return Action(faults=((FAULT, f"{self.path}: {self._why_none(who, seen.step)}; {seen.agent} is silent, and holds"),))
        messages: list[Message] = []
        wording, faults = [], []
        for said in deed.said:
            channel = self._channel(said, seen)
            if channel is None:
                faults.append((FAULT, f"step {seen.step}: what {who} said in {said.channel!r:.60} is left out: no open channel with the same readers"))
                continue
            to = {here for here in channel.readers if self.parts.get(here, here) in said.to}
            messages.append(seen.say(len(messages), channel, said.text, to))
            wording.append({"by": "replay"} if said.act is None else {"act": said.act, "by": "replay"})
        return Action(intent=deed.intent, messages=tuple(messages), wording=tuple(wording), move=self._move(deed, seen, who, faults), faults=tuple(faults))

    def _channel(self, said: Said, seen: Observation) -> Channel | None:
        """The channel that is open to the agent and that those read here whose parts were its readers there; by name, if there are several."""
        fit = [c for c in seen.may_write if len(c.readers) == len(said.readers) and {self.parts.get(here, here) for here in c.readers} == said.readers]
        return next((c for c in fit if c.name == said.channel), fit[0] if fit else None)

    def _move(self, deed: Deed, seen: Observation, who: AgentID, faults: list[tuple[str, str]]) -> object:
        if seen.move_due == (deed.move is not None):
            return deed.move
        what = f"{who} made no move" if seen.move_due else f"the move that {who} made is left out: none is due"
        faults.append((FAULT, f"step {seen.step}: {what}"))
        return None

    def _why_none(self, who: AgentID, step: int) -> str:
        if who not in self.log.agents:
            return f"nobody is called {who!r:.60} there; name the agent whose part is played in names"
        return f"it ends with step {self.log.last}" if step > self.log.last else f"{who} was not asked in step {step}"


def reads(options: Options) -> Mapping[str, Path]:
    """The files that an option names: they are a part of what the run is. Raises `LoggedError`."""
    return {"run": log_in(options.run)}


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> ReplayPolicy:
    """The policy for all agents of the run. Raises ValueError, one line, for a log or names that cannot be used."""
    if not options.run:
        raise ValueError("run is missing; name the folder of the run whose log is played, as in policies.replay.run=RUN")
    for here, there in options.names.items():
        if here not in agents:
            raise ValueError(f"names.{here:.60}: no such agent here, expected one of {', '.join(agents)}")
        if sum(other == there for other in options.names.values()) > 1:
            raise ValueError(f"names: {there!r:.60} is played by two; give each agent a part of its own")
    parts = {here: options.names.get(here, here) for here in agents}
    path = log_in(options.run)
    return ReplayPolicy(read_logged(path, frozenset(parts.values())), path, parts)
