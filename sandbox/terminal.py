"""The terminal of the process that the user started, for the people who sit at the table."""

from __future__ import annotations

import sys
from dataclasses import replace

from agents.doors import Doors
from agents.policies import policy
from sandbox.host import Cast


def with_terminal(cast: Cast, doors: Doors) -> Doors:
    """The doors, with the terminal open if a policy of this cast has people on its seats (a module with `terminal = True`).

    What they are shown goes to stderr, as progress would: the last line of stdout is the folder of the run, whoever plays.
    """
    seated = any(getattr(policy(name, cast.plugins), "terminal", False) for name in cast.seats.values())
    return replace(doors, terminal=(sys.stdin, sys.stderr)) if seated else doors
