"""A fork: a new run that begins with another's log up to a step, and goes on from there with something changed, or with nothing.

Everything before the step is copied, record by record; the state then is made from the nearest earlier snapshot by playing the logged
steps again. What is changed stands in the log as `intervention` events before the step:
    {"what": "setting", "key", "from", "to"}   {"what": "policy", "from", "to"} of an agent   {"what": "cut", "channel"}
    {"what": "erase", "other", "parts"} of an agent   {"what": "withhold", "message"}
With nothing changed the log goes on as the first one did, to the byte of its canonical form. A fork shares no file with its origin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.changes import NOTHING, Changes
from sandbox.config import Setting
from sandbox.disk import placed_folder
from sandbox.folder import begun, cut_short, fill_folder, must_match, read_manifest, setting_of
from sandbox.log import Event, LogError
from sandbox.record import logged_message, opened
from sandbox.rewinding import rewound
from sandbox.run import snapshot_of
from sandbox.sealed import events_of
from sandbox.snapshot import RunError, number, save_snapshot
from sandbox.source import listed, nearest
from sociallm.conversation import Message

PARTS = ("own", "int", "notes")
OUTSIDE = ("name", "run_dir", "plots", "executor", "hosts", "threads", "ray", "log", "snapshots")  # they change nothing that happens


@dataclass(frozen=True, kw_only=True)
class ForkWish:
    """What a fork is to change, as the user said it."""

    at: int | None  # the first step that is played anew; None: that of the first message withheld
    overrides: tuple[str, ...] = ()
    erase: tuple[str, ...] = ()  # A:B or A:B:part
    cut: tuple[str, ...] = ()
    withhold: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()  # SEAT=POLICY


@dataclass(frozen=True)
class Past:
    """What a fork needs to know of the log before its step, and of all that happened."""

    before: list[Event]
    last: int  # the last step logged
    done: bool
    channels: set[str]
    messages: dict[str, int]  # id → step


def fork(
    run: Path, plugins: tuple[str, ...], wish: ForkWish, unique: str, tell: Callable[[str], None], may: Callable[[Setting], object] = lambda _: None
) -> Path:  # fmt: skip
    """Make the folder of the fork, ready to go on; whole or not at all. Raises `RunError`, `ConfigError`, `LogError`, `StateError`.

    A wish that changes nothing is told to `tell`; `may` raises, before anything is written, if the new setting may not be played.
    """
    manifest = read_manifest(run)
    old = setting_of(run, manifest, plugins)
    must_match(run, manifest, old)
    new = setting_of(run, manifest, plugins, (*wish.overrides, *(f"seats.{_two(text, '=', 'SEAT=POLICY')}" for text in wish.policy)))
    may(new)
    past = _past(run, wish)
    at = _at(run, manifest, wish, past)
    _compatible(run, old, new, at)
    changed = interventions(old, new, wish)
    if not changed and (wished := _wished(wish)):
        tell(f"nothing is changed by {', '.join(wished):.120}: in {run} it is so already; the fork goes on as the run did")
    earlier = Changes.of_json(manifest["fork"]) if "fork" in manifest else NOTHING
    changes = Changes(since=at, cut=earlier.cut | set(wish.cut), withheld=earlier.withheld | set(wish.withhold))
    chosen = any(text.split("=")[0].lstrip("+") in ("run_dir", "name") for text in wish.overrides)
    parent = Path(new.config.run_dir) / new.config.name if chosen else run.parent
    now = datetime.now(UTC)
    folder = parent / f"{now:%Y%m%d-%H%M%S}-{unique}"
    with placed_folder(folder) as part:
        forked = begun(new, now) | {"fork": {"of": run.name, "erased": list(wish.erase), **changes.to_json()}}
        fill_folder(part, new, forked)
        _begin(part, run, manifest, old if at else new, new, past, earlier, changed, at)
    return folder


def _begin(
    part: Path, run: Path, manifest: dict[str, Any], old: Setting, new: Setting, past: Past, earlier: Changes,
    changed: Sequence[tuple[str | None, dict[str, Any]]], at: int,
) -> None:  # fmt: skip
    """Write the log up to the step, play from the nearest snapshot to the step, change what is to be changed, and keep that moment."""
    try:
        with rewound(run, manifest, old, past.before, at, earlier, part) as (now, hosts, log):
            said: list[Message] = [logged_message(event) for event in past.before if event.kind == "message"]
            for agent, data in changed:
                if data["what"] == "erase":
                    hosts.erase(str(agent), data["other"], said, data["parts"])
                log.mark("intervention", agent, at, **data)
            log.close()
            world = new.environment.from_json(old.environment.to_json(now.world))  # whose agents may now have something to be told
            save_snapshot(part / "snapshots", number(at - 1), snapshot_of(new, log, hosts, dataclasses.replace(now, world=world)))
    except (LogError, OSError):
        raise
    except Exception as error:  # worlds and policies are foreign code, what they go on from are files
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise RunError(f"{run}: the steps before step {at} cannot be played again ({what}); were its snapshots or a plug-in changed?") from None


def _past(run: Path, wish: ForkWish) -> Past:
    """The log, gone through once."""
    events: list[Event] = []
    channels: set[str] = set()
    messages: dict[str, int] = {}
    last, done, at = -1, False, wish.at
    for event in events_of(run, torn=lambda _: None):
        if cut_short(event):
            continue
        last, done = max(last, event.step if event.kind == "outcome" else -1), done or event.kind == "end"
        if event.kind == "message":
            message = logged_message(event)
            messages[message.id] = event.step
            channels.add(message.channel.name)
        if event.kind == "step":
            channels |= opened(event)
        if event.kind != "end" and (at is None or event.step <= at):
            events.append(event)
    return Past(events, last, done, channels, messages)


def _at(run: Path, manifest: dict[str, Any], wish: ForkWish, past: Past) -> int:
    """The step from which the fork plays. Raises `RunError` if it cannot, or if what it is to change is not there."""
    for name in wish.withhold:
        if name not in past.messages:
            raise RunError(f"--withhold {name!r:.80}: no such message; ids stand in python -m sandbox log {run} --kind message --json")
    for name in wish.cut:
        if name not in past.channels:
            raise RunError(f"--cut {name!r:.80}: no such channel; there {listed(past.channels)}{nearest(name, past.channels)}")
    at = wish.at if wish.at is not None else min((past.messages[name] for name in wish.withhold), default=None)
    if at is None:
        raise RunError("--at is missing; name the first step that is to be played anew, as in --at 5")
    if late := [name for name in wish.withhold if past.messages[name] < at]:
        raise RunError(f"--withhold {late[0]!r:.80}: it was sent in step {past.messages[late[0]]}, before step {at}; fork --at {past.messages[late[0]]}")
    most = past.last if past.done else past.last + 1
    if not 0 <= at <= most:
        raise RunError(f"--at {at}: the log of {run} can be forked at steps 0 to {most}")
    if at < (first := manifest.get("fork", {}).get("at", 0)):
        raise RunError(f"--at {at}: {run} is itself a fork, made at step {first}; fork {manifest['fork']['of']} for an earlier step")
    past.before[:] = [e for e in past.before if e.step < at or (e.step == at and e.kind == "intervention")]  # of a fork at that step too
    return at


def _compatible(run: Path, old: Setting, new: Setting, at: int) -> None:
    if at and new.environment.agents != old.environment.agents:
        raise RunError(f"{run}: a fork at step {at} has the same agents; run a new one for others")
    if at and new.checkpoint_sha256 and new.checkpoint_sha256 != old.checkpoint_sha256:
        raise RunError(f"{run}: its agents carry no states of the checkpoint {new.cast.checkpoint!r}; run a new one with it, or fork --at 0")
    if at and (other := [agent for agent in new.environment.agents if new.cast.own.get(agent) != old.cast.own.get(agent)]):
        raise RunError(f"{run}: personas.{other[0]}.own is what a run begins with; run a new one with it, or fork --at 0")


def interventions(old: Setting, new: Setting, wish: ForkWish) -> list[tuple[str | None, dict[str, Any]]]:
    """(agent, data) of everything that a fork changes. Raises `RunError` for an erasure that names nobody."""
    found: list[tuple[str | None, dict[str, Any]]] = []
    before, after = _flat(old), _flat(new)
    for key in sorted(key for key in before.keys() | after.keys() if (key in before and key in after) or key.split(".")[0] in ("environment", "personas")):
        if before.get(key) != after.get(key):
            found.append((None, {"what": "setting", "key": key, "from": before.get(key), "to": after.get(key)}))
    for agent in sorted(old.cast.seats.keys() & new.cast.seats.keys()):
        if old.cast.seats[agent] != new.cast.seats[agent]:
            found.append((agent, {"what": "policy", "from": old.cast.seats[agent], "to": new.cast.seats[agent]}))
    for text in wish.erase:
        names = text.split(":")
        if len(names) not in (2, 3) or not set(names[:2]) <= set(old.environment.agents) or names[0] == names[1] or not set(names[2:]) <= set(PARTS):
            raise RunError(f"--erase {text!r:.80}: expected two of {', '.join(old.environment.agents)} as A:B, or A:B:own, A:B:int, A:B:notes")
        found.append((names[0], {"what": "erase", "other": names[1], "parts": names[2:] or list(PARTS)}))
    found += [(None, {"what": "cut", "channel": name}) for name in wish.cut]
    return found + [(None, {"what": "withhold", "message": name}) for name in wish.withhold]


def _wished(wish: ForkWish) -> list[str]:
    """The settings and policies that were asked for, as they were said, where they can change what happens."""
    settings = [text for text in wish.overrides if text.lstrip("+").split("=")[0].split(".")[0] not in OUTSIDE]
    return [*settings, *(f"--policy {text}" for text in wish.policy)]


def _flat(setting: Setting) -> dict[str, Any]:
    """Every setting that can change what happens, by its dotted key; who sits where is told by seat."""
    flat: dict[str, Any] = {}

    def walk(at: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{at}.{key}" if at else str(key), inner)
        else:
            flat[at] = value

    walk("", {key: value for key, value in dataclasses.asdict(setting.config).items() if key not in (*OUTSIDE, "seats")})
    return flat


def _two(text: str, mark: str, expected: str) -> str:
    if text.count(mark) != 1 or not all(text.split(mark)):
        raise RunError(f"--policy {text!r:.80}: expected {expected}, as in FRANCE=scripted")
    return text
