"""Agents who read message by message hold what one pass over the whole conversation says they hold (T9), and only what they may see (T2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.memory import AgentMemory
from agents.reading import Encoded, Reader
from sociallm import checkpoint
from sociallm.batches import emptied
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Channel, Conversation, Message
from sociallm.encode import dynamics_of, nll_under
from sociallm.losses import by_read, token_nll
from sociallm.state_files import load_states
from sociallm.states import SocialState, empty_key, mixture
from tests.sociallm.small import AGENTS, PUBLIC, conversation, one_batch, pair, saved

Memories = dict[str, AgentMemory]
NAMES = ("surprise", "surprise_no_int", "surprise_no_own", "surprise_no_states")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module", params=["heads", "sum"])
def double(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint whose one copy in this process has double precision."""
    name = saved(tmp_path_factory.mktemp("double"), request.param)
    checkpoint.shared(name).model.double()
    return name


class Watched:
    """A conversation read online by all its agents: what each held before every message, and what was logged."""

    def __init__(self, name: str, c: Conversation, measure: bool = True):
        self.reader = Reader(name, c.participants)
        self.memories: Memories = {a: AgentMemory() for a in c.participants}
        self.before: list[Memories] = []
        self.logged: list[Mapping[str, Mapping[str, Any]]] = []
        self.encoded: list[Encoded] = []
        locals_: dict[str, Any] = {}
        for m in c.messages:
            locals_[m.channel.name], (one,) = self.reader.encode(locals_.get(m.channel.name), [m])
            self.before.append(dict(self.memories))
            after, scalars = self.reader.absorb({a: self.memories[a] for a in m.channel.readers}, one, measure)
            self.memories |= after
            self.logged.append(scalars)
            self.encoded.append(one)


def pairs_of(tiny: Checkpoint, memory: AgentMemory, message: Message, partners: tuple[str, ...]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(own, interlocutor) of an agent at a message: with both, and with one or both emptied."""
    dynamics, empty = dynamics_of(tiny), SocialState.empty(tiny.model, tiny.sha256)
    own = (memory.own or empty).at(message.time, dynamics)
    other = mixture([memory.others.get(v, empty) for v in partners], message.time, dynamics, empty.S_LHPN)
    return [(own, other), (own, empty.S_LHPN), (empty.S_LHPN, other), (empty.S_LHPN, empty.S_LHPN)]


def test_online_agents_are_as_surprised_as_one_pass_says(double: str) -> None:
    """Every read of the batch, by author and by listener, with both states and with either emptied, in double precision."""
    tiny = checkpoint.shared(double)
    for seed in range(2):
        c = conversation(seed)
        watched = Watched(double, c)
        encoded, batch = one_batch(c, tiny.tokenizer, tiny.model.config, seed)
        nll = [token_nll(tiny.model, batch, emptied(batch.streams, *e)) for e in ((False, False), (False, True), (True, False), (True, True))]
        for r, k in enumerate(batch.message_R):
            message = c.messages[k]
            expected = [n[batch.read_Y == r] for n in nll]
            candidates = [message.author] if batch.speaks_R[r] else sorted(message.channel.readers - {message.author})  # one of these was drawn
            distance = []
            for agent in candidates:
                partners = encoded.partners[k] if batch.speaks_R[r] else (message.author,)
                got = nll_under(tiny, watched.encoded[k], pairs_of(tiny, watched.before[k][agent], message, partners))
                distance.append(max(float((a - b).abs().max()) for a, b in zip(got, expected, strict=True)))
            assert min(distance) <= 1e-10


def test_logged_surprises_are_those_of_one_pass_in_single_precision(single: str) -> None:
    tiny, c = checkpoint.shared(single), conversation(3)
    watched = Watched(single, c)
    _, batch = one_batch(c, tiny.tokenizer, tiny.model.config)
    on, off = (by_read(token_nll(tiny.model, batch, emptied(batch.streams, e, e)), batch) for e in (False, True))
    compared = 0
    for r, k in enumerate(batch.message_R):
        readers = c.messages[k].channel.readers - {c.messages[k].author}
        if not batch.speaks_R[r] and len(readers) == 1:
            (record,) = (watched.logged[k][a] for a in readers)
            assert record["surprise"] == pytest.approx(on[r], rel=1e-4) and record["surprise_no_states"] == pytest.approx(off[r], rel=1e-4)
            assert record["tokens"] == int((batch.read_Y == r).sum())
            compared += 1
    assert compared >= 5
    assert any(abs(r["surprise"] - r["surprise_no_states"]) > 1e-3 for s in watched.logged for r in s.values() if "surprise" in r)


def test_strangers_surprise_alike_with_and_without_states(single: str) -> None:
    """At the first message nobody has a past; with one empty state, emptying it changes nothing."""
    hello = Message(id="1", author="ann", channel=PUBLIC, time=0, text="shall we go")
    second = replace(hello, id="2", author="bob", channel=pair("ann", "bob"), time=10)
    watched = Watched(single, Conversation(id="c", messages=(hello, second)))
    for agent in ("bob", "cyd", "dan"):
        assert len({watched.logged[0][agent][n] for n in NAMES}) == 1
    ann = watched.logged[1]["ann"]  # has written, has never read Bob
    assert ann["surprise"] == ann["surprise_no_int"] != ann["surprise_no_own"] == ann["surprise_no_states"]


def test_emptied_states_are_those_of_a_stranger(single: str) -> None:
    """The surprise without states is that of an agent who has just arrived with no memory."""
    c = conversation(5)
    watched = Watched(single, c)
    for k, m in enumerate(c.messages):
        agent = min(m.channel.readers - {m.author})
        _, scalars = watched.reader.absorb({agent: AgentMemory()}, watched.encoded[k], True)
        assert {scalars[agent][n] for n in NAMES} == {watched.logged[k][agent]["surprise_no_states"]}


def test_first_contact_makes_a_state(single: str) -> None:
    tiny = checkpoint.shared(single)
    m = Message(id="1", author="ann", channel=pair("ann", "bob"), time=7, text="shall we go")
    watched = Watched(single, Conversation(id="c", messages=(m,)))
    ann, bob = watched.memories["ann"], watched.memories["bob"]
    assert set(bob.others) == {"ann"} and set(ann.others) == set()
    assert watched.logged[0].keys() == {"ann", "bob"} and "surprise" not in watched.logged[0]["ann"]
    assert {a: r["role"] for a, r in watched.logged[0].items()} == {"ann": "wrote", "bob": "read"}
    assert torch.equal(bob.own.S_LHPN, bob.others["ann"].S_LHPN) and bob.own.key == bob.others["ann"].key  # one history, one state
    gain = dynamics_of(tiny).role_log_L2H.exp()[..., None, None]
    U = watched.encoded[0].operator.U_LHPN
    assert torch.allclose(ann.own.S_LHPN, gain[:, 0] * U) and torch.allclose(bob.own.S_LHPN, gain[:, 1] * U)
    assert ann.own.time == bob.own.time == 7 and empty_key(tiny.sha256) not in (ann.own.key, bob.own.key)


def test_only_readers_of_the_channel_take_a_message_in(single: str) -> None:
    m = Message(id="1", author="ann", channel=pair("ann", "bob"), time=7, text="shall we go")
    reader = Reader(single, AGENTS)
    _, (encoded,) = reader.encode(None, [m])
    after, scalars = reader.absorb({a: AgentMemory() for a in AGENTS}, encoded, True)
    assert after.keys() == scalars.keys() == {"ann", "bob"}


def test_a_memory_handed_in_is_left_as_it_was(single: str) -> None:
    c = conversation(count=8)
    watched = Watched(single, c)
    kept = {a: (m, None if m.own is None else m.own.S_LHPN.clone(), dict(m.others)) for a, m in watched.memories.items()}
    last = replace(c.messages[-1], id="more", time=c.messages[-1].time + 5, channel=PUBLIC)
    _, (encoded,) = watched.reader.encode(None, [last])
    watched.reader.absorb(watched.memories, encoded, True)
    for agent, (memory, own, others) in kept.items():
        assert watched.memories[agent] is memory and dict(memory.others) == others
        assert own is None or torch.equal(memory.own.S_LHPN, own)


def test_measuring_changes_no_memory(single: str) -> None:
    c = conversation(count=6)
    measured, plain = Watched(single, c), Watched(single, c, measure=False)
    for agent in AGENTS:
        assert same_memory(measured.memories[agent], plain.memories[agent])
    assert all(r.keys() <= {"role", "own", "other", "channel"} for s in plain.logged for r in s.values())


def same_memory(a: AgentMemory, b: AgentMemory) -> bool:
    """Bit-identical states of the same keys."""
    if (a.own is None) != (b.own is None) or a.others.keys() != b.others.keys() or dict(a.channels) != dict(b.channels):
        return False
    states = [(a.own, b.own)] if a.own is not None else []
    return all(x.key == y.key and x.time == y.time and torch.equal(x.S_LHPN, y.S_LHPN) for x, y in [*states, *((a.others[v], b.others[v]) for v in a.others)])


@pytest.mark.parametrize("text", ["dog", "the lazy dog jumps over the quick brown fox, shall we go to Munich? " * 3])
def test_an_edited_private_message_touches_nobody_who_could_not_see_it(text: str, single: str) -> None:
    c = conversation(count=18)
    hidden = next(k for k, m in enumerate(c.messages) if len(m.channel.readers) == 2)
    readers = c.messages[hidden].channel.readers
    edited = replace(c, messages=tuple(replace(m, text=text) if k == hidden else m for k, m in enumerate(c.messages)))
    one, two = Watched(single, c), Watched(single, edited)
    for agent in AGENTS:
        assert same_memory(one.memories[agent], two.memories[agent]) == (agent not in readers)
        for k in range(len(c.messages)):
            if agent in one.logged[k] and (agent not in readers or k < hidden):
                assert one.logged[k][agent] == two.logged[k][agent]
    later = [a for k in range(hidden + 1, len(c.messages)) for a in one.logged[k] if a in readers and one.logged[k][a] != two.logged[k][a]]
    assert set(later) == set(readers)


def test_memories_of_a_channel_read_in_batches_or_one_by_one_are_the_same(single: str) -> None:
    messages = [replace(m, channel=PUBLIC) for m in conversation(count=6).messages]
    reader = Reader(single, AGENTS)
    together, all_at_once = reader.encode(None, messages)
    local, one_by_one = None, []
    for m in messages:
        local, (encoded,) = reader.encode(local, [m])
        one_by_one.append(encoded)
    assert together.key == local.key
    assert all(torch.equal(a.operator.U_LHPN, b.operator.U_LHPN) for a, b in zip(all_at_once, one_by_one, strict=True))


def test_saved_memories_come_back(single: str, tmp_path: Path) -> None:
    watched, tiny = Watched(single, conversation()), checkpoint.shared(single)
    watched.reader.save(watched.memories | {"new": AgentMemory()}, tmp_path)
    for agent, memory in watched.memories.items():
        states = load_states(tmp_path / f"{agent}.safetensors", tiny.model, tiny.sha256)
        again = AgentMemory(own=states.pop("own"), others={n.removeprefix("of "): s for n, s in states.items()}, channels=memory.channels)
        assert same_memory(again, memory)
    assert load_states(tmp_path / "new.safetensors", tiny.model, tiny.sha256)["own"].key == empty_key(tiny.sha256)


@pytest.mark.parametrize("name", ["../out", "a/b", "Zoë", "..", "own"])
def test_whatever_an_agents_name_its_file_stays_in_the_folder(name: str, single: str, tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    folder.mkdir()
    m = Message(id="1", author=name, channel=Channel(name="x", readers=frozenset({name, "bob"})), time=7, text="shall we go")
    watched = Watched(single, Conversation(id="c", messages=(m,)))
    watched.reader.save(watched.memories, folder)
    assert [p.name for p in tmp_path.iterdir()] == ["snapshot"] and len(list(folder.iterdir())) == 2


def test_surprise_is_a_finite_positive_number_of_nats(single: str) -> None:
    for scalars in Watched(single, conversation(7)).logged:
        for record in scalars.values():
            assert all(0 < record[n] < 100 * record["tokens"] and math.isfinite(record[n]) for n in NAMES if n in record)
