"""Differential play: random phases through our rules and through the `diplomacy` package, and a reason for every difference.

    python -m scenarios.diplomacy.differential --phases 20000 --seed 1

The package stops before DATC 3.0 and departs from the rules in places. Each departure has a name here and is *computed*: a difference is
explained only if our own resolver, with the named departures put in, gives the package's position exactly. No position is listed.
Positions are compared by units, centres, phase and open retreats; the package drops a dislodged unit that has nowhere to go at once, which
is the same in the end, so that both are compared after it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, islice
from random import Random
from typing import Any

from scenarios.diplomacy import reference
from scenarios.diplomacy.adjudicator import Resolution, adjudicate, after_movement, positions, situation
from scenarios.diplomacy.adjustments import civil_disorder_key, older_civil_disorder_key
from scenarios.diplomacy.board import Board
from scenarios.diplomacy.environment import TO_WIN
from scenarios.diplomacy.map import POWERS, neighbours, reach
from scenarios.diplomacy.movement import Known, Situation, settle
from scenarios.diplomacy.positions import crowded, played
from scenarios.diplomacy.rules import PACKAGE, STANDARD, Rules

Orders = Mapping[str, Sequence[str]]
Position = tuple[str, Mapping[str, tuple[str, ...]], Mapping[str, tuple[str, ...]], Mapping[tuple[str, str], tuple[str, ...]]]

OPTIONS = {f"rules.{f.name}": f.name for f in fields(Rules) if getattr(PACKAGE, f.name) != getattr(STANDARD, f.name)}
DEPARTURES = {
    **{name: f"the package has {getattr(PACKAGE, option)!r}, we {getattr(STANDARD, option)!r}" for name, option in OPTIONS.items()},
    "own support by VIA": "a power's support against its own unit helps to dislodge it when the attacker's order says VIA",
    "own support on a convoy": "when it asks whether a convoying fleet is driven out, supports by the fleet's own power count",
    "own support in defence": "head-to-head, supports by the attacker's power are left out of an unequal defence as well",
    "walk after a convoy": "an army that did not say VIA and could walk does so when its convoy is broken",
    "alphabet of codes": "among equals in civil disorder the alphabet of the codes decides (NAF before NAP), not that of the names",
    "retreats after a convoy": "a unit dislodged by a convoyed army is shown every place beside it, occupied and contested ones too",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A phase that the two see differently; `because` names the departures, and is empty if none explain it."""

    board: Board
    orders: Orders
    ours: Position
    package: Position
    because: tuple[str, ...]


def compare(game: Any, board: Board, orders: Orders, ours: Resolution) -> Difference | None:
    """None if the package's position (on a re-used `reference.new_game()`) is ours under the standard rules."""
    verdict = reference.verdict(game, board, orders)
    theirs: Position = (verdict.name, verdict.units, verdict.centers, verdict.retreats)
    found = _position(ours.board, theirs)
    if found == theirs:
        return None
    because = explain(board, orders, theirs)
    return Difference(board=board, orders=orders, ours=found, package=theirs, because=because)


def explain(board: Board, orders: Orders, theirs: Position) -> tuple[str, ...]:
    """The fewest departures, in the order of `DEPARTURES`, with which our resolver gives their position; empty if all do not."""
    needed = list(DEPARTURES)
    if _with_departures(board, orders, frozenset(needed), theirs) != theirs:
        return ()
    for name in DEPARTURES:
        without = [other for other in needed if other != name]
        if _with_departures(board, orders, frozenset(without), theirs) == theirs:
            needed = without
    return tuple(needed)


def _position(board: Board, theirs: Position) -> Position:
    """What is compared. A unit with nowhere to go counts as gone; after a win the package's calendar stops, so it sets the name."""
    if board.phase == "R" and not any(d.retreats for d in board.dislodged):
        board = adjudicate(board, {}).board
    retreats = {(d.power, d.unit): d.retreats for d in board.dislodged if d.retreats}
    won = theirs[0] == "COMPLETED" and any(len(centers) >= TO_WIN for centers in board.centers.values())
    return theirs[0] if won else board.name, board.units, board.centers, retreats


def _with_departures(board: Board, orders: Orders, named: frozenset[str], theirs: Position) -> Position:
    """The position under our rules with these departures put in."""
    rules = replace(STANDARD, **{option: getattr(PACKAGE, option) for name, option in OPTIONS.items() if name in named})
    if board.phase == "A" and "alphabet of codes" in named:
        orders = _removals_by_code(board, orders, rules)
    if board.phase != "M":
        return _position(adjudicate(board, orders, rules).board, theirs)
    via = {order[2:5] for own in orders.values() for order in own if order.endswith(" VIA")}
    s, known = _settled(_departing(situation(board, orders, rules), via, named), via, named)
    units, dislodged, contested = positions(s, known)
    if "retreats after a convoy" in named:
        dislodged = tuple(
            replace(d, retreats=tuple(sorted(neighbours(d.unit[0], d.unit[2:])))) if d.attacker_from in s.chains else d for d in dislodged
        )
    return _position(after_movement(board, units, dislodged, contested), theirs)


def _removals_by_code(board: Board, orders: Orders, rules: Rules) -> dict[str, list[str]]:
    """The orders, with what civil disorder would remove by the alphabet of codes written out."""
    found = adjudicate(board, orders, rules)
    full: dict[str, list[str]] = {}
    for power in POWERS:
        older = rules.removals == "home centres"
        distance = older_civil_disorder_key(power) if older else civil_disorder_key(board.centers[power])
        ordered = [order for order in orders.get(power, ()) if found.results[power, order] == "succeeds"]
        left = [unit for unit in board.units[power] if f"{unit} D" not in ordered]
        goes = sorted(left, key=lambda unit: (*distance(unit)[:2], unit[2:]))
        missing = sum(owner == power for owner, _ in found.disbanded) - sum(order.endswith(" D") for order in ordered)
        full[power] = ordered + [f"{unit} D" for unit in goes[:missing]]
    return full


def _departing(s: Situation, via: set[str], named: frozenset[str]) -> Situation:
    """The situation with other supports allowed."""
    allowed = dict(s.allowed)
    if "own support by VIA" in named:
        allowed |= {mover: s.move_supports[mover] for mover in allowed if mover in via and mover in s.chains}
    s = replace(s, allowed=allowed)
    if "own support in defence" not in named:
        return s
    known = settle(s)
    given = {mover: sum(known[supporter] for supporter in s.move_supports.get(mover, ())) for mover in s.opposite}
    unequal = [mover for mover in s.opposite if given[mover] != given[s.opposite[mover]]]  # equals bounce before anything is left out
    return replace(s, defences={**s.move_supports, **{mover: allowed[mover] for mover in unequal if mover in allowed}})


def _settled(s: Situation, via: set[str], named: frozenset[str]) -> tuple[Situation, Known]:
    """Everything settled, convoys as the named departures have them; the situation returned is the one in which the armies that walk walk."""
    broken: dict[str, bool] = {}
    while True:
        known = settle(s, broken)
        carried = [army for army in s.chains if known[f"{army}~"]] if "own support on a convoy" in named else []
        sunk = {army for army in carried if all(any(_overrun(s, known, sea) for sea in route) for route in s.chains[army])}
        stranded = {army for army in s.chains if army in sunk or not known[f"{army}~"]} - via if "walk after a convoy" in named else set()
        walks = {army for army in stranded if s.moves[army] in reach("A", army)}
        if not sunk and not walks:
            return s, known
        broken |= {f"{army}~": False for army in sunk}
        routes = {army: chains for army, chains in s.chains.items() if army not in walks}
        opposite = {m: t for m, t in s.moves.items() if s.moves.get(t) == m and m not in routes and t not in routes}
        s = replace(s, chains=routes, opposite=opposite)


def _overrun(s: Situation, known: Known, sea: str) -> bool:
    """Whether a foreign attack on the fleet is stronger than it and any other attack, all supports counted."""
    def strength(supporters: Sequence[str]) -> int:
        return 1 + sum(known[supporter] for supporter in supporters)

    hold = strength(s.hold_supports.get(sea, ()))
    attacks = sorted((strength(s.move_supports.get(attacker, ())), attacker) for attacker in s.arrivals.get(sea, ()))
    best = [attacker for power, attacker in attacks if power == attacks[-1][0]]
    return len(best) == 1 and attacks[-1][0] > hold and s.units[best[0]][0] != s.units[sea][0]


# ---- the command ---------------------------------------------------------------------------------------------------

def phases(seed: int) -> Iterator[tuple[Board, Orders, Resolution]]:
    """Endless phases: half of crowded boards with their retreats and winters, half of games of eight years."""
    crowds = crowded(Random(f"{seed} crowds"))
    games = chain.from_iterable(played(Random(f"{seed} game {k}"), years=8) for k in range(10**9))
    for pair in zip(crowds, games):
        yield from pair


def differences(seed: int, count: int, progress: Callable[[int], None] = lambda done: None) -> Iterator[Difference]:
    """What differs in `count` phases; `progress` is told of each that begins."""
    game = reference.new_game()
    for done, (board, orders, found) in enumerate(islice(phases(seed), count)):
        progress(done)
        difference = compare(game, board, orders, found)
        if difference is not None:
            yield difference


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays, prints the counts by explanation as one JSON object, and says of each unexplained phase what to look at."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.diplomacy.differential", description="random phases beside the package")
    parser.add_argument("--phases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if not reference.available():
        print("the `diplomacy` package is not installed; it comes with the development extra: pip install -e '.[dev]'", file=sys.stderr)
        return 2
    because: Counter[str] = Counter()
    def progress(done: int) -> None:
        if done and done % 1000 == 0:
            print(f"{done} phases, {sum(because.values())} different, {because['unexplained']} unexplained", file=sys.stderr, flush=True)

    for difference in differences(asked.seed, asked.phases, progress):
        because[" + ".join(difference.because) or "unexplained"] += 1
        if not difference.because:
            ours, theirs = ({(p, u) for p in POWERS for u in position[1][p]} for position in (difference.ours, difference.package))
            print(json.dumps({"board": difference.board.name, "units": difference.board.units, "orders": difference.orders,
                              "dislodged": [d.unit for d in difference.board.dislodged], "names": [difference.ours[0], difference.package[0]],
                              "only ours": sorted(ours - theirs), "only the package's": sorted(theirs - ours),
                              "retreats": [str(difference.ours[3]), str(difference.package[3])]}), file=sys.stderr)  # fmt: skip
    counted = {"phases": asked.phases, "seed": asked.seed, "different": sum(because.values()), "unexplained": because["unexplained"]}
    print(json.dumps(counted | {"because": dict(because.most_common())}))
    return 1 if because["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
