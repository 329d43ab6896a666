"""Is what a message does to a model's beliefs what it should do? Held against exact values in the solvable world (`scenarios/team_task/exact.py`).

A listener's belief is read off the model: how likely, with its own state and nothing said in the channel, it would say of each suspect "I think it was …".
The information of a message is the Bayesian surprise of that belief, KL(P' ‖ P) (Itti & Baldi 2009): what the message changed, not how hard it was to
foretell. Beside it stands what is usually taken, surprisal. Dialogues are of seeds that no lesson was drawn from (`lessons.MEASURED` and above); the unit is the dialogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.stats import RESAMPLES, Interval, auroc, cluster_bootstrap
from scenarios.team_task.lessons import SOON, alone, clues_of, guess, heard
from scenarios.team_task.stimuli import READER, Dialogue, dialogue
from sociallm.checkpoint import Checkpoint
from sociallm.conversation import Message
from sociallm.encode import dynamics_of, encode, nll_under, slots_of
from sociallm.states import LocalState, SocialState
from sociallm.streams import READ

COLUMNS = ["dialogue", "number", "kind", "value", "exact", "model", "surprisal", "error"]
Floats = NDArray[np.float64]


def beliefs(checkpoint: Checkpoint, told: Dialogue, suspects: Sequence[str], forget: bool = False) -> tuple[Floats, Floats]:
    """([M+1, S] a listener's belief before the first message and after each, [M] surprisal of each in nats). `forget`: with an empty state throughout."""
    slots, dynamics = slots_of([told.messages[0].author, READER]), dynamics_of(checkpoint)
    empty = SocialState.empty(checkpoint.model, checkpoint.sha256)
    nothing = empty.S_LHPN
    own, local, owns, surprisal = empty, None, [nothing], []
    for message in told.messages:
        before: LocalState | None = local
        local, encoded = encode(checkpoint, slots, before, message)
        now = nothing if forget else own.at(message.time, dynamics)
        surprisal.append(float(nll_under(checkpoint, encoded, [(now, nothing)])[0].double().sum()))
        own = own.absorb(encoded.operator, READ, message.time, dynamics)
        owns.append(nothing if forget else own.at(message.time + SOON, dynamics))
    nats = np.empty((len(owns), len(suspects)))
    for i, suspect in enumerate(suspects):
        asked = Message(id=f"asked-{i}", author=READER, channel=alone(READER), time=SOON, text=guess(suspect))
        probe = encode(checkpoint, slots, None, asked)[1]
        nats[:, i] = [float(row.double().sum()) for row in nll_under(checkpoint, probe, [(state, nothing) for state in owns])]
    likely = np.exp(nats.min(1, keepdims=True) - nats)
    return likely / likely.sum(1, keepdims=True), np.array(surprisal)


def measured(checkpoint: Checkpoint, seeds: Sequence[int], forget: bool = False, tell: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """One row a message: its kind, its exact value and surprise, the model's surprise and surprisal, and how far its belief is off (KL from the exact)."""
    rows = []
    for n, seed in enumerate(seeds, 1):
        told = dialogue(seed)
        exact, worth = heard(told)
        found, surprisal = beliefs(checkpoint, told, exact.talk.suspects, forget)
        gained = (found[1:] * np.log(found[1:] / found[:-1])).sum(1)
        for k, (kind, w) in enumerate(zip(told.kinds, worth, strict=True)):
            truth = exact.belief(clues_of(exact, told.messages[: k + 1]))
            error = float((truth * np.log(truth / found[k + 1])).sum())
            rows.append((seed, k, kind, w.value, w.surprise, float(gained[k]), float(surprisal[k]), error))
        if n % 50 == 0:
            tell(f"{n} of {len(seeds)} dialogues")
    return pd.DataFrame(rows, columns=COLUMNS)


def figures(table: pd.DataFrame, rng: np.random.Generator, resamples: int = RESAMPLES) -> dict[str, Interval]:
    """By name, with intervals by dialogue. A measure that never varies has a correlation of 0 and an AUROC of 1/2."""
    clusters, value = table["dialogue"].tolist(), table["value"].abs().to_numpy()
    kind, new = table["kind"].to_numpy(), (table["kind"] == "new").to_numpy()
    gibberish = np.isin(kind, ("gibberish", "salad"))

    def over(statistic: Callable[[NDArray[np.intp]], float]) -> Interval:
        return cluster_bootstrap(clusters, statistic, rng, resamples=resamples)

    def told_apart(column: str) -> Callable[[NDArray[np.intp]], float]:
        scores = table[column].to_numpy()
        return lambda rows: auroc(scores[(kept := rows[new[rows] | gibberish[rows]])], new[kept])

    def ratio(rows: NDArray[np.intp]) -> float:
        again, first = (table["model"].to_numpy()[rows[kind[rows] == which]] for which in ("repeat", "new"))
        if not len(again) or not len(first):
            raise ValueError("no repeats")
        return float(again.mean() / first.mean()) if first.mean() > 0 else 0.0

    def with_value(column: str) -> Callable[[NDArray[np.intp]], float]:
        scores = table[column].to_numpy()
        return lambda rows: rank_correlation(scores[rows], value[rows])

    found = {f"spearman_{c}": over(with_value(c)) for c in ("model", "exact", "surprisal")}
    found |= {f"gibberish_auroc_{c}": over(told_apart(c)) for c in ("model", "surprisal")}
    return found | {"repeat_ratio": over(ratio), "belief_error": over(lambda rows: float(table["error"].to_numpy()[rows].mean()))}


def rank_correlation(x: Floats, y: Floats) -> float:
    """Spearman's, 0 where one of the two never varies."""
    from scipy.stats import rankdata

    a, b = (rankdata(v) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0


GOALS = {"spearman_model": "≥ 0.85 (ideal: spearman_exact)", "gibberish_auroc_model": "≥ 0.95", "repeat_ratio": "≤ 0.2"}


def as_text(found: dict[str, Interval]) -> str:
    """A line for each figure."""
    return "\n".join(f"{name:<26} {i.mean:+.3f}  [{i.low:+.3f}, {i.high:+.3f}]  ({i.units} dialogues)  {GOALS.get(name, '')}".rstrip() for name, i in found.items())
