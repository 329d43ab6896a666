"""Who reaches whom: a network of members, and from it who reads what and who speaks when.

A message reaches the author's neighbours, all of them (`neighbours`), or one of them alone (`pairs`), or everybody (`room`). Where it reaches
all neighbours, two neighbours never speak at once: the members are coloured so that neighbours differ, and each colour has its window.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sociallm.conversation import AgentID, Channel

NETWORKS, REACH = ("ring", "star", "complete", "list"), ("neighbours", "pairs", "room")
Neighbours = Mapping[AgentID, tuple[AgentID, ...]]


@dataclass(frozen=True)
class Turn:
    """Who is asked in one window, and in which channels."""

    agents: tuple[AgentID, ...]
    channels: tuple[Channel, ...]


def links(kind: str, members: Sequence[AgentID], named: Sequence[str] = ()) -> list[tuple[AgentID, AgentID]]:
    """The pairs that a network joins: a ring, a star round the first member, all, or those named such as M1-M2. Raises ValueError for a name amiss."""
    if kind == "complete":
        return list(itertools.combinations(members, 2))
    if kind == "star":
        return [(members[0], other) for other in members[1:]]
    if kind == "ring":
        found = list(itertools.pairwise(members))
        return found if len(members) < 3 else [*found, (members[0], members[-1])]
    joined: dict[tuple[AgentID, AgentID], None] = {}
    for name in named:
        one, _, other = str(name).partition("-")
        if one not in members or other not in members or one == other:
            raise ValueError(f"links: {name!r:.60}; expected two different members such as {members[0]}-{members[-1]}")
        first, second = sorted((one, other), key=list(members).index)
        joined[first, second] = None
    return list(joined)


def neighbours(members: Sequence[AgentID], joined: Sequence[tuple[AgentID, AgentID]]) -> Neighbours:
    """Member → those joined to it, in order of the members."""
    pairs = {*joined, *((b, a) for a, b in joined)}
    return {a: tuple(b for b in members if (a, b) in pairs) for a in members}


def colours(near: Neighbours) -> list[tuple[AgentID, ...]]:
    """Members in as few groups as taking each in turn finds, no two neighbours in one; those without a neighbour are in none."""
    colour: dict[AgentID, int] = {}
    for member in sorted((m for m in near if near[m]), key=lambda m: -len(near[m])):
        taken = {colour[n] for n in near[member] if n in colour}
        colour[member] = next(c for c in itertools.count() if c not in taken)
    return [tuple(m for m in near if colour.get(m) == c) for c in range(max(colour.values(), default=-1) + 1)]


def turns(reach: str, near: Neighbours) -> list[Turn]:
    """The windows of one round of talk, in order; none where nobody reaches anybody."""
    members = tuple(near)
    if reach == "room":
        return [Turn(members, (channel(members, members),))] if len(members) > 1 else []
    if reach == "pairs":
        pairs = [(a, b) for a, b in itertools.combinations(members, 2) if b in near[a]]
        return [Turn(tuple(m for m in members if near[m]), tuple(channel(pair, members) for pair in pairs))] if pairs else []
    return [Turn(group, tuple(channel((m, *near[m]), members) for m in group)) for group in colours(near)]


def channel(readers: Sequence[AgentID], members: Sequence[AgentID]) -> Channel:
    """The one channel of these readers, whoever writes in it: named by them, or ALL."""
    of = frozenset(readers)
    return Channel(name="ALL" if len(of) == len(members) else "+".join(m for m in members if m in of), readers=of)
