"""Where the sandbox wants an analysis, it starts `python -m analysis …` as a process of its own: analysis reads the sandbox, never the other way round."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def analysed(word: str, folder: Path) -> bool:
    """Whether `python -m analysis WORD FOLDER` did its work; what it printed is shown, but for its last line, which names the folder as ours will."""
    child = subprocess.run([sys.executable, "-m", "analysis", word, str(folder)], capture_output=True, text=True, check=False)
    if child.returncode:
        last = (child.stderr.strip().splitlines() or ["it said nothing"])[-1]
        what = "report" if word == "report" else f"analysis {word!r}"
        print(f"sandbox: the {what} could not be made ({last}); try python -m analysis {word} {folder}", file=sys.stderr)
    else:
        print("\n".join(child.stdout.rstrip().splitlines()[:-1]))
    return not child.returncode
