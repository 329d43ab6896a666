"""Where agents think: on one host in this process, or on several that are Ray actors. The only file that imports Ray.

An executor deals the agents out over hosts and speaks to them all at once. `LocalExecutor` has one host in this process and
needs no Ray; `RayExecutor` has n host actors. Both give the same results, value for value: every random stream has a
name, results are ordered by agent and never by arrival, and a message is encoded once, by the host that owns its channel,
in canonical order; its operators and the channel's new state then go through the object store to the hosts of its readers.
An actor never waits for another one: references are resolved by Ray before a call begins. Agents whose answers come from outside (a server, a
person) have a host of their own in the process that the user started, with either: what they need to be let out goes nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import stat
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents.doors import CLOSED, Doors
from agents.types import Action, Observation, Policy, Turn
from sandbox.host import NOTHING_KNOWN, AgentFault, Cast, Host, Saved, Scalars, one_line
from sociallm.conversation import AgentID, Channel, Message

if TYPE_CHECKING:
    from types import TracebackType

Call = Callable[[], Any]
TRIES = 3  # how often in a row hosts may die of one call


class Executor(Protocol):
    """All agents of a run, wherever they are. A context manager: leaving it lets them go."""

    def __enter__(self) -> Executor: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        """Each observer's action, ordered by agent; `known` as for `Host.act`. Raises `AgentFault`."""
        ...

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        """Everyone reads what was said, in this order; what became of whose states, ordered by message and reader."""
        ...

    def save(self) -> Saved:
        """Every agent's memory, and the state of every channel."""
        ...

    def load(self, saved: Saved) -> None:
        """Go on from there."""
        ...

    def erase(self, agent: AgentID, other: AgentID, messages: Sequence[Message], parts: Collection[str]) -> None:
        """Take another agent out of an agent's memory: see `Host.erase`."""
        ...


class LocalExecutor:
    """One host, in this process."""

    def __init__(self, cast: Cast, doors: Doors = CLOSED):
        self._cast, self._doors = cast, doors

    def __enter__(self) -> LocalExecutor:
        self._host = Host(self._cast, tuple(self._cast.seats), self._doors)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        return _by_agent(self._host.act(observations, known))

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        if self._cast.checkpoint is None or not messages:
            return []
        return _in_order(messages, self._host.absorb(messages, measure, *map(self._host.encode, _channels(messages))))

    def mind(self, seen: Observation) -> tuple[Policy, Turn]:
        """See `Host.mind`."""
        return self._host.mind(seen)

    def save(self) -> Saved:
        return self._host.save(self._host.channels())

    def load(self, saved: Saved) -> None:
        self._host.load(saved)

    def erase(self, agent: AgentID, other: AgentID, messages: Sequence[Message], parts: Collection[str]) -> None:
        self._host.erase(agent, other, messages, parts)


class RayExecutor:
    """n host actors, on this machine or on the cluster at `address`.

    A host that dies takes its agents' memories with it, and the others may have finished the call that it did not: so all hosts are
    made again from what was last saved, and the calls since then are made again, in order, each held against what it gave before.
    No turn is lost, and none is in a memory twice. Ray's own restarts would give an actor without its memories.
    """

    def __init__(self, cast: Cast, hosts: int, address: str | None, tell: Callable[[str], None] = lambda _: None, doors: Doors = CLOSED):
        """Some agents at least are not outside."""
        self._inside = tuple(agent for agent in cast.seats if agent not in cast.outside)
        self._cast, self._count, self._address, self._tell, self._doors = cast, min(hosts, len(self._inside)), address, tell, doors
        self._here: Host | None = None  # of the agents outside
        self._saved: Saved | None = None
        self._since: list[tuple[Call, Any]] = []  # calls since `_saved`, each with what it gave
        self.lost = 0  # hosts that died and were made again

    def __enter__(self) -> RayExecutor:
        self._ray, self._started = _start_ray(self._count, self._address)
        errors = self._ray.exceptions
        self._deaths = (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError, errors.NodeDiedError)
        self._hosts: list[Any] = []
        try:
            self._make()
        except self._deaths as error:
            self.__exit__()
            raise AgentFault(f"a host died as it began ({str(error).strip().splitlines()[0]}); is it out of memory?") from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        """Hosts as they were when last saved. They spread over the machines that there are."""
        actor = self._ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy="SPREAD")(Host)
        self._seats = deal(self._inside, self._count)
        self._hosts = [actor.remote(self._cast, agents) for agents in self._seats]
        self._get([host.__ray_ready__.remote() for host in self._hosts])
        self._here = Host(self._cast, tuple(sorted(self._cast.outside)), self._doors) if self._cast.outside else None
        self._word_alike()
        if self._saved is not None:
            self._load(self._saved)

    def _load(self, saved: Saved) -> None:
        shared = self._ray.put(saved)
        self._get([host.load.remote(shared) for host in self._hosts])
        if self._here is not None:
            self._here.load(saved)

    def _word_alike(self) -> None:
        """All hosts word messages by the kind of code that the manifest names, which is that of this process. Raises `AgentFault`."""
        if self._cast.checkpoint is None:
            return
        from sociallm.decoding import kind

        here = kind()
        for number, there in enumerate(self._get([host.word_by.remote(here) for host in self._hosts])):
            if there != here:
                remedy = "install the same C++ compiler there, or set CXX=none here for PyTorch on all hosts"
                raise AgentFault(f"host {number} would word messages by {there} code, this process by {here}, which rounds otherwise; {remedy}")

    def __exit__(self, *_: object) -> None:
        if self._started:
            self._ray.shutdown()
        else:
            self._kill()

    def _kill(self) -> None:
        for host in self._hosts:
            self._ray.kill(host)

    def act(self, observations: Sequence[Observation], known: Mapping[AgentID, Action] = NOTHING_KNOWN) -> dict[AgentID, Action]:
        told = dict(known)  # and what those outside answer now: if a host dies, nobody is asked again
        return self._surely(lambda: self._act(observations, told))

    def deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
        if self._cast.checkpoint is None or not messages:
            return []
        return self._surely(lambda: self._deliver(messages, measure))

    def save(self) -> Saved:
        saved = self._surely(self._save, again=False)
        self._saved, self._since = saved, []
        return saved

    def load(self, saved: Saved) -> None:
        self._saved, self._since = saved, []
        self._surely(lambda: self._load(saved), again=False)

    def erase(self, agent: AgentID, other: AgentID, messages: Sequence[Message], parts: Collection[str]) -> None:
        self._surely(lambda: self._erase(agent, other, messages, parts))

    def _erase(self, agent: AgentID, other: AgentID, messages: Sequence[Message], parts: Collection[str]) -> None:
        self._get([host.erase.remote(agent, other, messages, parts) for host, seats in zip(self._hosts, self._seats, strict=True) if agent in seats])
        if self._here is not None and agent in self._cast.outside:
            self._here.erase(agent, other, messages, parts)

    def _surely(self, call: Call, again: bool = True) -> Any:
        """What a call gives, whatever hosts die meanwhile. Raises `AgentFault` when they die of the call itself: `TRIES` times in a row."""
        for attempt in range(TRIES):
            try:
                if attempt:
                    self._repeat()
                given = call()
                break
            except self._deaths as error:
                what = str(error).strip().splitlines()[0][:160]
                if attempt == TRIES - 1:
                    raise AgentFault(f"a host died {TRIES} times in a row ({what}); is it out of memory, or does a policy end its process?") from None
                self.lost += 1
                self._tell(f"a host died ({what}); all hosts are made again and go over {len(self._since)} calls")
        if again:
            self._since.append((call, given))
        return given

    def _repeat(self) -> None:
        self._kill()
        self._make()
        for call, before in self._since:
            if _told(call()) != _told(before):
                raise AgentFault("a host that was made again acted otherwise than the one that died; does a policy keep something to itself?")

    def _act(self, observations: Sequence[Observation], told: dict[AgentID, Action]) -> dict[AgentID, Action]:
        asked = [[seen for seen in observations if seen.agent in agents] for agents in self._seats]
        thinking = [host.act.remote(seen) for host, seen in zip(self._hosts, asked, strict=True) if seen]
        actions: dict[AgentID, Action] = {}
        if self._here is not None and (outside := [seen for seen in observations if seen.agent in self._cast.outside]):
            actions = self._here.act(outside, told)  # while the others think
            told |= actions
        return _by_agent({**actions, **{agent: action for reply in self._get(thinking) for agent, action in reply.items()}})

    def _deliver(self, messages: Sequence[Message], measure: bool) -> list[Scalars]:
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
        records = [record for reply in self._get(calls) for record in reply]
        if self._here is not None and (order := [message for message in messages if message.channel.readers & self._cast.outside]):
            names = dict.fromkeys(message.channel.name for message in order)
            records += self._here.absorb(order, measure, *self._get([encoded[name] for name in names]))
        return _in_order(messages, records)

    def _save(self) -> Saved:
        known = {name for names in self._get([host.channels.remote() for host in self._hosts]) for name in names}
        owned: list[list[str]] = [[] for _ in self._hosts]
        for name in sorted(known):
            owned[owner(name, self._count)].append(name)
        parts = self._get([host.save.remote(names) for host, names in zip(self._hosts, owned, strict=True)])
        parts += [self._here.save(())] if self._here is not None else []
        return Saved({a: m for p in parts for a, m in p.memories.items()}, {n: c for p in parts for n, c in p.files.items()})

    def _get(self, references: list[Any]) -> list[Any]:
        try:
            return self._ray.get(references)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, self._deaths):  # what a call was to be given died with its host
                raise error.cause from None
            cause = error.cause if isinstance(error.cause, Exception) else error
            raise AgentFault(str(cause) if isinstance(cause, AgentFault) else f"a host raised {one_line(cause)}") from None


def in_tasks(calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]], most: int) -> Iterator[Any]:
    """What the calls give, in their order: at most `most` at a time, each a Ray task in a process of its own."""
    ray, started = _start_ray(most, None)
    try:
        task = ray.remote(num_cpus=1, max_retries=0)(_call)
        yield from (ray.get(reference) for reference in [task.remote(call, given) for call, given in calls])
    finally:
        if started:
            ray.shutdown()


def _call(call: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    return call(*given)


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


def _told(given: Any) -> str:
    """What a call gave, for comparison: foreign values that have no JSON form count by their type."""

    def plain(value: Any) -> Any:
        if isinstance(value, (set, frozenset)):
            return sorted(map(str, value))
        return vars(value) if isinstance(value, (Action, Message, Channel)) else type(value).__name__

    return json.dumps(given, default=plain, skipkeys=True)


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
    try:
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, configure_logging=False, **own)
    except Exception as error:  # Ray has no type of its own for this: a bare Exception, RuntimeError, ConnectionError, ValueError
        where = f"at {address}" if address else "on this machine"
        raise AgentFault(f"Ray did not start {where} ({one_line(error)}); is it too busy, or the address wrong? try again, or executor=local") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray puts its own in its place, which exits without sealing the log
    token = Path.home() / ".ray" / "auth_token"
    if token.is_file() and stat.S_IMODE(token.stat().st_mode) != 0o600:
        token.chmod(0o600)
    return ray, True
