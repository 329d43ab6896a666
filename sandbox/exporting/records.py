"""The records of a run that has ended, from its columns where they are the sealed ones, else from its lines: only the kinds that are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sandbox.disk import plain_bytes
from sandbox.log import LogError, canonical, read_events
from sandbox.sealed import events_of, must_be
from sandbox.writing import writer

COLUMNS, TYPES = ("kind", "step", "time", "agent", "data"), ("string", "int64", "int64", "string", "string")
_text = writer(compact=True)

Record = tuple[str, int, int, str | None, str]  # of a log: COLUMNS, its data as JSON, sorted and compact


def records(run: Path, sha256: str, columns_sha256: str, kinds: Collection[str]) -> Iterator[Record]:
    """The records of these kinds of a run that has ended with a log of these hashes, in lines and in columns. Raises `LogError`."""
    try:
        content = plain_bytes(run / "events.parquet")
    except (OSError, ValueError):
        content = b""
    if content and hashlib.sha256(content).hexdigest() == columns_sha256:
        return _in_columns(run, content, kinds)
    return _in_lines(run, sha256, kinds)


def _in_columns(run: Path, content: bytes, kinds: Collection[str]) -> Iterator[Record]:
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            for number in range(file.num_row_groups):
                table = file.read_row_group(number, columns=list(COLUMNS), use_threads=False)
                if wrong := [name for name, kind in zip(COLUMNS, TYPES) if str(table[name].type) != kind or (name != "agent" and table[name].null_count)]:
                    raise ValueError(f"its column {wrong[0]} is none of a log")
                found = table.filter(compute.is_in(table["kind"], pyarrow.array(list(kinds), pyarrow.string())))
                columns: list[list[Any]] = [found[name].to_pylist() for name in COLUMNS]
                columns[3] = [agent if agent is None or "\\" not in agent else json.loads(f'"{agent}"') for agent in columns[3]]
                yield from zip(*columns)
    except (pyarrow.ArrowException, KeyError, ValueError) as error:  # of a hand-made manifest
        raise LogError(f"{run / 'events.parquet'}: not a sealed log ({' '.join(str(error).split())[:80]}); restore it, or remove it to have events.jsonl read") from None


def _in_lines(run: Path, sha256: str, kinds: Collection[str]) -> Iterator[Record]:
    """The first record that is wrong is told, else that another log was sealed."""
    path, digest, kept = run / "events.jsonl", hashlib.sha256(), []

    def torn(what: str) -> None:
        raise LogError(f"{what}; the log was cut short after the run had ended: restore it")

    for event in read_events(path, torn) if path.is_file() else events_of(run):
        digest.update(canonical(event))
        if event.kind in kinds:
            kept.append((event.kind, event.step, event.time, event.agent, _text(event.data)))
    must_be(path, digest.hexdigest(), sha256)
    yield from kept
