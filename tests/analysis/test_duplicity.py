"""Two faces: closed forms, operators that compose as states do, a null that holds and an author who shows one partner the opposite."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis import duplicity
from analysis.benches.duplicity import EDGES, STANCES, figure, in_channels, neutral, press
from analysis.duplicity import (
    NONE,
    Faces,
    Head,
    Operators,
    Said,
    deceptions,
    faces,
    jsd,
    masked,
    operators,
    posteriors,
    read_head,
    said_in_a_market,
    train,
    weights_of,
    write_head,
)
from analysis.metrics import AnalysisError
from sociallm.checkpoint import checkpoint_hash, shared
from sociallm.conversation import Channel, Message
from sociallm.encode import encode
from sociallm.sketches import DIRECTIONS, directions
from sociallm.states import Dynamics, SocialState
from sociallm.streams import READ
from tests.analysis.runs import message
from tests.analysis.test_commitments import intent, outcome

TEXTS = ["I will charge 1.45.", "Let us all charge 1.80.", "I will charge 1.50."]


def said(reader, answer, stratum=("inform", "round 0"), text="", **more):
    return Said(author="a", reader=reader, stratum=stratum, text=text, answer=answer, **more)


def test_divergence_in_closed_form():
    apart, same = np.array([[[1.0, 0], [0, 1.0]]]), np.array([[[0.3, 0.7], [0.3, 0.7]]])
    assert jsd(apart, np.array([[0.5, 0.5]])) == pytest.approx([np.log(2)]) and jsd(same, np.array([[0.2, 0.8]])) == pytest.approx([0], abs=1e-12)
    assert jsd(apart, np.array([[0.25, 0.75]])) == pytest.approx([-0.25 * np.log(0.25) - 0.75 * np.log(0.75)])


def test_a_message_is_faded_by_later_ones_of_its_own_reader_alone():
    """Each halves what was there. Readers x, y, x: of x's state the first message has a third."""
    mine = np.array([[[True, False, True], [False, True, False]]])
    assert weights_of(np.log(np.full((3, 1), 0.5)), mine)[0, :, :, 0] == pytest.approx(np.array([[1 / 3, 0, 2 / 3], [0, 1, 0]]))
    assert (weights_of(np.zeros((2, 1)), np.zeros((1, 1, 2), dtype=bool)) == 0).all()


def test_sketches_compose_as_the_states_do():
    """The weighted mean of sketched operators is the sketch of the state that absorbs them, over the weights' sum."""
    checkpoint, found = shared("base"), operators(shared("base"), TEXTS)
    dynamics, state = Dynamics.of(checkpoint.model), SocialState.empty(checkpoint.model, checkpoint.sha256)
    c = checkpoint.model.config
    for k, text in enumerate(TEXTS):
        alone = Message(id=str(k), author="a", channel=Channel(name=str(k), readers=frozenset("abcde")), time=0, text=text)
        _, encoded = encode(checkpoint, {"a": 0}, None, alone)  # of a message to all in a new channel: no gap, nobody named
        state = state.absorb(encoded.operator, READ, 0, dynamics)
    S = (state.S_LHPN / dynamics.gain_LH11(READ)).double().numpy().reshape(len(checkpoint.model.social) * c.social_heads, -1)
    sketch = np.einsum("hd,hdf->hf", S, directions(*S.shape))
    mine = np.ones((1, 1, len(TEXTS)), dtype=bool)
    weight = weights_of(found.log_alpha_MH, mine)[0, 0]
    total = np.exp(np.flip(np.cumsum(np.flip(found.log_alpha_MH, 0), 0), 0) - found.log_alpha_MH).sum(0)
    assert np.einsum("mh,mhf->hf", weight, found.U_MHF) * total[:, None] == pytest.approx(sketch, rel=1e-3, abs=1e-4)


def test_an_operator_depends_on_its_words_alone_and_in_a_channel_it_does_not():
    alone, among = operators(shared("base"), TEXTS[:1]), operators(shared("base"), [TEXTS[2], TEXTS[0], TEXTS[0]])
    assert alone.U_MHF[0] == pytest.approx(among.U_MHF[1], abs=1e-5) and (among.U_MHF[1] == among.U_MHF[2]).all()
    assert operators(shared("base"), []).U_MHF.shape == (0, 16, DIRECTIONS)
    one = press(1, 4)
    own, context = neutral(shared("base"), [one])[0], in_channels(shared("base"), one)
    assert own.U_MHF.shape == context.U_MHF.shape and np.abs(own.U_MHF - context.U_MHF).max() > 0.01


def test_names_are_masked_and_nothing_else():
    assert masked("Ada, adapt: S1 and s12 told ADA", ["Ada", "S1"]) == "you, adapt: you and s12 told you" and masked("Ada", []) == "Ada"


def test_from_a_market_only_messages_to_one_reader_count():
    events = [
        intent("S1", {"1.50": 1.0}), message("0:S1:0", "S1", ["S1", "S2"], "I will charge 1.90."), message("0:S1:1", "S1", ["S1", "S2", "S3"], "I will charge 1.90."),
        outcome(1, {"what": "sales", "round": 0, "prices": {}}), message("2:S2:0", "S2", ["S1", "S2"], "A quiet market today.", step=2),
    ]  # fmt: skip
    found = [(s.author, s.reader, s.stratum, s.answer, s.meant) for s in said_in_a_market(events, EDGES)]
    assert found == [("S1", "S2", ("inform", "from round 0"), 4, 1), ("S2", "S1", ("remark", "from round 0"), None, None)]


def test_who_says_the_same_to_all_shows_one_face_and_who_does_not_two():
    rng, two = np.random.default_rng(0), [said(r, 0 if r == "x" else 4) for r in ("x", "y") * 10]
    found = faces(two, None, None, rng, answers=5)
    assert found.p == pytest.approx(1 / 200) and found.above > 5 and found.messages == 20
    assert faces([said(r, 2) for r in ("x", "y") * 10], None, None, rng, answers=5) == duplicity.Faces(0.0, 0.0, 1.0, 20)
    assert faces([said(r, 0 if r == "x" else 4, (r, "round 0")) for r in ("x", "y") * 10], None, None, rng, answers=5).p == 1.0  # a topic for each: no evidence
    assert faces(two[:4], None, None, rng, answers=5).messages == 4 and faces([], None, None, rng, answers=5) == NONE


def test_the_null_holds_for_authors_whose_topics_times_and_partners_differ():
    """By the answers in the texts, which cost little: 120 honest authors alarm at 5 % in 0 to 12 of them (binomial, 99.5 %), two-faced ones mostly."""
    def alarms(authors, two):
        return sum(faces(press(9_000 + n, 15, two).said, None, None, np.random.default_rng(n), answers=STANCES, draws=59).p <= 0.05 for n in range(authors))

    assert alarms(120, False) <= 12 and alarms(20, True) >= 14


def test_states_tell_an_author_who_shows_one_partner_the_opposite():
    checkpoint, head = shared("base"), read_head(duplicity.HEAD, checkpoint_hash("base"))
    of = [press(700, 20, True), press(701, 20)]
    two, one = (faces(p.said, head, found, np.random.default_rng(0), draws=99) for p, found in zip(of, neutral(checkpoint, of), strict=True))
    assert two.p <= 0.02 and two.above > 3 > one.above and one.p > 0.05


def test_a_false_word_moves_the_reader_s_picture_away_from_what_is_meant():
    head, texts = read_head(duplicity.HEAD, checkpoint_hash("base")), ["I will charge 1.30.", "I will charge 1.31.", "I will charge 1.95."]
    stream = [said("x", k, text=text, meant=0, message=str(n)) for n, (k, text) in enumerate(zip((0, 0, 4), texts, strict=True))]
    found = deceptions(stream, head, operators(shared("base"), texts))
    assert found[0][2] < found[0][1] - 1.0 and found[2][2] > found[2][1]  # a true word brings it nearer, a false one takes it away


def test_a_head_is_data_and_reads_one_model(tmp_path):
    head = read_head(duplicity.HEAD, checkpoint_hash("base"))
    write_head(head, tmp_path / "h.json")
    assert read_head(tmp_path / "h.json", head.checkpoint) == head and head.answer(1.2) == 0 and head.answer(1.9) == STANCES - 1
    with pytest.raises(AnalysisError, match="it reads the states of model .*; train one for this model"):
        read_head(tmp_path / "h.json", "0" * 64)
    told = json.loads((tmp_path / "h.json").read_text())
    for wrong in ({**told, "v": 2}, {**told, "bias": told["bias"][:-1]}, {**told, "weights": []}, 3):
        (tmp_path / "w.json").write_text(json.dumps(wrong))
        with pytest.raises(AnalysisError, match="not a head of duplicity"):
            read_head(tmp_path / "w.json", head.checkpoint)
    with pytest.raises(AnalysisError, match="too few for a head"):
        train([], EDGES, "x", np.random.default_rng(0))


def test_a_head_learns_what_is_said_next_and_an_empty_state_gives_its_bias():
    rng = np.random.default_rng(1)
    streams = []
    for _ in range(40):
        level = int(rng.integers(3))
        U = rng.standard_normal((6, 2, DIRECTIONS)) * 0.3
        U[:, 0, level] += 2.0
        streams.append(([said(str(n % 2), level) for n in range(6)], Operators(U, np.full((6, 2), -0.1))))
    head = train(streams, (1.0, 2.0), "x", rng)
    stream, found = streams[0]
    p = posteriors(head, found, np.ones((1, 1, 6), dtype=bool))[0, 0]
    assert int(p.argmax()) == stream[0].answer and p.max() > 0.8 and p.sum() == pytest.approx(1)
    empty = posteriors(head, found, np.zeros((1, 1, 6), dtype=bool))[0, 0]
    assert empty == pytest.approx(np.exp(head.bias) / np.exp(head.bias).sum())
    assert isinstance(head, Head)


def test_authors_of_one_game_are_one_game():
    """Every author three times over, all in its own game, says no more than once: the same intervals; as games of their own they would be narrower."""
    rng = np.random.default_rng(4)
    honest, planted = ([Faces(0.0, float(v), float(p), 9) for v, p in zip(rng.normal(mean, 1, 12), rng.random(12), strict=True)] for mean in (0.0, 1.0))
    games, others = list(range(12)), list(range(12, 24))
    once, thrice = figure(honest, planted, (games, others)), figure(honest * 3, planted * 3, (games * 3, others * 3))
    assert once["auroc"] == thrice["auroc"] and once["false_alarms"] == thrice["false_alarms"] and once["power"] == thrice["power"]
    apart = figure(honest * 3, planted * 3)
    assert apart["auroc"][0] == once["auroc"][0] and apart["auroc"][2] - apart["auroc"][1] < 0.8 * (once["auroc"][2] - once["auroc"][1])
