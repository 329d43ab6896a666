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

from sandbox.disk import file_sha256, placed, plain_bytes
from sandbox.log import VERSION, Event, LogError, canonical, checked, read_events, value_of
from sandbox.named import no_run

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
        return file_sha256(part)


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
                    data = value_of(row["data"])
                    event = Event(kind=row["kind"], step=row["step"], time=row["time"], agent=agent, data=data, seq=seq, wall=row["wall"])
                    yield checked(event, f"{path}: row {seq}")
                    seq += 1
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"{path}: not a sealed log ({' '.join(str(error).split())[:120]}); restore it, or read events.jsonl") from None


def events_of(run: Path, torn: Callable[[str], None] | None = None) -> Iterator[Event]:
    """The events of a run's folder, or of either form of a log. Raises `LogError`; after the last event, if the manifest in the folder says
    that the run has ended with another log."""
    live, sealed = run / "events.jsonl", run / "events.parquet"
    log = run if not run.is_dir() else live if live.is_file() else sealed
    if not log.is_file():
        raise LogError(no_run(run) or f"{run}: no log there; give the folder that a run named in its last line")
    events = read_sealed(log) if log.suffix == ".parquet" else read_events(log, torn)
    expected = _sealed_as(run / "manifest.json") if run.is_dir() else None
    return events if expected is None else _held(events, log, expected)


def _held(events: Iterator[Event], log: Path, expected: object) -> Iterator[Event]:
    """The events, then `LogError` if their hash is not the one expected."""
    digest = hashlib.sha256()
    for event in events:
        digest.update(canonical(event))
        yield event
    must_be(log, digest.hexdigest(), expected)


def must_be(log: Path, found: str, expected: object) -> None:
    """Raises `LogError` if a log of this hash is not the one that was sealed."""
    if found != expected:
        raise LogError(f"{log}: the canonical log is {found:.12}…, manifest.json says {expected!s:.12}…; one of them was changed: restore it, or run again")


def _sealed_as(manifest: Path) -> object:
    """The hash of the log that the manifest of a run names; None if the run has not ended, or has no manifest. Raises `LogError`."""
    try:
        told = json.loads(plain_bytes(manifest))
        return None if told.get("ended") is None else told.get("log_sha256", "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        what = error.strerror if isinstance(error, OSError) else f"{error!s:.100}"
        raise LogError(f"{manifest}: not the manifest of a run ({what}); restore it, or remove it to read the log without its seal") from None
