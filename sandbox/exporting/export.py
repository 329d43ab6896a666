"""Runs become training dialogues: `export(runs, wish) -> Counts`, what `python -m sandbox export RUN… --format F --out DIR` does.

    from sandbox.exporting.export import export
    from sandbox.exporting.wish import Wish
    counts = export([Path("runs/team_task")], Wish(format="conversations", out=Path("dialogues"), planted="exclude"))

makes dialogues/train/…/conversations.jsonl, which `python -m sociallm train … own=dialogues/train` reads, and dialogues/validation/… of games held out.
The runs are folders of runs, or folders of such (an experiment's); their order does not matter, the same runs give the same bytes. An export that was
killed goes on when it is asked for again; one that is done is left as it is, and gives its counts again. Raises `ExportError`, one line.

Runs go through in pieces of about MESSAGES messages: read, made rows, filtered, written; what is in memory is one run, not all. Filters that ask for
all rows (energy, cap) and likeness go through everything first, then once more to write; near-duplicates keep a signature of each row.

    DIR/README.md       the dataset card               DIR/train/…, DIR/validation/…   the rows
    DIR/export.json     what was asked, counts, files with their hashes: there when all is done
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.disk import file_sha256, made_folder, placed
from sandbox.exporting import files
from sandbox.exporting.card import card
from sandbox.exporting.energy import energies, must_be_known, weights
from sandbox.exporting.filters import Found, Likeness, first_look, last_look
from sandbox.exporting.games import games
from sandbox.exporting.reading import Said, said_in
from sandbox.exporting.row import Row, Rows
from sandbox.exporting.source import Source, side, sources
from sandbox.exporting.stage import DONE, EXPORT, LOOKED, WRITTEN, Stage, asked
from sandbox.exporting.views import views
from sandbox.exporting.wish import SIDES, VIEWS, Counts, ExportError, Wish
from sandbox.folder import held
from sandbox.log import LogError
from sandbox.named import OF_A_RUN
from sandbox.snapshot import RunError
from sandbox.unfinished import STAGE, begin, write_told
from sandbox.version import program

MESSAGES = 50_000  # of a piece
PREFIX = 3  # messages by which two runs are known to be of one game


def export(runs: Sequence[Path], wish: Wish, tell: Callable[[str], None] = lambda _: None, messages: int = MESSAGES) -> Counts:
    """Make the export, or go on with it. `tell` is told how far it is; `messages`: of a piece."""
    if wish.checkpoint is not None:
        wish = replace(wish, weights=weights(wish.checkpoint))
    chosen, skipped = sources(runs, wish)
    _apart(chosen, wish)
    must_be_known(chosen, wish)
    asking = asked(wish, chosen, f"{program()}, pieces of {messages}")
    if EXPORT.stands(wish.out, asking) != "done":
        made_folder(wish.out)
    try:
        with held(wish.out):
            if EXPORT.stands(wish.out, asking) == "done":  # another may have been here until now
                return _again(wish.out)
            begin(wish.out, asking)
            return _made(chosen, skipped, wish, asking, Stage(wish.out), tell, messages)
    except (LogError, RunError) as error:
        raise ExportError(str(error)) from None


def _apart(chosen: Sequence[Source], wish: Wish) -> None:
    """Raises `ExportError` where the export would lie in a run, whichever, or liars would go without their tag."""
    out = wish.out.resolve()
    if inside := next((place for place in (out, *out.parents) if any((place / name).exists() for name in OF_A_RUN)), None):
        raise ExportError(f"{wish.out}: lies in the run {inside}; name a folder outside of all runs with --out")
    if "labels" in wish.without and wish.planted == "tag" and (told := next((run for run in chosen if run.planted), None)):
        raise ExportError(f"{told.folder}: {told.planted[0]} was planted, and without labels nothing would say so; leave labels in, or say --planted exclude")


def _made(
    chosen: Sequence[Source], skipped: Counter[str], wish: Wish, asking: Mapping[str, Any], stage: Stage, tell: Callable[[str], None], messages: int
) -> Counts:  # fmt: skip
    make = views(wish) if wish.format in VIEWS else games(wish)
    pieces = list(_pieces(chosen, messages))
    reasons = _looked(pieces, make, wish, stage, tell) if wish.filtering else {}
    _written(pieces, make, reasons, wish, stage, tell)
    return _finished(chosen, skipped, wish, asking, stage)


def _pieces(chosen: Sequence[Source], messages: int) -> Iterator[list[Source]]:
    """Runs that follow one another, so many that they hold about so many messages."""
    piece, held_messages = list[Source](), 0
    for run in chosen:
        piece.append(run)
        held_messages += run.messages
        if held_messages >= messages:
            yield piece
            piece, held_messages = [], 0
    if piece:
        yield piece


# ---- the filters' look at all rows -------------------------------------------------------------------------------------


def _looked(pieces: Sequence[Sequence[Source]], make: Rows, wish: Wish, stage: Stage, tell: Callable[[str], None]) -> dict[str, str]:
    """Row → why it is left out."""
    done = _gone_through(stage, LOOKED, len(pieces))
    likeness = Likeness(wish.alike) if wish.alike is not None else None
    found = list[Found]()
    for row in (Found(**row) for line in stage.lines(LOOKED) for row in line["rows"]):
        if likeness is not None and row.signature:
            likeness.keep(row.id, row.signature)
        found.append(replace(row, signature=()))
    for number, piece in enumerate(pieces[done:], done):
        looked = list(_first(piece, make, wish, likeness))
        stage.add(LOOKED, number, {"rows": [row.to_json() for row in looked]})
        found += [replace(row, signature=()) for row in looked]
        tell(f"{number + 1} of {len(pieces)} pieces gone through")
    return {row.id: why for row, why in zip(found, last_look(found, wish)) if why}


def _first(piece: Sequence[Source], make: Rows, wish: Wish, likeness: Likeness | None) -> Iterator[Found]:
    for run in piece:
        said = said_in(run, intents=False)
        known = energies(said, wish.checkpoint) if wish.energy else None
        yield from (first_look(row, run.id, wish, likeness, known) for row in make(said, Counter()) if not row.why)


# ---- the rows, written -------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What is counted while the rows of a piece pass by."""

    rows: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    worlds: Counter[str] = field(default_factory=Counter)  # side and world → rows
    games: dict[str, set[str]] = field(default_factory=lambda: {which: set() for which in SIDES})
    same: dict[str, list[int]] = field(default_factory=lambda: {which: [] for which in SIDES})  # of each row, what its text is known by
    begins: dict[str, str] = field(default_factory=dict)  # how a run began → its game

    def to_json(self) -> dict[str, Any]:
        told = {name: dict(sorted(getattr(self, name).items())) for name in ("rows", "turns", "left_out", "texts", "worlds", "same", "begins")}
        return told | {"games": {which: sorted(games) for which, games in self.games.items()}}


def _written(pieces: Sequence[Sequence[Source]], make: Rows, reasons: Mapping[str, str], wish: Wish, stage: Stage, tell: Callable[[str], None]) -> None:
    """Write what is not written yet, piece by piece."""
    where = stage.parts if wish.format == "convokit" else wish.out
    done = _gone_through(stage, WRITTEN, len(pieces))
    for line in stage.lines(WRITTEN):
        _as_left(wish.out, line["files"])
    began = {start: game for line in stage.lines(WRITTEN) for start, game in line["begins"].items()}
    for number, piece in enumerate(pieces[done:], done):
        tally, made = Tally(), []
        for which in SIDES:
            rows = (row for run in piece if side(run.game, wish.validation) == which for row in _kept(run, make, reasons, which, wish, tally, began))
            made += files.WRITERS[wish.format](where, which, number, rows)
        stage.add(WRITTEN, number, tally.to_json() | {"files": {str(path.relative_to(wish.out)): file_sha256(path) for path in made}})
        tell(f"{number + 1} of {len(pieces)} pieces written")


def _gone_through(stage: Stage, name: str, pieces: int) -> int:
    """How many pieces are done. Raises `ExportError` for more than there are."""
    if (done := stage.mend(name)) > pieces:
        raise ExportError(f"{stage.folder / name}: tells of {done} pieces, of {pieces} there are; remove {stage.out}, and export again")
    return done


def _as_left(out: Path, made: Mapping[str, str]) -> None:
    """Raises `ExportError` if files are not as they were left."""
    for name, sha256 in made.items():
        if not (out / name).is_file() or file_sha256(out / name) != sha256:
            raise ExportError(f"{out / name}: changed or lost since it was written; remove {out}, and export again")


def _nothing_else(out: Path, made: Collection[str]) -> None:
    """Raises `ExportError` for a file among the rows that is none of the export's: those who load the folder would take it for one."""
    for which in SIDES:
        if strange := next((path for path in sorted((out / which).rglob("*")) if path.is_file() and str(path.relative_to(out)) not in made), None):
            raise ExportError(f"{strange}: not of this export, and would be loaded as if it were; take it away, and give the same command again")


def _kept(run: Source, make: Rows, reasons: Mapping[str, str], which: str, wish: Wish, tally: Tally, began: dict[str, str]) -> Iterator[Row]:
    """The rows of a run that stay, counted."""
    said = said_in(run, "intents" not in wish.without and wish.format != "diplomacy")
    _one_game(said, wish, tally, began)
    for row in make(said, tally.texts):
        if why := row.why or reasons.get(row.id):
            tally.left_out[why] += 1
            continue
        tally.rows[which] += 1
        tally.turns[which] += row.turns
        tally.worlds[f"{which} {run.world}"] += 1
        tally.games[which].add(run.game)
        tally.same[which].append(row.sameness)
        yield row


def _one_game(said: Said, wish: Wish, tally: Tally, began: dict[str, str]) -> None:
    """Raises `ExportError` if a run begins as one of another game did, that is on the other side: one is a copy of the other in all but name."""
    first = [(line.author, line.time, line.text) for line in said.lines if not (line.told and line.readers == (line.author,))][:PREFIX]
    if len(first) < PREFIX:
        return
    game, start = said.source.game, hashlib.sha256(json.dumps(first).encode()).hexdigest()[:16]
    tally.begins[start] = other = began.setdefault(start, game)
    if side(other, wish.validation) != side(game, wish.validation):
        what = f"begins word for word and millisecond for millisecond as a run of {other!r:.60}, and would stand on the other side of the split"
        raise ExportError(f"{said.source.folder}: of the game {game!r:.60}, {what}; leave one of them out, or say --validation 0")


# ---- the end -----------------------------------------------------------------------------------------------------------


def _finished(chosen: Sequence[Source], skipped: Mapping[str, int], wish: Wish, asking: Mapping[str, Any], stage: Stage) -> Counts:
    """Put together what is in parts, write the card and, last, what says that all is done."""
    total, made = _total(stage)
    if both := total.games["train"] & total.games["validation"]:
        raise ExportError(f"{wish.out}: the game {min(both)!r:.60} stands on both sides of the split; remove the folder, and export again")
    if wish.format == "convokit":
        parts = [wish.out / name for name in sorted(made)]
        corpora = (files.corpus(wish.out, which, [part for part in parts if part.name.startswith(f"{which}-")]) for which in SIDES)
        made = {str(path.relative_to(wish.out)): file_sha256(path) for corpus in corpora for path in corpus}
    _nothing_else(wish.out, made)
    alike = np.intersect1d(np.array(total.same["train"], np.uint64), np.array(total.same["validation"], np.uint64))
    counts = Counts(
        out=wish.out, runs=len(chosen), games={which: len(total.games[which]) for which in SIDES}, messages=sum(run.messages for run in chosen),
        rows={which: total.rows[which] for which in SIDES}, turns={which: total.turns[which] for which in SIDES}, left_out=dict(total.left_out),
        skipped=dict(skipped), texts=dict(total.texts),
        worlds={world: {which: total.worlds[f"{which} {world}"] for which in SIDES} for world in sorted({run.world for run in chosen})},
        repeated=int(np.isin(np.array(total.same["validation"], np.uint64), alike).sum()),
    )  # fmt: skip
    if not any(counts.rows.values()):
        raise ExportError(f"{wish.out}: no row is left ({', '.join(f'{n} {why}' for why, n in sorted(counts.left_out.items()))}); ask for less with the filters, and remove this folder")
    with placed(wish.out / "README.md") as part:
        part.write_text(card(chosen, counts, wish, program(), sorted(made)), encoding="ascii", errors="backslashreplace")
    told = {name: value for name, value in asdict(counts).items() if name != "out"}
    whole = dict(asking) | {"counts": told, "files": dict(sorted({**made, "README.md": file_sha256(wish.out / "README.md")}.items()))}
    write_told(wish.out / DONE, whole)
    stage.remove()
    return counts


def _total(stage: Stage) -> tuple[Tally, dict[str, str]]:
    """All pieces together, and the files they gave, with their hashes."""
    total, made = Tally(), dict[str, str]()
    for line in stage.lines(WRITTEN):
        for name in ("rows", "turns", "left_out", "texts", "worlds"):
            getattr(total, name).update(line[name])
        for which in SIDES:
            total.games[which].update(line["games"][which])
            total.same[which] += line["same"][which]
        made |= line["files"]
    return total, made


def _again(out: Path) -> Counts:
    """The counts of an export that is done. Raises `ExportError` if its files are not as it left them."""
    told = json.loads((out / DONE).read_bytes())
    try:
        counts, made = Counts(out=out, **told["counts"]), dict(told["files"])
        counts.lines()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{out / DONE}: not what an export writes when it is done ({type(error).__name__}); remove {out}, and export again") from None
    _as_left(out, made)
    _nothing_else(out, made)
    if (out / STAGE).exists():  # killed while it cleared up
        Stage(out).remove()
    return counts
