"""`python -m sandbox import FILE… --format F --out DIR`: the words of the command line as a wish, and the counts in lines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.importing.wish import FORMATS, ROLES, UNITS, ImportRefused, ImportWish


def arguments(command: argparse.ArgumentParser) -> None:
    """What the command takes."""
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file, or a folder of files")
    command.add_argument("--format", default="auto", help=f"one of {', '.join(FORMATS)} (default auto: what it looks like)")
    command.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the runs go: a new folder, or one where the import was begun")
    command.add_argument("--fields", nargs="+", default=[], metavar="ROLE=FIELD", help=f"of plain chat, which field is what: {', '.join(ROLES)}; of an object user.name, ROLE=- for none")
    command.add_argument("--unit", default="auto", help=f"of times that are numbers: {', '.join(UNITS)} (default: by their size)")
    command.add_argument("--cut", action="store_true", help="cut texts that are longer than a message may be; otherwise they are refused")
    command.add_argument("--skip", action="store_true", help="leave out what cannot be taken, and say how much and why")
    command.add_argument("--words", action="store_true", help="of saved games only what was said")


def main(given: argparse.Namespace) -> int:
    """Import; the exit code. Raises `ImportRefused`."""
    from sandbox.importing.bring import bring  # pyarrow, numpy and the worlds: not before the words are right
    from sandbox.log import printable

    wish = ImportWish(format=given.format, out=given.out, fields=_fields(given.fields), unit=given.unit, cut=given.cut, skip=given.skip, words=given.words)
    counts = bring(given.files, wish, lambda what: print(printable(what), file=sys.stderr, flush=True))
    for line in counts.lines():  # of one that is done they are what its file says
        print(printable(line))
    print(printable(str(given.out)))
    return 0


def _fields(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if wrong := next((word for word, (role, _, field) in zip(words, pairs) if not role or not field), None):
        raise ImportRefused(f"--fields {wrong!r:.40}: expected ROLE=FIELD, such as author=nick")
    return {role: field for role, _, field in pairs}
