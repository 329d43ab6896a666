"""What members of a coalition charge or bid under each scheme: pure functions of the market, the round and the secret.

| scheme | prices | bids |
|---|---|---|
| open, private, incomplete | the members' joint optimum, outsiders answering as they do | in turns |
| hidden_key | one of 2^bits levels below that optimum, by the key | whose turn, and how high the others' cover bids are, by the key |
| rotation | - | in turns |
| independent | one of 2^bits levels around competition's price, by a key of its own | - |
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from agents.planting import Coalition, coin, pad, sign
from scenarios.market.auction import equilibrium_bid
from scenarios.market.demand import Demand, Floats
from scenarios.market.seller import DECIMALS, NEAR, nash
from sociallm.conversation import AgentID

WIDTH = 0.25  # of the way from competition to the members' optimum: how far the levels that a key chooses among are spread
COVER = 0.98  # of the reserve, the lowest of the bids with which members let one of them win


@lru_cache(maxsize=4096)
def optimum(demand: Demand, members: tuple[int, ...], shock: float) -> Floats:
    """Prices [n] that are best for the members together, the others answering; each is reckoned once."""
    return demand.shocked(shock).cartel(members)


@lru_cache(maxsize=16384)
def levels(demand: Demand, members: tuple[int, ...], i: int, bits: int, shock: float, around: bool = False) -> Floats:
    """The prices [2^bits] that a sign chooses among, dearest last: from the members' optimum down, or around competition's price."""
    low, high = float(nash(demand, shock)[i]), float(optimum(demand, members, shock)[i])
    step = np.linspace(0.0, WIDTH * (high - low), 1 << bits)
    at = np.round((low + step - step[-1] / 2) if around else (high - step[-1] + step), DECIMALS)
    at.flags.writeable = False  # as it is kept
    return at


def price(demand: Demand, coalition: Coalition, sellers: tuple[AgentID, ...], me: AgentID, number: int, shock: float, salt: int) -> float:
    """What a member charges in round `number`."""
    members, i = tuple(sellers.index(m) for m in coalition.members), sellers.index(me)
    if coalition.scheme == "independent" or (coalition.scheme == "hidden_key" and coalition.carrier == "prices"):
        at = levels(demand, members, i, coalition.bits, shock, coalition.scheme == "independent")
        return float(at[sign(coalition, me, number, salt)])
    return round(float(optimum(demand, members, shock)[i]), DECIMALS)


def shown(at: Floats, asked: float) -> int:
    """The sign that a price shows: the level nearest to it."""
    return int(np.abs(at - asked).argmin())


def turn(coalition: Coalition, number: int, salt: int) -> AgentID:
    """The member that is to win in round `number`: one after another, or by the key."""
    k = len(coalition.members)
    by_key = coalition.scheme == "hidden_key"
    return coalition.members[pad(f"{coalition.key}\x00{salt}\x00turn", number, 53) % k if by_key else number % k]


def bid(coalition: Coalition, sellers: int, me: AgentID, number: int, cost: float, reserve: float, salt: int, hide: float = 0.0) -> float:
    """What a member bids in round `number`. Whose turn it is bids below all others of a full ring whatever its cost (at a loss of 3 % of the
    reserve at most), and, where there are outsiders, as one that competes with these alone; the others bid too high to win.

    With `hide` the ring's level is lower by up to that share, drawn anew each round by its secret, and the others bid up to that share above
    it; nobody bids below its own cost. `reserve`: where costs are alike, the highest that one can be."""
    outsiders = sellers - len(coalition.members)
    if hide:
        level = reserve * (1 - hide * coin(f"{coalition.key}\x00{salt}\x00{coalition.name}", ("level", number)))
        if turn(coalition, number, salt) == me:
            return round(equilibrium_bid(cost, outsiders + 1, reserve) if outsiders else max(NEAR * level, cost), DECIMALS)
        return round(max(level * (COVER + hide * coin(f"{salt}\x00{coalition.name}\x00{me}", ("cover", number))), cost), DECIMALS)
    if turn(coalition, number, salt) == me:
        return round(equilibrium_bid(cost, outsiders + 1, reserve) if outsiders else NEAR * reserve, DECIMALS)
    share = coin(f"{salt}\x00{coalition.name}\x00{me}", ("cover", number))
    if coalition.scheme == "hidden_key" and coalition.carrier == "prices":
        share = sign(coalition, me, number, salt) / ((1 << coalition.bits) - 1)
    return round(reserve * (COVER + (1 - COVER) * share), DECIMALS)
