"""Frozen values that the engine itself makes by the thousand a step: their fields are put in at once.

A frozen dataclass sets its fields one by one, through `object.__setattr__`, and takes three times as long. What this makes is equal to
what the class would have made of the same fields, and as frozen; what comes from elsewhere goes through the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")
_new = object.__new__


def made(kind: type[Value], fields: Mapping[str, Any]) -> Value:
    """A value of the frozen dataclass `kind`; `fields` has every one of its fields."""
    value = _new(kind)
    value.__dict__.update(fields)
    return value
