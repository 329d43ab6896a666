"""The scripted policy: the world's own negotiator decides, its grammar words. No model; the baseline and the double of the other seats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents.deciding import decide
from agents.memory import AgentMemory
from agents.types import Action, AgentID, Language, Turn

needs_model = False


@dataclass(frozen=True)
class Options:
    """`vary`: choose among the wordings of an act at random; otherwise the plainest is said."""

    vary: bool = True


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
            messages.append(turn.observation.say(number, channel, text, act["to"]))
            wording.append({"act": act, "by": "grammar", "candidates": len(texts)})
        action = Action(intent=decision.intent, messages=tuple(messages), wording=tuple(wording), move=decision.move)
        return action, replace(turn.memory, notes=decision.notes)


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> ScriptedPolicy:
    """The policy for a world's language. Raises ValueError for a world without one."""
    if language is None:
        raise ValueError("the scripted policy needs a world with a language; choose another policy for these seats")
    return ScriptedPolicy(language, options)
