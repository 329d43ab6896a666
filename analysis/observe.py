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

import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.metrics import AnalysisError, message_of, need, read_run
from sandbox.disk import placed
from sandbox.experiment import FILE as EXPERIMENT
from sandbox.log import Event
from sandbox.named import DEEP, MANIFEST, OF_A_RUN
from sandbox.record import whole
from scenarios.recorded import RecordedGameError, read_game
from sociallm.conversation import AgentID, Conversation, ConversationError, Message, read_conversations

if TYPE_CHECKING:
    import pyarrow

    from sociallm.observing import Seen

TABLE, DEFAULT, IRC = "observed.parquet", "base", "irc_disentanglement"
RUNS, CONVERSATIONS = 32, 2  # observed in one piece of work
COLUMNS = (
    ("run", "name"), ("message", "text"), ("author", "name"), ("reader", "name"), ("channel", "name"), ("time", "int"), ("role", "name"), ("own_key", "text"),
    ("other_key", "text"), ("channel_key", "text"), ("tokens", "count"), ("nats", "number"), ("nats_no_other", "number"), ("nats_no_own", "number"),
    ("nats_no_states", "number"), ("e_rel", "number"), ("e_coh", "number"), ("moved", "number"),
)  # fmt: skip
NATS = ("nats", "nats_no_other", "nats_no_own", "nats_no_states")


@dataclass(frozen=True, kw_only=True)
class Text:
    """Something to observe: messages in the order in which they were read, and all agents, for their slots."""

    name: str
    conversation: Conversation
    agents: tuple[AgentID, ...]
    checkpoint: str | None = None  # of the run, if its agents carried states


@dataclass(frozen=True, kw_only=True)
class Wish:
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

    def __add__(self, other: Summary) -> Summary:
        nats = tuple(a + b for a, b in zip(self.nats, other.nats, strict=True))
        return Summary(self.texts + other.texts, self.messages + other.messages, self.rows + other.rows, self.tokens + other.tokens, nats, self.refused + other.refused)

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [f"{self.texts} conversation{'s' * (self.texts != 1)}, {self.messages} messages, {self.rows} rows"]
        if self.tokens:
            on, no_other, no_own, off = (v / self.tokens for v in self.nats)
            found.append(f"authors' words, nats a token: {on:.3f} with both states, {no_other:.3f} without the interlocutor's, {no_own:.3f} without the own, {off:.3f} without any")
        return found


# ---- what there is to read ---------------------------------------------------------------------------------------------


def runs_below(path: Path) -> list[Path]:
    """The runs that a folder is or holds, by name; empty for anything else."""
    if any((path / name).is_file() for name in OF_A_RUN):
        return [path]
    return sorted({place.parent for pattern in DEEP for place in path.glob(f"{pattern}/{MANIFEST}")}) if path.is_dir() else []


def text_of_run(run: Path) -> Text:
    """All that was said in a run, or in a log, in the order in which it was read. Raises `AnalysisError`."""
    events = read_run(run, lambda _: None)
    for event in events:
        parts = event.data.get("parts") if event.kind == "intervention" and event.data.get("what") == "erase" else None
        if isinstance(parts, list) and {"own", "int"} & set(parts):
            raise AnalysisError(f"{run}: {event.agent}'s memory was changed from outside in step {event.step} (erase), so the log does not make its states; observe the run it was forked from")
    manifest = _manifest(run / MANIFEST)
    said = tuple(message_of(event) for event in events if event.kind == "message")
    _in_order(run, said)
    agents = {m.author for m in said} | {r for m in said for r in m.channel.readers} | _seated(events, manifest)
    point = manifest.get("checkpoint")
    folder = run if run.is_dir() else run.parent
    name = f"{folder.parent.name}/{folder.name}" if (folder.parent.parent / EXPERIMENT).is_file() else folder.name
    return Text(name=name, conversation=Conversation(id=name, messages=said), agents=tuple(sorted(agents)), checkpoint=point.get("name") if isinstance(point, dict) else None)


def _in_order(run: Path, said: Sequence[Message]) -> None:
    latest: dict[AgentID, int] = {}
    for message in said:
        for reader in message.channel.readers:
            if latest.setdefault(reader, message.time) > message.time:
                raise AnalysisError(f"{run}: message {message.id!r:.60} is older than one that {reader!r:.40} has read before it; the log was changed after the run")
            latest[reader] = message.time


def _manifest(path: Path) -> Mapping[str, Any]:
    """What the folder of a run says of itself; nothing for a log that stands alone."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise AnalysisError(f"{path}: not the manifest of a run ({' '.join(str(error).split()):.100}); restore it") from None
    return value if isinstance(value, dict) else {}


def _seated(events: Sequence[Event], manifest: Mapping[str, Any]) -> set[AgentID]:
    """All agents of a run: a name has the same slot everywhere, whoever speaks."""
    if isinstance(seats := manifest.get("seats"), dict):
        return set(seats)
    return {str(slot[0]) for event in events if event.kind == "step" for slot in need(event, "slots", list) if isinstance(slot, list) and slot}


def texts_of_file(path: Path) -> list[Text]:
    """Conversations, a recorded game, or IRC; a log is `text_of_run`'s. Raises `AnalysisError` in one line."""
    try:
        if path.name.endswith(".jsonl.gz"):
            found = irc(path)
        elif path.suffix == ".json":
            found = [read_game(path).conversation()]
        else:
            found = list(read_conversations(path))
    except (ConversationError, RecordedGameError) as error:
        raise AnalysisError(str(error)) from None
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read ({error.strerror}); is it the right file?") from None
    return [Text(name=c.id, conversation=c, agents=c.participants) for c in found]


def irc(path: Path) -> list[Conversation]:
    """The excerpts of one file of the IRC disentanglement corpus."""
    from sociallm import corpora

    if path.parent.name != IRC:
        raise AnalysisError(f"{path}: a compressed file is taken to be IRC, and lies in a folder {IRC}; unpack conversations first")
    try:
        found = corpora.irc(path.name.removesuffix(".jsonl.gz"))(path.parent.parent)
    except ConversationError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, EOFError) as error:
        raise AnalysisError(f"{path}: a record has not the shape of a line of IRC ({type(error).__name__}: {error!s:.80}); name a file of lines, not of links") from None
    return [c for c in found if c.messages]


def is_log(path: Path) -> bool:
    """Whether a file is the log of a run, in either form."""
    if path.suffix == ".parquet":
        return path.is_file()
    try:
        with open(path, "rb") as file:
            return path.suffix == ".jsonl" and b'"crc":"' in file.readline(1 << 20)
    except OSError:
        return False


# ---- observing ---------------------------------------------------------------------------------------------------------


def observe(paths: Sequence[Path], wish: Wish, out: Path | None = None, tasks: int = 1) -> Summary:
    """Observe all of them: each run's table into its folder, or all in one table `out`, which any other source needs.

    What cannot be read is told in `Summary.refused`, and the others go on; raises `AnalysisError` if there is nothing to observe.
    """
    runs: list[Path] = []
    files: list[Path] = []
    for path in paths:
        if found := runs_below(path) or ([path] if is_log(path) else []):
            runs += found
        elif path.is_file():
            files.append(path)
        else:
            raise AnalysisError(f"{path}: no run there and no file; give the folder of a run, a folder of runs, a log, conversations (JSONL), a recorded game or a file of IRC")
    if out is None and (alone := [*files, *(run for run in runs if not run.is_dir())]):
        raise AnalysisError(f"{alone[0]}: has no folder of a run for {TABLE}; say where it is to go with --out FILE")
    runs = list(dict.fromkeys(runs))
    works = [Work(runs=tuple(runs[i : i + RUNS])) for i in range(0, len(runs), RUNS)]
    refused = Summary()
    for path in files:
        try:
            texts = texts_of_file(path)
        except AnalysisError as error:
            refused += Summary(refused=(str(error),))
            continue
        works += [Work(texts=tuple(texts[i : i + CONVERSATIONS])) for i in range(0, len(texts), CONVERSATIONS)]
    return refused + _all(works, wish, out, tasks)


def _all(works: Sequence[Work], wish: Wish, out: Path | None, tasks: int) -> Summary:
    summary = Summary()
    with _writing(out) as write, _processes(min(tasks, len(works))) as pool:
        over = map if pool is None else pool.map
        try:
            for part, table in over(_observed, works, [wish] * len(works), [out is None] * len(works)):
                summary += part
                if table is not None:
                    write(table)
        except BrokenProcessPool:
            raise AnalysisError(f"one of {tasks} processes died; is it out of memory? a process takes about a GB: name fewer with --tasks") from None
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


def _observed(work: Work, wish: Wish, place: bool) -> tuple[Summary, pyarrow.Table | None]:
    """(what was observed, its rows as a table where they are not placed in the folders of runs). By checkpoint, and many in one pass."""
    import pyarrow

    found: list[tuple[Path | None, Text]] = [(None, text) for text in work.texts]
    summary = Summary()
    for run in work.runs:
        try:
            found.append((run, text_of_run(run)))
        except AnalysisError as error:
            summary += Summary(refused=(str(error),))
    tables = []
    for (folder, text), rows in _rows(found, wish):
        table = table_of(text, rows)
        summary += _summary(rows)
        if place and folder is not None:
            _put(folder / TABLE, table)
        else:
            tables.append(table)
    return summary, pyarrow.concat_tables(tables) if tables else None


def _rows(found: Sequence[tuple[Path | None, Text]], wish: Wish) -> Iterator[tuple[tuple[Path | None, Text], list[Seen]]]:
    """What is seen of each. Raises `AnalysisError` for a checkpoint that cannot be had."""
    from sociallm.checkpoint import CheckpointError, shared
    from sociallm.encode import slots_of
    from sociallm.observing import observe as seen_of
    from sociallm.states import StateError
    from sociallm.trails import Asked, Source

    asked = Asked(readers=not wish.authors, cohort=wish.measures)
    for name in dict.fromkeys(wish.checkpoint or text.checkpoint or DEFAULT for _, text in found):
        mine = [(path, text) for path, text in found if (wish.checkpoint or text.checkpoint or DEFAULT) == name]
        try:
            for one, seen in zip(mine, seen_of(shared(name), [Source(conversation=t.conversation, slots=slots_of(t.agents)) for _, t in mine], asked), strict=True):
                yield one, seen.rows
        except (CheckpointError, StateError, ValueError) as error:
            raise AnalysisError(f"{mine[0][0] or mine[0][1].name}: {error}") from None


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
