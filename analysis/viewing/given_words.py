"""What each agent gave its word for, what it meant by its own intent, and what came of it: `analysis.commitments` in columns.

The page shows what came of it only from the moment on in which that was known: `known`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from analysis.commitments import words as words_of
from analysis.promises import MEANT
from analysis.spoken import PROMISE, Word
from analysis.viewing.deeds import OPEN
from analysis.viewing.moments import Columns, Moments, happened
from analysis.viewing.texts import Interned
from sandbox.log import Event

SETTLES = {"diplomacy": ("adjudication",), "market": ("sales", "award"), "team_task": ("answers",)}  # what tells that a promise was kept


def given_words(events: Sequence[Event], world: str, of: Moments, words: Interned, number: Mapping[str, int]) -> Columns:
    """{"message", "by", "to", "kind", "about", "said", "meant", "kept", "lie", "opinion", "known", "open"}; none for a world whose words nobody can read.

    `open`: whether the agents themselves are told what shows it, or the page alone knows.
    """
    found = [word for word in words_of(events, world) if word.message in number and word.author in of.who]
    settled = _settled(events, of)
    columns: Columns = {key: [] for key in ("message", "by", "to", "kind", "about", "said", "meant", "kept", "lie", "opinion", "known", "open")}
    told_all = int(bool(OPEN & set(settled)))
    for word in found:
        lie = not word.kept and not word.opinion and word.meant is not None and word.meant < MEANT
        row = {
            "message": number[word.message], "by": of.who[word.author], "to": [of.who[a] for a in word.to if a in of.who], "kind": words(word.kind), "about": words(word.about),
            "said": words(word.said), "meant": -1 if word.meant is None else round(1000 * word.meant), "kept": int(word.kept), "lie": int(lie), "opinion": int(word.opinion),
            "known": _known(word, world, of, settled), "open": told_all,
        }  # fmt: skip
        for key, value in row.items():
            columns[key].append(value)
    return columns


def _settled(events: Sequence[Event], of: Moments) -> Mapping[str, list[int]]:
    """The moments in which the world told of each kind of deed; of an adjudication those of movement alone."""
    found: dict[str, list[int]] = {}
    for event in events:
        for one in happened(event):
            if one.get("what") != "adjudication" or str(one.get("phase")).endswith("M"):
                found.setdefault(str(one.get("what")), []).append(of.at[event.step])
    return found


def _known(word: Word, world: str, of: Moments, settled: Mapping[str, list[int]]) -> int:
    """The moment in which it could be known what came of a word; of one about facts or the whole game, the last."""
    last = len(of.steps) - 1
    whats = SETTLES.get(world, ())
    if world == "hidden_roles":
        whats = ("vote",) if word.about.startswith("vote ") else ("proposal",) if word.about.startswith("team ") else ()
    if word.kind != PROMISE:
        return last
    told = sorted(at for what in whats for at in settled.get(what, ()))
    after = bisect_left(told, of.at[word.step])
    return told[after] if after < len(told) else last
