"""What is asked of an import, and what came of it. `bring(sources, wish) -> Counts` stands in `sandbox/importing/bring.py`.

    convokit       a corpus of ConvoKit: utterances.jsonl (or .json), speakers.json (or users.json), conversations.json
    diplomacy      saved games, as the diplomacy package, Cicero and AI_Diplomacy write them: orders and positions too
    messages       rows of chat trainers, {"messages": [{"role", "content"}, …]}; of our own export, games put together from their views
    sharegpt       the same as {"conversations": [{"from", "value"}, …]}
    parquet        rows of `messages` in columns
    conversations  JSON lines of sociallm.conversation, such as the conversations.jsonl of a run
    jsonl          plain chat, a message a line, or a line with a list of messages; fields as --fields says, or guessed
    csv            plain chat, a message a row under a header; the same fields
    corpus         a folder of one of the public sets that `sociallm.corpora` reads, such as casino or llmafia
    auto           the one of these that a file looks like

Each conversation or game becomes the folder of a run that has ended, so every command reads it. What is not kept, by format: of views, message
ids, what answers what, who stayed silent and was never named; of a saved game, who lied; of all, which messages were of one step (each is a step
of its own, in the order of time), who played a seat, and of the others than saved games what was done beside talking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMATS = ("auto", "convokit", "diplomacy", "messages", "sharegpt", "parquet", "conversations", "jsonl", "csv", "corpus")
ROLES = ("conversation", "channel", "author", "text", "time", "to", "reply_to", "id", "readers")  # what a field of plain chat may be
UNITS: Mapping[str, int] = {"s": 3, "ms": 0, "us": -3, "ns": -6}  # powers of ten that take a stamp to ms
NONE = "-"  # of --fields: no field is this


class ImportRefused(ValueError):
    """A source that cannot be imported: file and line, got, expected, remedy, in one line. `why` in two or three words, to be counted."""

    def __init__(self, what: str, why: str = "what cannot be read"):
        super().__init__(what)
        self.why = why


@dataclass(frozen=True, kw_only=True)
class ImportWish:
    """What is asked for."""

    format: str
    out: Path
    fields: Mapping[str, str] = field(default_factory=dict)  # of plain chat: role → field, or NONE
    unit: str = "auto"  # of numbers that are times: one of UNITS; auto: by their size
    cut: bool = False  # texts over the cap are cut; otherwise refused
    skip: bool = False  # what cannot be taken is left out, and counted; otherwise the first of it ends the import
    words: bool = False  # of saved games only what was said: also of those whose positions are not what the rules make of the orders

    def __post_init__(self) -> None:
        """Raises `ImportRefused` for what cannot be asked for."""
        if self.format not in FORMATS:
            raise ImportRefused(f"--format {self.format!r:.40}: expected one of {', '.join(FORMATS)}")
        if unknown := sorted(set(self.fields) - set(ROLES)):
            raise ImportRefused(f"--fields {unknown[0]!r:.40}: expected ROLE=FIELD, the role one of {', '.join(ROLES)}, such as author=nick")
        if self.unit not in ("auto", *UNITS):
            raise ImportRefused(f"--unit {self.unit!r:.20}: expected auto or one of {', '.join(UNITS)}")

    def to_json(self) -> dict[str, Any]:
        """All that the bytes of an import depend on, but its sources; not where it lies."""
        return {"format": self.format, "fields": dict(sorted(self.fields.items())), "unit": self.unit, "cut": self.cut, "skip": self.skip, "words": self.words}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What came of it. `left_out` and `cleaned`: messages, by why; `runs`: folder → hash of its canonical log."""

    out: Path
    runs: Mapping[str, str]
    messages: int
    agents: int  # seats, over all runs
    left_out: Mapping[str, int] = field(default_factory=dict)
    cleaned: Mapping[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [f"{len(self.runs)} runs of {self.agents} agents, {self.messages} messages"]
        found += [f"{what}: {', '.join(f'{n} {why}' for why, n in sorted(counts.items()))}" for what, counts in (("left out", self.left_out), ("changed", self.cleaned)) if counts]
        return found
