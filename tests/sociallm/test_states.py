"""States as values: absorbing, decay, forks, forgetting, keys that name a history, and files that are refused when damaged."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sociallm.conversation import Channel, Message
from sociallm.model import SociaLLM, SociaLLMConfig, build
from sociallm.states import (
    HEADER,
    Dynamics,
    MessageOperator,
    SocialState,
    StateError,
    digest,
    empty_key,
    forget_partner,
    load_states,
    message_hash,
    mixture,
    save_states,
)
from sociallm.streams import READ, WROTE
from tests.sociallm.small import PUBLIC, model_of

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


def states_of(model: SociaLLM, seed: int = 0, names: tuple[str, ...] = ("own", "of bob")) -> dict[str, SocialState]:
    """States that have absorbed three messages each, drawn."""
    out, dynamics, g = {}, Dynamics.of(model), torch.Generator().manual_seed(seed)
    for name in names:
        state = SocialState.empty(model, "c" * 64)
        for time in (10, 20, 2 * HOUR):
            state = state.absorb(operator_of(model, g), READ, time, dynamics)
        out[name] = state
    return out


def operator_of(model: SociaLLM, g: torch.Generator) -> MessageOperator:
    shape = model.empty_state(1)[:, 0].shape
    name = message_hash(replace(MESSAGE, text=str(torch.randint(0, 10**9, (1,), generator=g).item())))
    return MessageOperator(name, -torch.rand(shape[:2], generator=g), torch.randn(shape, generator=g))


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
    """A model at its start: gain 1 for both roles, rates of 0.3 to 0.001 an hour from the first head to the last."""
    heads = model.config.social_heads
    dynamics = Dynamics.of(build(SociaLLMConfig(layers=2, social_heads=heads, vocabulary=8, width=8), torch.Generator().manual_seed(0)))
    assert torch.equal(dynamics.role_log_L2H, torch.zeros(2, 2, heads))
    decay = dynamics.decay_LH11(HOUR)[:, :, 0, 0]
    assert decay.shape == (2, heads)
    assert decay[:, 0].tolist() == pytest.approx([math.exp(-0.3)] * 2) and decay[:, -1].tolist() == pytest.approx([math.exp(-0.001)] * 2)


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


# ---- files -------------------------------------------------------------------------------------------------------------


def test_saved_states_come_back_bit_identical_and_go_on_identically(model: SociaLLM, tmp_path: Path) -> None:
    states = states_of(model) | {"empty": SocialState.empty(model, "c" * 64)}
    save_states(tmp_path / "s.safetensors", states, "c" * 64)
    loaded = load_states(tmp_path / "s.safetensors", model, "c" * 64)
    assert loaded.keys() == states.keys()
    operator = operator_of(model, torch.Generator().manual_seed(1))
    for name, state in states.items():
        again = loaded[name]
        assert torch.equal(again.S_LHPN, state.S_LHPN) and (again.time, again.key) == (state.time, state.key)
        went_on = [s.absorb(operator, READ, 3 * HOUR, Dynamics.of(model)) for s in (state, again)]
        assert torch.equal(went_on[0].S_LHPN, went_on[1].S_LHPN) and went_on[0].key == went_on[1].key


def test_the_same_states_make_the_same_file(model: SociaLLM, tmp_path: Path) -> None:
    states = states_of(model)
    save_states(tmp_path / "a", states, "c" * 64)
    save_states(tmp_path / "b", dict(reversed(states.items())), "c" * 64)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def refused(path: Path, model: SociaLLM, checkpoint: str = "c" * 64) -> str:
    """What is said of a file that is refused: one line that names it."""
    with pytest.raises(StateError) as error:
        load_states(path, model, checkpoint)
    said = str(error.value)
    assert "\n" not in said and str(path) in said
    return said


def test_states_of_another_checkpoint_are_refused(model: SociaLLM, tmp_path: Path) -> None:
    save_states(tmp_path / "s", states_of(model), "c" * 64)
    assert "load the one that made it" in refused(tmp_path / "s", model, "d" * 64)


def test_a_missing_file_of_states_is_refused(model: SociaLLM, tmp_path: Path) -> None:
    assert "run again" in refused(tmp_path / "none", model)


def test_a_truncated_file_of_states_is_refused(model: SociaLLM, tmp_path: Path) -> None:
    save_states(tmp_path / "s", states_of(model), "c" * 64)
    whole = (tmp_path / "s").read_bytes()
    for length in (0, 1, 7, 8, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "s").write_bytes(whole[:length])
        assert "restore" in refused(tmp_path / "s", model)


def test_a_pickle_is_refused_unopened(model: SociaLLM, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (trap,))

    torch.save({"own": torch.zeros(3), "x": Trap()}, tmp_path / "s.pt")
    assert "restore" in refused(tmp_path / "s.pt", model)
    assert not trap.exists()


def test_any_flipped_byte_is_refused(model: SociaLLM, tmp_path: Path) -> None:
    save_states(tmp_path / "s", states_of(model), "c" * 64)
    whole = (tmp_path / "s").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in (*range(0, header, 3), *range(header, len(whole), 97), len(whole) - 1):
        (tmp_path / "s").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert refused(tmp_path / "s", model)


def rewrite(path: Path, model: SociaLLM, edit: dict[str, object], tensors: dict[str, torch.Tensor] | None = None) -> None:
    """A well-formed file edited by someone who knew how to make its digest fit."""
    states = states_of(model)
    stated = {n: {"key": s.key, "time": s.time} | edit for n, s in states.items()}
    tensors = {n: s.S_LHPN for n, s in states.items()} if tensors is None else tensors
    header = {"checkpoint": "c" * 64, "states": stated, "sha256": digest("c" * 64, stated, tensors)}
    save_file(tensors, path, metadata={HEADER: json.dumps(header)})


@pytest.mark.parametrize("edit", [{"key": None}, {"key": 5}, {"key": "abc"}, {"key": "Z" * 64}, {"time": "7"}, {"time": 1.5}, {"time": True}, {"time": [1]}])
def test_a_header_of_wrong_types_is_refused(edit: dict[str, object], model: SociaLLM, tmp_path: Path) -> None:
    rewrite(tmp_path / "s", model, {})
    load_states(tmp_path / "s", model, "c" * 64)
    rewrite(tmp_path / "s", model, edit)
    assert "restore" in refused(tmp_path / "s", model)


def test_states_of_other_shapes_names_or_numbers_are_refused(model: SociaLLM, tmp_path: Path) -> None:
    good = {n: s.S_LHPN for n, s in states_of(model).items()}
    for tensors in (
        {n: t[:1] for n, t in good.items()},
        {n: t.double() for n, t in good.items()},
        {n: t.half() for n, t in good.items()},
        {"own": good["own"]},
        good | {"of cyd": good["own"].clone()},
        good | {"own": good["own"] * math.nan},
    ):
        rewrite(tmp_path / "s", model, {}, {n: t.contiguous() for n, t in tensors.items()})
        assert "restore" in refused(tmp_path / "s", model)


def test_a_safetensors_file_that_holds_no_states_is_refused(model: SociaLLM, tmp_path: Path) -> None:
    for metadata in (None, {"checkpoint": "c" * 64}, {HEADER: "[1"}, {HEADER: "[" * 100_000}, {HEADER: "5"}, {HEADER: '{"checkpoint": 5, "states": {}}'}):
        save_file({"own": model.empty_state(1)[:, 0].clone()}, tmp_path / "s", metadata=metadata)
        assert "restore" in refused(tmp_path / "s", model)
