"""Conversations and games from elsewhere become runs: `bring(paths, wish) -> Counts`, what `python -m sandbox import FILE… --format F --out DIR` does.

    from sandbox.importing.bring import bring
    from sandbox.importing.wish import ImportWish
    counts = bring([Path("corpus")], ImportWish(format="convokit", out=Path("runs/corpus")))

makes runs/corpus/NAME/ for each conversation, named as the source calls it. The same files give the same bytes, wherever they lie. An import that was
killed goes on when it is asked for again; one that is done is left as it is. One conversation is in memory, not the corpus. Raises `ImportRefused`.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from sandbox.disk import REMEDY, made_folder
from sandbox.folder import held
from sandbox.importing.folder import write_run, written
from sandbox.importing.formats import TABLE, sources_of
from sandbox.importing.source import Reading
from sandbox.importing.stage import DONE, IMPORT, abandon, again, asked, finish
from sandbox.importing.talk import Talk
from sandbox.importing.wish import Counts, ImportRefused, ImportWish
from sandbox.snapshot import RunError
from sandbox.unfinished import STAGE, begin
from sandbox.version import program

LONGEST = 60  # characters of a folder's name
PLAIN = ("jsonl", "csv")  # formats whose fields a user may name
EVERY = 500  # runs between two lines that say how far it is


def bring(paths: Sequence[Path], wish: ImportWish, tell: Callable[[str], None] = lambda _: None) -> Counts:
    """Make the import, or go on with it. `tell` is told how far it is."""
    format, sources = sources_of(paths, wish.format)
    _apart(paths, wish.out)
    if wish.fields and format not in PLAIN:
        raise ImportRefused(f"{paths[0]}: is read as {format}, in which fields are what they are, and --fields is of plain chat ({', '.join(PLAIN)}); leave it out, or say --format {PLAIN[0]}")
    hashes = {source.name: source.sha256() for source in sources}
    asking = asked(wish, format, hashes, program())
    if IMPORT.stands(wish.out, asking) != "done":
        made_folder(wish.out)
    try:
        with held(wish.out):
            if IMPORT.stands(wish.out, asking) == "done":  # another may have been here until now
                return again(wish.out)
            reading = Reading(format, sources, wish, begin(wish.out, asking), tell)
            runs: dict[str, str] = {}
            try:
                counts = _brought(reading, hashes, runs, tell)
            except ImportRefused:  # which the same files would be again: another wish finds nothing in its way
                abandon(wish.out, runs)
                raise
            finish(wish.out, asking, counts)
            return counts
    except sqlite3.Error as error:
        raise ImportRefused(f"{wish.out / STAGE}: cannot hold what was read ({error}){REMEDY}") from None
    except RunError as error:
        raise ImportRefused(str(error)) from None


def _brought(reading: Reading, hashes: Mapping[str, str], runs: dict[str, str], tell: Callable[[str], None]) -> Counts:
    """Every talk written; `runs` grows with each."""
    messages = agents = 0
    for folder, talk in _named(TABLE[reading.format].read(reading), reading.wish.out):
        try:
            sha256 = written(folder) or write_run(folder, talk, hashes[talk.source])["log_sha256"]
        except ImportRefused as error:
            reading.refuse(error)
            continue
        runs[folder.name], messages, agents = sha256, messages + len(talk.messages), agents + len(talk.seats)
        if len(runs) % EVERY == 0:
            tell(f"{len(runs)} runs, {messages} messages")
    if not runs:
        why = ", ".join(f"{n} {what}" for what, n in sorted(reading.left_out.items()) if n)
        raise ImportRefused(f"{reading.sources[0].path}: nobody says anything there{f' ({why})' if why else ''}; is it of another --format?")
    return Counts(out=reading.wish.out, runs=runs, messages=messages, agents=agents, left_out=_some(reading.left_out), cleaned=_some(reading.cleaned))


def _named(talks: Iterator[Talk], out: Path) -> Iterator[tuple[Path, Talk]]:
    """(folder, talk): named as the source calls it, as far as a folder may be; of two that would be called the same the later has a hash behind its name."""
    taken = {STAGE, DONE}
    for talk in talks:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", talk.name).strip("-._")[:LONGEST].strip("-._") or "conversation"
        called, number = plain, 1
        while called.casefold() in taken:
            digest = hashlib.sha256(f"{talk.source}\x00{talk.name}\x00{number}".encode("utf-8", "surrogatepass")).hexdigest()
            called, number = f"{plain}-{digest[:8]}", number + 1
        taken.add(called.casefold())
        yield out / called, talk


def _apart(paths: Sequence[Path], out: Path) -> None:
    """Raises `ImportRefused` where the import would lie in what it is made of: the next one would find it there."""
    if inside := next((path for path in paths if path.is_dir() and path.resolve() in (out.resolve(), *out.resolve().parents)), None):
        raise ImportRefused(f"{out}: lies in {inside}, which is to be imported; name a folder outside of it with --out")


def _some(counts: Counter[str]) -> dict[str, int]:
    return {what: n for what, n in sorted(counts.items()) if n}
