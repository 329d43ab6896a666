"""The machinery: who acts when, where, what is written down; snapshots, forks and replays of it. In notebooks: `sandbox.load(run)`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.frames import Run


def load(run: Path | str) -> Run:
    """A run as pandas tables: messages, moves, intents, memory, outcomes, rewards (sandbox/frames.py)."""
    from sandbox.frames import load  # pandas is imported by those who want tables

    return load(run)
