"""Random positions and random orders that meet each other: what the rules are tried and timed on.

Left to chance alone, orders hardly ever meet. So positions are crowded around one province, moves are drawn first, and supports and
convoys mostly for those moves. Same generator state, same positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from scenarios.diplomacy.adjudicator import Resolution, adjudicate
from scenarios.diplomacy.board import Board, adjustment_count, initial_board
from scenarios.diplomacy.map import COASTS, KINDS, POWERS, SUPPLY_CENTERS, reach
from scenarios.diplomacy.orders import legal_orders
from scenarios.diplomacy.rules import STANDARD, Rules

Orders = dict[str, list[str]]


def random_board(rng: Random) -> Board:
    """A movement phase: a crowd around one province, of up to seven powers."""
    near = {rng.choice(sorted(KINDS))}
    for _ in range(rng.choice((2, 2, 3))):
        near |= {q for p in near for place in COASTS.get(p, (p,)) for kind in "AF" for q in reach(kind, place)}
    powers = POWERS[: rng.choice((2, 3, 7))]
    units: dict[str, list[str]] = {power: [] for power in POWERS}
    for province in sorted(near):
        if rng.random() < 0.75:
            kind = "F" if KINDS[province] == "sea" else "A" if KINDS[province] == "land" else rng.choice("AAF")
            place = rng.choice(COASTS.get(province, (province,))) if kind == "F" else province
            units[rng.choice(powers)].append(f"{kind} {place}")
    return Board(year=1901, season="S", phase="M", units={p: tuple(u) for p, u in units.items()}, centers={})


def random_winter(rng: Random) -> Board:
    """An adjustment phase: units and centres scattered over the map, so that everyone builds or removes."""
    units: dict[str, list[str]] = {power: [] for power in POWERS}
    centers: dict[str, list[str]] = {power: [] for power in POWERS}
    for center in SUPPLY_CENTERS:
        centers[rng.choice(POWERS)].append(center)
    for province in rng.sample(sorted(KINDS), rng.randint(15, 40)):
        kind = "F" if KINDS[province] == "sea" else "A" if KINDS[province] == "land" else rng.choice("AF")
        place = rng.choice(COASTS.get(province, (province,))) if kind == "F" else province
        units[rng.choice(POWERS)].append(f"{kind} {place}")
    return Board(year=1901, season="W", phase="A", units={p: tuple(u) for p, u in units.items()},
                 centers={p: tuple(c) for p, c in centers.items()})  # fmt: skip


def random_orders(board: Board, rng: Random) -> Orders:
    """Legal orders of everybody; in retreats and winter sometimes too few."""
    return _movement_orders(board, rng) if board.phase == "M" else _other_orders(board, rng)


def _movement_orders(board: Board, rng: Random) -> Orders:
    options = {unit: (power, orders) for power in POWERS for unit, orders in legal_orders(board, power).items()}
    chosen: dict[str, str] = {}
    for unit, (_, orders) in options.items():
        moves = [order for order in orders if order.startswith(f"{unit} -")]
        carried = [order for order in moves if order.endswith("VIA")]
        if moves and rng.random() < 0.6:
            chosen[unit] = rng.choice(carried if carried and rng.random() < 0.6 else moves)
            if chosen[unit].endswith("VIA") and rng.random() < 0.3:  # by convoy without saying so: intent is read from the fleets
                chosen[unit] = chosen[unit].removesuffix(" VIA")
    moving = {order.removesuffix(" VIA") for order in chosen.values()}
    for unit, (_, orders) in options.items():
        if unit not in chosen:
            fitting = [order for order in orders if order.partition(" S ")[2] in moving or order.partition(" C ")[2] in moving]
            convoys = [order for order in fitting if " C " in order]
            chosen[unit] = rng.choice(convoys if convoys and rng.random() < 0.7 else fitting or orders)
    found: Orders = {power: [] for power in POWERS}
    for unit, (power, _) in options.items():
        found[power].append(chosen[unit])
    return found


def _other_orders(board: Board, rng: Random) -> Orders:
    found: Orders = {power: [] for power in POWERS}
    for power in POWERS:
        for unit, options in legal_orders(board, power).items():
            if rng.random() < 0.15:
                continue  # no order: disbanded, waived, or civil disorder
            if board.phase == "R":
                found[power].append(rng.choice(options))
            else:
                wanted = rng.randint(0, abs(adjustment_count(board, power)))
                found[power] += rng.sample(options, min(wanted, len(options))) if unit == "REMOVE" else _builds(options, wanted, rng)
    return found


def _builds(options: tuple[str, ...], wanted: int, rng: Random) -> list[str]:
    homes = {order[2:5]: order for order in rng.sample(options, len(options)) if order != "WAIVE"}
    return rng.sample(sorted(homes.values()), min(wanted, len(homes)))


def crowded(rng: Random, rules: Rules = STANDARD) -> Iterator[tuple[Board, Orders, Resolution]]:
    """Endless phases of crowded boards, each followed by its retreats if there are any; one in ten is a winter."""
    while True:
        board = random_winter(rng) if rng.random() < 0.1 else random_board(rng)
        while True:
            orders = random_orders(board, rng)
            found = adjudicate(board, orders, rules)
            yield board, orders, found
            if found.board.phase != "R":
                break
            board = found.board


def played(rng: Random, years: int, rules: Rules = STANDARD) -> Iterator[tuple[Board, Orders, Resolution]]:
    """The phases of one game of random orders from spring 1901."""
    board = initial_board()
    while board.year < 1901 + years:
        orders = random_orders(board, rng)
        found = adjudicate(board, orders, rules)
        yield board, orders, found
        board = found.board
