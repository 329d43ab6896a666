"""When things were said, in whole ms: numbers of some unit, dates, or nothing but an order.

A number's unit is found from the largest of all in the source, where the user does not say it: the power of ten that makes a date between 2001 and
2286 of it. Numbers too small for a date are of a clock that began with the conversation: ms, or seconds where any of them has a fraction. A
message without a time has that of the one before it. A conversation without any has one message a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.importing.wish import UNITS, ImportRefused, ImportWish
from sociallm.conversation import MAX_TIME

Stamp = tuple[str, float]  # (unit, number); "": a unit that is not known yet
EARLIEST, LATEST = 10**12, 10**13  # 2001 to 2286 in ms: one power of ten wide, so the unit of a date is unique
SMALLEST = 10**9  # of a date, in any unit
NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
SECOND = 1000


def stamp(raw: Any, where: str) -> Stamp | None:
    """A time as a source has it; None where it has none. Raises `ImportRefused`."""
    if raw is None or raw == "":
        return None
    if isinstance(raw, str):
        text = raw.strip()
        if NUMBER.fullmatch(text):
            raw = float(text) if "." in text else int(text)
        else:
            try:
                date = datetime.fromisoformat(text)
                since = (date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
                return "ms", since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
            except (ValueError, OverflowError):
                raise ImportRefused(f"{where}: the time is {raw!r:.40}, expected a number or a date such as 2021-04-28T19:25:26Z; --fields time=- keeps the order alone", "of an unreadable time") from None
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not abs(raw) <= 10**20:  # NaN is neither more nor less
        raise ImportRefused(f"{where}: the time is {raw!r:.40}, expected a number or a date; --fields time=- keeps the order alone", "of an unreadable time")
    return "", raw


def unit_of(stamps: Iterable[float]) -> str:
    """The unit, one of UNITS or 'e' and a power of ten, of numbers that are times."""
    latest, parts = 0.0, False
    for number in stamps:
        latest, parts = max(latest, abs(number)), parts or number != int(number)
    if latest < SMALLEST:
        return "s" if parts else "ms"
    shift = 0
    while latest * 10**shift < EARLIEST:
        shift += 1
    while latest >= LATEST * 10**-shift:
        shift -= 1
    return f"e{shift}"


def in_ms(when: Stamp, unit: str, where: str) -> int:
    """Raises `ImportRefused` for what no clock shows."""
    known, number = when
    use = known or unit
    shift = int(use[1:]) if use.startswith("e") else UNITS[use]
    if isinstance(number, int):
        found = number * 10**shift if shift >= 0 else number // 10**-shift
    else:
        found = round(number * 10.0**shift)
    if abs(found) > MAX_TIME:
        raise ImportRefused(f"{where}: the time {number!r:.30} is too far off in this unit, at most {MAX_TIME} ms either way are taken; say which unit it is with --unit, or --fields time=-", "of an impossible time")
    return found


def filled(times: Sequence[int | None]) -> list[int]:
    """A time for each: that of the one before it where it has none; a second apart where none has any."""
    known = next((time for time in times if time is not None), None)
    if known is None:
        return [number * SECOND for number in range(len(times))]
    found, last = [], known
    for time in times:
        last = last if time is None else time
        found.append(last)
    return found


class Numbers:
    """The numbers of a source that are times, as they pass by: all that their unit depends on."""

    def __init__(self) -> None:
        self._latest, self._part = 0.0, 0.0

    def see(self, when: Stamp | None) -> None:
        """One more."""
        if when is not None and not when[0]:
            self._latest = max(self._latest, abs(when[1]))
            self._part = self._part or abs(when[1]) % 1

    def unit(self, wish: ImportWish) -> str:
        """Their unit, as the user says, or by their size."""
        return unit_of((self._latest, self._part)) if wish.unit == "auto" else wish.unit
