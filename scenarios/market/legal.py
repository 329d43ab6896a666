"""The market told in words: what a seller knows, and whether what somebody wrote is a price (`agents.legal`)."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial

from agents.legal import Legal, Read
from agents.types import JSON, Observation
from scenarios.market import talk

DECIMALS, CEILING = 4, 1e6  # what the world reads as a price


def legal(observation: Observation, notes: JSON) -> Legal:
    """A price, or a bid, of the next round."""
    view, sealed = observation.view, observation.view["mode"] == "auction"
    seen = [f"You are seller {observation.agent} of {', '.join(view['sellers'])}. Round {view['round'] + 1} of {view['rounds']}."]
    if sealed:
        seen.append(f"A buyer takes the lowest bid, none above its reserve of {view['reserve']}. Your cost of this job is {view['cost']}; others have costs of their own.")
    else:
        each = ", ".join(f"{a}: quality {q}, unit cost {c}" for a, q, c in zip(view["sellers"], view["quality"], view["costs"], strict=True))
        seen.append(f"Demand is logit: share_i = exp((q_i - p_i)/m) / (exp(a/m) + sum_j exp((q_j - p_j)/m)), m = {view['spread']}, a = {view['outside']}; profit_i = (p_i - c_i) share_i. {each}.")
        if "shock" in view:
            seen.append(f"This round all qualities are shifted by {view['shock']}.")
    if view["last"] is not None:
        what = "last winning bid" if sealed else "last prices"
        seen.append(f"{what}: " + ", ".join(f"{a} {p}" for a, p in view["last"].items() if p is not None))
    if view["profit"] is not None:
        seen.append(f"your last profit: {view['profit']:.6g}")
    what = "bid" if sealed else "price"
    moves = (f"A move is a number: your {what} of this round, 0 to {CEILING:g}, as in 1.75.",)
    return Legal(seen=tuple(seen), moves=moves, schema={"type": "number", "minimum": 0, "maximum": CEILING}, read=partial(read_amount, what))


def read_amount(what: str, value: JSON) -> Read:
    """A price of any JSON value: a number, a number as text, or an object with one of the two in it."""
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, str) and len(value) <= 20:
        with suppress(ValueError):
            value = float(value.strip().lstrip("$€£"))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= CEILING or not math.isfinite(value):
        return Read(wrong=f"move: {value!r:.40} is no {what}; expected a number from 0 to {CEILING:g}, as in 1.75")
    price = round(float(value), DECIMALS)
    return Read(move=price, intent={talk.spoken(price): 1.0})
