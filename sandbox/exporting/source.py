"""Which runs are exported, in an order that is theirs and not the command line's; and of which game each is.

A run is known by the hash of its canonical log: two folders with the same log are one run, taken once. A game is a world with a seed: runs of one
seed draw from the same streams, so the arms of an experiment, twins, and forks (by the seed of the run that was forked first) are one game, and all
of it stands on one side of the split. So does a recorded game, however often it was watched. The side of a game is drawn by its name alone: it
never changes as others come in, so what was held out from one generation's training is held out from the next one's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.disk import plain_bytes
from sandbox.experiment import FILE as EXPERIMENT
from sandbox.experiment import read as read_experiment
from sandbox.exporting.records import records
from sandbox.exporting.texts import name_of
from sandbox.exporting.wish import ExportError, Wish
from sandbox.folder import read_manifest
from sandbox.guard import ConfigError
from sandbox.labels import FILE as LABELS
from sandbox.log import VERSION as LOG_VERSION
from sandbox.log import LogError, value_of
from sandbox.named import MANIFEST, OF_A_RUN, no_run
from sandbox.snapshot import RunError


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run that can be exported."""

    folder: Path
    sha256: str  # of its canonical log
    columns_sha256: str  # of events.parquet
    game: str
    world: str
    scenario: str
    seed: int
    seats: Mapping[str, str]  # agent → policy
    checkpoint: str  # SHA-256; "" without one
    messages: int
    labels: Mapping[str, Mapping[str, Any]] | None  # agent → what labels.json says; None without one
    planted: tuple[str, ...] = ()
    versions: str = ""  # what it was made with
    imported: tuple[str, str, str] | None = None  # of a run that was not played here: format, file, SHA-256 of the file
    before: frozenset[str] = frozenset()  # of a fork, policies and checkpoints that had a part in what it goes on from, and have none now

    @property
    def id(self) -> str:
        """What rows call it."""
        return self.sha256[:16]


def sources(runs: Sequence[Path], wish: Wish) -> tuple[list[Source], Counter[str]]:
    """(the runs to export in their order, how many were left out by why). Raises `ExportError` at the first that cannot be exported, or,
    with `wish.skip`, if none can."""
    found: dict[str, Source] = {}
    skipped: Counter[str] = Counter()
    for folder in folders(runs, wish, skipped):
        try:
            one = source(folder, wish)
        except ExportError as error:
            if not wish.skip:
                raise
            skipped[str(error).split(": ", 1)[-1].split(";")[0]] += 1
            continue
        if one.sha256 in found:
            skipped["the same as another"] += 1
        # of two that are alike the one with more planted is believed, then the one whose labels hash lower: whatever the order
        found[one.sha256] = max(one, found.get(one.sha256, one), key=_weight)
    if not found:
        raise ExportError(f"{runs[0] if runs else 'no run'}: nothing to export{_why(skipped)}; give the folders of runs that have ended, in which somebody spoke")
    return [found[name] for name in sorted(found)], skipped


def _why(skipped: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{n} {what}' for what, n in sorted(skipped.items()))})" if skipped else ""


def _weight(one: Source) -> tuple[int, bool, str]:
    told = hashlib.sha256(json.dumps(one.labels, sort_keys=True).encode()).hexdigest()
    return len(one.planted), one.labels is not None, told


def folders(paths: Sequence[Path], wish: Wish, skipped: Counter[str]) -> list[Path]:
    """All runs that these are or hold, each once. Raises `ExportError` for a path without any, and for an experiment that was not played to its end."""
    found: dict[Path, None] = {}
    for path in paths:
        below = list(_below(path, wish, skipped)) if path.is_dir() else []
        if not below:
            raise ExportError(no_run(path) or f"{path}: no run there, nor in the folders below; give runs, or folders of runs")
        found.update(dict.fromkeys(run.resolve() for run in below))
    return list(found)


def _below(path: Path, wish: Wish, skipped: Counter[str]) -> Iterator[Path]:
    for place, inner, names in os.walk(path):
        folder = Path(place)
        if any(name in names for name in OF_A_RUN):
            inner.clear()
            yield folder
        elif EXPERIMENT in names and (missing := _missing(folder)):
            if not wish.skip:
                raise ExportError(f"{folder}: {len(missing)} runs of this experiment were not begun, such as {missing[0]}; first python -m sandbox resume {folder}, or say --skip")
            skipped["never begun"] += len(missing)


def _missing(folder: Path) -> list[str]:
    """The runs of an experiment that have no folder."""
    try:
        return [f"{arm}/{seed}" for arm, seed in read_experiment(folder / EXPERIMENT).cells if not (folder / arm / str(seed) / MANIFEST).is_file()]
    except ConfigError as error:
        raise ExportError(str(error)) from None


def source(folder: Path, wish: Wish) -> Source:
    """What a run's folder says of it. Raises `ExportError` if it cannot be exported, and why."""
    try:
        manifest = read_manifest(folder)
    except RunError as error:
        raise ExportError(str(error)) from None
    if manifest["ended"] != "done":
        how = "is going on, or was killed" if manifest["ended"] is None else f"ended otherwise ({manifest['ended']})"
        raise ExportError(f"{folder}: the run {how}; first python -m sandbox resume {folder}, or leave such runs out with --skip")
    if manifest.get("log_version", LOG_VERSION) != LOG_VERSION:
        raise ExportError(f"{folder}: its log is of version {manifest['log_version']!r:.20}, this program reads {LOG_VERSION}; export it with the version that made it")
    world, sha256, said = manifest.get("environment"), manifest.get("log_sha256"), manifest.get("messages")
    if not isinstance(world, str) or not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256) or type(said) is not int:
        raise ExportError(f"{folder / MANIFEST}: does not say which log was sealed ('environment', 'log_sha256', 'messages'); restore it, or run again")
    if type(manifest["seed"]) is not int or not -(2**63) <= manifest["seed"] < 2**63:
        raise ExportError(f"{folder / MANIFEST}: its seed is {manifest['seed']!s:.40}, which no column of integers holds; restore it, or run again")
    if not said:
        raise ExportError(f"{folder}: nobody said anything in this run; leave it out, or leave such runs out with --skip")
    if wish.format == "diplomacy" and world != "diplomacy":
        raise ExportError(f"{folder}: a game of {world:.40}, which no saved game of Diplomacy can hold; name another --format, or leave such runs out with --skip")
    labels, changed = _labels(folder / LABELS), _interventions(folder, manifest)
    versions = manifest["versions"] | {"python": manifest["python"]}
    return Source(
        folder=folder, sha256=sha256, columns_sha256=_columns(manifest), game=name_of(_game(folder, manifest, changed)), world=name_of(world),
        scenario=name_of(str(manifest.get("name", world))), seed=manifest["seed"], seats={str(agent): name_of(str(policy)) for agent, policy in manifest["seats"].items()}, messages=said, labels=labels,
        checkpoint=str((manifest["checkpoint"] or {}).get("sha256") or ""), planted=tuple(sorted(a for a, row in (labels or {}).items() if row["planted"])),
        versions=", ".join(f"{name} {versions[name]}" for name in ("social-sandbox", "python", "numpy", "torch", "tokenizers") if versions.get(name)),
        imported=_imported(manifest), before=frozenset(str(data.get("from")) for data in changed if data.get("what") == "policy" or str(data.get("key")).endswith(".checkpoint")),
    )  # fmt: skip


def _game(folder: Path, manifest: Mapping[str, Any], changed: Sequence[Mapping[str, Any]]) -> str:
    """World and seed; of a fork, the seed with which the first of its line began; of a recorded game, its file's name; of an imported one, what its
    source called the game, so that it stays on that side of a split."""
    if isinstance(told := manifest.get("imported"), Mapping) and isinstance(kept := told.get("game"), str) and kept:
        return kept
    world, seed = str(manifest["environment"]), manifest["seed"]
    if world == "watch":
        try:
            options = yaml.safe_load(plain_bytes(folder / "config.yaml"))["environment"]
            return f"watch {Path(str(options['game'])).name}"
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ExportError(f"{folder / 'config.yaml'}: does not say which game was watched ({' '.join(str(error).split()):.60}); restore it") from None
    return f"{world} {next((data.get('from') for data in changed if data.get('key') == 'seed'), seed)}"


def _interventions(folder: Path, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was changed from outside in a fork and those before it, in order; nothing in another run."""
    if "fork" not in manifest:
        return []
    try:
        told = [value_of(data) for *_, data in records(folder, str(manifest.get("log_sha256")), _columns(manifest), ("intervention",))]
    except LogError as error:
        raise ExportError(str(error)) from None
    return [data for data in told if isinstance(data, dict)]


def _imported(manifest: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Where an imported run came from."""
    told = manifest.get("imported")
    if told is None:
        return None
    one = told if isinstance(told, Mapping) else {}
    return name_of(str(one.get("format", ""))), name_of(str(one.get("file", ""))), name_of(str(one.get("sha256", "")))


def _columns(manifest: Mapping[str, Any]) -> str:
    """The hash of the log in columns; "" where none is told."""
    files = manifest.get("files")
    return str(files.get("events.parquet", "")) if isinstance(files, dict) else ""


def _labels(path: Path) -> dict[str, dict[str, Any]] | None:
    """Agent → planted, as, executed, of the labels beside a run; None where there are none. Raises `ExportError` for what no run writes."""
    try:
        agents = json.loads(plain_bytes(path))["agents"]
        found = {str(agent): {"planted": row["planted"], "as": [name_of(kind) for kind in row["as"]], "executed": row["executed"]} for agent, row in agents.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ExportError(f"{path}: not the labels of a run ({type(error).__name__}: {' '.join(str(error).split()):.60}); restore them, or run again") from None
    for agent, row in found.items():
        if not type(row["planted"]) is type(row["executed"]) is bool or not isinstance(agents[agent]["as"], list):
            raise ExportError(f"{path}: of {agent!r:.40} it says {agents[agent]!r:.80}, expected planted and executed as true or false, as as a list; restore it, or run again")
    return found


def side(game: str, validation: float) -> str:
    """train or validation: drawn by the game's name, and by nothing else."""
    drawn = int.from_bytes(hashlib.sha256(f"side\x00{game}".encode("utf-8", "backslashreplace")).digest()[:8], "big") / 2**64
    return "validation" if drawn < validation else "train"
