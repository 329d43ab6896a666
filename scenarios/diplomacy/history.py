"""History: a run's events as a saved game, and a saved game played again by the rules.

Pure: events enter as the plain records of a log, {"kind", "time", "agent", "data", …}, in their order. The log has the orders and a hash of every
position; the positions are worked out again and must hash the same, so that a saved game never says what did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board, adjustment_count, board_hash, initial_board, open_homes
from scenarios.diplomacy.map import HOME_CENTERS, POWERS
from scenarios.diplomacy.orders import OrderError, parse_order
from scenarios.diplomacy.rules import STANDARD, Rules
from scenarios.diplomacy.saved import PUBLIC, SavedGame, SavedGameError, SavedMessage, SavedPhase

CLOCK = "simulated microseconds"  # what `time_sent` counts in a saved run; its thousandths of a ms keep the stamps apart
WORDS = {  # our results in the words of the shape; a success says nothing
    "succeeds": (), "bounces": ("bounce",), "no convoy": ("no convoy",), "void": ("void",), "unmatched": ("void",), "cut": ("cut",),
    "dislodged": (), "fails": ("no convoy",),
}  # fmt: skip


def saved_game(events: Iterable[Mapping[str, Any]], name: str, rules: Rules = STANDARD) -> SavedGame:
    """The saved game of a run. Raises `SavedGameError` where the events are not those of a game under these rules."""
    board, said, phases, last = initial_board(), list[Mapping[str, Any]](), list[SavedPhase](), -1
    for event in events:
        if event["kind"] == "message":
            if event["agent"] in POWERS and len(event["data"]["readers"]) > 1:  # what an agent is told alone has no place in the shape
                said.append(event)
        elif event["kind"] == "outcome":
            for happened in event["data"]["events"]:
                if happened.get("what") == "adjudication":
                    messages = _messages(said, board.name, last, name)
                    last = messages[-1].time_sent or last if messages else last
                    phase, board = _phase(board, happened, messages, rules, name)
                    phases.append(phase)
                    said = []
    phases.append(saved_phase(board, messages=_messages(said, board.name, last, name)))
    return SavedGame(id=name, phases=tuple(phases), rest={"clock": CLOCK, "rules": []})


def _phase(
    board: Board, happened: Mapping[str, Any], messages: tuple[SavedMessage, ...], rules: Rules, name: str
) -> tuple[SavedPhase, Board]:
    """The phase that an adjudication ended, and the board it left."""
    if happened["phase"] != board.name:
        raise SavedGameError(f"{name}: the log goes on with {happened['phase']}, expected {board.name}; give the events of one whole run")
    orders = {power: tuple(order.partition("#")[0] for order in happened["orders"].get(power, ())) for power in POWERS}
    found = adjudicate(board, orders, rules)
    if board_hash(found.board) != happened["board"]:
        raise SavedGameError(f"{name}: the orders of {board.name} lead elsewhere than the log says; give the rules of that run")
    return saved_phase(board, orders, _words(found, happened["results"]), messages), found.board


def saved_phase(
    board: Board, orders: Mapping[str, Sequence[str]] | None = None, results: Mapping[str, tuple[str, ...]] | None = None,
    messages: tuple[SavedMessage, ...] = (),
) -> SavedPhase:  # fmt: skip
    """A phase on this board. Without `orders`, one that still waits for them."""
    retreats = {power: {d.unit: d.retreats for d in board.dislodged if d.power == power} for power in POWERS}
    return SavedPhase(
        name=board.name,
        units={power: (*units, *(f"*{unit}" for unit in retreats[power])) for power, units in board.units.items()},
        centers=board.centers,
        retreats=retreats,
        orders={power: tuple(own) for power, own in orders.items()} if orders is not None else dict.fromkeys(POWERS),
        results=results or {},
        messages=messages,
        attackers={d.unit: d.attacker_from for d in board.dislodged} if board.phase == "R" else None,
        contested=board.contested if board.phase == "R" else None,
        state_rest={"homes": {power: list(homes) for power, homes in HOME_CENTERS.items()},
                    "builds": {power: _builds(board, power) for power in POWERS}},
    )  # fmt: skip


def _builds(board: Board, power: str) -> dict[str, Any]:
    count = adjustment_count(board, power) if board.phase == "A" else 0
    return {"count": count, "homes": list(open_homes(board, power)) if count > 0 else []}


def _words(found: Resolution, logged: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """What became of each unit that was ordered, driven out or disbanded."""
    words: dict[str, tuple[str, ...]] = {}
    for results in logged.values():
        for text, result in results.items():
            try:
                unit = parse_order(text.partition("#")[0]).unit
            except OrderError:
                continue
            if unit and (result != "void" or unit not in words):
                words[unit] = WORDS[result]
    for unit in [d.unit for d in found.dislodged]:
        words[unit] = (*words.get(unit, ()), "dislodged")
    for _, unit in found.disbanded:
        words[unit] = (*words.get(unit, ()), "disband")
    return words


def _messages(said: Sequence[Mapping[str, Any]], phase: str, last: int, name: str) -> tuple[SavedMessage, ...]:
    """What was said in a phase, by time. No two stamps of a game are the same: the package keeps one message per stamp."""
    written = []
    for event in sorted(said, key=lambda event: event["time"]):
        readers = set(event["data"]["readers"])
        others = sorted(readers - {event["agent"]})
        if len(others) != 1 and readers != set(POWERS):
            raise SavedGameError(f"{name}: message {event['data']['id']} has {len(readers)} readers; the shape knows one recipient, or all seven")
        last = max(event["time"] * 1000, last + 1)
        to = PUBLIC[0] if readers == set(POWERS) else others[0]
        written.append(SavedMessage(sender=event["agent"], recipient=to, phase=phase, text=event["data"]["text"], time_sent=last))
    return tuple(written)


# ---- back ----------------------------------------------------------------------------------------------------------

def replay(game: SavedGame, rules: Rules = STANDARD) -> Iterator[tuple[SavedPhase, Board, Resolution]]:
    """Each phase that has another behind it: as the file has it, its position, and what the rules make of its orders."""
    for phase in game.phases[:-1]:
        board = phase.board()
        if board is not None:
            yield phase, board, adjudicate(board, phase.given(), rules)


def departures(game: SavedGame, rules: Rules = STANDARD) -> list[str]:
    """The phases from which the rules lead elsewhere than the file does. A finished game may end without a last position."""
    follows = {phase.name: after.board() for phase, after in zip(game.phases, game.phases[1:])}
    found = [(phase.name, result.board, follows[phase.name]) for phase, _, result in replay(game, rules)]
    return [name for name, ours, theirs in found if theirs is not None and _known(ours) != _known(theirs)]


def _known(board: Board) -> Board:
    """The board without what a file of another program does not say."""
    return replace(board, contested=(), dislodged=tuple(replace(d, attacker_from="") for d in board.dislodged))
