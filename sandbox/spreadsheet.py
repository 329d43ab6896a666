"""A value as a cell of a table in CSV, which people open in a terminal or in a spreadsheet: one would obey it, the other run it as a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sociallm.conversation import printable

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def cell(value: object) -> object:
    """Text with everything visible that could steer a terminal, and an apostrophe before what would be a formula, as spreadsheets have it;
    a list as its entries in a row; anything else as it is."""
    if isinstance(value, (tuple, list, frozenset)):
        value = " ".join(map(str, value))
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.startswith(FORMULA) and shown != "-" and not NUMBER.fullmatch(shown) else shown  # a dash: nothing there


def row(values: Mapping[str, object]) -> dict[str, object]:
    """A row of cells, its columns' names as safe as what is under them."""
    return {str(cell(name)): cell(value) for name, value in values.items()}
