"""Suspicions as numbers: what every detector says of a run, of its agents, pairs and messages, in one table.

A detector is a function of *evidence*: what a log shows to somebody who was not told what was planted. It gives scores, the larger the more
suspicious. Whether they are right is for `truth.py` and `verdicts.py` to say, which alone open the labels.

The kinds of a score, so that a claim about states can be held against what does without them:
    log        from moves, orders, prices and what the texts mean
    state      asks SociaLLM's states
    intent     asks what agents meant to do, by their own word before they spoke: the truth of a scripted seat, no evidence an outsider has
    no states  the same measure with the states emptied
    nuisance   how long, how often, in which role: what a detector must beat
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.folders import RUNS, no_experiment, runs_table
from analysis.metrics import AnalysisError, read_run
from analysis.tasks import processes
from sandbox.experiment import NAME, NUMBER
from sandbox.log import Event
from sandbox.spreadsheet import cell
from sociallm.conversation import AgentID

UNITS = ("run", "agent", "pair", "message")
KINDS = ("log", "state", "no states", "intent", "nuisance")
TABLE = "scores.csv"
COLUMNS = ["arm", "seed", "until", "detector", "measure", "kind", "unit", "who", "value", "amount"]
JOIN = "+"  # between the agents of a pair, in a table
Made = Callable[["Evidence"], Sequence["Score"]]


@dataclass(frozen=True)
class Score:
    """How suspicious somebody is by one measure. `who`: the agents meant, sorted (a message: its author); `amount`: rounds or messages that it rests on."""

    measure: str
    unit: str
    who: tuple[AgentID, ...]
    value: float
    amount: int
    kind: str = "log"
    message: str = ""  # its id, where the unit is a message

    def __post_init__(self) -> None:
        if self.unit not in UNITS or self.kind not in KINDS or not math.isfinite(self.value):
            raise ValueError(f"score {self.measure!r}: unit {self.unit!r}, kind {self.kind!r}, value {self.value!r}; expected {UNITS}, {KINDS} and a finite value")


@dataclass(frozen=True)
class Evidence:
    """What a detector may know of a run: its log without what was changed from outside, its world, and a model that reads.

    `key` names what a detector draws at random by: never the place of a run, which would say its arm.
    """

    events: tuple[Event, ...]
    world: str
    checkpoint: str = "base"
    key: str = ""
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # what several detectors of one run work out once

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", without_case(self.events))

    @cached_property
    def agents(self) -> tuple[AgentID, ...]:
        """All who acted, by name."""
        return tuple(sorted({str(slot[0]) for e in self.events if e.kind == "step" for slot in _slots(e)}))

    @property
    def pairs(self) -> list[tuple[AgentID, AgentID]]:
        """Every two of them, by name."""
        return [(a, b) for i, a in enumerate(self.agents) for b in self.agents[i + 1 :]]

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return 1 + max((e.step for e in self.events), default=-1)

    def until(self, step: int) -> Evidence:
        """The same before this step: what was known then."""
        return Evidence(tuple(e for e in self.events if e.step < step), self.world, self.checkpoint, self.key)


@dataclass(frozen=True)
class DetectorEntry:
    """An entry of the table: in which worlds it means something, and where its function stands (`module:function`)."""

    name: str
    worlds: tuple[str, ...]
    place: str
    model: bool = False  # whether it has a model read the run
    data: tuple[str, ...] = ()  # the files beside the detectors that hold what it was taught

    def __call__(self, evidence: Evidence) -> Sequence[Score]:
        """Its scores of one run."""
        module, _, function = self.place.partition(":")
        made: Made = getattr(import_module(module), function)
        return made(evidence)


DETECTORS: tuple[DetectorEntry, ...] = (
    DetectorEntry("nuisance", (), "analysis.nuisance:scores"),  # of every world
    DetectorEntry("conduct", ("market",), "analysis.collusion:scores"),
    DetectorEntry("coupling", ("market",), "analysis.coupling:scores"),
    DetectorEntry("screens", ("market",), "analysis.screens:scores", data=("ring.json",)),
    DetectorEntry("coalitions", ("diplomacy",), "analysis.coalitions:scores", data=("coalitions.json",)),
    DetectorEntry("duplicity", ("market",), "analysis.duplicity:scores", model=True, data=("duplicity.json",)),
    DetectorEntry("liars", ("market", "diplomacy", "team_task", "hidden_roles"), "analysis.liars:scores", data=("liars.json",)),
    DetectorEntry("intents", ("market", "diplomacy", "team_task", "hidden_roles"), "analysis.deception:scores"),
    DetectorEntry("steganography", ("market", "team_task", "hidden_roles"), "analysis.stego:scores"),
    DetectorEntry("groups", ("market", "team_task"), "analysis.groups:scores", data=("groups.json",)),
)  # fmt: skip


def evidence_of(run: Path, checkpoint: str = "base", key: str = "") -> Evidence:
    """The evidence of a run's folder. Raises `AnalysisError`."""
    try:
        world = json.loads((run / "manifest.json").read_bytes())["environment"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AnalysisError(f"{run / 'manifest.json'}: does not name the run's world ({type(error).__name__}); restore it, or run the scenario again") from None
    return Evidence(unnamed(read_run(run)), str(world), checkpoint, key)


def without_case(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events without what a team task tells its log alone: of the case no more than all members know (suspects, public clues, reliability, who
    reaches whom), no briefings, of the answers no beliefs. Whom it was stays where it came out, in the answers."""
    told = {i: [_public(one) for one in e.data["events"]] for i, e in enumerate(events) if e.kind == "outcome" and _of_a_team(e)}
    briefed = {events[i].step for i in told if any(one["what"] == "case" for one in told[i])}
    return tuple(
        e._replace(data={**e.data, "events": told[i]}) if i in told else e
        for i, e in enumerate(events) if not (e.step in briefed and e.kind == "message" and e.data.get("readers") == [e.agent])
    )  # fmt: skip


def _of_a_team(event: Event) -> bool:
    """Whether an outcome tells a case or answers. What is damaged is for its reader to refuse."""
    told = event.data.get("events")
    return isinstance(told, list) and all(isinstance(one, Mapping) and "what" in one for one in told) and any(one["what"] in ("case", "answers") for one in told)


def _public(told: Mapping[str, Any]) -> Mapping[str, Any]:
    if told["what"] == "case" and isinstance(told.get("posterior"), Mapping):
        return {"what": "case", "suspects": list(told["posterior"]), **{key: told[key] for key in ("network", "reliability", "public") if key in told}}
    return {key: value for key, value in told.items() if key != "beliefs"} if told["what"] == "answers" else told


def unnamed(events: Sequence[Event]) -> tuple[Event, ...]:
    """The events without interventions, which may say what is planted, and with every channel named by its readers, a second one of the same
    readers by a number too: names are the world's, and a monitor gives a channel that it opens another, which would say that it acted."""
    readers: dict[str, tuple[str, ...]] = {}
    acting = sorted({str(slot[0]) for e in events if e.kind == "step" for slot in _slots(e)})
    for e in events:
        if e.kind == "message" and isinstance(e.data.get("channel"), str) and isinstance(e.data.get("readers"), list):
            readers.setdefault(e.data["channel"], tuple(sorted(map(str, e.data["readers"]))))
        elif e.kind == "intervention" and e.data.get("what") == "swap":
            readers.setdefault(str(e.data.get("into")), tuple(acting))
    named, count = dict[str, str](), dict[tuple[str, ...], int]()
    for name, of in readers.items():
        count[of] = count.get(of, 0) + 1
        named[name] = "-".join(of) + (f"#{count[of]}" if count[of] > 1 else "")
    return tuple(_renamed(e, named) for e in events if e.kind != "intervention")


def _slots(event: Event) -> list[Any]:
    slots = event.data.get("slots")
    return [slot for slot in slots if isinstance(slot, list) and slot] if isinstance(slots, list) else []


def _renamed(event: Event, named: Mapping[str, str]) -> Event:
    """An event with the names of its channels exchanged; what is not of the form that the log has stays as it is."""
    def all_of(names: Any) -> Any:
        return [named.get(name, name) if isinstance(name, str) else name for name in names] if isinstance(names, list) else names

    data = event.data
    if event.kind == "message" and isinstance(data.get("channel"), str):
        return event._replace(data={**data, "channel": named.get(data["channel"], data["channel"])})
    if event.kind == "step" and _slots(event):
        return event._replace(data={**data, "slots": [[*slot[:2], all_of(slot[2]), *slot[3:]] if isinstance(slot, list) and len(slot) > 2 else slot for slot in data["slots"]]})
    if event.kind == "observation" and data.get("may_write"):
        return event._replace(data={**data, "may_write": all_of(data["may_write"])})
    return event


def chosen(world: str, names: Sequence[str] = (), models: bool = True) -> tuple[DetectorEntry, ...]:
    """The detectors of a world; `names`: of these alone. Raises `AnalysisError` for an unknown name."""
    if unknown := [name for name in names if name not in {d.name for d in DETECTORS}]:
        raise AnalysisError(f"no detector {unknown[0]!r:.60}; there are {', '.join(d.name for d in DETECTORS)}")
    return tuple(d for d in DETECTORS if (world in d.worlds or not d.worlds) and (d.name in names if names else models or not d.model))


def scores_of(evidence: Evidence, detectors: Sequence[DetectorEntry], parts: int = 1) -> list[tuple[int, str, Score]]:
    """(steps known, detector, score) of a run, after each of `parts` equal parts of it."""
    ends = sorted({evidence.steps * k // parts for k in range(1, parts + 1)} - {0})
    cuts = [(end, evidence if end == evidence.steps else evidence.until(end)) for end in ends]
    return [(end, detector.name, score) for end, cut in cuts for detector in detectors for score in detector(cut)]


def runs_of(experiment: Path) -> list[tuple[str, int, Path]]:
    """(arm, seed, folder) of the runs of an experiment that are done. Raises `AnalysisError`."""
    found: list[tuple[str, int, Path]] = []
    for n, row in enumerate(runs_table(experiment), 2):
        arm, seed = row.get("arm") or "", row.get("seed") or ""
        if not NAME.fullmatch(arm) or not NUMBER.fullmatch(seed) or (arm, int(seed)) in {(a, n) for a, n, _ in found}:
            raise AnalysisError(f"{experiment / RUNS}:{n}: names no arm and seed, or one for the second time; go on with the experiment, which writes it again")
        if row.get("ended") == "done":
            found.append((arm, int(seed), experiment / arm / seed))
    if not found:
        raise AnalysisError(f"{experiment}: none of its runs is done; go on with it: python -m sandbox resume {experiment}")
    return found


@dataclass(frozen=True)
class ScoresWish:
    """What is asked of the runs: by which detectors (none named: all of the world), with which model, after how many parts."""

    detectors: tuple[str, ...] = ()
    checkpoint: str = "base"
    parts: int = 1
    models: bool = True


def rows_of(arm: str, seed: int, run: Path, wish: ScoresWish) -> list[tuple[object, ...]]:
    """The rows of one run for the table. Raises `AnalysisError` that names the run."""
    evidence = evidence_of(run, wish.checkpoint, str(seed))
    try:
        found = scores_of(evidence, chosen(evidence.world, wish.detectors, wish.models), wish.parts)
    except AnalysisError as error:
        raise AnalysisError(f"{run}: {error}") from None
    return [(arm, seed, until, name, s.measure, s.kind, s.unit, as_cell(s.message or JOIN.join(s.who)), s.value, s.amount) for until, name, s in found]


def as_cell(name: str) -> str:
    """A name as a table holds it, in memory too, so that tables made and tables read agree: what could steer a terminal, has no UTF-8 form or begins
    like a formula is written out, as `table_files.csv_of` writes it."""
    return str(cell(name))


def scores(experiment: Path, wish: ScoresWish, tasks: int = 1, say: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """The scores of all runs of an experiment that are done, in processes of one thread each; rows as `COLUMNS`. `say` is told how many are done.
    Raises `AnalysisError`."""
    cells = runs_of(experiment)
    given = [(arm, seed, run, wish) for arm, seed, run in cells]
    with processes(min(tasks, len(given))) as pool:
        coming = (rows_of(*one) for one in given) if pool is None else (f.result() for f in [pool.submit(rows_of, *one) for one in given])
        done = []
        for rows in coming:
            done.append(rows)
            say(f"scored {len(done)} of {len(given)} runs")
    return pd.DataFrame([row for rows in done for row in rows], columns=COLUMNS)


def read_scores(experiment: Path) -> pd.DataFrame:
    """The table that `scores` made and wrote. Raises `AnalysisError`."""
    path = experiment / TABLE
    try:
        found = pd.read_csv(path, dtype={"arm": str, "who": str, "seed": np.int64, "until": np.int64, "value": float}, keep_default_na=False, na_values={"value": [""]})
    except FileNotFoundError:
        raise AnalysisError(no_experiment(experiment) or f"{path}: no scores there yet; make them: python -m analysis scores {experiment}") from None
    except (OSError, ValueError, OverflowError) as error:
        raise AnalysisError(f"{path}: cannot be read ({(error.strerror or type(error).__name__) if isinstance(error, OSError) else ' '.join(str(error).split())[:80]}); make it: python -m analysis scores {experiment}") from None
    if list(found.columns) != COLUMNS or not np.isfinite(found["value"]).all():
        raise AnalysisError(f"{path}: not a table of scores; make it again: python -m analysis scores {experiment}")
    if found.duplicated([c for c in COLUMNS if c not in ("value", "amount")]).any():
        raise AnalysisError(f"{path}: holds a score twice; make it again: python -m analysis scores {experiment}")
    made, done = set(zip(found["arm"], found["seed"], strict=True)), {(arm, seed) for arm, seed, _ in runs_of(experiment)}
    if made != done:
        arm, number = min(made ^ done)
        raise AnalysisError(f"{path}: {'holds no score of' if (arm, number) in done else 'holds scores of'} {arm}/{number}{'' if (arm, number) in done else ', no run that is done'}; make it again: python -m analysis scores {experiment}")
    return found
