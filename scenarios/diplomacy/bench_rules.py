"""How fast the rules are: adjudication and forking on recorded and random positions, the `diplomacy` package beside them where it is installed.

    python -m scenarios.diplomacy.bench_rules [game.json …]

Each phase is adjudicated once by us and once by the package, in turns, so that both meet the same machine. Times are CPU times of the thread:
what else runs on the machine does not count. Order texts have been read before, as in a run, where they come from the list of legal ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median

from scenarios.diplomacy import reference, saved
from scenarios.diplomacy.adjudicator import adjudicate
from scenarios.diplomacy.board import Board, fork
from scenarios.diplomacy.history import replay
from scenarios.diplomacy.positions import Orders, played

WARM_UP = 20  # phases before the first that counts
FORKS = 200


def figures(recorded: Iterable[Path] = (), phases: int = 400, seed: int = 1) -> dict[str, float | None]:
    """`adjudicate_p50_ms`, `adjudicate_p99_ms`, `fork_us` and `package_p50_ms` (None without the package).

    `recorded`: saved games, each played through; `phases`: how many of random games are added.
    """
    meant = [*_random(seed, phases + WARM_UP), *recorded_phases(recorded)]
    game = reference.new_game() if reference.available() else None
    ours, theirs, forks = [], [], []
    for board, orders in meant:
        began = time.thread_time_ns()
        adjudicate(board, orders)
        ours.append((time.thread_time_ns() - began) / 1e6)
        if game is not None:
            theirs.append(reference.verdict(game, board, orders).seconds * 1e3)
    for board, _ in meant[:FORKS]:
        began = time.thread_time_ns()
        fork(board)
        forks.append((time.thread_time_ns() - began) / 1e3)
    counted = sorted(ours[WARM_UP:])
    return {
        "adjudicate_p50_ms": round(median(counted), 4),
        "adjudicate_p99_ms": round(counted[int(len(counted) * 0.99)], 4),
        "fork_us": round(median(forks), 2),
        "package_p50_ms": round(median(theirs[WARM_UP:]), 4) if theirs else None,
    }


def _random(seed: int, count: int) -> list[tuple[Board, Orders]]:
    def games() -> Iterator[tuple[Board, Orders]]:
        for k in range(count):
            yield from ((board, orders) for board, orders, _ in played(Random(f"{seed} bench {k}"), years=10))

    return list(islice(games(), count))


def recorded_phases(paths: Iterable[Path]) -> Iterator[tuple[Board, Orders]]:
    """The positions and orders of saved games."""
    for path in paths:
        yield from ((board, phase.given()) for phase, board, _ in replay(saved.read(path)))


def main(paths: Sequence[str]) -> None:
    """The figures as one line of JSON."""
    print(json.dumps(figures([Path(path) for path in paths])))


if __name__ == "__main__":
    main(sys.argv[1:])
