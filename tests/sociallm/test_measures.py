"""Energy, information and displacement: closed forms, hand-computed numbers, and a batch that is each of its rows alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sociallm import checkpoint, measures
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Message
from sociallm.encode import EncodedMessage, dynamics_of, encode, nll_under, slots_of
from sociallm.measures import (
    Change,
    Pair,
    Reading,
    Surprisal,
    bayesian_surprise,
    divergence,
    e_coh,
    e_rel,
    empty_pair,
    fisher,
    mahalanobis,
    pvi,
    surprisal,
)
from sociallm.model import build
from sociallm.states import SocialState
from sociallm.streams import READ, WROTE
from tests.sociallm.small import PUBLIC, conversation, incline, saved

DOUBLE = torch.float64


def encoded_of(tiny: Checkpoint, seed: int = 0, count: int = 8, longest: int = 12) -> list[EncodedMessage]:
    """Messages of several channels, of one token to more than a chunk."""
    c, locals_, out = conversation(seed, count, longest), {}, []
    for m in c.messages:
        locals_[m.channel.name], one = encode(tiny, slots_of(c.participants), locals_.get(m.channel.name), m)
        out.append(one)
    return out


def pairs_of(tiny: Checkpoint, count: int, seed: int = 0, size: float = 1.0) -> list[Pair]:
    g, shape = torch.Generator().manual_seed(seed), tiny.model.empty_state(1)[:, 0].shape
    return [(size * torch.randn(shape, generator=g, dtype=DOUBLE), size * torch.randn(shape, generator=g, dtype=DOUBLE)) for _ in range(count)]


def mixed(before: Pair, after: Pair, share: float) -> Pair:
    """On the way from one pair to another."""
    return before[0] + share * (after[0] - before[0]), before[1] + share * (after[1] - before[1])


# ---- energy and surprisal ----------------------------------------------------------------------------------------------


def test_a_batch_of_many_messages_and_states_is_each_reading_alone(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    messages, pairs = encoded_of(tiny), pairs_of(tiny, 5)
    readings = [Reading(messages[(3 * i + j) % len(messages)], pair) for i in range(4) for j, pair in enumerate(pairs)]
    together = surprisal(tiny, readings)
    for reading, found in zip(readings, together, strict=True):
        by_the_online_reader = nll_under(tiny, reading.encoded, [reading.states])[0]
        assert found.nats_Y.dtype == DOUBLE
        for alone in (surprisal(tiny, [reading])[0].nats_Y, by_the_online_reader):
            assert torch.allclose(found.nats_Y, alone, rtol=0, atol=1e-10)
    monkeypatch.setattr(measures, "MOST_TOKENS", 30)
    for cut, whole in zip(surprisal(tiny, readings), together, strict=True):
        assert torch.allclose(cut.nats_Y, whole.nats_Y, rtol=0, atol=1e-10)
    assert len({round(s.total, 6) for s in together}) == len(readings)  # states and messages matter


@pytest.mark.parametrize(("longest", "most"), [(2, 1), (40, 4)])
def test_messages_of_one_chunk_are_read_alone_and_beside_longer_ones(tiny: Checkpoint, longest: int, most: int) -> None:
    """One of a single chunk holds no state between chunks, which is an empty one beside those that do."""
    model = build(replace(tiny.model.config, social_chunk=16), torch.Generator()).double()
    model.load_state_dict(tiny.model.state_dict())
    long_chunks = replace(tiny, model=model.eval())
    messages = [*encoded_of(long_chunks, longest=2), *encoded_of(long_chunks, seed=1, count=3, longest=longest)]
    held = [e.public.written[0].states.before_KHPN for e in messages]
    assert held[0] is None and max(1 if h is None else len(h) for h in held) == most
    readings = [Reading(e, pair) for e in messages for pair in pairs_of(tiny, 2)]
    for reading, found in zip(readings, surprisal(long_chunks, readings), strict=True):
        assert torch.allclose(found.nats_Y, nll_under(long_chunks, reading.encoded, [reading.states])[0], rtol=0, atol=1e-10)


def test_surprisal_adds_over_tokens_and_is_a_distribution(tiny: Checkpoint) -> None:
    """Total = sum of tokens = per token · their number; the message is its words' tokens and an end."""
    message, pair = encoded_of(tiny)[0], pairs_of(tiny, 1)[0]
    found = surprisal(tiny, [Reading(message, pair)])[0]
    assert len(found.nats_Y) == len(tiny.tokenizer.encode_text(message.message.text)) + 1
    assert found.total == pytest.approx(sum(found.nats_Y.tolist()), abs=1e-12) and found.per_token == pytest.approx(found.total / len(found.nats_Y))
    hand = Surprisal(torch.tensor([0.5, 0.25], dtype=DOUBLE).log().neg())  # p = ½ · ¼
    assert hand.total == pytest.approx(math.log(8)) and hand.per_token == pytest.approx(math.log(8) / 2)


def test_surprisal_by_hand(tmp_path: Path) -> None:
    """With equal logits every token costs log of the vocabulary. Where nothing matters but one component, and the end has 40
    nats more of it than every other token, the end costs nothing and each word 40."""
    even = checkpoint.load(saved(tmp_path / "even"))
    even.model.double()
    with torch.no_grad():
        even.model.embedding.weight.zero_()
    message = Message(id="1", author="ann", channel=PUBLIC, time=0, text="the fox")
    encoded = encode(even, slots_of(["ann"]), None, message)[1]
    found = surprisal(even, [Reading(encoded, empty_pair(even.model))])[0]
    assert found.nats_Y.tolist() == pytest.approx([math.log(even.model.config.vocabulary)] * len(found.nats_Y))
    sure = checkpoint.load(saved(tmp_path / "sure"))
    sure.model.double()
    with torch.no_grad():
        sure.model.embedding.weight[:, 1:] = 0
        for block in (*sure.model.local, *sure.model.social):
            block.out_proj.weight.zero_()
    incline(sure.model, {sure.tokenizer.END: 40.0})
    encoded = encode(sure, slots_of(["ann"]), None, message)[1]
    nats = surprisal(sure, [Reading(encoded, empty_pair(sure.model))])[0].nats_Y
    assert nats[-1] < 1e-10 and nats[:-1].tolist() == pytest.approx([40.0] * (len(nats) - 1), abs=1e-4)


def test_without_memory_there_is_no_relative_energy(tiny: Checkpoint) -> None:
    readings = [Reading(m, empty_pair(tiny.model)) for m in encoded_of(tiny)]
    assert e_rel(tiny, readings) == pytest.approx([0.0] * len(readings), abs=1e-12)


def test_relative_energy_is_the_likelihood_ratio_per_token(tiny: Checkpoint) -> None:
    messages, pairs = encoded_of(tiny), pairs_of(tiny, 3)
    readings = [Reading(m, pair) for m in messages[:3] for pair in pairs]
    for reading, found in zip(readings, e_rel(tiny, readings), strict=True):
        with_memory, without = nll_under(tiny, reading.encoded, [reading.states, empty_pair(tiny.model)])
        assert found == pytest.approx(float((with_memory - without).mean()), abs=1e-10) and abs(found) > 1e-6


def test_energy_beside_a_cohort(tiny: Checkpoint) -> None:
    """Against the empty states it is E_rel; against oneself 0; against two others the mean of both; above 0 for one of two, below 0 for the other."""
    messages, pairs = encoded_of(tiny), pairs_of(tiny, 8)
    readings = [Reading(m, p) for m, p in zip(messages, pairs, strict=True)]
    others = [*pairs[1:], pairs[0]]
    assert e_coh(tiny, readings, [[empty_pair(tiny.model)]] * 8) == pytest.approx(e_rel(tiny, readings), abs=1e-12)
    assert e_coh(tiny, readings, [[p, p] for p in pairs]) == pytest.approx([0.0] * 8, abs=1e-12)
    both = e_coh(tiny, readings, [[empty_pair(tiny.model), o] for o in others])
    one = e_coh(tiny, readings, [[o] for o in others])
    assert both == pytest.approx([(a + b) / 2 for a, b in zip(e_rel(tiny, readings), one, strict=True)], abs=1e-12)
    swapped = e_coh(tiny, [Reading(m, o) for m, o in zip(messages, others, strict=True)], [[p] for p in pairs])
    assert swapped == pytest.approx([-v for v in one], abs=1e-12) and max(map(abs, one)) > 1e-3


def test_a_cohort_of_nobody_is_refused(tiny: Checkpoint) -> None:
    [message, *_], [pair] = encoded_of(tiny), pairs_of(tiny, 1)
    for cohorts in ([], [[]]):
        with pytest.raises(ValueError, match="at least one other"):
            e_coh(tiny, [Reading(message, pair)], cohorts)


def test_a_reading_is_at_the_messages_time(tiny: Checkpoint) -> None:
    """States fade until the message comes; who reads later expects something else."""
    first, second = encoded_of(tiny)[:2]
    dynamics = dynamics_of(tiny)
    empty = SocialState.empty(tiny.model, tiny.sha256)
    own, other = (empty.absorb(first.operator, role, first.message.time, dynamics) for role in (WROTE, READ))
    reading = Reading.by(own, other, second, dynamics)
    assert torch.equal(reading.states[0], own.at(second.message.time, dynamics)) and torch.equal(reading.states[1], other.at(second.message.time, dynamics))
    assert not torch.equal(reading.states[0], own.S_LHPN)


# ---- information -------------------------------------------------------------------------------------------------------


def test_information_about_a_target_changes_sign_with_its_direction(tiny: Checkpoint) -> None:
    messages, (a, b, c) = encoded_of(tiny), pairs_of(tiny, 3)
    target = messages[1]
    there, back, nothing, on = pvi(tiny, [Change(target, a, b), Change(target, b, a), Change(target, a, a), Change(target, b, c)])
    assert there == pytest.approx(-back, abs=1e-10) and nothing == pytest.approx(0, abs=1e-10) and abs(there) > 1e-4
    assert there + on == pytest.approx(pvi(tiny, [Change(target, a, c)])[0], abs=1e-10)  # it adds up along a way
    before, after = (float(row.sum()) for row in nll_under(tiny, target, [a, b]))
    assert there == pytest.approx(before - after, abs=1e-10)


def test_nothing_learned_is_no_surprise_and_anything_learned_is_some(tiny: Checkpoint) -> None:
    probes, (a, b) = encoded_of(tiny)[:4], pairs_of(tiny, 2)
    same, changed = bayesian_surprise(tiny, probes, [(a, a), (a, b)])
    assert 0 <= same <= 1e-12 and changed > 1e-4
    for kl in divergence(tiny, [Change(q, a, b) for q in probes]):
        assert bool((kl >= 0).all())


def test_bayesian_surprise_is_the_weighted_mean_over_probes(tiny: Checkpoint) -> None:
    probes, (a, b, c) = encoded_of(tiny)[:3], pairs_of(tiny, 3)
    one_by_one = [[bayesian_surprise(tiny, [q], [change])[0] for q in probes] for change in ((a, b), (b, c))]
    assert bayesian_surprise(tiny, probes, [(a, b), (b, c)]) == pytest.approx([sum(row) / 3 for row in one_by_one], abs=1e-10)
    weighted = bayesian_surprise(tiny, probes, [(a, b), (b, c)], [0.5, 0.5, 0.0])
    assert weighted == pytest.approx([(row[0] + row[1]) / 2 for row in one_by_one], abs=1e-10)


@pytest.mark.parametrize("weights", [[1.0], [0.7, 0.7], [1.5, -0.5]])
def test_weights_that_are_no_shares_are_refused(tiny: Checkpoint, weights: list[float]) -> None:
    probes, (a, b) = encoded_of(tiny)[:2], pairs_of(tiny, 2)
    with pytest.raises(ValueError, match="2 probes and weights .* 1 in all"):
        bayesian_surprise(tiny, probes, [(a, b)], weights)
    with pytest.raises(ValueError, match="at least one probe"):
        bayesian_surprise(tiny, [], [(a, b)])


def test_divergence_from_the_definition(tiny: Checkpoint) -> None:
    """At a message's first word: KL over the whole vocabulary, from what the online reader says of every token in turn."""
    (a, b), vocabulary = pairs_of(tiny, 2), tiny.model.config.vocabulary
    message = Message(id="1", author="ann", channel=PUBLIC, time=0, text="fox")
    encoded = encode(tiny, slots_of(["ann"]), None, message)[1]
    tokens = encoded.sequence.tokens_T
    log_p = []
    for pair in (a, b):  # what nll_under gives when each token of the vocabulary in turn is asked for at the first place
        rows = []
        for token in range(vocabulary):
            other = tokens.clone()
            other[encoded.header] = token
            rows.append(-nll_under(tiny, replace(encoded, sequence=replace(encoded.sequence, tokens_T=other)), [pair])[0][0])
        log_p.append(torch.stack(rows))
    assert float(log_p[0].exp().sum()) == pytest.approx(1)
    expected = float((log_p[1].exp() * (log_p[1] - log_p[0])).sum())
    assert float(divergence(tiny, [Change(encoded, a, b)])[0][0]) == pytest.approx(expected, abs=1e-10)


# ---- displacement ------------------------------------------------------------------------------------------------------


def test_mahalanobis_by_hand() -> None:
    """½(2²/4 + 3²/1) = 5; with correlation ½: Σ⁻¹ = (4/3)[[1, -½], [-½, 1]], δ = (1, 1): ½ · 4/3 = 2/3."""
    assert float(mahalanobis(torch.tensor([2.0, 3.0]), torch.tensor([4.0, 1.0]))) == pytest.approx(5)
    assert float(mahalanobis(torch.tensor([2.0, 3.0]), torch.tensor([4.0, 1.0]).diag())) == pytest.approx(5)
    assert float(mahalanobis(torch.tensor([1.0, 1.0]), torch.tensor([[1.0, 0.5], [0.5, 1.0]]))) == pytest.approx(2 / 3)


def test_mahalanobis_does_not_depend_on_coordinates_or_the_batch() -> None:
    g = torch.Generator().manual_seed(0)
    delta, A, root = (torch.randn(*shape, generator=g, dtype=DOUBLE) for shape in ((4, 3, 6), (6, 6), (6, 9)))
    sigma = root @ root.T
    found = mahalanobis(delta, sigma)
    assert found.shape == (4, 3)
    assert torch.allclose(mahalanobis(delta @ A.T, A @ sigma @ A.T), found, rtol=1e-8)
    assert torch.allclose(mahalanobis(delta[2, 1], sigma), found[2, 1], rtol=1e-12)
    assert torch.allclose(mahalanobis(3 * delta, sigma), 9 * found, rtol=1e-12)


def test_covariances_that_are_none_are_refused() -> None:
    delta = torch.ones(2)
    for covariance, said in ((torch.ones(3), "shape"), (torch.tensor([1.0, 0.0]), "variance of 0"), (torch.ones(2, 2), "not positive definite")):
        with pytest.raises(ValueError, match=said):
            mahalanobis(delta, covariance)


def test_fisher_is_the_divergence_of_a_small_change(tiny: Checkpoint) -> None:
    """KL(P(S + hδ) || P(S)) = h²·fisher + O(h³): ten times smaller steps leave about ten times less between them."""
    messages, (a, b) = encoded_of(tiny)[:3], pairs_of(tiny, 2)
    gaps = []
    for h in (1e-2, 1e-3):
        changes = [Change(m, a, mixed(a, b, h)) for m in messages]
        kl, second = torch.cat(divergence(tiny, changes)), torch.cat(fisher(tiny, changes))
        gaps.append(float((kl - second).abs().sum() / second.sum()))
    assert gaps[1] < 5e-3 and gaps[1] < gaps[0] / 5


def test_fisher_is_quadratic_and_blind_to_who_shares_the_batch(tiny: Checkpoint) -> None:
    messages, (a, b, c) = encoded_of(tiny)[:3], pairs_of(tiny, 3)
    changes = [Change(m, a, b) for m in messages] + [Change(messages[0], c, b)]
    together = fisher(tiny, changes)
    for change, found in zip(changes, together, strict=True):
        assert torch.allclose(found, fisher(tiny, [change])[0], rtol=0, atol=1e-10)
        twice = replace(change, after=mixed(change.before, change.after, 2.0))
        assert torch.allclose(fisher(tiny, [twice])[0], 4 * found, rtol=1e-9, atol=1e-12)
    still = fisher(tiny, [Change(messages[0], a, a)])[0]
    assert still.abs().max() == 0 and together[0].sum() > 0


def test_a_model_in_single_precision_measures_alike(tiny: Checkpoint, tmp_path: Path) -> None:
    """Batched = alone within fp32 rounding, and near the same in double precision."""
    single = checkpoint.load(saved(tmp_path, tiny.model.config.fusion))
    pairs = pairs_of(tiny, 3)
    short = [(own.float(), other.float()) for own, other in pairs]
    fine, coarse = encoded_of(tiny), encoded_of(single)
    together = surprisal(single, [Reading(m, pair) for m in coarse for pair in short])
    exact = surprisal(tiny, [Reading(m, pair) for m in fine for pair in pairs])
    for i, (a, b) in enumerate(zip(together, exact, strict=True)):
        alone = surprisal(single, [Reading(coarse[i // 3], short[i % 3])])[0]
        assert torch.allclose(a.nats_Y, alone.nats_Y, rtol=1e-5, atol=1e-5)
        assert (a.nats_Y - b.nats_Y).norm() <= 1e-4 * b.nats_Y.norm()


def test_nothing_to_measure_is_nothing(tiny: Checkpoint) -> None:
    assert surprisal(tiny, []) == e_rel(tiny, []) == pvi(tiny, []) == divergence(tiny, []) == fisher(tiny, []) == []
