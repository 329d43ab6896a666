"""What an agent sees and does: Observation, Action, Turn; and the protocols of a policy and of a world's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from agents.memory import JSON, AgentMemory
from sociallm.conversation import AgentID, Channel, Message

if TYPE_CHECKING:
    from sociallm.states import LocalState

__all__ = ["JSON", "Action", "AgentID", "Channel", "Head", "Language", "Message", "Observation", "Option", "OutsidePolicy", "Policy", "Turn"]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that one agent may know of one moment.

    `heard` are the messages delivered to it since it last acted (its states have already absorbed them; its own
    messages are not among them). `may_write` are the channels it may write in now. `view` is what the world shows it.
    """

    agent: AgentID
    step: int
    time: int  # ms of simulated time; a message it sends now carries this time
    heard: tuple[Message, ...] = ()
    may_write: tuple[Channel, ...] = ()
    move_due: bool = False
    view: Mapping[str, JSON] = field(default_factory=dict)

    def say(self, number: int, channel: Channel, text: str, to: Iterable[AgentID] = ()) -> Message:
        """This moment's message number `number` of the agent, meant for those of `to` who read the channel."""
        name = f"{self.step}:{self.agent}:{number}"
        return Message(id=name, author=self.agent, channel=channel, time=self.time, text=text, addressees=frozenset(to) & channel.readers)


@dataclass(frozen=True, kw_only=True)
class Action:
    """What an agent says and does. An empty one is silence.

    `intent` is what it plans to do, recorded before its words were chosen: a distribution over its next committed move
    (in Diplomacy, per unit: {unit: {order: probability}}). `choices` are what a learned head weighed (`agents/choosing.py`).
    `wording` has one entry per message: the act it was meant to perform and how the words came about, e.g. {"act": …,
    "by": "model" | "grammar", "candidates": 8, "meant": 5}.
    `usage` is what it took where the answer came from outside (`agents/doors.py`): {"calls", "tokens_in", "tokens_out", "cost", "seconds", …}; `faults`
    are (what, why) of what went wrong on the way and was dealt with: a server that did not answer, a reply that was no reply.
    """

    intent: JSON = None
    messages: tuple[Message, ...] = ()
    wording: tuple[Mapping[str, JSON], ...] = ()
    move: JSON = None
    choices: JSON = None
    usage: JSON = None
    faults: tuple[tuple[str, str], ...] = ()

    def __init__(
        self, *, intent: JSON = None, messages: tuple[Message, ...] = (), wording: tuple[Mapping[str, JSON], ...] = (), move: JSON = None,
        choices: JSON = None, usage: JSON = None, faults: tuple[tuple[str, str], ...] = (),
    ):  # fmt: skip
        # one is made every turn: set at once, not one by one as a frozen dataclass does, in half the time
        vars(self).update(intent=intent, messages=messages, wording=wording, move=move, choices=choices, usage=usage, faults=faults)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One agent's moment: what it sees, what it remembers, its own random stream, the states of the channels it may write in.

    `read` has, for an agent whose answers come from outside in a run with a model, what each message heard since it last acted cost its states
    (`agents.reading.Reader.absorb`: tokens, and nats as surprise, surprise_no_int, surprise_no_own, surprise_no_states).
    """

    observation: Observation
    memory: AgentMemory
    rng: np.random.Generator
    channels: Mapping[str, LocalState] = field(default_factory=dict)
    read: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One of the things that could be said or done: what a policy's learned head is shown of it.

    `what` is the act, or the move's name; `traits` what the world says of it, in numbers of the order of 1, the same names for all options of one choice.
    `claims` are texts with a sign: how ready the agent, and each of `about`, would be to say them is read off their states.
    """

    what: JSON
    traits: Mapping[str, float]
    about: tuple[AgentID, ...] = ()
    claims: Mapping[str, float] = field(default_factory=dict)


class Head(Protocol):
    """What a policy adds of its own to a world's evaluation. With `weight` 0 the world decides alone, and the head only looks on."""

    weight: float

    def __call__(self, kind: str, options: Sequence[Option]) -> Sequence[float]:
        """Points for each option of a choice of this kind, in nats, its weight included; added to the world's own."""
        ...


class Policy(Protocol):
    """Decides from what is seen and what is remembered; remembers nothing itself.

    A sequence of turns is what lets a host act for many agents in one batch; each result depends on its own turn alone.
    """

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]: ...


class OutsidePolicy(Policy, Protocol):
    """A policy whose answers come from outside the run: from a server, a model in a folder, a person. Nobody can be asked twice, so a
    step that is played again, as after a kill, takes from the log what was done in it."""

    def recall(self, turn: Turn, action: Action) -> AgentMemory:
        """The memory after this turn, had `step` given this action in it. Asks nobody. `action` is as it stands in the log: what was not
        permitted is not in it, and `faults` has all that the log tells."""
        ...


class Language(Protocol):
    """What a world gives to policies: what could be done and said, and what words mean. Stateless; notes carry the rest.

    `notes` is a JSON value owned by the policy (trust, promises, plans); every method returns new notes, never changes them.
    An act is a JSON object with at least "act" (its kind) and "to" (a list of agents).
    """

    def hear(self, observation: Observation, notes: JSON) -> JSON:
        """Notes after the messages of `observation.heard`: what they commit their authors to, extracted from the text alone."""
        ...

    def intend(self, observation: Observation, notes: JSON, rng: np.random.Generator, head: Head | None = None) -> tuple[JSON, JSON]:
        """(intent, notes): a distribution over the agent's next committed move. `head` adds its points to the world's evaluation of moves
        and acts; a world may do without it."""
        ...

    def speak(
        self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator, head: Head | None = None
    ) -> tuple[Sequence[tuple[Channel, JSON]], JSON]:
        """((channel, act) to say now, in order; notes). Only channels of `observation.may_write`. `head` as for `intend`."""
        ...

    def word(self, act: JSON, speaker: AgentID) -> Sequence[str]:
        """Texts that perform the act, in plain language; the first is the plainest. Never empty."""
        ...

    def meaning(self, text: str, author: AgentID, readers: frozenset[AgentID]) -> Sequence[JSON]:
        """The acts a text performs, in a canonical form, extracted from the text alone; empty if none is recognised."""
        ...

    def idle(self, text: str) -> bool:
        """Whether these words, said after others, name nothing that an act could be about."""
        ...

    def denies(self, text: str) -> bool:
        """Whether these words deny anything, and so might throw doubt on what was said before them."""
        ...

    def move(self, observation: Observation, notes: JSON, intent: JSON, rng: np.random.Generator) -> tuple[JSON, JSON]:
        """(move, notes): a move drawn from the intent."""
        ...
