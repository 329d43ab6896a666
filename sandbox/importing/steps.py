"""A talk as the events of a run: a step for each message and each deed, in the order in which a played run tells them.

Who writes or acts has by then read all that was delivered to it. Nothing was seen beside: the view of each observation is empty. A message's `by` is
"imported"; of one that only its author reads "world", for it was told to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agents.types import Action, Observation
from sandbox.importing.talk import Deed, Talk
from sandbox.log import Event
from sandbox.record import step_events
from sandbox.schedule import Slot
from scenarios.environment import Outcome, Window
from sociallm.conversation import AgentID, Message

WORDING: Mapping[str, str] = {"by": "imported"}


def steps(talk: Talk) -> Iterator[list[Event]]:
    """The events of each step."""
    heard: dict[AgentID, list[Message]] = {agent: [] for agent in talk.seats}
    for number, one in enumerate(talk.happened):
        done = number == len(talk.happened) - 1
        if isinstance(one, Deed):
            yield _deed(number, one, heard, done)
            continue
        yield _message(number, one, talk, heard, done)
        for reader in one.channel.readers - {one.author}:
            heard[reader].append(one)


def _message(number: int, message: Message, talk: Talk, heard: dict[AgentID, list[Message]], done: bool) -> list[Event]:
    author, channel, time = message.author, message.channel, message.time
    if channel.readers == {author}:
        told = Outcome(state=None, messages=(message,), done=done)
        return step_events(number, Window(agents=(), start=time, end=time), [], [], {}, [], [message], told, [])
    window = Window(agents=(author,), start=time, end=time, channels=(channel,))
    seen = Observation(agent=author, step=number, time=time, heard=_taken(heard, author), may_write=(channel,))
    action = Action(intent=talk.intents.get(message.id), messages=(message,), wording=(WORDING,))
    return step_events(number, window, [Slot(author, time, (channel,))], [seen], {author: action}, [], [message], Outcome(state=None, done=done), [])


def _deed(number: int, deed: Deed, heard: dict[AgentID, list[Message]], done: bool) -> list[Event]:
    acted = sorted(deed.moves)
    window = Window(agents=tuple(acted), start=deed.time, end=deed.time, move_due=True)
    seen = [Observation(agent=agent, step=number, time=deed.time, heard=_taken(heard, agent), move_due=True) for agent in acted]
    actions = {agent: Action(move=deed.moves[agent]) for agent in acted}
    outcome = Outcome(state=None, rewards=deed.outcome.rewards, events=deed.outcome.events, done=done)
    return step_events(number, window, [Slot(agent, deed.time, ()) for agent in acted], seen, actions, [], [], outcome, [])


def _taken(heard: dict[AgentID, list[Message]], agent: AgentID) -> tuple[Message, ...]:
    found = tuple(heard[agent])
    heard[agent].clear()
    return found
