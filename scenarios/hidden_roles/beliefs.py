"""What a player may believe of who is evil: an exact Bayesian posterior over every set that could be, C(10, 4) = 210 at most.

Evidence is what all at the table have seen and heard: how many fails each quest had, who voted for which team, and who called whom evil
or good. Of each the likelihood under a set is a rate: of fails the one by which evil in fact plays (`fail_chance`), of votes and words
those that were counted in this world's own games (`Rates`). Words weigh less than they would alone (`trust`): what two players say they
have from one source.

Letters in shapes: n players, W sets, T teams, P proposals.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.hidden_roles.rules import ATTEMPTS, TO_WIN

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Stances = Mapping[str, Mapping[str, str]]  # author → about whom → "evil" or "good", the last that was said
SURE = 0.98  # no rate is nearer to 0 or 1: another policy may play otherwise


@dataclass(frozen=True)
class Rates:
    """How often players do what the others can see, by who they are: counted by `selfplay` in games in which these rates were believed."""

    approve: tuple[tuple[tuple[float, float], ...], ...] = (  # [the voter is evil][enough evil on the team to fail][the voter is on it]
        ((0.55, 0.86), (0.17, 0.48)), ((0.20, 0.50), (0.36, 0.85)),
    )  # fmt: skip
    accuse: tuple[tuple[float, float], ...] = ((0.37, 0.97), (0.47, 0.04))  # or else defend: [the author is evil][whom it is about is]
    trust: float = 0.5  # exponent of the likelihood of words


RATES = Rates()


@cache
def subsets(players: int, size: int) -> Bools:
    """Every set of so many players [W or T, n], in lexicographic order: who could be evil, who could be sent."""
    found = np.zeros((math.comb(players, size), players), bool)
    for row, members in zip(found, itertools.combinations(range(players), size), strict=True):
        row[list(members)] = True
    found.flags.writeable = False
    return found


def fail_chance(on_team: int, needed: int, won: int, lost: int) -> float:
    """How likely each of `on_team` evil players lets the quest fail.

    Never where they are too few for it; for certain where a success would end the game against them or a fail for them; else seldom enough
    that two of them do not give both away, and at times to seem good.
    """
    if on_team < needed:
        return 1 - SURE
    if TO_WIN - 1 in (won, lost):
        return SURE
    return 0.75 if on_team == needed else 0.5


def posterior(view: Mapping[str, Any], stances: Stances, me: int | None = None, rates: Rates = RATES) -> Floats:
    """P(set) [W] for somebody good who sits at `me` (None: for a stranger), given what all have seen (`view`) and what it has heard."""
    players = list(view["players"])
    sets = subsets(len(players), int(view["evils"]))
    log = np.zeros(len(sets))
    if me is not None:
        log[sets[:, me]] = -np.inf
    log += _of_quests(view, sets) + _of_votes(view, sets, me, rates) + rates.trust * _of_words(players, sets, stances, me, rates)
    if not np.isfinite(log.max()):  # an evil player who asks what it would believe if it were good, and whom the fails have given away
        return posterior(view, stances, None, rates)
    weight = np.exp(log - log.max())
    return weight / weight.sum()


def suspicion(p: Floats, players: int, evil: int) -> Floats:
    """P(evil) of each player [n]."""
    return (p[:, None] * subsets(players, evil)).sum(0)


def danger(p: Floats, teams: Bools, needed: int, evil: int) -> Floats:
    """P(enough evil on it to let the quest fail) of each team [T] of `teams` [T, n]."""
    sets = subsets(teams.shape[1], evil)
    return np.where(counts(sets, teams) >= needed, p[:, None], 0.0).sum(0)


def counts(sets: Bools, teams: Bools) -> Ints:
    """How many of each set are on each team [W, T]."""
    return sets.astype(np.int64) @ teams.astype(np.int64).T


def _of_quests(view: Mapping[str, Any], sets: Bools) -> Floats:
    """Log likelihood [W] of the number of fails of every quest: binomial in each set's members on the team."""
    log, won, lost = np.zeros(len(sets)), 0, 0
    for team, fails, success, needed in view["quests"]:
        on_team = counts(sets, _mask([team], view["players"]))[:, 0]
        by_count = [_binomial(k, int(fails), fail_chance(k, int(needed), won, lost)) for k in range(int(on_team.max()) + 1)]
        log += np.array(by_count)[on_team]
        won, lost = won + bool(success), lost + (not success)
    return log


def _binomial(n: int, k: int, p: float) -> float:
    """Log P(k of n); minus infinity for more fails than there are evil players."""
    if k > n:
        return -np.inf
    return math.log(math.comb(n, k)) + k * math.log(p) + (n - k) * math.log1p(-p)


def _of_votes(view: Mapping[str, Any], sets: Bools, me: int | None, rates: Rates) -> Floats:
    """Log likelihood [W] of every vote but one's own, the leaders' (for their own teams) and those on fifth teams, which good must approve."""
    told = [p for p in view["proposals"] if p["attempt"] < ATTEMPTS - 1]
    if not told:
        return np.zeros(len(sets))
    players = view["players"]
    needed = np.array([p["needed"] for p in told])
    dirty = (counts(sets, _mask([p["team"] for p in told], players)) >= needed).astype(np.int64)  # [W, P]
    yes, open_to = _mask([p["approve"] for p in told], players), ~_mask([[p["leader"]] for p in told], players)  # [P, n]
    if me is not None:
        open_to[:, me] = False
    on = _mask([p["team"] for p in told], players).astype(np.int64)  # [P, n]
    rate = np.array(rates.approve)[sets[:, None, :].astype(np.int64), dirty[:, :, None], on]  # [W, P, n]
    return np.where(open_to, np.log(np.where(yes, rate, 1 - rate)), 0.0).sum((1, 2))


def _of_words(players: list[str], sets: Bools, stances: Stances, me: int | None, rates: Rates) -> Floats:
    """Log likelihood [W] of who calls whom evil or good."""
    log, rate = np.zeros(len(sets)), np.array(rates.accuse)
    for author in (a for a in players if a in stances):
        by = sets[:, players.index(author)].astype(np.int64)
        for about in (a for a in players if a in stances[author] and a != author and players.index(author) != me):
            of = rate[by, sets[:, players.index(about)].astype(np.int64)]
            log += np.log(of if stances[author][about] == "evil" else 1 - of)
    return log


def _mask(groups: list[list[str]], players: list[str]) -> Bools:
    return np.array([[a in group for a in players] for group in groups], bool)
