"""Do agents stay who they were told to be? Identity by Bayes over the personas of a run, drift, and how far lines follow the persona and one another.

After Marks, Lindsey & Olah's reading of an agent as a posterior over personas, with the model's own states as the personas: w_j ∝ w_j · p(message | own =
persona_j), persona_j being what SociaLLM's own state is once the agent has been told text j and nothing else, and "none" the empty state. Weights begin
equal. All candidates of one agent are told in its own name (same slot), so nothing but their words tells them apart; the state of the one spoken to
is the agent's real one, and everything before stands in the channel. One row a line:

    run agent declared line message time tokens   `declared`: whose persona it was told (itself), or none
    weight said w_said                            of the declared one after this line; the likeliest one, and its weight
    entropy drift lost                            nats: entropy of the weights; KL(w_t || w_0), w_0 equal weights; -log of the declared one's weight
    prompt_to_line prompt_of_others               nats a token that the own persona saves (-E_rel); that others' personas save, the mean of them
    line_to_line                                  nats a token that a state of its own earlier lines alone saves
    weight_no_other                               `weight` with the state of the one spoken to emptied

A run whose agents know nothing gives equal weights for ever: that is the ablation without any state, and needs no computing. The null is a shuffle: the
declared personas dealt again among the agents of each run that have one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.metrics import AnalysisError
from analysis.stats import Interval, cluster_bootstrap, permutation_test, reach
from analysis.texts import Text, text_of_run
from sandbox.folder import read_manifest
from sandbox.log import printable
from sandbox.snapshot import RunError
from scenarios.briefing import persona_message
from sociallm.conversation import AgentID

if TYPE_CHECKING:
    from torch import Tensor

NONE = "none"
DEFAULT = "base"
BINS = 10  # of confidence, in the calibration error
SPOKEN = re.compile(r"[0-9]+:")  # the id of what an agent said itself begins with the step


@dataclass(frozen=True)
class Measured:
    """A table by line, and for each agent of each run the weights of all personas after its last line."""

    lines: pd.DataFrame
    weights: Mapping[tuple[str, AgentID], Mapping[str, float]]


def measure(runs: Sequence[Path], checkpoint: str | None = None) -> Measured:
    """Of all of them. Raises `AnalysisError`, one line, for a run that cannot be read, or has no personas."""
    rows: list[dict[str, Any]] = []
    weights: dict[tuple[str, AgentID], dict[str, float]] = {}
    names: set[str] = set()
    for run in runs:
        text = text_of_run(run)
        if text.name in names:
            raise AnalysisError(f"{run}: a run called {text.name} was named before; name each run once")
        names.add(text.name)
        personas = _personas(text)
        if not personas:
            raise AnalysisError(f"{run}: nobody was told a persona; name runs with personas, as of scenarios/personas.yaml")
        found, last = _of_run(text, personas, checkpoint or text.checkpoint or DEFAULT, _begun_elsewhere(run))
        rows += found
        weights |= {(text.name, agent): of for agent, of in last.items()}
    if not rows:
        raise AnalysisError(f"{runs[0]}: no agent said anything, so nothing can be measured; name runs in which agents talk")
    return Measured(pd.DataFrame(rows), weights)


def _personas(text: Text) -> dict[AgentID, str]:
    """What each agent was told of itself before it first spoke."""
    told: dict[AgentID, list[str]] = {}
    spoke: set[AgentID] = set()
    for m in text.conversation.messages:
        if SPOKEN.match(m.id):
            spoke.add(m.author)
        elif m.channel.readers == {m.author} and m.author not in spoke:
            told.setdefault(m.author, []).append(m.text)
    return {agent: "\n".join(texts) for agent, texts in sorted(told.items())}


def _begun_elsewhere(run: Path) -> frozenset[AgentID]:
    """Agents that began with the own state of another run, which this log does not make: they are left out."""
    try:
        files = read_manifest(run if run.is_dir() else run.parent).get("file_sha256", {})
    except RunError:
        return frozenset()  # a log that stands alone
    return frozenset(key.split(".")[1] for key in files if key.startswith("personas."))


def _of_run(text: Text, personas: Mapping[AgentID, str], name: str, left_out: frozenset[AgentID]) -> tuple[list[dict[str, Any]], dict[AgentID, dict[str, float]]]:
    """(a row for each line, the last weights of each agent)."""
    from agents.memory import AgentMemory
    from agents.reading import Reader
    from sociallm.checkpoint import CheckpointError, shared
    from sociallm.encode import dynamics_of, nll_under
    from sociallm.states import LocalState, SocialState, mixture
    from sociallm.streams import WROTE

    try:
        model = shared(name)
        reader = Reader(name, text.agents)
    except CheckpointError as error:
        raise AnalysisError(f"{name}: {error}; name a model with --checkpoint") from None
    dynamics, empty = dynamics_of(model), SocialState.empty(model.model, model.sha256)
    who = (NONE, *personas)

    def told(agent: AgentID, persona: str) -> Tensor:
        return empty.absorb(reader.encode(None, [persona_message(agent, persona, 0)])[1][0].operator, WROTE, 0, dynamics).S_LHPN

    candidates: dict[AgentID, list[Tensor]] = {}
    memories, mine = {agent: AgentMemory() for agent in text.agents}, dict.fromkeys(text.agents, empty)
    log_w, log_alone = {agent: np.zeros(len(who)) for agent in text.agents}, {agent: np.zeros(len(who)) for agent in text.agents}
    locals_: dict[str, LocalState] = {}
    counts = dict.fromkeys(text.agents, 0)
    rows = []
    for m in text.conversation.messages:
        locals_[m.channel.name], (read,) = reader.encode(locals_.get(m.channel.name), [m])
        if SPOKEN.match(m.id) and len(m.channel.readers) > 1 and m.author not in left_out:
            states = candidates.setdefault(m.author, [empty.S_LHPN, *(told(m.author, persona) for persona in personas.values())])
            other = mixture([memories[m.author].others.get(v, empty) for v in read.partners], m.time, dynamics, empty.S_LHPN)
            pairs = [*((own, other) for own in states), (mine[m.author].at(m.time, dynamics), other), *((own, empty.S_LHPN) for own in states)]
            nll = nll_under(model, read, pairs)
            nats, tokens = np.array([float(row.double().sum()) for row in nll]), len(nll[0])
            log_w[m.author] -= nats[: len(who)]
            log_alone[m.author] -= nats[len(who) + 1 :]
            counts[m.author] += 1
            declared = m.author if m.author in personas else NONE
            row = {"run": text.name, "agent": m.author, "declared": declared, "line": counts[m.author], "message": m.id, "time": m.time, "tokens": tokens}
            rows.append(row | _line(who, declared, log_w[m.author], log_alone[m.author], nats, tokens))
            mine[m.author] = mine[m.author].absorb(read.operator, WROTE, m.time, dynamics)
        memories |= reader.absorb(memories, read, False)[0]
    return rows, {agent: dict(zip(who, map(float, _shares(log_w[agent])))) for agent, n in counts.items() if n}


def _line(who: Sequence[str], declared: str, log_w: np.ndarray, log_alone: np.ndarray, nats: np.ndarray, tokens: int) -> dict[str, Any]:
    """What one line leaves: `nats` has those of the candidates, none first, then of the own earlier lines."""
    w, at = _shares(log_w), who.index(declared)
    none, saved = nats[0], (nats[0] - nats[1 : len(who)]) / tokens
    others = np.delete(saved, at - 1) if at else saved
    return {
        "weight": float(w[at]), "said": who[int(w.argmax())], "w_said": float(w.max()), "entropy": entropy(w), "drift": float(np.log(len(w)) - entropy(w)),
        "lost": float(np.logaddexp.reduce(log_w) - log_w[at]), "prompt_to_line": float(saved[at - 1]) if at else float("nan"),
        "prompt_of_others": float(others.mean()) if len(others) else float("nan"), "line_to_line": float((none - nats[len(who)]) / tokens),
        "weight_no_other": float(_shares(log_alone)[at]),
    }  # fmt: skip


def _shares(log_w: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(log_w - np.logaddexp.reduce(log_w)))


def entropy(w: np.ndarray) -> float:
    """Of weights, in nats."""
    positive = w[w > 0]
    return float(-(positive * np.log(positive)).sum()) + 0.0


def calibration_error(confidence: ArrayLike, correct: ArrayLike) -> float:
    """ECE (Naeini et al. 2015): the mean, over ten bins of confidence, of how far the share that is right is from the mean confidence."""
    sure, right = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(sum(abs(right[bins == b].mean() - sure[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)))


# ---- over runs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """One figure over runs, with its interval, and what it would be by chance or under the null."""

    what: str
    interval: Interval
    beside: str = ""


def figures(measured: Measured, rng: np.random.Generator) -> list[Figure]:
    """What the runs say, by agent at its last line, in intervals by run."""
    last = measured.lines.sort_values("line").groupby(["run", "agent"], as_index=False).last()
    last = last.assign(right=last["said"] == last["declared"])
    told = last[last["declared"] != NONE].reset_index(drop=True)
    candidates = np.mean([len(w) for w in measured.weights.values()])

    def over(table: pd.DataFrame, figure: Any) -> Interval:
        columns = {name: table[name].to_numpy() for name in table.select_dtypes(("number", "bool"))}  # a hundred times as fast as rows of the table
        return cluster_bootstrap(table["run"].tolist(), lambda rows: float(figure({name: column[rows] for name, column in columns.items()})), rng)

    null, p = shuffled(measured, told, rng)
    lines = measured.lines[measured.lines["declared"] != NONE]
    found = [
        Figure("the persona told is the likeliest", over(told, lambda t: t["right"].mean()), f"by chance {1 / candidates:.3f}"),
        Figure("its weight", over(told, lambda t: t["weight"].mean()), f"shuffled among agents {null:.3f}, p = {p:.3f}; without any state {1 / candidates:.3f}"),
        Figure("the same, state of the other emptied", over(told, lambda t: t["weight_no_other"].mean())),
        Figure("entropy of identity, nats", over(told, lambda t: t["entropy"].mean()), f"of equal weights {np.log(candidates):.3f}"),
        Figure("drift KL(w_t||w_0), nats", over(told, lambda t: t["drift"].mean())),
        Figure("lost: -log weight of the one told", over(told, lambda t: t["lost"].mean()), f"by chance {np.log(candidates):.3f}"),
        Figure("calibration error of identity, all agents", over(last, lambda t: calibration_error(t["w_said"], t["right"]))),
        Figure("prompt to line, nats a token saved", over(lines, lambda t: np.average(t["prompt_to_line"], weights=t["tokens"]))),
    ]
    if not lines["prompt_of_others"].isna().any():
        difference = over(lines, lambda t: np.average(t["prompt_to_line"] - t["prompt_of_others"], weights=t["tokens"]))
        found.append(Figure("the same, less what others' personas save", difference, "0: any persona would do"))
    return [*found, Figure("line to line, nats a token saved, all agents", over(measured.lines, lambda t: np.average(t["line_to_line"], weights=t["tokens"])))]


def shuffled(measured: Measured, told: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float]:
    """(the mean weight of a persona dealt at random among the agents of its run that have one, the p-value of the mean weight of those told)."""
    weights = [measured.weights[run, agent] for run, agent in zip(told["run"], told["agent"], strict=True)]
    names = list(dict.fromkeys(told["declared"]))
    dealt = {run: part["declared"].tolist() for run, part in told.groupby("run")}
    null = float(np.mean([np.mean([w[name] for name in dealt[run]]) for w, run in zip(weights, told["run"], strict=True)]))

    def statistic(labels: np.ndarray) -> float:
        return float(np.mean([w[names[int(label)]] for w, label in zip(weights, labels, strict=True)]))

    return null, permutation_test(told["declared"].tolist(), told["run"].tolist(), statistic, rng)


def as_text(measured: Measured, found: Sequence[Figure]) -> str:
    """For a terminal: agents at their last lines, then the figures."""
    last = measured.lines.sort_values("line").groupby(["run", "agent"], as_index=False).last()
    shown = last[last["declared"] != NONE][["run", "agent", "line", "weight", "said", "entropy", "drift", "lost", "prompt_to_line", "prompt_of_others"]]
    shown = shown.assign(**{key: shown[key].map(lambda text: printable(str(text))) for key in ("run", "agent", "said")})
    table = shown.to_string(index=False, float_format=lambda value: f"{value:.3f}", max_rows=40)
    lines = [f"{one.what:<48}{one.interval.mean:>8.3f}  {reach(one.interval, '.3f', 'run')}{f'; {one.beside}' if one.beside else ''}" for one in found]
    return "\n".join([table, "", *lines])
