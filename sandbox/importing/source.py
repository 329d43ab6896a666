"""What is imported: files, each known by its place below what was named and by its hash; and what every reader of them shares."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.importing.files import opened
from sandbox.importing.talk import Line
from sandbox.importing.wish import ImportRefused, ImportWish


@dataclass(frozen=True)
class Source:
    """A file. `beside`: others that say more of it, such as speakers.json of a corpus."""

    path: Path
    name: str  # below what was named; the same wherever that lies
    beside: Mapping[str, Path] = field(default_factory=dict)

    def sha256(self) -> str:
        """Of the file, and of those beside it. Raises `ImportRefused`."""
        files = ([] if self.path.is_dir() else [(self.path.name, self.path)]) + sorted(self.beside.items())
        try:
            found = [(name, _sha256(path)) for name, path in files]
        except OSError as error:
            raise ImportRefused(f"{error.filename}: cannot be read ({error.strerror}); name files that are there") from None
        return found[0][1] if len(found) == 1 else hashlib.sha256(json.dumps(found).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with opened(path, unpack=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


@dataclass
class Reading:
    """The sources of one format as they are read, and what is counted on the way."""

    format: str
    sources: Sequence[Source]
    wish: ImportWish
    stage: Path  # a folder for what does not fit in memory
    left_out: Counter[str] = field(default_factory=Counter)
    cleaned: Counter[str] = field(default_factory=Counter)

    def refuse(self, error: ImportRefused) -> None:
        """Raises it; with `skip` it is counted, and what it is about left out."""
        if not self.wish.skip:
            raise error
        self.left_out[error.why] += 1

    def place(self, line: Line) -> str:
        """File and line."""
        return f"{self.sources[line.place[0]].path}:{line.place[1]}"


