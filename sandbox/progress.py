"""How a run is getting on: one live line on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agents.types import JSON
from sandbox.log import printable
from sandbox.run import Moment
from scenarios.environment import Outcome, State

EVERY = 5.0  # seconds between plain lines
MOST = 2**53  # tokens of a step that are counted


class Progress:
    """Hears of every step, shows some of them. `share` tells how much of the run a world's state has behind it (0 to 1), if the world can."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float], share: Callable[[State], float] | None = None):
        self._stream, self._clock, self._share = stream, clock, share
        self._live = Live(console=Console(file=stream), refresh_per_second=4, transient=True) if stream and stream.isatty() else None
        self._began = self._last = clock()
        self._first: tuple[int, int, float] | None = None  # messages, tokens and share behind it when this session took over
        self._tokens = 0

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, now: Moment, outcome: Outcome, tokens: int = 0) -> None:
        self._tokens += tokens if 0 <= tokens < MOST else 0  # a policy says of itself how many
        self.tell(now.step, len(now.taken), phase_of(outcome.events), self._share(now.world) if self._share else None)

    def say(self, line: str) -> None:
        """A line of its own, which stays."""
        if self._live:
            self._live.console.print(Text(line), soft_wrap=True)
        elif self._stream:
            print(line, file=self._stream, flush=True)

    def tell(self, step: int, messages: int, phase: str, share: float | None = None) -> None:
        """One more step: how many messages so far, which phase it ended in, which share of the run is done."""
        now = self._clock()
        if self._first is None:
            self._first = (messages, self._tokens, share or 0.0)
        seconds = max(now - self._began, 1e-9)
        line = f"step {step + 1}  {printable(phase)[:24]:<10}  {messages} messages  {(messages - self._first[0]) / seconds:.1f}/s"
        if self._tokens:
            line += f"  {(self._tokens - self._first[1]) / seconds:.0f} tokens/s"
        if share is not None and share > self._first[2]:
            left = round(seconds * (1 - share) / (share - self._first[2]))
            line += f"  {left // 60}:{left % 60:02d} left"
        if self._live:
            self._live.update(Text(line))  # Text, so that no [markup] in a phase's name is obeyed
        elif self._stream and now - self._last >= EVERY:
            self._last = now
            print(line, file=self._stream, flush=True)


def phase_of(events: Sequence[Mapping[str, JSON]]) -> str:
    """The phase that a step's events name last."""
    return next((str(e["phase"]) for e in reversed(events) if "phase" in e), "")
