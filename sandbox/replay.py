"""Replay: the schedule and the rules again, on the moves and messages that are logged. Does the log say what follows from them?

Per step everything that the sandbox and the world decide is made again (who acts when, what each was shown, the outcome with its position
hashes, rewards, what the world says, who reads what) and the whole step is held against the log, record by record. No policy and no
model is asked: what agents said and did is taken from the log. Of a fork, what is before its first step is its origin's: there only
numbers and checksums are held.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from agents.types import Action
from sandbox.chance import WORLD, stream
from sandbox.changes import NOTHING, Changes
from sandbox.config import Setting
from sandbox.folder import cut_short, read_manifest, setting_of
from sandbox.log import Event, LogError, canonical, canonical_hash, describe
from sandbox.monitor import interventions, stood
from sandbox.record import logged_action, logged_message, step_events
from sandbox.resume import moment_of
from sandbox.rights import Fault, permitted
from sandbox.run import Moment, delivered, in_order, observed, start
from sandbox.schedule import Schedule
from sandbox.sealed import events_of, must_be, read_sealed
from sandbox.snapshot import RunError, load_snapshot, number
from sociallm.conversation import AgentID, Message


@dataclass(frozen=True)
class Replayed:
    """What was held against the rules: steps, moves and messages, the first step, and whether the log ends within a step."""

    steps: int
    moves: int
    messages: int
    since: int
    partial: bool


def replay(run: Path, plugins: tuple[str, ...]) -> Replayed:
    """Hold a run's log against the rules. Raises `LogError` with file and line of the first difference, `RunError`, `ConfigError`."""
    manifest = read_manifest(run)
    setting = setting_of(run, manifest, plugins)
    changes = Changes.of_json(manifest["fork"]) if "fork" in manifest else NOTHING
    log = run / "events.jsonl" if (run / "events.jsonl").is_file() else run / "events.parquet"
    events = list(events_of(log, torn=lambda _: None))
    if (sealed := run / "events.parquet").is_file() and log != sealed and manifest["ended"] is not None:
        _equal(events, sealed)
    if manifest["ended"] is not None:
        must_be(log, canonical_hash(events), manifest.get("log_sha256"))
    marks = interventions(events)
    now = _beginning(run, setting, manifest, events)
    schedule, steps, moves, messages, partial = Schedule(setting.config.seed, setting.environment.agents), 0, 0, 0, False
    for logged in _by_step(events, now.step + 1):
        changes = stood(changes, [mark.data for mark in marks if mark.step <= logged[0].step], setting.environment.agents)
        open_end = logged[-1] is events[-1]  # the run was killed while it wrote this step, or just after
        if open_end and not any(event.kind == "outcome" for event in logged):
            partial = True  # what was done in it is not all there, so nothing follows from it
            break
        now, expected = _step(setting, schedule, changes, now, logged, log)
        partial = open_end and len(logged) < len(expected)
        _same(log, logged, expected[: len(logged)] if partial else expected)
        steps += 1
        moves += sum(e.kind == "move" for e in logged)
        messages += sum(e.kind == "message" for e in logged)
    return Replayed(steps, moves, messages, int(manifest.get("fork", {}).get("at", 0)), partial)


def _by_step(events: Sequence[Event], first: int) -> Iterator[list[Event]]:
    """The events of each step from `first` on; the marks between steps are nobody's consequence."""
    told = [e for e in events if e.step >= first and e.kind not in ("end", "intervention") and not cut_short(e)]
    for _, group in groupby(told, key=lambda event: event.step):
        yield list(group)


def _beginning(run: Path, setting: Setting, manifest: Mapping[str, object], events: Sequence[Event]) -> Moment:
    """The moment before the first step that the rules of this run decided."""
    fork = manifest.get("fork")
    if not isinstance(fork, dict) or not fork["at"]:
        return start(setting)
    place = run / "snapshots" / number(fork["at"] - 1)
    said = {message.id: message for e in events if e.kind == "message" and e.step < fork["at"] for message in [logged_message(e)]}
    moment = moment_of(setting, load_snapshot(place), place, said, set(said))
    if moment.step != fork["at"] - 1:
        raise RunError(f"{place}: it is of step {moment.step}, expected {fork['at'] - 1}; the file was changed: make the fork again")
    return moment


def _step(
    setting: Setting, schedule: Schedule, changes: Changes, before: Moment, logged: Sequence[Event], log: Path
) -> tuple[Moment, list[Event]]:  # fmt: skip
    """(the moment after the step, its events) as they follow from what agents said and did in it."""
    world, seed, step, where = setting.environment, setting.config.seed, before.step + 1, f"{log}:{logged[0].seq + 1}"
    window, slots, observations = observed(world, schedule, before, changes)
    by_agent: dict[AgentID, Any] = {e.agent: e.data.get("move") for e in logged if e.kind == "move" and e.agent is not None}
    moves = {slot.agent: by_agent.get(slot.agent) for slot in sorted(slots, key=lambda slot: slot.agent)}
    try:
        outcome = changes.outcome(world.step(before.world, moves, stream(seed, WORLD, "step", step)), step)
    except Exception as error:  # foreign code, and moves that nobody may have made
        raise LogError(f"{where}: the world cannot play step {step} on what is logged of it ({type(error).__name__}: {error!s:.120}); was the log changed?") from None
    actions: dict[AgentID, Action] = {}
    for seen in observations:
        action = dataclasses.replace(logged_action(seen.agent, logged), faults=())
        actions[seen.agent], broken = permitted(seen, action, schedule.names, before.taken)
        if broken:  # the log has what was permitted, and that is permitted again
            raise LogError(f"{where}: in step {step} {seen.agent} does what it may not: {broken[0].what}: {broken[0].why:.200}; the log was changed")
    faults = [Fault(agent=e.agent, what=str(e.data.get("what")), why=str(e.data.get("why"))) for e in logged if e.kind == "fault" and e.agent is not None]
    messages: list[Message] = in_order([message for slot in slots for message in actions[slot.agent].messages], outcome)
    sent = {message.id for message in messages}
    memory = [e.data for e in logged if e.kind == "memory" and e.data.get("message") in sent]
    expected = step_events(step, window, slots, observations, actions, faults, messages, outcome, memory)
    mailboxes = delivered(before.mailboxes, [slot.agent for slot in slots], messages)
    return Moment(step=step, time=window.end, world=outcome.state, mailboxes=mailboxes, taken=before.taken | sent), expected


def _same(log: Path, logged: Sequence[Event], expected: Sequence[Event]) -> None:
    """Raises `LogError` at the first event that is not the expected one."""
    for i in range(max(len(logged), len(expected))):
        have = logged[i] if i < len(logged) else None
        seq = logged[0].seq + i
        want = expected[i]._replace(seq=seq) if i < len(expected) else None
        if have is None or want is None or canonical(have) != canonical(want):
            told = (f"{describe(event):.200}" if event else "nothing more of this step" for event in (have, want))
            raise LogError(f"{log}:{seq + 1}: logged {next(told)} but by the rules {next(told)}")


def _equal(events: Sequence[Event], sealed: Path) -> None:
    """Raises `LogError` at the first row of the sealed log that is not the event of the live one."""
    rows = list(read_sealed(sealed))
    for seq, event in enumerate(events):
        if seq >= len(rows) or canonical(rows[seq]) != canonical(event):
            raise LogError(f"{sealed}: row {seq} is not record {seq} of events.jsonl; remove the file that was changed")
    if len(rows) > len(events):
        raise LogError(f"{sealed}: {len(rows)} rows, events.jsonl has {len(events)} records; remove the file that was changed")
