"""Going on: from the last snapshot that is whole and whose step is in the log, over the steps logged since, to the end.

The torn last record of a kill is taken off, and the marks of a run that was stopped (`end`, and the `fault` before it): they are
noted in the manifest. The steps between the snapshot and the end of the log are played again and must give what is logged; so the
log that results is, but for the wall clock, the one of a run that was never stopped, and nothing that was written is taken back.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.config import Setting
from sandbox.folder import cut_short, must_match, read_manifest, setting_of, write_manifest
from sandbox.host import Saved
from sandbox.log import Event, Written, canonical_hash, read_events, value_of
from sandbox.record import logged_message
from sandbox.run import Moment, start
from sandbox.sealed import must_be
from sandbox.snapshot import RunError, Snapshot, load_snapshot, snapshots_of
from sandbox.spent import Spent
from sociallm.conversation import AgentID, Message


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands that is to go on: the moment, the memories then (None: at the start), the log, which is whole."""

    now: Moment
    saved: Saved | None
    written: Written
    finished: bool = False  # its last event says that it was done


def reopened(
    folder: Path, plugins: tuple[str, ...], may: Callable[[Setting], object] = lambda _: None
) -> tuple[Setting, Standing, dict[str, Any]]:  # fmt: skip
    """(setting, standing, manifest) of a run that is to go on, its log cut to what is whole. `may` raises, before anything is touched, if it may not.
    Raises `RunError`, `ConfigError`, `LogError`."""
    manifest = read_manifest(folder)
    setting = setting_of(folder, manifest, plugins)
    must_match(folder, manifest, setting)
    may(setting)
    log = folder / "events.jsonl"
    if not log.exists():
        if manifest["ended"] is not None or "fork" in manifest:
            raise RunError(f"{folder}: its events.jsonl is gone; a run goes on from that file alone")
        log.touch()
    said: list[str] = []
    if manifest["ended"] is not None and "log_sha256" in manifest:
        must_be(log, canonical_hash(read_events(log, torn=said.append)), manifest["log_sha256"])
    size, marks = whole(log, said, setting.cast.outside)
    if cut := os.path.getsize(log) - size:
        with open(log, "rb+") as file:
            file.truncate(size)
            os.fsync(file.fileno())
    standing = stands(folder, log, setting, manifest)
    if not standing.finished:
        note = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "step": standing.now.step, "bytes_cut": cut, "was": marks}
        manifest |= {"ended": None, "resumed": [*manifest.get("resumed", []), note]}
        write_manifest(folder, manifest)
    return setting, standing, manifest


def whole(log: Path, torn: list[str], outside: Collection[AgentID] = ()) -> tuple[int, list[str]]:
    """(bytes of the log up to its last whole event, what the marks behind that said).

    With agents whose answers come from `outside` it is up to the last whole step: of one that was cut short before its outcome not all
    that they did is there, and they cannot be asked for the same again.
    """
    sizes, marks, stepped, settled = [0], list[str | None](), 0, True
    with open(log, "rb") as lines:
        for event, line in zip(read_events(log, torn.append), lines, strict=False):  # a torn last line is no event
            if event.kind in ("step", "intervention") and settled:
                stepped, settled = sizes[-1], event.kind == "intervention"
            settled = settled or event.kind == "outcome"
            sizes.append(sizes[-1] + len(line))
            marks = [*marks, event.data.get("why") or event.data.get("ended")] if cut_short(event) else []
    return sizes[-1 - len(marks)] if settled or not outside else stepped, [str(mark) for mark in marks]


def stands(run: Path, log: Path, setting: Setting, manifest: Mapping[str, Any]) -> Standing:
    """Where a run stands by this log: at the last good snapshot whose step is in it, or at the start; and what is logged behind that."""
    for place in snapshots_of(run):
        try:
            snapshot = load_snapshot(place)
        except RunError:
            continue  # an older one will do
        fits = snapshot.seed == setting.config.seed and dict(snapshot.seats) == dict(setting.cast.seats)
        if not fits or snapshot.checkpoint != setting.checkpoint_sha256:
            continue
        if (found := _behind(log, snapshot)) is not None:
            try:
                now, saved = moment_of(setting, snapshot, place, found.heard, found.taken), _saved(setting, snapshot, place)
            except RunError:
                continue
            return Standing(now=replace(now, spent=found.spent), saved=saved, written=found.written, finished=found.finished)
    if "fork" in manifest:
        raise RunError(f"{run}: the snapshot that this fork began with is missing or damaged; make the fork again")
    found = _behind(log, None)
    assert found is not None
    return Standing(now=start(setting), saved=None, written=found.written, finished=found.finished)


def moment_of(setting: Setting, snapshot: Snapshot, place: Path, heard: Mapping[str, Message], taken: set[str]) -> Moment:
    """The moment that a snapshot at `place` is of. Raises `RunError` if it is none of this run's."""
    world, agents = setting.environment, setting.environment.agents
    unknown = [name for names in snapshot.mailboxes.values() for name in names if name not in heard]
    if set(snapshot.mailboxes) != set(agents) or unknown:
        raise RunError(f"{place}: its mailboxes are not of this run ({[*unknown, *snapshot.mailboxes]!r:.80}); remove this snapshot, or run again")
    mailboxes = {agent: tuple(heard[name] for name in snapshot.mailboxes[agent]) for agent in agents}
    try:
        state = world.from_json(snapshot.world)
        if not snapshot.done:
            world.window(state)
            [world.observe(state, agent) for agent in agents]
    except Exception as error:  # foreign code, and what is no state of it
        what = f"{type(error).__name__}: {error!s:.80}"
        raise RunError(f"{place}: the world it holds is none of {setting.config.environment['name']!r} ({what}); remove this snapshot, or run again") from None
    return Moment(step=snapshot.step, time=snapshot.time, done=snapshot.done, world=state, mailboxes=mailboxes, taken=taken)


def _saved(setting: Setting, snapshot: Snapshot, place: Path) -> Saved:
    """The memories in a snapshot. Raises `RunError` if they are not those of this run's agents."""
    try:
        value_of(snapshot.files["memories.json"])  # which may hold more than JSON can
        saved = Saved.of_files(snapshot.files)
        good = all(isinstance(saved.memories[agent]["channels"], dict) and "notes" in saved.memories[agent] for agent in setting.environment.agents)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise RunError(f"{place}/memories.json: not the memories of this run's agents; remove this snapshot, or run again")
    return saved


class Behind(NamedTuple):
    """What a log says, seen from a snapshot: what is written, messages that wait in mailboxes, ids taken, what was spent, whether the run was done."""

    written: Written
    heard: dict[str, Message]
    taken: set[str]
    spent: Spent
    finished: bool


def _behind(log: Path, snapshot: Snapshot | None) -> Behind | None:
    """What stands behind a snapshot; None if the log up to it is not the one it was taken of, or does not come so far."""
    wanted = {name for names in snapshot.mailboxes.values() for name in names} if snapshot else set()
    records, content, size = (snapshot.records if snapshot else 0), hashlib.sha256(), 0
    heard: dict[str, Message] = {}
    taken: set[str] = set()
    spent = Spent()
    again: list[bytes] = []
    last: Event | None = None
    at, played, done = (0, 0), -1, False
    with open(log, "rb") as lines:
        for event, line in zip(read_events(log), lines, strict=True):
            last = event
            if event.seq >= records:
                again.append(line)
                continue
            content.update(line)
            size, at = size + len(line), (event.step, event.time)
            if event.kind == "outcome":
                played, done = event.step, event.data.get("done") is True
            if event.kind == "intent" and event.data.get("usage") is not None:
                spent = spent.after(event.data["usage"])
            if event.kind == "message":
                message = logged_message(event)
                taken.add(message.id)
                if message.id in wanted:
                    heard[message.id] = message
    if snapshot and (snapshot.log_bytes, snapshot.log_sha256, snapshot.step, snapshot.done) != (size, content.hexdigest(), played, done):
        return None
    written = Written(records=records, content=content, size=size, step=at[0], time=at[1], again=again)
    return Behind(written, heard, taken, spent, last is not None and last.kind == "end")
