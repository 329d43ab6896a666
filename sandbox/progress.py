"""How a run is getting on: one live line on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sandbox.log import printable

EVERY = 5.0  # seconds between plain lines


class Progress:
    """Hears of every step, shows some of them."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]):
        self._stream, self._clock = stream, clock
        self._live = Live(console=Console(file=stream), refresh_per_second=4, transient=True) if stream and stream.isatty() else None
        self._began = self._last = clock()

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, step: int, messages: int, phase: str) -> None:
        now = self._clock()
        line = f"step {step + 1}  {printable(phase)[:24]:<10}  {messages} messages  {messages / max(now - self._began, 1e-9):.1f}/s"
        if self._live:
            self._live.update(Text(line))  # Text, so that no [markup] in a phase's name is obeyed
        elif self._stream and now - self._last >= EVERY:
            self._last = now
            print(line, file=self._stream, flush=True)
