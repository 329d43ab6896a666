"""A policy's own judgement: a learned head that gives points to what could be said or done, as data in a file.

A choice is a list of options, each with traits: what the world says of it (`agents.types.Option.traits`) and what the states say, how much likelier
the agent (`own_says`) and those whom it concerns (`others_say`) are to make the option's claims than someone without a history. Points are linear in
the traits, weights by kind of choice, and p(option) is proportional to exp(points + the world's own). A file of JSON:

    {"version": 1, "world": "team_task", "kinds": {"tell": {"lacking": 3.2, "own_says": 0.4}}, "notes": {}}

What was weighed and what was chosen goes into the log with the intent, so that a head can be learned from logs alone (`agents/learning.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.bounded import TooLong, read_bounded
from agents.deciding import Decision
from agents.types import JSON, Option, Turn

Floats = NDArray[np.float64]
VERSION, MOST_BYTES, MOST_TRAITS, MOST_WEIGHT = 1, 256 * 1024, 256, 1e3
STATES = ("own_says", "others_say")  # the traits that are read off the states
DECIMALS = 4  # of a trait in the log


class HeadError(ValueError):
    """A head that cannot be used: file, what, remedy, in one line."""


@dataclass(frozen=True)
class LearnedHead:
    """Weights, in nats for one of a trait, by kind of choice and trait; what is not named has none. `notes`: where it comes from."""

    world: str
    kinds: Mapping[str, Mapping[str, float]]
    notes: Mapping[str, JSON] = field(default_factory=dict)

    def points(self, kind: str, names: Sequence[str], rows: Floats) -> Floats:
        """[O]: of each row of traits [O, F]. Raises `HeadError` for a head of another world."""
        weights = self.kinds.get(kind, {})
        if unknown := sorted({*weights} - {*names, *STATES}):  # those of states may be left out of a run
            raise HeadError(f"the head of {self.world!r:.40} has weights of {kind!s:.40} for {', '.join(unknown[:3])!s:.80}, which are no traits here: it is of another world or version; learn it again")
        return np.asarray(rows @ np.array([weights.get(name, 0.0) for name in names]))


@dataclass(frozen=True)
class Choice:
    """One choice as it stands in the log: traits of each option [O, F], which was chosen, and how likely that was by the
    head's points alone; 1 where nothing was drawn (the world decided, or the likeliest counts)."""

    kind: str
    names: tuple[str, ...]
    rows: Floats
    chosen: int
    likely: float

    def as_json(self) -> dict[str, JSON]:
        """For the log."""
        return {"kind": self.kind, "traits": list(self.names), "options": self.rows.tolist(), "chosen": self.chosen, "p": self.likely}


class Weighing:
    """The head of one turn: gives points, and keeps what was weighed. Working memory of one turn, never seen outside."""

    def __init__(self, head: LearnedHead | None, weight: float, turn: Turn, standing: Standing | None):
        self.weight = weight if head is not None else 0.0
        self._head, self._turn, self._standing = head, turn, standing
        self._weighed: list[tuple[str, tuple[str, ...], Floats, list[JSON], Floats]] = []

    def __call__(self, kind: str, options: Sequence[Option]) -> Sequence[float]:
        """Points for each option, times the weight; zeros without a head."""
        names = tuple(options[0].traits) if options else ()
        rows = np.array([[option.traits[name] for name in names] for option in options], dtype=float).reshape(len(options), len(names))
        if self._standing is not None:  # 0 where nothing is claimed: the same traits for every choice of a kind
            names, rows = (*names, *STATES), np.hstack([rows, self._standing(self._turn, options)])
        rows = rows.round(DECIMALS)
        points = self.weight * self._head.points(kind, names, rows) if self._head is not None else np.zeros(len(options))
        self._weighed.append((kind, names, rows, [option.what for option in options], points))
        return [float(p) for p in points]

    def choices(self, decision: Decision) -> list[dict[str, JSON]]:
        """What was chosen, of each choice that the decision settles and that had two options or more."""
        said, found = [act for _, act in decision.acts], []
        for kind, names, rows, what, points in self._weighed:
            chosen = _chosen(what, said, decision.move)
            if chosen is not None and len(what) > 1:
                p = np.exp(points - points.max())
                drawn = self.weight > 0 and not _shared(what, decision.move)
                found.append(Choice(kind, names, rows, chosen, round(float(p[chosen] / p.sum()), 6) if drawn else 1.0).as_json())
        return found


class Standing(Protocol):
    """What states say of options (`agents/standing.py`)."""

    def __call__(self, turn: Turn, options: Sequence[Option]) -> Floats:
        """[O, 2]: the traits STATES of each option."""
        ...


def _chosen(what: Sequence[JSON], said: Sequence[JSON], move: JSON) -> int | None:
    """Which of these options was taken: an act that was said, silence where none of them was, or what the move holds; None if none was."""
    if any(isinstance(option, Mapping) for option in what):
        for i, option in enumerate(what):
            if option is not None and option in said:
                return i
        return next((i for i, option in enumerate(what) if option is None), None)
    if isinstance(move, Mapping):
        if _shared(what, move):
            return int(np.argmax([float(move[option]) for option in what]))
        return next((i for i, option in enumerate(what) if option in move.values()), None)
    return next((i for i, option in enumerate(what) if option == move), None)


def _shared(what: Sequence[JSON], move: JSON) -> bool:
    """Whether a move is a distribution over these options: the likeliest counts, and nothing is drawn."""
    return isinstance(move, Mapping) and all(isinstance(option, str) and isinstance(move.get(option), (int, float)) for option in what)


def choice_of(data: Mapping[str, Any]) -> Choice:
    """A choice of a log. Raises ValueError in one line for one that is damaged."""
    try:
        names, rows = tuple(map(str, data["traits"])), np.array(data["options"], dtype=float)
        chosen, likely = data["chosen"], float(data["p"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a choice of the log is damaged ({type(error).__name__} {error!s:.80}); it was changed after the run") from None
    whole = rows.ndim == 2 and rows.shape[1] == len(names) and bool(np.isfinite(rows).all()) and type(chosen) is int and 0 <= chosen < len(rows)
    if not whole or not 0 <= likely <= 1:
        raise ValueError(f"a choice of the log is damaged (traits {len(names)}, options {rows.shape}, chosen {chosen!r:.20}, p {likely!r:.20}); it was changed after the run")
    return Choice(str(data.get("kind")), names, rows, chosen, likely)


def write_head(path: Path, head: LearnedHead) -> None:
    """As `read_head` reads it; the same head gives the same bytes."""
    value = {"version": VERSION, "world": head.world, "kinds": {k: dict(w) for k, w in head.kinds.items()}, "notes": dict(head.notes)}
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


@lru_cache(maxsize=8)
def read_head(path: str) -> LearnedHead:
    """The head of a file. Raises `HeadError`, one line."""
    try:
        raw = read_bounded(path, MOST_BYTES)
    except TooLong:
        raise HeadError(f"{path}: more than {MOST_BYTES // 1024} KiB, no head; name the file that `sandbox loop` wrote") from None
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        raise HeadError(f"{path!r:.200}: cannot read ({getattr(error, 'strerror', None) or error}); name the file of a head, as `sandbox loop` writes it") from None
    try:
        return _checked(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise HeadError(f"{path}: no head ({str(error)[:160]}); expected the file that `sandbox loop` wrote") from None


def _checked(value: Any) -> LearnedHead:
    """Raises ValueError for anything but what `write_head` writes."""
    if not isinstance(value, dict) or set(value) != {"version", "world", "kinds", "notes"}:
        raise ValueError(f"expected an object with version, world, kinds and notes, got {type(value).__name__} {sorted(map(str, value))[:6] if isinstance(value, dict) else ''}")
    if value["version"] != VERSION or not isinstance(value["world"], str) or not isinstance(value["notes"], dict):
        raise ValueError(f"version is {value['version']!r:.20}, world {value['world']!r:.40}; expected version {VERSION}, a name, and notes as an object")
    if not isinstance(value["kinds"], dict):
        raise ValueError(f"kinds is {type(value['kinds']).__name__}; expected an object of weights by kind of choice")
    for kind, weights in value["kinds"].items():
        if not isinstance(weights, dict) or len(weights) > MOST_TRAITS:
            raise ValueError(f"kinds.{kind!s:.40} is {type(weights).__name__}; expected weights by trait, at most {MOST_TRAITS}")
        for name, weight in weights.items():
            if type(weight) not in (int, float) or not math.isfinite(weight) or abs(weight) > MOST_WEIGHT:
                raise ValueError(f"kinds.{kind!s:.40}.{name!s:.40} is {weight!r:.40}; expected a number from -{MOST_WEIGHT:g} to {MOST_WEIGHT:g}")
    kinds = {str(k): {str(n): float(w) for n, w in weights.items()} for k, weights in value["kinds"].items()}
    return LearnedHead(value["world"], kinds, value["notes"])
