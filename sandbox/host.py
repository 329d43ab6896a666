"""A host: some agents of a run, with their policies, their memories, the states of the channels they read, one copy of the weights."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from agents.doors import CLOSED, Doors
from agents.memory import AgentMemory, file_name, notes_json, without_notes
from agents.policies import make_policy
from agents.types import Action, Observation, OutsidePolicy, Policy, Turn
from sandbox.chance import stream
from sandbox.made import made
from scenarios.table import make_environment
from sociallm.conversation import AgentID, Message

if TYPE_CHECKING:
    from agents.reading import Encoded
    from sociallm.states import LocalState

Scalars = Mapping[str, Any]
PLAIN = frozenset((str, int, float, bool, type(None)))  # what no one can change
MEASURED = ("tokens", "surprise", "surprise_no_int", "surprise_no_own", "surprise_no_states")
NOTHING_KNOWN: Mapping[AgentID, Action] = {}
NOTHING_READ: Mapping[str, Scalars] = {}


class AgentFault(RuntimeError):
    """A policy, or the host it ran on, broke: which, how and where, in one line."""


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays, and what a host must know to play them: plain values only, so that it can be sent."""

    seed: int
    seats: Mapping[AgentID, str]  # agent → name of its policy
    policies: Mapping[str, Mapping[str, Any]]  # name of a policy → its options, complete
    environment: Mapping[str, Any]  # name and options of the world
    plugins: tuple[str, ...] = ()
    checkpoint: str | None = None  # None: no policy of this run needs a model
    threads: int = 1
    own: Mapping[AgentID, str] = field(default_factory=dict)  # agent → file of the own state that it begins with
    outside: frozenset[AgentID] = frozenset()  # whose answers come from outside the run: they act in the user's own process

    def options(self, name: str) -> Mapping[str, Any]:
        """A policy's options; a `salt` that is not set is the run's seed, so that what is drawn by it differs from run to run."""
        options = self.policies[name]
        return {**options, "salt": self.seed} if options.get("salt", 0) is None else options


@dataclass(frozen=True)
class Saved:
    """What agents carry, as values that can be sent and written: {agent: {"notes", "channels"}}, and files of states by name."""

    memories: dict[AgentID, Any]
    files: dict[str, bytes]

    def as_files(self) -> dict[str, bytes]:
        """All of it as files. The keys of notes keep their order: a policy may go through them as they stand."""
        agents = {agent: self.memories[agent] for agent in sorted(self.memories)}
        return {"memories.json": (json.dumps(agents, allow_nan=False, indent=1) + "\n").encode(), **dict(sorted(self.files.items()))}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> Saved:
        """What `as_files` gave."""
        return cls(json.loads(files["memories.json"]), {name: content for name, content in files.items() if name != "memories.json"})


class OwnTurn(Turn):
    """A turn whose random stream is made when it is first looked at: those who follow rules never do, and it costs more than the rest."""

    _chance: tuple[int, AgentID, str, int]  # the name of the stream

    def __init__(
        self, *, observation: Observation, memory: AgentMemory, rng: np.random.Generator, channels: Mapping[str, LocalState], read: Mapping[str, Scalars]
    ):  # fmt: skip
        vars(self).update(observation=observation, memory=memory, rng=rng, channels=channels, read=read)

    @cached_property
    def rng(self) -> np.random.Generator:  # type: ignore[override]
        """Its own random stream."""
        return stream(*self._chance)


class Host:
    """Some agents of a run: their policies, their memories, the states of the channels they read, one copy of the weights."""

    def __init__(self, cast: Cast, agents: Sequence[AgentID], doors: Doors | None = None):
        """`doors` only where the class is not sent elsewhere: not for an actor."""
        language = make_environment(cast.environment, cast.plugins).language
        self._cast = cast
        self._memories = {agent: AgentMemory() for agent in sorted(agents)}
        names = sorted({cast.seats[agent] for agent in agents})
        self._reader = None
        if cast.checkpoint is not None:
            import torch

            from agents.reading import Reader

            torch.set_num_threads(cast.threads)
            self._reader = Reader(cast.checkpoint, tuple(cast.seats), {agent: file for agent, file in cast.own.items() if agent in self._memories})
            self._memories = {agent: self._reader.beginning(agent) for agent in self._memories}
        self._policies = {name: make_policy(name, cast.options(name), language, tuple(cast.seats), cast.plugins, doors or CLOSED) for name in names}
        self._locals: dict[str, LocalState] = {}
        self._outside = cast.outside & self._memories.keys()
        self._read: dict[AgentID, dict[str, Scalars]] = {agent: {} for agent in self._outside}  # what messages cost them since they last acted

    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        """What each observer says and does. Agents of one policy act in one batch. `known`: what agents whose answers come from outside did in
        this step when it was played before; they are not asked again."""
        actions: dict[AgentID, Action] = {}
        seats = self._cast.seats
        for name, policy in self._policies.items():
            turns = [self._turn(seen) for seen in observations if seats[seen.agent] == name]
            if known and turns:
                turns = self._recalled(name, cast(OutsidePolicy, policy), turns, known, actions)
            if not turns:
                continue
            who = [turn.observation.agent for turn in turns]
            try:
                results = policy.step(turns)
            except (Exception, SystemExit) as error:  # a policy is foreign code: whatever breaks in it ends the run, in one line
                raise AgentFault(f"policy {name!r} of {', '.join(who)} raised {one_line(error)}") from None
            if not isinstance(results, Sequence) or len(results) != len(turns) or not _are_pairs(results):
                raise AgentFault(f"policy {name!r} gave {results!r:.80} for {', '.join(who)}; expected an (Action, AgentMemory) each")
            for agent, (action, memory) in zip(who, results, strict=True):
                actions[agent], self._memories[agent] = action, memory
        for agent in self._outside & actions.keys():
            self._read[agent] = {}
        return actions

    def _recalled(
        self, name: str, policy: OutsidePolicy, turns: Sequence[Turn], known: Mapping[AgentID, Action], actions: dict[AgentID, Action]
    ) -> list[Turn]:
        """Put what is known into `actions`, and what follows from it into memories; the turns that are still to be taken."""
        for turn in turns:
            agent = turn.observation.agent
            if agent in known and agent in self._outside:
                try:
                    actions[agent], self._memories[agent] = known[agent], policy.recall(turn, known[agent])
                except (Exception, SystemExit) as error:  # foreign code
                    raise AgentFault(f"policy {name!r} of {agent} raised {one_line(error)} as it was told what it had done") from None
        return [turn for turn in turns if turn.observation.agent not in actions]

    def _turn(self, seen: Observation) -> Turn:
        locals_ = {c.name: self._locals[c.name] for c in seen.may_write if c.name in self._locals} if self._locals else {}
        agent = seen.agent
        # its own, its view too: what a policy does to it reaches neither the world nor the log nor other agents
        own = made(Observation, {**vars(seen), "view": own_copy(seen.view)})
        chance = (self._cast.seed, agent, "policy", seen.step)
        read = self._read.get(agent, NOTHING_READ)
        return made(OwnTurn, {"observation": own, "memory": self._memories[agent], "channels": locals_, "read": read, "_chance": chance})

    def mind(self, seen: Observation) -> tuple[Policy, Turn]:
        """An agent's policy, and the turn that it would have: for who asks without playing. What comes of it is kept nowhere."""
        return self._policies[self._cast.seats[seen.agent]], self._turn(seen)

    def encode(self, messages: Sequence[Message]) -> tuple[LocalState, tuple[Encoded, ...]]:
        """Of a channel that this host owns: its new state, and what each of its new messages does to those who read it."""
        assert self._reader is not None
        name = messages[0].channel.name
        self._locals[name], encoded = self._reader.encode(self._locals.get(name), messages)
        return self._locals[name], encoded

    def absorb(self, order: Sequence[Message], measure: bool, *encoded: tuple[LocalState, tuple[Encoded, ...]]) -> list[Scalars]:
        """Read `order`, message by message; `encoded` has one entry per channel, in the order of the channels' first messages."""
        assert self._reader is not None
        names = list(dict.fromkeys(message.channel.name for message in order))
        queues = {name: iter(entry[1]) for name, entry in zip(names, encoded, strict=True)}
        self._locals |= {name: entry[0] for name, entry in zip(names, encoded, strict=True)}
        records: list[Scalars] = []
        for message in order:
            read, scalars = next(queues[message.channel.name]), dict[AgentID, dict[str, Any]]()
            for outside, measured in ((False, measure), (True, True)) if self._outside else ((False, measure),):
                readers = {agent: memory for agent, memory in self._memories.items() if message.read_by(agent) and (agent in self._outside) == outside}
                memories, found = self._reader.absorb(readers, read, measured)
                self._memories |= memories
                scalars |= found
            for agent in self._outside & scalars.keys():
                if agent != message.author:
                    self._read[agent][message.id] = {key: value for key, value in scalars[agent].items() if key in MEASURED}
            records += [{"message": message.id, "reader": agent, **scalars[agent]} for agent in sorted(scalars)]
        return records

    def word_by(self, kind: str) -> str | None:
        """Word messages by this kind of code (`sociallm.decoding.kind`), in a process of the host's own; the kind that it will be, None
        without a model."""
        if self._reader is None:
            return None
        from sociallm import compiling, decoding

        if kind == decoding.REFERENCE:
            os.environ["CXX"] = compiling.NONE
        return decoding.kind()

    def process(self) -> int:
        """The id of its process, on its machine."""
        return os.getpid()

    def channels(self) -> tuple[str, ...]:
        """The channels whose state it holds."""
        return tuple(self._locals)

    def save(self, channels: Sequence[str]) -> Saved:
        """The memories of this host's agents, and the states of these channels, which it owns."""
        saved = Saved({agent: {"notes": self._notes(agent), "channels": dict(memory.channels)} for agent, memory in self._memories.items()}, {})
        for agent, read in self._read.items():
            saved.memories[agent]["read"] = dict(read)
        if self._reader is None:
            return saved
        with TemporaryDirectory() as folder:  # states have no form but a file's; the bytes travel, so that hosts need no common disk
            self._reader.save(self._memories, Path(folder))
            (inner := Path(folder, "channels")).mkdir()
            self._reader.save_channels({name: self._locals[name] for name in channels if name in self._locals}, inner)
            saved.files.update({str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*.safetensors"))})
        return saved

    def _notes(self, agent: AgentID) -> Any:
        try:
            return notes_json(self._memories[agent].notes)
        except (ValueError, TypeError, RecursionError) as error:
            policy = self._cast.seats[agent]
            raise AgentFault(f"the notes of {agent} (policy {policy!r}) cannot be kept in a snapshot: {str(error)[:200]}") from None

    def erase(self, agent: AgentID, other: AgentID, messages: Sequence[Message], parts: Collection[str]) -> None:
        """Take another agent out of an agent's memory: `agents.reading.Reader.erase`; without a model there are only notes."""
        memory = self._memories[agent]
        if self._reader is not None:
            self._memories[agent] = self._reader.erase(memory, agent, other, messages, parts)
        elif "notes" in parts:
            self._memories[agent] = replace(memory, notes=without_notes(memory.notes, other))

    def load(self, saved: Saved) -> None:
        """Go on with memories that were saved: those of this host's agents, and the states of all channels."""
        for agent in self._memories:
            kept = saved.memories[agent]
            self._memories[agent] = AgentMemory(notes=kept["notes"], channels=dict(kept["channels"]))
            if agent in self._outside:
                self._read[agent] = dict(kept.get("read", {}))  # of a fork in which another policy took the seat there is nothing
        if self._reader is None:
            return
        with TemporaryDirectory() as folder:
            for name, content in saved.files.items():
                (path := Path(folder, name)).parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            for agent, memory in self._memories.items():
                self._memories[agent] = self._reader.load(memory, Path(folder, f"{file_name(agent)}.safetensors"))
            self._locals = self._reader.load_channels(sorted(Path(folder, "channels").glob("*.safetensors")))


def own_copy(value: Any) -> Any:
    """A deep copy of a JSON value; five times as fast as `deepcopy`, which everything else is left to."""
    kind = type(value)
    if kind is dict:
        copied = value.copy()
        for key, inner in value.items():
            if type(inner) not in PLAIN:
                copied[key] = own_copy(inner)
        return copied
    if kind is list:
        return [inner if type(inner) in PLAIN else own_copy(inner) for inner in value]
    return value if kind in PLAIN else deepcopy(value)


def _are_pairs(results: Sequence[object]) -> bool:
    """Whether all are (action, memory); what is said of an action is said later (`sandbox.rights.permitted`)."""
    return all(isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], AgentMemory) for result in results)


def one_line(error: BaseException) -> str:
    """An exception as one line, with the place where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"
