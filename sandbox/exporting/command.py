"""`python -m sandbox export RUN… --format F --out DIR`: the words of the command line as a wish, and the counts in lines."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sandbox.exporting.wish import FORMATS, PLANTED, ExportError, Wish

Number = TypeVar("Number", int, float)
_RANGE = re.compile(r"([0-9.]{1,20}?)\.\.([0-9.]{1,20})")


def arguments(command: argparse.ArgumentParser) -> None:
    """What the command takes."""
    command.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the folder of a run, or a folder of runs")
    command.add_argument("--format", required=True, help=f"one of {', '.join(FORMATS)}")
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the export goes: a new folder, or one where it was begun")
    command.add_argument("--without", default="", metavar="COLUMNS", help="leave out intents, labels, or both: intents,labels")
    command.add_argument("--planted", default="tag", help=f"{' or '.join(PLANTED)} what liars and colluders say (default tag)")
    command.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="share of the games for validation (default 0.1)")
    command.add_argument("--alike", type=float, metavar="J", help="leave out rows as alike as this, such as 0.8 (MinHash; needs datasketch)")
    command.add_argument("--length", metavar="FROM..TO", help="keep rows of so many words")
    command.add_argument("--energy", metavar="FROM..TO", help="keep rows between these quantiles of E_rel, such as 0.01..0.99")
    command.add_argument("--checkpoint", help="computes E_rel; without it, it is read from each run's observed.parquet")
    command.add_argument("--cap", type=float, metavar="SHARE", help="most of the text that one lineage of agents may have, such as 0.05")
    command.add_argument("--of", type=int, metavar="BYTES", help="what --cap is a share of (default: all that the other filters leave)")
    command.add_argument("--skip", action="store_true", help="leave out runs that cannot be exported, and say how many and why")


def main(given: argparse.Namespace) -> int:
    """Export; the exit code. Raises `ExportError`."""
    from sandbox.exporting.export import export  # pyarrow, numpy and the worlds: not before the words are right
    from sandbox.log import printable

    wish = Wish(
        format=given.format, out=given.out, without=frozenset(given.without.split(",")) - {""}, planted=given.planted, validation=given.validation,
        alike=given.alike, length=_range("--length", given.length, int), energy=_range("--energy", given.energy, float), checkpoint=given.checkpoint,
        cap=given.cap, of=given.of, skip=given.skip,
    )  # fmt: skip
    counts = export(given.runs, wish, lambda what: print(what, file=sys.stderr, flush=True))
    for line in counts.lines():  # of one that is done they are what its file says
        print(printable(line))
    print(given.out)
    return 0


def _range(option: str, text: str | None, kind: Callable[[str], Number]) -> tuple[Number, Number] | None:
    if text is None:
        return None
    found = _RANGE.fullmatch(text)
    try:
        if found:
            return kind(found[1]), kind(found[2])
    except ValueError:
        pass
    raise ExportError(f"{option} {text!r:.40}: expected FROM..TO, such as {'20..4000' if kind is int else '0.01..0.99'}")
