"""What SociaLLM makes of any log or corpus, whoever wrote it: `observed.parquet`, a row for each reader of each message.

Read are a run's folder (its seats may all be scripted), a folder of runs, a log (events.jsonl, events.parquet), conversations (JSONL), a
recorded game of Diplomacy (.json), and a file of the IRC disentanglement corpus (.jsonl.gz). What rows say, and which readers have one,
stands in `sociallm.observing`. Of a run in which agents carried states, own_key, other_key and channel_key are those of its own memory
records (with the checkpoint of the run, which is the default).

    run message author reader channel time role   which message, and who read it; a reader of null is all others of a large room.
                                                  A run of an experiment is called ARM/SEED
    own_key other_key channel_key                 of the reader's own state, its state of the author, the channel's, after the message
    tokens nats nats_no_other nats_no_own nats_no_states   predicted tokens and what they cost: both states, one emptied, both emptied
    e_rel e_coh moved                             energies a token, how far the state of the author moved (0 to 1)
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.metrics import AnalysisError
from analysis.texts import Text, in_experiment, is_log, runs_below, text_of_run, texts_of_file
from sandbox.disk import placed
from sandbox.log import value_of
from sandbox.named import MANIFEST, OF_A_RUN
from sandbox.record import whole

if TYPE_CHECKING:
    import pyarrow

    from sociallm.checkpoint import Checkpoint
    from sociallm.observing import Seen

TABLE, DEFAULT = "observed.parquet", "base"
RUNS, CONVERSATIONS = 16, 2  # observed in one piece of work
COLUMNS = (
    ("run", "name"), ("message", "text"), ("author", "name"), ("reader", "name"), ("channel", "name"), ("time", "int"), ("role", "name"), ("own_key", "text"),
    ("other_key", "text"), ("channel_key", "text"), ("tokens", "count"), ("nats", "number"), ("nats_no_other", "number"), ("nats_no_own", "number"),
    ("nats_no_states", "number"), ("e_rel", "number"), ("e_coh", "number"), ("moved", "number"),
)  # fmt: skip
NATS = ("nats", "nats_no_other", "nats_no_own", "nats_no_states")


@dataclass(frozen=True, kw_only=True)
class ObserveWish:
    """What is asked for."""

    checkpoint: str | None = None
    authors: bool = False  # one row a message, its author's
    measures: bool = False  # dear ones too: E_coh


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one process observes at a time: runs, which it reads itself, or conversations."""

    runs: tuple[Path, ...] = ()
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What was observed: sums over the rows of authors."""

    texts: int = 0
    messages: int = 0
    rows: int = 0
    tokens: int = 0
    nats: tuple[float, ...] = (0.0,) * len(NATS)
    refused: tuple[str, ...] = ()
    worlds: Mapping[str, Summary] = field(default_factory=dict)  # the same of each world's runs, and of conversations that are no run's

    def __add__(self, other: Summary) -> Summary:
        nats = tuple(a + b for a, b in zip(self.nats, other.nats, strict=True))
        worlds = {name: self.worlds.get(name, Summary()) + other.worlds.get(name, Summary()) for name in dict.fromkeys((*self.worlds, *other.worlds))}
        return Summary(self.texts + other.texts, self.messages + other.messages, self.rows + other.rows, self.tokens + other.tokens, nats, self.refused + other.refused, worlds)

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [f"{self.texts} conversation{'s' * (self.texts != 1)}, {self.messages} messages, {self.rows} rows"]
        if self.tokens:
            found.append("authors' words, nats a token (lower: better foreseen), with both states of the author or with some of them emptied:")
            found.append(f"{'':<16}{'conversations':>14}{'messages':>10}{'both states':>13}{'no other':>10}{'no own':>10}{'no states':>11}")
            every = {**self.worlds, **({"all": self} if len(self.worlds) != 1 else {})}
            found += [f"{name:<16}{one.texts:>14}{one.messages:>10}" + "".join(f"{v / one.tokens:>{width}.3f}" for v, width in zip(one.nats, (13, 10, 10, 11), strict=True))
                      for name, one in every.items() if one.tokens]  # fmt: skip
            found.append(f"each message has its own in the table: {', '.join(NATS)} (nats of all its tokens), tokens; and energies (e_rel: relative, a token), moved (0 to 1)")
        return found


# ---- observing ---------------------------------------------------------------------------------------------------------


def observe(paths: Sequence[Path], wish: ObserveWish, out: Path | None = None, tasks: int = 1) -> Summary:
    """Observe all of them: each run's table into its folder, or all in one table `out`, which any other source needs.

    Runs of one seed of an experiment are read together: twins are alike up to where they part, and what is alike is read once. So rows of
    one table are in order of the seeds, then of the arms. What cannot be read is told in `Summary.refused`, and the others go on; raises
    `AnalysisError` if there is nothing to observe, or nothing to read it with.
    """
    runs: list[Path] = []
    files: list[Path] = []
    for path in paths:
        if found := runs_below(path) or ([_run_of(path)] if is_log(path) else []):
            runs += found
        elif path.is_file():
            files.append(path)
        else:
            raise AnalysisError(f"{path}: no run there and no file; give the folder of a run, a folder of runs, a log, conversations (JSONL), a recorded game or a file of IRC")
    refused = Summary(refused=tuple(f"{path}: plain chat, which is imported first: python -m sandbox import {path} --out DIR; then observe DIR" for path in files if _chat(path)))
    files = [path for path in files if not _chat(path)]
    if out is None and (alone := [*files, *(run for run in runs if not run.is_dir())]):
        raise AnalysisError(f"{alone[0]}: has no folder of a run for {TABLE}; say where it is to go with --out FILE")
    runs = _twins_together(dict.fromkeys(runs))
    works = [Work(runs=tuple(runs[i : i + RUNS])) for i in range(0, len(runs), RUNS)]
    for path in files:
        try:
            texts = texts_of_file(path)
        except AnalysisError as error:
            refused += Summary(refused=(str(error),))
            continue
        works += [Work(texts=tuple(texts[i : i + CONVERSATIONS])) for i in range(0, len(texts), CONVERSATIONS)]
    if not works and not refused.refused:
        raise AnalysisError(f"{paths[0]}: holds no conversation, so there is nothing to observe; name a file that does")
    return refused + _all(works, wish, out, tasks)


def _chat(path: Path) -> bool:
    """Whether a file is chat of some other program, which `sandbox import` reads."""
    if path.suffix != ".jsonl":
        return path.name.endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz", ".ndjson"))
    try:
        with open(path, "rb") as file:
            first = value_of(file.readline(1 << 20))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "channels" not in first  # which a conversation of ours has


def _run_of(log: Path) -> Path:
    """The run that a log lies in the folder of; the log itself where it stands alone."""
    return log.parent if log.name in OF_A_RUN and (log.parent / MANIFEST).is_file() else log


def _twins_together(runs: Iterable[Path]) -> list[Path]:
    """Runs of one seed of an experiment follow one another."""
    seeds: dict[tuple[Path, str] | Path, list[Path]] = {}
    for run in runs:
        seeds.setdefault((run.parent.parent, run.name) if in_experiment(run) else run, []).append(run)
    return [run for some in seeds.values() for run in some]


class _NothingObserved(Exception):
    """All was refused, so no table takes its place."""


def _all(works: Sequence[Work], wish: ObserveWish, out: Path | None, tasks: int) -> Summary:
    summary = Summary()
    try:
        with _writing(out) as write, _processes(min(tasks, len(works))) as pool:
            over = map if pool is None else pool.map
            for part, table in over(_observed, works, [wish] * len(works), [out is None] * len(works)):
                summary += part
                if table is not None:
                    write(table)
            if not summary.texts:
                raise _NothingObserved
    except BrokenProcessPool:
        raise AnalysisError(f"one of {tasks} processes died; is it out of memory? a process takes about a GB: name fewer with --tasks") from None
    except _NothingObserved:
        pass
    return summary


@contextmanager
def _writing(out: Path | None) -> Iterator[Any]:
    """How to add a table to the file `out`, which is there when all went well."""
    if out is None:
        yield lambda table: None
        return
    import pyarrow.parquet as parquet

    try:
        with placed(out) as part, parquet.ParquetWriter(part, schema(), compression="zstd") as writer:
            yield writer.write_table
    except OSError as error:
        raise AnalysisError(f"{out}: cannot be written ({error.strerror or error}); name another file with --out") from None


def _processes(tasks: int) -> Any:
    """Processes of one thread each; none for one piece of work, which is done here."""
    if tasks < 2:
        return nullcontext()
    pool: Executor = ProcessPoolExecutor(tasks, mp_context=multiprocessing.get_context("spawn"), initializer=_alone)
    return pool


def _alone() -> None:
    from sociallm.observing import one_thread

    one_thread()


def _observed(work: Work, wish: ObserveWish, place: bool) -> tuple[Summary, pyarrow.Table | None]:
    """(what was observed, its rows as a table where they are not placed in the folders of runs). By checkpoint, and many in one pass."""
    import pyarrow

    found: list[tuple[Path | None, Text]] = [(None, text) for text in work.texts]
    summary = Summary()
    for run in work.runs:
        try:
            found.append((run, text_of_run(run)))
        except AnalysisError as error:
            summary += Summary(refused=(str(error),))
    tables: dict[int, pyarrow.Table] = {}
    for n, seen in _rows([text for _, text in found], wish):
        folder, text = found[n]
        if isinstance(seen, str):
            summary += Summary(refused=(seen,))
            continue
        table = table_of(text, seen)
        one = _summary(seen)
        summary += replace(one, worlds={text.world or "conversations": one})
        if place and folder is not None:
            _put(folder / TABLE, table)
        else:
            tables[n] = table
    return summary, pyarrow.concat_tables([tables[n] for n in sorted(tables)]) if tables else None


def _rows(texts: Sequence[Text], wish: ObserveWish) -> Iterator[tuple[int, list[Seen] | str]]:
    """By number, what is seen of each text, or in a line why it is not. Raises `AnalysisError` for a checkpoint that was asked for and
    cannot be had."""
    from sociallm.checkpoint import CheckpointError, shared
    from sociallm.observing import must_have_states

    for name in dict.fromkeys(wish.checkpoint or text.checkpoint or DEFAULT for text in texts):
        mine = [n for n, text in enumerate(texts) if (wish.checkpoint or text.checkpoint or DEFAULT) == name]
        try:
            checkpoint = shared(name)
            must_have_states(checkpoint)
        except (CheckpointError, ValueError) as error:
            if wish.checkpoint:
                raise AnalysisError(f"{name}: {error}") from None
            yield from ((n, f"{texts[n].where}: its checkpoint {name!r:.80} cannot be had ({error}); name one with --checkpoint") for n in mine)
            continue
        yield from _seen(checkpoint, texts, mine, wish)


def _seen(checkpoint: Checkpoint, texts: Sequence[Text], mine: Sequence[int], wish: ObserveWish) -> Iterator[tuple[int, list[Seen] | str]]:
    """What a model sees in some of the texts, read together; where one of them cannot be read, the rest one by one."""
    from sociallm.encode import slots_of
    from sociallm.observing import observe as seen_of
    from sociallm.states import StateError
    from sociallm.trails import Asked, Source

    asked = Asked(readers=not wish.authors, cohort=wish.measures)
    sources = [Source(conversation=texts[n].conversation, slots=slots_of(texts[n].agents)) for n in mine]
    done = 0
    try:
        for n, one in zip(mine, seen_of(checkpoint, sources, asked), strict=True):
            yield n, one.rows
            done += 1
    except (StateError, ValueError) as error:
        if len(mine) == 1:
            yield mine[0], f"{texts[mine[0]].where}: {error}"
            return
        for n in mine[done:]:
            yield from _seen(checkpoint, texts, [n], wish)


def _summary(rows: Sequence[Seen]) -> Summary:
    wrote = [row for row in rows if row.wrote]
    nats = tuple(sum(getattr(row, name) for row in wrote) for name in NATS)
    return Summary(1, len(wrote), len(rows), sum(row.tokens for row in wrote), nats)


# ---- the table ---------------------------------------------------------------------------------------------------------


def schema() -> pyarrow.Schema:
    """Names and keys as dictionaries or texts, numbers in 32 bits: 100,000 lines of a public room take some MB."""
    import pyarrow

    kinds = {"name": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()), "text": pyarrow.string(), "int": pyarrow.int64(), "count": pyarrow.int32(), "number": pyarrow.float32()}
    return pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS])


def table_of(text: Text, rows: Sequence[Seen]) -> pyarrow.Table:
    """The rows of one conversation."""
    import pyarrow

    said = text.conversation.messages
    plain = [{"id": whole(m.id), "author": whole(m.author), "channel": whole(m.channel.name), "time": m.time} for m in said]
    names = {r.reader: None if r.reader is None else whole(r.reader) for r in rows}
    columns: dict[str, Any] = {
        "run": [whole(text.name)] * len(rows), "message": [plain[r.index]["id"] for r in rows], "author": [plain[r.index]["author"] for r in rows],
        "reader": [names[r.reader] for r in rows], "channel": [plain[r.index]["channel"] for r in rows], "time": [plain[r.index]["time"] for r in rows],
        "role": ["wrote" if r.wrote else "read" for r in rows], "own_key": [r.own for r in rows], "other_key": [r.other for r in rows], "channel_key": [r.channel for r in rows],
    } | {name: [getattr(r, name) for r in rows] for name in ("tokens", *NATS, "e_rel", "e_coh", "moved")}  # fmt: skip
    return pyarrow.table([pyarrow.array(columns[field.name], field.type) for field in schema()], schema=schema())


def _put(path: Path, table: pyarrow.Table) -> None:
    import pyarrow.parquet as parquet

    try:
        with placed(path) as part:
            parquet.write_table(table, part, compression="zstd")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be written ({error.strerror or error}); is there room, and is the folder writable?") from None
