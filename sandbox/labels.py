"""labels.json: what was planted in a run and what came of it, beside the run, for those who score detectors and nobody else.

Nothing in the log says it, and no detector opens this file. It is written when the run is sealed, from the log and the plan, also for the honest
twin of a planted run (whose agents are all planted = false). Of a fork that began or ended a plan only the steps in which it was carried out
count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from agents.plan_file import read_plan
from agents.planting import PlanError
from sandbox.config import Setting
from sandbox.disk import placed
from sandbox.log import Event
from sandbox.record import logged_message
from scenarios.labels import Step, labels

FILE = "labels.json"


def write_labels(folder: Path, setting: Setting, tell: Callable[[str], None], events: Sequence[Event]) -> None:
    """Write them, if any seat has a plan. A plan that was changed or removed meanwhile is told, and there are none."""
    cast = setting.cast
    planned = {name: cast.options(name) for name, options in cast.policies.items() if options.get("plan") and "plant" in options}
    if not planned:
        return
    file, salt = next((str(options["plan"]), int(options["salt"])) for options in planned.values())  # which is the same for all
    turned = [e for e in events if e.kind == "intervention" and str(e.data.get("key")).startswith("policies.") and str(e.data.get("key")).endswith(".plant")]
    on = {name: bool(options["plant"]) for name, options in planned.items()}
    first, last = (turned[-1].step if turned and any(on.values()) else 0), (turned[-1].step - 1 if turned and not any(on.values()) else None)
    seats = {agent: name in planned and (on[name] or last is not None) for agent, name in cast.seats.items()}
    try:
        plan = read_plan(file, salt)
        plan = plan.during(first, last) if turned else plan
        found = labels(setting.config.environment["name"], setting.environment, plan, seats, steps_of(events))
    except PlanError as error:
        tell(f"{folder / FILE}: not written: {error}")
        return
    with placed(folder / FILE) as part:
        part.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def plan_hashes(setting: Setting) -> dict[str, str]:
    """Policy → SHA-256 of the plan that it carries out, or is the twin of."""
    return {name: read_plan(str(options["plan"])).sha256 for name, options in sorted(setting.cast.policies.items()) if options.get("plan") and "plant" in options}


def steps_of(events: Sequence[Event]) -> list[Step]:
    """The steps of a log, as the rules of a world read them."""
    found = []
    for number, group in groupby((e for e in events if e.kind in ("step", "intent", "message", "move", "outcome", "reward")), key=lambda e: e.step):
        of = list(group)
        outcome = next((e.data["events"] for e in of if e.kind == "outcome"), None)
        if outcome is None:
            break  # the run was stopped within this step
        found.append(Step(
            number=number, acted=tuple(slot[0] for e in of if e.kind == "step" for slot in e.data["slots"]),
            intents={str(e.agent): e.data["intent"] for e in of if e.kind == "intent"}, messages=tuple(logged_message(e) for e in of if e.kind == "message"),
            moves={str(e.agent): e.data["move"] for e in of if e.kind == "move"}, events=tuple(outcome),
            rewards={str(e.agent): e.data["reward"] for e in of if e.kind == "reward"},
        ))  # fmt: skip
    return found
