"""The team task told in words: the case as a member knows it, and whether what somebody wrote is an answer (`agents.legal`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from agents.legal import Legal, Read
from agents.types import JSON, Observation

LARGEST, LEAST = 1e6, 1e-6  # a weight that the world reads; a sum of them that says anything


def legal(observation: Observation, notes: JSON) -> Legal:
    """Who it was: asked in the last window, thought of before."""
    view = observation.view
    suspects: Sequence[str] = view["suspects"]
    seen = [
        f"You are {view['me']}, in a team of {', '.join(view['members'])} that must find out which of the suspects did it: {', '.join(suspects)}.",
        f"Window {view['window'] + 1} of {view['windows'] + 1}; in the last one everybody answers. You reach {', '.join(view['neighbours']) or 'nobody'}.",
        f"A witness who is sure is right {view['reliability']:.0%} of the time, one who is not sure less often. Each clue counts once.",
        *(f"clue that all know: {_told(fact)}" for fact in view["public"]),
        *(f"clue that you alone were given: {_told(fact)}" for fact in view["private"]),
    ]
    moves = ('A move is the name of one suspect, or how likely each is, as in {"' + suspects[0] + '": 0.7, "' + suspects[-1] + '": 0.3}.', f"suspects: {' | '.join(suspects)}")
    weights = {"type": "object", "properties": {s: {"type": "number", "minimum": 0} for s in suspects}, "additionalProperties": False}
    schema = {"anyOf": [{"type": "string", "enum": list(suspects)}, weights]}
    return Legal(seen=tuple(seen), moves=moves, schema=schema, read=partial(read_suspects, suspects), lists=(("suspect", tuple(suspects)),))


def _told(fact: dict[str, str]) -> str:
    return f"{fact['witness']} on {fact['suspect']}: {fact['evidence']}"


def read_suspects(suspects: Sequence[str], value: JSON) -> Read:
    """An answer of any JSON value: a suspect's name, or weights of which not all are 0. Names that are no suspect's are left out, and said so."""
    known = {s.casefold(): s for s in suspects}
    if isinstance(value, str) and value.strip().casefold() in known:
        value = {value: 1.0}
    expected = f"expected one of {', '.join(suspects)}, or weights of them"
    if not isinstance(value, dict) or not value:
        return Read(wrong=f"move: {value!r:.60} is no answer; {expected}")
    weights: dict[str, float] = {}
    dropped = []
    for name, weight in value.items():
        suspect = known.get(str(name).strip().casefold())
        if suspect is None:
            dropped.append(f"{str(name)[:40]!r} is no suspect")
        elif isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= LARGEST or not math.isfinite(weight):
            return Read(wrong=f"move: {weight!r:.40} is no weight of {suspect}; expected a number of 0 or more", dropped=tuple(dropped))
        else:
            weights[suspect] = float(weight)
    total = sum(weights.values())
    if total < LEAST:
        return Read(wrong=f"move: no suspect has a weight above 0; {expected}", dropped=tuple(dropped))
    answer = {s: round(weights.get(s, 0.0) / total, 12) for s in suspects}
    return Read(move=answer, intent=answer, dropped=tuple(dropped))
