"""Texts as a page shows them, and each of them once: what comes again and again is a number in the page."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sandbox.log import printable

LONGEST = 1200  # characters of a value that is shown as JSON


def shown(text: str) -> str:
    """The text with everything that could not be seen, or could turn a line round, made visible; line breaks stay what they are."""
    return text if text.isascii() and text.isprintable() else "\n".join(map(printable, text.split("\n")))


@lru_cache(maxsize=4096)
def name(text: str) -> str:
    """A name on one line; that there is one can be seen."""
    return printable(text) or "(no name)"


def in_short(value: Any) -> str:
    """A JSON value in one line, cut where it is very long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters, whole in the log)")


class Interned:
    """Gives each text a number, the same text the same one; `texts` lists them by their numbers, as a page shows them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def __call__(self, text: str) -> int:
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(printable(text))
        return number
