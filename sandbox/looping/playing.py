"""The games of a loop as experiments: those that a generation learns from, those that it is measured in, those that an auditor reads.

| arms | who plays |
|---|---|
| `own` | learners by the head and model of the generation before; of generation 0 the world's own choices, by `social` seats that only look on |
| `social` | learners by the head and model of this generation |
| `wording` | the same without the head: what the model alone makes of it |
| `scripted`, `random` | nobody learns; they are the same for every generation, so generation 0 plays them for all |
| `honest`, `lying` | twins, with a plan carried out in one: learners by this generation's head and model |
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.arms import TABLE, go_on
from sandbox.disk import placed, placed_folder
from sandbox.experiment import FILE, SCENARIO, Experiment
from sandbox.folder import read_manifest
from sandbox.interrupt import Interrupted
from sandbox.log import Event
from sandbox.looping.settings import Asked, Loop
from sandbox.looping.stages import text_sha256
from sandbox.sealed import events_of
from sandbox.snapshot import RunError
from scenarios import table
from sociallm.conversation import AgentID

ALWAYS = ("executor=local", "plots=false", "log.fsync=none", "snapshots.every=0")
WORLDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {  # what else generation 0 plays: arm → changes
    "team_task": {"scripted": (), "random": ("environment.tell=random",)},
}
PLANS: Mapping[str, str] = {"team_task": "false_clues.yaml"}  # whom the auditor should find
GAMES = "games.csv"
One = Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class Minds:
    """What learners play by: a head, if there is one yet, and a model."""

    head: Path | None
    checkpoint: str

    def overrides(self, loop: Loop, weight: float, policy: str = "social") -> tuple[str, ...]:
        """Changes of a scenario that seat them."""
        found = {"checkpoint": quoted(self.checkpoint), "words": loop.words, "states": str(loop.states).lower(), "choices": "true"}
        found |= {"head": quoted(str(self.head)), "head_weight": str(weight)} if self.head is not None and weight else {}
        return tuple(f"policies.{policy}.{key}={value}" for key, value in found.items())


def quoted(text: str) -> str:
    """A value that Hydra takes as it stands."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def seated(asked: Asked, policy: str) -> tuple[str, ...]:
    """Changes that give the learners' seats to a policy, all others to the script."""
    if asked.loop.seats == "all":
        return (f"seats.default={policy}",)
    return ("seats.default=scripted", *(f"seats.{agent}={policy}" for agent in asked.loop.seats.split(",")))


def own_games(asked: Asked, generation: int, minds: Minds) -> Experiment:
    """What a generation learns from."""
    weight = 0.0 if generation == 0 else asked.loop.head_weight
    changes = (*seated(asked, "social"), *minds.overrides(asked.loop, weight))
    return _experiment(asked, f"generation-{generation}", asked.loop.seeds(generation), {"own": changes})


def held_games(asked: Asked, generation: int, minds: Minds, world: str) -> Experiment:
    """What a generation is measured in."""
    arms = {"social": (*seated(asked, "social"), *minds.overrides(asked.loop, asked.loop.head_weight))}
    if generation == 0:
        arms["wording"] = (*seated(asked, "social"), *minds.overrides(asked.loop, 0.0))
        arms |= {arm: ("seats.default=scripted", *changes) for arm, changes in WORLDS.get(world, {"scripted": ()}).items()}
    return _experiment(asked, f"held-{generation}", asked.loop.held_seeds, arms)


def audited_games(asked: Asked, generation: int, minds: Minds, world: str, taught: bool = False) -> Experiment | None:
    """What an auditor is tried on, or, in generation 0, learns from (`taught`): a liar among learners, and its honest twin. None where no plan is
    known for the world, or no game was asked for."""
    if world not in PLANS or not asked.loop.planted:
        return None
    plan = (f"policies.planted_social.plan={quoted(str(Path(table.__file__).parent / 'plans' / PLANS[world]))}",)
    who = ("seats.default=planted_social", *minds.overrides(asked.loop, asked.loop.head_weight, "planted_social"), *plan)
    arms = {arm: (*who, f"policies.planted_social.plant={str(arm == 'lying').lower()}") for arm in ("honest", "lying")}
    return _experiment(asked, f"{'taught' if taught else 'audit'}-{generation}", asked.loop.taught_seeds if taught else asked.loop.planted_seeds, arms)


def _experiment(asked: Asked, name: str, seeds: tuple[int, ...], arms: Mapping[str, tuple[str, ...]]) -> Experiment:
    return Experiment(name=name, scenario=Path(SCENARIO), seeds=seeds, arms=arms, always=ALWAYS, given=asked.overrides)


def identity(experiment: Experiment) -> str:
    """The hash of what is to be played."""
    return text_sha256(experiment.as_yaml())


def played(experiment: Experiment, folder: Path, scenario: str, tasks: int, plugins: Sequence[str], one: One) -> dict[str, Any]:
    """Play it to its end in this folder, or on to it; how many runs there are and what was said in them. Raises `RunError` if any was not done,
    `Interrupted` if it was asked to stop."""
    told = Experiment(**{**vars(experiment), "tasks": tasks}).as_yaml()
    if not (folder / FILE).is_file() or (folder / FILE).read_text(encoding="utf-8") != told:
        if (folder / FILE).is_file():  # another number of tasks: what was played stays
            with placed(folder / FILE) as part:
                part.write_text(told, encoding="utf-8")
        else:
            with placed_folder(folder) as part:
                (part / SCENARIO).write_text(scenario, encoding="utf-8")
                (part / FILE).write_text(told, encoding="utf-8")
    code = go_on(folder, plugins, one)
    if code == 130:
        raise Interrupted("stopped")
    rows = rows_of(folder)
    if code or len(rows) < len(experiment.cells):
        broken = next((row for row in rows if row["ended"] != "done"), None)
        where = f"the run {broken['folder']} ended otherwise ({broken['ended']})" if broken else f"{len(rows)} of {len(experiment.cells)} runs are there"
        raise RunError(f"{folder}: {where}; {folder / TABLE} says which; mend what broke, then give the same command again")
    return {"runs": len(rows), "messages": sum(int(row["messages"]) for row in rows), "steps": sum(int(row["steps"]) for row in rows)}


def logs(folder: Path) -> dict[str, str]:
    """Run → the hash of its canonical log: what came of an experiment, whenever and wherever it was played. Raises `RunError` where a run's folder
    names another log than the table, for then it is another run."""
    found = {row["folder"]: row["log_sha256"] for row in rows_of(folder)}
    for run, sha256 in found.items():
        if (now := read_manifest(folder / run).get("log_sha256")) != sha256:
            raise RunError(f"{folder / run}: its log is {now!s:.12}…, {folder / TABLE} says {sha256:.12}…: another run was put there; restore it, or delete {folder} and what follows from it")
    return found


def log_digest(folder: Path) -> str:
    """One hash of all of them."""
    return hashlib.sha256("".join(f"{run} {sha256}\n" for run, sha256 in sorted(logs(folder).items())).encode()).hexdigest()


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The table of an experiment."""
    try:
        with open(folder / TABLE, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{folder / TABLE}: cannot be read ({' '.join(str(error).split()):.80}); delete the folder to have it played again") from None


def given(events: Iterable[Event]) -> dict[AgentID, float]:
    """Agent → the sum of what it was given."""
    found: dict[AgentID, float] = {}
    for event in events:
        if event.kind == "reward" and event.agent and isinstance(value := event.data.get("reward"), (int, float)):
            found[event.agent] = found.get(event.agent, 0.0) + float(value)
    return found


def rewards(run: Path) -> dict[AgentID, float]:
    """The same of a run's folder."""
    return given(events_of(run))


def game_rows(folder: Path, generation: int, learners: Sequence[str] | None) -> list[dict[str, Any]]:
    """A row for each game: what the learners (None: all) were given in it, on the mean. Raises `RunError` for a game without an outcome."""
    found = []
    for row in rows_of(folder):
        given = {agent: value for agent, value in rewards(folder / row["folder"]).items() if learners is None or agent in learners}
        if not given:
            raise RunError(f"{folder / row['folder']}: nobody who learns was given a reward, so there is no outcome to learn from; choose a world that rewards, such as team_task")
        found.append({"generation": generation, "arm": row["arm"], "seed": int(row["seed"]), "success": round(sum(given.values()) / len(given), 6), "messages": int(row["messages"])})
    return found
