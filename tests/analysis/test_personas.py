"""Personas measured: Bayes by hand, what is blind to what, planted followers of a persona found, and nulls that find nothing."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.metrics import AnalysisError
from analysis.personas import Measured, calibration_error, entropy, figures, measure, shuffled
from scenarios.briefing import alone
from sociallm.conversation import Message
from tests.sandbox.runs import run
from tests.sandbox.test_states import PLAY, checkpoint  # noqa: F401 (a fixture is used by being here)

TOLD = ("personas.P0.text='I count all numbers.'", "personas.P2.text='I am patient, and say little.'")


@pytest.fixture
def played(capsys, tmp_path, checkpoint):  # noqa: F811
    return run(capsys, tmp_path, *PLAY, *TOLD, f"policies.remembering.checkpoint={checkpoint}")[0]


def test_weights_are_those_of_bayes_by_hand_with_every_persona_told_in_the_agents_own_name(played, checkpoint):  # noqa: F811
    from agents.memory import AgentMemory
    from agents.reading import Reader
    from analysis.texts import text_of_run
    from sociallm.checkpoint import shared
    from sociallm.encode import dynamics_of, nll_under
    from sociallm.states import SocialState, mixture
    from sociallm.streams import WROTE

    found = measure([played])
    text, model = text_of_run(played), shared(str(checkpoint))
    reader, dynamics, empty = Reader(str(checkpoint), text.agents), dynamics_of(model), SocialState.empty(model.model, model.sha256)
    first = next(m for m in text.conversation.messages if m.author == "P2" and not m.id.startswith("persona"))
    locals_, memories = {}, {agent: AgentMemory() for agent in text.agents}
    for m in text.conversation.messages:
        locals_[m.channel.name], (read,) = reader.encode(locals_.get(m.channel.name), [m])
        if m is first:
            break
        memories |= reader.absorb(memories, read, False)[0]
    states = [empty.S_LHPN]
    for words in ("I count all numbers.", "I am patient, and say little."):
        told = Message(id="persona-P2", author="P2", channel=alone("P2"), time=0, text=words)
        states.append(empty.absorb(reader.encode(None, [told])[1][0].operator, WROTE, 0, dynamics).S_LHPN)
    other = mixture([memories["P2"].others.get(v, empty) for v in read.partners], first.time, dynamics, empty.S_LHPN)
    nats = [float(row.double().sum()) for row in nll_under(model, read, [(own, other) for own in states])]
    p = np.exp(-np.array(nats) + min(nats))
    row = found.lines[found.lines["message"] == first.id].iloc[0]
    assert row["weight"] == pytest.approx(p[2] / p.sum(), abs=1e-5) and row["declared"] == "P2" and row["line"] == 1
    assert row["prompt_to_line"] == pytest.approx((nats[0] - nats[2]) / row["tokens"], abs=1e-5)
    assert row["entropy"] + row["drift"] == pytest.approx(math.log(3)) and row["lost"] == pytest.approx(-math.log(row["weight"]))


def test_every_line_of_everybody_is_there_once_and_weights_sum_to_one(played):
    found = measure([played])
    said = [json.loads(line) for line in (played / "events.jsonl").read_text().splitlines()]
    spoken = [r["data"]["id"] for r in said if r["kind"] == "message" and not r["data"]["id"].startswith("persona")]
    assert sorted(found.lines["message"]) == sorted(spoken) and {"P0", "P2"} <= set(found.lines["declared"]) <= {"P0", "P2", "none"}
    assert all(sum(w.values()) == pytest.approx(1) and set(w) == {"none", "P0", "P2"} for w in found.weights.values())


def test_the_command_prints_figures_and_writes_the_table(capsys, tmp_path, played):
    assert main(["personas", str(played), "--out", str(tmp_path / "lines.csv")]) == 0
    assert "too few for an interval" in capsys.readouterr().out and len(pd.read_csv(tmp_path / "lines.csv")) == len(measure([played]).lines)


def test_runs_without_personas_and_the_same_run_twice_are_refused(capsys, tmp_path, played):
    bare, _, _ = run(capsys, tmp_path)
    with pytest.raises(AnalysisError, match="nobody was told a persona"):
        measure([bare], "base")
    with pytest.raises(AnalysisError, match="named before"):
        measure([played, played])


def synthetic(right, runs=12, agents=("A", "B", "C", "D")):
    """A table in which each agent's weights are on its own persona with certainty `right` each time, else on another's."""
    rng, rows, weights = np.random.default_rng(0), [], {}
    for r in range(runs):
        for i, agent in enumerate(agents):
            said = agent if rng.random() < right else agents[(i + 1 + int(rng.integers(len(agents) - 1))) % len(agents)]
            w = {name: 0.8 if name == said else 0.05 for name in ("none", *agents)}
            weights[f"r{r}", agent] = w
            rows.append({
                "run": f"r{r}", "agent": agent, "declared": agent, "line": 1, "tokens": 10, "weight": w[agent], "said": said, "w_said": 0.8, "entropy": 0.7,
                "drift": 0.9, "lost": -math.log(w[agent]), "prompt_to_line": 0.2, "prompt_of_others": 0.1, "line_to_line": 0.3, "weight_no_other": w[agent],
            })  # fmt: skip
    return Measured(pd.DataFrame(rows), weights)


def test_agents_that_keep_to_their_personas_are_found_and_those_dealt_at_random_are_not():
    rng = np.random.default_rng(1)
    faithful, random = synthetic(1.0), synthetic(0.25)
    for measured, low, high in ((faithful, 0.0, 0.002), (random, 0.05, 1.0)):
        told = measured.lines
        null, p = shuffled(measured, told, rng)
        assert low <= p <= high and null == pytest.approx((0.8 + 3 * 0.05) / 4, abs=0.02)
    found = {figure.what: figure.interval for figure in figures(faithful, rng)}
    assert found["the persona told is the likeliest"].mean == 1 and found["its weight"].mean == pytest.approx(0.8)
    assert found["the same, less what others' personas save"].mean == pytest.approx(0.1)
    assert figures(random, rng)[0].interval.low < 0.25 < figures(random, rng)[0].interval.high


def test_calibration_error_and_entropy_in_closed_form():
    assert calibration_error([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0)
    assert calibration_error([0.8] * 10, [False] * 10) == pytest.approx(0.8)
    assert calibration_error([0.05, 1.0], [False, True]) == pytest.approx(0.025)
    assert entropy(np.array([0.25] * 4)) == pytest.approx(math.log(4)) and entropy(np.array([1.0, 0.0])) == 0
