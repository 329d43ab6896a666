"""A detector as data: what `python -m analysis detector` learned and a monitor applies. JSON, read once, before a run begins.

    {"v": 1, "world": "market", "given": {option: value}, "signals": [name, …], "weights": [number, …],
     "past": {"mean", "weights", "spread"}, "threshold": number, "learned": {…}}
A pair's score is the weighted sum of its signals. `past` says what of a score honest pairs' own pasts foretell; the rest multiplies up to evidence
(scenarios/evidence.py). No alarm is raised below `threshold`, the most (as ln E) that honest runs came to from which neither weights nor past were learned.
`given` are the options of the world under which all this was learned, and holds. `learned` says from what, for the reader: how many runs, which seeds
were fitted on, gave the threshold, were kept to count on, what was counted on these, and the SHA-256 of the SHA-256s of all their logs.
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

from agents.bounded import TooLong, read_bounded
from scenarios.evidence import Past
from scenarios.signals import SIGNALS, given, signals

VERSION = 1
KEYS = ("v", "world", "given", "signals", "weights", "past", "threshold", "learned")
MOST_BYTES = 64 * 1024
SPREADS = (1e-6, 1e6)  # of honest scores: narrower, and rounding would pass for evidence or none would ever be; wider, and nothing would be
MOST_EVIDENCE = 700.0  # ln E of a threshold: of E itself a float holds no more


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
    raw = b""

    def wrong(what: str, key: str = "") -> DetectorError:
        return DetectorError(f"{path}{_line(raw, key)}: {what}; make it again: python -m analysis detector EXPERIMENT --out FILE")

    try:
        raw = read_bounded(path, MOST_BYTES)
    except TooLong:
        raise wrong(f"more than {MOST_BYTES} bytes, no detector") from None
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read ({error.strerror}); name a detector file, as python -m analysis detector EXPERIMENT --out FILE writes it") from None
    except ValueError as error:  # a NUL in the name
        raise DetectorError(f"{str(path)!r:.200}: no name of a file ({error}); name a detector file, as python -m analysis detector EXPERIMENT --out FILE writes it") from None
    try:
        told = json.loads(raw, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise wrong(f"not JSON ({' '.join(str(error).split()):.80})") from None
    if not isinstance(told, dict) or sorted(told) != sorted(KEYS):
        raise wrong(f"no detector; expected the keys {', '.join(KEYS)}")
    if type(told["v"]) is not int or told["v"] != VERSION:
        raise wrong(f"version {told['v']!r:.20}, this program knows {VERSION}", "v")
    if told["world"] not in (list(SIGNALS) if isinstance(told["world"], str) else ()):
        raise wrong(f"world is {told['world']!r:.60}; there are signals of {', '.join(SIGNALS)}", "world")
    module = signals(told["world"])
    if not isinstance(told["given"], dict) or set(told["given"]) != set(module.GIVEN) or not isinstance(told["learned"], dict):
        raise wrong(f"given must name the options {', '.join(module.GIVEN)}, and learned be a mapping", "given")
    names, past = told["signals"], told["past"]
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise wrong(f"signals is {names!r:.60}; expected a list of different names", "signals")
    if unknown := [name for name in names if name not in module.NAMES]:
        raise wrong(f"unknown signal {unknown[0]!r:.60}; {told['world']} has {', '.join(module.NAMES)}", "signals")
    if not isinstance(past, dict) or set(past) != {"mean", "weights", "spread"}:
        raise wrong(f"past is {past!r:.60}; expected mean, weights and spread", "past")
    for key, value in (("weights", told["weights"]), ("past.weights", past["weights"])):
        if not isinstance(value, list) or not all(map(_number, value)) or len(value) > 64:
            raise wrong(f"{key} is {value!r:.60}; expected a list of finite numbers", key)
    if len(told["weights"]) != len(names):
        raise wrong(f"{len(told['weights'])} weights for {len(names)} signals; expected one for each", "weights")
    if min(told["weights"]) < 0 or max(told["weights"]) <= 0:
        raise wrong(f"weights is {told['weights']!r:.60}; expected none below 0, as more of a signal is never less suspicious, and one above", "weights")
    for key, value, least, most in (("past.mean", past["mean"], -SPREADS[1], SPREADS[1]), ("past.spread", past["spread"], *SPREADS), ("threshold", told["threshold"], 0.0, MOST_EVIDENCE)):
        if not _number(value) or not least <= value <= most:
            raise wrong(f"{key} is {value!r:.60}; expected a finite number from {least:g} to {most:g}{', or alarms sound never or always' if key == 'past.spread' else ''}", key)
    learned = Past(float(past["mean"]), tuple(map(float, past["weights"])), float(past["spread"]))
    return Detector(
        world=told["world"], given=told["given"], signals=tuple(names), weights=tuple(map(float, told["weights"])), past=learned,
        threshold=float(told["threshold"]), learned=told["learned"], file=str(path), sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9  # which no NaN is


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, no key of which is there twice: which of the two counts, another reader would decide otherwise."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _line(raw: bytes, key: str) -> str:
    """`:N`, the line of a file of JSON on which a key stands, `past.spread` being the one after past; empty where it is not found."""
    at = -1
    for part in key.split("."):
        if not part or (at := raw.find(b'"%s"' % part.encode(), at + 1)) < 0:
            return ""
    lines = raw[:at].count(b"\n")
    return f":{lines + 1}"
