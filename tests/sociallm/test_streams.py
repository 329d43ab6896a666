"""Who has read what: the two rules of reading, interlocutors, incidence; and composed states against states that absorb in turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sociallm.conversation import Channel, Message
from sociallm.losses import stream_states
from sociallm.states import Dynamics, MessageOperator, SocialState, message_hash
from sociallm.streams import NEITHER, READ, WROTE, Read, compose, composition, delivered, incidence, interlocutors, previous
from tests.sociallm.small import AGENTS, PUBLIC, conversation, model_of, one_batch, pair, tokenizer_of

_, W, R = NEITHER, WROTE, READ


def said(author: str, channel: Channel = PUBLIC, to: tuple[str, ...] = (), k: int = 0) -> Message:
    return Message(id=f"{k}", author=author, channel=channel, time=k, text="hi", addressees=frozenset(to))


# Ann to all, Bob to Ann, Cyd to all, Ann to Bob, Bob to all.
FIVE = (said("ann"), said("bob", pair("ann", "bob"), k=1), said("cyd", k=2), said("ann", pair("ann", "bob"), k=3), said("bob", k=4))


def test_delivered_by_hand() -> None:
    assert delivered(FIVE, ("ann", "bob", "cyd", "dan")).tolist() == [
        [W, R, R, W, R],
        [R, W, R, R, W],
        [R, 0, W, 0, R],
        [R, 0, R, 0, R],
    ]


def test_previous_messages_by_hand() -> None:
    """Ann, bob, cyd, ann, bob in one room, two read before each one written: ann reads 1, 2; bob 0, then 2, 3; cyd 0, 1."""
    room = [said(a, k=k) for k, a in enumerate(("ann", "bob", "cyd", "ann", "bob"))]
    assert previous(room, ("ann", "bob", "cyd"), 2).tolist() == [[W, R, R, W, 0], [R, W, R, R, W], [R, R, W, 0, 0]]
    assert previous(room, ("ann", "bob", "cyd"), 0).tolist() == [[W, 0, 0, W, 0], [0, W, 0, 0, W], [0, 0, W, 0, 0]]


@pytest.mark.parametrize("n", [1, 3, 5, 10])
def test_streams_together_are_one_plus_D_n_times_the_messages(n: int) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        names = [f"u{i}" for i in range(int(rng.integers(2, 12)))]
        share = rng.dirichlet(np.ones(len(names)))
        authors = [str(a) for a in rng.choice(names, 120, p=share)]
        role = previous([said(a, k=k) for k, a in enumerate(authors)], names, n)
        D_n = np.mean([len(set(authors[k + 1 : k + 1 + n]) - {authors[k]}) for k in range(120)])
        assert (role != NEITHER).sum() == pytest.approx((1 + D_n) * 120, abs=1e-9)
        for i, name in enumerate(names):
            assert [k for k in range(120) if role[i, k] == WROTE] == [k for k in range(120) if authors[k] == name]


def test_in_a_dialogue_the_previous_message_rule_costs_twice_the_messages() -> None:
    role = previous([said(("ann", "bob")[k % 2], k=k) for k in range(1000)], ("ann", "bob"), 5)
    assert (role != NEITHER).sum() == 2 * 1000 - 1  # nobody writes after the last one


def test_interlocutors_are_the_addressees() -> None:
    assert interlocutors(said("ann", to=("dan", "bob")), FIVE) == ("bob", "dan")
    assert interlocutors(said("ann", to=("ann", "bob")), ()) == ("bob",)


def test_the_interlocutor_of_a_pair_is_the_other_reader() -> None:
    assert interlocutors(said("ann", pair("ann", "bob")), ()) == ("bob",)


def test_nobody_is_the_interlocutor_of_a_message_to_oneself() -> None:
    assert interlocutors(said("ann", Channel(name="notes", readers=frozenset({"ann"}))), ()) == ()


def test_interlocutors_in_a_room_are_its_latest_other_authors_newest_first() -> None:
    earlier = [said(a) for a in ("dan", "bob", "ann", "cyd", "bob", "ann")]
    assert interlocutors(said("ann"), earlier) == ("bob", "cyd", "dan")
    assert interlocutors(said("ann"), [said("ann"), said("ann")]) == ()


def test_interlocutors_in_a_room_are_at_most_four_of_the_last_eight_messages() -> None:
    room = Channel(name="room", readers=frozenset("abcdefgh"))
    assert interlocutors(said("a", room), [said(x, room) for x in "bcdefgh"]) == ("h", "g", "f", "e")
    assert interlocutors(said("a", room), [said(x, room) for x in "b" + "c" * 8]) == ("c",)


def test_incidence_by_hand() -> None:
    """The last of the five, by Bob to all, as Bob writes it to Ann and Cyd, as Dan and as Ann read it; and the first, where nobody has a past."""
    role, author = delivered(FIVE, AGENTS), np.array([0, 1, 2, 0, 1])
    reads = [Read(4, 1, (0, 2)), Read(4, 3, (1,)), Read(4, 0, (1,)), Read(0, 2, (0,)), Read(2, 2, ())]
    found = incidence(reads, role, author)
    assert found.own_RM.tolist() == [
        [R, W, R, R, 0],
        [R, 0, R, 0, 0],
        [W, R, R, W, 0],
        [0, 0, 0, 0, 0],
        [R, 0, 0, 0, 0],
    ]
    assert found.other_VM.tolist() == [
        [R, 0, 0, R, 0],  # Bob of Ann: to all and to him
        [0, 0, R, 0, 0],  # Bob of Cyd
        [0, 0, 0, 0, 0],  # Dan of Bob: the private message is not for him
        [0, R, 0, 0, 0],  # Ann of Bob
        [0, 0, 0, 0, 0],
    ]
    assert found.read_V.tolist() == [0, 0, 1, 2, 3] and found.weight_V.tolist() == [0.5, 0.5, 1, 1, 1]


def test_nobody_is_an_interlocutor_of_itself() -> None:
    found = incidence([Read(4, 1, (1, 0))], delivered(FIVE, AGENTS), np.array([0, 1, 2, 0, 1]))
    assert found.other_VM.tolist() == [[0, 0, 0, 0, 0], [R, 0, 0, R, 0]]


def test_no_reads_have_no_streams() -> None:
    found = incidence([], delivered(FIVE, AGENTS), np.zeros(5, np.int64))
    assert found.own_RM.shape == (0, 5) and found.other_VM.shape == (0, 5)


def test_composition_weights_by_hand() -> None:
    """Decays ½, ¼, ⅕ of three messages, of which the first was written (gain 3) and the last read (gain 7), an hour apart, with
    a decay of ln 2 an hour: the first counts 3·⅕·¼ at the present, an hour after the last; the last 7·½."""
    log = lambda *v: torch.tensor(v).double().log()  # noqa: E731
    weight = composition(
        torch.tensor([[W, 0, R]]), log(0.5, 0.25, 0.2)[:, None], torch.stack([log(3), log(7)]), log(float(np.log(2))), torch.tensor([[2.0, 1.5, 1.0]]).double()
    )
    assert weight.shape == (1, 1, 3)
    assert weight.flatten().tolist() == pytest.approx([3 * 0.2 * 0.25, 0, 7 * 0.5])


def test_composed_states_are_those_of_absorbing_in_turn() -> None:
    generator, model = torch.Generator().manual_seed(0), model_of()
    dynamics, rng = Dynamics.of(model), np.random.default_rng(0)
    L, _, H, P, N = model.empty_state(1).shape
    for seed in range(10):
        M = 9
        U = torch.randn(M, L, H, P, N, generator=generator, dtype=torch.float64)
        log_alpha = -torch.rand(M, L, H, generator=generator, dtype=torch.float64)
        times = np.sort(rng.integers(0, 20_000_000, M))
        role = rng.choice([NEITHER, WROTE, READ], (1, M))
        now = int(times[-1]) + seed * 1_000_000
        state = SocialState.empty(model, "x")
        for k in np.flatnonzero(role[0]):
            operator = MessageOperator(message_hash(said("ann", k=int(k))), log_alpha[k], U[k])
            state = state.absorb(operator, int(role[0, k]), int(times[k]), dynamics)
        hours = torch.from_numpy((now - times) / 3_600_000)[None]
        for layer, block in enumerate(model.social):
            weight = composition(torch.from_numpy(role), log_alpha[:, layer], block.role_log, block.rate_log, hours)
            composed = compose(weight, U[:, layer])[0]
            assert torch.allclose(composed, state.at(now, dynamics)[layer], rtol=0, atol=1e-10)


@torch.no_grad()
def test_the_states_of_one_pass_are_those_of_agents_who_absorb_in_turn() -> None:
    model, c = model_of(), conversation()
    _, batch = one_batch(c, tokenizer_of(), model.config)
    public, dynamics = model.public(batch.sequence), Dynamics.of(model)
    own, other = (torch.stack(s, 1) for s in stream_states(model, public, batch, batch.streams))  # [R, L, H, P, N]
    operators = [
        MessageOperator(str(m), torch.stack([w.log_alpha_MH[m] for w in public.written]), torch.stack([w.U_MHPN[m] for w in public.written]))
        for m in batch.flat_M
    ]
    empty, readings = SocialState.empty(model, "x"), []
    owns, others = dict.fromkeys(AGENTS, empty), {}
    for k, m in enumerate(c.messages):
        for reader in m.channel.readers - {m.author}:  # what each would bring to this message
            readings.append((k, owns[reader].at(m.time, dynamics), others.get((reader, m.author), empty).at(m.time, dynamics)))
        for agent in m.channel.readers:
            owns[agent] = owns[agent].absorb(operators[k], WROTE if agent == m.author else READ, m.time, dynamics)
            if agent != m.author:
                others[agent, m.author] = others.get((agent, m.author), empty).absorb(operators[k], READ, m.time, dynamics)
    listening = np.flatnonzero(~batch.speaks_R)
    assert len(listening) == len(c.messages)
    for r in listening:  # the batch drew one of the readers
        distance = [max((own[r] - a).abs().max(), (other[r] - b).abs().max()) for k, a, b in readings if k == batch.message_R[r]]
        assert min(distance) <= 1e-10
