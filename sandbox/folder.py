"""The folder of a run: what it began with, what it is made of, how it ended.

    config.yaml          the configuration, unresolved      events.jsonl         the log
    overrides.yaml       what the command line changed      events.parquet       the same in columns, once it has ended
    manifest.json        versions, hashes, seed, ending     conversations.jsonl  all that was said, ready for training
    snapshots/           the exact state after some steps, and at the end (final): what resume and fork go on from
    labels.json          where something was planted: what, and what came of it (sandbox/labels.py)
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.policies import policies
from sandbox.config import Setting, load
from sandbox.disk import placed, placed_folder, plain_bytes
from sandbox.given_files import file_hashes
from sandbox.labels import plan_hashes
from sandbox.log import VERSION as LOG_VERSION
from sandbox.log import Event, canonical_hash, read_events
from sandbox.named import no_run
from sandbox.record import conversation
from sandbox.sealed import seal_log
from sandbox.snapshot import RunError
from sandbox.used import used
from sandbox.version import installed
from scenarios.table import worlds
from sociallm.conversation import write_conversations

VERSION = 2
KINDS: dict[str, Any] = {  # of what a manifest says, where a run relies on it
    "seed": int, "seats": dict, "plugins": list, "checkpoint": (dict, type(None)), "config_sha256": str, "python": str, "versions": dict,
    "ended": (str, type(None)), "resumed": list, "plugin_sha256": dict, "plan_sha256": dict, "file_sha256": dict, "monitor": dict, "fork": dict,
}  # fmt: skip
PACKAGES = ("social-sandbox", "torch", "ray", "mesa", "hydra-core", "numpy", "tokenizers", "safetensors")


def make_folder(folder: Path, setting: Setting, now: datetime) -> None:
    """A new folder for one run, with its configuration and a manifest that says it has begun."""
    with placed_folder(folder) as part:
        fill_folder(part, setting, begun(setting, now))


def fill_folder(folder: Path, setting: Setting, manifest: Mapping[str, Any]) -> None:
    """The files of a run that has not begun."""
    (folder / "snapshots").mkdir()
    with placed(folder / "config.yaml") as part:
        part.write_text(setting.unresolved, encoding="utf-8")
    # JSON is YAML: one quoted text a line
    lines = "".join(f"- {json.dumps(text)}\n" for text in setting.overrides) or "[]\n"
    with placed(folder / "overrides.yaml") as part:
        part.write_text(lines, encoding="utf-8")
    write_manifest(folder, manifest)


def begun(setting: Setting, now: datetime) -> dict[str, Any]:
    """What is known of a run when it begins."""
    config = setting.config
    checkpoint = {"name": setting.cast.checkpoint, "sha256": setting.checkpoint_sha256} if setting.cast.checkpoint else None
    return {
        "v": VERSION, "name": config.name, "seed": config.seed, "begun": now.isoformat(timespec="seconds"), "ended": None, "resumed": [],
        "environment": config.environment["name"], "seats": dict(setting.cast.seats), "plugins": list(setting.cast.plugins),
        "executor": config.executor, "hosts": config.hosts if config.executor == "ray" else 1, "log_version": LOG_VERSION,
        "config_sha256": hashlib.sha256(setting.unresolved.encode()).hexdigest(), "checkpoint": checkpoint, "machine": platform.machine(),
    } | made_of(setting)  # fmt: skip


def made_of(setting: Setting) -> dict[str, Any]:
    """Versions and plug-in code: what must be the same for a run to go on as it began."""
    plugins = setting.cast.plugins
    mine = {*plugins, *(module for table in (worlds, policies) for name, module in table(plugins).items() if table().get(name) != module)}
    return {
        "python": platform.python_version(), "versions": {name: installed(name) for name in PACKAGES},
        "decoding": _decoding() if setting.checkpoint_sha256 else None,  # of every host too, which is held against it
        "plugin_sha256": {name: _source(name) for name in sorted(mine)},
    } | ({"plan_sha256": plans} if (plans := plan_hashes(setting)) else {}) | ({"file_sha256": files} if (files := file_hashes(setting)) else {}) | _listening(setting)  # fmt: skip


def seal(folder: Path, now: datetime, ended: Mapping[str, Any], also: Callable[[Sequence[Event]], None] = lambda _: None) -> dict[str, Any]:
    """Write what follows from the log (conversations, columns, hashes; what `also` makes of it) and the manifest's last word. Returns the manifest."""
    events = list(read_events(folder / "events.jsonl", torn=lambda _: None))  # the run has told it
    said = conversation(folder.name, events)
    with placed(folder / "conversations.jsonl") as part:
        write_conversations(part, [said] if said.messages else [])
    also(events)
    manifest = read_manifest(folder) | dict(ended) | {
        "finished": now.isoformat(timespec="seconds"), "events": len(events), "steps": sum(e.kind == "step" for e in events),
        "messages": len(said.messages), "faults": sum(e.kind == "fault" for e in events), "log_sha256": canonical_hash(events),
        "files": {"events.parquet": seal_log(folder / "events.parquet", events)},
    } | ({"usage": usage} if (usage := used(events)) else {})  # fmt: skip
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put it in the place of the one before, whole or not at all."""
    with placed(folder / "manifest.json") as part:
        part.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run. Raises `RunError`, one line."""
    path = folder / "manifest.json"
    if why := no_run(folder):
        raise RunError(why)
    try:
        manifest = json.loads(plain_bytes(path))
        if manifest["v"] not in (1, VERSION):
            raise RunError(f"{path}: version {manifest['v']!r:.20}, this program knows {VERSION}; use the one that made the run")
        keys = ("seed", "seats", "plugins", "checkpoint", "config_sha256", "python", "versions", "ended")
        if missing := [key for key in keys if key not in manifest]:
            raise RunError(f"{path}: has no {missing[0]!r}; it was not written by this program")
        if wrong := [key for key, kinds in KINDS.items() if key in manifest and not isinstance(manifest[key], kinds)]:
            raise RunError(f"{path}: its {wrong[0]!r} is {manifest[wrong[0]]!r:.60}, which no run writes; restore the file, or run again")
        if not _forked(manifest.get("fork")):
            raise RunError(f"{path}: its 'fork' is {manifest['fork']!r:.60}, which no fork writes; restore the file, or make the fork again")
    except FileNotFoundError:
        raise RunError(f"{path}: missing, so no run began here; run the scenario again") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path}: not the manifest of a run ({' '.join(str(error).split())[:100]}); restore it, or run again") from None
    return manifest


def _forked(fork: Any) -> bool:
    """Whether this can be what a manifest says of a fork."""
    if not isinstance(fork, dict):
        return fork is None
    names = [fork.get("cut"), fork.get("withheld")]
    return type(fork.get("at")) is int and fork["at"] >= 0 and isinstance(fork.get("of"), str) and all(isinstance(given, list) and all(isinstance(name, str) for name in given) for given in names)


def setting_of(folder: Path, manifest: Mapping[str, Any], plugins: Sequence[str], overrides: Sequence[str] = ()) -> Setting:
    """The setting of a run, from its own folder. Raises `ConfigError`, or `RunError` if it is not what the run began with."""
    if "imported" in manifest:
        raise RunError(f"{folder}: imported from a file, so no rules or policies are known by which it could go on or be checked; read it: python -m sandbox log {folder}")
    if list(plugins) != manifest["plugins"]:  # said again by the user: the name of a module in a folder from elsewhere runs nothing
        words = " ".join(f"--plugin {name}" for name in manifest["plugins"]) or "no --plugin"
        raise RunError(f"{folder}: this run was made with {words}; say the same again")
    config = folder / "config.yaml"
    setting = load(config, overrides, plugins, ours=True)
    if hashlib.sha256(config.read_bytes()).hexdigest() != manifest["config_sha256"]:
        remedy = f"put it back, or change it in a new run: python -m sandbox fork {folder} --at STEP key=value"
        raise RunError(f"{config}: changed since the run began; {remedy}")
    return setting


def must_match(folder: Path, manifest: Mapping[str, Any], setting: Setting) -> None:
    """Raises `RunError` if what the run is made of is not what it was: it would not go on as it began."""
    sha256 = (manifest["checkpoint"] or {}).get("sha256")
    if setting.checkpoint_sha256 != sha256:
        raise RunError(f"{folder}: the checkpoint {setting.cast.checkpoint!r} is not the one the run began with (SHA-256 {sha256!s:.12}…); restore it")
    here = made_of(setting)
    if here["python"] != manifest["python"]:
        raise RunError(f"{folder}: begun with Python {manifest['python']}, this is {here['python']}; resume it where it began, or run again")
    then, now = manifest.get("decoding", here["decoding"]), here["decoding"]
    if then != now and not (then == "c++" and str(now).startswith("c++ ")):  # an older manifest does not name the compiler
        remedy = "set CXX=none" if then == "pytorch" else "install that C++ compiler, or name it in CXX"
        raise RunError(f"{folder}: its messages were worded by {then} code, here it would be {now}, which rounds otherwise; {remedy}, or run again")
    for package, then in manifest["versions"].items():
        if package in here["versions"] and here["versions"][package] != then:
            raise RunError(f"{folder}: begun with {package} {then}, here is {here['versions'][package]}; install that one, or run again")
    for name, then in manifest.get("plugin_sha256", {}).items():
        if here["plugin_sha256"].get(name) != then:
            raise RunError(f"{folder}: the plug-in module {name} was changed since the run began; put it back, or run again")
    if manifest.get("monitor", {}).get("sha256") != here.get("monitor", {}).get("sha256"):
        raise RunError(f"{folder}: the detector {setting.config.monitor.file!r:.80} was changed since the run began; put it back, or run again")
    for name, then in manifest.get("plan_sha256", {}).items():
        if here.get("plan_sha256", {}).get(name, then) != then:
            raise RunError(f"{folder}: the plan of the policy {name!r} was changed since the run began; put it back, or run again")
    for key, then in manifest.get("file_sha256", {}).items():
        if here.get("file_sha256", {}).get(key, then) != then:
            raise RunError(f"{folder}: the file that {key} names was changed since the run began; put it back, or run again")


def _listening(setting: Setting) -> dict[str, Any]:
    """Who listens, and what it does."""
    monitor, detector = setting.config.monitor, setting.monitor
    return {"monitor": {"file": detector.file, "sha256": detector.sha256, "action": monitor.action, "level": monitor.level}} if detector else {}


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else runs in this folder meanwhile. The hold ends with the process, however it ends. Raises `RunError`."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{folder}: another process is running in it; wait for it, or stop it") from None
        yield
    finally:
        os.close(handle)


def cut_short(event: Event) -> bool:
    """Whether an event only says that a run stopped before its end: a session's own mark, taken off when the run goes on."""
    if event.kind == "fault":
        return event.agent is None and event.data.get("what") == "run"
    return event.kind == "end" and event.data.get("ended") != "done"


def _decoding() -> str:
    """What computes the model's next words, by trying: C++ where a compiler makes something of it. Both round, each in its own way."""
    from sociallm.decoding import kind  # brings torch, which a run without a model does without

    return kind()


def _source(module: str) -> str | None:
    with suppress(ImportError, AttributeError, ValueError, OSError):
        spec = importlib.util.find_spec(module)
        if spec and spec.origin:
            return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    return None
