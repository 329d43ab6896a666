"""What an agent may say and do: every action passes here before anything follows from it.

A policy is foreign code. It speaks for its own agent only, at its own moment, in channels that are its to write in, in
messages of bounded size and number; whatever else it hands over is left out, and a fault says what and why.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agents.types import JSON, Action, Observation
from sandbox.writing import writer
from sociallm.conversation import MAX_TEXT, AgentID, Message, clean

MAX_MESSAGES = 32  # of one agent in one turn
MAX_JSON = 256 * 1024  # bytes of an intent, of its choices or usage, a move or one message's wording
MAX_FAULTS, MAX_WHY = 32, 600  # that a policy tells of one turn; characters of one
_NOTHING: tuple[()] = ()
_text = writer()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that an agent tried and may not."""

    agent: AgentID
    what: str
    why: str


def permitted(seen: Observation, action: Action, agents: Collection[AgentID], taken: Collection[str]) -> tuple[Action, tuple[Fault, ...]]:
    """The part of an action that the rules allow, and the faults. `agents` are all of the run, `taken` the message ids of it so far."""
    if not isinstance(action, Action):
        return Action(), (Fault(agent=seen.agent, what="action", why=f"expected an Action, got {type(action).__name__}"),)
    silent = action.messages is _NOTHING and action.wording is _NOTHING and action.intent is action.choices is action.usage is None
    if silent and action.faults is _NOTHING and seen.move_due and _exact(action.move):
        return (action, ()) if type(action) is Action else (Action(move=action.move), ())  # most turns of most worlds
    faults: list[Fault] = []

    def fault(what: str, why: str) -> None:
        faults.append(Fault(agent=seen.agent, what=what, why=why))

    for told in action.faults[:MAX_FAULTS] if isinstance(action.faults, tuple) else ():
        if isinstance(told, tuple) and len(told) == 2 and all(isinstance(text, str) for text in told):
            fault(told[0][:40], told[1][:MAX_WHY])
    said: list[Message] = []
    wording: list[Mapping[str, JSON]] = []
    ids: set[str] = set()
    for i, message in enumerate(action.messages if action.messages and isinstance(action.messages, Sequence) else ()):
        why = f"more than {MAX_MESSAGES} messages in one turn" if i >= MAX_MESSAGES else _why_not(seen, message, agents, taken, ids)
        if why:
            fault("message", why)
        else:
            said.append(message if message.text.isascii() else dataclasses.replace(message, text=clean(message.text)))
            wording.append(_wording(action.wording, i, fault))
            ids.add(message.id)
        if i > MAX_MESSAGES:
            break
    intent, move = _value("intent", action.intent, fault), _value("move", action.move, fault)
    if move is not None and not seen.move_due:
        fault("move", "no move was due")
        move = None
    choices, usage = _value("choices", action.choices, fault), _value("usage", action.usage, fault)
    return Action(intent=intent, messages=tuple(said), wording=tuple(wording), move=move, choices=choices, usage=usage), tuple(faults)


def _why_not(seen: Observation, message: Message, agents: Collection[AgentID], taken: Collection[str], ids: Collection[str]) -> str | None:
    """Why a message may not be sent, or None."""
    if not isinstance(message, Message) or not isinstance(message.text, str) or not isinstance(message.id, str):
        return f"expected a Message with a text and an id, got {type(message).__name__}"
    if message.author != seen.agent:
        return f"it names {message.author!r:.60} as its author"
    if message.channel not in seen.may_write:
        return f"channel {getattr(message.channel, 'name', message.channel)!r:.60} is not this agent's to write in now"
    if message.time != seen.time:
        return f"it is dated {message.time!r:.30}, the agent's moment is {seen.time}"
    own, name = f"{seen.step}:{seen.agent}:", message.id
    if not name.startswith(own) or not name.isprintable() or len(name) > 200 or name in taken or name in ids:
        return f"its id {name!r:.60} is taken, too long, not plain text, or does not begin with {own!r}, so that no agent can take another's"
    if not isinstance(message.addressees, frozenset) or not message.addressees.issubset(agents):
        return f"its addressees are not agents of this run: {message.addressees!r:.120}"
    reply_to = message.reply_to
    if reply_to is not None and not (isinstance(reply_to, str) and (reply_to in taken or reply_to in ids)):
        return f"it replies to {reply_to!r:.60}, which nobody has sent"
    size = len(clean(message.text).encode())
    if not message.text.strip() or size > MAX_TEXT:
        return f"its text has {size} bytes; expected some words, at most {MAX_TEXT} bytes"
    return None


def _wording(wording: object, i: int, fault) -> Mapping[str, JSON]:
    given = wording[i] if isinstance(wording, Sequence) and i < len(wording) else {}
    value = _value("wording", dict(given) if isinstance(given, Mapping) else given, fault)
    return value if isinstance(value, dict) else {}


def _exact(value: object) -> bool:
    """Whether a value is a whole number that is as good as its text."""
    return type(value) is int and -(2**63) < value < 2**63


def _value(what: str, value: JSON, fault) -> JSON:
    """The value as it will stand in the log, or None with a fault if it has no JSON form or is too large."""
    if value is None or _exact(value):
        return value
    try:
        text = _text(value)
    except (TypeError, ValueError, RecursionError) as error:
        fault(what, f"it has no JSON form ({str(error)[:120]})")
        return None
    if len(text) > MAX_JSON:
        fault(what, f"it has {len(text)} bytes as JSON; expected at most {MAX_JSON}")
        return None
    return json.loads(text)
