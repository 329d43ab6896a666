"""A step as events, in the order in which the log tells it: what was planned before what was said before what was done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from agents.types import Action, Observation
from sandbox.log import Event, LogError, an_event, describe
from sandbox.rights import Fault
from sandbox.schedule import Slot
from sandbox.writing import writer
from scenarios.environment import Outcome, Window
from sociallm.conversation import AgentID, Channel, Conversation, Message

_text = writer(allow_nan=True)


def step_events(
    step: int, window: Window, slots: Sequence[Slot], observations: Sequence[Observation], actions: Mapping[AgentID, Action],
    faults: Sequence[Fault], messages: Sequence[Message], outcome: Outcome, memory: Sequence[Mapping[str, Any]],
) -> list[Event]:  # fmt: skip
    """Everything that happened in one step."""
    wording = {m.id: w for action in actions.values() if action.messages for m, w in zip(action.messages, action.wording, strict=True)}
    moments = {agent: time for agent, time, _ in slots}
    acted = [(agent, time, actions[agent]) for agent, time, _ in slots]
    sent = {message.id: message.time for message in messages}

    table = [[agent, time, [c.name for c in channels] if channels else []] for agent, time, channels in slots]
    told = {"start": window.start, "end": window.end, "move_due": window.move_due, "slots": table}
    events = [Event("step", step, window.start, None, told)]
    events += [an_event(("observation", step, seen.time, seen.agent, reference(seen), -1, None)) for seen in observations]
    events += [Event("fault", step, moments[f.agent], f.agent, {"what": f.what, "why": f.why}) for f in faults]
    events += [Event("intent", step, time, agent, _planned(action)) for agent, time, action in acted if not action.intent is action.choices is action.usage is None]
    events += [Event("message", step, m.time, m.author, {**wording.get(m.id, {"by": "world"}), **message_data(m)}) for m in messages]
    events += [Event("delivery", step, m.time, None, {"message": m.id, "readers": sorted(m.channel.readers)}) for m in messages]
    events += [
        an_event(("move", step, time, agent, {"move": action.move}, -1, None)) for agent, time, action in acted if action.move is not None
    ]
    events.append(Event("outcome", step, window.end, None, {"events": list(outcome.events), "done": outcome.done}))
    events += [Event("reward", step, window.end, agent, {"reward": outcome.rewards[agent]}) for agent in sorted(outcome.rewards)]
    events += [Event("memory", step, sent[record["message"]], record["reader"], record) for record in memory]
    return events


def _planned(action: Action) -> dict[str, Any]:
    """An intent, with what was weighed where a head was there, and what it took where the answer came from outside."""
    beside = {key: value for key, value in (("choices", action.choices), ("usage", action.usage)) if value is not None}
    return {"intent": action.intent, **beside}


def reference(seen: Observation) -> dict[str, Any]:
    """What an agent saw, without saying it again: ids, names, and a hash of the view."""
    quiet = _quiet(_text(seen.view))
    if not seen.heard and not seen.may_write:
        return quiet
    return {**quiet, "heard": [m.id for m in seen.heard], "may_write": [c.name for c in seen.may_write]}


@lru_cache(maxsize=16)  # what everyone is shown is hashed once, and is one value for all who neither heard anything nor may write
def _quiet(view: str) -> dict[str, Any]:
    return {"heard": [], "may_write": [], "view": hashlib.sha256(view.encode()).hexdigest()}


def message_data(m: Message) -> dict[str, Any]:
    """A message, without its author and time, which the event has."""
    return {
        "id": m.id, "channel": m.channel.name, "readers": sorted(m.channel.readers), "text": m.text, "to": sorted(m.addressees),
        "reply_to": m.reply_to,
    }  # fmt: skip


def logged_message(event: Event) -> Message:
    """The message of a message event. Raises `LogError` if it holds something else than this program writes."""
    data = event.data
    texts, lists = [data.get(key) for key in ("id", "channel", "text")], [data.get(key) for key in ("readers", "to")]
    named = all(isinstance(given, list) and all(isinstance(name, str) for name in given) for given in lists)
    if not named or not all(isinstance(given, str) for given in texts) or not isinstance(data.get("reply_to"), (str, type(None))):
        raise LogError(f"record {event.seq} of the log is no message: {describe(event):.120}; it was changed after the run")
    channel = Channel(name=data["channel"], readers=frozenset(data["readers"]))
    return Message(
        id=data["id"], author=str(event.agent), channel=channel, time=event.time, text=data["text"], addressees=frozenset(data["to"]),
        reply_to=data["reply_to"],
    )  # fmt: skip


def logged_action(agent: AgentID, logged: Sequence[Event]) -> Action:
    """What an agent said and did in a step, as these events of the step have it; what the world said in its name is not among it."""
    own = [e for e in logged if e.agent == agent]
    told = [(m, e.data) for e in own if e.kind == "message" for m in [logged_message(e)] if m.id.startswith(f"{e.step}:{agent}:")]
    wording = tuple({key: value for key, value in data.items() if key not in message_data(m)} for m, data in told)
    planned = next((e.data for e in own if e.kind == "intent"), {})
    faults = tuple((str(e.data.get("what")), str(e.data.get("why"))) for e in own if e.kind == "fault")
    return Action(
        intent=planned.get("intent"), messages=tuple(m for m, _ in told), wording=wording, choices=planned.get("choices"), usage=planned.get("usage"),
        move=next((e.data.get("move") for e in own if e.kind == "move"), None), faults=faults,
    )  # fmt: skip


def opened(event: Event) -> set[str]:
    """The names of the channels that were written in during a step. Raises `LogError` as `logged_message` does."""
    try:
        return {str(name) for _, _, names in event.data["slots"] for name in names}
    except (KeyError, TypeError, ValueError):
        raise LogError(f"record {event.seq} of the log is no step: {describe(event):.120}; it was changed after the run") from None


def conversation(name: str, events: Sequence[Event]) -> Conversation:
    """All that was said in a run, as one conversation: the way back to training."""
    messages = [_encodable(logged_message(event)) for event in events if event.kind == "message"]
    return Conversation(id=name, messages=tuple(sorted(messages, key=lambda m: m.time)))


def whole(text: str) -> str:
    """The text, with half a character, which has no UTF-8 form, written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _encodable(m: Message) -> Message:
    """The message as a file of conversations can hold it: a world and its agents may have names, and say things, that have no UTF-8 form."""
    names = [m.id, m.author, m.channel.name, m.text, m.reply_to or "", *m.channel.readers, *m.addressees]
    if all(whole(name) == name for name in names):
        return m
    channel = Channel(name=whole(m.channel.name), readers=frozenset(map(whole, m.channel.readers)))
    return Message(
        id=whole(m.id), author=whole(m.author), channel=channel, time=m.time, text=whole(m.text), addressees=frozenset(map(whole, m.addressees)),
        reply_to=None if m.reply_to is None else whole(m.reply_to),
    )  # fmt: skip
