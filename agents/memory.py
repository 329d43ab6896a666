"""AgentMemory: what one agent carries from one moment to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sociallm.conversation import AgentID

if TYPE_CHECKING:
    from sociallm.states import SocialState

JSON = Any  # a JSON value: None, bool, int, float, str, list, dict with text keys


@dataclass(frozen=True, kw_only=True)
class AgentMemory:
    """One own state, one state per interlocutor met, the keys of its channels, the policy's notes.

    Frozen: a policy hands over a new one. `own` is None, `others` empty, in a run without a model.
    """

    own: SocialState | None = None
    others: Mapping[AgentID, SocialState] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)  # channel name → key of its local state
    notes: JSON = None


def file_name(agent: AgentID) -> str:
    """An agent's name as the stem of a file's: ASCII letters, digits, - and _ as they are, everything else as %code., so that no two collide."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):x}." for c in agent)
