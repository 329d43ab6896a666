"""What is imported: files, each known by its place below what was named and by its hash; and what every reader of them shares."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sandbox.importing.files import lines, opened, value_of
from sandbox.importing.talk import Line
from sandbox.importing.wish import ImportRefused, ImportWish

Found = TypeVar("Found")


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
    tell: Callable[[str], None] = lambda _: None  # what a user may want to know of the reading
    left_out: Counter[str] = field(default_factory=Counter)
    cleaned: Counter[str] = field(default_factory=Counter)

    def refuse(self, error: ImportRefused) -> None:
        """Raises it; with `skip` it is counted, and what it is about left out."""
        if not self.wish.skip:
            raise error
        self.left_out[error.why] += 1

    def kept(self, make: Callable[..., Found], *given: Any) -> Found | None:
        """What `make` gives of this; None where it refuses, and that is left out."""
        try:
            return make(*given)
        except ImportRefused as error:
            self.refuse(error)
            return None

    def objects(self, source: Source, rows: Iterable[tuple[int, Any]] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, object) of each row of a source: of these, or of its lines of JSON. What is no object is refused."""
        for number, row in lines(source.path, self.wish, self.left_out) if rows is None else rows:
            if (found := self.kept(_object, row, f"{source.path}:{number}")) is not None:
                yield number, found

    def place(self, line: Line) -> str:
        """File and line."""
        return f"{self.sources[line.place[0]].path}:{line.place[1]}"


def _object(row: Any, where: str) -> dict[str, Any]:
    value = value_of(row, where) if isinstance(row, bytes) else row
    if not isinstance(value, dict):
        raise ImportRefused(f"{where}: {value!r:.40}, expected an object; is it of another --format?", "no objects")
    return value
