"""A head for Diplomacy learned from own games, and what it is worth: `python -m analysis.benches.heads train | measure`.

    train     generations of games without talk, in which all seven powers have the head (`scenarios.diplomacy.learning`) → scenarios/heads/diplomacy.json
    measure   fresh seeds: each power in turn with the head, the other six without, against the same seed's game in which nobody has it

Both are the same every time: games follow from their seeds. A difference is in supply centres at the end of the game; intervals are by seed, whose
games share the control.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.choosing import LearnedHead, read_head, write_head
from analysis.stats import Interval, cluster_bootstrap
from scenarios.diplomacy.environment import Diplomacy, Options, make
from scenarios.diplomacy.learning import WORLD, learned, seats
from scenarios.diplomacy.map import POWERS
from scenarios.diplomacy.selfplay import centres, play

SHIPPED = Path(__file__).parents[2] / "scenarios" / "heads" / "diplomacy.json"
GENERATIONS, GAMES, NATS, LAST_YEAR = 6, 50, 0.3, 1905
APART = 1000  # seeds from one generation's first game to the next's: at most so many games
MEASURED = 900_000  # from this seed on, heads are measured: no generation may reach it


@dataclass(frozen=True)
class Pair:
    """One power's supply centres at the end of two games of one seed, with the head and without; all others have none."""

    seed: int
    power: str
    with_head: int
    without: int


def pairs(world: Diplomacy, head: LearnedHead, seeds: Sequence[int], weight: float = 1.0) -> list[Pair]:
    """Each power of each seed's game once with the head."""
    found = []
    for seed in seeds:
        control = centres(play(world, seed))
        for power in POWERS:
            ended = centres(play(world, seed, seats=seats(world, head, [power], weight)))
            found.append(Pair(seed, power, ended[power], control[power]))
    return found


def difference(found: Sequence[Pair]) -> Interval:
    """Centres more with the head than without, on average, with its interval by seed."""
    more = np.array([pair.with_head - pair.without for pair in found], dtype=float)
    return cluster_bootstrap([pair.seed for pair in found], lambda rows: float(more[rows].mean()), np.random.default_rng(0))


def trained(world: Diplomacy, generations: int, games: int, nats: float, first: int = 0) -> LearnedHead:
    """The head after so many generations; each says how far it is."""
    begun = time.process_time()

    def told(generation: int, head: LearnedHead) -> None:
        largest = sorted(head.kinds["order"].items(), key=lambda item: -abs(item[1]))[:6]
        print(f"generation {generation}: CPU {time.process_time() - begun:.0f} s;", ", ".join(f"{name} {weight:+.2f}" for name, weight in largest), flush=True)

    seeds = [range(first + APART * g, first + APART * g + games) for g in range(generations)]
    head = learned(world, seeds, nats, told)
    made = {"made": f"python -m analysis.benches.heads train --generations {generations} --games {games} --nats {nats:g} --last-year {world.options.last_year} --first {first}"}
    return LearnedHead(WORLD, head.kinds, made)


def _measure(chosen: argparse.Namespace) -> None:
    head = read_head(str(chosen.head))
    if head.world != WORLD:
        raise ValueError(f"{chosen.head}: a head for {head.world!r:.40}; expected one for {WORLD}")
    world = make(Options(last_year=chosen.last_year, press=chosen.press))
    found = pairs(world, head, range(MEASURED, MEASURED + chosen.seeds), chosen.weight)
    print(f"{len(found)} games with the head in one seat, {chosen.seeds} without, to {chosen.last_year}, press {chosen.press}, weight {chosen.weight:g}")
    print(f"{'':9}{'without':>8}{'with':>8}{'more':>8}")
    for power in (*POWERS, "all"):
        some = [pair for pair in found if power in (pair.power, "all")]
        with_head, without = (float(np.mean([getattr(pair, name) for pair in some])) for name in ("with_head", "without"))
        print(f"{power:9}{without:8.2f}{with_head:8.2f}{with_head - without:+8.2f}")
    more = difference(found)
    print(f"centres more with the head: {more.mean:+.3f} [{more.low:+.3f}, {more.high:+.3f}] by seed")


def _train(chosen: argparse.Namespace) -> None:
    if not 0 < chosen.games <= APART or not 0 <= chosen.first <= MEASURED - APART * chosen.generations:
        raise ValueError(f"expected 1 to {APART} games and seeds below {MEASURED}, where heads are measured; got --games {chosen.games} --first {chosen.first} --generations {chosen.generations}")
    world = make(Options(last_year=chosen.last_year, press="none"))
    head = trained(world, chosen.generations, chosen.games, chosen.nats, chosen.first)
    chosen.head.parent.mkdir(parents=True, exist_ok=True)
    write_head(chosen.head, head)


def main(given: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m analysis.benches.heads", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("--head", type=Path, default=SHIPPED, metavar="FILE", help="written, or measured (default: the shipped one)")
    parser.add_argument("--last-year", type=int, default=LAST_YEAR, metavar="YEAR", help=f"of a game (default: {LAST_YEAR})")
    parser.add_argument("--generations", type=int, default=GENERATIONS, metavar="N", help=f"train: default {GENERATIONS}")
    parser.add_argument("--games", type=int, default=GAMES, metavar="N", help=f"train: of a generation (default: {GAMES})")
    parser.add_argument("--nats", type=float, default=NATS, metavar="KL", help=f"train: length of a generation's step (default: {NATS})")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="train: of the first game (default: 0)")
    parser.add_argument("--seeds", type=int, default=30, metavar="N", help="measure: eight games each (default: 30)")
    parser.add_argument("--press", default="none", choices=("none", "both", "private", "public"), help="measure: who may talk to whom (default: none)")
    parser.add_argument("--weight", type=float, default=1.0, help="measure: of the head (default: 1)")
    chosen = parser.parse_args(given)
    begun = time.process_time()
    try:
        if min(chosen.generations, chosen.games) < 1 or chosen.seeds < 2 or not 0 < chosen.nats <= 10 or not 0 <= chosen.weight <= 100:
            raise ValueError("expected --generations and --games of 1 or more, --seeds of 2 or more, --nats in 0–10 (not 0) and --weight in 0–100")
        _train(chosen) if chosen.what == "train" else _measure(chosen)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"CPU {time.process_time() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
