"""Doors: what only the process that the user started has. Servers that may be called, each with its key, and the terminal.

They are given to policies whose answers come from outside (a module with `outside = True`), which act in that process and in no other.
They come from the command line and the environment, never from a file, and go into no file, log, error, or other process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TextIO

__all__ = ["CLOSED", "Doors"]


@dataclass(frozen=True, kw_only=True)
class Doors:
    """`servers`: origin, as in https://api.example.org:443, → the key that is sent there and nowhere else, "" for none. `addresses`: origin → the
    address that the user named beside it. `terminal`: what a person types, and is shown; None where nobody sits."""

    servers: Mapping[str, str] = field(default_factory=dict, repr=False)
    addresses: Mapping[str, str] = field(default_factory=dict)
    terminal: tuple[TextIO, TextIO] | None = field(default=None, repr=False)

    def __reduce__(self) -> str:
        raise TypeError("doors are of one process: they are sent nowhere")


CLOSED = Doors()
