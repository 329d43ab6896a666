"""Points of view of our own export, put together to the game that they are of.

A message stands in the row of each of its readers who has one. It is one message if author, channel, time, addressees and text agree; one that stands
twice in a row is two. Its channel's readers are those whom a header names, else all whose rows have the channel or who wrote or were addressed there.

Import, export to the same format, import: the same canonical log, where the export takes nothing out of the texts. Lost against the run that was
exported: ids and replies; what was of one step; notes that only their author reads; who read a channel in silence where no header names it; messages
of authors without a row (planted = exclude, or a filter) that nobody with a row read; of sharegpt also those of them that nobody answered. Messages
of one moment stand in the order of their authors.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.exporting.texts import called
from sandbox.importing.conversations import intent_of, label
from sandbox.importing.gathering import talk_of
from sandbox.importing.source import Reading
from sandbox.importing.talk import Line, Talk, name, text_of
from sandbox.importing.wish import ImportRefused
from sociallm.conversation import AgentID

SYSTEM, OWN = "system", "assistant"
TALKS = "You talk with "  # in what the system says: with whom
QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*"(?=, |$)')  # a name, as `called` has it
NEXT = re.compile(r"\n(?!  )")  # between the messages of one turn of sharegpt
Turn = tuple[str, str]  # role, content


class Heard(NamedTuple):
    """A message as a view has it."""

    author: str
    channel: str
    time: int
    to: tuple[str, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class View:
    """A row, checked. `turns`: of the columns, as many as there are."""

    agent: AgentID
    where: str
    place: tuple[int, int]
    system: str
    turns: Sequence[Turn]
    columns: Sequence[tuple[str, tuple[str, ...], str, int]]  # author, addressees, channel, time
    beside: Mapping[str, Any]

    @property
    def others(self) -> str:
        """With whom it talks, with commas."""
        return self.system.partition("\n")[0].partition(TALKS)[2].removesuffix(".")


def game(run: str, rows: Sequence[Any], reading: Reading) -> Talk | None:
    """The game of these rows: [file and line, turns, whether each message is a turn, the other columns]. Raises `ImportRefused`."""
    views = sorted((_view(row, reading) for row in rows), key=lambda view: view.agent)
    known = {view.agent for view in views} | {author for view in views for author, *_ in view.columns}
    known |= {other for view in views for other in _listed(view.others, known)}
    heads, seen = dict[str, set[str]](), dict[str, set[str]]()
    count, order, first, intents = Counter[Heard](), dict[Heard, int](), dict[Heard, View](), dict[tuple[Heard, int], Any]()
    for view in sorted(views, key=lambda view: view.place):
        mine, planned = Counter[Heard](), view.beside.get("intents")
        for number, (heard, readers) in enumerate(_heard(view, known)):
            mine[heard] += 1
            heads.setdefault(heard.channel, set()).update(readers)
            seen.setdefault(heard.channel, set()).update((view.agent, heard.author, *heard.to))
            if heard not in order or (heard.author == view.agent and first[heard].agent != view.agent):
                order[heard], first[heard] = number, view  # where it stands in its author's own view
            if heard.author == view.agent and isinstance(planned, list) and number < len(planned) and (intent := intent_of(planned[number], view.where)) is not None:
                intents[heard, mine[heard]] = intent
        count |= mine
    said = list[Line]()
    for heard in sorted(count, key=lambda heard: (heard.time, heard.author, order[heard])):
        for k in range(1, count[heard] + 1):
            line = _line(heard, heads[heard.channel] or seen[heard.channel], first[heard], intents.get((heard, k)), reading)
            said += [line] if line else []
    told = {view.agent: text_of(view.system.partition("\n")[2], view.where, reading.wish, reading.cleaned) for view in views}
    of = next((view.beside["game"] for view in views if isinstance(view.beside.get("game"), str)), "")
    return talk_of(run, said, reading, "ms", told=told, game=of, labels=_labels(views))


def _view(row: Sequence[Any], reading: Reading) -> View:
    (at, number), turns, plain, beside = row
    where = f"{reading.sources[at].path}:{number}"
    columns = [beside[key] for key in ("authors", "to", "channels", "times")]
    good = all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns) and isinstance(beside["agent"], str)
    good = good and all(isinstance(author, str) and isinstance(channel, str) and type(time) is int and isinstance(to, list) and all(isinstance(one, str) for one in to)
                        for author, to, channel, time in zip(*columns))  # fmt: skip
    system, spoken = (turns[0][1], turns[1:]) if turns and turns[0][0] == SYSTEM else ("", turns)
    rows = [(author, tuple(to), channel, time) for author, to, channel, time in zip(*columns)] if good else []
    spoken = spoken if plain else _apart(spoken, bool(rows) and rows[0][0] == beside["agent"])
    if not good or len(spoken) > len(rows) or (plain and len(spoken) < len(rows)):
        raise ImportRefused(f"{where}: agent, authors, to, channels, times and turns do not go together; export the run again, or say --skip", "rows that are none")
    return View(agent=beside["agent"], where=where, place=(at, number), system=system, turns=spoken, columns=rows, beside=beside)


def _apart(turns: Sequence[Turn], begins: bool) -> list[Turn]:
    """The messages of turns of sharegpt, of which one has all of a side that followed one another; one who begins answers a dash."""
    found = [(role, text.replace("\n  ", "\n")) for role, content in turns for text in NEXT.split(content)]
    return found[1:] if begins and found[:1] == [("user", "-")] else found


def _heard(view: View, known: set[str]) -> Iterator[tuple[Heard, set[str]]]:
    """(message, the readers its header names) of each message of a view that has a turn. Raises `ImportRefused`."""
    for (role, content), (author, to, channel, time) in zip(view.turns, view.columns):
        own = author == view.agent
        begin = "to " if own else f"{called(author)} to "
        if own and role != OWN:  # what it was told
            begin, readers = f"to {called(author)} alone: ", {author}
            rest = content.removeprefix(begin)
        elif to:
            begin, readers = f"{begin}{', '.join(map(called, to))}: ", set()
            rest = content.removeprefix(begin)
        else:
            readers, rest = _named(content.removeprefix(begin), known)
            readers |= {author}
        if not content.startswith(begin) or (role == OWN and not own):
            raise ImportRefused(f"{view.where}: {content!r:.60} does not begin as what {author!r:.40} says, {begin!r:.60}; export the run again, or say --skip", "rows that are none")
        yield Heard(author, channel, time, to, rest), readers


def _named(text: str, known: set[str]) -> tuple[set[str], str]:
    """(to whom, what is said) of a header's end: 'ANN, BOB: hello'; all are all that are known."""
    if text.startswith("all: "):
        return set(known), text[5:]
    found, rest = set[str](), text
    names = {called(one): one for one in known}
    while who := next((one for one in sorted(names, key=len, reverse=True) if rest.startswith(one) and rest[len(one) : len(one) + 2] in (", ", ": ")), ""):
        found.add(names[who])
        between, rest = rest[len(who) : len(who) + 2], rest[len(who) + 2 :]
        if between == ": ":
            return found, rest
    before, _, behind = text.partition(": ")
    return set(before.split(", ")), behind


def _listed(text: str, known: set[str]) -> list[str]:
    """Names between commas, some of them in quotes; a known one is known as it stands."""
    found, names = [], {called(one): one for one in known}
    while text:
        quoted = QUOTED.match(text)
        first = quoted[0] if quoted else text.partition(", ")[0]
        who = next((one for one in sorted(names, key=len, reverse=True) if text == one or text.startswith(f"{one}, ")), first)
        found.append(names.get(who) or (json.loads(who) if quoted and who == quoted[0] else who))
        text = text[len(who) + 2 :]
    return found


def _line(heard: Heard, readers: set[str], view: View, intent: Any, reading: Reading) -> Line | None:
    try:
        text = text_of(heard.text, view.where, reading.wish, reading.cleaned)
        if not text:
            reading.left_out["without a text"] += 1
            return None

        def called(one: str, what: str) -> str:
            return name(one, view.where, what, reading.cleaned)

        return Line(
            place=view.place, author=called(heard.author, "an author"), text=text, channel=called(heard.channel, "a channel"),
            readers=tuple(called(one, "a reader") for one in sorted(readers)), to=tuple(called(one, "an addressee") for one in heard.to), time=("ms", heard.time), intent=intent,
        )  # fmt: skip
    except ImportRefused as error:
        reading.refuse(error)
        return None


def _labels(views: Sequence[View]) -> dict[AgentID, Mapping[str, Any]] | None:
    """What is known of who was planted: of those without a row only that they were."""
    listed = [view.beside.get("planted_others") for view in views]
    others = [other for found in listed if isinstance(found, list) for other in found if isinstance(other, str)]
    if not others and not any(view.beside.get("labelled") is True for view in views):
        return None
    mine = {view.agent: label(view.beside.get("planted"), view.beside.get("as"), view.beside.get("executed")) for view in views}
    return {other: label(True, [], False) for other in others} | mine
