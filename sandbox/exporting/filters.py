"""Which rows are left out, and why: short or long, alike another, out of the band of energies, beyond the share of their lineage.

    length   words of the row
    alike    near-duplicates: MinHash over the row's shingles of three words, own words apart from what was read; a row whose estimated Jaccard
             similarity with an earlier one, of another run, is at or above the threshold. Rows of one run are views of one thing, and are not compared
    energy   mean E_rel of what the row says, outside the quantiles asked for, over all rows that have one and passed the filters above
    cap      text of one lineage of agents beyond its share; which rows go is drawn by their names

Broder (1997), resemblance by MinHash; the rest is what Shumailov et al. (2024) and Gerstgrasser et al. (2024) make prudent where a model reads
what models said. Near-duplicates ask for the library datasketch: its banded index finds who is alike without comparing all with all.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandbox.exporting.row import Row
from sandbox.exporting.wish import ExportError, Wish

SHINGLE, PERMUTATIONS, SEED, SCHEME = 3, 128, 1, "affine32"


@dataclass(frozen=True)
class Found:
    """What filters need to remember of a row. `why`: left out already; `signature`: of those kept so far, where likeness is asked for."""

    id: str
    why: str = ""
    bytes: Mapping[str, int] = field(default_factory=dict)
    energy: float | None = None
    signature: Sequence[int] = ()

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "why": self.why, "bytes": dict(self.bytes), "energy": self.energy, "signature": [int(v) for v in self.signature]}


class Likeness:
    """The rows kept so far, to be found by likeness. It grows with each row that is kept."""

    def __init__(self, threshold: float):
        try:
            from datasketch import MinHash, MinHashLSH
        except ImportError:
            raise ExportError("--alike needs the library datasketch: pip install 'social-sandbox[export]', or leave --alike out") from None
        self._threshold, self._minhash = threshold, MinHash
        self._permutations = MinHash(num_perm=PERMUTATIONS, seed=SEED, scheme=SCHEME).permutations
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
        self._kept: dict[str, Any] = {}

    def signature(self, row: Row) -> list[int]:
        """Of a row's shingles."""
        made = self._minhash(num_perm=PERMUTATIONS, seed=SEED, scheme=SCHEME, permutations=self._permutations)
        made.update_batch(sorted(shingles(row)))
        return [int(value) for value in made.hashvalues]

    def alike(self, run: str, signature: Sequence[int]) -> bool:
        """Whether a kept row of another run is as alike as the threshold, by the estimate of both signatures."""
        mine = self._made(signature)
        return any(name.partition("/")[0] != run and self._kept[name].jaccard(mine) >= self._threshold for name in self._index.query(mine))

    def keep(self, name: str, signature: Sequence[int]) -> None:
        """A row that is kept."""
        self._kept[name] = made = self._made(signature)
        self._index.insert(name, made)

    def _made(self, signature: Sequence[int]) -> Any:
        return self._minhash(num_perm=PERMUTATIONS, seed=SEED, scheme=SCHEME, permutations=self._permutations, hashvalues=np.array(signature, np.uint32))


def shingles(row: Row) -> set[bytes]:
    """Three words in a row, of one text; a shorter text is one shingle."""
    found = set()
    for mark, texts in (("o", row.own), ("r", row.read)):
        for text in texts:
            words = text.lower().split()
            for i in range(max(1, len(words) - SHINGLE + 1)):
                found.add(f"{mark} {' '.join(words[i : i + SHINGLE])}".encode())
    return found


def first_look(row: Row, run: str, wish: Wish, likeness: Likeness | None, energies: Mapping[str, float] | None) -> Found:
    """What can be said of a row knowing those before it."""
    if wish.length and not wish.length[0] <= row.words <= wish.length[1]:
        return Found(row.id, "short" if row.words < wish.length[0] else "long")
    signature: list[int] = []
    if likeness is not None:
        signature = likeness.signature(row)
        if likeness.alike(run, signature):
            return Found(row.id, "alike")
        likeness.keep(row.id, signature)
    known = [energies[name] for name in row.said if name in energies] if energies is not None else []
    return Found(row.id, "", row.bytes, sum(known) / len(known) if known else None, signature)


def last_look(found: Sequence[Found], wish: Wish) -> Iterator[str]:
    """Why each row is left out, "" for those that stay, knowing all of them."""
    energies = np.array([one.energy for one in found if one.energy is not None and not one.why])
    low, high = np.quantile(energies, wish.energy, method="linear") if wish.energy and len(energies) else (-np.inf, np.inf)
    why = [one.why or ("energy" if one.energy is not None and not low <= one.energy <= high else "") for one in found]
    over = _over([one for one, reason in zip(found, why) if not reason], wish.cap, wish.of) if wish.cap is not None else set()
    yield from (reason or ("cap" if one.id in over else "") for one, reason in zip(found, why))


def _over(rows: Sequence[Found], cap: float, of: int | None) -> set[str]:
    """The rows that would give a lineage more than its share."""
    most = cap * (of if of is not None else sum(sum(row.bytes.values()) for row in rows))
    used: Counter[str] = Counter()
    over = set()
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest()):
        if any(used[who] + n > most for who, n in row.bytes.items()):
            over.add(row.id)
        else:
            used.update(row.bytes)
    return over
