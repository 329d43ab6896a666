"""The planted policy with words by the model: `planted`, whose decisions SociaLLM words from the agent's states as it words honest ones.

What is said and done is the plan's; how it is said is the model's own, from states in which the planted words and deeds stand like any others.
With `plant: false` it is the social policy, to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from agents.policies import social
from agents.policies.planted import spoken
from agents.types import AgentID, Language

needs_model = True


@dataclass(frozen=True)
class Options(social.Options):
    """Those of the social policy, and `plan`, `plant`, `salt` as of the planted one."""

    plan: str = ""
    plant: Optional[bool] = None  # noqa: UP045  OmegaConf reads this form
    salt: Optional[int] = None  # noqa: UP045


def check(language: Language | None, options: Options, agents: Sequence[AgentID]) -> None:
    """Raises `PlanError` for a plan that cannot be carried out here; no model is loaded."""
    spoken(language, options.plan, options.plant, options.salt or 0, agents)


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> social.SocialPolicy:
    """The policy for a world's language and all agents of the run. Raises `PlanError` as `check` does."""
    return social.SocialPolicy(spoken(language, options.plan, options.plant, options.salt or 0, agents), options, agents)
