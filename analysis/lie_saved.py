"""A detector of lies as a file: JSON, coefficients, n-grams, mixtures, thresholds and the SHA-256 of the model whose states it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from analysis import lie_features
from analysis.lie_model import ARMS, Arm, Linear, Model, Words, numbers
from analysis.metrics import AnalysisError
from sandbox.disk import placed

VERSION = 1


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
        value = json.loads(path.read_text(encoding="utf-8"))
        if value.pop("v") != VERSION:
            raise ValueError(f"version is not {VERSION}")
        words, states = value["words"], value["states"]
        model = Model(
            shown=_linear(value["shown"]), states=None if states is None else _linear(states), checkpoint=value["checkpoint"],
            words=Words(tuple(map(str, words["vocabulary"])), _finite(words["idf"]), _finite(words["weights"]), _finite([words["bias"]])[0]),
            features=tuple(value["features"]), games=dict(value["games"]),
            arms={name: _arm(arm) for name, arm in value["arms"].items()},
        )  # fmt: skip
        _fits(model)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); name the file that `lies fit` wrote") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AnalysisError(f"{path}: not a detector of lies ({' '.join(str(error).split()):.120}); name the file that `lies fit` wrote") from None
    return model


def _linear(value: Mapping[str, Any]) -> Linear:
    found = Linear(_finite(value["mean"]), _finite(value["spread"]), _finite(value["weights"]), _finite([value["bias"]])[0])
    if not len(found.mean) == len(found.spread) == len(found.weights) or min(found.spread) <= 0:
        raise ValueError("its coefficients do not fit each other")
    return found


def _arm(value: Mapping[str, Any]) -> Arm:
    share, threshold, *weights = _finite([value["share"], value["threshold"], *value["mix"].values()])
    return Arm(dict(zip(map(str, value["mix"]), weights, strict=True)), share, threshold)


def _finite(values: Sequence[Any]) -> tuple[float, ...]:
    found = np.array(values, dtype=float)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError("a coefficient is no finite number")
    return numbers(found)


def _fits(model: Model) -> None:
    grams = len(model.words.vocabulary)
    if model.features != lie_features.NAMES or len(model.shown.weights) != len(lie_features.NAMES):
        raise ValueError("it was fitted on other features; fit it again")
    if not len(model.words.idf) == len(model.words.weights) == grams or len(set(model.words.vocabulary)) != grams:
        raise ValueError("its n-grams do not fit its coefficients")
    known = {"shown", "words", *(("states",) if model.states else ())}
    if set(model.arms) != set(ARMS if model.states else ARMS[1:]) or not all(set(arm.mix) <= known for arm in model.arms.values()):
        raise ValueError("its arms mix what it has not")
    if (model.states is None) != (model.checkpoint is None):
        raise ValueError("states and the checkpoint they are of go together")
