"""What an agent may say and do: every action passes here before anything follows from it.

A policy is foreign code, or hands on what a server or a person wrote. It speaks for its own agent only, at its own moment, in channels that
are its to write in, in messages of bounded size and number; whatever else it hands over is left out, and a fault says what and why. Nothing
is taken by its own word: a value is of its very type, not of one derived from it, which may compare equal to anything and change when it is
looked at again; and what is let through names the world's own channel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from agents.types import JSON, Action, Observation
from sandbox.writing import writer
from sociallm.conversation import MAX_TEXT, AgentID, Channel, Message, clean

MAX_MESSAGES = 32  # of one agent in one turn
MAX_ID = 160  # characters of a message's id, after the step and the agent
MAX_JSON = 256 * 1024  # bytes of an intent, of its choices or usage, a move or one message's wording
MAX_DEPTH = 64  # levels of such a value: it is written and read again with other levels around it, and Python's own limit counts them all
MAX_FAULTS, MAX_WHAT, MAX_WHY = 96, 40, 600  # of one turn: those that a policy tells, and those found here; characters of one
# what a record of the log, or a message's row in a table, says of it: no wording may say it otherwise
OF_THE_MESSAGE = frozenset((
    "agent", "author", "channel", "crc", "id", "kind", "readers", "reply_to", "seq", "step", "text", "time", "to", "v", "wall",
))  # fmt: skip
WORLDS = "world"  # who worded what the world itself says
_NOTHING: tuple[()] = ()
_text = writer()
_Faults = Callable[[str, str], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that an agent tried and may not."""

    agent: AgentID
    what: str
    why: str


def permitted(
    seen: Observation, action: Action, agents: Collection[AgentID], taken: Collection[str], outside: bool = True
) -> tuple[Action, tuple[Fault, ...]]:
    """The part of an action that the rules allow, and the faults. `agents` are all of the run, `taken` the message ids of it so far. `outside`:
    whether this agent's answers come from outside the run; a run's budget counts what those took, and nobody else's word of it."""
    if type(action) is not Action:
        return Action(), (Fault(agent=seen.agent, what="action", why=f"expected an Action, got {type(action).__name__}"),)
    silent = action.messages is _NOTHING and action.wording is _NOTHING and action.intent is action.choices is action.usage is None
    if silent and action.faults is _NOTHING and seen.move_due and _exact(action.move):
        return action, ()  # most turns of most worlds
    faults: list[Fault] = []

    def fault(what: str, why: str) -> None:
        if len(faults) < MAX_FAULTS:  # told and found together: a step played again from the log is told all of them, and finds none
            faults.append(Fault(agent=seen.agent, what=what[:MAX_WHAT], why=why[:MAX_WHY]))

    for told in action.faults[:MAX_FAULTS] if type(action.faults) is tuple else ():
        if type(told) is tuple and len(told) == 2 and type(told[0]) is type(told[1]) is str:
            fault(*told)
    said: list[Message] = []
    wording: list[Mapping[str, JSON]] = []
    ids: set[str] = set()
    for i, message in enumerate(action.messages if type(action.messages) in (tuple, list) else ()):
        if i >= MAX_MESSAGES:
            fault("message", f"more than {MAX_MESSAGES} messages in one turn, {len(action.messages)}")
            break
        channel, why = _channel(seen, message)
        why = why or _why_not(seen, message, agents, taken, ids)
        if channel is None or why:
            fault("message", str(why))
        else:
            said.append(message if message.channel is channel and message.text.isascii() else replace(message, channel=channel, text=clean(message.text)))
            wording.append(_wording(action.wording, i, fault))
            ids.add(message.id)
    intent, move = _value("intent", action.intent, fault), _value("move", action.move, fault)
    if move is not None and not seen.move_due:
        fault("move", "no move was due")
        move = None
    choices, usage = _value("choices", action.choices, fault), _value("usage", action.usage, fault)
    if usage is not None and not (outside and isinstance(usage, dict)):
        fault("usage", "expected what was taken by name, as in {\"calls\": 1}" if outside else "this agent asks nobody outside the run; nothing is counted")
        usage = None
    return Action(intent=intent, messages=tuple(said), wording=tuple(wording), move=move, choices=choices, usage=usage), tuple(faults)


def _channel(seen: Observation, message: object) -> tuple[Channel | None, str | None]:
    """The world's own channel that a message is for, or why there is none. Raises nothing, whatever it is given."""
    if type(message) is not Message or not type(message.text) is type(message.id) is str:
        return None, f"expected a Message with a text and an id, got {type(message).__name__:.60}"
    given = message.channel
    for own in seen.may_write:
        if given is own:
            return own, None
    plain = type(given) is Channel and type(given.name) is str and type(given.readers) is frozenset and all(type(name) is str for name in given.readers)
    equal = next((own for own in seen.may_write if own == given), None) if plain else None
    return equal, None if equal is not None else f"channel {_shown(given.name if plain else given)} is not this agent's to write in now"


def _why_not(seen: Observation, message: Message, agents: Collection[AgentID], taken: Collection[str], ids: Collection[str]) -> str | None:
    """Why a message of a known type, with a text and an id, may not be sent, or None."""
    if type(message.author) is not str or message.author != seen.agent:
        return f"it names {_shown(message.author)} as its author"
    if type(message.time) is not int or message.time != seen.time:
        return f"it is dated {_shown(message.time)}, the agent's moment is {seen.time}"
    own, name = f"{seen.step}:{seen.agent}:", message.id
    if len(name) > len(own) + MAX_ID or not name.startswith(own) or not name[len(own) :].isprintable() or name in taken or name in ids:
        return f"its id {_shown(name)} is taken, too long, not plain text, or does not begin with {_shown(own)}, so that no agent can take another's"
    to, reply_to = message.addressees, message.reply_to
    if type(to) is not frozenset or len(to) > len(agents) or not all(type(name) is str for name in to) or not to.issubset(agents):
        return f"its addressees are not agents of this run: {_shown(to)}"
    if reply_to is not None and not (type(reply_to) is str and (reply_to in taken or reply_to in ids)):
        return f"it replies to {_shown(reply_to)}, which nobody has sent"
    counted = message.text.isascii() or len(message.text) > MAX_TEXT  # no copies are made of what is too long anyway
    size = len(message.text) if counted else len(clean(message.text).encode())
    if size > MAX_TEXT or not message.text.strip():
        return f"its text has {size} bytes{'' if message.text.isascii() or not counted else ' at least'}; expected some words, at most {MAX_TEXT} bytes"
    return None


def _shown(value: object) -> str:
    """What was given, as a fault tells it: its beginning, without going through all of it, nor calling anything of a foreign type."""
    if type(value) is str:
        return f"{value[:60]!r:.60}"
    if type(value) is frozenset:
        return f"{len(value)} of them" if len(value) > 5 else ", ".join(sorted(map(_shown, value))) or "none"
    return f"{value!r}" if type(value) in (bool, float, type(None)) or _exact(value) else f"a value of type {type(value).__name__:.60}"


def _wording(wording: object, i: int, fault: _Faults) -> Mapping[str, JSON]:
    """How the words of message `i` came about, as the policy has it, but for what the message itself says."""
    given = wording[i] if isinstance(wording, (tuple, list)) and i < len(wording) else {}
    value = _value("wording", dict(given) if isinstance(given, Mapping) and type(given) is not dict else given, fault)
    if not isinstance(value, dict):
        return {}
    if forged := sorted(OF_THE_MESSAGE & value.keys()) or ([f"by: {WORLDS}"] if value.get("by") == WORLDS else []):
        fault("wording", f"it names {', '.join(forged)}, which {'are' if len(forged) > 1 else 'is'} not its to say; left out")
        return {key: inner for key, inner in value.items() if key not in OF_THE_MESSAGE and (key != "by" or inner != WORLDS)}
    return value


def _exact(value: object) -> bool:
    """Whether a value is a whole number that is as good as its text."""
    return type(value) is int and -(2**63) < value < 2**63


def _value(what: str, value: JSON, fault: _Faults) -> JSON:
    """The value as it will stand in the log, or None with a fault if it has no JSON form or is too large."""
    if value is None or _exact(value):
        return value
    if why := _too_large(value):
        fault(what, why)
        return None
    try:
        text = _text(value)
    except (TypeError, ValueError, RecursionError) as error:
        fault(what, f"it has no JSON form ({str(error)[:120]})")
        return None
    if len(text) > MAX_JSON:
        fault(what, f"it has {len(text)} bytes as JSON; expected at most {MAX_JSON}")
        return None
    return json.loads(text)


def _too_large(value: object) -> str | None:
    """Why a value would be too large, or too deep, as text, found without writing it out; None where it may fit. Stops where it is sure."""
    size, depth, level = 0, 0, [value]
    while level:
        below: list[object] = []
        for one in level:
            if isinstance(one, (dict, list, tuple)):
                size += 2 * len(one)
            elif isinstance(one, (str, int)):
                size += len(one) if isinstance(one, str) else one.bit_length() // 4
            if isinstance(one, dict) and size <= MAX_JSON:
                size += sum(len(key) for key in one if isinstance(key, str))
            if size > MAX_JSON:
                return f"it would have more than {MAX_JSON} bytes as JSON"
            if isinstance(one, (dict, list, tuple)):
                below.extend(one.values() if isinstance(one, dict) else one)
        depth, level = depth + 1, below
        if depth > MAX_DEPTH:
            return f"it has more than {MAX_DEPTH} levels"
    return None
