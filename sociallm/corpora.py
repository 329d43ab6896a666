"""From the raw public sets to Conversations: one loader a set, each a function of the data folder.

`load(name, root)` takes a name of LOADERS; `training(root)` is what the shipped model may be trained on beside the project's own
dialogues (`own(folder)`); the sets of VALIDATION it never sees. Every set keeps its own author names. Where a set has no clock, its order is kept and a fixed pace is
assumed (PACE), stated in the loader. Sources and licences: the `SOURCE.md` beside each set.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sociallm.conversation import Channel, Conversation, ConversationError, Message, clean, read_conversations, to_json

MAX_CHARACTERS = 2000  # a longer text is cut: a few pasted logs would otherwise weigh as much as a game
SECOND, DAY = 1000, 24 * 3600 * 1000
POWERS = frozenset({"AUSTRIA", "ENGLAND", "FRANCE", "GERMANY", "ITALY", "RUSSIA", "TURKEY"})

# What may train the shipped model. Evaluation only: the *_validation and *_dev entries, crd3 (share-alike).
TRAINING = ("diplomacy_lies", "cicero_games", "avalon_nlu", "llmafia", "hidden_profile_teams", "casino", "persuasion_for_good", "irc_disentanglement")
VALIDATION = ("diplomacy_lies_validation", "casino_validation", "irc_ubuntu_dev")
# Cicero games never trained on: of the 36 recorded ones the 12 whose file names have the smallest SHA-256.
HELD_OUT = frozenset(
    f"game_{name}.json" for name in (
        "434015_GERMANY_AF", "434119_AUSTRIA_FRT", "434170_TURKEY_FIR", "437765_ITALY_EFR", "439643_ENGLAND_T", "439679_ITALY_R",
        "439999_TURKEY_I", "441172_FRANCE_ERT", "444322_AUSTRIA_ER", "448105_ENGLAND_AG", "448741_ITALY_ERT", "449418_ENGLAND_GRT",
    )
)  # fmt: skip

# Weight of each set in the mixture of the shipped model: Diplomacy up, because it is mostly asked for press; IRC, four
# fifths of all characters, down to somewhat over two fifths.
MIXTURE = {
    "diplomacy_lies": 2.0, "cicero_games": 3.0, "avalon_nlu": 1.0, "llmafia": 1.0, "hidden_profile_teams": 1.0,
    "casino": 0.5, "persuasion_for_good": 0.5, "irc_disentanglement": 0.25,
}  # fmt: skip
ROOM = {"irc_disentanglement": 10, "irc_ubuntu_dev": 10}  # large rooms: an author has read the ten messages before its own

# mIRC colours carry digits after the control character; they must go together.
_COLOUR = re.compile(r"\x03(?:\d{1,2}(?:,\d{1,2})?)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def load(name: str, root: Path | str) -> list[Conversation]:
    """The conversations of one set. Raises `ConversationError` naming what is missing or malformed, in one line."""
    if name not in LOADERS:
        raise ConversationError(f"no corpus {name!r}; expected one of {', '.join(LOADERS)}")
    try:
        conversations = LOADERS[name](Path(root))
    except ConversationError:
        raise
    except (OSError, EOFError) as error:
        raise ConversationError(f"corpus {name}: cannot read {getattr(error, 'filename', None) or root} ({error}); is {root} the data folder?") from None
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise ConversationError(f"corpus {name} in {root}: a record has not the expected shape ({type(error).__name__}: {error}); "
                                "fetch the set again") from None
    return [c for c in conversations if c.messages]


def training(root: Path | str) -> dict[str, list[Conversation]]:
    """Every set that may train the shipped model, without the held-out Cicero games."""
    return {name: [c for c in load(name, root) if name != "cicero_games" or c.id not in HELD_OUT] for name in TRAINING}


def own(folder: Path | str) -> list[Conversation]:
    """The project's own dialogues: every `conversations.jsonl` below `folder`, as runs leave them there.

    Named and ordered by their contents, as runs are named by the clock; of equal ones one is kept. Raises `ConversationError`
    in one line.
    """
    found: dict[str, Conversation] = {}
    for path in sorted(Path(folder).rglob("conversations.jsonl")):
        for conversation in read_conversations(path):
            content = json.dumps(to_json(replace(conversation, id="")), sort_keys=True, ensure_ascii=False)
            name = hashlib.sha256(content.encode()).hexdigest()[:16]
            found[name] = replace(conversation, id=f"own/{name}")
    if not (kept := [found[name] for name in sorted(found) if found[name].messages]):
        raise ConversationError(f"{folder}: no conversations.jsonl with a message below it; expected a folder of runs (python -m sandbox run … run_dir={folder})")
    return kept


def tidy(text: str) -> str:
    """The text without control characters (newlines stay), trimmed and cut at MAX_CHARACTERS; may be empty."""
    text = clean(text).replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return _CONTROL.sub("", _COLOUR.sub("", text)).strip()[:MAX_CHARACTERS].rstrip()


def _conversation(id: str, rows: Iterable[tuple[int, str, Channel, str]]) -> Conversation:
    """A conversation from (time, author, channel, raw text) rows in time order; a text with nothing in it is left out."""
    kept = [(time, author, channel, tidy(text)) for time, author, channel, text in rows]
    return Conversation(id=id, messages=tuple(
        Message(id=f"m{i}", author=author, channel=channel, time=time, text=text)
        for i, (time, author, channel, text) in enumerate(row for row in kept if row[3])))


def _channel(name: str, readers: Iterable[str]) -> Channel:
    return Channel(name=name, readers=frozenset(readers))


def _pair(one: str, other: str) -> Channel:
    return _channel("-".join(sorted((one, other))), (one, other))


def _records(path: Path) -> Iterator[Any]:
    """The JSON records of a .jsonl or .jsonl.gz file."""
    with (gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8")) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ConversationError(f"{path}:{number}: not JSON ({error}); fetch the set again") from None


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConversationError(f"{path}: not JSON ({error}); fetch the set again") from None


def _documents(folder: Path, pattern: str) -> list[Path]:
    if not (paths := sorted(folder.glob(pattern))):
        raise ConversationError(f"{folder}: no {pattern}; is {folder.parent} the data folder?")
    return paths


def _grouped(records: Iterable[Any], key: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups


def _diplomacy_lies(split: str) -> Callable[[Path], list[Conversation]]:
    """One conversation a game, its dialogues merged in absolute order. No clock: a minute a message, an hour more at a new season."""

    def loader(root: Path) -> list[Conversation]:
        games: dict[str, list[tuple[int, str, str, str, str]]] = {}
        for dialogue in _records(root / "diplomacy_lies" / f"{split}.jsonl"):
            columns = (dialogue[k] for k in ("absolute_message_index", "speakers", "receivers", "messages", "seasons", "years"))
            games.setdefault(str(dialogue["game_id"]), []).extend(
                (int(index), speaker.upper(), receiver.upper(), text, f"{season} {year}")
                for index, speaker, receiver, text, season, year in zip(*columns, strict=True))
        return [_conversation(f"diplomacy_lies/{game}", _paced_by_season(sorted(rows))) for game, rows in sorted(games.items())]

    return loader


def _paced_by_season(rows: Iterable[tuple[int, str, str, str, str]]) -> Iterator[tuple[int, str, Channel, str]]:
    time, season = 0, None
    for _, speaker, receiver, text, now in rows:
        time += 60 * SECOND + (3600 * SECOND if season not in (None, now) else 0)
        season = now
        yield time, speaker, _pair(speaker, receiver), text


def _cicero_games(root: Path) -> list[Conversation]:
    """One conversation a game; its id is the file name. `time_sent` is Unix seconds × 10,000; `~N~` is a line break."""
    games = []
    for path in _documents(root / "cicero_games", "game_*.json"):
        sent = [m for phase in _document(path)["phases"] for m in phase["messages"]]
        rows = [(int(m["time_sent"]) // 10, m["sender"], _press(m["sender"], m["recipient"]), m["message"].replace("~N~", "\n")) for m in sent]
        games.append(_conversation(path.name, sorted(rows, key=lambda row: row[0])))
    return games


def _press(sender: str, recipient: str) -> Channel:
    return _channel("ALL", POWERS) if recipient == "ALL" else _pair(sender, recipient)


def _avalon_nlu(root: Path) -> list[Conversation]:
    """One conversation a game, one public channel of six. The game's own lines are left out. No clock: ten seconds a line."""
    games = []
    for path in _documents(root / "avalon_nlu", "*.json"):
        game = _document(path)
        channel = _channel("table", (user["name"] for user in game["users"].values()))
        said = ((i * 10 * SECOND, m["player"], m["msg"]) for i, m in enumerate(game["messages"].values()))
        games.append(_conversation(f"avalon_nlu/{path.stem}", [(t, who, channel, text) for t, who, text in said if who in channel.readers]))
    return games


def _llmafia(root: Path) -> list[Conversation]:
    """One conversation a game: `day` read by all players, `night` by the mafia. The manager's lines are left out."""
    events = _grouped(_records(root / "llmafia" / "events.jsonl.gz"), "game")
    games = []
    for game in _records(root / "llmafia" / "games.jsonl"):
        channels = {"day": _channel("day", (p["name"] for p in game["players"])), "night": _channel("night", game["mafia"])}
        rows, midnight, last = [], 0, 0
        for event in sorted(events.get(game["game"], []), key=lambda e: e["i"]):
            hours, minutes, seconds = (int(part) for part in event["t"].split(":"))
            clock = (hours * 3600 + minutes * 60 + seconds) * SECOND
            if midnight + clock < last - DAY // 2:  # the clock ran back by more than half a day: a new day began
                midnight += DAY
            last = max(last, midnight + clock)
            channel = channels.get(event["channel"])
            if channel and event["speaker"] in channel.readers:
                rows.append((last, event["speaker"], channel, event["text"]))
        games.append(_conversation(f"llmafia/{game['game']}", rows))
    return games


def _hidden_profile_teams(root: Path) -> list[Conversation]:
    """One conversation a team. A message reaches the sender's neighbours only: its channel is sender and receivers."""
    teams = []
    for team in _records(root / "hidden_profile_teams" / "teams.jsonl"):
        rows = []
        for message in team["messages"]:
            readers = [f"subject-{n}" for n in sorted({message[0], *message[1]})]
            rows.append((int(float(message[2]) * SECOND), f"subject-{message[0]}", _channel("+".join(readers), readers), message[-1]))
        teams.append(_conversation(f"hidden_profile_teams/{team['team']}", sorted(rows, key=lambda row: row[0])))
    return teams


def _casino(split: str) -> Callable[[Path], list[Conversation]]:
    """Two negotiators; text only, no demographics, deal actions left out. No clock: twenty seconds a turn."""
    deals = frozenset({"Submit-Deal", "Accept-Deal", "Reject-Deal", "Walk-Away"})
    channel = _channel("table", ("mturk_agent_1", "mturk_agent_2"))

    def loader(root: Path) -> list[Conversation]:
        return [_conversation(f"casino/{d['dialogue_id']}", [(i * 20 * SECOND, turn["id"], channel, turn["text"])
                                                            for i, turn in enumerate(d["chat_logs"]) if turn["text"] not in deals])
                for d in _document(root / "casino" / f"casino_{split}.json")]

    return loader


def _persuasion_for_good(root: Path) -> list[Conversation]:
    """Persuader and persuadee under their worker ids, stable over dialogues. No clock: twenty seconds a turn."""
    dialogues = []
    for d in _records(root / "persuasion_for_good" / "dialogues.jsonl.gz"):
        name = {role: d["participants"][role]["user"] for role in ("persuader", "persuadee")}
        if name["persuader"] == name["persuadee"]:  # a worker id joined wrongly would make a monologue
            name = {role: f"{user}-{role}" for role, user in name.items()}
        channel = _channel("chat", name.values())
        rows = [(i * 20 * SECOND, name[unit["role"]], channel, unit["text"]) for i, unit in enumerate(d["units"])]
        dialogues.append(_conversation(f"persuasion_for_good/{d['dialogue_id']}", rows))
    return dialogues


def irc(*files: str) -> Callable[[Path], list[Conversation]]:
    """One conversation an excerpt, one channel read by every nick that writes in it. Joins, parts and renames are left out.

    Only forward steps of the clock count: it has minutes only, and the dates of context lines are approximate.
    """

    def loader(root: Path) -> list[Conversation]:
        excerpts = []
        for file in files:
            for excerpt, lines in _grouped(_records(root / "irc_disentanglement" / f"{file}.jsonl.gz"), "file").items():
                said = [x for x in sorted(lines, key=lambda x: x["line"]) if x["kind"] in ("msg", "action") and x["nick"] and x["ts"]]
                channel = _channel(f"#{file.rsplit('_', 1)[-1]}", {x["nick"] for x in said})
                excerpts.append(_conversation(f"irc/{excerpt}", _forward((_unix(x["ts"]), x["nick"], channel, x["text"]) for x in said)))
        return excerpts

    return loader


def _unix(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() * SECOND)


def _forward(rows: Iterable[tuple[int, str, Channel, str]]) -> Iterator[tuple[int, str, Channel, str]]:
    time, last = None, 0
    for stamp, *rest in rows:
        time = stamp if time is None else time + max(0, stamp - last)
        last = stamp
        yield time, *rest  # type: ignore[misc]


def _crd3(split: str) -> Callable[[Path], list[Conversation]]:
    """One conversation an episode, one table. A line spoken together belongs to the first name. No clock: four seconds a turn."""

    def loader(root: Path) -> list[Conversation]:
        episodes = []
        for episode, turns in _grouped(_records(root / "crd3" / f"{split}.jsonl.gz"), "ep").items():
            turns = sorted((t for t in turns if t["names"]), key=lambda t: t["n"])
            channel = _channel("table", {t["names"][0] for t in turns})
            episodes.append(_conversation(f"crd3/{episode}", [(t["n"] * 4 * SECOND, t["names"][0], channel, t["text"]) for t in turns]))
        return episodes

    return loader


LOADERS: Mapping[str, Callable[[Path], list[Conversation]]] = {
    "diplomacy_lies": _diplomacy_lies("train"),
    "diplomacy_lies_validation": _diplomacy_lies("validation"),
    "cicero_games": _cicero_games,
    "avalon_nlu": _avalon_nlu,
    "llmafia": _llmafia,
    "hidden_profile_teams": _hidden_profile_teams,
    "casino": _casino("train"),
    "casino_validation": _casino("valid"),
    "persuasion_for_good": _persuasion_for_good,
    "irc_disentanglement": irc("ubuntu_train", "newdomain_mediawiki", "newdomain_stripe", "newdomain_ubuntu-meeting"),
    "irc_ubuntu_dev": irc("ubuntu_dev"),
    "crd3": _crd3("train"),
    "crd3_validation": _crd3("val"),
}
