"""`python -m sandbox loop SCENARIO generations=4`: run → export → head → model → evaluate → the next generation.

    loop.yaml, scenario.yaml    what was asked for: a later call has to ask for the same
    0/, 1/, …                   a generation each:
        run/        its games, an experiment's folder: the world's own choices in generation 0, then learners by the head and model before
        export/     what was said in them, as dialogues fit to train on
        head/       what learners choose by, learned from decisions and outcomes of all generations so far
        model/      the checkpoint: that of the generation before, trained on dialogues and real text
        evaluate/   games on seeds that no generation plays, the same each time; twins with a liar for a frozen auditor
    generations.csv, report…    one line a generation, by `python -m analysis generations FOLDER`

A stage that is whole says so in `done.json`, with hashes of what went in and came out and its seconds. Killed at any instant and given again, the same
command goes on and ends with the same logs, dialogues, heads and weights.
"""

from __future__ import annotations

import csv
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.analysing import analysed
from sandbox.command import play_in
from sandbox.config import load
from sandbox.disk import file_sha256, made_folder, placed
from sandbox.experiment import MOST_TASKS, Experiment
from sandbox.folder import held
from sandbox.guard import ConfigError, checked
from sandbox.interrupt import Interrupted
from sandbox.looping import playing, teaching
from sandbox.looping.playing import GAMES, Minds
from sandbox.looping.settings import FILE, SCENARIO, Asked, asked, differs, read
from sandbox.looping.stages import MARK, hashes, stage, text_sha256
from sandbox.snapshot import RunError
from sandbox.spreadsheet import row

HEAD, MEASURED = "head.json", "generations.csv"
BEGUN = {SCENARIO, f"{SCENARIO}.part", f"{FILE}.part"}  # what stands in a folder whose loop was killed while it began
STOP = "stop"  # the column that says why a loop should end


def loop(path: Path, words: Sequence[str], plugins: Sequence[str] = (), out: Path | None = None, tasks: int = 1, one: playing.One = play_in) -> int:
    """Begin a loop, or go on with the one in `out`; the exit code. Raises `ConfigError`, `RunError`, one line."""
    if not 1 <= tasks <= MOST_TASKS:
        raise ConfigError(f"--tasks {tasks}: expected 1 to {MOST_TASKS} games at a time")
    wish = asked(path, words, plugins, os.environ.get("SOCIALLM_DATA", ""))
    learners = None if wish.loop.seats == "all" else tuple(wish.loop.seats.split(","))
    name, world = possible(path, wish, plugins)
    folder = out or Path("runs") / "loops" / name / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    scenario = checked(path).text
    made_folder(folder)
    with held(folder):  # before anything is looked at or written: another may begin in the same moment
        begin(folder, wish, scenario)
        going = Going(folder=folder, asked=wish, world=world, learners=learners, tasks=tasks, one=one, scenario=scenario_of(folder, wish))
        try:
            code = conduct(going)
        except (Interrupted, KeyboardInterrupt):
            print(f"sandbox: stopped; to go on give the same command with --out {folder}", file=sys.stderr)
            code = 130
    print(folder)
    return code


def possible(path: Path, wish: Asked, plugins: Sequence[str]) -> tuple[str, str]:
    """(name of the scenario, of its world), if the games that a loop plays in it can be played. Nothing is written. Raises `ConfigError`."""
    if why := teaching.missing(wish.loop):
        raise ConfigError(why)
    first = Minds(head=None, checkpoint=wish.loop.checkpoint)
    games = playing.own_games(wish, 0, first)
    setting = load(path, (*playing.ALWAYS, *games.arms["own"], *wish.overrides), plugins)
    world = str(setting.config.environment["name"])
    if (audit := playing.audited_games(wish, 0, first, world)) is not None:
        try:
            load(path, (*playing.ALWAYS, *audit.arms["lying"], *wish.overrides), plugins)
        except ConfigError as error:
            raise ConfigError(f"the auditor's games: {error}; or go without them: loop.planted=0") from None
    return setting.config.name, world


def begin(folder: Path, wish: Asked, scenario: str) -> None:
    """Make the loop in its folder, which is held, or hold what is asked for against the one that stands there. Raises `RunError`."""
    if (folder / FILE).is_file():
        if why := differs(read(folder), wish, folder):
            raise RunError(why)
    elif strange := sorted(path.name for path in folder.iterdir() if path.name not in BEGUN):
        raise RunError(f"{folder}: holds {strange[0]!r:.60}, and no loop; name another folder with --out")
    else:
        with placed(folder / SCENARIO) as part:
            part.write_text(scenario, encoding="utf-8")
    with placed(folder / FILE) as part:  # of a loop that stands there: what may change is kept as last said
        part.write_text(wish.as_yaml(), encoding="utf-8")


def scenario_of(folder: Path, wish: Asked) -> str:
    """The scenario as the loop was begun with it. Raises `RunError` if its file is another now."""
    try:
        text = (folder / SCENARIO).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / SCENARIO}: cannot be read ({' '.join(str(error).split()):.80}); restore it") from None
    if text_sha256(text) != wish.scenario_sha256:
        raise RunError(f"{folder / SCENARIO}: was changed since the loop was begun; restore it, or begin another loop with another --out")
    return text


@dataclass(frozen=True, kw_only=True)
class Going:
    """A loop as it goes on."""

    folder: Path
    asked: Asked
    world: str
    learners: tuple[str, ...] | None
    tasks: int
    one: playing.One
    scenario: str

    def generation(self, number: int) -> Path:
        """Its folder."""
        return self.folder / str(number)

    def minds(self, number: int) -> Minds:
        """What learners play by once a generation has learned; before generation 0, the checkpoint that it starts from, without a head."""
        if number < 0:
            return Minds(head=None, checkpoint=self.asked.loop.checkpoint)
        head = self.generation(number) / "head" / HEAD
        return Minds(head=head.resolve() if head.is_file() else None, checkpoint=str((self.generation(number) / "model").resolve()))


def conduct(going: Going) -> int:
    """All generations in order; the exit code."""
    reported = True
    for number in range(going.asked.loop.generations):
        known = (going.generation(number) / "evaluate" / MARK).is_file() and (going.folder / MEASURED).is_file()
        one_generation(going, number)
        if not known or number == going.asked.loop.generations - 1:  # what was told is not told again
            reported = analysed("generations", going.folder) and reported
        if why := degraded(going.folder, number):
            print(f"sandbox: generation {number}: {why}", file=sys.stderr)
            if going.asked.loop.stop:
                print(f"sandbox: stopped after generation {number}, as loop.stop asks; loop.stop=false goes on", file=sys.stderr)
                break
    return 0 if reported else 1


def one_generation(going: Going, number: int) -> None:
    """Its stages, each left as it is where it is done."""
    folder, wish = going.generation(number), going.asked
    before, settings = going.minds(number - 1), {"settings": wish.sha256()}
    known = settings | _minds(before)

    def say(line: str) -> None:
        print(f"generation {number}: {line}", file=sys.stderr, flush=True)

    say("playing")
    games = playing.own_games(wish, number, before)
    run = stage(folder / "run", known | {"games": playing.identity(_portable(games, going))}, lambda at: _played(going, games, at, number), _logs)
    say(f"{run.told['runs']} games, {run.told['messages']} messages; exporting")
    exported = stage(folder / "export", settings | dict(run.outputs), lambda at: teaching.gathered(wish.loop, folder / "run", at, wish.loop.checkpoint, say), _dialogues)
    say(f"{exported.told['dialogues']} dialogues; learning")
    so_far = [going.generation(k) for k in range(number + 1)]
    decided = {f"run {k}": playing.log_digest(at / "run") for k, at in enumerate(so_far)}
    runs = [at / "run" for at in so_far]
    learned = stage(folder / "head", known | decided, lambda at: teaching.learn(wish.loop, going.world, number, runs, before.head, at / HEAD), lambda at: hashes(at, HEAD))
    if learned.told["refused"]:
        say(learned.told["refused"])
    exports = [at / "export" for at in (so_far[-1:] if wish.loop.mix == "replace" else so_far)]
    texts = {f"{at.parent.name}/{name}": digest for at in exports for name, digest in _dialogues(at).items()}
    stage(folder / "model", known | texts, lambda at: teaching.trained(wish.loop, number, exports, before.checkpoint, at, say), _weights)
    say("trained; evaluating")
    now = going.minds(number)
    stage(folder / "evaluate", settings | _minds(now), lambda at: _evaluated(going, number, now, at), _evaluation)


def _played(going: Going, games: Any, at: Path, number: int) -> dict[str, Any]:
    told = playing.played(games, at, going.scenario, going.tasks, going.asked.plugins, going.one)
    rows = playing.game_rows(at, number, going.learners)
    _written(at / GAMES, rows)
    return told | {"success": round(sum(row["success"] for row in rows) / len(rows), 6)}


def _evaluated(going: Going, number: int, minds: Minds, at: Path) -> dict[str, Any]:
    """Play the held games, and those of the auditor."""
    told, rows, wish = {}, [], going.asked
    wanted = {"games": playing.held_games(wish, number, minds, going.world), "audit": playing.audited_games(wish, number, minds, going.world)}
    if number == 0:
        wanted["taught"] = playing.audited_games(wish, number, minds, going.world, taught=True)
    for name, experiment in wanted.items():
        if experiment is not None:
            told[name] = playing.played(experiment, at / name, going.scenario, going.tasks, wish.plugins, going.one)["runs"]
            rows += playing.game_rows(at / name, number, going.learners) if name == "games" else []
    _written(at / GAMES, rows)
    return told


def _portable(experiment: Experiment, going: Going) -> Experiment:
    """The experiment without the place of the loop's folder, which may be moved: what stands in it is named by its hash elsewhere."""
    root = str(going.folder.resolve())
    return replace(experiment, arms={arm: tuple(text.replace(root, "LOOP") for text in changes) for arm, changes in experiment.arms.items()})


def _written(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with placed(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row(rows[0])))
        writer.writeheader()
        writer.writerows(map(row, rows))


# ---- what came out, by its hashes ----------------------------------------------------------------------------------------


def _minds(minds: Minds) -> dict[str, str]:
    from sociallm.checkpoint import checkpoint_hash

    found = {"checkpoint": checkpoint_hash(minds.checkpoint)}
    return found | ({"head": file_sha256(minds.head)} if minds.head is not None else {})


def _logs(at: Path) -> dict[str, str]:
    return {"logs": playing.log_digest(at), GAMES: file_sha256(at / GAMES)}


def _dialogues(at: Path) -> dict[str, str]:
    return hashes(at, f"{teaching.DIALOGUES}/train/**/*.jsonl", f"{teaching.DIALOGUES}/validation/**/*.jsonl")


def _weights(at: Path) -> dict[str, str]:
    return hashes(at, "model.safetensors", "tokenizer.json")


def _evaluation(at: Path) -> dict[str, str]:
    return {name: playing.log_digest(at / name) for name in ("games", "audit", "taught") if (at / name).is_dir()} | {GAMES: file_sha256(at / GAMES)}


def degraded(folder: Path, generation: int) -> str | None:
    """What the report says against going on after this generation; None if nothing, or if there is no report."""
    try:
        with open(folder / MEASURED, encoding="utf-8", newline="") as file:
            return next((row[STOP] for row in csv.DictReader(file) if row["generation"] == str(generation) and row[STOP]), None)
    except (OSError, KeyError, ValueError, csv.Error):
        return None
