"""A detector of lies as a file: JSON, coefficients, n-grams, mixtures, thresholds and the SHA-256 of the model whose states it reads.

    {"v": 2, "shown": {"mean": […], "spread": […], "weights": […], "bias"}, "words": {"vocabulary": […], "idf": […], "weights": […], "bias"},
     "states": as shown, or null, "checkpoint": SHA-256 or null, "features": [name, …], "arms": {name: {"mix": {member: weight}, "share", "threshold"}},
     "games": {message: game}}
A file comes from anywhere: every value of it is held against what `lies fit` writes, and the first that differs is named. Numbers are bounded so that
no score of any message overflows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from agents.bounded import read_bounded
from analysis import lie_features
from analysis.lie_model import ARMS, Arm, Linear, Model, Words
from analysis.metrics import AnalysisError
from sandbox.disk import placed

VERSION = 2
MOST_BYTES = 256 * 1024 * 1024
MOST = 1e12  # of a coefficient
NARROWEST = 1e-9  # of spreads: what varies less was taken as not varying when it was fitted
T = TypeVar("T")
KEYS = ("v", "shown", "words", "states", "checkpoint", "features", "arms", "games")


class _Wrong(ValueError):
    """Which key, what it is, what was expected."""

    def __init__(self, key: str, got: object, expected: str):
        super().__init__(f"{key} is {got!r:.60}, expected {expected}")


def write(model: Model, path: Path) -> None:
    """The model as JSON."""
    try:
        with placed(path) as part:
            part.write_text(json.dumps({"v": VERSION, **asdict(model)}, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror or error}); name another file with --out") from None


def read(path: Path) -> Model:
    """The model that `write` wrote. Raises `AnalysisError` for any other file."""
    try:
        return _model(json.loads(read_bounded(path, MOST_BYTES)))
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); name the file that `lies fit` wrote") from None
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: not a detector of lies ({' '.join(str(error).split()):.200}); name the file that `lies fit` wrote") from None


def _model(told: Any) -> Model:
    if not isinstance(told, dict) or told.get("v") != VERSION or type(told["v"]) is not int:
        raise _Wrong("v", told.get("v") if isinstance(told, dict) else told, f"{VERSION}, the version that this program writes: fit it again")
    _keys("the file", told, KEYS)
    features = _list("features", told["features"], _text)
    if features != lie_features.NAMES:
        raise ValueError("it was fitted on other features; fit it again")
    model = Model(
        shown=_linear("shown", told["shown"], len(features)), words=_words(told["words"]), states=None if told["states"] is None else _linear("states", told["states"]),
        checkpoint=None if told["checkpoint"] is None else _sha256("checkpoint", told["checkpoint"]), features=features, arms={}, games=_games(told["games"]),
    )  # fmt: skip
    if (model.states is None) != (model.checkpoint is None):
        raise _Wrong("checkpoint", model.checkpoint, "a SHA-256 where there are states, and null where there are none")
    return _with_arms(model, told["arms"])


def _linear(key: str, told: Any, count: int | None = None) -> Linear:
    _keys(key, told, ("mean", "spread", "weights", "bias"))
    mean = _list(f"{key}.mean", told["mean"], _number, count)
    spread = _list(f"{key}.spread", told["spread"], lambda name, value: _number(name, value, NARROWEST), len(mean))
    return Linear(mean, spread, _list(f"{key}.weights", told["weights"], _number, len(mean)), _number(f"{key}.bias", told["bias"]))


def _words(told: Any) -> Words:
    _keys("words", told, ("vocabulary", "idf", "weights", "bias"))
    grams = _list("words.vocabulary", told["vocabulary"], _text)
    if len(set(grams)) < len(grams):
        raise _Wrong("words.vocabulary", Counter(grams).most_common(1)[0][0], "each n-gram once")
    idf = _list("words.idf", told["idf"], lambda name, value: _number(name, value, 0.0), len(grams))
    return Words(grams, idf, _list("words.weights", told["weights"], _number, len(grams)), _number("words.bias", told["bias"]))


def _with_arms(model: Model, told: Any) -> Model:
    members = ("shown", "words", *(("states",) if model.states else ()))
    names = ARMS if model.states else ARMS[1:]
    _keys("arms", told, names)
    arms: dict[str, Arm] = {}
    for name in names:  # the first arm is the one that is shown
        key = f"arms[{name!r}]"
        _keys(key, told[name], ("mix", "share", "threshold"))
        mix = told[name]["mix"]
        if not isinstance(mix, dict) or not mix or not set(mix) <= set(members):
            raise _Wrong(f"{key}.mix", mix, f"weights of {', '.join(members)}")
        weights = {member: _number(f"{key}.mix[{member!r}]", weight, 0.0) for member, weight in mix.items()}
        if not any(weights.values()):
            raise _Wrong(f"{key}.mix", mix, "a weight above 0")
        arms[name] = Arm(weights, _number(f"{key}.share", told[name]["share"], 0.0, 1.0), _number(f"{key}.threshold", told[name]["threshold"]))
    return Model(shown=model.shown, words=model.words, states=model.states, checkpoint=model.checkpoint, features=model.features, arms=arms, games=model.games)


def _games(told: Any) -> Mapping[str, str]:
    if not isinstance(told, dict) or not told:
        raise _Wrong("games", told, "the messages that it was fitted on, each with its game")
    for print_, name in told.items():
        if not re.fullmatch("[0-9a-f]{16}", print_):
            raise _Wrong("games", print_, "fingerprints of 16 hexadecimal digits")
        _text(f"games[{print_}]", name)
    return dict(told)


def _keys(key: str, told: Any, expected: Sequence[str]) -> None:
    if not isinstance(told, dict):
        raise _Wrong(key, told, f"{', '.join(expected)}")
    if set(told) != set(expected):
        raise _Wrong(f"the keys of {key}", sorted(told), f"{', '.join(expected)}")


def _list(key: str, told: Any, one: Callable[[str, Any], T], count: int | None = None) -> tuple[T, ...]:
    if not isinstance(told, list) or not told or (count is not None and len(told) != count):
        raise _Wrong(f"{key} {f'(of {len(told)})' if isinstance(told, list) else ''}".strip(), told, f"a list of {count if count is not None else 'one or more'}")
    return tuple(one(f"{key}[{i}]", value) for i, value in enumerate(told))


def _number(key: str, value: Any, least: float = -MOST, most: float = MOST) -> float:
    if type(value) not in (int, float) or not least <= value <= most:  # which NaN is not
        raise _Wrong(key, value, f"a number from {least:g} to {most:g}")
    return float(value)


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(key, value, "a text")
    return value


def _sha256(key: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise _Wrong(key, value, "a SHA-256")
    return value
