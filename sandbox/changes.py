"""What a fork changes while it plays: channels cut, messages withheld. From its first step on, and nothing else.

Whatever else a fork can change is not done here but once, before it begins: its configuration and the memories it starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.types import Action
from scenarios.environment import Outcome, Window
from sociallm.conversation import Message


@dataclass(frozen=True, kw_only=True)
class Changes:
    """`cut`: names of channels that carry nothing from step `since` on. `withheld`: ids of messages that are never sent."""

    since: int = 0
    cut: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()

    def window(self, window: Window, step: int) -> Window:
        """The window without the channels that are cut."""
        if not self.cut or step < self.since:
            return window
        return replace(window, channels=tuple(channel for channel in window.channels if channel.name not in self.cut))

    def action(self, action: Any) -> Any:
        """What an agent did without what is withheld. Its memory is as if it had said it: only nobody, itself included, ever reads it."""
        if not self.withheld or not isinstance(action, Action) or not isinstance(action.messages, tuple):
            return action
        kept = [i for i, message in enumerate(action.messages) if getattr(message, "id", None) not in self.withheld]
        if len(kept) == len(action.messages):
            return action
        wording = tuple(action.wording[i] for i in kept if i < len(action.wording))
        return replace(action, messages=tuple(action.messages[i] for i in kept), wording=wording)

    def outcome(self, outcome: Outcome, step: int) -> Outcome:
        """What followed, without what the world itself says in a channel that is cut or what is withheld."""
        if step < self.since or not (self.cut or self.withheld):
            return outcome
        return replace(outcome, messages=tuple(message for message in outcome.messages if self._sent(message)))

    def _sent(self, message: Message) -> bool:
        return message.channel.name not in self.cut and message.id not in self.withheld

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"at": self.since, "cut": sorted(self.cut), "withheld": sorted(self.withheld)}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Changes:
        """What `to_json` gave."""
        return cls(since=value["at"], cut=frozenset(value["cut"]), withheld=frozenset(value["withheld"]))


NOTHING = Changes()
