"""What a loop is asked to do: from the words of the command line, kept in its folder, held against them when it goes on.

    generations=4 seed=0              how many, and from which seed all others follow
    loop.games=40 loop.tokens=60000   and the other fields of `Loop`
    environment.…=… policies.…=…      any other: a change of the scenario, for every run
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.guard import ConfigError, checked

FILE, SCENARIO = "loop.yaml", "scenario.yaml"
MIXES = ("replace", "accumulate", "filter", "mix")
WORDS = ("grammar", "model")
BLOCK = 10_000_000  # seeds of one loop; no two loops share any
STEP = 100_000  # of one generation
EVALUATION, PLANTED = 9_000_000, 8_000_000  # where the seeds that no generation plays begin
MOST_GENERATIONS, MOST_GAMES = 64, STEP
OURS = {
    "seats": "who sits where is the loop's: learners are named by loop.seats", "run_dir": "the folder is named by --out", "plots": "a loop draws its own",
    "name": "the scenario has one", "policies.social.checkpoint": "the model is the loop's; the first is named by loop.checkpoint",
    "policies.social.head": "the head is the loop's", "policies.social.head_weight": "it is named by loop.head_weight",
    "policies.social.words": "it is named by loop.words", "policies.social.states": "it is named by loop.states", "policies.social.choices": "a loop logs them",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The settings of a loop. What a later call may change stands in `FREE`."""

    generations: int = 4
    seed: int = 0
    games: int = 40  # of a generation
    held: int = 40  # games in which each generation is evaluated: the same seeds each time
    planted: int = 8  # games with a liar, and their honest twins, for the auditor; 0: none
    tokens: int = 60_000  # that a generation's model is trained on, real text included
    mix: str = "mix"  # replace | accumulate | filter | mix
    real: str = ""  # folder of real text (SOCIALLM_DATA where not named), or none
    human: str = ""  # folder of people's conversations that language is measured on (SOCIALLM_DATA, or loop.real, where not named), or none
    share: float = 0.6  # of the training that is real text, at least
    cap: float = 0.05  # of the training that may stem from one agent's mouth; 0: no cap
    learning_rate: float = 3e-4
    lanes: int = 1
    workers: int = 1  # that train, through Ray Train
    checkpoint: str = "base"  # generation 0 starts from it
    seats: str = "all"  # who learns: all, or agents with commas; the others are scripted
    head_weight: float = 1.0
    step: float = 0.1  # by how many nats (KL) a generation's head moves up the outcome
    states: bool = True  # whether the head is shown what states say; without, games are faster
    words: str = "grammar"  # who words what the learners say: grammar (fast) | model
    stop: bool = False  # stop where text degrades

    @property
    def filtered(self) -> bool:
        """Whether what is exported passes the filters."""
        return self.mix in ("filter", "mix")

    @property
    def with_real(self) -> bool:
        """Whether real text is part of the training."""
        return self.mix != "replace" and self.real != "none"

    def real_share(self, generation: int) -> float:
        """Of the training of a generation: the share set, or, where all text so far is heaped up, that of one among the generations."""
        if not self.with_real:
            return 0.0
        return self.share if self.mix == "mix" else 1 / (generation + 2)

    def seeds(self, generation: int) -> tuple[int, ...]:
        """Of the games of a generation."""
        return _range(self.seed * BLOCK + generation * STEP, self.games)

    @property
    def held_seeds(self) -> tuple[int, ...]:
        """Of the games in which every generation is evaluated."""
        return _range(self.seed * BLOCK + EVALUATION, self.held)

    @property
    def planted_seeds(self) -> tuple[int, ...]:
        """Of the games in which the auditor is tried."""
        return _range(self.seed * BLOCK + PLANTED, self.planted)

    @property
    def taught_seeds(self) -> tuple[int, ...]:
        """Of the games of generation 0 that the auditor learns from."""
        return _range(self.seed * BLOCK + PLANTED + MOST_GAMES, self.planted)


FREE = ("generations", "stop")  # a loop may go on for longer than it was first asked to
DEFAULT = Loop()


def _range(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + count))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A loop as its folder has it: the settings, the scenario's text by its hash, its changes, plug-ins."""

    loop: Loop
    scenario_sha256: str
    overrides: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def as_yaml(self) -> str:
        """The text that `read` reads as this."""
        told = {**dataclasses.asdict(self.loop), "overrides": list(self.overrides), "plugins": list(self.plugins), "scenario_sha256": self.scenario_sha256}
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items())  # JSON is YAML, a line for each

    def sha256(self) -> str:
        """Of all that its results follow from."""
        kept = dataclasses.replace(self, loop=dataclasses.replace(self.loop, **{key: getattr(DEFAULT, key) for key in FREE}))
        return hashlib.sha256(kept.as_yaml().encode()).hexdigest()


def asked(scenario: Path, words: Sequence[str], plugins: Sequence[str], data: str) -> Asked:
    """What the command line asks for; `data`: the folder of real text where no word names one. Raises `ConfigError`, one line."""
    given: dict[str, Any] = {}
    overrides = []
    for word in words:
        key, equals, value = word.partition("=")
        key = key.lstrip("+")
        if not equals:
            raise ConfigError(f"{word!r:.80} is no key=value; settings are changed as in generations=4")
        name = key.removeprefix("loop.") if key.startswith("loop.") else key if key in ("generations", "seed") else None
        if name is None:
            if why := next((why for ours, why in OURS.items() if key == ours or key.startswith(f"{ours}.")), None):
                raise ConfigError(f"{word!r:.80}: {why}")
            overrides.append(word)
            continue
        if name not in _kinds():
            near = difflib.get_close_matches(name, _kinds(), 1)
            raise ConfigError(f"{word!r:.80}: unknown key {key!r:.60}; {f'did you mean loop.{near[0]}? Expected' if near else 'expected'} loop. and one of {', '.join(_kinds())}")
        given[name] = _read(word, name, value)
    loop = Loop(**given)
    if not loop.real:
        loop = dataclasses.replace(loop, real="none" if loop.mix == "replace" else data)
    loop = dataclasses.replace(loop, human=loop.human or data or loop.real)
    _limits(loop)
    if loop.stop and loop.human == "none":
        raise ConfigError("loop.stop=true ends a loop whose language gets worse, which is measured on people's text, and none is named; add loop.human=DATA, a folder with the sets of the model card")
    text = checked(scenario).text
    return Asked(loop=loop, scenario_sha256=hashlib.sha256(text.encode()).hexdigest(), overrides=tuple(overrides), plugins=tuple(plugins))


def read(folder: Path) -> Asked:
    """What a loop's folder says. Raises `ConfigError`."""
    path = folder / FILE
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        kinds = {"overrides": list, "plugins": list, "scenario_sha256": str}
        if not isinstance(tree, dict) or set(tree) != {*_kinds(), *kinds} or not all(isinstance(tree[key], kind) for key, kind in kinds.items()):
            raise ValueError("not the settings of a loop of this version")
        for key, kind in _kinds().items():
            if type(tree[key]) is not kind and not (kind is float and type(tree[key]) is int):
                raise ValueError(f"{key} is {tree[key]!r:.40}, expected {kind.__name__}")
        values: dict[str, Any] = {key: float(tree[key]) if kind is float else tree[key] for key, kind in _kinds().items()}
        loop = Loop(**values)
    except FileNotFoundError:
        raise ConfigError(f"{path}: missing, so no loop began here; name another folder, or run the loop again") from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split()):.160}; restore the file") from None
    return Asked(loop=loop, scenario_sha256=tree["scenario_sha256"], overrides=tuple(tree["overrides"]), plugins=tuple(tree["plugins"]))


def differs(before: Asked, now: Asked, folder: Path) -> str | None:
    """Why a loop cannot go on as it is asked to now; None if it can."""
    for name in _kinds():
        then, here = getattr(before.loop, name), getattr(now.loop, name)
        if name not in FREE and then != here:
            key = name if name == "seed" else f"loop.{name}"
            return f"{folder}: this loop was begun with {key}={_told(then)}, now {_told(here)}; give the same, or another --out"
    if before.overrides != now.overrides:
        return f"{folder}: this loop was begun with {' '.join(before.overrides) or 'no changes'}; give the same in the same order, or another --out"
    if before.plugins != now.plugins:
        return f"{folder}: this loop was begun with {' '.join(f'--plugin {name}' for name in before.plugins) or 'no --plugin'}; say the same again"
    if before.scenario_sha256 != now.scenario_sha256:
        return f"{folder}: this loop was begun with another text of the scenario; give {folder / SCENARIO}, or another --out"
    return None


def _kinds() -> dict[str, type]:
    return {f.name: type(f.default) for f in dataclasses.fields(Loop)}


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(word: str, name: str, text: str) -> Any:
    """The value of a setting."""
    kind = _kinds()[name]
    if kind is bool and text in ("true", "false"):
        return text == "true"
    try:
        if kind is int and re.fullmatch(r"[0-9]{1,12}", text):
            return int(text)
        if kind is float and math.isfinite(float(text)):
            return float(text)
    except ValueError:
        pass
    if kind is str and text.isprintable() and 0 < len(text) <= 1000:
        return text
    expected = {bool: "true or false", int: "a whole number, 0 or more", float: "a number", str: "a word"}[kind]
    raise ConfigError(f"{word!r:.80}: {text!r:.40} cannot be {name}; expected {expected}")


def _limits(loop: Loop) -> None:
    """Raises `ConfigError` for values that no loop has."""
    agents = loop.seats == "all" or re.fullmatch(r"[^\s,=]+(,[^\s,=]+)*", loop.seats)
    limits = (
        ("generations", 1 <= loop.generations <= MOST_GENERATIONS, f"1 to {MOST_GENERATIONS}"),
        ("seed", loop.seed < 2**63 // BLOCK, f"0 to {2**63 // BLOCK - 1}"),
        *((f"loop.{name}", least <= getattr(loop, name) <= MOST_GAMES, f"{least} to {MOST_GAMES}") for name, least in (("games", 1), ("held", 2), ("planted", 0))),
        ("loop.tokens", 1 <= loop.tokens <= 10**9, "1 to 1000000000"),
        ("loop.mix", loop.mix in MIXES, f"one of {', '.join(MIXES)}"), ("loop.words", loop.words in WORDS, f"one of {', '.join(WORDS)}"),
        ("loop.share", 0 < loop.share < 1, "a share above 0 and below 1"), ("loop.cap", 0 <= loop.cap <= 1, "a share; 0 for no cap"),
        ("loop.learning_rate", 0 < loop.learning_rate <= 1, "a number above 0, at most 1"), ("loop.step", 0 < loop.step <= 10, "nats, above 0 and at most 10"), ("loop.head_weight", 0 <= loop.head_weight <= 100, "0 to 100"),
        ("loop.workers", 1 <= loop.workers <= 64, "1 to 64"), ("loop.lanes", loop.workers <= loop.lanes <= 64, "as many as loop.workers, at most 64: each worker reads some"),
        ("loop.seats", bool(agents), "all, or agents with commas"),
    )  # fmt: skip
    for key, good, expected in limits:
        if not good:
            raise ConfigError(f"{key} is {getattr(loop, key.removeprefix('loop.'))!r}; expected {expected}")
    if not loop.real:
        alone = "loop.real=none loop.mix=accumulate" if loop.mix == "mix" else "loop.real=none"
        raise ConfigError(f"loop.mix={loop.mix} trains on real text too; add loop.real=DATA, a folder with the sets of the model card (or set SOCIALLM_DATA), or go without: {alone}")
    if loop.real == "none" and loop.mix == "mix":
        raise ConfigError("loop.real=none, but loop.mix=mix is for real text beside the games'; name a folder, or say loop.mix=filter, accumulate or replace")
