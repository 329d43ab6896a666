"""How well the extractor reads: acts read from messages against acts annotated by hand, as precision, recall and F1.

An annotation is a line: 'propose FRANCE: ? ? - STP', 'promise RUSSIA: ? SEV S ? RUM', 'propose dmz AUSTRIA RUSSIA: GAL',
'accept alliance ENGLAND RUSSIA: GERMANY', 'propose draw'. The force stands first, then who it is about, then the order, the provinces
or the common enemy. A file of annotations holds facts and no texts: {set: {game file: {"read": [message numbers], "acts": {number:
[lines]}}}}; a message's number counts all messages of the game file in its order, from 0. Those read and not under "acts" have none.
An act counts as found where force and content are both equal; `deeds` counts content alone, whatever force it was given.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.diplomacy.extractor import meaning
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.press import about_alliance, about_dmz, about_order
from sociallm.conversation import AgentID


@dataclass(frozen=True)
class Annotated:
    """One message with what a human read in it: acts without addressees, {"act": kind, "about": {...}}."""

    game: str
    author: AgentID
    readers: frozenset[AgentID]
    text: str
    acts: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Score:
    """Counts of acts: found in both, read but not meant, meant but not read. A ratio of nothing is 0."""

    both: int = 0
    only_read: int = 0
    only_meant: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.both + other.both, self.only_read + other.only_read, self.only_meant + other.only_meant)

    @property
    def precision(self) -> float:
        return self.both / max(1, self.both + self.only_read)

    @property
    def recall(self) -> float:
        return self.both / max(1, self.both + self.only_meant)

    @property
    def f1(self) -> float:
        return 2 * self.both / max(1, 2 * self.both + self.only_read + self.only_meant)


def act_of(line: str) -> dict[str, Any]:
    """An annotation line → the act. Raises ValueError naming the line for anything else."""
    head, _, tail = line.partition(": ")
    try:
        match head.split():
            case [force, "draw"]:
                about: dict[str, Any] = {"kind": "draw"}
            case [force, "dmz", *powers]:
                about = about_dmz(powers, tail.split())
            case [force, "alliance", *powers]:
                about = about_alliance(powers, tail or None)
            case [force, power]:
                powers, about = [power], about_order(power, tail)
            case _:
                raise ValueError(line)
        if force not in ("propose", "ask", "promise", "inform", "accept", "refuse"):
            raise ValueError(f"no such force: {force}")
        if unknown := {*about.get("powers", ()), *([about["power"]] if "power" in about else ())} - set(POWERS):
            raise ValueError(f"no such power: {', '.join(sorted(unknown))}")
    except ValueError as error:
        raise ValueError(f"expected an annotation such as 'propose FRANCE: ? ? - STP' or 'propose draw', got {line!r:.80} ({error})") from None
    return {"act": force, "about": about}


def annotated(annotations: Path, games: Path, part: str) -> list[Annotated]:
    """The messages of one set with their annotations; texts come from the game files. Raises ValueError naming what is wrong."""
    parts = json.loads(annotations.read_text(encoding="utf-8"))
    if part not in parts:
        raise ValueError(f"{annotations}: no set {part!r}; it has {', '.join(sorted(parts))}")
    messages = []
    for game, marks in parts[part].items():
        try:
            recorded = json.loads((games / game).read_text(encoding="utf-8"))
        except OSError as error:
            raise ValueError(f"{games / game}: {error.strerror}; fetch the set again") from None
        said = [m for phase in recorded["phases"] for m in phase["messages"]]
        for number in marks["read"]:
            m = said[number]
            readers = frozenset(POWERS) if m["recipient"] == "ALL" else frozenset({m["sender"], m["recipient"]})
            acts = tuple(act_of(line) for line in marks["acts"].get(str(number), ()))
            messages.append(Annotated(game, m["sender"], readers, m["message"], acts))
    return messages


def _keys(acts: Sequence[Mapping[str, Any]], *, force: bool) -> Counter[str]:
    return Counter(json.dumps([a["act"] if force else "", a["about"]], sort_keys=True) for a in acts)


def score(message: Annotated, *, force: bool = True) -> Score:
    """What the extractor finds of one message's acts. `force=False` compares contents alone."""
    meant = _keys(message.acts, force=force)
    read = _keys(meaning(message.text, message.author, message.readers), force=force)
    return Score((meant & read).total(), (read - meant).total(), (meant - read).total())


def by_game(messages: Sequence[Annotated], *, force: bool = True) -> dict[str, Score]:
    """Counts summed over each game: the unit that intervals resample."""
    sums: dict[str, Score] = {}
    for message in messages:
        sums[message.game] = sums.get(message.game, Score()) + score(message, force=force)
    return sums


def f1_interval(games: Sequence[Score], rng: np.random.Generator, *, resamples: int = 2000) -> tuple[float, float]:
    """95 % percentile bootstrap of the pooled F1, whole games resampled (Efron 1979)."""
    counts = np.array([(g.both, g.only_read, g.only_meant) for g in games], dtype=float)
    picked = counts[rng.integers(len(counts), size=(resamples, len(counts)))].sum(axis=1)
    low, high = np.quantile(2 * picked[:, 0] / np.maximum(1, 2 * picked[:, 0] + picked[:, 1] + picked[:, 2]), (0.025, 0.975))
    return float(low), float(high)


def figures(messages: Sequence[Annotated], rng: np.random.Generator) -> dict[str, Any]:
    """Precision, recall and F1 with its interval, of force and content together and (`deeds_f1`) of content alone."""
    games = by_game(messages)
    total, low_high = sum(games.values(), Score()), f1_interval(list(games.values()), rng)
    deeds = sum(by_game(messages, force=False).values(), Score())
    return {
        "games": len(games), "messages": len(messages), "acts": total.both + total.only_meant,
        "precision": round(total.precision, 4), "recall": round(total.recall, 4), "f1": round(total.f1, 4),
        "f1_low": round(low_high[0], 4), "f1_high": round(low_high[1], 4), "deeds_f1": round(deeds.f1, 4),
    }  # fmt: skip
