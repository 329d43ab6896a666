"""A loop generation by generation: does the task go better, is what is said still true, is it still language, does a frozen auditor still find liars?

| column | what | over |
|---|---|---|
| success, low, high | what learners are given in a held game, on the mean (in a team task the share of right answers), 95 % by game | the same seeds in every generation |
| over_imitation, over_random, … | the same less generation 0's, or less that of teams that tell at random: paired by seed | |
| honesty | the share of what was told that is so, or of promises that were kept | held games |
| auroc_liar, auroc_states | how well planted liars are told from their honest twins: by the detector of liars, and by how an observer's states read their words. Both frozen: the detector is a file; the observer is generation 0's model, taught once on games of generation 0 | audited games |
| human_bits, rare_nats | how well people are foretold (`generation_texts.py`) | conversations never trained on |
| distinct_1, _2, _3, self_bleu, persona_entropy | how varied the model's own words in people's places are (`diversity.py`) | |
| stop | why the loop should end: human_bits up by 1 %, or distinct_3 down by 5 %, against generation 0 | |

What is measured of a generation is kept in its folder with the hashes of what it was measured on, and not measured again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.auditing import Auditor, audit, auditor_of
from analysis.commitments import words
from analysis.evidence import evidence_of, unnamed
from analysis.metrics import AnalysisError, read_run
from analysis.scores import runs_of
from analysis.stats import Interval, cluster_bootstrap, paired_bootstrap
from analysis.table_files import write
from sandbox.disk import placed
from sandbox.looping.settings import read
from sandbox.looping.stages import MARK, text_sha256
from sandbox.looping.stages import read as read_mark

TABLE, KEPT, VERSION = "generations.csv", "measured.json", 1
GAMES = "games.csv"
WORSE_BITS, WORSE_DISTINCT = 0.01, 0.05
OTHERS = ("scripted", "random", "wording")  # arms that generation 0 plays for all
ARM = "social"


@dataclass(frozen=True)
class Told:
    """What a loop's folder holds, as far as it has come: the held games by generation, what is measured of each, what its stages cost."""

    folder: Path
    games: pd.DataFrame
    measured: Sequence[Mapping[str, Any]]
    seconds: Sequence[Mapping[str, float]]


# ---- one generation --------------------------------------------------------------------------------------------------------


def told(folder: Path, data: str | None = None) -> Told:
    """Measure what is not measured yet. `data`: people's conversations, instead of those the loop names. Raises `AnalysisError`."""
    try:
        loop = read(folder).loop
    except ValueError as error:
        raise AnalysisError(str(error)) from None
    done = [k for k in range(loop.generations) if (folder / str(k) / "evaluate" / MARK).is_file()]
    if not done:
        raise AnalysisError(f"{folder}: no generation is evaluated yet; go on with the loop")
    root = data or (loop.human if loop.human != "none" else "")
    auditor = auditor_of(folder / "0")
    measured = [_kept(folder / str(k), root, auditor) for k in done]
    games = pd.concat([_games(folder / str(k) / "evaluate") for k in done], ignore_index=True)
    seconds = [{name: read_mark(folder / str(k) / name).seconds for name in ("run", "export", "head", "model", "evaluate")} for k in done]
    return Told(folder, games, measured, seconds)


def _games(evaluate: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(evaluate / GAMES)
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{evaluate / GAMES}: cannot be read ({' '.join(str(error).split()):.80}); delete {evaluate} and go on with the loop") from None


def _kept(generation: Path, root: str, auditor: Auditor) -> dict[str, Any]:
    """The figures of a generation, from the file beside them where they were measured on the same."""
    from analysis.generation_texts import Sizes
    from sociallm.checkpoint import checkpoint_hash

    done, path = read_mark(generation / "evaluate"), generation / KEPT
    of = text_sha256(json.dumps([VERSION, dict(done.outputs), checkpoint_hash(str(generation / "model")), checkpoint_hash(auditor.checkpoint), root, asdict(Sizes())]))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["of"] == of and found["sha256"] == _sealed(found["figures"]):
            return dict(found["figures"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there yet, or no longer whole: measured again
    figures = {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in _measured(generation, root, auditor).items()}
    with placed(path) as part:
        part.write_text(json.dumps({"of": of, "figures": figures, "sha256": _sealed(figures)}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return figures


def _sealed(figures: Mapping[str, Any]) -> str:
    """Their hash, so that figures that were changed by hand are measured again."""
    return text_sha256(json.dumps(figures, sort_keys=True))


def _measured(generation: Path, root: str, auditor: Auditor) -> dict[str, Any]:
    found: dict[str, Any] = dict(honesty(generation / "evaluate" / "games"))
    if (generation / "evaluate" / "audit").is_dir():
        found |= audit(generation / "evaluate" / "audit", auditor)
    if root:
        from analysis.generation_texts import human, measured
        from sociallm.checkpoint import load

        found |= measured(load(str(generation / "model")), human(root))
    return found


def honesty(experiment: Path) -> dict[str, Any]:
    """The share of what learners told that is so, by game; empty for a world in which nothing that is told can be held against anything."""
    kept, games = [], []
    for arm, seed, run in runs_of(experiment):
        if arm != ARM:
            continue
        events = unnamed(read_run(run))
        for word in words(events, evidence_of(run).world):
            if not word.opinion:
                kept.append(float(word.kept))
                games.append(seed)
    if not kept:
        return {}
    share = np.array(kept)
    found = cluster_bootstrap(games, lambda rows: float(share[rows].mean()), np.random.default_rng(0))
    return {"honesty": found.mean, "honesty_low": found.low, "honesty_high": found.high, "told": len(kept)}


# ---- all of them -----------------------------------------------------------------------------------------------------------


def table(loops: Sequence[Told], rng: np.random.Generator) -> pd.DataFrame:
    """One row a generation; several loops (of other seeds) together: games pooled, other figures on the mean."""
    games = pd.concat([one.games.assign(game=[f"{i}/{seed}" for seed in one.games["seed"]]) for i, one in enumerate(loops)], ignore_index=True)
    count = min(len(one.measured) for one in loops)
    rows: list[dict[str, Any]] = []
    for k in range(count):
        now = _success(games, k, ARM)
        row: dict[str, Any] = {"generation": k} | _of("success", _mean(now, rng))
        row |= {} if k == 0 else _of("over_imitation", _paired(now, _success(games, 0, ARM), rng))
        for arm in OTHERS:
            row |= _of(f"over_{arm}", _paired(now, _success(games, 0, arm), rng))
        figures = [one.measured[k] for one in loops]
        for key in dict.fromkeys(key for of in figures for key in of):
            values = [of[key] for of in figures if of.get(key) is not None]
            row[key] = float(np.mean(values)) if values else math.nan
        row["seconds"] = float(np.mean([sum(one.seconds[k].values()) for one in loops]))
        row["stop"] = worse(rows[0], row) if rows else ""
        rows.append(row)
    return pd.DataFrame(rows)


def worse(first: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why a loop should end, by what became of language since generation 0; empty where nothing did."""
    found = []
    if (bits := _change(first, now, "human_bits")) is not None and bits > WORSE_BITS:
        found.append(f"people's words cost {bits:+.1%} bits against generation 0 (limit {WORSE_BITS:+.0%})")
    if (new := _change(first, now, "distinct_3")) is not None and new < -WORSE_DISTINCT:
        found.append(f"distinct-3 of its own words {new:+.1%} against generation 0 (limit {-WORSE_DISTINCT:+.0%})")
    return "; ".join(found)


def _change(first: Mapping[str, Any], now: Mapping[str, Any], key: str) -> float | None:
    a, b = first.get(key), now.get(key)
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)) or not a:
        return None
    return float(b / a - 1)


def _success(games: pd.DataFrame, generation: int, arm: str) -> pd.Series:
    """By game."""
    rows = games[(games["generation"] == generation) & (games["arm"] == arm)]
    return rows.set_index("game")["success"]


def _mean(values: pd.Series, rng: np.random.Generator) -> Interval | None:
    return paired_bootstrap(values.tolist(), [0.0] * len(values), rng) if len(values) else None


def _paired(one: pd.Series, other: pd.Series, rng: np.random.Generator) -> Interval | None:
    both = one.index.intersection(other.index)
    return paired_bootstrap(one.loc[both].tolist(), other.loc[both].tolist(), rng) if len(both) else None


def _of(name: str, found: Interval | None) -> dict[str, float]:
    return {} if found is None else {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}


# ---- for people ------------------------------------------------------------------------------------------------------------


SHOWN = (  # column, heading, form
    ("success", "success", "{:.3f}"), ("over_imitation", "over imitation", "{:+.3f}"), ("over_random", "over random", "{:+.3f}"), ("over_scripted", "over scripted", "{:+.3f}"),
    ("over_wording", "over no head", "{:+.3f}"), ("honesty", "honesty", "{:.3f}"), ("auroc_liar", "AUROC liar", "{:.3f}"), ("auroc_states", "AUROC states", "{:.3f}"), ("human_bits", "human bits", "{:.4f}"),
    ("rare_nats", "rare nats", "{:.3f}"), ("distinct_1", "dist-1", "{:.3f}"), ("distinct_2", "dist-2", "{:.3f}"), ("distinct_3", "dist-3", "{:.3f}"),
    ("self_bleu", "self-BLEU", "{:.3f}"), ("persona_entropy", "personas", "{:.2f}"), ("seconds", "seconds", "{:.0f}"),
)  # fmt: skip


def as_text(found: pd.DataFrame) -> str:
    """One line a generation, intervals where there are some."""
    shown = [(column, head, form) for column, head, form in SHOWN if column in found and found[column].notna().any()]
    lines = [["generation", *(head for _, head, _ in shown)]]
    for row in found.to_dict("records"):
        lines.append([str(row["generation"]), *(_cell({str(key): v for key, v in row.items()}, column, form) for column, _, form in shown)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cell(row: Mapping[str, Any], column: str, form: str) -> str:
    value = row[column]
    if not math.isfinite(value):
        return "-"
    low, high = row.get(f"{column}_low", math.nan), row.get(f"{column}_high", math.nan)
    return form.format(value) + (f" [{form.format(low)}, {form.format(high)}]" if math.isfinite(low) and math.isfinite(high) else "")


def plot(found: pd.DataFrame, path: Path) -> None:
    """Success, honesty, detectors and language by generation."""
    from matplotlib.figure import Figure

    from analysis.plots import COLOURS, LINES, MARKERS, save

    panels = (("success", ("success",)), ("honesty and detectors", ("honesty", "auroc_liar", "auroc_states")),
              ("people's words", ("human_bits",)), ("variety", ("distinct_1", "distinct_2", "distinct_3", "self_bleu")))  # fmt: skip
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    for axes, (title, columns) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for i, column in enumerate(c for c in columns if c in found and found[c].notna().any()):
            style = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
            axes.plot(found["generation"], found[column], label=column.replace("_", " "), **style)
            if f"{column}_low" in found:
                axes.fill_between(found["generation"], found[f"{column}_low"], found[f"{column}_high"], color=COLOURS[i], alpha=0.15)
        axes.set(title=title, xlabel="generation")
        axes.set_xticks(found["generation"])
        if axes.lines:
            axes.legend()
    save(figure, path)


def generations(folders: Sequence[Path], data: str | None, seed: int) -> str:
    """What `python -m analysis generations FOLDER…` prints; tables and plots stand in each folder, of several together in the first."""
    loops = [told(folder, data) for folder in folders]
    found = table(loops, np.random.default_rng(seed))
    place = folders[0]
    name = TABLE if len(folders) == 1 else f"generations-{len(folders)}-loops.csv"
    write(found, place / name)
    plot(found, place / "plots" / Path(name).with_suffix(".png"))
    return f"{as_text(found)}\n\ntable: {place / name}"
