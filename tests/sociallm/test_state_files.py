"""Files of states: what was written comes back bit for bit, and whatever is damaged, edited or another's is refused in one line."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Channel, Message
from sociallm.encode import dynamics_of, encode, new_local, slots_of
from sociallm.model import SociaLLM
from sociallm.state_files import (
    HEADER,
    LOCAL_HEADER,
    digest,
    export_states,
    load_export,
    load_locals,
    load_states,
    rounded,
    save_locals,
    save_states,
)
from sociallm.states import (
    Dynamics,
    LocalState,
    MessageOperator,
    SocialState,
    StateError,
    bytes_per_relationship,
)
from sociallm.streams import READ, WROTE
from tests.sociallm.small import AGENTS, conversation, model_of, operator_of, same, states_of

pytestmark = pytest.mark.security(line="S3")

HOUR = 3_600_000


@pytest.fixture(scope="module")
def model() -> SociaLLM:
    return model_of(dtype=torch.float32)


# ---- live states -------------------------------------------------------------------------------------------------------------


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


def test_a_checkpoint_of_any_name_is_told_in_one_line(model: SociaLLM, tmp_path: Path) -> None:
    save_states(tmp_path / "s", states_of(model), "x\ny" * 10_000)
    said = refused(tmp_path / "s", model)
    assert "load the one that made it" in said and len(said) < 200 + len(str(tmp_path))


def test_a_state_of_the_future_is_restored_but_reads_nothing_earlier(model: SociaLLM, tmp_path: Path) -> None:
    """A clock set wrong is no damage; but what a message would do to a later state is never made up."""
    later = replace(states_of(model)["own"], time=10**13)
    save_states(tmp_path / "s", {"own": later}, "c" * 64)
    restored = load_states(tmp_path / "s", model, "c" * 64)["own"]
    with pytest.raises(StateError, match="deliver messages in order of time"):
        restored.absorb(operator_of(model, torch.Generator().manual_seed(1)), READ, 3 * HOUR, Dynamics.of(model))


def test_what_is_no_file_of_states_is_refused(model: SociaLLM, tmp_path: Path) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "zero", tmp_path / "loop", tmp_path):
        assert "restore it, or run again" in refused(path, model)


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


@pytest.mark.parametrize("edit", [{"key": None}, {"key": 5}, {"key": "abc"}, {"key": "Z" * 64}, {"time": "7"}, {"time": 1.5}, {"time": True}, {"time": [1]}, {"time": 10**400}])
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
        {n: t.to(torch.float8_e5m2) for n, t in good.items()},
        {n: t.bool() for n, t in good.items()},
        {n: torch.zeros(0) for n in good},
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


def test_what_was_loaded_does_not_follow_the_file(model: SociaLLM, tmp_path: Path) -> None:
    """Loaded twice shares nothing, and a file written over afterwards changes nothing that was loaded."""
    states, path = states_of(model), tmp_path / "s"
    save_states(path, states, "c" * 64)
    one, two = (load_states(path, model, "c" * 64) for _ in range(2))
    size = path.stat().st_size
    with open(path, "r+b") as f:
        f.write(b"\xff" * size)
    one["own"].S_LHPN.zero_()
    assert torch.equal(two["own"].S_LHPN, states["own"].S_LHPN) and torch.equal(one["of bob"].S_LHPN, states["of bob"].S_LHPN)


# ---- exports -----------------------------------------------------------------------------------------------------------


def test_an_export_is_half_the_size_and_says_so(model: SociaLLM, tmp_path: Path) -> None:
    """It comes back as `rounded` says, within 2⁻⁸ of every number, under a key that is not the live one's."""
    states = states_of(model)
    export_states(tmp_path / "e", states, "c" * 64)
    for name, found in load_export(tmp_path / "e", model, "c" * 64).items():
        live = states[name]
        assert same(found, rounded(live)) and found.time == live.time and found.S_LHPN.dtype == model.dtype
        assert bool(((found.S_LHPN - live.S_LHPN).abs() <= 2**-8 * live.S_LHPN.abs()).all()) and not torch.equal(found.S_LHPN, live.S_LHPN)
        assert found.key != live.key and re.fullmatch("[0-9a-f]{64}", found.key)
    save_states(tmp_path / "s", states, "c" * 64)
    saved_bytes = (tmp_path / "s").stat().st_size - (tmp_path / "e").stat().st_size
    assert abs(saved_bytes - len(states) * bytes_per_relationship(model)) < 64  # headers differ by a few letters


def test_an_export_is_never_taken_for_live_states_nor_the_other_way_round(model: SociaLLM, tmp_path: Path) -> None:
    states = states_of(model)
    export_states(tmp_path / "e", states, "c" * 64)
    assert "rounded to bf16 (load_export), expected live social states" in refused(tmp_path / "e", model)
    save_states(tmp_path / "s", states, "c" * 64)
    with pytest.raises(StateError, match=r"holds live social states, expected .* bf16"):
        load_export(tmp_path / "s", model, "c" * 64)
    tensors = {n: s_.S_LHPN.bfloat16() for n, s_ in states.items()}
    stated = {n: {"key": s_.key, "time": s_.time} for n, s_ in states.items()}
    header = json.dumps({"checkpoint": "c" * 64, "states": stated, "sha256": digest("c" * 64, stated, tensors)})
    save_file(tensors, tmp_path / "f", metadata={HEADER: header})  # relabelled by hand, digest and all
    assert "bfloat16" in refused(tmp_path / "f", model)


# ---- channels' states in files -----------------------------------------------------------------------------------------


def run_on(loaded: Checkpoint, messages: tuple[Message, ...], locals_: dict[str, LocalState], own: dict[str, SocialState]) -> list[MessageOperator]:
    """Go on with a conversation; `locals_` and `own` are brought forward."""
    operators, dynamics, slots = [], dynamics_of(loaded), slots_of(AGENTS)
    for m in messages:
        locals_[m.channel.name], one = encode(loaded, slots, locals_.get(m.channel.name), m)
        operators.append(one.operator)
        for agent in m.channel.readers:
            state = own.get(agent, SocialState.empty(loaded.model, loaded.sha256))
            own[agent] = state.absorb(one.operator, WROTE if agent == m.author else READ, m.time, dynamics)
    return operators


@pytest.mark.parametrize("cut", [0, 1, 7, 15, 16])
def test_a_run_restored_at_any_message_is_the_run_that_was_not(cut: int, loaded: Checkpoint, tmp_path: Path) -> None:
    """States, operators, windows, positions and keys, bit for bit, however often it is restored; so nothing was fed twice."""
    c = conversation(seed=8, count=16)
    locals_: dict[str, LocalState] = {}
    own: dict[str, SocialState] = {}
    run_on(loaded, c.messages[:cut], locals_, own)
    save_locals(tmp_path / "l", locals_, loaded.sha256)
    save_states(tmp_path / "s", own, loaded.sha256)
    operators = run_on(loaded, c.messages[cut:], locals_, own)
    for _ in range(2):
        locals_again = load_locals(tmp_path / "l", loaded.model, loaded.sha256)
        own_again = load_states(tmp_path / "s", loaded.model, loaded.sha256)
        again = run_on(loaded, c.messages[cut:], locals_again, own_again)
        assert own_again.keys() == own.keys() and all(same(own_again[a], own[a]) for a in own)
        assert [o.message for o in again] == [o.message for o in operators] and all(torch.equal(a.U_LHPN, b.U_LHPN) for a, b in zip(again, operators, strict=True))
        assert locals_again.keys() == locals_.keys()
        for name, state in locals_.items():
            found = locals_again[name]
            assert (found.time, found.position, found.recent, found.key) == (state.time, state.position, state.recent, state.key)
            assert all(torch.equal(a, b) for x, y in zip(found.layers, state.layers, strict=True) for a, b in zip(x, y, strict=True))


@pytest.fixture
def channels(loaded: Checkpoint) -> dict[str, LocalState]:
    """Of three channels: one nobody has spoken in, and two of names no tensor could have."""
    odd = Channel(name="__metadata__", readers=frozenset(AGENTS))
    said = Message(id="1", author="ann", channel=odd, time=7, text="a \U0001f98a\n\"quoted\"", addressees=frozenset({"bob"}), reply_to="0")
    first = encode(loaded, slots_of(AGENTS), None, said)[0]
    return {"new": new_local(loaded), "__metadata__": first, "": encode(loaded, slots_of(AGENTS), first, replace(said, id="2", time=9, author="bob"))[0]}


def test_channels_of_any_name_come_back(channels: dict[str, LocalState], loaded: Checkpoint, tmp_path: Path) -> None:
    save_locals(tmp_path / "l", channels, loaded.sha256)
    found, again = (load_locals(tmp_path / "l", loaded.model, loaded.sha256) for _ in range(2))
    assert found.keys() == channels.keys()
    for name, state in channels.items():
        assert (found[name].time, found[name].position, found[name].recent, found[name].key) == (state.time, state.position, state.recent, state.key)
        for x, y, z in zip(found[name].layers, state.layers, again[name].layers, strict=True):
            for a, b, c in zip(x, y, z, strict=True):
                a.add_(1)
                assert torch.equal(a, b + 1) and torch.equal(c, b)
    save_locals(tmp_path / "m", dict(reversed(channels.items())), loaded.sha256)
    assert (tmp_path / "m").read_bytes() == (tmp_path / "l").read_bytes()


def refused_locals(path: Path, loaded: Checkpoint, checkpoint_: str | None = None) -> str:
    with pytest.raises(StateError) as error:
        load_locals(path, loaded.model, checkpoint_ or loaded.sha256)
    said = str(error.value)
    assert "\n" not in said and str(path) in said
    return said


def test_damaged_files_of_channels_are_refused(channels: dict[str, LocalState], loaded: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "l"
    save_locals(path, channels, loaded.sha256)
    whole = path.read_bytes()
    assert "load the one that made it" in refused_locals(path, loaded, "d" * 64)
    assert "holds states of channels (load_locals), expected live social states" in refused(path, loaded.model, loaded.sha256)
    for length in (0, 8, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "restore" in refused_locals(path, loaded)
    for place in (*range(0, len(whole), 101), len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert refused_locals(path, loaded)
    torch.save({"0.0.state": torch.zeros(3)}, path)
    assert "restore" in refused_locals(path, loaded)
    assert "run again" in refused_locals(tmp_path / "none", loaded)


EDITS = {
    "position": (5.0, "position"), "time": ("7", "time"), "key": ("abc", "key"), "recent": ({"v": 1, "id": "x"}, "cannot be restored"),
}  # fmt: skip


@pytest.mark.parametrize("field", EDITS)
def test_channels_whose_header_was_edited_with_its_digest_are_refused(field: str, channels: dict[str, LocalState], loaded: Checkpoint, tmp_path: Path) -> None:
    value, said = EDITS[field]
    path = tmp_path / "l"
    save_locals(path, channels, loaded.sha256)
    with safe_open(path, "pt") as f:
        header = json.loads(f.metadata()[LOCAL_HEADER])
        tensors = {name: f.get_tensor(name).clone() for name in f.keys()}  # noqa: SIM118
    for edit, tensors_ in ((header["states"] | {"__metadata__": header["states"]["__metadata__"] | {field: value}}, tensors),
                           (header["states"], tensors | {"0.0.window": tensors["0.0.window"][:, 1:].clone()}),
                           (header["states"], {n: t for n, t in tensors.items() if n != "0.0.state"})):  # fmt: skip
        edited = {"checkpoint": loaded.sha256, "states": edit, "sha256": digest(loaded.sha256, edit, tensors_)}
        save_file(tensors_, path, metadata={LOCAL_HEADER: json.dumps(edited)})
        told = refused_locals(path, loaded)
        assert edit is header["states"] or said in told


def test_a_state_that_could_not_be_read_back_is_not_written(channels: dict[str, LocalState], loaded: Checkpoint, tmp_path: Path) -> None:
    state = channels[""]
    broken = replace(state, recent=(*state.recent[:-1], replace(state.recent[-1], text=" ")))
    with pytest.raises(StateError, match="the text is empty"):
        save_locals(tmp_path / "l", {"a": broken}, loaded.sha256)
    assert not (tmp_path / "l").exists()
