"""Files from elsewhere, read piece by piece: lines of bounded length, and the entries of one large JSON object or list.

Nothing is taken on trust: a line may be endless, a file compressed a thousandfold, JSON nested deeper than Python reads.
"""

from __future__ import annotations

import codecs
import gzip
import json
import math
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sandbox.importing.wish import ImportRefused, ImportWish

MAX_LINE = 32 * 1024 * 1024  # bytes of a line, and of an entry
CHUNK = 1 << 20
BROKEN = (OSError, EOFError, zlib.error)  # of what is said to be compressed
_SPACE = re.compile(r"[ \t\n\r]*")


def _finite(digits: str) -> float | None:
    return number if math.isfinite(number := float(digits)) else None


_decoder = json.JSONDecoder(parse_constant=lambda word: None, parse_float=_finite)  # NaN, which pandas writes where there is nothing; 1e999 is infinite


def opened(path: Path, unpack: bool = True) -> IO[bytes]:
    """A regular file, unpacked where its name says so. Raises `ImportRefused`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would never end
            raise ImportRefused(f"{path}: not a file; name files, or folders of files")
        return gzip.open(path, "rb") if unpack and path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise ImportRefused(f"{path}: cannot be read ({error.strerror}); name a file that is there") from None


def beginning(path: Path, most: int, line: bool = False) -> bytes:
    """The first bytes of a file, or its first line, at most so many. Raises `ImportRefused`."""
    try:
        with opened(path) as file:
            return file.readline(most) if line else file.read(most)
    except BROKEN as error:
        raise broken(str(path), error) from None


def broken(where: str, error: Exception) -> ImportRefused:
    """The error of a file that ends, or goes on, otherwise than what it says it is: one of BROKEN."""
    return ImportRefused(f"{where}: cannot be read on ({' '.join(str(error).split()):.60}); fetch the file again")


def value_of(text: str | bytes, where: str) -> Any:
    """The value of a JSON text. Raises `ImportRefused`."""
    try:
        return _decoder.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{where}: not JSON ({' '.join(str(error).split()):.80}); was the file cut short, or is it of another --format?", "no JSON") from None


def lines(path: Path, wish: ImportWish, left_out: Counter[str]) -> Iterator[tuple[int, bytes]]:
    """(number, line) of a file, empty ones left out. Raises `ImportRefused` for one that is too long; with `skip` it is left out and counted."""
    number = 0
    try:
        with opened(path) as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    if not wish.skip:
                        raise ImportRefused(f"{path}:{number}: a line of more than {MAX_LINE // 2**20} MiB; split it, or say --skip to leave it out")
                    left_out["lines too long"] += 1
                    while line and not line.endswith(b"\n"):
                        line = file.readline(CHUNK)
                elif not line.isspace():
                    yield number, line
    except BROKEN as error:
        raise broken(f"{path}:{number + 1}", error) from None


def entries(path: Path) -> Iterator[tuple[str | None, Any]]:
    """(key, value) of the object, or (None, value) of the list, that is a whole JSON file, one at a time. Raises `ImportRefused`."""
    try:
        with opened(path) as file:
            yield from _entries(file, path)
    except BROKEN as error:
        raise broken(str(path), error) from None


def _entries(file: IO[bytes], path: Path) -> Iterator[tuple[str | None, Any]]:
    text = _Text(file, path)
    begin = text.mark()
    if begin not in ("{", "["):
        raise text.wrong("expected an object or a list")
    end = {"{": "}", "[": "]"}[begin]
    text.at += 1
    if text.mark() == end:
        return
    while True:
        text.mark()
        key = None
        if begin == "{":
            key = text.value()
            if not isinstance(key, str) or text.mark() != ":":
                raise text.wrong("expected a key")
            text.at += 1
            text.mark()
        yield key, text.value()
        text.count += 1
        behind = text.mark()
        if behind not in (",", end):
            raise text.wrong(f"expected a comma or {end}")
        text.at += 1
        if behind == end:
            return


class _Text:
    """The text of a JSON file as far as it was read, and a place in it."""

    def __init__(self, file: IO[bytes], path: Path):
        self._file, self._path, self._decode = file, path, codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text, self._ended = "", False
        self.at = 0  # the place
        self.count = 0  # entries that lie behind

    def mark(self) -> str:
        """The next character that is no space, at which the place then is; '' at the end."""
        while True:
            found = _SPACE.match(self._text, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self._text) or self._ended:
                return self._text[self.at : self.at + 1]
            self._more()

    def value(self) -> Any:
        """The value that begins here; the place is then behind it."""
        while True:
            try:
                found, end = _decoder.raw_decode(self._text, self.at)
                if end < len(self._text) or self._ended:
                    self.at = end
                    return found
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError):
                    raise self.wrong(str(error)) from None
            self._more()

    def wrong(self, what: str) -> ImportRefused:
        """The error that names the entry."""
        return ImportRefused(f"{self._path}: not JSON at entry {self.count + 1} ({' '.join(what.split()):.60}); was the file cut short?")

    def _more(self) -> None:
        raw = self._file.read(max(CHUNK, len(self._text) - self.at))  # twice as much each time: what is large is not gone over often
        self._ended = not raw
        self._text, self.at = self._text[self.at :] + self._decode.decode(raw, self._ended), 0
        if len(self._text) > MAX_LINE:
            raise ImportRefused(f"{self._path}: entry {self.count + 1} has more than {MAX_LINE // 2**20} MiB; split it")
