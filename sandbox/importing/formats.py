"""The formats of an import: for each what reads it and what its files are called; and which one a file looks like."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sandbox.importing.conversations import conversations
from sandbox.importing.convokit import UTTERANCES, beside, corpora
from sandbox.importing.files import beginning
from sandbox.importing.plain import jsonl, table
from sandbox.importing.public import SETS, public
from sandbox.importing.rows import rows_of_columns, rows_of_lines
from sandbox.importing.saved_games import games
from sandbox.importing.source import Reading, Source
from sandbox.importing.talk import Talk
from sandbox.importing.wish import ImportRefused
from sandbox.named import OF_A_RUN

LOOK = 1 << 20  # bytes of a file by which it is known
LINES, TABLES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"), (".csv", ".tsv", ".csv.gz", ".tsv.gz")


class Format(NamedTuple):
    """What reads the sources of a format, and how their names end."""

    read: Callable[[Reading], Iterator[Talk]]
    ends: tuple[str, ...]


TABLE: Mapping[str, Format] = {
    "convokit": Format(corpora, UTTERANCES),
    "diplomacy": Format(games, (".json",)),
    "messages": Format(rows_of_lines, LINES),
    "sharegpt": Format(rows_of_lines, LINES),
    "parquet": Format(rows_of_columns, (".parquet",)),
    "conversations": Format(conversations, LINES),
    "jsonl": Format(jsonl, LINES),
    "csv": Format(table, TABLES),
    "corpus": Format(public, ()),
}
OURS = {"export.json", "import.json"}  # beside what an export made; no conversations


def sources_of(paths: Sequence[Path], wanted: str) -> tuple[str, list[Source]]:
    """(format, sources) of what the user named, in an order that depends on names alone. Raises `ImportRefused`."""
    format, found = wanted, dict[Path, Source]()
    for path in paths:
        if not os.path.exists(path):
            raise ImportRefused(f"{path}: no such file or folder; name what is to be imported")
        looks = guess(path) if wanted == "auto" else wanted
        if format not in ("auto", looks):
            raise ImportRefused(f"{path}: looks like {looks}, what was named before it like {format}; import them one after the other, or say --format")
        format = looks
        for place, name in _files(path, format):
            if place.resolve() not in found:
                more = beside(place.parent) if format == "convokit" else {name: place for place, name in _walk(place, ("",))} if format == "corpus" else {}
                found[place.resolve()] = Source(place, _unlike(name, {source.name for source in found.values()}), more)
    if not found:
        raise ImportRefused(f"{paths[0] if paths else 'nothing'}: holds no file of --format {format} ({', '.join(TABLE[format].ends) or 'see --help'}); name files, or another --format")
    return format, sorted(found.values(), key=lambda source: (source.name, str(source.path)))


def _unlike(name: str, taken: set[str]) -> str:
    """A name for a file that no other has: two folders may hold files that are called the same."""
    number = 2
    while name in taken:
        name, number = f"{name.rpartition(' ')[0] if number > 2 else name} {number}", number + 1
    return name


def guess(path: Path) -> str:
    """The format that a file or folder looks like. Raises `ImportRefused` where it looks like none."""
    if path.is_dir():
        return _folder(path)
    if path.name in UTTERANCES:
        return "convokit"
    if path.suffix == ".parquet":
        return "parquet"
    if path.name.endswith(TABLES):
        return "csv"
    if path.suffix == ".json":
        if b'"phases"' in beginning(path, LOOK):
            return "diplomacy"
        raise ImportRefused(f"{path}: is no saved game (it has no \"phases\"); name its --format, or write one message a line and call it .jsonl")
    if path.name.endswith(LINES):
        return _lines(path)
    raise ImportRefused(f"{path}: nothing that is known ends like that; name its --format, and files that end in {', '.join((*LINES, *TABLES, '.parquet', '.json'))}")


def _folder(path: Path) -> str:
    """Of a folder: a corpus, an export of ours, a public set, or what its first file looks like."""
    if any((path / name).is_file() for name in OF_A_RUN):
        raise ImportRefused(f"{path}: is the folder of a run already; use it as it is: python -m sandbox log {path}")
    names = sorted(_walk(path, ("", *LINES)), key=lambda found: found[1])
    if any(name.rsplit("/", 1)[-1] in UTTERANCES for _, name in names):
        return "convokit"
    if path.resolve().name in SETS and path.resolve().name != "cicero_games":  # whose files are saved games, which hold more than words
        return "corpus"
    for place, _ in names:
        if place.name not in OURS and place.name.endswith((*LINES, *TABLES, ".parquet", ".json")):
            return guess(place)
    raise ImportRefused(f"{path}: holds nothing that looks like conversations; name files, or --format")


def _lines(path: Path) -> str:
    """Of JSON lines, by the first one."""
    try:
        value = json.loads(beginning(path, 32 * LOOK, line=True))
    except ImportRefused:
        raise
    except (ValueError, RecursionError):
        return "jsonl"  # which says what is wrong with it
    if not isinstance(value, dict):
        return "jsonl"
    if "channels" in value and isinstance(value.get("messages"), list) and "v" in value:
        return "conversations"
    for format, key, role in (("messages", "messages", "role"), ("sharegpt", "conversations", "from")):
        if isinstance(turns := value.get(key), list) and turns and isinstance(turns[0], dict) and role in turns[0] and not {"text", "speaker"} & set(turns[0]):
            return format
    return "jsonl"


def _files(path: Path, format: str) -> Iterator[tuple[Path, str]]:
    """(file, its name below `path`) of all of a format."""
    if format == "corpus":
        yield path, path.resolve().name
    elif not path.is_dir():
        yield path, path.name
    else:
        yield from ((place, name) for place, name in _walk(path, TABLE[format].ends) if place.name not in OURS)


def _walk(path: Path, ends: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    for place, inner, names in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            if name.endswith(ends) and not name.startswith(".") and file.is_file() and not file.is_symlink():
                yield file, str(file.relative_to(path).as_posix())
