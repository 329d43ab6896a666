"""The scripted policy: the world's own negotiator decides, its grammar words. No model; the baseline and the double of the other seats.

`decide` is the part that the `social` policy shares: what was heard, what is intended, which acts to perform, which move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents.memory import AgentMemory
from agents.types import JSON, Action, AgentID, Channel, Language, Message, Turn

needs_model = False


@dataclass(frozen=True)
class Options:
    """`vary`: choose among the wordings of an act at random; otherwise the plainest is said."""

    vary: bool = True


@dataclass(frozen=True)
class Decision:
    """What to say and do now, before any wording: intent, acts with their channels, the move where one is due, new notes."""

    intent: JSON
    acts: tuple[tuple[Channel, JSON], ...]
    move: JSON
    notes: JSON


def decide(turn: Turn, language: Language) -> Decision:
    """Hear, intend, choose acts, draw the move; the turn's random stream is used in this order."""
    seen, notes = turn.observation, turn.memory.notes
    notes = language.hear(seen, notes)
    intent, notes = language.intend(seen, notes, turn.rng)
    acts: Sequence[tuple[Channel, JSON]] = ()
    if seen.may_write:
        acts, notes = language.speak(seen, notes, intent, turn.rng)
    move = None
    if seen.move_due:
        move, notes = language.move(seen, notes, intent, turn.rng)
    return Decision(intent, tuple(acts), move, notes)


def say(turn: Turn, number: int, channel: Channel, act: JSON, text: str) -> Message:
    """The turn's message number `number`, performing an act in these words."""
    seen = turn.observation
    return Message(
        id=f"{seen.step}:{seen.agent}:{number}",
        author=seen.agent,
        channel=channel,
        time=seen.time,
        text=text,
        addressees=frozenset(act["to"]) & channel.readers,
    )


@dataclass(frozen=True)
class ScriptedPolicy:
    """Says what the language's grammar says. Deterministic given each turn's random stream."""

    language: Language
    options: Options = Options()

    def step(self, turns: Sequence[Turn]) -> Sequence[tuple[Action, AgentMemory]]:
        """One action and memory for each turn; each depends on its own turn alone."""
        return [self._act(turn) for turn in turns]

    def _act(self, turn: Turn) -> tuple[Action, AgentMemory]:
        decision = decide(turn, self.language)
        messages, wording = [], []
        for number, (channel, act) in enumerate(decision.acts):
            texts = self.language.word(act, turn.observation.agent)
            text = texts[int(turn.rng.integers(len(texts)))] if self.options.vary else texts[0]
            messages.append(say(turn, number, channel, act, text))
            wording.append({"act": act, "by": "grammar", "candidates": len(texts)})
        action = Action(intent=decision.intent, messages=tuple(messages), wording=tuple(wording), move=decision.move)
        return action, replace(turn.memory, notes=decision.notes)


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> ScriptedPolicy:
    """The policy for a world's language. Raises ValueError for a world without one."""
    if language is None:
        raise ValueError("the scripted policy needs a world with a language; choose another policy for these seats")
    return ScriptedPolicy(language, options)
