"""Sampling: a step is the parallel read token by token; beginnings are kept, special tokens never said, likelihoods true."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sociallm import checkpoint, decoding
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Message
from sociallm.encode import encode, header_of, new_local, nll_under, slots_of
from sociallm.generate import ROWS, Candidate, Prompt, Wanted, _draw, _rows, _step, generate, generate_all, sample, score
from sociallm.layout import reads_of, sequence_of
from sociallm.model import build
from sociallm.states import LocalState
from sociallm.tokenizer import SPECIALS, Tokenizer
from tests.sociallm.small import AGENTS, PUBLIC, incline, model_of, pair, tokenizer_of

SLOTS = slots_of(AGENTS)
FREE = [""] * ROWS
BEGINNINGS = ["shall we go to Munich", "the lazy dog", "naïve ☃", "", "x", "  two  spaces", "", "Munich. the fox"]


@pytest.fixture(scope="module")
def brief() -> Checkpoint:
    """A model that likes to end its messages, and to say ' fox'."""
    return inclined({Tokenizer.END: 3.5, tokenizer_of().encode_text(" fox")[0]: 3.5})


def inclined(wishes: dict[int, float], vocabulary: int = 420) -> Checkpoint:
    tokenizer = tokenizer_of(vocabulary=vocabulary)
    model = model_of(vocabulary=tokenizer.vocabulary)
    incline(model, wishes)
    return Checkpoint(model.eval().requires_grad_(False), tokenizer, "inclined")


def moment(tiny: Checkpoint, seed: int = 0) -> tuple[list[int], LocalState, Tensor, Tensor]:
    """(header, channel's state, own, interlocutor): Ann is about to answer Bob."""
    channel = pair("ann", "bob")
    local = None
    for k, text in enumerate(("shall we go to Munich together?", "the quick fox")):
        local, _ = encode(tiny, SLOTS, local, Message(id=str(k), author=("ann", "bob")[k], channel=channel, time=k, text=text))
    header, _ = header_of(tiny, local, SLOTS, Message(id="2", author="ann", channel=channel, time=60_000, text=""))
    g = torch.Generator().manual_seed(seed)
    own, other = (torch.randn(tiny.model.empty_state(1)[:, 0].shape, generator=g, dtype=torch.float64).to(tiny.model.dtype) for _ in range(2))
    return header, local, own, other


def told(tiny: Checkpoint, beginnings: Sequence[str] = FREE, seed: int = 0, **how: Any) -> list[Candidate]:
    return generate(tiny, *moment(tiny), beginnings, np.random.default_rng(seed), **how)


class Overheard(Tokenizer):
    """A tokenizer that keeps a record of the ids it is asked to put into words."""

    def decode(self, ids: Sequence[int]) -> str:
        self.heard.append(list(ids))
        return super().decode(ids)


def overheard(tiny: Checkpoint) -> tuple[Checkpoint, list[list[int]]]:
    tokenizer = Overheard(tiny.tokenizer._bpe)
    tokenizer.heard = []
    spied = replace(tiny, tokenizer=tokenizer)
    told(spied, most_tokens=1)  # whatever it decodes once and for all is behind us
    tokenizer.heard.clear()
    return spied, tokenizer.heard


@torch.no_grad()
def test_stepping_token_by_token_is_the_parallel_read(tiny: Checkpoint) -> None:
    """Logits at every token; afterwards the channel's state, and both working states: alpha·S + U, the message's own writes unscaled."""
    for seed in range(3):
        header, local, own, other = moment(tiny, seed)
        ids = [*header, *tiny.tokenizer.encode_text("we go over the lazy fox"), tiny.tokenizer.END]
        sequence = sequence_of([[ids]], tiny.model.config)
        public = tiny.model.public(sequence, local.layers)
        parallel = tiny.model.logits(tiny.model.read(public, reads_of([0], sequence, tiny.model.config), own[:, None], other[:, None]))
        rows = _rows(tiny, local, own, other, 3)
        for t, token in enumerate(ids):
            logits = _step(tiny, torch.full((3,), token), rows)
            assert torch.allclose(logits, parallel[t].expand(3, -1), rtol=0, atol=1e-10)
        for i, written in enumerate(public.written):
            alpha, U = written.log_alpha_MH[0].exp()[:, None, None], written.U_MHPN[0]
            starts = (own[i] + other[i], None) if tiny.model.config.fusion == "sum" else (own[i], other[i])
            for state, start in zip((rows.own[i], rows.other[i]), starts, strict=True):
                assert start is None or torch.allclose(state[1], alpha * start + U, rtol=0, atol=1e-10)
            for a, b in zip(rows.local[i], public.local[i], strict=True):
                assert torch.allclose(a[2], b[0], rtol=0, atol=1e-10)


def test_beginnings_come_out_word_for_word(tiny: Checkpoint, brief: Checkpoint) -> None:
    for model in (tiny, brief):
        for seed in range(3):
            for beginning, candidate in zip(BEGINNINGS, told(model, BEGINNINGS, seed), strict=True):
                assert candidate.text.startswith(beginning)
                assert candidate.tokens - candidate.finished - candidate.sampled == len(model.tokenizer.encode_text(beginning))
                assert candidate.sampled > 0 or candidate.text == beginning


def test_a_beginning_longer_than_a_message_may_be_is_cut_and_unfinished(tiny: Checkpoint) -> None:
    for candidate in told(tiny, ["shall we go to Munich together?"] * ROWS, most_tokens=3):
        assert (candidate.tokens, candidate.sampled, candidate.finished) == (3, 0, False)
        assert "shall we go to Munich together?".startswith(candidate.text)


def test_the_same_random_numbers_give_the_same_candidates(tiny: Checkpoint) -> None:
    one, two, other = told(tiny, BEGINNINGS, 1), told(tiny, BEGINNINGS, 1), told(tiny, BEGINNINGS, 2)
    assert one == two
    assert all(a.text != b.text for a, b in zip(one, other, strict=True))
    assert len({c.text for c in told(tiny)}) == ROWS  # rows have random numbers of their own


def test_a_row_does_not_depend_on_the_other_rows_beginnings(tiny: Checkpoint) -> None:
    changed = ["the quick brown fox", *BEGINNINGS[1:]]
    assert told(tiny, BEGINNINGS)[1:] == told(tiny, changed)[1:]


def test_the_same_number_of_random_numbers_is_used_whatever_is_said(tiny: Checkpoint, brief: Checkpoint) -> None:
    left = []
    for model, beginnings in ((tiny, FREE), (brief, FREE), (brief, BEGINNINGS)):
        rng = np.random.default_rng(0)
        generate(model, *moment(model), beginnings, rng)
        left.append(rng.random())
    assert len(set(left)) == 1


def test_special_tokens_are_never_said() -> None:
    """Even by a model to which every special token but the end is far likelier than any word."""
    for wishes in (dict.fromkeys(range(1, len(SPECIALS)), 8.0), dict.fromkeys(range(len(SPECIALS)), 8.0)):
        spied, heard = overheard(inclined(wishes))
        candidates = told(spied, BEGINNINGS, most_tokens=20)
        assert len(heard) == ROWS and all(i >= len(SPECIALS) for ids in heard for i in ids)
        assert [c.tokens - c.finished for c in candidates] == [len(ids) for ids in heard]
        assert all(c.finished for c in candidates) == (0 in wishes)
        assert not any(special in c.text for c in candidates for special in SPECIALS)


def test_the_likelihood_of_a_candidate_is_that_of_its_words_read_in_parallel(tiny: Checkpoint, brief: Checkpoint) -> None:
    """Of the ids that were said, beginnings included, over the whole vocabulary: as `nll_under` will have it once the message is sent."""
    by_text = 0
    for model in (tiny, brief):
        spied, heard = overheard(model)
        header, local, own, other = moment(model)
        for candidate, ids in zip(told(spied, BEGINNINGS, most_tokens=24), heard, strict=True):
            full = [*header, *ids, *[Tokenizer.END] * candidate.finished]
            sequence = sequence_of([[full]], model.model.config)
            public = model.model.public(sequence, local.layers)
            with torch.no_grad():
                h = model.model.read(public, reads_of([0], sequence, model.model.config), own[:, None], other[:, None])
                log_p = torch.log_softmax(model.model.logits(h), -1)
            nats = -sum(float(log_p[t - 1, full[t]]) for t in range(len(header), len(full)))
            assert candidate.nats == pytest.approx(nats, abs=1e-9)
            if candidate.finished and model.tokenizer.encode_text(candidate.text) == ids:
                message = Message(id="2", author="ann", channel=pair("ann", "bob"), time=60_000, text=candidate.text)
                _, encoded = encode(model, SLOTS, local, message)
                row = nll_under(model, encoded, [(own, other)])[0]
                assert candidate.nats == pytest.approx(float(row.sum()), abs=1e-9) and candidate.tokens == len(row)
                by_text += 1
    assert by_text >= 4


def test_a_message_that_never_ends_is_unfinished() -> None:
    for candidate in told(inclined({Tokenizer.END: -50.0, tokenizer_of().encode_text(" fox")[0]: 9.0}), most_tokens=7):
        assert (candidate.tokens, candidate.sampled, candidate.finished) == (7, 7, False)


def test_a_model_that_has_nothing_to_say_ends_at_once() -> None:
    for candidate, beginning in zip(told(inclined({Tokenizer.END: 20.0}), BEGINNINGS), BEGINNINGS, strict=True):
        assert candidate.text == beginning and candidate.finished and candidate.sampled == 0


def test_a_model_says_at_most_one_sentence_of_its_own() -> None:
    """'?' ends a sentence of the model's own, not one of its beginning."""
    question = tokenizer_of().encode_text("?")[0]
    beginnings = ["shall we go?", "shall we"] * (ROWS // 2)
    candidates = told(inclined({question: 6.0, tokenizer_of().encode_text(" fox")[0]: 5.0}), beginnings, most_tokens=40)
    for candidate, beginning in zip(candidates, beginnings, strict=True):
        own = candidate.text.removeprefix(beginning)
        assert candidate.sampled > 0 and own.index("?") == len(own) - 1 and candidate.finished


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS + 1])
def test_another_number_of_beginnings_is_refused(count: int, tiny: Checkpoint) -> None:
    with pytest.raises(ValueError, match=f"^{count} beginnings; expected exactly {ROWS}"):
        told(tiny, [""] * count)


def test_drawing_by_hand() -> None:
    """p = ½, 3⁄10, ⅕, temperature 1. Of 7/10 the first two are needed: the first up to u = ⅝. Of all, ½ and 8/10."""
    logits = torch.tensor([[0.3, 0.2, 0.5]]).double().log()  # tokens 2, 0, 1 by likelihood
    draw = lambda u, top_p, temperature=1.0: int(_draw(logits, torch.tensor([u]).double(), temperature, top_p))  # noqa: E731
    assert [draw(u, 0.7) for u in (0.0, 0.62, 0.63, 0.999)] == [2, 2, 0, 0]
    assert [draw(u, 1.0) for u in (0.49, 0.51, 0.79, 0.81, 0.999)] == [2, 0, 0, 1, 1]
    assert [draw(u, 0.4) for u in (0.0, 0.999)] == [2, 2]
    assert [draw(u, 1.0, 0.05) for u in (0.0, 0.999)] == [2, 2]  # nearly cold: (3/5)^20 is 4 in 100,000


def test_draws_have_the_stated_shares() -> None:
    p = torch.tensor([0.4, 0.1, 0.3, 0.2]).double()
    u = torch.from_numpy(np.random.default_rng(0).random(20_000))
    drawn = torch.bincount(_draw(p.log().expand(20_000, -1), u, 1.0, 1.0), minlength=4).double() / 20_000
    assert ((drawn - p).abs() <= 3 * (p * (1 - p) / 20_000).sqrt()).all()


def test_candidates_depend_on_both_states(tiny: Checkpoint, tmp_path: Path) -> None:
    header, local, own, other = moment(tiny)
    empty = torch.zeros_like(own)
    nats = {
        round(generate(tiny, header, local, a, b, ["shall we go"] * ROWS, np.random.default_rng(0), most_tokens=3)[0].nats, 9)
        for a, b in ((own, other), (own, empty), (empty, other), (empty, empty))
    }
    assert len(nats) == 4
    swapped = [generate(tiny, header, local, a, b, FREE, np.random.default_rng(0), most_tokens=3)[0].nats for a, b in ((own, other), (other, own))]
    assert (swapped[0] == pytest.approx(swapped[1], abs=1e-10)) == (tiny.model.config.fusion == "sum")


def test_a_room_and_a_first_message_are_answered(tiny: Checkpoint) -> None:
    first = Message(id="1", author="ann", channel=PUBLIC, time=0, text="")
    header, partners = header_of(tiny, new_local(tiny), SLOTS, first)
    empty = tiny.model.empty_state(1)[:, 0]
    candidates = generate(tiny, header, new_local(tiny), empty, empty, FREE, np.random.default_rng(0), most_tokens=4)
    assert partners == () and all(c.tokens <= 4 and np.isfinite(c.nats) for c in candidates)


def prompts(tiny: Checkpoint) -> list[Prompt]:
    """Three messages about to be written: to Bob, to everybody, and to Bob after something has been said; each from other states."""
    header, local, own, other = moment(tiny, 1)
    first, _ = header_of(tiny, new_local(tiny), SLOTS, Message(id="1", author="cyd", channel=PUBLIC, time=0, text="", addressees=frozenset({"ann", "bob"})))
    empty = torch.zeros_like(own)
    return [Prompt(header, local, own, other), Prompt(first, new_local(tiny), other, empty, "shall we"), Prompt(header, local, empty, own, "x")]


def agree(a: Sequence[Candidate], b: Sequence[Candidate]) -> bool:
    return all(replace(x, nats=0) == replace(y, nats=0) and x.nats == pytest.approx(y.nats, abs=1e-9) for x, y in zip(a, b, strict=True))


needs_compiler = pytest.mark.skipif(decoding.compiler() is None, reason="no C++ compiler here")


def forced_logits(weights: decoding.Weights, starts: Sequence[decoding.Start], forced_TB: Tensor, threads: int = 1) -> Tensor:
    """What compiled code predicts while it says nothing but what it must: [T, B, V]."""
    no = np.zeros(weights.model.V, bool)
    plan = decoding.Plan(forced_TB.numpy(), np.zeros(forced_TB.shape), no, no, no, np.full(len(starts), len(forced_TB)), 1.0, 1.0)
    said = decoding.say(weights, starts, plan, threads, with_logits=True)
    assert np.array_equal(said.tokens_TB, forced_TB) and said.logits_TBV is not None
    costs = -torch.log_softmax(said.logits_TBV, -1).gather(-1, forced_TB[..., None])[..., 0]
    assert torch.allclose(said.nats_TB, costs, rtol=0, atol=1e-10 if weights.dtype == torch.float64 else 1e-4)
    return said.logits_TBV


@needs_compiler
def test_messages_worded_together_are_those_worded_alone_to_the_last_bit(tiny):
    """Of other states, headers, lengths and beginnings: in compiled code rows that start alike are one until they part."""
    header, local, own, other = moment(tiny)
    empty = torch.zeros_like(own)
    beginnings = (["shall we go"] * 3 + ["shall we not"] * 2 + ["", "", "x"])[:ROWS]
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    wanted = [Wanted(header, local, own, other, beginnings, rngs[0].random((20, ROWS))), Wanted(header, local, own, other, FREE, rngs[1].random((9, ROWS))),
              Wanted(header[:-1], new_local(tiny), other, empty, beginnings, rngs[2].random((30, ROWS)))]  # fmt: skip
    together = generate_all(tiny, wanted, 0.9, 0.9, fast=True)
    assert together == [generate_all(tiny, [one], 0.9, 0.9, fast=True)[0] for one in wanted]
    assert len({c.text for c in together[1]}) > 1  # they did part


def short(candidate: Candidate) -> bool:
    """A judgement that some candidates pass."""
    return len(candidate.text) % 3 > 0


def judged(tiny: Checkpoint, seeds: Sequence[int], fast: bool, will_do: Callable[[Candidate], bool] = short) -> list[tuple[list[Candidate], Candidate | None, list[Candidate]]]:
    """Of messages worded together, each of other states and random numbers: (candidates that were asked about, the one to be taken, all)."""
    asked: list[list[Candidate]] = [[] for _ in seeds]

    def one(k: int, seed: int) -> Wanted:
        header, local, own, other = moment(tiny, seed)

        def ask(i: int, candidate: Candidate) -> bool:
            assert candidate.finished and candidate.text.startswith(JUDGED[i])
            asked[k].append(candidate)
            return will_do(candidate)

        return Wanted(header, local, own, other, JUDGED, np.random.default_rng(seed).random((24, ROWS)), most_own=12, will_do=ask)

    every = generate_all(tiny, [one(k, seed) for k, seed in enumerate(seeds)], 0.9, 0.9, fast=fast)
    return [(a, min((c for c in a if will_do(c)), key=lambda c: c.nats, default=None), e) for a, e in zip(asked, every, strict=True)]


JUDGED = ["shall we go to Munich", "the lazy dog", "", "x", "  two  spaces", "x", "Munich. the fox", "the lazy"]


@needs_compiler
def test_messages_from_the_very_same_tensors_are_given_up_each_by_its_own(brief: Checkpoint) -> None:
    header, local, own, other = moment(brief)

    def one(yes: bool) -> Wanted:
        return Wanted(header, local, own, other, JUDGED, np.random.default_rng(0).random((24, ROWS)), most_own=12, will_do=lambda i, c: yes)

    (alone,), (whole,) = (generate_all(brief, [one(yes)], 0.9, 0.9, fast=True) for yes in (True, False))
    assert alone != whole
    assert generate_all(brief, [one(False), one(True)], 0.9, 0.9, fast=True) == [whole, alone]
    assert generate_all(brief, [one(True), one(False)], 0.9, 0.9, fast=True) == [alone, whole]


class Rung(Exception):
    """What the alarm of the next test raises."""


@needs_compiler
def test_what_a_signal_raises_while_words_are_judged_is_not_lost(brief: Checkpoint) -> None:
    """As Ctrl-C does at a table: it comes through."""
    header, local, own, other = moment(brief)
    rang: list[int] = []

    def ring(number: int, frame: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        rang.append(number)
        raise Rung

    def soon(place: int, candidate: Candidate) -> bool:
        signal.setitimer(signal.ITIMER_REAL, 0.0001)
        return False

    before, lost, came = signal.signal(signal.SIGALRM, ring), 0, 0
    try:
        for trial in range(150):
            wanted = Wanted(header, local, own, other, JUDGED, np.random.default_rng(trial).random((24, ROWS)), most_own=12, will_do=soon)
            rang.clear()
            try:
                generate_all(brief, [wanted], 0.9, 0.9, fast=True)
                signal.setitimer(signal.ITIMER_REAL, 0)
                lost += bool(rang)
            except Rung:
                came += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came > 20 and not lost



@pytest.mark.parametrize("fast", [pytest.param(True, marks=needs_compiler), False])
def test_what_is_taken_is_the_likeliest_that_will_do_of_all(fast: bool, brief: Checkpoint) -> None:
    """Candidates that are given up would not have been taken; and there are such."""
    given_up = in_the_middle = 0
    for seed in range(8):
        header, local, own, other = moment(brief, seed)
        wanted = Wanted(header, local, own, other, JUDGED, np.random.default_rng(seed).random((24, ROWS)), most_own=12)
        (whole,) = generate_all(brief, [wanted], 0.9, 0.9, fast=fast)
        best = min((c for c in whole if c.finished and short(c)), key=lambda c: c.nats, default=None)
        ((asked, taken, every),) = judged(brief, [seed], fast)
        assert taken == best
        for a, b in zip(whole, every, strict=True):  # what goes on to its end ends as it would have; what does not is a beginning of it
            assert a == b or (not b.finished and a.text.startswith(b.text.rstrip("\ufffd")) and b.tokens <= a.tokens and b.nats <= a.nats + 1e-9)
        given_up += sum(c.finished for c in whole) - len(asked)
        in_the_middle += sum(a.finished and not b.finished for a, b in zip(whole, every, strict=True))
    assert given_up > 8 and (in_the_middle > 8 or not fast)


@needs_compiler
def test_which_candidates_are_given_up_does_not_depend_on_the_company(brief: Checkpoint) -> None:
    alone = [judged(brief, [seed], True)[0] for seed in range(6)]
    assert judged(brief, range(6), True) == alone
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert judged(brief, range(6), True) == alone
    finally:
        torch.set_num_threads(threads)


@needs_compiler
def test_of_many_candidates_a_few_go_on_at_once(tiny: Checkpoint) -> None:
    """Eight that say ten tokens of their own: when the first one ends, four are as far, and four have but the word that tells how likely they are."""
    _, local, own, other = moment(tiny)
    V, lengths = tiny.tokenizer.vocabulary, list[list[int]]()
    no, end = np.zeros((2, V), bool)
    end[Tokenizer.END] = True
    forced = np.full((20, ROWS), decoding.FREE)
    forced[10] = Tokenizer.END

    def judge(b: int, said_T: Any, nats_T: Any) -> bool:
        lengths.append(sorted((said_T.base >= 0).sum(0)))
        return False

    plan = decoding.Plan(forced, np.random.default_rng(0).random(forced.shape), no, end, end, np.full(ROWS, 20), 1.0, 1.0, np.zeros(ROWS, int), judge)
    starts = [decoding.Start(7 + i, 0, local.layers, own, other) for i in range(ROWS)]
    said = decoding.say(decoding.weights_of(tiny.model), starts, plan, 1)
    assert lengths[0] == [1, 1, 1, 1, 10, 10, 10, 11] and len(lengths) == ROWS
    freely = decoding.say(decoding.weights_of(tiny.model), starts, replace(plan, judge=None), 1)
    assert np.array_equal(said.tokens_TB, freely.tokens_TB) and torch.equal(said.nats_TB, freely.nats_TB)


@needs_compiler
@pytest.mark.parametrize("no", [np.False_, None, 0])
def test_a_judge_may_say_no_in_any_way(no: Any, brief: Checkpoint) -> None:
    ((asked, _, every),) = judged(brief, [0], True, lambda _: no)
    assert len(asked) == sum(c.finished for c in every) > 1


@needs_compiler
def test_states_that_are_no_numbers_change_nothing_for_others(brief: Checkpoint) -> None:
    """Nor does a message of which nobody asks what will do."""
    asked: list[list[Candidate]] = [[], []]

    def one(k: int, broken: bool, judges: bool) -> Wanted:
        header, local, own, other = moment(brief, 1)
        will_do = (lambda i, c: asked[k].append(c) or short(c)) if judges else None
        return Wanted(header, local, own * torch.nan if broken else own, other, JUDGED, np.random.default_rng(1).random((24, ROWS)), 12, will_do)

    (alone,) = generate_all(brief, [one(0, False, True)], 0.9, 0.9, fast=True)
    _, within, plain = generate_all(brief, [one(1, True, True), one(1, False, True), one(0, False, False)], 0.9, 0.9, fast=True)
    (unasked,) = generate_all(brief, [one(0, False, False)], 0.9, 0.9, fast=True)
    assert within == alone and [c for c in asked[1] if c.nats == c.nats] == asked[0] and plain == unasked


def test_fewer_words_than_none_are_refused(tiny: Checkpoint) -> None:
    header, local, own, other = moment(tiny)
    with pytest.raises(ValueError, match="most_own -1; expected 0 or more"):
        generate_all(tiny, [Wanted(header, local, own, other, JUDGED, np.zeros((4, ROWS)), -1)], 0.9, 0.9)


@needs_compiler
def test_where_nothing_will_do_every_candidate_is_asked_about_and_said_to_its_end(brief: Checkpoint) -> None:
    ((asked, taken, every),) = judged(brief, [0], True, lambda _: False)
    assert taken is None and sorted(c.nats for c in asked) == sorted(c.nats for c in every if c.finished)
    header, local, own, other = moment(brief, 0)
    assert generate_all(brief, [Wanted(header, local, own, other, JUDGED, np.random.default_rng(0).random((24, ROWS)), 12)], 0.9, 0.9, fast=True) == [every]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("fast", [pytest.param(True, marks=needs_compiler), False])
def test_what_goes_wrong_while_judging_is_told(fast: bool, error: type[BaseException], brief: Checkpoint) -> None:
    def fails(_: Candidate) -> bool:
        raise error

    with pytest.raises(error):
        judged(brief, range(3), fast, fails)


@pytest.mark.parametrize("fast", [pytest.param(True, marks=needs_compiler), False])
def test_no_candidate_has_more_words_of_its_own_than_it_may(fast: bool, tiny: Checkpoint) -> None:
    header, local, own, other = moment(tiny)
    uniform_TB = np.random.default_rng(0).random((24, ROWS))
    freely, few = (generate_all(tiny, [Wanted(header, local, own, other, JUDGED, uniform_TB, most)], 0.9, 0.9, fast=fast)[0] for most in (None, 3))
    assert any(c.sampled > 3 for c in freely) and all(c.sampled <= 4 for c in few)
    for a, b in zip(freely, few, strict=True):
        assert (a == b) == (a.sampled <= 3 and a.finished) and (a == b or not b.finished)


@needs_compiler
def test_rows_that_start_from_the_same_tensors_say_what_they_would_from_copies(tiny):
    """Nothing that is shared shows: tokens and their nats are the same, past the token at which states are folded."""
    _, local, own, other = moment(tiny)
    weights, V = decoding.weights_of(tiny.model), tiny.tokenizer.vocabulary
    copies = [(tuple((S.clone(), w.clone()) for S, w in local.layers), own.clone(), other.clone()) for _ in range(6)]
    forced = np.full((60, 6), decoding.FREE)
    forced[:12] = np.arange(20, 32)[:, None]
    forced[5, 3:] = 40  # half of them part early
    no, end = np.zeros((2, V), bool)
    end[Tokenizer.END] = True
    plan = decoding.Plan(forced, np.random.default_rng(0).random(forced.shape), no, end, end, np.full(6, 60), 1.0, 1.0)
    shared = decoding.say(weights, [decoding.Start(7, 0, local.layers, own, other)] * 6, plan, 1)
    forced_alike = replace(plan, judge=lambda *_: False)  # each a group: nothing is shared
    alone = decoding.say(weights, [decoding.Start(7, 0, local.layers, own, other)] * 6, forced_alike, 1)
    assert np.array_equal(shared.tokens_TB, alone.tokens_TB) and torch.equal(shared.nats_TB, alone.nats_TB)
    apart = decoding.say(weights, [decoding.Start(7, 0, *of) for of in copies], plan, 1)
    assert np.array_equal(shared.tokens_TB, apart.tokens_TB) and torch.equal(shared.nats_TB, apart.nats_TB)
    assert (shared.tokens_TB >= 0).all() and len({tuple(row) for row in shared.tokens_TB.T}) > 2


def random_start(model: Checkpoint, generator: torch.Generator, token: int = 0) -> decoding.Start:
    layers = tuple(tuple(torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t) for t in layer) for layer in new_local(model).layers)
    own, other = (torch.randn(model.model.empty_state(1)[:, 0].shape, generator=generator, dtype=torch.float64).to(model.model.dtype) for _ in range(2))
    return decoding.Start(token, 0, layers, own, other)


@needs_compiler
@torch.no_grad()
@pytest.mark.parametrize("every", [0, 1, 2, 3])
@pytest.mark.parametrize("fusion", ["heads", "sum"])
def test_compiled_code_is_the_model_step(fusion: str, every: int) -> None:
    """Far enough that what was written has been folded into the states twice; more rows than are multiplied at once."""
    config = replace(model_of(fusion, layers=3).config, social_every=every)
    model = build(config, torch.Generator().manual_seed(0)).double()
    g = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.add_(torch.randn(p.shape, generator=g, dtype=p.dtype) * 0.2)
    tiny = Checkpoint(model, tokenizer_of(), "every")
    starts = [random_start(tiny, g, token) for token in range(9)]
    forced = torch.randint(1, 400, (101, len(starts)), generator=g)
    logits = forced_logits(decoding.weights_of(model), starts, forced)
    rows = _rows(tiny, replace(new_local(tiny), layers=starts[0].local), starts[0].own_LHPN, starts[0].other_LHPN, len(starts))
    rows.local = [tuple(torch.cat(parts) for parts in zip(*layer, strict=True)) for layer in zip(*(s.local for s in starts), strict=True)]
    rows.own, rows.other = (list(torch.stack([getattr(s, name) for s in starts], 1)) for name in ("own_LHPN", "other_LHPN"))
    fed = torch.tensor([s.token for s in starts])
    for t in range(len(forced)):
        assert torch.allclose(logits[t], _step(tiny, fed, rows), rtol=0, atol=1e-10)
        fed = forced[t]


@needs_compiler
def test_half_precision_is_near_the_model_step() -> None:
    """fp16 keeps eleven binary digits, so logits differ by a thousandth or so of their size; and by something."""
    tiny = Checkpoint(model_of(dtype=torch.float32).eval().requires_grad_(False), tokenizer_of(), "half")
    starts = [random_start(tiny, torch.Generator().manual_seed(0))]
    forced = torch.arange(1, 20)[:, None]
    full, half = (forced_logits(decoding.weights_of(tiny.model, half), starts, forced) for half in (False, True))
    assert 0 < float((full - half).norm() / full.norm()) < 5e-3
    with pytest.raises(ValueError, match="half precision of a model in torch.float64"):
        decoding.weights_of(model_of(), half=True)


def test_what_half_precision_cannot_hold_is_refused_by_name() -> None:
    """The largest number of fp16 is 65,504; what counts is a matrix with the norm before it multiplied in."""

    def plain() -> Any:
        model = model_of(layers=2, dtype=torch.float32).requires_grad_(False)
        model.local[1].norm.weight.fill_(1.0)
        return model

    def refused(change: Callable[[Any], None]) -> str:
        model = plain()
        change(model)
        decoding.weights_of(model)
        with pytest.raises(ValueError) as caught:
            decoding.weights_of(model, half=True)
        return str(caught.value)

    largest = plain()
    largest.local[1].out_proj.weight[3, 4] = -65504.0
    decoding.weights_of(largest, half=True)
    told = refused(lambda model: model.local[1].out_proj.weight[3, 4].fill_(-65505.0))
    assert told == "half precision of layer 1, local output: holds 65505, expected numbers up to 65,504; sample with half=False"
    assert "of layer 0, input: holds nan" in refused(lambda model: model.local[0].in_proj.weight[0, 0].fill_(torch.nan))
    assert "of the head: holds inf" in refused(lambda model: model.embedding.weight[5, 5].fill_(torch.inf))
    assert "of the head: holds 80000" in refused(lambda model: (model.embedding.weight[5, 5].fill_(4e4), model.norm.weight.fill_(2.0)))


@needs_compiler
@pytest.mark.parametrize("half", [False, True])
def test_compiled_code_gives_a_row_the_same_bits_in_any_company(half: bool) -> None:
    tiny = Checkpoint(model_of(dtype=torch.float32).eval().requires_grad_(False), tokenizer_of(), "bits")
    g = torch.Generator().manual_seed(0)
    starts, forced = [random_start(tiny, g, token) for token in range(13)], torch.randint(1, 400, (20, 13), generator=g)
    weights = decoding.weights_of(tiny.model, half)
    together = forced_logits(weights, starts, forced)
    for first, last in ((0, 1), (3, 5), (5, 8), (9, 13), (1, 6), (7, 13)):
        assert torch.equal(forced_logits(weights, starts[first:last], forced[:, first:last].contiguous()), together[:, first:last])
    for threads in (2, 3, 50):
        assert torch.equal(forced_logits(weights, starts, forced, threads), together)


def test_what_is_sampled_of_a_message_does_not_depend_on_the_others(tiny: Checkpoint) -> None:
    """Headers of different lengths, beginnings and states: each as if it were alone (its random numbers are the first row's)."""
    together = sample(tiny, prompts(tiny), np.random.default_rng(0), most_tokens=9)
    assert agree(sample(tiny, prompts(tiny)[:1], np.random.default_rng(0), most_tokens=9), together[:1])
    cold = [sample(tiny, p, np.random.default_rng(0), top_p=1e-9, most_tokens=9) for p in ([p] for p in prompts(tiny))]
    assert agree([c[0] for c in cold], sample(tiny, prompts(tiny), np.random.default_rng(1), top_p=1e-9, most_tokens=9))


def test_sampling_many_messages_is_generating_each(tiny: Checkpoint) -> None:
    """Where nothing is left to chance."""
    for p in prompts(tiny):
        one = generate(tiny, p.header, p.local, p.own_LHPN, p.other_LHPN, [p.beginning] * ROWS, np.random.default_rng(0), top_p=1e-9, most_tokens=9)
        assert agree(sample(tiny, [p], np.random.default_rng(0), top_p=1e-9, most_tokens=9), one[:1])


def test_without_a_compiler_fast_is_the_reference(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "compiler", lambda: None)
    slow, fast = (sample(tiny, prompts(tiny), np.random.default_rng(0), most_tokens=9, fast=fast) for fast in (False, True))
    assert slow == fast


def test_a_compiler_that_fails_is_named_and_fast_is_the_reference(brief: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")  # a program that does nothing, unsuccessfully
    with pytest.warns(UserWarning, match=r"false could not compile decoding\.cpp \(exit status 1\)"):
        fast = sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9, fast=True)
    assert fast == sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9)


@pytest.mark.parametrize("program", ['for last; do :; done; : > "$last"', "true", "no program"])
def test_a_compiler_that_makes_nothing_is_named_and_fast_is_the_reference(program: str, brief: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "c++"
    made.write_text(program if program == "no program" else f"#!/bin/sh\n{program}\n")
    made.chmod(0o755)
    monkeypatch.setenv("CXX", str(made))
    with pytest.warns(UserWarning, match=r"could not compile decoding\.cpp"):
        fast = sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9, fast=True)
    assert fast == sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9)


def test_without_a_folder_to_compile_in_fast_is_the_reference(brief: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (made := tmp_path / "c++").write_text("#!/bin/sh\nexit 0\n")
    made.chmod(0o755)
    monkeypatch.setenv("CXX", str(made))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.warns(UserWarning, match="No such file or directory.*; name another compiler in CXX, or a folder in TMPDIR"):
        fast = sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9, fast=True)
    assert fast == sample(brief, prompts(brief), np.random.default_rng(0), most_tokens=9)


def test_a_terminals_ctrl_c_does_not_reach_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to the terminal's process group; a run takes it as a wish to end after the step, which is to be worded as the others were."""
    (made := tmp_path / "c++").write_text(f"#!{sys.executable}\nimport os\nprint(os.getpgrp(), file=open({str(tmp_path / 'group')!r}, 'w'))\nexit(1)\n")
    made.chmod(0o755)
    monkeypatch.setenv("CXX", str(made))
    with pytest.warns(UserWarning, match="exit status 1"):
        assert not decoding.possible()
    assert int((tmp_path / "group").read_text()) != os.getpgrp()


@needs_compiler
def test_states_of_another_model_are_refused_unread() -> None:
    one, other = (Checkpoint(model_of(layers=n).eval().requires_grad_(False), tokenizer_of(), str(n)) for n in (1, 2))
    weights, g = decoding.weights_of(other.model), torch.Generator().manual_seed(0)
    start = random_start(other, g)
    (S, window), second = start.local
    for wrong in (
        random_start(one, g), replace(start, local=((S, window[:, 1:]), second)), replace(start, local=((S[..., :-1], window), second)),
        replace(start, own_LHPN=start.own_LHPN[:, 1:]), replace(start, other_LHPN=start.other_LHPN[:1]),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^states of another model: got .*, expected "):
            forced_logits(weights, [start, wrong], torch.ones(2, 2, dtype=torch.long))


@needs_compiler
@pytest.mark.parametrize("vocabulary", [300, 420])
def test_logits_that_are_no_numbers_end_a_message(vocabulary: int) -> None:
    """Finite weights, as a checkpoint must have, but so large that sums overflow."""
    tokenizer = tokenizer_of(vocabulary=vocabulary)
    model = model_of(vocabulary=tokenizer.vocabulary, dtype=torch.float32)
    with torch.no_grad():
        model.embedding.weight.fill_(3e38)
        model.norm.weight.fill_(3e38)
    huge = Checkpoint(model.eval().requires_grad_(False), tokenizer, "huge")
    for candidate in sample(huge, prompts(huge), np.random.default_rng(0), most_tokens=9, fast=True):
        assert candidate.finished and candidate.sampled == 0 and np.isnan(candidate.nats)


@needs_compiler
def test_compiled_code_samples_the_same(tiny: Checkpoint, brief: Checkpoint) -> None:
    """Stops, ends, beginnings, headers of different lengths and the choice among the likeliest, in fp64 where rounding decides nothing."""
    sampled = 0
    for model in (tiny, brief):
        for how in ({"one_sentence": False, "most_tokens": 40}, {"top_p": 1.0, "temperature": 2.0}, {"top_p": 0.3}):
            slow, fast = (sample(model, prompts(model), np.random.default_rng(0), fast=fast, **{"most_tokens": 16, **how}) for fast in (False, True))
            assert agree(slow, fast)
            sampled += sum(c.sampled for c in slow)
    assert sampled > 200


@needs_compiler
def test_compiled_code_samples_the_same_from_the_shipped_vocabulary() -> None:
    shipped = checkpoint.load("base")
    shipped.model.double()
    empty = shipped.model.empty_state(1)[:, 0]
    header, _ = header_of(shipped, new_local(shipped), SLOTS, Message(id="1", author="ann", channel=PUBLIC, time=0, text=""))
    asked = [Prompt(header, new_local(shipped), empty, empty, b) for b in ("", "I will support", "Let us")]
    for top_p in (0.9, 1.0):
        slow, fast = (sample(shipped, asked, np.random.default_rng(0), top_p=top_p, most_tokens=16, one_sentence=False, fast=fast) for fast in (False, True))
        assert agree(slow, fast) and sum(c.sampled for c in slow) > 10


def test_half_precision_of_the_reference_is_refused(tiny: Checkpoint) -> None:
    with pytest.raises(ValueError, match="^half=True without fast=True"):
        sample(tiny, prompts(tiny), np.random.default_rng(0), half=True)


def test_sampling_without_prompts_or_headers_is_refused(tiny: Checkpoint) -> None:
    for given in ([], [replace(prompts(tiny)[0], header=[])]):
        with pytest.raises(ValueError, match=f"^{len(given)} prompts"):
            sample(tiny, given, np.random.default_rng(0))


def test_scores_are_what_the_messages_will_cost_once_sent(tiny: Checkpoint) -> None:
    header, local, own, other = moment(tiny)
    texts = ["shall we go to Munich together?", "x", "", "the lazy dog " * 9, "naïve ☃"]
    scored = score(tiny, header, local, own, other, texts)
    for text, nats in zip(texts, scored, strict=True):
        if not text:
            continue
        _, encoded = encode(tiny, SLOTS, local, Message(id="2", author="ann", channel=pair("ann", "bob"), time=60_000, text=text))
        assert torch.allclose(nats, nll_under(tiny, encoded, [(own, other)])[0], rtol=0, atol=1e-10)
    assert len(scored[2]) == 1 and score(tiny, header, local, own, other, []) == []


def test_a_candidate_scores_what_it_cost(tiny: Checkpoint, brief: Checkpoint) -> None:
    finished = 0
    for model in (tiny, brief):
        header, local, own, other = moment(model)
        for candidate in told(model, BEGINNINGS, most_tokens=24):
            nats = score(model, header, local, own, other, [candidate.text])[0]
            if candidate.finished and len(nats) == candidate.tokens:
                assert candidate.nats == pytest.approx(float(nats.sum()), abs=1e-9)
                finished += 1
    assert finished >= 4


@pytest.mark.parametrize("fast", [False, True])
def test_what_may_never_be_said_is_not(tiny: Checkpoint, fast: bool) -> None:
    """Of all words but one, only that one is left to the model; a beginning is said whatever it holds."""
    spied, heard = overheard(tiny)
    only = spied.tokenizer.encode_text("fox")[0]
    never = [i for i in range(spied.tokenizer.vocabulary) if i not in (only, spied.tokenizer.END)]
    told(spied, ["", *["shall we go"] * (ROWS - 1)], most_tokens=9, never=never, fast=fast)
    begun = spied.tokenizer.encode_text("shall we go")
    assert heard and all(set(ids) <= {only} or (ids[: len(begun)] == begun and set(ids[len(begun) :]) <= {only}) for ids in heard)
    assert any(only in ids for ids in heard)


@pytest.mark.parametrize("how", [{"temperature": 0.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.5}, {"most_tokens": 0}], ids=str)
def test_what_cannot_be_sampled_by_is_refused(tiny: Checkpoint, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(how))):
        told(tiny, **how)
    with pytest.raises(ValueError, match=next(iter(how))):
        sample(tiny, prompts(tiny), np.random.default_rng(0), **how)
