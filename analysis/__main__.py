"""python -m analysis report RUN · watch RUN [RUN …] · export RUN FILE: what a run's folder says. Reads logs, touches nothing alive."""

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
        for run in getattr(chosen, "runs", None) or [chosen.run]:
            if why := no_run(run):
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
    report = add("report", help="what came out of a run: printed, and as metrics.csv, plots and report.md in its folder")
    report.add_argument("run", type=Path, metavar="RUN")
    report.set_defaults(command=_report)
    watch = add("watch", help="compare surprise with and without states over watched games")
    watch.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    watch.add_argument("--held-out", type=Path, metavar="FILE", help="a text naming the games never trained on (default: the shipped model card)")
    watch.add_argument("--out", type=Path, default=Path("watch.csv"), metavar="FILE", help="the table by game (default: watch.csv)")
    watch.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    watch.set_defaults(command=_watch)
    export = add("export", help="a game of Diplomacy as a saved game, as the diplomacy package, Cicero and AI_Diplomacy read it")
    export.add_argument("run", type=Path, metavar="RUN")
    export.add_argument("file", type=Path, metavar="FILE", help="the JSON file to write")
    export.set_defaults(command=_export)
    return parser.parse_args(arguments)


def _report(chosen: argparse.Namespace) -> int:
    from analysis.report import report
    from sandbox.log import printable

    path, lines = report(chosen.run)
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


def _export(chosen: argparse.Namespace) -> int:
    from analysis.export import export
    from sandbox.log import printable

    game = export(chosen.run, chosen.file)
    print(printable(f"{len(game.phases)} phases, {sum(len(phase.messages) for phase in game.phases)} messages: {chosen.file}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
