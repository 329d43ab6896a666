"""An observer holds what live agents hold (T9), sees nothing before its time, and says what one reading after another says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sociallm import checkpoint, observing, trails
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Channel, Conversation, Message
from sociallm.encode import dynamics_of, encode, nll_under, slots_of
from sociallm.model import SociaLLMConfig, build
from sociallm.observing import PROBES, Observed, observe
from sociallm.readings import ON
from sociallm.states import SocialState, StateError, brief, distance, mixture
from sociallm.streams import READ, WROTE, interlocutors
from sociallm.trails import Asked, Moment, Source
from tests.sociallm.small import AGENTS, PUBLIC, conversation, pair, saved

ALL = Asked(readers=True, cohort=True, states=True)


def source(c: Conversation, moments: Sequence[Moment] = ()) -> Source:
    return Source(conversation=c, slots=slots_of(c.participants), moments=tuple(moments))


def seen(point: Checkpoint, c: Conversation, asked: Asked = ALL) -> Observed:
    (found,) = observe(point, [source(c)], asked)
    return found


class Live:
    """All readers of a conversation, message by message, as hosts do it: the states before each message, and what was logged."""

    def __init__(self, point: Checkpoint, c: Conversation):
        self.point, self.dynamics, self.empty = point, dynamics_of(point), SocialState.empty(point.model, point.sha256)
        own: dict[str, SocialState] = {}
        others: dict[tuple[str, str], SocialState] = {}
        locals_, slots = {}, slots_of(c.participants)
        self.before, self.after, self.encoded, self.keys = [], [], [], []
        for m in c.messages:
            locals_[m.channel.name], one = encode(point, slots, locals_.get(m.channel.name), m)
            self.before.append((dict(own), dict(others)))
            keys = {}
            for reader in m.channel.readers:
                role = WROTE if reader == m.author else READ
                own[reader] = own.get(reader, self.empty).absorb(one.operator, role, m.time, self.dynamics)
                if role == READ:
                    others[reader, m.author] = others.get((reader, m.author), self.empty).absorb(one.operator, READ, m.time, self.dynamics)
                keys[reader] = (brief(own[reader].key), brief(others[reader, m.author].key) if role == READ else None, brief(one.channel_key))
            self.encoded.append(one)
            self.keys.append(keys)
            self.after.append((dict(own), dict(others)))

    def pair(self, k: int, holder: str, about: Sequence[str], time: int, after: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        own, others = (self.after if after else self.before)[k]
        other = mixture([others.get((holder, v), self.empty) for v in about], time, self.dynamics, self.empty.S_LHPN)
        return own.get(holder, self.empty).at(time, self.dynamics), other


@pytest.fixture(scope="module", params=["heads", "sum"])
def double(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The tiny model in double precision."""
    point = checkpoint.load(saved(tmp_path_factory.mktemp("double"), request.param))
    point.model.double()
    return point


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A small model whose widths are multiples of 16, as the shipped one's are: a vector loop then has no remainder to round otherwise."""
    point = checkpoint.load(saved(tmp_path_factory.mktemp("sized")))
    config = SociaLLMConfig(
        vocabulary=point.tokenizer.vocabulary, width=32, layers=2, local_heads=2, local_head_width=16, local_state=16, social_heads=2, social_head_width=16,
        social_state=32, local_chunk=16, social_chunk=8,
    )  # fmt: skip
    return Checkpoint(build(config, torch.Generator().manual_seed(0)).eval().requires_grad_(False), point.tokenizer, point.sha256)


def test_keys_are_those_of_live_readers(loaded: Checkpoint) -> None:
    c = conversation(3, 40)
    live = Live(loaded, c)
    rows = {(r.index, r.reader): r for r in seen(loaded, c).rows}
    assert len(rows) == sum(len(keys) for keys in live.keys)
    for k, keys in enumerate(live.keys):
        for reader, expected in keys.items():
            row = rows[k, reader]
            assert (row.own, row.other, row.channel) == expected and row.wrote == (reader == c.messages[k].author)


@pytest.mark.parametrize("size", [(2048, 128, 1024), (40, 3, 1024), (2048, 128, 2)])
def test_nats_and_states_are_those_of_live_readers_wherever_windows_end(double: Checkpoint, size: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision: every variant of every reading, how far the author's state moved, and the states at moments."""
    for name, value in zip(("TOKENS", "MESSAGES", "ROWS"), size, strict=True):
        monkeypatch.setattr(trails, name, value)
    c = conversation(1, 24)
    live, empty = Live(double, c), double.model.empty_state(1)[:, 0]
    moments = [Moment(after=k + 1, time=m.time + 5_000_000, holder=a, about=("ann", "bob"), name=0) for k, m in enumerate(c.messages) for a in ("cyd", "dan")]
    moments = [replace(m, name=n) for n, m in enumerate(moments)]
    (found,) = observe(double, [source(c, moments)], ALL)
    for row in found.rows:
        m, one = c.messages[row.index], live.encoded[row.index]
        recent = [e for e in c.messages[: row.index] if e.channel == m.channel]
        about = interlocutors(m, recent) if row.wrote else (m.author,)
        own, other = live.pair(row.index, row.reader, about, m.time)
        expected = [float(v.sum()) for v in nll_under(double, one, [(own, other), (own, empty), (empty, other), (empty, empty)])]
        assert [row.nats, row.nats_no_other, row.nats_no_own, row.nats_no_states] == pytest.approx(expected, abs=2e-6)
        assert row.e_rel == pytest.approx((expected[0] - expected[3]) / row.tokens, abs=2e-6) and row.tokens == one.sequence.lengths_M[0] - one.header
        if not row.wrote:
            after = live.after[row.index][1][row.reader, m.author].S_LHPN
            assert row.moved == pytest.approx(distance(other, after).overall, abs=2e-6)
    for moment, (own, other) in zip(moments, found.states, strict=True):
        expected = live.pair(moment.after - 1, moment.holder, moment.about, moment.time, after=True)
        assert max(float((own - expected[0]).abs().max()), float((other - expected[1]).abs().max())) <= 1e-12


def test_states_in_single_precision_are_those_of_live_readers(tmp_path: Path) -> None:
    """The sizes of the shipped model, drawn weights: within 1e-5 of the largest number of the state."""
    config = SociaLLMConfig(vocabulary=420)
    point = checkpoint.load(saved(tmp_path))
    point = Checkpoint(build(config, torch.Generator().manual_seed(0)).eval().requires_grad_(False), point.tokenizer, point.sha256)
    c = conversation(2, 30, 30)
    live = Live(point, c)
    moments = [Moment(after=30, time=c.messages[-1].time, holder=a, about=(b,), name=4 * i + j) for i, a in enumerate(AGENTS) for j, b in enumerate(AGENTS)]
    (found,) = observe(point, [source(c, moments)], ALL)
    for moment, (own, other) in zip(moments, found.states, strict=True):
        for got, expected in zip((own, other), live.pair(29, moment.holder, moment.about, moment.time, after=True), strict=True):
            assert float((got - expected).abs().max()) <= 1e-5 * max(1e-3, float(expected.abs().max()))


@pytest.mark.parametrize("text", ["dog", "shall we go to Munich together with the lazy fox? " * 20])
def test_a_later_message_changes_no_bit_of_an_earlier_row(sized: Checkpoint, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that is edited nor one that is added, though windows and chunks then end elsewhere."""
    monkeypatch.setattr(trails, "TOKENS", 400)
    c = conversation(4, 80, 25)
    whole = seen(sized, c)
    for k in (20, 66):
        edited = replace(c, messages=tuple(replace(m, text=text) if i == k else m for i, m in enumerate(c.messages)))
        again = seen(sized, edited)
        assert [r for r in again.rows if r.index < k] == [r for r in whole.rows if r.index < k]
        assert [r for r in again.rows if r.index == k] != [r for r in whole.rows if r.index == k]
        cut = replace(c, messages=c.messages[:k])
        assert seen(sized, cut).rows == [r for r in whole.rows if r.index < k]


def test_who_cannot_read_a_message_has_the_same_rows_without_it(sized: Checkpoint) -> None:
    """Rows of a channel that is read by others are of other words: those of ann in channels that she shares with dan alone are looked at."""
    first = [Message(id=f"a{i}", author=a, channel=pair("ann", "dan"), time=1000 * i, text="shall we go") for i, a in enumerate(("ann", "dan", "ann", "dan", "ann"))]
    aside = [Message(id=f"b{i}", author=a, channel=pair("bob", "cyd"), time=1000 * i + 500, text="the lazy dog") for i, a in enumerate(("bob", "cyd", "bob"))]

    def rows(said: Sequence[Message]) -> list[tuple[object, ...]]:
        c = Conversation(id="c", messages=tuple(sorted(said, key=lambda m: m.time)))
        found = next(iter(observe(sized, [Source(conversation=c, slots=slots_of(AGENTS))], ALL)))
        return [(c.messages[r.index].id, *r[1:]) for r in found.rows if r.reader in ("ann", "dan")]

    edited = [replace(m, text="to Munich together, quick") for m in aside]
    assert rows([*first, *aside]) == rows([*first, *edited]) == rows(first) and len(rows(first)) == 10


def test_conversations_read_together_are_each_as_read_alone(sized: Checkpoint) -> None:
    many = [conversation(s, n) for s, n in ((0, 5), (1, 1), (2, 70), (3, 9), (4, 150), (5, 2))]
    nobody = Conversation(id="none", messages=())
    together = list(observe(sized, [*map(source, many), source(nobody)], ALL))
    assert [found.rows for found in together] == [seen(sized, c).rows for c in many] + [[]]
    assert [found.source.conversation for found in together] == [*many, nobody]


def test_energies_alone_are_those_of_the_whole_table(sized: Checkpoint) -> None:
    """Of authors, in channels of two and of a large room; what is not asked for is None."""
    names = [f"n{i:02d}" for i in range(trails.MOST_READERS + 2)]
    room = Channel(name="#room", readers=frozenset(names))
    crowd = Conversation(id="irc", messages=tuple(Message(id=str(i), author=names[i % 3], channel=room, time=60_000 * i, text="shall we go to Munich") for i in range(9)))
    for c in (conversation(3, 60), crowd):
        whole = seen(sized, c, Asked(readers=False)).rows
        found = seen(sized, c, Asked(readers=False, energies=True)).rows
        assert [r._replace(nats_no_other=None, nats_no_own=None) for r in whole] == found and any(r.e_rel for r in found)


def test_twins_read_together_are_each_as_read_alone_and_what_they_share_is_read_once(sized: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alike up to where they part, in one channel of several; windows end within what is alike, and after."""
    monkeypatch.setattr(trails, "MESSAGES", 16)
    c = conversation(4, 60, 25)
    m = c.messages[40]
    twins = [c, replace(c, id="d", messages=(*c.messages[:40], replace(m, text="dog"), *c.messages[41:])), replace(c, messages=c.messages[:25]), c]
    read: list[int] = []
    plain = observing.nats_of
    monkeypatch.setattr(observing, "nats_of", lambda *given: read.append(len(given[4]) * (given[5] != ON)) or plain(*given))
    moments = [Moment(after=45, time=m.time + 10**7, holder="ann", about=("bob",))]
    together = list(observe(sized, [source(t, moments if len(t.messages) > 45 else ()) for t in twins], ALL))
    shared, read[:] = sum(read), []
    alone = [next(iter(observe(sized, [found.source], ALL))) for found in together]
    assert [t.rows for t in together] == [a.rows for a in alone] and all(np.array_equal(t.features, a.features) for t, a in zip(together, alone, strict=True))
    assert 2 * shared < sum(read) and together[0].rows == together[3].rows != together[1].rows


def test_a_large_room_has_one_row_for_all_who_listen(loaded: Checkpoint) -> None:
    """Every listener holds the same state of the author, as in the rows of each in a room of so many as are told apart."""
    names = [f"n{i:02d}" for i in range(trails.MOST_READERS + 2)]
    room = Channel(name="#room", readers=frozenset(names))
    said = [Message(id=str(i), author=names[i % 3], channel=room, time=60_000 * i, text="shall we go to Munich") for i in range(9)]
    c = Conversation(id="irc", messages=tuple(said))
    found, live = seen(loaded, c), Live(loaded, c)
    assert [r.reader for r in found.rows] == [reader for m in said for reader in (m.author, None)]
    for row in found.rows:
        if row.reader is None:
            keys = {live.keys[row.index][reader][1] for reader in names if reader != said[row.index].author}
            other = live.pair(row.index, "n09", [said[row.index].author], said[row.index].time)[1]
            empty = loaded.model.empty_state(1)[:, 0]
            expected = float(nll_under(loaded, live.encoded[row.index], [(empty, other)])[0].double().sum())
            assert {row.other} == keys and row.nats is None and row.nats_no_own == pytest.approx(expected, rel=1e-5)
    met = replace(said[4], id="aside", channel=pair("n00", "n05"), author="n00", text="psst")  # now one of them knows n00 otherwise
    after = seen(loaded, replace(c, messages=(*said[:4], met, *said[4:]))).rows
    assert [(r.other is None, r.nats_no_own is None) for r in after if r.reader is None][4:] == [(False, False), (False, False), (True, True), (False, False), (False, False)]


def test_cohort_energy_is_that_of_others_who_spoke_latest(double: Checkpoint) -> None:
    said, now = [], 0
    for i in range(30):
        now += 1000 * (1 + i % 5)
        said.append(Message(id=str(i), author=AGENTS[(i * i) % 4], channel=PUBLIC, time=now, text=("the quick dog", "shall we go", "over the fox")[i % 3]))
    c = Conversation(id="c", messages=tuple(said))
    live, told = Live(double, c), 0
    for row in seen(double, c).rows:
        m = said[row.index]
        earlier = [e.author for e in said[: row.index]]
        able = sorted({a for a in earlier if a != m.author and earlier.count(a) >= 5}, key=lambda a: -max(i for i, e in enumerate(earlier) if e == a))[:4]
        if not row.wrote or not able:
            assert row.e_coh is None
            continue
        about = interlocutors(m, said[: row.index])
        pairs = [live.pair(row.index, a, [v for v in about if v != a], m.time) for a in (m.author, *able)]
        on, *others = (float(v.sum()) for v in nll_under(double, live.encoded[row.index], pairs))
        assert row.e_coh == pytest.approx((on - np.mean(others)) / row.tokens, abs=2e-6)
        told += 1
    assert told > 8


def test_features_are_what_states_add_and_nothing_for_a_stranger(loaded: Checkpoint) -> None:
    c = conversation(6, 20)
    moments = tuple(Moment(after=n, time=c.messages[-1].time, holder=a, about=("bob",), name=i) for i, (n, a) in enumerate([(0, "ann"), (0, "nobody"), (20, "ann"), (20, "cyd"), (20, "nobody")]))
    (found,) = observe(loaded, [source(c, moments)])
    width = len(PROBES) * loaded.model.config.width
    assert found.features.shape == (5, width) and np.isfinite(found.features).all()
    stranger, unheard, ann, cyd, nobody = found.features
    assert np.array_equal(stranger, unheard) and np.array_equal(stranger, nobody) and not np.allclose(ann, cyd) and not np.allclose(ann, stranger)


def test_messages_that_go_back_in_time_are_refused(loaded: Checkpoint) -> None:
    c = conversation(0, 3)
    back = replace(c, messages=(*c.messages, replace(c.messages[-1], id="back", time=c.messages[-1].time - 1)))
    with pytest.raises(StateError, match="deliver messages in order of time"):
        seen(loaded, back)


def test_moments_out_of_order_or_beyond_the_end_are_refused() -> None:
    for after in ((2, 1), (4,)):
        with pytest.raises(ValueError, match="give them in order"):
            source(conversation(0, 3), [Moment(after=n, time=0, holder="ann", about=(), name=i) for i, n in enumerate(after)])


def test_a_model_without_social_blocks_is_refused(loaded: Checkpoint) -> None:
    plain = build(replace(loaded.model.config, social_every=0), torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="no social blocks"):
        next(observe(Checkpoint(plain, loaded.tokenizer, "c" * 64), [source(conversation())]))
