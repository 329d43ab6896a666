"""Where the sandbox wants an analysis, it starts `python -m analysis …` as a process of its own: analysis reads the sandbox, never the other way round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.log import printable

MOST_LINES, MOST_CHARACTERS = 20, 400  # of what an analysis says beside its work that is passed on: its last lines


def analysed(word: str, folder: Path) -> bool:
    """Whether `python -m analysis WORD FOLDER` did its work; what it printed is shown, but for its last line, which names the folder as ours will.

    What it wrote to stderr is passed on, its last lines, with everything that could steer a terminal made visible.
    """
    child, said = _started(word, str(folder))
    if child.returncode:
        _pass_on(said[:-1])
        what = "report" if word == "report" else f"analysis {word!r}"
        last = shortened(said[-1]) if said else "it said nothing"
        print(f"sandbox: the {what} could not be made ({last}); try python -m analysis {word} {folder}", file=sys.stderr)
    else:
        _pass_on(said)
        print("\n".join(child.stdout.rstrip().splitlines()[:-1]))
    return not child.returncode


def viewed(run: Path, out: Path | None, with_labels: bool) -> int:
    """Have the page of a run made by `python -m analysis view`; the exit code. The last line names the page."""
    child, said = _started("view", str(run), *(["--out", str(out)] if out else []), *(["--labels"] if with_labels else []))
    if child.returncode:
        _pass_on(said[:-1])
        print(f"sandbox: {shortened(said[-1]) if said else f'the page could not be made; try python -m analysis view {run}'}", file=sys.stderr)
        return child.returncode
    _pass_on(said)
    print(printable(str(out or run / "view.html")))
    return 0


def _started(*words: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """(the process when it has ended, the lines that it wrote to stderr)."""
    child = subprocess.run([sys.executable, "-m", "analysis", *words], capture_output=True, text=True, errors="backslashreplace", check=False)
    return child, child.stderr.strip().splitlines()


def _pass_on(lines: Sequence[str]) -> None:
    if len(lines) > MOST_LINES:
        print(f"… {len(lines) - MOST_LINES} lines before", file=sys.stderr)
    for line in lines[-MOST_LINES:]:
        print(shortened(line), file=sys.stderr, flush=True)


def shortened(line: str) -> str:
    """A line that can be shown."""
    shown = printable(line)
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[:MOST_CHARACTERS]}…"
