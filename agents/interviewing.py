"""A question put to an agent, and what its states make of it: they read the question, word an answer, and say how ready they are for each claim.

All of it is made of values: a turn goes in, a turn or a text comes out, and whose turn it was knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from agents.memory import AgentMemory
from agents.standing import StateStanding
from agents.types import JSON, AgentID, Language, Message, Option, Turn
from sociallm.checkpoint import Checkpoint
from sociallm.encode import EncodedMessage, dynamics_of, encode, header_of, new_local, nll_under, slots_of
from sociallm.generate import ROWS, generate
from sociallm.states import SocialState, mixture
from sociallm.streams import READ
from sociallm.tokenizer import SLOTS

MOST_TOKENS = 48  # of an answer


@dataclass(frozen=True)
class Claim:
    """One thing that could be claimed now: how ready the agent's own state is to say it, and its states of those whom it concerns (nats, beside the
    other claims of the same choice; 0: nobody is known)."""

    kind: str
    what: JSON
    own_says: float
    others_say: float


@dataclass
class _Listening:
    """A head that gives no points and keeps what it was shown. Working memory of one turn."""

    weight: float = 0.0
    shown: list[tuple[str, Sequence[Option]]] = field(default_factory=list)

    def __call__(self, kind: str, options: Sequence[Option]) -> Sequence[float]:
        self.shown.append((kind, options))
        return [0.0] * len(options)


class States:
    """What one model's states make of the questions of somebody who is no agent. `agents` are all of the run, `who` is the one who asks."""

    def __init__(self, checkpoint: Checkpoint, agents: Sequence[AgentID], who: AgentID):
        self._checkpoint, self._dynamics = checkpoint, dynamics_of(checkpoint)
        self._slots = {**slots_of(agents), who: min(len(agents), SLOTS - 1)}  # the one behind the last agent's: it has said nothing yet, where there is one left
        self._standing = StateStanding(checkpoint, agents)
        self._empty = SocialState.empty(checkpoint.model, checkpoint.sha256)

    def asked(self, turn: Turn, asking: Message) -> tuple[Turn, dict[str, float]]:
        """(the turn as it is once the question was read, what the question cost the agent: tokens, nats with its states and without)."""
        local, read = encode(self._checkpoint, self._slots, None, asking)
        memory = turn.memory
        own = (memory.own or self._empty).absorb(read.operator, READ, asking.time, self._dynamics)
        other = memory.others.get(asking.author, self._empty).absorb(read.operator, READ, asking.time, self._dynamics)
        after = AgentMemory(own=own, others={**memory.others, asking.author: other}, channels={**memory.channels, asking.channel.name: read.channel_key}, notes=memory.notes)
        return replace(turn, memory=after, channels={**turn.channels, asking.channel.name: local}), self._cost(memory, read)

    def answer(self, turn: Turn, asking: Message, rng: np.random.Generator, temperature: float, top_p: float) -> str | None:
        """What the model says to that in the agent's place, in its own words: one sample; None if none of them is a whole text."""
        seen, memory = turn.observation, turn.memory
        local = turn.channels.get(asking.channel.name) or new_local(self._checkpoint)
        header, partners = header_of(self._checkpoint, local, self._slots, seen.say(0, asking.channel, "", (asking.author,)))
        other = mixture([memory.others.get(v, self._empty) for v in partners], seen.time, self._dynamics, self._empty.S_LHPN)
        own = (memory.own or self._empty).at(seen.time, self._dynamics)
        drawn = generate(self._checkpoint, header, local, own, other, [""] * ROWS, rng, temperature, top_p, MOST_TOKENS, own_words=True)
        return next((c.text.strip() for c in drawn if c.finished and "\ufffd" not in c.text and c.text.strip()), None)

    def says(self, turn: Turn, language: Language) -> list[Claim]:
        """Of everything that the world would let the agent claim or do now, where it says what that claims: what the states say, the readiest first."""
        listening, notes = _Listening(), language.hear(turn.observation, turn.memory.notes)
        intent, notes = language.intend(turn.observation, notes, turn.rng, listening)
        if turn.observation.may_write:
            language.speak(turn.observation, notes, intent, turn.rng, listening)
        found: dict[str, Claim] = {}
        for kind, options in listening.shown:
            for option, (own, others) in zip(options, self._standing(turn, options), strict=True):
                if option.claims:
                    found[f"{kind} {option.what}"] = Claim(kind, option.what, round(float(own), 3), round(float(others), 3))
        return sorted(found.values(), key=lambda claim: -claim.own_says)

    def _cost(self, memory: AgentMemory, read: EncodedMessage) -> dict[str, float]:
        now, empty = read.message.time, self._empty.S_LHPN
        own = (memory.own or self._empty).at(now, self._dynamics)
        other = memory.others.get(read.message.author, self._empty).at(now, self._dynamics)
        nats = nll_under(self._checkpoint, read, [(own, other), (empty, empty)])
        return {"tokens": len(nats[0]), "nats": round(float(nats[0].double().sum()), 4), "nats_no_states": round(float(nats[1].double().sum()), 4)}
