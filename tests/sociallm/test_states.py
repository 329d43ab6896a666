"""States as values: absorbing, decay, forks, forgetting, and keys that name a history."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Channel, Conversation, Message
from sociallm.encode import EncodedMessage, dynamics_of, encode, new_local, slots_of
from sociallm.layout import SociaLLMConfig
from sociallm.model import SociaLLM, build
from sociallm.states import (
    Absorbed,
    Choice,
    Dynamics,
    MessageOperator,
    SocialState,
    StateError,
    Stream,
    before,
    between,
    bytes_per_relationship,
    compose,
    distance,
    empty_key,
    erase_relationship,
    everything,
    forget_partner,
    from_author,
    in_channel,
    message_hash,
    mixture,
    recompose,
)
from sociallm.streams import READ, WROTE
from tests.sociallm.small import AGENTS, PUBLIC, conversation, model_of, operator_of, pair, same, states_of

HOUR = 3_600_000
MESSAGE = Message(id="m1", author="ann", channel=PUBLIC, time=5, text="shall we go to Munich?", addressees=frozenset({"bob"}))


def number(value: float) -> torch.Tensor:
    """A state of one layer, head, width and component."""
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


HALVING = Dynamics(torch.tensor([[[3.0], [5.0]]]).double().log(), torch.full((1, 1), math.log(math.log(2))).double())  # ½ an hour; gains 3 and 5
QUARTER = MessageOperator("m", torch.full((1, 1), math.log(0.25)).double(), number(2.0))  # S → ¼ S + gain·2
EMPTY = SocialState(number(0), None, empty_key("c"))


@pytest.fixture(scope="module")
def model() -> SociaLLM:
    return model_of(dtype=torch.float32)


# ---- absorbing ---------------------------------------------------------------------------------------------------------


def test_absorbing_by_hand() -> None:
    """Written: 0·¼ + 3·2 = 6. Two hours later it has faded to 1.5; read: 1.5·¼ + 5·2 = 10.375."""
    first = EMPTY.absorb(QUARTER, WROTE, 100, HALVING)
    second = first.absorb(QUARTER, READ, 100 + 2 * HOUR, HALVING)
    assert first.S_LHPN.item() == pytest.approx(6) and first.time == 100
    assert second.S_LHPN.item() == pytest.approx(10.375) and second.time == 100 + 2 * HOUR


def test_reading_fades_and_leaves_what_is_stored() -> None:
    state = SocialState(number(8), 0, "k")
    assert state.at(3 * HOUR, HALVING).item() == pytest.approx(1)
    assert state.at(HOUR, HALVING).item() == pytest.approx(4)  # not faded twice
    assert state.S_LHPN.item() == 8 and state.at(0, HALVING).item() == 8


def test_time_never_makes_a_state_grow() -> None:
    assert SocialState(number(8), 10 * HOUR, "k").at(0, HALVING).item() == 8


def test_messages_are_absorbed_in_order_of_time() -> None:
    state = EMPTY.absorb(QUARTER, READ, 100, HALVING)
    assert state.absorb(QUARTER, READ, 100, HALVING).time == 100
    with pytest.raises(StateError, match="time 99 .* after one of 100; deliver messages in order of time"):
        state.absorb(QUARTER, READ, 99, HALVING)


def test_an_empty_state_has_no_clock() -> None:
    assert EMPTY.absorb(QUARTER, READ, -5 * HOUR, HALVING).S_LHPN.item() == pytest.approx(10)


def test_roles_and_rates_are_those_of_the_model(model: SociaLLM) -> None:
    """A model at its start: every second head holds what one wrote 16 times as strongly, the others both roles alike; rates of 0.001 to
    0.3 an hour from the first head to the last."""
    heads = model.config.social_heads
    dynamics = Dynamics.of(build(SociaLLMConfig(layers=2, social_heads=heads, vocabulary=8, width=8), torch.Generator().manual_seed(0)))
    role_LH = (dynamics.role_log_L2H[:, 0] - dynamics.role_log_L2H[:, 1]).exp()
    assert role_LH.tolist() == [[pytest.approx(16.0 if h % 2 == 0 else 1.0) for h in range(heads)]] * 2
    decay = dynamics.decay_LH11(HOUR)[:, :, 0, 0]
    assert decay.shape == (2, heads)
    assert decay[:, 0].tolist() == pytest.approx([math.exp(-0.001)] * 2) and decay[:, -1].tolist() == pytest.approx([math.exp(-0.3)] * 2)


def test_a_mixture_is_the_mean_of_its_states_as_read_now() -> None:
    """8 an hour ago and 2 now: (4 + 2) / 2."""
    states = [SocialState(number(8), 0, "a"), SocialState(number(2), HOUR, "b")]
    assert mixture(states, HOUR, HALVING, EMPTY.S_LHPN).item() == pytest.approx(3)
    assert mixture([*states, EMPTY], HOUR, HALVING, EMPTY.S_LHPN).item() == pytest.approx(2)  # a stranger counts as empty
    assert torch.equal(mixture([], HOUR, HALVING, number(0)), number(0))


# ---- forking, forgetting -----------------------------------------------------------------------------------------------


def test_two_forks_share_nothing_that_changes(model: SociaLLM) -> None:
    state = states_of(model)["own"]
    before = state.S_LHPN.clone()
    one, two = state.fork(), state.fork()
    g = torch.Generator().manual_seed(1)
    changed = one
    for k in range(3):
        changed = changed.absorb(operator_of(model, g), WROTE, 3 * HOUR + k, Dynamics.of(model))
    changed.S_LHPN.mul_(2)  # even a write into the new tensor
    for untouched in (state, one, two):
        assert torch.equal(untouched.S_LHPN, before) and untouched.time == 2 * HOUR and untouched.key == state.key
    assert not torch.equal(changed.S_LHPN, before) and changed.key != state.key


def test_forks_that_read_the_same_stay_the_same(model: SociaLLM) -> None:
    state, operator = states_of(model)["own"], operator_of(model, torch.Generator().manual_seed(1))
    one, two = (state.fork().absorb(operator, READ, 3 * HOUR, Dynamics.of(model)) for _ in range(2))
    assert torch.equal(one.S_LHPN, two.S_LHPN) and one.key == two.key


def test_forgetting_gives_the_empty_state_and_its_key(model: SociaLLM) -> None:
    state = states_of(model)["own"]
    forgotten, empty = state.forget("c" * 64), SocialState.empty(model, "c" * 64)
    assert forgotten.S_LHPN.abs().max() == 0 and forgotten.time is None and forgotten.key == empty.key == empty_key("c" * 64)
    assert state.S_LHPN.abs().max() > 0
    operator = operator_of(model, torch.Generator().manual_seed(1))
    after = [s.absorb(operator, READ, 7, Dynamics.of(model)) for s in (forgotten, empty)]
    assert torch.equal(after[0].S_LHPN, after[1].S_LHPN) and after[0].key == after[1].key


def test_a_forgotten_partner_is_a_stranger_and_the_others_stay(model: SociaLLM) -> None:
    others = states_of(model, names=("bob", "cyd"))
    left = forget_partner(others, "bob")
    assert left == {"cyd": others["cyd"]} and set(others) == {"bob", "cyd"}
    assert forget_partner(others, "dan") == others


# ---- composing ---------------------------------------------------------------------------------------------------------


def test_composing_by_hand() -> None:
    """Written at 0, read two hours later: alpha ¼·¼·¼, U 6·¼·¼ + 10. A state of 64 an hour before fades to 32: 32/64 + 10.375."""
    run = compose([(QUARTER, WROTE, 0), (QUARTER, READ, 2 * HOUR)], HALVING)
    assert run is not None and (run.first, run.last) == (0, 2 * HOUR)
    assert run.log_alpha_LH.exp().item() == pytest.approx(1 / 64) and run.U_LHPN.item() == pytest.approx(10.375)
    after = SocialState(number(64), -HOUR, "k").absorb_run(run, HALVING)
    assert after.S_LHPN.item() == pytest.approx(10.875) and after.time == 2 * HOUR


def test_a_composed_run_is_its_messages_one_by_one_in_any_grouping() -> None:
    """P2: absorbing a run = absorbing its messages, wherever it is cut and however it is grouped; and with the same key."""
    model = model_of()
    dynamics, g = Dynamics.of(model), torch.Generator().manual_seed(2)
    shape = model.empty_state(1)[:, 0].shape
    messages = []
    for k in range(7):
        operator = MessageOperator(f"m{k}", -torch.rand(shape[:2], generator=g).double(), torch.randn(shape, generator=g).double())
        messages.append((operator, (WROTE, READ)[k % 2], k * k * HOUR // 2))
    start = SocialState.empty(model, "c").absorb(messages[0][0], READ, -3 * HOUR, dynamics)
    one_by_one = start
    for operator, role, time in messages:
        one_by_one = one_by_one.absorb(operator, role, time, dynamics)
    for i in range(len(messages) + 1):
        for j in range(i, len(messages) + 1):
            runs = [compose(part, dynamics) for part in (messages[:i], messages[i:j], messages[j:])]
            state = start
            for run in runs:
                state = state.absorb_run(run, dynamics)
            assert torch.allclose(state.S_LHPN, one_by_one.S_LHPN, rtol=0, atol=1e-12)
            assert (state.time, state.key) == (one_by_one.time, one_by_one.key)
    a, b, c = (operator.received(role, time, dynamics) for operator, role, time in messages[:3])
    left, right = a.then(b, dynamics).then(c, dynamics), a.then(b.then(c, dynamics), dynamics)
    assert torch.allclose(left.U_LHPN, right.U_LHPN, rtol=0, atol=1e-12) and torch.allclose(left.log_alpha_LH, right.log_alpha_LH)
    assert (left.first, left.last, left.messages) == (right.first, right.last, right.messages)


def test_runs_are_composed_and_absorbed_in_order_of_time() -> None:
    later, earlier = QUARTER.received(READ, 100, HALVING), QUARTER.received(READ, 99, HALVING)
    assert earlier.then(later, HALVING).last == 100
    for out_of_order in (lambda: later.then(earlier, HALVING), lambda: SocialState(number(0), 100, "k").absorb_run(earlier, HALVING)):
        with pytest.raises(StateError, match="time 99 .* after one of 100"):
            out_of_order()


def test_an_operator_of_another_model_is_refused(model: SociaLLM) -> None:
    """Its shape would broadcast into a wrong state without a word."""
    state = SocialState.empty(model, "c")
    for refused_ in (lambda: state.absorb(QUARTER, READ, 1, Dynamics.of(model)), lambda: state.absorb_run(compose([(QUARTER, READ, 1)], HALVING), HALVING)):
        with pytest.raises(StateError, match="use one checkpoint for both"):
            refused_()


def test_a_plain_language_model_has_states_of_nothing() -> None:
    plain = build(SociaLLMConfig(layers=2, social_every=0, vocabulary=8, width=8), torch.Generator().manual_seed(0))
    state = SocialState.empty(plain, "c")
    nothing = MessageOperator("m", state.S_LHPN[..., 0, 0], state.S_LHPN)
    after = state.absorb(nothing, READ, 5, Dynamics.of(plain)).absorb(nothing, WROTE, HOUR, Dynamics.of(plain))
    assert after.bytes == 0 and after.time == HOUR and distance(state.S_LHPN, after.S_LHPN).overall == 0 and bytes_per_relationship(plain) == 0


# ---- streams: what a state is made of ----------------------------------------------------------------------------------


def encoded_of(loaded: Checkpoint, c: Conversation) -> list[EncodedMessage]:
    slots, locals_, out = slots_of(AGENTS), {}, []
    for m in c.messages:
        locals_[m.channel.name], one = encode(loaded, slots, locals_.get(m.channel.name), m)
        out.append(one)
    return out


def entries_of(encoded: list[EncodedMessage], holder: str, author: str | None = None) -> list[Absorbed]:
    """What `holder` wrote and read, or what of it one author wrote."""
    seen = [e for e in encoded if e.message.read_by(holder) and author in (None, e.message.author)]
    return [Absorbed(e.message, e.operator, WROTE if e.message.author == holder else READ) for e in seen]


def stream_of(loaded: Checkpoint, entries: list[Absorbed]) -> Stream:
    stream, dynamics = Stream.starting(SocialState.empty(loaded.model, loaded.sha256)), dynamics_of(loaded)
    for entry in entries:
        stream = stream.absorb(entry, dynamics)
    return stream


@pytest.fixture(scope="module")
def talk(loaded: Checkpoint) -> list[EncodedMessage]:
    return encoded_of(loaded, conversation(seed=5, count=24))


def test_recomposing_is_absorbing_again_bit_for_bit(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    empty, dynamics = SocialState.empty(loaded.model, loaded.sha256), dynamics_of(loaded)
    for agent in AGENTS:
        entries = entries_of(talk, agent)
        state = empty
        for entry in entries:
            state = state.absorb(entry.operator, entry.role, entry.message.time, dynamics)
        assert same(recompose(empty, entries, dynamics), state) and same(stream_of(loaded, entries).state, state)
        assert len(entries) > 5 and state.key != empty.key


FORGOTTEN: dict[str, tuple[Choice, object]] = {
    "all": (everything, lambda m: True),
    "one author": (from_author("bob"), lambda m: m.author == "bob"),
    "one channel": (in_channel("ALL"), lambda m: m.channel == PUBLIC),
    "a relationship's channel": (between("ann", "bob"), lambda m: m.channel.readers == {"ann", "bob"}),
}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_what_is_forgotten_was_never_absorbed(name: str, loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    """The state left is, bit for bit and by key, the one of somebody who met only the rest; and it goes on alike."""
    choice, gone = FORGOTTEN[name]
    entries = entries_of(talk, "ann")
    rest = [e for e in entries if not gone(e.message)]  # type: ignore[operator]
    assert len(rest) < len(entries)
    whole, expected, dynamics = stream_of(loaded, entries), stream_of(loaded, rest), dynamics_of(loaded)
    left = whole.forget(choice, dynamics)
    assert same(left.state, expected.state) and left.entries == expected.entries
    assert len(whole.entries) == len(entries)  # the stream itself is a value
    one = Absorbed(replace(MESSAGE, id="after", time=10**9), entries[0].operator, READ)
    assert same(left.absorb(one, dynamics).state, expected.absorb(one, dynamics).state)


def test_forgetting_what_came_before_a_moment_is_a_reset_there(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    """P3: what is older is gone, what is of that moment or later stays."""
    entries, dynamics = entries_of(talk, "ann"), dynamics_of(loaded)
    whole = stream_of(loaded, entries)
    for k, entry in enumerate(entries):
        assert same(whole.forget(before(entry.message.time), dynamics).state, stream_of(loaded, entries[k:]).state)
    assert whole.forget(before(entries[0].message.time), dynamics) is whole
    assert same(whole.forget(before(entries[-1].message.time + 1), dynamics).state, SocialState.empty(loaded.model, loaded.sha256))


def test_a_memory_without_messages_holds_the_others_words_fixed(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    entries, dynamics = entries_of(talk, "ann"), dynamics_of(loaded)
    whole, names = stream_of(loaded, entries), [entries[1].message.id, entries[4].message.id]
    left = whole.without(names, dynamics)
    assert same(left.state, stream_of(loaded, [e for e in entries if e.message.id not in names]).state)
    assert all(any(e.operator is kept.operator for e in entries) for kept in left.entries)  # nothing was encoded again
    with pytest.raises(StateError, match="'nowhere' is not among the"):
        whole.without(["nowhere"], dynamics)


def test_a_message_is_absorbed_once(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    """Also when it was edited or dated anew in between: its id and channel say that it is the same."""
    entries, dynamics = entries_of(talk, "ann"), dynamics_of(loaded)
    whole = stream_of(loaded, entries)
    for again in (entries[0], entries[-1], replace(entries[-1], message=replace(entries[-1].message, text="dog", time=10**9))):
        with pytest.raises(StateError, match="in this stream already; after a restore go on with the message after it"):
            whole.absorb(again, dynamics)
    elsewhere = replace(entries[-1].message, channel=Channel(name="other", readers=frozenset(AGENTS)))
    assert len(whole.absorb(replace(entries[-1], message=elsewhere), dynamics).entries) == len(entries) + 1


def test_a_stream_from_a_restored_state_forgets_only_what_it_has_seen(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    entries, dynamics = entries_of(talk, "ann"), dynamics_of(loaded)
    restored = stream_of(loaded, entries[:6]).state
    stream = Stream.starting(restored)
    for entry in entries[6:]:
        stream = stream.absorb(entry, dynamics)
    assert same(stream.state, stream_of(loaded, entries).state)
    assert same(stream.without([entries[7].message.id], dynamics).state, stream_of(loaded, [*entries[:7], *entries[8:]]).state)
    with pytest.raises(StateError, match=f"known from time {restored.time} on only"):
        stream.forget(everything, dynamics)


def test_an_erased_relationship_leaves_everything_else(loaded: Checkpoint, talk: list[EncodedMessage]) -> None:
    """int emptied, own recomposed without the channel of the two; what the partner said in public stays in the own stream."""
    own = stream_of(loaded, entries_of(talk, "ann"))
    others = {v: stream_of(loaded, entries_of(talk, "ann", v)) for v in AGENTS if v != "ann"}
    left, strangers = erase_relationship(own, others, "ann", "bob", dynamics_of(loaded))
    channels = [e.message.channel for e in own.entries]
    assert pair("ann", "bob") in channels and PUBLIC in channels and any(e.message.author == "bob" and e.message.channel == PUBLIC for e in own.entries)
    rest = [e for e in entries_of(talk, "ann") if e.message.channel != pair("ann", "bob")]
    assert same(left.state, stream_of(loaded, rest).state) and any(e.message.author == "bob" for e in left.entries)
    assert strangers.keys() == {"cyd", "dan"} and all(strangers[v] is others[v] for v in strangers) and "bob" in others


# ---- comparing ---------------------------------------------------------------------------------------------------------


def test_distance_by_hand() -> None:
    """Layers (3, 4) against (0, 0): 1. (1, 0) against (0, 1): √2 / 2. Both: √(25 + 2) / (√(25 + 1) + 1)."""
    a = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).view(2, 1, 1, 2)
    b = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    found = distance(a, b)
    assert found.layers == pytest.approx((1, math.sqrt(0.5))) and found.overall == pytest.approx(math.sqrt(27) / (math.sqrt(26) + 1))
    assert distance(a, a) == distance(b * 0, b * 0) and distance(a, a).overall == 0 and distance(a, a).layers == (0, 0)
    assert distance(a, -2 * a).overall == pytest.approx(1) and distance(5 * a, 5 * b).overall == pytest.approx(found.overall)
    assert distance(b, a).overall == pytest.approx(found.overall)


def test_bytes_by_hand(model: SociaLLM, loaded: Checkpoint) -> None:
    """2 layers · 3 heads · 4 · 8 = 192 numbers: 768 bytes live, 384 exported. Local: 2 · (2·8·8 + 3·(16 + 16)) numbers."""
    assert SocialState.empty(model, "c").bytes == 768 and bytes_per_relationship(model) == 384
    assert new_local(loaded).bytes == 4 * 2 * (2 * 8 * 8 + 3 * (16 + 2 * 8))


# ---- keys --------------------------------------------------------------------------------------------------------------


def key_of(history: list[tuple[Message, int, int]], checkpoint: str = "c") -> str:
    state = replace(EMPTY, key=empty_key(checkpoint))
    for message, role, time in history:
        state = state.absorb(replace(QUARTER, message=message_hash(message)), role, time, HALVING)
    return state.key


def test_the_same_history_has_the_same_key_and_any_other_another() -> None:
    other = replace(MESSAGE, id="m2", text="no")
    history = [(MESSAGE, READ, 5), (other, READ, 6)]
    different = {
        "role": [(MESSAGE, WROTE, 5), (other, READ, 6)],
        "time": [(MESSAGE, READ, 4), (other, READ, 6)],
        "text": [(replace(MESSAGE, text="shall we go to Munich!"), READ, 5), (other, READ, 6)],
        "author": [(replace(MESSAGE, author="bob"), READ, 5), (other, READ, 6)],
        "readers": [(replace(MESSAGE, channel=Channel(name="ALL", readers=frozenset({"ann", "bob"}))), READ, 5), (other, READ, 6)],
        "addressees": [(replace(MESSAGE, addressees=frozenset()), READ, 5), (other, READ, 6)],
        "order": [(other, READ, 5), (MESSAGE, READ, 6)],
        "shorter": history[:1],
        "longer": [*history, (other, READ, 6)],
        "nothing": [],
    }
    assert key_of(history) == key_of(list(history))
    keys = [key_of(history), key_of(history, "d"), *map(key_of, different.values())]
    assert len(set(keys)) == 2 + len(different)
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)


def test_names_cannot_be_shifted_into_one_another() -> None:
    """'a' to 'bc' is not 'ab' to 'c': fields are kept apart in the hash."""
    split = [replace(MESSAGE, id="a", author="bc"), replace(MESSAGE, id="ab", author="c"), replace(MESSAGE, id='a", "b', author="c")]
    assert len({message_hash(m) for m in split}) == 3
