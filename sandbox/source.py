"""Where a setting came from, and the words for what is wrong with it: file and line, or the override; got, expected, remedy."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.guard import ConfigError, Document, Key


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where settings came from, to say it when one is wrong."""

    document: Document
    overridden: Mapping[Key, str]  # key → the text of the override that gave it
    refers: Mapping[Key, Key] = field(default_factory=dict)  # a key whose value is ${another} → that other

    def wrong(self, key: Key, what: str) -> ConfigError:
        """The error that names what gave this key: the override of it or of one above it, else the line of the file.

        An error of a whole group, which names none of its keys, may be the file's or that of any override in the group: all are named.
        """
        key = self.refers.get(key, key)
        above = [key[:n] for n in range(len(key), 0, -1)]
        said = next((n for n in above if n in self.overridden), ())
        if said and len(said) >= len(next((n for n in above if n in self.document.lines), ())):
            return ConfigError(f"override {self.overridden[said]!r:.120}: {what}")
        inside = dict.fromkeys(text for given, text in self.overridden.items() if key == given[: len(key)])
        beside = f", with override {', '.join(map(repr, inside)):.120}" if inside else ""
        return ConfigError(f"{self.document.where(key)}{beside}: {what}")


def nearest(word: str, known: Any) -> str:
    """The one of the words known that was meant, perhaps; its case and the order of a pair, as in B-A for A-B, do not matter."""
    folded = {"-".join(sorted(name.casefold().split("-"))): name for name in (str(k).strip(",;:") for k in known)}
    near = [folded[name] for name in difflib.get_close_matches("-".join(sorted(word.casefold().split("-"))), folded, 1, 0.6)]
    return f"; did you mean {near[0]}?" if near and near[0] != word else ""


def one_of(word: str, known: Iterable[str]) -> str:
    """What was meant, perhaps, and then all that there are: of a long list nobody reads to the end."""
    names = list(known)
    near = nearest(word, names).removeprefix("; ")
    return f"{near} Expected one of {', '.join(names)}" if near else f"expected one of {', '.join(names)}"


def listed(names: Iterable[str], most: int = 60) -> str:
    """Names that there are, whole, in order."""
    there = sorted(names)
    more = f" and {len(there) - most} more" if len(there) > most else ""
    return f"{'is' if len(there) == 1 else 'are'} {', '.join(there[:most]) or 'none'}{more}"


def shown(value: Any) -> str:
    """A value as a message shows it."""
    if value is None:
        return "empty"
    return "a group of settings" if isinstance(value, Mapping) else f"{value!r:.60}"


def words(hint: Any) -> str:
    """A type in words."""
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "nothing (null)"}
    if typing.get_origin(hint) is dict:
        return "a plain value for each key, as key: value"
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, type(int | str)) else (hint,)
    return " or ".join(words.get(part, str(part)) for part in parts)


def first_line(error: BaseException) -> str:
    """What another library said, cut to a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
