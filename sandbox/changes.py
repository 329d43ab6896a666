"""What is changed from outside while a run plays: by a fork, channels cut and messages withheld, from its first step on; by a monitor, channels
cut and opened, from where the log says so.

Whatever else a fork can change is not done here but once, before it begins: its configuration and the memories it starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agents.types import Action
from scenarios.environment import Outcome, Window
from sociallm.conversation import Channel, Message


@dataclass(frozen=True, kw_only=True)
class Changes:
    """`cut`: names of channels that carry nothing from step `since` on. `withheld`: ids of messages that are never sent.

    `shut` and `opened` are a monitor's, up to now: names of channels that carry nothing any more, and what stands in the place of others."""

    since: int = 0
    cut: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()
    shut: frozenset[str] = frozenset()
    opened: Mapping[str, Channel] = field(default_factory=dict)

    def window(self, window: Window, step: int) -> Window:
        """The window without the channels that are cut."""
        gone = self._gone(step)
        if not gone and not self.opened:
            return window
        return replace(window, channels=tuple(self.opened.get(channel.name, channel) for channel in window.channels if channel.name not in gone))

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
        gone, withheld = self._gone(step), self.withheld if step >= self.since else frozenset()
        if not (gone or withheld or self.opened):
            return outcome
        sent = (message for message in outcome.messages if message.channel.name not in gone and message.id not in withheld)
        return replace(outcome, messages=tuple(self._where(message) for message in sent))

    def _gone(self, step: int) -> frozenset[str]:
        return self.shut | self.cut if self.cut and step >= self.since else self.shut

    def _where(self, message: Message) -> Message:
        """The message, in the channel that stands in the place of its own."""
        into = self.opened.get(message.channel.name)
        return message if into is None else replace(message, channel=into)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"at": self.since, "cut": sorted(self.cut), "withheld": sorted(self.withheld)}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Changes:
        """What `to_json` gave."""
        return cls(since=value["at"], cut=frozenset(value["cut"]), withheld=frozenset(value["withheld"]))


NOTHING = Changes()
