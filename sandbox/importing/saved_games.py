"""Saved games of Diplomacy as runs of our own world: press, orders, outcomes and centres as a played game tells them.

The shape is that of `scenarios/diplomacy/saved.py`. The orders are played again by the named rules under which every position is the file's; a game
for which there are none, or that does not begin in Spring 1901, is refused, or with --words taken for what was said in it. What the server said, and
what was said to observers, is left out. The orders of a last phase that was not played are, too.

A phase ends with the last message before its end; in a game without a message phases last ten minutes. Import, export to `diplomacy`, import: the same
canonical log, where the export takes nothing out of the texts, and but for orders that were void, which an export leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from sandbox.importing.source import Reading, Source
from sandbox.importing.talk import Deed, Talk, bounded, text_of
from sandbox.importing.times import in_ms, unit_of
from sandbox.importing.wish import ImportRefused
from scenarios.diplomacy.board import initial_board
from scenarios.diplomacy.channels import EVERYONE
from scenarios.diplomacy.environment import LATEST_YEAR, Options, State, make
from scenarios.diplomacy.history import CLOCK, departures
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.rules import NAMED
from scenarios.diplomacy.saved import OTHER_READERS, PUBLIC, SavedGame, SavedGameError, SavedMessage, read
from scenarios.recorded import LINE_BREAK, channel_between
from sociallm.conversation import Channel, Message

PHASE, SECOND = 600_000, 1000  # ms of a phase, and between messages, where the file has no times
Said = tuple[int, SavedMessage, int]  # phase, message, ms


def games(reading: Reading) -> Iterator[Talk]:
    """A talk a file."""
    for source in reading.sources:
        if (talk := reading.kept(_game, source, reading)) is not None:
            yield talk


def _game(source: Source, reading: Reading) -> Talk | None:
    try:
        found = read(source.path)
    except SavedGameError as error:
        raise ImportRefused(str(error), "games that are none") from None
    said = _timed(found, source, reading)
    words, by_phase = list[Message](), dict[int, list[Message]]()
    for phase, one, time in said:
        if (message := _message(len(words), one, time, found, source, reading)) is not None:
            words.append(message)
            by_phase.setdefault(phase, []).append(message)
    bounded(words, str(source.path))
    called = found.id or source.name
    if reading.wish.words:
        return Talk(name=called, source=source.name, where=str(source.path), happened=tuple(words), format=reading.format) if words else None
    rules = _rules(found, source)
    happened = tuple(chain.from_iterable(_played(found, rules, by_phase)))
    if not happened:
        return None
    return Talk(
        name=called, source=source.name, where=str(source.path), happened=happened, format=reading.format, agents=frozenset(POWERS),
        environment={"name": "diplomacy", "rules": rules, "last_year": max(1901, *(int(phase.name[1:5]) for phase in found.phases if phase.board()))},
    )  # fmt: skip


def _rules(game: SavedGame, source: Source) -> str:
    """The rules under which the file's positions follow from its orders. Raises `ImportRefused`."""
    begins = next((board for phase in game.phases if (board := phase.board())), None)
    if begins is None or begins != initial_board():
        raise ImportRefused(f"{source.path}: the game does not begin as S1901M of the standard map; say --words to take what was said in it", "games that begin elsewhere")
    left = {name: departures(game, rules) for name, rules in NAMED.items()}
    if best := next((name for name in NAMED if not left[name]), ""):
        return best
    phase = max((phases[0] for phases in left.values()), key=lambda name: (name[1:5], "SFW".index(name[0]), "MRA".index(name[-1])))
    raise ImportRefused(f"{source.path}: the orders of {phase} lead elsewhere than the file says, by the rules {', '.join(NAMED)}; say --words to take what was said in it", "games of other rules")


def _played(game: SavedGame, rules: str, said: dict[int, list[Message]]) -> Iterator[list[Message | Deed]]:
    """What happened in each phase."""
    world, rng = make(Options(rules=rules, press_rounds=0, last_year=LATEST_YEAR)), np.random.default_rng(0)
    begin = min((message.time for of in said.values() for message in of), default=None)
    board, time = initial_board(), begin or 0
    for number, phase in enumerate(game.phases):
        talk = said.get(number, [])
        time = talk[-1].time if talk else (number + 1) * PHASE if begin is None else time
        last = number == len(game.phases) - 1
        if phase.board() is None or last:
            yield list(talk)
            continue
        given = {power: [" ".join(order.upper().split()) for order in phase.orders.get(power) or ()] for power in POWERS}
        if phase.name[-1] == "R":  # the rules tell retreats by unit, whatever order they were given in
            given = {power: sorted(orders, key=lambda order: order.split()[:2]) for power, orders in given.items()}
        moves = {power: orders for power, orders in given.items() if orders}
        outcome = world.step(State(board), moves, rng)
        yield [*talk, Deed(time=time, moves=moves, outcome=outcome)]
        board = outcome.state.board


def _timed(game: SavedGame, source: Source, reading: Reading) -> list[Said]:
    """What the powers said, phase by phase in the order of time, which never runs backwards."""
    phases = [[message for message in phase.messages if not {message.sender, message.recipient} & set(OTHER_READERS)] for phase in game.phases]
    reading.left_out["of the server or to observers"] += sum(len(phase.messages) for phase in game.phases) - sum(map(len, phases))
    stamps = [message.time_sent for phase in phases for message in phase if message.time_sent is not None]
    unit = "us" if game.rest.get("clock") == CLOCK else unit_of(stamps) if reading.wish.unit == "auto" else reading.wish.unit
    found, last = list[Said](), None
    for number, phase in enumerate(phases):
        rows = []
        for index, message in enumerate(phase):
            stamp = message.time_sent
            time = number * PHASE + index * SECOND if not stamps else None if stamp is None else in_ms(("", stamp), unit, str(source.path))
            rows.append((time, message))
        for time, message in _in_order(rows):
            last = max(time if time is not None else 0, last) if last is not None else time or 0
            found.append((number, message, last))
    return found


def _in_order(rows: list[tuple[int | None, SavedMessage]]) -> list[tuple[int | None, SavedMessage]]:
    """By time; one without a time stays behind the one before it."""
    filled, last = [], None
    for time, message in rows:
        last = time if time is not None else last
        filled.append((last, message))
    return sorted(filled, key=lambda row: -1 if row[0] is None else row[0])


def _message(number: int, one: SavedMessage, time: int, game: SavedGame, source: Source, reading: Reading) -> Message | None:
    where = f"{source.path}: {one.phase}, from {one.sender}"
    plain = one.text if game.rest.get("clock") == CLOCK else one.text.replace(LINE_BREAK, "\n")
    try:
        text = text_of(plain, where, reading.wish, reading.cleaned)
        if one.sender in PUBLIC or one.sender == one.recipient:
            raise ImportRefused(f"{where}: to {one.recipient}; expected one power to another, or to all; say --skip to leave it out", "to nobody else")
    except ImportRefused as error:
        reading.refuse(error)
        return None
    if not text:
        reading.left_out["without a text"] += 1
        return None
    to = frozenset() if one.recipient in PUBLIC else frozenset({one.recipient})
    return Message(id=f"m{number}", author=one.sender, channel=_channel(one), time=time, text=text, addressees=to)


def _channel(one: SavedMessage) -> Channel:
    return EVERYONE if one.recipient in PUBLIC else channel_between(one.sender, one.recipient)
