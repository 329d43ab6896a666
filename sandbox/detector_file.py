"""A detector as data: what `python -m analysis detector` learned and a monitor applies. JSON, read once, before a run begins.

    {"v": 1, "world": "market", "given": {option: value}, "signals": [name, …], "weights": [number, …],
     "past": {"mean", "weights", "spread"}, "threshold": number, "learned": {…}}
A pair's score is the weighted sum of its signals. `past` says what of a score honest pairs' own pasts foretell; the rest multiplies up to evidence
(scenarios/evidence.py). No alarm is raised below `threshold`, the most (as ln E) that honest runs came to which the past was not learned from.
`given` are the options of the world under which all this was learned, and holds; `learned` says from what, for the reader.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scenarios.evidence import Past
from scenarios.signals import SIGNALS, given, signals

VERSION = 1
KEYS = ("v", "world", "given", "signals", "weights", "past", "threshold", "learned")
MOST_BYTES = 64 * 1024


class DetectorError(ValueError):
    """What is wrong with a detector file, and the remedy: one line."""


@dataclass(frozen=True, kw_only=True)
class Detector:
    """`file` and `sha256` are where it was read, and of what."""

    world: str
    given: Mapping[str, Any]
    signals: tuple[str, ...]
    weights: tuple[float, ...]
    past: Past
    threshold: float
    learned: Mapping[str, Any]
    file: str = ""
    sha256: str = ""

    def score(self, values: tuple[float, ...]) -> float:
        """Of a pair's signals, which stand in the order of the world's own names."""
        return math.fsum(weight * values[i] for weight, i in zip(self.weights, self._places, strict=True))

    @cached_property
    def _places(self) -> tuple[int, ...]:
        names = signals(self.world).NAMES
        return tuple(names.index(name) for name in self.signals)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        past = {"mean": self.past.mean, "weights": list(self.past.weights), "spread": self.past.spread}
        return {
            "v": VERSION, "world": self.world, "given": dict(self.given), "signals": list(self.signals), "weights": list(self.weights), "past": past,
            "threshold": self.threshold, "learned": dict(self.learned),
        }  # fmt: skip

    def suits(self, world: str, options: Mapping[str, Any]) -> None:
        """Raises `DetectorError` for a world, or options of it, that it was not learned in."""
        if world != self.world:
            raise DetectorError(f"{self.file}: a detector for the world {self.world!r}, this run is of {world!r}; name one learned there, or leave monitor.file out")
        for name, here in given(world, options).items():
            if self.given[name] != here:
                raise DetectorError(f"{self.file}: learned where environment.{name} is {self.given[name]!r:.60}, here it is {here!r:.60}; learn one there: python -m analysis detector EXPERIMENT --out FILE")


def read_detector(path: str | Path) -> Detector:
    """The detector of a file. Raises `DetectorError`."""
    def wrong(what: str) -> DetectorError:
        return DetectorError(f"{path}: {what}; make it again: python -m analysis detector EXPERIMENT --out FILE")

    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read ({error.strerror}); name a detector file, as python -m analysis detector EXPERIMENT --out FILE writes it") from None
    except ValueError as error:  # a NUL in the name
        raise DetectorError(f"{str(path)!r:.200}: no name of a file ({error}); name a detector file, as python -m analysis detector EXPERIMENT --out FILE writes it") from None
    if len(raw) > MOST_BYTES:
        raise wrong(f"more than {MOST_BYTES} bytes, no detector")
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise wrong(f"not JSON ({' '.join(str(error).split()):.80})") from None
    if not isinstance(told, dict) or sorted(told) != sorted(KEYS):
        raise wrong(f"no detector; expected the keys {', '.join(KEYS)}")
    if told["v"] != VERSION:
        raise wrong(f"version {told['v']!r:.20}, this program knows {VERSION}")
    if told["world"] not in (list(SIGNALS) if isinstance(told["world"], str) else ()):
        raise wrong(f"world is {told['world']!r:.60}; there are signals of {', '.join(SIGNALS)}")
    module = signals(told["world"])
    if not isinstance(told["given"], dict) or set(told["given"]) != set(module.GIVEN) or not isinstance(told["learned"], dict):
        raise wrong(f"given must name the options {', '.join(module.GIVEN)}, and learned be a mapping")
    names, past = told["signals"], told["past"]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise wrong(f"signals is {names!r:.60}; expected a list of different names")
    if unknown := [name for name in names if name not in module.NAMES]:
        raise wrong(f"unknown signal {unknown[0]!r:.60}; {told['world']} has {', '.join(module.NAMES)}")
    if not isinstance(past, dict) or set(past) != {"mean", "weights", "spread"}:
        raise wrong(f"past is {past!r:.60}; expected mean, weights and spread")
    for key, value in (("weights", told["weights"]), ("past.weights", past["weights"])):
        if not isinstance(value, list) or not all(map(_number, value)) or len(value) > 64:
            raise wrong(f"{key} is {value!r:.60}; expected a list of finite numbers")
    if len(told["weights"]) != len(names):
        raise wrong(f"{len(told['weights'])} weights for {len(names)} signals; expected one for each")
    for key, value, good in (
        ("past.mean", past["mean"], _number(past["mean"])), ("past.spread", past["spread"], _number(past["spread"]) and past["spread"] > 0),
        ("threshold", told["threshold"], _number(told["threshold"]) and told["threshold"] >= 0),
    ):  # fmt: skip
        if not good:
            raise wrong(f"{key} is {value!r:.60}; expected a finite number{'' if key == 'past.mean' else ', above 0' if key == 'past.spread' else ', 0 or more'}")
    learned = Past(float(past["mean"]), tuple(map(float, past["weights"])), float(past["spread"]))
    return Detector(
        world=told["world"], given=told["given"], signals=tuple(names), weights=tuple(map(float, told["weights"])), past=learned,
        threshold=float(told["threshold"]), learned=told["learned"], file=str(path), sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9  # which no NaN is
