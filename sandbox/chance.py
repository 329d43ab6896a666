"""Chance: one independent random stream per (run seed, who, purpose, step).

A stream is made from its name alone (SHA-256, never Python's salted `hash`), so it can be made again at any step, in any
process, and adding an agent to a run leaves the streams of all the others as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence

WORLD = "<world>"  # the owner of the environment's own streams; no agent may have this name

WORDS = np.dtype("<u8")
number = int.from_bytes


class Digest(ISpawnableSeedSequence):
    """A SHA-256 as a seed. numpy's SeedSequence would only mix its bits once more, which costs ten times the rest of making a stream."""

    def __init__(self, digest: bytes):
        self.digest, self._children = digest, 0

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """The digest itself, of which PCG64 takes all 256 bits; for a generator that takes other words, a SHAKE-256 of it."""
        if dtype is np.uint64 and n_words == 4:
            return np.frombuffer(self.digest, WORDS).astype(np.uint64, copy=False)
        dtype = np.dtype(dtype)
        size = n_words * dtype.itemsize
        return np.frombuffer(hashlib.shake_256(self.digest).digest(size), dtype.newbyteorder("<")).astype(dtype, copy=False)

    def spawn(self, n_children: int) -> list[Digest]:
        """Seeds of further streams: other ones in each call, as numpy has it."""
        first = self._children
        self._children += n_children
        return [Digest(sha256(self.digest + i.to_bytes(8, "little")).digest()) for i in range(first, self._children)]


def stream(seed: int, owner: str, purpose: str, step: int) -> np.random.Generator:
    """The generator of one owner, for one purpose, at one step."""
    return np.random.Generator(np.random.PCG64(Digest(_digests(seed, (owner,), purpose, step)[0])))  # type: ignore[arg-type]  # numpy's stub knows no seed but its own


def draws(seed: int, owners: Iterable[str], purpose: str, step: int, low: int, high: int) -> list[int]:
    """One whole number of [low, high) for each owner, who needs no more than that: each is as likely as another to one part in 2^192 · (high - low)."""
    digests, width = _digests(seed, owners, purpose, step), high - low
    return [low + (number(digest, "little") * width >> 256) for digest in digests]


def _digests(seed: int, owners: Iterable[str], purpose: str, step: int) -> list[bytes]:
    before, after = f"{seed}\x00", f"\x00{purpose}\x00{step}"
    return [sha256(f"{before}{owner}{after}".encode("utf-8", "surrogatepass")).digest() for owner in owners]
