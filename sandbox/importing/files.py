"""Files from elsewhere, read piece by piece: lines of bounded length, and the entries of one large JSON object or list.

Nothing is taken on trust: a line may be endless, a file compressed a thousandfold, JSON nested deeper than Python reads.
"""

from __future__ import annotations

import gzip
import json
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
_decoder = json.JSONDecoder(parse_constant=lambda word: None)  # NaN, which pandas writes where there is nothing


def opened(path: Path, unpack: bool = True) -> IO[bytes]:
    """A regular file, unpacked where its name says so. Raises `ImportRefused`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device would never end
            raise ImportRefused(f"{path}: not a file; name files, or folders of files")
        return gzip.open(path, "rb") if unpack and path.suffix == ".gz" else open(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise ImportRefused(f"{path}: cannot be read ({error.strerror}); name a file that is there") from None


def value_of(text: str | bytes, where: str) -> Any:
    """The value of a JSON text. Raises `ImportRefused`."""
    try:
        found = _decoder.decode(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{where}: not JSON ({' '.join(str(error).split()):.80}); was the file cut short, or is it of another --format?", "no JSON") from None
    return found


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
        raise ImportRefused(f"{path}:{number + 1}: cannot be read on ({' '.join(str(error).split()):.60}); fetch the file again") from None


def entries(path: Path) -> Iterator[tuple[str | None, Any]]:
    """(key, value) of the object, or (None, value) of the list, that is a whole JSON file, one at a time. Raises `ImportRefused`."""
    try:
        with opened(path) as file:
            yield from _entries(file, path)
    except BROKEN as error:
        raise ImportRefused(f"{path}: cannot be read on ({' '.join(str(error).split()):.60}); fetch the file again") from None


def _entries(file: IO[bytes], path: Path) -> Iterator[tuple[str | None, Any]]:
    import codecs

    decode, text, at, ended = codecs.getincrementaldecoder("utf-8-sig")("replace"), "", 0, False
    count = 0

    def more() -> None:
        nonlocal text, at, ended
        raw = file.read(max(CHUNK, len(text) - at))  # twice as much each time: what is large is not gone over often
        ended = not raw
        text, at = text[at:] + decode.decode(raw, ended), 0
        if len(text) > MAX_LINE:
            raise ImportRefused(f"{path}: entry {count + 1} has more than {MAX_LINE // 2**20} MiB; split it")

    def mark() -> str:
        """The next character that is no space; '' at the end."""
        nonlocal at
        while True:
            found = _SPACE.match(text, at)
            at = found.end() if found else at
            if at < len(text) or ended:
                return text[at : at + 1]
            more()

    def value() -> Any:
        nonlocal at
        while True:
            try:
                found, end = _decoder.raw_decode(text, at)
                if end < len(text) or ended:
                    at = end
                    return found
            except (ValueError, RecursionError) as error:
                if ended or isinstance(error, RecursionError):
                    raise wrong(str(error)) from None
            more()

    def wrong(what: str) -> ImportRefused:
        return ImportRefused(f"{path}: not JSON at entry {count + 1} ({' '.join(what.split()):.60}); was the file cut short?")

    begin = mark()
    if begin not in ("{", "["):
        raise wrong("expected an object or a list")
    end, at = {"{": "}", "[": "]"}[begin], at + 1
    if mark() == end:
        return
    while True:
        mark()
        key = None
        if begin == "{":
            key = value()
            if not isinstance(key, str) or mark() != ":":
                raise wrong("expected a key")
            at += 1
            mark()
        yield key, value()
        count += 1
        behind = mark()
        if behind not in (",", end):
            raise wrong(f"expected a comma or {end}")
        at += 1
        if behind == end:
            return
