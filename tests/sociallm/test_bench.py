"""The benchmark: every promised figure comes out, finite; what it compares is as large as it says; many readers are one by one."""

from __future__ import annotations

import json
import math

import pytest
import torch

from sociallm import bench
from sociallm.crowd import absorb_all
from sociallm.states import Dynamics, MessageOperator, SocialState, StateError
from sociallm.streams import READ
from tests.sociallm.small import model_of, tokenizer_of

HF = ("train_over_hf", "generate_over_hf_1", "generate_over_hf_8", "generate_over_hf_32")
OURS = (
    *(f"cost_ratio_{n}" for n in (2, 7, 20, 100)), *(f"cost_ratio_f1_{n}" for n in (2, 7, 20, 100)),
    "read_1000_distinct", "read_1000_same", "bytes_per_relationship",
)  # fmt: skip


def test_the_last_line_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--json", "--small"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.keys() == {*HF, *OURS, "raw"}
    for name in OURS:
        assert math.isfinite(figures[name]) and figures[name] > 0
    for name in HF:  # null without transformers
        assert figures[name] is None and "reason" in figures["raw"][name] if "hf" not in figures["raw"]["parameters"] else figures[name] > 0
    raw = figures["raw"]["bytes_per_relationship"]
    assert figures["bytes_per_relationship"] == raw["L_social"] * raw["E"] * raw["N"] * 2
    assert raw["break_even_tokens"] == figures["bytes_per_relationship"] / raw["cache_bytes_per_token"]


def test_the_models_compared_are_equally_large() -> None:
    for size in (bench.FULL, bench.SMALL):
        social, plain = (bench.parameters(bench.drawn(c)) for c in (size.social, size.plain))
        assert abs(social / plain - 1) < 0.01
    assert abs(bench.parameters(bench.drawn(bench.FULL.social)) / 2.8e6 - 1) < 0.02


@pytest.mark.parametrize("authors", bench.ROOMS)
def test_a_room_is_as_large_as_it_says(authors: int) -> None:
    encoded = bench.room(authors, 200, tokenizer_of())
    assert len(encoded.agents) == authors and {len(w) for w in encoded.words} == {bench.WORDS}
    steps = bench.pieces(encoded, 500, 4)
    assert [s[0].window.first for s in steps][1:] == [s[0].window.last for s in steps][:-1]
    assert {s[0].window.cost for s in steps} == {500}


def test_turns_leave_out_the_first_and_divide_in_pairs() -> None:
    turns = bench.Turns((2.0, 9.0, 4.0), (1.0, 3.0, 4.0))
    assert turns.ratio == 2.0 and turns.raw("a", "b", 8)["spread"] == [1.0, 3.0] and turns.raw("a", "b", 8)["tokens_per_second_a"] == 2.0
    seen: list[tuple[str, int]] = []
    timed = bench.in_turns(lambda n: seen.append(("a", n)), lambda n: seen.append(("b", n)), 2)
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)] and len(timed.a) == len(timed.b) == 2


def several() -> tuple[list[SocialState], MessageOperator, Dynamics]:
    model = model_of()
    g = torch.Generator().manual_seed(0)
    shape = model.empty_state(1)[:, 0].shape
    drawn = [torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(4)]
    states = [SocialState(S, time, str(i) * 64) for i, (S, time) in enumerate(zip(drawn, (0, 5_000_000, None), strict=False))]
    operator = MessageOperator("f" * 64, -torch.rand(shape[:2], generator=g, dtype=torch.float64), drawn[3])
    return states, operator, Dynamics.of(model)


def test_many_readers_absorb_as_each_alone() -> None:
    states, operator, dynamics = several()
    for role in (1, 2):
        for together, state in zip(absorb_all(states, operator, role, 7_200_000, dynamics), states, strict=True):
            alone = state.absorb(operator, role, 7_200_000, dynamics)
            assert (together.key, together.time) == (alone.key, alone.time)
            assert torch.allclose(together.S_LHPN, alone.S_LHPN, rtol=0, atol=1e-14)


def test_readers_of_the_same_history_share_one_state() -> None:
    states, operator, dynamics = several()
    before = states[0].S_LHPN.clone()
    after = absorb_all([states[0], states[1], states[0]], operator, READ, 7_200_000, dynamics)
    assert after[0] is after[2] and after[0] is not after[1]
    assert torch.equal(states[0].S_LHPN, before)


def test_an_older_message_or_another_models_is_refused() -> None:
    states, operator, dynamics = several()
    with pytest.raises(StateError, match="time 4 cannot be absorbed after one of 5000000"):
        absorb_all(states, operator, READ, 4, dynamics)
    with pytest.raises(StateError, match="use one checkpoint for both"):
        absorb_all(states, MessageOperator("f" * 64, operator.log_alpha_LH, operator.U_LHPN[:1]), READ, 7_200_000, dynamics)
