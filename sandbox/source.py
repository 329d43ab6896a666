"""Where a setting came from, and the words for what is wrong with it: file and line, or the override; got, expected, remedy."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.guard import ConfigError, Document


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where settings came from, to say it when one is wrong."""

    document: Document
    overridden: Mapping[tuple[str, ...], str]  # key → the override's own text

    def wrong(self, key: tuple[str, ...], what: str) -> ConfigError:
        """The error that names the override, or the file and line, that gave this key."""
        for given, text in self.overridden.items():
            if given == key[: len(given)] or key == given[: len(key)]:
                return ConfigError(f"override {text!r:.120}: {what}")
        return ConfigError(f"{self.document.where(key)}: {what}")


def nearest(word: str, known: Any) -> str:
    """The one of the words known that was meant, perhaps."""
    near = difflib.get_close_matches(word, [str(k).strip(",;:") for k in known], 1, 0.6)
    return f"; did you mean {near[0]}?" if near and near[0] != word else ""


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
