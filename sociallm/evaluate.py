"""python -m sociallm evaluate: what the shipped model's memories are worth, on conversations it was never trained on.

    evaluate [--json] [data=FOLDER] [checkpoint=base]
        reads them with the shipped model, adds what evaluation.json keeps of other seeds and models, prints a table and, with
        --json, one JSON object as the last line
    evaluate --baselines [data=FOLDER] [checkpoint=base] [work=FOLDER] [tokens=N] [seeds=0,1,2]
        trains those models and writes evaluation.json beside the checkpoint's folder; killed, it goes on where it was

Names in the JSON object are those of NAMES, gains and differences as shares (0.02 = 2 %); `raw` holds what each is made of. A figure
that cannot be had is null, and `raw` says why; one seed's figure says so.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sociallm import attribution, baselines, checkpoint, corpora
from sociallm.batches import Encoded, encode_conversation
from sociallm.checkpoint import Checkpoint
from sociallm.scores import (
    CASINO,
    LATE,
    RESAMPLES,
    SETS,
    USUAL,
    Estimate,
    Scores,
    Sums,
    chosen,
    data_hash,
    estimate,
    half_recovery,
    mean,
    reduction,
    score,
    total,
)

LATE_SETS = tuple(s.name for s in SETS)
ENERGY_SETS = ("crd3", "irc")
PAIR_SETS = ("diplomacy_lies", "casino")
AUROCS = ("1", "10", "shuffled", "cohort_1", "cohort_10", "cohort_shuffled")
NAMES = (
    *(f"stream_gain_{s}" for s in LATE_SETS), *(f"stream_gain_{s}_shipped" for s in LATE_SETS), *(f"gain_over_plain_{s}" for s in LATE_SETS), *(f"f2_over_f1_{s}" for s in PAIR_SETS),
    "forget_grace", "forget_recovery", *(f"energy_auroc_{a}" for a in AUROCS),
)  # fmt: skip
Models = Mapping[str, Mapping[str, Any]]  # entries of evaluation.json


@dataclass
class Figures:
    """Values by name, and what they are made of."""

    values: dict[str, float | None] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, found: Estimate | None, why: str = "", **raw: Any) -> None:
        """A figure with its interval; without one, the reason."""
        known = found is not None and math.isfinite(found.value)
        self.values[name] = found.value if found is not None and known else None
        interval = {"interval_95": [v if math.isfinite(v) else None for v in found.interval]} if found is not None and known else {"why": why}
        self.raw[name] = {**interval, **raw}


# ---- figures -----------------------------------------------------------------------------------------------------------


def seeds_of(models: Models, *kinds: str) -> list[int]:
    """The seeds of which every one of these kinds is there."""
    return sorted(e["seed"] for name, e in models.items() if name.startswith(f"{kinds[0]}_") and all(f"{k}_{e['seed']}" in models for k in kinds))


def sums_of(models: Models, kind: str, seeds: Sequence[int], name: str, part: str = "late") -> list[Mapping[str, Sums]]:
    """Of each seed, the sums by cluster of one set."""
    return [models[f"{kind}_{s}"]["scores"][name][part] for s in seeds]


def with_shipped(models: Models, sha256: str, live: Mapping[str, Scores]) -> dict[str, Mapping[str, Any]]:
    """The entries, with what was just computed in place of the shipped model's own, if it is among them."""
    fresh = {n: {"every": s.every, "late": s.late} for n, s in live.items()}
    return {n: {**e, "scores": fresh} if n.startswith("social_") and e["sha256"] == sha256 else e for n, e in models.items()}


def stream_gains(figures: Figures, models: Models, live: Mapping[str, Scores]) -> None:
    """Streams on against both emptied, the same weights, late messages: of all seeds of evaluation.json, and of the shipped model alone,
    which may have been trained for longer."""
    seeds = seeds_of(models, "social")
    for name, scores in live.items():
        sums = sums_of(models, "social", seeds, name) if seeds else [scores.late]
        if not sums[0] or "off" not in next(iter(sums[0].values())):
            for of in ("", "_shipped"):
                figures.put(f"stream_gain_{name}{of}", None, "no late messages" if not sums[0] else "the model has no social blocks")
            continue
        figures.put(
            f"stream_gain_{name}", reduction(sums, sums), seeds=seeds or "the shipped model only: no other seeds in evaluation.json",
            by_seed=[reduction([s], [s]).value for s in sums], late_from=LATE, clusters=len(sums[0]), **without_one(sums),
        )  # fmt: skip
        alone = [scores.late]
        figures.put(f"stream_gain_{name}_shipped", reduction(alone, alone), late=total(scores.late), every=total(scores.every), **without_one(alone))


def without_one(sums: Sequence[Mapping[str, Sums]]) -> dict[str, float]:
    """What each of the two states adds to the other."""
    return {f"over_{v}": reduction(sums, sums, "on", v).value for v in ("no_own", "no_interlocutor")}


def against_others(figures: Figures, models: Models, missing: str) -> None:
    """Against the plain model, F1 and the local track alone: what evaluation.json keeps."""
    for name in LATE_SETS:
        if seeds := seeds_of(models, "social", "plain"):
            ours, plain = (sums_of(models, kind, seeds, name) for kind in ("social", "plain"))
            figures.put(f"gain_over_plain_{name}", reduction(ours, plain, "on", "on"), seeds=seeds,
                        by_seed=[reduction([a], [b], "on", "on").value for a, b in zip(ours, plain, strict=True)],
                        parameters=[models[f"{k}_{seeds[0]}"]["parameters"] for k in ("social", "plain")], bits_per_byte=[total(s) for s in (ours[0], plain[0])])
        else:
            figures.put(f"gain_over_plain_{name}", None, missing)
    for name in PAIR_SETS:
        if seeds := seeds_of(models, "public", "reader"):
            f2, f1 = (sums_of(models, kind, seeds, name, "every") for kind in ("public", "reader"))
            figures.put(f"f2_over_f1_{name}", negative(reduction(f2, f1, "on", "on")), seeds=seeds,
                        by_seed=[-reduction([a], [b], "on", "on").value for a, b in zip(f2, f1, strict=True)],
                        parameters=models[f"public_{seeds[0]}"]["parameters"], bits_per_byte=[total(s) for s in (f2[0], f1[0])])
        else:
            figures.put(f"f2_over_f1_{name}", None, missing)
    if seeds := seeds_of(models, "social", "local"):
        by_set = {}
        for n in LATE_SETS:
            ours, local = (sums_of(models, kind, seeds, n, "every") for kind in ("social", "local"))
            by_set[n] = negative(reduction(ours, local, "off", "on"))
        figures.put("forget_grace", mean(list(by_set.values())), seeds=seeds, by_set={n: [e.value, e.interval] for n, e in by_set.items()})
    else:
        figures.put("forget_grace", None, missing)


def negative(e: Estimate) -> Estimate:
    """Of a reduction, the increase."""
    return Estimate(-e.value, -e.draws_B)


def recovery(figures: Figures, live: Mapping[str, Scores]) -> None:
    """Half-recovery over the clusters of all sets; how it is estimated: `scores.half_recovery`."""
    rows_CNX = np.array([rows for scores in live.values() for rows in scores.since_cut.values()])
    how = "all authors forget at the start of every window; messages of theirs until cut less on is half of off less on, isotonic fit, pooled sets"
    if not len(rows_CNX):
        return figures.put("forget_recovery", None, "no late messages after a window's start", how=how)
    found = estimate(lambda counts_BC: np.array([half_recovery(v) for v in np.einsum("bc,cnx->bnx", counts_BC, rows_CNX)]), len(rows_CNX))
    curve = {name: sum(s.since_cut.values()) for name, s in live.items() if s.since_cut}
    why = "nothing was lost by forgetting" if math.isnan(found.value) else f"more than {len(rows_CNX[0]) - 1} messages"
    figures.put("forget_recovery", found, why, how=how, by_set={n: finite(half_recovery(v)) for n, v in curve.items()}, columns="tokens, nats on, off, cut",
                curve={n: np.round(v, 2).tolist() for n, v in curve.items()})


def finite(v: float) -> float | None:
    """JSON has no infinities."""
    return v if math.isfinite(v) else None


def attributions(figures: Figures, found: Mapping[str, attribution.Found]) -> None:
    """AUROCs of −E_rel and −E_coh, means over the sets."""
    by_set = {name: attribution.figures_of(f) for name, f in found.items()}
    for name in AUROCS:
        have = {n: v for n, v in by_set.items() if name in v}
        raw = {n: {k: {"auroc": v[k].value, "interval_95": v[k].interval} for k in (name, f"{name}_no_state") if k in v} for n, v in have.items()}
        counts = {n: {"threads": f.threads, "single": len(f.single), "windows_of_ten": len(f.windows)} for n, f in found.items()}
        why = "" if len(have) == len(ENERGY_SETS) else f"too few long messages in {', '.join(n for n in ENERGY_SETS if n not in have)}"
        figures.put(f"energy_auroc_{name}", None if why else mean([v[name] for v in have.values()]), why, by_set=raw, counts=counts)


# ---- the command -------------------------------------------------------------------------------------------------------


READINGS = (("energies", "crd3"), ("energies", "irc"), ("score", "irc"), ("score", "crd3"), ("score", "diplomacy_lies"))  # the longest first


def read(what: str, checkpoint_: Checkpoint, conversations: Sequence[Encoded]) -> Scores | attribution.Found:
    """One of the readings that the figures come from."""
    if what == "energies":
        return attribution.energies(checkpoint_.model, conversations, checkpoint_.tokenizer)
    return score(checkpoint_.model, conversations, checkpoint_.tokenizer, (*USUAL, "cut"))


def read_apart(what: str, folder: Path, conversations: Sequence[Encoded]) -> Scores | attribution.Found:
    """The same in a process of its own, on one core."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return read(what, checkpoint.load(str(folder)), conversations)


def readings(checkpoint_: Checkpoint, folder: Path, sets: Mapping[str, Sequence[Encoded]], processes: int, say: Callable[[str], None]) -> dict[tuple[str, str], Any]:
    """Every reading by name; several at a time where there are cores for it: one uses no more than one and a half of two well."""
    began, wanted = time.monotonic(), [r for r in READINGS if len(checkpoint_.model.social) or r[0] == "score"]
    found: dict[tuple[str, str], Any] = {}

    def told(what: str, name: str, made: Any) -> None:
        found[what, name] = made
        how = f"{len(made.single)} moments and {len(made.windows)} windows of ten" if what == "energies" else f"{len(sets[name])} conversations"
        say(f"{name}: {how} read  ({time.monotonic() - began:.0f} s)")

    if processes == 1:
        for what, name in wanted:
            told(what, name, read(what, checkpoint_, sets[name]))
        return found
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:  # a fork would share torch's threads
        begun = {pool.submit(read_apart, what, folder, sets[name]): (what, name) for what, name in wanted}
        for done in as_completed(begun):
            told(*begun[done], done.result())
    return found


def evaluated(
    checkpoint_: Checkpoint, folder: Path, sets: Mapping[str, Sequence[Encoded]], hashes: Mapping[str, str], say: Callable[[str], None], processes: int = 1
) -> Figures:
    """All figures. Raises ValueError in one line where evaluation.json is of another checkpoint or of other data."""
    path = folder.parent / baselines.FILE
    kept = baselines.read_file(path)
    if kept is not None:
        refuse_mismatch(path, kept, checkpoint_.sha256, hashes)
    figures, began = Figures(), time.monotonic()
    made = readings(checkpoint_, folder, sets, processes, say)
    live = {name: made["score", name] for name in LATE_SETS}
    models: Models = with_shipped(kept["models"], checkpoint_.sha256, live) if kept is not None else {}
    missing = f"no {baselines.FILE} beside the checkpoint; write it with evaluate --baselines" if kept is None else "not trained yet; go on with evaluate --baselines"
    stream_gains(figures, models, live)
    against_others(figures, models, missing)
    recovery(figures, live)
    if len(checkpoint_.model.social):
        attributions(figures, {name: made["energies", name] for name in ENERGY_SETS})
    else:
        for name in AUROCS:
            figures.put(f"energy_auroc_{name}", None, "the model has no social blocks")
    figures.raw |= {
        "checkpoint": checkpoint_.sha256, "data": dict(hashes), "reading": baselines.READING, "resamples": RESAMPLES, "seconds": round(time.monotonic() - began),
        "baselines": None if kept is None else {k: v for k, v in kept.items() if k in ("command", "seeds", "tokens")},
    }  # fmt: skip
    return figures


def refuse_mismatch(path: Path, kept: Mapping[str, Any], sha256: str, hashes: Mapping[str, str]) -> None:
    """Figures of another model or of other conversations are never shown as this one's."""
    again = "restore what belongs to it, or write it again with evaluate --baselines"
    if kept["checkpoint"] != sha256:
        raise ValueError(f"{path}: of checkpoint {kept['checkpoint']:.16}, but this one is {sha256:.16}; {again}")
    if kept["reading"] != baselines.READING:
        raise ValueError(f"{path}: its models were read otherwise than this program reads; {again}")
    for name, now in hashes.items():
        if kept["data"].get(name) != now:
            raise ValueError(f"{path}: of {name} with SHA-256 {kept['data'].get(name)!s:.16}, but here it is {now:.16}; {again}")


def table(figures: Figures) -> str:
    """One line a figure, its interval or the reason why there is none."""
    lines = []
    for name in NAMES:
        value, raw = figures.values[name], figures.raw[name]
        ends = [f"{v:+.4f}" if v is not None else "?" for v in raw.get("interval_95", ())]
        lines.append(f"{name:28} " + (f"null   ({raw['why']})" if value is None else f"{value:+.4f}   95 % [{', '.join(ends)}]"))
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Run the command; what is wrong with its input is one line on standard error, and 2."""
    try:
        command(words)
    except (ValueError, OSError) as error:
        print(f"python -m sociallm evaluate: {error}", file=sys.stderr)
        return 2
    return 0


def command(words: Sequence[str]) -> None:
    """`main`, its errors not yet caught."""
    flags, settings = settings_of(words)
    folder = checkpoint.resolve(settings["checkpoint"])
    if "--baselines" in flags:
        tokens = int(settings["tokens"]) if settings["tokens"] else None
        seeds = [int(s) for s in settings["seeds"].split(",")]
        asked = " ".join(f"{k}={settings[k]}" for k in ("checkpoint", "tokens", "seeds") if settings[k])
        baselines.baselines(settings["data"], folder, Path(settings["work"]), tokens, seeds, f"python -m sociallm evaluate --baselines {asked}", _say)
        return
    torch.set_flush_denormal(True)
    loaded = checkpoint.load(settings["checkpoint"])
    path = folder.parent / baselines.FILE
    kept = baselines.read_file(path)
    if kept is not None:
        refuse_mismatch(path, kept, loaded.sha256, {})  # before anything that takes time
    corpus = {s.name: chosen(corpora.load(s.corpus, settings["data"]), s.most) for s in (*SETS, CASINO)}
    hashes = {name: data_hash(c) for name, c in corpus.items()}
    if kept is not None:
        refuse_mismatch(path, kept, loaded.sha256, hashes)
    sets = {s.name: [encode_conversation(c, loaded.tokenizer, corpora.ROOM.get(s.corpus)) for c in corpus[s.name]] for s in SETS}
    figures = evaluated(loaded, folder, sets, hashes, _say, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    print(table(figures))
    if "--json" in flags:
        print(json.dumps({**{n: figures.values[n] for n in NAMES}, "raw": figures.raw}, allow_nan=False))


def settings_of(words: Sequence[str]) -> tuple[set[str], dict[str, str]]:
    """(flags, settings). Raises ValueError that names the word at fault."""
    settings = {"data": os.environ.get("SOCIALLM_DATA", ""), "checkpoint": "base", "work": "outputs/baselines", "tokens": "", "seeds": "0,1,2"}
    flags = {w for w in words if w in ("--json", "--baselines")}
    for word in words:
        key, eq, value = word.partition("=")
        if word not in flags and (key not in settings or not eq):
            raise ValueError(f"{word!r}: expected --json, --baselines, or one of {', '.join(f'{k}=…' for k in settings)}")
        settings |= {key: value} if eq else {}
    if not settings["data"]:
        raise ValueError("data is not named; add data=FOLDER, a folder that holds the sets of the model card, or set SOCIALLM_DATA")
    if not all(s.isdigit() for s in settings["seeds"].split(",")) or not (settings["tokens"] or "1").isdigit() or settings["tokens"] == "0":
        raise ValueError(f"seeds={settings['seeds']} tokens={settings['tokens']}: expected whole numbers, e.g. seeds=0,1,2 tokens=2000000")
    return flags, settings


def _say(line: str) -> None:
    print(line, flush=True)
