"""Where agents think: a Host holds several agents and one copy of the weights. The only file that imports Ray.

An executor deals the agents out over hosts and speaks to them all at once. `LocalExecutor` has one host in this process and
needs no Ray; `RayExecutor` has n host actors. Both give the same results, value for value: every random stream has a
name, results are ordered by agent and never by arrival, and a message is encoded once, by the host that owns its channel,
in canonical order; its operators and the channel's new state then go through the object store to the hosts of its readers.
An actor never waits for another one: references are resolved by Ray before a call begins.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import stat
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents.memory import AgentMemory, file_name
from agents.policies import make_policy
from agents.types import Action, Observation, Turn
from sandbox.chance import stream
from scenarios.table import make_environment
from sociallm.conversation import AgentID, Message

if TYPE_CHECKING:
    from types import TracebackType

    from agents.reading import Encoded
    from sociallm.states import LocalState

Scalars = Mapping[str, Any]


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


class Host:
    """Some agents of a run: their policies, their memories, the states of the channels they read, one copy of the weights."""

    def __init__(self, cast: Cast, agents: Sequence[AgentID]):
        language = make_environment(cast.environment, cast.plugins).language
        self._cast = cast
        self._memories = {agent: AgentMemory() for agent in sorted(agents)}
        names = sorted({cast.seats[agent] for agent in agents})
        self._reader = None
        if cast.checkpoint is not None:
            import torch

            from agents.reading import Reader

            torch.set_num_threads(cast.threads)
            self._reader = Reader(cast.checkpoint, tuple(cast.seats))
        self._policies = {name: make_policy(name, cast.policies[name], language, tuple(cast.seats), cast.plugins) for name in names}
        self._locals: dict[str, LocalState] = {}

    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        """What each observer says and does. Agents of one policy act in one batch."""
        actions: dict[AgentID, Action] = {}
        for name, policy in self._policies.items():
            turns = [self._turn(seen) for seen in observations if self._cast.seats[seen.agent] == name]
            if not turns:
                continue
            who = [turn.observation.agent for turn in turns]
            try:
                results = policy.step(turns)
            except (Exception, SystemExit) as error:  # a policy is foreign code: whatever breaks in it ends the run, in one line
                raise AgentFault(f"policy {name!r} of {', '.join(who)} raised {_one_line(error)}") from None
            if not isinstance(results, Sequence) or len(results) != len(turns) or not all(_is_pair(result) for result in results):
                raise AgentFault(f"policy {name!r} gave {results!r:.80} for {', '.join(who)}; expected an (Action, AgentMemory) each")
            for agent, (action, memory) in zip(who, results, strict=True):
                actions[agent], self._memories[agent] = action, memory
        return actions

    def _turn(self, seen: Observation) -> Turn:
        locals_ = {c.name: self._locals[c.name] for c in seen.may_write if c.name in self._locals}
        rng = stream(self._cast.seed, seen.agent, "policy", seen.step)
        seen = replace(seen, view=deepcopy(seen.view))  # its own: what a policy does to it reaches neither the world nor other agents
        return Turn(observation=seen, memory=self._memories[seen.agent], rng=rng, channels=locals_)

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
            readers = {agent: memory for agent, memory in self._memories.items() if message.read_by(agent)}
            memories, scalars = self._reader.absorb(readers, next(queues[message.channel.name]), measure)
            self._memories |= memories
            records += [{"message": message.id, "reader": agent, **scalars[agent]} for agent in sorted(scalars)]
        return records

    def save(self, folder: str) -> None:
        """The memories of this host's agents: notes as JSON, states by the reader."""
        for agent, memory in self._memories.items():
            notes = json.dumps(memory.notes, sort_keys=True, indent=1)
            Path(folder, f"{file_name(agent)}.notes.json").write_text(notes + "\n", encoding="utf-8")
        if self._reader is not None:
            self._reader.save(self._memories, Path(folder))


class Executor(Protocol):
    """All agents of a run, wherever they are. A context manager: leaving it lets them go."""

    def __enter__(self) -> Executor: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        """Each observer's action, ordered by agent. Raises `AgentFault`."""
        ...

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        """Everyone reads what was said, in this order; what became of whose states, ordered by message and reader."""
        ...

    def save(self, folder: Path) -> None:
        """Every agent's memory, into a folder."""
        ...


class LocalExecutor:
    """One host, in this process."""

    def __init__(self, cast: Cast):
        self._cast = cast

    def __enter__(self) -> LocalExecutor:
        self._host = Host(self._cast, tuple(self._cast.seats))
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        return _by_agent(self._host.act(observations))

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        if self._cast.checkpoint is None or not messages:
            return []
        return _in_order(messages, self._host.absorb(messages, measure, *map(self._host.encode, _channels(messages))))

    def save(self, folder: Path) -> None:
        self._host.save(str(folder))


class RayExecutor:
    """n host actors, on this machine or on the cluster at `address`."""

    def __init__(self, cast: Cast, hosts: int, address: str | None):
        self._cast, self._count, self._address = cast, hosts, address

    def __enter__(self) -> RayExecutor:
        self._ray, self._started = _start_ray(self._count, self._address)
        self._hosts: list[Any] = []
        try:
            actor = self._ray.remote(num_cpus=0, max_restarts=0)(Host)  # a restarted host would have lost its agents' memories
            self._seats = deal(tuple(self._cast.seats), self._count)
            self._hosts += [actor.remote(self._cast, agents) for agents in self._seats]
            self._get([host.__ray_ready__.remote() for host in self._hosts])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:
            self._ray.shutdown()
        else:
            for host in self._hosts:
                self._ray.kill(host)

    def act(self, observations: Sequence[Observation]) -> dict[AgentID, Action]:
        asked = [[seen for seen in observations if seen.agent in agents] for agents in self._seats]
        replies = self._get([host.act.remote(seen) for host, seen in zip(self._hosts, asked, strict=True) if seen])
        return _by_agent({agent: action for reply in replies for agent, action in reply.items()})

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        if self._cast.checkpoint is None or not messages:
            return []
        encoded: dict[str, Any] = {}  # channel name → a reference to its new state and operators: the values never come here
        for said in _channels(messages):
            name = said[0].channel.name
            encoded[name] = self._hosts[owner(name, self._count)].encode.remote(said)
        calls = []
        for host, agents in zip(self._hosts, self._seats, strict=True):
            order = [message for message in messages if any(message.read_by(agent) for agent in agents)]
            names = dict.fromkeys(message.channel.name for message in order)
            if order:
                calls.append(host.absorb.remote(order, measure, *(encoded[name] for name in names)))
        return _in_order(messages, [record for reply in self._get(calls) for record in reply])

    def save(self, folder: Path) -> None:
        self._get([host.save.remote(str(folder.resolve())) for host in self._hosts])

    def _get(self, references: list[Any]) -> list[Any]:
        try:
            return self._ray.get(references)
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            raise AgentFault(str(cause) if isinstance(cause, AgentFault) else f"a host raised {_one_line(cause)}") from None
        except self._ray.exceptions.RayActorError as error:
            raise AgentFault(f"a host died ({str(error).splitlines()[0]}); was it killed, or out of memory?") from None


def deal(agents: Sequence[AgentID], hosts: int) -> list[tuple[AgentID, ...]]:
    """The agents of each host: dealt out in order, like cards."""
    return [tuple(agents[i::hosts]) for i in range(hosts)]


def owner(channel: str, hosts: int) -> int:
    """The index of the host that encodes a channel's messages."""
    return int.from_bytes(hashlib.sha256(channel.encode("utf-8", "surrogatepass")).digest()[:8], "little") % hosts


def _channels(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages by channel, channels in the order of their first message."""
    by_channel: dict[str, list[Message]] = {}
    for message in messages:
        by_channel.setdefault(message.channel.name, []).append(message)
    return list(by_channel.values())


def _by_agent(actions: Mapping[AgentID, Action]) -> dict[AgentID, Action]:
    return {agent: actions[agent] for agent in sorted(actions)}


def _in_order(messages: Sequence[Message], records: Sequence[Scalars]) -> list[Scalars]:
    place = {message.id: i for i, message in enumerate(messages)}
    return sorted(records, key=lambda record: (place[record["message"]], record["reader"]))


def _is_pair(result: object) -> bool:
    return isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], AgentMemory)


def _one_line(error: BaseException) -> str:
    """An exception as one line, with the place where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"


def _start_ray(hosts: int, address: str | None) -> tuple[Any, bool]:
    """Ray, and whether it was started here: quietly, without a dashboard, its token kept to this user."""
    if os.environ.get("RAY_AUTH_MODE", "token") == "disabled":
        raise AgentFault("RAY_AUTH_MODE=disabled would let anyone who reaches this machine run code on it; unset it, or use executor=local")
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # the default, said aloud: otherwise Ray prints a notice about it
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():  # in a notebook, or in a test that shares one
        return ray, False
    own: dict[str, Any] = {} if address else {"num_cpus": hosts, "object_store_memory": 256 * 2**20, "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, configure_logging=False, **own)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own in its place, which exits without sealing the log
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file() and stat.S_IMODE(token.stat().st_mode) != 0o600:
        token.chmod(0o600)
    return ray, True
