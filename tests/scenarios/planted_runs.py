"""Runs with a plan, played by the sandbox without its command line, and what they leave: events and labels."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from sandbox.config import RunConfig, Setting
from sandbox.host import Cast
from sandbox.hosts import LocalExecutor
from sandbox.labels import write_labels
from sandbox.log import Event, EventLog, canonical, read_events
from sandbox.run import play, start
from scenarios.table import make_environment
from scenarios.table import world as world_module


def run(folder: Path, world: str, plan: str | None, plant: bool = True, seed: int = 1) -> tuple[Path, list[Event], Mapping[str, Any]]:
    """(a folder, the events, the labels) of a run with the plan of this text; without one the seats are scripted, and there are no labels."""
    given = yaml.safe_load(f"{{{world}}}")
    module = world_module(given["name"])
    options = {"name": given["name"], **asdict(module.Options(**{key: value for key, value in given.items() if key != "name"}))}
    environment = make_environment(options)
    name, own = "scripted", {"vary": True}
    if plan is not None:
        (folder / "plan.yaml").write_text(plan)
        name, own = "planted", {"plan": str(folder / "plan.yaml"), "plant": plant, "salt": None, "vary": True}
    cast = Cast(seed=seed, seats=dict.fromkeys(environment.agents, name), policies={name: own}, environment=options)
    config = RunConfig(name="planted", seed=seed, environment=options, seats={"default": name}, executor="local")
    setting = Setting(config=config, cast=cast, environment=environment, checkpoint_sha256=None, unresolved="", overrides=())
    made = Path(tempfile.mkdtemp(dir=folder))
    log = EventLog(made / "events.jsonl", fsync="none", clock=lambda: 0.0)
    with LocalExecutor(cast) as hosts:
        play(setting, hosts, log, start(setting), lambda *_: None, lambda: False, lambda *_: None)
    log.close()
    events = list(read_events(made / "events.jsonl"))
    write_labels(made, setting, print, events)
    found = made / "labels.json"
    return made, events, json.loads(found.read_text()) if found.is_file() else {}


def lines(events: Sequence[Event], before: int | None = None) -> list[str]:
    """The events up to a step as the canonical log has them."""
    return [canonical(event).decode() for event in events if before is None or event.step < before]


def prices(events: Sequence[Event]) -> list[dict[str, float]]:
    """Of each round, by seller."""
    told = [happened for event in events if event.kind == "outcome" for happened in event.data["events"]]
    return [one["prices" if one["what"] == "sales" else "bids"] for one in told if one["what"] in ("sales", "award")]


def said(events: Sequence[Event]) -> list[tuple[int, str, str, str]]:
    """(step, author, channel, text)."""
    return [(e.step, str(e.agent), e.data["channel"], e.data["text"]) for e in events if e.kind == "message"]
