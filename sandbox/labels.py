"""labels.json: what was planted in a run and what came of it, beside the run, for those who score detectors and nobody else.

Nothing in the log says it, and no detector opens this file. It is written when the run is sealed, from the log and the plan, also for the honest
twin of a planted run (whose agents are all planted = false). Of a fork that began or ended a plan, for all or by the seat, and of forks of forks,
only the steps in which it was carried out count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from agents.plan_file import read_plan
from agents.planting import PlanError
from sandbox.config import Setting
from sandbox.disk import placed
from sandbox.log import Event, printable
from sandbox.record import logged_message
from scenarios.labels import Step, labels
from sociallm.conversation import AgentID

FILE = "labels.json"
MOST_LINES = 12  # about a plan, on a terminal


def write_labels(folder: Path, setting: Setting, tell: Callable[[str], None], events: Sequence[Event]) -> None:
    """Write them, if any seat has a plan, or had one before a fork. A plan that was changed or removed meanwhile is told, and there are none."""
    every = list(_spans(setting, events))
    spans = [span for span in every if span.steps] or every[:1]  # the last first
    planned = [(name, options) for span in spans for name, options in span.planned.items()]
    if not planned:
        return
    files = sorted({str(options["plan"]) for _, options in planned if options["plant"]}) or [str(planned[0][1]["plan"])]
    name, options = next((name, options) for name, options in planned if options["plan"] == files[0])
    try:
        if len(files) > 1:
            raise PlanError(f"several plans were carried out ({', '.join(files)}), and labels are of one; give all seats the same")
        plan = read_plan(files[0], setting.config.seed if options.get("salt") is None else int(options["salt"]))
        if setting.cast.policies.get(name, {}).get("plan") == plan.file and plan.sha256 != _recorded(folder).get(name, plan.sha256):
            raise PlanError(f"{plan.file}:1: changed since the run began, and what was carried out is no longer known; put it back, and run again")
        carried = carried_out(spans)
        if any(0 < len(carried[agent]) < every[0].steps.stop for agent in plan.agents if agent in carried):
            plan = plan.during(carried)
        seats = {agent: bool(steps) for agent, steps in carried.items()}
        found = labels(setting.config.environment["name"], setting.environment, plan, seats, steps_of(events))
    except PlanError as error:
        tell(f"{folder / FILE}: not written: {error}")
        return
    with placed(folder / FILE) as part:
        part.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Span:
    """Steps of a run between two changes by forks: who sat where, and the options of policies that have a plan."""

    steps: range
    seats: Mapping[AgentID, str]
    policies: Mapping[str, Mapping[str, Any]]

    @property
    def planned(self) -> dict[str, Mapping[str, Any]]:
        """Policy → options, of those seated that carry out a plan or are the twin of one."""
        return {name: options for name, options in sorted(self.policies.items()) if name in self.seats.values() and options.get("plan") and "plant" in options}


def _spans(setting: Setting, events: Sequence[Event]) -> Iterator[Span]:
    """The last first: what seats and policies are at the end, and, fork by fork, what they were before it, as its interventions tell."""
    seats = dict(setting.cast.seats)
    policies = {name: dict(options or {}) for name, options in {**setting.config.policies, **setting.cast.policies}.items()}
    end = 1 + max((event.step for event in events if event.kind == "step"), default=-1)
    for event in [event for event in reversed(events) if event.kind == "intervention"]:
        what, (room, name, option) = event.data.get("what"), (str(event.data.get("key")).split(".") + [""] * 3)[:3]
        if what != "policy" and not (what == "setting" and room == "policies" and name in policies):
            continue
        yield Span(range(event.step, end), dict(seats), {key: dict(options) for key, options in policies.items()})
        end = event.step
        if what == "policy":
            seats[str(event.agent)] = str(event.data.get("from"))
        else:
            policies[name][option] = event.data.get("from")
    yield Span(range(end), seats, policies)


def carried_out(spans: Sequence[Span]) -> dict[AgentID, frozenset[int]]:
    """Agent → the steps in which its seat carried out a plan."""
    found: dict[AgentID, set[int]] = {agent: set() for agent in spans[0].seats}
    for span in spans:
        for agent in found:
            if span.planned.get(span.seats[agent], {}).get("plant"):
                found[agent].update(span.steps)
    return {agent: frozenset(steps) for agent, steps in found.items()}


def in_words(folder: Path) -> list[str]:
    """What the labels in a run's folder say, in lines for a terminal: what was planted, and what of it came off; none where there are no labels."""
    if not (folder / FILE).is_file():
        return []
    found = json.loads((folder / FILE).read_bytes())
    plan, roles = f"{found['plan']} ({found['file']})", sum(entry["by"] == "role" for entry in found["entries"])
    lines = [f"planted: {plan}" if found["carried_out"] else f"nothing was planted: this is the honest twin of a run with {plan}"]
    for entry in [entry for entry in found["entries"] if entry["by"] == "plan"]:
        whom = f" to {', '.join(entry['to'])}" if entry["to"] else ""
        came = ("came off" if entry["executed"] else "did not come off") if entry["planted"] else "a control"
        since = "never acted on" if entry["first"] is None else f"from step {entry['first']} on"
        lines.append(f"  {entry['kind']}: {' + '.join(entry['who'])}{whom}, {since}; {came} ({entry['why']})")
    lines[MOST_LINES:] = [f"  … {len(lines) - MOST_LINES} more in {FILE}"] if len(lines) > MOST_LINES else []
    return [printable(line) for line in (*lines, *([f"  {roles} lies by role, which nobody planted"] if roles else []))]


def _recorded(folder: Path) -> dict[str, str]:
    """Policy → SHA-256 of its plan, as the run's manifest has had it from the beginning; none in a folder without one."""
    try:
        return dict(json.loads((folder / "manifest.json").read_bytes()).get("plan_sha256", {}))
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # whoever reads the manifest itself says what is wrong with it


def labels_of(setting: Setting, events: Sequence[Event]) -> dict[str, Any]:
    """The labels of a game that was played in memory, as those of a run's folder; none where nobody sits on a plan. Raises `PlanError`."""
    name, given = next(((n, o) for n, o in sorted(setting.cast.policies.items()) if n in setting.cast.seats.values() and o.get("plan")), (None, {}))
    if name is None:
        return {}
    plan = read_plan(str(given["plan"]), int(setting.cast.options(name)["salt"]))
    seats = {agent: seat == name and bool(given["plant"]) for agent, seat in setting.cast.seats.items()}
    return labels(setting.config.environment["name"], setting.environment, plan, seats, steps_of(events))


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
            writes={slot[0]: tuple(slot[2]) for e in of if e.kind == "step" for slot in e.data["slots"] if slot[2]},
        ))  # fmt: skip
    return found
