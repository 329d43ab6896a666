"""An experiment: the same scenario in several arms, each with the same seeds. Arms × seeds are runs, in one folder that can be gone on with.

    experiment: collusion                     # its name
    scenario: ../market.yaml                  # beside this file
    seeds: 1..20                              # or a list
    always: [executor=local]                  # changes for every run, as on the command line
    arms:                                     # name → changes of its own
      honest: [environment.play.default=rival]
      cartel: [environment.play.default=grudge]
    tasks: 2                                  # runs at a time, as Ray tasks
    then: [arms]                              # `python -m analysis WORD FOLDER` at the end
    given: [environment.rounds=5]             # as always, after the arm's: what the command line named, in the folder's own copy

Runs of one seed in two arms draw from the same random streams: two arms that differ in one setting are twins. The folder:

    experiment.yaml   what was asked, whole        scenario.yaml    the scenario as it was
    ARM/SEED/         a run, with all that one has                  runs.csv  a line for each, at the end
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from sandbox.guard import ConfigError, Document, checked
from sandbox.source import one_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NUMBER = re.compile(r"[0-9]{1,18}")
RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
OURS = {"seed": "which seeds is said by `seeds`", "run_dir": "where runs go is said on the command line"}  # what no change may name, and why
MOST_RUNS, MOST_TASKS = 100_000, 64
KEYS = ("experiment", "scenario", "seeds", "always", "arms", "given", "tasks", "then")
ANALYSES = ("arms", "observe")
FILE, SCENARIO = "experiment.yaml", "scenario.yaml"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is to be run: every arm with every seed."""

    name: str
    scenario: Path
    seeds: tuple[int, ...]
    arms: Mapping[str, tuple[str, ...]]  # name → overrides
    always: tuple[str, ...] = ()
    given: tuple[str, ...] = ()  # changes for every run that the command line names
    tasks: int = 1
    then: tuple[str, ...] = ()
    lines: Mapping[str, str] = field(default_factory=dict, compare=False)  # always, or an arm → the file and line that say its changes

    @property
    def cells(self) -> list[tuple[str, int]]:
        """(arm, seed) of each run; all arms of a seed before the next, so that what is done when it stops is comparable."""
        return [(arm, seed) for seed in self.seeds for arm in self.arms]

    def overrides(self, arm: str, seed: int) -> tuple[str, ...]:
        """What changes the scenario for one run; of two that change the same key the later counts: always, the arm's, the command line's, the seed."""
        return (*self.always, *self.arms[arm], *self.given, f"seed={seed}")

    def said(self, error: ConfigError, arm: str) -> ConfigError:
        """An error of an arm's settings, with the file and line of the change that it names, if the file has it."""
        place = next((where for of, where in ((self.arms[arm], self.lines.get(arm)), (self.always, self.lines.get("always"))) if any(f"{text!r:.120}" in str(error) for text in of)), None)
        return ConfigError(f"{place}: {error}") if place else error

    def as_yaml(self) -> str:
        """The text that `read` reads as this, beside its scenario."""
        told: dict[str, Any] = {
            "experiment": self.name, "scenario": SCENARIO, "seeds": list(self.seeds), "always": list(self.always),
            "given": list(self.given), "arms": {name: list(changes) for name, changes in self.arms.items()}, "tasks": self.tasks, "then": list(self.then),
        }  # fmt: skip
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in told.items())  # JSON is YAML, a line for each


def is_experiment(path: Path | str) -> bool:
    """Whether a file says `experiment: …` at its top level (and is a file of settings at all; if not, a run will say what it is)."""
    try:
        return ("experiment",) in checked(Path(path)).lines
    except ConfigError:
        return False


def read(path: Path | str, overrides: Sequence[str] = (), tasks: int | None = None) -> Experiment:
    """The experiment of a file. `overrides`: seeds=… takes the place of its seeds, run_dir=… is not its own, all others are changes for every run.

    Raises `ConfigError` with file, line and remedy. That its runs can be made is for the configuration of each to say.
    """
    document = checked(Path(path))
    tree = yaml.BaseLoader(document.text).get_single_data()  # text, lists and mappings alone: no dates, no 1:30 for 90
    for key in tree:
        if key not in KEYS:
            raise _wrong(document, (str(key),), f"unknown key {key!r:.60}; {one_of(str(key), KEYS)}")
    if missing := [key for key in ("experiment", "scenario", "seeds", "arms") if tree.get(key) in (None, "")]:
        raise ConfigError(f"{document.path}:1: {missing[0]} is missing; an experiment says what, of which scenario, with which seeds, in which arms")
    name, arms = tree["experiment"], tree["arms"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong(document, ("experiment",), f"experiment is {name!r:.60}; expected letters, digits, - and _, 64 at most: it names a folder")
    if not isinstance(arms, dict) or not arms:
        raise _wrong(document, ("arms",), "arms is no mapping; expected `name: [key=value, …]` for each arm")
    for arm in arms:
        if not isinstance(arm, str) or not NAME.fullmatch(arm):
            raise _wrong(document, ("arms", str(arm)), f"an arm named {arm!r:.60}; expected letters, digits, - and _, 64 at most: it names a folder")
    named = {text: text.partition("=")[0].lstrip("+") for text in overrides}
    given = [text for text in overrides if named[text] == "seeds"]
    seeds = _seeds(_listed(given[-1].partition("=")[2]), f"override {given[-1]!r:.120}") if given else _seeds(tree["seeds"], document.where(("seeds",)))
    found = Experiment(
        name=name, scenario=_scenario(document, tree["scenario"]), seeds=seeds, tasks=_tasks(document, tree.get("tasks", 1) if tasks is None else tasks),
        always=_changes(document, ("always",), tree.get("always") or []),
        given=(*_changes(document, ("given",), tree.get("given") or []), *(text for text in overrides if named[text] not in ("seeds", "run_dir"))),
        arms={arm: _changes(document, ("arms", arm), changes or []) for arm, changes in arms.items()},
        lines={"always": document.where(("always",)), **{arm: document.where(("arms", arm)) for arm in arms}},
        then=_then(document, tree.get("then") or []),
    )  # fmt: skip
    if (count := len(found.seeds) * len(found.arms)) > MOST_RUNS:
        raise _wrong(document, ("seeds",), f"{count} runs, at most {MOST_RUNS} are taken; give fewer seeds")
    return found


def here(found: Experiment, folder: Path) -> Experiment:
    """The same, its scenario the copy in the experiment's folder."""
    return replace(found, scenario=folder / SCENARIO)


# ---- the keys, one by one ----------------------------------------------------------------------------------------------


def _wrong(document: Document, key: tuple[str, ...], what: str) -> ConfigError:
    return ConfigError(f"{document.where(key)}: {what}")


def _listed(given: str) -> Any:
    """What stands after `seeds=`: FIRST..LAST, or numbers with commas, in brackets or not."""
    if given.startswith("[") and given.endswith("]"):
        given = given[1:-1]
    return given if ".." in given else given.split(",")


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    """Of `1..20`, a list, or one number. No seed twice: a run counted twice would feign evidence."""
    between = RANGE.fullmatch(given.strip()) if isinstance(given, str) else None
    words = [str(n) for n in range(int(between[1]), int(between[2]) + 1)] if between and int(between[2]) - int(between[1]) < MOST_RUNS else given
    words = [words] if isinstance(words, str) else words
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and NUMBER.fullmatch(word.strip()) for word in words):
        raise ConfigError(f"{where}: seeds is {given!r:.60}; expected FIRST..LAST, as in 1..20, or a list of whole numbers")
    seeds = [int(word) for word in words]
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{where}: the seed {next(s for s in seeds if seeds.count(s) > 1)} stands twice; each counts once")
    return tuple(seeds)


def _scenario(document: Document, given: Any) -> Path:
    path = document.path.parent / str(given)
    if not isinstance(given, str) or not path.is_file():
        raise _wrong(document, ("scenario",), f"no scenario {str(path)!r:.120}; name its file as seen from here, as in ../market.yaml")
    if is_experiment(path):
        raise _wrong(document, ("scenario",), f"{str(path)!r:.120} is an experiment itself; name the scenario that it runs")
    return path


def _changes(document: Document, key: tuple[str, ...], given: Any) -> tuple[str, ...]:
    """A list of `key=value`."""
    if not isinstance(given, list) or not all(isinstance(text, str) and "=" in text for text in given):
        raise _wrong(document, key, f"{'.'.join(key)} is {given!r:.60}; expected a list of changes, as in [environment.rounds=20, executor=local]")
    for text in given:
        if why := OURS.get(text.partition("=")[0].strip().lstrip("+")):
            raise _wrong(document, key, f"{text!r:.60} cannot stand in {'.'.join(key)}; {why}")
    return tuple(given)


def _tasks(document: Document, given: Any) -> int:
    number = int(given) if isinstance(given, int) or (isinstance(given, str) and NUMBER.fullmatch(given)) else 0
    if not 1 <= number <= MOST_TASKS:
        raise _wrong(document, ("tasks",), f"tasks is {given!r:.60}; expected a whole number from 1 to {MOST_TASKS}")
    return number


def _then(document: Document, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(word in ANALYSES for word in given):
        raise _wrong(document, ("then",), f"then is {given!r:.60}; expected a list of {', '.join(ANALYSES)}")
    return tuple(given)
