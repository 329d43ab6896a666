"""Imports for tests: files of plain chat, and what came of an import."""

import csv
import json
from pathlib import Path

from sandbox.exporting.export import export
from sandbox.exporting.wish import Wish
from sandbox.importing.bring import bring
from sandbox.importing.wish import ImportWish
from sandbox.log import read_events

CHAT = [  # (conversation, author, text, time)
    ("a", "ann", "Who is there?", 1_600_000_000), ("a", "bob", "Me,\nas ever.", 1_600_000_007), ("b", "cleo", "hello", 1_600_000_003),
    ("a", "ann", "Good.", 1_600_000_009), ("b", "ann", "¡hola! “quoted”, with a comma", 1_600_000_011),
]  # fmt: skip


def imported(out: Path, *paths: Path, format: str = "auto", **options):
    """The counts of an import."""
    return bring(paths, ImportWish(format=format, out=out, **options))


def exported(runs: Path, out: Path, format: str, **options) -> Path:
    export([runs], Wish(format=format, out=out, **options))
    return out


def lines(path: Path, *values) -> Path:
    """A file of JSON lines; what is text stands as it is."""
    path.write_text("".join(f"{value if isinstance(value, str) else json.dumps(value)}\n" for value in values), encoding="utf-8", errors="surrogatepass")
    return path


def chat(path: Path) -> Path:
    """CHAT as plain JSON lines, or as CSV."""
    path.parent.mkdir(exist_ok=True)
    rows = [{"conversation": of, "user": author, "text": text, "ts": time} for of, author, text, time in CHAT]
    if path.suffix == ".jsonl":
        return lines(path, *rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def said(run: Path):
    """(author, channel, readers, time, text) of each message of a run."""
    return [(e.agent, e.data["channel"], tuple(e.data["readers"]), e.time, e.data["text"]) for e in read_events(run / "events.jsonl") if e.kind == "message"]
