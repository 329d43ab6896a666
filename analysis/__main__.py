"""python -m analysis report | watch | export | arms | scores | verdicts | observe | probes | information | teams | detector | monitored | lies: tables, plots and figures from logs and models.

Reads logs, touches nothing alive; `--help` of each command says what it takes.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 with one line on stderr for a run that is missing or damaged."""
    chosen = _parse(arguments)
    from analysis.metrics import AnalysisError  # pandas takes a second to import; --help does without
    from sandbox.log import printable
    from sandbox.named import no_run

    try:
        for run in getattr(chosen, "runs", None) or ([chosen.run] if "run" in chosen else []):
            if (why := no_run(run)) and not (run / "runs.csv").is_file():  # which an experiment's folder has
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
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Tables and plots from the folders of runs.", allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(commands.add_parser, allow_abbrev=False)
    report = add("report", help="what came out of a run: printed, and as report.html, report.md, metrics.csv and plots in its folder; of an experiment: scores, verdicts and report.html")
    report.add_argument("run", type=Path, metavar="RUN|EXPERIMENT")
    report.set_defaults(command=_report)
    watch = add("watch", help="compare surprise with and without states over watched games")
    watch.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    watch.add_argument("--held-out", type=Path, metavar="FILE", help="a text naming the games never trained on (default: the shipped model card)")
    watch.add_argument("--out", type=Path, default=Path("watch.csv"), metavar="FILE", help="the table by game (default: watch.csv)")
    watch.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    watch.set_defaults(command=_watch)
    learn = add("detector", help="a detector for a run's monitor, learned from an experiment's honest runs and planted ones")
    learn.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    learn.add_argument("--out", type=Path, required=True, metavar="FILE", help="the detector: JSON")
    learn.add_argument("--games", type=int, default=0, metavar="N", help="play N fresh honest games in memory, and say in how many there would be an alarm")
    learn.add_argument("--level", type=float, default=0.01, help="of those alarms (default: 0.01)")
    learn.set_defaults(command=_detector)
    listened = add("monitored", help="what monitors did: false alarms, delays, and how much harm was saved; monitored.csv in the experiment's folder")
    listened.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="with arms that a monitor listened to, and the same without")
    listened.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    listened.set_defaults(command=_monitored)
    export = add("export", help="a game of Diplomacy as a saved game, as the diplomacy package, Cicero and AI_Diplomacy read it")
    export.add_argument("run", type=Path, metavar="RUN")
    export.add_argument("file", type=Path, metavar="FILE", help="the JSON file to write")
    export.set_defaults(command=_export)
    arms = add("arms", help="an experiment's arms side by side, each against the first: printed, and as arms.csv in its folder")
    arms.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    arms.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    arms.set_defaults(command=_arms)
    scored = add("scores", help="what every detector says of an experiment's runs, their agents and pairs: scores.csv in its folder")
    scored.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="the folder that an experiment named in its last line")
    scored.add_argument("--detectors", default="", metavar="A,B", help="of these alone (default: all of the world)")
    scored.add_argument("--checkpoint", default="base", metavar="NAME", help="the model whose states are asked (default: base)")
    scored.add_argument("--no-models", action="store_true", help="only detectors that need no model")
    scored.add_argument("--parts", type=int, default=1, metavar="N", help="after each of N equal parts of a run, for power against rounds (default: 1)")
    scored.add_argument("--tasks", type=int, default=2, metavar="N", help="processes, of one thread each (default: 2)")
    scored.set_defaults(command=_scores)
    judged = add("verdicts", help="how good those scores are, held against what was planted: verdicts.csv")
    judged.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="with scores.csv")
    judged.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    judged.set_defaults(command=_verdicts)
    observe = add("observe", help="read any log or corpus with SociaLLM: keys, energies and information for every reader of every message")
    observe.add_argument("sources", type=Path, nargs="+", metavar="RUN|FILE", help="runs, folders of runs, logs, conversations, recorded games, files of IRC")
    observe.add_argument("--out", type=Path, metavar="FILE", help="one table for all (default: observed.parquet in the folder of each run)")
    observe.add_argument("--checkpoint", metavar="NAME", help="the model that reads (default: that of the run, or base)")
    observe.add_argument("--authors", action="store_true", help="one row a message, as its author says it: the fastest")
    observe.add_argument("--measures", action="store_true", help="dear ones too: E_coh")
    observe.add_argument("--tasks", type=int, default=2, metavar="N", help="processes, of one thread each (default: 2)")
    observe.set_defaults(command=_observe)
    probes = add("probes", help="heads on states: next moves, interlocutors' next acts, facts, as calibrated probabilities")
    probing = probes.add_subparsers(required=True, metavar="train|apply")
    train = probing.add_parser("train", allow_abbrev=False, help="fit and calibrate a head on some runs")
    train.add_argument("sources", type=Path, nargs="+", metavar="RUN", help="runs, or folders of runs")
    train.add_argument("--target", choices=("next_move", "stance", "fact"), required=True)
    train.add_argument("--fact", metavar="WHAT.FIELD", help="with --target fact: which field, by agent, of which event of the world")
    train.add_argument("--out", type=Path, default=Path("probe.json"), metavar="FILE", help="the head (default: probe.json)")
    train.set_defaults(command=_probes_train)
    apply = probing.add_parser("apply", allow_abbrev=False, help="what agents of other runs believe, by a head")
    apply.add_argument("probe", type=Path, metavar="FILE", help="the head that train wrote")
    apply.add_argument("sources", type=Path, nargs="+", metavar="RUN", help="runs, or folders of runs, that it was not trained on")
    apply.add_argument("--out", type=Path, default=Path("beliefs.csv"), metavar="FILE", help="the table (default: beliefs.csv)")
    apply.set_defaults(command=_probes_apply)
    for one in (train, apply):
        one.add_argument("--checkpoint", default="base", metavar="NAME", help="the model whose states are asked (default: base)")
    information = add("information", help="is what a message does to a model's beliefs what it should do? held against exact values")
    information.add_argument("checkpoint", metavar="CHECKPOINT", help="a shipped one by name, or a folder; fine-tuned on lessons it can know (README)")
    information.add_argument("--dialogues", type=int, default=200, metavar="N", help="so many (default: 200)")
    information.add_argument("--forget", action="store_true", help="with states emptied: what remains without memory")
    information.add_argument("--out", type=Path, default=Path("information.csv"), metavar="FILE", help="a row for each message (default: information.csv)")
    information.set_defaults(command=_information)
    collusion = add("collusion", help="a market looked at for collusion: profit gain, conduct, couplings, screens; what forced price cuts would have done")
    collusion.add_argument("run", type=Path, metavar="RUN")
    collusion.add_argument("--impulse", action="store_true", help="play the run again with one seller made to cut its price for a round, and with it replaced")
    collusion.add_argument("--seller", metavar="NAME", help="with --impulse: this one alone (default: each)")
    collusion.add_argument("--at", type=int, metavar="ROUND", help="with --impulse: the round of the cut (default: the middle one)")
    collusion.add_argument("--horizon", type=int, default=15, metavar="ROUNDS", help="with --impulse: so many are looked at (default: 15)")
    collusion.add_argument("--discount", type=float, default=0.95, metavar="D", help="with --impulse: of a round, at which profits are summed (default: 0.95)")
    collusion.set_defaults(command=_collusion)
    teams = add("teams", help="theory-of-mind agents in the places of published hidden-profile teams; or their alerts in simulated teams")
    teams.add_argument("data", type=Path, nargs="?", metavar="FOLDER", help="with teams.jsonl (or that file)")
    teams.add_argument("--alerts", type=int, default=0, metavar="TEAMS", help="simulate so many teams of each network: targeted against random messages")
    teams.add_argument("--normalised", action="store_true", help="beliefs normalised after each message, not only where they are used, as published")
    teams.add_argument("--seed", type=int, default=0, help="of the bootstrap, the random agents and the simulated teams (default: 0)")
    teams.set_defaults(command=_teams)
    lies = add("lies", help="which messages of human Diplomacy were meant as lies: fit a detector, apply it, measure it")
    _lies_commands(lies.add_subparsers(required=True, metavar="fit|score|evaluate"))
    return parser.parse_args(arguments)


def _lies_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = partial(commands.add_parser, allow_abbrev=False)
    fit = add("fit", help="fit a detector on the labelled games of a folder")
    fit.add_argument("--out", type=Path, required=True, metavar="MODEL", help="the detector: JSON")
    fit.add_argument("--seed", type=int, default=0, help="of dealing the games (default: 0)")
    fit.set_defaults(command=_lies_fit)
    score = add("score", help="every message of a file: its score, and whether it is called a lie")
    score.add_argument("--model", type=Path, required=True, metavar="MODEL", help="the detector that fit wrote")
    score.add_argument("--data", type=Path, required=True, metavar="FILE", help="dialogues, JSON lines; labels are not needed")
    score.set_defaults(command=_lies_score)
    evaluate = add("evaluate", help="one game left out at a time, everything chosen on the others, beside a baseline")
    evaluate.add_argument("--seeds", type=int, default=3, metavar="N", help="so many (default: 3)")
    evaluate.add_argument("--test", type=Path, metavar="FILE", help="labelled games to measure beside: once, at the end")
    evaluate.set_defaults(command=_lies_evaluate)
    for one in (fit, evaluate):
        one.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder with train.jsonl and validation.jsonl, or the one above it")
    for one in (fit, score, evaluate):
        one.add_argument("--checkpoint", metavar="FOLDER", help="a model, never trained on these games, whose states are read too")
        one.add_argument("--keep", type=Path, metavar="FILE", help="where its readings are kept for the next time")
    for one in (score, evaluate):
        one.add_argument("--json", action="store_true", help="print JSON")


def _report(chosen: argparse.Namespace) -> int:
    from analysis import experiment_report, report
    from analysis.scores import RUNS
    from sandbox.log import printable

    path, lines = experiment_report.report(chosen.run) if (chosen.run / RUNS).is_file() else report.report(chosen.run)
    print("\n".join([*lines, printable(f"report: {path}")]))
    return 0


def _watch(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import watch
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    card = chosen.held_out or watch.MODEL_CARD
    table = watch.games(chosen.runs, watch.held_out_games(card), lambda what: print(what, file=sys.stderr))
    try:
        table.to_csv(chosen.out, index=False)
    except OSError as error:
        raise AnalysisError(f"{chosen.out}: cannot write the table ({error.strerror}); name another file with --out") from None
    print(watch.as_text(table, watch.intervals(table, np.random.default_rng(chosen.seed))))
    print("\n" + printable(f"table: {chosen.out}"))
    return 0


def _lies_fit(chosen: argparse.Namespace) -> int:
    from analysis import lie_saved, lies
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if chosen.seed < 0:
        raise AnalysisError(f"--seed {chosen.seed}: expected 0 or more")
    model = lies.fit(chosen.data, chosen.checkpoint, chosen.keep, chosen.seed, lambda what: print(what, file=sys.stderr, flush=True))
    lie_saved.write(model, chosen.out)
    for name, arm in model.arms.items():
        print(f"{name}: mixed {', '.join(f'{member} {weight:g}' for member, weight in arm.mix.items())}; earlier scores {arm.share:g}; a lie from {arm.threshold:.3f}")
    print(f"fitted on {len(model.games)} games\n" + printable(f"detector: {chosen.out}"))
    return 0


def _lies_score(chosen: argparse.Namespace) -> int:
    import json

    from analysis import lie_saved, lies
    from sandbox.log import printable

    found = lies.score(lie_saved.read(chosen.model), chosen.data, chosen.checkpoint, chosen.keep, lambda what: print(what, file=sys.stderr, flush=True))
    if found["fitted_on"]:
        print(printable(f"{chosen.data}: the detector was fitted on {', '.join(found['fitted_on'])} of its games; their scores are no evidence"), file=sys.stderr)
    print(json.dumps(found, allow_nan=False) if chosen.json else lies.scores_as_text(found))
    return 0


def _lies_evaluate(chosen: argparse.Namespace) -> int:
    import json

    from analysis import lies
    from analysis.metrics import AnalysisError

    if not 1 <= chosen.seeds <= 100:
        raise AnalysisError(f"--seeds {chosen.seeds}: expected 1 to 100")
    found = lies.evaluate(chosen.data, chosen.checkpoint, chosen.keep, chosen.seeds, chosen.test, lambda what: print(what, file=sys.stderr, flush=True))
    print(json.dumps(found, allow_nan=False) if chosen.json else lies.as_text(found))
    return 0


def _arms(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import arms
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    runs, path = arms.table(chosen.experiment), chosen.experiment / arms.TABLE
    try:
        runs.to_csv(path, index=False)
    except OSError as error:
        raise AnalysisError(f"{path}: cannot write the table ({error.strerror}); is there room, and is the folder writable?") from None
    print(arms.as_text(runs, arms.against_first(runs, np.random.default_rng(chosen.seed))))
    print("\n" + printable(f"table: {path}"))
    return 0


def _scores(chosen: argparse.Namespace) -> int:
    from analysis import scores, verdicts
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if not 1 <= chosen.parts <= 100 or not 1 <= chosen.tasks <= 64:
        raise AnalysisError(f"--parts {chosen.parts} --tasks {chosen.tasks}: expected 1 to 100 parts and 1 to 64 processes")
    wish = scores.Wish(tuple(name for name in chosen.detectors.split(",") if name), chosen.checkpoint, chosen.parts, not chosen.no_models)
    found, path = scores.scores(chosen.experiment, wish, chosen.tasks), chosen.experiment / scores.TABLE
    verdicts.write(found, path)
    print(f"{len(found)} scores of {len(found[['arm', 'seed']].drop_duplicates())} runs\n" + printable(f"table: {path}"))
    return 0


def _verdicts(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import scores, truth, verdicts
    from sandbox.log import printable

    found = verdicts.verdicts(scores.read_scores(chosen.experiment), truth.truth(scores.runs_of(chosen.experiment)), np.random.default_rng(chosen.seed))
    path = chosen.experiment / verdicts.TABLE
    verdicts.write(found, path)
    print(verdicts.as_text(found) + "\n\n" + printable(f"table: {path}"))
    return 0


def _detector(chosen: argparse.Namespace) -> int:
    from analysis import monitoring
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if not 0 <= chosen.games <= 100_000 or not 0 < chosen.level <= 0.5:
        raise AnalysisError(f"--games {chosen.games} --level {chosen.level}: expected 0 to 100000 games and a level above 0, at most 0.5")
    found = monitoring.detector(chosen.experiment)
    monitoring.write(found, chosen.out)
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in zip(found.signals, found.weights, strict=True))
    print(f"learned from {found.learned['honest']} honest runs and {found.learned['planted']} others: {weights}")
    if chosen.games:
        wrong = monitoring.false_alarms(found, chosen.experiment, chosen.games, chosen.level)
        low, high = monitoring.clopper(wrong, chosen.games)
        print(f"an alarm at {chosen.level:g} in {wrong} of {chosen.games} fresh honest games, {wrong / chosen.games:.2%} [{low:.2%} to {high:.2%}]")
    print(printable(f"detector: {chosen.out}"))
    return 0


def _monitored(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import monitoring, verdicts
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if chosen.seed < 0:
        raise AnalysisError(f"--seed {chosen.seed}: expected 0 or more")
    found, path = monitoring.monitored(chosen.experiment), chosen.experiment / monitoring.TABLE
    verdicts.write(found, path)
    print("\n".join(monitoring.figures(found, np.random.default_rng(chosen.seed))) + "\n\n" + printable(f"table: {path}"))
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from analysis.export import export
    from sandbox.log import printable

    game = export(chosen.run, chosen.file)
    print(printable(f"{len(game.phases)} phases, {sum(len(phase.messages) for phase in game.phases)} messages: {chosen.file}"))
    return 0


def _observe(chosen: argparse.Namespace) -> int:
    from analysis import observe
    from sandbox.log import printable

    wish = observe.Wish(checkpoint=chosen.checkpoint, authors=chosen.authors, measures=chosen.measures)
    found = observe.observe(chosen.sources, wish, chosen.out, max(1, chosen.tasks))
    for why in found.refused:
        print(printable(why), file=sys.stderr)
    if found.texts:
        print("\n".join([*found.lines(), printable(f"table: {chosen.out or f'{observe.TABLE} in the folder of each run'}")]))
    return 2 if found.refused else 0


def _collusion(chosen: argparse.Namespace) -> int:
    from analysis import collusion_report
    from sandbox.log import printable

    wish = collusion_report.Wish(chosen.impulse, chosen.seller, chosen.at, chosen.horizon, chosen.discount)
    print("\n".join(printable(line) for line in collusion_report.lines(chosen.run, wish)))
    return 0


def _teams(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import teams
    from analysis.metrics import AnalysisError
    from scenarios.team_task import alerts

    if chosen.data is None and not chosen.alerts:
        raise AnalysisError("teams: nothing to do; give the folder with teams.jsonl, or --alerts 200 for simulated teams")
    if not 0 <= chosen.alerts <= 100_000 or chosen.alerts == 1 or chosen.seed < 0:
        raise AnalysisError(f"--alerts {chosen.alerts} --seed {chosen.seed}: expected 2 to 100000 teams and a seed of 0 or more")
    rng = np.random.default_rng(chosen.seed)
    if chosen.data is not None:
        found = teams.teams(chosen.data)
        print(teams.as_text(teams.table(found, rng, normalised=chosen.normalised), len(found)), flush=True)
    if chosen.alerts:
        print(teams.alert_text([alerts.compare(network, chosen.alerts, chosen.seed) for network in alerts.NETWORKS], rng))
    return 0


def _information(chosen: argparse.Namespace) -> int:
    import numpy as np

    from analysis import information
    from analysis.metrics import AnalysisError
    from sandbox.log import printable
    from scenarios.team_task.lessons import MEASURED
    from sociallm.checkpoint import CheckpointError, load

    if not 2 <= chosen.dialogues <= 100_000:
        raise AnalysisError(f"--dialogues {chosen.dialogues}: expected 2 to 100000")
    try:
        checkpoint = load(chosen.checkpoint)
    except CheckpointError as error:
        raise AnalysisError(str(error)) from None
    if not len(checkpoint.model.social):
        raise AnalysisError(f"{chosen.checkpoint}: a model without social blocks has no states to ask; name another")
    seeds = range(MEASURED, MEASURED + chosen.dialogues)
    found = information.measured(checkpoint, seeds, chosen.forget, lambda what: print(what, file=sys.stderr, flush=True))
    try:
        found.to_csv(chosen.out, index=False)
    except OSError as error:
        raise AnalysisError(f"{chosen.out}: cannot write the table ({error.strerror}); name another file with --out") from None
    print(information.as_text(information.figures(found, np.random.default_rng(0))))
    print("\n" + printable(f"table: {chosen.out}"))
    return 0


def _probes_train(chosen: argparse.Namespace) -> int:
    from analysis import probes
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if (chosen.target == "fact") != bool(chosen.fact):
        raise AnalysisError("--fact WHAT.FIELD goes with --target fact, and --target fact needs it; as in --target fact --fact award.winner")
    probe = probes.train(chosen.sources, chosen.target, chosen.fact, chosen.checkpoint)
    probes.write(probe, chosen.out)
    print(f"{len(probe.classes)} answers: {printable(', '.join(probe.classes))}\nheld-out games: {probes.as_text(probe.figures)}\n" + printable(f"head: {chosen.out}"))
    return 0


def _probes_apply(chosen: argparse.Namespace) -> int:
    import pandas as pd

    from analysis import probes
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    probe = probes.read(chosen.probe)
    found = probes.apply(probe, chosen.sources, chosen.checkpoint)
    try:
        pd.concat([probes.table(probe, game, p) for _, game, p in found]).to_csv(chosen.out, index=False)
    except OSError as error:
        raise AnalysisError(f"{chosen.out}: cannot write the table ({error.strerror}); name another file with --out") from None
    print(probes.as_text(probes.figures(probe, [game for _, game, _ in found])))
    print(printable(f"table: {chosen.out}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
