"""Ablation influence: exactly the states of a log without the private channels, and of moves that owe nothing to them, nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.planting import Coalition, Plan
from analysis.benches.bent_games import made, played
from analysis.evidence import Evidence
from analysis.influence import by_pair, cut, influences, private
from analysis.metrics import AnalysisError, message_of
from analysis.probes import Probe
from scenarios.market.planting import PlantedMarket
from sociallm.checkpoint import checkpoint_hash, shared
from sociallm.conversation import Conversation
from sociallm.encode import dynamics_of, encode, slots_of
from sociallm.observing import PROBES, observe
from sociallm.states import Absorbed, LocalState, SocialState, Stream, distance, empty_key
from sociallm.streams import READ, WROTE
from sociallm.trails import Asked, Moment, Source


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    environment = made("market", sellers=3, rounds=2, chat="private", talks=2)
    plan = Plan(name="x", coalitions=(Coalition(name="p", members=("S1", "S2"), scheme="private"),), salt=1)
    return Evidence(played(environment, "market", 5, PlantedMarket(environment.language, plan, environment.agents)), "market", key="5")  # type: ignore[arg-type]


def head(evidence: Evidence, slope: float) -> Probe:
    """Two classes, cheap and dear, told apart by one feature."""
    width = len(PROBES) * shared("base").model.config.width
    row = (slope, *[0.0] * (width - 1))
    return Probe(target="next_move", fact=None, checkpoint=checkpoint_hash("base"), beginnings=PROBES, edges=(1.5,), classes=("below 1.5", "1.5 or more"), weights=(row, tuple(-v for v in row)), bias=(0.0, 0.0), shift=(0.0, 0.0))


def test_without_their_channel_means_without_their_channel(evidence: Evidence) -> None:
    said = [message_of(e) for e in evidence.events if e.kind == "message"]
    agents, left = evidence.agents, cut(said, "S1", "S2", evidence.agents)
    assert {m.channel.name for m in said} - {m.channel.name for m in left} == {"S1-S2"}
    one, other = sorted(said[0].channel.readers)
    assert not any(private(m, "S1", "S2", agents) for m in left) and private(said[0], one, other, agents) and not private(said[0], one, other, [one, other])


def test_states_without_a_channel_are_those_recomposed_from_operators(evidence: Evidence) -> None:
    """Two ways to one memory: a log in which the channel was never opened, read afresh; and the whole log's operators without the channel's."""
    said = [message_of(e) for e in evidence.events if e.kind == "message"]
    checkpoint, left = shared("base"), cut(said, "S1", "S2", evidence.agents)
    dynamics, now = dynamics_of(checkpoint), said[-1].time
    empty = SocialState.empty(checkpoint.model, checkpoint.sha256)
    own, of_other, channels = Stream.starting(empty), Stream.starting(empty), dict[str, LocalState]()
    for m in said:
        channels[m.channel.name], encoded = encode(checkpoint, slots_of(evidence.agents), channels.get(m.channel.name), m)
        if m.read_by("S2"):
            own = own.absorb(Absorbed(message=m, operator=encoded.operator, role=WROTE if m.author == "S2" else READ), dynamics)
            if m.author == "S1":
                of_other = of_other.absorb(Absorbed(message=m, operator=encoded.operator, role=READ), dynamics)
    alone = own.forget(lambda e: private(e.message, "S1", "S2", evidence.agents), dynamics).state
    stranger = of_other.forget(lambda e: private(e.message, "S1", "S2", evidence.agents), dynamics).state
    assert stranger.key == empty_key(checkpoint.sha256) and alone.key != own.state.key
    moment = Moment(after=len(left), time=now, holder="S2", about=("S1",))
    (seen,) = observe(checkpoint, [Source(conversation=Conversation(id="cut", messages=left), slots=slots_of(evidence.agents), moments=(moment,))], Asked(states=True))
    found_own, found_other = seen.states[0]
    assert distance(found_own, alone.at(now, dynamics)).overall < 1e-4 < distance(found_own, own.state.at(now, dynamics)).overall
    assert torch.count_nonzero(found_other) == 0
    assert [row.own for row in seen.rows if row.reader == "S2"][-1] == alone.key[:16]


def test_a_head_that_ignores_states_finds_no_influence(evidence: Evidence) -> None:
    found = influences(evidence, head(evidence, 0.0))
    assert {(i.by, i.on) for i in found} == {(a, b) for a in evidence.agents for b in evidence.agents if a != b}
    assert all(i.nats == 0.0 for i in found)


def test_influence_is_the_mean_of_log_ratios_and_only_of_who_talked(evidence: Evidence) -> None:
    found = influences(evidence, head(evidence, 0.3))
    linked = {frozenset(e.data["readers"]) for e in evidence.events if e.kind == "message"}
    for i in found:
        assert np.isfinite(i.nats) and i.moves in (0, 2)
        assert (i.nats != 0.0) <= (frozenset((i.by, i.on)) in linked)
    assert by_pair(found)["S1", "S2"] == pytest.approx(np.mean([i.nats for i in found if {i.by, i.on} == {"S1", "S2"}]))
    assert by_pair(found)["S1", "S2"] != 0.0


def test_a_head_of_another_model_or_question_is_refused(evidence: Evidence) -> None:
    with pytest.raises(AnalysisError, match="checkpoint"):
        influences(evidence, replace(head(evidence, 0.3), checkpoint="0" * 64))
    with pytest.raises(AnalysisError, match="next_move"):
        influences(evidence, replace(head(evidence, 0.3), target="stance"))
