"""Games of Diplomacy as they were played: what was said before each movement phase's orders, and the orders.

One form for people and for agents, so that one measure serves both (`behaviour`). It is made from the JSON shape that Cicero's games and
the `diplomacy` package share, from the corpus "It Takes Two to Lie" (ACL 2020), and from plain records of play (`recorded_play`: a
run's log or a game at our own table). What is said in a retreat or adjustment phase belongs to the next movement phase.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from scenarios.diplomacy.map import POWERS
from sociallm.conversation import AgentID

Pair = frozenset[AgentID]
_INITIALS = {power[0]: power for power in POWERS}
_UNREAD = "?"  # a kind of unit that the record does not say
EVERY_PAIR = frozenset(frozenset(pair) for pair in combinations(POWERS, 2))


@dataclass(frozen=True)
class Said:
    """One message: its author, the one other reader of a private one (None: said to all), its text."""

    author: AgentID
    to: AgentID | None
    text: str


@dataclass(frozen=True)
class Phase:
    """A movement phase: what was said before the orders, and the orders by power."""

    name: str
    said: tuple[Said, ...]
    orders: Mapping[AgentID, tuple[str, ...]]

    def owner(self, province: str) -> AgentID | None:
        """Whose unit stood there: the one that ordered it."""
        return next((p for p, orders in self.orders.items() for order in orders if order.split()[1][:3] == province), None)


@dataclass(frozen=True)
class Game:
    """A game and the pairs whose private talk is on record (in Cicero's games: those where both consented)."""

    name: str
    phases: tuple[Phase, ...]
    pairs: frozenset[Pair] = EVERY_PAIR


class GameError(ValueError):
    """What was wrong with a recorded game, where, and what to do: one line."""


def recorded_play(name: str, rows: Iterable[tuple[str, Any]], pairs: frozenset[Pair] = EVERY_PAIR) -> Game:
    """A game from rows in the order of time: ("said", Said) or ("orders", (phase name, {power: orders}))."""
    phases: list[Phase] = []
    said: list[Said] = []
    for kind, value in rows:
        if kind == "said":
            said.append(value)
            continue
        phase, orders = value
        if phase.endswith("M") and any(orders.values()):
            phases.append(Phase(phase, tuple(said), {p: tuple(o or ()) for p, o in orders.items()}))
            said = []
    return Game(name, tuple(phases), pairs)


def cicero_game(path: Path) -> Game:
    """One of Cicero's published games. Its name says whose words are in it: `game_<id>_<Cicero's power>_<initials of consenting players>`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        _, _, cicero, initials = path.stem.split("_")
        consenting = {cicero, *(_INITIALS[letter] for letter in initials)}
        rows = list(_cicero_rows(value["phases"], consenting))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GameError(f"{path}: not a game of cicero_games ({type(error).__name__}: {error}); fetch the set again") from None
    return recorded_play(path.name, rows, frozenset(frozenset(pair) for pair in combinations(sorted(consenting), 2)))


def _cicero_rows(phases: Iterable[Mapping[str, Any]], consenting: set[AgentID]) -> Iterator[tuple[str, Any]]:
    for phase in phases:
        for message in sorted(phase["messages"], key=lambda m: m["time_sent"]):
            sender, recipient = message["sender"], message["recipient"]
            if sender in consenting and (recipient in consenting or recipient == "ALL"):
                yield "said", Said(sender, None if recipient == "ALL" else recipient, message["message"].replace("~N~", "\n"))
        yield "orders", (phase["name"], phase["orders"])


def lies_games(folder: Path) -> list[Game]:
    """The ten games of `train` and `validation` whose orders are there too."""
    try:
        talk = [json.loads(line) for name in ("train", "validation") for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
        moves = [json.loads(line) for line in (folder / "moves.jsonl").open(encoding="utf-8")]
        return [recorded_play(f"diplomacy_lies/{game}", _lies_rows(game, talk, moves)) for game in sorted({m["game_id"] for m in moves})]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GameError(f"{folder}: not the set diplomacy_lies ({type(error).__name__}: {error}); fetch it again") from None


_SEASONS = {"spring": "S{}M", "fall": "F{}M", "winter": "W{}A"}


def _lies_rows(game: int, talk: Iterable[Mapping[str, Any]], moves: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    said: dict[str, list[tuple[int, Said]]] = {}
    for dialogue in talk:
        if dialogue["game_id"] == game:
            columns = (dialogue[k] for k in ("absolute_message_index", "speakers", "receivers", "messages", "seasons", "years"))
            for index, speaker, receiver, text, season, year in zip(*columns, strict=True):
                name = _SEASONS[season.lower()].format(year)
                said.setdefault(name, []).append((int(index), Said(speaker.upper(), receiver.upper(), text)))
    for record in moves:
        if record["game_id"] == game:
            name = _SEASONS[record["season"].lower()].format(record["year"])
            yield from (("said", one) for _, one in sorted(said.get(name, []), key=lambda row: row[0]))
            yield "orders", (name, {power.upper(): _written(orders) for power, orders in record["orders"].items()})


def _written(orders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Movement orders in our form. The record does not say what kind a unit is."""
    found = []
    for place, order in orders.items():
        unit, source, target = (f"{_UNREAD} {place.upper()}", str(order.get("from", "")).upper(), str(order.get("to", "")).upper())
        kind = order["type"]
        if kind == "HOLD":
            found.append(f"{unit} H")
        elif kind == "MOVE":
            found.append(f"{unit} - {target}")
        elif kind in ("SUPPORT", "CONVOY"):
            move = f" - {target}" if target and target != source else ""
            found.append(f"{unit} {kind[0]} {_UNREAD} {source}{move}")
    return found
