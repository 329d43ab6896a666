"""The log of a run that has ended, in columns: events.parquet, beside events.jsonl and equal to it, for pandas, DuckDB and the like.

One row a record: v, seq, kind, step, time, agent, wall, and `data` as JSON text. Either file alone is the log: every command reads
the JSON lines where they are there, else the columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from sandbox.disk import placed
from sandbox.log import VERSION, Event, LogError, read_events

ROWS = 50_000  # of a row group: what is in memory at once


def seal_log(path: Path, events: Iterable[Event]) -> str:
    """Write the events in columns; the SHA-256 of the file."""
    import pyarrow
    import pyarrow.parquet as parquet

    i64, text = pyarrow.int64(), pyarrow.string()
    columns = {"v": i64, "seq": i64, "kind": text, "step": i64, "time": i64, "agent": text, "wall": pyarrow.float64(), "data": text}
    schema, rows = pyarrow.schema(list(columns.items())), iter(events)
    with placed(path) as part:
        with parquet.ParquetWriter(part, schema, compression="zstd") as writer:
            while batch := list(islice(rows, ROWS)):
                writer.write_table(pyarrow.Table.from_pylist([_row(event) for event in batch], schema))
        with open(part, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _row(event: Event) -> dict[str, object]:
    data = json.dumps(event.data, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return {
        "v": VERSION, "seq": event.seq, "kind": event.kind, "step": event.step, "time": event.time, "agent": _text(event.agent),
        "wall": event.wall, "data": data,
    }  # fmt: skip


def _text(agent: str | None) -> str | None:
    return None if agent is None else json.dumps(agent)[1:-1]  # ASCII: a name may hold what has no UTF-8 form


def read_sealed(path: Path) -> Iterator[Event]:
    """The events of a log in columns. Raises `LogError` naming the file and the row."""
    import pyarrow
    import pyarrow.parquet as parquet

    seq = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS):
                for row in batch.to_pylist():
                    if row["seq"] != seq or row["v"] != VERSION:
                        raise LogError(f"{path}: row {seq} is record {row['seq']} of version {row['v']}; lines were lost, or it is another version's")
                    agent = row["agent"] if row["agent"] is None else json.loads(f'"{row["agent"]}"')
                    yield Event(
                        kind=row["kind"], step=row["step"], time=row["time"], agent=agent, data=json.loads(row["data"]), seq=seq, wall=row["wall"]
                    )
                    seq += 1
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: not a sealed log ({' '.join(str(error).split())[:120]}); restore it, or read events.jsonl") from None


def events_of(run: Path, torn: Callable[[str], None] | None = None) -> Iterator[Event]:
    """The events of a run's folder, or of either form of a log. Raises `LogError`."""
    live, sealed = run / "events.jsonl", run / "events.parquet"
    log = run if not run.is_dir() else live if live.is_file() else sealed
    if not log.is_file():
        raise LogError(f"{run}: no log there; give the folder that a run named in its last line")
    return read_sealed(log) if log.suffix == ".parquet" else read_events(log, torn)
