"""What is asked of an export, and what came of it. `export(runs, wish) -> Counts` stands in `sandbox/exporting/export.py`.

    messages       JSON lines, a row for each point of view: {"messages": [{"role", "content"}, …], …}, as chat trainers read them
    sharegpt       the same as {"conversations": [{"from", "value"}, …], …}, human and gpt in turns
    parquet        the rows of `messages` in columns
    conversations  whole games, as `sociallm train … own=DIR/train` reads them
    convokit       whole games as corpora of ConvoKit, a conversation for each channel
    diplomacy      saved games, as the diplomacy package reads them
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VIEWS = ("messages", "sharegpt", "parquet")  # rows are points of view
GAMES = ("conversations", "convokit", "diplomacy")  # rows are whole games
FORMATS = (*VIEWS, *GAMES)
COLUMNS = ("intents", "labels")  # that can be left out
PLANTED = ("tag", "exclude")
SIDES = ("train", "validation")
MOST_BYTES = 10**18


class ExportError(ValueError):
    """An export that cannot be made, or gone on with: what, got, expected, remedy, in one line."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for. Filters are off where they are None; see `sandbox/exporting/filters.py`."""

    format: str
    out: Path
    without: frozenset[str] = frozenset()  # of COLUMNS
    planted: str = "tag"  # rows of liars and colluders: with their tag, or left out
    validation: float = 0.1  # share of games that are for validation
    alike: float | None = None  # Jaccard similarity from which a row is a near-duplicate of an earlier one
    length: tuple[int, int] | None = None  # words of a row, from … to
    energy: tuple[float, float] | None = None  # quantiles of E_rel between which a row is kept
    checkpoint: str | None = None  # computes E_rel where a run has no observed.parquet
    weights: str | None = None  # the hash of its weights, by which it is known: `export` finds it
    cap: float | None = None  # share of the text that one lineage of agents may have
    of: int | None = None  # bytes of text that `cap` is a share of; None: of all that the other filters leave
    skip: bool = False  # runs that cannot be exported are left out and told; otherwise the first of them ends the export

    def __post_init__(self) -> None:
        """Raises `ExportError` for what cannot be asked for."""
        if self.format not in FORMATS:
            raise ExportError(f"--format {self.format!r:.40}: expected one of {', '.join(FORMATS)}")
        if unknown := sorted(self.without - set(COLUMNS)):
            raise ExportError(f"--without {unknown[0]!r:.40}: expected one or both of {', '.join(COLUMNS)}, with a comma")
        if self.planted not in PLANTED:
            raise ExportError(f"--planted {self.planted!r:.40}: expected one of {', '.join(PLANTED)}")
        _share("--validation", self.validation, 0.0, 1.0, "a share of the games, such as 0.1; 0 for none")
        if self.alike is not None:
            _share("--alike", self.alike, 0.1, 1.0, "a similarity from 0.1 to 1, such as 0.8")
        if self.length is not None and not 0 <= self.length[0] <= self.length[1]:
            raise ExportError(f"--length {self.length[0]}..{self.length[1]}: expected FROM..TO in words, such as 20..4000")
        if self.energy is not None and not 0 <= self.energy[0] < self.energy[1] <= 1:
            raise ExportError(f"--energy {self.energy[0]}..{self.energy[1]}: expected two quantiles from 0 to 1, such as 0.01..0.99")
        if self.checkpoint is not None and self.energy is None:
            raise ExportError("--checkpoint is for the energy filter; say also --energy 0.01..0.99")
        if self.cap is not None:
            _share("--cap", self.cap, 0.0, 1.0, "a share of the text, such as 0.05")
        if self.of is not None and (self.cap is None or not 1 <= self.of <= MOST_BYTES):
            raise ExportError(f"--of {self.of!s:.40}: expected the bytes of text, 1 at least, that --cap is a share of")

    @property
    def filtering(self) -> bool:
        """Whether rows have to be gone through before any is written."""
        return any(limit is not None for limit in (self.alike, self.length, self.energy, self.cap))

    def to_json(self) -> dict[str, Any]:
        """All that the bytes of an export depend on, but the runs; not where it lies."""
        return {
            "format": self.format, "without": sorted(self.without), "planted": self.planted, "validation": self.validation, "alike": self.alike,
            "length": self.length and list(self.length), "energy": self.energy and list(self.energy), "checkpoint": self.weights,
            "cap": self.cap, "of": self.of,
        }  # fmt: skip


def _share(option: str, value: float, least: float, most: float, expected: str) -> None:
    if not math.isfinite(value) or not least <= value <= most:
        raise ExportError(f"{option} {value}: expected {expected}")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What came of it. `rows` and `turns` by side; `left_out` rows by why; `runs` those that rows were made of; `skipped` runs by why."""

    out: Path
    runs: int
    games: Mapping[str, int]
    messages: int  # of the logs, each once
    rows: Mapping[str, int]
    turns: Mapping[str, int]  # messages in rows
    left_out: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, int] = field(default_factory=dict)  # messages that were cleaned, by what was taken out
    worlds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # world → side → rows
    repeated: int = 0  # rows of validation that stand word for word in train

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [
            f"{self.runs} runs of {sum(self.games.values())} games, {self.messages} messages: "
            + ", ".join(f"{self.rows[side]} rows of {self.games[side]} games for {side}" for side in SIDES)
        ]
        found += [f"left out: {_counted(self.left_out)}"] * bool(self.left_out)
        found += [f"runs skipped: {_counted(self.skipped)}"] * bool(self.skipped)
        found += [f"texts cleaned: {_counted(self.texts)}"] * bool(self.texts)
        found += [f"no game fell to {side}, which is drawn by the games' names; export more games, or say another --validation" for side in SIDES if not self.rows[side]]
        if self.repeated:
            found.append(f"{self.repeated} rows for validation stand word for word among those for train; --alike 0.8 leaves such rows out")
        return found


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))

