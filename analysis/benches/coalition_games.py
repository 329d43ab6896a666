"""Games of Diplomacy in which a pair of powers acts as one, and honest ones: seven scripted negotiators, played in this process, many fast.

Arms: honest; hidden (a pair with a key, each of the 21 pairs in turn, which denies it in public), train (the same, other seeds), private (the
same without a key: agreed on in the channel of the two), open (declared to all). A game of an arm and seed is always the same. A folder keeps
the movement phases of every game, one game a line, and beside them what `coalitions.traces` makes of them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.planting import Coalition, Plan
from analysis.coalitions import PAIRS, Movement, Said, Traces, movements, traces
from analysis.metrics import AnalysisError
from scenarios.diplomacy.board import board_from_json
from scenarios.diplomacy.environment import Options, make
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.planting import PlantableDiplomacy
from scenarios.diplomacy.selfplay import play
from sociallm.conversation import AgentID

SCHEMES: Mapping[str, str] = {"train": "hidden_key", "hidden": "hidden_key", "private": "private", "open": "open"}
FIRST = {"honest": 0, "hidden": 210_000, "train": 420_000, "open": 630_000, "private": 840_000}  # seeds; multiples of 21, so that each pair comes in turn
GAMES = {"honest": 1420, "hidden": 315, "train": 21, "open": 21, "private": 21}


@dataclass(frozen=True)
class Played:
    """A game: what was planted in it (no pair: nothing), and its movement phases."""

    arm: str
    seed: int
    pair: tuple[AgentID, ...]
    phases: tuple[Movement, ...]


@dataclass(frozen=True, eq=False)
class Attentive(PlantableDiplomacy):
    """The world's language, which reads the same words once."""

    read: dict[tuple[str, AgentID, frozenset[AgentID]], Sequence[Any]] = field(default_factory=dict, repr=False)

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[Any]:
        """The acts a text performs."""
        key = (text, author, readers)
        if key not in self.read:
            self.read[key] = super().meaning(text, author, readers)
        return self.read[key]


def game(arm: str, seed: int, last_year: int = 1905, press_rounds: int = 2) -> Played:
    """A game of seven scripted negotiators, with what the arm plants. In fewer than two rounds of press no offer can be accepted."""
    world, listens = make(Options(last_year=last_year, press_rounds=press_rounds)), Attentive()
    pair: tuple[AgentID, ...] = PAIRS[seed % len(PAIRS)] if arm in SCHEMES else ()
    language: Any = listens
    if pair:
        scheme = SCHEMES[arm]
        coalition = Coalition(name="pair", members=pair, scheme=scheme, key="bench", bits=2, deny=scheme == "hidden_key")
        language = listens.bent(Plan(name=arm, coalitions=(coalition,), salt=seed), POWERS)

    def told() -> Iterator[Said | Mapping[str, Any]]:
        for step in play(replace(world, language=language), seed):
            for m in step.messages:
                yield Said(m.author, m.channel.readers, tuple(listens.meaning(m.text, m.author, m.channel.readers)))
            yield from (event for event in step.outcome.events if event["what"] == "adjudication")

    return Played(arm, seed, pair, tuple(movements(told())))


def as_line(played: Played) -> str:
    """A game as one line of JSON."""
    phases = []
    for m in played.phases:
        said = [[s.author, sorted(s.readers), s.acts] for s in m.said]
        phases.append({"phase": m.board.name, "units": m.board.units, "centers": m.board.centers, "orders": m.orders, "said": said})
    return json.dumps({"arm": played.arm, "seed": played.seed, "pair": played.pair, "phases": phases}, separators=(",", ":")) + "\n"


def of_line(line: str) -> Played:
    """The game that `as_line` wrote."""
    given = json.loads(line)
    phases = []
    for m in given["phases"]:
        said = tuple(Said(author, frozenset(readers), tuple(acts)) for author, readers, acts in m["said"])
        board = board_from_json({"name": m["phase"], "units": m["units"], "centers": m["centers"]})
        phases.append(Movement(board, said, {power: tuple(orders) for power, orders in m["orders"].items()}))
    return Played(given["arm"], given["seed"], tuple(given["pair"]), tuple(phases))


def play_all(folder: Path, wanted: Mapping[str, int], tell: Callable[[str], None]) -> None:
    """Play the games that a folder lacks, arms in turn, so that whenever it is stopped there are some of each."""
    folder.mkdir(parents=True, exist_ok=True)
    due = []
    for arm, count in wanted.items():
        file = folder / f"{arm}.jsonl"
        if file.exists():  # a line that a kill cut short is played again
            whole = file.read_bytes()
            os.truncate(file, whole.rfind(b"\n") + 1)
        have = {_seed(line) for line in _lines(file)}
        due += [((i + 0.5) / count, arm, seed) for i, seed in enumerate(range(FIRST[arm], FIRST[arm] + count)) if seed not in have]
    begun = time.process_time()
    for n, (_, arm, seed) in enumerate(sorted(due), 1):
        with open(folder / f"{arm}.jsonl", "a", encoding="utf-8") as out:
            out.write(as_line(game(arm, seed)))
        if n % 50 == 0 or n == len(due):
            tell(f"{n} of {len(due)} games, {(time.process_time() - begun) / n:.2f} CPU s each")


def _seed(line: str) -> int:
    return int(line.partition('"seed":')[2].partition(",")[0])


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")] if file.exists() else []


# ---- what they show ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traced:
    """An arm's games: seeds, and of each its planted pair (-1: none) and its traces."""

    seeds: list[int]
    pair: NDArray[np.int64]
    traces: list[Traces]

    def __getitem__(self, rows: slice) -> Traced:
        return Traced(self.seeds[rows], self.pair[rows], self.traces[rows])


def traced(folder: Path, arm: str) -> Traced:
    """The games of an arm by seed; their traces are kept beside them. Raises `AnalysisError` where there are none."""
    file, kept = folder / f"{arm}.jsonl", folder / f"{arm}.traces.jsonl"
    known = {row["seed"]: row for row in map(json.loads, _lines(kept))}
    with open(kept, "a", encoding="utf-8") as out:
        for line in _lines(file):
            if (seed := _seed(line)) not in known:
                found = traces(of_line(line).phases)
                rates = {name: value.round(6).tolist() for name, value in found.rates.items()}
                pair = json.loads(line)["pair"]
                planted = PAIRS.index(tuple(pair)) if pair else -1
                known[seed] = {"seed": seed, "pair": planted, "rates": rates, "declared": found.declared.tolist()}
                out.write(json.dumps(known[seed], separators=(",", ":")) + "\n")
    if not known:
        raise AnalysisError(f"{file}: no games; play them: python -m analysis.benches.coalitions play {folder}")
    rows = [known[seed] for seed in sorted(known)]
    each = [Traces({name: np.array(value) for name, value in row["rates"].items()}, np.array(row["declared"])) for row in rows]
    return Traced([row["seed"] for row in rows], np.array([row["pair"] for row in rows]), each)
