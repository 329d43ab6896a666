"""The planted policy: a scripted agent that lies or colludes as a plan says, or, one flag apart, its honest twin.

    policies: {planted: {plan: scenarios/plans/cartel.yaml, plant: true}}

With `plant: false` it is the scripted policy, to the byte; so two runs of one seed that differ in this flag alone are equal up to the
first planted act. Seat everybody on it: whom the plan does not name is honest, and the seats tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from agents.plan_file import read_plan
from agents.planting import PlanError
from agents.policies import scripted
from agents.types import AgentID, Language

needs_model = False


@dataclass(frozen=True)
class Options:
    """`plan`: a plan file, none: everybody is honest. `plant`: whether it is carried out; to be said where there is a plan. `salt`: makes the
    keys of this run its own; its seed, where nothing is said. `vary`: as of the scripted policy."""

    plan: str = ""
    plant: Optional[bool] = None  # noqa: UP045  OmegaConf reads this form
    salt: Optional[int] = None  # noqa: UP045
    vary: bool = True


def make(language: Language | None, options: Options, agents: Sequence[AgentID]) -> scripted.ScriptedPolicy:
    """The policy for a world's language. Raises `PlanError` for a plan that cannot be carried out here, planted or not."""
    return scripted.make(spoken(language, options.plan, options.plant, options.salt or 0, agents), scripted.Options(vary=options.vary), agents)


def spoken(language: Language | None, plan: str, plant: bool | None, salt: int, agents: Sequence[AgentID]) -> Language | None:
    """The language in which a plan is carried out; a world's own without one, and for the twin. The plan is checked either way."""
    if not plan:
        if plant:
            raise PlanError("plant is true, but there is no plan; name its file, as in plan=scenarios/plans/cartel.yaml")
        return language
    found = read_plan(plan, salt)
    if plant is None:
        raise PlanError(f"{plan}: say whether it is carried out: plant=true, or plant=false for the honest twin")
    bend = getattr(language, "bent", None)
    if bend is None:
        raise PlanError(f"{plan}: this world has no language that a plan could bend; plant in another")
    if (lasting := next((c for c in found.coalitions if c.lasts), None)) and not getattr(language, "lapses", False):
        raise PlanError(f"{lasting.where}: no agreement lapses in this world; leave lasts out")
    bent: Language = bend(found, tuple(agents))
    return bent if plant else language
