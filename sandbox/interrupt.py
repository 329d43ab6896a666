"""Ctrl-C and SIGTERM: asked once, a run ends after the step it is in; asked again, or before it plays, at once."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType


class Interrupted(BaseException):
    """The user or the system wants the run to end now. Like KeyboardInterrupt, no policy can catch it by `except Exception`."""


class Halt:
    """Listens for the two signals while it is entered; calling it tells whether one has come."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.playing = False  # while True, the first signal waits for the end of the step

    def __enter__(self) -> Halt:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self.signal is not None

    def _ask(self, number: int, _: FrameType | None) -> None:
        first, self.signal = self.signal is None, number
        if not (self.playing and first):
            raise Interrupted(signal.Signals(number).name)
        with suppress(OSError):  # by its number: a handler may come in the midst of a print
            os.write(2, b"sandbox: ends after this step; once more ends it at once\n")
