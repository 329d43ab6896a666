"""The detectors, and what they say: scores, the larger the more suspicious.

A detector is a function of evidence (`evidence.py`). Whether its scores are right is for `truth.py` and `verdicts.py` to say, which alone open the labels.

The kinds of a score, so that a claim about states can be held against what does without them:
    log        from moves, orders, prices and what the texts mean
    state      asks SociaLLM's states
    intent     asks what agents meant to do, by their own word before they spoke: the truth of a scripted seat, no evidence an outsider has
    no states  the same measure with the states emptied
    nuisance   how long, how often, in which role: what a detector must beat
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from analysis.evidence import Evidence
from analysis.metrics import AnalysisError
from sociallm.conversation import AgentID

UNITS = ("run", "agent", "pair", "message")
KINDS = ("log", "state", "no states", "intent", "nuisance")
Made = Callable[[Evidence], Sequence["Score"]]


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


def chosen(world: str, names: Sequence[str] = (), models: bool = True) -> tuple[DetectorEntry, ...]:
    """The detectors of a world; `names`: of these alone. Raises `AnalysisError` for an unknown name."""
    if unknown := [name for name in names if name not in {d.name for d in DETECTORS}]:
        raise AnalysisError(f"no detector {unknown[0]!r:.60}; there are {', '.join(d.name for d in DETECTORS)}")
    return tuple(d for d in DETECTORS if (world in d.worlds or not d.worlds) and (d.name in names if names else models or not d.model))
