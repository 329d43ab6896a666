"""Convoy routes: over which fleets at sea an army can be carried, and where to.

Only *minimal* routes are listed: no fleet can be left out. Any working route contains a minimal one, so an army arrives just
when all fleets of some minimal route carry it (DATC 4.A.1: one whole route is enough); and a fleet on no minimal route is one
that no route needs (DATC 6.G.19).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from scenarios.diplomacy.map import KINDS, reach

Routes = Mapping[str, tuple[frozenset[str], ...]]  # landing province → minimal sets of seas whose fleets carry there

_SEAS = frozenset(p for p, kind in KINDS.items() if kind == "sea")
_SEAS_OF = {p: frozenset(s for s in _SEAS if p in reach("F", s)) for p in KINDS}  # seas that touch a sea or a coast
_COASTS_OF = {s: frozenset(p for p in reach("F", s) if KINDS[p] == "coast") for s in _SEAS}


@lru_cache(maxsize=8192)
def routes(start: str, fleets: frozenset[str]) -> Routes:
    """Minimal routes from a coastal province over `fleets` (seas with a fleet in them), by landing province."""
    found: dict[str, list[frozenset[str]]] = {}
    first = _SEAS_OF[start] & fleets if KINDS.get(start) == "coast" else frozenset()

    def sail(chain: tuple[str, ...], closed: frozenset[str], seen: frozenset[str]) -> None:
        # closed: seas that would make a fleet of the chain needless; seen: coasts a shorter part of the chain already serves
        last = chain[-1]
        for coast in sorted(_COASTS_OF[last] - seen):
            if coast != start:
                found.setdefault(coast, []).append(frozenset(chain))
        beyond = seen | _COASTS_OF[last]
        for sea in sorted((_SEAS_OF[last] & fleets) - closed):
            sail((*chain, sea), closed | _SEAS_OF[last] | {sea}, beyond)

    for sea in sorted(first):
        sail((sea,), first, frozenset())
    return {coast: tuple(found[coast]) for coast in sorted(found)}


@lru_cache(maxsize=8192)
def landings(start: str, fleets: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """Where each fleet may help to carry an army from `start`: sea → landing provinces, sorted."""
    found: dict[str, list[str]] = {}
    for coast, chains in routes(start, fleets).items():
        for sea in frozenset().union(*chains):
            found.setdefault(sea, []).append(coast)
    return {sea: tuple(coasts) for sea, coasts in found.items()}
