"""Labelled human press: the files of "It Takes Two to Lie" (Peskov et al., ACL 2020), checked, as games of messages in order.

A line is a dialogue: the messages between two powers of one game, in parallel lists. `sender_labels` says of each whether its sender meant it
(false: a lie) and may be absent; what receivers suspected is not read at all. A message is told from the fields that stand with it, never
from others of the file: its time is a minute for each message of its game before it (`absolute_message_index`, the game's only clock) and an
hour for each season.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.metrics import AnalysisError

TRAIN, VALIDATION = "train.jsonl", "validation.jsonl"
SET = "diplomacy_lies"
POWERS = ("AUSTRIA", "ENGLAND", "FRANCE", "GERMANY", "ITALY", "RUSSIA", "TURKEY")
SEASONS = {"spring": 0, "fall": 1, "winter": 2}
LISTS = ("messages", "speakers", "receivers", "absolute_message_index", "seasons", "years", "game_score", "game_score_delta")
LABELS = "sender_labels"
MINUTE, HOUR = 60_000, 3_600_000
FIRST_YEAR, LAST_YEAR = 1901, 2000
MOST = 10_000_000  # of a message's number


@dataclass(frozen=True, kw_only=True)
class Press:
    """One message of a game, and what was public when it was sent. `lie` is its sender's label, None where the file has none."""

    line: int  # of the file: which dialogue,
    place: int  # and which message of it
    index: int  # in its game
    text: str
    sender: str
    receiver: str
    season: int  # since spring 1901
    score: int  # supply centres of the sender
    delta: int  # less those of the receiver
    lie: bool | None

    @property
    def time(self) -> int:
        """Milliseconds of the assumed clock."""
        return MINUTE * self.index + HOUR * self.season


@dataclass(frozen=True)
class PressGame:
    """The messages of one game in the order in which they were sent."""

    name: str
    messages: tuple[Press, ...]


def read_folder(folder: Path) -> list[PressGame]:
    """The games of a folder's train and validation files (in it, or in its diplomacy_lies), all labelled. Raises `AnalysisError`."""
    root = folder if (folder / TRAIN).is_file() else folder / SET
    paths = [path for path in (root / TRAIN, root / VALIDATION) if path.is_file()]
    if not paths:
        raise AnalysisError(f"{folder}: no {TRAIN} there, nor in {SET} below it; name the folder of the set with --data")
    games = [game for path in paths for game in read_labelled(path)]
    if twice := sorted({g.name for g in games if sum(o.name == g.name for o in games) > 1}):
        raise AnalysisError(f"{root}: game {twice[0]} is in {TRAIN} and in {VALIDATION}; a game belongs to one of them")
    return sorted(games, key=lambda game: (len(game.name), game.name))


def read_labelled(path: Path) -> list[PressGame]:
    """The games of a file of which every message has a label. Raises `AnalysisError`."""
    games = read_file(path)
    for game in games:
        for message in game.messages:
            if message.lie is None:
                raise AnalysisError(f"{path}:{message.line}: no {LABELS}; to fit or to measure needs the senders' labels, to score does not")
    return games


def read_file(path: Path) -> list[PressGame]:
    """The games of a file, in order of name. Raises `AnalysisError` in one line for the first thing that is wrong."""
    games: dict[str, list[Press]] = {}
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    name, messages = _dialogue(f"{path}:{number}", number, line)
                    games.setdefault(name, []).extend(messages)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); name a file of dialogues, JSON lines") from None
    except UnicodeDecodeError:
        raise AnalysisError(f"{path}: not UTF-8; name a file of dialogues, JSON lines") from None
    found = [PressGame(name, tuple(_in_order(path, messages))) for name, messages in games.items()]
    if not any(game.messages for game in found):
        raise AnalysisError(f"{path}: no message in it; name a file of dialogues, JSON lines")
    return sorted((game for game in found if game.messages), key=lambda game: (len(game.name), game.name))


def _in_order(path: Path, messages: Sequence[Press]) -> list[Press]:
    """By their numbers. Two of one number, or a season that comes back, are refused."""
    ordered = sorted(messages, key=lambda m: m.index)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.index == after.index:
            raise AnalysisError(f"{path}:{after.line}: absolute_message_index {after.index} is of a message of line {before.line} too; each has its own")
        if before.season > after.season:
            raise AnalysisError(f"{path}:{after.line}: message {after.index} is of an earlier season than message {before.index} before it; put seasons in order")
    return ordered


def _dialogue(where: str, line: int, text: str) -> tuple[str, list[Press]]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AnalysisError(f"{where}: not JSON ({' '.join(str(error).split()):.80}); a line is one dialogue") from None
    if not isinstance(record, dict):
        raise AnalysisError(f"{where}: expected an object with {', '.join(LISTS[:3])} …; a line is one dialogue")
    name = record.get("game_id")
    if isinstance(name, bool) or not isinstance(name, (int, str)) or not str(name):
        raise AnalysisError(f"{where}: game_id is {name!r:.40}; expected the number of a game")
    for key in LISTS:
        if not isinstance(record.get(key), list) or len(record[key]) != len(record[LISTS[0]]):
            raise AnalysisError(f"{where}: {key} is no list as long as messages; the lists have one entry a message")
    labels = record.get(LABELS)
    size = len(record[LISTS[0]])
    if labels is not None and not (isinstance(labels, list) and len(labels) == size and all(v is None or isinstance(v, bool) for v in labels)):
        raise AnalysisError(f"{where}: {LABELS} is no list of true (meant) and false (a lie) as long as messages; mend it, or leave it out")
    return str(name), list(_messages(where, line, record, labels or [None] * size))


def _messages(where: str, line: int, record: Mapping[str, Any], labels: Sequence[bool | None]) -> Iterator[Press]:
    for place, (text, sender, receiver, index, season, year, score, delta, label) in enumerate(zip(*(record[key] for key in LISTS), labels, strict=True)):
        at = f"{where}: message {place}"
        if not isinstance(text, str):
            raise AnalysisError(f"{at}: its text is {text!r:.40}; expected words")
        pair = [str(power).upper() for power in (sender, receiver)]
        if pair[0] == pair[1] or not set(pair) <= set(POWERS):
            raise AnalysisError(f"{at}: from {sender!r:.20} to {receiver!r:.20}; expected two different powers of {', '.join(POWERS).lower()}")
        if not isinstance(season, str) or season.lower() not in SEASONS:
            raise AnalysisError(f"{at}: season {season!r:.20}; expected one of {', '.join(SEASONS)}")
        since = 3 * (_whole(at, "year", year, FIRST_YEAR, LAST_YEAR) - FIRST_YEAR) + SEASONS[season.lower()]
        yield Press(
            line=line, place=place, index=_whole(at, "absolute_message_index", index, 0, MOST), text=text, sender=pair[0], receiver=pair[1], season=since,
            score=_whole(at, "game_score", score, 0, 34), delta=_whole(at, "game_score_delta", delta, -34, 34), lie=None if label is None else not label,
        )  # fmt: skip


def _whole(at: str, key: str, value: Any, least: int, most: int) -> int:
    """A whole number, or the text of one, as the files have them."""
    try:
        number = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise AnalysisError(f"{at}: {key} is {value!r:.20}; expected a whole number from {least} to {most}")
    return number
