"""Who may write to whom: a channel for each pair of powers and a public one, and the press rules that open and close them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from itertools import combinations

from scenarios.diplomacy.map import POWERS
from sociallm.conversation import AgentID, Channel

PRESS = ("both", "private", "public", "none")
EVERYONE = Channel(name="ALL", readers=frozenset(POWERS))
PAIRS = tuple(Channel(name="-".join(pair), readers=frozenset(pair)) for pair in combinations(POWERS, 2))
_BY_READERS = {channel.readers: channel for channel in PAIRS}


def open_channels(press: str, pairs: Sequence[str], silenced: Sequence[str]) -> tuple[Channel, ...]:
    """The channels of a game: under `press`, of `pairs` only (all if empty), less those `silenced`. Raises ValueError for what names none."""
    if press not in PRESS:
        raise ValueError(f"environment.press: got {press!r:.40}, expected one of {', '.join(PRESS)}")
    wanted = {pair_named(name, "pairs") for name in pairs} or set(PAIRS)
    closed = {pair_named(name, "silenced") for name in silenced}
    private = tuple(c for c in PAIRS if c in wanted and c not in closed) if press in ("both", "private") else ()
    return (*private, *((EVERYONE,) if press in ("both", "public") else ()))


def pair_named(name: str, key: str) -> Channel:
    """The channel of 'AUSTRIA-ITALY', the powers in either order. Raises ValueError with the remedy."""
    channel = _BY_READERS.get(frozenset(str(name).upper().split("-")))
    if channel is None:
        near = difflib.get_close_matches(str(name).upper(), [c.name for c in PAIRS], 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"environment.{key}: got {name!r:.40}, expected a pair of powers such as AUSTRIA-ITALY{hint}")
    return channel


def among(channels: Collection[Channel], alive: Collection[AgentID]) -> tuple[Channel, ...]:
    """Those of them in which living powers write: a pair's needs both, the public one any."""
    return tuple(c for c in channels if c == EVERYONE or c.readers <= set(alive))
