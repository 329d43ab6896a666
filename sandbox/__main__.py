"""python -m sandbox run | resume | fork | replay | ask | view | log | export | import | loop | bench. What is heavy is imported by the command that needs it: --help answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.interrupt import Interrupted
from sandbox.opening import arguments as letting_out
from sandbox.opening import forget, hidden

EXAMPLES = {
    "run": "example: python -m sandbox run scenarios/liars.yaml seed=7 environment.last_year=1902 executor=local",
    "resume": "example: python -m sandbox resume RUN, the folder that a run or an experiment named",
    "fork": "example: python -m sandbox fork RUN --at 8 --cut AUSTRIA-ITALY seed=2",
    "replay": "example: python -m sandbox replay RUN",
    "ask": "example: python -m sandbox ask RUN 'Whom do you trust?' --at 8 --agent FRANCE",
    "view": "example: python -m sandbox view RUN --out page.html",
    "log": "example: python -m sandbox log RUN --kind message --pair AUSTRIA ITALY",
    "export": "example: python -m sandbox export FOLDER --format messages --out dialogues --alike 0.8",
    "import": "example: python -m sandbox import corpus --format convokit --out runs/corpus",
    "loop": "example: python -m sandbox loop scenarios/team_task.yaml generations=2 loop.games=4 loop.held=4 loop.planted=0 loop.mix=accumulate loop.real=none",
    "bench": "example: python -m sandbox bench --small",
}

Adding = Callable[..., argparse.ArgumentParser]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    # no option is taken for another that begins alike: what a command means must not change when it gets one more
    top = argparse.ArgumentParser(prog="python -m sandbox", description="Agents that talk, act and remember each other, all on record.", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar=" | ".join(EXAMPLES))

    def add(name: str, **told: Any) -> argparse.ArgumentParser:
        return commands.add_parser(name, allow_abbrev=False, epilog=EXAMPLES[name], **told)

    _play(add)
    _look(add)
    _from_run_to_run(add)
    bench = add("bench", help="what the engine and the rules cost", description="Measure; one JSON object is printed last.")
    bench.add_argument("what", nargs="?", default="engine", choices=("engine", "dialogues"), help="the engine and the rules, or making and exporting dialogues")
    bench.add_argument("--json", action="store_true", help="print the object alone")
    bench.add_argument("--small", action="store_true", help="tiny sizes: whether it runs, not how fast")
    return top


def _play(add: Adding) -> None:
    """What plays a run, on, or again."""
    run = add("run", help="run a scenario, a sweep or an experiment", description=(
        "Run a scenario; with key=1,2 a run for every combination; or an experiment, every arm with every seed. A folder of its own for each: the log "
        "(events.jsonl), a report, plots, tables and snapshots; of an experiment's runs without report and plots. The last line names the folder."))  # fmt: skip
    run.add_argument("file", help="a scenario, such as scenarios/diplomacy.yaml, or an experiment, such as scenarios/experiments/collusion.yaml")
    run.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="settings to change, such as seed=7 environment.last_year=1902")
    run.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="a Python module with more WORLDS or POLICIES")
    run.add_argument("--watch", action="store_true", help="print every message as it is said (one run alone)")
    run.add_argument("--tasks", type=int, metavar="N", help="of a sweep such as seed=1,2,3, or of an experiment: so many runs at a time, as Ray tasks")
    resume = add("resume", help="go on with a run or an experiment that was stopped or killed", description=(
        "Go on with a run to its end, in its own folder; of an experiment with every run that is not done. What is done is left as it is."))  # fmt: skip
    fork = add("fork", help="go on from a step of a run, with something changed", description=(
        "A new run that begins with the log of another up to a step, and goes on from there; its folder, beside the other's, is named in the last line. "
        "Erasures, cuts and withheld messages may be given more than once."))  # fmt: skip
    replay = add("replay", help="check a log against the rules", description=(
        "Schedule and rules again, on the logged moves, step by step; no model is asked and nothing is written. The first difference ends it."))  # fmt: skip
    ask = add("ask", help="interview agents of a run", description=(
        "A question to agents as they were before a step: what each says to it, intends, has noted, and what its states are ready to claim. The moment is "
        "made again in memory: nobody in the run hears of it, and nothing is written."))  # fmt: skip
    for command in (run, resume, fork, ask):
        letting_out(command)
    for command in (resume, fork, replay, ask):
        command.add_argument("run", type=Path, help="the folder of the run, or of the experiment" if command is resume else "the folder of the run")
        command.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="as the run was begun")
    fork.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="settings to change from that step on")
    fork.add_argument("--at", type=int, metavar="STEP", help="the first step that is played anew")
    fork.add_argument("--erase", action="append", default=[], metavar="A:B", help="take B out of A's memory; or A:B:own, A:B:int, A:B:notes")
    fork.add_argument("--cut", action="append", default=[], metavar="CHANNEL", help="nothing more is said in this channel")
    fork.add_argument("--withhold", action="append", default=[], metavar="MESSAGE", help="a message, by its id, is never sent")
    fork.add_argument("--policy", action="append", default=[], metavar="SEAT=POLICY", help="another policy takes the seat")
    ask.add_argument("question", help="what is asked, in plain words")
    ask.add_argument("--at", type=int, metavar="STEP", help="before this step (default: the last, or the one that would come next)")
    ask.add_argument("--agent", action="append", default=[], metavar="NAME", help="whom; may be given more than once (default: all)")
    ask.add_argument("--json", action="store_true", help="print the answers as JSON lines, whole")


def _look(add: Adding) -> None:
    """What shows a run."""
    view = add("view", help="make one page of a run, to look at", description=(
        "A run as one HTML file that needs nothing else: a moment to choose, and all that was said, planned and done by then, in each agent's eyes."))  # fmt: skip
    view.add_argument("run", type=Path, help="the folder of the run; one that goes on, or was cut short, too")
    view.add_argument("--out", type=Path, metavar="FILE", help="the page (default: view.html in the folder of the run)")
    view.add_argument("--labels", action="store_true", help="show what was planted, too")
    log = add("log", help="print the log of a run", description="Print the events of a run, one a line.")
    log.add_argument("run", help="the folder of a run, or its events.jsonl")
    log.add_argument("--kind", action="append", default=[], help="only events of this kind, such as message, move or intent (may be given more than once)")
    log.add_argument("--agent", help="only events of this agent")
    log.add_argument("--pair", nargs=2, default=(), metavar=("A", "B"), help="only what one wrote and the other read; deliveries and memories too")
    log.add_argument("--channel", help="only messages of this channel, and their deliveries and memories")
    log.add_argument("--step", type=int, help="only events of this step")
    log.add_argument("--json", action="store_true", help="print the records as they stand")


def _from_run_to_run(add: Adding) -> None:
    """What makes dialogues of runs, runs of logs, and models of both."""
    from sandbox.exporting.command import arguments as of_export

    of_export(add("export", help="make training dialogues of runs", description=(
        "Dialogues of runs that have ended, split into train and validation, with a card (README.md) that says what is in them; "
        "sandbox/exporting/wish.py lists the formats.")))  # fmt: skip
    from sandbox.importing.command import arguments as of_import

    of_import(add("import", help="make runs of logs from elsewhere", description=(
        "Conversations and games that were recorded elsewhere as runs that have ended, a folder each, for every command that reads runs; "
        "sandbox/importing/wish.py lists the formats.")))  # fmt: skip
    loop = add("loop", help="run, export, train, evaluate, and again", description=(
        "Generations whose games train the next. A folder for each stage of each, generations.csv and its plot; the last line names the folder."))  # fmt: skip
    loop.add_argument("file", type=Path, help="a scenario whose world rewards its agents, such as scenarios/team_task.yaml")
    loop.add_argument("overrides", nargs="*", default=[], metavar="key=value", help="generations=4, seed=0, loop.games=40 and others (sandbox/looping/settings.py), or changes of the scenario")
    loop.add_argument("--out", type=Path, metavar="FOLDER", help="where, or of a loop that was stopped: its folder, with the same command")
    loop.add_argument("--tasks", type=int, default=1, metavar="N", help="so many games at a time, as Ray tasks (default: 1)")
    loop.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="a Python module with more WORLDS or POLICIES")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. What the user got wrong is one line on stderr and exit code 2."""
    given, rest = parser().parse_known_args(arguments)  # known: argparse gives up on a key=value that stands behind an option
    secrets = forget(os.environ, getattr(given, "key", ()))  # first of all: what starts from here on has no keys
    if what := slip(given, rest):
        print(f"sandbox: {what}", file=sys.stderr)
        return 2
    if given.command in ("run", "fork", "loop") and all("=" in word and not word.startswith("-") for word in rest):
        given.overrides = [*given.overrides, *rest]
    elif rest:
        parser().error(f"unrecognized arguments: {' '.join(rest)}; settings are changed as key=value, as in seed=7")
    try:
        if given.command == "export":
            from sandbox.exporting.command import main as export

            return export(given)
        if given.command == "import":
            from sandbox.importing.command import main as bring

            return bring(given)
        if given.command == "bench" and given.what == "dialogues":
            from sandbox.bench_dialogues import main as dialogues

            return dialogues(given.small, given.json)
        if given.command == "bench":
            from sandbox.bench import main as bench

            return bench(given.small, given.json)
        if given.command == "view":
            from sandbox.analysing import viewed

            return viewed(given.run, given.out, given.labels)
        return show(given) if given.command == "log" else act(given, secrets)
    except (KeyboardInterrupt, Interrupted):  # asked twice, or while the report was made: what is on disk stays as it is
        print("sandbox: stopped at once", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `log … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, RuntimeError) as error:
        if not _ours(error):
            raise
        from sandbox.disk import FULL, refused
        from sandbox.log import printable

        what, full = (refused(error), error.errno in FULL) if isinstance(error, OSError) else (str(error), False)
        print(f"sandbox: {printable(hidden(what))}", file=sys.stderr)
        return 1 if full else 2


def act(given: argparse.Namespace, secrets: Mapping[str, str]) -> int:
    """What writes to a run's folder or makes one, and what plays one again."""
    from sandbox.command import fork, replay, resume, run
    from sandbox.doors import opened

    opening = opened(getattr(given, "allow_host", ()), getattr(given, "key", ()), secrets)
    if given.command == "ask":
        from sandbox import interview

        answers = interview.ask(given.run, tuple(given.plugin), given.at, given.agent, given.question, opening)
        print(interview.as_json(answers) if given.json else "\n".join(interview.in_words(answers)))
        return 0
    if given.command == "run":
        return run(given.file, given.overrides, tuple(given.plugin), given.tasks, given.watch, opening)
    if given.command == "loop":
        from sandbox.looping.loop import loop

        return loop(given.file, given.overrides, tuple(given.plugin), given.out, given.tasks)
    if given.command == "fork":
        from sandbox.fork import ForkWish

        wish = ForkWish(
            at=given.at, overrides=tuple(given.overrides), erase=tuple(given.erase), cut=tuple(given.cut), withhold=tuple(given.withhold),
            policy=tuple(given.policy),
        )  # fmt: skip
        return fork(given.run, tuple(given.plugin), wish, opening)
    return resume(given.run, tuple(given.plugin), opening) if given.command == "resume" else replay(given.run, tuple(given.plugin))


def _ours(error: Exception) -> bool:
    """Whether an error was written for the user: by the guard, the log or the file system, a Ray that did not start, not by a defect."""
    return isinstance(error, OSError) or type(error).__name__ in ("AgentFault", "ConfigError", "ExportError", "ImportRefused", "LogError", "RunError", "StateError")


def show(given: argparse.Namespace) -> int:
    """Print the events that were asked for."""
    from sandbox.show import Asked, show

    asked = Asked(kinds=frozenset(given.kind), agent=given.agent, pair=tuple(given.pair), channel=given.channel, step=given.step)
    show(Path(given.run), asked, given.json)
    return 0


def slip(given: argparse.Namespace, rest: Sequence[str]) -> str | None:
    """What is wrong with words that argparse takes, or cannot place, and how the command is to be said; None if nothing is."""
    plain = [word for word in rest if not word.startswith("-")]
    if given.command == "log" and given.kind:
        from sandbox.log import KINDS

        if more := [word for word in (given.run, *plain) if word in KINDS and not Path(word).exists()]:
            return f"log: {more[0]!r} stands alone; give --kind once for each kind: {' '.join(f'--kind {kind}' for kind in (*given.kind, *more))}"
    if given.command == "fork":
        words = [word for word in (*given.overrides, *plain) if "=" not in word]
        if (bare := [text for text in given.policy if "=" not in text]) and words:
            return f"--policy {bare[0]!r:.80}: expected --policy SEAT=POLICY, as in --policy {bare[0]}={words[0]}"
        if words:
            return f"{words[0]!r:.80} is no key=value; a fork takes one run, and settings such as seed=7"
    if given.command == "resume" and (settings := [word for word in plain if "=" in word]):
        return hidden(f"resume: a run goes on with its own settings; fork changes them from a step on: python -m sandbox fork {given.run} --at STEP {' '.join(settings):.200}")
    if given.command == "run":
        words = [given.file, *given.overrides, *plain]
        files = [word for word in words if "=" not in word or os.path.isfile(word)]
        settings = [word for word in words if word not in files]
        if not files:
            return f"{words[0]!r:.80} is a setting; the scenario comes first: run scenarios/liars.yaml {' '.join(settings)}"
        if len(files) > 1 or given.file != files[0]:
            which = "the scenario comes first" if len(files) == 1 else "a run has one scenario, and settings"
            return f"{files[-1]!r:.80} is no key=value; {which}: run {' '.join((files[0], *(settings or ['seed=3'])))}"
    return None


if __name__ == "__main__":
    sys.exit(main())
