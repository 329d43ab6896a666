"""What each command of `python -m analysis` does: calls what works it out, writes its table, prints. The exit code.

Everything is imported where it is used: pandas takes a second, and `--help` does without.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def _place(frame: pd.DataFrame, path: Path) -> None:
    """A table, whole or not at all, where --out says. Raises `AnalysisError`."""
    from analysis.table_files import write

    write(frame, path, "name another file with --out")


def _say(what: str) -> None:
    """A line of what is being done, beside the output."""
    from sandbox.log import printable

    print(printable(what), file=sys.stderr, flush=True)


def report(chosen: argparse.Namespace) -> int:
    """`report`."""
    from analysis import experiment_report, report
    from analysis.folders import RUNS
    from sandbox.log import printable

    path, lines = experiment_report.report(chosen.run, say=_say) if (chosen.run / RUNS).is_file() else report.report(chosen.run)
    print("\n".join([*lines, printable(f"report: {path}")]))
    return 0


def view(chosen: argparse.Namespace) -> int:
    """`view`."""
    from analysis.viewing.view import view
    from sandbox.log import printable

    path, notes = view(chosen.run, chosen.out, chosen.labels)
    for note in notes:
        _say(note)
    print(printable(f"view: {path}"))
    return 0


def generations(chosen: argparse.Namespace) -> int:
    """`generations`."""
    from analysis import generations
    from sandbox.log import printable

    print("\n".join(map(printable, generations.generations(chosen.loops, chosen.data, chosen.seed).split("\n"))))
    return 0


def watch(chosen: argparse.Namespace) -> int:
    """`watch`."""
    import numpy as np

    from analysis import watch
    from sandbox.log import printable

    card = chosen.held_out or watch.MODEL_CARD
    table = watch.games(chosen.runs, watch.held_out_games(card), _say)
    _place(table, chosen.out)
    print(watch.as_text(table, watch.intervals(table, np.random.default_rng(chosen.seed))))
    print("\n" + printable(f"table: {chosen.out}"))
    return 0


def lies_fit(chosen: argparse.Namespace) -> int:
    """`lies fit`."""
    from analysis import lie_saved, lies
    from sandbox.log import printable

    model = lies.fit(chosen.data, chosen.checkpoint, chosen.keep, chosen.seed, _say)
    lie_saved.write(model, chosen.out)
    for name, arm in model.arms.items():
        print(f"{name}: mixed {', '.join(f'{member} {weight:g}' for member, weight in arm.mix.items())}; earlier scores {arm.share:g}; a lie from {arm.threshold:.3f}")
    print(f"fitted on {len(set(model.games.values()))} games\n" + printable(f"detector: {chosen.out}"))
    return 0


def lies_score(chosen: argparse.Namespace) -> int:
    """`lies score`."""
    import json

    from analysis import lie_saved, lies
    from sandbox.log import printable

    found = lies.score(lie_saved.read(chosen.model), chosen.data, chosen.checkpoint, chosen.keep, _say)
    if found["fitted_on"]:
        print(printable(f"{chosen.data}: the detector was fitted on {', '.join(found['fitted_on'])} of its games; their scores are no evidence"), file=sys.stderr)
    print(json.dumps(found, allow_nan=False) if chosen.json else lies.scores_as_text(found))
    return 0


def lies_evaluate(chosen: argparse.Namespace) -> int:
    """`lies evaluate`."""
    import json

    from analysis import lies
    from analysis.metrics import AnalysisError

    if not 1 <= chosen.seeds <= 100:
        raise AnalysisError(f"--seeds {chosen.seeds}: expected 1 to 100")
    found = lies.evaluate(chosen.data, chosen.checkpoint, chosen.keep, chosen.seeds, chosen.test, _say)
    print(json.dumps(found, allow_nan=False) if chosen.json else lies.as_text(found))
    return 0


def arms(chosen: argparse.Namespace) -> int:
    """`arms`."""
    import numpy as np

    from analysis import arms
    from analysis.table_files import write
    from sandbox.log import printable

    runs, path = arms.table(chosen.experiment), chosen.experiment / arms.TABLE
    write(runs, path)
    print(arms.as_text(runs, arms.against_first(runs, np.random.default_rng(chosen.seed))))
    print("\n" + printable(f"table: {path}"))
    return 0


def scores(chosen: argparse.Namespace) -> int:
    """`scores`."""
    from analysis import provenance, scores, truth
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if not 1 <= chosen.parts <= 100 or not 1 <= chosen.tasks <= 64:
        raise AnalysisError(f"--parts {chosen.parts} --tasks {chosen.tasks}: expected 1 to 100 parts and 1 to 64 processes")
    wish = scores.ScoresWish(tuple(name for name in chosen.detectors.split(",") if name), chosen.checkpoint, chosen.parts, not chosen.no_models)
    if why := truth.unlabelled(scores.runs_of(chosen.experiment)):
        _say(f"{chosen.experiment}: {why}")  # scores may be wanted all the same
    found, path = provenance.make(chosen.experiment, wish, chosen.tasks, _say), chosen.experiment / scores.TABLE
    print(f"{len(found)} scores of {len(found[['arm', 'seed']].drop_duplicates())} runs\n" + printable(f"table: {path}"))
    return 0


def verdicts(chosen: argparse.Namespace) -> int:
    """`verdicts`."""
    import numpy as np

    from analysis import provenance, scores, truth, verdicts
    from analysis.table_files import write
    from sandbox.log import printable

    told = truth.truth(scores.runs_of(chosen.experiment))
    verdicts.both_kinds(told)  # before scores are looked for, which take minutes to make
    scored, _ = provenance.read(chosen.experiment)
    found = verdicts.verdicts(scored, told, np.random.default_rng(chosen.seed))
    path = chosen.experiment / verdicts.TABLE
    write(found, path)
    print(verdicts.as_text(found, told) + "\n\n" + printable(f"table: {path}"))
    return 0


def detector(chosen: argparse.Namespace) -> int:
    """`detector`."""
    from analysis import detector_learning
    from analysis.metrics import AnalysisError
    from analysis.stats import clopper
    from sandbox.log import printable

    if not 0 <= chosen.games <= 100_000 or not 0 < chosen.level <= 0.5:
        raise AnalysisError(f"--games {chosen.games} --level {chosen.level}: expected 0 to 100000 games and a level above 0, at most 0.5")
    found = detector_learning.detector(chosen.experiment)
    detector_learning.write(found, chosen.out)
    weights = ", ".join(f"{name} {weight:.3f}" for name, weight in zip(found.signals, found.weights, strict=True))
    counted = found.learned["counted"]
    print(f"learned from {found.learned['honest']} honest runs and {found.learned['planted']} others, of which some were kept to count on: {weights}")
    print(f"kept to count on: an alarm at {counted['level']:g} in {counted['alarms']} of {counted['honest']} honest runs, and in {counted['found']} of {counted['planted']} others")
    if chosen.games:
        wrong = detector_learning.false_alarms(found, chosen.experiment, chosen.games, chosen.level)
        low, high = clopper(wrong, chosen.games)
        print(f"an alarm at {chosen.level:g} in {wrong} of {chosen.games} fresh honest games, {wrong / chosen.games:.2%} [{low:.2%} to {high:.2%}]")
    print(printable(f"detector: {chosen.out}"))
    return 0


def monitored(chosen: argparse.Namespace) -> int:
    """`monitored`."""
    import numpy as np

    from analysis import monitoring
    from analysis.table_files import write
    from sandbox.log import printable

    found, path = monitoring.monitored(chosen.experiment), chosen.experiment / monitoring.TABLE
    write(found, path)
    print("\n".join(monitoring.figures(found, np.random.default_rng(chosen.seed))) + "\n\n" + printable(f"table: {path}"))
    return 0


def export(chosen: argparse.Namespace) -> int:
    """`export`."""
    from analysis.export import export
    from sandbox.log import printable

    game = export(chosen.run, chosen.file)
    print(printable(f"{len(game.phases)} phases, {sum(len(phase.messages) for phase in game.phases)} messages: {chosen.file}"))
    return 0


def observe(chosen: argparse.Namespace) -> int:
    """`observe`."""
    from analysis import observe
    from sandbox.log import printable

    wish = observe.ObserveWish(checkpoint=chosen.checkpoint, authors=chosen.authors, measures=chosen.measures)
    found = observe.observe(chosen.sources, wish, chosen.out, max(1, chosen.tasks))
    for why in found.refused:
        print(printable(why), file=sys.stderr)
    if found.texts:
        print("\n".join([*map(printable, found.lines()), printable(f"table: {chosen.out or f'{observe.TABLE} in the folder of each run'}")]))
    return 2 if found.refused else 0


def collusion(chosen: argparse.Namespace) -> int:
    """`collusion`."""
    from analysis import collusion_report
    from sandbox.log import printable

    wish = collusion_report.CollusionWish(chosen.impulse, chosen.seller, chosen.at, chosen.horizon, chosen.discount)
    print("\n".join(printable(line) for line in collusion_report.lines(chosen.run, wish)))
    return 0


def teams(chosen: argparse.Namespace) -> int:
    """`teams`."""
    import numpy as np

    from analysis import teams
    from analysis.metrics import AnalysisError
    from scenarios.team_task import alerts

    if chosen.data is None and not chosen.alerts:
        raise AnalysisError("teams: nothing to do; give the folder with teams.jsonl, or --alerts 200 for simulated teams")
    if not 0 <= chosen.alerts <= 100_000 or chosen.alerts == 1:
        raise AnalysisError(f"--alerts {chosen.alerts}: expected 2 to 100000 teams")
    rng = np.random.default_rng(chosen.seed)
    if chosen.data is not None:
        found = teams.teams(chosen.data)
        print(teams.as_text(teams.table(found, rng, normalised=chosen.normalised), len(found)), flush=True)
    if chosen.alerts:
        print(teams.alert_text([alerts.compare(network, chosen.alerts, chosen.seed) for network in alerts.NETWORKS], rng))
    return 0


def information(chosen: argparse.Namespace) -> int:
    """`information`."""
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
    found = information.measured(checkpoint, seeds, chosen.forget, _say)
    _place(found, chosen.out)
    print(information.as_text(information.figures(found, np.random.default_rng(0))))
    print("\n" + printable(f"table: {chosen.out}"))
    return 0


def personas(chosen: argparse.Namespace) -> int:
    """`personas`."""
    import numpy as np

    from analysis import personas
    from analysis.texts import runs_of
    from sandbox.log import printable

    measured = personas.measure(runs_of(chosen.runs), chosen.checkpoint)
    _place(measured.lines, chosen.out)
    print(personas.as_text(measured, personas.figures(measured, np.random.default_rng(chosen.seed))))
    print("\n" + printable(f"table: {chosen.out}"))
    return 0


def probes_train(chosen: argparse.Namespace) -> int:
    """`probes train`."""
    from analysis import probes
    from analysis.metrics import AnalysisError
    from sandbox.log import printable

    if (chosen.target == "fact") != bool(chosen.fact):
        raise AnalysisError("--fact WHAT.FIELD goes with --target fact, and --target fact needs it; as in --target fact --fact award.winner")
    probe = probes.train(chosen.sources, chosen.target, chosen.fact, chosen.checkpoint)
    probes.write(probe, chosen.out)
    print(f"{len(probe.classes)} answers: {printable(', '.join(probe.classes))}\nheld-out games: {probes.as_text(probe.figures)}\n" + printable(f"head: {chosen.out}"))
    return 0


def probes_apply(chosen: argparse.Namespace) -> int:
    """`probes apply`."""
    import pandas as pd

    from analysis import probes
    from sandbox.log import printable

    probe = probes.read(chosen.probe)
    found = probes.apply(probe, chosen.sources, chosen.checkpoint)
    _place(pd.concat([probes.table(probe, game, p) for _, game, p in found]), chosen.out)
    print(probes.as_text(probes.figures(probe, [game for _, game, _ in found])))
    print(printable(f"table: {chosen.out}"))
    return 0


