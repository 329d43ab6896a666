"""The human policy, a person at the terminal: shown what its agent sees, hears and may do, in lines that cannot steer the terminal; asked until it is done.

Whatever is typed that is no command, message or move is told in a line, and asked for again. `quit`, or the end of the input, is Ctrl-C: the run ends
as interrupted, the step that was being played is not in its log, and `resume` goes on with it. Several people share one terminal in turn.
Of what the world shows only what is new since this seat was last asked is printed again; `board` prints all of it.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from agents.answering import heard, recalled, remembered
from agents.conversed import Bounds, Kept
from agents.doors import CLOSED, Doors
from agents.legal import Legal, legal_of
from agents.memory import AgentMemory
from agents.replying import MOST_SAID, channel_of, spoken
from agents.types import JSON, Action, AgentID, Language, Message, Observation, Turn
from sociallm.conversation import printable

needs_model = False
outside = True
terminal = True
MOST_TYPED = 8192  # characters of a line
LINES, WIDTH = 24, 240  # of what the world shows, until `board` asks for all of it
NARROWEST, WIDEST, USUAL = 40, 160, 80  # characters of a line of the terminal; where there is none to ask
BOUNDS = Bounds()
HELP = """to NAME: text     say it to NAME, as far as a channel is open to it now
to A, B: text     say it to several; all: text, to everybody
3                 make move number 3 of the list (1 12 40: one of each list);
                  or write the move in words
plan 3            note that you mean to move so: nobody reads it, the log has it
moves, board      the moves that are legal; all that the world shows you
view, view NAME   earlier messages; those with NAME, or in the channel NAME
said, undo        what you are about to say and do; take back the last of it
help, ?           this list
(an empty line)   end your turn
quit              leave: the run can be gone on with"""
TO = re.compile(r"(?:to\s+)?([^:]{1,200}?)\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Options:
    """`lines`: how many lines of what the world shows are printed each turn; `board` prints all."""

    lines: int = LINES

    def __post_init__(self) -> None:
        if not 0 <= self.lines <= 10_000:
            raise ValueError(f"lines is {self.lines}; expected 0 to 10000")


@dataclass
class _Seat:
    """One turn at the terminal. Working memory of that turn, never seen outside."""

    seen: Observation
    legal: Legal
    before: Sequence[Kept]  # the messages that it can recall, the latest last
    wide: int
    said: list[Message] = field(default_factory=list)
    chosen: dict[str, str] = field(default_factory=dict)  # list → what was chosen of it, of a world where there is a list for each part of a move
    planned: dict[str, str] = field(default_factory=dict)  # the same of `plan`
    move: JSON = None
    intent: JSON = None
    done: list[str] = field(default_factory=list)  # what was typed that counted
    warned: bool = False


class HumanPolicy:
    """Asks whoever sits at the terminal. What it remembers is what was heard and said."""

    def __init__(self, language: Language | None, options: Options, doors: Doors):
        self._language, self._options, self._doors = language, options, doors
        self._shown: dict[AgentID, frozenset[str]] = {}  # what stands on this terminal already; nothing that an agent does follows from it

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """Each turn in order. Raises KeyboardInterrupt when the person leaves, ValueError where there is no terminal."""
        return [self._ask(turn) for turn in turns]

    def recall(self, turn: Turn, action: Action) -> AgentMemory:
        """The memory after a turn that was taken before."""
        return recalled(turn, action, self._language, BOUNDS)

    def _ask(self, turn: Turn) -> tuple[Action, AgentMemory]:
        if self._doors.terminal is None:
            raise ValueError("a person sits here, and there is no terminal; run it by python -m sandbox run, or seat another policy")
        typed, shown = self._doors.terminal
        first, notes = turn.memory.notes is None, heard(turn, self._language, BOUNDS)
        before = sorted((message for key in ("alone", "ranked", "window") for message in notes[key]), key=lambda message: message["time"])
        seat = _Seat(turn.observation, legal_of(self._language, turn.observation, notes["world"]), before, _width(shown))
        self._show(shown, seat, first)
        while (line := _line(typed, shown, seat.seen.agent)) or not _finished(seat, shown):
            if line:
                _tell(shown, *_obeyed(line.strip(), seat), wide=seat.wide)
        action = Action(intent=seat.intent, messages=tuple(seat.said), wording=tuple({"by": "human"} for _ in seat.said), move=seat.move if seat.seen.move_due else None)
        return action, remembered(turn, notes, action, BOUNDS)

    def _show(self, shown: TextIO, seat: _Seat, first: bool) -> None:
        seen, most = seat.seen, self._options.lines
        lines = ["", f"=== {seen.agent}, step {seen.step} ==="]
        persona = seen.view.get("persona")
        if first:
            lines += [*([f"who you are: {persona}"] if isinstance(persona, str) else []), "type help, or ?, for what can be typed here"]
        known = self._shown.get(seen.agent, frozenset())
        new = [line for line in seat.legal.seen if line not in known]
        self._shown[seen.agent] = frozenset(seat.legal.seen) - frozenset(new[most:])
        lines += [line if len(line) <= WIDTH else f"{line[:WIDTH]}…" for line in new[:most]]
        if len(new) > most:
            lines.append(f"… {len(new) - most} lines more: board")
        elif len(new) < len(seat.legal.seen):
            lines.append("the rest of the board is as it was: board")
        lines += [f"{message.author} [{message.channel.name}]: {message.text}" for message in seen.heard]
        _tell(shown, *lines, _due(seen), *(_moves(seat.legal, seat.wide) if seen.move_due else []), wide=seat.wide)


def _due(seen: Observation) -> str:
    """Whom one may write to now, and whether a move is due, in words for a person."""
    pairs = sorted({name for c in seen.may_write for name in c.readers - {seen.agent} if len(c.readers) == 2})
    tables = [f"{c.name} (read by {', '.join(sorted(c.readers - {seen.agent}))})" for c in seen.may_write if len(c.readers) != 2]
    said = f"You may write to {', '.join([*pairs, *tables])}." if pairs or tables else "You can write to nobody now."
    return f"{said} {'Your move is due.' if seen.move_due else 'No move is due: plan … notes what you intend.'} An empty line ends your turn."


def _width(shown: TextIO) -> int:
    """Characters of a line of this terminal."""
    try:
        wide = os.get_terminal_size(shown.fileno()).columns
    except (AttributeError, OSError, ValueError):  # no terminal, no file
        wide = USUAL
    return max(NARROWEST, min(WIDEST, wide or USUAL))


def _tell(shown: TextIO, *lines: str, wide: int = WIDEST) -> None:
    """Each line, wrapped with an indent: no text can begin a line of its own. Where a character takes two places of a terminal, all are counted so."""
    for line in map(printable, lines):
        most = (wide - 1) // 2 if any(unicodedata.east_asian_width(c) in "WF" for c in line) else wide - 1
        print("\n".join(textwrap.wrap(line, most, subsequent_indent="    ", break_on_hyphens=False)), file=shown)
    shown.flush()


def _line(typed: TextIO, shown: TextIO, agent: AgentID) -> str:
    """What was typed, "" for an empty line. Raises KeyboardInterrupt at the end of the input, and for quit."""
    print(f"{printable(agent)}> ", end="", file=shown, flush=True)
    line = typed.readline(MOST_TYPED)
    while line and not line.endswith("\n") and len(line) == MOST_TYPED:
        _tell(shown, f"that line has more than {MOST_TYPED} characters; the rest of it is left out")
        while (rest := typed.readline(MOST_TYPED)) and not rest.endswith("\n"):
            pass
        break
    if not line or line.strip().casefold() in ("quit", "exit"):
        raise KeyboardInterrupt("the person at the terminal left")
    return line.strip()


def _finished(seat: _Seat, shown: TextIO) -> bool:
    """Whether an empty line ends the turn: it does, but once it is told first that no move, or a part of one, was made."""
    if not seat.seen.move_due or seat.warned:
        return True
    missing = [name for name, _ in seat.legal.lists if name not in seat.chosen] if seat.chosen else []
    if seat.move is not None and not missing:
        return True
    seat.warned = True
    _tell(shown, f"no move yet for {', '.join(missing)}" if missing else "no move yet", "an empty line once more: that is all")
    return False


def _obeyed(line: str, seat: _Seat) -> list[str]:
    """Do what was typed; what to say to it."""
    word, _, rest = line.partition(" ")
    simple = {"moves": _moves(seat.legal, seat.wide), "board": list(seat.legal.seen), "view": _before(seat, ""), "said": _about(seat)}
    simple["help"] = simple["?"] = HELP.split("\n")
    if line.casefold() in simple:
        return list(simple[line.casefold()])
    if word.casefold() == "view" and ":" not in rest:
        return _before(seat, rest)
    if line.casefold() == "undo":
        return _undone(seat)
    planning = word.casefold() == "plan" and bool(rest)
    found = None if planning or _numbers(line) or line.startswith(("{", "[")) else TO.fullmatch(line)
    if found:
        told = _said(found[1], found[2], seat)
    elif planning or seat.seen.move_due:
        told = _moved(rest.strip() if planning else line, seat, planning)
    else:
        told = ["no move is due now; say it as plan …, or to whom you write: to NAME: text"]
    return told


def _said(to: str, text: str, seat: _Seat) -> list[str]:
    names = [name.strip() for name in to.split(",") if name.strip()]
    place = channel_of({"to": names[0] if len(names) == 1 else names}, seat.seen)
    words = spoken(text)
    if isinstance(place, str):
        return [f"not said: {place}"]
    if words is None or len(words) > MOST_SAID:
        return [f"not said: expected 1 to {MOST_SAID} characters"]
    seat.said.append(seat.seen.say(len(seat.said), place[0], words, place[1]))
    seat.done.append("said")
    return [f"to be said in {place[0].name} to {', '.join(sorted(place[1]))}"]


def _moved(text: str, seat: _Seat, planning: bool) -> list[str]:
    """Take a move, or a part of one, typed by number or in the world's own words."""
    lists, chosen = seat.legal.lists, seat.planned if planning else seat.chosen
    picks = _picked(text, lists)
    if isinstance(picks, str):
        return [picks]
    if len(lists) > 1 and picks:
        before = dict(chosen)
        chosen.update(picks)
        read = seat.legal.read(dict(chosen))
        value, intent = (read.move, read.intent) if read.wrong is None else (dict(chosen), {name: {option: 1.0} for name, option in chosen.items()})
        left = [name for name, _ in lists if name not in chosen]
        told = [f"{name}: {option}" for name, option in picks] + ([f"still open: {', '.join(left)}"] if left else [read.wrong] if read.wrong else [])
        if not left and read.wrong:  # all parts, and they do not go together
            chosen.clear()
            chosen.update(before)
            return [str(read.wrong)]
    else:
        options = [option for _, option in picks]
        read = seat.legal.read((options[0] if len(options) == 1 else options) if picks else _value(text))
        if read.wrong is not None:
            return [_for_people(read.wrong), *read.dropped]
        value, intent, told = read.move, read.intent, [f"{'planned' if planning else 'move'}: {_in_words(read.move)}", *read.dropped]
    seat.done.append("plan" if planning else "move")
    if not planning:
        seat.move = value
    seat.intent = intent
    return told


def _picked(text: str, lists: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, str]] | str:
    """(list, option) of every number, or of an option that was written out; none for what is neither; or, in a line, what is wrong with a number."""
    flat = [(name, option) for name, options in lists for option in options]
    if numbers := _numbers(text):
        if not flat:
            return []  # a price, perhaps
        wrong = [n for n in numbers if not 1 <= n <= len(flat)]
        return f"{wrong[0]}: no such number; the list has 1 to {len(flat)}: moves" if wrong else [flat[n - 1] for n in numbers]
    return next(([entry] for entry in flat if _plain(entry[1]) == _plain(text)), [])


def _numbers(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    return [int(part) for part in parts] if parts and all(part.isascii() and part.isdecimal() and len(part) < 6 for part in parts) else []


def _plain(text: str) -> str:
    return re.sub(r"\s*-\s*", "-", " ".join(text.casefold().split()))


def _value(text: str) -> JSON:
    """A move as JSON, or as the text it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _undone(seat: _Seat) -> list[str]:
    if not seat.done:
        return ["nothing was said or done yet"]
    what = seat.done.pop()
    if what == "said":
        return [f"not said: {seat.said.pop().text}"]
    if what == "move":
        seat.move, seat.chosen = None, {}
    seat.intent, seat.planned = None, {}
    return ["the whole move is taken back" if what == "move" else "the plan is taken back"]


def _moves(legal: Legal, wide: int) -> list[str]:
    """What may be done, numbered: a list for each part of a move, in columns."""
    if legal.schema == {"type": "null"}:
        return ["There is no move for you to make now."]
    if not legal.lists:
        return [_for_people(line) for line in legal.moves]
    first, number = [], 1
    for _, options in legal.lists:
        first.append(str(number))
        number += len(options)
    lines = [f"One of each list, by number (such as {' '.join(first)}) or in the words that stand there:" if len(first) > 1 else f"{_for_people(legal.moves[0])} By number, or in words:"]
    cells, number = [], 1
    for name, options in legal.lists:
        cells = [f"{number + i:>3} {option}" for i, option in enumerate(options)]
        number += len(options)
        each = max(map(len, cells), default=0) + 2
        columns = max(1, (wide - 3) // each)
        lines += [name, *("  " + "".join(cell.ljust(each) for cell in cells[i : i + columns]).rstrip() for i in range(0, len(cells), columns))]
    return lines


def _for_people(line: str) -> str:
    """A line that tells a model what to write, without the JSON in it."""
    line = re.sub(r'\{"\w+": \[([^\]]*)\]\}', r"\1", line)  # {"BUILD": [2 of the following]}
    line = re.sub(r",? as in [\[{].*?[\]}]", "", line)
    return line.replace("; copy the orders from these lines", "").replace("any JSON value that this world understands", "what this world takes: text, a number, or JSON")


def _before(seat: _Seat, name: str) -> list[str]:
    """The earlier messages, of everybody or of those that have to do with a name."""
    wanted = name.strip().casefold()
    found = [m for m in seat.before if not wanted or wanted in (str(one).casefold() for one in (m["from"], m["channel"], *m["to"]))]
    return [f"{m['from']} [{m['channel']}]: {m['text']}" for m in found] or [f"no message{f' with or in {name.strip()[:80]}' if wanted else ''} yet"]


def _in_words(move: JSON) -> str:
    """A move as the board writes it."""
    if isinstance(move, Mapping):
        return ", ".join(told if told.startswith(key) else f"{key}: {told}" for key, value in move.items() for told in (_in_words(value),))
    if isinstance(move, list):
        return ", ".join(map(_in_words, move))
    return move if isinstance(move, str) else json.dumps(move, ensure_ascii=False)


def _about(seat: _Seat) -> list[str]:
    """What will be said and done."""
    move = [f"move: {_in_words(seat.move)}"] if seat.move is not None else []
    plan = [f"plan: {_planned(seat.intent)}"] if seat.intent is not None else []
    return [f"[{message.channel.name}] {message.text}" for message in seat.said] + move + plan or ["nothing yet"]


def _planned(intent: JSON) -> str:
    """What is surely meant: the options of a distribution, or of several."""
    if isinstance(intent, Mapping):
        parts = [_planned(inner) if isinstance(inner, Mapping) else str(option) for option, inner in intent.items() if inner]
        return ", ".join(parts)
    return _in_words(intent)


def make(language: Language | None, options: Options, agents: Sequence[AgentID], doors: Doors = CLOSED) -> HumanPolicy:
    """The policy for all agents that people play."""
    return HumanPolicy(language, options, doors)
