"""Chance: one independent random stream per (run seed, who, purpose, step).

A stream is made from its name alone (SHA-256, never Python's salted `hash`), so it can be made again at any step, in any
process, and adding an agent to a run leaves the streams of all the others as they were.
"""

from __future__ import annotations

import hashlib

import numpy as np

WORLD = "<world>"  # the owner of the environment's own streams; no agent may have this name


def stream(seed: int, owner: str, purpose: str, step: int) -> np.random.Generator:
    """The generator of one owner, for one purpose, at one step. Philox would do as well; PCG64 is numpy's default."""
    name = f"{seed}\x00{owner}\x00{purpose}\x00{step}".encode("utf-8", "surrogatepass")
    words = np.frombuffer(hashlib.sha256(name).digest(), dtype="<u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(word) for word in words])))
