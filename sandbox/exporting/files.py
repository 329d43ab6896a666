"""Rows as files. A piece of the runs gives one file a side, or, of saved games, one a game; what it gives depends on its rows alone.

Each writer is `write(where, side, number, rows) -> [files]`: files under `where`, each placed whole, synced, or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sandbox.disk import made_folder, placed
from sandbox.exporting.columns import TYPES, Type
from sandbox.exporting.row import Row
from sandbox.writing import writer

BATCH = 500  # rows of a row group of Parquet
CORPUS = ("utterances", "speakers", "conversations")  # parts of a corpus of ConvoKit

Write = Callable[[Path, str, int, Iterable[Row]], list[Path]]


_json = writer(compact=True, sort_keys=False)  # ASCII: one row, one line, whatever a text holds


def json_lines(where: Path, side: str, number: int, rows: Iterable[Row], name: str = "{side}/{number:05d}.jsonl") -> list[Path]:
    """A row a line; no file without a row."""
    return _text(where / name.format(side=side, number=number), (_json(row.record) for row in rows))


def conversations(where: Path, side: str, number: int, rows: Iterable[Row]) -> list[Path]:
    """As `sociallm train own=DIR/train` looks for them."""
    return json_lines(where, side, number, rows, "{side}/{number:05d}/conversations.jsonl")


def parquet(where: Path, side: str, number: int, rows: Iterable[Row]) -> list[Path]:
    """A row a row, some of them at a time."""
    import pyarrow
    import pyarrow.parquet as library

    rows = iter(rows)
    first = list(islice(rows, BATCH))
    if not first:
        return []
    path = where / side / f"{number:05d}.parquet"
    made_folder(path.parent)
    schema = pyarrow.schema([(name, _arrow(TYPES[name])) for name in first[0].record])
    with placed(path) as part, library.ParquetWriter(part, schema, compression="zstd") as writer:
        batch = first
        while batch:
            writer.write_table(pyarrow.Table.from_pylist([row.record for row in batch], schema))
            batch = list(islice(rows, BATCH))
    return [path]


def _arrow(kind: Type) -> Any:
    import pyarrow

    if isinstance(kind, list):
        return pyarrow.list_(_arrow(kind[0]))
    return pyarrow.type_for_alias(kind) if isinstance(kind, str) else pyarrow.struct([(key, _arrow(of)) for key, of in kind.items()])


def saved_games(where: Path, side: str, number: int, rows: Iterable[Row]) -> list[Path]:
    """A file a game, in the shape of the diplomacy package."""
    made = []
    for row in rows:
        path = where / side / f"{row.id}.json"
        made_folder(path.parent)
        with placed(path) as part:
            part.write_text(json.dumps(row.record, sort_keys=True, separators=(",", ":"), allow_nan=False), encoding="ascii")
        made.append(path)
    return made


def corpus_parts(where: Path, side: str, number: int, rows: Iterable[Row]) -> list[Path]:
    """Parts of a corpus, in lines: an utterance; a speaker or a conversation, as the entry of an object."""
    paths = [where / f"{side}-{number:05d}.{what}" for what in CORPUS]
    made_folder(where)
    with placed(paths[0]) as said, placed(paths[1]) as who, placed(paths[2]) as what, \
         open(said, "w") as utterances, open(who, "w") as speakers, open(what, "w") as talks:  # fmt: skip
        for row in rows:
            utterances.writelines(f"{_json(one)}\n" for one in row.record["utterances"])
            for file, entries in ((speakers, row.record["speakers"]), (talks, row.record["conversations"])):
                file.writelines(f"{_json(key)}:{_json(value)}\n" for key, value in entries.items())
    return paths


def corpus(out: Path, side: str, parts: Sequence[Path]) -> list[Path]:
    """A corpus of ConvoKit of all parts of a side; none where nothing was said."""
    said = [part for part in parts if part.name.endswith(".utterances") and part.stat().st_size]
    if not said:
        return []
    # each key of meta, and the type of its values: one entry tells it of all, for which keys there are is the wish's
    index: dict[str, Any] = {f"{what}-index": {key: [str(type(one))] for key, one in _first(parts, what)["meta"].items()} for what in CORPUS}
    index |= {"overall-index": {}, "version": 1, "vectors": []}
    made = _text(out / side / "utterances.jsonl", (line for part in said for line in _lines(part)))
    for what in CORPUS[1:]:
        of = [part for part in parts if part.name.endswith(f".{what}")]
        made += _text(out / side / f"{what}.json", (line for part in of for line in _lines(part)), ",\n", "{\n", "\n}\n")
    return made + _text(out / side / "corpus.json", ["{}"]) + _text(out / side / "index.json", [json.dumps(index, sort_keys=True)])


def _first(parts: Sequence[Path], what: str) -> dict[str, Any]:
    """The first entry of these parts."""
    line = next(line for part in parts if part.name.endswith(f".{what}") for line in _lines(part))
    found: dict[str, Any] = json.loads(line) if what == "utterances" else next(iter(json.loads(f"{{{line}}}").values()))
    return found


def _lines(path: Path) -> Iterator[str]:
    with open(path, encoding="ascii") as file:
        for line in file:
            yield line.rstrip("\n")


def _text(path: Path, lines: Iterable[str], between: str = "\n", before: str = "", behind: str = "\n") -> list[Path]:
    """A file of these lines; none without any."""
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        return []
    made_folder(path.parent)
    with placed(path) as part, open(part, "w", encoding="ascii", newline="\n") as file:
        file.write(before + first)
        for line in lines:
            file.write(between + line)
        file.write(behind)
    return [path]


WRITERS: dict[str, Write] = {
    "messages": json_lines, "sharegpt": json_lines, "parquet": parquet, "conversations": conversations, "diplomacy": saved_games, "convokit": corpus_parts,
}  # fmt: skip
