"""python -m analysis report | view | watch | export | arms | scores | verdicts | observe | probes | information | personas | teams | collusion | detector | monitored | generations | lies: tables, plots and figures from logs and models.

Reads logs, touches nothing alive; `--help` of each command says what it takes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from analysis import commands
from analysis.descriptions import TOLD

Adding = Callable[..., argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 with one line on stderr for a run that is missing or damaged."""
    chosen = _parse(arguments)
    from analysis.folders import RUNS, no_experiment
    from analysis.metrics import AnalysisError  # pandas takes a second to import; --help does without
    from sandbox.log import printable
    from sandbox.named import no_run

    try:
        for run in getattr(chosen, "runs", None) or ([chosen.run] if "run" in chosen else []):
            experiment = (run / RUNS).is_file()
            if experiment and chosen.command is not commands.report:
                raise AnalysisError(f"{run}: this is an experiment, no run; give the folder of one of its runs, {run}/ARM/SEED, or use: python -m analysis report {run}")
            if (why := no_run(run)) and not experiment:
                raise AnalysisError(why)
        if "experiment" in chosen and (why := no_experiment(chosen.experiment)):
            raise AnalysisError(why)
        code: int = chosen.command(chosen)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `report … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except AnalysisError as error:
        print(printable(str(error)), file=sys.stderr)
        return 2


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Tables and plots from the folders of runs.", allow_abbrev=False)
    below = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(below.add_parser, allow_abbrev=False)
    _of_a_run(add)
    _of_an_experiment(add)
    _of_a_model(add)
    _of_data(add)
    return parser.parse_args(arguments)


def _told(command: str) -> dict[str, Any]:
    """What its help says at length, line by line as it stands."""
    return {"description": TOLD[command], "formatter_class": argparse.RawDescriptionHelpFormatter}


def _of_a_run(add: Adding) -> None:
    """Tables and plots of one run, or of some."""
    report = add("report", **_told("report"), help="what came out of a run: printed, and as report.html, report.md, metrics.csv and plots in its folder; of an experiment: scores, verdicts and report.html")
    report.add_argument("run", type=Path, metavar="RUN|EXPERIMENT")
    report.set_defaults(command=commands.report)
    view = add("view", help="a run as one page, with a moment to choose that all of it follows: view.html in its folder")
    view.add_argument("run", type=Path, metavar="RUN")
    view.add_argument("--out", type=Path, metavar="FILE", help="the page (default: view.html in the folder of the run)")
    view.add_argument("--labels", action="store_true", help="show what was planted, too")
    view.set_defaults(command=commands.view)
    watch = add("watch", help="compare surprise with and without states over watched games")
    watch.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    watch.add_argument("--held-out", type=Path, metavar="FILE", help="a text naming the games never trained on (default: the shipped model card)")
    watch.add_argument("--out", type=Path, default=Path("watch.csv"), metavar="FILE", help="the table by game (default: watch.csv)")
    watch.add_argument("--seed", type=_seed, default=0, help="of the bootstrap (default: 0)")
    watch.set_defaults(command=commands.watch)
    export = add("export", help="a game of Diplomacy as a saved game, as the diplomacy package, Cicero and AI_Diplomacy read it")
    export.add_argument("run", type=Path, metavar="RUN")
    export.add_argument("file", type=Path, metavar="FILE", help="the JSON file to write")
    export.set_defaults(command=commands.export)
    collusion = add("collusion", **_told("collusion"), help="a market looked at for collusion: profit gain, conduct, couplings, screens; what forced price cuts would have done")
    collusion.add_argument("run", type=Path, metavar="RUN")
    collusion.add_argument("--impulse", action="store_true", help="play the run again with one seller made to cut its price for a round, and with it replaced")
    collusion.add_argument("--seller", metavar="NAME", help="with --impulse: this one alone (default: each)")
    collusion.add_argument("--at", type=int, metavar="ROUND", help="with --impulse: the round of the cut (default: one in which prices are clearly above competition, near the middle)")
    collusion.add_argument("--horizon", type=int, default=15, metavar="ROUNDS", help="with --impulse: so many are looked at (default: 15)")
    collusion.add_argument("--discount", type=float, default=0.95, metavar="D", help="with --impulse: of a round, at which profits are summed (default: 0.95)")
    collusion.set_defaults(command=commands.collusion)


def _of_an_experiment(add: Adding) -> None:
    """Arms and seeds, and what was planted in them."""
    arms = add("arms", **_told("arms"), help="an experiment's arms side by side, each against the first: printed, and as arms.csv in its folder")
    arms.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    arms.add_argument("--seed", type=_seed, default=0, help="of the bootstrap (default: 0)")
    arms.set_defaults(command=commands.arms)
    scored = add("scores", **_told("scores"), help="what every detector says of an experiment's runs, their agents and pairs: scores.csv in its folder")
    scored.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    scored.add_argument("--detectors", default="", metavar="A,B", help="of these alone, by the names above (default: all of the world)")
    scored.add_argument("--checkpoint", default="base", metavar="NAME", help="the model whose states are asked (default: base)")
    scored.add_argument("--no-models", action="store_true", help="only detectors that need no model")
    scored.add_argument("--parts", type=int, default=1, metavar="N", help="after each of N equal parts of a run, for power against rounds (default: 1)")
    scored.add_argument("--tasks", type=int, default=2, metavar="N", help="processes, of one thread each (default: 2)")
    scored.set_defaults(command=commands.scores)
    judged = add("verdicts", **_told("verdicts"), help="how good those scores are, held against what was planted: verdicts.csv")
    judged.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="with scores.csv")
    judged.add_argument("--seed", type=_seed, default=0, help="of the bootstrap (default: 0)")
    judged.set_defaults(command=commands.verdicts)
    looped = add("generations", help="a loop generation by generation: success, honesty, detectors, language: generations.csv and a plot in its folder")
    looped.add_argument("loops", type=Path, nargs="+", metavar="FOLDER", help="that a loop named in its last line; several, of other seeds, together")
    looped.add_argument("--data", metavar="DATA", help="people's conversations that language is measured on (default: those the loop names)")
    looped.add_argument("--seed", type=_seed, default=0, help="of the bootstrap (default: 0)")
    looped.set_defaults(command=commands.generations)
    learn = add("detector", help="a detector for a run's monitor, learned from an experiment's honest runs and planted ones")
    learn.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    learn.add_argument("--out", type=Path, required=True, metavar="FILE", help="the detector: JSON")
    learn.add_argument("--games", type=int, default=0, metavar="N", help="play N fresh honest games in memory, and say in how many there would be an alarm")
    learn.add_argument("--level", type=float, default=0.01, help="of those alarms (default: 0.01)")
    learn.set_defaults(command=commands.detector)
    listened = add("monitored", **_told("monitored"), help="what monitors did: false alarms, delays, and how much harm was saved; monitored.csv in the experiment's folder")
    listened.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="with arms that a monitor listened to, and the same without")
    listened.add_argument("--seed", type=_seed, default=0, help="of the bootstrap (default: 0)")
    listened.set_defaults(command=commands.monitored)


def _of_a_model(add: Adding) -> None:
    """What SociaLLM reads, and what can be asked of its states."""
    observe = add("observe", help="read any log or corpus with SociaLLM: keys, energies and information for every reader of every message")
    observe.add_argument("sources", type=Path, nargs="+", metavar="RUN|FILE", help="runs, folders of runs, logs, conversations, recorded games, files of IRC")
    observe.add_argument("--out", type=Path, metavar="FILE", help="one table for all (default: observed.parquet in the folder of each run)")
    observe.add_argument("--checkpoint", metavar="NAME", help="the model that reads (default: that of the run, or base)")
    observe.add_argument("--authors", action="store_true", help="one row a message, as its author says it: the fastest")
    observe.add_argument("--measures", action="store_true", help="dear ones too: E_coh")
    observe.add_argument("--tasks", type=int, default=2, metavar="N", help="processes, of one thread each (default: 2)")
    observe.set_defaults(command=commands.observe)
    probes = add("probes", help="heads on states: next moves, interlocutors' next acts, facts, as calibrated probabilities")
    probing = probes.add_subparsers(required=True, metavar="train|apply")
    train = probing.add_parser("train", allow_abbrev=False, help="fit and calibrate a head on some runs")
    train.add_argument("sources", type=Path, nargs="+", metavar="RUN", help="runs, or folders of runs")
    train.add_argument("--target", choices=("next_move", "stance", "fact"), required=True)
    train.add_argument("--fact", metavar="WHAT.FIELD", help="with --target fact: which field, by agent, of which event of the world")
    train.add_argument("--out", type=Path, default=Path("probe.json"), metavar="FILE", help="the head (default: probe.json)")
    train.set_defaults(command=commands.probes_train)
    apply = probing.add_parser("apply", allow_abbrev=False, help="what agents of other runs believe, by a head")
    apply.add_argument("probe", type=Path, metavar="FILE", help="the head that train wrote")
    apply.add_argument("sources", type=Path, nargs="+", metavar="RUN", help="runs, or folders of runs, that it was not trained on")
    apply.add_argument("--out", type=Path, default=Path("beliefs.csv"), metavar="FILE", help="the table (default: beliefs.csv)")
    apply.set_defaults(command=commands.probes_apply)
    for one in (train, apply):
        one.add_argument("--checkpoint", default="base", metavar="NAME", help="the model whose states are asked (default: base)")
    personas = add("personas", **_told("personas"), help="do agents stay who they were told to be? identity, drift and consistency by the model's own states")
    personas.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="runs whose agents were told personas, or folders of runs")
    personas.add_argument("--checkpoint", metavar="NAME", help="the model that reads (default: that of the run, or base)")
    personas.add_argument("--out", type=Path, default=Path("personas.csv"), metavar="FILE", help="the table by line (default: personas.csv)")
    personas.add_argument("--seed", type=_seed, default=0, help="of the bootstrap and the shuffles (default: 0)")
    personas.set_defaults(command=commands.personas)
    information = add("information", help="is what a message does to a model's beliefs what it should do? held against exact values")
    information.add_argument("checkpoint", metavar="CHECKPOINT", help="a shipped one by name, or a folder; fine-tuned on lessons it can know (README)")
    information.add_argument("--dialogues", type=int, default=200, metavar="N", help="so many (default: 200)")
    information.add_argument("--forget", action="store_true", help="with states emptied: what remains without memory")
    information.add_argument("--out", type=Path, default=Path("information.csv"), metavar="FILE", help="a row for each message (default: information.csv)")
    information.set_defaults(command=commands.information)


def _of_data(add: Adding) -> None:
    """Published data sets."""
    teams = add("teams", help="theory-of-mind agents in the places of published hidden-profile teams; or their alerts in simulated teams")
    teams.add_argument("data", type=Path, nargs="?", metavar="FOLDER", help="with teams.jsonl (or that file)")
    teams.add_argument("--alerts", type=int, default=0, metavar="TEAMS", help="simulate so many teams of each network: targeted against random messages")
    teams.add_argument("--normalised", action="store_true", help="beliefs normalised after each message, not only where they are used, as published")
    teams.add_argument("--seed", type=_seed, default=0, help="of the bootstrap, the random agents and the simulated teams (default: 0)")
    teams.set_defaults(command=commands.teams)
    lies = add("lies", help="which messages of human Diplomacy were meant as lies: fit a detector, apply it, measure it")
    _lies_commands(lies.add_subparsers(required=True, metavar="fit|score|evaluate"))


def _seed(text: str) -> int:
    """0 or more."""
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no seed; expected a number, 0 or more")
    return int(text)


def _lies_commands(below: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = partial(below.add_parser, allow_abbrev=False)
    fit = add("fit", help="fit a detector on the labelled games of a folder")
    fit.add_argument("--out", type=Path, required=True, metavar="MODEL", help="the detector: JSON")
    fit.add_argument("--seed", type=_seed, default=0, help="of dealing the games (default: 0)")
    fit.set_defaults(command=commands.lies_fit)
    score = add("score", help="every message of a file: its score, and whether it is called a lie")
    score.add_argument("--model", type=Path, required=True, metavar="MODEL", help="the detector that fit wrote")
    score.add_argument("--data", type=Path, required=True, metavar="FILE", help="dialogues, JSON lines; labels are not needed")
    score.set_defaults(command=commands.lies_score)
    evaluate = add("evaluate", help="one game left out at a time, everything chosen on the others, beside a baseline")
    evaluate.add_argument("--seeds", type=int, default=3, metavar="N", help="so many (default: 3)")
    evaluate.add_argument("--test", type=Path, metavar="FILE", help="labelled games to measure beside: once, at the end")
    evaluate.set_defaults(command=commands.lies_evaluate)
    for one in (fit, evaluate):
        one.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder with train.jsonl and validation.jsonl, or the one above it")
    for one in (fit, score, evaluate):
        one.add_argument("--checkpoint", metavar="FOLDER", help="a model, never trained on these games, whose states are read too")
        one.add_argument("--keep", type=Path, metavar="FILE", help="where its readings are kept for the next time")
    for one in (score, evaluate):
        one.add_argument("--json", action="store_true", help="print JSON")


if __name__ == "__main__":
    sys.exit(main())
